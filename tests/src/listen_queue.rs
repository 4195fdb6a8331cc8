//! A planted fault: a listener whose queue is full, so that the kernel drops each further SYN.
//!
//! A client sends its SYN again after a second (RFC 6298, section 2.1), so a queue that is emptied before makes
//! connects that take a second, and one that is never emptied makes connects that time out.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with};

use crate::netns::{Namespace, Setting};
use crate::wire::{Act, Wire, accept_all};

const BACKLOG: i32 = 1;
/// The kernel lets one more wait than it was told.
const FILLERS: usize = 2;
const FILL_DEADLINE: Duration = Duration::from_millis(500);
/// How often the server looks whether it is to end.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A listener with a full queue. Dropping it closes the listener and all of its connections.
#[derive(Debug)]
pub struct ListenQueue {
    port: u16,
    listener: Arc<TcpListener>,
    _fillers: Vec<TcpStream>,
    server: Option<Server>,
    _settings: [Setting; 2],
}

impl ListenQueue {
    /// Listens on every address of this namespace, fills the queue, and never accepts.
    ///
    /// # Panics
    /// When the queue takes fewer or more connections than it should.
    #[must_use]
    pub fn fill(namespace: &Namespace) -> Self {
        let settings = [
            // With cookies a SYN would be answered although the queue of half-open connections is full.
            Setting::change(namespace, "net.ipv4.tcp_syncookies", "0"),
            // A reset would end the connect at once.
            Setting::change(namespace, "net.ipv4.tcp_abort_on_overflow", "0"),
        ];
        let listener = namespace.inside(listener).expect("a port is free in the namespace");
        let port = listener.local_addr().expect("it is bound").port();
        let own = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let connect = || namespace.inside(|| TcpStream::connect_timeout(&own, FILL_DEADLINE));
        let fillers = (0..FILLERS).map(|_| connect().expect("the queue has room")).collect();
        assert!(connect().is_err(), "the queue is not full with {FILLERS} connections");
        Self { port, listener: Arc::new(listener), _fillers: fillers, server: None, _settings: settings }
    }

    /// Begins to accept after this time, and answers each request over HTTP/1.1.
    #[must_use]
    pub fn accept_after(mut self, delay: Duration) -> Self {
        self.server = Some(Server::start(Arc::clone(&self.listener), delay));
        self
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// Accepts after a while. Dropping it ends its threads.
#[derive(Debug)]
struct Server {
    stop: Arc<AtomicBool>,
    /// Dropped to end the wait.
    hold: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(listener: Arc<TcpListener>, delay: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (hold, held) = sync_channel(0);
        let flag = Arc::clone(&stop);
        let thread = thread::spawn(move || serve_after(&listener, delay, &held, &flag));
        Self { stop, hold: Some(hold), thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.hold = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve_after(listener: &TcpListener, delay: Duration, held: &Receiver<()>, stop: &Arc<AtomicBool>) {
    if held.recv_timeout(delay) != Err(RecvTimeoutError::Timeout) {
        return;
    }
    let for_connections = Arc::clone(stop);
    accept_all(
        stop,
        || accept(listener),
        move |stream| {
            // However the client ends the connection is right.
            let _ = answer_all(stream, &for_connections);
        },
    );
}

fn listener() -> io::Result<TcpListener> {
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    bind(&socket, &SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))?;
    listen(&socket, BACKLOG)?;
    let listener = TcpListener::from(socket);
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Waits for a bounded time, so that the caller can look at its flag.
fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let bound = LOOK_EVERY.try_into().map_err(io::Error::other)?;
    poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&bound))?;
    let (stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn answer_all(stream: TcpStream, stop: &AtomicBool) -> io::Result<()> {
    let mut wire = Wire::new(stream, stop)?;
    while wire.read_request()?.is_some() {
        if !wire.perform_all(&[Act::Send(ANSWER.to_vec())])? {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;
    use crate::clock;
    use crate::netns::Pair;

    #[test]
    fn a_full_queue_holds_connects_up() {
        let Some(pair) = Pair::make_or_skip("a_full_queue_holds_connects_up") else { return };
        let overflows = || pair.server().counter("TcpExt", "ListenOverflows");
        let second = Duration::from_secs(1);
        let cases = [(None, false, 1_200), (Some(Duration::from_millis(300)), true, 4_000)];
        for (accept_after, succeeds, timeout_ms) in cases {
            let queue = ListenQueue::fill(pair.server());
            let queue = match accept_after {
                Some(delay) => queue.accept_after(delay),
                None => queue,
            };
            let to = SocketAddr::from((Pair::SERVER, queue.port()));
            let (before, start) = (overflows(), clock::now());
            let timeout = Duration::from_millis(timeout_ms);
            let connected = pair.client().inside(|| TcpStream::connect_timeout(&to, timeout));
            let took = start.elapsed();
            assert_eq!(connected.is_ok(), succeeds, "{accept_after:?}: {connected:?}");
            assert!(took >= second && overflows() > before, "{accept_after:?}: {took:?}");
            let Ok(mut stream) = connected else { continue };
            stream.set_read_timeout(Some(second * 5)).unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
            let mut answer = vec![0; ANSWER.len()];
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(answer, ANSWER);
        }
    }
}
