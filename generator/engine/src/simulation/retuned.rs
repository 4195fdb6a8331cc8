//! Runs whose rate is changed while they go on.

use super::*;
use crate::RateDial;
use crate::clock::Clock;

/// Sets the dial when its time has come.
pub(super) struct DialClock<C> {
    pub(super) clock: C,
    /// When, and to what.
    pub(super) turn: Option<(u64, u16)>,
    pub(super) dial: RateDial,
}

impl<C: Clock> Clock for DialClock<C> {
    fn now(&mut self) -> u64 {
        let now = self.clock.now();
        if let Some((_, per_mille)) = self.turn.take_if(|(at, _)| *at <= now) {
            self.dial.set(per_mille);
        }
        now
    }

    fn cpu(&self) -> u64 {
        self.clock.cpu()
    }

    fn follow(&mut self) {
        self.clock.follow();
    }
}

#[test]
fn a_changed_rate_keeps_the_slots_and_moves_the_end() {
    /// A run of 3 s at 500 a second, whose dial is set after so long; when it is to end, in milliseconds.
    fn check(after_ms: u64, per_mille: u16, ends_ms: u64) {
        for (seed, pace) in [(1, Pace::Efficient), (2, Pace::Precise)] {
            let plan = plan(|s| s.load.rate = Some(Rate::per_second(500)));
            let extra =
                Extra { retuned: Some((Nanos::from_millis(after_ms), per_mille)), ..Extra::default() };
            let outcome = simulate_with(seed, &plan, Manners::PERFECT, pace, extra);
            let counters = outcome.end.total.counters;
            assert_eq!((counters.scheduled, counters.completed), (1_500, 1_500), "{after_ms} {per_mille}");
            // The dial is heeded within a sweep, and the last answers take a few milliseconds.
            let ended_ms = outcome.ended_at / 1_000_000;
            let slack = 20 + 10 * 1_000u64.abs_diff(u64::from(per_mille)) / u64::from(per_mille.min(1_000));
            assert!(ended_ms.abs_diff(ends_ms) <= slack, "{after_ms} {per_mille}: ended after {ended_ms} ms");
            assert!(outcome.end.total.lag.max() < QUANTUM_NS + 50_000, "{}", outcome.end.total.lag.max());
        }
    }
    check(1_000, 1_000, 3_000);
    check(1_000, 2_000, 2_000);
    check(1_000, 500, 5_000);
    check(2_000, 10_000, 2_100);
    check(0, 100, 30_000);
    check(5_000, 2_000, 3_000);
}
