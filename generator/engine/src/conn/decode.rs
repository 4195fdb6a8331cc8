//! Content codings of a response body (RFC 9110 section 8.4.1), undone to count what comes out and to check that it is
//! whole. The decoded bytes go to whoever wants to see them.
//!
//! Memory is bounded by the codings' windows, work by the two budgets, which are looked at before more is produced.

mod codec;
mod gzip;

use brunt_model::outcome::ErrorKind;

use crate::limits::{DECODE_RATIO_FROM, DECODE_RATIO_MAX, DECODE_STEP};
use codec::Codec;

/// A content coding.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug)]
pub enum Coding {
    #[default]
    Identity,
    /// RFC 1952.
    Gzip,
    /// The zlib format (RFC 1950), not bare deflate.
    Deflate,
    /// RFC 7932.
    Brotli,
    /// RFC 8878.
    Zstd,
}

impl Coding {
    /// The coding that the value of `Content-Encoding` names, in any case. `None` where it is unknown or one of many.
    #[must_use]
    pub fn of(value: &[u8]) -> Option<Self> {
        let name = value.trim_ascii();
        [
            (&b"gzip"[..], Self::Gzip),
            (b"x-gzip", Self::Gzip),
            (b"deflate", Self::Deflate),
            (b"br", Self::Brotli),
            (b"zstd", Self::Zstd),
            (b"identity", Self::Identity),
        ]
        .into_iter()
        .find_map(|(known, coding)| name.eq_ignore_ascii_case(known).then_some(coding))
    }
}

/// What one call of a codec did.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
struct Step {
    /// Bytes of the input it took.
    used: usize,
    /// Bytes of output it made.
    made: usize,
}

/// Decodes one body after the other.
pub struct Decoder {
    codec: Codec,
    limit_bytes: u64,
    taken: u64,
    decoded: u64,
    failed: Option<ErrorKind>,
    scratch: Box<[u8]>,
}

impl Decoder {
    /// A decoder for bodies of at most `limit_bytes` decoded bytes.
    #[must_use]
    pub fn new(coding: Coding, limit_bytes: u64) -> Self {
        let scratch = vec![0; DECODE_STEP].into_boxed_slice();
        Self { codec: Codec::new(coding), limit_bytes, taken: 0, decoded: 0, failed: None, scratch }
    }

    /// Makes ready for another body. The memory is kept where the coding is the same.
    pub fn reset(&mut self, coding: Coding) {
        self.codec.reset(coding);
        (self.taken, self.decoded, self.failed) = (0, 0, None);
    }

    /// Decoded bytes so far.
    #[must_use]
    pub const fn decoded(&self) -> u64 {
        self.decoded
    }

    /// Takes a piece of the body. How a valid body is cut into pieces does not matter, unless its ratio is near the bound:
    /// a codec that works ahead has taken more when the ratio is looked at. Nor does it matter whether a broken body fails,
    /// only whether the fault or the budget is seen first.
    ///
    /// # Errors
    /// `Protocol` where it is not validly coded or goes on after its end, `DecodeLimit` where it is longer than allowed,
    /// too many times longer than what arrived, or wants too large a window; the same again after that.
    pub fn feed(&mut self, bytes: &[u8], see: &mut dyn FnMut(&[u8])) -> Result<(), ErrorKind> {
        if let Some(kind) = self.failed {
            return Err(kind);
        }
        self.decode(bytes, see).inspect_err(|&kind| self.failed = Some(kind))
    }

    /// The body ended: its decoded size in bytes.
    ///
    /// # Errors
    /// `Protocol` where the coding did not end (also of an empty body), else what [`Decoder::feed`] said.
    pub fn finish(&mut self) -> Result<u64, ErrorKind> {
        match self.failed {
            Some(kind) => Err(kind),
            None if self.codec.is_whole() => Ok(self.decoded),
            None => Err(ErrorKind::Protocol),
        }
    }

    fn decode(&mut self, mut bytes: &[u8], see: &mut dyn FnMut(&[u8])) -> Result<(), ErrorKind> {
        // An empty piece says nothing new, and a codec may take too many of them for a loop.
        if bytes.is_empty() {
            return Ok(());
        }
        loop {
            let room = self.room();
            let step = self.codec.step(bytes, &mut self.scratch[..room])?;
            bytes = &bytes[step.used..];
            self.count(step)?;
            see(&self.scratch[..step.made]);
            if bytes.is_empty() && step.made < room {
                return Ok(());
            }
            if step.used == 0 && step.made == 0 {
                // It takes no more although there is more: the body goes on after its end.
                return Err(ErrorKind::Protocol);
            }
        }
    }

    /// Bytes that may be made in one step: one past the limit is enough to know. Steps end at multiples of their size, so
    /// that the ratio is looked at in the same places however the body was cut.
    fn room(&self) -> usize {
        let step = DECODE_STEP as u64;
        let room = (step - self.decoded % step).min((self.limit_bytes - self.decoded).saturating_add(1));
        usize::try_from(room).unwrap_or(DECODE_STEP)
    }

    fn count(&mut self, step: Step) -> Result<(), ErrorKind> {
        self.taken += step.used as u64;
        self.decoded += step.made as u64;
        let at_mark = self.decoded.is_multiple_of(DECODE_STEP as u64);
        let is_bomb = self.decoded > DECODE_RATIO_FROM && self.decoded / DECODE_RATIO_MAX > self.taken;
        if self.decoded > self.limit_bytes || (at_mark && is_bomb) {
            return Err(ErrorKind::DecodeLimit);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
