//! What the field list of a response says (RFC 9113 section 8.3.2), and a memory of the last one.

use super::super::decode::Coding;
use super::hpack::{self, Decoder};

/// The fields that matter of one header block.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct ResponseHead {
    /// 0 in trailers, which have none.
    pub(super) status: u16,
    pub(super) length: Option<u64>,
    pub(super) coding: Coding,
    /// It breaks the rules of field lists.
    pub(super) malformed: bool,
}

/// Decodes header blocks. A block that repeats the last one, while the dynamic table has not changed, means the same.
#[derive(Debug)]
pub(super) struct Blocks {
    decoder: Decoder,
    last: Vec<u8>,
    /// The table's generation for which `last` means `head`.
    generation: Option<u64>,
    head: ResponseHead,
    /// The last `Location`.
    pub(super) location: Vec<u8>,
    /// The last fields that were wanted, as lines `name: value`.
    pub(super) fields: Vec<u8>,
}

/// Blocks longer than this are decoded each time.
const REMEMBERED_MAX: usize = 1024;

impl Blocks {
    pub(super) fn new() -> Self {
        Self {
            decoder: Decoder::new(super::HEADER_TABLE_SIZE),
            last: Vec::new(),
            generation: None,
            head: ResponseHead::default(),
            location: Vec::new(),
            fields: Vec::new(),
        }
    }

    #[inline]
    pub(super) fn read(
        &mut self,
        block: &[u8],
        location: bool,
        fields: bool,
    ) -> Result<ResponseHead, hpack::Error> {
        if !fields && self.generation == Some(self.decoder.generation()) && self.last == block {
            return Ok(self.head);
        }
        self.read_anew(block, location, fields)
    }

    fn read_anew(
        &mut self,
        block: &[u8],
        wants_location: bool,
        wants_fields: bool,
    ) -> Result<ResponseHead, hpack::Error> {
        let before = self.decoder.generation();
        let mut fields = Fields::default();
        let (location, lines) = (&mut self.location, &mut self.fields);
        location.clear();
        lines.clear();
        self.decoder.decode(block, &mut |name, value| {
            fields.take(name, value);
            if wants_location && name == b"location" {
                location.clear();
                location.extend_from_slice(value);
            }
            if wants_fields {
                for part in [name, b": ", value, b"\r\n"] {
                    lines.extend_from_slice(part);
                }
            }
        })?;
        let head = fields.head();
        self.generation = None;
        if before == self.decoder.generation() && block.len() <= REMEMBERED_MAX && !wants_location {
            self.last.clear();
            self.last.extend_from_slice(block);
            (self.generation, self.head) = (Some(before), head);
        }
        Ok(head)
    }
}

#[derive(Default)]
struct Fields {
    head: ResponseHead,
    regular: bool,
}

impl Fields {
    fn take(&mut self, name: &[u8], value: &[u8]) {
        match name {
            b":status" if !self.regular && self.head.status == 0 => self.status(value),
            [] | [b':', ..] => self.head.malformed = true,
            _ => self.regular(name, value),
        }
    }

    fn status(&mut self, value: &[u8]) {
        let digits = value.len() == 3 && value.iter().all(u8::is_ascii_digit);
        self.head.malformed |= !digits;
        if digits {
            self.head.status = value.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
        }
        self.head.malformed |= self.head.status < 100;
    }

    fn regular(&mut self, name: &[u8], value: &[u8]) {
        self.regular = true;
        self.head.malformed |=
            name.iter().any(|byte| byte.is_ascii_uppercase() || *byte <= b' ' || *byte == 0x7f);
        self.head.malformed |= value.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n'));
        match name {
            b"content-length" => self.length(value),
            b"content-encoding" => self.head.coding = Coding::of(value).unwrap_or_default(),
            // Fields of the connection do not exist here (RFC 9113 section 8.2.2).
            b"connection" | b"transfer-encoding" | b"upgrade" | b"keep-alive" | b"proxy-connection" => {
                self.head.malformed = true;
            }
            _ => {}
        }
    }

    fn length(&mut self, value: &[u8]) {
        let text = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        match text.and_then(|text| text.parse().ok()) {
            Some(length) if self.head.length.is_none_or(|before| before == length) => {
                self.head.length = Some(length);
            }
            _ => self.head.malformed = true,
        }
    }

    const fn head(self) -> ResponseHead {
        self.head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fields: &[(&str, &str)], want: ResponseHead) {
        let mut got = Fields::default();
        fields.iter().for_each(|(name, value)| got.take(name.as_bytes(), value.as_bytes()));
        assert_eq!(got.head(), want, "{fields:?}");
    }

    #[test]
    fn lists_are_read_and_judged() {
        let good = ResponseHead { status: 200, ..ResponseHead::default() };
        check(&[(":status", "200"), ("server", "x")], good);
        check(&[(":status", "200"), ("content-length", "7")], ResponseHead { length: Some(7), ..good });
        check(&[("x-trailer", "1")], ResponseHead { status: 0, ..good });
        let bad = ResponseHead { malformed: true, ..good };
        for fields in [
            &[(":status", "200"), ("Server", "x")][..],
            &[(":status", "200"), ("connection", "close")],
            &[(":status", "200"), (":status", "200")],
            &[(":status", "200"), (":path", "/")],
            &[(":status", "200"), ("a", "x\r\ny")],
            &[(":status", "200"), ("content-length", "x")],
            &[(":status", "200"), ("", "x")],
        ] {
            check(fields, bad);
        }
        check(&[("a", "b"), (":status", "200")], ResponseHead { status: 0, ..bad });
        check(&[(":status", "20")], ResponseHead { status: 0, ..bad });
        check(&[(":status", "99999")], ResponseHead { status: 0, ..bad });
    }
}
