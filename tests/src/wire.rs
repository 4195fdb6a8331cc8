//! The server's end of one connection, and the things that a hand-made server does with it.
//!
//! Nothing here hangs a test: every read and write comes back to look at the stop flag, and floods are bounded.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::sockopt::set_socket_linger;

/// How often a waiting connection looks whether the server is to stop.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Each has a thread.
const CONNECTIONS_MAX: usize = 256;
/// What one flood may send: twice Brunt's limit on a body, so that only the limit or a deadline ends it.
const FLOOD_BYTES_MAX: usize = 128 << 20;
const REQUEST_BYTES_MAX: usize = 1 << 20;
/// Reads between two writes of an exchange: a client that never stops sending does not stop the flood.
const READS_PER_WRITE_MAX: usize = 16;

/// One thing that the server does.
#[derive(Clone, Debug)]
pub enum Act {
    /// Sends these bytes in one write.
    Send(Vec<u8>),
    /// Sends each byte in a write of its own.
    SendByByte(Vec<u8>),
    Pause(Duration),
    /// Sends these bytes again and again, until the client goes away. Reads nothing.
    Repeat(Vec<u8>, Duration),
    /// The same at full speed, and reads whatever the client says to it.
    Exchange(Vec<u8>),
    /// Does nothing until the client goes away, but reads what it sends.
    Silence,
    /// Does nothing until the client goes away, and reads nothing: its window closes.
    Deaf,
    /// Closes the connection in order.
    Close,
    /// Ends what it sends and reads on: a FIN, and with TLS no `close_notify` (RFC 8446 section 6.1).
    HalfClose,
    /// Resets the connection.
    Reset,
}

impl Act {
    #[must_use]
    pub fn send(text: &str) -> Self {
        Self::Send(text.as_bytes().to_vec())
    }
}

/// What TCP, unix and TLS connections have in common.
pub(crate) trait Stream: Read + Write + AsFd + Send + 'static {
    fn look_often(&self) -> io::Result<()>;
    /// Reads and writes that would wait fail instead.
    fn never_wait(&self, yes: bool) -> io::Result<()>;
    /// Closes in order: what was sent arrives.
    fn finish(&mut self) -> io::Result<()>;
    fn half_close(&self) -> io::Result<()>;
}

macro_rules! stream {
    ($kind:ty) => {
        impl Stream for $kind {
            fn look_often(&self) -> io::Result<()> {
                self.set_read_timeout(Some(LOOK_EVERY))?;
                self.set_write_timeout(Some(LOOK_EVERY))
            }
            fn never_wait(&self, yes: bool) -> io::Result<()> {
                self.set_nonblocking(yes)
            }
            fn finish(&mut self) -> io::Result<()> {
                self.shutdown(Shutdown::Both)
            }
            fn half_close(&self) -> io::Result<()> {
                self.shutdown(Shutdown::Write)
            }
        }
    };
}
stream!(TcpStream);
stream!(UnixStream);

/// Gives each connection a thread until the flag is raised, then waits for all of them.
pub(crate) fn accept_all<S: Stream>(
    stop: &AtomicBool,
    accept: impl Fn() -> io::Result<S>,
    serve: impl Fn(S) + Send + Sync + 'static,
) {
    let serve = Arc::new(serve);
    let open = Arc::new(AtomicUsize::new(0));
    let mut threads = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let Ok(stream) = accept() else { continue };
        if stop.load(Ordering::SeqCst) || open.load(Ordering::SeqCst) >= CONNECTIONS_MAX {
            continue;
        }
        open.fetch_add(1, Ordering::SeqCst);
        let (serve, open) = (Arc::clone(&serve), Arc::clone(&open));
        threads.retain(|thread: &JoinHandle<()>| !thread.is_finished());
        threads.push(thread::spawn(move || {
            serve(stream);
            open.fetch_sub(1, Ordering::SeqCst);
        }));
    }
    for thread in threads {
        let _ = thread.join();
    }
}

/// A connection, and the bytes that were read and not yet used.
pub(crate) struct Wire<'a, S> {
    stream: S,
    stop: &'a AtomicBool,
    unread: Vec<u8>,
}

impl<'a, S: Stream> Wire<'a, S> {
    pub(crate) fn new(stream: S, stop: &'a AtomicBool) -> io::Result<Self> {
        stream.look_often()?;
        Ok(Self { stream, stop, unread: Vec::new() })
    }

    /// Does these things in turn; false when one of them ended the connection.
    pub(crate) fn perform_all(&mut self, acts: &[Act]) -> io::Result<bool> {
        for act in acts {
            if !self.perform(act)? {
                return Ok(false);
            }
        }
        Ok(true)
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
            Act::Exchange(bytes) => self.exchange(bytes).map(|()| false),
            Act::Silence => self.wait_for_end().map(|()| false),
            Act::Deaf => self.wait_deaf().map(|()| false),
            Act::Close => self.stream.finish().map(|()| false),
            Act::HalfClose => self.stream.half_close().and_then(|()| self.wait_for_end()).map(|()| false),
            Act::Reset => {
                set_socket_linger(&self.stream, Some(Duration::ZERO))?;
                Ok(false)
            }
        }
    }

    /// Reads a whole request; `None` at the end of the connection.
    pub(crate) fn read_request(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(length) = request_length(&self.unread) {
                return Ok(Some(self.take(length)));
            }
            if self.unread.len() > REQUEST_BYTES_MAX || !self.read_more()? {
                return Ok(None);
            }
        }
    }

    /// Reads exactly so many bytes; `None` at the end of the connection.
    pub(crate) fn read_exactly(&mut self, length: usize) -> io::Result<Option<Vec<u8>>> {
        while self.unread.len() < length {
            if !self.read_more()? {
                return Ok(None);
            }
        }
        Ok(Some(self.take(length)))
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let rest = self.unread.split_off(length);
        std::mem::replace(&mut self.unread, rest)
    }

    fn wait_for_end(&mut self) -> io::Result<()> {
        while self.read_more()? {
            self.unread.clear();
        }
        Ok(())
    }

    fn wait_deaf(&self) -> io::Result<()> {
        let slice = LOOK_EVERY.try_into().map_err(io::Error::other)?;
        while !self.stop.load(Ordering::SeqCst) {
            // Errors and hang-ups are always reported.
            let mut fds = [PollFd::new(&self.stream, PollFlags::RDHUP)];
            if poll(&mut fds, Some(&slice))? > 0 {
                break;
            }
        }
        Ok(())
    }

    /// Reads what comes next; false at the end, or when the server is to stop.
    fn read_more(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 16 << 10];
        while !self.stop.load(Ordering::SeqCst) {
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
            if self.stop.load(Ordering::SeqCst) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            match self.stream.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if came_back(&error) => {}
                Err(error) => return Err(error),
            }
        }
        self.flush()
    }

    /// TLS keeps what the socket did not take.
    fn flush(&mut self) -> io::Result<()> {
        while !self.stop.load(Ordering::SeqCst) {
            match self.stream.flush() {
                Ok(()) => return Ok(()),
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

    fn exchange(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut sent = 0;
        while sent < FLOOD_BYTES_MAX {
            self.write(bytes)?;
            sent += bytes.len();
            self.stream.never_wait(true)?;
            self.drain()?;
            self.stream.never_wait(false)?;
        }
        self.wait_for_end()
    }

    /// Reads and drops what is there already.
    fn drain(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 << 10];
        for _ in 0..READS_PER_WRITE_MAX {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if came_back(&error) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

pub(crate) fn came_back(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

fn head_length(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|position| position + 4)
}

/// The length of the first request in these bytes, if it is whole. Brunt sends no chunked requests.
fn request_length(bytes: &[u8]) -> Option<usize> {
    let head_end = head_length(bytes)?;
    let head = String::from_utf8_lossy(&bytes[..head_end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let body: usize = length.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    (bytes.len() >= head_end + body).then_some(head_end + body)
}
