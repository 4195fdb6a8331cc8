//! Runs over HTTP/2 in the simulated network.

use super::*;
use crate::io::sim_h2;

pub(super) const ROUGH_H2: sim_h2::Manners = sim_h2::Manners {
    max_streams: Some(3),
    window: 65_535,
    body: 0,
    reset: 30,
    refused: 20,
    goaway: 10,
    flood: 2,
    silent: 10,
    broken: 5,
    delay_ns: 20_000_000,
};

pub(super) fn manners(two: sim_h2::Manners) -> Manners {
    Manners { two: Some(two), ..Manners::PERFECT }
}

/// Two connections, for a second.
fn scenario_h2(streams: u32, change: impl FnOnce(&mut Scenario)) -> Scenario {
    scenario(|s| {
        s.http.version = HttpVersion::Http2;
        s.http.streams = Some(streams);
        (s.load.connections, s.load.duration) = (Some(2), Some(Nanos::from_secs(1)));
        // A hundred that share three streams wait for long.
        (s.http.first_byte_timeout, s.http.total_timeout) = (Nanos::from_secs(1), Nanos::from_secs(3));
        change(s);
    })
}

fn plan_h2(streams: u32, change: impl FnOnce(&mut Scenario)) -> Arc<Plan> {
    plan_of(&scenario_h2(streams, change), Vec::new())
}

fn open_load(scenario: &mut Scenario) {
    scenario.load.rate = Some(Rate::per_second(700));
    scenario.load.max_connections = Some(4);
}

fn errors(outcome: &Outcome) -> Vec<(ErrorKind, u64)> {
    let errors = &outcome.end.total.requests[0].errors;
    ErrorKind::ALL.iter().map(|kind| (*kind, errors[kind.index()])).filter(|(_, count)| *count > 0).collect()
}

/// What holds beside the identities, given what the network delivered.
fn check(seed: u64, plan: &Arc<Plan>, manners: Manners) -> Outcome {
    let outcome = simulate(seed, plan, manners);
    let (stats, seen) = (&outcome.end.total, outcome.seen);
    let answers: u64 = stats.requests[0].statuses.iter().sum();
    assert!(answers <= seen.answers, "seed {seed}: {answers} answers counted, {} delivered", seen.answers);
    assert_eq!(stats.counters.connections_opened, seen.connected, "seed {seed}");
    assert!(stats.counters.bytes_in <= seen.bytes, "seed {seed}");
    outcome
}

#[test]
fn a_perfect_server_answers_everything() {
    for seed in 0..20 {
        for streams in [1, 8, 100] {
            for max_streams in [None, Some(3), Some(100)] {
                let perfect = manners(sim_h2::Manners { max_streams, ..sim_h2::Manners::PERFECT });
                for plan in [plan_h2(streams, |_| {}), plan_h2(streams, open_load)] {
                    let outcome = check(seed, &plan, perfect);
                    let counters = outcome.end.total.counters;
                    assert!(counters.completed > 50, "seed {seed}: {counters:?}");
                    assert_eq!((counters.failed, outcome.end.requests_in_flight), (0, 0), "seed {seed}");
                    assert_eq!(counters.completed, outcome.seen.answers, "seed {seed}");
                    assert_eq!(counters.completed, outcome.seen.requests, "seed {seed}");
                }
            }
        }
    }
}

#[test]
fn a_rough_server_is_accounted_for_to_the_request() {
    for seed in 0..60 {
        for streams in [1, 8, 100] {
            check(seed, &plan_h2(streams, |_| {}), manners(ROUGH_H2));
            check(seed, &plan_h2(streams, open_load), manners(ROUGH_H2));
            let connects = Manners { connect_refused: 100, connect_lost: 20, ..manners(ROUGH_H2) };
            check(seed, &plan_h2(streams, open_load), connects);
        }
    }
}

/// The waiting requests of a connection once were looked through from its first lane on each time, so that those of
/// the first lanes went before all others again and again.
#[test]
fn users_who_share_few_streams_take_turns() {
    let few = sim_h2::Manners { max_streams: Some(2), ..sim_h2::Manners::PERFECT };
    for seed in 0..10 {
        let outcome = check(seed, &plan_h2(16, |_| {}), manners(few));
        let longest = outcome.end.total.requests[0].response().max();
        assert!(longest < 800_000_000, "seed {seed}: somebody waited for {longest} ns");
    }
}

/// A socket that takes all that a connection may gather at once has no reason to report later that it has room. The
/// rest of the body was left lying then, where the server's window did not move.
#[test]
fn long_request_bodies_are_sent_whole() {
    for (seed, window) in [(1, 65_535), (2, 1 << 24), (3, 1_000), (4, 200_000)] {
        let body = 200_000;
        let plan = plan_of(&scenario_h2(4, |s| s.load.requests = Some(40)), vec![b'x'; body]);
        let peer = sim_h2::Manners { window, body, delay_ns: 2_000_000, ..sim_h2::Manners::PERFECT };
        let outcome = check(seed, &plan, manners(peer));
        let counters = outcome.end.total.counters;
        assert_eq!((counters.completed, counters.failed), (40, 0), "window {window}: {:?}", errors(&outcome));
    }
}

#[test]
fn what_a_server_gave_up_as_it_went_is_sent_again() {
    let mut given_up = 0;
    for seed in 0..60 {
        let going = sim_h2::Manners { goaway: 20, ..sim_h2::Manners::PERFECT };
        for plan in [plan_h2(8, |_| {}), plan_h2(8, open_load)] {
            let outcome = check(seed, &plan, manners(going));
            let counters = outcome.end.total.counters;
            let failed = errors(&outcome);
            assert!(
                failed.iter().all(|(kind, _)| *kind == ErrorKind::Goaway),
                "seed {seed}: only servers that went twice cost a request: {failed:?}"
            );
            assert_eq!(outcome.seen.answers, counters.completed, "seed {seed}");
            assert!(counters.connections_opened > 2, "seed {seed}");
            given_up += outcome.seen.requests - counters.completed;
        }
    }
    assert!(given_up > 100, "{given_up} requests were given up");
}

/// Free lanes of a connection that its server was leaving were given to arrivals, which then waited for the last answer
/// on it while other connections had room.
#[test]
fn arrivals_do_not_wait_on_a_connection_that_is_left() {
    let plan = plan_h2(8, |s| {
        s.load.rate = Some(Rate::per_second(100));
        s.load.max_connections = Some(16);
    });
    // One answer in ten does not come, so that a connection that is left lasts until its deadline.
    let going = sim_h2::Manners { goaway: 50, silent: 100, ..sim_h2::Manners::PERFECT };
    for seed in 0..20 {
        let outcome = check(seed, &plan, manners(going));
        let longest = outcome.end.total.requests[0].response_ok.max();
        assert!(longest < 500_000_000, "seed {seed}: an answer took {longest} ns");
    }
}

#[test]
fn each_fault_has_its_name() {
    let one = sim_h2::Manners::PERFECT;
    let cases = [
        (sim_h2::Manners { reset: 1_000, ..one }, ErrorKind::Reset),
        (sim_h2::Manners { refused: 1_000, ..one }, ErrorKind::RefusedStream),
        (sim_h2::Manners { flood: 1_000, ..one }, ErrorKind::Flood),
        (sim_h2::Manners { silent: 1_000, ..one }, ErrorKind::TimeoutFirstByte),
    ];
    for (two, kind) in cases {
        let outcome = check(1, &plan_h2(8, |s| s.load.requests = Some(100)), manners(two));
        assert!(errors(&outcome).iter().any(|(name, count)| *name == kind && *count > 0), "{kind:?}");
    }
}
