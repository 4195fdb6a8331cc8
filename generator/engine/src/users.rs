//! The users of a core, by lane: where each stands, what it has in mind, and when those that sleep wake.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use brunt_model::exchange::Within;
use brunt_model::expr::Value;
use brunt_model::feeder::row_of;
use brunt_model::plan::{ClosedShape, Numbering, Plan};
use brunt_model::random::Random;
use brunt_model::script::{LOOPS_MAX, Op, Script};

use crate::lane::{LaneId, Layout};
use crate::limits::TOLD_BYTES_MAX;
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

/// What a user is at.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug)]
pub(crate) enum Part {
    /// What users do once before all iterations.
    Start,
    #[default]
    Flow,
    /// What users do once after all iterations.
    Stop,
}

pub(crate) struct User {
    state: State,
    /// When it wakes, if it sleeps.
    until: u64,
    pub(crate) part: Part,
    started: bool,
    /// It has begun something that what users do at last is for.
    was_there: bool,
    iterations: u64,
    /// What it does belongs to an iteration.
    iterates: bool,
    /// A request of this iteration failed.
    pub(crate) failed: bool,
    /// One was begun.
    pub(crate) requested: bool,
    /// Its requests that have not ended.
    pub(crate) under_way: u16,
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
    fn new(script: &Script, number: u64, numbering: Numbering) -> Self {
        Self {
            state: State::Idle,
            until: 0,
            part: Part::Flow,
            started: script.on_start.is_empty(),
            was_there: false,
            iterations: 0,
            iterates: false,
            failed: false,
            requested: false,
            under_way: 0,
            flow: 0,
            at: 0,
            began: 0,
            counters: [0; LOOPS_MAX],
            random: Random::new(0, 0),
            memory: Memory { number, user: numbering.users.nth(number), ..Memory::new(script) },
            base: Box::default(),
        }
    }

    /// Gives it its rows for an iteration, of the feeders that are looked at; false where there is none left.
    fn take_rows(&mut self, script: &Script, feeders: &[u16], seed: u64, iteration: u64) -> bool {
        for &index in feeders {
            let feeder = usize::from(index);
            let plan = &script.feeders[feeder];
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
        self.memory.number + self.iterations * users
    }

    /// Where the steps that it is taking are of.
    pub(crate) const fn within(&self) -> Within {
        match self.part {
            Part::Start => Within::OnStart,
            Part::Flow => Within::Flow(self.flow),
            Part::Stop => Within::OnStop,
        }
    }

    /// The steps that it is taking.
    pub(crate) fn steps<'s>(&self, script: &'s Script) -> &'s [Op] {
        match self.part {
            Part::Start => &script.on_start,
            Part::Flow => &script.flows[usize::from(self.flow)].steps,
            Part::Stop => &script.on_stop,
        }
    }
}

/// All users of a core. There are none where a user is nothing but its lane's request.
pub(crate) struct Users {
    all: Vec<User>,
    layout: Layout,
    /// When they wake, the soonest first.
    sleeping: BinaryHeap<Reverse<(u64, LaneId)>>,
    /// Iterations under way.
    active: u64,
    retired: usize,
    /// Closed users at what they do at last.
    stopping: u64,
    seed: u64,
    /// What a user's variables are at first.
    beginning: Box<[Value]>,
    /// By flow, the weights up to and including it.
    weights: Vec<u64>,
    /// Iterations take the flows in their order.
    in_order: bool,
    numbering: Numbering,
    /// Of a replay: by the number of an arrival, its flow.
    picks: Option<Arc<[u16]>>,
}

impl Users {
    /// `numbers` are those of the users, among all of the run.
    pub(crate) fn new(plan: &Plan, layout: Layout, numbers: impl Iterator<Item = u64>) -> Self {
        let script = &plan.script;
        let all: Vec<_> = if script.is_single() {
            Vec::new()
        } else {
            numbers.map(|number| User::new(script, number, plan.numbering)).collect()
        };
        let mut sum = 0;
        let weights = script.flows.iter().map(|flow| {
            sum += u64::from(flow.weight);
            sum
        });
        Self {
            sleeping: BinaryHeap::with_capacity(all.len()),
            layout,
            all,
            active: 0,
            retired: 0,
            stopping: 0,
            seed: plan.seed,
            beginning: script.beginning(),
            weights: weights.collect(),
            in_order: script.once,
            picks: plan.load.picks().cloned(),
            numbering: plan.numbering,
        }
    }

    pub(crate) const fn active(&self) -> u64 {
        self.active
    }

    pub(crate) const fn stopping(&self) -> u64 {
        self.stopping
    }

    #[inline]
    pub(crate) fn get(&mut self, lane: LaneId) -> &mut User {
        &mut self.all[self.layout.user(lane)]
    }

    /// The lane's user has something under way, or will have.
    pub(crate) fn is_active(&self, lane: LaneId) -> bool {
        let has = |user: &User| matches!(user.state, State::Busy | State::Thinking | State::Pausing);
        self.all.get(self.layout.user(lane)).is_some_and(has)
    }

    #[inline]
    pub(crate) fn is_busy(&self, lane: LaneId) -> bool {
        self.all[self.layout.user(lane)].state == State::Busy
    }

    /// May a closed user begin something, so long after T0?
    pub(crate) fn turn(&self, lane: LaneId, shape: Option<&ClosedShape>, since_t0: u64) -> Turn {
        let user = &self.all[self.layout.user(lane)];
        if user.state != State::Idle {
            return Turn::Never;
        }
        let Some(ClosedShape { users, per_user }) = shape else { return Turn::Now };
        if per_user.is_some_and(|count| user.iterations >= count) {
            return Turn::Over;
        }
        let number = u32::try_from(user.memory.number).unwrap_or(u32::MAX);
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

    /// What the first user has in mind of what is to be told; nothing where that is too much.
    pub(crate) fn told(&self, script: &Script) -> Vec<Value> {
        let Some(user) = self.all.first().filter(|user| user.memory.number == 0) else { return Vec::new() };
        let tells = script.tells.iter().map(|variable| &user.memory.variables[usize::from(*variable)]);
        let size = |value: &Value| if let Value::Text(text) = value { text.len() } else { 16 };
        if tells.clone().map(size).sum::<usize>() > TOLD_BYTES_MAX {
            return Vec::new();
        }
        tells.cloned().collect()
    }

    /// Nobody has anything to do any more.
    pub(crate) const fn all_retired(&self, users: usize) -> bool {
        self.retired > 0 && self.retired == users
    }

    pub(crate) fn has_retired(&self, lane: LaneId) -> bool {
        self.all[self.layout.user(lane)].state == State::Retired
    }

    pub(crate) fn retire(&mut self, lane: LaneId) {
        self.all[self.layout.user(lane)].state = State::Retired;
        self.retired += 1;
    }

    /// The lane's user is one that was never there.
    pub(crate) fn arrive(&mut self, lane: LaneId, number: u64) {
        let user = &mut self.all[self.layout.user(lane)];
        user.memory.forget(&self.beginning);
        user.memory.number = number;
        user.memory.user = self.numbering.users.nth(number);
        user.started = false;
    }

    /// The user begins with what users do once, if it has not done that.
    pub(crate) fn begin_start(&mut self, lane: LaneId, script: &Script) -> bool {
        let (seed, numbering) = (self.seed, self.numbering);
        let user = self.get(lane);
        if user.started || script.on_start.is_empty() {
            return false;
        }
        (user.state, user.part, user.at, user.was_there) = (State::Busy, Part::Start, 0, true);
        if !user.iterates {
            user.random = Random::new(!seed, user.memory.number);
            // What belongs to a user is there before its first iteration; of the rest it gets what its number gives.
            let iteration = numbering.iterations.nth(user.memory.number);
            user.take_rows(script, &script.feeders_of_all, seed, iteration);
        }
        true
    }

    /// What the user does once is done.
    pub(crate) fn end_start(&mut self, lane: LaneId, closed: bool) {
        let user = self.get(lane);
        (user.part, user.started, user.at) = (Part::Flow, true, 0);
        if closed {
            (user.state, user.failed) = (State::Idle, false);
            user.base = user.memory.variables.clone();
        }
    }

    /// The user begins an iteration, with what it had in mind at its start.
    pub(crate) fn begin(&mut self, lane: LaneId, script: &Script, number: u64, intended: u64) -> Begun {
        let (flow, seed) = (self.flow_of(number), self.seed);
        let iteration = self.numbering.iterations.nth(number);
        let user = &mut self.all[self.layout.user(lane)];
        if !user.take_rows(script, &script.flows[usize::from(flow)].feeders, seed, iteration) {
            return Begun::NoRow;
        }
        if user.base.is_empty() {
            user.memory.variables.clone_from_slice(&self.beginning);
        } else {
            user.memory.variables.clone_from_slice(&user.base);
        }
        user.memory.iteration = iteration;
        user.iterations += 1;
        user.was_there = true;
        (user.state, user.iterates, user.failed, user.requested) = (State::Busy, true, false, false);
        (user.flow, user.at, user.began) = (flow, 0, intended);
        user.random = Random::new(seed, number);
        self.active += 1;
        Begun::Yes
    }

    /// The user's iteration has ended; false if it had none.
    pub(crate) fn end(&mut self, lane: LaneId) -> bool {
        let user = self.get(lane);
        (user.state, user.part) = (State::Idle, Part::Flow);
        let iterated = std::mem::take(&mut user.iterates);
        self.active -= u64::from(iterated);
        iterated
    }

    /// Which flow an iteration takes.
    pub(crate) fn flow_of(&self, number: u64) -> u16 {
        if self.in_order {
            return u16::try_from(number).unwrap_or(0);
        }
        let picked = self.picks.as_ref().zip(usize::try_from(number).ok());
        if let Some(&flow) = picked.and_then(|(picks, number)| picks.get(number)) {
            return flow;
        }
        let all = self.weights.last().copied().unwrap_or(0);
        let drawn = Random::new(self.seed ^ CHOICE, number).below(all);
        let flow = self.weights.partition_point(|&sum| sum <= drawn);
        u16::try_from(flow).unwrap_or(0)
    }

    /// The user begins with what users do at last, if there is any of that, and it was there before.
    pub(crate) fn begin_stop(&mut self, lane: LaneId, script: &Script, closed: bool) -> bool {
        let seed = self.seed;
        let user = self.get(lane);
        if script.on_stop.is_empty() || !user.was_there || user.part == Part::Stop {
            return false;
        }
        user.random = Random::new(!(seed ^ CHOICE), user.memory.number);
        (user.state, user.part, user.at) = (State::Busy, Part::Stop, 0);
        self.stopping += u64::from(closed);
        true
    }

    /// What a closed user does at last is done.
    pub(crate) fn end_stop(&mut self, lane: LaneId) {
        self.stopping -= 1;
        self.retire(lane);
    }

    pub(crate) fn sleep(&mut self, lane: LaneId, state: State, until: u64) {
        let user = self.get(lane);
        (user.state, user.until) = (state, until);
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
        let (at, lane) = loop {
            let Reverse((at, lane)) = *self.sleeping.peek().filter(|sleeper| sleeper.0.0 <= now)?;
            self.sleeping.pop();
            let user = self.get(lane);
            // It may have been woken before its time.
            if matches!(user.state, State::Thinking | State::Pausing) && user.until == at {
                break (at, lane);
            }
        };
        let user = self.get(lane);
        let state = user.state;
        user.state = if state == State::Pausing { State::Idle } else { State::Busy };
        Some((at, lane, state))
    }
}
