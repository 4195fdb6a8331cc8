//! Finding a loader: the service's socket, or one started for this run.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use brunt_loader::session::{Session, SessionError};
use brunt_loader::wire::{Reply, Request};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

const PROGRAM: &str = "brunt-loader";

/// A session, and the loader itself where it is ours.
#[derive(Debug)]
pub(crate) struct Loader {
    /// Dropped first: without its only peer, a loader of ours cleans up and ends.
    session: Option<Session>,
    own: Option<Child>,
}

impl Loader {
    pub(crate) fn ask(&self, request: &Request) -> Result<(Reply, Vec<OwnedFd>), SessionError> {
        self.session.as_ref().ok_or(SessionError::Gone)?.ask(request)
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.session = None;
        if let Some(own) = &mut self.own {
            // It ends within seconds whatever it meets.
            let _ = own.wait();
        }
    }
}

/// The service, or a loader of ours.
pub(crate) fn begin_loader(socket: &Path) -> Result<Loader, String> {
    let error = match Session::dial(socket) {
        Ok(session) => return Ok(Loader { session: Some(session), own: None }),
        Err(error) => error,
    };
    let socket = socket.display();
    if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) {
        return Err(format!("the loader at {socket} cannot be reached ({error})"));
    }
    if !rustix::process::geteuid().is_root() {
        return Err(format!("no loader at {socket}; start brunt-loader, or run this as root"));
    }
    start().map_err(|why| format!("no loader at {socket}, and none can be started: {why}"))
}

fn start() -> Result<Loader, String> {
    let program = find().ok_or_else(|| format!("{PROGRAM} is neither beside this program nor in PATH"))?;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .map_err(|error| format!("a pair of sockets: {error}"))?;
    let mut command = Command::new(&program);
    command.arg("--once").env_clear().stdin(Stdio::from(theirs)).stdout(Stdio::null());
    let own = command.spawn().map_err(|error| format!("{}: {error}", program.display()))?;
    Ok(Loader { session: Some(Session::over(ours)), own: Some(own) })
}

/// Beside this program, where it is installed and built with it.
fn find() -> Option<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|path| Some(path.parent()?.join(PROGRAM)));
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&paths).map(|folder| folder.join(PROGRAM));
    beside.into_iter().chain(in_path).find(|path| path.is_file())
}
