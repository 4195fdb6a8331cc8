//! lighttpd, which asks for Digest authentication with SHA-256.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use crate::access::{Access, DIGEST_SHA256, FORMAT, REALM};
use crate::daemon::Daemon;
use crate::nginx::FILES;
use crate::skip;

/// A running lighttpd with the files of [`FILES`], for the user of [`crate::access`] alone. Dropping it ends it.
#[derive(Debug)]
pub struct Lighttpd {
    directory: TempDir,
    daemon: Daemon,
}

impl Lighttpd {
    /// Starts one, or reports that `test` is skipped.
    ///
    /// # Panics
    /// When it is here and does not start.
    #[must_use]
    pub fn start_or_skip(test: &str) -> Option<Self> {
        if !skip::has_program("lighttpd") {
            skip::skip(test, "needs lighttpd (apt-get install lighttpd)");
            return None;
        }
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let write = |name: &str, content: &[u8]| {
            fs::write(directory.path().join(name), content).expect("a new directory is writable");
        };
        fs::create_dir(directory.path().join("www")).expect("a new directory is writable");
        for (name, size) in FILES {
            write(&format!("www/{name}"), &vec![b'x'; size]);
        }
        write("users", DIGEST_SHA256.as_bytes());
        let daemon = Daemon::start("lighttpd", |port| {
            write("lighttpd.conf", configuration(&directory.path().display().to_string(), port).as_bytes());
            let mut command = Command::new("lighttpd");
            command.arg("-D").arg("-f").arg(directory.path().join("lighttpd.conf"));
            command
        });
        Some(Self { directory, daemon })
    }

    /// As a scenario's target.
    #[must_use]
    pub fn target(&self) -> String {
        format!("http://127.0.0.1:{}", self.daemon.port())
    }

    /// Ends it, so that its log is whole; every request that it got.
    ///
    /// # Panics
    /// When it does not end in time, or its log cannot be read.
    #[must_use]
    pub fn end(self) -> Vec<Access> {
        let Self { directory, daemon } = self;
        daemon.end();
        let log = fs::read_to_string(directory.path().join("access.log"));
        Access::all_of(&log.expect("lighttpd has a log"))
    }
}

fn configuration(directory: &str, port: u16) -> String {
    format!(
        "server.modules = (\"mod_auth\", \"mod_authn_file\", \"mod_accesslog\")\n\
         server.bind = \"127.0.0.1\"\nserver.port = {port}\nserver.document-root = \"{directory}/www\"\n\
         server.max-keep-alive-requests = 100000\n\
         accesslog.filename = \"{directory}/access.log\"\naccesslog.format = \"{FORMAT}\"\n\
         auth.backend = \"htdigest\"\nauth.backend.htdigest.userfile = \"{directory}/users\"\n\
         auth.require = (\"/\" => (\"method\" => \"digest\", \"algorithm\" => \"SHA-256\", \
         \"realm\" => \"{REALM}\", \"require\" => \"valid-user\"))\n"
    )
}
