//! Both directions together: the examples of RFC 7541 appendix C, and properties.

use proptest::prelude::*;

use super::{Decoder, Encoder, Error, OVERHEAD};
use crate::limits::{HEAD_BYTES_MAX, HEAD_FIELDS_MAX};

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .map(|digit| u8::try_from(digit).unwrap())
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// From lines `name: value`.
fn fields(text: &str) -> Fields {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let pairs = lines.map(|line| {
        let at = line[1..].find(": ").expect("a colon and a space") + 1;
        (line[..at].into(), line[at + 2..].into())
    });
    pairs.collect()
}

fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Fields, Error> {
    let mut list = Fields::new();
    decoder.decode(block, &mut |name, value| list.push((name.to_vec(), value.to_vec())))?;
    Ok(list)
}

fn encode(encoder: &mut Encoder, list: &Fields) -> Vec<u8> {
    let mut block = Vec::new();
    encoder.encode(list.iter().map(|(name, value)| (&name[..], &value[..])), &mut block);
    block
}

/// Decodes blocks with one decoder; after each the size of the table is given.
fn check_blocks(max: usize, cases: &[(&str, &str, usize)]) {
    let mut decoder = Decoder::new(max);
    for (hex, list, size) in cases {
        assert_eq!(decode(&mut decoder, &bytes(hex)), Ok(fields(list)), "{hex}");
        assert_eq!(decoder.table().size(), *size, "{hex}");
    }
}

const REQUESTS: [&str; 3] = [
    ":method: GET
     :scheme: http
     :path: /
     :authority: www.example.com",
    ":method: GET
     :scheme: http
     :path: /
     :authority: www.example.com
     cache-control: no-cache",
    ":method: GET
     :scheme: https
     :path: /index.html
     :authority: www.example.com
     custom-key: custom-value",
];

const COMPRESSED_REQUESTS: [&str; 3] = [
    "828684418cf1e3c2e5f23a6ba0ab90f4ff",
    "828684be5886a8eb10649cbf",
    "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
];

const RESPONSES: [&str; 3] = [
    ":status: 302
     cache-control: private
     date: Mon, 21 Oct 2013 20:13:21 GMT
     location: https://www.example.com",
    ":status: 307
     cache-control: private
     date: Mon, 21 Oct 2013 20:13:21 GMT
     location: https://www.example.com",
    ":status: 200
     cache-control: private
     date: Mon, 21 Oct 2013 20:13:22 GMT
     location: https://www.example.com
     content-encoding: gzip
     set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
];

#[test]
fn representations_of_appendix_c2() {
    check_blocks(
        4096,
        &[("400a637573746f6d2d6b65790d637573746f6d2d686561646572", "custom-key: custom-header", 55)],
    );
    check_blocks(4096, &[("040c2f73616d706c652f70617468", ":path: /sample/path", 0)]);
    check_blocks(4096, &[("100870617373776f726406736563726574", "password: secret", 0)]);
    check_blocks(4096, &[("82", ":method: GET", 0)]);
}

#[test]
fn requests_of_appendices_c3_and_c4() {
    let [one, two, three] = REQUESTS;
    check_blocks(
        4096,
        &[
            ("828684410f7777772e6578616d706c652e636f6d", one, 57),
            ("828684be58086e6f2d6361636865", two, 110),
            ("828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565", three, 164),
        ],
    );
    let [a, b, c] = COMPRESSED_REQUESTS;
    check_blocks(4096, &[(a, one, 57), (b, two, 110), (c, three, 164)]);
}

#[test]
fn responses_of_appendices_c5_and_c6() {
    let [one, two, three] = RESPONSES;
    let plain = [
        "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d54
         6e1768747470733a2f2f7777772e6578616d706c652e636f6d",
        "4803333037c1c0bf",
        "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f
         3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076
         657273696f6e3d31",
    ];
    check_blocks(256, &[(plain[0], one, 222), (plain[1], two, 222), (plain[2], three, 215)]);
    let compressed = [
        "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f
         0b97c8e9ae82ae43d3",
        "4883640effc1c0bf",
        "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335df
         dfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
    ];
    check_blocks(256, &[(compressed[0], one, 222), (compressed[1], two, 222), (compressed[2], three, 215)]);
}

#[test]
fn our_requests_are_encoded_as_in_appendix_c4() {
    let mut encoder = Encoder::new();
    for (list, hex) in REQUESTS.iter().zip(COMPRESSED_REQUESTS) {
        assert_eq!(encode(&mut encoder, &fields(list)), bytes(hex));
    }
    assert_eq!(encoder.table().size(), 164);
}

#[test]
fn a_request_sent_again_is_indexes_only_and_may_be_remembered() {
    let list = fields(
        ":method: POST
         :scheme: https
         :path: /api/items
         :authority: localhost:8443
         user-agent: brunt
         cookie: a-long-cookie-that-nobody-can-guess",
    );
    let mut encoder = Encoder::new();
    assert!(encode(&mut encoder, &list).len() > 40);
    let before = encoder.generation();
    let block = encode(&mut encoder, &list);
    assert_eq!((block.len(), encoder.generation()), (6, before));
    assert_eq!(encode(&mut encoder, &list), block);
    encoder.set_max_table(0);
    assert_ne!(encoder.generation(), before);
}

#[test]
fn each_field_gets_the_form_that_suits_it() {
    let check = |list: &str, first: u8, kept: usize| {
        let mut encoder = Encoder::new();
        encoder.set_max_table(128);
        let block = encode(&mut encoder, &fields(list));
        // The update to 128 takes two octets.
        assert_eq!(block[..2], [0x3f, 0x61], "{list}");
        assert_eq!(block[2], first, "{list}");
        assert_eq!(encoder.table().size(), kept, "{list}");
        assert_eq!(decode(&mut Decoder::new(4096), &block), Ok(fields(list)));
    };
    check("accept: */*", 0x40 | 19, 6 + 3 + 32);
    check("x-a: b", 0x40, 3 + 1 + 32);
    check("authorization: Basic eDp5", 0x1f, 0);
    check("proxy-authorization: Basic eDp5", 0x1f, 0);
    check("cookie: 1234567890123456789", 0x1f, 0);
    check("cookie: 12345678901234567890", 0x40 | 32, 6 + 20 + 32);
    check(&format!("user-agent: {}", "x".repeat(128 - 32 - 10)), 0x40 | 58, 128);
    check(&format!("user-agent: {}", "x".repeat(128 - 32 - 9)), 0x0f, 0);
    check(&format!("x: {}", "x".repeat(128 - 32)), 0x00, 0);
}

#[test]
fn changes_of_the_tables_size_are_announced_once() {
    let check = |sizes: &[usize], expected: &[u8]| {
        let mut encoder = Encoder::new();
        encoder.set_max_table(256);
        encode(&mut encoder, &fields("a: b"));
        for &size in sizes {
            encoder.set_max_table(size);
        }
        let mut block = Vec::new();
        encoder.encode([], &mut block);
        assert_eq!(block, expected, "{sizes:?}");
        encoder.encode([], &mut block);
        assert_eq!(block, expected, "{sizes:?}");
    };
    check(&[], &[]);
    check(&[256], &[]);
    check(&[0], &[0x20]);
    check(&[0, 30], &[0x20, 0x3e]);
    check(&[30, 0, 256], &[0x20, 0x3f, 0xe1, 0x01]);
    check(&[4096], &[0x3f, 0xe1, 0x1f]);
    check(&[usize::MAX], &[0x3f, 0xe1, 0x1f]);
    check(&[4096, 30], &[0x3e]);
}

#[test]
fn updates_of_the_size_are_owed_bounded_and_come_first() {
    let check = |allowed: usize, hex: &str, expected: Result<usize, Error>| {
        let mut decoder = Decoder::new(4096);
        decoder.set_max_table(allowed);
        let result = decode(&mut decoder, &bytes(hex)).map(|list| list.len());
        assert_eq!(result, expected, "{hex}");
    };
    check(4096, "82", Ok(1));
    check(4096, "2082", Ok(1));
    check(4096, "203fe11f82", Ok(1));
    check(4096, "203fe11f", Ok(0));
    check(4096, "3fe21f82", Err(Error::Malformed));
    check(4096, "8220", Err(Error::Malformed));
    check(4096, "3f", Err(Error::Malformed));
    check(8192, "3fe13f82", Ok(1));
    check(8192, "82", Ok(1));
    check(0, "82", Err(Error::Malformed));
    check(0, "", Err(Error::Malformed));
    check(0, "2082", Ok(1));
    check(0, "2182", Err(Error::Malformed));
}

#[test]
fn broken_blocks_are_refused() {
    let check = |hex: &str| {
        assert_eq!(decode(&mut Decoder::new(4096), &bytes(hex)), Err(Error::Malformed), "{hex}");
    };
    // The index zero, and one past both tables, alone and as a name.
    check("80");
    check("be");
    check("ffffffffff0f");
    check("7e0161");
    check("0f2f0161");
    // Cut off: in an integer, in or before a string.
    check("ff");
    check("40");
    check("4001");
    check("400161");
    check("40016102");
    check("4001610261");
    check("4001618107ff");
    check("00ffffffffff0f");
    // Huffman: padded with zeros, and eight ones.
    check("40016181f8ff");
    check("4001618118");
}

#[test]
fn the_oldest_fields_give_way() {
    let mut decoder = Decoder::new(4096);
    decoder.set_max_table(100);
    // 100, then three entries of 34 octets; the first has gone and index 64 does not exist.
    assert!(decode(&mut decoder, &bytes("3f45 4001610131 4001620132 4001630133")).is_ok());
    assert_eq!(decode(&mut decoder, &bytes("bebf")), Ok(fields("c: 3\nb: 2")));
    let generation = decoder.generation();
    assert_eq!(decode(&mut decoder, &bytes("bebf82")).map(|list| list.len()), Ok(3));
    assert_eq!(decoder.generation(), generation);
    // The entry that lends its name is the one that goes.
    assert_eq!(decode(&mut decoder, &bytes("7f000139 be")), Ok(fields("b: 9\nb: 9")));
    assert_ne!(decoder.generation(), generation);
    assert_eq!(decode(&mut decoder, &bytes("c0")), Err(Error::Malformed));
}

#[test]
fn lists_are_bounded() {
    let check = |block: &[u8], expected: Result<usize, Error>| {
        let mut count = 0;
        let result = Decoder::new(4096).decode(block, &mut |_, _| count += 1);
        assert_eq!(result.map(|()| count), expected);
    };
    check(&[0x82; HEAD_FIELDS_MAX], Ok(HEAD_FIELDS_MAX));
    check(&[0x82; HEAD_FIELDS_MAX + 1], Err(Error::TooLarge));
    let long = |length: usize| {
        let mut block = vec![0x00, 0x01, b'a'];
        super::integer::write(length, 0, 0x7f, &mut block);
        block.resize(block.len() + length, b'x');
        block
    };
    check(&long(HEAD_BYTES_MAX - OVERHEAD - 1), Ok(1));
    check(&long(HEAD_BYTES_MAX - OVERHEAD), Err(Error::TooLarge));
    check(&long(HEAD_BYTES_MAX + 1), Err(Error::TooLarge));
    let list = vec![(b"a".to_vec(), vec![b'0'; HEAD_BYTES_MAX * 8 / 5])];
    check(&encode(&mut Encoder::new(), &list), Err(Error::TooLarge));
}

#[derive(Clone, Debug)]
enum Step {
    Block(Fields),
    TableSize(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let name = prop_oneof![
        "[a-z-]{0,12}",
        Just(":path".to_owned()),
        Just("date".to_owned()),
        Just("cookie".to_owned()),
        Just("authorization".to_owned()),
        Just(":method".to_owned())
    ];
    let value = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..60),
        prop::collection::vec(97u8..100, 0..3),
        prop::collection::vec(48u8..58, 1000..1200),
    ];
    let field = (name.prop_map(String::into_bytes), value);
    prop_oneof![
        4 => prop::collection::vec(field, 0..12).prop_map(Step::Block),
        1 => prop_oneof![0usize..200, 0usize..5000].prop_map(Step::TableSize),
    ]
}

/// Whatever is sent in whatever order comes out the same, and both tables stay the same.
fn check_steps(steps: &[Step]) {
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4096));
    for step in steps {
        match step {
            Step::TableSize(size) => {
                encoder.set_max_table(*size);
                decoder.set_max_table(*size);
            }
            Step::Block(list) => {
                let block = encode(&mut encoder, list);
                assert_eq!(decode(&mut decoder, &block).as_ref(), Ok(list));
                assert_eq!(encoder.table().size(), decoder.table().size());
                check_generations(&mut encoder, &mut decoder, list);
            }
        }
    }
}

/// Sends a list twice more; where a generation stood still, the second time must not differ from the first.
fn check_generations(encoder: &mut Encoder, decoder: &mut Decoder, list: &Fields) {
    let before = (encoder.generation(), decoder.generation());
    let block = encode(encoder, list);
    assert_eq!(decode(decoder, &block).as_ref(), Ok(list));
    if (encoder.generation(), decoder.generation()) == before {
        assert_eq!(encode(encoder, list), block);
        assert_eq!(decode(decoder, &block).as_ref(), Ok(list));
    }
}

proptest! {
    #[test]
    fn lists_come_back_whatever_the_tables_do(steps in prop::collection::vec(step(), 0..30)) {
        check_steps(&steps);
    }

    #[test]
    fn any_bytes_stay_within_bounds(blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..8)) {
        let mut decoder = Decoder::new(512);
        for block in blocks {
            let (mut count, mut size) = (0, 0);
            let _ = decoder.decode(&block, &mut |name, value| {
                count += 1;
                size += name.len() + value.len() + OVERHEAD;
            });
            prop_assert!(count <= HEAD_FIELDS_MAX && size <= HEAD_BYTES_MAX);
            prop_assert!(decoder.table().size() <= 512);
        }
    }
}
