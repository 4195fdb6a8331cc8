//! What becomes of a response's content: nothing is kept of it, but where the plan asks for it, it is decoded.

use brunt_model::outcome::ErrorKind;

use super::decode::{Coding, Decoder};

/// The content of one response.
#[derive(Default)]
pub struct Content(Option<Box<Decoder>>);

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Content").field(&self.0.as_ref().map(|decoder| decoder.decoded())).finish()
    }
}

impl Content {
    /// Makes ready for content of this coding, of at most `limit` bytes once decoded.
    pub fn begin(&mut self, coding: Coding, limit: u64) {
        self.0 = (coding != Coding::Identity).then(|| Box::new(Decoder::new(coding, limit)));
    }

    /// Every byte must be seen.
    #[inline]
    #[must_use]
    pub const fn is_decoded(&self) -> bool {
        self.0.is_some()
    }

    /// # Errors
    /// `Protocol` where the coding is broken, `DecodeLimit` past the budget.
    #[inline]
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), ErrorKind> {
        match &mut self.0 {
            None => Ok(()),
            Some(decoder) => decoder.feed(bytes),
        }
    }

    /// # Errors
    /// `Protocol` where the content ended before its coding did.
    #[inline]
    pub fn finish(&mut self) -> Result<(), ErrorKind> {
        match self.0.take() {
            None => Ok(()),
            Some(mut decoder) => decoder.finish().map(drop),
        }
    }
}
