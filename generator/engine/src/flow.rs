//! Users on their way through their flows: what a lane does between two requests.
//!
//! A lane belongs to its user as long as that has something to do, also while it thinks. What a user does follows from the
//! seed and the number of its iteration alone, so it is the same on any core.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use brunt_model::random::Random;
use brunt_model::script::{Flow, Op, Script, Span};

use crate::clock::Clock;
use crate::core_loop::CoreLoop;
use crate::io::{ConnId, Driver};
use crate::lane::{Job, LaneId, Phase};
use crate::limits::EMPTY_ITERATION_NS;
use crate::settings::Work;

/// Tells the draw of a flow from what the flow draws itself.
const CHOICE: u64 = 0x6272_756e_7463_6831;

/// Where a user stands.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug)]
enum State {
    /// It has no iteration.
    #[default]
    Idle,
    /// It has a request under way, or is about to go on.
    Busy,
    Thinking,
    /// It waits for its next iteration.
    Pausing,
}

struct User {
    state: State,
    /// A request of this iteration failed.
    failed: bool,
    /// One was begun.
    requested: bool,
    flow: u16,
    /// The next step.
    at: u32,
    random: Random,
    /// When the iteration was meant to begin.
    began: u64,
}

/// The users of a core, by lane. Without any where a user is nothing but its lane's request.
pub(crate) struct Users {
    all: Vec<User>,
    /// When they wake, the soonest first.
    sleeping: BinaryHeap<Reverse<(u64, LaneId)>>,
    /// Iterations under way.
    active: u64,
    seed: u64,
    /// By flow, the weights up to and including it.
    weights: Vec<u64>,
}

impl Users {
    pub(crate) fn new(script: &Script, seed: u64, lanes: usize) -> Self {
        let lanes = if script.is_single() { 0 } else { lanes };
        let idle = || User {
            state: State::Idle,
            failed: false,
            requested: false,
            flow: 0,
            at: 0,
            random: Random::new(0, 0),
            began: 0,
        };
        let mut sum = 0;
        let summed = |flow: &Flow| {
            sum += u64::from(flow.weight);
            sum
        };
        Self {
            all: std::iter::repeat_with(idle).take(lanes).collect(),
            sleeping: BinaryHeap::with_capacity(lanes),
            active: 0,
            seed,
            weights: script.flows.iter().map(summed).collect(),
        }
    }

    /// The lane's user has an iteration under way.
    pub(crate) fn is_active(&self, lane: LaneId) -> bool {
        self.all.get(lane.index()).is_some_and(|user| matches!(user.state, State::Busy | State::Thinking))
    }

    /// When the next user wakes.
    #[inline]
    pub(crate) fn next_wake(&self) -> u64 {
        self.sleeping.peek().map_or(u64::MAX, |Reverse((at, _))| *at)
    }

    /// Which flow an iteration takes.
    pub(crate) fn flow_of(&self, number: u64) -> u16 {
        let all = self.weights.last().copied().unwrap_or(0);
        let drawn = Random::new(self.seed ^ CHOICE, number).below(all);
        let flow = self.weights.partition_point(|&sum| sum <= drawn);
        u16::try_from(flow).unwrap_or(0)
    }

    fn sleep(&mut self, lane: LaneId, state: State, until: u64) {
        self.all[lane.index()].state = state;
        self.sleeping.push(Reverse((until, lane)));
    }

    /// Notes the end of a request of the lane's user.
    #[inline]
    pub(crate) fn request_ended(&mut self, lane: LaneId, script: &Script, failed: bool) {
        let user = &mut self.all[lane.index()];
        if failed {
            user.failed = true;
            if script.flows[usize::from(user.flow)].ends_on_error {
                user.at = u32::MAX;
            }
        }
    }
}

fn drawn(random: &mut Random, span: Span) -> u64 {
    span.from.0 + random.below((span.to.0 - span.from.0).saturating_add(1))
}

impl<D: Driver, C: Clock> CoreLoop<D, C> {
    /// A user begins an iteration; its first request is meant for `job.intended`.
    pub(crate) fn begin_iteration(&mut self, lane: LaneId, number: u64, job: Job, now: u64) {
        let flow = self.users.flow_of(number);
        let seed = self.users.seed;
        let user = &mut self.users.all[lane.index()];
        (user.state, user.failed, user.requested) = (State::Busy, false, false);
        (user.flow, user.at, user.began) = (flow, 0, job.intended);
        user.random = Random::new(seed, number);
        self.users.active += 1;
        self.go_on(lane, job, now);
    }

    /// A user goes on with its flow, up to the next request or wait.
    fn go_on(&mut self, lane: LaneId, job: Job, now: u64) {
        let plan = &self.settings.plan;
        let user = &mut self.users.all[lane.index()];
        let flow = &plan.script.flows[usize::from(user.flow)];
        while let Some(op) = flow.steps.get(user.at as usize) {
            user.at += 1;
            match op {
                Op::Request(request) => {
                    user.requested = true;
                    self.lanes.get(lane).request = *request;
                    self.begin_job(lane, job);
                    return self.place(lane, now);
                }
                Op::Think(span) => {
                    let until = job.intended + drawn(&mut user.random, *span);
                    return self.users.sleep(lane, State::Thinking, until);
                }
                Op::Jump(to) => user.at = *to,
                Op::Draw(ways) => {
                    let all = ways.last().map_or(0, |(sum, _)| *sum);
                    let drawn = user.random.below(u64::from(all));
                    let way = ways.partition_point(|(sum, _)| u64::from(*sum) <= drawn);
                    user.at = ways.get(way).map_or(u32::MAX, |(_, to)| *to);
                }
            }
        }
        self.end_iteration(lane, job.intended, now);
    }

    fn end_iteration(&mut self, lane: LaneId, ended: u64, now: u64) {
        let plan = &self.settings.plan;
        let user = &mut self.users.all[lane.index()];
        let flow = &plan.script.flows[usize::from(user.flow)];
        let mut next = flow.pacing.map_or(0, |span| user.began + drawn(&mut user.random, span));
        if !user.requested {
            // Nothing was sent, so nothing keeps it from going round for ever.
            next = next.max(ended + EMPTY_ITERATION_NS);
        }
        user.state = State::Idle;
        self.users.active -= 1;
        self.recorder.counters().end_arrival(!user.failed);
        if self.settings.closed {
            if next > now {
                self.users.sleep(lane, State::Pausing, next);
            } else {
                self.begin_user(lane, ended);
            }
            return;
        }
        let conn = self.lanes.conn(lane);
        if self.conns[conn.index()].is_closed() {
            self.free_place(conn);
        } else {
            self.next_for(lane, now);
        }
    }

    /// A place without a connection goes back to the pool when the last of its users is done.
    pub(crate) fn free_place(&mut self, conn: ConnId) {
        if !self.has_users(conn) {
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
        let user = &self.users.all[lane.index()];
        if user.state == State::Busy && self.lanes.at(lane).phase == Phase::Empty && !self.is_cut_off() {
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
        let Some(Reverse((at, lane))) =
            self.users.sleeping.peek().copied().filter(|sleeper| sleeper.0.0 <= now)
        else {
            return false;
        };
        self.users.sleeping.pop();
        let cut_off = self.is_cut_off();
        let user = &mut self.users.all[lane.index()];
        let state = std::mem::replace(&mut user.state, State::Busy);
        if cut_off {
            user.state = if state == State::Pausing { State::Idle } else { State::Busy };
        } else if state == State::Pausing {
            user.state = State::Idle;
            self.begin_user(lane, at);
        } else {
            self.go_on(lane, Job::begun_at(at), now);
        }
        true
    }

    /// Requests that the end of the drain found under way have failed, and so have their arrivals.
    pub(crate) fn fail_users(&mut self, lane: LaneId) {
        if let Some(user) = self.users.all.get_mut(lane.index()).filter(|user| user.state == State::Busy) {
            user.state = State::Idle;
            self.users.active -= 1;
            self.recorder.counters().end_arrival(false);
        }
    }

    /// Arrivals that wait or are under way.
    pub(crate) fn arrivals_in_flight(&self) -> u64 {
        let begun = if self.settings.single { self.in_flight } else { self.users.active };
        begun + self.backlog_len()
    }

    /// The label of the request that an iteration would have begun with.
    pub(crate) fn first_name(&self, number: u64) -> usize {
        let script = &self.settings.plan.script;
        let flow = if self.settings.single { 0 } else { self.users.flow_of(number) };
        let first = script.flows[usize::from(flow)].steps.iter().find_map(|op| match op {
            Op::Request(request) => Some(*request),
            _ => None,
        });
        usize::from(script.requests[usize::from(first.unwrap_or(0))].name)
    }

    /// Number of the next iteration of this core; open loads count arrivals, dropped ones too.
    pub(crate) const fn next_number(&mut self) -> u64 {
        let (Work::Open { number, stride, .. } | Work::Closed { number, stride, .. }) = &mut self.work;
        let taken = *number;
        *number += *stride;
        taken
    }
}
