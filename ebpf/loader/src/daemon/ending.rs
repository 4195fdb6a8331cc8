//! The end of a session that was open: its processes are killed, and what it had is removed once they are gone.
//!
//! Nothing here waits, because the loop has the kill switch and other sessions to look after.

use std::io;
use std::task::Poll;
use std::time::Duration;

use super::kernel::KernelError;
use super::peer::Peer;
use super::work::Work;

/// How long processes that were killed may take to be gone.
const EMPTY_WITHIN: Duration = Duration::from_secs(2);

pub(crate) struct Ending {
    /// Whose limit it counts for until it is over.
    pub(crate) peer: Peer,
    work: Work,
    until: Duration,
    killed: io::Result<()>,
}

impl Ending {
    /// The peer is gone: its engine must not outlive it.
    pub(crate) fn begin(work: Work, peer: Peer, now: Duration) -> Self {
        let killed = work.cgroup.kill();
        Self { peer, work, until: now + EMPTY_WITHIN, killed }
    }

    /// Pending while processes are still there and have time; to be called until it is ready, and not after that. Where
    /// it failed, what is pinned stays pinned.
    pub(crate) fn poll(&mut self, now: Duration) -> Poll<io::Result<()>> {
        if self.work.cgroup.is_empty() {
            return Poll::Ready(self.work.remove());
        }
        if let Err(error) = std::mem::replace(&mut self.killed, Ok(())) {
            return Poll::Ready(Err(error));
        }
        if now < self.until {
            return Poll::Pending;
        }
        Poll::Ready(Err(io::Error::other(format!(
            "processes in {} do not end",
            self.work.cgroup.path().display()
        ))))
    }

    pub(crate) fn name(&self) -> &str {
        self.work.name()
    }

    /// The kill switch of the whole loader: what is still queued in its sockets does not leave.
    pub(crate) fn kill(&mut self) -> Result<(), KernelError> {
        self.work.kill()
    }
}
