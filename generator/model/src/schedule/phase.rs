//! One stretch of a schedule, which counts its arrivals from zero.

use std::sync::Arc;

use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::lines::Lines;
use super::{POSITION_BITS, saturate};
use crate::request::hex;
use crate::units::{NANOS_PER_SECOND, Nanos, Rate};

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Phase {
    pub start: Nanos,
    pub duration: Nanos,
    pub course: Course,
}

/// How arrivals run over a phase. Copies share what is large.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Course {
    Constant(Rate),
    Lines(Lines),
    /// At these instants after the phase's start, which ascend. Written down as what names them.
    Times(#[serde(serialize_with = "digest_of_times")] Arc<[Nanos]>),
}

fn digest_of_times<S: Serializer>(times: &Arc<[Nanos]>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut hash = Sha256::new();
    times.iter().for_each(|time| hash.update(time.0.to_le_bytes()));
    serializer.serialize_str(&hex(&hash.finalize()))
}

impl Phase {
    /// Are arrivals where the rate's integral says, so that they can be drawn at random?
    pub(super) const fn has_rate(&self) -> bool {
        !matches!(self.course, Course::Times(_))
    }

    /// Just after the last nanosecond.
    pub(super) const fn end(&self) -> Nanos {
        Nanos(self.start.0.saturating_add(self.duration.0))
    }

    /// Arrivals at positions `0, 1, ...` whose time is before `end` (measured from T0), exactly.
    pub(super) fn count_before(&self, end: Nanos) -> u64 {
        let elapsed = end.0.saturating_sub(self.start.0).min(self.duration.0);
        match &self.course {
            Course::Constant(rate) => {
                saturate((u128::from(rate.0) * u128::from(elapsed)).div_ceil(u128::from(NANOS_OF_MILLI_RATE)))
            }
            Course::Lines(lines) => lines.count_before(elapsed),
            Course::Times(times) => times.partition_point(|time| time.0 < elapsed) as u64,
        }
    }

    /// When the arrivals reach `position` (in 1/65536), rounded down to a nanosecond; `None` when the phase ends
    /// before.
    #[inline]
    pub(super) fn time_of(&self, position: u64) -> Option<u64> {
        let time = match &self.course {
            Course::Constant(rate) => constant_time(*rate, position)?,
            Course::Lines(lines) => lines.time_of(position)?,
            Course::Times(times) => times.get(usize::try_from(position >> POSITION_BITS).ok()?)?.0,
        };
        (time < self.duration.0).then_some(time)
    }

    /// The rate wanted so long after the phase's start. Where only times are known it is what they hold within half a
    /// second of it.
    pub(super) fn rate_at(&self, elapsed: u64) -> Rate {
        const HALF: u64 = NANOS_PER_SECOND / 2;
        match &self.course {
            Course::Constant(rate) => *rate,
            Course::Lines(lines) => lines.rate_at(elapsed),
            Course::Times(times) => {
                let before = |end: u64| times.partition_point(|time| time.0 < end) as u64;
                let count = before(elapsed.saturating_add(HALF)) - before(elapsed.saturating_sub(HALF));
                Rate::per_second(count)
            }
        }
    }

    pub(super) fn peak(&self) -> Rate {
        match &self.course {
            Course::Constant(rate) => *rate,
            Course::Lines(lines) => lines.peak(),
            Course::Times(times) => times.iter().map(|time| self.rate_at(time.0)).max().unwrap_or(Rate(0)),
        }
    }

    /// The time between two arrivals on average; `None` where there are none.
    pub(super) fn mean_gap(&self) -> Option<Nanos> {
        let rate = match &self.course {
            Course::Constant(rate) => *rate,
            Course::Lines(lines) => lines.mean_rate(),
            Course::Times(times) => return self.duration.0.checked_div(times.len() as u64).map(Nanos),
        };
        (rate > Rate(0)).then(|| rate.gap())
    }
}

/// At a rate of 1 an arrival takes this long: rates are in thousandths a second.
const NANOS_OF_MILLI_RATE: u64 = 1_000_000_000_000;

/// `floor(position * 10^12 / rate)` in nanoseconds; `None` for a rate of zero.
#[inline]
fn constant_time(rate: Rate, position: u64) -> Option<u64> {
    if position & 0xffff == 0
        && let Some(product) = (position >> POSITION_BITS).checked_mul(NANOS_OF_MILLI_RATE)
    {
        return product.checked_div(rate.0);
    }
    let product = u128::from(position) * u128::from(NANOS_OF_MILLI_RATE);
    product.checked_div(u128::from(rate.0) << POSITION_BITS).map(saturate)
}
