//! Bytes on their way into a socket: written at once where there is room, else when there is room again.

use std::os::fd::RawFd;

use brunt_model::outcome::ErrorKind;

use super::{socket, transfer_error};

/// What a socket did not take yet.
#[derive(Default)]
pub(super) struct Outbox {
    rest: Vec<u8>,
    from: usize,
}

impl Outbox {
    #[inline]
    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.rest.clear();
        self.from = 0;
    }

    /// Writes `bytes` and empties them; what the socket does not take is kept here. Does nothing while there is such
    /// a rest. True when all is written.
    #[inline]
    pub(super) fn write(&mut self, fd: RawFd, bytes: &mut Vec<u8>) -> Result<bool, ErrorKind> {
        if !self.is_empty() {
            return Ok(false);
        }
        let sent = socket::send_some(fd, bytes).map_err(transfer_error)?;
        if sent == bytes.len() {
            bytes.clear();
            return Ok(true);
        }
        std::mem::swap(&mut self.rest, bytes);
        self.from = sent;
        Ok(false)
    }

    /// Goes on when the socket has room again; true when all is written.
    pub(super) fn resume(&mut self, fd: RawFd) -> Result<bool, ErrorKind> {
        self.from += socket::send_some(fd, &self.rest[self.from..]).map_err(transfer_error)?;
        if self.from == self.rest.len() {
            self.clear();
        }
        Ok(self.is_empty())
    }
}
