//! The life of one connection: made, secured, used, ended.

use std::ops::Range;
use std::sync::atomic::Ordering;

use brunt_model::outcome::{ErrorKind, Outcome};
use brunt_model::units::Nanos;

use crate::clock::Clock;
use crate::conn::Step;
use crate::conn::h1::Answer;
use crate::conn::link::Link;
use crate::conn::proxy::Handshake;
use crate::conn::records::Records;
use crate::conn::tls::Session;
use crate::core_loop::CoreLoop;
use crate::io::{ConnId, Driver, Route};
use crate::lane::{LaneId, Phase};
use crate::limits::RESENDS_MAX;
use crate::settings::{NEVER, Work, backoff_ns};

/// Where a connection stands.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug)]
pub(crate) enum State {
    /// There is no socket.
    #[default]
    Closed,
    Connecting,
    /// The proxy or TLS is being talked to.
    Securing,
    Open,
    /// It is being taken down; its lanes are not to touch it.
    Closing,
    /// Its users wait before they connect again.
    Backoff,
}

/// How a connection ends, for the requests under way on it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// The peer closed its side.
    Eof,
    /// For this reason.
    Failed(ErrorKind),
    /// The peer said that it will answer nothing more: what it did not begin with may be sent again.
    Unanswered,
}

/// One place for a connection.
pub(crate) struct Conn {
    pub(crate) state: State,
    pub(crate) link: Link,
    /// It has output that is not written, with these lanes' requests in it.
    pub(crate) dirty: bool,
    pub(crate) batch: Vec<u32>,
    /// Until when more may be gathered.
    pub(crate) gather_until: u64,
    /// How long the server took for the last answer.
    pub(crate) service_ns: u64,
    /// It takes no more requests, and ends with the last of those under way.
    pub(crate) leaving: bool,
    /// Lanes that wait for the server to take another request.
    pub(crate) held: u32,
    /// Which of its lanes is the first to be looked at for one that waits.
    pub(crate) turn: u32,
    /// Tells this connection from the next one in this place.
    pub(crate) life: u32,
    begun: u64,
    route: Route,
    /// Addresses tried for the present connect.
    tries: usize,
    /// This connection brought an answer.
    pub(crate) answered: bool,
    /// Connections in a row that brought none.
    pub(crate) failures: u32,
    /// Since when a frame has not ended; 0 where none is open.
    pub(crate) midway_since: u64,
    pub(crate) midway_frame: u32,
}

impl Conn {
    pub(crate) fn backs_off(&self) -> bool {
        self.state == State::Backoff
    }

    pub(crate) fn new(link: Link) -> Self {
        Self {
            state: State::Closed,
            link,
            dirty: false,
            batch: Vec::new(),
            gather_until: 0,
            service_ns: 0,
            leaving: false,
            held: 0,
            turn: 0,
            life: 0,
            begun: 0,
            route: Route::default(),
            tries: 0,
            answered: false,
            failures: 0,
            midway_since: 0,
            midway_frame: 0,
        }
    }
}

impl<D: Driver, C: Clock> CoreLoop<D, C> {
    /// Begins to connect; false when that failed at once.
    pub(crate) fn begin_connect(&mut self, conn: ConnId, now: u64) -> bool {
        let route = self.pool.next_route(self.endpoints_of(conn));
        self.conns[conn.index()].tries = 0;
        self.connect_by(conn, route, now)
    }

    /// Where a connection may lead.
    fn endpoints_of(&self, conn: ConnId) -> Range<usize> {
        self.settings.plan.targets[self.lanes.target(conn)].endpoints.clone()
    }

    fn connect_by(&mut self, id: ConnId, route: Route, now: u64) -> bool {
        let begun = self.now();
        let conn = &mut self.conns[id.index()];
        (conn.state, conn.leaving, conn.held, conn.midway_since) = (State::Connecting, false, 0, 0);
        (conn.route, conn.begun) = (route, begun);
        (conn.gather_until, conn.service_ns, conn.answered) = (0, 0, false);
        conn.batch.clear();
        if !self.settings.direct_only {
            conn.batch.reserve(self.lanes.per_connection() as usize);
        }
        conn.tries += 1;
        conn.life = conn.life.wrapping_add(1);
        conn.link.reset(self.settings.protocol);
        self.deadlines[id.index()] = now + self.settings.connect_ns;
        self.pool.connect_begun(self.lanes.is_home(id));
        if self.stamps.is_some() {
            conn.link.follow_answers();
        }
        match self.driver.connect(id, route) {
            Ok(()) => {
                if let Some(stamps) = &mut self.stamps {
                    stamps.begin(id, self.driver.is_marked(id));
                }
                true
            }
            Err(kind) => {
                self.connect_failed(id, kind, now);
                false
            }
        }
    }

    /// The socket is connected; a proxy and TLS come first where there are any.
    pub(crate) fn connected(&mut self, id: ConnId, now: u64) {
        self.note_handshake(id);
        let conn = &mut self.conns[id.index()];
        let nanos = now.saturating_sub(conn.begun);
        self.recorder.record_connect(nanos);
        if let Some(trace) = &mut self.trace {
            trace.connected(id, Nanos(nanos));
        }
        conn.begun = now;
        let target = self.lanes.target(id);
        let proxy = &self.settings.plan.targets[target].proxy;
        if proxy.is_none() && self.tls[target].is_none() {
            self.ready(id, now);
            return;
        }
        conn.state = State::Securing;
        self.deadlines[id.index()] = now + self.settings.connect_ns;
        if let Some(proxy) = proxy {
            conn.link.begin_proxy(Handshake::new(proxy));
        } else if let Err(kind) = self.begin_tls(id, 0, now) {
            self.connect_failed(id, kind, now);
            return;
        }
        self.mark_dirty(id);
    }

    /// Of what was received `unread` bytes are for it.
    fn begin_tls(&mut self, id: ConnId, unread: usize, now: u64) -> Result<(), ErrorKind> {
        if let Some(setup) = &self.tls[self.lanes.target(id)] {
            let conn = &mut self.conns[id.index()];
            conn.begun = now;
            let mut session = Session::new(setup)?;
            if let Some(stamps) = &self.stamps {
                session.records = Some(Records::new(stamps.received_so_far(id) - unread as u64));
            }
            conn.link.tls = Some(Box::new(session));
        }
        Ok(())
    }

    /// Takes what arrived while the proxy or TLS is being talked to. `plain` is where plaintext goes that comes with
    /// the end of the handshake.
    ///
    /// # Errors
    /// What the handshake ended with.
    pub(crate) fn secure(&mut self, id: ConnId, plain: &mut Vec<u8>, now: u64) -> Result<bool, ErrorKind> {
        let mut used = 0;
        let conn = &mut self.conns[id.index()];
        if conn.link.proxy.is_some() {
            let Some(taken) = conn.link.feed_proxy(self.driver.data())? else {
                self.mark_dirty(id);
                return Ok(false);
            };
            used = taken;
            self.begin_tls(id, self.driver.data().len() - used, now)?;
            self.mark_dirty(id);
        }
        let conn = &mut self.conns[id.index()];
        let rest = &self.driver.data()[used..];
        let Some(tls) = &mut conn.link.tls else {
            // The target speaks after it was spoken to, but over HTTP/2 it may begin (RFC 9113 section 3.4).
            if !rest.is_empty() && !self.settings.multiplexed {
                return Err(ErrorKind::Protocol);
            }
            plain.extend_from_slice(rest);
            return Ok(true);
        };
        let result = tls.read(rest, plain);
        let (ended, resumed) = (!tls.is_handshaking(), tls.resumed());
        self.mark_dirty(id);
        result?;
        if ended {
            if let Some(setup) = &self.tls[self.lanes.target(id)] {
                self.conns[id.index()].link.tls.as_ref().map_or(Ok(()), |tls| tls.check_alpn(setup))?;
            }
            let nanos = now.saturating_sub(self.conns[id.index()].begun);
            self.recorder.record_tls(nanos, resumed);
            if let Some(trace) = &mut self.trace {
                trace.secured(id, Nanos(nanos));
            }
        }
        Ok(ended)
    }

    /// The connection can be used.
    pub(crate) fn ready(&mut self, id: ConnId, now: u64) {
        let conn = &mut self.conns[id.index()];
        self.pool.connect_ended(self.lanes.is_home(id), conn.route, true);
        if !self.ever_connected {
            self.ever_connected = true;
            self.reached.store(true, Ordering::Relaxed);
        }
        self.deadlines[id.index()] = NEVER;
        conn.state = State::Open;
        conn.link.start(&self.context);
        if conn.link.has_output() {
            self.mark_dirty(id);
        }
        self.serve_lanes(id, now);
        // Lanes that were taken already are not there for those who wait.
        self.open_for_backlog(now);
    }

    /// No connection came of it.
    pub(crate) fn connect_failed(&mut self, id: ConnId, kind: ErrorKind, now: u64) {
        let (route, tries) = (self.conns[id.index()].route, self.conns[id.index()].tries);
        self.samples.refused_by = route.endpoint;
        let reached = self.conns[id.index()].state == State::Securing;
        if reached {
            self.say_last_words(id);
        }
        self.pool.connect_ended(self.lanes.is_home(id), route, false);
        self.close(id);
        self.conns[id.index()].state = State::Closing;
        // Somebody was there: another address would only hide what is wrong with them.
        if !reached && let Some(other) = self.pool.other_route(self.endpoints_of(id), route, tries) {
            self.connect_by(id, other, now);
            return;
        }
        self.connects_failed += 1;
        self.deadlines[id.index()] = NEVER;
        let mut had_job = false;
        for lane in self.lanes.of(id) {
            if self.lanes.at(lane).job.is_some() {
                had_job = true;
                self.finish(lane, Outcome::Failed(kind), now);
            }
        }
        self.conns[id.index()].state = State::Closed;
        match &self.work {
            Work::Closed { .. } if had_job => self.back_off(id, now),
            Work::Closed { .. } => {}
            Work::Open { .. } if self.has_users(id) => self.back_off(id, now),
            // Whoever comes to need it makes it anew.
            Work::Open { .. } if !self.lanes.is_home(id) => {}
            Work::Open { .. } => {
                self.pool.give_free(id);
                if !had_job {
                    self.fail_arrivals(kind, now);
                }
            }
        }
    }

    /// The arrivals that a connection was to be made for.
    fn fail_arrivals(&mut self, kind: ErrorKind, now: u64) {
        for _ in 0..self.lanes.users_per_connection() {
            let Some(arrival) = self.take_backlog() else { return };
            self.fail_arrival(arrival, kind, now);
        }
    }

    /// The users of a connection that brought nothing wait before they try again.
    fn back_off(&mut self, id: ConnId, now: u64) {
        let conn = &mut self.conns[id.index()];
        conn.state = State::Backoff;
        conn.failures += 1;
        self.deadlines[id.index()] = now + backoff_ns(conn.failures);
        if !self.sending && !self.settings.single {
            // What users do at last waits for the connection, and the end of the run for them.
            for lane in self.lanes.of(id) {
                self.user_goes_on(self.lanes.home(lane), now);
            }
        }
    }

    fn back_again(&mut self, id: ConnId, now: u64) {
        self.conns[id.index()].state = State::Closed;
        self.serve_lanes(id, now);
    }

    /// Goes on with the requests that waited for a connection, and finds the next for lanes that have none.
    fn serve_lanes(&mut self, id: ConnId, now: u64) {
        for lane in self.lanes.of(id) {
            if self.lanes.at(lane).phase == Phase::Waiting {
                self.make_ready(lane, now);
                self.place(lane, now);
            } else {
                self.next_for(lane, now);
            }
        }
    }

    /// Connects that have not ended when the load begins are begun anew by whoever needs them, so that no request is
    /// charged with the end of a wait that was not its own.
    pub(crate) fn abandon_connects(&mut self) {
        for index in 0..self.conns.len() {
            if !matches!(self.conns[index].state, State::Connecting | State::Securing) {
                continue;
            }
            let id = ConnId(u32::try_from(index).unwrap_or(u32::MAX));
            self.pool.connect_abandoned(self.lanes.is_home(id));
            self.close(id);
            self.conns[index].state = State::Closed;
            self.deadlines[index] = NEVER;
            if !self.settings.closed && self.lanes.is_home(id) {
                self.pool.give_free(id);
            }
        }
    }

    /// Ends an open connection and what is under way on it.
    pub(crate) fn end_connection(&mut self, id: ConnId, mut end: End, now: u64) {
        if end == End::Eof {
            match self.hear_the_end(id, now) {
                Some(reason) => end = reason,
                None => return,
            }
        }
        let conn = &mut self.conns[id.index()];
        if conn.state != State::Open {
            return;
        }
        conn.state = State::Closing;
        self.deadlines[id.index()] = NEVER;
        self.say_last_words(id);
        self.close(id);
        self.pool.closed();
        if !self.settings.closed {
            self.forget_idle(id);
        }
        for lane in self.lanes.of(id) {
            self.end_lane(lane, end, now);
        }
        self.conns[id.index()].state = State::Closed;
        self.after_close(id, now);
    }

    /// The end of the connection may be that of a message too. `None`: that was so, and the connection has ended by it.
    fn hear_the_end(&mut self, id: ConnId, now: u64) -> Option<End> {
        let conn = &mut self.conns[id.index()];
        let truncated = conn.link.tls.as_ref().is_some_and(|tls| !tls.peer_closed());
        match conn.link.feed_eof() {
            Step::Done { lane, answer } if !truncated => {
                let lane = self.lanes.id(id, lane);
                if self.lanes.at(lane).phase != Phase::Sent {
                    return Some(End::Failed(ErrorKind::Protocol));
                }
                self.answered(lane, Answer { reusable: false, ..answer }, now);
                None
            }
            Step::Failed(kind) => Some(End::Failed(kind)),
            _ => Some(End::Failed(ErrorKind::ClosedEarly)),
        }
    }

    fn close(&mut self, id: ConnId) {
        self.note_retransmits(id);
        if let Some(stamps) = &mut self.stamps {
            stamps.end(id);
        }
        self.driver.close(id);
    }

    /// What becomes of a lane whose connection ends.
    fn end_lane(&mut self, id: LaneId, end: End, now: u64) {
        let lane = self.lanes.get(id);
        let again = match (lane.phase, end) {
            (Phase::Empty | Phase::Waiting, _) => return,
            (Phase::Queued, End::Failed(ErrorKind::ClosedEarly | ErrorKind::Goaway)) => true,
            (_, End::Unanswered) => true,
            _ => false,
        };
        if again && self.send_again(id, RESENDS_MAX) {
            return;
        }
        self.note_received(id);
        let kind = match end {
            End::Failed(kind) => kind,
            End::Eof | End::Unanswered => ErrorKind::ClosedEarly,
        };
        self.finish(id, Outcome::Failed(kind), now);
    }

    /// Lets a request that the server did not begin with be sent again; false when that was tried often enough.
    pub(crate) fn send_again(&mut self, id: LaneId, times: u8) -> bool {
        let lane = self.lanes.get(id);
        match &mut lane.job {
            Some(job) if job.resent < times => {
                job.resent += 1;
                lane.phase = Phase::Waiting;
                self.lanes.set_deadline(id, NEVER);
                true
            }
            _ => false,
        }
    }

    /// What a place does once its connection is gone.
    fn after_close(&mut self, id: ConnId, now: u64) {
        if self.settings.closed || self.has_users(id) {
            let conn = &mut self.conns[id.index()];
            // Whoever ends connections without an answer is not run against without a pause.
            if conn.failures > 0 && !conn.answered {
                self.back_off(id, now);
            } else {
                conn.failures += u32::from(!conn.answered);
                self.back_again(id, now);
            }
            return;
        }
        let waiting = self.lanes.of(id).any(|lane| self.lanes.at(lane).phase == Phase::Waiting);
        if waiting {
            self.begin_connect(id, now);
        } else if self.lanes.is_home(id) {
            self.pool.give_free(id);
        }
        self.open_for_backlog(now);
    }

    fn forget_idle(&mut self, id: ConnId) {
        let Self { pool, lanes, .. } = self;
        pool.forget_idle(|lane| lanes.conn(lane) == id);
    }

    /// Goodbyes and alerts go out if there is room for them; nobody waits for that. Requests that are only gathered do
    /// not: they will be sent elsewhere or have failed.
    fn say_last_words(&mut self, id: ConnId) {
        if self.conns[id.index()].batch.is_empty() {
            self.conns[id.index()].link.goodbye();
            self.write(id);
        }
        self.conns[id.index()].link.forget_output();
    }

    /// A connection takes no more requests: its free lanes are not for arrivals any more, and those that wait on it
    /// go elsewhere.
    pub(crate) fn begin_leaving(&mut self, id: ConnId, now: u64) {
        let conn = &mut self.conns[id.index()];
        if std::mem::replace(&mut conn.leaving, true) || self.settings.closed {
            return;
        }
        self.forget_idle(id);
        for lane in self.lanes.of(id) {
            if self.lanes.at(lane).phase == Phase::Waiting {
                self.move_elsewhere(lane, now);
            }
        }
    }

    /// A connection that takes no more requests ends when the last is answered.
    pub(crate) fn leave_when_idle(&mut self, id: ConnId, now: u64) {
        let busy =
            self.lanes.of(id).any(|lane| matches!(self.lanes.at(lane).phase, Phase::Sent | Phase::Queued));
        if !busy {
            self.end_connection(id, End::Unanswered, now);
        }
    }

    /// The peer closed its side, or the connection broke.
    pub(crate) fn ended(&mut self, id: ConnId, kind: Option<ErrorKind>, now: u64) {
        match self.conns[id.index()].state {
            State::Connecting => self.connect_failed(id, kind.unwrap_or(ErrorKind::ConnectReset), now),
            State::Securing => {
                let kind = kind.map_or(ErrorKind::ClosedEarly, |kind| kind);
                self.connect_failed(id, self.securing_kind(id, kind), now);
            }
            State::Open => self.end_connection(id, kind.map_or(End::Eof, End::Failed), now),
            State::Closed | State::Closing | State::Backoff => {}
        }
    }

    /// An end while the proxy or TLS was being talked to is theirs.
    fn securing_kind(&self, id: ConnId, kind: ErrorKind) -> ErrorKind {
        let link = &self.conns[id.index()].link;
        match kind {
            ErrorKind::ClosedEarly | ErrorKind::Reset if link.proxy.is_some() => ErrorKind::Proxy,
            ErrorKind::ClosedEarly | ErrorKind::Reset => ErrorKind::TlsHandshake,
            kind => kind,
        }
    }

    /// A connection's own deadline has passed.
    pub(crate) fn connection_expired(&mut self, id: ConnId, now: u64) {
        match self.conns[id.index()].state {
            State::Connecting => self.connect_failed(id, ErrorKind::ConnectTimeout, now),
            State::Securing => {
                let proxy = self.conns[id.index()].link.proxy.is_some();
                self.connect_failed(id, if proxy { ErrorKind::Proxy } else { ErrorKind::TlsTimeout }, now);
            }
            State::Backoff => self.back_again(id, now),
            State::Open => self.midway_expired(id, now),
            State::Closed | State::Closing => {}
        }
    }
}
