//! The limits of a scenario file, in whole intervals of the run that they are to judge.

use super::file::fault;
use crate::limit::{Catalogue, LIVE_INTERVALS_MAX, LIVE_LIMITS_MAX, PlannedLimit, WINDOW_INTERVALS_MAX};
use crate::scenario::file::{Fault, LimitSpec, Located, Place};
use crate::units::Nanos;

/// Do requests have the names and tags that limits speak of?
pub(super) fn known(specs: &[Located<LimitSpec>], catalogue: &Catalogue) -> Result<(), Vec<Fault>> {
    let faults: Vec<_> = specs
        .iter()
        .filter_map(|spec| {
            let wrong = spec.value.that.resolve(catalogue).err()?;
            let (what, mend) = wrong.split_once("; ").unwrap_or((&wrong, "name one that a request has"));
            Some(fault(spec.at, what, mend))
        })
        .collect();
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// Fits limits to the intervals of a run. What is no multiple of an interval becomes the next one. `is_other_load`: the load
/// is not the file's, so what is too long for it is no fault of the file, and is judged over the whole run.
pub(super) fn planned(
    specs: &[Located<LimitSpec>],
    interval: Nanos,
    (warmup, duration): (Nanos, Option<Nanos>),
    is_other_load: bool,
) -> Result<Vec<PlannedLimit>, Vec<Fault>> {
    // An interval that begins in the warm-up is of no window, and neither is one that the load does not fill.
    let measured = duration.map(|duration| {
        let warm = warmup.0.div_ceil(interval.0);
        (duration.0 / interval.0).saturating_sub(warm)
    });
    let (mut planned, mut faults) = (Vec::new(), Vec::new());
    let (mut live, mut intervals) = (0, 0u64);
    for Located { value: spec, at } in specs {
        let window = spec.window.map(|window| (window, window.0.div_ceil(interval.0)));
        let window =
            window.filter(|(_, count)| !is_other_load || measured.is_none_or(|measured| *count <= measured));
        if let Some((window, count)) = window
            && let Err(fault) = fits(*at, window, count, interval, measured)
        {
            faults.push(fault);
            continue;
        }
        live += usize::from(spec.abort || window.is_some());
        intervals = intervals.saturating_add(window.map_or(0, |(_, count)| count));
        if live > LIVE_LIMITS_MAX || intervals > LIVE_INTERVALS_MAX {
            let what = format!(
                "at most {LIVE_LIMITS_MAX} limits can have a window or `abort`, with {LIVE_INTERVALS_MAX} \
                 intervals of {interval} in all windows together"
            );
            faults.push(fault(*at, what, "use fewer or shorter windows"));
            break;
        }
        planned.push(PlannedLimit {
            limit: spec.that.clone(),
            window: window.map(|(_, count)| Nanos(count.saturating_mul(interval.0))),
            abort: spec.abort,
        });
    }
    if faults.is_empty() { Ok(planned) } else { Err(faults) }
}

/// Can a window of `count` intervals be judged at all? The run has `measured` of them, where that is known.
fn fits(at: Place, window: Nanos, count: u64, interval: Nanos, measured: Option<u64>) -> Result<(), Fault> {
    if window < interval {
        let what =
            format!("a window of {window} is shorter than an interval of the run, which is {interval}");
        return Err(fault(at, what, "make it at least as long"));
    }
    if let Some(measured) = measured.filter(|measured| count > *measured) {
        let (longest, what) = (Nanos(measured * interval.0), "what is measured of the run");
        let what =
            format!("a window of {window} is longer than {what}, which is {longest} in whole intervals");
        return Err(fault(at, what, "make the window shorter or the run longer"));
    }
    if count > WINDOW_INTERVALS_MAX {
        let longest = Nanos(WINDOW_INTERVALS_MAX * interval.0);
        return Err(fault(at, format!("a window of {window} is too long"), format!("use {longest} at most")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Limit;
    use crate::plan::{Inputs, PlanError, compile};
    use crate::scenario::{Scenario, ScriptSource};

    const SECOND: Nanos = Nanos::from_secs(1);

    fn spec(window_ms: Option<u64>, abort: bool) -> LimitSpec {
        let that = "error_rate < 1%".parse().unwrap();
        LimitSpec { that, window: window_ms.map(Nanos::from_millis), abort }
    }

    fn located(specs: Vec<LimitSpec>) -> Vec<Located<LimitSpec>> {
        let at = |line| Place { line, column: 3 };
        (1..).zip(specs).map(|(line, spec)| Located::new(spec, at(line))).collect()
    }

    /// What becomes of a window in a run of so many milliseconds: its length, or the fault.
    fn check(
        window_ms: u64,
        interval: u64,
        (warmup_ms, run_ms): (u64, Option<u64>),
        want: Result<u64, &str>,
    ) {
        let (warmup, run) = (Nanos::from_millis(warmup_ms), run_ms.map(Nanos::from_millis));
        let specs = located(vec![spec(None, false), spec(Some(window_ms), true)]);
        let got = planned(&specs, Nanos::from_secs(interval), (warmup, run), false);
        let got = got.map(|planned| (planned[0].window, planned[1].window));
        let got = got.map_err(|faults| faults.iter().map(Fault::to_string).collect::<Vec<_>>());
        let want = want.map(|seconds| (None, Some(Nanos::from_secs(seconds))));
        assert_eq!(got, want.map_err(|fault| vec![fault.to_owned()]));
    }

    /// A file's limits with this window in a run of five seconds: what is planned, or what is wrong.
    fn compiled(window: &str, change: impl FnOnce(&mut Scenario)) -> Result<Vec<PlannedLimit>, String> {
        let text = format!(
            "load: [{{open: {{rate: 10/s, for: 5s}}}}]\nflows: {{f: {{steps: [{{get: /a}}]}}}}\nlimits:\n  \
             - error_rate < 1%\n  - {{that: 'rate > 1/s', window: {window}, abort: true}}\n"
        );
        let mut scenario = Scenario::of("http://h/");
        scenario.script = Some(ScriptSource { text, ..ScriptSource::default() });
        change(&mut scenario);
        let inputs = Inputs { addresses: vec!["127.0.0.1:80".parse().unwrap()], ..Inputs::default() };
        match compile(&scenario, &inputs) {
            Ok(plan) => Ok(plan.limits),
            Err(PlanError::File(faults)) => Err(faults.iter().map(Fault::to_string).collect()),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn limits_of_a_file_are_part_of_its_plan() {
        let limit = |text: &str| PlannedLimit::from(text.parse::<Limit>().unwrap());
        let second = PlannedLimit { window: Some(Nanos::from_secs(2)), abort: true, ..limit("rate > 1/s") };
        assert_eq!(compiled("2s", |_| {}), Ok(vec![limit("error_rate < 1%"), second]));
        let of_flag = compiled("2s", |scenario| scenario.limits = vec![limit("rate > 2/s").limit]);
        assert_eq!(of_flag, Ok(vec![limit("rate > 2/s")]));
        let wrong = compiled("6s", |_| {}).unwrap_err();
        assert!(wrong.starts_with("5:5: a window of 6.00 s is longer than what is measured"), "{wrong}");
        let short = |scenario: &mut Scenario| scenario.load.duration = Some(Nanos::from_secs(1));
        let planned = compiled("2s", short).unwrap();
        assert_eq!(planned[1].window, None, "a run that flags made shorter is judged as a whole");
    }

    #[test]
    fn windows_are_whole_intervals_that_the_run_has() {
        check(1_000, 1, (0, Some(1_000)), Ok(1));
        check(1_500, 1, (0, Some(10_000)), Ok(2));
        check(7_000, 3, (2_000, Some(12_000)), Ok(9));
        check(3_600_000, 1, (0, None), Ok(3_600));
        check(
            999,
            1,
            (0, Some(10_000)),
            Err(
                "2:3: a window of 999 ms is shorter than an interval of the run, which is 1.00 s; make it at least as \
                 long",
            ),
        );
        for (window, warmup, run) in [(10_001, 0, 10_999), (10_001, 500, 11_000), (11_000, 1_000, 11_900)] {
            let window_text = Nanos::from_millis(window);
            let want = format!(
                "2:3: a window of {window_text} is longer than what is measured of the run, which is 10.0 s in \
                 whole intervals; make the window shorter or the run longer"
            );
            check(window, 1, (warmup, Some(run)), Err(&want));
        }
        check(3_600_001, 1, (0, None), Err("2:3: a window of 3600 s is too long; use 3600 s at most"));
    }

    #[test]
    fn there_is_an_end_to_what_is_judged_all_the_time() {
        let line = |specs| {
            planned(&located(specs), SECOND, (Nanos::ZERO, None), false)
                .map(|planned| planned.len())
                .map_err(|faults| faults[0].at.line)
        };
        assert_eq!(line(vec![spec(None, false); 101]), Ok(101));
        assert_eq!(line(vec![spec(None, true); 100]), Ok(100));
        assert_eq!(line(vec![spec(None, true); 101]), Err(101));
        assert_eq!(line(vec![spec(Some(2_500_000), false); 4]), Ok(4));
        assert_eq!(line(vec![spec(Some(2_500_000), false); 5]), Err(5));
    }
}
