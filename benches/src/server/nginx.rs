//! nginx with its own configuration, serving files of the wanted sizes at one port a face.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use super::{OWN_FILES, Process, free_address, program};
use crate::certificate::Certificate;
use crate::table::folder;

/// What nginx speaks at one of its ports.
#[derive(Copy, Clone, Debug)]
pub enum Face<'a> {
    /// HTTP/1.1 in clear text.
    Clear,
    /// HTTP/2 in clear text, known beforehand (RFC 9113, section 3.3).
    ClearHttp2,
    /// TLS 1.3 with one cipher suite and one group, so that all clients do the same work.
    Tls {
        certificate: &'a Certificate,
        /// HTTP/2, agreed on by ALPN, instead of HTTP/1.1.
        http2: bool,
        /// Whether sessions can be resumed; some clients would, unasked.
        resume: bool,
    },
    /// HTTP/1.1 in clear text, with answers of their own below some paths.
    Replies(&'a [Reply]),
}

/// An answer of JSON below a path. Variables of nginx are filled in, such as `$request_id`.
#[derive(Copy, Clone, Debug)]
pub struct Reply {
    /// What the paths begin with.
    pub path: &'static str,
    pub json: &'static str,
    /// Names of the cookies it sets, each to the id of the request.
    pub sets: &'static [&'static str],
    /// Names of the cookies without which it is 403.
    pub needs: &'static [&'static str],
}

/// A running nginx; it ends when dropped.
#[derive(Debug)]
pub struct Nginx {
    /// One a face, with its scheme.
    ports: Vec<(&'static str, SocketAddr)>,
    _process: Process,
}

impl Nginx {
    /// Starts it on a core, for that many connections at once.
    ///
    /// # Errors
    /// When it is not installed or does not come up.
    pub fn start(faces: &[Face<'_>], sizes: &[usize], connections: u32, core: usize) -> anyhow::Result<Self> {
        let nginx =
            installed().context("nginx is not installed (apt-get install nginx), or use --server origin")?;
        let port = |face: &Face<'_>| anyhow::Ok((face.scheme(), free_address()?));
        let ports = faces.iter().map(port).collect::<anyhow::Result<Vec<_>>>()?;
        let home = folder()?.join("nginx");
        let servers = faces.iter().zip(&ports).map(|(face, (_, address))| face.server(*address));
        let configuration = prepare(&home, &servers.collect::<String>(), sizes, connections)?;
        let log = home.join("error.log");
        // The log of an earlier run must not explain this one.
        let _ = fs::remove_file(&log);
        let mut command = Command::new(nginx);
        command.arg("-p").arg(&home).arg("-c").arg(&configuration).arg("-e").arg(&log);
        let mut process = Process::start(command, core)?;
        for (_, address) in &ports {
            if !process.answers(*address)? {
                let log = fs::read_to_string(&log).unwrap_or_default();
                bail!("nginx does not answer; its log ends with: {}", crate::child::last_line(&log));
            }
        }
        Ok(Self { ports, _process: process })
    }

    /// Where the answer of that size is, at the port of a face by its place in what it was started with.
    #[must_use]
    pub fn url(&self, face: usize, size: usize) -> String {
        format!("{}/{size}", self.origin(face))
    }

    /// Scheme, host and port of a face.
    #[must_use]
    pub fn origin(&self, face: usize) -> String {
        let (scheme, address) = self.ports[face];
        format!("{scheme}://{address}")
    }
}

impl Face<'_> {
    const fn scheme(&self) -> &'static str {
        match self {
            Self::Clear | Self::ClearHttp2 | Self::Replies(_) => "http",
            Self::Tls { .. } => "https",
        }
    }

    fn server(&self, address: SocketAddr) -> String {
        let listen = |how: &str| format!("listen {address}{how} backlog=16384; root files;");
        let inside = match self {
            Self::Clear => listen(""),
            Self::ClearHttp2 => listen(" http2"),
            Self::Replies(replies) => listen("") + &replies.iter().map(Reply::location).collect::<String>(),
            Self::Tls { certificate, http2, resume } => {
                let how = listen(if *http2 { " ssl http2" } else { " ssl" });
                format!("{how}\n{}", tls(certificate, *resume))
            }
        };
        format!("    server {{ {inside} }}\n")
    }
}

impl Reply {
    fn location(&self) -> String {
        let Self { path, json, sets, needs } = self;
        let mut text = format!("\n        location {path} {{ default_type application/json;");
        for name in *needs {
            let _ = write!(text, " if ($cookie_{name} = '') {{ return 403; }}");
        }
        for name in *sets {
            let _ = write!(text, " add_header Set-Cookie \"{name}=$request_id; Path=/\";");
        }
        text + &format!(" return 200 '{json}'; }}")
    }
}

fn tls(certificate: &Certificate, resume: bool) -> String {
    let tickets = if resume { "on" } else { "off" };
    format!(
        "        ssl_certificate {}; ssl_certificate_key {};
        ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256; ssl_ecdh_curve X25519;
        ssl_session_cache off; ssl_session_tickets {tickets};",
        certificate.chain.display(),
        certificate.key.display(),
    )
}

pub(super) fn installed() -> Option<PathBuf> {
    program("nginx")
}

/// Writes the files and the configuration.
fn prepare(home: &Path, servers: &str, sizes: &[usize], connections: u32) -> anyhow::Result<PathBuf> {
    let make = || -> std::io::Result<PathBuf> {
        fs::create_dir_all(home.join("files"))?;
        fs::create_dir_all(home.join("temporary"))?;
        for size in sizes {
            fs::write(home.join("files").join(size.to_string()), vec![b'x'; *size])?;
        }
        let path = home.join("nginx.conf");
        fs::write(&path, configuration(servers, connections))?;
        Ok(path)
    };
    make().with_context(|| format!("the files of nginx cannot be written in {}", home.display()))
}

fn configuration(servers: &str, connections: u32) -> String {
    // Started by root, nginx would serve as a user that may not be able to read the files.
    let user = if rustix::process::geteuid().is_root() { "user root;\n" } else { "" };
    // Once fewer than a sixteenth of its connections are free, nginx closes those that idle between two requests.
    let busy = u64::from(connections.max(4_096));
    let room = busy + busy / 8 + OWN_FILES;
    let mut text = format!(
        "{user}daemon off;
worker_processes 1;
worker_rlimit_nofile {room};
pid nginx.pid;
error_log error.log;
events {{ worker_connections {room}; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000000;
    keepalive_timeout 600s;
"
    );
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        let _ = writeln!(text, "    {kind}_temp_path temporary/{kind};");
    }
    text + servers + "}\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLIES: [Reply; 2] = [
        Reply { path: "/a", json: "{}", sets: &["x", "y"], needs: &[] },
        Reply { path: "/b", json: "[1]", sets: &[], needs: &["x"] },
    ];
    const REPLIES_TEXT: &str = "
        location /a { default_type application/json; add_header Set-Cookie \"x=$request_id; Path=/\"; \
            add_header Set-Cookie \"y=$request_id; Path=/\"; return 200 '{}'; }
        location /b { default_type application/json; if ($cookie_x = '') { return 403; } return 200 '[1]'; }";

    #[test]
    fn each_face_has_a_port_of_its_own_kind() {
        let certificate = Certificate { chain: "/c.pem".into(), key: "/k.pem".into() };
        let address = SocketAddr::from(([127, 0, 0, 1], 8443));
        let tls = |http2, resume| Face::Tls { certificate: &certificate, http2, resume };
        for (face, scheme, listen, more) in [
            (Face::Clear, "http", "listen 127.0.0.1:8443 backlog=", "root files;"),
            (Face::ClearHttp2, "http", "listen 127.0.0.1:8443 http2 backlog=", "root files;"),
            (Face::Replies(&REPLIES), "http", "listen 127.0.0.1:8443 backlog=", REPLIES_TEXT),
            (tls(false, true), "https", "listen 127.0.0.1:8443 ssl backlog=", "ssl_session_tickets on;"),
            (
                tls(true, false),
                "https",
                "listen 127.0.0.1:8443 ssl http2 backlog=",
                "ssl_session_tickets off;",
            ),
        ] {
            let text = face.server(address);
            assert_eq!(face.scheme(), scheme, "{face:?}");
            assert!(text.contains(listen) && text.contains(more), "{face:?}: {text}");
        }
    }
}
