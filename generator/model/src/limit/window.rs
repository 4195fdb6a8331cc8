//! A limit that must hold in each stretch of a run, not only over the whole of it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::histogram::{Exact, Histogram};
use crate::limit::figure::Measured;
use crate::limit::{Catalogue, Limit};
use crate::snapshot::Stats;
use crate::units::Nanos;

/// Intervals of a window: an hour of seconds. Plans have no longer ones; they would be judged as this one.
pub(crate) const WINDOW_INTERVALS_MAX: u64 = 3_600;

/// Judges a limit over every window of a run. A window is a number of whole intervals, and one ends with each interval.
pub(super) struct Windowed {
    limit: Limit,
    catalogue: Arc<Catalogue>,
    interval: Nanos,
    /// Of one window.
    intervals: usize,
    /// The next tick to come; before the first, the one in which the warm-up has ended.
    next: u64,
    /// The intervals of the present window, the oldest first.
    ring: VecDeque<Interval>,
    broken: Option<Broken>,
}

/// The first stretch in which a limit did not hold.
#[derive(Copy, Clone, PartialEq, Debug)]
pub struct Broken {
    /// The stretch's end, from T0.
    pub at: Nanos,
    /// In the unit of the limit's bound.
    pub observed: f64,
}

impl Windowed {
    /// Intervals that begin before the end of the warm-up belong to no window. A window that is no multiple of the interval
    /// is rounded up to one.
    #[must_use]
    pub(super) fn new(
        limit: Limit,
        catalogue: Arc<Catalogue>,
        window: Nanos,
        interval: Nanos,
        warmup: Nanos,
    ) -> Self {
        let interval = interval.max(Nanos(1));
        let intervals = window.0.div_ceil(interval.0).clamp(1, WINDOW_INTERVALS_MAX);
        Self {
            limit,
            catalogue,
            interval,
            intervals: usize::try_from(intervals).unwrap_or(1),
            next: warmup.0.div_ceil(interval.0),
            ring: VecDeque::new(),
            broken: None,
        }
    }

    /// Takes what all cores together counted in an interval. Intervals come in order; one that was left out had nothing,
    /// and one that comes late is too late.
    ///
    /// Of a window in which nothing was measured only a limit on a rate can say anything.
    pub(super) fn see(&mut self, tick: u64, stats: &Stats) {
        if tick < self.next || self.broken.is_some() {
            return;
        }
        if tick - self.next > self.intervals as u64 {
            // Nothing from before the gap is in a window that ends in it as late as this.
            self.ring.clear();
            self.next = tick - self.intervals as u64;
        }
        while self.next < tick {
            self.push(Interval::of(&Measured::default()));
        }
        self.push(Interval::of(&Measured::of(self.limit.figure, stats, &self.limit.scope, &self.catalogue)));
    }

    /// The first window in which the limit did not hold, if there was one.
    #[must_use]
    pub(super) const fn broken(&self) -> Option<Broken> {
        self.broken
    }

    fn push(&mut self, interval: Interval) {
        if self.ring.len() == self.intervals {
            self.ring.pop_front();
        }
        self.ring.push_back(interval);
        self.next = self.next.saturating_add(1);
        if self.ring.len() == self.intervals {
            self.judge();
        }
    }

    fn judge(&mut self) {
        if self.broken.is_some() {
            return;
        }
        let length = Nanos(self.interval.0.saturating_mul(self.intervals as u64));
        let measured = sum(&self.ring);
        let at = Nanos(self.interval.0.saturating_mul(self.next));
        self.broken = self.limit.missed(&measured, length).map(|observed| Broken { at, observed });
    }
}

/// What was measured in one interval, with the filled buckets only: a window has up to thousands of intervals.
struct Interval {
    /// Index and count, ascending.
    buckets: Box<[(usize, u64)]>,
    /// Of these buckets, where they are kept.
    sums: Option<Box<[u128]>>,
    exact: Exact,
    part: u64,
    whole: u64,
    coverage: Option<(u64, u64)>,
}

impl Interval {
    fn of(measured: &Measured) -> Self {
        let (counts, exact) = measured.times.parts();
        let buckets = counts.iter().copied().enumerate().filter(|(_, count)| *count > 0).collect();
        Self {
            buckets,
            sums: measured.times.filled_sums().map(Iterator::collect),
            exact,
            part: measured.part,
            whole: measured.whole,
            coverage: measured.coverage,
        }
    }
}

fn sum(ring: &VecDeque<Interval>) -> Measured {
    let mut counts = Histogram::no_counts();
    let mut exact = Exact { sum: 0, min: u64::MAX, max: 0 };
    let mut total = Measured::default();
    for interval in ring {
        for &(index, count) in &interval.buckets {
            counts[index] = counts[index].saturating_add(count);
        }
        exact.sum += interval.exact.sum;
        exact.min = exact.min.min(interval.exact.min);
        exact.max = exact.max.max(interval.exact.max);
        total.part = total.part.saturating_add(interval.part);
        total.whole = total.whole.saturating_add(interval.whole);
        if let Some((known, asked)) = interval.coverage {
            let (sum_known, sum_asked) = total.coverage.unwrap_or_default();
            total.coverage = Some((sum_known.saturating_add(known), sum_asked.saturating_add(asked)));
        }
    }
    let count = counts.iter().fold(0u64, |count, bucket| count.saturating_add(*bucket));
    if let Some(times) = Histogram::of_parts(counts, count, exact) {
        total.times = with_sums(times, ring);
    }
    total
}

/// Adds the sums of the buckets, if all intervals that have any keep them.
fn with_sums(times: Histogram, ring: &VecDeque<Interval>) -> Histogram {
    let mut sums = BTreeMap::new();
    for interval in ring.iter().filter(|interval| !interval.buckets.is_empty()) {
        let Some(filled) = &interval.sums else { return times };
        for ((index, _), sum) in interval.buckets.iter().zip(filled) {
            *sums.entry(*index).or_insert(0u128) += sum;
        }
    }
    let filled: Vec<u128> = sums.into_values().collect();
    times.clone().and_sums(&filled).unwrap_or(times)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::snapshot::tests::stats;

    const SECOND: Nanos = Nanos::from_secs(1);

    fn catalogue() -> Catalogue {
        Catalogue { names: vec!["a".into(), "b".into()], tags: vec![vec!["t".into()], Vec::new()] }
    }

    fn windowed(limit: &str, seconds: u64, warmup: Nanos) -> Windowed {
        Windowed::new(
            limit.parse().unwrap(),
            Arc::new(catalogue()),
            Nanos::from_secs(seconds),
            SECOND,
            warmup,
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// A window is judged as a run that is as long would be.
        #[test]
        fn the_first_window_that_fails_is_found(
            ticks in prop::collection::vec(stats(), 1..8),
            length in 1usize..5,
            limit in prop::sample::select(vec![
                "p50(response_time) < 600ms",
                "max(response_time, name=\"b\") < 1s",
                "mean(kernel_time) < 300ms",
                "error_rate(tag=\"t\") < 60%",
                "check_rate >= 50%",
                "rate(name=\"a\") >= 2/s",
            ]),
        ) {
            let mut windowed = windowed(limit, length as u64, Nanos::ZERO);
            for (tick, stats) in ticks.iter().enumerate() {
                windowed.see(tick as u64, stats);
            }
            let first = ticks.windows(length).enumerate().find_map(|(first, window)| {
                let mut sum = Stats::new(2);
                window.iter().for_each(|stats| sum.merge(stats));
                let length = Nanos::from_secs(length as u64);
                let result = windowed.limit.check(&sum, &catalogue(), length);
                let observed = result.observed.filter(|_| !result.passed)?;
                Some(Broken { at: Nanos(Nanos::from_secs(first as u64).0 + length.0), observed })
            });
            prop_assert_eq!(windowed.broken(), first);
        }
    }

    /// Completed requests by tick; the others are not reported.
    fn check(mut windowed: Windowed, ticks: &[(u64, u64)], want: Option<(u64, f64)>) {
        for &(tick, completed) in ticks {
            let mut stats = Stats::new(2);
            (0..completed).for_each(|_| stats.requests[1].response_ok.record(1_000));
            windowed.see(tick, &stats);
            assert!(windowed.ring.len() <= windowed.intervals);
        }
        let want = want.map(|(seconds, observed)| Broken { at: Nanos::from_secs(seconds), observed });
        assert_eq!(windowed.broken(), want);
    }

    #[test]
    fn ticks_come_in_order_and_those_left_out_had_nothing() {
        let rate = |seconds| windowed("rate >= 10/s", seconds, Nanos::ZERO);
        check(rate(2), &[(0, 0), (1, 20), (2, 0), (3, 20), (2, 0)], None);
        check(rate(2), &[(0, 0), (1, 20), (2, 1), (3, 18), (4, 0)], Some((4, 9.5)));
        check(rate(2), &[(0, 20), (3, 20), (3, 0)], Some((3, 0.0)));
        check(rate(9), &[(0, 0), (7, 0)], None);
        check(rate(2), &[(0, 20), (1_000_000, 20)], Some((1_000_000, 0.0)));
        check(windowed("rate < 10/s", 2, Nanos::ZERO), &[(0, 0), (u64::MAX, 0)], None);
        let none = windowed("p99(response_time) > 1s", 1, Nanos::ZERO);
        check(none, &[(0, 0), (1, 0)], None);
    }

    #[test]
    fn the_warm_up_belongs_to_no_window() {
        let warm = |millis| windowed("rate >= 10/s", 1, Nanos::from_millis(millis));
        check(warm(1_001), &[(0, 0), (1, 0), (2, 10)], None);
        check(warm(1_000), &[(0, 0), (1, 0), (2, 10)], Some((2, 0.0)));
    }

    #[test]
    fn a_window_has_a_longest_length() {
        let ticks: Vec<_> = (0..2 * WINDOW_INTERVALS_MAX).map(|tick| (tick, 1)).collect();
        let year = 365 * 86_400;
        check(windowed("rate > 1.5/s", year, Nanos::ZERO), &ticks, Some((WINDOW_INTERVALS_MAX, 1.0)));
    }
}
