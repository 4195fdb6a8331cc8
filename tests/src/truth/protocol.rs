//! The little of HTTP that an origin of equal answers needs: bytes in, requests and replies out.
//!
//! HTTP/2 (RFC 9113) is told by its preface. Header blocks of requests are not decoded: all requests are answered alike,
//! and no answer refers to the compression state. Windows are not counted, so a client must open its own as wide as the
//! answers under way.

use std::io;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEAD_BYTES_MAX: usize = 64 << 10;
/// The largest frame of a peer that was allowed no more (RFC 9113, section 6.5.2); ours keep to it too.
const FRAME_BYTES_MAX: usize = 16_384;
const FRAME_HEAD_BYTES: usize = 9;
/// Also what the client is told in SETTINGS.
pub(super) const STREAMS_MAX: u8 = 255;
const MAX_CONCURRENT_STREAMS: u8 = 3;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// Which request of a connection: its stream, or 0 over HTTP/1.1, where answers go by order.
pub(super) type Request = u32;

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Version {
    One,
    Two,
}

/// One connection's end of the protocol.
#[derive(Default, Debug)]
pub(super) struct Protocol {
    version: Option<Version>,
    unread: Vec<u8>,
    /// So many of them were looked through for the end of a head, so that none is looked at for each byte that comes.
    searched: usize,
}

impl Protocol {
    /// Takes what arrived; adds whole requests to `requests` and what is to be sent at once to `replies`.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        requests: &mut Vec<Request>,
        replies: &mut Vec<u8>,
    ) -> io::Result<()> {
        self.unread.extend_from_slice(bytes);
        if self.version.is_none() {
            self.find_version(replies);
        }
        match self.version {
            None => Ok(()),
            Some(Version::One) => self.feed_one(requests),
            Some(Version::Two) => self.feed_two(requests, replies),
        }
    }

    /// Writes the answer to a request.
    pub(super) fn answer(&self, request: Request, body: &[u8], out: &mut Vec<u8>) {
        let length = body.len().to_string();
        if self.version == Some(Version::One) {
            out.extend_from_slice(b"HTTP/1.1 200 OK\r\nContent-Length: ");
            out.extend_from_slice(length.as_bytes());
            out.extend_from_slice(b"\r\n\r\n");
            out.extend_from_slice(body);
            return;
        }
        // RFC 7541: `:status: 200` is entry 8 of the static table, `content-length` the name of entry 28; a literal
        // without indexing leaves the dynamic table alone.
        let mut block = vec![0x88, 0x0f, 28 - 15];
        block.extend(u8::try_from(length.len()));
        block.extend_from_slice(length.as_bytes());
        let end = if body.is_empty() { END_STREAM } else { 0 };
        frame(HEADERS, END_HEADERS | end, request, &block, out);
        let mut pieces = body.chunks(FRAME_BYTES_MAX).peekable();
        while let Some(piece) = pieces.next() {
            let end = if pieces.peek().is_none() { END_STREAM } else { 0 };
            frame(DATA, end, request, piece, out);
        }
    }

    fn find_version(&mut self, replies: &mut Vec<u8>) {
        if self.unread.starts_with(PREFACE) {
            self.version = Some(Version::Two);
            self.unread.drain(..PREFACE.len());
            let settings = [0, MAX_CONCURRENT_STREAMS, 0, 0, 0, STREAMS_MAX];
            frame(SETTINGS, 0, 0, &settings, replies);
        } else if !PREFACE.starts_with(&self.unread) {
            self.version = Some(Version::One);
        }
    }

    fn feed_one(&mut self, requests: &mut Vec<Request>) -> io::Result<()> {
        while let Some(at) = self.end_of_head() {
            let head = self.unread[..at].to_ascii_lowercase();
            let announces = |name: &[u8]| head.windows(name.len()).any(|words| words == name);
            if announces(b"\r\ncontent-length:") || announces(b"\r\ntransfer-encoding:") {
                return Err(broken("a request with content, which this origin does not read"));
            }
            self.unread.drain(..at + 4);
            requests.push(0);
        }
        if self.unread.len() > HEAD_BYTES_MAX {
            return Err(broken("a head that does not end"));
        }
        Ok(())
    }

    fn end_of_head(&mut self) -> Option<usize> {
        // The end may have begun in what was looked through.
        let from = self.searched.saturating_sub(3);
        let found = self.unread[from..].windows(4).position(|four| four == b"\r\n\r\n");
        self.searched = if found.is_some() { 0 } else { self.unread.len() };
        found.map(|at| from + at)
    }

    fn feed_two(&mut self, requests: &mut Vec<Request>, replies: &mut Vec<u8>) -> io::Result<()> {
        while let Some((head, rest)) = self.unread.split_first_chunk::<FRAME_HEAD_BYTES>() {
            let [high, mid, low, kind, flags, stream @ ..] = *head;
            let length = usize::from(high) << 16 | usize::from(mid) << 8 | usize::from(low);
            if length > FRAME_BYTES_MAX {
                return Err(broken("a frame that is too long"));
            }
            let Some(payload) = rest.get(..length) else { break };
            let has = |flag: u8| flags & flag != 0;
            let stream = u32::from_be_bytes(stream) & !(1 << 31);
            match kind {
                HEADERS if !has(END_STREAM) => return Err(broken("a request with content")),
                HEADERS | CONTINUATION if has(END_HEADERS) => requests.push(stream),
                SETTINGS if !has(ACK) => frame(SETTINGS, ACK, 0, &[], replies),
                PING if !has(ACK) => frame(PING, ACK, 0, payload, replies),
                DATA | PUSH_PROMISE => return Err(broken("a frame that no request here needs")),
                _ => {}
            }
            self.unread.drain(..FRAME_HEAD_BYTES + length);
        }
        Ok(())
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8], out: &mut Vec<u8>) {
    // Payloads are at most 16 KiB, so the upper byte of their length is 0.
    let length = u16::try_from(payload.len()).unwrap_or(u16::MAX).to_be_bytes();
    out.extend_from_slice(&[0, length[0], length[1], kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the client sent {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    fn framed(frames: &[(u8, u8, u32, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (kind, flags, stream, payload) in frames {
            frame(*kind, *flags, *stream, payload, &mut out);
        }
        out
    }

    fn two(frames: &[(u8, u8, u32, &[u8])]) -> Vec<u8> {
        [PREFACE, &framed(frames)].concat()
    }

    /// At once and byte by byte it must come to the same.
    fn check(bytes: &[u8], expected: Option<(&[Request], &[u8])>) {
        for size in [bytes.len().max(1), 1] {
            let (mut protocol, mut requests, mut replies) = (Protocol::default(), Vec::new(), Vec::new());
            let fed = bytes.chunks(size).try_for_each(|b| protocol.feed(b, &mut requests, &mut replies));
            let got = fed.is_ok().then_some((&requests[..], &replies[..]));
            assert_eq!(got, expected, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn requests_are_found() {
        let own = framed(&[(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, STREAMS_MAX])]);
        let and = |frames: &[_]| [&own[..], &framed(frames)].concat();
        let content = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n";
        check(b"", Some((&[], b"")));
        check(&GET[..20], Some((&[], b"")));
        check(&GET.repeat(3), Some((&[0, 0, 0], b"")));
        check(content, None);
        check(&vec![b'a'; HEAD_BYTES_MAX + 1], None);
        check(&two(&[]), Some((&[], &own)));
        check(
            &two(&[(SETTINGS, 0, 0, &[]), (8, 0, 0, &[0, 0, 1, 0])]),
            Some((&[], &and(&[(4, ACK, 0, &[])]))),
        );
        check(&two(&[(PING, 0, 0, b"12345678")]), Some((&[], &and(&[(PING, ACK, 0, b"12345678")]))));
        check(&two(&[(PING, ACK, 0, b"12345678"), (SETTINGS, ACK, 0, &[])]), Some((&[], &own)));
        check(&two(&[(HEADERS, 5, 1, b"\x82"), (HEADERS, 5, 3, b"\x82")]), Some((&[1, 3], &own)));
        check(&two(&[(HEADERS, 1, 1, b"\x82"), (CONTINUATION, 4, 1, b"\x84")]), Some((&[1], &own)));
        check(&two(&[(HEADERS, END_HEADERS, 1, b"\x82")]), None);
        check(&[PREFACE, &[1, 0, 0, HEADERS, 5, 0, 0, 0, 1]].concat(), None);
    }

    #[test]
    fn answers_are_whole_and_in_frames_of_16_kib() {
        let headers = |end, length: &[u8]| {
            let digits = u8::try_from(length.len()).unwrap();
            framed(&[(HEADERS, END_HEADERS | end, 5, &[&[0x88, 0x0f, 0x0d, digits], length].concat())])
        };
        let body = vec![b'x'; FRAME_BYTES_MAX + 1];
        let long = framed(&[(DATA, 0, 5, &body[1..]), (DATA, END_STREAM, 5, b"x")]);
        let cases = [
            (Version::One, &b"ab"[..], b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab".to_vec()),
            (Version::Two, b"", headers(END_STREAM, b"0")),
            (Version::Two, b"ab", [headers(0, b"2"), framed(&[(DATA, END_STREAM, 5, b"ab")])].concat()),
            (Version::Two, &body, [headers(0, b"16385"), long].concat()),
        ];
        for (version, body, expected) in cases {
            let protocol = Protocol { version: Some(version), ..Protocol::default() };
            let mut out = Vec::new();
            protocol.answer(5, body, &mut out);
            assert_eq!(out, expected, "{version:?} {}", body.len());
        }
    }
}
