//! Was the run good, and can its numbers be trusted? A pure function of the numbers.
//!
//! *Invalid* means that the generator itself was the limit; each reason is a sentence with its figure and cause.

mod evidence;
mod network;
mod rules;

use serde::{Deserialize, Serialize};

pub use self::evidence::{Evidence, HostPressure, KernelEvidence};
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
    /// Part of the load was lost and taken over, or part of what was to be measured or guarded was lost.
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
            Self::Degraded => "part of the load or of its measurement was lost",
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
    /// Dwell p99 may be this, or `dwell_share` of the response p50 if that is more; with fewer than `dwell_answers` it
    /// may be anything.
    pub dwell: Nanos,
    pub dwell_share: f64,
    pub dwell_answers: u64,
    /// A core busier than this ...
    pub busy: f64,
    /// ... for this long, in an open run.
    pub busy_for: Nanos,
    /// Share of completed requests that may be without kernel times ...
    pub unknown_share: f64,
    /// ... of at least this many, and at least so many of them unknown: fewer are no share.
    pub unknown_of: u64,
    pub unknown_least: u64,
    /// Segments sent again over requests started, and SYNs sent again over connections opened ...
    pub retransmit_share: f64,
    /// ... and what may be sent again however short the run is.
    pub retransmits_least: u64,
    pub syn_retransmits_least: u64,
    /// TCP's first retransmission time-out (RFC 6298 section 2): a connect that took so long sent its SYN again.
    pub first_rto: Nanos,
    /// Packets dropped by this host over requests started, and at least so many.
    pub softnet_share: f64,
    pub softnet_least: u64,
    /// For so long the engine may be stopped: what two looks in a row may see by chance.
    pub paused: Nanos,
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
            dwell_answers: 300,
            busy: 0.95,
            busy_for: Nanos::from_secs(5),
            unknown_share: 0.001,
            unknown_of: 50,
            unknown_least: 10,
            retransmit_share: 0.001,
            retransmits_least: 20,
            syn_retransmits_least: 3,
            first_rto: Nanos::from_millis(1_000),
            softnet_share: 0.0001,
            softnet_least: 10,
            paused: Nanos::from_millis(100),
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
    let refused = refusals(evidence);
    let invalid = generators_limits(evidence, thresholds);
    let degraded = losses(evidence, thresholds);
    let mut reasons = Vec::new();
    let status = if let Some(fault) = &evidence.fault {
        reasons.push(fault.clone());
        Status::Error
    } else if !refused.is_empty() {
        // What is refused is stopped at once, so this comes before `stopped`.
        Status::Refused
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
    let marks = marks(evidence, !degraded.is_empty());
    reasons.extend(refused);
    reasons.extend(invalid);
    reasons.extend(silence(evidence));
    reasons.extend(degraded);
    reasons.extend(evidence.missed_limits.iter().map(|limit| format!("limit missed: {limit}")));
    Verdict { status, reasons, marks }
}

fn marks(evidence: &Evidence, degraded: bool) -> Vec<Mark> {
    let found = [
        (degraded, Mark::Degraded),
        (evidence.in_flight > 0, Mark::Incomplete),
        (evidence.insecure, Mark::Insecure),
    ];
    found.into_iter().filter(|(given, _)| *given).map(|(_, mark)| mark).collect()
}

/// Why the load was not allowed. One packet is enough: it was not to leave.
fn refusals(e: &Evidence) -> Vec<String> {
    let is_kill = |reason: &str| reason == "killed";
    let killed: u64 = e.denied.iter().filter(|(reason, _)| is_kill(reason)).map(|(_, count)| count).sum();
    let switched = (killed > 0)
        .then(|| format!("the kill switch was used: {killed} packets or connects were held back"));
    let denied: Vec<_> = e.denied.iter().filter(|(reason, count)| *count > 0 && !is_kill(reason)).collect();
    let guard = (!denied.is_empty()).then(|| {
        let sum: u64 = denied.iter().map(|(_, count)| count).sum();
        let each: Vec<_> = denied.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        format!(
            "the guard denied {sum} packets or connects: {}; grant the address (--allow) or leave it out of the run",
            each.join(", ")
        )
    });
    let policy = (e.policy > 0).then(|| {
        format!("{} requests were not let out of this host: its policy does not allow the target", e.policy)
    });
    switched.into_iter().chain(guard).chain(policy).collect()
}

/// What was lost on the way without making the rest wrong.
fn losses(e: &Evidence, t: &Thresholds) -> Vec<String> {
    e.lost_parts.iter().cloned().chain(network::stamps_missing(e, t)).collect()
}

fn silence(evidence: &Evidence) -> Option<String> {
    (evidence.started > 0 && evidence.answers == 0).then(|| {
        let early = if evidence.unreachable {
            "; no connection could be made, so the run was ended early"
        } else {
            ""
        };
        format!("not one answer arrived{early}")
    })
}

/// From when the generator, its host or the way from it count as the limit.
fn generators_limits(e: &Evidence, t: &Thresholds) -> Vec<String> {
    rules::all(e, t).into_iter().chain(network::all(e, t)).collect()
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
        check(
            |e| (e.dwell_p99, e.kernel.known) = (Some(Nanos::from_millis(2)), 300),
            Invalid,
            "responses sat in the socket for 2.00 ms (dwell p99)",
        );
        check(|e| (e.dwell_p99, e.kernel.known) = (Some(Nanos::from_millis(2)), 299), Pass, "");
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
    fn stamps_that_are_unknown_degrade_and_an_overflow_invalidates() {
        use Status::{Invalid, Pass};
        let kernel = |completed, overwritten, missing, retransmits| {
            move |e: &mut Evidence| {
                let known = completed - overwritten - missing;
                let on = true;
                e.kernel = KernelEvidence {
                    on,
                    completed,
                    known,
                    overwritten,
                    missing,
                    retransmits,
                    syn_retransmits: 0,
                };
            }
        };
        check(kernel(10_000, 0, 0, 0), Pass, "");
        check(kernel(10_000, 0, 10, 0), Pass, "");
        check(kernel(49, 20, 20, 0), Pass, "");
        check(kernel(1_000, 4, 5, 0), Pass, "");
        check(
            kernel(10_000, 11, 0, 0),
            Invalid,
            "the byte-offset log overflowed: kernel times of 11 of 10000",
        );
        check(kernel(10_000, 7, 6, 0), Invalid, "the byte-offset log overflowed");
        check(kernel(10_000, 20, 900, 0), Invalid, "the byte-offset log overflowed");
        check(
            kernel(10_000, 1, 10, 0),
            Pass,
            "kernel stamps missing for 11 of 10000 answers (coverage 99.9 %)",
        );
        check(kernel(10_000, 0, 50, 7), Pass, "cause: 7 segments were sent again");
        check(kernel(10_000, 0, 10_000, 0), Pass, "(coverage 0.0 %)");
        // Without kernel timing all of them are unknown, and nobody asked.
        check(|e| e.kernel.completed = 10_000, Pass, "");
    }

    #[test]
    fn what_was_sent_again_or_dropped_is_named() {
        use Status::{Invalid, Pass};
        let again = |retransmits, syn_retransmits, listen_drops| {
            move |e: &mut Evidence| {
                e.kernel = KernelEvidence { on: true, retransmits, syn_retransmits, ..e.kernel };
                (e.host.listen_drops, e.connections_opened) = (listen_drops, 50);
            }
        };
        check(again(19, 0, 0), Pass, "");
        check(|e| (e.started, e.kernel.retransmits) = (30_000, 30), Pass, "");
        check(
            again(20, 0, 0),
            Invalid,
            "20 segments were sent again (packet loss between here and the target)",
        );
        check(
            again(30, 0, 4),
            Invalid,
            "30 segments were sent again (listen drops: a full queue on this host dropped 4",
        );
        check(again(2, 2, 0), Pass, "");
        check(again(22, 3, 0), Invalid, "listen queue was full or SYNs were lost: 3 SYNs");
        check(again(9, 9, 12), Invalid, "listen drops: a full queue on this host dropped 12 connects");
        check(|e| (e.kernel.syn_retransmits, e.connections_opened) = (3, 5_000), Pass, "");
        check(|e| (e.kernel.syn_retransmits, e.answers) = (9, 0), Pass, "not one answer");
        // Drops of other listeners on this host are none of ours, unless a connect was slow as well.
        check(again(0, 0, 500), Pass, "");
        let slow = |e: &mut Evidence| (e.host.listen_drops, e.connect_max) = (3, Nanos::from_millis(1_031));
        check(slow, Invalid, "a connect took 1.03 s");
        check(|e| e.host.softnet_drops = 9, Pass, "");
        check(|e| (e.host.softnet_drops, e.started) = (10, 200_000), Pass, "");
        check(|e| e.host.softnet_drops = 10, Invalid, "this host dropped 10 packets before TCP saw them");
    }

    #[test]
    fn a_pause_is_named_and_what_it_caused() {
        let ms = Nanos::from_millis;
        let paused = |time| HostPressure { paused: time, stalled: ms(150), ..HostPressure::default() };
        check(|e| e.host = paused(ms(100)), Status::Pass, "");
        check(|e| e.host = paused(ms(101)), Status::Invalid, "the engine was paused for 101 ms (SIGSTOP");
        let late = |e: &mut Evidence| (e.host, e.late) = (paused(ms(90)), 100);
        check(late, Status::Invalid, "cause: the engine was paused for 90.0 ms");
        let dwell = |host, busiest| {
            move |e: &mut Evidence| {
                (e.dwell_p99, e.host, e.busiest) = (Some(ms(3)), host, busiest);
                e.kernel.known = 1_000;
            }
        };
        let delayed = HostPressure { run_delay: ms(20), ..HostPressure::default() };
        for (host, busiest, word) in [
            (paused(ms(90)), 0.1, "the engine was paused"),
            (delayed, 0.1, "run-queue delay"),
            (HostPressure { steal: ms(30), ..delayed }, 0.1, "host steal"),
            (HostPressure::default(), 0.93, "93 % busy"),
        ] {
            check(dwell(host, busiest), Status::Invalid, word);
        }
    }

    #[test]
    fn what_the_guard_or_a_policy_denied_refuses_the_run() {
        let denied =
            vec![("not_granted".to_owned(), 10), ("link_local".to_owned(), 0), ("port".to_owned(), 2)];
        let change = |e: &mut Evidence| (e.denied, e.stopped, e.late) = (denied, true, 100);
        check(
            change,
            Status::Refused,
            "the guard denied 12 packets or connects: not_granted 10, port 2; grant",
        );
        check(|e| e.denied = vec![("not_granted".to_owned(), 0)], Status::Pass, "");
        check(
            |e| (e.policy, e.answers) = (3, 0),
            Status::Refused,
            "3 requests were not let out of this host",
        );
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
        let lost_parts = vec!["kernel timing ended after 3.00 s".to_owned()];
        let verdict = judge(&Evidence { lost_parts: lost_parts.clone(), ..clean() }, &Thresholds::default());
        assert_eq!(
            verdict,
            Verdict { status: Status::Pass, reasons: lost_parts, marks: vec![Mark::Degraded] }
        );
        assert_eq!(serde_json::to_value(Mark::Insecure).unwrap(), Mark::Insecure.name());
    }
}
