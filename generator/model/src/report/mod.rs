//! The result of a run: the contract of `-o json`, `schema_version` 1.
//!
//! Durations are integer nanoseconds, sizes bytes, rates per second. Fields may be added, none renamed.

mod latency;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::latency::Latency;
use crate::histogram::Histogram;
use crate::limit::{Broken, Limit, LimitResult, PlannedLimit};
use crate::outcome::ErrorKind;
use crate::plan::Plan;
use crate::samples::ErrorSample;
use crate::snapshot::{Counters, RequestStats, STATUS_LOWEST, Stats};
use crate::tempo::{RateChange, Tempo};
use crate::timeline::Row;
use crate::units::Nanos;
use crate::verdict::{Evidence, HostPressure, KernelEvidence, Thresholds, Verdict, judge};

pub const SCHEMA_VERSION: u32 = 1;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    pub schema_version: u32,
    pub run: RunInfo,
    pub verdict: Verdict,
    pub limits: Vec<LimitResult>,
    pub totals: Totals,
    pub rate: RateReport,
    pub latency: LatencyReport,
    #[serde(default)]
    pub kernel: KernelReport,
    pub status: BTreeMap<String, u64>,
    pub errors: BTreeMap<String, u64>,
    /// A few failures of each kind and request name.
    #[serde(default)]
    pub errors_samples: Vec<ErrorSample>,
    pub requests: Vec<RequestReport>,
    pub timeline: Vec<Row>,
    pub workers: Vec<WorkerReport>,
    pub environment: Environment,
    pub signature: Option<String>,
}

#[derive(Clone, Default, Debug, Serialize, Deserialize)]
pub struct RunInfo {
    pub id: String,
    pub name: String,
    /// RFC 3339, UTC.
    pub started_at: String,
    pub duration_ns: u64,
    pub seed: u64,
    pub plan_id: String,
    /// What was run: the URL of a quick run.
    pub scenario: String,
    /// By hand, while it went on: the rest of the schedule came faster or slower than planned.
    #[serde(default)]
    pub rate_changes: Vec<RateChange>,
}

/// See the two identities in [`crate::snapshot::Counters::check`].
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Totals {
    pub scheduled: u64,
    pub finished: u64,
    pub failed_arrivals: u64,
    pub dropped: u64,
    pub in_flight: u64,
    pub lost: u64,
    pub started: u64,
    pub completed: u64,
    pub failed: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub connections_opened: u64,
    pub tls_handshakes: u64,
    #[serde(default)]
    pub tls_resumed: u64,
    #[serde(default)]
    pub redirects: u64,
    /// TCP segments sent again, SYN included, as far as kernel timing saw them.
    #[serde(default)]
    pub retransmits: u64,
    #[serde(default)]
    pub syn_retransmits: u64,
    #[serde(default)]
    pub checks: Checks,
}

/// What was asked of answers, and held or not, after the warm-up.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Checks {
    pub passed: u64,
    pub failed: u64,
}

impl Checks {
    const fn of(request: &RequestStats) -> Self {
        Self { passed: request.checks_passed, failed: request.checks_failed }
    }

    /// Was anything asked?
    #[must_use]
    pub const fn are_any(self) -> bool {
        self.passed > 0 || self.failed > 0
    }
}

/// Of how many answers the kernel's time stamps are known.
#[derive(Copy, Clone, PartialEq, Default, Debug, Serialize, Deserialize)]
pub struct KernelReport {
    /// Known over completed after the warm-up, 0..=1; `null` where the kernel was not asked.
    pub coverage: Option<f64>,
    pub known: u64,
    /// Overwritten before they were read.
    pub overwritten: u64,
    /// No stamp fits the request.
    pub missing: u64,
}

#[derive(Copy, Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RateReport {
    /// Arrivals a second.
    pub target: Option<f64>,
    /// Requests completed a second, after the warm-up.
    pub achieved: f64,
    /// Arrivals that finished or failed a second, after the warm-up; `null` where an arrival is a request.
    #[serde(default)]
    pub arrivals: Option<f64>,
    /// What these are taken over: the load without its warm-up.
    #[serde(default)]
    pub over_ns: u64,
}

/// `null` where this build or this run has no such figure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LatencyReport {
    pub response: Latency,
    pub response_ok: Latency,
    pub service: Latency,
    pub first_byte: Latency,
    pub connect: Latency,
    pub tls: Option<Latency>,
    pub lag: Latency,
    /// From the request leaving this host to its answer arriving: server and wire alone.
    pub kernel: Option<Latency>,
    /// From there to the generator handling it.
    pub dwell: Option<Latency>,
    /// TCP handshakes as the kernel saw them.
    pub handshake: Option<Latency>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RequestReport {
    pub name: String,
    pub completed: u64,
    pub failed: u64,
    pub response: Latency,
    pub response_ok: Latency,
    pub service: Latency,
    pub first_byte: Latency,
    #[serde(default)]
    pub kernel: Option<Latency>,
    #[serde(default)]
    pub dwell: Option<Latency>,
    pub status: BTreeMap<String, u64>,
    pub errors: BTreeMap<String, u64>,
    #[serde(default)]
    pub checks: Checks,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorkerReport {
    pub name: String,
    pub cores: u32,
    /// 0..=1.
    pub cpu_busiest: f64,
    pub lag_p99: u64,
    pub dropped: u64,
    pub clock_error_ns: u64,
}

/// Where the run took place: what a reader needs to repeat it.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Environment {
    pub version: String,
    pub kernel: String,
    pub cpu: String,
    pub nic: Option<String>,
    pub offloads: Option<String>,
    pub governor: Option<String>,
    /// What was to be spoken with the target, such as `HTTP/2 over TLS 1.3, 10 streams a connection`.
    pub protocol: String,
    /// `uring` or `epoll`.
    pub io: String,
    /// `on`, or `off` with the reason; so are the next two.
    pub kernel_timing: String,
    /// Whether the kernel lets out only what is allowed.
    pub guard: String,
    /// Whether the engine ran in a process that may do little else.
    pub jail: String,
    /// `precise` or `efficient`, with the reason where it was chosen.
    pub pace: String,
    pub congestion_control: Option<String>,
    /// What the host took from the engine's threads, in nanoseconds.
    pub steal_ns: u64,
    pub run_delay_ns: u64,
    pub throttled_ns: u64,
    pub stalled_ns: u64,
    pub paused_ns: u64,
    /// Connects dropped by listeners beside the engine, and packets dropped by this host before TCP saw them.
    pub listen_drops: u64,
    pub softnet_drops: u64,
}

impl Environment {
    /// Whether kernel timing was on when the run began.
    #[must_use]
    pub fn has_kernel_timing(&self) -> bool {
        self.kernel_timing.starts_with("on")
    }
}

/// What a report is made from, beside the plan.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    pub run_id: String,
    pub started_at: String,
    pub elapsed: Nanos,
    /// From T0 to when the last request could begin: what rates are taken over.
    pub load_time: Nanos,
    pub stats: &'a Stats,
    pub late_for_connections: u64,
    pub arrivals_in_flight: u64,
    pub requests_in_flight: u64,
    pub timeline: Vec<Row>,
    pub errors_samples: Vec<ErrorSample>,
    /// Of each of the plan's limits, where it did not hold while the run went on.
    pub broken: Vec<Option<Broken>>,
    pub rate_changes: Vec<RateChange>,
    pub cores: u32,
    /// Longest stretch in which a core was over the busy threshold, and the busiest core over the run.
    pub busy_for: Nanos,
    pub busiest: f64,
    pub host: HostPressure,
    pub environment: Environment,
    /// Sentences about parts that went away while the run went on.
    pub lost_parts: Vec<String>,
    /// What the guard denied, by its name for the reason.
    pub denied: Vec<(String, u64)>,
    pub stopped: bool,
    /// No connection could ever be made, so the load was ended early.
    pub unreachable: bool,
    pub fault: Option<String>,
}

impl Report {
    /// Sums up and judges a run.
    #[must_use]
    pub fn new(plan: &Plan, facts: Facts<'_>) -> Self {
        let stats = facts.stats;
        let all = stats.all_requests();
        let response = all.response();
        let measured_for = Nanos(facts.load_time.0.saturating_sub(plan.warmup.0));
        let limits = check_limits(plan, &facts, measured_for);
        let fault = facts.fault.clone().or_else(|| {
            let check = stats.counters.check(facts.arrivals_in_flight, facts.requests_in_flight);
            check.err().map(|error| format!("a fault of brunt's own, please report it: {error}"))
        });
        let evidence = Evidence { fault, ..evidence(plan, &facts, &all, &response, &limits) };
        let rate = rate(plan, &facts, measured_for);
        Self {
            schema_version: SCHEMA_VERSION,
            run: RunInfo {
                id: facts.run_id,
                name: plan.name.clone(),
                started_at: facts.started_at,
                duration_ns: facts.elapsed.0,
                seed: plan.seed,
                plan_id: plan.id.clone(),
                scenario: plan.target().url.clone(),
                rate_changes: facts.rate_changes.clone(),
            },
            verdict: judge(&evidence, &Thresholds::default()),
            limits: limits.into_iter().map(|(_, result)| result).collect(),
            totals: totals(stats, &all, facts.arrivals_in_flight),
            rate,
            latency: latencies(stats, &all, &response),
            kernel: kernel(&stats.counters),
            status: statuses(&all),
            errors: errors(&all),
            errors_samples: facts.errors_samples,
            requests: requests(plan, stats),
            timeline: facts.timeline,
            workers: vec![WorkerReport {
                name: "local".to_owned(),
                cores: facts.cores,
                cpu_busiest: facts.busiest,
                lag_p99: stats.lag.quantile(0.99),
                dropped: stats.counters.dropped,
                clock_error_ns: 0,
            }],
            environment: facts.environment,
            signature: None,
        }
    }

    /// Whole answers that arrived, whatever their status.
    #[must_use]
    pub fn answers(&self) -> u64 {
        self.status.values().sum()
    }
}

/// The rate wanted over the whole of an open load, as it was changed.
fn target_rate(plan: &Plan, changes: &[RateChange]) -> Option<f64> {
    let (slots, end) = plan.load.expected()?;
    let of_warmup = plan.load.expected_before(plan.warmup);
    let measured_for = Tempo::after(changes).time_of(end).0.saturating_sub(plan.warmup.0);
    (measured_for > 0).then(|| per_second(slots.saturating_sub(of_warmup), Nanos(measured_for)))
}

fn check_limits(plan: &Plan, facts: &Facts<'_>, elapsed: Nanos) -> Vec<(Limit, LimitResult)> {
    let default = [PlannedLimit::from(Limit::default_limit())];
    let limits = if plan.limits.is_empty() { &default[..] } else { &plan.limits };
    let catalogue = plan.catalogue();
    let broken = facts.broken.iter().copied().chain(std::iter::repeat(None));
    let judged = limits.iter().zip(broken).map(|(planned, broken)| {
        // Past the end of the load, figures are those of a run that ends, not of the target. A limit that would
        // have aborted a run, had it not been over, is one like others.
        let counts =
            |broken: &Broken| broken.at <= facts.load_time && (planned.window.is_some() || facts.stopped);
        let mut result = planned.judge(facts.stats, &catalogue, elapsed, broken.filter(counts));
        result.aborted_at = result.aborted_at.filter(|_| facts.stopped);
        (planned.limit.clone(), result)
    });
    judged.collect()
}

/// A missed limit in words.
fn missed(limit: &Limit, result: &LimitResult, environment: &Environment) -> String {
    let observed = match result.observed {
        Some(value) => limit.show(value),
        None if limit.is_of_the_kernel() && !environment.has_kernel_timing() => {
            format!("nothing measured: kernel timing {}", environment.kernel_timing)
        }
        None => "nothing measured".to_owned(),
    };
    let stretch = result.stretch().map_or_else(String::new, |stretch| format!(" {stretch}"));
    let end = if result.aborted_at.is_some() { "; the run was aborted for it" } else { "" };
    format!("{} (observed {observed}{stretch}){end}", result.expression)
}

fn evidence(
    plan: &Plan,
    facts: &Facts<'_>,
    all: &RequestStats,
    response: &Histogram,
    limits: &[(Limit, LimitResult)],
) -> Evidence {
    let counters = &facts.stats.counters;
    let misses = limits.iter().filter(|(_, result)| !result.passed);
    let misses = misses.map(|(limit, result)| missed(limit, result, &facts.environment));
    let aborted = limits.iter().any(|(_, result)| result.aborted_at.is_some());
    Evidence {
        open: plan.load.is_open(),
        core_time: Nanos(facts.load_time.0 * u64::from(facts.cores)),
        lag_p99: Nanos(facts.stats.lag.quantile(0.99)),
        response_p50: Nanos(response.quantile(0.5)),
        scheduled: counters.measured_scheduled,
        late: counters.late,
        late_for_connections: facts.late_for_connections,
        dropped: counters.measured_dropped,
        max_connections: plan.load.max_connections(),
        dwell_p99: (!all.dwell.is_empty()).then(|| Nanos(all.dwell.quantile(0.99))),
        kernel: kernel_evidence(counters, &facts.environment),
        connections_opened: counters.connections_opened,
        connect_max: Nanos(facts.stats.connect.max()),
        busy_for: facts.busy_for,
        busiest: facts.busiest,
        overflows: counters.overflows,
        started: counters.started,
        ended: all.ended(),
        no_port: all.errors[ErrorKind::NoPort.index()],
        no_fd: all.errors[ErrorKind::NoFd.index()],
        policy: all.errors[ErrorKind::Policy.index()],
        denied: facts.denied.clone(),
        lost_parts: facts.lost_parts.clone(),
        host: facts.host,
        missed_limits: misses.collect(),
        answers: all.answers(),
        in_flight: facts.requests_in_flight,
        insecure: plan.targets.iter().any(|target| target.tls.as_ref().is_some_and(|tls| tls.insecure)),
        // Nobody but the limit stopped it.
        stopped: facts.stopped && !aborted,
        unreachable: facts.unreachable,
        fault: None,
    }
}

fn kernel_evidence(counters: &Counters, environment: &Environment) -> KernelEvidence {
    KernelEvidence {
        on: environment.has_kernel_timing(),
        completed: counters.measured,
        known: counters.kernel_known,
        overwritten: counters.kernel_overwritten,
        missing: counters.kernel_missing,
        retransmits: counters.retransmits,
        syn_retransmits: counters.syn_retransmits,
    }
}

/// Requests without an answer from the kernel, as after its programs went away, are unknown like the others.
fn kernel(counters: &Counters) -> KernelReport {
    let (known, overwritten, missing) =
        (counters.kernel_known, counters.kernel_overwritten, counters.kernel_missing);
    let asked = known + overwritten + missing > 0;
    KernelReport {
        coverage: asked.then(|| known as f64 / counters.measured.max(1) as f64),
        known,
        overwritten,
        missing,
    }
}

fn rate(plan: &Plan, facts: &Facts<'_>, measured_for: Nanos) -> RateReport {
    let (counters, is_request) = (&facts.stats.counters, plan.script.is_single());
    RateReport {
        target: target_rate(plan, &facts.rate_changes),
        achieved: per_second(counters.measured, measured_for),
        arrivals: (!is_request).then(|| per_second(measured_arrivals(counters), measured_for)),
        over_ns: measured_for.0,
    }
}

/// Arrivals of the warm-up have ended by the end of a run, but for those that were dropped.
const fn measured_arrivals(c: &Counters) -> u64 {
    let of_warmup = c.scheduled.saturating_sub(c.measured_scheduled);
    let dropped_of_warmup = c.dropped.saturating_sub(c.measured_dropped);
    let ended = c.finished.saturating_add(c.failed_arrivals);
    ended.saturating_sub(of_warmup.saturating_sub(dropped_of_warmup))
}

fn totals(stats: &Stats, all: &RequestStats, in_flight: u64) -> Totals {
    let c = &stats.counters;
    Totals {
        scheduled: c.scheduled,
        finished: c.finished,
        failed_arrivals: c.failed_arrivals,
        dropped: c.dropped,
        in_flight,
        lost: c.lost_arrivals,
        started: c.started,
        completed: c.completed,
        failed: c.failed,
        bytes_in: c.bytes_in,
        bytes_out: c.bytes_out,
        connections_opened: c.connections_opened,
        tls_handshakes: c.tls_handshakes,
        tls_resumed: c.tls_resumed,
        redirects: c.redirects,
        retransmits: c.retransmits,
        syn_retransmits: c.syn_retransmits,
        checks: Checks::of(all),
    }
}

fn latencies(stats: &Stats, all: &RequestStats, response: &Histogram) -> LatencyReport {
    LatencyReport {
        response: Latency::of(response),
        response_ok: Latency::of(&all.response_ok),
        service: Latency::of(&all.service),
        first_byte: Latency::of(&all.first_byte),
        connect: Latency::of(&stats.connect),
        tls: Latency::of_any(&stats.tls),
        lag: Latency::of(&stats.lag),
        kernel: Latency::of_any(&all.kernel),
        dwell: Latency::of_any(&all.dwell),
        handshake: Latency::of_any(&stats.handshake),
    }
}

fn requests(plan: &Plan, stats: &Stats) -> Vec<RequestReport> {
    let named = plan.request_names().iter().cloned().zip(&stats.requests);
    named
        .map(|(name, request)| RequestReport {
            name,
            completed: request.response_ok.count(),
            failed: request.response_failed.count(),
            response: Latency::of(&request.response()),
            response_ok: Latency::of(&request.response_ok),
            service: Latency::of(&request.service),
            first_byte: Latency::of(&request.first_byte),
            kernel: Latency::of_any(&request.kernel),
            dwell: Latency::of_any(&request.dwell),
            status: statuses(request),
            errors: errors(request),
            checks: Checks::of(request),
        })
        .collect()
}

fn statuses(stats: &RequestStats) -> BTreeMap<String, u64> {
    let filled = (STATUS_LOWEST..).zip(stats.statuses.iter()).filter(|(_, count)| **count > 0);
    filled.map(|(status, &count)| (status.to_string(), count)).collect()
}

fn errors(stats: &RequestStats) -> BTreeMap<String, u64> {
    let filled = ErrorKind::ALL.iter().zip(stats.errors).filter(|(_, count)| *count > 0);
    filled.map(|(kind, count)| (kind.name().to_owned(), count)).collect()
}

fn per_second(count: u64, time: Nanos) -> f64 {
    if time.0 == 0 { 0.0 } else { count as f64 / time.as_secs_f64() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Inputs, compile};
    use crate::scenario::Scenario;
    use crate::verdict::Status;

    /// A run of five seconds and nine failures in ten requests, under a limit that was broken after a time.
    fn check(
        (window, abort): (Option<u64>, bool),
        (broken, stopped): (Option<u64>, bool),
        want: (Status, &str),
    ) {
        let inputs = Inputs { addresses: vec!["127.0.0.1:80".parse().unwrap()], ..Inputs::default() };
        let mut plan = compile(&Scenario::of("http://h/"), &inputs).unwrap();
        let limit = "error_rate < 95%".parse().unwrap();
        plan.limits = vec![PlannedLimit { limit, window: window.map(Nanos::from_secs), abort }];
        let mut stats = Stats::new(1);
        (0..9).for_each(|_| stats.requests[0].response_failed.record(1_000));
        stats.requests[0].response_ok.record(1_000);
        let facts = Facts {
            run_id: String::new(),
            started_at: String::new(),
            elapsed: Nanos::from_secs(6),
            load_time: Nanos::from_secs(5),
            stats: &stats,
            late_for_connections: 0,
            arrivals_in_flight: 0,
            requests_in_flight: 0,
            timeline: Vec::new(),
            errors_samples: Vec::new(),
            rate_changes: Vec::new(),
            broken: vec![broken.map(|seconds| Broken { at: Nanos::from_secs(seconds), observed: 1.0 })],
            cores: 1,
            busy_for: Nanos::ZERO,
            busiest: 0.0,
            host: HostPressure::default(),
            environment: Environment::default(),
            lost_parts: Vec::new(),
            denied: Vec::new(),
            stopped,
            unreachable: false,
            fault: None,
        };
        let report = Report::new(&plan, facts);
        let reason = report.verdict.reasons.join(" | ");
        assert_eq!((report.verdict.status, reason.as_str()), want);
        assert_eq!(report.limits[0].passed, !reason.contains("limit missed"));
    }

    #[test]
    fn a_limit_that_broke_is_missed_and_tells_where() {
        use Status::{Fail, Pass, Stopped};
        let by_user = (Stopped, "stopped by the user before its time");
        let window = "limit missed: error_rate < 95% (observed 100.000 % in the 2s up to 4s)";
        let aborted_window = format!("{window}; the run was aborted for it");
        let aborted =
            "limit missed: error_rate < 95% (observed 100.000 % in the first 4s); the run was aborted for it";
        check((Some(2), false), (Some(4), false), (Fail, window));
        check((Some(2), true), (Some(4), true), (Fail, &aborted_window));
        check((None, true), (Some(4), true), (Fail, aborted));
        check((None, true), (None, false), (Pass, ""));
        check((None, true), (None, true), by_user);
        // The last second of the load: there was nothing left to abort.
        check((Some(2), true), (Some(5), false), (Fail, &window.replace("4s", "5s")));
        check((None, true), (Some(5), false), (Pass, ""));
        // After the load.
        check((Some(2), false), (Some(6), false), (Pass, ""));
        check((Some(2), true), (Some(6), false), (Pass, ""));
    }

    #[test]
    fn arrivals_of_the_warm_up_are_left_out() {
        let counters =
            |(scheduled, measured_scheduled), (dropped, measured_dropped), (finished, failed_arrivals)| {
                measured_arrivals(&Counters {
                    scheduled,
                    measured_scheduled,
                    dropped,
                    measured_dropped,
                    finished,
                    failed_arrivals,
                    ..Counters::default()
                })
            };
        for (got, want) in [
            (counters((10, 10), (0, 0), (7, 2)), 9),
            (counters((10, 6), (0, 0), (7, 2)), 5),
            (counters((10, 6), (3, 1), (5, 1)), 4),
            (counters((4, 0), (0, 0), (3, 0)), 0),
        ] {
            assert_eq!(got, want);
        }
    }
}
