//! Attempts with sockets that were made elsewhere: they belong to the cgroup of their maker.
#![allow(unsafe_code, reason = "takes over a descriptor that was passed by number")]

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd as _, OwnedFd};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, recvmsg, send};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::sockets::{CONTENT, connect_to};
use super::{Scene, needed};

/// A socket of the parent's, not connected yet.
pub(super) fn inherited(scene: &mut Scene) -> io::Result<()> {
    connect_to(&own(scene)?, scene.target)
}

/// A connection of the parent's.
pub(super) fn inherited_connected(scene: &mut Scene) -> io::Result<()> {
    send(&own(scene)?, CONTENT, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// A socket that comes with a message on standard input (unix(7), SCM_RIGHTS).
pub(super) fn passed(scene: &mut Scene) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let flags = RecvFlags::CMSG_CLOEXEC;
    recvmsg(io::stdin(), &mut [IoSliceMut::new(&mut byte)], &mut ancillary, flags)?;
    let sockets = ancillary.drain().find_map(|part| match part {
        RecvAncillaryMessage::ScmRights(mut sockets) => sockets.next(),
        _ => None,
    });
    connect_to(&needed(sockets, "a descriptor in the message")?, scene.target)
}

/// A copy of a descriptor of another process.
pub(super) fn taken(scene: &mut Scene) -> io::Result<()> {
    let number = needed(scene.socket, "--socket")?;
    let sibling = needed(scene.sibling, "--sibling")?;
    let sibling = needed(i32::try_from(sibling).ok().and_then(Pid::from_raw), "--sibling")?;
    let process = pidfd_open(sibling, PidfdFlags::empty())?;
    let socket = pidfd_getfd(process, number, PidfdGetfdFlags::empty())?;
    connect_to(&socket, scene.target)
}

fn own(scene: &Scene) -> io::Result<OwnedFd> {
    let number = needed(scene.socket, "--socket")?;
    // SAFETY: the parent left this descriptor open for us, and nobody else here uses it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
