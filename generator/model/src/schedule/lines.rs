//! A rate that runs in straight lines, once or over and over.
//!
//! Under a straight line lies a trapezium, so with integer rates and times the area is an integer: it is kept doubled, in
//! thousandths of a request a second times nanoseconds. Areas and the times at which they are reached are exact.

use std::f64::consts::TAU;
use std::sync::Arc;

use serde::Serialize;

use super::{POSITION_BITS, serialize_slice};
use crate::units::{Nanos, Rate};

/// The doubled area under one arrival.
const AREA_OF_ARRIVAL: u128 = 2_000_000_000_000;

/// Straight lines that stand for one period of a sine; between them and the curve lie at most 0.13 % of its amplitude.
const LINES_OF_SINE: u32 = 64;

/// The longest single line: the squares of its times fit 128 bits. Longer ones are cut into several.
const LINE_MAX: u64 = 24 * 3_600 * crate::units::NANOS_PER_SECOND;

/// Lines one after another, which begin anew after the last.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Lines {
    /// Without gaps from 0 to `length`, each at least a nanosecond long.
    #[serde(serialize_with = "serialize_slice")]
    lines: Arc<[Line]>,
    length: u64,
    /// Doubled, of all lines.
    #[serde(skip)]
    area: u128,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct Line {
    start: u64,
    length: u64,
    from: u64,
    to: u64,
    /// Doubled, of all lines up to the end of this one.
    #[serde(skip)]
    area_until: u128,
}

impl Lines {
    /// From point to point, of which the first counts as the start. A point that is not after the one before is a jump.
    /// Returns `None` where nothing has a length.
    pub(super) fn through(points: &[(Nanos, Rate)]) -> Option<Self> {
        let mut lines = Vec::new();
        let mut here: Option<(u64, Rate)> = None;
        for &(at, rate) in points {
            let rate = rate.min(Rate::MAX);
            let (start, from) = here.unwrap_or((0, rate));
            push(&mut lines, start, from, at.0, rate);
            here = Some((at.0.max(start), rate));
        }
        let last = lines.last()?;
        let (length, area) = (last.start + last.length, last.area_until);
        Some(Self { lines: lines.into(), length, area })
    }

    /// One period of a sine, from its mean upwards; rates below zero are zero.
    pub(super) fn sine(mean: Rate, amplitude: Rate, period: Nanos) -> Option<Self> {
        let point = |i: u32| {
            let at = u128::from(period.0.max(1)) * u128::from(i) / u128::from(LINES_OF_SINE);
            let sine = libm::sin(TAU * f64::from(i) / f64::from(LINES_OF_SINE));
            (Nanos(super::saturate(at)), rounded(mean.0 as f64 + amplitude.0 as f64 * sine))
        };
        Self::through(&(0..=LINES_OF_SINE).map(point).collect::<Vec<_>>())
    }

    /// Until the last line ends.
    pub(super) const fn length(&self) -> Nanos {
        Nanos(self.length)
    }

    /// Over one run through all lines, rounded down.
    pub(super) fn mean_rate(&self) -> Rate {
        Rate(super::saturate(self.area / (2 * u128::from(self.length))))
    }

    pub(super) fn peak(&self) -> Rate {
        Rate(self.lines.iter().map(|line| line.from.max(line.to)).max().unwrap_or(0))
    }

    /// The integers from 0 that lie below the number of arrivals in the first `elapsed` nanoseconds.
    pub(super) fn count_before(&self, elapsed: u64) -> u64 {
        let (rounds, elapsed) = (elapsed / self.length, elapsed % self.length);
        let line = self.line_at(elapsed);
        let (area, of) = (line.area_in(elapsed - line.start), u128::from(line.length));
        let whole = u128::from(rounds) * self.area + line.area_before() + area / of;
        let more = !whole.is_multiple_of(AREA_OF_ARRIVAL) || !area.is_multiple_of(of);
        super::saturate(whole / AREA_OF_ARRIVAL + u128::from(more))
    }

    /// When the arrivals reach `position` (in 1/65536), rounded down to a nanosecond; `None` if never within 64 bits.
    pub(super) fn time_of(&self, position: u64) -> Option<u64> {
        let (mut wanted, all) = (u128::from(position) * AREA_OF_ARRIVAL, self.area << POSITION_BITS);
        let mut before = 0;
        if wanted >= all {
            before = u64::try_from(wanted.checked_div(all)?).ok()?.checked_mul(self.length)?;
            wanted %= all;
        }
        let line = &self.lines[self.lines.partition_point(|line| line.area_until << POSITION_BITS <= wanted)];
        let time = line.time_of(wanted - (line.area_before() << POSITION_BITS));
        before.checked_add(line.start + time)
    }

    pub(super) fn rate_at(&self, elapsed: u64) -> Rate {
        let elapsed = elapsed % self.length;
        let line = self.line_at(elapsed);
        let run = u128::from(line.from.abs_diff(line.to)) * u128::from(elapsed - line.start);
        let change = super::saturate(run / u128::from(line.length));
        Rate(if line.to >= line.from { line.from + change } else { line.from - change })
    }

    fn line_at(&self, elapsed: u64) -> &Line {
        &self.lines[self.lines.partition_point(|line| line.start + line.length <= elapsed)]
    }
}

/// Adds the line between two points, in pieces that are short enough.
fn push(lines: &mut Vec<Line>, start: u64, from: Rate, end: u64, to: Rate) {
    let whole = end.saturating_sub(start);
    let rate_after = |time: u64| {
        let change = i128::from(to.0) - i128::from(from.0);
        let rate = i128::from(from.0) + change * i128::from(time) / i128::from(whole);
        u64::try_from(rate).unwrap_or(0)
    };
    let mut done = 0;
    while done < whole {
        let length = (whole - done).min(LINE_MAX);
        let (from, to) = (rate_after(done), rate_after(done + length));
        let area_before = lines.last().map_or(0, |line| line.area_until);
        let mut line = Line { start: start + done, length, from, to, area_until: area_before };
        line.area_until += line.area();
        lines.push(line);
        done += length;
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the rate lies in 0..=MAX")]
fn rounded(rate: f64) -> Rate {
    Rate(rate.round().clamp(0.0, Rate::MAX.0 as f64) as u64)
}

impl Line {
    /// Doubled.
    fn area(&self) -> u128 {
        u128::from(self.from + self.to) * u128::from(self.length)
    }

    fn area_before(&self) -> u128 {
        self.area_until - self.area()
    }

    /// The doubled area of the first `elapsed` nanoseconds, times the line's length.
    fn area_in(&self, elapsed: u64) -> u128 {
        let (t, from, to) = (u128::from(elapsed), u128::from(self.from), u128::from(self.to));
        // 2 * from * t + (to - from) * t^2 / length, with the negative part kept apart.
        let linear = 2 * from * u128::from(self.length) * t;
        if to >= from { linear + (to - from) * t * t } else { linear - (from - to) * t * t }
    }

    /// The last nanosecond up to which the doubled area does not exceed `wanted` (in 1/65536), which lies below all of it.
    fn time_of(&self, wanted: u128) -> u64 {
        let length = u128::from(self.length);
        let bound = (wanted >> POSITION_BITS) * length + (((wanted & 0xffff) * length) >> POSITION_BITS);
        let passed = |time: u64| self.area_in(time) > bound;
        let mut time = self.estimate(wanted).min(self.length);
        // The estimate is within a few nanoseconds; galloping keeps the result exact whatever its error is.
        let mut step = 1;
        while !passed(time) {
            time = (time + step).min(self.length);
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
        time.saturating_sub(1)
    }

    /// Solves the quadratic in floating point: a starting value for the exact search.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate, corrected after"
    )]
    fn estimate(&self, wanted: u128) -> u64 {
        let area = wanted as f64 / f64::from(1 << POSITION_BITS);
        let (from, to) = (self.from as f64, self.to as f64);
        let slope = (to - from) / self.length as f64;
        let root = (from * from + slope * area).max(0.0).sqrt();
        let time = if from + root > 0.0 { area / (from + root) } else { 0.0 };
        time as u64
    }
}
