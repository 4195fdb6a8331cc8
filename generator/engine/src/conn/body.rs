//! What becomes of a response's content: it is thrown away, but decoded where the plan asks for it, and its beginning is kept
//! where somebody wants to look at it.

use brunt_model::outcome::ErrorKind;

use super::decode::{Coding, Decoder};

/// Memory that a connection keeps for the contents of its later answers.
const KEPT_CAPACITY: usize = 16 * 1024;

/// The content of one response.
#[derive(Default)]
pub struct Content {
    decoder: Option<Box<Decoder>>,
    /// How much of it is to be kept.
    keep: usize,
    kept: Vec<u8>,
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let decoded = self.decoder.as_ref().map(|decoder| decoder.decoded());
        f.debug_struct("Content").field("decoded", &decoded).field("kept", &self.kept.len()).finish()
    }
}

impl Content {
    /// Forgets what was kept; of what comes next so many bytes are kept.
    pub fn keep(&mut self, bytes: usize) {
        self.keep = bytes;
        if !self.kept.is_empty() {
            self.kept.clear();
            self.kept.shrink_to(KEPT_CAPACITY);
        }
    }

    /// Makes ready for content of this coding, of at most `limit` bytes once decoded.
    pub fn begin(&mut self, coding: Coding, limit: u64) {
        self.decoder = (coding != Coding::Identity).then(|| Box::new(Decoder::new(coding, limit)));
    }

    /// There is no more to come. What was kept stays.
    #[inline]
    pub fn end(&mut self) {
        self.decoder = None;
    }

    /// The next byte must be seen.
    #[inline]
    #[must_use]
    pub const fn must_be_seen(&self) -> bool {
        self.decoder.is_some() || self.kept.len() < self.keep
    }

    #[must_use]
    pub fn kept(&self) -> &[u8] {
        &self.kept
    }

    /// # Errors
    /// `Protocol` where the coding is broken, `DecodeLimit` past the budget.
    #[inline]
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), ErrorKind> {
        let Self { decoder, keep, kept } = self;
        let mut take = |bytes: &[u8]| {
            let room = *keep - kept.len();
            if room > 0 {
                kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
        };
        match decoder {
            None => {
                take(bytes);
                Ok(())
            }
            Some(decoder) => decoder.feed(bytes, &mut take),
        }
    }

    /// The content has ended; its length where it was decoded.
    ///
    /// # Errors
    /// `Protocol` where the content ended before its coding did.
    #[inline]
    pub fn finish(&mut self) -> Result<Option<u64>, ErrorKind> {
        match self.decoder.take() {
            None => Ok(None),
            Some(mut decoder) => decoder.finish().map(Some),
        }
    }
}
