//! Slot *i* to the time it is meant to be sent.
//!
//! Times are integer nanoseconds from T0. A slot's time is computed from its number, never accumulated, so it does
//! not drift and any core can compute its own slots without asking another. A schedule is a row of phases; each
//! phase starts its count anew at its own start.
//!
//! A phase maps *positions* (numbers of arrivals, in 1/65536) to times by inverting the integral of its rate. With
//! uniform arrivals slot *i* stands at position *i*. With Poisson arrivals the positions are a Poisson process of
//! rate one, drawn in blocks of 64 positions, each from its own seed: the process has no memory, so drawing each
//! block alone gives the same distribution, and every core draws the same. A replay has no rate but the times
//! themselves, whatever the arrivals are.

mod lines;
mod phase;
mod poisson;

use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use crate::schedule::lines::Lines;
use crate::schedule::phase::{Course, Phase};
use crate::schedule::poisson::Block;
use crate::units::{Nanos, Rate};

/// Positions are counted in this fraction of an arrival.
const POSITION_BITS: u32 = 16;

/// Phases that one call for steps adds at most: more would be a ramp, and take memory for each.
pub const STEPS_MAX: usize = 10_000;

/// How the gaps between arrivals are drawn.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arrivals {
    /// Evenly spaced.
    #[default]
    Uniform,
    /// Exponentially distributed gaps, as from many independent users.
    Poisson,
}

/// How the rate runs over one phase.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Shape {
    Constant(Rate),
    /// Linear from the first rate to the second.
    Ramp(Rate, Rate),
}

/// When each arrival of an open workload is meant to happen. Copies share what is large.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Schedule {
    phases: Vec<Phase>,
    arrivals: Arrivals,
    seed: u64,
    /// No more slots than this, whatever the phases say.
    limit: u64,
}

impl Schedule {
    /// A schedule with no phase yet.
    #[must_use]
    pub const fn new(arrivals: Arrivals, seed: u64) -> Self {
        Self { phases: Vec::new(), arrivals, seed, limit: u64::MAX }
    }

    /// Adds a phase after the last.
    #[must_use]
    pub fn then(self, shape: Shape, duration: Nanos) -> Self {
        match shape {
            Shape::Constant(rate) => self.then_course(Course::Constant(rate), duration),
            Shape::Ramp(from, to) => self.then_points(&[(Nanos::ZERO, from), (duration, to)]),
        }
    }

    /// Adds phases of constant rate: `from`, `from + by`, ... up to and including `until`, at most [`STEPS_MAX`].
    #[must_use]
    pub fn then_steps(self, from: Rate, by: Rate, every: Nanos, until: Rate) -> Self {
        let next = |rate: &Rate| rate.0.checked_add(by.0).filter(|next| *next > rate.0).map(Rate);
        std::iter::successors(Some(from), next)
            .take_while(|rate| *rate <= until)
            .take(STEPS_MAX)
            .fold(self, |schedule, rate| schedule.then(Shape::Constant(rate), every))
    }

    /// Adds a phase that rises from a rate up to another, holds it, and falls back, in straight lines.
    #[must_use]
    pub fn then_spike(self, from: Rate, to: Rate, rise: Nanos, hold: Nanos, fall: Nanos) -> Self {
        let risen = rise;
        let held = Nanos(risen.0.saturating_add(hold.0));
        let fallen = Nanos(held.0.saturating_add(fall.0));
        self.then_points(&[(Nanos::ZERO, from), (risen, to), (held, to), (fallen, from)])
    }

    /// Adds a phase of rate `mean + amplitude * sin(2 pi t / period)`, which is zero where that is below. Each period is
    /// made of 64 straight lines, so that its slots are exact.
    #[must_use]
    pub fn then_sine(self, mean: Rate, amplitude: Rate, period: Nanos, duration: Nanos) -> Self {
        self.then_lines(Lines::sine(mean, amplitude, period), Some(duration))
    }

    /// Adds a phase that runs in straight lines from point to point, until the last. Up to the first point its rate holds;
    /// a point that is not after the one before is a jump.
    #[must_use]
    pub fn then_points(self, points: &[(Nanos, Rate)]) -> Self {
        self.then_lines(Lines::through(points), None)
    }

    /// Adds a phase without slots.
    #[must_use]
    pub fn then_pause(self, duration: Nanos) -> Self {
        self.then(Shape::Constant(Rate(0)), duration)
    }

    /// Adds a phase whose slots are at these instants after its start; it ends just after the last. They are put in order
    /// if they are not.
    #[must_use]
    pub fn then_replay(self, mut times: Arc<[Nanos]>) -> Self {
        if !times.is_sorted() {
            Arc::make_mut(&mut times).sort_unstable();
        }
        let duration = times.last().map_or(Nanos::ZERO, |last| Nanos(last.0.saturating_add(1)));
        self.then_course(Course::Times(times), duration)
    }

    fn then_lines(self, lines: Option<Lines>, duration: Option<Nanos>) -> Self {
        let Some(lines) = lines else { return self };
        let duration = duration.unwrap_or(lines.length());
        self.then_course(Course::Lines(lines), duration)
    }

    /// What has no length is no phase: its rate must not count.
    fn then_course(mut self, course: Course, duration: Nanos) -> Self {
        if duration > Nanos::ZERO {
            self.phases.push(Phase { start: self.duration(), duration, course });
        }
        self
    }

    /// Ends the schedule after `slots` arrivals.
    #[must_use]
    pub const fn limited_to(mut self, slots: u64) -> Self {
        self.limit = slots;
        self
    }

    /// From T0 to the end of the last phase.
    #[must_use]
    pub fn duration(&self) -> Nanos {
        self.phases.last().map_or(Nanos::ZERO, Phase::end)
    }

    /// The number of slots that uniform arrivals have, and the time that the last of them ends. Poisson arrivals have
    /// these on average.
    #[must_use]
    pub fn expected(&self) -> (u64, Nanos) {
        let all: u64 = self.phases.iter().map(|phase| phase.count_before(Nanos(u64::MAX))).sum();
        if all <= self.limit {
            return (all, self.duration());
        }
        let uniform = Self { arrivals: Arrivals::Uniform, limit: u64::MAX, ..self.clone() };
        (self.limit, uniform.slots(self.limit, 1).next().unwrap_or(self.duration()))
    }

    /// Number of slots meant for times before `end`.
    #[must_use]
    pub fn count_before(&self, end: Nanos) -> u64 {
        match self.arrivals {
            Arrivals::Uniform => {
                let all: u64 = self.phases.iter().map(|phase| phase.count_before(end)).sum();
                all.min(self.limit)
            }
            Arrivals::Poisson => self.slots(0, 1).take_while(|&time| time < end).count() as u64,
        }
    }

    /// The rate wanted at a time: zero outside the phases.
    #[must_use]
    pub fn rate_at(&self, time: Nanos) -> Rate {
        let within = |phase: &&Phase| (phase.start..phase.end()).contains(&time);
        self.phases.iter().find(within).map_or(Rate(0), |phase| phase.rate_at(time.0 - phase.start.0))
    }

    /// The highest rate wanted at any time.
    #[must_use]
    pub fn peak(&self) -> Rate {
        self.phases.iter().map(Phase::peak).max().unwrap_or(Rate(0))
    }

    /// Are the gaps between arrivals drawn, so that their number is known only on average?
    #[must_use]
    pub fn is_random(&self) -> bool {
        self.arrivals == Arrivals::Poisson
    }

    /// The gap between two neighbouring slots where they are sparsest: the widest of the phases' mean gaps.
    #[must_use]
    pub fn widest_gap(&self) -> Nanos {
        self.phases.iter().filter_map(Phase::mean_gap).max().unwrap_or(Nanos::ZERO)
    }

    /// The slots `offset`, `offset + stride`, ... in order, as their times.
    #[must_use]
    pub fn slots(&self, offset: u64, stride: u64) -> Slots {
        Slots {
            phases: self.phases.clone(),
            phase: 0,
            passed: 0,
            next: offset,
            stride: stride.max(1),
            limit: self.limit,
            poisson: (self.arrivals == Arrivals::Poisson).then(|| Box::new(Block::new(self.seed))),
        }
    }
}

/// Iterates over the times of every `stride`-th slot. Allocates nothing after it was made.
#[derive(Clone, Debug)]
pub struct Slots {
    phases: Vec<Phase>,
    phase: usize,
    /// Slots in the phases before the present one.
    passed: u64,
    next: u64,
    stride: u64,
    limit: u64,
    poisson: Option<Box<Block>>,
}

impl Slots {
    /// The position of slot `next` within the present phase.
    #[inline]
    fn position(&mut self) -> u64 {
        let index = self.next - self.passed;
        match &mut self.poisson {
            Some(block) if self.phases[self.phase].has_rate() => block.position(self.phase as u64, index),
            _ => index << POSITION_BITS,
        }
    }

    /// Slots of the present phase, known once a slot of it lies past its end.
    fn slots_of_phase(&mut self) -> u64 {
        let phase = &self.phases[self.phase];
        match &mut self.poisson {
            Some(block) if phase.has_rate() => {
                block.first_index_where(self.phase as u64, |position| phase.time_of(position).is_none())
            }
            _ => phase.count_before(Nanos(u64::MAX)),
        }
    }
}

impl Iterator for Slots {
    type Item = Nanos;

    #[inline]
    fn next(&mut self) -> Option<Nanos> {
        while self.next < self.limit && self.phase < self.phases.len() {
            let position = self.position();
            let phase = &self.phases[self.phase];
            if let Some(time) = phase.time_of(position) {
                self.next += self.stride;
                return Some(Nanos(phase.start.0 + time));
            }
            if self.phase + 1 == self.phases.len() {
                return None;
            }
            self.passed += self.slots_of_phase();
            self.phase += 1;
        }
        None
    }
}

fn saturate(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

fn serialize_slice<T: Serialize, S: Serializer>(items: &Arc<[T]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(items.iter())
}

#[cfg(test)]
mod tests;
