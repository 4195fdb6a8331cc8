//! HTTP/2 frames and header blocks written by hand, well-formed or not (RFC 9113 section 4, RFC 7541 section 6).
//!
//! Header blocks know literals without Huffman coding and indexed fields; a hostile server needs no more.

pub(super) const DATA: u8 = 0x0;
pub(super) const HEADERS: u8 = 0x1;
pub(super) const PRIORITY: u8 = 0x2;
pub(super) const RST_STREAM: u8 = 0x3;
pub(super) const SETTINGS: u8 = 0x4;
pub(super) const PUSH_PROMISE: u8 = 0x5;
pub(super) const PING: u8 = 0x6;
pub(super) const GOAWAY: u8 = 0x7;
pub(super) const WINDOW_UPDATE: u8 = 0x8;
pub(super) const CONTINUATION: u8 = 0x9;
/// No RFC gives it a meaning; receivers ignore it (RFC 9113 section 5.5).
pub(super) const UNKNOWN: u8 = 0xee;

pub(super) const END_STREAM: u8 = 0x1;
pub(super) const ACK: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;

/// What a client sends first (RFC 9113 section 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(super) const HEAD_LENGTH: usize = 9;
/// The largest payload that a receiver takes unless it says more (RFC 9113 section 4.2).
pub(super) const PAYLOAD_MAX: usize = 16_384;

/// `:status 200` of the static table.
pub(super) const OK: &[u8] = b"\x88";

/// The head of a frame.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Head {
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl Head {
    /// `None` unless there are nine bytes. The reserved bit is ignored.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let [a, b, c, kind, flags, stream @ ..] = bytes else { return None };
        let stream = u32::from_be_bytes(stream.try_into().ok()?) & 0x7fff_ffff;
        let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        Some(Self { length, kind: *kind, flags: *flags, stream })
    }

    /// Does the head of a request end with this frame?
    pub(super) fn ends_request_head(&self) -> bool {
        matches!(self.kind, HEADERS | CONTINUATION) && self.flags & END_HEADERS != 0
    }
}

/// A frame whose head announces the payload it has.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = announced(kind, flags, stream, payload.len());
    bytes.extend_from_slice(payload);
    bytes
}

/// A head that announces a payload of this length, of which only the low 24 bits fit.
pub(super) fn announced(kind: u8, flags: u8, stream: u32, length: usize) -> Vec<u8> {
    let [.., a, b, c] = length.to_be_bytes();
    let [d, e, f, g] = stream.to_be_bytes();
    vec![a, b, c, kind, flags, d, e, f, g]
}

pub(super) fn headers(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    frame(HEADERS, flags, stream, block)
}

/// A whole answer: 200 and this body, which must fit a frame.
pub(super) fn answer(stream: u32, fields: &[u8], body: &[u8]) -> Vec<u8> {
    let head = headers(stream, END_HEADERS, &[OK, fields].concat());
    [head, frame(DATA, END_STREAM, stream, body)].concat()
}

/// SETTINGS with these pairs of identifier and value.
pub(super) fn settings(pairs: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> = pairs
        .iter()
        .flat_map(|(identifier, value)| {
            identifier.to_be_bytes().into_iter().chain(value.to_be_bytes()).collect::<Vec<_>>()
        })
        .collect();
    frame(SETTINGS, 0, 0, &payload)
}

pub(super) fn settings_ack() -> Vec<u8> {
    frame(SETTINGS, ACK, 0, &[])
}

pub(super) fn window_update(stream: u32, increment: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

pub(super) fn rst_stream(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.to_be_bytes())
}

pub(super) fn goaway(last_stream: u32, code: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last_stream.to_be_bytes(), code.to_be_bytes()].concat())
}

/// A field with its name written out, not added to the table.
pub(super) fn literal(name: &str, value: &[u8]) -> Vec<u8> {
    [&[0x00], string(name.as_bytes()).as_slice(), string(value).as_slice()].concat()
}

/// The same, added to the table: the next field can name it by an index.
pub(super) fn literal_to_table(name: &str, value: &[u8]) -> Vec<u8> {
    [&[0x40], string(name.as_bytes()).as_slice(), string(value).as_slice()].concat()
}

/// `:status` with any three digits.
pub(super) fn status(digits: &str) -> Vec<u8> {
    [&[0x08], string(digits.as_bytes()).as_slice()].concat()
}

fn string(bytes: &[u8]) -> Vec<u8> {
    let mut coded = length(bytes.len());
    coded.extend_from_slice(bytes);
    coded
}

/// An integer with a prefix of seven bits (RFC 7541 section 5.1).
fn length(mut value: usize) -> Vec<u8> {
    const PREFIX_MAX: usize = 0x7f;
    if value < PREFIX_MAX {
        return vec![low_bits(value, 0x7f)];
    }
    let mut coded = vec![0x7f];
    value -= PREFIX_MAX;
    while value >= 0x80 {
        coded.push(low_bits(value, 0x7f) | 0x80);
        value >>= 7;
    }
    coded.push(low_bits(value, 0x7f));
    coded
}

fn low_bits(value: usize, mask: u8) -> u8 {
    value.to_le_bytes()[0] & mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_as_they_are_written() {
        let bytes = frame(PING, ACK, 0x7fff_ffff, &[0; 300]);
        let head = Head::read(&bytes[..HEAD_LENGTH]);
        assert_eq!(head, Some(Head { length: 300, kind: PING, flags: ACK, stream: 0x7fff_ffff }));
        assert_eq!((Head::read(&bytes[..8]), Head::read(&bytes)), (None, None));
    }

    /// The examples of RFC 7541, appendix C.1.2 (with a prefix of seven bits) and C.2.2.
    #[test]
    fn integers_and_literals() {
        assert_eq!(length(10), [10]);
        assert_eq!(length(0x7f), [0x7f, 0]);
        assert_eq!(length(1337), [0x7f, 0xba, 0x09]);
        assert_eq!(literal("ab", b"c"), b"\x00\x02ab\x01c");
        assert_eq!(literal_to_table("ab", b"c"), b"\x40\x02ab\x01c");
        assert_eq!(status("103"), b"\x08\x03103");
    }

    #[test]
    fn payloads_of_control_frames() {
        assert_eq!(settings(&[(4, 0)])[HEAD_LENGTH..], [0, 4, 0, 0, 0, 0]);
        assert_eq!(goaway(1, 2)[HEAD_LENGTH..], [0, 0, 0, 1, 0, 0, 0, 2]);
        assert_eq!(window_update(3, 1), [0, 0, 4, WINDOW_UPDATE, 0, 0, 0, 0, 3, 0, 0, 0, 1]);
        assert_eq!(rst_stream(3, 7), [0, 0, 4, RST_STREAM, 0, 0, 0, 0, 3, 0, 0, 0, 7]);
    }
}
