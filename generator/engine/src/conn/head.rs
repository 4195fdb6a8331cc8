//! The head of an HTTP/1.1 response: status line and header fields (RFC 9112 sections 2 to 6).

use std::mem::MaybeUninit;
use std::ops::Range;

use brunt_model::outcome::ErrorKind;

use super::decode::Coding;
use crate::limits::{CACHED_HEAD_MAX, HEAD_BYTES_MAX, HEAD_FIELDS_MAX};

/// How the end of the body is found (RFC 9112 section 6.3).
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Framing {
    /// There is no body.
    None,
    Length(u64),
    Chunked,
    /// The body ends with the connection.
    UntilClose,
}

/// What a head says about the message and the connection.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Head {
    pub status: u16,
    /// Bytes of the head, the empty line included.
    pub len: usize,
    pub framing: Framing,
    /// The connection may be used again after this message.
    pub keep_alive: bool,
    /// The coding of the content, where it is one that can be decoded.
    pub coding: Coding,
    /// Where the value of `Location` lies: offset and length.
    pub location: Option<(u32, u32)>,
}

/// Reads a head. `Ok(None)`: it is not complete yet.
///
/// # Errors
/// `Protocol` where it is not valid HTTP or its framing is ambiguous, `HeaderLimit` where it is too large.
pub fn parse(bytes: &[u8], to_head_request: bool) -> Result<Option<Head>, ErrorKind> {
    let mut fields = [const { MaybeUninit::uninit() }; HEAD_FIELDS_MAX];
    let mut response = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let len = match config.parse_response_with_uninit_headers(&mut response, bytes, &mut fields) {
        Ok(httparse::Status::Complete(len)) if len <= HEAD_BYTES_MAX => len,
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(ErrorKind::HeaderLimit),
        Err(_) => return Err(ErrorKind::Protocol),
    };
    let (status, minor) = (response.code.unwrap_or(0), response.version.unwrap_or(0));
    if status < 100 {
        return Err(ErrorKind::Protocol);
    }
    let fields = Fields::read(response.headers)?;
    let framing = framing(status, to_head_request, &fields)?;
    // A coding of the transfer in an answer of HTTP/1.0 is suspect (RFC 9112 section 6.1).
    let persistent = if minor == 0 { fields.keep_alive && !fields.transfer_encoding } else { !fields.close };
    Ok(Some(Head {
        status,
        len,
        framing,
        keep_alive: persistent && framing != Framing::UntilClose,
        coding: fields.coding,
        location: fields.location.and_then(|value| place_of(value, bytes)),
    }))
}

/// Offset and length of a part of `whole`.
fn place_of(part: &[u8], whole: &[u8]) -> Option<(u32, u32)> {
    let offset = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    Some((u32::try_from(offset).ok()?, u32::try_from(part.len()).ok()?))
}

/// The fields that decide about framing and the connection.
#[derive(Default)]
struct Fields<'a> {
    length: Option<u64>,
    coding: Coding,
    location: Option<&'a [u8]>,
    transfer_encoding: bool,
    chunked_last: bool,
    close: bool,
    keep_alive: bool,
}

impl<'a> Fields<'a> {
    fn read(headers: &[httparse::Header<'a>]) -> Result<Self, ErrorKind> {
        let mut fields = Self::default();
        for header in headers {
            match header.name.len() {
                14 if header.name.eq_ignore_ascii_case("content-length") => {
                    fields.content_length(header.value)?
                }
                17 if header.name.eq_ignore_ascii_case("transfer-encoding") => fields.encoding(header.value),
                10 if header.name.eq_ignore_ascii_case("connection") => fields.connection(header.value),
                16 if header.name.eq_ignore_ascii_case("content-encoding") => {
                    fields.coding = Coding::of(header.value).unwrap_or_default();
                }
                8 if header.name.eq_ignore_ascii_case("location") => fields.location = Some(header.value),
                _ => {}
            }
        }
        Ok(fields)
    }

    /// Digits only; repeated values must agree (RFC 9112 section 6.3, item 5).
    fn content_length(&mut self, value: &[u8]) -> Result<(), ErrorKind> {
        for part in value.split(|&byte| byte == b',') {
            let digits = part.trim_ascii();
            let number =
                std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
            let length = number.and_then(|text| text.parse::<u64>().ok()).ok_or(ErrorKind::Protocol)?;
            if self.length.is_some_and(|before| before != length) {
                return Err(ErrorKind::Protocol);
            }
            self.length = Some(length);
        }
        Ok(())
    }

    fn encoding(&mut self, value: &[u8]) {
        self.transfer_encoding = true;
        let last = value.rsplit(|&byte| byte == b',').next().unwrap_or_default();
        self.chunked_last = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
    }

    fn connection(&mut self, value: &[u8]) {
        for option in value.split(|&byte| byte == b',') {
            let option = option.trim_ascii();
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }
}

fn framing(status: u16, to_head_request: bool, fields: &Fields<'_>) -> Result<Framing, ErrorKind> {
    // A message with both may be an attempt at smuggling: refuse it (RFC 9112 section 6.3, item 3).
    if fields.transfer_encoding && fields.length.is_some() {
        return Err(ErrorKind::Protocol);
    }
    if to_head_request || matches!(status, 100..200 | 204 | 304) {
        return Ok(Framing::None);
    }
    Ok(match (fields.transfer_encoding, fields.chunked_last, fields.length) {
        (true, true, _) => Framing::Chunked,
        (true, false, _) => Framing::UntilClose,
        (false, _, Some(0)) => Framing::None,
        (false, _, Some(length)) => Framing::Length(length),
        (false, _, None) => Framing::UntilClose,
    })
}

/// The last head of an origin. Most answers repeat it to the byte but for the value of `Date`, so a comparison
/// finds in a few nanoseconds what parsing finds in eighty. Anything else is parsed in full.
#[derive(Debug)]
pub struct HeadCache {
    bytes: Vec<u8>,
    date: Range<usize>,
    head: Head,
}

impl Default for HeadCache {
    fn default() -> Self {
        let head = Head {
            status: 0,
            len: 0,
            framing: Framing::None,
            keep_alive: false,
            coding: Coding::Identity,
            location: None,
        };
        Self { bytes: Vec::with_capacity(CACHED_HEAD_MAX), date: 0..0, head }
    }
}

impl HeadCache {
    /// The remembered head, if `bytes` begin with it.
    #[inline]
    pub fn find(&mut self, bytes: &[u8]) -> Option<Head> {
        let len = self.bytes.len();
        if len == 0 || bytes.len() < len {
            return None;
        }
        let Range { start, end } = self.date;
        if bytes[..start] != self.bytes[..start] || bytes[end..len] != self.bytes[end..] {
            return None;
        }
        if bytes[start..end] != self.bytes[start..end] {
            // Another second. A line break in the value would be another head altogether.
            if !bytes[start..end].iter().all(|byte| (0x20..0x7f).contains(byte)) {
                return None;
            }
            self.bytes[start..end].copy_from_slice(&bytes[start..end]);
        }
        Some(self.head)
    }

    /// Remembers a head that was parsed.
    pub fn keep(&mut self, bytes: &[u8], head: Head) {
        if head.len > CACHED_HEAD_MAX || head.status < 200 {
            return;
        }
        self.bytes.clear();
        self.bytes.extend_from_slice(&bytes[..head.len]);
        self.date = date_value(&self.bytes).unwrap_or(0..0);
        self.head = head;
    }
}

/// Where the value of the first `Date` field lies.
fn date_value(head: &[u8]) -> Option<Range<usize>> {
    let mut start = 0;
    for line in head.split_inclusive(|&byte| byte == b'\n') {
        if line.len() > 7 && line[..5].eq_ignore_ascii_case(b"date:") && line.ends_with(b"\r\n") {
            return Some(start + 6..start + line.len() - 2);
        }
        start += line.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(head: &str, want: Result<Option<(u16, Framing, bool)>, ErrorKind>) {
        let bytes = head.replace('\n', "\r\n").into_bytes();
        let got =
            parse(&bytes, false).map(|head| head.map(|head| (head.status, head.framing, head.keep_alive)));
        assert_eq!(got, want, "{head}");
    }

    #[test]
    fn framing_follows_rfc_9112() {
        use Framing::{Chunked, Length, None as NoBody, UntilClose};
        check("HTTP/1.1 200 OK\nContent-Length: 5\n\n", Ok(Some((200, Length(5), true))));
        check("HTTP/1.1 200 OK\nContent-Length: 0\n\n", Ok(Some((200, NoBody, true))));
        check("HTTP/1.1 200 OK\nContent-Length: 5, 5\n\n", Ok(Some((200, Length(5), true))));
        check("HTTP/1.1 200 OK\nTransfer-Encoding: gzip, Chunked\n\n", Ok(Some((200, Chunked, true))));
        check("HTTP/1.1 200 OK\nTransfer-Encoding: chunked, gzip\n\n", Ok(Some((200, UntilClose, false))));
        check("HTTP/1.1 200 OK\n\n", Ok(Some((200, UntilClose, false))));
        check("HTTP/1.1 204 No\nContent-Length: 5\n\n", Ok(Some((204, NoBody, true))));
        check("HTTP/1.1 304 No\nContent-Length: 5\n\n", Ok(Some((304, NoBody, true))));
        check("HTTP/1.1 103 Hints\nLink: x\n\n", Ok(Some((103, NoBody, true))));
    }

    #[test]
    fn persistence_follows_the_version_and_the_connection_field() {
        use Framing::Length;
        check(
            "HTTP/1.1 200 OK\nContent-Length: 5\nconnection: foo, Close\n\n",
            Ok(Some((200, Length(5), false))),
        );
        check("HTTP/1.0 200 OK\nContent-Length: 5\n\n", Ok(Some((200, Length(5), false))));
        check(
            "HTTP/1.0 200 OK\nContent-Length: 5\nConnection: Keep-Alive\n\n",
            Ok(Some((200, Length(5), true))),
        );
    }

    #[test]
    fn what_is_not_http_or_ambiguous_is_refused() {
        for head in [
            "SSH-2.0-OpenSSH\n\n",
            "HTTP/1.1 200 OK\nContent-Length: 5\nTransfer-Encoding: chunked\n\n",
            "HTTP/1.1 200 OK\nContent-Length: 5\nContent-Length: 6\n\n",
            "HTTP/1.1 200 OK\nContent-Length: +5\n\n",
            "HTTP/1.1 200 OK\nContent-Length: 99999999999999999999\n\n",
            "HTTP/1.1 200 OK\nContent-Length:\n\n",
            "HTTP/1.1 099 OK\n\n",
            "HTTP/1.1 200 OK\nBad Name: x\n\n",
        ] {
            check(head, Err(ErrorKind::Protocol));
        }
        check("HTTP/1.1 200 OK\nContent-Le", Ok(None));
        check(
            &format!("HTTP/1.1 200 OK\n{}\n", "A: b\n".repeat(HEAD_FIELDS_MAX + 1)),
            Err(ErrorKind::HeaderLimit),
        );
        check(&format!("HTTP/1.1 200 OK\nA: {}", "b".repeat(HEAD_BYTES_MAX)), Err(ErrorKind::HeaderLimit));
    }

    #[test]
    fn the_cache_ignores_the_date_and_nothing_else() {
        let head = |date: &str, length: &str| {
            format!("HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: {length}\r\n\r\nbody").into_bytes()
        };
        let first = head("Mon, 23 Nov 2026 13:52:21 GMT", "4");
        let parsed = parse(&first, false).unwrap().unwrap();
        let mut cache = HeadCache::default();
        assert_eq!(cache.find(&first), None);
        cache.keep(&first, parsed);
        assert_eq!(cache.find(&first), Some(parsed));
        assert_eq!(cache.find(&head("Mon, 23 Nov 2026 13:52:22 GMT", "4")), Some(parsed));
        assert_eq!(cache.find(&head("Mon, 23 Nov 2026 13:52:22 GMT", "5")), None);
        assert_eq!(cache.find(&head("X\r\nTransfer-Encoding: chunked", "4")), None);
        assert_eq!(cache.find(&first[..40]), None);
    }

    #[test]
    fn a_head_of_the_same_length_with_a_break_in_the_date_is_not_found() {
        let good = b"HTTP/1.1 200 OK\r\nDate: 0123456789012345678\r\nContent-Length: 4\r\n\r\n";
        let evil = b"HTTP/1.1 200 OK\r\nDate: 0\r\nConnection:close\r\nContent-Length: 4\r\n\r\n";
        assert_eq!(good.len(), evil.len());
        let mut cache = HeadCache::default();
        cache.keep(good, parse(good, false).unwrap().unwrap());
        assert_eq!(cache.find(evil), None);
    }
}
