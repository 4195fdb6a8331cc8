//! Limits that are judged while a run goes on: those that must hold in each window, and those that end it.

use std::sync::Arc;

use serde::Serialize;

use crate::limit::figure::Measured;
use crate::limit::window::{Broken, Windowed};
use crate::limit::{Catalogue, Limit, LimitResult};
use crate::snapshot::Stats;
use crate::units::{NANOS_PER_SECOND, Nanos};

/// Limits of one plan that are judged while it runs: each looks at all of an interval.
pub(crate) const LIVE_LIMITS_MAX: usize = 100;
/// Intervals of the windows of one plan: each keeps what was measured in it, some kilobytes.
pub(crate) const LIVE_INTERVALS_MAX: u64 = 10_000;
/// With fewer requests, the figure of a run that has just begun is an accident, and no reason to end it.
const REQUESTS_LEAST: u64 = 10;

/// A limit, and when it is judged beside the end of the run.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct PlannedLimit {
    pub limit: Limit,
    /// It must hold in each stretch of so many whole intervals, too.
    pub window: Option<Nanos>,
    /// The run ends as soon as it does not hold.
    pub abort: bool,
}

impl From<Limit> for PlannedLimit {
    fn from(limit: Limit) -> Self {
        Self { limit, window: None, abort: false }
    }
}

impl PlannedLimit {
    /// Judges a finished run, given where the limit did not hold while it went on.
    #[must_use]
    pub fn judge(
        &self,
        stats: &Stats,
        catalogue: &Catalogue,
        elapsed: Nanos,
        broken: Option<Broken>,
    ) -> LimitResult {
        let over_all = self.limit.check(stats, catalogue, elapsed);
        let Some(Broken { at, observed }) = broken else {
            return LimitResult { window: self.window, ..over_all };
        };
        LimitResult {
            expression: over_all.expression,
            observed: Some(observed),
            passed: false,
            window: self.window,
            window_end: self.window.and(Some(at)),
            aborted_at: self.abort.then_some(at),
        }
    }
}

impl LimitResult {
    /// Where in the run the figure was observed, if not over the whole of it: `in the 30s up to 1m20s`.
    #[must_use]
    pub fn stretch(&self) -> Option<String> {
        match (self.window.zip(self.window_end), self.aborted_at) {
            (Some((window, end)), _) => Some(format!("in the {} up to {}", span(window), span(end))),
            (None, Some(at)) => Some(format!("in the first {}", span(at))),
            (None, None) => None,
        }
    }
}

/// A time as people write it: `1m20s`. Intervals are whole seconds; anything else is told by its digits.
fn span(time: Nanos) -> String {
    if time.0 == 0 || !time.0.is_multiple_of(NANOS_PER_SECOND) {
        return time.to_string();
    }
    let seconds = time.0 / NANOS_PER_SECOND;
    let parts = [(seconds / 3_600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count}{unit}")).collect()
}

/// The limits of one run that are judged while it goes on.
pub struct LiveLimits(Vec<Option<Live>>);

struct Live {
    aborts: bool,
    over: Stretch,
}

/// What a limit is judged over.
enum Stretch {
    Windows(Windowed),
    RunSoFar(RunSoFar),
}

impl LiveLimits {
    /// For a plan's limits, its names, the length of its intervals and its warm-up.
    #[must_use]
    pub fn new(limits: &[PlannedLimit], catalogue: Catalogue, interval: Nanos, warmup: Nanos) -> Self {
        let catalogue = Arc::new(catalogue);
        let live = limits.iter().map(|planned| {
            let (limit, catalogue) = (planned.limit.clone(), catalogue.clone());
            let over = match (planned.window, planned.abort) {
                (Some(window), _) => {
                    Stretch::Windows(Windowed::new(limit, catalogue, window, interval, warmup))
                }
                (None, true) => Stretch::RunSoFar(RunSoFar::new(limit, catalogue, interval, warmup)),
                (None, false) => return None,
            };
            Some(Live { aborts: planned.abort, over })
        });
        Self(live.collect())
    }

    /// Takes what all cores together counted in an interval; they come in order. Returns whether the run is to
    /// end.
    pub fn see(&mut self, tick: u64, stats: &Stats) -> bool {
        let mut ends = false;
        for live in self.0.iter_mut().flatten() {
            match &mut live.over {
                Stretch::Windows(windows) => windows.see(tick, stats),
                Stretch::RunSoFar(run) => run.see(tick, stats),
            }
            ends |= live.aborts && live.broken().is_some();
        }
        ends
    }

    /// Where each of the plan's limits did not hold.
    #[must_use]
    pub fn broken(&self) -> Vec<Option<Broken>> {
        self.0.iter().map(|live| live.as_ref().and_then(Live::broken)).collect()
    }
}

impl Live {
    const fn broken(&self) -> Option<Broken> {
        match &self.over {
            Stretch::Windows(windows) => windows.broken(),
            Stretch::RunSoFar(run) => run.broken,
        }
    }
}

/// Judges a limit over all that was measured until now.
struct RunSoFar {
    limit: Limit,
    catalogue: Arc<Catalogue>,
    interval: Nanos,
    warmup: Nanos,
    measured: Measured,
    /// Requests of its scope that ended.
    requests: u64,
    broken: Option<Broken>,
}

impl RunSoFar {
    fn new(limit: Limit, catalogue: Arc<Catalogue>, interval: Nanos, warmup: Nanos) -> Self {
        Self { limit, catalogue, interval, warmup, measured: Measured::default(), requests: 0, broken: None }
    }

    fn see(&mut self, tick: u64, stats: &Stats) {
        if self.broken.is_some() {
            return;
        }
        let Limit { figure, scope, .. } = &self.limit;
        self.measured.merge(&Measured::of(*figure, stats, scope, &self.catalogue));
        let selected =
            stats.requests.iter().enumerate().filter(|(name, _)| scope.has(&self.catalogue, *name));
        self.requests = selected.fold(self.requests, |sum, (_, request)| sum.saturating_add(request.ended()));
        if self.requests < REQUESTS_LEAST {
            return;
        }
        let at = Nanos(tick.saturating_add(1).saturating_mul(self.interval.0));
        let elapsed = Nanos(at.0.saturating_sub(self.warmup.0));
        self.broken = self.limit.missed(&self.measured, elapsed).map(|observed| Broken { at, observed });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::snapshot::tests::stats;

    const SECOND: Nanos = Nanos::from_secs(1);

    fn catalogue() -> Catalogue {
        Catalogue { names: vec!["a".into(), "b".into()], tags: vec![Vec::new(); 2] }
    }

    fn planned(limit: &str, window: Option<u64>, abort: bool) -> PlannedLimit {
        PlannedLimit { limit: limit.parse().unwrap(), window: window.map(Nanos::from_secs), abort }
    }

    fn live(planned: PlannedLimit, warmup: Nanos) -> LiveLimits {
        LiveLimits::new(&[planned], catalogue(), SECOND, warmup)
    }

    /// Requests of `b` that completed and failed, by tick: when the run is to end, and what was found.
    fn check(
        limit: (&str, Option<u64>, bool),
        warmup: u64,
        ticks: &[(u64, u64)],
        end: Option<u64>,
        want: Option<(u64, f64)>,
    ) {
        let (text, window, abort) = limit;
        let mut live = live(planned(text, window, abort), Nanos::from_secs(warmup));
        let end_seen = (0..).zip(ticks).find_map(|(tick, &(completed, failed))| {
            let mut stats = Stats::new(2);
            (0..completed).for_each(|_| stats.requests[1].response_ok.record(1_000));
            (0..failed).for_each(|_| stats.requests[1].response_failed.record(1_000));
            live.see(tick, &stats).then_some(tick)
        });
        let want = want.map(|(seconds, observed)| Broken { at: Nanos::from_secs(seconds), observed });
        assert_eq!((end_seen, live.broken()), (end, vec![want]), "{limit:?} {ticks:?}");
    }

    #[test]
    fn what_ends_a_run_is_judged_in_each_interval() {
        let so_far = |text| (text, None, true);
        check(so_far("error_rate < 50%"), 0, &[(10, 9), (0, 1), (0, 9)], Some(1), Some((2, 0.5)));
        // Nine requests are too few to end a run for.
        check(so_far("error_rate < 50%"), 0, &[(0, 9), (10, 0)], None, None);
        check(so_far("error_rate < 50%"), 0, &[(0, 9), (0, 1)], Some(1), Some((2, 1.0)));
        check(so_far("error_rate(name=\"a\") < 50%"), 0, &[(0, 99)], None, None);
        check(so_far("rate >= 10/s"), 0, &[(12, 0), (8, 0), (9, 0)], Some(2), Some((3, 29.0 / 3.0)));
        check(so_far("rate >= 10/s"), 1, &[(0, 0), (10, 0), (8, 0)], Some(2), Some((3, 9.0)));
        check(so_far("check_rate > 99%"), 0, &[(100, 0)], None, None);
        check(("error_rate < 50%", Some(2), true), 0, &[(0, 9), (0, 0), (1, 0)], Some(1), Some((2, 1.0)));
        check(("error_rate < 50%", Some(2), false), 0, &[(0, 9), (0, 0), (1, 0)], None, Some((2, 1.0)));
        check(("error_rate < 50%", None, false), 0, &[(0, 99)], None, None);
    }

    #[test]
    fn a_broken_window_is_a_missed_limit_that_says_when() {
        let (stats, second) = (Stats::new(2), Some(Broken { at: Nanos::from_secs(80), observed: 0.5 }));
        let judge = |window, abort, broken| {
            planned("rate < 1/s", window, abort).judge(&stats, &catalogue(), SECOND, broken)
        };
        for (result, passed, observed, stretch) in [
            (judge(None, false, None), true, 0.0, None),
            (judge(Some(30), true, None), true, 0.0, None),
            (judge(Some(30), false, second), false, 0.5, Some("in the 30s up to 1m20s")),
            (judge(Some(30), true, second), false, 0.5, Some("in the 30s up to 1m20s")),
            (judge(None, true, second), false, 0.5, Some("in the first 1m20s")),
        ] {
            assert_eq!((result.passed, result.observed), (passed, Some(observed)));
            assert_eq!(result.stretch().as_deref(), stretch);
        }
        assert_eq!(judge(Some(30), false, second).aborted_at, None);
        assert_eq!(judge(Some(30), true, second).aborted_at, Some(Nanos::from_secs(80)));
    }

    #[test]
    fn results_of_earlier_builds_say_nothing_of_windows() {
        let text = r#"{"expression": "rate < 1/s", "observed": 1.0, "passed": true}"#;
        let result: LimitResult = serde_json::from_str(text).unwrap();
        assert_eq!((result.window, result.stretch()), (None, None));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// A run so far is judged as one that had ended there.
        #[test]
        fn the_run_so_far_is_judged_as_a_run(
            ticks in prop::collection::vec(stats(), 1..6),
            limit in prop::sample::select(vec![
                "p50(response_time) < 600ms",
                "mean(kernel_time, name=\"b\") < 300ms",
                "max(lag) < 1s",
                "error_rate < 60%",
                "check_rate(name=\"a\") >= 50%",
                "rate >= 4/s",
            ]),
        ) {
            let planned = planned(limit, None, true);
            let (mut live, mut sum) = (live(planned.clone(), Nanos::ZERO), Stats::new(2));
            let first = (1..).zip(&ticks).find_map(|(seconds, stats)| {
                sum.merge(stats);
                live.see(seconds - 1, stats);
                let ended = sum.requests.iter().enumerate();
                let ended = ended.filter(|(name, _)| planned.limit.scope().has(&catalogue(), *name));
                let enough = ended.map(|(_, request)| request.ended()).sum::<u64>() >= REQUESTS_LEAST;
                let result = planned.limit.check(&sum, &catalogue(), Nanos::from_secs(seconds));
                let observed = result.observed.filter(|_| enough && !result.passed)?;
                Some(Broken { at: Nanos::from_secs(seconds), observed })
            });
            prop_assert_eq!(live.broken(), vec![first]);
        }

        #[test]
        fn spans_are_read_as_they_are_written(seconds in 1u64..1_000_000) {
            let time = Nanos::from_secs(seconds);
            prop_assert_eq!(span(time).parse(), Ok(time));
        }
    }
}
