//! Users on their way through their flows: what a lane does between two requests.
//!
//! A lane belongs to its user as long as that has something to do, also while it thinks. What a user does follows from the
//! seed and the number of its iteration, and from what it was answered, so it is the same on any core.

use brunt_model::expr::Value;
use brunt_model::outcome::{ErrorKind, Outcome};
use brunt_model::plan::Load;
use brunt_model::random::Random;
use brunt_model::sample::{Kernel, Sample};
use brunt_model::script::call::Call;
use brunt_model::script::{OPS_IN_A_ROW_MAX, Op, Span};

use crate::clock::Clock;
use crate::core_loop::CoreLoop;
use crate::fill::{Asker, Unfilled};
use crate::io::{ConnId, Driver};
use crate::lane::{Job, LaneId, Phase};
use crate::limits::EMPTY_ITERATION_NS;
use crate::settings::Work;
use crate::sight::View;
use crate::users::{Begun, State, Turn, User};

/// The end of a user's steps.
pub(crate) const END: u32 = u32::MAX;

/// Where a user's steps left it.
enum Next {
    /// It is to make a call.
    Call(u16),
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
            Turn::Over => return self.users.retire(lane),
            Turn::Never => return,
        }
        if self.users.begin_start(lane, &plan.script) {
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
            Begun::NoRow => self.users.retire(lane),
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
                Next::Call(call) => {
                    self.lanes.get(lane).request = call;
                    match self.fill(lane, job.intended) {
                        Ok(()) => {
                            self.users.get(lane).requested = true;
                            self.begin_job(lane, job);
                            return self.place(lane, now);
                        }
                        Err(Unfilled) => {
                            let name = usize::from(self.call(call).name);
                            self.fail_call(name, job, ErrorKind::ExtractFailed, now);
                            self.call_ended(lane, Outcome::Failed(ErrorKind::ExtractFailed));
                        }
                    }
                }
                Next::Think(span) => {
                    let until = job.intended + drawn(&mut self.users.get(lane).random, span);
                    return self.users.sleep(lane, State::Thinking, until);
                }
                Next::Endless => {
                    let name = self.first_name_of(self.users.flow_at(lane));
                    self.fail_call(name, job, ErrorKind::StepLimit, now);
                    let user = self.users.get(lane);
                    (user.failed, user.at) = (true, END);
                }
                Next::End if self.users.end_start(lane, self.settings.closed) => {
                    if self.settings.closed {
                        return self.begin_user(lane, job.intended);
                    }
                }
                Next::End => return self.end_iteration(lane, job.intended, now),
            }
        }
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
                Op::Call(call) => return Next::Call(*call),
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
        let plan = &self.settings.plan;
        let number = usize::from(self.lanes.at(lane).request);
        let User { memory, random, .. } = self.users.get(lane);
        let mut challenged = memory.challenged.take();
        let sight = View { memory, data: &self.data, script: &plan.script, now, answer: None };
        self.target.now_s = self.data.wall_at_zero_ns.saturating_add_unsigned(now) / 1_000_000_000;
        let wants = self.requests[number].wants();
        let (call, two) = (&plan.script.calls[number], self.settings.multiplexed);
        let asker =
            Asker { sight: &sight, random, jar: &memory.cookies, challenged: challenged.as_deref_mut() };
        let filled = self.filler.fill(call, (wants, two), asker, &self.target);
        memory.challenged = challenged;
        self.lanes.get(lane).own = filled?.map(Box::new);
        Ok(())
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
    }

    /// A call of the lane's user ended: if it failed, so does the iteration, and it may end there.
    pub(crate) fn call_ended(&mut self, lane: LaneId, outcome: Outcome) {
        if outcome.error().is_none() {
            return;
        }
        let plan = &self.settings.plan;
        let call = &plan.script.calls[usize::from(self.lanes.at(lane).request)];
        let user = self.users.get(lane);
        user.failed = true;
        // What was to be saved is not there: what follows would be nonsense.
        let nonsense = !call.saves.is_empty() || outcome == Outcome::Failed(ErrorKind::ExtractFailed);
        if nonsense || plan.script.flows[usize::from(user.flow)].ends_on_error {
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
        if !self.conns[conn.index()].is_closed() {
            self.next_for(lane, now);
        } else if !self.has_users(conn) {
            // The last of them is done, and there is no connection that others could use.
            self.pool.give_free(conn);
        }
    }

    /// Some lane of the connection belongs to a user.
    pub(crate) fn has_users(&self, conn: ConnId) -> bool {
        !self.settings.single && self.lanes.of(conn).any(|lane| self.users.is_active(lane))
    }

    /// The lane's user goes on after a request. False where it has no iteration.
    #[inline]
    pub(crate) fn user_goes_on(&mut self, lane: LaneId, now: u64) -> bool {
        if !self.users.is_active(lane) {
            return false;
        }
        if self.users.is_busy(lane) && self.lanes.at(lane).phase == Phase::Empty && !self.is_cut_off() {
            self.go_on(lane, Job::begun_at(now), now);
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
        if self.is_cut_off() {
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
            Op::Call(call) => Some(*call),
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
