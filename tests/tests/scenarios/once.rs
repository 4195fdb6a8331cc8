//! One iteration of each flow, shown whole (`--once`), and samples of failures: what was sent and answered is there, and what
//! is secret is not.

use brunt_tests::brunt::Brunt;
use brunt_tests::origin::{Origin, free_port};
use brunt_tests::process::Ended;
use brunt_tests::recorder::{Recorder, answer};
use brunt_tests::turn;
use serde_json::Value;

use crate::{Folder, IO};

const CANARY: &str = "canary-7Qz4/X9 v\"kB";
/// Base64 of `me:` and the canary, as Basic authentication has it (RFC 7617).
const BASIC: &str = "bWU6Y2FuYXJ5LTdRejQvWDkgdiJrQg==";

/// Two flows against the shop of `brunt origin`, and one whose checks fail. `/echo` sends everything back.
const STEPS: &str = r#"
on_start: [{get: /status/204, name: hello}]
flows:
  browse:
    weight: 1
    steps:
      - get: /items/5
        name: GET /items/{id}
        check: [status == 200, 'header("content-type") ~ "json"']
        save: {id: 'json("$.id")'}
      - {think: 1h}
      - post: /echo
        json: {item: "{{ id }}", key: "{{ secret.X }}"}
        headers: {X-Own: "{{ user() }}"}
        query: {q: "{{ secret.X }}"}
        auth: {basic: {user: me, password: "{{ secret.X }}"}}
  never: {weight: 0, steps: [{get: /never}]}
  fail:
    weight: 9
    steps:
      - {get: /items/7, check: [status == 200, 'json("$.id") == 8'], save: {no: 'json("$.none")'}}
"#;

fn flags(io: &str, version: &str) -> String {
    format!("--once --io {io} {version}")
}

#[track_caller]
fn check_absent(ended: &Ended) {
    for shown in ["canary", "7Qz4", BASIC, &BASIC[4..20], "X9"] {
        let text = format!("{}{}", ended.stdout, ended.stderr);
        assert!(!text.contains(shown), "{shown} is shown\n{}", ended.story());
    }
}

/// The words stand in this order.
#[track_caller]
fn check_order(ended: &Ended, words: &[&str]) {
    let mut rest = ended.stdout.as_str();
    for word in words {
        let at = rest.find(word).unwrap_or_else(|| panic!("{word}, in order\n{}", ended.story()));
        rest = &rest[at + word.len()..];
    }
}

#[test]
fn requests_at_once_and_elsewhere_are_shown_with_the_steps_that_they_are_of() {
    let _turn = turn();
    let [origin, other] = [Origin::start(""), Origin::start("")];
    let scenario = format!(
        "target: {}\ntargets: {{other: {}}}\non_start: [{{get: /items/1, name: first}}]\non_stop: [{{get: /items/2, \
         name: last}}]\nflows:\n  a:\n    - parallel: [{{get: /items/3, name: x}}, {{get: /items/4, name: y}}, \
         {{get: /items/5, target: other, name: z}}]\n",
        origin.url(""),
        other.url("")
    );
    let folder = Folder::new(&scenario, &[]);
    for io in IO {
        for version in ["--http1.1", "--h2c"] {
            let ended = folder.run(&flags(io, version)).run();
            ended.expect_code(0);
            check_order(
                &ended,
                &["1. first  (flow on_start)", "(flow a)", "(flow a)", "(flow a)", "5. last  (flow on_stop)"],
            );
            for name in ["x", "y", "z"] {
                assert!(ended.stdout.contains(&format!(". {name}  (flow a)")), "{}", ended.story());
            }
        }
    }
}

#[test]
fn each_flow_is_taken_once_and_shown_whole() {
    let _turn = turn();
    let origin = Origin::start("");
    let folder = Folder::new(&format!("target: {}{STEPS}", origin.url("")), &[]);
    for io in IO {
        for (version, request, status) in [
            ("--http1.1", "> GET /items/5 HTTP/1.1", "< HTTP/1.1 200 OK"),
            ("--h2c", "> :path: /items/5", "< HTTP/2 200"),
        ] {
            let ended = folder.run(&flags(io, version)).env("BRUNT_SECRET_X", CANARY).run();
            ended.expect_code(3);
            check_order(
                &ended,
                &[
                    "think and pacing take 1 s at most",
                    "1. hello  (flow on_start)",
                    "connect ",
                    "completed with 204",
                    "2. GET /items/{id}  (flow browse)",
                    request,
                    status,
                    "first byte ",
                    "completed with 200",
                    "check passed: status == 200",
                    "saved id = 5",
                    "3. POST /echo  (flow browse)",
                    "uthorization: Basic ***",
                    "\"item\":",
                    "***",
                    "completed with 200",
                    "4. GET /items/7  (flow fail)",
                    "FAILED with 200: check_failed",
                    "check passed: status == 200",
                    "check FAILED: json(\"$.id\") == 8",
                    "\n4 requests, 3 completed, 1 failed\n",
                ],
            );
            assert!(!ended.stdout.contains("/never"), "{}", ended.story());
            check_absent(&ended);
        }
    }
}

/// The load names no secret, only what the setup made of one.
#[test]
fn what_a_setup_made_of_a_secret_is_not_shown() {
    let _turn = turn();
    let server = Recorder::start(|seen| {
        answer(
            if seen.header("x-key").is_empty() { 200 } else { 500 },
            &[],
            &format!("not {}", seen.header("x-key")),
        )
    });
    let scenario = format!(
        "target: {}\nvars: {{again: \"{{{{ key }}}}\"}}\nsetup: [{{set: {{key: secret.X}}}}, {{get: /}}]\n\
         teardown: [{{get: /, query: {{q: \"{{{{ secret.Y }}}}\"}}}}]\nflows:\n  a:\n    - post: /a\n      \
         query: {{q: \"{{{{ key }}}}\"}}\n      headers: {{X-Key: \"{{{{ again }}}}\"}}\n      json: {{k: \"{{{{ key }}}}\", y: \
         of-teardown}}\n",
        server.target()
    );
    let folder = Folder::new(&scenario, &[]);
    for args in ["--once", "--once -o json", "-c 1 -n 1 -o json"] {
        let run = folder.run(args).env("BRUNT_SECRET_X", CANARY).env("BRUNT_SECRET_Y", "of-teardown");
        let ended = run.run();
        ended.expect_code(3);
        assert!(ended.stdout.contains("***"), "{}", ended.story());
        assert!(!ended.stdout.contains("of-teardown"), "{}", ended.story());
        check_absent(&ended);
    }
    assert!(server.seen().iter().any(|seen| seen.header("x-key") == CANARY), "it was sent");
}

/// The same as an object a line.
#[test]
fn exchanges_can_be_read_by_programs() {
    let _turn = turn();
    let origin = Origin::start("");
    let folder = Folder::new(&format!("target: {}{STEPS}", origin.url("")), &[]);
    let ended = folder.run("--once -o json").env("BRUNT_SECRET_X", CANARY).run();
    ended.expect_code(3);
    check_absent(&ended);
    let lines: Vec<Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    let texts = |field: &str| lines[..4].iter().map(|line| line[field].to_string()).collect::<Vec<_>>();
    assert_eq!(texts("status"), ["204", "200", "200", "200"]);
    assert_eq!(texts("flow"), ["\"on_start\"", "\"browse\"", "\"browse\"", "\"fail\""]);
    assert_eq!(lines[1]["saved"][0]["value"], "5");
    assert_eq!(lines[3]["checks"][1]["passed"], false);
    assert_eq!((&lines[4]["requests"], &lines[4]["failed"]), (&4.into(), &1.into()));
    assert_eq!(lines.len(), 5);
}

/// A quick run is the script with one call.
#[test]
fn a_url_is_shown_too() {
    let _turn = turn();
    let origin = Origin::start("");
    fn check(target: &str, args: &str, code: i32, words: &[&str]) {
        let ended = Brunt::new(&format!("run --once {args} {target}")).run();
        ended.expect_code(code);
        check_order(&ended, words);
    }
    let (one, none) = ("1 requests, 1 completed, 0 failed\n", "1 requests, 0 completed, 1 failed\n");
    for io in IO {
        let args = |more: &str| format!("--io {io} {more}");
        check(&origin.url("a?b=c"), &args(""), 0, &["> GET /a?b=c HTTP/1.1", "< HTTP/1.1 200", one]);
        check(
            &origin.url(""),
            &args("--h2c -m POST -d hello"),
            0,
            &["> :method: POST", "> hello", "< HTTP/2 200", one],
        );
        check(&origin.url("status/503"), &args(""), 3, &["< HTTP/1.1 503", "FAILED with 503: status", none]);
        check(&origin.url("bytes/100000"), &args(""), 0, &["< ", "more]", one]);
        let nobody = format!("http://127.0.0.1:{}/", free_port());
        check(&nobody, &args(""), 7, &["not sent", "FAILED: connect_refused", none]);
    }
    // The password that is sent back is the one that was given.
    let ended = Brunt::new(&format!("run --once -a me:hunter22 {}", origin.url("echo"))).run();
    ended.expect_code(0);
    assert!(!ended.stdout.contains("hunter22") && !ended.stdout.contains("bWU6aHVu"), "{}", ended.story());
    check_order(&ended, &["Authorization: Basic ***", "< ", "***"]);
}

/// What a load is, and what has figures, is not for one iteration.
#[test]
fn what_once_cannot_do_is_refused() {
    for (args, words) in [
        ("-n 5", "cannot be used with"),
        ("-c 2", "cannot be used with"),
        ("-o csv", "use -o text or -o json"),
        ("-o junit=x.xml", "use -o text or -o json"),
    ] {
        let ended = Brunt::new(&format!("run --once {args} http://127.0.0.1:1/")).run();
        ended.expect_code(2).expect_on_stderr(&[words]);
    }
}

/// Requests of a log have no iteration: nothing once was sent, and that was a success.
#[test]
fn a_log_alone_has_nothing_to_take_once() {
    let scenario = "target: http://127.0.0.1:1\nload:\n  - replay: {log: a.log, format: combined}\n";
    let log = "10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.1\" 200 12 \"-\" \"a\"\n";
    let folder = Folder::new(scenario, &[("a.log", log)]);
    let ended = folder.run("--once").run();
    ended.expect_code(5).expect_on_stderr(&["scenario.yaml:3:", "log", "leave --once out", "`flows`"]);
}

/// Two connections are made at once, and each exchange tells of its own: the first to end once told of the last one made,
/// and the other of none.
#[test]
fn each_exchange_has_the_times_of_its_own_connection() {
    let _turn = turn();
    let origin = Origin::start("");
    let steps = "flows: {a: [{parallel: [{get: /items/1}, {get: /items/2}, {get: /items/3}]}]}";
    let folder = Folder::new(&format!("target: {}\n{steps}\n", origin.url("")), &[]);
    for io in IO {
        let ended = folder.run(&format!("--once -o json --io {io}")).run();
        ended.expect_code(0);
        let lines: Vec<Value> =
            ended.stdout.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
        assert_eq!(lines.len(), 4, "{}", ended.story());
        assert!(lines[..3].iter().all(|line| line["connect_ns"].is_u64()), "{}", ended.story());
    }
}

/// What a server says stays text, whatever it is, and content that is no text is told by its first bytes.
#[test]
fn hostile_answers_move_no_cursor() {
    let _turn = turn();
    let server = Recorder::start(|_| answer(200, &["X-Evil: a\u{9b}2J"], "one\r\n\u{1b}[2J\u{202e}two"));
    let ended = Brunt::new("run --once").arg(&server.target()).run();
    ended.expect_code(0);
    check_order(&ended, &["< X-Evil: a\\u{9b}2J", "< one\n", "< \\u{1b}[2J\\u{202e}two\n"]);
    assert!(!ended.stdout.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{}", ended.story());
}

/// A redirect and its end are two exchanges of one request.
#[test]
fn redirects_are_exchanges_of_their_own() {
    let _turn = turn();
    let server = Recorder::start(|seen| match seen.asked() {
        "GET /from" => answer(302, &["Location: /to", "Set-Cookie: sid=abcdef; Path=/"], ""),
        _ => answer(200, &[], "there"),
    });
    let steps = "flows: {a: [{get: /from, redirects: 1}]}";
    let folder = Folder::new(&format!("target: {}\n{steps}\n", server.target()), &[]);
    let ended = folder.run("--once").run();
    ended.expect_code(0);
    check_order(
        &ended,
        &[
            "> GET /from",
            "< Set-Cookie: sid=***; Path=/",
            "followed with 302",
            "> GET /to",
            "> Cookie: sid=***",
            "< there",
            "completed with 200",
            "1 requests, 1 completed, 0 failed\n",
        ],
    );
    assert!(!ended.stdout.contains("abcdef"), "{}", ended.story());
}

/// A few failures of each kind and name are in the result, and of what they echo the secrets are not.
#[test]
fn failures_have_samples_without_secrets() {
    let _turn = turn();
    let server = Recorder::start(|seen| match seen.asked() {
        "GET /json" => answer(200, &[], "{\"a\": 1}"),
        _ => answer(503, &[], &format!("no \u{1b}[1m {} {BASIC} {CANARY}", "x".repeat(150))),
    });
    let steps = r#"
flows:
  a:
    steps:
      - {get: /busy, headers: {X: "{{ secret.X }}"}}
      - {get: /json, name: checked, check: ['json("$.a") == 2']}
      - {get: /json, name: saved, save: {v: 'json("$.b")'}}
"#;
    let folder = Folder::new(&format!("target: {}{steps}", server.target()), &[]);
    for io in IO {
        let run = folder.run(&format!("-c 2 -n 20 --io {io} --limit error_rate<=100% -o text"));
        let measured = run.env("BRUNT_SECRET_X", CANARY).json();
        measured.expect_counts(0);
        check_absent(&measured.ended);
        let samples = &measured.report.errors_samples;
        let of = |kind: &str| samples.iter().filter(|sample| sample.kind == kind).collect::<Vec<_>>();
        for (kind, name, status, message) in [
            ("status", "GET /busy", 503, "answered: no \u{1b}[1m xxx"),
            ("check_failed", "checked", 200, "json(\"$.a\") == 2"),
            ("extract_failed", "saved", 200, "nothing was found for 'v': json(\"$.b\")"),
        ] {
            let found = of(kind);
            assert_eq!(found.len(), 3, "{kind} {samples:?}");
            assert!(found.iter().all(|sample| sample.name == name && sample.status == Some(status)));
            assert!(found[0].message.starts_with(message), "{samples:?}");
        }
        assert!(of("status")[0].message.ends_with("x *** ***"), "{samples:?}");
        let json = measured.json.to_string();
        assert!(!json.contains("canary") && !json.contains(BASIC), "{json}");
        check_order(&measured.ended, &["errors", "e.g. GET /busy: 503 answered: no \\u{1b}[1m xxx"]);
    }
}

/// Where nobody answers, the address and the system's words are told.
#[test]
fn refused_connects_have_samples() {
    let _turn = turn();
    let port = free_port();
    for io in IO {
        let args = format!("run -c 1 -n 2 --io {io} http://127.0.0.1:{port}/");
        let measured = Brunt::new(&args).json();
        let messages: Vec<_> =
            measured.report.errors_samples.iter().map(|sample| sample.message.as_str()).collect();
        let want = format!("127.0.0.1:{port}: Connection refused (os error 111)");
        assert_eq!(messages.first().copied(), Some(want.as_str()), "{}", measured.story());
    }
}
