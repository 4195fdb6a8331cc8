//! A loader of a test's own, with a socket of its own.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use brunt_loader::session::Session;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::Running;
use crate::{brunt, clock, skip};

/// It has a bpffs to mount and its privileges to give up.
const START_DEADLINE: Duration = Duration::from_secs(10);

/// A running loader. Dropping it ends it.
#[derive(Debug)]
pub struct Loader {
    running: Running,
    folder: TempDir,
}

impl Loader {
    /// Starts one that may grant this, or reports that `test` is skipped.
    ///
    /// # Panics
    /// When it does not listen in time.
    #[must_use]
    pub fn start_or_skip(test: &str, allow: &[&str]) -> Option<Self> {
        if !skip::is_root() {
            skip::skip(test, "needs root, for programs in the kernel");
            return None;
        }
        let folder = tempfile::tempdir().expect("a temporary directory can be made");
        let mut command = Command::new(binary());
        command.arg("--socket").arg(folder.path().join(SOCKET));
        allow.iter().for_each(|grant| {
            command.args(["--allow", grant]);
        });
        let running = Running::start(command);
        let is_ready = clock::until("the loader to be ready", START_DEADLINE, || {
            if running.has_ended() {
                return Some(false);
            }
            running.output_now()[1].contains("brunt-loader: ready").then_some(true)
        });
        if !is_ready {
            skip::skip(test, &format!("needs a loader, which ended: {}", running.output_now()[1].trim()));
            return None;
        }
        Some(Self { running, folder })
    }

    /// A new session with it.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn dial(&self) -> Session {
        Session::dial(&self.socket()).expect("the loader listens")
    }

    /// Where it listens.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join(SOCKET)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.running.signal(signal);
    }

    /// What it has written to stderr until now.
    #[must_use]
    pub fn log(&self) -> String {
        let [_, log] = self.running.output_now();
        log
    }
}

const SOCKET: &str = "loader.sock";

/// Beside the binary under test.
#[must_use]
pub fn binary() -> PathBuf {
    brunt::binary().with_file_name("brunt-loader")
}
