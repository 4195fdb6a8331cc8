//! Finding a loader: the service's socket, or one started for this run.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use brunt_loader::session::{Session, SessionError};
use brunt_loader::wire::{Reply, Request};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

const PROGRAM: &str = "brunt-loader";
/// A loader of ours writes a few lines at most.
const SAID_MAX: u64 = 4_096;

/// A session, and the loader itself where it is ours.
#[derive(Debug)]
pub(crate) struct Loader {
    /// Dropped first: without its only peer, a loader of ours cleans up and ends.
    session: Option<Session>,
    own: Option<Own>,
}

impl Loader {
    /// # Errors
    /// When there is no answer; where a loader of ours ended, with what it said last.
    pub(crate) fn ask(&self, request: &Request) -> Result<(Reply, Vec<OwnedFd>), String> {
        let asked = self.session.as_ref().ok_or(SessionError::Gone).and_then(|session| session.ask(request));
        asked.map_err(|error| match (&error, &self.own) {
            (SessionError::Gone, Some(own)) => own.last_words().unwrap_or_else(|| error.to_string()),
            _ => error.to_string(),
        })
    }

    /// Was it started for this process?
    pub(crate) const fn is_own(&self) -> bool {
        self.own.is_some()
    }
}

/// A loader of ours, and what it says.
#[derive(Debug)]
struct Own {
    process: Child,
    said: Option<File>,
}

impl Own {
    /// Reads to the end, so it must be about to end.
    fn last_words(&self) -> Option<String> {
        let mut text = String::new();
        self.said.as_ref()?.take(SAID_MAX).read_to_string(&mut text).ok()?;
        let line = text.lines().last()?;
        Some(line.strip_prefix("brunt-loader: ").unwrap_or(line).to_owned())
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.session = None;
        if let Some(own) = &mut self.own {
            // It ends within seconds whatever it meets.
            let _ = own.process.wait();
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
    command.arg("--once").env_clear().stdin(Stdio::from(theirs)).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut process = command.spawn().map_err(|error| format!("{}: {error}", program.display()))?;
    let said = process.stderr.take().map(|said| File::from(OwnedFd::from(said)));
    Ok(Loader { session: Some(Session::over(ours)), own: Some(Own { process, said }) })
}

/// Beside this program, where it is installed and built with it.
fn find() -> Option<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|path| Some(path.parent()?.join(PROGRAM)));
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&paths).map(|folder| folder.join(PROGRAM));
    beside.into_iter().chain(in_path).find(|path| path.is_file())
}
