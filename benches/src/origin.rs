//! A purpose-made HTTP/1.1 origin: one thread, edge-triggered epoll, one pre-rendered answer.
//!
//! It costs as little as an origin on this kernel can, so that what is measured is the generator. Requests have no
//! body; each is counted by the blank line that ends its head, wherever reads split it. Pipelined requests and
//! partial writes are handled; memory is one small record a connection.
//!
//! It prints `port N`, serves until its standard input closes, then prints `requests N`. So it ends with whoever
//! started it, however that one ended.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};

use anyhow::Context;
use memchr::memmem;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, listen, recv, send, sockopt};

use crate::affinity;

const END_OF_HEAD: &[u8] = b"\r\n\r\n";
const READ_BYTES: usize = 64 << 10;
/// Small answers are rendered several times in a row, so that one system call answers a pipelined batch.
const RENDERED_BYTES_MIN: usize = 32 << 10;
const BACKLOG: i32 = 16_384;
const LISTENER: u64 = u64::MAX;
const STDIN: u64 = u64::MAX - 1;

/// Serves answers with a body of `size` bytes on a core, until standard input closes.
///
/// # Errors
/// When the core, a port or epoll cannot be had.
pub fn serve(size: usize, core: usize) -> anyhow::Result<()> {
    affinity::pin(core)?;
    affinity::raise_open_files(64)?;
    let listener =
        TcpListener::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).context("no port to listen on")?;
    listener.set_nonblocking(true)?;
    listen(&listener, BACKLOG).context("the port cannot be listened on")?;
    say(&format!("port {}", listener.local_addr()?.port()))?;
    let mut origin = Origin::new(size, listener)?;
    origin.run()?;
    say(&format!("requests {}", origin.requests))
}

fn say(line: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).context("standard output is closed")
}

struct Origin {
    epoll: OwnedFd,
    listener: TcpListener,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    answers: Answers,
    requests: u64,
}

struct Connection {
    socket: OwnedFd,
    counter: RequestCounter,
    /// Bytes of answers that are still to be sent.
    owed: usize,
    /// How much of the present answer is sent.
    offset: usize,
}

/// The answer, rendered once or several times in a row.
struct Answers {
    bytes: Vec<u8>,
    one: usize,
}

impl Answers {
    fn new(size: usize) -> Self {
        let head = format!(
            "HTTP/1.1 200 OK\r\nServer: brunt-benches\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n\
             Content-Type: application/octet-stream\r\nContent-Length: {size}\r\nConnection: keep-alive\r\n\r\n"
        );
        let mut answer = head.into_bytes();
        answer.resize(answer.len() + size, b'x');
        Self { one: answer.len(), bytes: answer.repeat(RENDERED_BYTES_MIN.div_ceil(answer.len())) }
    }
}

impl Origin {
    fn new(size: usize, listener: TcpListener) -> anyhow::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).context("epoll cannot be set up")?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        epoll::add(
            &epoll,
            std::io::stdin().as_fd(),
            EventData::new_u64(STDIN),
            EventFlags::IN | EventFlags::HUP,
        )
        .context("standard input must be a pipe: the origin ends when it closes")?;
        let answers = Answers::new(size);
        Ok(Self { epoll, listener, connections: Vec::new(), free: Vec::new(), answers, requests: 0 })
    }

    fn run(&mut self) -> anyhow::Result<()> {
        let mut buffer = vec![0; READ_BYTES];
        let mut events = Vec::with_capacity(512);
        loop {
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error).context("epoll_wait failed"),
            }
            for event in events.drain(..) {
                match event.data.u64() {
                    LISTENER => self.accept()?,
                    STDIN => return Ok(()),
                    index => self.handle(usize::try_from(index)?, &mut buffer),
                }
            }
        }
    }

    fn accept(&mut self) -> anyhow::Result<()> {
        loop {
            let socket = match accept_with(&self.listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(socket) => socket,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::CONNABORTED | Errno::INTR) => continue,
                Err(error) => return Err(error).context("a connection cannot be accepted; raise ulimit -Hn"),
            };
            sockopt::set_tcp_nodelay(&socket, true)?;
            let index = self.free.pop().unwrap_or(self.connections.len());
            // Both directions are registered once and edge-triggered: no further epoll_ctl for this connection.
            let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
            epoll::add(&self.epoll, &socket, EventData::new_u64(index as u64), flags)?;
            let connection = Connection { socket, counter: RequestCounter::default(), owed: 0, offset: 0 };
            if index == self.connections.len() {
                self.connections.push(Some(connection));
            } else {
                self.connections[index] = Some(connection);
            }
        }
    }

    fn handle(&mut self, index: usize, buffer: &mut [u8]) {
        let Some(connection) = self.connections.get_mut(index).and_then(Option::as_mut) else { return };
        let open = connection.receive(buffer, self.answers.one, &mut self.requests)
            && connection.send(&self.answers);
        if !open {
            self.connections[index] = None;
            self.free.push(index);
        }
    }
}

impl Connection {
    /// Reads what is there and notes what is owed for it. False when the connection is over.
    fn receive(&mut self, buffer: &mut [u8], answer_bytes: usize, requests: &mut u64) -> bool {
        loop {
            match recv(&self.socket, &mut *buffer, RecvFlags::empty()) {
                Ok((0, _)) => return false,
                Ok((n, _)) => {
                    let ended = self.counter.count(&buffer[..n]);
                    *requests += ended as u64;
                    self.owed += ended * answer_bytes;
                    // A short read emptied the socket; whatever comes later raises a new edge.
                    if n < buffer.len() {
                        return true;
                    }
                }
                Err(Errno::AGAIN) => return true,
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }

    /// Sends what is owed, as far as the socket takes it. False when the connection is over.
    fn send(&mut self, answers: &Answers) -> bool {
        while self.owed > 0 {
            let end = answers.bytes.len().min(self.offset + self.owed);
            match send(&self.socket, &answers.bytes[self.offset..end], SendFlags::NOSIGNAL) {
                Ok(n) => {
                    self.owed -= n;
                    self.offset = (self.offset + n) % answers.one;
                }
                Err(Errno::AGAIN) => return true,
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
        true
    }
}

/// Counts heads by their closing blank line, over reads split anywhere.
#[derive(Default, Debug)]
pub struct RequestCounter {
    /// How many bytes of the blank line the last read ended with.
    matched: usize,
}

impl RequestCounter {
    /// Heads that end within `bytes`.
    #[inline]
    pub fn count(&mut self, bytes: &[u8]) -> usize {
        if self.matched == 0 && bytes.ends_with(END_OF_HEAD) {
            return memmem::find_iter(bytes, END_OF_HEAD).count();
        }
        bytes.iter().map(|&byte| usize::from(self.ends_head(byte))).sum()
    }

    fn ends_head(&mut self, byte: u8) -> bool {
        self.matched =
            if byte == END_OF_HEAD[self.matched] { self.matched + 1 } else { usize::from(byte == b'\r') };
        let ended = self.matched == END_OF_HEAD.len();
        if ended {
            self.matched = 0;
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\nX: \r\r\n\r\n";

    #[test]
    fn pipelined_requests_are_counted() {
        assert_eq!(RequestCounter::default().count(TWO), 2);
        assert_eq!(RequestCounter::default().count(&TWO.repeat(50)), 100);
    }

    #[test]
    fn every_split_gives_the_same_count() {
        for first in 0..=TWO.len() {
            for second in first..=TWO.len() {
                let mut counter = RequestCounter::default();
                let parts = [&TWO[..first], &TWO[first..second], &TWO[second..]];
                assert_eq!(
                    parts.map(|part| counter.count(part)).iter().sum::<usize>(),
                    2,
                    "{first} {second}"
                );
            }
        }
    }

    #[test]
    fn an_unfinished_head_counts_when_it_ends() {
        let mut counter = RequestCounter::default();
        assert_eq!(counter.count(b"GET / HTTP/1.1\r\n\r"), 0);
        assert_eq!(counter.count(b"\n"), 1);
        assert_eq!(counter.count(b"\r\n"), 0, "half a blank line is none");
    }

    #[test]
    fn rendered_answers_are_whole() {
        for size in [0, 100, 1 << 20] {
            let answers = Answers::new(size);
            assert_eq!(answers.bytes.len() % answers.one, 0);
            assert!(answers.bytes.starts_with(b"HTTP/1.1 200 OK\r\n"));
            assert!(answers.one >= size + 100);
        }
    }
}
