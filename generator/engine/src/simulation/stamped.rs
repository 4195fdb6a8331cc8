//! Runs with time stamps of the kernel, in the simulated network.

use super::*;
use crate::io::sim_h2;
use crate::io::sim_kernel::{Flaw, Speech};

/// Runs `plan` and returns what was counted, and the kernel with the truth.
fn stamped(seed: u64, plan: &Arc<Plan>, manners: Manners, flaw: Flaw) -> (Outcome, Rc<RefCell<Kernel>>) {
    let speech =
        if manners.two.is_some() { Speech::Two } else { Speech::One(plan.script.first().wire.len()) };
    let connections = connections_of(plan, ONE) as usize;
    let (kernel, timing) = Kernel::new(connections, speech, flaw);
    let kernel = Rc::new(RefCell::new(kernel));
    let core = timing.core(0, connections).unwrap();
    let extra = Extra { stamped: Some((kernel.clone(), core)), ..Extra::default() };
    (simulate_with(seed, plan, manners, Pace::Efficient, extra), kernel)
}

/// Every way of having requests under way.
fn kinds(rate: Option<Rate>) -> [(Arc<Plan>, Manners); 7] {
    let one = |url: &str, pipeline, redirects| {
        let change = |s: &mut Scenario| {
            (s.http.pipeline, s.http.redirects) = (Some(pipeline), redirects);
            (s.load.rate, s.load.duration) = (rate, Some(Nanos::from_secs(1)));
            s.tls.insecure = url.starts_with("https");
        };
        (plan_of(&scenario_of(url, change), Vec::new()), Manners::PERFECT)
    };
    let two = |url: &str| {
        let change = |s: &mut Scenario| {
            (s.http.version, s.http.streams) = (HttpVersion::Http2, Some(32));
            (s.load.connections, s.load.rate) = (Some(4), rate);
            s.load.duration = Some(Nanos::from_secs(1));
            s.tls.insecure = url.starts_with("https");
        };
        let manners = Manners { two: Some(sim_h2::Manners::PERFECT), ..Manners::PERFECT };
        (plan_of(&scenario_of(url, change), Vec::new()), manners)
    };
    let (clear, tls) = ("http://sim/", "https://sim/");
    [
        one(clear, 1, None),
        one(clear, 1, Some(5)),
        one(clear, 4, None),
        two(clear),
        one(tls, 1, None),
        one(tls, 4, None),
        two(tls),
    ]
}

#[test]
fn every_request_gets_its_own_times() {
    for seed in 0..3 {
        for rate in [None, Some(Rate::per_second(700))] {
            for (kind, (plan, manners)) in kinds(rate).into_iter().enumerate() {
                let (outcome, kernel) = stamped(seed, &plan, manners, Flaw::None);
                let (total, kernel) = (outcome.end.total, kernel.borrow());
                let case = format!("seed {seed}, {rate:?}, kind {kind}: {:?}", total.counters);
                assert!(total.counters.completed > 300 && total.counters.failed == 0, "{case}");
                assert_eq!(total.counters.kernel_known, total.counters.completed, "{case}");
                assert_eq!(total.requests[0].kernel, kernel.truth, "{case}");
                assert_eq!(total.handshake, kernel.handshakes, "{case}");
                assert_eq!(total.requests[0].dwell.count(), total.counters.completed, "{case}");
                let opened = total.counters.connections_opened;
                assert_eq!(total.counters.syn_retransmits, opened, "{case}");
                assert!(total.counters.retransmits > opened, "{case}");
            }
        }
    }
}

/// No times are known, and most for this reason: what stays unknown is looked for until it is overwritten.
fn check_flaw(kind: usize, flaw: Flaw, overwritten: bool) {
    let (plan, manners) = kinds(None).into_iter().nth(kind).unwrap();
    let counters = stamped(1, &plan, manners, flaw).0.end.total.counters;
    let (gone, missing) = (counters.kernel_overwritten, counters.kernel_missing);
    assert_eq!((counters.kernel_known, gone + missing), (0, counters.completed), "kind {kind} {flaw:?}");
    let other = if overwritten { missing } else { gone };
    assert!(other * 100 <= counters.completed, "kind {kind} {flaw:?}: {counters:?}");
}

#[test]
fn what_the_kernel_does_not_know_is_not_guessed() {
    for kind in 0..7 {
        check_flaw(kind, Flaw::Gone, false);
    }
    for kind in 2..7 {
        check_flaw(kind, Flaw::Reordered, false);
        // Of a write of 32 requests, even the last one's beginning is gone.
        check_flaw(kind, Flaw::Segments(10_000), true);
    }
}

#[test]
fn a_rough_network_gives_no_wrong_times() {
    for seed in 0..6 {
        for (plan, _) in kinds(None).into_iter().take(3) {
            let (outcome, _) = stamped(seed, &plan, ROUGH, Flaw::None);
            let (counters, request) = (outcome.end.total.counters, &outcome.end.total.requests[0]);
            let asked = counters.kernel_known + counters.kernel_overwritten + counters.kernel_missing;
            assert_eq!(asked, counters.completed, "seed {seed}");
            assert!(counters.kernel_known * 10 >= asked * 9, "seed {seed}: {counters:?}");
            // Answers that were slow are pieces of at most 20 ms each, and times out after half a second.
            assert!(request.kernel.max() < 500_000_000, "seed {seed}");
        }
    }
}

#[test]
fn a_reader_made_slow_is_as_late_as_it_is_told() {
    let late = Nanos::from_millis(3);
    for (plan, manners) in kinds(None).into_iter().take(4) {
        let extra = Extra { late_reads: late, ..Extra::default() };
        let outcome = simulate_with(1, &plan, manners, Pace::Efficient, extra);
        let service = &outcome.end.total.requests[0].service;
        assert!(service.count() > 100 && service.min() >= late.0, "{} ns at least", service.min());
    }
}
