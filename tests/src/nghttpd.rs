//! nghttpd, the server of nghttp2: strict about HTTP/2, and it shows each frame.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use crate::certificates::{Certificates, Holder};
use crate::daemon::Daemon;
use crate::nginx::FILES;
use crate::skip;

/// A running nghttpd with the files of [`FILES`]. Dropping it ends it.
#[derive(Debug)]
pub struct Nghttpd {
    daemon: Daemon,
    scheme: &'static str,
    _root: TempDir,
}

impl Nghttpd {
    /// Starts one with more options, over TLS where it is given certificates; or reports that `test` is skipped.
    ///
    /// # Panics
    /// When it is here and does not start.
    #[must_use]
    pub fn start_or_skip(test: &str, certificates: Option<&Certificates>, options: &[&str]) -> Option<Self> {
        if !skip::has_program("nghttpd") {
            skip::skip(test, "needs nghttpd (apt-get install nghttp2-server)");
            return None;
        }
        let root = tempfile::tempdir().expect("a temporary directory can be made");
        for (name, size) in FILES {
            fs::write(root.path().join(name), vec![b'x'; size]).expect("a new directory is writable");
        }
        let files = certificates.map(|made| [made.key(Holder::Server), made.certificate(Holder::Server)]);
        let daemon = Daemon::start("nghttpd", |port| {
            let mut command = Command::new("nghttpd");
            command.args(["-v", "-a", "127.0.0.1", "-d"]).arg(root.path()).args(options);
            match &files {
                None => command.args(["--no-tls", &port.to_string()]),
                Some(files) => command.arg(port.to_string()).args(files),
            };
            command
        });
        let scheme = if certificates.is_some() { "https" } else { "http" };
        Some(Self { daemon, scheme, _root: root })
    }

    /// The path is one of [`FILES`], or anything that is to be 404.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.target())
    }

    /// As a scenario's target.
    #[must_use]
    pub fn target(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.daemon.port())
    }

    /// Requests that were received whole up to their head.
    #[must_use]
    pub fn requests(&self) -> u64 {
        let [shown, _] = self.shown();
        shown
            .lines()
            .filter(|line| line.contains(" recv (stream_id=") && line.contains(") :method: "))
            .count() as u64
    }

    /// All that it has shown until now.
    #[must_use]
    pub fn shown(&self) -> [String; 2] {
        self.daemon.output_now()
    }
}
