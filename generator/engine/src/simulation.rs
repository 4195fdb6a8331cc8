//! Whole runs of one core in a simulated network, from seeds. A failure prints its seed.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use brunt_loader::timing::CoreTiming;
use brunt_model::ledger::{Admission, Ledger};
use brunt_model::outcome::ErrorKind;
use brunt_model::plan::{Inputs, Plan, compile};
use brunt_model::scenario::{HttpVersion, Scenario};
use brunt_model::schedule::Arrivals;
use brunt_model::snapshot::Snapshot;
use brunt_model::split::Share;
use brunt_model::tempo::Tempo;
use brunt_model::units::{Nanos, Rate};

use crate::conn::tls::{Material, Setup};
use crate::core_loop::{CoreEnd, CoreLoop, Means};
use crate::io::sim::{Manners, Seen, network};
use crate::io::sim_kernel::Kernel;
use crate::io::sim_tls;
use crate::limits::{QUANTUM_NS, SNAPSHOTS};
use crate::record::Exchange;
use crate::settings::connections_of;
use crate::sight::Data;
use crate::{Controls, Pace};

mod flows;
mod h2;
mod pipelined;
mod replay;
mod retuned;
mod same;
mod stamped;

const ONE: Share = Share { worker: 0, workers: 1, core: 0, cores: 1 };

const ROUGH: Manners = Manners {
    connect_refused: 100,
    connect_lost: 20,
    reset: 50,
    closed_early: 50,
    silent: 20,
    garbage: 20,
    close_after: 100,
    idle_close: 50,
    delay_ns: 20_000_000,
    ..Manners::PERFECT
};

fn plan(change: impl FnOnce(&mut Scenario)) -> Arc<Plan> {
    plan_of(&scenario(change), Vec::new())
}

fn scenario(change: impl FnOnce(&mut Scenario)) -> Scenario {
    scenario_of("http://sim/", change)
}

fn scenario_of(url: &str, change: impl FnOnce(&mut Scenario)) -> Scenario {
    let mut scenario = Scenario::of(url);
    (scenario.load.connections, scenario.load.duration) = (Some(8), Some(Nanos::from_secs(3)));
    scenario.http.connect_timeout = Nanos::from_millis(300);
    scenario.http.first_byte_timeout = Nanos::from_millis(400);
    scenario.http.total_timeout = Nanos::from_millis(500);
    change(&mut scenario);
    scenario
}

fn plan_of(scenario: &Scenario, body: Vec<u8>) -> Arc<Plan> {
    let addresses = vec!["127.0.0.1:80".parse().unwrap(), "127.0.0.2:80".parse().unwrap()];
    Arc::new(compile(scenario, &Inputs { addresses, body, ..Inputs::default() }).unwrap())
}

struct Outcome {
    /// So long after T0, by the number of its call.
    sent: Vec<(u64, u16)>,
    stalled_ns: u64,
    end: CoreEnd,
    seen: Seen,
    ended_at: u64,
    /// What the network kept.
    requests: Vec<Vec<u8>>,
}

/// Runs one core to its end and checks what must hold of every run.
fn simulate(seed: u64, plan: &Arc<Plan>, manners: Manners) -> Outcome {
    simulate_paced(seed, plan, manners, Pace::Efficient)
}

fn simulate_paced(seed: u64, plan: &Arc<Plan>, manners: Manners, pace: Pace) -> Outcome {
    simulate_with(seed, plan, manners, pace, Extra::default())
}

/// What few runs have.
#[derive(Default)]
struct Extra {
    /// Time stamps of the kernel.
    stamped: Option<(Rc<RefCell<Kernel>>, CoreTiming)>,
    late_reads: Nanos,
    /// The dial is set to so many thousandths so long after T0.
    retuned: Option<(Nanos, u16)>,
    /// It is one core of several.
    share: Option<Share>,
}

fn simulate_with(seed: u64, plan: &Arc<Plan>, manners: Manners, pace: Pace, extra: Extra) -> Outcome {
    let share = extra.share.unwrap_or(ONE);
    let (mut driver, clock) = network(seed, manners, connections_of(plan, share) as usize);
    let (kernel, timing) = extra.stamped.unzip();
    driver.kernel = kernel;
    driver.tls = plan.has_tls().then(sim_tls::server);
    let setup = |tls| Setup::new(tls, plan.protocol, &Material::default()).unwrap();
    let tls = plan.targets.iter().map(|target| target.tls.as_ref().map(setup)).collect();
    let world = driver.world.clone();
    let (filled, snapshots) = sync_channel(64);
    let (back, returned) = sync_channel(64);
    let names = plan.request_names().len();
    for _ in 0..SNAPSHOTS + 8 {
        back.send(Box::new(Snapshot::blank(0, 0, names))).unwrap();
    }
    drop(back); // Nobody acknowledges the last snapshot here.
    let exchange = Exchange { seat: 0, filled, returned, reached: Arc::default() };
    let controls = Controls::default();
    let clock = retuned::DialClock { clock, turn: None, dial: controls.dial.clone() };
    let means = Means { driver, clock, tls, timing, late_reads: extra.late_reads, data: Data::default() };
    let mut core = CoreLoop::new(plan, share, pace, means, exchange, controls.clone());
    core.open_ahead();
    let t0 = world.borrow().now + 1_000_000;
    // The wall clock of a run begins with it.
    core.data.wall_at_zero_ns = -i64::try_from(t0).unwrap();
    core.clock.turn = extra.retuned.map(|(after, per_mille)| (t0 + after.0, per_mille));
    let end = core.run(t0);

    let mut ledger = Ledger::new(names);
    let mut stalled_ns = 0;
    for snapshot in snapshots.try_iter() {
        stalled_ns += snapshot.time.stalled_ns;
        assert_eq!(ledger.admit(&snapshot), Admission::Admitted, "seed {seed}");
    }
    assert_eq!(ledger.total(), &end.total, "seed {seed}: the intervals sum to the total");
    let counters = end.total.counters;
    counters
        .check(end.arrivals_in_flight, end.requests_in_flight)
        .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    let tempo = extra.retuned.map_or_else(Tempo::default, |(at, rate)| Tempo::default().changed(at, rate));
    // A load without a time ends with its iterations, which take less than this.
    let duration = tempo.time_of(plan.load.duration().unwrap_or(Nanos::from_secs(60))).0;
    let latest = duration + plan.deadlines.drain.0 + 2 * crate::limits::SWEEP_NS;
    let ended_at = end.ended_at - t0;
    assert!(ended_at <= latest, "seed {seed}: ended {ended_at} ns after T0");
    let requests = std::mem::take(&mut world.borrow_mut().kept);
    let world = world.borrow();
    let sent = world.sent.iter().map(|(at, call)| (at.saturating_sub(t0), *call)).collect();
    Outcome { sent, stalled_ns, end, seen: world.seen, ended_at, requests }
}

/// What a completed count may be, given what the network delivered.
fn check_against_the_network(seed: u64, plan: &Plan, outcome: &Outcome) {
    let (stats, seen) = (&outcome.end.total, outcome.seen);
    let answers = stats.all_requests().answers();
    assert!(answers <= seen.answers, "seed {seed}: {answers} answers counted, {} delivered", seen.answers);
    assert_eq!(stats.counters.connections_opened, seen.connected, "seed {seed}");
    assert!(stats.counters.bytes_in <= seen.bytes, "seed {seed}");
    assert!(answers <= seen.requests, "seed {seed}: {answers} answers to {} requests", seen.requests);
    assert_eq!(
        stats.counters.bytes_out,
        seen.requests * plan.script.first().wire.len() as u64,
        "seed {seed}"
    );
}

#[test]
fn a_perfect_network_answers_everything() {
    for seed in 0..20 {
        let outcome = simulate(seed, &plan(|_| {}), Manners::PERFECT);
        let counters = outcome.end.total.counters;
        assert!(counters.completed > 1_000, "seed {seed}: {counters:?}");
        assert_eq!((counters.failed, outcome.end.requests_in_flight), (0, 0), "seed {seed}");
        assert_eq!(counters.completed, outcome.seen.answers, "seed {seed}");
        assert_eq!(counters.bytes_in, outcome.seen.bytes, "seed {seed}");
        assert_eq!(counters.connections_opened, 8, "seed {seed}: connections are kept");
    }
}

#[test]
fn a_rough_network_is_accounted_for_to_the_request() {
    for seed in 0..60 {
        let closed = plan(|_| {});
        check_against_the_network(seed, &closed, &simulate(seed, &closed, ROUGH));
        let open = plan(|s| s.load.rate = Some(Rate::per_second(700)));
        check_against_the_network(seed, &open, &simulate(seed, &open, ROUGH));
        let poisson = plan(|s| {
            s.load.rate = Some(Rate::per_second(900));
            s.load.arrivals = Arrivals::Poisson;
            s.load.max_connections = Some(16);
            s.load.max_backlog = Some(20);
            s.http.keep_alive = false;
        });
        check_against_the_network(seed, &poisson, &simulate(seed, &poisson, ROUGH));
    }
}

#[test]
fn an_open_load_sends_exactly_its_schedule() {
    for seed in 0..5 {
        let plan = plan(|s| s.load.rate = Some(Rate::per_second(500)));
        for (pace, lag_max) in [(Pace::Efficient, QUANTUM_NS + 50_000), (Pace::Precise, 50_000)] {
            let total = simulate_paced(seed, &plan, Manners::PERFECT, pace).end.total;
            assert_eq!(total.counters.scheduled, 1_500, "seed {seed}");
            assert_eq!(total.counters.completed, 1_500, "seed {seed}");
            assert!(total.lag.max() < lag_max, "seed {seed} {pace:?}: lag {}", total.lag.max());
        }
    }
}

#[test]
fn a_request_count_is_kept_exactly() {
    for (seed, requests) in [(1, 1), (2, 3), (3, 1_000)] {
        let plan = plan(|s| {
            s.load.requests = Some(requests);
            s.load.duration = Some(Nanos::from_secs(60));
        });
        assert_eq!(simulate(seed, &plan, ROUGH).end.total.counters.started, requests);
    }
}

#[test]
fn a_silent_peer_ends_at_the_deadlines() {
    let manners = Manners { silent: 1_000, ..Manners::PERFECT };
    let outcome = simulate(1, &plan(|s| s.load.requests = Some(8)), manners);
    let request = &outcome.end.total.requests[0];
    assert_eq!(request.errors[ErrorKind::TimeoutFirstByte.index()], 8);
    let took = request.response_failed.max();
    assert!((400_000_000..420_000_000).contains(&took), "{took}");
}

#[test]
fn a_peer_that_cannot_be_reached_ends_the_run_early() {
    for (kind, manners) in [
        (ErrorKind::ConnectRefused, Manners { connect_refused: 1_000, ..Manners::PERFECT }),
        (ErrorKind::ConnectTimeout, Manners { connect_lost: 1_000, ..Manners::PERFECT }),
    ] {
        let outcome = simulate(1, &plan(|s| s.load.duration = Some(Nanos::from_secs(60))), manners);
        let counters = outcome.end.total.counters;
        assert!(counters.failed > 0 && counters.completed == 0, "{counters:?}");
        assert_eq!(outcome.end.total.requests[0].errors[kind.index()], counters.failed);
        assert!(outcome.ended_at < 5_000_000_000, "{kind:?}: ended after {} ns", outcome.ended_at);
    }
}

#[test]
fn too_few_connections_drop_arrivals_and_say_so() {
    let manners = Manners { delay_ns: 100_000_000, ..Manners::PERFECT };
    let plan = plan(|s| {
        s.load.rate = Some(Rate::per_second(1_000));
        s.load.connections = Some(1);
        s.load.max_connections = Some(1);
        s.load.max_backlog = Some(10);
    });
    let end = simulate(5, &plan, manners).end;
    assert!(end.total.counters.dropped > 2_000, "{:?}", end.total.counters);
    assert!(end.late_for_connections > 0, "those that waited for the one connection are late for it");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let total = simulate(seed, &plan(|s| s.load.rate = Some(Rate::per_second(700))), ROUGH).end.total;
        (total.counters, total.requests[0].response().quantile(0.9))
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn warm_up_is_counted_but_not_measured() {
    let plan = plan(|s| {
        s.load.rate = Some(Rate::per_second(500));
        s.warmup = Nanos::from_secs(1);
    });
    let total = simulate(3, &plan, Manners::PERFECT).end.total;
    assert_eq!((total.counters.completed, total.counters.measured), (1_500, 1_000));
    assert_eq!(total.requests[0].ended(), 1_000);
}

#[test]
fn a_count_of_poisson_arrivals_is_kept_and_waiting_for_the_last_is_no_stall() {
    for seed in 0..30 {
        let plan = plan(|s| {
            s.load.rate = Some(Rate::per_second(200));
            s.load.arrivals = Arrivals::Poisson;
            s.load.requests = Some(100);
            s.load.duration = None;
            s.seed = seed;
        });
        for pace in [Pace::Efficient, Pace::Precise] {
            let outcome = simulate_paced(seed, &plan, Manners::PERFECT, pace);
            assert_eq!(outcome.end.total.counters.scheduled, 100, "seed {seed} {pace:?}");
            assert_eq!(outcome.stalled_ns, 0, "seed {seed} {pace:?}: nothing holds a simulated core up");
        }
    }
}

#[test]
fn a_server_that_falls_silent_at_the_end_is_judged_for_it() {
    let manners = Manners { silent: 1_000, ..Manners::PERFECT };
    let patient = |s: &mut Scenario| {
        s.http.first_byte_timeout = Nanos::from_secs(30);
        s.http.total_timeout = Nanos::from_secs(60);
    };
    let open = plan(|s| {
        patient(s);
        s.load.rate = Some(Rate::per_second(100));
    });
    for (plan, requests) in [(plan(patient), 8), (open, 300)] {
        let end = simulate(1, &plan, manners).end;
        assert_eq!(end.total.requests[0].errors[ErrorKind::TimeoutTotal.index()], requests);
        assert_eq!((end.requests_in_flight, end.arrivals_in_flight), (0, 0));
        assert!(end.total.requests[0].response_failed.max() >= 10_000_000_000, "with the time they took");
    }
}
