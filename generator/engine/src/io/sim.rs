//! A simulated network with simulated time, for tests: everything that happens follows from one seed.
//!
//! Connects are slow, refused or lost; answers come in pieces of any size, late, broken off, reset, or never; what
//! falls due at the same instant is reported in any order.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use brunt_model::outcome::ErrorKind;

use super::{ConnId, Driver, Event, Route};
use crate::clock::Clock;

/// What a peer may do, in parts of a thousand.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Manners {
    pub(crate) connect_refused: u64,
    pub(crate) connect_lost: u64,
    pub(crate) reset: u64,
    pub(crate) closed_early: u64,
    pub(crate) silent: u64,
    pub(crate) garbage: u64,
    /// Answers that end the connection.
    pub(crate) close_after: u64,
    /// Idle connections that the peer closes.
    pub(crate) idle_close: u64,
    /// The most that one delay lasts.
    pub(crate) delay_ns: u64,
}

impl Manners {
    pub(crate) const PERFECT: Self = Self {
        connect_refused: 0,
        connect_lost: 0,
        reset: 0,
        closed_early: 0,
        silent: 0,
        garbage: 0,
        close_after: 0,
        idle_close: 0,
        delay_ns: 2_000_000,
    };
}

/// What the network saw: the truth that the engine's counts are compared with.
#[derive(Copy, Clone, Default, Debug)]
pub(crate) struct Seen {
    pub(crate) connected: u64,
    pub(crate) requests: u64,
    /// Whole answers handed to the engine.
    pub(crate) answers: u64,
    pub(crate) bytes: u64,
}

#[derive(Clone, Debug)]
enum Happening {
    Connected,
    ConnectFailed,
    /// A piece of an answer; the flag is set on its last piece.
    Piece(Vec<u8>, bool),
    Eof,
    Reset,
}

pub(crate) struct World {
    pub(crate) now: u64,
    random: u64,
    manners: Manners,
    /// By due time and a random number, so that ties come in any order.
    agenda: BTreeMap<(u64, u64), (ConnId, u64, Happening)>,
    pub(crate) seen: Seen,
}

impl World {
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn chance(&mut self, thousandths: u64) -> bool {
        self.random() % 1_000 < thousandths
    }

    fn delay(&mut self) -> u64 {
        self.random() % self.manners.delay_ns + 1_000
    }

    fn plan(&mut self, after: u64, conn: ConnId, life: u64, what: Happening) {
        let order = self.random();
        self.agenda.insert((self.now + after, order), (conn, life, what));
    }

    /// The peer got a request and decides how it ends.
    fn answer(&mut self, conn: ConnId, life: u64) {
        self.seen.requests += 1;
        if self.chance(self.manners.silent) {
            return;
        }
        let close = self.chance(self.manners.close_after);
        let mut bytes = self.compose(close);
        let broken = self.chance(self.manners.closed_early) || self.chance(self.manners.reset);
        if broken {
            bytes.truncate(usize::try_from(self.random()).unwrap_or(usize::MAX) % bytes.len());
        }
        let mut at = self.delay();
        while !bytes.is_empty() {
            let size = usize::try_from(self.random() % 200 + 1).unwrap_or(1).min(bytes.len());
            let rest = bytes.split_off(size);
            let last = rest.is_empty() && !broken;
            self.plan(at, conn, life, Happening::Piece(bytes, last));
            bytes = rest;
            // Bytes of one connection stay in order.
            at += if self.chance(500) { 1 } else { self.delay() / 10 + 1 };
        }
        if broken {
            let end = if self.chance(500) { Happening::Eof } else { Happening::Reset };
            self.plan(at, conn, life, end);
        } else if close || self.chance(self.manners.idle_close) {
            let after = at + self.delay();
            self.plan(after, conn, life, Happening::Eof);
        }
    }

    fn compose(&mut self, close: bool) -> Vec<u8> {
        if self.chance(self.manners.garbage) {
            return b"220 smtp.example ESMTP\r\n".to_vec();
        }
        let body = vec![b'x'; usize::try_from(self.random() % 500).unwrap_or(0)];
        let connection = if close { "Connection: close\r\n" } else { "" };
        if self.chance(500) {
            let head = format!("HTTP/1.1 200 OK\r\n{connection}Content-Length: {}\r\n\r\n", body.len());
            return [head.as_bytes(), &body].concat();
        }
        let mut bytes =
            format!("HTTP/1.1 200 OK\r\n{connection}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
        for chunk in body.chunks(70) {
            bytes.extend_from_slice(format!("{:x};n=v\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\nTrailer: t\r\n\r\n");
        bytes
    }
}

/// Simulated time; each reading takes some.
pub(crate) struct SimClock(Rc<RefCell<World>>);

impl Clock for SimClock {
    fn now(&mut self) -> u64 {
        let mut world = self.0.borrow_mut();
        world.now += 40;
        world.now
    }

    fn cpu(&self) -> u64 {
        self.0.borrow().now / 2
    }

    fn follow(&mut self) {}
}

pub(crate) struct Sim {
    pub(crate) world: Rc<RefCell<World>>,
    /// By connection: open or not, and which of the connections in this place it is.
    lives: Vec<(bool, u64)>,
    data: Vec<u8>,
    /// What became due and was not taken yet.
    due: Vec<(ConnId, u64, Happening)>,
}

/// A network from a seed, and its clock.
pub(crate) fn network(seed: u64, manners: Manners, connections: usize) -> (Sim, SimClock) {
    let world =
        World { now: 1_000_000, random: seed, manners, agenda: BTreeMap::new(), seen: Seen::default() };
    let world = Rc::new(RefCell::new(world));
    let sim =
        Sim { world: world.clone(), lives: vec![(false, 0); connections], data: Vec::new(), due: Vec::new() };
    (sim, SimClock(world))
}

impl Sim {
    fn collect(&mut self, until: u64) {
        let mut world = self.world.borrow_mut();
        while let Some(entry) = world.agenda.first_entry() {
            if entry.key().0 > until {
                break;
            }
            self.due.push(entry.remove());
        }
        // Taken from the end.
        self.due.reverse();
    }
}

impl Driver for Sim {
    const SEND_BATCH: usize = 8;

    fn connect(&mut self, conn: ConnId, _route: Route) -> Result<(), ErrorKind> {
        let life = &mut self.lives[conn.index()];
        assert!(!life.0, "{conn:?} is open already");
        *life = (true, life.1 + 1);
        let (mut world, life) = (self.world.borrow_mut(), life.1);
        let manners = world.manners;
        if world.chance(manners.connect_lost) {
            return Ok(());
        }
        let refused = world.chance(manners.connect_refused);
        let after = world.delay();
        world.plan(after, conn, life, if refused { Happening::ConnectFailed } else { Happening::Connected });
        Ok(())
    }

    fn send(&mut self, conn: ConnId) {
        let (open, life) = self.lives[conn.index()];
        assert!(open, "{conn:?} is not open");
        self.world.borrow_mut().answer(conn, life);
    }

    fn write(&mut self, conn: ConnId, bytes: &mut Vec<u8>) {
        bytes.clear();
        self.send(conn);
    }

    fn sent_whole(&self, _conn: ConnId) -> bool {
        true
    }

    fn is_shut_out(&self, _conn: ConnId) -> bool {
        false
    }

    fn submit(&mut self) {}

    fn wait(&mut self, _now: u64, until: u64) {
        if !self.due.is_empty() {
            return;
        }
        let until = {
            let mut world = self.world.borrow_mut();
            let end = until.max(world.now);
            let first = world.agenda.first_key_value().map_or(end, |((due, _), _)| *due);
            world.now = world.now.max(first.min(end));
            world.now
        };
        self.collect(until);
    }

    fn wait_together(&mut self, now: u64, until: u64) {
        self.wait(now, until);
    }

    fn poll(&mut self) -> bool {
        let now = self.world.borrow().now;
        if self.due.is_empty() {
            self.collect(now);
        }
        !self.due.is_empty()
    }

    fn next_event(&mut self) -> Option<Event> {
        while let Some((conn, life, happening)) = self.due.pop() {
            if self.lives[conn.index()] != (true, life) {
                continue;
            }
            let mut world = self.world.borrow_mut();
            return Some(match happening {
                Happening::Connected => {
                    world.seen.connected += 1;
                    Event::Connected(conn)
                }
                Happening::ConnectFailed => Event::ConnectFailed(conn, ErrorKind::ConnectRefused),
                Happening::Eof => Event::Eof(conn),
                Happening::Reset => Event::Broken(conn, ErrorKind::Reset),
                Happening::Piece(bytes, last) => {
                    world.seen.answers += u64::from(last);
                    world.seen.bytes += bytes.len() as u64;
                    self.data = bytes;
                    Event::Data(conn)
                }
            });
        }
        None
    }

    fn data(&self) -> &[u8] {
        &self.data
    }

    fn receive(&mut self, _conn: ConnId, _skip: u64) {}

    fn close(&mut self, conn: ConnId) {
        self.lives[conn.index()].0 = false;
    }

    fn take_overflows(&mut self) -> u64 {
        0
    }
}
