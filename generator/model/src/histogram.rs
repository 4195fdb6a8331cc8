//! A fixed log-linear histogram of nanoseconds.
//!
//! Memory is constant (36 KiB) whatever is recorded, the bucket error is below 1 %, and `count`, `sum`, `min` and
//! `max` are exact. The bucket function is shared with the kernel programs ([`brunt_abi::bucket`]).
//!
//! One made by [`Histogram::with_sums`] also keeps the sum of each bucket (72 KiB more), for times that are truer than
//! a bucket is narrow. Of a bucket it then tells the mean instead of the end: exact where the values agree, and never
//! further off than the bucket is wide. Invariant: the sums of the buckets add up to `sum`.

use brunt_abi::{BUCKETS, bucket, highest, lowest};
use serde::{Deserialize, Serialize};

/// Counts of values by bucket, and where asked for their sums.
#[derive(Clone, PartialEq, Eq)]
pub struct Histogram {
    counts: Box<[u64; BUCKETS]>,
    /// 128 bits, as in `sum`: ten thousand requests under way at a time, all in one bucket, fill 64 in three weeks.
    sums: Option<Box<[u128; BUCKETS]>>,
    count: u64,
    sum: u128,
    min: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: zeroed(), sums: None, count: 0, sum: 0, min: u64::MAX, max: 0 }
    }
}

fn zeroed<T: Copy + Default>() -> Box<[T; BUCKETS]> {
    match vec![T::default(); BUCKETS].into_boxed_slice().try_into() {
        Ok(zeros) => zeros,
        Err(_) => unreachable!("the length is the constant above"),
    }
}

impl Histogram {
    /// One that keeps the sum of each bucket too.
    #[must_use]
    pub fn with_sums() -> Self {
        Self { sums: Some(zeroed()), ..Self::default() }
    }

    /// Counts one value in nanoseconds.
    #[inline(always)]
    pub fn record(&mut self, value: u64) {
        let index = bucket(value);
        self.counts[index] += 1;
        if let Some(sums) = &mut self.sums {
            sums[index] += u128::from(value);
        }
        self.count += 1;
        self.sum += u128::from(value);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// Adds all that `other` counted. The result has sums if both have them; one without sums that is still empty
    /// takes them over, so that it changes nothing in any sum it begins.
    pub fn merge(&mut self, other: &Self) {
        self.merge_sums(other);
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

    /// Before all else, because it asks which of the two are empty.
    fn merge_sums(&mut self, other: &Self) {
        match (&mut self.sums, &other.sums) {
            (Some(mine), Some(theirs)) if other.count > 0 => {
                mine.iter_mut().zip(theirs.iter()).for_each(|(mine, theirs)| *mine += theirs);
            }
            (Some(_), None) if other.count > 0 => self.sums = None,
            (None, Some(_)) if self.count == 0 => self.sums.clone_from(&other.sums),
            _ => {}
        }
    }

    /// Forgets everything, keeping the memory and whether there are sums.
    pub fn clear(&mut self) {
        if self.count == 0 {
            return;
        }
        self.counts.fill(0);
        if let Some(sums) = &mut self.sums {
            sums.fill(0);
        }
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
    /// end of its bucket but never past the largest value recorded; with sums, the mean of its bucket instead, also
    /// for the extremes. 0 if nothing was recorded.
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
                return self.value_of(index);
            }
        }
        0
    }

    /// The filled buckets in ascending order: the value that [`Self::quantile`] tells for all in it, and their count.
    pub fn values(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let filled = self.counts.iter().enumerate().filter(|&(_, &n)| n > 0);
        filled.map(|(index, &n)| (self.value_of(index), n))
    }

    /// What stands for all values of a filled bucket.
    fn value_of(&self, index: usize) -> u64 {
        let value = match &self.sums {
            Some(sums) => mean_of(sums[index], self.counts[index]),
            None if index + 1 == BUCKETS => self.max,
            None => highest(index),
        };
        value.clamp(self.min(), self.max)
    }

    /// The filled buckets in ascending order: lowest and highest value (both inclusive) and count.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64, u64)> + '_ {
        let filled = self.counts.iter().enumerate().filter(|&(_, &n)| n > 0);
        filled.map(|(index, &n)| (lowest(index).max(self.min()), highest(index).min(self.max), n))
    }
}

/// The mean of so many values, rounded to the nearest. The count is not 0.
fn mean_of(sum: u128, count: u64) -> u64 {
    let count = u128::from(count);
    u64::try_from((sum + count / 2) / count).unwrap_or(u64::MAX)
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
        fits.then_some(Self { counts, sums: None, count, sum, min, max })
    }

    /// The sums of the filled buckets in ascending order; `None` where they are not kept.
    pub(crate) fn filled_sums(&self) -> Option<impl Iterator<Item = u128> + '_> {
        let sums = self.sums.as_ref()?;
        Some(self.counts.iter().zip(sums.iter()).filter(|(count, _)| **count > 0).map(|(_, &sum)| sum))
    }

    /// The same with these sums of its filled buckets, if they can be: there are as many, each lies between what the
    /// count of its bucket allows, and they add up to the sum of all.
    pub(crate) fn and_sums(self, filled: &[u128]) -> Option<Self> {
        let mut sums = zeroed();
        let (mut total, mut filled) = (0u128, filled.iter());
        for (index, &count) in self.counts.iter().enumerate().filter(|&(_, &count)| count > 0) {
            let sum = *filled.next()?;
            let high = if index + 1 == BUCKETS { self.max } else { highest(index).min(self.max) };
            let all = |value: u64| u128::from(count) * u128::from(value);
            if !(all(lowest(index).max(self.min))..=all(high)).contains(&sum) {
                return None;
            }
            sums[index] = sum;
            total = total.checked_add(sum)?;
        }
        let fits = filled.next().is_none() && total == self.sum;
        fits.then_some(Self { sums: Some(sums), ..self })
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

    fn filled(mut histogram: Histogram, values: &[u64]) -> Histogram {
        values.iter().for_each(|&value| histogram.record(value));
        histogram
    }

    fn of(values: &[u64]) -> Histogram {
        filled(Histogram::default(), values)
    }

    fn summed(values: &[u64]) -> Histogram {
        filled(Histogram::with_sums(), values)
    }

    /// Of either kind, and sometimes empty.
    fn histograms() -> impl Strategy<Value = Histogram> {
        let values = prop_oneof![1 => Just(Vec::new()), 4 => prop::collection::vec(any::<u64>(), 0..50)];
        (values, any::<bool>()).prop_map(|(values, sums)| if sums { summed(&values) } else { of(&values) })
    }

    fn merged(a: &Histogram, b: &Histogram) -> Histogram {
        let mut sum = a.clone();
        sum.merge(b);
        sum
    }

    fn exact_quantile(sorted: &[u64], quantile: f64) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank is a small count"
        )]
        let rank = ((sorted.len() as f64 * quantile).ceil() as usize).clamp(1, sorted.len());
        sorted[rank - 1]
    }

    #[test]
    fn an_empty_one_has_zeros() {
        for empty in [Histogram::default(), Histogram::with_sums()] {
            assert_eq!((empty.min(), empty.max(), empty.quantile(0.99)), (0, 0, 0));
        }
    }

    #[test]
    fn sums_are_kept_where_all_have_them() {
        let check = |a: Histogram, b: Histogram, want: Histogram| assert_eq!(merged(&a, &b), want);
        check(summed(&[20_000_001]), summed(&[20_000_003]), summed(&[20_000_001, 20_000_003]));
        check(Histogram::default(), summed(&[20_000_001]), summed(&[20_000_001]));
        check(summed(&[20_000_001]), Histogram::default(), summed(&[20_000_001]));
        check(of(&[20_000_001]), Histogram::with_sums(), of(&[20_000_001]));
        check(summed(&[20_000_001]), of(&[5]), of(&[5, 20_000_001]));
    }

    #[test]
    fn clearing_keeps_the_kind() {
        for (mut used, fresh) in [(of(&[7]), Histogram::default()), (summed(&[7]), Histogram::with_sums())] {
            used.clear();
            assert_eq!(used, fresh);
        }
    }

    proptest! {
        #[test]
        fn quantiles_are_within_a_percent(mut values in prop::collection::vec(0u64..1 << 41, 1..300), q in 0.0..=1.0f64) {
            let histogram = of(&values);
            values.sort_unstable();
            let (exact, got) = (exact_quantile(&values, q), histogram.quantile(q));
            prop_assert!(got >= exact && (got - exact) * 100 <= exact, "exact {exact} got {got}");
            prop_assert!(got <= histogram.max());
        }

        #[test]
        fn with_sums_a_quantile_is_within_its_bucket(
            mut values in prop::collection::vec(0u64..1 << 41, 1..300),
            q in 0.0..=1.0f64,
        ) {
            let histogram = summed(&values);
            values.sort_unstable();
            let (exact, got) = (exact_quantile(&values, q), histogram.quantile(q));
            prop_assert_eq!(bucket(got), bucket(exact));
            prop_assert!((histogram.min()..=histogram.max()).contains(&got));
        }

        #[test]
        fn with_sums_values_of_one_bucket_are_told_by_their_mean(
            index in 0..BUCKETS,
            places in prop::collection::vec(any::<u64>(), 1..300),
            q in 0.0..=1.0f64,
        ) {
            let (low, width) = (lowest(index), highest(index) - lowest(index) + 1);
            let values: Vec<u64> = places.into_iter().map(|place| low + place % width).collect();
            let (sum, count) = (values.iter().sum::<u64>(), values.len() as u64);
            let mean = (2 * sum + count) / (2 * count);
            let histogram = summed(&values);
            prop_assert_eq!(histogram.quantile(q), mean);
            prop_assert_eq!(histogram.values().collect::<Vec<_>>(), [(mean, count)]);
        }

        #[test]
        fn sums_change_nothing_else(values in prop::collection::vec(any::<u64>(), 0..50)) {
            let (plain, summed) = (of(&values), summed(&values));
            prop_assert_eq!(plain.parts(), summed.parts());
            let sums: u128 = summed.filled_sums().into_iter().flatten().sum();
            prop_assert_eq!(sums, values.iter().map(|&value| u128::from(value)).sum::<u128>());
        }

        #[test]
        fn merge_is_associative_and_commutative(a in histograms(), b in histograms(), c in histograms()) {
            prop_assert_eq!(merged(&a, &b), merged(&b, &a));
            prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
            prop_assert_eq!(merged(&a, &Histogram::default()), a);
        }
    }
}
