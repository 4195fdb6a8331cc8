//! Apache with its module for HTTP/2: a third implementation of it, in clear text and over TLS.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::certificates::{Certificates, Holder};
use crate::daemon::Daemon;
use crate::nginx::FILES;
use crate::skip;

/// Where Debian puts them.
const MODULES: &str = "/usr/lib/apache2/modules";

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
        let secrecy = certificates.map_or_else(String::new, secrecy);
        let daemon = Daemon::start("apache2", |port| {
            let file = directory.path().join("apache.conf");
            let text = configuration(directory.path(), port, &secrecy);
            fs::write(&file, text).expect("a new directory is writable");
            let mut command = Command::new("apache2");
            command.arg("-DFOREGROUND").arg("-d").arg(directory.path()).arg("-f").arg(file);
            command
        });
        let scheme = if certificates.is_some() { "https" } else { "http" };
        Some(Self { directory, daemon, scheme })
    }

    /// The path is one of [`FILES`], or anything that is to be 404.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}://127.0.0.1:{}/{path}", self.scheme, self.daemon.port())
    }

    /// Lines of its access log, one for each request that ended: its status and its protocol.
    #[must_use]
    pub fn logged(&self) -> Vec<String> {
        let text = fs::read_to_string(self.directory.path().join("access.log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

fn secrecy(certificates: &Certificates) -> String {
    let (certificate, key) = (certificates.certificate(Holder::Server), certificates.key(Holder::Server));
    format!("SSLEngine on\nSSLCertificateFile {certificate}\nSSLCertificateKeyFile {key}\n")
}

fn configuration(directory: &Path, port: u16, secrecy: &str) -> String {
    let dir = directory.display();
    let modules: String = ["mpm_event", "authz_core", "http2", "ssl"]
        .iter()
        .map(|name| format!("LoadModule {name}_module {MODULES}/mod_{name}.so\n"))
        .collect();
    format!(
        "{modules}ServerName localhost\nListen 127.0.0.1:{port}\nUser www-data\nGroup www-data\n\
         DefaultRuntimeDir {dir}\nPidFile {dir}/pid\nErrorLog {dir}/error.log\nDocumentRoot {dir}/www\n\
         StartServers 1\nServerLimit 1\nThreadsPerChild 25\nMaxRequestWorkers 25\nMaxKeepAliveRequests 0\n\
         LogFormat \"%>s %H\" counted\nCustomLog {dir}/access.log counted\nProtocols h2 h2c http/1.1\n{secrecy}"
    )
}
