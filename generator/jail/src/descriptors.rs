//! What a process inherited: a socket that was made elsewhere belongs to the cgroup of its maker, so no guard of this
//! process sees its traffic, and an open file or folder is a way into a file system that is closed.
//!
//! Invariant: what passes are standard input, output and error, and what is to be kept; and of sockets only unix streams
//! at 0, 1 and 2, which services are started with.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::net::{AddressFamily, SocketType, sockopt};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

use crate::JailError;

const FOLDER: &str = "/proc/self/fd";
/// Standard input, output and error.
const STANDARD: RawFd = 2;

/// Refuses whatever else was inherited. All of `keep` must be open, and they are held to the same rule about sockets.
///
/// # Errors
/// For the first descriptor that is refused or missing, or when /proc cannot be read.
pub(crate) fn check(keep: &[RawFd]) -> Result<(), JailError> {
    let open = open_descriptors().map_err(unreadable)?;
    if let Some(&fd) = keep.iter().find(|fd| !open.contains(fd)) {
        return Err(JailError::NotInherited { fd });
    }
    open.into_iter().try_for_each(|fd| {
        // The descriptor that the folder was read with is closed by now.
        let Some(target) = target(fd).map_err(unreadable)? else { return Ok(()) };
        if is_socket(&target) {
            let kind = kind(fd).ok();
            if !passes(fd, kind) {
                return Err(JailError::InheritedSocket { fd, family: family_name(kind) });
            }
        }
        if is_standard(fd) || keep.contains(&fd) { Ok(()) } else { Err(JailError::Inherited { fd, target }) }
    })
}

fn unreadable(source: io::Error) -> JailError {
    let action = "look through the inherited descriptors in /proc/self/fd";
    JailError::System { action, mend: "mount /proc", source }
}

fn open_descriptors() -> io::Result<Vec<RawFd>> {
    let number = |name: OsString| name.to_str().and_then(|name| name.parse().ok());
    std::fs::read_dir(FOLDER)?
        .filter_map(|entry| entry.map(|entry| number(entry.file_name())).transpose())
        .collect()
}

/// What is open there; `None` where nothing is any more.
fn target(fd: RawFd) -> io::Result<Option<PathBuf>> {
    match std::fs::read_link(Path::new(FOLDER).join(fd.to_string())) {
        Ok(target) => Ok(Some(target)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_socket(target: &Path) -> bool {
    target.as_os_str().as_bytes().starts_with(b"socket:")
}

fn is_standard(fd: RawFd) -> bool {
    (0..=STANDARD).contains(&fd)
}

type Kind = (AddressFamily, SocketType);

/// May a process start with this socket? One that does not tell its family may not.
fn passes(fd: RawFd, kind: Option<Kind>) -> bool {
    is_standard(fd) && kind == Some((AddressFamily::UNIX, SocketType::STREAM))
}

fn kind(fd: RawFd) -> io::Result<Kind> {
    match fd {
        0 => kind_of(io::stdin()),
        1 => kind_of(io::stdout()),
        2 => kind_of(io::stderr()),
        _ => kind_of(duplicate(fd)?),
    }
}

fn kind_of(socket: impl AsFd) -> io::Result<Kind> {
    let socket = socket.as_fd();
    Ok((sockopt::socket_domain(socket)?, sockopt::socket_type(socket)?))
}

/// A descriptor is known here by its number alone; this gives one that is owned. Not all containers let it be made,
/// which costs the family's name only.
fn duplicate(fd: RawFd) -> io::Result<OwnedFd> {
    let own = pidfd_open(getpid(), PidfdFlags::empty())?;
    Ok(pidfd_getfd(own, fd, PidfdGetfdFlags::empty())?)
}

fn family_name(kind: Option<Kind>) -> String {
    let Some((family, _)) = kind else { return "of a family it does not tell".to_owned() };
    match family {
        AddressFamily::INET => "INET".to_owned(),
        AddressFamily::INET6 => "INET6".to_owned(),
        AddressFamily::PACKET => "PACKET".to_owned(),
        AddressFamily::NETLINK => "NETLINK".to_owned(),
        AddressFamily::UNIX => "UNIX".to_owned(),
        other => format!("address family {}", other.as_raw()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unix_streams_at_the_standard_descriptors_are_all_that_passes() {
        let check = |fd, kind, expected| assert_eq!(passes(fd, kind), expected, "{fd} {kind:?}");
        let unix = Some((AddressFamily::UNIX, SocketType::STREAM));
        for fd in 0..=2 {
            check(fd, unix, true);
        }
        check(3, unix, false);
        check(0, Some((AddressFamily::UNIX, SocketType::DGRAM)), false);
        check(0, Some((AddressFamily::VSOCK, SocketType::STREAM)), false);
        check(0, None, false);
        check(7, None, false);
        let families =
            [AddressFamily::INET, AddressFamily::INET6, AddressFamily::PACKET, AddressFamily::NETLINK];
        for family in families {
            check(0, Some((family, SocketType::STREAM)), false);
            check(3, Some((family, SocketType::RAW)), false);
        }
    }

    #[test]
    fn families_have_names() {
        let check = |kind, expected: &str| assert_eq!(family_name(kind), expected);
        check(Some((AddressFamily::NETLINK, SocketType::RAW)), "NETLINK");
        check(Some((AddressFamily::VSOCK, SocketType::STREAM)), "address family 40");
        check(None, "of a family it does not tell");
    }
}
