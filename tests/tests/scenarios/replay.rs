//! Logs that are sent again: each of their requests once, whatever sends it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use brunt_tests::brunt::Brunt;
use brunt_tests::recorder::{Recorder, Seen, answer};
use brunt_tests::turn;

use crate::{Folder, IO};

/// How often each request came.
type Counts = BTreeMap<String, u64>;

const REQUESTS: [&str; 7] = [
    "GET /",
    "GET /items/1?page=2",
    "GET /items/2",
    "HEAD /items/550e8400-e29b-41d4-a716-446655440000",
    "POST /cart",
    "DELETE /cart/7",
    "GET /a%20b",
];

/// The requests of 200 lines within two seconds.
fn asked() -> Vec<&'static str> {
    (0..200usize).map(|line| REQUESTS[(line * line + line / 5) % REQUESTS.len()]).collect()
}

fn log() -> String {
    asked().iter().zip(0..).fold(String::new(), |mut log, (request, line)| {
        let second = 36 + line / 100;
        // Writing to a string does not fail.
        let _ = writeln!(
            log,
            "10.0.0.1 - - [10/Oct/2000:13:55:{second} -0700] \"{request} HTTP/1.1\" 200 12 \"-\" \"agent/1\""
        );
        log
    })
}

fn counts<'a>(requests: impl IntoIterator<Item = &'a str>) -> Counts {
    requests.into_iter().fold(Counts::new(), |mut counts, request| {
        *counts.entry(request.to_owned()).or_insert(0) += 1;
        counts
    })
}

fn replay(phase: &str, target: &str) -> String {
    format!(
        "target: {target}\nload: [{{replay: {{{phase}}}}}]\nhttp: {{headers: {{User-Agent: b, X-More: c}}}}\n"
    )
}

#[test]
fn every_request_of_a_log_is_sent_once() {
    let _turn = turn();
    let want = counts(asked());
    assert_eq!(want.len(), REQUESTS.len());
    for (cores, io) in ["0", "0,1"].into_iter().flat_map(|cores| IO.map(|io| (cores, io))) {
        let recorder = Recorder::start(|_| answer(200, &[], ""));
        let scenario = replay("log: access.log, format: combined, speed: 2x", &recorder.target());
        let folder = Folder::new(&scenario, &[("access.log", &log())]);
        let measured = folder.run(&format!("--cores {cores} --io {io}")).json();
        measured.expect_counts(0).expect_errors(&[]);
        let (totals, story) = (&measured.report.totals, measured.story());
        assert_eq!((totals.scheduled, totals.completed, totals.dropped), (200, 200, 0), "{story}");
        let seen = recorder.seen();
        assert_eq!(counts(seen.iter().map(Seen::asked)), want, "{cores} {io}\n{story}");
        assert!(
            seen.iter().all(|seen| seen.header("user-agent") == "agent/1" && seen.header("x-more") == "c")
        );
        let names: Counts = measured
            .report
            .requests
            .iter()
            .map(|request| (request.name.clone(), request.completed))
            .collect();
        assert_eq!(names["GET /items/{id}"], want["GET /items/1?page=2"] + want["GET /items/2"], "{story}");
        assert_eq!((names.len(), names["HEAD /items/{id}"]), (6, want[REQUESTS[3]]), "{story}");
        // The last of two hundred lines within two seconds, twice as fast.
        let target = measured.report.rate.target.unwrap_or(0.0);
        assert!((200.0..202.0).contains(&target), "{target} requests a second\n{story}");
    }
}

#[test]
fn an_archive_is_sent_with_its_headers_and_bodies() {
    let _turn = turn();
    let entry = |ms: u32, request: &str| {
        format!(r#"{{"startedDateTime": "2000-10-10T13:55:36.{ms:03}Z", "request": {request}}}"#)
    };
    let entries = [
        entry(
            0,
            r#"{"method": "POST", "url": "https://old.test/cart?a=b", "headers": [{"name": "X-Own", "value": "d"},
               {"name": "Cookie", "value": "e=f"}, {"name": "Host", "value": "old.test"}], "postData": {"text": "{\"g\": 1}"}}"#,
        ),
        entry(300, r#"{"method": "GET", "url": "https://old.test/", "headers": []}"#),
    ];
    let har = format!(r#"{{"log": {{"entries": [{}]}}}}"#, entries.join(", "));
    let recorder = Recorder::start(|_| answer(200, &[], ""));
    let folder = Folder::new(&replay("har: page.har", &recorder.target()), &[("page.har", &har)]);
    let measured = folder.run("").json();
    measured.expect_counts(0).expect_errors(&[]);
    let seen = recorder.seen();
    let [cart, page] = &seen[..] else { panic!("{seen:?}\n{}", measured.story()) };
    assert_eq!((cart.asked(), page.asked()), ("POST /cart?a=b", "GET /"));
    assert_eq!(
        (cart.text(), cart.header("x-own"), cart.header("cookie")),
        ("{\"g\": 1}".into(), "d".into(), String::new())
    );
    assert_eq!(format!("http://{}", cart.header("host")), recorder.target());
    assert_eq!((page.header("x-more"), page.header("user-agent")), ("c".to_owned(), "b".to_owned()));
}

/// What `brunt` says of a replay with these arguments.
#[track_caller]
fn check_refused(folder: &Folder, command: &str, args: &str, code: i32, want: &str) {
    let scenario = folder.path().join("scenario.yaml").display().to_string();
    let args: Vec<_> = args.split_whitespace().collect();
    let ended = Brunt::new(command).arg(&scenario).args(&args).run();
    let told = ended.stderr.clone() + &ended.stdout;
    assert!(ended.code == Some(code) && told.contains(want), "{command} {args:?}: {:?} {told}", ended.code);
}

#[test]
fn what_cannot_be_replayed_is_told_before_anything_is_sent() {
    let scenario = replay("log: access.log", "http://127.0.0.1:1");
    let good = Folder::new(&scenario, &[("access.log", &log())]);
    check_refused(
        &good,
        "run",
        "-q 10 -z 1s",
        5,
        "2:23: a replay has the number and the times of its log's requests",
    );
    let wrong = Folder::new(&scenario, &[("access.log", "no line of a log\n")]);
    let missing = Folder::new(&scenario, &[]);
    for command in ["run", "check"] {
        check_refused(&wrong, command, "", 5, "line 1 of access.log: there is no time in brackets");
        check_refused(&missing, command, "", 5, "the file 'access.log' cannot be opened");
    }
    check_refused(&good, "check", "", 0, "");
    check_refused(&good, "plan", "", 0, "200 arrivals, 200 requests");
}
