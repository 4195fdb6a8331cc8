//! An origin that tells the truth about itself: the program `brunt-truth` and whoever starts it.
//!
//! It stamps the clock when `read` returned a request and just before `write` of its answer, both by
//! `CLOCK_MONOTONIC`, which is also the clock of kernel programs (`bpf_ktime_get_ns`). So what it reports is the time
//! that a request was with it, and what others measured of the same requests can be held against that. One thread on a
//! core of its own looks at its sockets without ever sleeping while there is work, so neither stamp waits for a wake-up.
//!
//! Each request is answered at its own due time, a fixed delay after its read, so the streams of a connection overlap. The
//! answer is put together and sealed at that time and stamped then, so a large body adds to the delay and to the truth.
//! While a client does not take what was sent, later answers wait behind that, which the stamps do not show.
//! Speaks HTTP/1.1 with keep-alive and HTTP/2 with prior knowledge, both over TLS as well. Requests have no content.

mod connection;
mod figures;
mod protocol;
mod serve;
#[cfg(test)]
mod tests;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::Pid;

use crate::certificates::{Certificates, Holder};
use crate::netns::Namespace;

pub use self::connection::tls;
pub use self::figures::{Figures, Truth};
pub use self::serve::{Control, Options, Server};

const LINE_DEADLINE: Duration = Duration::from_secs(10);

/// A running origin. Dropping it ends it.
#[derive(Debug)]
pub struct Origin {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    address: SocketAddr,
    certificates: Option<Certificates>,
}

impl Origin {
    /// Starts this binary on a free port of 127.0.0.1. The arguments are the program's own, except that `--tls` stands
    /// alone: the certificate is made here.
    #[must_use]
    pub fn start(binary: &Path, args: &str) -> Self {
        Self::start_command(&[], binary, args)
    }

    /// The same in a namespace, at this address of it.
    #[must_use]
    pub fn start_inside(namespace: &Namespace, address: IpAddr, binary: &Path, args: &str) -> Self {
        Self::start_command(&namespace.wrapper(), binary, &format!("--bind {address} {args}"))
    }

    /// The wrapper must become the program by `exec`.
    ///
    /// # Panics
    /// When it cannot be started, or ends before it listens.
    fn start_command(wrapper: &[&str], binary: &Path, args: &str) -> Self {
        let certificates = args.split_whitespace().any(|word| word == "--tls").then(Certificates::make);
        let own = binary.to_str().expect("the path of the binary is UTF-8");
        let words = [wrapper, &[own]].concat();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        for word in args.split_whitespace() {
            command.arg(word);
            if let Some(made) = certificates.as_ref().filter(|_| word == "--tls") {
                command.args([made.certificate(Holder::Server), made.key(Holder::Server)]);
            }
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdin = child.stdin.take().expect("it is piped");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let nowhere = SocketAddr::from(([0; 4], 0));
        let mut origin = Self { child, stdin, stdout, address: nowhere, certificates };
        origin.address = origin.line("its address").parse().expect("its first line is its address");
        origin
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://ADDRESS:PORT/path`, or `https` where it was started with `--tls`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.certificates.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/{path}", self.address)
    }

    /// The path of the certificate of the authority to trust.
    ///
    /// # Panics
    /// When it was not started with `--tls`.
    #[must_use]
    pub fn authority(&self) -> String {
        self.certificates.as_ref().expect("it was started with --tls").authority()
    }

    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Has it ended by itself?
    ///
    /// # Panics
    /// When the system does not say.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("an own child can be watched").is_some()
    }

    /// The truth about the requests that were answered since the last report.
    ///
    /// # Panics
    /// When it has ended, or does not say.
    pub fn report(&mut self) -> Figures {
        self.stdin.write_all(b"report\n").expect("the origin is still there");
        let line = self.line("its report");
        Figures::from_json(&line).unwrap_or_else(|| panic!("the origin reported '{line}'"))
    }

    fn line(&mut self, what: &str) -> String {
        let bound = LINE_DEADLINE.try_into().expect("a constant that fits");
        let mut ready = [PollFd::new(self.stdout.get_ref(), PollFlags::IN)];
        let said = poll(&mut ready, Some(&bound)).expect("a pipe can be waited for") > 0;
        assert!(said, "waited {LINE_DEADLINE:?} in vain for the origin to print {what}");
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("the origin prints text");
        line.trim().to_owned()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
