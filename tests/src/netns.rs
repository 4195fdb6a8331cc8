//! A network of its own for a test: one namespace with nothing but a loopback.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::skip;

/// Namespaces made by this process so far: part of their names.
static MADE: AtomicU32 = AtomicU32::new(0);

/// A namespace. Dropping it deletes it.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes one with its loopback up, or reports that `test` is skipped.
    #[must_use]
    pub fn make_or_skip(test: &str) -> Option<Self> {
        if !skip::is_root() || !skip::has_program("ip") {
            skip::skip(test, "needs root and the program ip (iproute2), for a network namespace");
            return None;
        }
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let namespace = Self { name: format!("brunt-test-{}-{number}", std::process::id()) };
        if let Err(error) = ip(&["netns", "add", &namespace.name]) {
            skip::skip(test, &format!("needs a network namespace, which cannot be made here: {error}"));
            return None;
        }
        namespace.run(&["ip", "link", "set", "lo", "up"]);
        Some(namespace)
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs a command inside, to its end.
    ///
    /// # Panics
    /// When it fails.
    pub fn run(&self, command: &[&str]) {
        let mut args = vec!["netns", "exec", &self.name];
        args.extend(command);
        ip(&args).unwrap_or_else(|error| panic!("{command:?} in the namespace: {error}"));
    }

    /// The words that make a command run inside.
    #[must_use]
    pub fn wrapper(&self) -> [&str; 4] {
        ["ip", "netns", "exec", &self.name]
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = ip(&["netns", "delete", &self.name]);
    }
}

fn ip(args: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(args).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}
