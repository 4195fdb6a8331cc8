//! Broken servers: each fault is counted under its exact name, and nothing hangs past its deadline.

use std::time::Duration;

use brunt_tests::brunt::measure;
use brunt_tests::garbage::{Act, Server};
use brunt_tests::{long, turn};

use crate::IO;

const HEAD: &str = "HTTP/1.1 200 OK\r\n";
const ENDED_WITHIN: Duration = Duration::from_secs(3);

/// Four requests, one a connection, all of which must fail as this kind; no answer arrived, so the code is 7.
#[track_caller]
fn check(script: &[Act], kind: &str) {
    check_with("-n 4 -c 4 --timeout 500ms", 4, script, kind);
}

#[track_caller]
fn check_with(args: &str, count: u64, script: &[Act], kind: &str) {
    for io in IO {
        let server = Server::start(script);
        let measured = measure(&format!("{args} --io {io} {}", server.url()));
        measured.expect(7).expect_errors(&[(kind, count)]);
        assert_eq!(measured.report.totals.in_flight, 0, "{}", measured.story());
        assert!(measured.report.status.is_empty(), "{}", measured.story());
        assert!(measured.ended.wall < ENDED_WITHIN || long(), "{}", measured.story());
    }
}

/// An answer and then silence: whatever is wrong with it must be found in it, not by waiting.
#[track_caller]
fn check_answer(answer: &str, kind: &str) {
    check(&[Act::send(answer), Act::Silence], kind);
}

#[track_caller]
fn check_cut(answer: &str, end: Act, kind: &str) {
    check(&[Act::send(answer), Act::Pause(Duration::from_millis(20)), end], kind);
}

#[test]
fn what_is_not_http() {
    let _turn = turn();
    check_answer("\0\x01\x02 nothing like it\r\n\r\n", "protocol");
    check_answer("SSH-2.0-OpenSSH_9.2\r\n", "protocol");
    check_answer("HTTP/9.9 200 OK\r\n\r\n", "protocol");
    check_answer("HTTP/1.1 twenty OK\r\n\r\n", "protocol");
    check_answer("HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n", "protocol");
    check_answer(&format!("{HEAD}Bad Name: x\r\nContent-Length: 0\r\n\r\n"), "protocol");
}

#[test]
fn framing_that_is_ambiguous_or_wrong() {
    let _turn = turn();
    let both = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    check_answer(&format!("{HEAD}{both}"), "protocol");
    check_answer(&format!("{HEAD}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"), "protocol");
    check_answer(&format!("{HEAD}Content-Length: 5, 6\r\n\r\nhello!"), "protocol");
    check_answer(&format!("{HEAD}Content-Length: -1\r\n\r\n"), "protocol");
    check_answer(&format!("{HEAD}Content-Length: 99999999999999999999\r\n\r\n"), "protocol");
    check_answer(&format!("{HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n"), "protocol");
    check_answer(&format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n"), "protocol");
    check_answer(&format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n11111111111111111\r\n"), "protocol");
}

#[test]
fn an_upgrade_nobody_asked_for() {
    let _turn = turn();
    let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";
    check_answer(head, "protocol");
}

#[test]
fn connections_closed_too_early() {
    let _turn = turn();
    check(&[Act::Close], "closed_early");
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Le".to_owned(),
        format!("{HEAD}Content-Length: 100\r\n\r\nhello"),
        format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nhel"),
        format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"),
        "HTTP/1.1 100 Continue\r\n\r\n".to_owned(),
    ] {
        check_cut(&answer, Act::Close, "closed_early");
    }
}

#[test]
fn connections_that_are_reset() {
    let _turn = turn();
    check(&[Act::Reset], "reset");
    check_cut("HTTP/1.1 200 OK\r\nContent-Le", Act::Reset, "reset");
    check_cut(&format!("{HEAD}Content-Length: 100\r\n\r\nhello"), Act::Reset, "reset");
    check_cut(&format!("{HEAD}\r\nuntil the end"), Act::Reset, "reset");
}

#[test]
fn servers_that_never_answer_or_never_end() {
    let _turn = turn();
    let every = |text: &str, millis| Act::Repeat(text.as_bytes().to_vec(), Duration::from_millis(millis));
    check(&[Act::Silence], "timeout_first_byte");
    check_answer("HTTP/1.1 200 OK\r\nContent-Le", "timeout_total");
    check_answer(&format!("{HEAD}Content-Length: 100\r\n\r\nhello"), "timeout_total");
    check_answer("HTTP/1.1 100 Continue\r\n\r\n", "timeout_total");
    check(&[Act::send(HEAD), every("A: b\r\n", 20)], "timeout_total");
    let chunked = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n");
    check(&[Act::send(&chunked), every("1\r\nx\r\n", 20)], "timeout_total");
    check(&[Act::send(&format!("{HEAD}\r\n")), every("x", 20)], "timeout_total");
}

/// A deadline ends a request when it says, not a sweep or two later.
#[test]
fn deadlines_are_kept() {
    let _turn = turn();
    for io in IO {
        let server = Server::start(&[Act::Silence]);
        let measured = measure(&format!("-n 8 -c 8 --timeout 300ms --io {io} {}", server.url()));
        let response =
            &measured.expect(7).expect_errors(&[("timeout_first_byte", 8)]).report.latency.response;
        assert!(response.min >= 300_000_000, "{} ns is too early", response.min);
        assert!(response.max < 350_000_000, "{} ns is too late", response.max);
    }
}

#[test]
fn floods() {
    let _turn = turn();
    let flood = |text: &str| Act::Repeat(text.repeat(200).into_bytes(), Duration::ZERO);
    check(&[flood("HTTP/1.1 100 Continue\r\n\r\n")], "too_many_interim");
    check(&[flood("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")], "too_many_interim");
    check(&[Act::send(HEAD), flood("X-Filler: nothing of interest in here\r\n")], "header_limit");
    check(&[Act::send("HTTP/1.1 200 "), flood("a reason without end ")], "header_limit");
    let chunked = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n");
    check(&[Act::send(&chunked), Act::send("5;"), flood("an extension without end ")], "header_limit");
    check(&[Act::send(&chunked), Act::send("0\r\n"), flood("X-Trailer: without end\r\n")], "header_limit");
}

/// 64 MiB is the limit on a body, announced or not.
#[test]
fn bodies_without_end() {
    let _turn = turn();
    let announced = format!("{HEAD}Content-Length: 67108865\r\n\r\n");
    check_with("-n 1 -c 1 --timeout 10s", 1, &[Act::send(&announced), Act::Silence], "body_limit");
    let flood = |bytes: Vec<u8>| Act::Repeat(bytes, Duration::ZERO);
    let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
    let chunked = Act::send(&format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n"));
    check_with("-n 1 -c 1 --timeout 10s", 1, &[chunked, flood(chunk)], "body_limit");
    let until_close = Act::send(&format!("{HEAD}\r\n"));
    check_with("-n 1 -c 1 --timeout 10s", 1, &[until_close, flood(vec![b'x'; 0x10000])], "body_limit");
}

/// A head has two seconds and a little for each byte, whatever the request may take as a whole.
#[test]
fn a_head_that_trickles_has_a_deadline_of_its_own() {
    let _turn = turn();
    let trickle = Act::Repeat(b"A".to_vec(), Duration::from_millis(300));
    check_with("-n 4 -c 4 --timeout 30s", 4, &[Act::send(HEAD), trickle], "header_timeout");
}

/// Broken answers between good ones: both are counted, the run goes on.
#[test]
fn a_broken_answer_does_not_harm_the_next_request() {
    let _turn = turn();
    let good = format!("{HEAD}Content-Length: 2\r\n\r\nok");
    let later = Duration::from_millis(5);
    for io in IO {
        // The second answer on each connection never comes: the server closes instead. One user alternates exactly.
        let server = Server::start_in_turn(&[vec![Act::send(&good)], vec![Act::Pause(later), Act::Close]]);
        let measured = measure(&format!("-n 40 -c 1 --io {io} --limit error_rate<=50% {}", server.url()));
        measured.expect_counts(0).expect_errors(&[("closed_early", 20)]);
        assert_eq!(measured.report.status.get("200"), Some(&20), "{}", measured.story());
    }
}
