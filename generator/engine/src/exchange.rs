//! What becomes of one request: from its beginning through its connection to its sample.

use std::sync::atomic::Ordering;

use brunt_model::outcome::{ErrorKind, Outcome};
use brunt_model::sample::Sample;
use brunt_model::snapshot::judge;

use crate::clock::Clock;
use crate::conn::h1::{Answer, H1, Progress};
use crate::core_loop::CoreLoop;
use crate::io::{ConnId, Driver, Event, Route};
use crate::limits::{CONNECTS_IN_FLIGHT_MAX, HEAD_DEADLINE_NS, SEND_BATCH};
use crate::settings::{Arrival, NEVER, Work, backoff_ns};

/// Where a connection stands.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug)]
pub(crate) enum State {
    /// There is no socket.
    #[default]
    Closed,
    Connecting,
    Idle,
    /// A request is queued to be sent.
    Queued,
    /// A request is under way.
    Busy,
    /// A closed user waits before it connects again.
    Backoff,
}

/// A request that has begun.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Job {
    intended: u64,
    ready: u64,
    /// It had waited with all allowed connections in use.
    capped: bool,
    /// Its connection ended before it was sent, and it got another.
    reconnected: bool,
}

/// One place for a connection. In a closed load each user owns one.
#[derive(Default)]
pub(crate) struct Conn {
    pub(crate) state: State,
    machine: H1,
    job: Option<Job>,
    sent: u64,
    first_byte: u64,
    bytes_in: u64,
    connect_begun: u64,
    route: Route,
    /// Addresses tried for the present connect, and connects that failed in a row.
    tries: usize,
    failures: u32,
}

impl<D: Driver, C: Clock> CoreLoop<D, C> {
    /// A closed user begins its next request, if one is left.
    pub(crate) fn begin_user(&mut self, user: ConnId, intended: u64) {
        let Work::Closed { remaining, .. } = &mut self.work else { return };
        let conn = &mut self.conns[user.index()];
        if conn.state == State::Backoff {
            conn.state = State::Closed;
        }
        if !self.sending || *remaining == 0 {
            return;
        }
        *remaining -= 1;
        conn.job = Some(Job { intended, ready: intended, capped: false, reconnected: false });
        self.recorder.scheduled(intended);
        self.recorder.counters().started += 1;
        self.in_flight += 1;
        match conn.state {
            State::Idle => self.queue_send(user),
            State::Closed => {
                self.begin_connect(user, intended);
            }
            State::Connecting | State::Queued | State::Busy | State::Backoff => {}
        }
    }

    /// A slot of the schedule is due.
    pub(crate) fn arrive(&mut self, intended: u64, now: u64) {
        self.recorder.scheduled(intended);
        if let Some(conn) = self.pool.take_idle() {
            self.assign(conn, Arrival { intended, dispatched: now, capped: false }, now);
            return;
        }
        if let Work::Open { backlog, .. } = &mut self.work {
            backlog.push_back(Arrival { intended, dispatched: now, capped: false });
        }
        self.open_for_backlog(now);
        let (connecting, all_in_use) = (self.pool.connecting(), !self.pool.has_free());
        let Work::Open { backlog, max_backlog, .. } = &mut self.work else { return };
        if backlog.len() > *max_backlog + connecting {
            backlog.pop_back();
            self.recorder.dropped(intended);
        } else if backlog.len() > connecting
            && all_in_use
            && let Some(arrival) = backlog.back_mut()
        {
            arrival.capped = true;
        }
    }

    /// Gives an arrival a connection that is free.
    fn assign(&mut self, conn: ConnId, arrival: Arrival, now: u64) {
        let Arrival { intended, dispatched, capped } = arrival;
        // Waiting for a connection to be made is the target's time; coming late to the slot is ours.
        let ready = if capped { intended } else { now - (dispatched - intended) };
        self.conns[conn.index()].job = Some(Job { intended, ready, capped, reconnected: false });
        self.recorder.counters().started += 1;
        self.in_flight += 1;
        self.queue_send(conn);
    }

    /// Opens a connection for each waiting arrival, as far as allowed.
    pub(crate) fn open_for_backlog(&mut self, now: u64) {
        loop {
            let connecting = self.pool.connecting();
            if self.backlog_len() <= connecting as u64 || connecting >= CONNECTS_IN_FLIGHT_MAX {
                return;
            }
            let Some(conn) = self.pool.take_free() else { return };
            if !self.begin_connect(conn, now) {
                return;
            }
        }
    }

    /// Arrivals that waited as long as a request may take are given up.
    pub(crate) fn expire_backlog(&mut self, now: u64) {
        while let Work::Open { backlog, .. } = &mut self.work {
            let oldest =
                backlog.front().filter(|arrival| arrival.intended + self.settings.total_ns <= now).copied();
            let Some(arrival) = oldest else { return };
            backlog.pop_front();
            self.fail_arrival(arrival, ErrorKind::TimeoutTotal, now);
        }
    }

    fn take_backlog(&mut self) -> Option<Arrival> {
        match &mut self.work {
            Work::Open { backlog, .. } => backlog.pop_front(),
            Work::Closed { .. } => None,
        }
    }

    /// Begins to connect; false when that failed at once.
    pub(crate) fn begin_connect(&mut self, conn: ConnId, now: u64) -> bool {
        let route = self.pool.next_route();
        self.conns[conn.index()].tries = 0;
        self.connect_by(conn, route, now)
    }

    fn connect_by(&mut self, id: ConnId, route: Route, now: u64) -> bool {
        let begun = self.now();
        let conn = &mut self.conns[id.index()];
        conn.state = State::Connecting;
        (conn.route, conn.connect_begun) = (route, begun);
        conn.tries += 1;
        conn.machine.reset();
        self.deadlines[id.index()] = now + self.settings.connect_ns;
        self.pool.connect_begun();
        match self.driver.connect(id, route) {
            Ok(()) => true,
            Err(kind) => {
                self.connect_failed(id, kind, now);
                false
            }
        }
    }

    fn connected(&mut self, id: ConnId, now: u64) {
        let conn = &mut self.conns[id.index()];
        self.pool.connect_ended(conn.route, true);
        if !self.ever_connected {
            self.ever_connected = true;
            self.reached.store(true, Ordering::Relaxed);
        }
        self.deadlines[id.index()] = NEVER;
        conn.failures = 0;
        self.recorder.record_connect(now.saturating_sub(conn.connect_begun));
        if let Some(job) = &mut conn.job {
            job.ready = now.max(job.ready);
            self.queue_send(id);
        } else {
            self.make_idle(id, now);
        }
    }

    fn connect_failed(&mut self, id: ConnId, kind: ErrorKind, now: u64) {
        let (route, tries) = (self.conns[id.index()].route, self.conns[id.index()].tries);
        self.pool.connect_ended(route, false);
        self.driver.close(id);
        if let Some(other) = self.pool.other_route(route, tries) {
            self.connect_by(id, other, now);
            return;
        }
        self.connects_failed += 1;
        self.deadlines[id.index()] = NEVER;
        let conn = &mut self.conns[id.index()];
        conn.state = State::Closed;
        conn.failures += 1;
        let (job, failures) = (conn.job.take(), conn.failures);
        let had_job = job.is_some();
        if let Some(job) = job {
            self.finish(job, id, Outcome::Failed(kind), now, false);
        }
        match &self.work {
            Work::Closed { .. } if had_job => {
                self.conns[id.index()].state = State::Backoff;
                self.deadlines[id.index()] = now + backoff_ns(failures);
            }
            Work::Closed { .. } => {}
            Work::Open { .. } => {
                self.pool.give_free(id);
                if !had_job && let Some(arrival) = self.take_backlog() {
                    self.fail_arrival(arrival, kind, now);
                }
            }
        }
    }

    fn fail_arrival(&mut self, arrival: Arrival, kind: ErrorKind, now: u64) {
        self.recorder.counters().started += 1;
        let sample = Sample {
            intended_ns: arrival.intended,
            ready_ns: arrival.intended,
            sent_ns: None,
            first_byte_ns: None,
            done_ns: now,
            bytes_in: 0,
            outcome: Outcome::Failed(kind),
        };
        self.recorder.record(&sample, arrival.capped);
    }

    /// Queues the request; it is sent with the next batch.
    #[inline]
    fn queue_send(&mut self, id: ConnId) {
        let conn = &mut self.conns[id.index()];
        conn.state = State::Queued;
        (conn.first_byte, conn.bytes_in) = (0, 0);
        conn.machine.reset();
        self.queued[self.queued_len] = id;
        self.queued_len += 1;
        if self.queued_len == D::SEND_BATCH.min(SEND_BATCH) {
            self.stamp();
            self.driver.submit();
        }
    }

    /// Takes the time for all queued sends and gives them to the driver. The caller submits.
    #[inline]
    pub(crate) fn stamp(&mut self) -> u64 {
        let now = self.now();
        let deadline = now + self.settings.first_byte_ns.min(self.settings.total_ns);
        for index in 0..self.queued_len {
            let id = self.queued[index];
            let conn = &mut self.conns[id.index()];
            if conn.state != State::Queued {
                continue; // Its connection ended before it was sent.
            }
            conn.state = State::Busy;
            conn.sent = now;
            self.deadlines[id.index()] = deadline;
            self.recorder.counters().bytes_out += self.settings.request_bytes;
            self.driver.send(id);
        }
        self.queued_len = 0;
        now
    }

    /// Handles what the driver has to report, but not past the next sweep: more may come in as fast as it is handled.
    pub(crate) fn take_events(&mut self) {
        while let Some(event) = self.driver.next_event() {
            let now = self.now();
            match event {
                Event::Data(id) => self.data(id, now),
                Event::Skipped(id, count) => self.skipped(id, count, now),
                Event::Connected(id) => self.connected(id, now),
                Event::ConnectFailed(id, kind) => self.connect_failed(id, kind, now),
                Event::Eof(id) => self.ended(id, None, now),
                Event::Broken(id, kind) => self.ended(id, Some(kind), now),
            }
            self.dispatch_if_due(now);
            if now >= self.progress.next_sweep {
                return;
            }
        }
    }

    /// A slot must not wait for the rest of the events.
    #[inline]
    fn dispatch_if_due(&mut self, now: u64) {
        if !self.sending {
            return;
        }
        if let Work::Open { pacer, .. } = &mut self.work
            && let Some(intended) = pacer.take(now)
        {
            self.arrive(intended, now);
            self.stamp();
            self.driver.submit();
        }
    }

    #[inline]
    fn data(&mut self, id: ConnId, now: u64) {
        let conn = &mut self.conns[id.index()];
        let bytes = self.driver.data();
        if conn.state != State::Busy {
            // Nobody asked for it.
            self.ended(id, Some(ErrorKind::Protocol), now);
            return;
        }
        if conn.bytes_in == 0 {
            conn.first_byte = now;
        }
        conn.bytes_in += bytes.len() as u64;
        let progress = conn.machine.feed(bytes, &mut self.context);
        self.advance(id, progress, now);
    }

    fn skipped(&mut self, id: ConnId, count: u64, now: u64) {
        let conn = &mut self.conns[id.index()];
        if conn.state != State::Busy {
            self.ended(id, Some(ErrorKind::Protocol), now);
            return;
        }
        conn.bytes_in += count;
        let progress = conn.machine.skip(count, &self.context);
        self.advance(id, progress, now);
    }

    #[inline]
    fn advance(&mut self, id: ConnId, progress: Progress, now: u64) {
        match progress {
            Progress::Done(answer) => self.answered(id, answer, now),
            Progress::More { skip } => {
                let conn = &self.conns[id.index()];
                let mut deadline = conn.sent + self.settings.total_ns;
                if conn.machine.in_head() {
                    deadline = deadline.min(conn.first_byte + HEAD_DEADLINE_NS);
                }
                self.deadlines[id.index()] = deadline;
                self.driver.receive(id, skip);
            }
            Progress::Failed(kind) => self.broken(id, kind, now),
        }
    }

    #[inline]
    fn answered(&mut self, id: ConnId, answer: Answer, now: u64) {
        let Some(job) = self.conns[id.index()].job.take() else { return };
        let outcome = judge(answer.status, self.settings.plan.accepts(answer.status));
        self.deadlines[id.index()] = NEVER;
        self.finish(job, id, outcome, now, true);
        // An answer may come before the request is out; what is left of it must not meet the next one.
        if answer.reusable && self.settings.keep_alive && self.driver.sent_whole(id) {
            self.driver.receive(id, 0);
            self.make_idle(id, now);
        } else {
            self.close(id, now);
        }
    }

    /// An open connection has nothing to do: the next request, if there is one, goes to it.
    #[inline]
    fn make_idle(&mut self, id: ConnId, now: u64) {
        self.conns[id.index()].state = State::Idle;
        if matches!(self.work, Work::Closed { .. }) {
            self.begin_user(id, now);
        } else if let Some(arrival) = self.take_backlog() {
            self.assign(id, arrival, now);
        } else {
            self.pool.give_idle(id);
        }
    }

    /// Writes down how a request ended. `sent`: it reached the wire.
    #[inline]
    fn finish(&mut self, job: Job, id: ConnId, outcome: Outcome, now: u64, sent: bool) {
        let conn = &self.conns[id.index()];
        let sample = Sample {
            intended_ns: job.intended,
            ready_ns: job.ready,
            sent_ns: sent.then_some(conn.sent),
            first_byte_ns: (sent && conn.bytes_in > 0).then_some(conn.first_byte),
            done_ns: now,
            bytes_in: if sent { conn.bytes_in } else { 0 },
            outcome,
        };
        self.in_flight -= 1;
        self.recorder.record(&sample, job.capped);
    }

    /// The peer closed its side, or the connection broke.
    fn ended(&mut self, id: ConnId, kind: Option<ErrorKind>, now: u64) {
        match (self.conns[id.index()].state, kind) {
            (State::Busy, None) => match self.conns[id.index()].machine.feed_eof() {
                Progress::Done(answer) => self.answered(id, answer, now),
                Progress::Failed(kind) => self.broken(id, kind, now),
                Progress::More { .. } => {}
            },
            (State::Queued, None) if self.reconnect_once(id, now) => {}
            (State::Busy | State::Queued, kind) => {
                self.broken(id, kind.unwrap_or(ErrorKind::ClosedEarly), now)
            }
            (State::Connecting, kind) => {
                self.connect_failed(id, kind.unwrap_or(ErrorKind::ConnectReset), now)
            }
            (State::Idle, _) => self.drop_idle(id, now),
            (State::Closed | State::Backoff, _) => {}
        }
    }

    /// The connection ended under a request that was not sent yet: it gets a new one, once.
    fn reconnect_once(&mut self, id: ConnId, now: u64) -> bool {
        let Some(job) = &mut self.conns[id.index()].job else { return false };
        if std::mem::replace(&mut job.reconnected, true) {
            return false;
        }
        self.driver.close(id);
        self.pool.closed();
        self.begin_connect(id, now);
        true
    }

    /// Requests that the end of the drain finds under way: they took this long and did not end.
    pub(crate) fn give_up_all(&mut self, now: u64) {
        for index in 0..self.conns.len() {
            let sent = self.conns[index].state == State::Busy;
            if let Some(job) = self.conns[index].job.take() {
                let id = ConnId(u32::try_from(index).unwrap_or(u32::MAX));
                self.finish(job, id, Outcome::Failed(ErrorKind::TimeoutTotal), now, sent);
            }
        }
        while let Some(arrival) = self.take_backlog() {
            self.fail_arrival(arrival, ErrorKind::TimeoutTotal, now);
        }
    }

    /// The request under way failed, and its connection with it.
    fn broken(&mut self, id: ConnId, kind: ErrorKind, now: u64) {
        let sent = self.conns[id.index()].state == State::Busy;
        if let Some(job) = self.conns[id.index()].job.take() {
            self.finish(job, id, Outcome::Failed(kind), now, sent);
        }
        self.close(id, now);
    }

    fn drop_idle(&mut self, id: ConnId, now: u64) {
        if self.conns[id.index()].state == State::Idle {
            self.pool.forget_idle(id);
            self.close(id, now);
        }
    }

    /// Closes an open connection; a closed user goes on with its next request on a new one.
    fn close(&mut self, id: ConnId, now: u64) {
        self.driver.close(id);
        self.pool.closed();
        self.deadlines[id.index()] = NEVER;
        self.conns[id.index()].state = State::Closed;
        if matches!(self.work, Work::Closed { .. }) {
            self.begin_user(id, now);
        } else {
            self.pool.give_free(id);
            self.open_for_backlog(now);
        }
    }

    /// A connection's deadline has passed.
    pub(crate) fn timed_out(&mut self, id: ConnId, now: u64) {
        let conn = &self.conns[id.index()];
        match conn.state {
            State::Connecting => self.connect_failed(id, ErrorKind::ConnectTimeout, now),
            State::Busy => {
                let kind = if conn.bytes_in == 0 && self.settings.first_byte_ns <= self.settings.total_ns {
                    ErrorKind::TimeoutFirstByte
                } else if conn.machine.in_head()
                    && now >= conn.first_byte + HEAD_DEADLINE_NS
                    && conn.bytes_in > 0
                {
                    ErrorKind::HeaderTimeout
                } else {
                    ErrorKind::TimeoutTotal
                };
                self.broken(id, kind, now);
            }
            State::Closed | State::Idle | State::Queued | State::Backoff => {}
        }
    }
}
