//! Which slots are due now, and how to wait for the next.
//!
//! The times of slots are those of the schedule until the rate is changed; what becomes of them then is in
//! [`brunt_model::tempo`].

use brunt_model::schedule::Slots;
use brunt_model::tempo::Tempo;
use brunt_model::units::Nanos;

use crate::Pace;
use crate::limits::{QUANTUM_NS, SPIN_NS_MAX, SPIN_NS_MIN};

/// The slots of one core in order, as instants of its clock.
pub(crate) struct Pacer {
    slots: Slots,
    t0: u64,
    next: Option<u64>,
    /// The schedule's time of the next slot.
    scheduled: Nanos,
    tempo: Tempo,
    spin: SpinWindow,
    pace: Pace,
}

/// How a core is to pass the time until the instant given.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Wait {
    /// Sleep, but wake at this instant at the latest.
    Sleep(u64),
    /// The same, but let answers gather for a moment, so that they share a wake-up.
    Gather(u64),
    /// Watch the clock and the queue until this instant.
    Spin(u64),
}

impl Pacer {
    #[must_use]
    pub(crate) fn new(slots: Slots, pace: Pace) -> Self {
        Self {
            slots,
            t0: 0,
            next: None,
            scheduled: Nanos::ZERO,
            tempo: Tempo::default(),
            spin: SpinWindow::default(),
            pace,
        }
    }

    /// Sets T0; until then no slot is due.
    pub(crate) fn begin(&mut self, t0: u64) {
        self.t0 = t0;
        self.advance();
    }

    #[inline(always)]
    fn advance(&mut self) {
        self.next = self.slots.next().map(|slot| {
            self.scheduled = slot;
            self.time_of(slot)
        });
    }

    /// When a time of the schedule is, by the core's clock.
    #[inline(always)]
    #[must_use]
    pub(crate) const fn time_of(&self, scheduled: Nanos) -> u64 {
        self.t0.saturating_add(self.tempo.time_of(scheduled).0)
    }

    /// The present rate, in thousandths of the plan's.
    #[must_use]
    pub(crate) const fn per_mille(&self) -> u16 {
        self.tempo.per_mille()
    }

    /// Changes the rate from now on. Where the core is behind, from the next slot on: no slot may be meant for a time
    /// before one that was taken already.
    pub(crate) fn retune(&mut self, now: u64, per_mille: u16) {
        let from = self.next.map_or(now, |next| next.min(now));
        self.tempo = self.tempo.changed(Nanos(from.saturating_sub(self.t0)), per_mille);
        self.next = self.next.map(|_| self.time_of(self.scheduled));
    }

    /// The intended time of the next slot.
    #[inline(always)]
    #[must_use]
    pub(crate) const fn next(&self) -> Option<u64> {
        self.next
    }

    /// Takes the next slot if it is to be sent now.
    #[inline]
    pub(crate) fn take(&mut self, now: u64) -> Option<u64> {
        let due = self.next.filter(|&due| self.release(due) <= now)?;
        self.advance();
        Some(due)
    }

    /// When a slot due at `due` is sent: at once, or at the end of its quantum, so that slots that lie close share a
    /// wake-up, theirs and the server's.
    #[inline(always)]
    const fn release(&self, due: u64) -> u64 {
        match self.pace {
            Pace::Precise => due,
            Pace::Efficient => due.div_ceil(QUANTUM_NS) * QUANTUM_NS,
        }
    }

    /// How to wait, when other matters want the core at `other` at the latest.
    #[must_use]
    pub(crate) fn wait(&self, now: u64, other: u64) -> Wait {
        let Some(due) = self.next.map(|due| self.release(due)).filter(|&due| due < other) else {
            return match self.pace {
                Pace::Efficient => Wait::Gather(other),
                Pace::Precise => Wait::Sleep(other),
            };
        };
        match self.pace {
            Pace::Efficient => Wait::Gather(due),
            Pace::Precise if due.saturating_sub(now) <= self.spin.nanos => Wait::Spin(due),
            Pace::Precise => Wait::Sleep(due - self.spin.nanos),
        }
    }

    /// Learns what a sleep that nothing interrupted cost beyond its time.
    pub(crate) fn overslept(&mut self, nanos: u64) {
        self.spin.learn(nanos);
    }
}

/// The stretch before a slot that is spun: no shorter than a wake-up has been seen to cost.
struct SpinWindow {
    nanos: u64,
    typical: u64,
}

impl Default for SpinWindow {
    fn default() -> Self {
        Self { nanos: SPIN_NS_MIN, typical: 0 }
    }
}

impl SpinWindow {
    /// Three times the running mean, which covers all but rare wake-ups.
    fn learn(&mut self, nanos: u64) {
        self.typical = (self.typical * 7 + nanos.min(SPIN_NS_MAX)) / 8;
        self.nanos = (self.typical * 3).clamp(SPIN_NS_MIN, SPIN_NS_MAX);
    }
}

#[cfg(test)]
mod tests {
    use brunt_model::schedule::{Arrivals, Schedule, Shape};
    use brunt_model::units::Rate;

    use super::*;

    fn pacer(pace: Pace) -> Pacer {
        let schedule = Schedule::new(Arrivals::Uniform, 0)
            .then(Shape::Constant(Rate::per_second(100)), Nanos::from_millis(30));
        let mut pacer = Pacer::new(schedule.slots(0, 1), pace);
        assert_eq!(pacer.take(u64::MAX), None, "before T0 nothing is due");
        pacer.begin(1_000);
        assert_eq!(pacer.take(QUANTUM_NS), Some(1_000));
        pacer
    }

    #[test]
    fn slots_come_when_due_and_once() {
        let mut pacer = pacer(Pace::Precise);
        assert_eq!(pacer.take(10_000_999), None);
        assert_eq!(pacer.take(30_000_000), Some(10_001_000));
        assert_eq!(pacer.take(30_000_000), Some(20_001_000));
        assert_eq!((pacer.take(u64::MAX), pacer.next()), (None, None));
    }

    /// Slots that are 10 ms apart by plan, when the dial is turned between them.
    #[test]
    fn a_changed_rate_moves_the_slots_to_come() {
        /// Changes as (ms, per mille), each heeded once all slots before were taken, unless the core is behind.
        fn check(changes: &[(u64, u16)], behind: bool, want: &[u64]) {
            let schedule = Schedule::new(Arrivals::Uniform, 0)
                .then(Shape::Constant(Rate::per_second(100)), Nanos::from_millis(60));
            let mut pacer = Pacer::new(schedule.slots(0, 1), Pace::Precise);
            let ms = |ms: u64| 7 + ms * 1_000_000;
            pacer.begin(ms(0));
            let mut taken = Vec::new();
            for &(at, per_mille) in changes {
                if !behind {
                    taken.extend(std::iter::from_fn(|| pacer.take(ms(at))));
                }
                pacer.retune(ms(at), per_mille);
                assert_eq!(pacer.per_mille(), per_mille);
            }
            taken.extend(std::iter::from_fn(|| pacer.take(u64::MAX)));
            let want: Vec<_> = want.iter().map(|&at| ms(at)).collect();
            assert_eq!(taken, want, "{changes:?} {behind}");
        }
        check(&[], false, &[0, 10, 20, 30, 40, 50]);
        check(&[(20, 2_000)], false, &[0, 10, 20, 25, 30, 35]);
        check(&[(22, 2_000)], false, &[0, 10, 20, 26, 31, 36]);
        check(&[(20, 500)], false, &[0, 10, 20, 40, 60, 80]);
        check(&[(20, 2_000), (30, 1_000)], false, &[0, 10, 20, 25, 30, 40]);
        check(&[(20, 10_000)], false, &[0, 10, 20, 21, 22, 23]);
        check(&[(20, 100)], false, &[0, 10, 20, 120, 220, 320]);
        check(&[(100, 500)], false, &[0, 10, 20, 30, 40, 50]);
        check(&[(45, 2_000)], true, &[0, 5, 10, 15, 20, 25]);
    }

    #[test]
    fn precise_sleeps_then_spins() {
        let mut pacer = pacer(Pace::Precise);
        let due = 10_001_000;
        assert_eq!(pacer.wait(2_000, u64::MAX), Wait::Sleep(due - SPIN_NS_MIN));
        assert_eq!(pacer.wait(due - SPIN_NS_MIN, u64::MAX), Wait::Spin(due));
        assert_eq!(pacer.wait(2_000, 5_000), Wait::Sleep(5_000));
        (0..99).for_each(|_| pacer.overslept(100_000));
        let Wait::Sleep(until) = pacer.wait(2_000, u64::MAX) else { panic!("far away") };
        assert!(
            (200_000..=300_000).contains(&(due - until)),
            "three times a wake-up of 100 us, got {}",
            due - until
        );
    }

    #[test]
    fn efficient_wakes_on_a_grid() {
        let mut pacer = pacer(Pace::Efficient);
        pacer.take(1_000);
        let Wait::Gather(until) = pacer.wait(2_000, u64::MAX) else { panic!("efficient never spins") };
        assert!((10_001_000..10_001_000 + QUANTUM_NS).contains(&until) && until % QUANTUM_NS == 0);
        assert_eq!((pacer.take(until - 1), pacer.take(until)), (None, Some(10_001_000)));
    }
}
