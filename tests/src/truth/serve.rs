//! The loop of the origin: one thread, which looks at its sockets and at what is due in turn.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;
use rustix::process::setpriority_process;
use rustix::thread::{CpuSet, sched_setaffinity};
use rustls::ServerConfig;

use super::connection::{Connection, now_ns};
use super::figures::Truth;

const CONNECTIONS_MAX: usize = 64;
const READ_BYTES: usize = 64 << 10;
/// So long after the last event it no longer spins: a test that has ended, or not begun, gets the core.
const IDLE: Duration = Duration::from_secs(1);
/// How long it may sleep then; whatever arrives wakes it.
const IDLE_WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
/// Some nine times the weight of an ordinary thread, and not so much that one could not get through. Where the kernel
/// weighs sessions against each other (sched(7), autogroups) it counts within the session only.
const NICE: i32 = -10;
/// The listener among the connections, which are told by their places.
const LISTENER: u64 = u64::MAX;

/// How an origin behaves.
#[derive(Debug)]
pub struct Options {
    pub address: SocketAddr,
    /// From the read of a request to the write of its answer.
    pub delay: Duration,
    /// The core of its thread; any, where there is none.
    pub core: Option<usize>,
    pub body_bytes: usize,
    pub tls: Option<Arc<ServerConfig>>,
    /// It ends by itself then.
    pub exit_after: Duration,
}

/// What others want of a running origin.
#[derive(Default, Debug)]
pub struct Control {
    /// Raised for a report, and lowered when it was given.
    pub report: AtomicBool,
    pub stop: AtomicBool,
}

/// An origin that listens.
#[derive(Debug)]
pub struct Server {
    options: Options,
    listener: TcpListener,
    epoll: OwnedFd,
    places: Vec<Place>,
    due: BinaryHeap<Reverse<Due>>,
    sequence: u64,
    truth: Truth,
    body: Vec<u8>,
}

/// A place for a connection. Its generation tells connections apart that had it one after the other.
#[derive(Default, Debug)]
struct Place {
    connection: Option<Connection>,
    generation: u64,
}

/// An answer to come. The order of the fields is the order of answers: by time, then by arrival.
#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Due {
    due_ns: u64,
    sequence: u64,
    read_ns: u64,
    place: usize,
    generation: u64,
    request: u32,
}

impl Server {
    /// Listens.
    ///
    /// # Errors
    /// When the address is taken, or descriptors are short.
    pub fn bind(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(options.address)?;
        listener.set_nonblocking(true)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, epoll::EventData::new_u64(LISTENER), epoll::EventFlags::IN)?;
        Ok(Self {
            body: vec![b'x'; options.body_bytes],
            options,
            listener,
            epoll,
            places: (0..CONNECTIONS_MAX).map(|_| Place::default()).collect(),
            due: BinaryHeap::new(),
            sequence: 0,
            truth: Truth::new(),
        })
    }

    /// # Errors
    /// When the listener is gone.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves on this thread until it is told to stop or its time is over.
    ///
    /// # Errors
    /// When the thread cannot be pinned, or the kernel does not wait.
    pub fn run(mut self, control: &Control, reports: &SyncSender<Truth>) -> io::Result<()> {
        if let Some(core) = self.options.core {
            take_core(core)?;
        }
        let end_ns = now_ns().saturating_add(nanos(self.options.exit_after));
        let mut busy_ns = now_ns();
        let mut buffer = vec![0; READ_BYTES];
        let mut events = Vec::with_capacity(CONNECTIONS_MAX + 1);
        while !control.stop.load(Ordering::Relaxed) {
            let now = now_ns();
            if now >= end_ns {
                break;
            }
            let idle = self.due.is_empty() && now.saturating_sub(busy_ns) > nanos(IDLE);
            events.clear();
            match epoll::wait(
                &self.epoll,
                spare_capacity(&mut events),
                Some(if idle { &IDLE_WAIT } else { &AT_ONCE }),
            ) {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            if !events.is_empty() || !self.due.is_empty() {
                busy_ns = now;
            }
            self.handle(&events, &mut buffer);
            if control.report.swap(false, Ordering::Relaxed) {
                // Whoever asked takes it; nobody asks twice before.
                let _ = reports.try_send(std::mem::replace(&mut self.truth, Truth::new()));
            }
        }
        Ok(())
    }

    fn handle(&mut self, events: &[epoll::Event], buffer: &mut [u8]) {
        self.answer_due();
        for event in events {
            match usize::try_from(event.data.u64()) {
                Ok(place) if place < self.places.len() => self.receive(place, buffer),
                _ => self.accept(),
            }
            // Many events must not make what is due wait for the last of them.
            self.answer_due();
        }
        for place in &mut self.places {
            if let Some(connection) = place.connection.as_mut().filter(|connection| connection.has_unsent())
                && connection.flush().is_err()
            {
                place.close();
            }
        }
    }

    fn accept(&mut self) {
        let Ok((stream, _)) = self.listener.accept() else { return };
        // Past the bound it is closed at once.
        let free = self.places.iter().position(|place| place.connection.is_none());
        let Some(at) = free else { return };
        let Ok(connection) = Connection::new(stream, self.options.tls.as_ref()) else { return };
        let data = epoll::EventData::new_u64(at as u64);
        if epoll::add(&self.epoll, &connection, data, epoll::EventFlags::IN).is_ok() {
            self.places[at].connection = Some(connection);
        }
    }

    fn receive(&mut self, at: usize, buffer: &mut [u8]) {
        let place = &mut self.places[at];
        let Some(connection) = &mut place.connection else { return };
        let mut requests = Vec::new();
        let Ok(read_ns) = connection.receive(buffer, &mut requests) else { return place.close() };
        for request in requests {
            self.sequence += 1;
            self.due.push(Reverse(Due {
                due_ns: read_ns + nanos(self.options.delay),
                sequence: self.sequence,
                read_ns,
                place: at,
                generation: place.generation,
                request,
            }));
        }
    }

    fn answer_due(&mut self) {
        while self.due.peek().is_some_and(|Reverse(due)| due.due_ns <= now_ns()) {
            let Some(Reverse(due)) = self.due.pop() else { return };
            let place = &mut self.places[due.place];
            if place.generation != due.generation {
                continue;
            }
            let Some(connection) = &mut place.connection else { continue };
            match connection.answer(due.request, &self.body) {
                Ok(write_ns) => self.truth.record(write_ns.saturating_sub(due.read_ns)),
                Err(_) => place.close(),
            }
        }
    }
}

impl Place {
    /// However a client ends its connection is right. What was due to it is no longer sent.
    fn close(&mut self) {
        self.connection = None;
        self.generation += 1;
    }
}

/// Keeps this thread on a core, and others off it where that is allowed: each time they got the core, what arrived would
/// wait unread.
fn take_core(core: usize) -> io::Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores)?;
    // Of this thread alone, as Linux has it. Without the right to it the times are as true, only less exact.
    let _ = setpriority_process(None, NICE);
    Ok(())
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
