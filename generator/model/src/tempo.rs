//! How fast a schedule is gone through: the times that slots have once a rate was changed in mid-run.
//!
//! A schedule stays as it is; from a change on its time passes faster or slower than the clock. Both are counted in
//! nanoseconds from T0. Nothing is skipped or doubled: the mapping is monotone and has a value everywhere, so a run has
//! the slots of its plan, and a faster one ends sooner.

use serde::{Deserialize, Serialize};

use crate::units::Nanos;

/// A plan's own rate, in thousandths of it.
pub const PER_MILLE_OF_PLAN: u16 = 1_000;
/// What a rate may be changed to. A tenth still ends, and past ten times a plan another plan is wanted.
pub const PER_MILLE_MIN: u16 = 100;
pub const PER_MILLE_MAX: u16 = 10_000;
/// Changes of one run: each is kept for its result.
pub const RATE_CHANGES_MAX: usize = 1_000;

/// The rate was set to so many thousandths of the plan's, so long after T0.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RateChange {
    pub at_ns: u64,
    pub per_mille: u16,
}

/// One speed, and the instant from which it holds.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Tempo {
    /// When it began, by the clock ...
    at: Nanos,
    /// ... and by the schedule.
    scheduled: Nanos,
    per_mille: u16,
}

impl Default for Tempo {
    /// The plan's own.
    fn default() -> Self {
        Self { at: Nanos::ZERO, scheduled: Nanos::ZERO, per_mille: PER_MILLE_OF_PLAN }
    }
}

impl Tempo {
    /// The last of a run's changes.
    #[must_use]
    pub fn after(changes: &[RateChange]) -> Self {
        let change = |tempo: Self, change: &RateChange| tempo.changed(Nanos(change.at_ns), change.per_mille);
        changes.iter().fold(Self::default(), change)
    }

    /// The speed from `at` on, which is not before this one began. Out of [`PER_MILLE_MIN`]..=[`PER_MILLE_MAX`] it is
    /// the nearest of these.
    #[must_use]
    pub fn changed(self, at: Nanos, per_mille: u16) -> Self {
        let per_mille = per_mille.clamp(PER_MILLE_MIN, PER_MILLE_MAX);
        Self { at, scheduled: self.scheduled_at(at), per_mille }
    }

    #[must_use]
    pub const fn per_mille(&self) -> u16 {
        self.per_mille
    }

    /// The same over that of the plan.
    #[must_use]
    pub fn share(&self) -> f64 {
        f64::from(self.per_mille) / f64::from(PER_MILLE_OF_PLAN)
    }

    /// When it began.
    #[must_use]
    pub const fn since(&self) -> Nanos {
        self.at
    }

    /// The clock's time for a time of the schedule; for one from before it began, when it began.
    #[inline]
    #[must_use]
    pub const fn time_of(&self, scheduled: Nanos) -> Nanos {
        let ahead = scheduled.0.saturating_sub(self.scheduled.0);
        Nanos(self.at.0.saturating_add(times(ahead, PER_MILLE_OF_PLAN, self.per_mille)))
    }

    /// The schedule's time for a time of the clock: the other way round, rounded down.
    #[must_use]
    pub const fn scheduled_at(&self, time: Nanos) -> Nanos {
        let ahead = time.0.saturating_sub(self.at.0);
        Nanos(self.scheduled.0.saturating_add(times(ahead, self.per_mille, PER_MILLE_OF_PLAN)))
    }
}

/// `value * by / of`, rounded down, or the most there is; without a product that would not fit.
#[inline]
const fn times(value: u64, by: u16, of: u16) -> u64 {
    let (by, of) = (by as u64, of as u64);
    (value / of).saturating_mul(by).saturating_add(value % of * by / of)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_from_a_change_on_are_stretched() {
        /// Changes as (clock, per mille), a time of the schedule, and the clock's time for it.
        fn check(changes: &[(u64, u16)], scheduled: u64, want: u64) {
            let tempo =
                changes.iter().fold(Tempo::default(), |tempo, &(at, rate)| tempo.changed(Nanos(at), rate));
            assert_eq!(tempo.time_of(Nanos(scheduled)), Nanos(want), "{changes:?} {scheduled}");
        }
        check(&[], 7_777, 7_777);
        check(&[(1_000, 2_000)], 1_000, 1_000);
        check(&[(1_000, 2_000)], 3_000, 2_000);
        check(&[(1_000, 500)], 3_000, 5_000);
        check(&[(1_000, 2_000)], 500, 1_000);
        check(&[(1_000, 2_000), (2_000, 1_000)], 4_000, 3_000);
        check(&[(1_000, 1)], 2_000, 11_000);
        check(&[(1_000, 60_000)], 11_000, 2_000);
        check(&[], u64::MAX, u64::MAX);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn nothing_is_skipped_and_the_way_back_fits(
            steps in prop::collection::vec((0u64..1 << 45, PER_MILLE_MIN..=PER_MILLE_MAX), 0..6),
            ahead in 0u64..1 << 50,
            gap in 0u64..1 << 40,
        ) {
            let mut tempo = Tempo::default();
            for (after, per_mille) in steps {
                let at = Nanos(tempo.since().0 + after);
                let (before, slot) = (tempo, tempo.scheduled_at(at));
                tempo = tempo.changed(at, per_mille);
                prop_assert!(before.time_of(slot) <= at && tempo.time_of(slot) == at, "no jump");
            }
            let slot = Nanos(tempo.scheduled_at(tempo.since()).0 + ahead);
            let (time, later) = (tempo.time_of(slot), tempo.time_of(Nanos(slot.0 + gap)));
            prop_assert!(time <= later);
            let back = tempo.scheduled_at(time);
            // A nanosecond of the clock is up to ten of the schedule.
            prop_assert!(back <= slot && slot.0 - back.0 <= 10, "{slot:?} {back:?}");
        }
    }
}
