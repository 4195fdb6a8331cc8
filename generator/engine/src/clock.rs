//! Monotonic nanoseconds: the real clock, and a simulated one for tests.

use crate::io::tsc;

/// Time as an argument, so that a whole run can be simulated.
pub(crate) trait Clock {
    /// Nanoseconds of `CLOCK_MONOTONIC`, or of the simulation. Never goes back.
    fn now(&mut self) -> u64;

    /// CPU time of the calling thread in nanoseconds.
    fn cpu(&self) -> u64;

    /// Called about once a second to follow the kernel's clock.
    fn follow(&mut self);
}

/// Counter steps are turned into nanoseconds by a multiplication with this many fractional bits.
const SHIFT: u32 = 32;

/// The kernel's monotonic clock, read through the time stamp counter where that is trustworthy.
#[derive(Copy, Clone, Debug)]
pub(crate) struct RealClock {
    tsc: Option<Tsc>,
}

#[derive(Copy, Clone, Debug)]
struct Tsc {
    counter: u64,
    ns: u64,
    /// Nanoseconds a step, in 32.32 fixed point.
    scale: u64,
    last: u64,
}

impl RealClock {
    /// Measures the counter for about 20 ms. `trust_tsc`: the kernel's present clock source is the counter.
    #[must_use]
    pub(crate) fn calibrated(trust_tsc: bool) -> Self {
        if !trust_tsc || !cfg!(target_arch = "x86_64") {
            return Self { tsc: None };
        }
        let first = tsc::paired();
        std::thread::sleep(std::time::Duration::from_millis(20));
        let second = tsc::paired();
        Self { tsc: Tsc::between(first, second) }
    }
}

impl Tsc {
    fn between(first: (u64, u64), second: (u64, u64)) -> Option<Self> {
        let steps = second.0.checked_sub(first.0).filter(|&steps| steps > 0)?;
        let ns = second.1.checked_sub(first.1)?;
        let scale =
            u64::try_from((u128::from(ns) << SHIFT) / u128::from(steps)).ok().filter(|&scale| scale > 0)?;
        Some(Self { counter: second.0, ns: second.1, scale, last: 0 })
    }

    #[inline(always)]
    fn at(&self, counter: u64) -> u64 {
        let steps = counter.saturating_sub(self.counter);
        #[expect(clippy::cast_possible_truncation, reason = "centuries of nanoseconds fit in 64 bits")]
        let ns = ((u128::from(steps) * u128::from(self.scale)) >> SHIFT) as u64;
        self.ns + ns
    }
}

impl Clock for RealClock {
    #[inline(always)]
    fn now(&mut self) -> u64 {
        let Some(tsc) = &mut self.tsc else { return tsc::monotonic_ns() };
        tsc.last = tsc.at(tsc::counter()).max(tsc.last);
        tsc.last
    }

    fn cpu(&self) -> u64 {
        tsc::thread_cpu_ns()
    }

    /// Takes a new base, and the rate measured since the last one.
    fn follow(&mut self) {
        let Some(old) = self.tsc else { return };
        let now = tsc::paired();
        if let Some(new) = Tsc::between((old.counter, old.ns), now) {
            self.tsc = Some(Tsc { last: old.last, ..new });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_stays_beside_the_kernels_clock() {
        let mut clock = RealClock::calibrated(true);
        for _ in 0..20 {
            let (before, ours, after) = (tsc::monotonic_ns(), clock.now(), tsc::monotonic_ns());
            // Calibration over 20 ms is exact to some parts in 10^5; over these milliseconds that is microseconds.
            assert!(ours + 50_000 >= before && ours <= after + 50_000, "{before} {ours} {after}");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        clock.follow();
        let (before, ours, after) = (tsc::monotonic_ns(), clock.now(), tsc::monotonic_ns());
        assert!(ours + 50_000 >= before && ours <= after + 50_000, "{before} {ours} {after}");
    }

    #[test]
    fn without_the_counter_it_is_the_kernels_clock() {
        let mut clock = RealClock::calibrated(false);
        let before = tsc::monotonic_ns();
        assert!(clock.now() >= before);
    }
}
