//! Real proxies: tinyproxy for HTTP's CONNECT, microsocks for SOCKS5.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use crate::daemon::Daemon;
use crate::skip;

/// Which of the two.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    Http,
    Socks5,
}

/// A running proxy, with or without a password. Dropping it ends it.
#[derive(Debug)]
pub struct Proxy {
    kind: Kind,
    daemon: Daemon,
    directory: TempDir,
}

impl Proxy {
    /// Starts one that lets in whoever has the credentials, or everybody; or reports that `test` is skipped.
    ///
    /// # Panics
    /// When it is here and does not start.
    #[must_use]
    pub fn start_or_skip(test: &str, kind: Kind, credentials: Option<(&str, &str)>) -> Option<Self> {
        let (program, package) = match kind {
            Kind::Http => ("tinyproxy", "tinyproxy-bin"),
            Kind::Socks5 => ("microsocks", "microsocks"),
        };
        if !skip::has_program(program) {
            skip::skip(test, &format!("needs {program} (apt-get install {package})"));
            return None;
        }
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let daemon = Daemon::start(program, |port| match kind {
            Kind::Http => tinyproxy(&directory, port, credentials),
            Kind::Socks5 => microsocks(port, credentials),
        });
        Some(Self { kind, daemon, directory })
    }

    /// As `--proxy` takes it; `login` is empty or ends with `@`.
    #[must_use]
    pub fn url(&self, login: &str) -> String {
        let scheme = match self.kind {
            Kind::Http => "http",
            Kind::Socks5 => "socks5",
        };
        format!("{scheme}://{login}127.0.0.1:{}", self.daemon.port())
    }

    /// Connections that it made to targets, as its log has them.
    #[must_use]
    pub fn tunnels(&self) -> usize {
        let (text, mark) = match self.kind {
            Kind::Http => {
                (fs::read_to_string(self.directory.path().join("log")).unwrap_or_default(), ": CONNECT ")
            }
            Kind::Socks5 => (self.daemon.output_now().concat(), ": connected to "),
        };
        text.lines().filter(|line| line.contains(mark)).count()
    }
}

fn tinyproxy(directory: &TempDir, port: u16, credentials: Option<(&str, &str)>) -> Command {
    let file = directory.path().join("tinyproxy.conf");
    let log = directory.path().join("log");
    let login =
        credentials.map(|(user, password)| format!("BasicAuth {user} {password}\n")).unwrap_or_default();
    let text = format!(
        "Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 100\nLogFile \"{}\"\nLogLevel Connect\n{login}",
        log.display()
    );
    fs::write(&file, text).expect("a new directory is writable");
    let mut command = Command::new("tinyproxy");
    command.arg("-d").arg("-c").arg(file);
    command
}

fn microsocks(port: u16, credentials: Option<(&str, &str)>) -> Command {
    let mut command = Command::new("microsocks");
    command.args(["-i", "127.0.0.1", "-p", &port.to_string()]);
    if let Some((user, password)) = credentials {
        command.args(["-u", user, "-P", password]);
    }
    command
}
