//! The zoo as a process of its own: the program `brunt-zoo` and whoever starts it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::Pid;
use tempfile::TempDir;

use super::case::Case;
use super::find;

/// Printed when every case is being served.
pub(super) const READY: &str = "ready";

/// A running `brunt-zoo`. Dropping it ends it.
#[derive(Debug)]
pub struct Keeper {
    child: Child,
    directory: TempDir,
    places: Vec<(&'static Case, String)>,
}

impl Keeper {
    /// Starts this binary and waits until it serves all cases.
    ///
    /// # Panics
    /// When it cannot be started, or ends before it serves.
    #[must_use]
    pub fn start(binary: &Path) -> Self {
        Self::start_command(Command::new(binary))
    }

    /// Starts its DNS server alone, on the port that resolvers ask, by a command that becomes it by `exec`.
    ///
    /// # Panics
    /// When it cannot be started, or ends before it serves.
    #[must_use]
    pub fn names(binary: &str, wrapper: &[&str]) -> Self {
        let words = [wrapper, &[binary, "--names", "53"]].concat();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        Self::start_command(command)
    }

    fn start_command(mut command: Command) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        command.arg("--ca").arg(directory.path().join("ca.pem"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut keeper = Self { child, directory, places: Vec::new() };
        let out = keeper.child.stdout.take().expect("it is piped");
        for line in BufReader::new(out).lines() {
            let line = line.expect("the zoo prints text");
            if line == READY {
                return keeper;
            }
            keeper.places.push(place(&line));
        }
        panic!("the zoo ended before it served anything");
    }

    /// Each case with its URL.
    #[must_use]
    pub fn places(&self) -> &[(&'static Case, String)] {
        &self.places
    }

    /// A file with the certificate of the zoo's authority.
    #[must_use]
    pub fn authority(&self) -> String {
        self.directory.path().join("ca.pem").to_string_lossy().into_owned()
    }

    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

fn place(line: &str) -> (&'static Case, String) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [id, _, url] = words[..] else { panic!("the zoo printed '{line}'") };
    (find(id).expect("a case of the table"), url.to_owned())
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
