use super::*;
use crate::conn::Wants;
use crate::conn::h1::Answer;

const CONTEXT: Context = Context {
    body_limit: 1 << 20,
    decode: false,
    redirects: false,
    errors: ErrorsKept { bytes: 0, answers: 0 },
};

/// A client whose server has sent its SETTINGS, and a request without a body or with one of so many bytes.
fn begun(lanes: u32) -> (Client, Vec<u8>) {
    let (mut client, mut out) = (Client::new(lanes), Vec::new());
    client.start(&CONTEXT, &mut out);
    let mut settings = Vec::new();
    frame::write_settings(&[], &mut settings);
    assert_eq!(client.feed(&settings, 1, &mut { CONTEXT }, &mut out), (settings.len(), Step::Ready));
    (client, out)
}

fn request(body: usize) -> Outgoing {
    let field = |name: &str, value: &str| (name.into(), value.into());
    let fields = vec![
        field(":method", "GET"),
        field(":scheme", "http"),
        field(":authority", "a"),
        field(":path", "/"),
    ];
    Outgoing {
        fields,
        body: vec![b'x'; body].into(),
        expects_continue: false,
        repeated: false,
        has_cookies: false,
        wants: Wants::default(),
    }
}

fn steps(client: &mut Client, bytes: &[u8], out: &mut Vec<u8>) -> Vec<Step> {
    let (mut at, mut steps) = (0, Vec::new());
    loop {
        let (used, step) = client.feed(&bytes[at..], 1, &mut { CONTEXT }, out);
        at += used;
        match step {
            Step::More { .. } => return steps,
            step => steps.push(step),
        }
    }
}

/// Its lane's next request once took the rest of the frame for its own answer, and failed for it.
#[test]
fn a_frame_of_a_stream_that_was_given_up_is_read_to_its_end() {
    let (mut client, mut out) = begun(1);
    client.request(0, &request(0), &mut out);
    let mut bytes = Vec::new();
    frame::write_headers(1, &[0x88], false, true, &mut bytes);
    frame::write_data(1, b"0123456789", true, &mut bytes);
    let (first, second) = bytes.split_at(bytes.len() - 5);
    assert_eq!(steps(&mut client, first, &mut out), []);
    client.abandon(0, &mut out);
    client.request(0, &request(0), &mut out);
    assert_eq!(steps(&mut client, second, &mut out), []);
    bytes.clear();
    frame::write_headers(3, &[0x88], true, true, &mut bytes);
    let answer = Answer { status: 200, reusable: true };
    assert_eq!(steps(&mut client, &bytes, &mut out), [Step::Done { lane: 0, answer }]);
}

/// A server that never opens its window once made the list of waiting bodies one longer with each request given up.
#[test]
fn bodies_that_were_given_up_do_not_gather() {
    let (mut client, mut out) = begun(2);
    for _ in 0..100 {
        out.clear();
        client.request(0, &request(100_000), &mut out);
        client.request(1, &request(10), &mut out);
        client.abandon(0, &mut out);
        client.abandon(1, &mut out);
    }
    assert!(client.uploads.len() <= 2, "{} bodies of two lanes wait", client.uploads.len());
}

/// Answers overtake each other: a stream once followed the `Location` of whoever was read last.
#[test]
fn each_stream_keeps_its_own_location() {
    let (mut client, mut out) = begun(2);
    let mut context = Context { redirects: true, ..CONTEXT };
    client.request(0, &request(0), &mut out);
    client.request(1, &request(0), &mut out);
    let mut bytes = Vec::new();
    // :status 302 and location, both as literals that leave the table alone.
    let found =
        |to: &[u8]| [b"\x08\x03302\x0f\x1f".as_slice(), &[u8::try_from(to.len()).unwrap()], to].concat();
    frame::write_headers(1, &found(b"/a"), false, true, &mut bytes);
    frame::write_headers(3, &found(b"/b"), false, true, &mut bytes);
    frame::write_headers(3, b"\x00\x01t\x011", true, true, &mut bytes);
    frame::write_data(1, b"x", true, &mut bytes);
    let mut at = 0;
    for (lane, location) in [(1, b"/b"), (0, b"/a")] {
        let (used, step) = client.feed(&bytes[at..], 1, &mut context, &mut out);
        at += used;
        assert_eq!(step, Step::Done { lane, answer: Answer { status: 302, reusable: true } });
        assert_eq!(client.location(lane), location);
    }
}

/// Each of these made the server one control frame richer, or cost it nothing however much work it was.
#[test]
fn nothing_that_a_server_sends_for_free_pays_for_more() {
    let mut settings = Vec::new();
    frame::write_settings(&[(setting::INITIAL_WINDOW_SIZE, 0)], &mut settings);
    let mut tiny = Vec::new();
    frame::write_window_update(1, 1, &mut tiny);
    let mut large = Vec::new();
    frame::write_settings(&[(setting::INITIAL_WINDOW_SIZE, 7); 2_000], &mut large);
    for (name, piece, most) in [("tiny windows", &tiny, 600), ("large SETTINGS", &large, 20)] {
        let (mut client, mut out) = begun(1);
        assert_eq!(steps(&mut client, &settings, &mut out), [Step::Ready]);
        client.request(0, &request(1_000_000), &mut out);
        let flooded = |_: &u32| match client.feed(piece, 1, &mut { CONTEXT }, &mut out).1 {
            Step::Failed(ErrorKind::Flood) => true,
            step => {
                assert!(matches!(step, Step::More { .. } | Step::Ready), "{name}: {step:?}");
                false
            }
        };
        let pieces = (0..10_000).find(flooded);
        assert!(pieces.is_some_and(|pieces| pieces <= most), "{name}: {pieces:?}");
    }
}

/// Answers whose status is accepted once did not count, and content of each was kept as long as a run took.
#[test]
fn contents_of_so_many_errors_are_kept() {
    let (mut client, mut out) = begun(1);
    let mut context = Context { errors: ErrorsKept { bytes: 3, answers: 2 }, ..CONTEXT };
    // :status 404, 200, 500 and 404 of the static table (RFC 7541 appendix A).
    for (stream, status, want) in [(1, 0x8d, "abc"), (3, 0x88, ""), (5, 0x8e, "abc"), (7, 0x8d, "")] {
        client.request(0, &request(0), &mut out);
        let mut bytes = Vec::new();
        frame::write_headers(stream, &[status], false, true, &mut bytes);
        frame::write_data(stream, b"abcde", true, &mut bytes);
        let (used, step) = client.feed(&bytes, 1, &mut context, &mut out);
        assert!(used == bytes.len() && matches!(step, Step::Done { lane: 0, .. }), "{stream}: {step:?}");
        assert_eq!(client.kept(0).body, want.as_bytes(), "{stream}");
    }
}
