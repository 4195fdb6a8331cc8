//! Was the run good, and can its numbers be trusted? A pure function of the numbers.
//!
//! *Invalid* means that the generator itself was the limit; each reason is a sentence with its figure and cause.

use serde::{Deserialize, Serialize};

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

/// What the host took from the engine's threads during the run. The largest of these names the cause of lateness.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug)]
pub struct HostPressure {
    /// CPU time that the hypervisor gave to others on the engine's cores.
    pub steal: Nanos,
    /// Time that the engine's threads were runnable but did not run.
    pub run_delay: Nanos,
    /// CPU time that the container's quota withheld.
    pub throttled: Nanos,
    /// Time in which the engine's cores stood still by its own clock, whatever the host admits to.
    pub stalled: Nanos,
}

impl HostPressure {
    fn admitted(self) -> Nanos {
        self.steal.max(self.run_delay).max(self.throttled)
    }

    fn worst(self) -> Nanos {
        self.admitted().max(self.stalled)
    }

    fn name(self) -> String {
        let worst = self.admitted();
        if worst.0 < self.stalled.0 / 2 {
            // Hypervisors need not report what they take; interrupts are not reported per thread.
            format!("host steal or interrupts: the engine's cores stood still for {}", self.stalled)
        } else if worst == self.throttled {
            format!("the CPU quota held the engine back for {worst}; raise the quota")
        } else if worst == self.steal {
            format!("host steal: the hypervisor took {worst} of CPU time")
        } else {
            format!("run-queue delay: the engine's threads waited {worst} for a CPU")
        }
    }
}

/// The figures a verdict stands on.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Evidence {
    pub open: bool,
    /// Sum of all cores' time.
    pub core_time: Nanos,
    pub lag_p99: Nanos,
    pub response_p50: Nanos,
    pub scheduled: u64,
    pub late: u64,
    /// Late slots that waited because every allowed connection was in use.
    pub late_for_connections: u64,
    pub dropped: u64,
    pub max_connections: u32,
    pub dwell_p99: Option<Nanos>,
    /// The longest stretch in which one core was busier than the threshold.
    pub busy_for: Nanos,
    /// The busiest core over the whole run, 0..=1.
    pub busiest: f64,
    pub overflows: u64,
    pub started: u64,
    /// Requests that ended after the warm-up.
    pub ended: u64,
    pub no_port: u64,
    pub no_fd: u64,
    pub host: HostPressure,
    /// Expressions and figures of missed limits.
    pub missed_limits: Vec<String>,
    pub answers: u64,
    pub in_flight: u64,
    /// The target's certificate was not verified.
    pub insecure: bool,
    pub stopped: bool,
    /// No connection could ever be made, so the load was ended early.
    pub unreachable: bool,
    /// A fault of Brunt's own, such as accounting that does not add up.
    pub fault: Option<String>,
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

fn generators_limits(e: &Evidence, t: &Thresholds) -> Vec<String> {
    let found =
        [lag(e, t), late(e, t), dwell(e, t), busy(e, t), starved(e, t), overflow(e), own_failures(e, t)];
    found.into_iter().flatten().collect()
}

fn lag(e: &Evidence, t: &Thresholds) -> Option<String> {
    let allowed = t.lag.max(share_of(e.response_p50, t.lag_share));
    (e.lag_p99 > allowed).then(|| {
        format!("lag p99 {} is over {allowed}: requests were sent late; cause: {}", e.lag_p99, cause(e, t))
    })
}

fn late(e: &Evidence, t: &Thresholds) -> Option<String> {
    let bad = e.late + e.dropped;
    let share = ratio(bad, e.scheduled);
    (share > t.late_share).then(|| {
        format!(
            "{} slots late and {} dropped of {} ({:.2} %, allowed {:.2} %); cause: {}",
            e.late,
            e.dropped,
            e.scheduled,
            share * 100.0,
            t.late_share * 100.0,
            cause(e, t)
        )
    })
}

fn dwell(e: &Evidence, t: &Thresholds) -> Option<String> {
    let dwell = e.dwell_p99?;
    let over = dwell > t.dwell && dwell > share_of(e.response_p50, t.dwell_share);
    over.then(|| {
        format!("dwell p99 {dwell}: answers waited in the socket for the generator; cause: {}", cause(e, t))
    })
}

fn busy(e: &Evidence, t: &Thresholds) -> Option<String> {
    (e.open && e.busy_for >= t.busy_for).then(|| {
        format!(
            "a core was over {:.0} % busy for {}; cause: the core is saturated, give the run more cores (--cores) or a lower rate",
            t.busy * 100.0,
            e.busy_for
        )
    })
}

/// A closed run sends late without knowing: its users begin when the core gets to them.
fn starved(e: &Evidence, t: &Thresholds) -> Option<String> {
    let taken = ratio(e.host.worst().0, e.core_time.0);
    (taken > t.host_share && e.host.worst() > t.host_least).then(|| {
        format!(
            "the engine's cores were taken from it for {:.0} % of the run; cause: {}",
            taken * 100.0,
            e.host.name()
        )
    })
}

fn overflow(e: &Evidence) -> Option<String> {
    (e.overflows > 0).then(|| format!("{} ring overflows: completions were lost", e.overflows))
}

fn own_failures(e: &Evidence, t: &Thresholds) -> Option<String> {
    let own = e.no_port + e.no_fd;
    (ratio(own, e.ended) > t.own_failures_share).then(|| {
        let mend = if e.no_port >= e.no_fd {
            "local ports ran out; give more --source-ip, widen net.ipv4.ip_local_port_range or keep connections alive"
        } else {
            "file descriptors ran out; raise the limit (ulimit -n) or lower the connections"
        };
        format!("{own} of {} requests failed on this side; cause: {mend}", e.ended)
    })
}

/// The likeliest reason for lateness, with its figure.
fn cause(e: &Evidence, t: &Thresholds) -> String {
    let late = e.late + e.dropped;
    if late > 0 && (e.late_for_connections + e.dropped) * 2 >= late {
        return format!(
            "all {} connections were in use; raise --max-connections, or the target cannot take this rate",
            e.max_connections
        );
    }
    if e.host.worst() >= t.lag {
        return e.host.name();
    }
    if e.busiest >= 0.8 {
        return format!(
            "the busiest core was {:.0} % busy; give the run more cores (--cores)",
            e.busiest * 100.0
        );
    }
    "unknown; the engine's cores may be shared with interrupts or other work (see brunt doctor)".to_owned()
}

fn share_of(time: Nanos, share: f64) -> Nanos {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a time is a time"
    )]
    Nanos((time.0 as f64 * share) as u64)
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
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
