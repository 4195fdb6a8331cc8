//! A hand-made server: a stand-in for broken and odd servers, whose every byte a test decides.
//!
//! It reads requests properly and answers each with the same script.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::clock;
pub use crate::wire::Act;
use crate::wire::{Stream, Wire, accept_all};

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
        let [for_acceptor, for_connections] = [(); 2].map(|()| Arc::clone(&shared));
        let acceptor = thread::spawn(move || {
            accept_all(
                &for_acceptor.stop,
                || accept(&for_acceptor),
                move |stream| {
                    // Whatever the client does to the connection is its own affair: it ends there.
                    let _ = serve_one(&for_connections, stream);
                },
            );
        });
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

/// Answers each request with the script whose turn it is.
fn serve_one<S: Stream>(shared: &Shared, stream: S) -> io::Result<()> {
    shared.connections.fetch_add(1, Ordering::SeqCst);
    let mut wire = Wire::new(stream, &shared.stop)?;
    for script in shared.scripts.iter().cycle() {
        let Some(request) = wire.read_request()? else { break };
        *lock(&shared.last_request) = request;
        shared.requests.fetch_add(1, Ordering::SeqCst);
        if !wire.perform_all(script)? {
            break;
        }
    }
    Ok(())
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
    use std::io::{Read as _, Write as _};
    use std::net::Shutdown;

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
