//! When a child counts as hanging, whether it says nothing or goes on talking.

use std::time::Duration;

use brunt_engine::Stop;
use brunt_model::plan::Plan;
use brunt_model::tempo::PER_MILLE_OF_PLAN;
use brunt_model::units::Nanos;

use crate::host::clock::monotonic;

/// What a child may be behind its own times.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// A longer step than this between two looks means that this process itself stood still, as after Ctrl-Z.
const STEP_MAX: Duration = Duration::from_secs(1);

/// Measures the silences of a child and its whole run. Time in which this process stood still is left out.
#[derive(Debug)]
pub(super) struct Timer {
    limits: Limits,
    last: Duration,
    started_at: Option<Duration>,
    /// What had passed then of the time that counts.
    awake_at_start: Duration,
    silent: Duration,
    /// Since this was made.
    awake: Duration,
    /// What `awake` is not to pass, and how long that was from the beginning of its count. `None` for a run that ends by a
    /// count and was not stopped.
    end: Option<(Duration, Duration)>,
    is_stopped: bool,
}

/// How long what a child does may take, with patience.
#[derive(Debug)]
struct Limits {
    silence: Duration,
    /// From its beginning to the start of the load.
    start: Duration,
    run: Option<Run>,
    /// From a first press of the switch: requests under way have their own deadline, and the drain one after it.
    drained: Duration,
    /// From a second press.
    stopped: Duration,
}

/// A load whose end is known.
#[derive(Copy, Clone, Debug)]
struct Run {
    load: Duration,
    /// What it may take beside that.
    beside: Duration,
    /// The slowest that it went, in thousandths of the plan's rate.
    slowest: u16,
}

impl Run {
    /// What it takes at most: the whole of it at its slowest.
    fn most(self) -> Duration {
        let stretched =
            self.load.saturating_mul(u32::from(PER_MILLE_OF_PLAN)) / u32::from(self.slowest.max(1));
        self.beside.saturating_add(stretched)
    }
}

impl Limits {
    fn of(plan: &Plan) -> Self {
        let of = |time: Nanos| Duration::from_nanos(time.0);
        let drain = of(plan.deadlines.drain);
        // The connections that a load begins with are made before it says anything, at each address in turn.
        let addresses = u32::try_from(plan.endpoints.len()).unwrap_or(u32::MAX);
        let connects = of(plan.deadlines.connect).saturating_mul(addresses);
        let silence = PATIENCE + of(plan.interval) + drain + connects;
        Self {
            silence,
            start: silence + PATIENCE,
            run: plan.load.duration().map(|duration| Run {
                load: of(duration),
                beside: PATIENCE + drain,
                slowest: PER_MILLE_OF_PLAN,
            }),
            drained: PATIENCE + of(plan.deadlines.total) + drain,
            stopped: PATIENCE + drain,
        }
    }
}

impl Timer {
    pub(super) fn new(plan: &Plan, now: Duration) -> Self {
        let limits = Limits::of(plan);
        let end = Some((limits.start, limits.start));
        Self {
            limits,
            last: now,
            started_at: None,
            awake_at_start: Duration::ZERO,
            silent: Duration::ZERO,
            awake: Duration::ZERO,
            end,
            is_stopped: false,
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
        self.awake += step;
    }

    pub(super) fn started(&mut self) {
        self.started_at = Some(self.last);
        self.awake_at_start = self.awake;
        self.end = self.limits.run.map(|run| (self.awake + run.most(), run.most()));
    }

    /// The rate of a run that began was changed. A slower one takes longer, unless it was stopped.
    pub(super) fn retuned(&mut self, per_mille: u16) {
        let Some(run) = &mut self.limits.run else { return };
        run.slowest = run.slowest.min(per_mille);
        let most = run.most();
        if !self.is_stopped {
            self.end = Some((self.awake_at_start + most, most));
        }
    }

    /// The child was told of a press, after which it has less time.
    pub(super) fn pressed(&mut self, stop: Stop) {
        let most = match stop {
            Stop::No => return,
            Stop::Drain => self.limits.drained,
            Stop::Now => self.limits.stopped,
        };
        self.is_stopped = true;
        let end = self.awake + most;
        if self.end.is_none_or(|(before, _)| end < before) {
            self.end = Some((end, most));
        }
    }

    /// Since the child said that it began.
    pub(super) fn elapsed(&self) -> Duration {
        self.started_at.map_or(Duration::ZERO, |at| self.last.saturating_sub(at))
    }

    /// Why it is to be waited for no longer.
    pub(super) fn overdue(&self) -> Option<String> {
        if self.silent > self.limits.silence {
            return Some(format!("said nothing for {} s", self.limits.silence.as_secs()));
        }
        let (_, most) = self.end.filter(|(end, _)| self.awake > *end)?;
        Some(format!("did not {} within {} s", self.aim(), most.as_secs()))
    }

    const fn aim(&self) -> &'static str {
        if self.started_at.is_none() { "start" } else { "end" }
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
        scenario.http.total_timeout = Nanos::from_secs(30);
        let inputs = Inputs { addresses: vec!["127.0.0.1:80".parse().unwrap()], ..Inputs::default() };
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
        assert_eq!(run(&mut timer(None), true, 100), Some((76, "did not start within 76 s".to_owned())));
        let mut started = timer(Some(20));
        started.started();
        assert_eq!(run(&mut started, true, 100), Some((60, "did not end within 60 s".to_owned())));
        assert_eq!(started.elapsed(), Duration::from_millis(60_500));
    }

    /// A child that goes on talking, after the switch was pressed at these seconds of its run.
    #[test]
    fn a_stopped_run_has_an_end_whatever_the_child_says() {
        fn check(duration: Option<u64>, presses: &[(u64, Stop)], expected: Option<(u64, u64)>) {
            let mut timer = timer(duration);
            timer.started();
            for (at, stop) in presses {
                assert_eq!(run(&mut timer, true, *at), None);
                timer.pressed(*stop);
            }
            let expected = expected.map(|(at, most)| (at, format!("did not end within {most} s")));
            assert_eq!(run(&mut timer, true, 1_000), expected, "{duration:?} {presses:?}");
        }
        // A request may take 30 s, the drain 10 s, and patience has 30 s.
        check(None, &[], None);
        check(None, &[(100, Stop::Drain)], Some((170, 70)));
        check(None, &[(100, Stop::Drain), (110, Stop::Now)], Some((150, 40)));
        check(None, &[(100, Stop::Drain), (165, Stop::Now)], Some((170, 70)));
        check(Some(600), &[(100, Stop::Drain)], Some((170, 70)));
        check(Some(20), &[(10, Stop::Drain)], Some((60, 60)));
        check(Some(20), &[(10, Stop::Drain), (11, Stop::Now)], Some((51, 40)));
    }

    #[test]
    fn a_slower_run_has_more_time() {
        fn check(rates: &[u16], stops_at: Option<u64>, expected: (u64, u64)) {
            let mut timer = timer(Some(20));
            timer.started();
            assert_eq!(run(&mut timer, true, 5), None);
            rates.iter().for_each(|rate| timer.retuned(*rate));
            if let Some(at) = stops_at {
                assert_eq!(run(&mut timer, true, at), None);
                timer.pressed(Stop::Drain);
                rates.iter().for_each(|rate| timer.retuned(*rate));
            }
            let (at, most) = expected;
            assert_eq!(
                run(&mut timer, true, 1_000),
                Some((at, format!("did not end within {most} s"))),
                "{rates:?}"
            );
        }
        check(&[2_000], None, (60, 60));
        check(&[500], None, (80, 80));
        check(&[500, 100, 1_000], None, (240, 240));
        check(&[100], Some(10), (80, 70));
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
