//! `brunt-loader` as a service of one test, and what it leaves behind.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use brunt_loader::session::Session;
use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use crate::process::{Ended, Running};
use crate::skip::{is_root, skip};
use crate::{brunt, clock};

const DEADLINE: Duration = Duration::from_secs(10);
/// Where loaders pin guards.
const PINS: &str = "/run/brunt/bpf";
/// Cgroups that are looked at in search of a session's.
const CGROUPS_MAX: usize = 10_000;

/// A loader with a socket of its own. Dropping it kills it; what it had in the kernel beside pins goes with it.
#[derive(Debug)]
pub struct Loader {
    running: Running,
    pid: Pid,
    directory: TempDir,
}

impl Loader {
    /// Starts one and waits until it listens; without root, the test is skipped.
    #[must_use]
    pub fn start_or_skip(test: &str, args: &str) -> Option<Self> {
        if !is_root() {
            skip(test, "loading kernel programs needs root");
            return None;
        }
        let directory = open_directory();
        let mut command = Command::new(binary());
        command.arg("--socket").arg(socket_in(&directory)).args(args.split_whitespace());
        Some(Self::ready(Running::start(command), directory))
    }

    /// One to which the test passes a listening socket as systemd does (sd_listen_fds(3)).
    #[must_use]
    pub fn activated(args: &str, listener: Stdio, directory: TempDir) -> Self {
        let mut command = Command::new("sh");
        let script = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\"";
        command.args(["-c", script]).arg(binary()).args(args.split_whitespace());
        Self::ready(Running::start_with(command, listener), directory)
    }

    fn ready(running: Running, directory: TempDir) -> Self {
        clock::until("the loader to be ready", DEADLINE, || {
            let [_, said] = running.output_now();
            assert!(!running.has_ended(), "the loader has ended: {said}");
            said.contains("ready").then_some(())
        });
        let pid = running.pid();
        Self { running, pid, directory }
    }

    #[must_use]
    pub const fn pid(&self) -> Pid {
        self.pid
    }

    #[must_use]
    pub fn socket(&self) -> PathBuf {
        socket_in(&self.directory)
    }

    /// A new session with it.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn dial(&self) -> Session {
        Session::dial(&self.socket()).expect("the loader listens")
    }

    /// As a flag of `brunt`.
    #[must_use]
    pub fn flag(&self) -> String {
        format!("--loader-socket {}", self.socket().display())
    }

    /// What it has said until now.
    #[must_use]
    pub fn said(&self) -> String {
        let [_, said] = self.running.output_now();
        said
    }

    pub fn signal(&self, signal: Signal) {
        self.running.signal(signal);
    }

    /// Ends it, and waits for that.
    #[must_use]
    #[track_caller]
    pub fn end(self, signal: Signal) -> Ended {
        self.running.signal(signal);
        self.running.finish(Duration::from_secs(60))
    }
}

/// A directory that every user may look into, with room for a socket.
///
/// # Panics
/// When none can be made.
#[must_use]
pub fn open_directory() -> TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let mode = Permissions::from_mode(0o755);
    fs::set_permissions(directory.path(), mode).expect("an own directory can be opened to all");
    directory
}

/// Where a loader listens in such a directory.
#[must_use]
pub fn socket_in(directory: &TempDir) -> PathBuf {
    directory.path().join("loader.sock")
}

/// Beside the `brunt` under test, as it is installed.
#[must_use]
pub fn binary() -> PathBuf {
    brunt::binary().with_file_name("brunt-loader")
}

/// The cgroups of the sessions of a loader that are there now.
///
/// # Panics
/// When no cgroups of version 2 are mounted.
#[must_use]
pub fn cgroups_of(loader: Pid) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut to_see = vec![cgroup2()];
    for _ in 0..CGROUPS_MAX {
        let Some(path) = to_see.pop() else { break };
        let children: Vec<_> = folders_in(&path);
        found.extend(children.iter().filter(|path| is_of(loader, path)).cloned());
        to_see.extend(children);
    }
    found
}

/// The folders of pins of a loader's sessions.
#[must_use]
pub fn pins_of(loader: Pid) -> Vec<PathBuf> {
    folders_in(Path::new(PINS)).into_iter().filter(|path| is_of(loader, path)).collect()
}

/// Where cgroups of version 2 are mounted.
///
/// # Panics
/// When they are not.
#[must_use]
pub fn cgroup2() -> PathBuf {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("/proc is mounted");
    let mut places = mounts.lines().filter_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        after.starts_with("cgroup2 ").then(|| before.split(' ').nth(4)).flatten()
    });
    places.next().map(PathBuf::from).expect("cgroups of version 2 are mounted")
}

/// Sessions are named after the loader's process.
fn is_of(loader: Pid, path: &Path) -> bool {
    let start = format!("brunt-{}-", loader.as_raw_nonzero());
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(&start))
}

fn folders_in(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|e| e.path()).collect()
}
