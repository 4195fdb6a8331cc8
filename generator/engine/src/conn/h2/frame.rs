//! HTTP/2 frames (RFC 9113 sections 4 and 6): [`parse`] reads them, [`write`](fn@write) and its kin write them.
//!
//! What a frame says by itself is judged here: its size, its stream, its padding. What it means on its connection,
//! as the order of frames or whether a stream is open, is the caller's to judge.

mod write;

pub use write::{
    write, write_data, write_goaway, write_headers, write_ping, write_rst_stream, write_settings,
    write_settings_ack, write_window_update,
};

/// The octets before each payload (section 4.1).
pub const HEAD_LEN: usize = 9;

/// The longest payload that we take. It is the protocol's default, which we never raise: longer frames only delay
/// each other on a connection.
pub const MAX_FRAME_SIZE: u32 = 16_384;

/// The octets of a priority (section 6.3).
const PRIORITY_LEN: usize = 5;

/// Without the reserved bit of stream identifiers, promised streams and window increments.
const BITS_31: u32 = 0x7fff_ffff;

/// What stands before each payload (section 4.1).
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Head {
    /// Octets of payload, of which the wire holds 24 bits.
    pub len: u32,
    /// One of [`kind`], or one that is not known.
    pub kind: u8,
    /// Of [`flag`]; what they mean depends on the kind.
    pub flags: u8,
    /// Zero for the connection itself; 31 bits.
    pub stream: u32,
}

impl Head {
    #[inline]
    #[must_use]
    pub const fn read(bytes: &[u8; HEAD_LEN]) -> Self {
        let [a, b, c, kind, flags, d, e, f, g] = *bytes;
        let stream = u32::from_be_bytes([d, e, f, g]) & BITS_31;
        Self { len: u32::from_be_bytes([0, a, b, c]), kind, flags, stream }
    }

    #[inline]
    pub fn write(&self, out: &mut Vec<u8>) {
        let [_, a, b, c] = self.len.to_be_bytes();
        let [d, e, f, g] = (self.stream & BITS_31).to_be_bytes();
        out.extend_from_slice(&[a, b, c, self.kind, self.flags, d, e, f, g]);
    }

    #[inline]
    #[must_use]
    pub const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Kinds of frames (section 6).
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// Flags of frames. Some share a bit, as they belong to different kinds.
pub mod flag {
    /// Of DATA and HEADERS.
    pub const END_STREAM: u8 = 0x01;
    /// Of SETTINGS and PING.
    pub const ACK: u8 = 0x01;
    /// Of HEADERS, PUSH_PROMISE and CONTINUATION.
    pub const END_HEADERS: u8 = 0x04;
    /// Of DATA, HEADERS and PUSH_PROMISE.
    pub const PADDED: u8 = 0x08;
    /// Of HEADERS.
    pub const PRIORITY: u8 = 0x20;
}

/// Why a stream or connection ends (section 7). Peers may send codes that are not named here.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct ErrorCode(pub u32);

impl ErrorCode {
    pub const NO_ERROR: Self = Self(0x0);
    pub const PROTOCOL_ERROR: Self = Self(0x1);
    pub const INTERNAL_ERROR: Self = Self(0x2);
    pub const FLOW_CONTROL_ERROR: Self = Self(0x3);
    pub const SETTINGS_TIMEOUT: Self = Self(0x4);
    pub const STREAM_CLOSED: Self = Self(0x5);
    pub const FRAME_SIZE_ERROR: Self = Self(0x6);
    pub const REFUSED_STREAM: Self = Self(0x7);
    pub const CANCEL: Self = Self(0x8);
    pub const COMPRESSION_ERROR: Self = Self(0x9);
    pub const CONNECT_ERROR: Self = Self(0xa);
    pub const ENHANCE_YOUR_CALM: Self = Self(0xb);
    pub const INADEQUATE_SECURITY: Self = Self(0xc);
    pub const HTTP_1_1_REQUIRED: Self = Self(0xd);
}

/// Where a stream stands among others (section 6.3). Deprecated, and of no effect here.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Priority {
    pub exclusive: bool,
    /// The stream this one depends on.
    pub dependency: u32,
    /// As on the wire: one less than the weight, which is 1 to 256.
    pub weight: u8,
}

/// A frame without its head. Padding has been cut off.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Frame<'a> {
    /// `padding` are the octets after the data. Flow control counts the whole payload, so `Head::len`.
    Data {
        data: &'a [u8],
        padding: usize,
        end_stream: bool,
    },
    Headers {
        priority: Option<Priority>,
        fragment: &'a [u8],
        end_stream: bool,
        end_headers: bool,
    },
    Priority(Priority),
    RstStream(ErrorCode),
    /// `pairs` are read by [`settings`].
    Settings {
        ack: bool,
        pairs: &'a [u8],
    },
    PushPromise {
        promised: u32,
        fragment: &'a [u8],
        end_headers: bool,
    },
    Ping {
        ack: bool,
        payload: [u8; 8],
    },
    Goaway {
        last_stream: u32,
        code: ErrorCode,
        debug: &'a [u8],
    },
    /// The increment, never zero.
    WindowUpdate(u32),
    Continuation {
        fragment: &'a [u8],
        end_headers: bool,
    },
    /// To be ignored (section 4.1).
    Unknown,
}

/// Reads a frame whose payload is there as a whole: `payload` has `head.len` octets.
///
/// # Errors
/// `FRAME_SIZE_ERROR` where the payload is longer than [`MAX_FRAME_SIZE`], or its length is not one that its kind
/// has or that `head` says. `PROTOCOL_ERROR` for a stream that the kind cannot have, padding that is longer than the
/// payload, a promised stream that no server could open, or a window increment of zero. Whether it is an error of
/// the stream or of the connection depends on the kind; most are of the connection.
#[inline]
pub fn parse(head: Head, payload: &[u8]) -> Result<Frame<'_>, ErrorCode> {
    if head.len > MAX_FRAME_SIZE || payload.len() != head.len as usize {
        return Err(ErrorCode::FRAME_SIZE_ERROR);
    }
    check_stream(head)?;
    match head.kind {
        kind::DATA => data(head, payload),
        kind::HEADERS => headers(head, payload),
        kind::PRIORITY => Ok(Frame::Priority(priority(exactly(payload)?))),
        kind::RST_STREAM => Ok(Frame::RstStream(ErrorCode(u32::from_be_bytes(*exactly(payload)?)))),
        kind::SETTINGS => settings_frame(head, payload),
        kind::PUSH_PROMISE => push_promise(head, payload),
        kind::PING => Ok(Frame::Ping { ack: head.has(flag::ACK), payload: *exactly(payload)? }),
        kind::GOAWAY => goaway(payload),
        kind::WINDOW_UPDATE => window_update(payload),
        kind::CONTINUATION => {
            Ok(Frame::Continuation { fragment: payload, end_headers: head.has(flag::END_HEADERS) })
        }
        _ => Ok(Frame::Unknown),
    }
}

/// Splits the payload of a DATA frame of which no more than the first octet is there yet: how many octets of data
/// and then of padding it has. The length octet of padding is in neither; where the frame is not padded there is
/// none, and `first_payload_octet` is not looked at.
///
/// # Errors
/// As [`parse`], for the same frame.
#[inline]
pub fn data_padding(head: Head, first_payload_octet: u8) -> Result<(u32, u32), ErrorCode> {
    if head.len > MAX_FRAME_SIZE {
        return Err(ErrorCode::FRAME_SIZE_ERROR);
    }
    check_stream(head)?;
    if !head.has(flag::PADDED) {
        return Ok((head.len, 0));
    }
    let padding = u32::from(first_payload_octet);
    let rest = head.len.checked_sub(1).ok_or(ErrorCode::FRAME_SIZE_ERROR)?;
    let data = rest.checked_sub(padding).ok_or(ErrorCode::PROTOCOL_ERROR)?;
    Ok((data, padding))
}

/// The settings in the payload of a SETTINGS frame, as identifier and value (section 6.5.1). What is left of a
/// payload that is no whole number of them is left out; [`parse`] refuses it.
pub fn settings(pairs: &[u8]) -> impl Iterator<Item = (u16, u32)> {
    let (pairs, _) = pairs.as_chunks::<6>();
    pairs.iter().map(|&[a, b, c, d, e, f]| (u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, e, f])))
}

/// Some kinds belong to a stream, some to the connection, and WINDOW_UPDATE to either.
#[inline]
const fn check_stream(head: Head) -> Result<(), ErrorCode> {
    let is_valid = match head.kind {
        kind::SETTINGS | kind::PING | kind::GOAWAY => head.stream == 0,
        kind::DATA
        | kind::HEADERS
        | kind::PRIORITY
        | kind::RST_STREAM
        | kind::PUSH_PROMISE
        | kind::CONTINUATION => head.stream != 0,
        _ => true,
    };
    if is_valid { Ok(()) } else { Err(ErrorCode::PROTOCOL_ERROR) }
}

#[inline]
fn data(head: Head, payload: &[u8]) -> Result<Frame<'_>, ErrorCode> {
    let (data, padding) = without_padding(head, payload)?;
    Ok(Frame::Data { data, padding, end_stream: head.has(flag::END_STREAM) })
}

#[inline]
fn headers(head: Head, payload: &[u8]) -> Result<Frame<'_>, ErrorCode> {
    let (content, _) = without_padding(head, payload)?;
    let (priority, fragment) = if head.has(flag::PRIORITY) {
        let (octets, fragment) = begin(content)?;
        (Some(priority(octets)), fragment)
    } else {
        (None, content)
    };
    let (end_stream, end_headers) = (head.has(flag::END_STREAM), head.has(flag::END_HEADERS));
    Ok(Frame::Headers { priority, fragment, end_stream, end_headers })
}

fn priority(octets: &[u8; PRIORITY_LEN]) -> Priority {
    let [a, b, c, d, weight] = *octets;
    let word = u32::from_be_bytes([a, b, c, d]);
    Priority { exclusive: word > BITS_31, dependency: word & BITS_31, weight }
}

/// An acknowledgement is empty, and otherwise there is a whole number of settings (section 6.5).
fn settings_frame(head: Head, payload: &[u8]) -> Result<Frame<'_>, ErrorCode> {
    let ack = head.has(flag::ACK);
    let is_valid = if ack { payload.is_empty() } else { payload.len().is_multiple_of(6) };
    if is_valid { Ok(Frame::Settings { ack, pairs: payload }) } else { Err(ErrorCode::FRAME_SIZE_ERROR) }
}

/// Servers open streams of even numbers (section 5.1.1).
fn push_promise(head: Head, payload: &[u8]) -> Result<Frame<'_>, ErrorCode> {
    let (content, _) = without_padding(head, payload)?;
    let (octets, fragment) = begin(content)?;
    let promised = u32::from_be_bytes(*octets) & BITS_31;
    if promised == 0 || !promised.is_multiple_of(2) {
        return Err(ErrorCode::PROTOCOL_ERROR);
    }
    Ok(Frame::PushPromise { promised, fragment, end_headers: head.has(flag::END_HEADERS) })
}

fn goaway(payload: &[u8]) -> Result<Frame<'_>, ErrorCode> {
    let (last, rest) = begin(payload)?;
    let (code, debug) = begin(rest)?;
    let last_stream = u32::from_be_bytes(*last) & BITS_31;
    Ok(Frame::Goaway { last_stream, code: ErrorCode(u32::from_be_bytes(*code)), debug })
}

#[inline]
fn window_update(payload: &[u8]) -> Result<Frame<'_>, ErrorCode> {
    match u32::from_be_bytes(*exactly(payload)?) & BITS_31 {
        0 => Err(ErrorCode::PROTOCOL_ERROR),
        increment => Ok(Frame::WindowUpdate(increment)),
    }
}

/// The payload without its padding, and how many octets that had beside the one that gives its length.
#[inline]
fn without_padding(head: Head, payload: &[u8]) -> Result<(&[u8], usize), ErrorCode> {
    if !head.has(flag::PADDED) {
        return Ok((payload, 0));
    }
    let (&padding, content) = payload.split_first().ok_or(ErrorCode::FRAME_SIZE_ERROR)?;
    let padding = usize::from(padding);
    let length = content.len().checked_sub(padding).ok_or(ErrorCode::PROTOCOL_ERROR)?;
    Ok((&content[..length], padding))
}

fn begin<const N: usize>(payload: &[u8]) -> Result<(&[u8; N], &[u8]), ErrorCode> {
    payload.split_first_chunk().ok_or(ErrorCode::FRAME_SIZE_ERROR)
}

fn exactly<const N: usize>(payload: &[u8]) -> Result<&[u8; N], ErrorCode> {
    payload.try_into().map_err(|_| ErrorCode::FRAME_SIZE_ERROR)
}

#[cfg(test)]
mod tests;
