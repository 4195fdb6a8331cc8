//! The protocol codecs against collections of cases that other implementations made or agreed upon.
//!
//! `hpack-test-case` has stories, each the field blocks of one connection; `http2-frame-test-case` has single frames.

use std::path::Path;

use brunt_engine::conn::h2::frame::{self, Frame, HEAD_LEN, Head, Priority, flag, kind};
use brunt_engine::conn::h2::hpack::{Decoder, Encoder};
use brunt_tests::data::{json_files_or_skip, octets};
use serde_json::{Value, json};

/// The table that every connection begins with, and a story that does not say otherwise (RFC 7541).
const TABLE_SIZE: usize = 4096;

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

#[test]
fn hpack_stories() {
    let Some(stories) = json_files_or_skip("hpack_stories", "BRUNT_HPACK_STORIES", "hpack") else { return };
    for (path, story) in &stories {
        check_story(path, story["cases"].as_array().expect("a story has cases"));
    }
}

/// Decodes what another encoder made of a story, then what ours makes of it.
fn check_story(path: &Path, cases: &[Value]) {
    assert!(!cases.is_empty(), "{} has no case", path.display());
    let mut theirs = Decoder::new(TABLE_SIZE);
    let (mut encoder, mut ours) = (Encoder::new(), Decoder::new(TABLE_SIZE));
    for (number, case) in cases.iter().enumerate() {
        let place = format!("{} case {number}", path.display());
        if let Some(size) = case.get("header_table_size") {
            let size = number_of(size);
            theirs.set_max_table(size);
            encoder.set_max_table(size);
            ours.set_max_table(size);
        }
        let expected = fields(case);
        let wire = octets(case["wire"].as_str().expect("a wire"));
        assert_eq!(decode(&mut theirs, &wire, &place), expected, "{place}");

        let mut block = Vec::new();
        encoder.encode(expected.iter().map(|(name, value)| (&name[..], &value[..])), &mut block);
        assert_eq!(decode(&mut ours, &block, &place), expected, "{place}, encoded by us");
    }
}

fn number_of(value: &Value) -> usize {
    value.as_u64().and_then(|number| usize::try_from(number).ok()).expect("a number")
}

fn fields(case: &Value) -> Fields {
    let headers = case["headers"].as_array().expect("a list of fields");
    let pairs = headers.iter().flat_map(|header| header.as_object().expect("a field"));
    let text = |value: &Value| value.as_str().expect("a value").as_bytes().to_vec();
    pairs.map(|(name, value)| (name.as_bytes().to_vec(), text(value))).collect()
}

fn decode(decoder: &mut Decoder, block: &[u8], place: &str) -> Fields {
    let mut list = Fields::new();
    let result = decoder.decode(block, &mut |name, value| list.push((name.to_vec(), value.to_vec())));
    result.unwrap_or_else(|error| panic!("{place}: {error}"));
    list
}

#[test]
fn http2_frame_cases() {
    let name = "http2_frame_cases";
    let Some(cases) = json_files_or_skip(name, "BRUNT_HTTP2_FRAMES", "http2-frames") else { return };
    for (path, case) in &cases {
        let wire = octets(case["wire"].as_str().expect("a wire"));
        let (head, payload) = wire.split_first_chunk::<HEAD_LEN>().expect("a frame has a head");
        let head = Head::read(head);
        match case["error"].as_array() {
            Some(codes) => check_error(path, head, payload, codes),
            None => check_frame(path, head, payload, &case["frame"]),
        }
    }
}

fn check_error(path: &Path, head: Head, payload: &[u8], codes: &[Value]) {
    let code = frame::parse(head, payload).expect_err("a broken frame").0;
    assert!(codes.contains(&json!(code)), "{}: {code} is not in {codes:?}", path.display());
}

/// Reads a frame, compares it with what the case says of it, and writes it again.
fn check_frame(path: &Path, head: Head, payload: &[u8], expected: &Value) {
    let frame = frame::parse(head, payload).unwrap_or_else(|code| panic!("{}: {code:?}", path.display()));
    let padding = padding_of(head, payload);
    let described = json!({
        "length": head.len,
        "type": head.kind,
        "flags": head.flags,
        "stream_identifier": head.stream,
        "frame_payload": describe(&frame, padding),
    });
    assert_eq!(described, *expected, "{}", path.display());

    let mut out = Vec::new();
    frame::write(&frame, head.stream, padding, &mut out);
    let (again, content) = out.split_first_chunk().expect("a head was written");
    assert_eq!((Head::read(again), content), (head, payload), "{}", path.display());
}

/// What pads a frame is not kept when it is read, so it is cut out here.
fn padding_of(head: Head, payload: &[u8]) -> Option<&[u8]> {
    let can_be_padded = matches!(head.kind, kind::DATA | kind::HEADERS | kind::PUSH_PROMISE);
    let is_padded = can_be_padded && head.has(flag::PADDED);
    is_padded.then(|| &payload[payload.len() - usize::from(payload[0])..])
}

/// A frame in the words of the collection.
fn describe(frame: &Frame<'_>, padding: Option<&[u8]>) -> Value {
    let mut described = match *frame {
        Frame::Data { data, .. } => json!({ "data": text(data) }),
        Frame::Headers { priority, fragment, .. } => {
            let mut described = describe_priority(priority);
            described["header_block_fragment"] = text(fragment);
            described
        }
        Frame::Priority(priority) => describe_priority(Some(priority)),
        Frame::RstStream(code) => json!({ "error_code": code.0 }),
        Frame::Settings { pairs, .. } => json!({ "settings": frame::settings(pairs).collect::<Vec<_>>() }),
        Frame::PushPromise { promised, fragment, .. } => {
            json!({ "promised_stream_id": promised, "header_block_fragment": text(fragment) })
        }
        Frame::Ping { payload, .. } => json!({ "opaque_data": text(&payload) }),
        Frame::Goaway { last_stream, code, debug } => json!({
            "last_stream_id": last_stream,
            "error_code": code.0,
            "additional_debug_data": text(debug),
        }),
        Frame::WindowUpdate(increment) => json!({ "window_size_increment": increment }),
        Frame::Continuation { fragment, .. } => json!({ "header_block_fragment": text(fragment) }),
        Frame::Unknown => panic!("the collection has no unknown frames"),
    };
    let can_be_padded = matches!(
        frame,
        Frame::Data { .. } | Frame::Headers { .. } | Frame::Priority(_) | Frame::PushPromise { .. }
    );
    if can_be_padded {
        described["padding_length"] = json!(padding.map(<[u8]>::len));
        described["padding"] = padding.map_or(Value::Null, text);
    }
    described
}

fn describe_priority(priority: Option<Priority>) -> Value {
    json!({
        "exclusive": priority.map(|priority| priority.exclusive),
        "stream_dependency": priority.map(|priority| priority.dependency),
        "weight": priority.map(|priority| u32::from(priority.weight) + 1),
    })
}

fn text(octets: &[u8]) -> Value {
    json!(String::from_utf8_lossy(octets))
}
