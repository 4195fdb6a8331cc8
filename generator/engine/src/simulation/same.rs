//! A plan and its seed make the same requests, meant for the same instants, on any number of cores and however late
//! answers come.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use brunt_model::scenario::ScriptSource;

use super::*;

/// How often each request was sent, as it was written.
type Sent = BTreeMap<String, u64>;

const FLOWS: &str = r#"
target: http://sim
data:
  sequential: {csv: rows.csv, pick: sequential, on_end: recycle}
  drawn: {csv: rows.csv, pick: random}
flows:
  browse:
    weight: 3
    steps:
      - {get: "/b/{{ pick(1, 1000000) }}/{{ uuid() }}", headers: {X-At: "AT", X-Row: "{{ drawn.name }}"}}
      - random:
          - {weight: 2, steps: [{get: "/c/{{ random_text(8) }}/{{ counter() }}"}]}
          - {weight: 1, steps: [{think: 1ms..3ms}, {post: /d, json: {row: "{{ sequential.name }}"}}]}
  buy:
    steps:
      - {get: "/e/{{ one_of(\"x\", \"y\") }}", headers: {X-At: "AT", X-Row: "{{ sequential.name }}"}}
"#;

/// Rows that a user has to itself; they are dealt out by the user's number.
const UNIQUE: &str = r#"
      - {get: "/u/{{ own.name }}"}
"#;

fn plan_of(load: &str, unique: bool, seed: u64) -> Arc<Plan> {
    // An instant is exact where an arrival is meant for it; users go on when they were answered.
    let at = if load.contains("open") { "{{ now() }}" } else { "-" };
    let mut text = FLOWS.replace("AT", at);
    if unique {
        text = text.replace("data:\n", "data:\n  own: {csv: rows.csv, pick: unique, on_end: recycle}\n")
            + UNIQUE.trim_start_matches('\n');
    }
    text.push_str(&format!("load: {load}\n"));
    let mut scenario = Scenario::of("http://sim/");
    scenario.seed = seed;
    let rows = (0..40).fold("name\n".to_owned(), |text, row| text + &format!("r{row}\n"));
    scenario.script = Some(ScriptSource { text, ..ScriptSource::default() });
    let addresses = vec!["127.0.0.1:80".parse().unwrap()];
    let files = [("rows.csv".to_owned(), rows.into_bytes())].into();
    Arc::new(compile(&scenario, &Inputs { addresses, files, ..Inputs::default() }).unwrap())
}

/// All cores one after the other, each in a network of its own.
fn sent(plan: &Arc<Plan>, cores: u32, seed: u64) -> Sent {
    let manners = Manners { sets_cookies: true, ..Manners::PERFECT };
    let mut sent = Sent::new();
    for share in Share::of_one_worker(cores) {
        let extra = Extra { share: Some(share), ..Extra::default() };
        let outcome = simulate_with(seed + u64::from(share.core), plan, manners, Pace::Precise, extra);
        let counters = outcome.end.total.counters;
        assert_eq!((counters.failed, counters.dropped), (0, 0), "seed {seed}, {share:?}: {counters:?}");
        assert_eq!(outcome.requests.len() as u64, counters.completed, "seed {seed}, {share:?}");
        for request in outcome.requests {
            *sent.entry(String::from_utf8(request).unwrap()).or_insert(0) += 1;
        }
    }
    sent
}

/// The same on 1, 2 and 8 cores, in several networks, with so many iterations.
fn check(load: &str, unique: bool, iterations: RangeInclusive<u64>) {
    let plan = plan_of(load, unique, 7);
    let first = sent(&plan, 1, 1);
    let of = |mark: &str| -> u64 {
        first.iter().filter(|(request, _)| request.contains(mark)).map(|(_, count)| count).sum()
    };
    assert!(iterations.contains(&(of(" /b/") + of(" /e/"))), "{load}: {} different ones", first.len());
    assert!(
        [" /b/", " /c/", " /d ", " /e/"].iter().all(|mark| of(mark) > 10),
        "{load}: {} different ones",
        first.len()
    );
    assert!(of("Cookie: seen=") > 100 && of("{{") == 0, "{load}: {} different ones", first.len());
    for (cores, seed) in [(1, 100), (2, 200), (8, 300), (8, 400)] {
        let again = sent(&plan, cores, seed);
        let differing: Vec<_> =
            again.iter().filter(|(request, count)| first.get(*request) != Some(count)).take(3).collect();
        assert!(again == first, "{load}, {cores} cores, seed {seed}: {differing:#?}");
    }
    assert!(sent(&plan_of(load, unique, 8), 1, 1) != first, "{load}: another seed makes others");
}

#[test]
fn an_open_load_is_the_same_on_any_number_of_cores() {
    check("{open: {rate: 200/s, for: 2s}}", true, 400..=400);
    check("{open: {rate: 100/s..300/s, over: 2s}}", false, 400..=400);
    check("{open: {rate: 200/s, for: 2s, arrivals: poisson}}", true, 300..=500);
}

#[test]
fn a_closed_load_is_the_same_on_any_number_of_cores() {
    check("{closed: {users: 16, iterations_per_user: 25}}", true, 400..=400);
    check("{closed: {users: 8, iterations_per_user: 50}}", false, 400..=400);
}
