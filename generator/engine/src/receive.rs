//! What arrives: handed to its connection's machines, and what they make of it to the requests under way.

use brunt_model::outcome::{ErrorKind, Outcome};
use brunt_model::plan::Plan;

use crate::clock::Clock;
use crate::conn::Step;
use crate::conn::h1::Answer;
use crate::conn::link::Http;
use crate::connection::{End, State};
use crate::core_loop::CoreLoop;
use crate::fill::{as_request, path_sent};
use crate::io::{ConnId, Driver, Event};
use crate::lane::{Detour, LaneId, Phase};
use crate::limits::{CONTINUE_NS, HEAD_BYTE_NS, HEAD_DEADLINE_NS, HEAD_GRACE_NS, RESENDS_MAX};
use crate::settings::Work;

impl<D: Driver, C: Clock> CoreLoop<D, C> {
    /// Handles what the driver has to report, but not past the next sweep: more may come in as fast as it is handled.
    pub(crate) fn take_events(&mut self) {
        while let Some(event) = self.driver.next_event() {
            let now = self.now();
            match event {
                Event::Data(id) => self.data(id, now),
                Event::Skipped(id, count) => self.skipped(id, count, now),
                Event::Written(id) => {
                    self.look_at_stamps(id);
                    self.gather_more(id, now);
                }
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
        if self.wake_if_due(now) {
            self.flush(true);
            self.driver.submit();
        }
        if !self.sending {
            return;
        }
        if let Work::Open { pacer, .. } = &mut self.work
            && let Some(intended) = pacer.take(now)
        {
            self.arrive(intended, now);
            self.flush(true);
            self.driver.submit();
        }
    }

    #[inline]
    fn data(&mut self, id: ConnId, now: u64) {
        if let Some(stamps) = &mut self.stamps {
            stamps.received(id, self.driver.data().len() as u64);
            stamps.look(id);
        }
        let conn = &self.conns[id.index()];
        if conn.state == State::Open && conn.link.tls.is_none() {
            self.consume(id, None, now);
            return;
        }
        let mut plain = std::mem::take(&mut self.plain);
        plain.clear();
        self.data_within_tls(id, &mut plain, now);
        self.plain = plain;
    }

    fn data_within_tls(&mut self, id: ConnId, plain: &mut Vec<u8>, now: u64) {
        let life = self.conns[id.index()].life;
        let failed = match self.conns[id.index()].state {
            State::Securing => match self.secure(id, plain, now) {
                Ok(false) => return self.driver.receive(id, 0),
                Ok(true) => {
                    self.ready(id, now);
                    None
                }
                Err(kind) => return self.connect_failed(id, kind, now),
            },
            State::Open => self.open_records(id, plain),
            _ => return self.ended(id, Some(ErrorKind::Protocol), now),
        };
        if plain.is_empty() {
            self.driver.receive(id, 0);
        } else {
            self.consume(id, Some(plain), now);
        }
        let conn = &self.conns[id.index()];
        if conn.life != life || conn.state != State::Open {
            return;
        }
        let closed = conn.link.tls.as_ref().is_some_and(|tls| tls.peer_closed());
        match failed {
            Some(kind) => self.end_connection(id, End::Failed(kind), now),
            None if closed => self.end_connection(id, End::Eof, now),
            None => {}
        }
    }

    /// Appends to `plain` what the records hold that the driver received; returns what was wrong with them.
    fn open_records(&mut self, id: ConnId, plain: &mut Vec<u8>) -> Option<ErrorKind> {
        let link = &mut self.conns[id.index()].link;
        if self.stamps.is_some() {
            link.forget_records();
        }
        let tls = link.tls.as_mut()?;
        let failed = tls.read(self.driver.data(), plain).err();
        if tls.wants_write() {
            self.mark_dirty(id);
        }
        failed
    }

    /// Feeds an open connection with `plain`, or with what the driver received.
    #[inline]
    fn consume(&mut self, id: ConnId, plain: Option<&[u8]>, now: u64) {
        let life = self.conns[id.index()].life;
        let begin = self.feed_from(id, plain);
        let mut at = 0;
        loop {
            let conn = &mut self.conns[id.index()];
            let bytes = &plain.unwrap_or_else(|| self.driver.data())[at..];
            let front = match &conn.link.http {
                Http::One(one) => one.front(),
                Http::Two(_) => None,
            };
            let (used, step) = conn.link.feed(bytes, now, &mut self.context);
            if let Some(front) = front {
                let lane = self.lanes.id(id, front);
                let first = self.lanes.get(lane).received(used as u64, now);
                if first && self.stamps.is_some() {
                    self.answer_begins(id, lane, begin + at as u64);
                }
            } else if self.stamps.is_some() {
                self.answers_begin(id);
            }
            at += used;
            if self.step(id, step, now) {
                break;
            }
            let conn = &self.conns[id.index()];
            if conn.life != life || conn.state != State::Open {
                return;
            }
        }
        self.after_input(id);
    }

    /// Acts on one step; true when the input is used up.
    #[inline]
    fn step(&mut self, id: ConnId, step: Step, now: u64) -> bool {
        match step {
            Step::More { skip } => {
                self.await_more(id, now);
                let is_secure = self.conns[id.index()].link.tls.is_some();
                self.driver.receive(id, if is_secure { 0 } else { skip });
                return true;
            }
            Step::Done { lane, .. } if self.lanes.at(self.lanes.id(id, lane)).phase != Phase::Sent => {
                // It answers a request that has not left yet.
                self.end_connection(id, End::Failed(ErrorKind::Protocol), now);
            }
            Step::Done { lane, answer } => {
                let lane = self.lanes.id(id, lane);
                self.note_received(lane);
                self.answered(lane, answer, now);
            }
            Step::LaneFailed { lane, kind } => {
                let lane = self.lanes.id(id, lane);
                // A refused stream was not looked at, so its request may be sent again (RFC 9113 section 8.7). Once: the
                // first time may be for want of SETTINGS, the second is the server's answer.
                if kind == ErrorKind::RefusedStream && self.send_again(lane, 1) {
                    self.make_ready(lane, now);
                    self.place(lane, now);
                    if self.conns[id.index()].leaving {
                        self.move_elsewhere(lane, now);
                        self.leave_when_idle(id, now);
                    }
                } else {
                    self.lane_failed(lane, kind, now);
                }
            }
            Step::Unprocessed { lane } => {
                let lane = self.lanes.id(id, lane);
                self.begin_leaving(id, now);
                if self.send_again(lane, RESENDS_MAX) {
                    self.conns[id.index()].held += 1;
                    self.move_elsewhere(lane, now);
                    self.leave_when_idle(id, now);
                } else {
                    self.lane_failed(lane, ErrorKind::Goaway, now);
                }
            }
            Step::Ready => self.release_held(id, now),
            Step::Leaving => {
                self.begin_leaving(id, now);
                self.leave_when_idle(id, now);
            }
            Step::Failed(kind) => self.end_connection(id, End::Failed(kind), now),
        }
        false
    }

    /// A request failed, but its connection goes on.
    fn lane_failed(&mut self, lane: LaneId, kind: ErrorKind, now: u64) {
        self.note_received(lane);
        self.finish(lane, Outcome::Failed(kind), now);
        self.free(lane, now);
    }

    /// Bounds the wait for the rest of what is arriving.
    #[inline]
    fn await_more(&mut self, id: ConnId, now: u64) {
        let conn = &mut self.conns[id.index()];
        match &conn.link.http {
            Http::One(one) => {
                let Some(front) = one.front() else { return };
                let in_head = one.in_head();
                let id = self.lanes.id(id, front);
                let lane = self.lanes.at(id);
                if lane.phase == Phase::Sent && lane.hop_bytes() > 0 {
                    let mut deadline = lane.sent + self.total_ns(lane.request);
                    if in_head {
                        deadline = deadline.min(head_deadline(lane.hop_first_byte, lane.hop_bytes()));
                    }
                    self.lanes.set_deadline(id, deadline);
                }
            }
            Http::Two(client) if client.is_midway() => {
                if conn.midway_since == 0 || conn.midway_frame != client.frames() {
                    (conn.midway_since, conn.midway_frame) = (now, client.frames());
                    let deadline = &mut self.deadlines[id.index()];
                    *deadline = (*deadline).min(now + HEAD_DEADLINE_NS);
                }
            }
            Http::Two(_) => conn.midway_since = 0,
        }
    }

    /// Input may have made output, and room for more.
    #[inline]
    fn after_input(&mut self, id: ConnId) {
        if !self.settings.direct_only && self.conns[id.index()].link.has_output() {
            self.mark_dirty(id);
        }
    }

    fn skipped(&mut self, id: ConnId, count: u64, now: u64) {
        if let Some(stamps) = &mut self.stamps {
            stamps.received(id, count);
        }
        let conn = &mut self.conns[id.index()];
        let (State::Open, Http::One(one)) = (conn.state, &mut conn.link.http) else {
            return self.ended(id, Some(ErrorKind::Protocol), now);
        };
        if let Some(front) = one.front() {
            let lane = self.lanes.id(id, front);
            self.lanes.get(lane).received(count, now);
        }
        let step = one.skip(count, &self.context.one);
        let life = conn.life;
        let more = self.step(id, step, now);
        let conn = &self.conns[id.index()];
        if !more && conn.life == life && conn.state == State::Open {
            self.driver.receive(id, 0);
        }
    }

    /// Takes over what a connection of many streams counted for a lane.
    #[inline]
    pub(crate) fn note_received(&mut self, id: LaneId) {
        let conn = self.lanes.conn(id);
        if let Http::Two(client) = &self.conns[conn.index()].link.http {
            let (bytes, first) = client.received(self.lanes.within(id));
            let lane = self.lanes.get(id);
            if lane.phase == Phase::Sent {
                lane.bytes_in += bytes;
                if lane.first_byte == 0 {
                    lane.first_byte = first;
                }
            }
        }
    }

    /// The deadline of a lane has passed. What has come meanwhile may have moved it.
    pub(crate) fn lane_expired(&mut self, id: LaneId, now: u64) {
        let lane = self.lanes.at(id);
        match lane.phase {
            Phase::Sent => {}
            Phase::Waiting => {
                let conn = &mut self.conns[self.lanes.conn(id).index()];
                conn.held = conn.held.saturating_sub(1);
                self.finish(id, Outcome::Failed(ErrorKind::TimeoutTotal), now);
                return self.free(id, now);
            }
            Phase::Empty | Phase::Queued => return,
        }
        match self.overdue(id, now) {
            Err(later) => self.lanes.set_deadline(id, later),
            Ok(kind) => self.give_up(id, kind, now),
        }
    }

    /// Why a lane's request has taken too long; or when to look again.
    fn overdue(&self, id: LaneId, now: u64) -> Result<ErrorKind, u64> {
        let (lane, conn_id) = (self.lanes.at(id), self.lanes.conn(id));
        let link = &self.conns[conn_id.index()].link;
        let within = self.lanes.within(id);
        let (bytes, in_head) = match &link.http {
            Http::One(one) => (lane.hop_bytes(), one.in_head() && one.front() == Some(within)),
            Http::Two(client) => (client.received(within).0, false),
        };
        let total = lane.sent + self.total_ns(lane.request);
        let first = lane.hop_sent + self.settings.first_byte_ns;
        if now >= total {
            return Ok(if bytes == 0 && first <= total {
                ErrorKind::TimeoutFirstByte
            } else {
                ErrorKind::TimeoutTotal
            });
        }
        if bytes == 0 {
            if now >= first {
                return Ok(ErrorKind::TimeoutFirstByte);
            }
            let shut_out = link.is_shut_out(within) || self.driver.is_shut_out(conn_id);
            return if shut_out { Ok(ErrorKind::ZeroWindow) } else { Err(first.min(total)) };
        }
        if in_head {
            let deadline = head_deadline(lane.hop_first_byte, bytes);
            return if now >= deadline { Ok(ErrorKind::HeaderTimeout) } else { Err(deadline.min(total)) };
        }
        Err(total)
    }

    /// Gives one request up. Where others are under way on the connection, only its stream ends.
    fn give_up(&mut self, id: LaneId, kind: ErrorKind, now: u64) {
        let conn_id = self.lanes.conn(id);
        if !self.conns[conn_id.index()].link.abandon(self.lanes.within(id)) {
            self.end_connection(conn_id, End::Failed(kind), now);
            return;
        }
        self.mark_dirty(conn_id);
        self.lane_failed(id, kind, now);
    }

    /// An open connection's own deadline: a frame that does not end, or `100 (Continue)` that does not come.
    pub(crate) fn midway_expired(&mut self, id: ConnId, now: u64) {
        let conn = &mut self.conns[id.index()];
        if conn.midway_since > 0 && now >= conn.midway_since + HEAD_DEADLINE_NS {
            self.end_connection(id, End::Failed(ErrorKind::HeaderTimeout), now);
            return;
        }
        if conn.midway_since > 0 {
            self.deadlines[id.index()] = conn.midway_since + HEAD_DEADLINE_NS;
        }
        if self.settings.continues && conn.link.under_way() > 0 {
            conn.link.release_uploads();
            // The next in a pipeline has its own wait.
            let deadline = &mut self.deadlines[id.index()];
            *deadline = (*deadline).min(now + CONTINUE_NS);
            self.mark_dirty(id);
        }
    }

    /// An answer leads elsewhere: within the target's origin it is followed, up to `max` times.
    pub(crate) fn redirected(&mut self, id: LaneId, answer: Answer, max: u32, now: u64) {
        let conn_id = self.lanes.conn(id);
        let conn = &mut self.conns[conn_id.index()];
        (conn.failures, conn.answered) = (0, true);
        let lane = self.lanes.at(id);
        let (plan, number) = (&self.settings.plan, lane.request);
        let template = &plan.script.calls[usize::from(number)];
        let (hops, from) = match (&lane.detour, &lane.own) {
            (Some(detour), _) => (detour.hops, detour.url.clone()),
            (None, Some(own)) => (0, template.url_at(&path_sent(own))),
            (None, None) => (0, template.url.clone()),
        };
        let location = self.conns[conn_id.index()].link.location(self.lanes.within(id));
        let sent = lane
            .sent_own()
            .map_or_else(|| template.request.clone(), |own| as_request(own, &template.request));
        let next = if hops < max { Plan::redirect(&sent, &from, answer.status, location) } else { None };
        let Some((url, request)) = next else {
            let outcome = if location.is_empty() {
                self.judged(id, answer, now)
            } else {
                Outcome::Rejected(answer.status, ErrorKind::RedirectRefused)
            };
            return self.complete(id, answer.reusable, outcome, now);
        };
        let request = if self.settings.single {
            self.settings.outgoing(&request, number, false)
        } else {
            let Ok(request) = self.fill_again(id, &request, now) else {
                let outcome = Outcome::Rejected(answer.status, ErrorKind::ExtractFailed);
                return self.complete(id, answer.reusable, outcome, now);
            };
            request
        };
        self.recorder.counters().redirects += 1;
        self.trace_end(id, (Some(answer.status), None), true, now);
        self.send_on(id, Detour { request, url, hops: hops + 1, answers: false }, answer, now);
    }

    /// The request that was just answered goes on as another, which belongs to it.
    pub(crate) fn send_on(&mut self, id: LaneId, detour: Detour, answer: Answer, now: u64) {
        let conn_id = self.lanes.conn(id);
        let lane = self.lanes.get(id);
        lane.detour = Some(Box::new(detour));
        lane.phase = Phase::Waiting;
        (lane.hop_from, lane.hop_first_byte) = (lane.bytes_in, 0);
        let clean = self.settings.multiplexed || self.driver.sent_whole(conn_id);
        if answer.reusable && clean && self.settings.keep_alive {
            self.place(id, now);
            if self.conns[conn_id.index()].leaving {
                self.move_elsewhere(id, now);
                self.leave_when_idle(conn_id, now);
            }
        } else {
            self.end_connection(conn_id, End::Unanswered, now);
        }
    }
}

/// When a head must have ended that began at `first` and has so many bytes: a trickle ends sooner.
fn head_deadline(first: u64, bytes: u64) -> u64 {
    first + (HEAD_GRACE_NS + bytes * HEAD_BYTE_NS).min(HEAD_DEADLINE_NS)
}
