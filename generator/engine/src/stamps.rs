//! The kernel's time stamps of one core's connections, and which of them belong to which request.
//!
//! The kernel knows offsets in the stream of each TCP connection, and we know at which of them a request and its
//! answer begin: in clear text to the byte; over TLS a request begins where the write that seals it does, and an
//! answer with the record that holds its first byte. Stamps are overwritten by later ones, so they are looked up at
//! once: of a request when it was written, of an answer when its first byte is handled. What is not found is unknown,
//! never guessed.

use brunt_loader::timing::{CoreTiming, Unknown};
use brunt_model::sample::Kernel;

use crate::clock::Clock;
use crate::connection::State;
use crate::core_loop::CoreLoop;
use crate::io::{ConnId, Driver};
use crate::lane::LaneId;

/// A request whose departure was not looked up yet.
#[derive(Copy, Clone, Debug)]
struct Departure {
    lane: LaneId,
    /// Which of the requests of its lane.
    turn: u32,
    /// Where it begins: in the stream, or in the plaintext as long as it is not sealed.
    from: u64,
    sealed: bool,
}

/// One connection's stream.
#[derive(Default, Debug)]
struct Stream {
    /// Its socket was tied to its stamps.
    marked: bool,
    /// Bytes given to the driver and taken from it.
    sent: u64,
    received: u64,
    /// Plaintext that was sealed, where there is TLS.
    sealed: u64,
    /// Requests since the last look. Never more than there was made room for.
    departures: Vec<Departure>,
    /// As of the last look.
    retransmits: u64,
}

/// What is known of a lane's present request.
#[derive(Copy, Clone, Debug)]
struct Request {
    turn: u32,
    from: u64,
    left: Result<u64, Unknown>,
}

impl Request {
    const NONE: Self = Self { turn: 0, from: 0, left: Err(Unknown::Missing) };
}

/// The stamps of one core.
#[derive(Debug)]
pub(crate) struct Stamps {
    timing: CoreTiming,
    /// A connection has one request under way: its newest stamps are of that one.
    one_at_a_time: bool,
    /// Departures of a connection that are remembered.
    room: usize,
    streams: Vec<Stream>,
    /// By lane.
    requests: Vec<Request>,
}

impl Stamps {
    /// For so many connections and places for lanes. `lanes`: those of each connection.
    pub(crate) fn new(
        timing: CoreTiming,
        one_at_a_time: bool,
        connections: usize,
        places: usize,
        lanes: usize,
    ) -> Self {
        Self {
            timing,
            one_at_a_time,
            // A lane may fail and begin anew before anything of it was written.
            room: 2 * lanes,
            streams: std::iter::repeat_with(Stream::default).take(connections).collect(),
            requests: vec![Request::NONE; places],
        }
    }

    /// A connection begins. `marked`: its socket is tied to its stamps; without that it has none.
    pub(crate) fn begin(&mut self, conn: ConnId, marked: bool) {
        let stream = &mut self.streams[conn.index()];
        let mut departures = std::mem::take(&mut stream.departures);
        departures.clear();
        if marked && !self.one_at_a_time {
            departures.reserve(self.room);
        }
        *stream = Stream { marked, departures, ..Stream::default() };
    }

    /// A connection ends, and what its place's stamps say is not of interest any more.
    pub(crate) fn end(&mut self, conn: ConnId) {
        self.streams[conn.index()].marked = false;
    }

    /// How long its TCP handshake took.
    pub(crate) fn handshake(&self, conn: ConnId) -> Option<u64> {
        if self.streams[conn.index()].marked { self.timing.handshake(conn.index()) } else { None }
    }

    /// Segments sent again since the last look.
    pub(crate) fn new_retransmits(&mut self, conn: ConnId) -> u64 {
        let stream = &mut self.streams[conn.index()];
        if !stream.marked {
            return 0;
        }
        let before = stream.retransmits;
        stream.retransmits = self.timing.retransmits(conn.index()).max(before);
        stream.retransmits - before
    }

    /// A lane begins a request behind so many bytes that are not given to the driver, or not sealed.
    #[inline]
    pub(crate) fn queued(&mut self, conn: ConnId, lane: LaneId, waiting: usize, tls: bool) {
        let stream = &mut self.streams[conn.index()];
        let request = &mut self.requests[lane.index()];
        let from = waiting as u64 + if tls { stream.sealed } else { stream.sent };
        *request = Request { turn: request.turn.wrapping_add(1), from, ..Request::NONE };
        if !self.one_at_a_time && stream.marked && stream.departures.len() < self.room {
            stream.departures.push(Departure { lane, turn: request.turn, from, sealed: !tls });
        }
    }

    /// So much plaintext was sealed; its records lie behind `before` bytes that are not given to the driver.
    pub(crate) fn seal(&mut self, conn: ConnId, plain: usize, before: usize) {
        let stream = &mut self.streams[conn.index()];
        stream.sealed += plain as u64;
        for departure in &mut stream.departures {
            if !departure.sealed && departure.from < stream.sealed {
                (departure.sealed, departure.from) = (true, stream.sent + before as u64);
            }
        }
    }

    /// The driver was given so many bytes.
    #[inline]
    pub(crate) fn sent(&mut self, conn: ConnId, bytes: u64) {
        self.streams[conn.index()].sent += bytes;
    }

    /// The driver took so many bytes.
    #[inline]
    pub(crate) fn received(&mut self, conn: ConnId, bytes: u64) {
        self.streams[conn.index()].received += bytes;
    }

    /// Bytes that the driver took so far.
    #[inline]
    pub(crate) fn received_so_far(&self, conn: ConnId) -> u64 {
        self.streams[conn.index()].received
    }

    /// Looks up when those requests left that were written meanwhile.
    #[inline]
    pub(crate) fn look(&mut self, conn: ConnId) {
        let Self { timing, streams, requests, .. } = self;
        let stream = &mut streams[conn.index()];
        if stream.departures.is_empty() {
            return;
        }
        let sent = stream.sent;
        stream.departures.retain(|departure| {
            let request = &mut requests[departure.lane.index()];
            if request.turn != departure.turn {
                return false; // Its lane is at another one.
            }
            if !departure.sealed || departure.from >= sent {
                return true;
            }
            request.left = timing.left(conn.index(), departure.from);
            // It may still lie in the socket.
            request.left == Err(Unknown::Missing)
        });
    }

    /// The times of a lane's request, whose answer begins at this offset of the stream.
    pub(crate) fn times(&mut self, conn: ConnId, lane: LaneId, at: u64) -> Kernel {
        if !self.streams[conn.index()].marked {
            return Kernel::Missing;
        }
        self.look(conn);
        let request = self.requests[lane.index()];
        let (left, arrived) = if self.one_at_a_time {
            let times = self.timing.of_only(conn.index(), request.from, at);
            (times.map(|times| times.left), times.map(|times| times.arrived))
        } else {
            (request.left, self.timing.arrived(conn.index(), at))
        };
        match (left, arrived) {
            (Ok(left_ns), Ok(arrived_ns)) if left_ns <= arrived_ns => Kernel::Known { left_ns, arrived_ns },
            (Err(Unknown::Overwritten), _) | (_, Err(Unknown::Overwritten)) => Kernel::Overwritten,
            _ => Kernel::Missing,
        }
    }
}

/// What the loop asks of the stamps.
impl<D: Driver, C: Clock> CoreLoop<D, C> {
    #[inline]
    pub(crate) fn look_at_stamps(&mut self, id: ConnId) {
        if let Some(stamps) = &mut self.stamps {
            stamps.look(id);
        }
    }

    /// The offset of what is to be fed: all of `plain`, or of what the driver received. 0 where nobody asks for it.
    #[inline]
    pub(crate) fn feed_from(&mut self, id: ConnId, plain: Option<&[u8]>) -> u64 {
        let Some(stamps) = &self.stamps else { return 0 };
        let len = plain.unwrap_or_else(|| self.driver.data()).len() as u64;
        let link = &mut self.conns[id.index()].link;
        let end = link.plain_end().unwrap_or_else(|| stamps.received_so_far(id));
        link.feed_from(end - len);
        end - len
    }

    /// The first byte of the answer to a lane's request lies at this offset of what is fed. Of a chain of redirects the
    /// first request counts, as it does for the other times.
    pub(crate) fn answer_begins(&mut self, id: ConnId, lane: LaneId, at: u64) {
        let Some(stamps) = self.stamps.as_mut().filter(|_| self.lanes.at(lane).detour.is_none()) else {
            return;
        };
        if let Some(at) = self.conns[id.index()].link.in_stream(at) {
            self.lanes.get(lane).kernel = stamps.times(id, lane, at);
        }
    }

    /// Some streams' answers may have begun.
    pub(crate) fn answers_begin(&mut self, id: ConnId) {
        while let Some((within, at)) = self.conns[id.index()].link.next_begun() {
            self.answer_begins(id, self.lanes.id(id, within), at);
        }
    }

    /// A connection was made.
    pub(crate) fn note_handshake(&mut self, id: ConnId) {
        self.note_retransmits(id);
        if let Some(took) = self.stamps.as_ref().and_then(|stamps| stamps.handshake(id)) {
            self.recorder.record_handshake(took);
        }
    }

    /// Counts the segments of a connection that were sent again since the last look.
    pub(crate) fn note_retransmits(&mut self, id: ConnId) {
        let Some(stamps) = &mut self.stamps else { return };
        let new = stamps.new_retransmits(id);
        let connecting = self.conns[id.index()].state == State::Connecting;
        let counters = self.recorder.counters();
        counters.retransmits += new;
        counters.syn_retransmits += if connecting { new } else { 0 };
    }

    /// The same for all connections, at the end of an interval.
    pub(crate) fn note_all_retransmits(&mut self) {
        if self.stamps.is_some() {
            (0..self.conns.len()).for_each(|index| {
                self.note_retransmits(ConnId(u32::try_from(index).unwrap_or(u32::MAX)));
            });
        }
    }
}
