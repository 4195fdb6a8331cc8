//! Was the run good, and can its numbers be trusted? A pure function of the numbers.
//!
//! *Invalid* means that the generator itself was the limit; each reason is a sentence with its figure and cause.

mod evidence;
mod rules;

use serde::{Deserialize, Serialize};

use self::rules::generators_limits;
pub use self::evidence::{Evidence, HostPressure};
use crate::units::Nanos;

#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Pass,
    /// A limit was missed.
    Fail,
    /// The generator was the limit.
    Invalid,
    /// Ended by the user before its time.
    Stopped,
    /// Not allowed by the policy in force.
    Refused,
    /// A fault of Brunt's own.
    Error,
}

impl Status {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Invalid => "invalid",
            Self::Stopped => "stopped",
            Self::Refused => "refused",
            Self::Error => "error",
        }
    }
}

/// What a reader must know beside the status.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// Part of the load was lost and taken over.
    Degraded,
    /// Something outside the run disturbed it.
    Tainted,
    /// Answers were still under way at the end.
    Incomplete,
    /// Certificates were not verified.
    Insecure,
    /// It went on after an interruption.
    Resumed,
}

impl Mark {
    /// The name used in results.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Degraded => "degraded",
            Self::Tainted => "tainted",
            Self::Incomplete => "incomplete",
            Self::Insecure => "insecure",
            Self::Resumed => "resumed",
        }
    }

    /// What it means, in one line for a person.
    #[must_use]
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::Degraded => "part of the load was lost and taken over",
            Self::Tainted => "something outside the run disturbed it",
            Self::Incomplete => "answers were still under way at the end",
            Self::Insecure => "the target's certificate was not verified",
            Self::Resumed => "the run went on after an interruption",
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Verdict {
    pub status: Status,
    pub reasons: Vec<String>,
    pub marks: Vec<Mark>,
}

/// From when the generator counts as the limit. Settings, like limits.
#[derive(Copy, Clone, PartialEq, Debug)]
pub struct Thresholds {
    /// Lag p99 may be this, or `lag_share` of the response p50 if that is more.
    pub lag: Nanos,
    pub lag_share: f64,
    /// Late and dropped slots over scheduled ones.
    pub late_share: f64,
    pub dwell: Nanos,
    pub dwell_share: f64,
    /// A core busier than this ...
    pub busy: f64,
    /// ... for this long, in an open run.
    pub busy_for: Nanos,
    /// Share of the cores' time that the host may take from the engine.
    pub host_share: f64,
    /// ... and what it may take however short the run is.
    pub host_least: Nanos,
    /// Requests that failed for want of a port, a file descriptor or the engine, over those started.
    pub own_failures_share: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            lag: Nanos::from_millis(1),
            lag_share: 0.1,
            late_share: 0.001,
            dwell: Nanos::from_millis(1),
            dwell_share: 0.1,
            busy: 0.95,
            busy_for: Nanos::from_secs(5),
            // A single rival takes half; the kernel's own packet work beside a saturated engine was seen to take 14 %.
            host_share: 0.25,
            host_least: Nanos::from_millis(10),
            own_failures_share: 0.001,
        }
    }
}

/// Judges a run.
#[must_use]
pub fn judge(evidence: &Evidence, thresholds: &Thresholds) -> Verdict {
    let invalid = generators_limits(evidence, thresholds);
    let missed = evidence.missed_limits.iter().map(|limit| format!("limit missed: {limit}"));
    let mut reasons = Vec::new();
    let status = if let Some(fault) = &evidence.fault {
        reasons.push(fault.clone());
        Status::Error
    } else if evidence.stopped {
        reasons.push("stopped by the user before its time".to_owned());
        Status::Stopped
    } else if !invalid.is_empty() {
        Status::Invalid
    } else if !evidence.missed_limits.is_empty() {
        Status::Fail
    } else {
        Status::Pass
    };
    reasons.extend(invalid);
    if evidence.started > 0 && evidence.answers == 0 {
        let early = if evidence.unreachable {
            "; no connection could be made, so the run was ended early"
        } else {
            ""
        };
        reasons.push(format!("not one answer arrived{early}"));
    }
    reasons.extend(missed);
    Verdict { status, reasons, marks: marks(evidence) }
}

fn marks(evidence: &Evidence) -> Vec<Mark> {
    let found = [(evidence.in_flight > 0, Mark::Incomplete), (evidence.insecure, Mark::Insecure)];
    found.into_iter().filter(|(given, _)| *given).map(|(_, mark)| mark).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean() -> Evidence {
        Evidence {
            open: true,
            core_time: Nanos::from_secs(10),
            lag_p99: Nanos::from_micros(20),
            response_p50: Nanos::from_micros(500),
            scheduled: 10_000,
            started: 10_000,
            ended: 10_000,
            answers: 10_000,
            max_connections: 10_000,
            ..Evidence::default()
        }
    }

    /// One change to a clean run, the status it must lead to, and a word its first reason must have.
    fn check(change: impl FnOnce(&mut Evidence), status: Status, word: &str) {
        let mut evidence = clean();
        change(&mut evidence);
        let verdict = judge(&evidence, &Thresholds::default());
        assert_eq!(verdict.status, status, "{evidence:?}");
        let reason = verdict.reasons.first().map_or("", String::as_str);
        assert!(reason.contains(word), "{reason} should contain {word}");
    }

    #[test]
    fn a_clean_run_passes_without_a_word() {
        assert_eq!(
            judge(&clean(), &Thresholds::default()),
            Verdict { status: Status::Pass, reasons: Vec::new(), marks: Vec::new() }
        );
    }

    #[test]
    fn each_limit_of_the_generator_is_named() {
        use Status::{Invalid, Pass};
        check(|e| e.lag_p99 = Nanos::from_micros(1_001), Invalid, "lag p99 1.00 ms");
        check(|e| (e.lag_p99, e.response_p50) = (Nanos::from_millis(9), Nanos::from_millis(100)), Pass, "");
        check(|e| e.late = 10, Pass, "");
        check(|e| e.late = 11, Invalid, "11 slots late");
        check(|e| e.dropped = 11, Invalid, "connections were in use");
        check(|e| e.dwell_p99 = Some(Nanos::from_millis(2)), Invalid, "dwell p99");
        check(
            |e| (e.dwell_p99, e.response_p50) = (Some(Nanos::from_millis(2)), Nanos::from_millis(30)),
            Pass,
            "",
        );
        check(|e| e.busy_for = Nanos::from_secs(5), Invalid, "saturated");
        check(|e| (e.busy_for, e.open) = (Nanos::from_secs(5), false), Pass, "");
        let starved = HostPressure { run_delay: Nanos::from_millis(2_600), ..HostPressure::default() };
        check(|e| (e.host, e.open) = (starved, false), Invalid, "taken from it for 26 %");
        check(
            |e| (e.host, e.core_time) = (HostPressure { run_delay: Nanos(9), ..starved }, Nanos(20)),
            Pass,
            "",
        );
        check(|e| e.overflows = 1, Invalid, "overflow");
        check(|e| e.no_port = 11, Invalid, "local ports ran out");
        check(|e| e.no_fd = 11, Invalid, "file descriptors ran out");
    }

    #[test]
    fn lateness_names_its_cause() {
        let late = |host: HostPressure, busiest: f64| {
            move |e: &mut Evidence| (e.late, e.host, e.busiest) = (100, host, busiest)
        };
        let ms = Nanos::from_millis;
        let host = HostPressure { steal: ms(900), run_delay: ms(20), ..HostPressure::default() };
        check(late(host, 0.1), Status::Invalid, "host steal");
        let host =
            HostPressure { steal: ms(20), run_delay: ms(900), stalled: ms(901), ..HostPressure::default() };
        check(late(host, 0.99), Status::Invalid, "run-queue delay");
        let host = HostPressure { throttled: ms(50), ..HostPressure::default() };
        check(late(host, 0.5), Status::Invalid, "quota");
        let host = HostPressure { stalled: ms(4), run_delay: Nanos(900), ..HostPressure::default() };
        check(
            late(host, 0.5),
            Status::Invalid,
            "host steal or interrupts: the engine's cores stood still for 4.00 ms",
        );
        check(late(HostPressure::default(), 0.9), Status::Invalid, "90 % busy");
        check(late(HostPressure::default(), 0.1), Status::Invalid, "unknown");
        check(|e| (e.late, e.late_for_connections) = (100, 90), Status::Invalid, "connections were in use");
    }

    #[test]
    fn the_worst_status_wins() {
        check(|e| e.missed_limits.push("p99 < 1ms".into()), Status::Fail, "limit missed");
        check(|e| (e.missed_limits, e.late) = (vec!["x".into()], 100), Status::Invalid, "late");
        check(|e| (e.stopped, e.late) = (true, 100), Status::Stopped, "stopped");
        check(|e| (e.stopped, e.fault) = (true, Some("lost count".into())), Status::Error, "lost count");
        check(|e| (e.answers, e.missed_limits) = (0, vec!["x".into()]), Status::Fail, "not one answer");
    }

    #[test]
    fn marks_stand_beside_the_status() {
        for (in_flight, insecure, want) in [
            (0, false, vec![]),
            (1, false, vec![Mark::Incomplete]),
            (0, true, vec![Mark::Insecure]),
            (1, true, vec![Mark::Incomplete, Mark::Insecure]),
        ] {
            let verdict = judge(&Evidence { in_flight, insecure, ..clean() }, &Thresholds::default());
            assert_eq!((verdict.status, verdict.marks), (Status::Pass, want));
        }
        assert_eq!(serde_json::to_value(Mark::Insecure).unwrap(), Mark::Insecure.name());
    }
}
