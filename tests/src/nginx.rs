//! A real nginx in a temporary directory: its own configuration, one worker, an access log to count by.
//!
//! It always has a server in clear text, which the harness asks, and further ones where a test names them.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::certificates::{Certificates, Holder};
use crate::{clock, process, skip};

const START_DEADLINE: Duration = Duration::from_secs(5);
const LOG_DEADLINE: Duration = Duration::from_secs(10);
const STOP_DEADLINE: Duration = Duration::from_secs(3);
/// A port that was free may be taken by another before nginx binds it.
const START_ATTEMPTS: usize = 5;
/// More than any test makes, so that only a test of this very thing sees a connection closed for its age.
const KEEPALIVE_REQUESTS: u32 = 100_000_000;

/// Static files, by name and size.
pub const FILES: [(&str, usize); 4] = [("100", 100), ("4k", 4 << 10), ("64k", 64 << 10), ("1m", 1 << 20)];

/// A running nginx. Dropping it ends it, by its id.
#[derive(Debug)]
pub struct Nginx {
    directory: TempDir,
    child: Child,
    port: u16,
    has_ipv6: bool,
    /// Of the further servers.
    sites: Vec<u16>,
    markers: std::cell::Cell<u32>,
}

/// A further server of the same nginx, with the same files, on a port of its own of 127.0.0.1.
#[derive(Clone, Debug)]
pub struct Site {
    /// Parameters of `listen`, such as `ssl http2`.
    pub listen: &'static str,
    /// The rest of the server's block; `{dir}` in it becomes the path of the temporary directory.
    pub directives: String,
}

impl Site {
    #[must_use]
    pub fn new(listen: &'static str, directives: &str) -> Self {
        Self { listen, directives: directives.to_owned() }
    }

    /// One that shows this holder's certificate.
    #[must_use]
    pub fn secure(listen: &'static str, certificates: &Certificates, holder: Holder, more: &str) -> Self {
        let (certificate, key) = (certificates.certificate(holder), certificates.key(holder));
        Self {
            listen,
            directives: format!("ssl_certificate {certificate}; ssl_certificate_key {key}; {more}"),
        }
    }
}

/// One line of the access log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Logged {
    pub status: u16,
    /// Head and body, as sent.
    pub bytes: u64,
    pub method: String,
    pub path: String,
    /// The client's address; `unix:` for a unix socket.
    pub peer: String,
    pub connection: u64,
    pub way: Way,
}

/// How a request came. Empty is what there was not.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Way {
    /// Such as `HTTP/2.0`.
    pub protocol: String,
    /// Such as `TLSv1.3`.
    pub tls: String,
    /// Was the TLS session of the connection resumed?
    pub resumed: bool,
    /// The name that the client asked for in its handshake (RFC 6066 section 3).
    pub server_name: String,
    /// The header Expect.
    pub expect: String,
}

impl Nginx {
    /// Starts one, or reports that `test` is skipped because there is no nginx here.
    #[must_use]
    pub fn start_or_skip(test: &str) -> Option<Self> {
        Self::with_keepalive_or_skip(test, KEEPALIVE_REQUESTS)
    }

    /// The same, closing each connection after so many requests.
    #[must_use]
    pub fn with_keepalive_or_skip(test: &str, keepalive_requests: u32) -> Option<Self> {
        Self::configured_or_skip(test, keepalive_requests, &[])
    }

    /// The same as [`Self::start_or_skip`], with these further servers.
    #[must_use]
    pub fn with_sites_or_skip(test: &str, sites: &[Site]) -> Option<Self> {
        Self::configured_or_skip(test, KEEPALIVE_REQUESTS, sites)
    }

    /// # Panics
    /// When nginx is here and does not start.
    fn configured_or_skip(test: &str, keepalive_requests: u32, sites: &[Site]) -> Option<Self> {
        if !skip::has_program("nginx") {
            skip::skip(test, "needs nginx (apt-get install nginx)");
            return None;
        }
        let mut last = String::new();
        for _ in 0..START_ATTEMPTS {
            match Self::try_start(keepalive_requests, sites) {
                Ok(nginx) => return Some(nginx),
                Err(why) => last = why,
            }
        }
        panic!("nginx did not start in {START_ATTEMPTS} attempts: {last}");
    }

    /// Starts one; when it ended instead, the error is what it logged.
    fn try_start(keepalive_requests: u32, sites: &[Site]) -> Result<Self, String> {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let (port, has_ipv6) = free_port();
        let root = directory.path().join("www");
        fs::create_dir(&root).expect("a new directory is writable");
        for (name, size) in FILES {
            fs::write(root.join(name), vec![b'x'; size]).expect("a new directory is writable");
        }
        let config = directory.path().join("nginx.conf");
        let ports: Vec<u16> = sites.iter().map(|_| free_port().0).collect();
        let servers: String =
            sites.iter().zip(&ports).map(|(site, port)| server(&directory, site, *port)).collect();
        let text = configuration(&directory, port, has_ipv6, keepalive_requests, &servers);
        fs::write(&config, text).expect("a new directory is writable");
        let child = Command::new("nginx")
            .arg("-e")
            .arg(directory.path().join("error.log"))
            .arg("-p")
            .arg(directory.path())
            .arg("-c")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx is installed");
        let mut nginx = Self { directory, child, port, has_ipv6, sites: ports, markers: 0.into() };
        if nginx.accepts() { Ok(nginx) } else { Err(nginx.error_log()) }
    }

    /// Waits until it answers; false if it ended instead.
    fn accepts(&mut self) -> bool {
        clock::until("nginx to accept", START_DEADLINE, || {
            let ended = self.child.try_wait().expect("an own child can be asked").is_some();
            if ended {
                return Some(false);
            }
            // The worker's first act is to accept; before that only the master listens.
            let ready = self.get("/started").is_ok() && !process::children(self.pid()).is_empty();
            ready.then_some(true)
        })
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// `http://127.0.0.1:PORT/path`; the path is one of [`FILES`] or anything that is to be 404.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    #[must_use]
    pub fn url_ipv6(&self, path: &str) -> Option<String> {
        self.has_ipv6.then(|| format!("http://[::1]:{}/{path}", self.port))
    }

    /// The port of a further server, in the order in which they were named.
    #[must_use]
    pub fn port_of(&self, site: usize) -> u16 {
        self.sites[site]
    }

    /// A file below the root of all servers, as it is now; `None` where there is none.
    #[must_use]
    pub fn stored(&self, path: &str) -> Option<Vec<u8>> {
        fs::read(self.directory.path().join("www").join(path)).ok()
    }

    /// What it complained about.
    #[must_use]
    pub fn error_log(&self) -> String {
        fs::read_to_string(self.directory.path().join("error.log")).unwrap_or_default()
    }

    #[must_use]
    pub fn unix_socket(&self) -> PathBuf {
        self.directory.path().join("nginx.sock")
    }

    /// Freezes all of its processes, or lets them go on.
    ///
    /// # Panics
    /// When one of them is gone.
    pub fn signal_all(&self, signal: Signal) {
        for pid in std::iter::once(self.pid()).chain(process::children(self.pid())) {
            kill_process(pid, signal).expect("nginx is running");
        }
    }

    /// Lines in the access log now, those of the harness itself included.
    #[must_use]
    pub fn lines_now(&self) -> usize {
        let log = fs::read(self.directory.path().join("access.log")).unwrap_or_default();
        log.iter().filter(|byte| **byte == b'\n').count()
    }

    /// Everything that was requested until now, the harness's own requests left out. It sends a marker and waits
    /// until that is in the log: the one worker logs in order, so all that ended before it is there too.
    ///
    /// # Panics
    /// When the marker does not appear.
    #[must_use]
    pub fn logged(&self) -> Vec<Logged> {
        self.markers.set(self.markers.get() + 1);
        let marker = format!("/marker-{}", self.markers.get());
        self.get(&marker).expect("nginx answers the marker");
        let log = self.directory.path().join("access.log");
        let text = clock::until("the marker in nginx's access log", LOG_DEADLINE, || {
            let text = fs::read_to_string(&log).unwrap_or_default();
            (text.contains(&marker) && text.ends_with('\n')).then_some(text)
        });
        let own = |logged: &Logged| logged.path.starts_with("/marker-") || logged.path == "/started";
        text.lines().map(parse_line).filter(|logged| !own(logged)).collect()
    }

    /// One request of the harness's own; it returns once nginx has closed the connection.
    fn get(&self, path: &str) -> std::io::Result<()> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let mut stream = TcpStream::connect_timeout(&address, START_DEADLINE)?;
        stream.set_read_timeout(Some(LOG_DEADLINE))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: harness\r\nConnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let workers = process::children(self.pid());
        let all = || std::iter::once(self.pid()).chain(workers.iter().copied());
        for pid in all() {
            let _ = kill_process(pid, Signal::CONT);
        }
        let _ = kill_process(self.pid(), Signal::TERM);
        let start = clock::now();
        while start.elapsed() < STOP_DEADLINE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        for pid in std::iter::once(self.pid()).chain(workers) {
            let _ = kill_process(pid, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

/// The block of a further server.
fn server(directory: &TempDir, site: &Site, port: u16) -> String {
    let dir = directory.path().to_string_lossy();
    let directives = site.directives.replace("{dir}", &dir);
    let listen = site.listen;
    // nginx sends the head and a file's content in two calls, and on HTTP/2 in clear text waits with the second until
    // the first is acknowledged (Nagle): 40 ms for each request that is alone on its connection.
    let whole = if listen == "http2" { "sendfile off;" } else { "" };
    format!(
        "server {{\n    listen 127.0.0.1:{port} backlog=4096 {listen};\n    root {dir}/www;\n    {whole}\n    \
         {directives}\n  }}\n"
    )
}

fn configuration(
    directory: &TempDir,
    port: u16,
    has_ipv6: bool,
    keepalive_requests: u32,
    servers: &str,
) -> String {
    let dir = directory.path().display();
    let mut text = String::new();
    if skip::is_root() {
        // Else the worker could not read the private temporary directory.
        text.push_str("user root;\n");
    }
    let ipv6 = if has_ipv6 { format!("listen [::1]:{port} backlog=4096;") } else { String::new() };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .fold(String::new(), |text, kind| text + &format!("  {kind}_temp_path {dir}/{kind};\n"));
    write!(
        text,
        "daemon off;\nworker_processes 1;\n{}worker_rlimit_nofile 20000;\npid {dir}/pid;\n\
         events {{ worker_connections 16000; }}\nhttp {{\n{temporary}  default_type text/plain;\n\
         log_format counted '$status $bytes_sent $request_method $uri $remote_addr $connection \
         $server_protocol $ssl_protocol $ssl_session_reused $ssl_server_name $http_expect';\n\
         access_log {dir}/access.log counted;\n  ssl_protocols TLSv1.2 TLSv1.3;\n  keepalive_requests {keepalive_requests};\n\
         keepalive_timeout 60s;\n  sendfile on;\n  reset_timedout_connection on;\n\
         server {{\n    listen 127.0.0.1:{port} backlog=4096;\n    {ipv6}\n    listen unix:{dir}/nginx.sock;\n\
         root {dir}/www;\n    location = / {{ return 200 'hello'; }}\n  }}\n{servers}}}\n",
        affinity()
    )
    .expect("writing to a string does not fail");
    text
}

/// The worker goes to the last core, so that a test can keep the first for the engine.
fn affinity() -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if cores < 2 { String::new() } else { format!("worker_cpu_affinity 1{};\n", "0".repeat(cores - 1)) }
}

/// A port that is free on both loopback addresses, and whether there is an IPv6 one.
fn free_port() -> (u16, bool) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port is free");
    let port = listener.local_addr().expect("it is bound").port();
    let has_ipv6 = TcpListener::bind((Ipv6Addr::LOCALHOST, port)).is_ok();
    (port, has_ipv6)
}

fn parse_line(line: &str) -> Logged {
    let fields: Vec<_> = line.split(' ').collect();
    let [status, bytes, method, path, peer, connection, ref way @ ..] = fields[..] else {
        panic!("not a line of the access log: {line}")
    };
    let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("not a line of the access log: {line}"));
    Logged {
        status: status.parse().unwrap_or_else(|_| panic!("not a line of the access log: {line}")),
        bytes: number(bytes),
        method: method.to_owned(),
        path: path.to_owned(),
        peer: peer.to_owned(),
        connection: number(connection),
        way: parse_way(way).unwrap_or_else(|| panic!("not a line of the access log: {line}")),
    }
}

fn parse_way(fields: &[&str]) -> Option<Way> {
    let text = |field: &str| if field == "-" { String::new() } else { field.to_owned() };
    let [protocol, tls, reused, server_name, expect] = fields[..] else { return None };
    Some(Way {
        protocol: text(protocol),
        tls: text(tls),
        resumed: reused == "r",
        server_name: text(server_name),
        expect: text(expect),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_logs_what_it_answers_and_not_what_the_harness_asks() {
        let Some(nginx) = Nginx::start_or_skip("harness: nginx") else { return };
        assert_eq!(nginx.logged(), []);
        for path in ["/100", "/nowhere"] {
            nginx.get(path).unwrap();
        }
        let logged = nginx.logged();
        let seen: Vec<_> = logged.iter().map(|line| (line.status, line.path.as_str())).collect();
        assert_eq!(seen, [(200, "/100"), (404, "/nowhere")]);
        nginx.signal_all(Signal::STOP);
        nginx.signal_all(Signal::CONT);
        assert_eq!(nginx.logged().len(), 2);
    }
}
