//! What becomes of one request: from its beginning through its lane to its sample.

use brunt_model::outcome::{ErrorKind, Outcome};
use brunt_model::sample::{Kernel, Sample};

use crate::clock::Clock;
use crate::conn::h1::Answer;
use crate::connection::{End, State};
use crate::core_loop::CoreLoop;
use crate::io::{ConnId, Driver};
use crate::lane::{Job, LaneId, Phase};
use crate::limits::CONNECTS_IN_FLIGHT_MAX;
use crate::settings::{Arrival, NEVER, Work};

impl<D: Driver, C: Clock> CoreLoop<D, C> {
    /// A slot of the schedule is due.
    pub(crate) fn arrive(&mut self, intended: u64, now: u64) {
        self.recorder.scheduled(intended);
        let arrival = Arrival { intended, number: self.next_number(), dispatched: now, capped: false };
        if let Some(lane) = self.pool.take_idle() {
            self.assign(lane, arrival, now);
            return;
        }
        if let Work::Open { backlog, .. } = &mut self.work {
            backlog.push_back(arrival);
        }
        self.open_for_backlog(now);
        let (coming, all_in_use) = (self.lanes_coming(), !self.pool.has_free());
        let Work::Open { backlog, max_backlog, .. } = &mut self.work else { return };
        if backlog.len() > *max_backlog + coming {
            backlog.pop_back();
            self.recorder.dropped(intended);
        } else if backlog.len() > coming
            && all_in_use
            && let Some(arrival) = backlog.back_mut()
        {
            arrival.capped = true;
        }
    }

    /// Lanes of connections that are being made.
    fn lanes_coming(&self) -> usize {
        self.pool.connecting() * self.lanes.users_per_connection() as usize
    }

    /// Gives an arrival a lane that is free.
    fn assign(&mut self, lane: LaneId, arrival: Arrival, now: u64) {
        let Arrival { intended, number, dispatched, capped } = arrival;
        // Waiting for a connection to be made is the target's time; coming late to the slot is ours.
        let ready = if capped { intended } else { now - (dispatched - intended) };
        let job = Job { intended, ready, capped, resent: 0 };
        if !self.settings.single {
            return self.begin_arrival(lane, number, job, now);
        }
        self.begin_job(lane, job);
        self.place(lane, now);
    }

    #[inline]
    pub(crate) fn begin_job(&mut self, lane: LaneId, job: Job) {
        let lane = self.lanes.get(lane);
        (lane.job, lane.phase) = (Some(job), Phase::Waiting);
        self.recorder.counters().started += 1;
        self.in_flight += 1;
    }

    /// Sends a lane's request as soon as its connection can.
    #[inline]
    pub(crate) fn place(&mut self, lane: LaneId, now: u64) {
        let id = self.lanes.conn(lane);
        let conn = &mut self.conns[id.index()];
        match conn.state {
            State::Open if !conn.leaving && conn.link.can_request() => self.queue_send(lane),
            State::Open => {
                // The server takes no more at present.
                conn.held += 1;
                let total = self.total_ns(self.lanes.at(lane).request);
                self.lanes.set_deadline(lane, now + total);
            }
            State::Closed => {
                self.begin_connect(id, now);
            }
            State::Connecting | State::Securing | State::Closing | State::Backoff => {}
        }
    }

    /// Opens connections for waiting arrivals, as far as allowed.
    pub(crate) fn open_for_backlog(&mut self, now: u64) {
        loop {
            if self.backlog_len() <= self.lanes_coming() as u64
                || self.pool.connecting() >= CONNECTS_IN_FLIGHT_MAX
            {
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

    pub(crate) fn take_backlog(&mut self) -> Option<Arrival> {
        match &mut self.work {
            Work::Open { backlog, .. } => backlog.pop_front(),
            Work::Closed { .. } => None,
        }
    }

    pub(crate) fn fail_arrival(&mut self, arrival: Arrival, kind: ErrorKind, now: u64) {
        self.recorder.counters().started += 1;
        let sample = Sample {
            intended_ns: arrival.intended,
            ready_ns: arrival.intended,
            sent_ns: None,
            first_byte_ns: None,
            done_ns: now,
            bytes_in: 0,
            kernel: Kernel::Off,
            outcome: Outcome::Failed(kind),
        };
        let name = self.first_name(arrival.number);
        self.recorder.record(name, &sample, arrival.capped, true);
        self.observe_unsent(name, kind, arrival.intended);
    }

    /// A request has its answer.
    #[inline]
    pub(crate) fn answered(&mut self, id: LaneId, answer: Answer, now: u64) {
        self.take_cookies(id);
        if self.answers_challenge(id, answer, now) {
            return;
        }
        if let Some(max) = self.redirects_of(id)
            && matches!(answer.status, 301 | 302 | 303 | 307 | 308)
        {
            self.redirected(id, answer, max, now);
            return;
        }
        let outcome = self.judged(id, answer, now);
        self.complete(id, answer.reusable, outcome, now);
    }

    /// Ends an answered request; what follows depends on whether its connection can take another.
    #[inline]
    pub(crate) fn complete(&mut self, id: LaneId, reusable: bool, outcome: Outcome, now: u64) {
        let conn_id = self.lanes.conn(id);
        let conn = &mut self.conns[conn_id.index()];
        (conn.failures, conn.answered) = (0, true);
        conn.service_ns = now.saturating_sub(self.lanes.at(id).sent);
        self.service_ns = conn.service_ns;
        self.finish(id, outcome, now);
        // An answer may come before the request is out; what is left of it must not meet the next one. Where others
        // share the connection, what is left may be theirs.
        let shared = self.settings.multiplexed || self.lanes.per_connection() > 1;
        let clean = shared || self.driver.sent_whole(conn_id);
        if reusable && clean && self.settings.keep_alive {
            self.free(id, now);
        } else {
            self.end_connection(conn_id, End::Unanswered, now);
        }
    }

    /// A lane of an open connection is free again.
    pub(crate) fn free(&mut self, id: LaneId, now: u64) {
        let conn_id = self.lanes.conn(id);
        if self.conns[conn_id.index()].held > 0 {
            self.release_held(conn_id, now);
        }
        if self.conns[conn_id.index()].leaving || self.conns[conn_id.index()].link.is_leaving() {
            self.begin_leaving(conn_id, now);
            self.leave_when_idle(conn_id, now);
        }
        self.next_for(id, now);
    }

    /// The next request of a free lane.
    #[inline]
    pub(crate) fn next_for(&mut self, lane: LaneId, now: u64) {
        if !self.settings.single {
            let home = self.lanes.home(lane);
            if self.user_goes_on(home, now) || lane != home {
                return;
            }
        }
        if self.settings.closed {
            self.begin_user(lane, now);
            return;
        }
        let conn = &self.conns[self.lanes.conn(lane).index()];
        if conn.state != State::Open || conn.leaving || self.lanes.at(lane).phase != Phase::Empty {
            return;
        }
        match self.take_backlog() {
            Some(arrival) => self.assign(lane, arrival, now),
            None => self.pool.give_idle(lane),
        }
    }

    /// Lanes that waited for the server to take another request, each in its turn.
    pub(crate) fn release_held(&mut self, conn_id: ConnId, now: u64) {
        for lane in self.lanes.of_from(conn_id, self.conns[conn_id.index()].turn) {
            let conn = &mut self.conns[conn_id.index()];
            if conn.held == 0 || conn.leaving || !conn.link.can_request() {
                return;
            }
            if self.lanes.at(lane).phase == Phase::Waiting {
                conn.held -= 1;
                conn.turn = (self.lanes.within(lane) + 1) % self.lanes.per_connection();
                self.make_ready(lane, now);
                self.queue_send(lane);
            }
        }
    }

    /// A request that waits on a connection that is left goes to another, if there is one. One that belongs to a user
    /// stays: the lane is the user's own.
    pub(crate) fn move_elsewhere(&mut self, from: LaneId, now: u64) {
        if self.settings.bound {
            return;
        }
        let Self { pool, lanes, .. } = self;
        let to = pool.take_idle().or_else(|| pool.take_free().map(|conn| lanes.id(conn, 0)));
        let Some(to) = to else { return };
        let left = &mut self.conns[self.lanes.conn(from).index()];
        left.held = left.held.saturating_sub(1);
        self.lanes.set_deadline(from, NEVER);
        let lane = std::mem::take(self.lanes.get(from));
        *self.lanes.get(to) = lane;
        self.make_ready(to, now);
        self.place(to, now);
    }

    /// The target made this request wait until now.
    #[inline]
    pub(crate) fn make_ready(&mut self, lane: LaneId, now: u64) {
        if let Some(job) = &mut self.lanes.get(lane).job {
            job.ready = now.max(job.ready);
        }
    }

    /// Writes down how a lane's request ended, and frees the lane.
    #[inline]
    pub(crate) fn finish(&mut self, id: LaneId, outcome: Outcome, now: u64) {
        if outcome.error().is_some() || self.trace.is_some() {
            self.look_at_end(id, outcome, now);
        }
        let lane = self.lanes.get(id);
        let sent = lane.phase == Phase::Sent || lane.detour.is_some();
        lane.phase = Phase::Empty;
        (lane.detour, lane.own) = (None, None);
        let Some(job) = lane.job.take() else { return };
        let answered = self.stamps.is_some() && outcome.status().is_some();
        let sample = Sample {
            intended_ns: job.intended,
            ready_ns: job.ready,
            sent_ns: sent.then_some(lane.sent),
            first_byte_ns: (sent && lane.bytes_in > 0).then_some(lane.first_byte),
            done_ns: now,
            bytes_in: if sent { lane.bytes_in } else { 0 },
            kernel: if answered { lane.kernel } else { Kernel::Off },
            outcome,
        };
        let name = self.settings.plan.script.calls[usize::from(lane.request)].name;
        self.lanes.set_deadline(id, NEVER);
        self.in_flight -= 1;
        self.recorder.record(usize::from(name), &sample, job.capped, self.settings.single);
        if !self.settings.single {
            self.call_ended(id, outcome);
        }
    }

    /// Requests that the end of the drain finds under way: they took this long and did not end.
    pub(crate) fn give_up_all(&mut self, now: u64) {
        for lane in self.lanes.all() {
            if self.lanes.at(lane).job.is_some() {
                self.note_received(lane);
                self.finish(lane, Outcome::Failed(ErrorKind::TimeoutTotal), now);
                self.fail_user(self.lanes.home(lane));
            }
        }
        while let Some(arrival) = self.take_backlog() {
            self.fail_arrival(arrival, ErrorKind::TimeoutTotal, now);
        }
    }
}
