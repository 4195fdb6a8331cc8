//! Finding a loader: the service's socket, or one started for this run.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use brunt_loader::session::{Session, SessionError, is_ready};
use brunt_loader::wire::{Op, Reply, Request};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

const PROGRAM: &str = "brunt-loader";
/// A loader of ours writes a few lines at most.
const SAID_MAX: u64 = 4_096;
/// A loader of ours may clean up so long before it is ended: it waits a little for its cgroup to be empty.
const FAREWELL: Duration = Duration::from_secs(10);
/// The same for what it says last, once its session is closed.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(1);

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
        asked.map_err(|error| self.in_words(&error))
    }

    /// How things stand. `is_owed`: the answer to this question was late before, so it is only waited for.
    ///
    /// # Errors
    /// When there is no answer in time, or none to come.
    pub(crate) fn status(&self, is_owed: bool, within: Duration) -> Result<Reply, Silence> {
        let session = self.session.as_ref().ok_or(SessionError::Gone);
        let answer = session.and_then(|session| match is_owed {
            true => session.answer_within(within),
            false => session.ask_within(&Request::new(Op::Status), within),
        });
        match answer {
            Ok((reply, _)) => Ok(reply),
            Err(SessionError::Late(_)) => Err(Silence::Late),
            Err(error) => Err(Silence::Gone(self.in_words(&error))),
        }
    }

    #[cfg(test)]
    pub(super) const fn over(session: Session) -> Self {
        Self { session: Some(session), own: None }
    }

    fn in_words(&self, error: &SessionError) -> String {
        match (error, &self.own) {
            (SessionError::Gone, Some(own)) => own.last_words().unwrap_or_else(|| error.to_string()),
            _ => error.to_string(),
        }
    }

    /// Was it started for this process?
    pub(crate) const fn is_own(&self) -> bool {
        self.own.is_some()
    }
}

/// Why there is no answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Silence {
    /// It may only be slow, and answer later.
    Late,
    Gone(String),
}

/// A loader of ours, and what it says.
#[derive(Debug)]
struct Own {
    process: Child,
    said: Option<File>,
}

impl Own {
    /// Reads to the end, so it must have ended.
    fn last_words(&self) -> Option<String> {
        if !self.ends_within(LAST_WORDS_WITHIN) {
            return None;
        }
        let mut text = String::new();
        self.said.as_ref()?.take(SAID_MAX).read_to_string(&mut text).ok()?;
        let line = text.lines().last()?;
        Some(line.strip_prefix("brunt-loader: ").unwrap_or(line).to_owned())
    }

    fn ends_within(&self, most: Duration) -> bool {
        let watched = pidfd_open(Pid::from_child(&self.process), PidfdFlags::empty());
        watched.and_then(|watched| is_ready(watched.as_fd(), most)).unwrap_or(false)
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.session = None;
        if let Some(own) = &mut self.own {
            if !own.ends_within(FAREWELL) {
                // What it leaves, the next loader clears up.
                let _ = own.process.kill();
            }
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
    // Ctrl-C in a terminal goes to all of a process group, and must not end it before the run has drained.
    command.process_group(0);
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
