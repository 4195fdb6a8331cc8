//! Users on their way through their flows: what a lane does between two requests.
//!
//! A lane belongs to its user as long as that has something to do, also while it thinks. What a user does follows from the
//! seed and the number of its iteration, and from what it was answered, so it is the same on any core.

use std::ops::Range;

use brunt_model::expr::Value;
use brunt_model::outcome::{ErrorKind, Outcome};
use brunt_model::plan::Load;
use brunt_model::random::Random;
use brunt_model::request::Request;
use brunt_model::sample::{Kernel, Sample};
use brunt_model::script::call::Call;
use brunt_model::script::{OPS_IN_A_ROW_MAX, Op, Span};

use crate::clock::Clock;
use crate::conn::Wants;
use crate::conn::link::Outgoing;
use crate::connection;
use crate::core_loop::CoreLoop;
use crate::fill::{Asker, Filler, Place, Unfilled};
use crate::io::{ConnId, Driver};
use crate::lane::{Job, LaneId, Phase};
use crate::limits::EMPTY_ITERATION_NS;
use crate::settings::{NEVER, Work};
use crate::sight::View;
use crate::users::{Begun, Part, State, Turn, User};

/// The end of a user's steps.
pub(crate) const END: u32 = u32::MAX;

/// Where a user's steps left it.
enum Next {
    /// It is to make so many calls at once, from this one on.
    Calls(u16, u16),
    Think(Span),
    End,
    /// It took as many steps as it may without a call or a wait.
    Endless,
}

fn drawn(random: &mut Random, span: Span) -> u64 {
    span.from.0 + random.below((span.to.0 - span.from.0).saturating_add(1))
}

impl<D: Driver, C: Clock> CoreLoop<D, C> {
    /// A closed user has its turn: it begins another iteration, if one is left, and before the first what users do once.
    pub(crate) fn begin_user(&mut self, lane: LaneId, intended: u64) {
        let Work::Closed { remaining, .. } = &self.work else { return };
        let conn = &self.conns[self.lanes.conn(lane).index()];
        if !self.sending || *remaining == 0 || self.lanes.at(lane).phase != Phase::Empty || conn.backs_off() {
            return;
        }
        if self.settings.single {
            self.take_iteration(intended);
            self.begin_job(lane, Job::begun_at(intended));
            return self.place(lane, intended);
        }
        let plan = &self.settings.plan;
        let Load::Closed { shape, .. } = &plan.load else { return };
        let t0 = self.t0();
        match self.users.turn(lane, shape.as_ref(), intended.saturating_sub(t0)) {
            Turn::Now => {}
            Turn::At(from) => return self.users.sleep(lane, State::Pausing, t0.saturating_add(from)),
            Turn::Over => return self.dismiss(lane, intended),
            Turn::Never => return,
        }
        if self.users.begin_start(lane, &plan.script) {
            self.set_initial(lane, intended);
            return self.go_on(lane, Job::begun_at(intended), intended);
        }
        let number = self.iteration_of(lane);
        let plan = &self.settings.plan;
        match self.users.begin(lane, &plan.script, number, intended) {
            Begun::Yes => {
                self.take_iteration(intended);
                self.set_initial(lane, intended);
                self.go_on(lane, Job::begun_at(intended), intended);
            }
            Begun::NoRow => self.dismiss(lane, intended),
        }
    }

    /// A closed user has nothing to do any more but what users do at last.
    fn dismiss(&mut self, lane: LaneId, now: u64) {
        if self.begin_stop(lane) {
            self.go_on(lane, Job::begun_at(now), now);
        } else {
            self.users.retire(lane);
        }
    }

    /// The load is over: closed users that have no request under way do what they do at last.
    pub(crate) fn dismiss_all(&mut self, now: u64) {
        if self.settings.plan.script.on_stop.is_empty() || !self.settings.closed {
            return;
        }
        for home in self.lanes.homes() {
            let user = self.users.get(home);
            // Who left early may be at that already.
            if user.under_way == 0 && user.part != Part::Stop && !self.users.has_retired(home) {
                self.dismiss(home, now);
            }
        }
    }

    fn take_iteration(&mut self, intended: u64) {
        if let Work::Closed { remaining, .. } = &mut self.work {
            *remaining -= 1;
        }
        self.recorder.scheduled(intended);
        self.next_number();
    }

    /// An arrival has got a lane; its first request is meant for `job.intended`.
    pub(crate) fn begin_arrival(&mut self, lane: LaneId, number: u64, job: Job, now: u64) {
        let plan = &self.settings.plan;
        self.users.arrive(lane, number);
        match self.users.begin(lane, &plan.script, number, job.intended) {
            Begun::Yes => {
                self.users.begin_start(lane, &plan.script);
                self.set_initial(lane, job.intended);
                self.go_on(lane, job, now);
            }
            Begun::NoRow => {
                self.fail_call(self.first_name(number), job, ErrorKind::DataExhausted, now);
                self.recorder.counters().end_arrival(false);
                // The next that waits has its turn a little later, so that they do not fail one within the other.
                self.users.sleep(lane, State::Pausing, now + EMPTY_ITERATION_NS);
            }
        }
    }

    /// Gives variables the values that they have at the beginning of an iteration.
    fn set_initial(&mut self, lane: LaneId, now: u64) {
        let plan = &self.settings.plan;
        let User { memory, random, .. } = self.users.get(lane);
        for (variable, expr) in &plan.script.initial {
            let value = expr.evaluate(
                &View { memory, data: &self.data, script: &plan.script, now, answer: None },
                random,
            );
            memory.variables[usize::from(*variable)] = value;
        }
    }

    /// A user goes on with its steps, up to the next request or wait.
    pub(crate) fn go_on(&mut self, lane: LaneId, job: Job, now: u64) {
        loop {
            match self.next_step(lane, job.intended) {
                Next::Calls(first, count) => {
                    if self.begin_calls(lane, first..first + count, job, now) {
                        return;
                    }
                }
                Next::Think(span) => {
                    let until = job.intended + drawn(&mut self.users.get(lane).random, span);
                    return self.users.sleep(lane, State::Thinking, until);
                }
                Next::Endless => {
                    let flow = self.users.get(lane).flow;
                    let name = self.first_name_of(flow);
                    self.fail_call(name, job, ErrorKind::StepLimit, now);
                    let user = self.users.get(lane);
                    (user.failed, user.at) = (true, END);
                }
                Next::End => {
                    let (closed, part) = (self.settings.closed, self.users.get(lane).part);
                    match part {
                        Part::Start => {
                            self.users.end_start(lane, closed);
                            if closed {
                                return self.begin_user(lane, job.intended);
                            }
                        }
                        Part::Flow if !closed && self.begin_stop(lane) => {}
                        Part::Stop if closed => return self.users.end_stop(lane),
                        Part::Flow | Part::Stop => return self.end_iteration(lane, job.intended, now),
                    }
                }
            }
        }
    }

    fn begin_stop(&mut self, lane: LaneId) -> bool {
        self.users.begin_stop(lane, &self.settings.plan.script, self.settings.closed)
    }

    /// Makes a user's calls; false where not one can be made.
    fn begin_calls(&mut self, home: LaneId, calls: Range<u16>, job: Job, now: u64) -> bool {
        for number in calls.clone() {
            let lane = self.lane_for(home, number);
            self.lanes.get(lane).request = number;
            match self.fill(lane, job.intended) {
                Ok(()) => {
                    let user = self.users.get(home);
                    (user.requested, user.under_way) = (true, user.under_way + 1);
                    self.begin_job(lane, job);
                }
                Err(Unfilled) => {
                    let name = usize::from(self.call(number).name);
                    self.fail_call(name, job, ErrorKind::ExtractFailed, now);
                    self.trace_unsent(lane, ErrorKind::ExtractFailed);
                    self.call_failed(home, number, ErrorKind::ExtractFailed);
                }
            }
        }
        let any = self.users.get(home).under_way > 0;
        for number in calls {
            let lane = self.lane_for(home, number);
            // One that could not be filled in has not begun.
            if self.lanes.at(lane).phase == Phase::Waiting {
                self.place(lane, now);
            }
        }
        any
    }

    fn lane_for(&self, home: LaneId, number: u16) -> LaneId {
        let call = self.call(number);
        self.lanes.place(home, call.target, call.way)
    }

    /// Goes through the steps that take no time.
    fn next_step(&mut self, lane: LaneId, now: u64) -> Next {
        let plan = &self.settings.plan;
        let user = self.users.get(lane);
        let steps = user.steps(&plan.script);
        for _ in 0..OPS_IN_A_ROW_MAX {
            let Some(op) = steps.get(user.at as usize) else { return Next::End };
            user.at += 1;
            let User { memory, random, at, counters, .. } = user;
            let mut value = |expr: &brunt_model::expr::Expr| {
                expr.evaluate(
                    &View { memory, data: &self.data, script: &plan.script, now, answer: None },
                    random,
                )
            };
            match op {
                Op::Call(call) => return Next::Calls(*call, 1),
                Op::Parallel(first, count) => return Next::Calls(*first, *count),
                Op::Think(span) => return Next::Think(*span),
                Op::Set(variable, expr) => {
                    let value = value(expr);
                    memory.variables[usize::from(*variable)] = value;
                }
                Op::Jump(to) => *at = *to,
                Op::JumpUnless(condition, to) => {
                    if value(condition) != Value::Bool(true) {
                        *at = *to;
                    }
                }
                Op::Count(counter, times) => {
                    let rounds = match value(times) {
                        Value::Int(times) => u32::try_from(times.max(0)).unwrap_or(u32::MAX),
                        _ => 0,
                    };
                    counters[usize::from(*counter)] = rounds;
                }
                Op::Round(counter, end) => {
                    let left = &mut counters[usize::from(*counter)];
                    match left.checked_sub(1) {
                        Some(fewer) => *left = fewer,
                        None => *at = *end,
                    }
                }
                Op::Draw(ways) => {
                    let all = ways.last().map_or(0, |(sum, _)| *sum);
                    let drawn = random.below(u64::from(all));
                    let way = ways.partition_point(|(sum, _)| u64::from(*sum) <= drawn);
                    *at = ways.get(way).map_or(END, |(_, to)| *to);
                }
                Op::Switch(on, cases, otherwise) => {
                    let value = value(on);
                    let case = cases.iter().find(|(literal, _)| literal.0 == value);
                    *at = case.map_or(*otherwise, |(_, to)| *to);
                }
            }
        }
        Next::Endless
    }

    /// How many redirects a lane's request follows, if any.
    #[inline]
    pub(crate) fn redirects_of(&self, lane: LaneId) -> Option<u32> {
        let plan = &self.settings.plan;
        if self.settings.single || plan.redirects.is_none() {
            return plan.redirects;
        }
        self.call(self.lanes.at(lane).request).redirects
    }

    /// What a call may take in all.
    #[inline]
    pub(crate) fn total_ns(&self, number: u16) -> u64 {
        if self.settings.single {
            return self.settings.total_ns;
        }
        self.call(number).total.map_or(self.settings.total_ns, |total| total.0)
    }

    pub(crate) fn call(&self, number: u16) -> &Call {
        &self.settings.plan.script.calls[usize::from(number)]
    }

    /// Makes the lane's request where it is not the same as always.
    pub(crate) fn fill(&mut self, lane: LaneId, now: u64) -> Result<(), Unfilled> {
        let filled = self.with_filler(lane, now, Filler::fill);
        self.lanes.get(lane).own = filled?.map(Box::new);
        Ok(())
    }

    /// The lane's request goes out again as this one.
    pub(crate) fn fill_again(
        &mut self,
        lane: LaneId,
        request: &Request,
        now: u64,
    ) -> Result<Outgoing, Unfilled> {
        let had_cookies = self.lanes.at(lane).sent_own().is_some_and(Outgoing::has_cookies);
        self.with_filler(lane, now, |filler, call, how, asker, place| {
            filler.again((call, request, had_cookies), how, asker, place)
        })
    }

    /// Does this for the lane's call and its user.
    fn with_filler<T>(
        &mut self,
        lane: LaneId,
        now: u64,
        fill: impl FnOnce(&mut Filler, &Call, (Wants, bool), Asker<'_>, &Place) -> Result<T, Unfilled>,
    ) -> Result<T, Unfilled> {
        let plan = &self.settings.plan;
        let number = usize::from(self.lanes.at(lane).request);
        let User { memory, random, .. } = self.users.get(self.lanes.home(lane));
        let mut challenged = memory.challenged.take();
        let sight = View { memory, data: &self.data, script: &plan.script, now, answer: None };
        let call = &plan.script.calls[number];
        let place = &mut self.places[usize::from(call.target)];
        place.now_s = self.data.wall_at_zero_ns.saturating_add_unsigned(now) / 1_000_000_000;
        let how = (self.requests[number].wants(), self.settings.multiplexed);
        let asker =
            Asker { sight: &sight, random, jar: &memory.cookies, challenged: challenged.as_deref_mut() };
        let filled = fill(&mut self.filler, call, how, asker, place);
        memory.challenged = challenged;
        filled
    }

    /// Counts a call that was never sent.
    fn fail_call(&mut self, name: usize, job: Job, kind: ErrorKind, now: u64) {
        self.recorder.counters().started += 1;
        let sample = Sample {
            intended_ns: job.intended,
            ready_ns: job.ready,
            sent_ns: None,
            first_byte_ns: None,
            done_ns: now.max(job.intended),
            bytes_in: 0,
            kernel: Kernel::Off,
            outcome: Outcome::Failed(kind),
        };
        self.recorder.record(name, &sample, job.capped, false);
        self.observe_unsent(name, kind, job.intended);
    }

    /// A call of the lane's user ended.
    pub(crate) fn call_ended(&mut self, lane: LaneId, outcome: Outcome) {
        let home = self.lanes.home(lane);
        self.users.get(home).under_way -= 1;
        if let Some(kind) = outcome.error() {
            self.call_failed(home, self.lanes.at(lane).request, kind);
        }
    }

    /// With a call its iteration fails, and may end there.
    fn call_failed(&mut self, home: LaneId, number: u16, kind: ErrorKind) {
        let plan = &self.settings.plan;
        let call = &plan.script.calls[usize::from(number)];
        let user = self.users.get(home);
        user.failed = true;
        // What was to be saved is not there: what follows would be nonsense.
        let nonsense = !call.saves.is_empty() || kind == ErrorKind::ExtractFailed;
        let ends = user.part == Part::Flow && plan.script.flows[usize::from(user.flow)].ends_on_error;
        if nonsense || ends {
            user.at = END;
        }
    }

    fn end_iteration(&mut self, lane: LaneId, ended: u64, now: u64) {
        let plan = &self.settings.plan;
        let user = self.users.get(lane);
        let flow = &plan.script.flows[usize::from(user.flow)];
        let pacing = flow.pacing.filter(|_| self.settings.closed);
        let mut next = pacing.map_or(0, |span| user.began + drawn(&mut user.random, span));
        if !user.requested {
            // Nothing was sent, so nothing keeps it from going round for ever.
            next = next.max(ended + EMPTY_ITERATION_NS);
        }
        let finished = !user.failed;
        self.users.end(lane);
        self.recorder.counters().end_arrival(finished);
        if next > now {
            self.users.sleep(lane, State::Pausing, next);
        } else if self.settings.closed {
            self.begin_user(lane, ended);
        } else {
            self.free_lane(lane, now);
        }
    }

    /// A lane of an open load has lost its user.
    fn free_lane(&mut self, lane: LaneId, now: u64) {
        let conn = self.lanes.conn(lane);
        let is_open =
            !matches!(self.conns[conn.index()].state, connection::State::Closed | connection::State::Backoff);
        if is_open {
            self.next_for(lane, now);
        } else if !self.has_users(conn) {
            // The last of them is done, and there is no connection that others could use. Nobody waits for it either.
            self.conns[conn.index()].state = connection::State::Closed;
            self.deadlines[conn.index()] = NEVER;
            self.pool.give_free(conn);
        }
    }

    /// Some lane of the connection belongs to a user.
    pub(crate) fn has_users(&self, conn: ConnId) -> bool {
        !self.settings.single && self.lanes.of(conn).any(|lane| self.users.is_active(self.lanes.home(lane)))
    }

    /// The lane's user goes on after a request. False where it has no iteration.
    #[inline]
    pub(crate) fn user_goes_on(&mut self, lane: LaneId, now: u64) -> bool {
        if !self.users.is_active(lane) {
            return false;
        }
        if self.users.is_busy(lane) && self.users.get(lane).under_way == 0 {
            let goes_on = !self.is_cut_off() || self.users.get(lane).part == Part::Stop;
            if goes_on || self.begin_stop(lane) {
                self.go_on(lane, Job::begun_at(now), now);
            }
        }
        true
    }

    /// The load is over: a closed user stops where it stands. An arrival is carried to its end.
    const fn is_cut_off(&self) -> bool {
        self.settings.closed && !self.sending
    }

    /// Wakes one user whose time has come.
    #[inline]
    pub(crate) fn wake_if_due(&mut self, now: u64) -> bool {
        let Some((at, lane, state)) = self.users.take_due(now) else { return false };
        if self.is_cut_off() && self.users.get(lane).part != Part::Stop {
            return true;
        }
        if state == State::Pausing && !self.settings.closed {
            self.free_lane(lane, now);
        } else if state == State::Pausing {
            self.begin_user(lane, at);
        } else {
            self.go_on(lane, Job::begun_at(at), now);
        }
        true
    }

    /// Requests that the end of the drain found under way have failed, and so have their arrivals.
    pub(crate) fn fail_user(&mut self, lane: LaneId) {
        if !self.settings.single && self.users.is_busy(lane) && self.users.end(lane) {
            self.recorder.counters().end_arrival(false);
        }
    }

    /// Arrivals that wait or are under way.
    pub(crate) fn arrivals_in_flight(&self) -> u64 {
        let begun = if self.settings.single { self.in_flight } else { self.users.active() };
        begun + self.backlog_len()
    }

    /// The label of the request that an iteration would have begun with.
    pub(crate) fn first_name(&self, number: u64) -> usize {
        self.first_name_of(if self.settings.single { 0 } else { self.users.flow_of(number) })
    }

    /// The label of a flow's first request.
    fn first_name_of(&self, flow: u16) -> usize {
        let script = &self.settings.plan.script;
        let first = script.flows[usize::from(flow)].steps.iter().find_map(|op| match op {
            Op::Call(call) | Op::Parallel(call, _) => Some(*call),
            _ => None,
        });
        usize::from(script.calls[usize::from(first.unwrap_or(0))].name)
    }

    /// The number of a closed user's next iteration. Where iterations are counted together the users of a core share
    /// their numbers; else each has its own, whoever is the faster.
    fn iteration_of(&mut self, lane: LaneId) -> u64 {
        let plan = &self.settings.plan;
        match (&plan.load, &self.work) {
            (Load::Closed { requests: None, connections, .. }, _) => {
                let users = u64::from(*connections) * u64::from(plan.lanes());
                self.users.get(lane).next_number(users)
            }
            (_, Work::Open { number, .. } | Work::Closed { number, .. }) => *number,
        }
    }

    /// Takes the number of this core's next iteration; in an open load dropped arrivals have one too.
    pub(crate) const fn next_number(&mut self) -> u64 {
        let (Work::Open { number, stride, .. } | Work::Closed { number, stride, .. }) = &mut self.work;
        let taken = *number;
        *number += *stride;
        taken
    }
}
