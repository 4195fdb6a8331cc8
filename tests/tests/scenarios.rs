//! Scenario files, run by the built `brunt`: what users do, what is sent for them, and what is made of the answers.
//!
//! One test at a time makes load (`brunt_tests::turn`). Counts are exact, and what was sent is what a server saw.

#[path = "scenarios/answers.rs"]
mod answers;
#[path = "scenarios/auth.rs"]
mod auth;
#[path = "scenarios/aws.rs"]
mod aws;
#[path = "scenarios/crash.rs"]
mod crash;
#[path = "scenarios/data.rs"]
mod data;
#[path = "scenarios/examples.rs"]
mod examples;
#[path = "scenarios/hostile.rs"]
mod hostile;
#[path = "scenarios/lives.rs"]
mod lives;
#[path = "scenarios/locust.rs"]
mod locust;
#[path = "scenarios/once.rs"]
mod once;
#[path = "scenarios/replay.rs"]
mod replay;
#[path = "scenarios/same.rs"]
mod same;
#[path = "scenarios/secrets.rs"]
mod secrets;
#[path = "scenarios/sent.rs"]
mod sent;

use std::fs;
use std::path::Path;

use brunt_tests::brunt::Brunt;
use tempfile::TempDir;

/// Both I/O drivers; every behaviour on the wire is checked with each.
pub(crate) const IO: [&str; 2] = ["uring", "epoll"];

/// A folder with a scenario and the files that it names.
pub(crate) struct Folder(TempDir);

impl Folder {
    /// The scenario's text, and other files by name and content.
    pub(crate) fn new(scenario: &str, files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory can be made");
        for (name, content) in files.iter().chain(&[("scenario.yaml", scenario)]) {
            fs::write(folder.path().join(name), content).expect("a new directory is writable");
        }
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// `brunt run` with the scenario and these arguments, about to be made.
    pub(crate) fn run(&self, args: &str) -> Brunt {
        let scenario = self.path().join("scenario.yaml");
        Brunt::new("run")
            .arg(&scenario.display().to_string())
            .args(&args.split_whitespace().collect::<Vec<_>>())
    }
}
