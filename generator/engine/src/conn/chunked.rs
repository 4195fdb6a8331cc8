//! The chunked transfer coding (RFC 9112 section 7.1), one byte at a time where it matters and whole chunks where
//! it does not.

use brunt_model::outcome::ErrorKind;

use crate::limits::{CHUNK_LINE_MAX, TRAILERS_MAX};

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum State {
    /// In the hexadecimal size; true once a digit was seen.
    Size(bool),
    /// In white space or an extension after the size.
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// At the start of a trailer line or of the empty line that ends the message.
    TrailerStart,
    Trailer,
    EndLf,
}

/// Finds the end of a chunked body.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Chunked {
    state: State,
    /// Bytes of the present chunk still to come.
    remaining: u64,
    /// Bytes of the present size line, or of all trailers.
    line: u32,
    /// Decoded bytes so far.
    body: u64,
}

/// Where a piece of input left the decoder.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Progress {
    /// All input is used, more must come.
    More,
    /// The body ended after so many bytes of the input.
    Done(usize),
}

impl Default for Chunked {
    fn default() -> Self {
        Self { state: State::Size(false), remaining: 0, line: 0, body: 0 }
    }
}

impl Chunked {
    /// Bytes that are certainly the inside of a chunk and need not be looked at.
    #[must_use]
    pub const fn skippable(&self) -> u64 {
        match self.state {
            State::Data => self.remaining,
            _ => 0,
        }
    }

    /// Decoded bytes so far, the present chunk's announced rest left out.
    #[must_use]
    pub const fn body(&self) -> u64 {
        self.body
    }

    /// Takes `count` bytes of the present chunk as read; at most [`Chunked::skippable`].
    pub const fn skip(&mut self, count: u64) {
        self.remaining -= count;
        self.body += count;
        if self.remaining == 0 {
            self.state = State::DataCr;
        }
    }

    /// Takes input and hands what is inside of chunks to `body`.
    ///
    /// # Errors
    /// `Protocol` where the coding is broken, `HeaderLimit` where extensions or trailers are too long, and what `body`
    /// refuses.
    pub fn feed(
        &mut self,
        input: &[u8],
        body: &mut impl FnMut(&[u8]) -> Result<(), ErrorKind>,
    ) -> Result<Progress, ErrorKind> {
        let mut at = 0;
        while at < input.len() {
            if self.state == State::Data {
                let rest = &input[at..];
                let len = usize::try_from(self.remaining).map_or(rest.len(), |len| len.min(rest.len()));
                body(&rest[..len])?;
                self.skip(len as u64);
                at += len;
                continue;
            }
            let byte = input[at];
            at += 1;
            if self.step(byte)? {
                return Ok(Progress::Done(at));
            }
        }
        Ok(Progress::More)
    }

    /// Takes one byte outside chunk data; true at the end of the message.
    fn step(&mut self, byte: u8) -> Result<bool, ErrorKind> {
        self.state = match (self.state, byte) {
            (State::Size(_), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => self.digit(byte)?,
            (State::Size(true), b';' | b' ' | b'\t') => self.in_line(State::Extension)?,
            (State::Size(true) | State::Extension, b'\r') => State::SizeLf,
            (State::Extension, 0x20..=0x7e | 0x80..=0xff | b'\t') => self.in_line(State::Extension)?,
            (State::SizeLf, b'\n') => self.after_size(),
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => self.next_chunk(),
            (State::TrailerStart, b'\r') => State::EndLf,
            (State::Trailer, b'\n') => State::TrailerStart,
            (State::TrailerStart | State::Trailer, 0x20..=0xff | b'\t' | b'\r') => self.in_trailers()?,
            (State::EndLf, b'\n') => return Ok(true),
            _ => return Err(ErrorKind::Protocol),
        };
        Ok(false)
    }

    fn digit(&mut self, byte: u8) -> Result<State, ErrorKind> {
        let digit = char::from(byte).to_digit(16).unwrap_or(0);
        let size = self.remaining.checked_mul(16).and_then(|size| size.checked_add(u64::from(digit)));
        // Half the range, so that no sum of sizes can overflow either.
        self.remaining = size.filter(|&size| size <= u64::MAX / 2).ok_or(ErrorKind::Protocol)?;
        self.in_line(State::Size(true))
    }

    fn in_line(&mut self, next: State) -> Result<State, ErrorKind> {
        self.line += 1;
        if self.line > CHUNK_LINE_MAX { Err(ErrorKind::HeaderLimit) } else { Ok(next) }
    }

    fn in_trailers(&mut self) -> Result<State, ErrorKind> {
        self.line += 1;
        if self.line > TRAILERS_MAX { Err(ErrorKind::HeaderLimit) } else { Ok(State::Trailer) }
    }

    const fn after_size(&mut self) -> State {
        self.line = 0;
        if self.remaining == 0 { State::TrailerStart } else { State::Data }
    }

    const fn next_chunk(&mut self) -> State {
        self.line = 0;
        State::Size(false)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(input: &[u8], cut: usize) -> (Result<Progress, ErrorKind>, u64) {
        let mut chunked = Chunked::default();
        let mut used = 0;
        for piece in input.chunks(cut.max(1)) {
            match chunked.feed(piece, &mut |_| Ok(())) {
                Ok(Progress::More) => used += piece.len(),
                Ok(Progress::Done(n)) => return (Ok(Progress::Done(used + n)), chunked.body()),
                Err(kind) => return (Err(kind), chunked.body()),
            }
        }
        (Ok(Progress::More), chunked.body())
    }

    #[test]
    fn good_bodies_end_where_they_should() {
        for (body, decoded) in [
            ("0\r\n\r\n", 0),
            ("5\r\nhello\r\n0\r\n\r\n", 5),
            ("A;name=value;other\r\n0123456789\r\n00\r\n\r\n", 10),
            ("5 \r\nhello\r\n1\r\n!\r\n0\r\nExpires: x\r\nB: y\r\n\r\n", 6),
        ] {
            for cut in 1..=body.len() {
                assert_eq!(
                    decode(body.as_bytes(), cut),
                    (Ok(Progress::Done(body.len())), decoded),
                    "{body} {cut}"
                );
            }
            assert_eq!(decode(format!("{body}HTTP").as_bytes(), 99).0, Ok(Progress::Done(body.len())));
        }
    }

    #[test]
    fn broken_bodies_are_refused() {
        for body in [
            "\r\n",
            "g\r\n",
            "-1\r\n",
            ";x\r\n",
            "5\nhello",
            "5\r\nhelloX",
            "5\r\nhello\rX",
            "0\r\n\rX",
            "0\r\n\n",
        ] {
            assert_eq!(decode(body.as_bytes(), 99).0, Err(ErrorKind::Protocol), "{body}");
        }
        assert_eq!(decode(b"8000000000000000\r\n", 99).0, Err(ErrorKind::Protocol));
        assert_eq!(decode(b"10000000000000000\r\n", 99).0, Err(ErrorKind::Protocol));
        let extension = format!("5;{}", "x".repeat(CHUNK_LINE_MAX as usize));
        assert_eq!(decode(extension.as_bytes(), 99).0, Err(ErrorKind::HeaderLimit));
        let trailers = format!("0\r\n{}", "A: b\r\n".repeat(TRAILERS_MAX as usize / 4));
        assert_eq!(decode(trailers.as_bytes(), 99).0, Err(ErrorKind::HeaderLimit));
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter_and_nothing_panics(input in prop::collection::vec(any::<u8>(), 0..200), cut in 1usize..50) {
            prop_assert_eq!(decode(&input, cut).0, decode(&input, usize::MAX).0);
        }
    }
}
