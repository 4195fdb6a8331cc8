//! Runs that must be clean, on machines that are not always quiet.
//!
//! A run may be repeated only when its own verdict names the host as the cause: CPU time that the hypervisor took,
//! or other processes on the engine's cores; or that answers were read late, which is how it shows when the hypervisor
//! does not tell. Any other reason fails at once.

use std::time::Duration;

use brunt_model::verdict::{Status, Verdict};

use crate::brunt::Measured;
use crate::clock;

/// Repetitions of a run that the host disturbed.
const REPEATS_MAX: usize = 6;
const EXCUSES: [&str; 3] = ["host steal", "run-queue delay", "responses sat in the socket"];
/// What a build without optimization may say besides: it is slow, and says so.
const BUSY: &str = "the busiest core was";
/// Requests were late, and nothing that the host counts says why: in a run of some milliseconds, the ticks of most of what it
/// counts are too wide.
const UNKNOWN: &str = "cause: unknown";
/// Before a repetition the host may take this long to become quiet; then it is made all the same.
const QUIET_WITHIN: Duration = Duration::from_secs(15);
/// Quiet: all cores idle for this share of a stretch this long.
const IDLE_SHARE: f64 = 0.9;
const STRETCH: Duration = Duration::from_millis(300);

/// Makes a run, again if and only if the host disturbed it. Returns the last, whatever became of it.
#[must_use]
#[expect(clippy::print_stderr, reason = "a repetition must be seen")]
pub fn quiet(mut run: impl FnMut() -> Measured) -> Measured {
    let mut measured = run();
    for _ in 0..REPEATS_MAX {
        if !disturbed(&measured.report.verdict) {
            break;
        }
        eprintln!("repeated, the host disturbed the run: {:?}", measured.report.verdict.reasons);
        wait_for_quiet();
        measured = run();
    }
    measured
}

fn wait_for_quiet() {
    let start = clock::now();
    let mut before = cpu_times();
    while start.elapsed() < QUIET_WITHIN {
        std::thread::sleep(STRETCH);
        let after = cpu_times();
        if idle_share(before, after) >= IDLE_SHARE {
            return;
        }
        before = after;
    }
}

/// Idle and all time of all CPUs since boot.
fn cpu_times() -> (u64, u64) {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let first = stat.lines().next().unwrap_or_default();
    let times: Vec<u64> =
        first.split_whitespace().skip(1).take(8).filter_map(|field| field.parse().ok()).collect();
    // Fields 4 and 5 of the line: idle, and idle while waiting for a disk (proc_stat(5)).
    (times.iter().skip(3).take(2).sum(), times.iter().sum())
}

fn idle_share((idle_before, all_before): (u64, u64), (idle_after, all_after): (u64, u64)) -> f64 {
    let all = all_after.saturating_sub(all_before).max(1);
    idle_after.saturating_sub(idle_before) as f64 / all as f64
}

/// Was the host, and nothing else, what made this run invalid?
#[must_use]
pub fn disturbed(verdict: &Verdict) -> bool {
    is_invalid_only_by(verdict, |reason| EXCUSES.iter().any(|excuse| reason.contains(excuse)))
}

/// The same, or was the engine late because its load was too much for it, or for a cause that was not seen? That says nothing
/// against the counts.
#[must_use]
pub fn disturbed_or_busy(verdict: &Verdict) -> bool {
    is_invalid_only_by(verdict, |reason| {
        reason.contains(BUSY)
            || reason.contains(UNKNOWN)
            || EXCUSES.iter().any(|excuse| reason.contains(excuse))
    })
}

fn is_invalid_only_by(verdict: &Verdict, excused: impl Fn(&str) -> bool) -> bool {
    // A missed limit, or no answer at all, is judged by the repetition: it is no reason for being invalid.
    let of_generator =
        |reason: &&String| !reason.starts_with("limit missed") && !reason.starts_with("not one answer");
    let mut reasons = verdict.reasons.iter().filter(of_generator).peekable();
    verdict.status == Status::Invalid && reasons.peek().is_some() && reasons.all(|reason| excused(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: Status, reasons: &[&str], expected: bool) {
        let reasons = reasons.iter().map(|reason| (*reason).to_owned()).collect();
        let verdict = Verdict { status, reasons, marks: Vec::new() };
        assert_eq!(disturbed(&verdict), expected, "{verdict:?}");
    }

    #[test]
    fn only_the_host_is_an_excuse() {
        check(Status::Invalid, &["cause: host steal: 9 ms"], true);
        check(Status::Invalid, &["cause: host steal: 9 ms", "cause: run-queue delay: 1 ms"], true);
        check(Status::Invalid, &["cause: host steal: 9 ms", "local ports ran out"], false);
        check(Status::Invalid, &["cause: host steal: 9 ms", "limit missed: x"], true);
        check(Status::Invalid, &[], false);
        check(Status::Fail, &["limit missed: host steal"], false);
        check(Status::Pass, &[], false);
    }

    #[test]
    fn of_counts_a_busy_core_is_an_excuse_too() {
        let of = |status, reasons: &[&str]| {
            let reasons = reasons.iter().map(|reason| (*reason).to_owned()).collect();
            let verdict = Verdict { status, reasons, marks: Vec::new() };
            (disturbed(&verdict), disturbed_or_busy(&verdict))
        };
        let busy = "2 slots late; cause: the busiest core was 92 % busy";
        assert_eq!(of(Status::Invalid, &[busy]), (false, true));
        assert_eq!(of(Status::Invalid, &[busy, "cause: host steal: 9 ms"]), (false, true));
        assert_eq!(of(Status::Invalid, &[busy, "local ports ran out"]), (false, false));
        assert_eq!(of(Status::Pass, &[busy]), (false, false));
        assert_eq!(of(Status::Invalid, &["6 slots late; cause: unknown; see brunt doctor"]), (false, true));
    }

    #[test]
    fn idleness_is_a_share() {
        assert!((idle_share((100, 200), (145, 250)) - 0.9).abs() < 1e-9);
        let (idle, all) = cpu_times();
        assert!(0 < idle && idle < all);
    }
}
