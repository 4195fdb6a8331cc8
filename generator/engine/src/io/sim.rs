//! A simulated network with simulated time, for tests: everything that happens follows from one seed.
//!
//! Connects are slow, refused or lost; answers come in pieces of any size, late, broken off, reset, or never; what
//! falls due at the same instant is reported in any order.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use brunt_model::outcome::ErrorKind;
use rustls::ServerConfig;

use super::sim_h2::{self, Deed, Peer, Words};
use super::sim_kernel::Kernel;
use super::sim_tls::Tls;
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
    /// Answers that come twice.
    pub(crate) twice: u64,
    /// A request is so many bytes; where 0, it has no body and ends with its head.
    pub(crate) request_bytes: usize,
    /// The first connection gets an answer without end, as fast as it is read.
    pub(crate) flooder: bool,
    /// Answers set a cookie, whose value follows from the request; requests are kept.
    pub(crate) sets_cookies: bool,
    /// The peer speaks HTTP/2, with manners of its own for each request; of those above only that of connects counts.
    pub(crate) two: Option<sim_h2::Manners>,
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
        twice: 0,
        request_bytes: 0,
        flooder: false,
        sets_cookies: false,
        two: None,
    };
}

/// Numbers from a seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    pub(crate) fn size(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).unwrap_or(0)
    }

    pub(crate) fn chance(&mut self, thousandths: u64) -> bool {
        self.below(1_000) < thousandths
    }
}

/// What the network saw: the truth that the engine's counts are compared with.
#[derive(Copy, Clone, Default, Debug)]
pub(crate) struct Seen {
    pub(crate) connected: u64,
    pub(crate) requests: u64,
    /// Bytes that the engine wrote, where it did not send the plan's request as it is.
    pub(crate) written: u64,
    /// Whole answers handed to the engine.
    pub(crate) answers: u64,
    pub(crate) bytes: u64,
    /// Bytes of one connection that were handled while another one's were due.
    pub(crate) passed_over_max: u64,
}

#[derive(Clone, Debug)]
enum Happening {
    Connected,
    ConnectFailed,
    /// A piece of an answer; the flag is set on its last piece.
    Piece(Vec<u8>, bool),
    /// HTTP/2: the peer says something, or what it said goes on arriving.
    Words(Words),
    Rest,
    /// TLS has something to say, or the rest of a record arrives.
    Sealed,
    Eof,
    Reset,
}

pub(crate) struct World {
    pub(crate) now: u64,
    random: Random,
    manners: Manners,
    /// By due time and a random number, so that ties come in any order.
    agenda: BTreeMap<(u64, u64), (ConnId, u64, Happening)>,
    pub(crate) seen: Seen,
    /// Requests that went out as they are, each time the same bytes: when, and the number of their call.
    pub(crate) sent: Vec<(u64, u16)>,
    /// Each request as it was written, where [`Manners::sets_cookies`].
    pub(crate) kept: Vec<Vec<u8>>,
}

impl World {
    fn random(&mut self) -> u64 {
        self.random.next()
    }

    fn chance(&mut self, thousandths: u64) -> bool {
        self.random.chance(thousandths)
    }

    fn delay(&mut self) -> u64 {
        self.random() % self.manners.delay_ns + 1_000
    }

    fn plan(&mut self, after: u64, conn: ConnId, life: u64, what: Happening) {
        let order = self.random();
        self.agenda.insert((self.now + after, order), (conn, life, what));
    }

    /// The peer got a request and decides how it ends. Its answer comes after those before it.
    fn answer(&mut self, conn: ConnId, line: &mut Line) {
        let life = line.life;
        self.seen.requests += 1;
        if line.deaf {
            return;
        }
        if self.manners.flooder && conn == FLOODER {
            (line.deaf, line.floods) = (true, true);
            return self.plan(
                1_000,
                conn,
                life,
                Happening::Piece(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), false),
            );
        }
        if self.chance(self.manners.silent) {
            line.deaf = true;
            return;
        }
        let close = self.chance(self.manners.close_after);
        let mut bytes = self.compose(close);
        if self.chance(self.manners.twice) {
            bytes.extend_from_within(..);
        }
        let broken = self.chance(self.manners.closed_early) || self.chance(self.manners.reset);
        if broken {
            bytes.truncate(usize::try_from(self.random()).unwrap_or(usize::MAX) % bytes.len());
        }
        let mut at = self.delay().max((line.busy_until + 1).saturating_sub(self.now));
        while !bytes.is_empty() {
            let size = usize::try_from(self.random() % 200 + 1).unwrap_or(1).min(bytes.len());
            let rest = bytes.split_off(size);
            let last = rest.is_empty() && !broken;
            self.plan(at, conn, life, Happening::Piece(bytes, last));
            bytes = rest;
            // Bytes of one connection stay in order.
            at += if self.chance(500) { 1 } else { self.delay() / 10 + 1 };
        }
        line.busy_until = self.now + at;
        if broken {
            line.deaf = true;
            let end = if self.chance(500) { Happening::Eof } else { Happening::Reset };
            self.plan(at, conn, life, end);
        } else if close || self.chance(self.manners.idle_close) {
            line.deaf = true;
            let after = at + self.delay();
            self.plan(after, conn, life, Happening::Eof);
        }
    }

    fn compose(&mut self, close: bool) -> Vec<u8> {
        if self.chance(self.manners.garbage) {
            return b"220 smtp.example ESMTP\r\n".to_vec();
        }
        let body = vec![b'x'; usize::try_from(self.random() % 500).unwrap_or(0)];
        let mut fields = if close { "Connection: close\r\n" } else { "" }.to_owned();
        if let Some(request) = self.kept.last() {
            fields.push_str(&format!("Set-Cookie: seen={:x}; Path=/\r\n", digest(request)));
        }
        if self.chance(500) {
            let head = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n", body.len());
            return [head.as_bytes(), &body].concat();
        }
        let mut bytes = format!("HTTP/1.1 200 OK\r\n{fields}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
        for chunk in body.chunks(70) {
            bytes.extend_from_slice(format!("{:x};n=v\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\nTrailer: t\r\n\r\n");
        bytes
    }
}

/// FNV-1a (draft-eastlake-fnv).
fn digest(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
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

/// One place for a connection, as the network sees it.
#[derive(Default)]
struct Line {
    open: bool,
    /// Which of the connections in this place it is.
    life: u64,
    /// The peer hears no more requests: it fell silent, or is about to close.
    deaf: bool,
    /// Its answer has no end.
    floods: bool,
    /// When the last answer under way has arrived.
    busy_until: u64,
    /// What came of a request that has not ended.
    partial_request: usize,
    /// Bytes of others handled since something of this connection was due.
    passed_over: u64,
    peer: Option<Box<Peer>>,
    tls: Option<Box<Tls>>,
}

impl Line {
    /// How many HTTP/1.1 requests end in what was written.
    fn requests_in(&mut self, written: &[u8], request_bytes: usize) -> usize {
        if request_bytes == 0 {
            return written.windows(4).filter(|end| end == b"\r\n\r\n").count();
        }
        let sum = self.partial_request + written.len();
        self.partial_request = sum % request_bytes;
        sum / request_bytes
    }
}

/// The connection that [`Manners::flooder`] means.
const FLOODER: ConnId = ConnId(0);
/// What the drivers read at once.
const PIECE: usize = 8 * 1024;

pub(crate) struct Sim {
    pub(crate) world: Rc<RefCell<World>>,
    lines: Vec<Line>,
    data: Vec<u8>,
    /// What became due and was not taken yet.
    due: Vec<(ConnId, u64, Happening)>,
    /// Stamps what passes, where somebody asked for it.
    pub(crate) kernel: Option<Rc<RefCell<Kernel>>>,
    /// The peers speak TLS.
    pub(crate) tls: Option<Arc<ServerConfig>>,
}

/// A network from a seed, and its clock.
pub(crate) fn network(seed: u64, manners: Manners, connections: usize) -> (Sim, SimClock) {
    let world = World {
        now: 1_000_000,
        random: Random(seed),
        manners,
        agenda: BTreeMap::new(),
        seen: Seen::default(),
        sent: Vec::new(),
        kept: Vec::new(),
    };
    let world = Rc::new(RefCell::new(world));
    let lines = std::iter::repeat_with(Line::default).take(connections).collect();
    let sim = Sim { world: world.clone(), lines, data: Vec::new(), due: Vec::new(), kernel: None, tls: None };
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

    fn report(&mut self, conn: ConnId, happening: Happening) -> Option<Event> {
        let world = self.world.clone();
        let mut world = world.borrow_mut();
        let line = &mut self.lines[conn.index()];
        match happening {
            Happening::Connected => {
                world.seen.connected += 1;
                if let Some(kernel) = &self.kernel {
                    kernel.borrow_mut().connected(conn, world.now);
                }
                Some(Event::Connected(conn))
            }
            Happening::ConnectFailed => Some(Event::ConnectFailed(conn, ErrorKind::ConnectRefused)),
            Happening::Eof if line.peer.as_ref().is_some_and(|peer| peer.has_more()) => {
                // Bytes stay before the end.
                world.plan(1, conn, line.life, Happening::Eof);
                self.arrive(conn, &mut world)
            }
            Happening::Eof => Some(Event::Eof(conn)),
            Happening::Reset => Some(Event::Broken(conn, ErrorKind::Reset)),
            Happening::Piece(bytes, last) => self.data_event(conn, bytes, u64::from(last), &mut world),
            Happening::Words(words) => {
                line.peer.as_mut()?.say(words);
                self.arrive(conn, &mut world)
            }
            Happening::Rest => self.arrive(conn, &mut world),
            Happening::Sealed => self.data_event(conn, Vec::new(), 0, &mut world),
        }
    }

    /// A piece of what an HTTP/2 peer said.
    fn arrive(&mut self, conn: ConnId, world: &mut World) -> Option<Event> {
        let line = &mut self.lines[conn.index()];
        let peer = line.peer.as_mut()?;
        let (bytes, answers) = peer.arriving();
        if peer.has_more() {
            world.plan(1, conn, line.life, Happening::Rest);
        }
        if bytes.is_empty() { None } else { self.data_event(conn, bytes, answers, world) }
    }

    fn data_event(&mut self, conn: ConnId, bytes: Vec<u8>, answers: u64, world: &mut World) -> Option<Event> {
        world.seen.answers += answers;
        world.seen.bytes += bytes.len() as u64;
        if world.manners.flooder {
            self.note_turn(conn, bytes.len() as u64, world);
        }
        let on_wire = self.seal(conn, &bytes, world);
        if let Some(kernel) = &self.kernel {
            let count = on_wire.as_ref().unwrap_or(&bytes).len();
            kernel.borrow_mut().arrived(conn, count, &bytes, answers > 0, world.now);
        }
        self.data = on_wire.unwrap_or(bytes);
        if self.data.is_empty() { None } else { Some(Event::Data(conn)) }
    }

    /// What goes over the wire instead, where there is TLS: cut anywhere, but the newest record begins.
    fn seal(&mut self, conn: ConnId, plain: &[u8], world: &mut World) -> Option<Vec<u8>> {
        let line = &mut self.lines[conn.index()];
        let tls = line.tls.as_mut()?;
        let keep = if plain.is_empty() { 0 } else { world.random.size(60) };
        let sealed = tls.seal(plain, keep);
        if tls.has_more() {
            world.plan(1, conn, line.life, Happening::Sealed);
        }
        Some(sealed)
    }

    /// So many bytes of `conn` are handled; whoever else has something due is passed over meanwhile.
    fn note_turn(&mut self, conn: ConnId, bytes: u64, world: &mut World) {
        self.lines[conn.index()].passed_over = 0;
        let coming = world.agenda.range(..=(world.now, u64::MAX)).map(|(_, (other, ..))| *other);
        let mut waiting: Vec<_> = self.due.iter().map(|(other, ..)| *other).chain(coming).collect();
        waiting.sort_unstable();
        waiting.dedup();
        for other in waiting.into_iter().filter(|other| *other != conn) {
            let passed_over = &mut self.lines[other.index()].passed_over;
            *passed_over += bytes;
            world.seen.passed_over_max = world.seen.passed_over_max.max(*passed_over);
        }
    }
}

impl Driver for Sim {
    const SEND_BATCH: usize = 8;

    fn connect(&mut self, conn: ConnId, _route: Route) -> Result<(), ErrorKind> {
        let mut world = self.world.borrow_mut();
        let (line, manners) = (&mut self.lines[conn.index()], world.manners);
        assert!(!line.open, "{conn:?} is open already");
        let life = line.life + 1;
        let peer = manners.two.map(|two| Box::new(Peer::new(world.random(), two)));
        let tls = self.tls.as_ref().map(|config| Box::new(Tls::new(config)));
        *line = Line { open: true, life, peer, tls, ..Line::default() };
        if let Some(kernel) = &self.kernel {
            kernel.borrow_mut().begin(conn, world.now);
        }
        if world.chance(manners.connect_lost) {
            return Ok(());
        }
        let refused = world.chance(manners.connect_refused);
        let after = world.delay();
        world.plan(after, conn, life, if refused { Happening::ConnectFailed } else { Happening::Connected });
        Ok(())
    }

    fn is_marked(&self, _conn: ConnId) -> bool {
        self.kernel.as_ref().is_some_and(|kernel| kernel.borrow().is_there())
    }

    fn send(&mut self, conn: ConnId, request: u16) {
        if let Some(kernel) = &self.kernel {
            kernel.borrow_mut().left_whole(conn, self.world.borrow().now);
        }
        let line = &mut self.lines[conn.index()];
        assert!(line.open, "{conn:?} is not open");
        let mut world = self.world.borrow_mut();
        let now = world.now;
        world.sent.push((now, request));
        world.answer(conn, line);
    }

    fn write(&mut self, conn: ConnId, bytes: &mut Vec<u8>) {
        let mut written = std::mem::take(bytes);
        let line = &mut self.lines[conn.index()];
        assert!(line.open, "{conn:?} is not open");
        let mut world = self.world.borrow_mut();
        world.seen.written += written.len() as u64;
        let on_wire = written.len();
        if let Some(tls) = &mut line.tls {
            written = tls.open(&written);
            if tls.has_more() {
                world.plan(1, conn, line.life, Happening::Sealed);
            }
        }
        if let Some(kernel) = &self.kernel {
            kernel.borrow_mut().left(conn, on_wire, &written, world.now);
        }
        if world.manners.sets_cookies {
            world.kept.push(written.clone());
        }
        let Some(peer) = &mut line.peer else {
            let requests = line.requests_in(&written, world.manners.request_bytes);
            return (0..requests).for_each(|_| world.answer(conn, line));
        };
        let (life, before) = (line.life, peer.requests);
        let deeds = peer.take(&written);
        world.seen.requests += peer.requests - before;
        for (after, deed) in deeds {
            let happening = match deed {
                Deed::Say(words) => Happening::Words(words),
                Deed::Close => Happening::Eof,
                Deed::Reset => Happening::Reset,
            };
            world.plan(after, conn, life, happening);
        }
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

    fn wait_together(&mut self, now: u64, until: u64, _gather: u64) {
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
            let line = &self.lines[conn.index()];
            if (line.open, line.life) != (true, life) {
                continue;
            }
            if let Some(event) = self.report(conn, happening) {
                return Some(event);
            }
        }
        None
    }

    fn data(&self) -> &[u8] {
        &self.data
    }

    fn receive(&mut self, conn: ConnId, _skip: u64) {
        let line = &self.lines[conn.index()];
        if line.floods && line.open {
            let piece = Happening::Piece(vec![b'x'; PIECE], false);
            self.world.borrow_mut().plan(1, conn, line.life, piece);
        }
    }

    fn close(&mut self, conn: ConnId) {
        self.lines[conn.index()].open = false;
    }

    fn take_overflows(&mut self) -> u64 {
        0
    }
}
