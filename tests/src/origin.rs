//! `brunt origin`, the target that Brunt brings along.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;
use std::time::Duration;

use rustix::process::Pid;

use crate::brunt::binary;
use crate::clock;
use crate::process::Running;

const START_DEADLINE: Duration = Duration::from_secs(5);
/// TCP_LISTEN in the kernel's list of sockets.
const LISTENING: &str = "0A";

/// A running origin. Dropping it ends it.
#[derive(Debug)]
pub struct Origin {
    _running: Running,
    port: u16,
}

impl Origin {
    /// Starts one on a free port of 127.0.0.1, and waits until it listens.
    #[must_use]
    pub fn start(args: &str) -> Self {
        Self::start_wrapped(&[], args)
    }

    /// The same, started by a command that becomes it by `exec`.
    ///
    /// # Panics
    /// When it does not listen in time.
    #[must_use]
    pub fn start_wrapped(wrapper: &[&str], args: &str) -> Self {
        let port = free_port();
        let own =
            [binary().to_string_lossy().into_owned(), "origin".into(), "--port".into(), port.to_string()];
        let words: Vec<String> = wrapper.iter().map(|word| (*word).to_owned()).chain(own).collect();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(args.split_whitespace());
        let running = Running::start(command);
        clock::until("brunt origin to listen", START_DEADLINE, || listens(running.pid(), port).then_some(()));
        Self { _running: running, port }
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `http://127.0.0.1:PORT/path`
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }
}

/// Does somebody listen at this port, in the network that this process is in?
pub(crate) fn listens(pid: Pid, port: u16) -> bool {
    let sockets = fs::read_to_string(format!("/proc/{}/net/tcp", pid.as_raw_nonzero())).unwrap_or_default();
    let end = format!(":{port:04X}");
    sockets.lines().any(|line| {
        let fields: Vec<_> = line.split_whitespace().take(4).collect();
        matches!(fields[..], [_, local, _, state] if local.ends_with(&end) && state == LISTENING)
    })
}

/// A port of 127.0.0.1 that nobody listens at now.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port is free");
    listener.local_addr().expect("it is bound").port()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_seen_and_gone() {
        let own = rustix::process::getpid();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(listens(own, port));
        drop(listener);
        assert!(!listens(own, port));
    }
}
