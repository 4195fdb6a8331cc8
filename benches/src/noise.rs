//! How well a program that does nothing but read the clock can keep time on a core.
//!
//! No generator can be more punctual than this: when the core is taken away by an interrupt, another task or the
//! hypervisor, the gap between two reads grows. A slot that falls into a gap is late by what is left of it.

use brunt_model::histogram::Histogram;
use serde::Serialize;

use crate::clock::now_ns;

/// Gaps between successive clock reads.
#[derive(Copy, Clone, Debug, Serialize)]
pub struct Gaps {
    pub reads: u64,
    pub gap_p99_ns: u64,
    pub gap_max_ns: u64,
    /// The lateness that 99 % of evenly spread slots would stay under if a pure spin loop sent them.
    pub ideal_lag_p99_ns: u64,
}

/// Spins on the calling thread's core for a time.
#[must_use]
pub fn measure(duration_ns: u64) -> Gaps {
    let mut gaps = Histogram::default();
    let start = now_ns();
    let mut last = start;
    while last - start < duration_ns {
        let now = now_ns();
        gaps.record(now - last);
        last = now;
    }
    Gaps {
        reads: gaps.count(),
        gap_p99_ns: gaps.quantile(0.99),
        gap_max_ns: gaps.max(),
        ideal_lag_p99_ns: lateness(&gaps, 0.01),
    }
}

/// The smallest lateness that no more than `share` of evenly spread slots exceed, to the precision of a bucket.
fn lateness(gaps: &Histogram, share: f64) -> u64 {
    let buckets: Vec<(u64, f64)> =
        gaps.buckets().map(|(low, high, n)| (u64::midpoint(low, high), n as f64)).collect();
    let whole: f64 = buckets.iter().map(|&(gap, n)| gap as f64 * n).sum();
    let late = |by: u64| -> f64 { buckets.iter().map(|&(gap, n)| gap.saturating_sub(by) as f64 * n).sum() };
    let (mut low, mut high) = (0, gaps.max());
    while low < high {
        let middle = u64::midpoint(low, high);
        if late(middle) <= whole * share {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_in_a_gap_is_late_by_the_rest_of_it() {
        let mut gaps = Histogram::default();
        (0..100_000).for_each(|_| gaps.record(10));
        assert!(lateness(&gaps, 0.01) <= 10, "a quiet core is late by less than one read");
        // One gap of a millisecond after a millisecond of short ones: half of all slots fall into it.
        gaps.record(1_000_000);
        let p99 = lateness(&gaps, 0.01);
        assert!((970_000..=990_000).contains(&p99), "1 % of 2 ms before the gap's end, but {p99}");
    }

    #[test]
    fn a_short_measurement_counts_reads() {
        let gaps = measure(1_000_000);
        assert!(gaps.reads > 100 && gaps.gap_max_ns >= gaps.gap_p99_ns);
    }
}
