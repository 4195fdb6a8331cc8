//! A peer's end of a session with the loader.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recvmsg, sendmsg,
    socket_with,
};

use crate::wire::{FDS_MAX, Malformed, REPLY_LEN, Reply, Request};

/// Where a loader that runs as a service listens.
pub const SOCKET_PATH: &str = "/run/brunt/loader.sock";

/// Loading and verifying takes some 50 ms; a loader that takes longer than this hangs.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error("the loader has gone")]
    Gone,
    #[error("the loader did not answer within {0:?}")]
    Late(Duration),
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("talking to the loader: {0}")]
    Io(#[from] io::Error),
}

/// A connection to the loader. The session's cgroup and programs go when it is dropped.
#[derive(Debug)]
pub struct Session {
    socket: OwnedFd,
}

impl Session {
    /// # Errors
    /// When nobody listens there, or not to us, or so many wait to be taken that there is no room for us.
    pub fn dial(path: &Path) -> io::Result<Self> {
        // Connecting would wait for room without a deadline (unix(7)). Later calls look before they receive.
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        match connect(&socket, &SocketAddrUnix::new(path)?) {
            Ok(()) => Ok(Self { socket }),
            Err(rustix::io::Errno::AGAIN) => {
                let text = "the loader is busy: too many wait for it; try again in a moment";
                Err(io::Error::new(io::ErrorKind::WouldBlock, text))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A session with a loader that was given the other end.
    #[must_use]
    pub const fn over(socket: OwnedFd) -> Self {
        Self { socket }
    }

    /// Asks, and waits for the answer. The descriptors are of maps: the slots, then the logs where there are any.
    ///
    /// # Errors
    /// When no sound answer came in time.
    pub fn ask(&self, request: &Request) -> Result<(Reply, Vec<OwnedFd>), SessionError> {
        self.ask_within(request, ANSWER_WITHIN)
    }

    /// The same with another deadline. Where the answer is late, [`Session::answer_within`] is next, and no question.
    ///
    /// # Errors
    /// When no sound answer came in time.
    pub fn ask_within(
        &self,
        request: &Request,
        within: Duration,
    ) -> Result<(Reply, Vec<OwnedFd>), SessionError> {
        let sent = send(self.socket.as_fd(), &request.encode(), &[]);
        // A loader that does not serve us says so and hangs up, maybe before it is asked; the answer is there all the same.
        if !matches!(sent, Ok(()) | Err(rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET)) {
            sent?;
        }
        self.answer_within(within)
    }

    /// The answer that was late.
    ///
    /// # Errors
    /// When no sound answer came in time.
    pub fn answer_within(&self, within: Duration) -> Result<(Reply, Vec<OwnedFd>), SessionError> {
        let mut bytes = [0; REPLY_LEN];
        if !is_ready(self.socket.as_fd(), within)? {
            return Err(SessionError::Late(within));
        }
        let (len, fds) = match receive(self.socket.as_fd(), &mut bytes) {
            // It is reported before what was sent ahead of it, and once.
            Err(rustix::io::Errno::CONNRESET) => receive(self.socket.as_fd(), &mut bytes)?,
            received => received?,
        };
        if len == 0 {
            return Err(SessionError::Gone);
        }
        Ok((Reply::decode(&bytes[..len])?, fds))
    }
}

impl From<rustix::io::Errno> for SessionError {
    fn from(error: rustix::io::Errno) -> Self {
        match error {
            rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET => Self::Gone,
            other => Self::Io(other.into()),
        }
    }
}

/// Is there something to read, or the end of it?
///
/// # Errors
/// When polling fails.
pub fn is_ready(socket: BorrowedFd<'_>, within: Duration) -> rustix::io::Result<bool> {
    let mut fds = [PollFd::from_borrowed_fd(socket, PollFlags::IN)];
    let timeout = Timespec {
        tv_sec: i64::try_from(within.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(within.subsec_nanos()),
    };
    loop {
        match poll(&mut fds, Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => {}
            ready => return Ok(ready? > 0),
        }
    }
}

/// Sends one message, with descriptors.
///
/// # Errors
/// When the peer is gone or its queue is full.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> rustix::io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(rustix::io::Errno::TOOBIG);
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    sendmsg(socket, &[IoSlice::new(bytes)], &mut ancillary, flags)?;
    Ok(())
}

/// Receives one message that is there, and its descriptors. A length of 0 is the end of the connection.
///
/// # Errors
/// When there is none, or one longer than `bytes`.
pub fn receive(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> rustix::io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let message = recvmsg(socket, &mut [IoSliceMut::new(bytes)], &mut ancillary, flags)?;
    let mut fds = Vec::new();
    for part in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = part {
            fds.extend(rights);
        }
    }
    if message.flags.contains(ReturnFlags::TRUNC) {
        return Err(rustix::io::Errno::MSGSIZE);
    }
    Ok((message.bytes, fds))
}

#[cfg(test)]
mod tests {
    use rustix::net::{bind, listen, socketpair};

    use super::*;
    use crate::wire::{Op, Status};

    fn pair() -> (Session, OwnedFd) {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        (Session::over(ours), theirs)
    }

    #[test]
    fn an_answer_comes_with_its_descriptors() {
        let (session, theirs) = pair();
        let file = std::fs::File::open("/dev/null").unwrap();
        send(theirs.as_fd(), &Reply::new(Status::Done, "here").encode(), &[file.as_fd()]).unwrap();
        let (reply, fds) = session.ask(&Request::new(Op::Open)).unwrap();
        assert_eq!((reply.text.as_str(), fds.len()), ("here", 1));
        let mut bytes = [0; crate::wire::REQUEST_LEN];
        let (len, none) = receive(theirs.as_fd(), &mut bytes).unwrap();
        assert_eq!((Request::decode(&bytes[..len]).unwrap().op, none.len()), (Op::Open, 0));
    }

    #[test]
    fn a_loader_that_ends_is_noticed() {
        let (session, theirs) = pair();
        drop(theirs);
        assert!(matches!(session.ask(&Request::new(Op::Status)), Err(SessionError::Gone)));
    }

    #[test]
    fn a_loader_with_a_full_queue_is_busy() {
        let path = std::env::temp_dir().join(format!("brunt-busy-{}", std::process::id()));
        let listener =
            socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        // The queue has room for one more than its limit.
        listen(&listener, 0).unwrap();
        let [first, second] = [Session::dial(&path), Session::dial(&path)];
        std::fs::remove_file(&path).unwrap();
        assert!(first.is_ok(), "{first:?}");
        let error = second.expect_err("nobody is taken");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(error.to_string().contains("the loader is busy"), "{error}");
    }

    #[test]
    fn who_is_turned_away_hears_why() {
        let reply = Reply::new(Status::Stranger, "not you");
        let (session, theirs) = pair();
        send(theirs.as_fd(), &reply.encode(), &[]).unwrap();
        drop(theirs);
        assert_eq!(session.ask(&Request::new(Op::Open)).unwrap().0, reply, "asked too late");
        let (session, theirs) = pair();
        send(session.socket.as_fd(), b"asked before", &[]).unwrap();
        send(theirs.as_fd(), &reply.encode(), &[]).unwrap();
        drop(theirs);
        assert_eq!(session.ask(&Request::new(Op::Open)).unwrap().0, reply, "its question was not read");
    }

    #[test]
    fn nonsense_is_no_answer() {
        let (session, theirs) = pair();
        send(theirs.as_fd(), b"nonsense", &[]).unwrap();
        assert!(matches!(session.ask(&Request::new(Op::Status)), Err(SessionError::Malformed(_))));
    }
}
