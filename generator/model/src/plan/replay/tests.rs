use std::fmt::Write as _;

use super::*;
use crate::plan::{Inputs, Load as PlanLoad, Plan, PlanError, compile};
use crate::preview::Preview;
use crate::scenario::{HttpVersion, Scenario, ScriptSource};
use crate::units::Rate;

/// Two requests of one name, and one that comes twice, over a second.
const LOG: &str = r#"
{"time": 100.0, "method": "GET", "url": "/items/1?a=b"}
{"time": 100.5, "method": "POST", "url": "/cart", "headers": {"X-Own": "1", "accept": "a/b"}, "body": "hi"}
{"time": 100.9, "method": "GET", "url": "/items/2"}
{"time": 101.0, "method": "GET", "url": "http://old.test/items/1?a=b"}
"#;
const REPLAY: &str = "load: [{replay: {log: log, format: json, speed: 2x}}]";

fn compiled(source: &str, log: &str, change: impl FnOnce(&mut Scenario)) -> Result<Plan, PlanError> {
    let script = Some(ScriptSource { text: source.to_owned(), ..ScriptSource::default() });
    let mut scenario = Scenario { script, ..Scenario::of("http://192.0.2.1/base/") };
    change(&mut scenario);
    let files = Files::from([("log".to_owned(), log.as_bytes().to_vec())]);
    compile(
        &scenario,
        &Inputs { addresses: vec!["192.0.2.1:80".parse().unwrap()], files, ..Inputs::default() },
    )
}

fn plan(source: &str, log: &str) -> Plan {
    compiled(source, log, |_| {}).unwrap_or_else(|error| panic!("{error:?}"))
}

/// The arrivals of a plan: when each is, in milliseconds, and the request that it makes.
fn arrivals(plan: &Plan) -> Vec<(u64, String)> {
    let PlanLoad::Open { schedule, picks, .. } = &plan.load else { panic!("a replay is an open load") };
    let picks = picks.as_ref().expect("arrivals are picked");
    let requests = picks.iter().map(|pick| {
        let crate::script::Op::Call(call) = plan.script.flows[usize::from(*pick)].steps[0] else { panic!() };
        let wire = &plan.script.calls[usize::from(call)].request.wire;
        String::from_utf8_lossy(wire).split(" HTTP/1.1").next().unwrap_or_default().to_owned()
    });
    let times: Vec<_> = schedule.slots(0, 1).map(|time| time.0 / 1_000_000).collect();
    assert_eq!(times.len(), picks.len());
    times.into_iter().zip(requests).collect()
}

#[track_caller]
fn check(source: &str, log: &str, want: &[(u64, &str)]) {
    let want: Vec<_> = want.iter().map(|(at, request)| (*at, (*request).to_owned())).collect();
    assert_eq!(arrivals(&plan(source, log)), want, "{source}");
}

#[test]
fn each_request_has_its_time() {
    let (one, cart, two) = ("GET /base/items/1?a=b", "POST /base/cart", "GET /base/items/2");
    check(REPLAY, LOG, &[(0, one), (250, cart), (450, two), (500, one)]);
    let twice = "load: [{pause: 1s}, {replay: {log: log, format: json}}, {replay: {log: log, format: json, speed: 4x}}]";
    let second = [(2_000, one), (2_125, cart), (2_225, two), (2_250, one)];
    check(twice, LOG, &[&[(1_000, one), (1_500, cart), (1_900, two), (2_000, one)][..], &second].concat());
    let beside_flows = format!("flows: {{f: [{{get: /}}]}}\n{REPLAY}");
    check(&beside_flows, LOG, &[(0, one), (250, cart), (450, two), (500, one)]);
    let line = r#"{"time": "2000-10-10T13:55:36Z", "method": "GET", "url": "/"}"#;
    check(REPLAY, line, &[(0, "GET /base/")]);
    let single = plan(REPLAY, line).load;
    assert_eq!((single.duration(), single.target_rate()), (Some(Nanos::from_secs(1)), Some(1.0)));
}

/// Flows beside a log are what is taken once; a log alone has none.
#[test]
fn a_log_alone_is_not_taken_once() {
    fn check(source: &str, want: Result<usize, usize>) {
        let plan = compiled(source, LOG, |scenario| scenario.once = true);
        let got = match plan {
            Ok(plan) => Ok(plan.script.flows.len()),
            Err(PlanError::File(faults)) => {
                assert!(faults.iter().all(|fault| fault.mend.contains("leave --once out")), "{faults:?}");
                Err(faults.len())
            }
            Err(other) => panic!("{other:?}"),
        };
        assert_eq!(got, want, "{source}");
    }
    check(REPLAY, Err(1));
    check(&format!("flows: {{f: [{{get: /}}]}}\n{REPLAY}"), Ok(1));
}

#[test]
fn requests_are_sent_as_they_were_with_what_the_scenario_adds() {
    let source = format!("http: {{headers: {{X-Own: 2, X-More: 3}}, auth: {{bearer: t}}}}\n{REPLAY}");
    let plan = plan(&source, LOG);
    let wire = |call: usize| String::from_utf8_lossy(&plan.script.calls[call].request.wire).into_owned();
    let agent = concat!("User-Agent: brunt/", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        wire(1),
        format!(
            "POST /base/cart HTTP/1.1\r\nHost: 192.0.2.1\r\n{agent}\r\nX-More: 3\r\nAuthorization: Bearer t\r\n\
             X-Own: 1\r\naccept: a/b\r\nContent-Length: 2\r\n\r\nhi"
        )
    );
    assert_eq!(
        wire(0),
        format!(
            "GET /base/items/1?a=b HTTP/1.1\r\nHost: 192.0.2.1\r\n{agent}\r\nAccept: */*\r\nX-Own: 2\r\n\
             X-More: 3\r\nAuthorization: Bearer t\r\n\r\n"
        )
    );
    let two = compiled(REPLAY, LOG, |scenario| scenario.http.version = HttpVersion::Http2).unwrap();
    let cart = &two.script.calls[1].request;
    let field =
        |name: &str| cart.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let told = [":method", ":authority", ":path", "x-own", "accept", "content-length"].map(field);
    assert_eq!(told, ["POST", "192.0.2.1", "/base/cart", "1", "a/b", "2"].map(Some));
    assert_eq!(&*cart.body, b"hi");
}

#[test]
fn names_are_few_and_those_of_the_most_frequent_requests() {
    assert_eq!(plan(REPLAY, LOG).script.names, ["GET /base/items/{id}", "POST /base/cart"]);
    let mut log = String::new();
    for number in 0..150 {
        for _ in 0..=number {
            // Writing to a string does not fail.
            let _ = writeln!(log, r#"{{"time": 1, "method": "GET", "url": "/p{number}"}}"#);
        }
    }
    let script = plan(REPLAY, &log).script;
    let mut want: Vec<_> = (51..150).rev().map(|number| format!("GET /base/p{number}")).collect();
    want.push("other".to_owned());
    assert_eq!((script.names, script.calls.len()), (want, 150));
}

#[test]
fn a_plan_is_named_by_its_log() {
    let swapped =
        LOG.replace("/items/2", "/x").replace("/items/1?a=b", "/items/2").replace("/x", "/items/1?a=b");
    let ids = [LOG, &swapped, &LOG.replace("100.9", "100.8"), &LOG.replace("hi", "ho")]
        .map(|log| plan(REPLAY, log).id);
    let unlike: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(unlike.len(), ids.len());
    assert_eq!(plan(REPLAY, LOG).id, ids[0]);
    assert!(
        serde_json::to_string(&plan(REPLAY, LOG).load).unwrap().len() < 600,
        "picks are written as a digest"
    );
}

#[test]
fn bounds_and_limits_are_those_of_other_loads() {
    let source =
        "load: [{replay: {log: log, format: json}, warmup: true}, {replay: {log: log, format: json}}]
limits: ['p99(response_time, name=\"GET /base/items/{id}\") < 1s']";
    let of_file = plan(source, LOG);
    assert_eq!((of_file.warmup, of_file.limits.len()), (Nanos(1_000_000_001), 1));
    let of_flags = compiled(source, LOG, |scenario| {
        scenario.warmup = Nanos::from_millis(100);
        (scenario.load.max_backlog, scenario.load.max_connections) = (Some(7), Some(3));
    })
    .unwrap();
    let PlanLoad::Open { max_connections, max_backlog, .. } = of_flags.load else { panic!() };
    assert_eq!((of_flags.warmup, max_connections, max_backlog), (Nanos::from_millis(100), 3, 7));
}

#[test]
fn a_preview_tells_requests_by_their_names() {
    let preview = Preview::of(&plan(REPLAY, LOG), 8);
    let rows: Vec<_> = preview
        .flows
        .iter()
        .map(|flow| (flow.name.as_str(), flow.weight, flow.share, flow.requests.value))
        .collect();
    assert_eq!(rows, [("GET /base/items/{id}", 3, 0.75, 1.0), ("POST /base/cart", 1, 0.25, 1.0)]);
    assert_eq!(preview.requests.map(|requests| requests.value), Some(4.0));
    let bytes: usize = plan(REPLAY, LOG).script.calls.iter().map(|call| call.request.wire.len()).sum();
    let first = plan(REPLAY, LOG).script.first().wire.len();
    let mean = (bytes + first) as f64 / 4.0;
    assert!((preview.upload.iteration.value - mean).abs() < 1e-9, "{:?} {mean}", preview.upload);
}

#[track_caller]
fn check_refused(source: &str, log: &str, change: impl FnOnce(&mut Scenario), want: &str) {
    let Err(PlanError::File(faults)) = compiled(source, log, change) else { panic!("{source} is refused") };
    let told: Vec<_> = faults.iter().map(ToString::to_string).collect();
    assert!(matches!(&told[..], [fault] if fault.contains(want)), "{told:?} {want}");
}

#[test]
fn what_cannot_be_replayed_is_told_with_its_place() {
    let many = (0..=10_000).fold(String::new(), |mut log, number| {
        // Writing to a string does not fail.
        let _ = writeln!(log, r#"{{"time": 1, "method": "GET", "url": "/{number}"}}"#);
        log
    });
    let keep = |_: &mut Scenario| {};
    let at = "1:23: ";
    check_refused(
        REPLAY,
        &many,
        keep,
        &format!("{at}log: the log has more than 10000 different requests; replay a part"),
    );
    check_refused(REPLAY, "\n{}", keep, &format!("{at}line 2 of log: missing field"));
    check_refused(REPLAY, "", keep, &format!("{at}log: there is no request in the log"));
    check_refused(
        &REPLAY.replace("log: log", "log: no"),
        LOG,
        keep,
        &format!("{at}the file 'no' was not read"),
    );
    let beside = format!("{}, {{open: {{rate: 1/s, for: 1s}}}}]", REPLAY.trim_end_matches(']'));
    check_refused(&beside, LOG, keep, "arrivals of flows cannot stand beside a log");
    let on_start = format!("on_start: [{{get: /}}]\n{REPLAY}");
    check_refused(&on_start, LOG, keep, "1:12: `on_start` and `on_stop` would be of each request");
    let few = (0..10_000).fold(String::new(), |log, number| {
        log + &format!("{{\"time\": 1, \"method\": \"GET\", \"url\": \"/{number}\"}}\n")
    });
    check_refused(&format!("flows: {{f: [{{get: /}}]}}\n{REPLAY}"), &few, keep, "those of logs included");
    let secret = format!("http: {{headers: {{X: '{{{{ secret.K }}}}'}}}}\n{REPLAY}");
    check_refused(&secret, LOG, keep, "a secret would go over the network in clear text");
    let long = format!(r#"{{"time": 1, "method": "GET", "url": "/{}"}}"#, "a".repeat(70_000));
    check_refused(REPLAY, &long, keep, "head has more than 65536 bytes");
    let tags = |scenario: &mut Scenario| scenario.script.as_mut().unwrap().tags.push("a".to_owned());
    check_refused(REPLAY, LOG, tags, "requests of a log have no tags");
    let rate = |scenario: &mut Scenario| scenario.load.rate = Some(Rate::per_second(1));
    check_refused(REPLAY, LOG, rate, "leave -c, -n, -q and -z out");
}

#[test]
fn another_load_of_the_command_line_takes_the_flows() {
    let source = format!("flows: {{f: [{{get: /f}}]}}\n{REPLAY}");
    let plan = compiled(&source, LOG, |scenario| scenario.load.rate = Some(Rate::per_second(1))).unwrap();
    assert_eq!((plan.script.names, plan.load.picks()), (vec!["GET /base/f".to_owned()], None));
}
