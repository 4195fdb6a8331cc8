//! Runs of users with flows of several requests, waits and ways, in the simulated network.

use brunt_model::expr::{Escape, Expr, Stage, Value};
use brunt_model::plan::{ClosedShape, Endpoint, Load, Target};
use brunt_model::script::call::{Call, Draft, Piece};
use brunt_model::script::{Flow, Op, Span};
use brunt_model::users::Users;

use super::*;
use crate::io::sim_h2;

const MS: u64 = 1_000_000;

fn span(from: u64, to: u64) -> Span {
    Span { from: Nanos(from * MS), to: Nanos(to * MS) }
}

fn flow(weight: u32, steps: Vec<Op>) -> Flow {
    Flow { name: "flow".to_owned(), weight, pacing: None, ends_on_error: false, steps, feeders: Vec::new() }
}

/// Three requests of the same length and names of their own.
fn scripted(flows: Vec<Flow>, change: impl FnOnce(&mut Scenario)) -> Arc<Plan> {
    let mut plan = Arc::unwrap_or_clone(plan(change));
    let first = plan.script.calls[0].clone();
    for name in 0..3 {
        plan.script.calls.push(Call { name, ..first.clone() });
        plan.script.names.push(format!("request {name}"));
    }
    plan.script.calls.remove(0);
    plan.script.names.remove(0);
    plan.script.flows = flows;
    Arc::new(plan)
}

fn ended(outcome: &Outcome) -> Vec<u64> {
    outcome.end.total.requests.iter().map(brunt_model::snapshot::RequestStats::ended).collect()
}

/// Two of the first to one of the others, thinking in between.
fn shop() -> Vec<Flow> {
    let browse = vec![Op::Call(0), Op::Think(span(5, 15)), Op::Call(0)];
    let buy = vec![Op::Call(1), Op::Draw(vec![(1, 2), (4, 4)]), Op::Call(2), Op::Jump(4)];
    vec![flow(3, browse), flow(1, buy)]
}

#[test]
fn every_step_of_every_flow_is_taken() {
    for (seed, open) in (0..10).flat_map(|seed| [(seed, false), (seed, true)]) {
        let plan = scripted(shop(), |s| {
            s.seed = seed;
            if open {
                s.load.rate = Some(Rate::per_second(400));
            } else {
                (s.load.requests, s.load.duration) = (Some(1_200), Some(Nanos::from_secs(60)));
            }
        });
        let outcome = simulate(seed, &plan, Manners::PERFECT);
        let (counters, ended) = (outcome.end.total.counters, ended(&outcome));
        assert_eq!((counters.scheduled, counters.finished), (1_200, 1_200), "seed {seed} {open}");
        assert_eq!(outcome.end.arrivals_in_flight, 0, "seed {seed}: an arrival is carried to its end");
        // Nine hundred of 1,200 browse, and a quarter of those who buy do it to the end.
        let [browsed, bought, paid] = ended[..] else { panic!("three names") };
        assert_eq!((browsed / 2 + bought, browsed % 2), (1_200, 0), "seed {seed} {open}: {ended:?}");
        assert!((220..380).contains(&bought) && (40..120).contains(&paid), "seed {seed} {open}: {ended:?}");
    }
}

#[test]
fn iterations_are_the_same_whoever_makes_them() {
    let of = |seed, connections, rate: Option<u64>| {
        let plan = scripted(shop(), |s| {
            (s.load.requests, s.load.duration) = (Some(600), Some(Nanos::from_secs(60)));
            s.load.rate = rate.map(Rate::per_second);
            s.load.connections = Some(connections);
        });
        ended(&simulate(seed, &plan, Manners::PERFECT))
    };
    assert_eq!(of(1, 8, None), of(2, 3, None));
    assert_eq!(of(1, 8, None), of(3, 8, Some(300)));
}

#[test]
fn a_rough_network_is_accounted_for_to_the_request() {
    for seed in 0..15 {
        for (rate, streams) in [(None, None), (Some(200), None), (None, Some(4)), (Some(200), Some(4))] {
            for ends_on_error in [false, true] {
                let flows = shop().into_iter().map(|flow| Flow { ends_on_error, ..flow }).collect();
                let plan = scripted(flows, |s| {
                    s.load.rate = rate.map(Rate::per_second);
                    if let Some(streams) = streams {
                        (s.http.version, s.http.streams) = (HttpVersion::Http2, Some(streams));
                    }
                });
                let manners = if streams.is_some() { h2::manners(h2::ROUGH_H2) } else { ROUGH };
                let outcome = simulate(seed, &plan, manners);
                assert!(
                    outcome.end.total.counters.finished > 20,
                    "seed {seed}: {:?}",
                    outcome.end.total.counters
                );
                if streams.is_none() {
                    check_against_the_network(seed, &plan, &outcome);
                }
            }
        }
    }
}

/// Two requests to the first target and one to another, at once or one after the other.
fn spread(at_once: bool, change: impl FnOnce(&mut Scenario)) -> Arc<Plan> {
    let steps = if at_once { vec![Op::Parallel(0, 3)] } else { (0..3).map(Op::Call).collect() };
    let mut plan = Arc::unwrap_or_clone(scripted(vec![flow(1, steps)], change));
    let other = Target { name: "other".to_owned(), endpoints: 2..3, ..plan.targets[0].clone() };
    plan.targets.push(other);
    plan.endpoints.push(Endpoint::Ip("127.0.0.3:80".parse().unwrap()));
    plan.script.calls[2].target = 1;
    plan.script.calls[1].way = u16::from(at_once);
    Arc::new(plan)
}

#[test]
fn requests_at_once_have_connections_or_streams_of_their_own() {
    let seen = |at_once, streams: Option<u32>, rate: Option<u64>| {
        let plan = spread(at_once, |s| {
            if let Some(streams) = streams {
                (s.http.version, s.http.streams) = (HttpVersion::Http2, Some(streams));
            }
            (s.load.rate, s.load.connections) = (rate.map(Rate::per_second), Some(4));
            s.load.max_connections = rate.map(|_| 4);
        });
        let manners =
            if streams.is_some() { h2::manners(sim_h2::Manners::PERFECT) } else { Manners::PERFECT };
        let outcome = simulate(1, &plan, manners);
        let (counters, ended) = (outcome.end.total.counters, ended(&outcome));
        assert_eq!(counters.failed, 0, "{at_once} {streams:?} {rate:?}");
        assert!(ended.iter().max().unwrap() - ended.iter().min().unwrap() <= 8, "{ended:?}");
        (counters.finished, counters.connections_opened)
    };
    let (one_by_one, opened) = seen(false, None, None);
    assert_eq!(opened, 8, "each user has a connection to each target");
    let (at_once, opened) = seen(true, None, None);
    assert_eq!(opened, 12, "and another for the second request to the first target");
    assert!(at_once > one_by_one * 2, "{at_once} iterations, {one_by_one} one by one");
    let (streamed, opened) = seen(true, Some(2), None);
    assert_eq!(opened, 8, "two users of each connection have their streams on it");
    let (one_by_one, _) = seen(false, Some(2), None);
    assert!(streamed > one_by_one * 2, "{streamed} iterations over streams, {one_by_one} one by one");
    let (arrived, opened) = seen(true, None, Some(100));
    assert_eq!(arrived, 300, "each arrival is carried to its end");
    assert!(opened <= 12, "{opened} connections");
}

#[test]
fn a_rough_network_is_accounted_for_to_each_of_the_requests_at_once() {
    for seed in 0..20 {
        for (rate, streams) in [(None, None), (Some(100), None), (None, Some(3)), (Some(100), Some(3))] {
            let plan = spread(true, |s| {
                s.load.rate = rate.map(Rate::per_second);
                if let Some(streams) = streams {
                    (s.http.version, s.http.streams) = (HttpVersion::Http2, Some(streams));
                }
            });
            let manners = if streams.is_some() { h2::manners(h2::ROUGH_H2) } else { ROUGH };
            let outcome = simulate(seed, &plan, manners);
            let counters = outcome.end.total.counters;
            assert!(counters.finished > 10, "seed {seed} {rate:?} {streams:?}: {counters:?}");
            if streams.is_none() {
                check_against_the_network(seed, &plan, &outcome);
            }
        }
    }
}

#[test]
fn thinking_is_waited_for_and_is_nobodys_delay() {
    let steps = vec![Op::Call(0), Op::Think(span(100, 100)), Op::Call(1), Op::Think(span(50, 50))];
    let plan = scripted(vec![flow(1, steps)], |s| s.load.connections = Some(1));
    let outcome = simulate(1, &plan, Manners::PERFECT);
    let total = &outcome.end.total;
    let rounds = total.counters.finished;
    assert!((18..=20).contains(&rounds), "some 150 ms and two answers each in 3 s: {rounds}");
    assert!(total.lag.max() < MS, "lag {}", total.lag.max());
    assert!(total.all_requests().response().max() < 20 * MS, "nobody waits for a user that thinks");
}

/// A flow, with the second request once before and the third once after all iterations of a user.
fn framed(steps: Vec<Op>, change: impl FnOnce(&mut Scenario)) -> Arc<Plan> {
    let mut plan = Arc::unwrap_or_clone(scripted(vec![flow(1, steps)], change));
    plan.script.on_start = vec![Op::Call(1)];
    plan.script.on_stop = vec![Op::Think(span(1, 20)), Op::Call(2)];
    Arc::new(plan)
}

#[test]
fn each_user_does_once_what_comes_first_and_last() {
    let check = |steps: Vec<Op>, manners, change: &dyn Fn(&mut Scenario), users| {
        let outcome = simulate(1, &framed(steps, change), manners);
        let ended = ended(&outcome);
        assert_eq!(ended[1..], [users, users], "{ended:?} {:?}", outcome.end.total.counters);
        (ended[0], outcome)
    };
    let busy = || vec![Op::Call(0)];
    let (iterations, _) = check(busy(), Manners::PERFECT, &|_| {}, 8);
    assert!(iterations > 1_000, "{iterations}");
    let thinking = vec![Op::Call(0), Op::Think(span(60_000, 60_000))];
    let (_, outcome) = check(thinking, Manners::PERFECT, &|_| {}, 8);
    assert!(outcome.ended_at < 3_200 * MS, "nobody is waited for but the last: {}", outcome.ended_at);
    assert_eq!(outcome.end.arrivals_in_flight, 8, "their iterations were cut off");
    let counted = |s: &mut Scenario| s.load.requests = Some(100);
    assert_eq!(check(busy(), Manners::PERFECT, &counted, 8).0, 100);
    let open = |s: &mut Scenario| s.load.rate = Some(Rate::per_second(50));
    let (iterations, outcome) = check(busy(), Manners::PERFECT, &open, 150);
    assert_eq!((iterations, outcome.end.total.counters.finished), (150, 150), "an arrival is a user");
    for seed in 0..20 {
        let outcome = simulate(seed, &framed(busy(), |_| {}), ROUGH);
        assert!(ended(&outcome)[2] <= 8, "seed {seed}: nobody comes twice to the end");
    }
}

#[test]
fn users_that_left_before_the_end_come_to_their_own() {
    let mut plan = Arc::unwrap_or_clone(framed(vec![Op::Call(0)], |_| {}));
    // All leave at once, and the load ends while they think about the last request.
    plan.script.on_stop[0] = Op::Think(span(2_900, 3_100));
    let Load::Closed { shape, .. } = &mut plan.load else { panic!("a closed load") };
    let users = Users::default().then(8, 8, Nanos::from_secs(3));
    *shape = Some(ClosedShape { users, per_user: Some(1) });
    let outcome = simulate(1, &Arc::new(plan), Manners::PERFECT);
    assert_eq!(ended(&outcome), [8, 8, 8]);
    assert!(outcome.ended_at < 3_300 * MS, "and nobody waits for longer: {}", outcome.ended_at);
}

#[test]
fn places_of_connections_are_not_lost_where_the_target_is_now_and_then_gone() {
    for seed in 0..10 {
        let plan = spread(true, |s| {
            (s.load.rate, s.load.duration) = (Some(Rate::per_second(20)), Some(Nanos::from_secs(60)));
            (s.load.max_connections, s.load.max_backlog) = (Some(3), Some(100));
        });
        let outcome = simulate(seed, &plan, ROUGH);
        let counters = outcome.end.total.counters;
        assert!(counters.finished > 600, "seed {seed}: {counters:?}");
        let late = outcome.end.total.all_requests().response().max();
        assert!(late < 20_000 * MS, "seed {seed}: an arrival waited for {late} ns");
    }
}

#[test]
fn what_is_to_be_told_is_told_by_the_first_user() {
    let of = |text: usize| {
        let steps = vec![Op::Set(0, constant("7")), Op::Call(0)];
        let mut plan = Arc::unwrap_or_clone(scripted(vec![flow(1, steps)], |s| s.load.requests = Some(1)));
        plan.script.variables = vec!["number".to_owned(), "global".to_owned()];
        plan.script.globals = vec![(1, Value::Text("x".repeat(text).into()))];
        plan.script.tells = vec![0, 1];
        simulate(1, &Arc::new(plan), Manners::PERFECT).end.told
    };
    assert_eq!(of(3), [Value::Int(7), Value::Text("xxx".into())]);
    assert_eq!(of(2 << 20), [], "what is too long is not told");
}

fn constant(source: &str) -> Expr {
    Expr::compile(source, &NoNames, Stage::Request).unwrap()
}

#[test]
fn pacing_keeps_iterations_apart() {
    let paced = Flow { pacing: Some(span(200, 200)), ..flow(1, vec![Op::Call(0)]) };
    let plan = scripted(vec![paced], |s| s.load.connections = Some(4));
    let total = simulate(1, &plan, Manners::PERFECT).end.total;
    assert_eq!(total.counters.finished, 4 * 15, "each user begins every 200 ms for 3 s");
}

#[test]
fn a_flow_that_sends_nothing_takes_no_core() {
    let plan = scripted(vec![flow(1, vec![Op::Jump(1)]), flow(1, vec![Op::Call(0)])], |_| {});
    let total = simulate(1, &plan, Manners::PERFECT).end.total;
    assert!(total.counters.completed > 300, "{:?}", total.counters);
}

#[test]
fn a_closed_user_stops_where_it_stands() {
    let plan = scripted(vec![flow(1, vec![Op::Call(0), Op::Think(span(60_000, 60_000))])], |_| {});
    let outcome = simulate(1, &plan, Manners::PERFECT);
    assert_eq!((outcome.end.arrivals_in_flight, outcome.end.requests_in_flight), (8, 0));
    assert!(outcome.ended_at < 3_100 * MS, "nobody waits for them: {}", outcome.ended_at);
}

/// An iteration that goes round and round is ended, and the result says why; others go on.
#[test]
fn a_flow_without_end_fails_by_name() {
    for rate in [None, Some(20)] {
        let plan = scripted(vec![flow(1, vec![Op::Jump(0), Op::Call(0)])], |s| {
            s.load.rate = rate.map(Rate::per_second);
            (s.load.requests, s.load.duration) = (Some(5), Some(Nanos::from_secs(60)));
        });
        let total = simulate(1, &plan, Manners::PERFECT).end.total;
        let (counters, errors) = (total.counters, &total.requests[0].errors);
        assert_eq!(
            errors[ErrorKind::StepLimit.index()],
            counters.measured_scheduled,
            "{rate:?}: {counters:?}"
        );
        assert_eq!((counters.failed, counters.failed_arrivals, counters.completed), (5, 5, 0), "{rate:?}");
    }
}

/// What cannot be filled in is no reason to go round and round within one call.
#[test]
fn requests_that_cannot_be_made_fail_one_after_the_other() {
    for rate in [None, Some(2_000)] {
        let mut plan = Arc::unwrap_or_clone(scripted(vec![flow(1, vec![Op::Call(0)])], |s| {
            s.load.rate = rate.map(Rate::per_second);
            s.load.max_connections = rate.map(|_| 4);
        }));
        let missing = constant("null + 1");
        let piece = Piece::Slot(missing, Escape::None);
        plan.script.calls[0].draft = Some(Draft {
            head: vec![piece],
            fields: Vec::new(),
            body: Vec::new(),
            has_body: false,
            signer: None,
        });
        let outcome = simulate(1, &Arc::new(plan), Manners::PERFECT);
        let counters = outcome.end.total.counters;
        assert!(counters.failed > 1_000 && counters.completed == 0, "{rate:?}: {counters:?}");
        assert_eq!(counters.failed, counters.failed_arrivals, "{rate:?}: {counters:?}");
        let errors = &outcome.end.total.requests[0].errors;
        assert_eq!(errors[ErrorKind::ExtractFailed.index()], counters.measured_scheduled, "{rate:?}");
    }
}

struct NoNames;

impl brunt_model::expr::Names for NoNames {
    fn look_up(&self, _: &[&str]) -> Option<(brunt_model::expr::Ref, brunt_model::expr::Type)> {
        None
    }

    fn all(&self) -> Vec<String> {
        Vec::new()
    }
}
