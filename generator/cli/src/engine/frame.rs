//! Frames on a pipe: a length in four bytes, the least first, and so many bytes.

use std::io::{ErrorKind, Read};

/// A job holds the body of the request or a log, at most 64 MiB, and certificates, at most 16 MiB a file.
pub(super) const JOB_MAX: usize = 128 << 20;
/// The largest message from the child is the sum of a run: at most 80 KiB for each request name, of which a replay has
/// up to a hundred.
pub(super) const MESSAGE_MAX: usize = 8 << 20;

const HEADER: usize = 4;
/// Linux gives a pipe this much; reading more at once is in vain.
const READ_AT_ONCE: usize = 64 << 10;
/// Memory that is kept for the next frame.
const KEPT_MAX: usize = 4 * READ_AT_ONCE;

/// Why what came is no frame.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    #[error("a frame has {length} bytes, more than {most}")]
    Long { length: usize, most: usize },
    #[error("the pipe ended within a frame")]
    Cut,
    #[error("the pipe cannot be read: {0}")]
    Read(#[from] std::io::Error),
}

/// The payload as a frame.
pub(super) fn framed(payload: &[u8], most: usize) -> Result<Vec<u8>, FrameError> {
    let too_long = || FrameError::Long { length: payload.len(), most };
    let length = u32::try_from(payload.len()).ok().filter(|_| payload.len() <= most).ok_or_else(too_long)?;
    Ok([&length.to_le_bytes(), payload].concat())
}

/// Takes a pipe apart into frames, whatever pieces it comes in. Holds at most one frame and what was read with it.
#[derive(Debug)]
pub(super) struct Frames {
    most: usize,
    bytes: Vec<u8>,
    taken: usize,
}

/// What a read brought.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Filled {
    Some,
    /// Nothing is there yet.
    Nothing,
    /// Nothing will come any more.
    End,
}

impl Frames {
    pub(super) const fn new(most: usize) -> Self {
        Self { most, bytes: Vec::new(), taken: 0 }
    }

    /// Reads once.
    pub(super) fn fill(&mut self, mut pipe: impl Read) -> Result<Filled, FrameError> {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        // A job can be large and comes once.
        self.bytes.shrink_to(self.bytes.len().max(KEPT_MAX));
        let held = self.bytes.len();
        self.bytes.resize(held + READ_AT_ONCE, 0);
        let read = pipe.read(&mut self.bytes[held..]);
        self.bytes.truncate(held + read.as_ref().copied().unwrap_or(0));
        match read {
            Ok(0) if held > 0 => Err(FrameError::Cut),
            Ok(0) => Ok(Filled::End),
            Ok(_) => Ok(Filled::Some),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                Ok(Filled::Nothing)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The next frame that is there as a whole.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, FrameError> {
        let rest = &self.bytes[self.taken..];
        let Some((header, rest)) = rest.split_first_chunk::<HEADER>() else { return Ok(None) };
        let length = usize::try_from(u32::from_le_bytes(*header)).unwrap_or(usize::MAX);
        if length > self.most {
            return Err(FrameError::Long { length, most: self.most });
        }
        let Some(frame) = rest.get(..length) else { return Ok(None) };
        self.taken += HEADER + length;
        Ok(Some(frame))
    }

    /// Waits for the next frame; `None` at the end of the pipe.
    pub(super) fn wait(&mut self, mut pipe: impl Read) -> Result<Option<Vec<u8>>, FrameError> {
        loop {
            if let Some(frame) = self.next()? {
                return Ok(Some(frame.to_vec()));
            }
            if self.fill(&mut pipe)? == Filled::End {
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives so many bytes at once.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let (now, later) = self.0.split_at(self.1.min(self.0.len()));
            buffer[..now.len()].copy_from_slice(now);
            self.0 = later;
            Ok(now.len())
        }
    }

    fn all(bytes: &[u8], at_once: usize) -> Result<Vec<Vec<u8>>, FrameError> {
        let (mut frames, mut pipe, mut got) = (Frames::new(300), Trickle(bytes, at_once), Vec::new());
        while let Some(frame) = frames.wait(&mut pipe)? {
            got.push(frame);
        }
        Ok(got)
    }

    #[test]
    fn frames_come_out_as_they_went_in_whatever_the_pieces() {
        let want = [vec![7; 300], Vec::new(), vec![1]];
        let bytes = want.iter().flat_map(|payload| framed(payload, 300).unwrap()).collect::<Vec<_>>();
        assert!(bytes.ends_with(&[1, 0, 0, 0, 1]));
        for at_once in [1, 3, 299, 305, 1_000] {
            assert_eq!(all(&bytes, at_once).unwrap(), want);
            assert!(matches!(all(&bytes[..bytes.len() - 1], at_once), Err(FrameError::Cut)));
        }
    }

    #[test]
    fn a_frame_past_the_limit_is_refused_by_its_header() {
        assert!(matches!(all(&[45, 1, 0, 0], 4), Err(FrameError::Long { length: 301, most: 300 })));
        assert!(matches!(framed(&[0; 301], 300), Err(FrameError::Long { length: 301, .. })));
    }
}
