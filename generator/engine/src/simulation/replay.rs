//! Runs that replay a log: whichever core has its turn, each request is that of the log at its time.

use std::fmt::Write as _;

use brunt_model::plan::Load;
use brunt_model::scenario::ScriptSource;
use brunt_model::script::compile::Files;

use super::*;

const MS: u64 = 1_000_000;

/// The times of the log's requests in milliseconds, and the last part of their paths.
fn log() -> Vec<(u64, u64)> {
    (0..200).map(|index| (index * 10 + index % 3, (index * index + index / 5) % 7)).collect()
}

/// The log, twice as fast.
fn replayed() -> Arc<Plan> {
    let text = log().into_iter().fold(String::new(), |mut text, (at, path)| {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{{\"time\": \"2000-10-10T13:55:{:02}.{:03}Z\", \"method\": \"GET\", \"url\": \"/{path}\"}}",
            at / 1_000,
            at % 1_000
        );
        text
    });
    let source = "load: [{replay: {log: log, format: json, speed: 2x}}]".to_owned();
    let scenario = scenario(|s| {
        (s.load.connections, s.load.duration) = (None, None);
        s.script = Some(ScriptSource { text: source, ..ScriptSource::default() });
    });
    let files = Files::from([("log".to_owned(), text.into_bytes())]);
    let addresses = vec!["127.0.0.1:80".parse().unwrap()];
    Arc::new(compile(&scenario, &Inputs { addresses, files, ..Inputs::default() }).unwrap())
}

/// The calls of the log's requests: they have the order in which they first come.
fn calls() -> Vec<u16> {
    let mut known: Vec<u64> = Vec::new();
    let call = |(_, path): (u64, u64)| {
        let index = known.iter().position(|other| *other == path).unwrap_or_else(|| {
            known.push(path);
            known.len() - 1
        });
        u16::try_from(index).unwrap()
    };
    log().into_iter().map(call).collect()
}

#[test]
fn every_core_sends_its_requests_of_the_log_at_their_times() {
    /// A connection that has to be opened first takes this long, and a wait of an efficient core the rest.
    const LATE_MAX: u64 = 3 * MS;
    let plan = replayed();
    let Load::Open { schedule, .. } = &plan.load else { panic!("a replay is open") };
    let intended: Vec<_> = schedule.slots(0, 1).map(|time| time.0).collect();
    assert_eq!(intended, log().iter().map(|(at, _)| at * MS / 2).collect::<Vec<_>>());
    let calls = calls();
    for (cores, pace) in
        [1, 2, 8].into_iter().flat_map(|cores| [(cores, Pace::Precise), (cores, Pace::Efficient)])
    {
        let mut sent = 0;
        for share in Share::of_one_worker(cores) {
            let extra = Extra { share: Some(share), ..Extra::default() };
            let outcome = simulate_with(u64::from(share.core), &plan, Manners::PERFECT, pace, extra);
            let (first, stride) = (share.core as usize, cores as usize);
            let expected = intended.iter().zip(&calls).skip(first).step_by(stride);
            let pairs = outcome.sent.iter().zip(expected);
            for ((at, call), (intended, expected)) in pairs {
                assert_eq!(call, expected, "core {first} of {cores}, at {intended}");
                assert!(
                    (*intended..intended + LATE_MAX).contains(at),
                    "core {first} of {cores}: {at} for {intended}"
                );
            }
            let lag = outcome.end.total.lag.max();
            assert!(lag < QUANTUM_NS + 50_000, "core {first} of {cores} {pace:?}: lag {lag}");
            assert_eq!(outcome.end.total.counters.completed, outcome.sent.len() as u64);
            sent += outcome.sent.len();
        }
        assert_eq!(sent, 200, "{cores} cores");
    }
}

#[test]
fn a_replay_on_a_rough_network_is_accounted_for_to_the_request() {
    for seed in 0..20 {
        let plan = replayed();
        let outcome = simulate(seed, &plan, ROUGH);
        check_against_the_network(seed, &plan, &outcome);
        assert_eq!(outcome.end.total.counters.scheduled, 200, "seed {seed}");
    }
}
