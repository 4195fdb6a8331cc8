use proptest::prelude::*;

use super::*;

fn octets(head: Head, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    head.write(&mut out);
    out.extend_from_slice(payload);
    out
}

fn head(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Head {
    Head { len: u32::try_from(payload.len()).unwrap(), kind, flags, stream }
}

/// The padding of a payload, where it is padded.
fn padding_of(head: Head, payload: &[u8]) -> Option<&[u8]> {
    let may_be_padded = matches!(head.kind, kind::DATA | kind::HEADERS | kind::PUSH_PROMISE);
    let is_padded = may_be_padded && head.has(flag::PADDED);
    is_padded.then(|| &payload[payload.len() - usize::from(payload[0])..])
}

#[test]
fn heads_come_back_without_the_reserved_bit() {
    let bytes = [0x01, 0x02, 0x03, 0x04, 0x05, 0x86, 0x07, 0x08, 0x09];
    let head = Head::read(&bytes);
    assert_eq!(head, Head { len: 0x01_02_03, kind: 4, flags: 5, stream: 0x06_07_08_09 });
    let mut expected = bytes;
    expected[5] = 0x06;
    assert_eq!(octets(head, &[]), expected);
}

/// Each frame is read as expected, and written again octet for octet.
#[test]
fn frames_are_read_and_written() {
    let check = |kind: u8, flags: u8, stream: u32, payload: &[u8], expected: Frame<'_>| {
        let head = head(kind, flags, stream, payload);
        assert_eq!(parse(head, payload), Ok(expected));
        let mut out = Vec::new();
        write(&expected, stream, padding_of(head, payload), &mut out);
        assert_eq!(out, octets(head, payload), "{expected:?}");
    };
    let priority = Priority { exclusive: true, dependency: 5, weight: 9 };
    check(kind::DATA, 0, 1, b"", Frame::Data { data: b"", padding: 0, end_stream: false });
    check(kind::DATA, 1, 1, b"ab", Frame::Data { data: b"ab", padding: 0, end_stream: true });
    check(kind::DATA, 8, 1, b"\x02abpp", Frame::Data { data: b"ab", padding: 2, end_stream: false });
    check(kind::DATA, 8, 1, b"\x00", Frame::Data { data: b"", padding: 0, end_stream: false });
    let of_headers = |priority, end_stream, end_headers| Frame::Headers {
        priority,
        fragment: b"ab",
        end_stream,
        end_headers,
    };
    check(kind::HEADERS, 0, 1, b"ab", of_headers(None, false, false));
    check(kind::HEADERS, 0x0d, 1, b"\x01abp", of_headers(None, true, true));
    check(kind::HEADERS, 0x24, 1, b"\x80\0\0\x05\x09ab", of_headers(Some(priority), false, true));
    check(kind::HEADERS, 0x28, 1, b"\x01\x80\0\0\x05\x09abp", of_headers(Some(priority), false, false));
    check(kind::PRIORITY, 0, 7, b"\x80\0\0\x05\x09", Frame::Priority(priority));
    check(kind::RST_STREAM, 0, 7, b"\0\0\0\x0b", Frame::RstStream(ErrorCode::ENHANCE_YOUR_CALM));
    check(
        kind::SETTINGS,
        0,
        0,
        b"\0\x03\0\0\0\x64",
        Frame::Settings { ack: false, pairs: b"\0\x03\0\0\0\x64" },
    );
    check(kind::SETTINGS, 1, 0, b"", Frame::Settings { ack: true, pairs: b"" });
    let promise = Frame::PushPromise { promised: 2, fragment: b"ab", end_headers: true };
    check(kind::PUSH_PROMISE, 4, 1, b"\0\0\0\x02ab", promise);
    check(kind::PUSH_PROMISE, 12, 1, b"\x01\0\0\0\x02abp", promise);
    check(kind::PING, 0, 0, b"01234567", Frame::Ping { ack: false, payload: *b"01234567" });
    check(kind::PING, 1, 0, b"01234567", Frame::Ping { ack: true, payload: *b"01234567" });
    let goaway = |debug| Frame::Goaway { last_stream: 3, code: ErrorCode(0x77), debug };
    check(kind::GOAWAY, 0, 0, b"\0\0\0\x03\0\0\0\x77", goaway(b""));
    check(kind::GOAWAY, 0, 0, b"\0\0\0\x03\0\0\0\x77why", goaway(b"why"));
    check(kind::WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff", Frame::WindowUpdate(BITS_31));
    check(kind::CONTINUATION, 4, 1, b"ab", Frame::Continuation { fragment: b"ab", end_headers: true });
}

#[test]
fn the_short_ways_write_the_same() {
    let check = |frame: Frame<'_>, stream: u32, short: &dyn Fn(&mut Vec<u8>)| {
        let (mut out, mut expected) = (Vec::new(), Vec::new());
        short(&mut out);
        write(&frame, stream, None, &mut expected);
        assert_eq!(out, expected, "{frame:?}");
    };
    check(Frame::Data { data: b"ab", padding: 0, end_stream: true }, 1, &|out| {
        write_data(1, b"ab", true, out)
    });
    for (end_stream, end_headers) in [(false, true), (true, false)] {
        let frame = Frame::Headers { priority: None, fragment: b"ab", end_stream, end_headers };
        check(frame, 3, &|out| write_headers(3, b"ab", end_stream, end_headers, out));
    }
    let pairs = b"\0\x01\0\0\x10\0\0\x04\0\x01\0\0";
    assert_eq!(settings(pairs).collect::<Vec<_>>(), [(1, 4096), (4, 65_536)]);
    check(Frame::Settings { ack: false, pairs }, 0, &|out| write_settings(&[(1, 4096), (4, 65_536)], out));
    check(Frame::Settings { ack: true, pairs: &[] }, 0, &write_settings_ack);
}

#[test]
fn broken_frames_are_refused() {
    let check = |kind: u8, flags: u8, stream: u32, payload: &[u8], expected: ErrorCode| {
        assert_eq!(parse(head(kind, flags, stream, payload), payload), Err(expected), "{kind} {payload:?}");
    };
    let (protocol, size) = (ErrorCode::PROTOCOL_ERROR, ErrorCode::FRAME_SIZE_ERROR);
    check(kind::DATA, 0, 0, b"a", protocol);
    check(kind::DATA, 8, 1, b"\x03ab", protocol);
    check(kind::DATA, 8, 1, b"", size);
    check(kind::HEADERS, 0, 0, b"a", protocol);
    check(kind::HEADERS, 8, 1, b"\x03ab", protocol);
    check(kind::HEADERS, 0x20, 1, b"1234", size);
    check(kind::HEADERS, 0x28, 1, b"\x0112345"[..5].as_ref(), size);
    check(kind::PRIORITY, 0, 0, b"12345", protocol);
    check(kind::PRIORITY, 0, 1, b"123456", size);
    check(kind::RST_STREAM, 0, 0, b"1234", protocol);
    check(kind::RST_STREAM, 0, 1, b"123", size);
    check(kind::SETTINGS, 0, 1, b"123456", protocol);
    check(kind::SETTINGS, 0, 0, b"1234567", size);
    check(kind::SETTINGS, 1, 0, b"123456", size);
    check(kind::PUSH_PROMISE, 0, 0, b"\0\0\0\x02", protocol);
    check(kind::PUSH_PROMISE, 0, 1, b"\0\0\0\x03", protocol);
    check(kind::PUSH_PROMISE, 0, 1, b"\x80\0\0\0", protocol);
    check(kind::PUSH_PROMISE, 0, 1, b"\0\0\x02", size);
    check(kind::PING, 0, 1, b"12345678", protocol);
    check(kind::PING, 0, 0, b"123456789", size);
    check(kind::GOAWAY, 0, 1, b"12345678", protocol);
    check(kind::GOAWAY, 0, 0, b"1234567", size);
    check(kind::WINDOW_UPDATE, 0, 1, b"\x80\0\0\0", protocol);
    check(kind::WINDOW_UPDATE, 0, 1, b"123", size);
    check(kind::CONTINUATION, 4, 0, b"ab", protocol);
    check(kind::DATA, 0, 1, &[0; MAX_FRAME_SIZE as usize + 1], size);
    check(0x7f, 0, 1, &[0; MAX_FRAME_SIZE as usize + 1], size);
    assert_eq!(parse(head(kind::DATA, 0, 1, b"abc"), b"ab"), Err(size));
}

#[test]
fn kinds_of_the_future_are_unknown() {
    for (kind, flags, stream) in [(0x0a, 0xff, 0), (0xff, 0, 1)] {
        assert_eq!(parse(head(kind, flags, stream, b"abc"), b"abc"), Ok(Frame::Unknown));
    }
}

proptest! {
    /// Nothing panics, what is read is written again, and a DATA frame is split the same without its payload.
    #[test]
    fn any_octets_are_read_or_refused(
        kind in 0u8..11,
        flags: u8,
        stream in 0u32..4,
        payload in prop::collection::vec(prop_oneof![0u8..4, any::<u8>()], 0..40),
    ) {
        let head = head(kind, flags, stream, &payload);
        let parsed = parse(head, &payload);
        if kind == kind::DATA {
            let split = data_padding(head, payload.first().copied().unwrap_or(0));
            let whole = parsed.map(|frame| match frame {
                Frame::Data { data, padding, .. } => (data.len(), padding),
                other => panic!("{other:?}"),
            });
            prop_assert_eq!(split.map(|(data, padding)| (data as usize, padding as usize)), whole);
        }
        if let Ok(frame) = parsed && frame != Frame::Unknown {
            let mut out = Vec::new();
            write(&frame, stream, padding_of(head, &payload), &mut out);
            let (written, content) = out.split_first_chunk().unwrap();
            let written = Head::read(written);
            prop_assert_eq!((written.len, written.stream), (head.len, head.stream));
            prop_assert_eq!(parse(written, content), Ok(frame));
        }
    }
}
