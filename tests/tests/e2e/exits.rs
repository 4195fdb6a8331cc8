//! Exit codes and messages: a contract with scripts.

use brunt_model::verdict::Status;
use brunt_tests::brunt::{Brunt, brunt, measure};
use brunt_tests::clean::quiet;
use brunt_tests::garbage::{Act, Server};
use brunt_tests::origin::free_port;
use brunt_tests::process::Ended;
use brunt_tests::turn;

fn ok() -> Server {
    Server::start(&[Act::send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")])
}

fn failing() -> Server {
    Server::start(&[Act::send("HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno")])
}

/// A usage error: code 2, nothing on stdout, a short message with these words.
#[track_caller]
fn check_usage(ended: &Ended, words: &[&str]) {
    ended.expect_code(2).expect_on_stderr(words);
    assert_eq!(ended.stdout, "", "{}", ended.story());
    assert!(ended.stderr.lines().count() <= 12, "a usage error is short\n{}", ended.story());
}

#[test]
fn bad_usage_is_two() {
    let url = "http://127.0.0.1:1/";
    for (args, words) in [
        ("run nonsense", &["nonsense"][..]),
        ("run http://", &["http://"]),
        ("run http://127.0.0.1:99999/", &["99999"]),
        ("run ftp://127.0.0.1/", &["ftp"]),
        ("run --h2c https://127.0.0.1/", &["--http2"]),
        ("run --http1.1 --http2 https://127.0.0.1/", &["leave all but one out"]),
        ("run --cert x https://127.0.0.1/", &["--cert and --key"]),
        ("run --insecure --cacert x https://127.0.0.1/", &["leave one out"]),
        ("run --pipeline 2 --http2 https://127.0.0.1/", &["use -p"]),
        ("run", &["URL"]),
        ("gallop", &["gallop"]),
        (&format!("run --no-such-flag {url}"), &["--no-such-flag"]),
        (&format!("run -c 0 {url}"), &["0"]),
        (&format!("run -c many {url}"), &["many"]),
        (&format!("run -n -5 {url}"), &["5"]),
        (&format!("run -z soon {url}"), &["soon"]),
        (&format!("run -q fast {url}"), &["fast"]),
        (&format!("run --http2 {url}"), &["--h2c"]),
        (&format!("run --cacert x {url}"), &["https:// URLs"]),
        (&format!("run --insecure {url}"), &["https:// URLs"]),
        (&format!("run -p 10 {url}"), &["--h2c"]),
        (&format!("run --chunked {url}"), &["-d or -D"]),
        (&format!("run --proxy nowhere {url}"), &["socks5://"]),
        (&format!("run --controller https://c {url}"), &["not in this build"]),
        (&format!("run --cookies -q 5 {url}"), &["closed loads", "-q"]),
        (&format!("run --form a=b -d c {url}"), &["--form", "--body"]),
        (&format!("run --form a=b -D c {url}"), &["--form", "--body-file"]),
        (&format!("run --form nothing {url}"), &["NAME=@FILE"]),
        (&format!("run --io carrier-pigeon {url}"), &["carrier-pigeon", "uring", "epoll"]),
        (&format!("run -o punchcard {url}"), &["punchcard"]),
        (&format!("run -o json -o csv {url}"), &["stdout"]),
        (&format!("run --ok-status 99 {url}"), &["99"]),
        (&format!("run --source-ip nowhere {url}"), &["nowhere"]),
        (&format!("run --source-ip ::1 {url}"), &["same family"]),
        (&format!("run -H NoColon {url}"), &["NoColon"]),
        (&format!("run --warmup 20s -z 10s {url}"), &["warm-up"]),
        (&format!("run --limit p99<50ms {url}"), &["column 4", "p99<50ms"]),
    ] {
        check_usage(&brunt(args), words);
    }
    let spaced = Brunt::new("run --limit").arg("p99(response_time) = 50ms").arg(url).run();
    check_usage(&spaced, &["column 20", "<="]);
}

#[test]
fn a_file_that_does_not_serve_is_five() {
    for args in ["--cacert /nonexistent.pem", "--cert /nonexistent.pem --key /nonexistent.key"] {
        let ended = brunt(&format!("run -n 1 {args} https://127.0.0.1:1/"));
        ended.expect_code(5).expect_on_stderr(&["/nonexistent.pem", "cannot be opened"]);
    }
}

#[test]
fn an_unreachable_target_is_seven() {
    let _turn = turn();
    let port = free_port();
    for io in crate::IO {
        let measured = measure(&format!("-c 4 -z 5s --io {io} http://127.0.0.1:{port}/"));
        let refused = measured.errors("connect_refused");
        measured.expect(7).expect_errors(&[("connect_refused", refused)]);
        assert!(refused > 0 && measured.report.status.is_empty(), "{}", measured.story());
        let said = measured.report.verdict.reasons.iter().any(|reason| reason.contains("not one answer"));
        assert!(said, "{}", measured.story());
        let bounded = measure(&format!("-n 3 -c 2 --io {io} http://127.0.0.1:{port}/"));
        bounded.expect(7);
        assert!(bounded.ended.wall.as_secs() < 3, "{}", bounded.story());
    }
}

#[test]
fn a_name_without_address_is_seven() {
    let ended = brunt("run -n 1 http://nonexistent.invalid/");
    ended.expect_code(7).expect_on_stderr(&["nonexistent.invalid"]);
    assert!(ended.wall.as_secs() < 5, "resolving has a deadline of 2 s\n{}", ended.story());
}

#[test]
fn a_missed_limit_is_three() {
    let _turn = turn();
    let (good, bad) = (ok(), failing());
    let (good, bad) = (good.url(), bad.url());
    for (args, url, code) in [
        ("--limit p99(response_time)<1ns", &good, 3),
        ("--limit p99(response_time)<1m", &good, 0),
        ("--limit p99(response_time)<1m --limit error_rate<=0%", &good, 0),
        ("--limit p99(response_time)<1m --limit max(response_time)<1ns", &good, 3),
        ("--limit p50(connect_time)<1s", &good, 0),
        ("", &good, 0),
        ("", &bad, 3),
        ("--ok-status 500", &bad, 0),
        ("--ok-status 5xx", &bad, 0),
        ("--ok-status 404", &good, 3),
        ("--limit error_rate<=100%", &bad, 0),
    ] {
        let measured = quiet(|| measure(&format!("-n 50 -c 2 {args} {url}")));
        let report = &measured.expect(code).report;
        let status = if code == 0 { Status::Pass } else { Status::Fail };
        assert_eq!(report.verdict.status, status, "{args}\n{}", measured.story());
        assert_eq!(report.limits.iter().all(|limit| limit.passed), code == 0, "{args}: {:?}", report.limits);
    }
}

#[test]
fn an_output_that_cannot_be_written_is_one() {
    let _turn = turn();
    let server = ok();
    let nowhere = brunt(&format!("run -n 10 -c 1 -o json=/nonexistent/dir/x {}", server.url()));
    nowhere.expect_code(1).expect_on_stderr(&["/nonexistent/dir/x"]);
    let text = nowhere.stdout.to_lowercase();
    assert!(text.contains("pass") && text.contains("p99"), "the text is still there\n{}", nowhere.story());
}

#[test]
fn flags_may_come_from_the_environment_and_are_overruled_by_the_command_line() {
    let _turn = turn();
    let server = ok();
    let run = |args: &str| {
        let command = Brunt::new(&format!("run {args} {}", server.url()));
        command.env("BRUNT_REQUESTS", "7").env("BRUNT_CONNECTIONS", "2").json().report.totals.started
    };
    assert_eq!((run(""), run("-n 5")), (7, 5));
}
