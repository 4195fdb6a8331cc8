//! Frames -> octets.
//!
//! No payload is longer than what the peer takes, which is [`MAX_FRAME_SIZE`](super::MAX_FRAME_SIZE) at least: it is
//! the caller who splits data and field blocks.

use super::{ErrorCode, Frame, Head, PRIORITY_LEN, Priority, flag, kind};

/// Appends a DATA frame without padding (RFC 9113 section 6.1).
#[inline]
pub fn write_data(stream: u32, data: &[u8], end_stream: bool, out: &mut Vec<u8>) {
    head(kind::DATA, on(end_stream, flag::END_STREAM), stream, data.len()).write(out);
    out.extend_from_slice(data);
}

/// Appends a HEADERS frame without padding or priority (section 6.2). Where `end_headers` is false CONTINUATION
/// frames follow.
#[inline]
pub fn write_headers(stream: u32, fragment: &[u8], end_stream: bool, end_headers: bool, out: &mut Vec<u8>) {
    let flags = on(end_stream, flag::END_STREAM) | on(end_headers, flag::END_HEADERS);
    head(kind::HEADERS, flags, stream, fragment.len()).write(out);
    out.extend_from_slice(fragment);
}

/// Appends a RST_STREAM frame (section 6.4).
pub fn write_rst_stream(stream: u32, code: ErrorCode, out: &mut Vec<u8>) {
    head(kind::RST_STREAM, 0, stream, 4).write(out);
    out.extend_from_slice(&code.0.to_be_bytes());
}

/// Appends a SETTINGS frame of identifiers and values (section 6.5).
pub fn write_settings(settings: &[(u16, u32)], out: &mut Vec<u8>) {
    head(kind::SETTINGS, 0, 0, settings.len() * 6).write(out);
    for (identifier, value) in settings {
        out.extend_from_slice(&identifier.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// Appends the acknowledgement of the peer's settings (section 6.5.3).
pub fn write_settings_ack(out: &mut Vec<u8>) {
    head(kind::SETTINGS, flag::ACK, 0, 0).write(out);
}

/// Appends a PING frame (section 6.7). An acknowledgement repeats the payload it answers.
pub fn write_ping(ack: bool, payload: [u8; 8], out: &mut Vec<u8>) {
    head(kind::PING, on(ack, flag::ACK), 0, payload.len()).write(out);
    out.extend_from_slice(&payload);
}

/// Appends a GOAWAY frame (section 6.8). `last_stream` is the last of the peer's streams that was acted upon.
pub fn write_goaway(last_stream: u32, code: ErrorCode, debug: &[u8], out: &mut Vec<u8>) {
    head(kind::GOAWAY, 0, 0, 8 + debug.len()).write(out);
    out.extend_from_slice(&last_stream.to_be_bytes());
    out.extend_from_slice(&code.0.to_be_bytes());
    out.extend_from_slice(debug);
}

/// Appends a WINDOW_UPDATE frame (section 6.9). The increment is 1 to 2^31 - 1 octets; stream zero is the
/// connection.
#[inline]
pub fn write_window_update(stream: u32, increment: u32, out: &mut Vec<u8>) {
    head(kind::WINDOW_UPDATE, 0, stream, 4).write(out);
    out.extend_from_slice(&increment.to_be_bytes());
}

/// Appends any frame, and is the inverse of [`parse`](super::parse). `padding` are the octets that pad a DATA,
/// HEADERS or PUSH_PROMISE frame, of which no more than 255 are taken; None leaves it unpadded. An unknown frame has
/// nothing to write.
pub fn write(frame: &Frame<'_>, stream: u32, padding: Option<&[u8]>, out: &mut Vec<u8>) {
    match *frame {
        Frame::Data { data, end_stream, .. } => {
            let flags = on(end_stream, flag::END_STREAM);
            write_padded(kind::DATA, flags, stream, &[data], padding, out);
        }
        Frame::Headers { priority, fragment, end_stream, end_headers } => {
            let flags = on(end_stream, flag::END_STREAM)
                | on(end_headers, flag::END_HEADERS)
                | on(priority.is_some(), flag::PRIORITY);
            let octets = priority.map(priority_octets);
            let before = octets.as_ref().map_or(&[][..], |octets| &octets[..]);
            write_padded(kind::HEADERS, flags, stream, &[before, fragment], padding, out);
        }
        Frame::Priority(priority) => {
            head(kind::PRIORITY, 0, stream, PRIORITY_LEN).write(out);
            out.extend_from_slice(&priority_octets(priority));
        }
        Frame::RstStream(code) => write_rst_stream(stream, code, out),
        Frame::Settings { ack, pairs } => {
            head(kind::SETTINGS, on(ack, flag::ACK), stream, pairs.len()).write(out);
            out.extend_from_slice(pairs);
        }
        Frame::PushPromise { promised, fragment, end_headers } => {
            let flags = on(end_headers, flag::END_HEADERS);
            write_padded(
                kind::PUSH_PROMISE,
                flags,
                stream,
                &[&promised.to_be_bytes(), fragment],
                padding,
                out,
            );
        }
        Frame::Ping { ack, payload } => write_ping(ack, payload, out),
        Frame::Goaway { last_stream, code, debug } => write_goaway(last_stream, code, debug, out),
        Frame::WindowUpdate(increment) => write_window_update(stream, increment, out),
        Frame::Continuation { fragment, end_headers } => {
            let flags = on(end_headers, flag::END_HEADERS);
            write_padded(kind::CONTINUATION, flags, stream, &[fragment], None, out);
        }
        Frame::Unknown => {}
    }
}

/// Appends a frame of a kind that can be padded, its content given in parts.
fn write_padded(
    kind: u8,
    flags: u8,
    stream: u32,
    parts: &[&[u8]],
    padding: Option<&[u8]>,
    out: &mut Vec<u8>,
) {
    let content: usize = parts.iter().map(|part| part.len()).sum();
    let padding = padding.map(|padding| {
        let length = u8::try_from(padding.len()).unwrap_or(u8::MAX);
        (length, &padding[..usize::from(length)])
    });
    let added = padding.map_or(0, |(length, _)| 1 + usize::from(length));
    head(kind, flags | on(padding.is_some(), flag::PADDED), stream, content + added).write(out);
    out.extend(padding.map(|(length, _)| length));
    for part in parts {
        out.extend_from_slice(part);
    }
    out.extend_from_slice(padding.map_or(&[], |(_, octets)| octets));
}

fn priority_octets(priority: Priority) -> [u8; PRIORITY_LEN] {
    let exclusive = u32::from(priority.exclusive) << 31;
    let [a, b, c, d] = (priority.dependency | exclusive).to_be_bytes();
    [a, b, c, d, priority.weight]
}

/// The head of a frame whose payload has so many octets.
#[inline]
fn head(kind: u8, flags: u8, stream: u32, octets: usize) -> Head {
    debug_assert!(octets < 1 << 24, "the caller splits what is too long for a frame");
    Head { len: u32::try_from(octets).unwrap_or(u32::MAX), kind, flags, stream }
}

#[inline]
const fn on(is_set: bool, flag: u8) -> u8 {
    if is_set { flag } else { 0 }
}
