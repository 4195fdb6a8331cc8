//! When a child that says nothing counts as hanging.

use std::time::Duration;

use brunt_model::plan::Plan;
use brunt_model::units::Nanos;

use crate::host::clock::monotonic;

/// What a child may be behind its own times.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// A longer step than this between two looks means that this process itself stood still, as after Ctrl-Z.
const STEP_MAX: Duration = Duration::from_secs(1);

/// Measures the silences of a child and its whole run. Time in which this process stood still is left out.
#[derive(Debug)]
pub(super) struct Timer {
    last: Duration,
    started_at: Option<Duration>,
    silent: Duration,
    running: Duration,
    silent_max: Duration,
    /// `None` for a run that ends by a count.
    running_max: Option<Duration>,
}

impl Timer {
    pub(super) fn new(plan: &Plan, now: Duration) -> Self {
        let of = |time: Nanos| Duration::from_nanos(time.0);
        let drain = of(plan.deadlines.drain);
        // The connections that a load begins with are made before it says anything, at each address in turn.
        let addresses = u32::try_from(plan.endpoints.len()).unwrap_or(u32::MAX);
        let connects = of(plan.deadlines.connect).saturating_mul(addresses);
        Self {
            last: now,
            started_at: None,
            silent: Duration::ZERO,
            running: Duration::ZERO,
            silent_max: PATIENCE + of(plan.interval) + drain + connects,
            running_max: plan.load.duration().map(|duration| PATIENCE + of(duration) + drain),
        }
    }

    /// Time has passed, and something came or did not.
    pub(super) fn tick(&mut self, came: bool) {
        self.tick_at(monotonic(), came);
    }

    fn tick_at(&mut self, now: Duration, came: bool) {
        let step = now.saturating_sub(self.last).min(STEP_MAX);
        self.last = now;
        self.silent = if came { Duration::ZERO } else { self.silent + step };
        if self.started_at.is_some() {
            self.running += step;
        }
    }

    pub(super) fn started(&mut self) {
        self.started_at = Some(self.last);
    }

    /// Since the child said that it began.
    pub(super) fn elapsed(&self) -> Duration {
        self.started_at.map_or(Duration::ZERO, |at| self.last.saturating_sub(at))
    }

    /// Why it is to be waited for no longer.
    pub(super) fn overdue(&self) -> Option<String> {
        if self.silent > self.silent_max {
            return Some(format!("said nothing for {} s", self.silent_max.as_secs()));
        }
        let running_max = self.running_max.filter(|most| self.running > *most)?;
        Some(format!("did not end within {} s", running_max.as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use brunt_model::plan::{Inputs, compile};
    use brunt_model::scenario::Scenario;

    use super::*;

    fn timer(duration: Option<u64>) -> Timer {
        let mut scenario = Scenario::of("http://h/");
        scenario.load.duration = duration.map(Nanos::from_secs);
        scenario.load.requests = Some(1_000_000);
        let inputs = Inputs { addresses: vec!["127.0.0.1:80".parse().unwrap()], body: Vec::new() };
        Timer::new(&compile(&scenario, &inputs).unwrap(), Duration::ZERO)
    }

    /// Half-second steps up to this second, and the first at which it was overdue.
    fn run(timer: &mut Timer, came: bool, seconds: u64) -> Option<(u64, String)> {
        let from = timer.last.as_secs() * 2;
        (from + 1..=seconds * 2).find_map(|half| {
            timer.tick_at(Duration::from_millis(half * 500), came);
            timer.overdue().map(|why| (half / 2, why))
        })
    }

    #[test]
    fn silence_and_overtime_have_an_end() {
        // 30 s, an interval of 1 s, a drain of 10 s, and a connect of 5 s.
        assert_eq!(run(&mut timer(None), false, 100), Some((46, "said nothing for 46 s".to_owned())));
        assert_eq!(run(&mut timer(None), true, 10_000), None);
        let mut started = timer(Some(20));
        started.started();
        assert_eq!(run(&mut started, true, 100), Some((60, "did not end within 60 s".to_owned())));
        assert_eq!(started.elapsed(), Duration::from_millis(60_500));
    }

    #[test]
    fn time_in_which_nobody_could_look_is_left_out() {
        let mut timer = timer(Some(20));
        timer.started();
        timer.tick_at(Duration::from_secs(3_600), false);
        assert_eq!(timer.overdue(), None);
        assert_eq!(timer.elapsed(), Duration::from_secs(3_600));
    }
}
