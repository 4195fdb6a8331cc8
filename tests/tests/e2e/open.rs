//! Open loads: the schedule is kept whatever the server does, and a stall of the server cannot hide.

use std::time::Duration;

use brunt_model::report::Report;
use brunt_tests::brunt::{Brunt, measure};
use brunt_tests::nginx::Nginx;
use brunt_tests::{clock, long, turn};
use rustix::process::Signal;

use crate::IO;

const MS: u64 = 1_000_000;

#[test]
fn an_open_run_sends_what_was_scheduled() {
    let _turn = turn();
    let Some(nginx) = Nginx::start_or_skip("an_open_run_sends_what_was_scheduled") else { return };
    for (args, scheduled, rate) in [
        ("-q 500 -z 3s --io uring", 1_500, 500.0),
        ("-q 500 -z 3s --io epoll --pace efficient", 1_500, 500.0),
        ("-q 1000 -n 1500", 1_500, 1_000.0),
        ("-q 2000 -z 1s -c 8 --max-connections 8", 2_000, 2_000.0),
    ] {
        let before = nginx.logged().len();
        let measured = measure(&format!("{args} {}", nginx.url("100")));
        let report = &measured.expect_counts(0).expect_errors(&[]).report;
        let t = &report.totals;
        let counts = (t.scheduled, t.finished, t.dropped, t.in_flight, t.completed);
        assert_eq!(counts, (scheduled, scheduled, 0, 0, scheduled), "{args}\n{}", measured.story());
        assert_eq!((nginx.logged().len() - before) as u64, scheduled, "{args}\n{}", measured.story());
        let (target, achieved) = (report.rate.target.unwrap_or(0.0), report.rate.achieved);
        assert!((target / rate - 1.0).abs() < 0.001, "{args}: target {target}");
        assert!(
            (achieved / rate - 1.0).abs() < 0.01,
            "{args}: achieved {achieved} of {rate}\n{}",
            measured.story()
        );
    }
}

#[test]
fn poisson_arrivals_are_repeated_by_their_seed() {
    let _turn = turn();
    let Some(nginx) = Nginx::start_or_skip("poisson_arrivals_are_repeated_by_their_seed") else { return };
    let scheduled = |seed: u32| {
        let measured =
            measure(&format!("-q 1000 -z 1s --arrivals poisson --seed {seed} {}", nginx.url("100")));
        measured.report.totals.scheduled
    };
    let (one, again, other) = (scheduled(1), scheduled(1), scheduled(2));
    assert_eq!(one, again);
    assert_ne!(one, other, "two seeds may agree by chance, once in some eighty pairs; these two do not");
    assert!((800..1_200).contains(&one), "{one} arrivals of about 1000");
}

/// The server is frozen for one second. Requests go on being sent; each waits for the rest of that second. With
/// uniform arrivals a share of `1 s / length` of all responses takes 0..1 s, evenly spread.
#[test]
fn a_frozen_server_cannot_hide() {
    let _turn = turn();
    let Some(nginx) = Nginx::start_or_skip("a_frozen_server_cannot_hide") else { return };
    let seconds = if long() { 10 } else { 5 };
    for io in IO {
        let before = nginx.logged().len();
        let args = format!("run -q 500 -z {seconds}s --io {io} {}", nginx.url("100"));
        let started = Brunt::new(&args).start_json();
        let warm = before + 500;
        clock::until("500 requests in the log", Duration::from_secs(10), || {
            (nginx.lines_now() >= warm).then_some(())
        });
        nginx.signal_all(Signal::STOP);
        // Not a condition waited for: this is the fault itself.
        std::thread::sleep(Duration::from_secs(1));
        nginx.signal_all(Signal::CONT);
        let measured = started.finish();
        let report = &measured.expect_counts(0).expect_errors(&[]).report;
        assert_eq!(report.totals.completed, 500 * seconds, "{}", measured.story());
        assert_eq!((nginx.logged().len() - before) as u64, 500 * seconds, "a request was lost on the way");
        check_stall(report, seconds);
    }
}

fn check_stall(report: &Report, seconds: u64) {
    let (response, service) = (&report.latency.response, &report.latency.service);
    // The slowest 1 % are those that were sent in the first tenth (of 10 s) or twentieth (of 5 s) of the stall.
    let p99_at_least = if seconds >= 10 { 850 * MS } else { 920 * MS };
    for (name, latency) in [("response", response), ("service", service)] {
        assert!(latency.p99 >= p99_at_least, "{name} p99 {} ns", latency.p99);
        assert!(latency.max >= 950 * MS, "{name} max {} ns", latency.max);
        assert!(latency.p50 < 100 * MS, "{name} p50 {} ns: only the stall is slow", latency.p50);
    }
    if seconds < 10 {
        // A fifth of the run was stalled: its slower half is the slowest tenth of all.
        assert!((400 * MS..650 * MS).contains(&response.p90), "response p90 {} ns", response.p90);
    }
    assert!(
        report.latency.lag.p99 < 100 * MS,
        "the stall is the server's, not lag: {} ns",
        report.latency.lag.p99
    );
    assert_eq!(report.timeline.iter().map(|row| row.errors).sum::<u64>(), 0);
    assert!(report.timeline.iter().any(|row| row.p99 >= 900 * MS), "the stall shows in its second");
}

/// What is intended during the warm-up is sent and counted, but not measured.
#[test]
fn a_warm_up_is_not_measured() {
    let _turn = turn();
    let Some(nginx) = Nginx::start_or_skip("a_warm_up_is_not_measured") else { return };
    let before = nginx.logged().len();
    let measured = measure(&format!("-q 500 -z 2s --warmup 1s {}", nginx.url("100")));
    let report = &measured.report;
    assert_eq!(report.totals.completed, 1_000, "{}", measured.story());
    assert_eq!(nginx.logged().len() - before, 1_000);
    assert_eq!(report.latency.response.count, 500, "{}", measured.story());
    assert_eq!(report.status.get("200"), Some(&500));
    assert!(
        (report.rate.achieved / 500.0 - 1.0).abs() < 0.01,
        "achieved {}\n{}",
        report.rate.achieved,
        measured.story()
    );
}
