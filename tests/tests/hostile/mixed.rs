//! A good target and the whole zoo on one core: what hostile servers do to one run must not show in another.

use std::collections::BTreeMap;
use std::time::Duration;

use brunt_tests::brunt::{Brunt, Measured, Measuring};
use brunt_tests::clean::quiet;
use brunt_tests::cpu_share::CpuShare;
use brunt_tests::origin::Origin;
use brunt_tests::process::Running;
use brunt_tests::zoo::{Case, Keeper};
use brunt_tests::{clock, long, turn};

use super::{is_chosen, zoo};

/// Of one core, for all hostile servers together.
const ZOO_SHARE_PERCENT: u32 = 10;
const CONNECTIONS_PER_CASE: u32 = 10;
/// What the zoo may add to the good run's service time at the 99th percentile.
const ADDED_NS_MAX: u64 = 1_000_000;
/// Exit codes of a run that was made, whatever came out.
const MEASURED: [i32; 4] = [0, 3, 4, 7];
const ATTACK_ENDS_WITHIN: Duration = Duration::from_secs(20);

#[test]
fn hostile_servers_do_not_harm_a_good_run_on_the_same_core() {
    let _turn = turn();
    let origin = Origin::start("");
    let keeper = zoo();
    let share = CpuShare::hold(keeper.pid(), ZOO_SHARE_PERCENT);
    let alone = quiet(|| good(&origin).finish());
    // A second process on the core costs time whoever it talks to: this is how much.
    let (beside_good, _) = beside(&origin, &keeper, |case| case.id == "T0-h1");
    let (beside_zoo, faults) = beside(&origin, &keeper, |case| is_hostile(case) && is_chosen(case));
    let runs = [&alone, &beside_good, &beside_zoo];
    report(runs.map(service_p99_ns), &share.to_string());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    for measured in runs {
        let totals = &measured.report.totals;
        assert!(totals.failed == 0 && totals.completed > 0, "{}", measured.story());
    }
    let (before, after) = (service_p99_ns(&alone), service_p99_ns(&beside_zoo));
    // Only a long run on a machine that is left alone says something about times.
    assert!(!long() || after <= before + ADDED_NS_MAX, "p99 {before} ns alone, {after} ns beside the zoo");
}

/// The good run while another process loads these cases; and what went wrong with that process.
fn beside(origin: &Origin, keeper: &Keeper, is_meant: impl Fn(&Case) -> bool) -> (Measured, Vec<String>) {
    let run = good(origin);
    let faults = attack(keeper, duration(), is_meant);
    (run.finish(), faults)
}

fn duration() -> Duration {
    Duration::from_secs(if long() { 60 } else { 5 })
}

/// The good run, under way.
fn good(origin: &Origin) -> Measuring {
    let seconds = duration().as_secs();
    let load = format!("run -q 1000 -c 10 -z {seconds}s --warmup 1s --cores 0 {}", origin.url(""));
    Brunt::new(&load).deadline(duration() + Duration::from_secs(20)).start_json()
}

/// Runs against each of these in turn until the time is over, and starts again after the last. Returns the stories of
/// runs that did not run as they should, each case's once at most.
fn attack(keeper: &Keeper, time: Duration, is_meant: impl Fn(&Case) -> bool) -> Vec<String> {
    let start = clock::now();
    let mut faults = BTreeMap::new();
    let meant: Vec<_> = keeper.places().iter().filter(|(case, _)| is_meant(case)).collect();
    for round in (0..).take_while(|_| !meant.is_empty() && start.elapsed() < time) {
        let (case, url) = meant[spread(round, meant.len())];
        let ended = against(case, url, &keeper.authority()).finish(ATTACK_ENDS_WITHIN);
        if ended.stderr.contains("panicked at") || !ended.code.is_some_and(|code| MEASURED.contains(&code)) {
            faults.insert(case.id, format!("{}\n{}", case.id, ended.story()));
        }
    }
    faults.into_values().collect()
}

/// The case of this round, far from that of the round before: a short run meets some of each kind, a long one all.
fn spread(round: usize, cases: usize) -> usize {
    const STRIDE: usize = 31;
    (round * STRIDE + round / cases) % cases
}

fn is_hostile(case: &Case) -> bool {
    // Uploads need a file, and are about one's own window.
    !case.id.starts_with("T0-") && !case.flags.contains("{body}")
}

/// Two hundred milliseconds of load, so that a minute is enough for the whole zoo.
fn against(case: &Case, url: &str, ca: &str) -> Running {
    let flags = case.all_flags(ca, "").join(" ");
    let load = format!("run -c {CONNECTIONS_PER_CASE} -z 200ms --cores 0 {flags} --timeout 500ms {url}");
    Brunt::new(&load).start()
}

fn service_p99_ns(measured: &Measured) -> u64 {
    measured.report.latency.service.p99
}

#[expect(clippy::print_stdout, reason = "this is how a test speaks")]
fn report(p99_ns: [u64; 3], share: &str) {
    let [alone, beside_good, beside_zoo] = p99_ns.map(|time| time / 1_000);
    println!(
        "service time p99 of the good run, in us: {alone} alone, {beside_good} beside a run against a good"
    );
    println!("server, {beside_zoo} beside the runs against the zoo, which is {share}");
}
