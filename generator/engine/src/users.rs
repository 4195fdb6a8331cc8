//! The users of a core, by lane: where each stands, what it has in mind, and when those that sleep wake.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use brunt_model::expr::Value;
use brunt_model::feeder::row_of;
use brunt_model::plan::ClosedShape;
use brunt_model::random::Random;
use brunt_model::script::{LOOPS_MAX, Op, Script};

use crate::lane::LaneId;
use crate::sight::Memory;

/// Tells the draw of a flow from what the flow draws itself.
const CHOICE: u64 = 0x6272_756e_7463_6831;

/// Where a user stands.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug)]
pub(crate) enum State {
    /// It has no iteration.
    #[default]
    Idle,
    /// It has a request under way, or is about to go on.
    Busy,
    Thinking,
    /// It waits for its next iteration.
    Pausing,
    /// It has nothing to do any more.
    Retired,
}

/// When a closed user has its turn.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    Now,
    /// So long after T0.
    At(u64),
    /// It has nothing to do any more.
    Over,
    /// It is at something, or has retired.
    Never,
}

/// Could an iteration begin?
pub(crate) enum Begun {
    Yes,
    /// A feeder has no row left for it.
    NoRow,
}

pub(crate) struct User {
    state: State,
    /// It is at what users do once.
    starting: bool,
    started: bool,
    iterations: u64,
    /// What it does belongs to an iteration.
    iterates: bool,
    /// A request of this iteration failed.
    pub(crate) failed: bool,
    /// One was begun.
    pub(crate) requested: bool,
    pub(crate) flow: u16,
    /// The next step.
    pub(crate) at: u32,
    /// When the iteration was meant to begin.
    pub(crate) began: u64,
    pub(crate) counters: [u32; LOOPS_MAX],
    pub(crate) random: Random,
    pub(crate) memory: Memory,
    /// What it had in mind after what users do once.
    base: Box<[Value]>,
}

impl User {
    fn new(script: &Script, number: u64) -> Self {
        Self {
            state: State::Idle,
            starting: false,
            started: script.on_start.is_empty(),
            iterations: 0,
            iterates: false,
            failed: false,
            requested: false,
            flow: 0,
            at: 0,
            began: 0,
            counters: [0; LOOPS_MAX],
            random: Random::new(0, 0),
            memory: Memory { user: number, ..Memory::new(script) },
            base: Box::default(),
        }
    }

    /// Gives it its rows for an iteration; false where there is none left.
    fn take_rows(&mut self, script: &Script, seed: u64, iteration: u64) -> bool {
        for (feeder, plan) in script.feeders.iter().enumerate() {
            let index = u16::try_from(feeder).unwrap_or(u16::MAX);
            let (rows, user) = (plan.table.rows(), self.memory.user);
            match row_of(plan.pick, plan.on_end, rows, seed, index, iteration, user) {
                Some(row) => self.memory.rows[feeder] = row,
                None => return false,
            }
        }
        true
    }

    /// The number of its next iteration, where `users` take turns.
    pub(crate) const fn next_number(&self, users: u64) -> u64 {
        self.memory.user + self.iterations * users
    }

    /// The steps that it is taking.
    pub(crate) fn steps<'s>(&self, script: &'s Script) -> &'s [Op] {
        if self.starting { &script.on_start } else { &script.flows[usize::from(self.flow)].steps }
    }
}

/// All users of a core. There are none where a user is nothing but its lane's request.
pub(crate) struct Users {
    all: Vec<User>,
    /// When they wake, the soonest first.
    sleeping: BinaryHeap<Reverse<(u64, LaneId)>>,
    /// Iterations under way.
    active: u64,
    retired: usize,
    seed: u64,
    /// By flow, the weights up to and including it.
    weights: Vec<u64>,
}

impl Users {
    /// `numbers` are those of the lanes' users, among all of the run.
    pub(crate) fn new(script: &Script, seed: u64, numbers: impl Iterator<Item = u64>) -> Self {
        let all: Vec<_> = if script.is_single() {
            Vec::new()
        } else {
            numbers.map(|number| User::new(script, number)).collect()
        };
        let mut sum = 0;
        let weights = script.flows.iter().map(|flow| {
            sum += u64::from(flow.weight);
            sum
        });
        Self {
            sleeping: BinaryHeap::with_capacity(all.len()),
            all,
            active: 0,
            retired: 0,
            seed,
            weights: weights.collect(),
        }
    }

    pub(crate) const fn active(&self) -> u64 {
        self.active
    }

    #[inline]
    pub(crate) fn get(&mut self, lane: LaneId) -> &mut User {
        &mut self.all[lane.index()]
    }

    /// The flow that a lane's user is in.
    pub(crate) fn flow_at(&self, lane: LaneId) -> u16 {
        self.all[lane.index()].flow
    }

    /// The lane's user has something under way, or will have.
    pub(crate) fn is_active(&self, lane: LaneId) -> bool {
        let has = |user: &User| matches!(user.state, State::Busy | State::Thinking | State::Pausing);
        self.all.get(lane.index()).is_some_and(has)
    }

    #[inline]
    pub(crate) fn is_busy(&self, lane: LaneId) -> bool {
        self.all[lane.index()].state == State::Busy
    }

    /// May a closed user begin something, so long after T0?
    pub(crate) fn turn(&self, lane: LaneId, shape: Option<&ClosedShape>, since_t0: u64) -> Turn {
        let user = &self.all[lane.index()];
        if user.state != State::Idle {
            return Turn::Never;
        }
        let Some(ClosedShape { users, per_user }) = shape else { return Turn::Now };
        if per_user.is_some_and(|count| user.iterations >= count) {
            return Turn::Over;
        }
        let number = u32::try_from(user.memory.user).unwrap_or(u32::MAX);
        for (from, until) in users.stretches(number) {
            if since_t0 < from.0 {
                return Turn::At(from.0);
            }
            if until.is_none_or(|until| since_t0 < until.0) {
                return Turn::Now;
            }
        }
        Turn::Over
    }

    /// Nobody has anything to do any more.
    pub(crate) const fn all_retired(&self, users: usize) -> bool {
        self.retired > 0 && self.retired == users
    }

    pub(crate) fn retire(&mut self, lane: LaneId) {
        self.all[lane.index()].state = State::Retired;
        self.retired += 1;
    }

    /// The lane's user is one that was never there.
    pub(crate) fn arrive(&mut self, lane: LaneId, number: u64) {
        let user = self.get(lane);
        user.memory.forget();
        user.memory.user = number;
        user.started = false;
    }

    /// The user begins with what users do once, if it has not done that.
    pub(crate) fn begin_start(&mut self, lane: LaneId, script: &Script) -> bool {
        let seed = self.seed;
        let user = self.get(lane);
        if user.started || script.on_start.is_empty() {
            return false;
        }
        (user.state, user.starting, user.at) = (State::Busy, true, 0);
        if !user.iterates {
            user.random = Random::new(!seed, user.memory.user);
            // What belongs to a user is there before its first iteration; of the rest it gets what its number gives.
            let number = user.memory.user;
            user.take_rows(script, seed, number);
        }
        true
    }

    /// What the user does once is done; false if it was not at that.
    pub(crate) fn end_start(&mut self, lane: LaneId, closed: bool) -> bool {
        let user = self.get(lane);
        if !user.starting {
            return false;
        }
        (user.starting, user.started, user.at) = (false, true, 0);
        if closed {
            (user.state, user.failed) = (State::Idle, false);
            user.base = user.memory.variables.clone();
        }
        true
    }

    /// The user begins an iteration, with what it had in mind at its start.
    pub(crate) fn begin(&mut self, lane: LaneId, script: &Script, number: u64, intended: u64) -> Begun {
        let (flow, seed) = (self.flow_of(number), self.seed);
        let user = &mut self.all[lane.index()];
        if !user.take_rows(script, seed, number) {
            return Begun::NoRow;
        }
        if user.base.is_empty() {
            user.memory.variables.fill(Value::Null);
        } else {
            user.memory.variables.clone_from_slice(&user.base);
        }
        user.memory.iteration = number;
        user.iterations += 1;
        (user.state, user.iterates, user.failed, user.requested) = (State::Busy, true, false, false);
        (user.flow, user.at, user.began) = (flow, 0, intended);
        user.random = Random::new(seed, number);
        self.active += 1;
        Begun::Yes
    }

    /// The user's iteration has ended; false if it had none.
    pub(crate) fn end(&mut self, lane: LaneId) -> bool {
        let user = &mut self.all[lane.index()];
        user.state = State::Idle;
        user.starting = false;
        let iterated = std::mem::take(&mut user.iterates);
        self.active -= u64::from(iterated);
        iterated
    }

    /// Which flow an iteration takes.
    pub(crate) fn flow_of(&self, number: u64) -> u16 {
        let all = self.weights.last().copied().unwrap_or(0);
        let drawn = Random::new(self.seed ^ CHOICE, number).below(all);
        let flow = self.weights.partition_point(|&sum| sum <= drawn);
        u16::try_from(flow).unwrap_or(0)
    }

    pub(crate) fn sleep(&mut self, lane: LaneId, state: State, until: u64) {
        self.all[lane.index()].state = state;
        self.sleeping.push(Reverse((until, lane)));
    }

    /// When the next user wakes.
    #[inline]
    pub(crate) fn next_wake(&self) -> u64 {
        self.sleeping.peek().map_or(u64::MAX, |Reverse((at, _))| *at)
    }

    /// Takes a user whose time has come: when that was, and what it waited for.
    #[inline]
    pub(crate) fn take_due(&mut self, now: u64) -> Option<(u64, LaneId, State)> {
        let Reverse((at, lane)) = *self.sleeping.peek().filter(|sleeper| sleeper.0.0 <= now)?;
        self.sleeping.pop();
        let user = &mut self.all[lane.index()];
        let state = user.state;
        user.state = if state == State::Pausing { State::Idle } else { State::Busy };
        Some((at, lane, state))
    }
}
