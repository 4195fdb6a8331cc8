//! A fixed log-linear histogram of nanoseconds.
//!
//! Memory is constant (36 KiB) whatever is recorded, the bucket error is below 1 %, and `count`, `sum`, `min` and
//! `max` are exact. The bucket function is shared with the kernel programs ([`brunt_abi::bucket`]).

use brunt_abi::{BUCKETS, bucket, highest, lowest};
use serde::{Deserialize, Serialize};

/// Counts of values by bucket.
#[derive(Clone, PartialEq, Eq)]
pub struct Histogram {
    counts: Box<[u64; BUCKETS]>,
    count: u64,
    sum: u128,
    min: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: zeroed(), count: 0, sum: 0, min: u64::MAX, max: 0 }
    }
}

fn zeroed() -> Box<[u64; BUCKETS]> {
    match vec![0u64; BUCKETS].into_boxed_slice().try_into() {
        Ok(counts) => counts,
        Err(_) => unreachable!("the length is the constant above"),
    }
}

impl Histogram {
    /// Counts one value in nanoseconds.
    #[inline(always)]
    pub fn record(&mut self, value: u64) {
        self.counts[bucket(value)] += 1;
        self.count += 1;
        self.sum += u128::from(value);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// Adds all that `other` counted.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        for (mine, theirs) in self.counts.iter_mut().zip(other.counts.iter()) {
            *mine += theirs;
        }
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// Forgets everything, keeping the memory.
    pub fn clear(&mut self) {
        if self.count == 0 {
            return;
        }
        self.counts.fill(0);
        self.count = 0;
        self.sum = 0;
        self.min = u64::MAX;
        self.max = 0;
    }

    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The smallest value recorded, 0 if none was.
    #[must_use]
    pub const fn min(&self) -> u64 {
        if self.count == 0 { 0 } else { self.min }
    }

    #[must_use]
    pub const fn max(&self) -> u64 {
        self.max
    }

    #[must_use]
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 }
    }

    /// Standard deviation, from the middle of each bucket.
    #[must_use]
    pub fn stddev(&self) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        let mean = self.mean();
        let squares: f64 =
            self.buckets().map(|(low, high, n)| n as f64 * ((low + high) as f64 / 2.0 - mean).powi(2)).sum();
        (squares / self.count as f64).sqrt()
    }

    /// The smallest value that at least `quantile` (0..=1) of the recorded ones do not exceed, rounded up to the
    /// end of its bucket but never past the largest value recorded. 0 if nothing was recorded.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a count is a count"
    )]
    pub fn quantile(&self, quantile: f64) -> u64 {
        let wanted =
            ((self.count as f64 * quantile.clamp(0.0, 1.0)).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                let end = if index + 1 == BUCKETS { self.max } else { highest(index) };
                return end.clamp(self.min(), self.max);
            }
        }
        0
    }

    /// The filled buckets in ascending order: lowest and highest value (both inclusive) and count.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64, u64)> + '_ {
        let filled = self.counts.iter().enumerate().filter(|&(_, &n)| n > 0);
        filled.map(|(index, &n)| (lowest(index).max(self.min()), highest(index).min(self.max), n))
    }
}

/// What a histogram holds beside its buckets.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Exact {
    pub(crate) sum: u128,
    pub(crate) min: u64,
    pub(crate) max: u64,
}

impl Histogram {
    /// Its counts by bucket, and its exact figures; for [`crate::codec`].
    pub(crate) fn parts(&self) -> (&[u64; BUCKETS], Exact) {
        (&self.counts, Exact { sum: self.sum, min: self.min, max: self.max })
    }

    /// A histogram of these parts, if they can be of one: the smallest and the largest value lie in the first and the
    /// last filled bucket, and the sum fits with all others being the one or the other.
    pub(crate) fn of_parts(counts: Box<[u64; BUCKETS]>, count: u64, exact: Exact) -> Option<Self> {
        let Exact { sum, min, max } = exact;
        let first = counts.iter().position(|count| *count > 0)?;
        let last = counts.iter().rposition(|count| *count > 0)?;
        let (others, low, high) = (u128::from(count - 1), u128::from(min), u128::from(max));
        let fits = min <= max
            && (bucket(min), bucket(max)) == (first, last)
            && (count > 1 || min == max)
            && (others * low + high..=others * high + low).contains(&sum);
        fits.then_some(Self { counts, count, sum, min, max })
    }

    pub(crate) fn no_counts() -> Box<[u64; BUCKETS]> {
        zeroed()
    }
}

impl std::fmt::Debug for Histogram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Histogram({} values, {}..{} ns)", self.count, self.min(), self.max)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        values.iter().for_each(|&value| histogram.record(value));
        histogram
    }

    #[test]
    fn an_empty_one_has_zeros() {
        let empty = Histogram::default();
        assert_eq!((empty.min(), empty.max(), empty.quantile(0.99)), (0, 0, 0));
    }

    proptest! {
        #[test]
        fn quantiles_are_within_a_percent(mut values in prop::collection::vec(0u64..1 << 41, 1..300), q in 0.0..=1.0f64) {
            let histogram = of(&values);
            values.sort_unstable();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank is a small count")]
            let rank = ((values.len() as f64 * q).ceil() as usize).clamp(1, values.len());
            let exact = values[rank - 1];
            let got = histogram.quantile(q);
            prop_assert!(got >= exact && (got - exact) * 100 <= exact, "exact {exact} got {got}");
            prop_assert!(got <= histogram.max());
        }

        #[test]
        fn merge_is_associative_and_commutative(
            a in prop::collection::vec(any::<u64>(), 0..50),
            b in prop::collection::vec(any::<u64>(), 0..50),
            c in prop::collection::vec(any::<u64>(), 0..50),
        ) {
            let (a, b, c) = (of(&a), of(&b), of(&c));
            let merged = |x: &Histogram, y: &Histogram| { let mut m = x.clone(); m.merge(y); m };
            prop_assert_eq!(merged(&a, &b), merged(&b, &a));
            prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
        }
    }
}
