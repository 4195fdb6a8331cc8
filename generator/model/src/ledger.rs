//! Lets each snapshot into a sum once, whatever is delivered twice or out of order.

use std::collections::BTreeMap;

use crate::snapshot::{Snapshot, Stats};

/// What became of a snapshot that was offered.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Admission {
    Admitted,
    /// It was already in the sum.
    Duplicate,
    /// Too far ahead of the last one in order: the source must send the missing ones first.
    TooFarAhead,
    /// The sum would leave the range that any run can reach: these figures are made up.
    Overflow,
}

/// Which snapshots of a source are in: all below `next`, and the set bits of `ahead` from there.
#[derive(Copy, Clone, Default, Debug)]
struct Seen {
    next: u64,
    ahead: u128,
}

/// The sum of every snapshot of one run, each counted once. Memory is bounded by the number of cores.
#[derive(Clone, Debug)]
pub struct Ledger {
    seen: BTreeMap<(u32, u32), Seen>,
    total: Stats,
}

impl Ledger {
    /// Snapshots may arrive up to this many before their turn.
    pub const WINDOW: u64 = u128::BITS as u64;

    #[must_use]
    pub fn new(names: usize) -> Self {
        Self { seen: BTreeMap::new(), total: Stats::new(names) }
    }

    /// Adds a snapshot unless it is in already.
    pub fn admit(&mut self, snapshot: &Snapshot) -> Admission {
        let seen = self.seen.entry((snapshot.worker, snapshot.core)).or_default();
        if !self.total.can_take(&snapshot.stats) {
            return Admission::Overflow;
        }
        let admission = seen.admit(snapshot.seq);
        if admission == Admission::Admitted {
            self.total.merge(&snapshot.stats);
        }
        admission
    }

    #[must_use]
    pub const fn total(&self) -> &Stats {
        &self.total
    }
}

impl Seen {
    fn admit(&mut self, seq: u64) -> Admission {
        let Some(distance) = seq.checked_sub(self.next) else { return Admission::Duplicate };
        if distance >= Ledger::WINDOW {
            return Admission::TooFarAhead;
        }
        let bit = 1u128 << distance;
        if self.ahead & bit != 0 {
            return Admission::Duplicate;
        }
        self.ahead |= bit;
        let run = self.ahead.trailing_ones();
        self.ahead = self.ahead.checked_shr(run).unwrap_or(0);
        self.next += u64::from(run);
        Admission::Admitted
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::snapshot::FIGURE_MAX;
    use crate::snapshot::tests::stats;

    fn snapshot(core: u32, seq: u64, stats: Stats) -> Snapshot {
        Snapshot { seq, tick: seq, stats, ..Snapshot::blank(0, core, 0) }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn each_snapshot_counts_once_in_any_order(
            parts in prop::collection::vec((0u32..3, stats()), 1..12),
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        ) {
            let mut seqs = [0u64; 3];
            let snapshots: Vec<_> = parts
                .into_iter()
                .map(|(core, stats)| {
                    let seq = seqs[core as usize];
                    seqs[core as usize] += 1;
                    snapshot(core, seq, stats)
                })
                .collect();
            let mut ledger = Ledger::new(2);
            let mut expected = Stats::new(2);
            let all_once_at_the_end = order.iter().map(|index| index.index(snapshots.len())).chain(0..snapshots.len());
            let mut admitted = vec![false; snapshots.len()];
            for index in all_once_at_the_end {
                let want = if admitted[index] { Admission::Duplicate } else { Admission::Admitted };
                prop_assert_eq!(ledger.admit(&snapshots[index]), want);
                admitted[index] = true;
            }
            snapshots.iter().for_each(|snapshot| expected.merge(&snapshot.stats));
            prop_assert_eq!(ledger.total(), &expected);
        }
    }

    #[test]
    fn sums_stay_in_range() {
        let mut stats = Stats::new(1);
        stats.counters.bytes_in = FIGURE_MAX;
        let mut ledger = Ledger::new(1);
        assert_eq!(ledger.admit(&snapshot(0, 0, stats.clone())), Admission::Admitted);
        assert_eq!(ledger.admit(&snapshot(0, 1, stats)), Admission::Overflow);
        assert_eq!(ledger.admit(&snapshot(0, 1, Stats::new(1))), Admission::Admitted);
    }

    #[test]
    fn a_gap_wider_than_the_window_is_refused() {
        let mut ledger = Ledger::new(1);
        assert_eq!(ledger.admit(&snapshot(0, Ledger::WINDOW, Stats::new(1))), Admission::TooFarAhead);
        assert_eq!(ledger.admit(&snapshot(0, Ledger::WINDOW - 1, Stats::new(1))), Admission::Admitted);
        for seq in 0..Ledger::WINDOW - 1 {
            assert_eq!(ledger.admit(&snapshot(0, seq, Stats::new(1))), Admission::Admitted);
        }
        assert_eq!(ledger.admit(&snapshot(0, Ledger::WINDOW, Stats::new(1))), Admission::Admitted);
    }
}
