//! Slot *i* to the time it is meant to be sent.
//!
//! Times are integer nanoseconds from T0. A slot's time is computed from its number, never accumulated, so it does
//! not drift and any core can compute its own slots without asking another. A schedule is a row of phases; each
//! phase starts its count anew at its own start.
//!
//! A phase maps *positions* (numbers of arrivals, in 1/65536) to times by inverting the integral of its rate. With
//! uniform arrivals slot *i* stands at position *i*. With Poisson arrivals the positions are a Poisson process of
//! rate one, drawn in blocks of 64 positions, each from its own seed: the process has no memory, so drawing each
//! block alone gives the same distribution, and every core draws the same.

use serde::{Deserialize, Serialize};

use crate::random::Random;
use crate::units::{Nanos, Rate};

/// The longest a single ramp may last: its arithmetic stays within 128 bits.
pub const RAMP_MAX: Nanos = Nanos::from_secs(24 * 3_600);

/// Positions are counted in this fraction of an arrival.
const POSITION_BITS: u32 = 16;

/// Positions in a block of Poisson arrivals.
const BLOCK: u64 = 64;

/// A block of 64 expected arrivals holds more than this with a probability below 1e-80.
const BLOCK_MAX: usize = 320;

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
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    Constant(Rate),
    /// Linear from the first rate to the second.
    Ramp(Rate, Rate),
}

#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Phase {
    start: Nanos,
    duration: Nanos,
    shape: Shape,
}

/// When each arrival of an open workload is meant to happen.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
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

    /// Adds a phase after the last. Ramps longer than [`RAMP_MAX`] are cut to it.
    #[must_use]
    pub fn then(mut self, shape: Shape, duration: Nanos) -> Self {
        let duration = match shape {
            Shape::Constant(_) => duration,
            Shape::Ramp(..) => duration.min(RAMP_MAX),
        };
        self.phases.push(Phase { start: self.duration(), duration, shape });
        self
    }

    /// Adds phases of constant rate: `from`, `from + by`, ... up to and including `until`.
    #[must_use]
    pub fn then_steps(mut self, from: Rate, by: Rate, every: Nanos, until: Rate) -> Self {
        let mut rate = from;
        while rate <= until {
            self = self.then(Shape::Constant(rate), every);
            if by == Rate(0) {
                break;
            }
            rate = Rate(rate.0 + by.0);
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
        self.phases.last().map_or(Nanos::ZERO, |last| Nanos(last.start.0 + last.duration.0))
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
        let within = |phase: &&Phase| (phase.start.0..phase.start.0 + phase.duration.0).contains(&time.0);
        self.phases.iter().find(within).map_or(Rate(0), |phase| phase.rate_at(time.0 - phase.start.0))
    }

    /// The longest gap between two neighbouring slots of a uniform schedule, by the lowest rate of any phase.
    #[must_use]
    pub fn widest_gap(&self) -> Nanos {
        let lowest = self.phases.iter().map(|phase| match phase.shape {
            Shape::Constant(rate) => rate,
            Shape::Ramp(from, to) => Rate(u64::midpoint(from.0, to.0)),
        });
        lowest.filter(|rate| rate.0 > 0).min().map_or(Nanos::ZERO, Rate::gap)
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

impl Phase {
    /// Arrivals at positions `0, 1, ...` whose time is before `end` (measured from T0), exactly.
    fn count_before(&self, end: Nanos) -> u64 {
        let elapsed = end.0.saturating_sub(self.start.0).min(self.duration.0);
        let (scaled, scale) = self.arrivals_until(elapsed);
        saturate(scaled.div_ceil(scale))
    }

    /// The integral of the rate over the first `elapsed` nanoseconds, as numerator and denominator.
    fn arrivals_until(&self, elapsed: u64) -> (u128, u128) {
        const PER_SLOT: u128 = 1_000_000_000_000; // milli-requests a second, times nanoseconds, in one request
        let t = u128::from(elapsed);
        match self.shape {
            Shape::Constant(rate) => (u128::from(rate.0) * t, PER_SLOT),
            Shape::Ramp(from, to) => {
                let (from, to, whole) = (u128::from(from.0), u128::from(to.0), u128::from(self.duration.0));
                // from*t + (to - from) * t^2 / (2 * whole), with the negative part kept apart.
                let linear = 2 * whole * from * t;
                let sum =
                    if to >= from { linear + (to - from) * t * t } else { linear - (from - to) * t * t };
                (sum, 2 * whole.max(1) * PER_SLOT)
            }
        }
    }

    /// When the arrivals reach `position` (in 1/65536), rounded down to a nanosecond; `None` when the phase ends
    /// before.
    fn time_of(&self, position: u64) -> Option<u64> {
        let time = match self.shape {
            Shape::Constant(rate) => constant_time(rate, position)?,
            Shape::Ramp(from, to) => self.ramp_time(from, to, position)?,
        };
        (time < self.duration.0).then_some(time)
    }

    fn ramp_time(&self, from: Rate, to: Rate, position: u64) -> Option<u64> {
        let passed = |t: u64| {
            let (sum, scale) = self.arrivals_until(t);
            // sum / scale > position / 65536, without leaving 128 bits.
            let (whole, rest) = (sum / scale, sum % scale);
            let (want, want_rest) = (u128::from(position >> POSITION_BITS), position & 0xffff);
            whole > want || (whole == want && rest > (scale >> POSITION_BITS) * u128::from(want_rest))
        };
        if !passed(self.duration.0) {
            return None;
        }
        let mut time = self.ramp_estimate(from, to, position).min(self.duration.0);
        // The estimate is within a few nanoseconds; galloping keeps the result exact whatever its error is.
        let mut step = 1;
        while !passed(time) {
            time = (time + step).min(self.duration.0);
            step *= 2;
        }
        let mut step = 1;
        while time > 0 && passed(time.saturating_sub(step)) {
            time = time.saturating_sub(step);
            step *= 2;
        }
        while step > 0 {
            if time >= step && passed(time - step) {
                time -= step;
            } else {
                step /= 2;
            }
        }
        Some(time.saturating_sub(1))
    }

    /// Solves the quadratic in floating point: a starting value for the exact search.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate, corrected after"
    )]
    fn ramp_estimate(&self, from: Rate, to: Rate, position: u64) -> u64 {
        let n = position as f64 / f64::from(1 << POSITION_BITS);
        let (a, b) = (from.0 as f64 / 1e12, to.0 as f64 / 1e12);
        let slope = (b - a) / self.duration.0.max(1) as f64;
        let root = (a * a + 2.0 * slope * n).max(0.0).sqrt();
        let time = if a + root > 0.0 { 2.0 * n / (a + root) } else { 0.0 };
        time as u64
    }

    fn rate_at(&self, elapsed: u64) -> Rate {
        match self.shape {
            Shape::Constant(rate) => rate,
            Shape::Ramp(from, to) => {
                let (t, whole) = (u128::from(elapsed), u128::from(self.duration.0.max(1)));
                let (from, to) = (u128::from(from.0), u128::from(to.0));
                let rate =
                    if to >= from { from + (to - from) * t / whole } else { from - (from - to) * t / whole };
                Rate(saturate(rate))
            }
        }
    }
}

/// `floor(position * 10^12 / rate)` in nanoseconds; `None` for a rate of zero.
#[inline]
fn constant_time(rate: Rate, position: u64) -> Option<u64> {
    const NS_TIMES_MILLI: u64 = 1_000_000_000_000;
    if position & 0xffff == 0
        && let Some(product) = (position >> POSITION_BITS).checked_mul(NS_TIMES_MILLI)
    {
        return product.checked_div(rate.0);
    }
    let product = u128::from(position) * u128::from(NS_TIMES_MILLI);
    product.checked_div(u128::from(rate.0) << POSITION_BITS).map(saturate)
}

fn saturate(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
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
    fn position(&mut self) -> u64 {
        let index = self.next - self.passed;
        match &mut self.poisson {
            None => index << POSITION_BITS,
            Some(block) => block.position(self.phase as u64, index),
        }
    }

    /// Slots of the present phase, known once a slot of it lies past its end.
    fn slots_of_phase(&mut self) -> u64 {
        let phase = self.phases[self.phase];
        match &mut self.poisson {
            None => phase.count_before(Nanos(u64::MAX)),
            Some(block) => {
                block.first_index_where(self.phase as u64, |position| phase.time_of(position).is_none())
            }
        }
    }
}

impl Iterator for Slots {
    type Item = Nanos;

    #[inline]
    fn next(&mut self) -> Option<Nanos> {
        while self.next < self.limit {
            let phase = *self.phases.get(self.phase)?;
            let position = self.position();
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

/// One block of a Poisson process of rate one: the positions of its arrivals, ascending.
#[derive(Clone, Debug)]
struct Block {
    seed: u64,
    phase: u64,
    number: u64,
    /// Arrivals in the blocks before this one.
    before: u64,
    positions: Vec<u64>,
}

impl Block {
    fn new(seed: u64) -> Self {
        let mut block =
            Self { seed, phase: 0, number: 0, before: 0, positions: Vec::with_capacity(BLOCK_MAX) };
        block.draw();
        block
    }

    /// The position of arrival `index` of `phase`, drawing blocks as far as needed. Mostly called with rising
    /// indices; a step back starts the phase over.
    fn position(&mut self, phase: u64, index: u64) -> u64 {
        if phase != self.phase || index < self.before {
            (self.phase, self.number, self.before) = (phase, 0, 0);
            self.draw();
        }
        loop {
            let at = index - self.before;
            if let Some(&position) = usize::try_from(at).ok().and_then(|at| self.positions.get(at)) {
                return position;
            }
            self.before += self.positions.len() as u64;
            self.number += 1;
            self.draw();
        }
    }

    /// The first arrival of `phase` past its end, looking no further back than a block.
    fn first_index_where(&mut self, phase: u64, past_end: impl Fn(u64) -> bool) -> u64 {
        let mut index = self.before;
        while index > 0 && past_end(self.position(phase, index)) {
            index = index.saturating_sub(BLOCK_MAX as u64);
        }
        while !past_end(self.position(phase, index)) {
            index += 1;
        }
        index
    }

    fn draw(&mut self) {
        let mut random = Random::new(self.seed ^ self.phase.wrapping_mul(0xd1b5_4a32_d192_ed03), self.number);
        let start = self.number * BLOCK;
        self.positions.clear();
        let mut offset = exponential(&mut random);
        while offset < BLOCK as f64 && self.positions.len() < BLOCK_MAX {
            self.positions.push((start << POSITION_BITS) + fixed_point(offset));
            offset += exponential(&mut random);
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the offset lies in 0..64")]
fn fixed_point(offset: f64) -> u64 {
    (offset * f64::from(1 << POSITION_BITS)) as u64
}

/// A unit exponential. `libm` is used because the system's logarithm may differ between CPUs.
fn exponential(random: &mut Random) -> f64 {
    -libm::log(random.unit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shapes() -> impl Strategy<Value = Shape> {
        prop_oneof![
            (1u64..5_000_000).prop_map(|r| Shape::Constant(Rate(r))),
            (0u64..5_000_000, 0u64..5_000_000).prop_map(|(a, b)| Shape::Ramp(Rate(a), Rate(b))),
        ]
    }

    fn schedules() -> impl Strategy<Value = Schedule> {
        let phase = (shapes(), 1u64..2_000_000_000);
        let arrivals = prop_oneof![Just(Arrivals::Uniform), Just(Arrivals::Poisson)];
        (prop::collection::vec(phase, 1..4), arrivals, any::<u64>()).prop_map(|(phases, arrivals, seed)| {
            phases
                .into_iter()
                .fold(Schedule::new(arrivals, seed), |s, (shape, len)| s.then(shape, Nanos(len)))
        })
    }

    proptest! {
        #[test]
        fn times_never_go_back_and_stay_inside(schedule in schedules()) {
            let times: Vec<_> = schedule.slots(0, 1).collect();
            prop_assert!(times.is_sorted());
            prop_assert!(times.last().is_none_or(|&last| last < schedule.duration()));
        }

        #[test]
        fn the_count_of_any_window_is_exact(schedule in schedules(), a in 0u64..6_000_000_000, b in 0u64..6_000_000_000) {
            let (from, to) = (Nanos(a.min(b)), Nanos(a.max(b)));
            let inside = schedule.slots(0, 1).filter(|&time| time >= from && time < to).count() as u64;
            prop_assert_eq!(inside, schedule.count_before(to) - schedule.count_before(from));
        }

        #[test]
        fn strides_partition_the_slots(schedule in schedules(), cores in 1u64..9) {
            let mut split: Vec<_> = (0..cores).flat_map(|core| schedule.slots(core, cores)).collect();
            split.sort_unstable();
            prop_assert_eq!(split, schedule.slots(0, 1).collect::<Vec<_>>());
        }

        #[test]
        fn a_limit_cuts_the_tail(schedule in schedules(), limit in 0u64..500) {
            let whole = schedule.slots(0, 1).take(usize::try_from(limit).unwrap()).collect::<Vec<_>>();
            prop_assert_eq!(schedule.clone().limited_to(limit).slots(0, 1).collect::<Vec<_>>(), whole);
        }
    }

    #[test]
    fn constant_slots_do_not_drift() {
        let day = Nanos::from_secs(86_400);
        let schedule =
            Schedule::new(Arrivals::Uniform, 0).then(Shape::Constant(Rate::per_second(30_000)), day);
        assert_eq!(schedule.count_before(day), 30_000 * 86_400);
        let far = 30_000 * 86_399 + 1;
        assert_eq!(schedule.slots(far, 1).next(), Some(Nanos(86_399_000_033_333)));
    }

    #[test]
    fn a_ramp_sends_the_area_under_it() {
        let schedule = Schedule::new(Arrivals::Uniform, 0)
            .then(Shape::Ramp(Rate(0), Rate::per_second(1_000)), Nanos::from_secs(10));
        assert_eq!(schedule.count_before(Nanos::from_secs(10)), 5_000);
        assert_eq!(schedule.count_before(Nanos::from_secs(5)), 1_250);
        assert_eq!(schedule.rate_at(Nanos::from_secs(5)), Rate::per_second(500));
    }

    #[test]
    fn the_longest_and_fastest_ramp_stays_in_range() {
        let schedule = Schedule::new(Arrivals::Uniform, 0).then(Shape::Ramp(Rate(0), Rate::MAX), RAMP_MAX);
        assert_eq!(schedule.count_before(RAMP_MAX), 10_000_000 / 2 * 86_400);
        let last = 10_000_000 / 2 * 86_400 - 1;
        assert!(schedule.slots(last, 1).next().is_some());
        assert_eq!(schedule.slots(last + 1, 1).next(), None);
    }

    #[test]
    fn steps_are_constant_phases() {
        let schedule = Schedule::new(Arrivals::Uniform, 0).then_steps(
            Rate::per_second(100),
            Rate::per_second(100),
            Nanos::from_secs(1),
            Rate::per_second(300),
        );
        assert_eq!(schedule.count_before(Nanos::from_secs(3)), 600);
        assert_eq!(schedule.duration(), Nanos::from_secs(3));
    }

    /// Reckoned apart from this code: a plan's arrivals must stay the same from version to version.
    #[test]
    fn poisson_arrivals_of_a_seed_are_these() {
        let schedule = Schedule::new(Arrivals::Poisson, 7)
            .then(Shape::Constant(Rate::per_second(10_000)), Nanos::from_secs(1));
        let first: Vec<_> = schedule.slots(0, 1).take(4).map(|time| time.0).collect();
        assert_eq!(first, [94_203, 502_911, 513_362, 567_330]);
    }

    #[test]
    fn poisson_gaps_have_the_spread_of_an_exponential() {
        let schedule = Schedule::new(Arrivals::Poisson, 7)
            .then(Shape::Constant(Rate::per_second(10_000)), Nanos::from_secs(20));
        let times: Vec<_> = schedule.slots(0, 1).map(|n| n.0 as f64).collect();
        let gaps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let deviation = (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64).sqrt();
        assert!((mean / 100_000.0 - 1.0).abs() < 0.01, "mean gap {mean}");
        assert!((deviation / mean - 1.0).abs() < 0.02, "deviation over mean {}", deviation / mean);
    }
}
