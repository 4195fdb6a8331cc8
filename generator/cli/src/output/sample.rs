//! A report for tests, with hostile names and every kind of figure.

use std::collections::BTreeMap;

use brunt_model::histogram::Histogram;
use brunt_model::limit::LimitResult;
use brunt_model::report::{
    Checks, Environment, KernelReport, Latency, LatencyReport, RateReport, Report, RequestReport, RunInfo,
    SCHEMA_VERSION, Totals, WorkerReport,
};
use brunt_model::samples::ErrorSample;
use brunt_model::verdict::{Status, Verdict};

/// The values 1..=count, each times `step_ns`.
fn latency(count: u64, step_ns: u64) -> Latency {
    let mut histogram = Histogram::default();
    (1..=count).for_each(|i| histogram.record(i * step_ns));
    Latency::of(&histogram)
}

/// A thousand requests at a rate of 100/s, ten of which failed; one limit holds and one does not.
pub(crate) fn report(status: Status) -> Report {
    let reasons = match status {
        Status::Pass => Vec::new(),
        Status::Invalid => vec!["lag p99 5.00 ms is over 1.00 ms; cause: <unknown> & \x1b[31mred".to_owned()],
        _ => vec!["limit missed: p99(response_time) < 1ms".to_owned()],
    };
    let limit = |expression: &str, observed, passed| LimitResult {
        expression: expression.to_owned(),
        observed,
        passed,
        window: None,
        window_end: None,
        aborted_at: None,
    };
    Report {
        schema_version: SCHEMA_VERSION,
        run: RunInfo {
            id: "00ff".to_owned(),
            name: "=GET /<a>|\x1b[31m".to_owned(),
            started_at: "2026-01-02T03:04:05.000Z".to_owned(),
            duration_ns: 10_000_000_000,
            seed: 1,
            plan_id: "abc".to_owned(),
            scenario: "http://127.0.0.1:8080/a".to_owned(),
            rate_changes: Vec::new(),
        },
        verdict: Verdict { status, reasons, marks: Vec::new() },
        limits: vec![
            limit("p99(response_time) < 1ms", Some(9_900_000.0), status == Status::Pass),
            limit("error_rate < 50%", Some(0.01), true),
        ],
        totals: totals(),
        rate: RateReport { target: Some(100.0), achieved: 99.0, arrivals: None, over_ns: 10_000_000_000 },
        latency: LatencyReport {
            response: latency(1_000, 10_000),
            response_ok: latency(990, 10_000),
            service: latency(1_000, 9_000),
            first_byte: latency(1_000, 8_000),
            connect: latency(5, 100_000),
            tls: None,
            lag: latency(1_000, 10),
            kernel: None,
            dwell: None,
            handshake: None,
        },
        kernel: KernelReport::default(),
        status: BTreeMap::from([("200".to_owned(), 990), ("503".to_owned(), 4)]),
        errors: errors(),
        errors_samples: Vec::new(),
        requests: vec![request()],
        timeline: Vec::new(),
        workers: vec![WorkerReport {
            name: "local".to_owned(),
            cores: 1,
            cpu_busiest: 0.25,
            lag_p99: 10_000,
            dropped: 0,
            clock_error_ns: 0,
        }],
        environment: Environment {
            io: "uring".to_owned(),
            pace: "precise: asked for".to_owned(),
            ..Environment::default()
        },
        signature: None,
    }
}

/// The same with kernel timing and the guard on and the jail off.
pub(crate) fn with_kernel_times(mut report: Report) -> Report {
    let (kernel, dwell) = (Some(latency(989, 7_000)), Some(latency(989, 50)));
    report.kernel = KernelReport { coverage: Some(989.0 / 990.0), known: 989, overwritten: 0, missing: 1 };
    for request in &mut report.requests {
        (request.kernel, request.dwell) = (kernel.clone(), dwell.clone());
    }
    (report.latency.kernel, report.latency.dwell) = (kernel, dwell);
    report.latency.handshake = Some(latency(5, 20_000));
    (report.totals.retransmits, report.totals.syn_retransmits) = (7, 2);
    report.environment.kernel_timing = "on".to_owned();
    report.environment.guard = "on: 127.0.0.0/8".to_owned();
    report.environment.jail = "off: not <asked> for".to_owned();
    report
}

fn totals() -> Totals {
    Totals {
        scheduled: 1_000,
        finished: 990,
        failed_arrivals: 10,
        started: 1_000,
        completed: 990,
        failed: 10,
        bytes_in: 1 << 20,
        bytes_out: 1 << 16,
        connections_opened: 5,
        ..Totals::default()
    }
}

fn errors() -> BTreeMap<String, u64> {
    BTreeMap::from([("status".to_owned(), 4), ("reset".to_owned(), 6)])
}

fn request() -> RequestReport {
    RequestReport {
        name: "=GET /<a>|\x1b[31m".to_owned(),
        completed: 990,
        failed: 10,
        response: latency(1_000, 10_000),
        response_ok: latency(990, 10_000),
        service: latency(1_000, 9_000),
        first_byte: latency(1_000, 8_000),
        kernel: None,
        dwell: None,
        status: BTreeMap::new(),
        errors: errors(),
        checks: Checks::default(),
    }
}

/// With a hostile answer among the samples.
pub(crate) fn with_samples(mut report: Report) -> Report {
    report.errors_samples = vec![ErrorSample {
        name: "GET /b".to_owned(),
        kind: "status".to_owned(),
        status: Some(503),
        message: "answered: \x1b[31m<b>|no\nroom".to_owned(),
    }];
    report
}

/// Another name, so that there are several.
pub(crate) fn add_name(report: &mut Report, name: &str, completed: u64, failed: u64) {
    let name = name.to_owned();
    report.requests.push(RequestReport { name, completed, failed, ..request() });
}

/// What a run of flows has beside: arrivals that are no requests, and checks.
pub(crate) fn with_flows(mut report: Report) -> Report {
    add_name(&mut report, &format!("GET /{}/end", "long".repeat(40)), 110, 3);
    report.requests[1].checks = Checks { passed: 108, failed: 2 };
    report.requests[1].errors.insert("check_failed".to_owned(), 2);
    report.totals.checks = report.requests[1].checks;
    for kind in ["check_failed", "extract_failed", "data_exhausted"] {
        report.errors.insert(kind.to_owned(), 2);
    }
    report.rate.arrivals = Some(49.5);
    report
}
