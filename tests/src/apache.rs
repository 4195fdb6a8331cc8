//! Apache with its module for HTTP/2: a third implementation of it, in clear text and over TLS. It can ask who one is.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::access::{Access, BASIC, DIGEST_MD5, FORMAT, REALM};
use crate::certificates::{Certificates, Holder};
use crate::daemon::Daemon;
use crate::nginx::FILES;
use crate::skip;

/// Where Debian puts them.
const MODULES: &str = "/usr/lib/apache2/modules";
const MODULES_LOADED: [&str; 9] = [
    "mpm_event",
    "authn_core",
    "authn_file",
    "authz_core",
    "authz_user",
    "auth_basic",
    "auth_digest",
    "http2",
    "ssl",
];

/// How it asks who one is; the user of [`crate::access`] alone is let in.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Guard {
    Basic,
    /// With MD5, and further directives of its module.
    Digest(&'static str),
}

/// A running Apache with the files of [`FILES`]. Dropping it ends it and its children.
#[derive(Debug)]
pub struct Apache {
    directory: TempDir,
    daemon: Daemon,
    scheme: &'static str,
}

impl Apache {
    /// Starts one, over TLS where it is given certificates; or reports that `test` is skipped.
    ///
    /// # Panics
    /// When it is here and does not start.
    #[must_use]
    pub fn start_or_skip(test: &str, certificates: Option<&Certificates>) -> Option<Self> {
        let secrecy = certificates.map_or_else(String::new, secrecy);
        Self::with_or_skip(test, if certificates.is_some() { "https" } else { "http" }, &secrecy)
    }

    /// Starts one in clear text that asks who one is; or reports that `test` is skipped.
    ///
    /// # Panics
    /// When it is here and does not start.
    #[must_use]
    pub fn guarded_or_skip(test: &str, guard: Guard) -> Option<Self> {
        Self::with_or_skip(test, "http", &guarded(guard))
    }

    fn with_or_skip(test: &str, scheme: &'static str, directives: &str) -> Option<Self> {
        if !skip::has_program("apache2") || !Path::new(MODULES).join("mod_http2.so").exists() {
            skip::skip(test, "needs apache2 with its module for HTTP/2 (apt-get install apache2-bin)");
            return None;
        }
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        // Apache's workers give up root, and must reach the files all the same.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755))
            .expect("an own directory can be changed");
        let root = directory.path().join("www");
        fs::create_dir(&root).expect("a new directory is writable");
        for (name, size) in FILES {
            fs::write(root.join(name), vec![b'x'; size]).expect("a new directory is writable");
        }
        fs::write(directory.path().join("basic"), BASIC).expect("a new directory is writable");
        fs::write(directory.path().join("digest"), DIGEST_MD5).expect("a new directory is writable");
        let daemon = Daemon::start("apache2", |port| {
            let file = directory.path().join("apache.conf");
            let text = configuration(directory.path(), port, directives);
            fs::write(&file, text).expect("a new directory is writable");
            let mut command = Command::new("apache2");
            command.arg("-DFOREGROUND").arg("-d").arg(directory.path()).arg("-f").arg(file);
            command
        });
        Some(Self { directory, daemon, scheme })
    }

    /// The path is one of [`FILES`], or anything that is to be 404.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.target())
    }

    /// Lines of its access log, one for each request that ended: its status and its protocol.
    #[must_use]
    pub fn logged(&self) -> Vec<String> {
        let text = fs::read_to_string(self.directory.path().join("access.log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// What a guarded one has logged until now.
    #[must_use]
    pub fn asked(&self) -> Vec<Access> {
        let log = fs::read_to_string(self.directory.path().join("asked.log"));
        Access::all_of(&log.unwrap_or_default())
    }

    /// As a scenario's target.
    #[must_use]
    pub fn target(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.daemon.port())
    }
}

fn guarded(guard: Guard) -> String {
    let how = match guard {
        Guard::Basic => "AuthType Basic\nAuthUserFile {dir}/basic".to_owned(),
        Guard::Digest(more) => format!("AuthType Digest\nAuthUserFile {{dir}}/digest\n{more}"),
    };
    format!(
        "LogFormat \"{FORMAT}\" asked\nCustomLog {{dir}}/asked.log asked\n\
         <Location />\nAuthName {REALM}\n{how}\nRequire valid-user\n</Location>\n"
    )
}

fn secrecy(certificates: &Certificates) -> String {
    let (certificate, key) = (certificates.certificate(Holder::Server), certificates.key(Holder::Server));
    format!("SSLEngine on\nSSLCertificateFile {certificate}\nSSLCertificateKeyFile {key}\n")
}

/// `{dir}` within the directives is the directory.
fn configuration(directory: &Path, port: u16, directives: &str) -> String {
    let dir = directory.display();
    let directives = directives.replace("{dir}", &dir.to_string());
    let modules: String = MODULES_LOADED
        .iter()
        .map(|name| format!("LoadModule {name}_module {MODULES}/mod_{name}.so\n"))
        .collect();
    format!(
        "{modules}ServerName localhost\nListen 127.0.0.1:{port}\nUser www-data\nGroup www-data\n\
         DefaultRuntimeDir {dir}\nPidFile {dir}/pid\nErrorLog {dir}/error.log\nDocumentRoot {dir}/www\n\
         StartServers 1\nServerLimit 1\nThreadsPerChild 25\nMaxRequestWorkers 25\nMaxKeepAliveRequests 0\n\
         LogFormat \"%>s %H\" counted\nCustomLog {dir}/access.log counted\nProtocols h2 h2c http/1.1\n{directives}"
    )
}
