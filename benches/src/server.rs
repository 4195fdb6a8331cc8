//! The servers that are loaded: nginx where it is installed, else the purpose-made [`origin`](crate::origin); and
//! nghttpd, for HTTP/2 alone.
//!
//! Each runs on its own core and is ended by its process id when its guard is dropped.

mod nghttpd;
mod nginx;

use std::fmt;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};

use crate::affinity::{on_core, raise_open_files};
use crate::clock::{now_ns, since};
use crate::origin::Speech;
use crate::tools;

pub use nghttpd::Nghttpd;
pub use nginx::{Face, Nginx, Reply};

const START_LIMIT: Duration = Duration::from_secs(5);
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// Files open beside those of connections, with room.
const OWN_FILES: u64 = 256;

/// Which server to load.
#[derive(Copy, Clone, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Kind {
    Nginx,
    /// The purpose-made one: the cheapest there is, so that the generator shows.
    Origin,
}

impl Kind {
    /// The one asked for, else nginx where it is installed.
    #[must_use]
    pub fn or_default(asked: Option<Self>) -> Self {
        asked.unwrap_or_else(|| if nginx::installed().is_some() { Self::Nginx } else { Self::Origin })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nginx => "nginx",
            Self::Origin => "origin",
        })
    }
}

/// A running server that has an answer of each wanted size.
#[derive(Debug)]
pub enum Server {
    Nginx(Nginx),
    /// One process a size.
    Origins(Vec<(usize, Origin)>),
}

impl Server {
    /// Starts a server on a core, for that many connections at once.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(kind: Kind, sizes: &[usize], connections: u32, core: usize) -> anyhow::Result<Self> {
        raise_open_files(u64::from(connections) + OWN_FILES)?;
        match kind {
            Kind::Nginx => Ok(Self::Nginx(Nginx::start(&[Face::Clear], sizes, connections, core)?)),
            Kind::Origin => {
                let origins = sizes.iter().map(|&size| Ok((size, Origin::start(size, core, Speech::Http1)?)));
                Ok(Self::Origins(origins.collect::<anyhow::Result<_>>()?))
            }
        }
    }

    /// Where the answer of that size is.
    ///
    /// # Errors
    /// When the server was not started for it.
    pub fn url(&self, size: usize) -> anyhow::Result<String> {
        match self {
            Self::Nginx(nginx) => Ok(nginx.url(0, size)),
            Self::Origins(origins) => {
                let origin = origins.iter().find(|(its, _)| *its == size);
                let (_, origin) =
                    origin.with_context(|| format!("no origin was started for {size} bytes"))?;
                Ok(format!("http://{}/", origin.address))
            }
        }
    }
}

/// The purpose-made origin in a process of its own. It ends when its standard input does.
#[derive(Debug)]
pub struct Origin {
    pub address: SocketAddr,
    child: Child,
    input: Option<ChildStdin>,
}

impl Origin {
    /// Starts this very binary with its hidden command `origin`.
    ///
    /// # Errors
    /// When it cannot be started or does not name its port.
    pub fn start(size: usize, core: usize, speech: Speech) -> anyhow::Result<Self> {
        let binary = std::env::current_exe().context("the path of this binary is unknown")?;
        let (size, core) = (size.to_string(), core.to_string());
        let http2: &[&str] = if speech == Speech::Http2 { &["--http2"] } else { &[] };
        let mut child = Command::new(binary)
            .args(["origin", "--size", &size, "--core", &core])
            .args(http2)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the origin cannot be started")?;
        let input = child.stdin.take();
        let mut line = String::new();
        if let Some(stdout) = child.stdout.as_mut() {
            BufReader::with_capacity(1, stdout).read_line(&mut line).context("the origin says nothing")?;
        }
        let port = line.trim().strip_prefix("port ").and_then(|port| port.parse::<u16>().ok());
        let Some(port) = port else {
            let _ = child.kill();
            let _ = child.wait();
            bail!("the origin named no port");
        };
        Ok(Self { address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), child, input })
    }

    /// Ends it; returns how many requests it counted.
    ///
    /// # Errors
    /// When it does not say.
    pub fn stop(mut self) -> anyhow::Result<u64> {
        drop(self.input.take());
        let stdout = self.child.stdout.take().context("the origin has no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let requests = line.trim().strip_prefix("requests ").and_then(|requests| requests.parse().ok());
        requests.context("the origin did not say how many requests it counted")
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        drop(self.input.take());
        end(&mut self.child, None);
    }
}

fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?)
}

/// A server in a process of its own, started on a core and ended with its guard.
#[derive(Debug)]
struct Process(Child);

impl Process {
    fn start(mut command: Command, core: usize) -> anyhow::Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        end_with_parent(&mut command);
        let child =
            on_core(core, || command.spawn())?.with_context(|| format!("{name} cannot be started"))?;
        Ok(Self(child))
    }

    /// Whether it accepts connections before it ends or the time is over.
    fn answers(&mut self, address: SocketAddr) -> anyhow::Result<bool> {
        let start = now_ns();
        while TcpStream::connect_timeout(&address, START_LIMIT).is_err() {
            if self.0.try_wait()?.is_some() || since(start) > START_LIMIT {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(true)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        end(&mut self.0, Some(Signal::TERM));
    }
}

/// A program in `PATH` or where Debian puts servers, which a user's `PATH` often lacks.
fn program(name: &str) -> Option<PathBuf> {
    let there = || Some(PathBuf::from("/usr/sbin").join(name)).filter(|path| path.exists());
    tools::in_path(name).or_else(there)
}

/// Lets the kernel end the child when this process is killed and no guard can run.
#[expect(unsafe_code, reason = "the only way to act in a child before it runs another program")]
fn end_with_parent(command: &mut Command) {
    let ask = || set_parent_process_death_signal(Some(Signal::TERM)).map_err(std::io::Error::from);
    // SAFETY: the closure makes one system call and neither allocates nor locks, as is asked between fork and exec.
    unsafe { command.pre_exec(ask) };
}

/// Asks a server to end, and kills it when it does not.
fn end(child: &mut Child, signal: Option<Signal>) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let (Some(signal), Some(pid), Ok(None)) = (signal, pid, child.try_wait()) {
        // A failure means that it has ended already.
        let _ = kill_process(pid, signal);
    }
    let start = now_ns();
    while since(start) < STOP_LIMIT {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    let _ = child.wait();
}
