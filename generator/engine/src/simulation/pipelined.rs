//! Runs with pipelined HTTP/1.1, and beside a peer that floods, in the simulated network.

use super::*;
use crate::limits::TURN_BYTES;

fn plan_pipelined(change: impl FnOnce(&mut Scenario)) -> Arc<Plan> {
    plan(|s| {
        s.http.pipeline = Some(4);
        change(s);
    })
}

#[test]
fn a_perfect_network_answers_everything() {
    for seed in 0..20 {
        let outcome = simulate(seed, &plan_pipelined(|_| {}), Manners::PERFECT);
        let counters = outcome.end.total.counters;
        assert!(counters.completed > 1_000, "seed {seed}: {counters:?}");
        assert_eq!((counters.failed, outcome.end.requests_in_flight), (0, 0), "seed {seed}");
        assert_eq!(counters.completed, outcome.seen.answers, "seed {seed}");
        assert_eq!(counters.connections_opened, 8, "seed {seed}: connections are kept");
    }
}

#[test]
fn a_rough_network_is_accounted_for_to_the_request() {
    for seed in 0..60 {
        for rate in [None, Some(Rate::per_second(900))] {
            let plan = plan_pipelined(|s| s.load.rate = rate);
            let outcome = simulate(seed, &plan, ROUGH);
            let (stats, seen) = (&outcome.end.total, outcome.seen);
            let answers: u64 = stats.requests[0].statuses.iter().sum();
            assert!(answers <= seen.answers, "seed {seed}: {answers} counted, {} delivered", seen.answers);
            assert_eq!(stats.counters.connections_opened, seen.connected, "seed {seed}");
            assert!(stats.counters.bytes_in <= seen.bytes, "seed {seed}");
            // Of a connection that ends some requests are never written.
            let written = seen.requests * plan.script.first().wire.len() as u64;
            assert!(stats.counters.bytes_out >= written, "seed {seed}");
        }
    }
}

#[test]
fn a_peer_that_floods_leaves_the_others_their_turn() {
    for seed in 0..10 {
        for pipeline in [1, 4] {
            let plan = plan(|s| {
                s.http.pipeline = Some(pipeline);
                s.load.duration = Some(Nanos::from_secs(1));
            });
            let outcome = simulate(seed, &plan, Manners { flooder: true, ..Manners::PERFECT });
            let (seen, counters) = (outcome.seen, outcome.end.total.counters);
            assert!(seen.bytes > 100 << 20, "seed {seed}: a flood of {} bytes", seen.bytes);
            assert!(seen.passed_over_max <= TURN_BYTES as u64, "seed {seed}: {seen:?}");
            assert!(counters.completed > 1_000, "seed {seed}: {counters:?}");
        }
    }
}

/// A server that ignores `Expect` waits for the body, and says nothing that could have started a timer.
#[test]
fn a_body_does_not_wait_for_ever_to_be_asked_for() {
    check_uploads(1, 1, true);
    check_uploads(4, 1, true);
}

/// A socket that takes all that a connection may gather at once has no reason to report later that it has room.
#[test]
fn long_request_bodies_are_sent_whole() {
    check_uploads(4, 200_000, false);
    check_uploads(2, 70_000, false);
}

fn check_uploads(pipeline: u32, body: usize, expect_continue: bool) {
    let scenario = scenario(|s| {
        (s.http.pipeline, s.http.expect_continue) = (Some(pipeline), expect_continue);
        (s.http.first_byte_timeout, s.http.total_timeout) = (Nanos::from_secs(9), Nanos::from_secs(9));
        (s.load.requests, s.load.duration) = (Some(40), Some(Nanos::from_secs(30)));
    });
    let plan = plan_of(&scenario, vec![b'x'; body]);
    let manners = Manners { request_bytes: plan.script.first().wire.len(), ..Manners::PERFECT };
    let outcome = simulate(1, &plan, manners);
    let counters = outcome.end.total.counters;
    assert_eq!((counters.completed, counters.failed), (40, 0), "{pipeline} {body} {expect_continue}");
    assert_eq!(counters.bytes_out, outcome.seen.written);
}

/// An answer to a request that is not sent yet is none.
#[test]
fn answers_that_come_twice_do_not_answer_what_was_not_asked() {
    for seed in 0..60 {
        let manners = Manners { twice: 200, delay_ns: 200_000, ..Manners::PERFECT };
        let plan = plan(|s| s.load.duration = Some(Nanos::from_millis(300)));
        let outcome = simulate(seed, &plan, manners);
        let answers: u64 = outcome.end.total.requests[0].statuses.iter().sum();
        let requests = outcome.seen.requests;
        assert!(answers <= requests, "seed {seed}: {answers} answers to {requests} requests");
    }
}
