//! A hand-made server: a stand-in for broken and odd servers, whose every byte a test decides.
//!
//! It reads requests properly and answers each with the same script. It never hangs a test: every read and write
//! comes back to look at the stop flag, and floods are bounded.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

use crate::clock;

/// How often a waiting connection looks whether the server is to stop.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Each has a thread.
const CONNECTIONS_MAX: usize = 256;
/// What one flood may send: twice Brunt's limit on a body, so that only the limit or a deadline ends it.
const FLOOD_BYTES_MAX: usize = 128 << 20;
const REQUEST_BYTES_MAX: usize = 1 << 20;

/// One thing that the server does.
#[derive(Clone, Debug)]
pub enum Act {
    /// Sends these bytes in one write.
    Send(Vec<u8>),
    /// Sends each byte in a write of its own.
    SendByByte(Vec<u8>),
    Pause(Duration),
    /// Sends these bytes again and again, until the client goes away.
    Repeat(Vec<u8>, Duration),
    /// Does nothing until the client goes away.
    Silence,
    /// Closes the connection in order.
    Close,
    /// Resets the connection.
    Reset,
}

impl Act {
    #[must_use]
    pub fn send(text: &str) -> Self {
        Self::Send(text.as_bytes().to_vec())
    }
}

/// A running server. Dropping it ends it and all of its threads.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    place: Place,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    /// For the first, second ... request on each connection, and then from the start again.
    scripts: Vec<Vec<Act>>,
    requests: AtomicU64,
    connections: AtomicU64,
    open: AtomicUsize,
    peers: Mutex<BTreeSet<IpAddr>>,
    last_request: Mutex<Vec<u8>>,
}

impl Server {
    /// On a free port of 127.0.0.1. A script that does not end with the connection leaves it open for the next
    /// request.
    ///
    /// # Panics
    /// When no port is free.
    #[must_use]
    pub fn start(script: &[Act]) -> Self {
        Self::start_in_turn(&[script.to_vec()])
    }

    /// The same, with a script for the first request on each connection, the second, and so on in turn.
    ///
    /// # Panics
    /// When no port is free.
    #[must_use]
    pub fn start_in_turn(scripts: &[Vec<Act>]) -> Self {
        Self::listen((Ipv4Addr::LOCALHOST, 0).into(), scripts).expect("a loopback port is free")
    }

    /// On a free port of `[::1]`.
    ///
    /// # Errors
    /// When this machine has no IPv6.
    pub fn start_ipv6(script: &[Act]) -> io::Result<Self> {
        Self::listen((Ipv6Addr::LOCALHOST, 0).into(), &[script.to_vec()])
    }

    fn listen(address: SocketAddr, scripts: &[Vec<Act>]) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let place = Place::Tcp(listener.local_addr()?);
        Ok(Self::serve(place, scripts, move |shared| {
            let (stream, peer) = listener.accept()?;
            stream.set_nodelay(true)?;
            lock(&shared.peers).insert(peer.ip());
            Ok(stream)
        }))
    }

    /// On a unix socket at this path.
    ///
    /// # Panics
    /// When the path cannot be bound.
    #[must_use]
    pub fn start_unix(path: &Path, script: &[Act]) -> Self {
        let listener = UnixListener::bind(path).expect("a new path in an own directory can be bound");
        Self::serve(Place::Unix(path.to_owned()), &[script.to_vec()], move |_| Ok(listener.accept()?.0))
    }

    fn serve<S: Stream>(
        place: Place,
        scripts: &[Vec<Act>],
        accept: impl Fn(&Shared) -> io::Result<S> + Send + 'static,
    ) -> Self {
        let shared = Arc::new(Shared { scripts: scripts.to_vec(), ..Shared::default() });
        let for_acceptor = Arc::clone(&shared);
        let acceptor = thread::spawn(move || accept_all(&for_acceptor, accept));
        Self { shared, place, acceptor: Some(acceptor) }
    }

    /// Its address as a URL; of a unix socket, any URL does.
    #[must_use]
    pub fn url(&self) -> String {
        match &self.place {
            Place::Tcp(address) => format!("http://{address}/"),
            Place::Unix(_) => "http://localhost/".to_owned(),
        }
    }

    /// Whole requests that were read.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }

    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// The last request, as it was received.
    #[must_use]
    pub fn last_request(&self) -> String {
        String::from_utf8_lossy(&lock(&self.shared.last_request)).into_owned()
    }

    /// The addresses that connections came from.
    #[must_use]
    pub fn peers(&self) -> Vec<IpAddr> {
        lock(&self.shared.peers).iter().copied().collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Wakes the acceptor; it sees the flag before it serves anything.
        let _ = match &self.place {
            Place::Tcp(address) => TcpStream::connect(address).map(drop),
            Place::Unix(path) => UnixStream::connect(path).map(drop),
        };
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What TCP and unix connections have in common.
trait Stream: Read + Write + AsFd + Send + 'static {
    fn look_often(&self) -> io::Result<()>;
    /// Closes in order: what was sent arrives.
    fn finish(&self) -> io::Result<()>;
}

macro_rules! stream {
    ($kind:ty) => {
        impl Stream for $kind {
            fn look_often(&self) -> io::Result<()> {
                self.set_read_timeout(Some(LOOK_EVERY))?;
                self.set_write_timeout(Some(LOOK_EVERY))
            }
            fn finish(&self) -> io::Result<()> {
                self.shutdown(Shutdown::Both)
            }
        }
    };
}
stream!(TcpStream);
stream!(UnixStream);

fn accept_all<S: Stream>(shared: &Arc<Shared>, accept: impl Fn(&Shared) -> io::Result<S>) {
    let mut threads = Vec::new();
    while !shared.stop.load(Ordering::SeqCst) {
        let Ok(stream) = accept(shared) else { continue };
        if shared.stop.load(Ordering::SeqCst) || shared.open.load(Ordering::SeqCst) >= CONNECTIONS_MAX {
            continue;
        }
        shared.connections.fetch_add(1, Ordering::SeqCst);
        shared.open.fetch_add(1, Ordering::SeqCst);
        let shared = Arc::clone(shared);
        threads.retain(|thread: &JoinHandle<()>| !thread.is_finished());
        threads.push(thread::spawn(move || {
            // Whatever the client does to the connection is its own affair: it ends there.
            let _ = Connection { stream, shared: &shared, unread: Vec::new() }.serve();
            shared.open.fetch_sub(1, Ordering::SeqCst);
        }));
    }
    for thread in threads {
        let _ = thread.join();
    }
}

struct Connection<'a, S> {
    stream: S,
    shared: &'a Shared,
    unread: Vec<u8>,
}

impl<S: Stream> Connection<'_, S> {
    fn serve(&mut self) -> io::Result<()> {
        self.stream.look_often()?;
        for script in self.shared.scripts.iter().cycle() {
            if !self.read_request()? {
                break;
            }
            self.shared.requests.fetch_add(1, Ordering::SeqCst);
            for act in script {
                if !self.perform(act)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Does one thing; false when that ended the connection.
    fn perform(&mut self, act: &Act) -> io::Result<bool> {
        match act {
            Act::Send(bytes) => self.write(bytes).map(|()| true),
            Act::SendByByte(bytes) => bytes.iter().try_for_each(|byte| self.write(&[*byte])).map(|()| true),
            Act::Pause(time) => {
                thread::sleep(*time);
                Ok(true)
            }
            Act::Repeat(bytes, pause) => self.repeat(bytes, *pause).map(|()| false),
            Act::Silence => self.wait_for_end().map(|()| false),
            Act::Close => self.stream.finish().map(|()| false),
            Act::Reset => {
                set_socket_linger(&self.stream, Some(Duration::ZERO))?;
                Ok(false)
            }
        }
    }

    /// Reads a whole request; false at the end of the connection.
    fn read_request(&mut self) -> io::Result<bool> {
        loop {
            if let Some(length) = request_length(&self.unread) {
                let rest = self.unread.split_off(length);
                *lock(&self.shared.last_request) = std::mem::replace(&mut self.unread, rest);
                return Ok(true);
            }
            if self.unread.len() > REQUEST_BYTES_MAX || !self.read_more()? {
                return Ok(false);
            }
        }
    }

    fn wait_for_end(&mut self) -> io::Result<()> {
        while self.read_more()? {
            self.unread.clear();
        }
        Ok(())
    }

    /// Reads what comes next; false at the end, or when the server is to stop.
    fn read_more(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 16 << 10];
        while !self.shared.stop.load(Ordering::SeqCst) {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(false),
                Ok(count) => {
                    self.unread.extend_from_slice(&buffer[..count]);
                    return Ok(true);
                }
                Err(error) if came_back(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.shared.stop.load(Ordering::SeqCst) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            match self.stream.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if came_back(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn repeat(&mut self, bytes: &[u8], pause: Duration) -> io::Result<()> {
        let mut sent = 0;
        while sent < FLOOD_BYTES_MAX {
            self.write(bytes)?;
            sent += bytes.len();
            if !pause.is_zero() {
                thread::sleep(pause);
            }
        }
        self.wait_for_end()
    }
}

fn came_back(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

/// The length of the first request in these bytes, if it is whole. Brunt sends no chunked requests.
fn request_length(bytes: &[u8]) -> Option<usize> {
    let head_end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..head_end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let body: usize = length.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    (bytes.len() >= head_end + body).then_some(head_end + body)
}

/// Waits until the server has read so many requests.
///
/// # Panics
/// When it has not within ten seconds.
pub fn wait_for_requests(server: &Server, count: u64) {
    clock::until("requests to arrive", Duration::from_secs(10), || {
        (server.requests() >= count).then_some(())
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two requests in one write, and what came back until the server closed.
    fn ask(script: &[Act]) -> (String, Server) {
        let server = Server::start(script);
        let Place::Tcp(address) = server.place else { unreachable!() };
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        (String::from_utf8(answer).unwrap(), server)
    }

    #[test]
    fn each_request_gets_the_script() {
        let (answer, server) = ask(&[Act::send("a"), Act::SendByByte(b"bc".to_vec())]);
        assert_eq!((answer.as_str(), server.requests(), server.connections()), ("abcabc", 2, 1));
        assert_eq!(server.peers(), [IpAddr::from(Ipv4Addr::LOCALHOST)]);
        assert_eq!(server.last_request(), "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc");
    }

    #[test]
    fn closing_and_resetting_end_the_connection() {
        assert_eq!(ask(&[Act::send("a"), Act::Close]).0, "a");
        let (_, server) = ask(&[Act::Reset]);
        assert_eq!(server.requests(), 1);
    }

    #[test]
    fn a_server_ends_with_a_client_that_stays() {
        let server = Server::start(&[Act::Silence]);
        let Place::Tcp(address) = server.place else { unreachable!() };
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        wait_for_requests(&server, 1);
        drop(server);
    }
}
