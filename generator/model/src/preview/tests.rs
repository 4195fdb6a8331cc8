use proptest::prelude::*;

use super::*;
use crate::plan::{Inputs, compile};
use crate::scenario::{Scenario, ScriptSource};

fn preview(source: &str) -> Preview {
    let script = Some(ScriptSource { text: source.to_owned(), ..ScriptSource::default() });
    let scenario = Scenario { script, ..Scenario::of("http://h/") };
    let inputs = Inputs { addresses: vec!["192.0.2.1:80".parse().unwrap()], ..Inputs::default() };
    Preview::of(&compile(&scenario, &inputs).expect(source), 8)
}

/// The requests of an iteration whose flow has these steps, with `about` where that is not certain.
#[track_caller]
fn check_steps(steps: &str, want: &str) {
    let requests = preview(&format!("flows: {{f: {steps}}}")).flows[0].requests;
    let about = if requests.about { "about " } else { "" };
    assert_eq!(format!("{about}{}", requests.value), want, "{steps}");
}

#[test]
fn requests_of_a_flow_are_counted() {
    check_steps("[{get: /a}, {think: 1s}, {get: /b}]", "2");
    check_steps("[{repeat: 3, steps: [{get: /a}, {repeat: 4, steps: [{get: /b}]}]}, {get: /c}]", "16");
    check_steps("[{repeat: 0, steps: [{get: /a}]}, {get: /b}]", "1");
    check_steps("[{repeat: 'pick(1, 3)', steps: [{get: /a}]}, {get: /b}]", "about 2");
    check_steps("[{while: 'pick(1, 2) == 1', steps: [{get: /a}]}]", "about 1");
    check_steps("[{if: 'pick(1, 2) == 1', then: [{get: /a}, {get: /b}], else: [{get: /c}]}]", "about 1.5");
    check_steps("[{if: 'pick(1, 2) == 1', then: [{think: 1s}]}, {get: /c}]", "1");
    check_steps("[{if: 'true', then: [{get: /a}], else: [{get: /b}, {get: /c}]}]", "1");
    check_steps("[{repeat: 2, steps: [{if: 'pick(1, 2) == 1', then: [{get: /a}]}]}, {get: /b}]", "about 2");
    check_steps("[{while: 'true', max: 5, steps: [{get: /a}]}]", "5");
    check_steps("[{while: 'false', steps: [{get: /a}]}, {get: /b}]", "1");
}

#[test]
fn ways_are_weighed() {
    let random = "[{random: [{weight: 3, steps: [{get: /a}]}, {weight: 1, steps: [{get: /b}, {get: /c}]}]}]";
    check_steps(random, "about 1.25");
    check_steps(&random.replace("weight: 1", "weight: 3"), "about 1.5");
    let switch = "[{switch: 'pick(1, 9)', cases: {1: [{get: /a}, {get: /b}], 2: [{get: /c}]}}]";
    check_steps(switch, "about 1");
}

#[test]
fn flows_have_shares_and_sizes() {
    let preview = preview(
        "flows: {a: {weight: 3, steps: [{get: /}]}, b: [{post: /, body: xyz}, {get: '/{{ pick(1, 2) }}'}],
         never: {weight: 0, steps: [{get: /}]}}\nload: [{open: {rate: 100/s, for: 10s}}]",
    );
    let told = |flow: &FlowPreview| (flow.name.clone(), flow.share, flow.upload.about);
    let want = [("a", 0.75, false), ("b", 0.25, true), ("never", 0.0, false)];
    let want = want.map(|(name, share, about)| (name.to_owned(), share, about));
    assert_eq!(preview.flows.iter().map(told).collect::<Vec<_>>(), want);
    let get = format!(
        "GET / HTTP/1.1\r\nHost: h\r\nUser-Agent: brunt/{}\r\nAccept: */*\r\n\r\n",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(preview.flows[0].upload, Estimate { value: get.len() as f64, about: false });
    assert_eq!(preview.requests, Some(Estimate { value: 1_250.0, about: true }));
    let peak = preview.upload.per_second_at_peak.map(|peak| peak.value / 100.0);
    assert_eq!(peak, Some(preview.upload.iteration.value));
    assert_eq!(preview.limits, ["error_rate < 50%"]);
}

/// The words for a load, its course and how often its flow comes.
#[track_caller]
fn check_load(phases: &str, words: &str, course: &[f64], count: Option<(f64, bool)>) {
    let preview = preview(&format!("flows: {{f: [{{get: /}}]}}\n{phases}"));
    let requests = preview.requests.map(|requests| (requests.value, requests.about));
    assert_eq!((preview.load.words.as_str(), requests), (words, count), "{phases}");
    let rounded: Vec<_> = preview.load.course.iter().map(|value| value.round()).collect();
    assert_eq!(rounded, course, "{phases}");
}

#[test]
fn loads_are_told_in_words_and_over_time() {
    check_load("", "closed load of 50 users for 10s", &[50.0; 8], None);
    check_load(
        "load: [{closed: {users: 4, iterations: 100}}]",
        "closed load of 4 users for 100 iterations",
        &[4.0; 8],
        Some((100.0, false)),
    );
    check_load(
        "load: [{closed: {users: 0..3, over: 3s}}, {closed: {users: 3, iterations_per_user: 2}}]",
        "closed load of up to 3 users for 2 iterations a user",
        &[1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 3.0, 3.0],
        Some((6.0, false)),
    );
    check_load(
        "load: [{open: {rate: 500/s, for: 90s}}]",
        "open load of 500/s for 1m30s",
        &[500.0; 8],
        Some((45_000.0, false)),
    );
    check_load(
        "load: {arrivals: poisson, phases: [{open: {rate: 0/s..160/s, over: 8s}}]}",
        "open load of up to 160/s for 8s",
        &[19.0, 39.0, 59.0, 79.0, 99.0, 119.0, 139.0, 159.0],
        Some((640.0, true)),
    );
    check_load(
        "load: [{spike: {from: 0.5/s, to: 10/s, rise: 1s, hold: 2s, fall: 1s}}, {pause: 4s}]",
        "open load of up to 10/s for 8s",
        &[9.0, 10.0, 10.0, 10.0, 0.0, 0.0, 0.0, 0.0],
        Some((31.0, false)),
    );
}

#[test]
fn durations_are_spoken() {
    for (ns, want) in [
        (0, "0s"),
        (7, "7ns"),
        (1_500, "1.5us"),
        (250_000_000, "250ms"),
        (1_500_000_000, "1.5s"),
        (59_999_999_999, "1m"),
        (90_000_000_000, "1m30s"),
        (4_800_000_000_000, "1h20m"),
        (u64::MAX, "5124095h34m33s"),
    ] {
        assert_eq!(spoken_duration(Nanos(ns)), want, "{ns}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whole units are what the flags read.
    #[test]
    fn spoken_seconds_can_be_read_again(seconds in 0u64..10_000_000) {
        let duration = Nanos::from_secs(seconds);
        prop_assert_eq!(spoken_duration(duration).parse(), Ok(duration));
    }

    /// No step is above the peak, and the peak is seen wherever it lasts for a step.
    #[test]
    fn courses_stay_below_their_peak(from in 0u64..50, by in 1u64..50, steps in 1u64..8) {
        let until = from + by * (steps - 1);
        let source = format!("flows: {{f: [{{get: /}}]}}\n\
             load: [{{steps: {{from: {from}/s, by: {by}/s, every: 9s, until: {until}/s}}}}]");
        let load = preview(&source).load;
        prop_assert_eq!(load.course.iter().copied().fold(0.0, f64::max), load.peak);
    }
}
