//! Servers that are not ours: started on a free port of 127.0.0.1, watched until they listen, ended with the test.

use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::clock;
use crate::origin::{free_port, listens};
use crate::process::Running;

const START_DEADLINE: Duration = Duration::from_secs(10);
const END_DEADLINE: Duration = Duration::from_secs(10);
/// A port that was free may be taken by another before the server binds it.
const START_ATTEMPTS: usize = 5;

/// A running server. Dropping it ends it and its children.
#[derive(Debug)]
pub struct Daemon {
    running: Running,
    port: u16,
}

impl Daemon {
    /// Starts the command for a free port; it must stay in the foreground.
    ///
    /// # Panics
    /// When it does not listen in time, or ended at each attempt.
    #[must_use]
    pub fn start(what: &str, command: impl Fn(u16) -> Command) -> Self {
        let mut last = [String::new(), String::new()];
        for _ in 0..START_ATTEMPTS {
            let port = free_port();
            let running = Running::start(command(port));
            let serves = clock::until(&format!("{what} to listen"), START_DEADLINE, || {
                if running.has_ended() {
                    return Some(false);
                }
                listens(running.pid(), port).then_some(true)
            });
            if serves {
                return Self { running, port };
            }
            last = running.output_now();
        }
        panic!("{what} did not start in {START_ATTEMPTS} attempts: {last:?}");
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it has written to stdout and to stderr until now.
    #[must_use]
    pub fn output_now(&self) -> [String; 2] {
        self.running.output_now()
    }
    /// Asks it to end, and waits until it has: what it writes at its end is there then.
    ///
    /// # Panics
    /// When it does not end in time.
    pub fn end(self) {
        self.running.signal(Signal::TERM);
        clock::until("the end of a server", END_DEADLINE, || self.running.has_ended().then_some(()));
    }
}
