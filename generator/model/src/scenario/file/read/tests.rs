use super::super::{Body, PhaseShape, Reference, Scalar, Span, Step, Version};
use super::*;
use crate::scenario::file::FAULTS_MAX;
use crate::schedule::Arrivals;
use crate::units::{Nanos, Rate};

const EXAMPLE: &str = r#"name: checkout-peak
target: https://shop.test.internal          # base; each request may name another target of the list `targets`
http: {version: auto, streams: 100, timeout: {connect: 5s, first_byte: 30s, total: 60s}, redirects: 0, body_limit: 64MiB,
       tls: {verify: true, ca: ca.pem, client: {cert: c.pem, key: !secret CLIENT_KEY}}, headers: {Accept: application/json}}
data:
  users: {csv: users.csv, pick: unique}
vars: {region: eu}
load:
  - {open: {rate: 0/s..20000/s, over: 1m, arrivals: poisson}, warmup: true}
  - {open: {rate: 20000/s, for: 10m}}
  - {steps: {from: 20000/s, by: 5000/s, every: 1m, until: 60000/s}}
flows:
  browse:
    weight: 3
    tags: [smoke]
    steps:
      - get: /items/{{ pick(1, 10000) }}
        name: GET /items/{id}
        check: [status == 200, json("$.stock") >= 0, header("content-type") ~ "json", body.size < 64KiB]
        save: {token: json("$.token"), etag: header("etag"), id: regex("id=(\\d+)")}
      - think: 500ms..2s
      - post: /cart
        json: {item: "{{ id }}", user: "{{ users.name }}"}
        headers: {Authorization: "Bearer {{ secret.API_KEY }}"}
  on_start: [{think: 1s}]
limits:
  - p99(response_time) < 50ms
  - error_rate < 0.1%
  - {that: 'p99(response_time) < 20ms', window: 30s, abort: true}
"#;

fn all_faults(source: &str) -> Vec<String> {
    read(source).expect_err(source).iter().map(ToString::to_string).collect()
}

/// A file fails with these faults and no others.
#[track_caller]
fn check(source: &str, want: &[&str]) {
    assert_eq!(all_faults(source), want, "{source}");
}

/// The same for a file with this step.
#[track_caller]
fn check_step(step: &str, want: &[&str]) {
    check(&format!("flows:\n a:\n {step}\n"), want);
}

#[track_caller]
fn first_phase(load: &str) -> PhaseShape {
    let file = read(&format!("load: {load}")).unwrap_or_else(|faults| panic!("{load}: {faults:?}"));
    file.loads[0].1.phases[0].value.shape.clone()
}

#[test]
fn the_example_reads() {
    let file = read(EXAMPLE).unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert_eq!(file.name.as_deref(), Some("checkout-peak"));
    assert_eq!(file.http.version, Some(Version::Auto));
    assert_eq!(file.http.first_byte_timeout, Some(Nanos::from_secs(30)));
    assert_eq!(file.http.tls.key, Some(Reference::Secret("CLIENT_KEY".into()).into()));
    assert_eq!(file.vars[0].1, Scalar::Text(String::from("eu").into()));
    let load = &file.loads[0].1;
    assert_eq!((load.arrivals, load.phases.len()), (Some(Arrivals::Poisson), 3));
    assert!(load.phases[0].value.warmup && !load.phases[1].value.warmup);
    let rate = Rate::per_second(20_000);
    let minute = Nanos::from_secs(60);
    assert_eq!(load.phases[0].value.shape, PhaseShape::Open { from: Rate(0), to: rate, duration: minute });
    assert_eq!((file.flows.len(), file.on_start.len(), file.limits.len()), (1, 1, 3));
    let steps = &file.flows[0].1.steps;
    let Step::Request(request) = &steps[0].value else { panic!("{steps:?}") };
    assert_eq!((request.method.as_str(), request.check.len(), request.save.len()), ("GET", 4, 3));
    assert_eq!(request.check[1].that.at, Place { line: 19, column: 32 });
    assert_eq!(request.save[2].1, String::from("regex(\"id=(\\\\d+)\")").into());
    assert_eq!(steps[1].value, Step::Think(Span { from: Nanos::from_millis(500), to: Nanos::from_secs(2) }));
    let Step::Request(request) = &steps[2].value else { panic!("{steps:?}") };
    assert!(matches!(&request.body, Some(Body::Json(_))));
    assert_eq!(request.headers[0].1.at, Place { line: 24, column: 35 });
}

#[test]
fn json_reads_as_well() {
    let file = read(
        r#"{"target": "http://h", "flows": {"a": [{"get": "/"}]},
            "load": {"closed": {"users": 5, "for": "1s"}}}"#,
    );
    assert_eq!(file.map(|file| file.flows[0].1.steps.len()), Ok(1));
}

#[test]
fn loads_have_several_forms() {
    let open = PhaseShape::Open { from: Rate(500), to: Rate(500), duration: Nanos::from_secs(10) };
    for load in [
        "{open: {rate: 0.5/s, for: 10s}}",
        "[{open: {rate: 0.5, over: 10s}}]",
        "{start: 5s, phases: [{open: {rate: 0.5/s..0.5/s, for: 10s}}]}",
    ] {
        assert_eq!(first_phase(load), open);
    }
    let closed =
        |from, to| PhaseShape::Closed { from, to, duration: Some(Nanos::from_secs(1)), iterations: None };
    assert_eq!(first_phase("{closed: {users: 0..1k, over: 1s}}"), closed(0, 1_000));
    assert_eq!(first_phase("{closed: {users: 5, for: 1s}}"), closed(5, 5));
    assert_eq!(first_phase("{pause: 10s}"), PhaseShape::Pause(Nanos::from_secs(10)));
}

#[test]
fn settings_of_a_load_agree() {
    let same =
        "load: [{open: {rate: 1, for: 1s, max_backlog: 5}}, {open: {rate: 1, for: 1s, max_backlog: 5}}]";
    assert_eq!(read(same).map(|file| file.loads[0].1.max_backlog), Ok(Some(5)));
    check(
        "load:\n arrivals: uniform\n phases:\n - open: {rate: 1, for: 1s, arrivals: poisson}\n",
        &["4:39: 'arrivals' is of the whole load, and 2:12 says otherwise; \
           write it once, or the same in both places"],
    );
}

#[test]
fn phases_of_a_load_fit_together() {
    check(
        "load:\n- open: {rate: 1, for: 1s}\n- pause: 1s\n- closed: {users: 1, for: 1s}\n",
        &["4:3: a load is open or closed, and this phase differs from those before it; \
         write two loads under 'loads', one of which has a 'start'"],
    );
    check(
        "load:\n phases:\n - {pause: 1s, warmup: true}\n - pause: 1s\n - {pause: 1s, warmup: true}\n",
        &["5:4: this warm-up comes after a phase that is measured; \
         leave 'warmup' out here, or move the phase to the beginning"],
    );
    check(
        "load: {closed: {users: 5}}",
        &["1:16: nothing says when this phase ends; add for: 10m, or iterations: 1000"],
    );
}

#[test]
fn keys_that_are_not_known_are_told() {
    check_step("- {get: /, chek: [a]}", &["3:13: unknown key 'chek'; did you mean 'check'?"]);
    check("traget: x", &["1:1: unknown key 'traget'; did you mean 'target'?"]);
    check(
        "http: {timeout: {ttfb: 1s}}",
        &["1:18: unknown key 'ttfb'; known here are connect, first_byte and total"],
    );
    check(
        "load: {}\nloads: {}",
        &[
            "1:7: 'phases' is missing; add phases: ...",
            "2:1: 'load' and 'loads' exclude each other; leave one of them out",
        ],
    );
}

#[test]
fn values_of_another_kind_are_told() {
    for (source, want) in [
        (
            "load: {open: {rate: 1, for: 10}}",
            "1:29: expected a duration, found the number '10'; write a duration such as 10s",
        ),
        (
            "load: {pause: [10s]}",
            "1:15: expected a duration, found a list; write a duration such as 500ms, 10s or 1h20m",
        ),
        (
            "load: {pause: soon}",
            "1:15: expected a duration, found the text 'soon'; write a duration such as 500ms, 10s or 1h20m",
        ),
        (
            "http: {cookies: no}",
            "1:17: expected a boolean, found the text 'no'; write a boolean such as true or false",
        ),
        (
            "http: {streams: -5}",
            "1:17: expected a count, found the number '-5'; write a count such as 100 or 10k",
        ),
        ("http: {streams: 5000m}", "1:17: 5000000000 is too large; write at most 4294967295"),
        ("http: {version: 3}", "1:17: expected a word, found the number '3'; known here are auto, 1.1 and 2"),
        (
            "http: {ok_status: [656xx]}",
            "1:20: expected a status, found the text '656xx'; write a status such as 404, 200-299 or 2xx",
        ),
        (
            "http: {headers: {A: ~}}",
            "1:21: expected a text, found nothing; write the text, or \"\" for an empty one",
        ),
        ("http:", "1:5: expected a map, found nothing; write a map such as {key: value}"),
        ("[]", "1:1: expected a map, found a list; write a map such as {key: value}"),
        (
            "data: {a: {csv: !secret X}}",
            "1:17: expected the name of a file, found a secret; write the name of a file such as users.csv",
        ),
        (
            "vars: {a: .inf}",
            "1:11: the number '.inf' is neither a finite one nor an integer of 64 bits; \
             write a smaller one, or put it in quotes if it is a text",
        ),
        (
            "limits: ['p99(lag) < 5']",
            "1:22: this is not a limit: expected a duration such as 50ms, and nothing after it; \
             write a limit such as p99(response_time) < 50ms",
        ),
        (
            "load: {points: [[0s, 1], [5s]]}",
            "1:26: expected a point of time and rate, found a list; \
             write a point of time and rate such as [30s, 500/s]",
        ),
        (
            "http: {auth: {bearer: !secret 'a b'}}",
            "1:23: what follows !secret is not the name of a secret; \
             write a name of letters, digits and _, as in !secret API_KEY",
        ),
    ] {
        assert_eq!(all_faults(source).first().map(String::as_str), Some(want), "{source}");
    }
}

#[test]
fn steps_do_one_thing() {
    check_step(
        "- {get: /, think: 1s}",
        &["3:13: a step does one thing, but this one has 'get' and 'think'; \
             write 'think' as a step of its own"],
    );
    check_step("- {get: /, post: /}", &["3:13: 'get' and 'post' exclude each other; leave one of them out"]);
    check_step("- {gett: /}", &["3:5: this step does not say what it does; did you mean 'get'?"]);
    check_step(
        "- {name: x}",
        &["3:4: this step does not say what it does; \
             add one of get, post, put, patch, delete, head, options, \
         request, think, set, group, repeat, while, if, random, switch and parallel"],
    );
    check_step(
        "- {get: /, body: a, form: {}}",
        &["3:22: 'body' and 'form' exclude each other; leave one of them out"],
    );
    check_step("- {request: /}", &["3:4: 'method' is missing; add a method, as in method: PROPFIND"]);
    check_step(
        "- {get: /, check: [{a: b}]}",
        &["3:21: 'that' is missing; add that: ...", "3:22: unknown key 'a'; known here are that and name"],
    );
    check(
        "on_start: []\nflows: {on_start: []}",
        &["2:9: 'on_start' stands here and beside 'flows'; write all its steps in one of the two places"],
    );
}

#[test]
fn all_faults_are_told_in_order_and_bounded() {
    let faults = all_faults("flows: {a: [{think: 5}]}\nnmae: x\nload: {open: {}}\n");
    let places: Vec<&str> = faults.iter().map(|fault| &fault[..4]).collect();
    assert_eq!(places, ["1:21", "2:1:", "3:14", "3:14"], "{faults:?}");
    let many = format!("vars: {{{}}}", (0..5_000).map(|i| format!("a{i}: .nan, ")).collect::<String>());
    assert_eq!(all_faults(&many).len(), FAULTS_MAX);
    let unknown: String = (0..20_000).map(|i| format!("k{i}: 1\n")).collect();
    assert_eq!(all_faults(&unknown).len(), FAULTS_MAX);
}

/// Each fills the budget of bytes or of nodes with what costs a reader most. That this ends in moments is the
/// test.
#[test]
fn nothing_costs_more_than_it_is_long() {
    let near =
        ["gte", "pust", "pux", "pach", "delet", "heat", "option", "requst", "thinc", "sett", "grup", "repet"];
    let near: String = near.map(|key| format!("{key}: 0, ")).concat();
    let nested = |depth: usize| {
        format!("flows: {{a: {}[]{}}}", "[{repeat: 1, steps: ".repeat(depth), "}]".repeat(depth))
    };
    assert!(read(&nested(14)).is_ok());
    for (begin, piece, end) in [
        ("flows: {a: [", "{}, ", "]}"),
        ("flows: {a: [", &format!("{{{near}}}, "), "]}"),
        ("flows: {a: [", "{get: , chek: }, ", "]}"),
        ("flows: {a: [{get: /, check: [", "{that: a, nam: b}, ", "]}]}"),
        ("http: {ok_status: [", "9xx, ", "]}"),
        ("http: {ok_status: [", "99xx, ", "]}"),
        ("load: {points: [", "[1, 2], ", "]}"),
        ("load: [", "{replay: {log: a, format: combine}}, ", "]"),
        ("limits: ['", "p", "']"),
        ("limits: [", "p99(lag) < 1x, ", "]"),
        ("limits: ['error_rate < ", "0", "%']"),
        ("load: {pause: '", "1s", "'}"),
        ("vars: {a: ", "9", "}"),
        ("vars: {a: 1.", "9", "}"),
        ("vars: {token: '", "a1B2", "'}"),
        ("vars: {token: '", "eyJ.", "'}"),
        ("vars: {token: '", "-----BEGIN ", "'}"),
        ("vars: {token: [", "AKIAAAAAAAAAAAAAAAAA, ", "]}"),
    ] {
        let room = crate::scenario::file::SOURCE_BYTES_MAX - begin.len() - end.len();
        let source = format!("{begin}{}{end}", piece.repeat((room / piece.len()).min(30_000)));
        let faults = read(&source).err().unwrap_or_default();
        assert!(faults.len() <= FAULTS_MAX, "{begin}{piece}");
        assert!(faults.iter().all(|fault| fault.to_string().len() < 500), "{begin}{piece}: {}", faults[0]);
    }
    assert!(all_faults(&nested(16))[0].contains("nested deeper"));
}
