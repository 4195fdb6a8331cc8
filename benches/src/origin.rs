//! A purpose-made origin: one thread, edge-triggered epoll, one pre-rendered answer.
//!
//! It costs as little as an origin on this kernel can, so that what is measured is the generator. It speaks HTTP/1.1,
//! or HTTP/2 to clients that know it beforehand; memory is one small record a connection.
//!
//! It prints `port N`, serves until its standard input closes, then prints `requests N`. So it ends with whoever
//! started it, however that one ended.

mod http1;
mod http2;

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};

use anyhow::Context;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with, listen, sockopt};

use crate::affinity;

const READ_BYTES: usize = 64 << 10;
const BACKLOG: i32 = 16_384;
const LISTENER: u64 = u64::MAX;
const STDIN: u64 = u64::MAX - 1;

/// What the origin speaks.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Speech {
    Http1,
    /// In clear text and without an upgrade (RFC 9113, section 3.3).
    Http2,
}

/// Serves answers with a body of `size` bytes on a core, until standard input closes.
///
/// # Errors
/// When the core, a port or epoll cannot be had, or when HTTP/2 is to carry more than one frame's worth.
pub fn serve(size: usize, core: usize, speech: Speech) -> anyhow::Result<()> {
    affinity::pin(core)?;
    affinity::raise_open_files(64)?;
    let listener =
        TcpListener::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).context("no port to listen on")?;
    listener.set_nonblocking(true)?;
    listen(&listener, BACKLOG).context("the port cannot be listened on")?;
    say(&format!("port {}", listener.local_addr()?.port()))?;
    let requests = match speech {
        Speech::Http1 => Origin::<http1::Connection>::new(http1::Answers::new(size), listener)?.run()?,
        Speech::Http2 => Origin::<http2::Connection>::new(http2::Answer::new(size)?, listener)?.run()?,
    };
    say(&format!("requests {requests}"))
}

fn say(line: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).context("standard output is closed")
}

/// One connection, in either version of HTTP.
trait Conversation: Sized {
    /// What all connections answer with.
    type Shared;

    fn begin(socket: OwnedFd, shared: &Self::Shared) -> Self;

    /// Reads what is there and sends what is owed. False when the connection is over.
    fn step(&mut self, buffer: &mut [u8], shared: &Self::Shared, requests: &mut u64) -> bool;
}

struct Origin<C: Conversation> {
    epoll: OwnedFd,
    listener: TcpListener,
    connections: Vec<Option<C>>,
    free: Vec<usize>,
    shared: C::Shared,
    requests: u64,
}

impl<C: Conversation> Origin<C> {
    fn new(shared: C::Shared, listener: TcpListener) -> anyhow::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).context("epoll cannot be set up")?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        epoll::add(
            &epoll,
            std::io::stdin().as_fd(),
            EventData::new_u64(STDIN),
            EventFlags::IN | EventFlags::HUP,
        )
        .context("standard input must be a pipe: the origin ends when it closes")?;
        Ok(Self { epoll, listener, connections: Vec::new(), free: Vec::new(), shared, requests: 0 })
    }

    fn run(mut self) -> anyhow::Result<u64> {
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
                    STDIN => return Ok(self.requests),
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
            let connection = C::begin(socket, &self.shared);
            if index == self.connections.len() {
                self.connections.push(Some(connection));
            } else {
                self.connections[index] = Some(connection);
            }
        }
    }

    fn handle(&mut self, index: usize, buffer: &mut [u8]) {
        let Some(connection) = self.connections.get_mut(index).and_then(Option::as_mut) else { return };
        let open = connection.step(buffer, &self.shared, &mut self.requests);
        if !open {
            self.connections[index] = None;
            self.free.push(index);
        }
    }
}
