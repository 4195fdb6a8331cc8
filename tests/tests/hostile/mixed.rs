//! A good target and the whole zoo on one core: what hostile servers do to one run must not show in another.

use std::time::Duration;

use brunt_tests::brunt::{Brunt, Measured};
use brunt_tests::clean::quiet;
use brunt_tests::cpu_share::CpuShare;
use brunt_tests::origin::Origin;
use brunt_tests::process::Running;
use brunt_tests::zoo::{Case, Keeper, Protocol};
use brunt_tests::{clock, long, turn};

use super::zoo;

/// Of one core, for all hostile servers together.
const ZOO_SHARE_PERCENT: u32 = 10;
const CONNECTIONS_PER_CASE: u32 = 10;
/// What the zoo may add to the good run's service time at the 99th percentile.
const ADDED_NS_MAX: u64 = 1_000_000;

#[test]
fn hostile_servers_do_not_harm_a_good_run_on_the_same_core() {
    let _turn = turn();
    let origin = Origin::start("");
    let solo = quiet(|| good(&origin).finish());
    let keeper = zoo();
    let share = CpuShare::hold(keeper.pid(), ZOO_SHARE_PERCENT);
    let run = good(&origin);
    let panics = attack(&keeper, duration());
    let mixed = run.finish();
    report(&solo, &mixed, &share.to_string());
    assert!(panics.is_empty(), "{}", panics.join("\n"));
    for measured in [&solo, &mixed] {
        let failed = measured.report.totals.failed;
        assert!(failed == 0 && measured.report.totals.completed > 0, "{}", measured.story());
    }
    let (before, after) = (service_p99_ns(&solo), service_p99_ns(&mixed));
    // Only a long run on a machine that is left alone says something about times.
    assert!(!long() || after <= before + ADDED_NS_MAX, "p99 {before} ns alone, {after} ns beside the zoo");
}

fn duration() -> Duration {
    Duration::from_secs(if long() { 60 } else { 5 })
}

/// The good run, under way.
fn good(origin: &Origin) -> brunt_tests::brunt::Measuring {
    let seconds = duration().as_secs();
    let load = format!("run -q 1000 -c 10 -z {seconds}s --warmup 1s --cores 0 {}", origin.url(""));
    Brunt::new(&load).deadline(duration() + Duration::from_secs(20)).start_json()
}

/// Runs against each hostile server in turn until the time is over, and starts again after the last. Returns what
/// panicked.
fn attack(keeper: &Keeper, time: Duration) -> Vec<String> {
    let start = clock::now();
    let mut panics = Vec::new();
    let hostile = keeper.places().iter().filter(|(case, _)| is_hostile(case));
    for (case, url) in hostile.cycle() {
        let left = time.saturating_sub(start.elapsed());
        if left.is_zero() {
            break;
        }
        let ended = against(case, url, &keeper.authority()).finish(Duration::from_secs(20));
        if ended.stderr.contains("panicked at") {
            panics.push(format!("{}\n{}", case.id, ended.story()));
        }
    }
    panics
}

fn is_hostile(case: &Case) -> bool {
    // Uploads need a file, and are about one's own window.
    !case.id.starts_with("T0-") && !case.flags.contains("{body}") && case.protocol != Protocol::TlsHttp2
}

/// Two hundred milliseconds of load, so that a short run meets most of the zoo.
fn against(case: &Case, url: &str, ca: &str) -> Running {
    let flags = case.all_flags(ca, "").join(" ");
    let load = format!("run -c {CONNECTIONS_PER_CASE} -z 200ms --cores 0 {flags} --timeout 500ms {url}");
    Brunt::new(&load).start()
}

fn service_p99_ns(measured: &Measured) -> u64 {
    measured.report.latency.service.p99
}

#[expect(clippy::print_stdout, reason = "this is how a test speaks")]
fn report(solo: &Measured, mixed: &Measured, share: &str) {
    let [solo, mixed] = [solo, mixed].map(|measured| service_p99_ns(measured) / 1_000);
    println!("service time p99 of the good run: {solo} us alone, {mixed} us beside the zoo ({share})");
}
