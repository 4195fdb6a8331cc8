//! The evil process, as its parent sees it.

use std::io::{BufRead as _, BufReader, IoSlice, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use brunt_tests::clock;
use brunt_tests::netns::Namespace;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

/// What no attempt takes longer than.
const DEADLINE: Duration = Duration::from_secs(10);

/// Dropping it kills it.
pub(super) struct Worker {
    child: Child,
    input: UnixStream,
    output: BufReader<UnixStream>,
}

impl Worker {
    /// Starts it in the namespace. It waits for a line. Its standard streams are one unix socket, over which descriptors
    /// can be passed.
    pub(super) fn start(namespace: &Namespace, args: &[String]) -> Self {
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        ours.set_read_timeout(Some(DEADLINE)).expect("a deadline above zero");
        let their_output: OwnedFd = theirs.try_clone().expect("a copy").into();
        let mut command = Command::new(env!("CARGO_BIN_EXE_brunt-evil"));
        command.args(args).stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::from(their_output));
        let child = namespace.inside(move || command.spawn()).expect("it is built");
        Self { child, input: ours.try_clone().expect("a copy"), output: BufReader::new(ours) }
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets it go on. One that has ended is seen by what it said.
    pub(super) fn go(&mut self) {
        let _ = self.input.write_all(b"\n");
    }

    /// Passes a descriptor, with a byte. One that may not receive any may have ended already.
    pub(super) fn pass(&self, socket: BorrowedFd<'_>) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let sockets = [socket];
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&sockets)), "there is room");
        let _ = sendmsg(self.input.as_fd(), &[IoSlice::new(b"x")], &mut ancillary, SendFlags::NOSIGNAL);
    }

    /// The next line that it says; it may have ended without one.
    pub(super) fn line(&mut self) -> String {
        let mut line = String::new();
        match self.output.read_line(&mut line) {
            Ok(_) => line.trim().to_owned(),
            Err(error) => format!("nothing within {DEADLINE:?}: {error}"),
        }
    }

    /// Waits for its end.
    pub(super) fn end(mut self) {
        clock::until("the evil process to end", DEADLINE, || self.child.try_wait().expect("an own child"));
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
