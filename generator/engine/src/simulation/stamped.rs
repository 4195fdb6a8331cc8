//! Runs with time stamps of the kernel, in the simulated network.

use super::*;
use crate::io::sim_h2;
use crate::io::sim_kernel::{Flaw, Speech};

/// Runs `plan` and returns what was counted, and the kernel with the truth.
fn stamped(seed: u64, plan: &Arc<Plan>, manners: Manners, flaw: Flaw) -> (Outcome, Rc<RefCell<Kernel>>) {
    let speech = if manners.two.is_some() { Speech::Two } else { Speech::One(plan.request.wire.len()) };
    let connections = connections_of(plan, ONE) as usize;
    let (kernel, timing) = Kernel::new(connections, speech, flaw);
    let kernel = Rc::new(RefCell::new(kernel));
    let core = timing.core(0, connections).unwrap();
    (simulate_with(seed, plan, manners, Pace::Efficient, Some((kernel.clone(), core))), kernel)
}

/// Every way of having requests under way.
fn kinds(rate: Option<Rate>) -> [(Arc<Plan>, Manners); 4] {
    let one = |pipeline, redirects| {
        plan(move |s| {
            (s.http.pipeline, s.http.redirects) = (Some(pipeline), redirects);
            s.load.rate = rate;
        })
    };
    let two = plan(move |s| {
        (s.http.version, s.http.streams) = (HttpVersion::Http2, Some(32));
        (s.load.connections, s.load.rate) = (Some(4), rate);
    });
    let streams = Manners { two: Some(sim_h2::Manners::PERFECT), ..Manners::PERFECT };
    let perfect = Manners::PERFECT;
    [(one(1, None), perfect), (one(1, Some(5)), perfect), (one(4, None), perfect), (two, streams)]
}

#[test]
fn every_request_gets_its_own_times() {
    for seed in 0..2 {
        for rate in [None, Some(Rate::per_second(700))] {
            for (kind, (plan, manners)) in kinds(rate).into_iter().enumerate() {
                let (outcome, kernel) = stamped(seed, &plan, manners, Flaw::None);
                let (total, kernel) = (outcome.end.total, kernel.borrow());
                let case = format!("seed {seed}, {rate:?}, kind {kind}: {:?}", total.counters);
                assert!(total.counters.completed > 1_000 && total.counters.failed == 0, "{case}");
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
    for kind in 0..4 {
        check_flaw(kind, Flaw::Gone, false);
    }
    for kind in 2..4 {
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
