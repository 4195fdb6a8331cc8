//! Who is at the other end of a socket, and whether this loader serves them.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use brunt_loader::wire::{Reply, Status};

/// Runs on one host at a time.
const SESSIONS_MAX: usize = 16;
/// Of these, those of one user other than root; so that no user takes the loader away from all others.
const SESSIONS_OF_ONE_MAX: usize = 4;

/// Who is at the other end.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Peer {
    pub(crate) pid: u32,
    pub(crate) uid: u32,
}

impl Peer {
    /// The credentials of whoever made the connection (`SO_PEERCRED` of unix(7)). The process is 0 where its number is not
    /// known in the loader's namespace, which is why this is not left to a library that rules that out.
    #[allow(unsafe_code, reason = "the safe wrapper takes a process of 0 for impossible")]
    pub(crate) fn of(socket: BorrowedFd<'_>) -> io::Result<Self> {
        let mut credentials = libc::ucred { pid: 0, uid: 0, gid: 0 };
        let mut len = libc::socklen_t::try_from(size_of_val(&credentials)).map_err(io::Error::other)?;
        // SAFETY: the kernel writes at most `len` bytes, which is the size of the value, and any bytes are a sound one.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERCRED,
                (&raw mut credentials).cast(),
                &raw mut len,
            )
        };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { pid: u32::try_from(credentials.pid).unwrap_or(0), uid: credentials.uid })
    }
}

/// Why a peer is not served; `users` are those of the sessions that there are.
pub(crate) fn objection(peer: Peer, allowed: &[u32], users: &[u32]) -> Option<Reply> {
    let Peer { pid, uid } = peer;
    let of_this_user = users.iter().filter(|user| **user == uid).count();
    let (status, text) = if uid != 0 && !allowed.contains(&uid) {
        (
            Status::Stranger,
            format!("user {uid} may not use this loader; it is started with --peer-uid for those who may"),
        )
    } else if pid == 0 {
        let text = "your process has no number in the loader's pid namespace; run both in the same one";
        (Status::Unable, text.to_owned())
    } else if users.len() >= SESSIONS_MAX {
        (Status::Unable, format!("{SESSIONS_MAX} sessions are open already; try again when a run has ended"))
    } else if uid != 0 && of_this_user >= SESSIONS_OF_ONE_MAX {
        let text =
            format!("user {uid} has {SESSIONS_OF_ONE_MAX} sessions already; end one, or wait for its end");
        (Status::Unable, text)
    } else {
        return None;
    };
    Some(Reply::new(status, text))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    #[track_caller]
    fn check(pid: u32, uid: u32, users: &[u32], want: Option<(Status, &str)>) {
        let reply = objection(Peer { pid, uid }, &[7, 8], users);
        match (&reply, want) {
            (None, None) => {}
            (Some(reply), Some((status, word))) => {
                assert!(reply.status == status && reply.text.contains(word), "{reply:?}");
            }
            _ => panic!("{reply:?}, not {want:?}"),
        }
    }

    #[test]
    fn peers_that_may_ask_are_served() {
        check(1, 0, &[], None);
        check(1, 7, &[0; 15], None);
        check(1, 7, &[7, 7, 7, 8, 8, 8, 8], None);
        check(1, 0, &[0; 15], None);
    }

    #[test]
    fn others_hear_why_not() {
        check(1, 9, &[], Some((Status::Stranger, "user 9")));
        check(0, 9, &[], Some((Status::Stranger, "user 9")));
        check(0, 0, &[], Some((Status::Unable, "pid namespace")));
        check(0, 7, &[], Some((Status::Unable, "pid namespace")));
        check(1, 0, &[0; 16], Some((Status::Unable, "16 sessions")));
        check(1, 7, &[7, 7, 7, 7], Some((Status::Unable, "user 7 has 4 sessions")));
    }

    #[test]
    fn the_kernel_tells_who_connected() {
        let (ours, _theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        let uid = rustix::process::geteuid().as_raw();
        assert_eq!(Peer::of(ours.as_fd()).unwrap(), Peer { pid: std::process::id(), uid });
    }
}
