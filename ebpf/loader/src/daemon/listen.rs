//! The loader's own socket, where systemd does not pass one.

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
};

/// Peers that may wait to be taken.
const BACKLOG: i32 = 16;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    #[error("listening at {path}: {cause}")]
    Io { path: PathBuf, cause: io::Error },
    #[error("another loader listens there: {0}; end it, or name another place with --socket")]
    Another(PathBuf),
    #[error("{0} is there already and is no socket; remove it, or name another place with --socket")]
    NoSocket(PathBuf),
    #[error(
        "the socket {path} is not one that a loader left ({cause}); remove it, or name another place with --socket"
    )]
    Foreign { path: PathBuf, cause: Errno },
}

/// Whoever may connect is decided by credentials, not by the file's mode.
pub(crate) fn listen_at(path: &Path) -> Result<OwnedFd, ListenError> {
    let io = |cause| ListenError::Io { path: path.to_owned(), cause };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(io)?;
    }
    make_room(path)?;
    let attempt = || -> io::Result<OwnedFd> {
        let listener = socket(SocketFlags::CLOEXEC)?;
        bind(&listener, &SocketAddrUnix::new(path)?)?;
        fs::set_permissions(path, Permissions::from_mode(0o666))?;
        listen(&listener, BACKLOG)?;
        Ok(listener)
    };
    attempt().map_err(io)
}

/// Removes the socket of a loader that was killed: one at which nobody listens. Whatever else is there is somebody's.
fn make_room(path: &Path) -> Result<(), ListenError> {
    let io = |cause| ListenError::Io { path: path.to_owned(), cause };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(error)),
        Ok(found) if !found.file_type().is_socket() => return Err(ListenError::NoSocket(path.to_owned())),
        Ok(_) => {}
    }
    let address = SocketAddrUnix::new(path).map_err(|error| io(error.into()))?;
    // A queue that is full must not make this wait.
    let probe = socket(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK).map_err(|error| io(error.into()))?;
    match connect(&probe, &address) {
        Err(Errno::CONNREFUSED) => fs::remove_file(path).map_err(io),
        Ok(()) | Err(Errno::AGAIN) => Err(ListenError::Another(path.to_owned())),
        Err(cause) => Err(ListenError::Foreign { path: path.to_owned(), cause }),
    }
}

fn socket(flags: SocketFlags) -> rustix::io::Result<OwnedFd> {
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    /// What is there before, given its path; it lives until the end of the test.
    type Before = fn(&Path) -> Option<OwnedFd>;

    #[track_caller]
    fn check(name: &str, before: Before, want: Option<&str>) {
        let folder = std::env::temp_dir().join(format!("brunt-listen-{}-{name}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let path = folder.join("socket");
        let kept = before(&path);
        let said = listen_at(&path).err().map(|error| error.to_string());
        let is_there = path.exists();
        drop(kept);
        fs::remove_dir_all(&folder).unwrap();
        assert!(is_there, "{name}: what listens is there, and so is what was refused");
        match (said, want) {
            (None, None) => {}
            (Some(said), Some(word)) => {
                assert!(said.contains(word) && said.contains(path.to_str().unwrap()), "{name}: {said}");
            }
            (said, want) => panic!("{name}: {said:?}, not {want:?}"),
        }
    }

    fn socket_at(path: &Path, is_listening: bool) -> OwnedFd {
        let socket = socket(SocketFlags::CLOEXEC).unwrap();
        bind(&socket, &SocketAddrUnix::new(path).unwrap()).unwrap();
        if is_listening {
            listen(&socket, 1).unwrap();
        }
        socket
    }

    #[test]
    fn only_what_a_killed_loader_left_is_removed() {
        check("nothing", |_| None, None);
        check(
            "left",
            |path| {
                drop(socket_at(path, false));
                None
            },
            None,
        );
        check("another", |path| Some(socket_at(path, true)), Some("another loader listens there"));
        check(
            "file",
            |path| {
                fs::write(path, "kept").unwrap();
                None
            },
            Some("is no socket"),
        );
        check(
            "folder",
            |path| {
                fs::create_dir(path).unwrap();
                None
            },
            Some("is no socket"),
        );
        check(
            "stream",
            |path| Some(UnixListener::bind(path).unwrap().into()),
            Some("not one that a loader left"),
        );
    }
}
