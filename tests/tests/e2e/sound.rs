//! Odd but valid answers: each completes, and is counted to the byte.

use std::time::Duration;

use brunt_tests::brunt::measure;
use brunt_tests::garbage::{Act, Server};
use brunt_tests::turn;

use crate::IO;

const HEAD: &str = "HTTP/1.1 200 OK\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                       5;name=\"a;b\"\r\nhello\r\nA;x\r\n, chunked \r\n0;last\r\nX-Trailer: 1\r\nX-Other: 2\r\n\r\n";

struct Case {
    args: &'static str,
    status: &'static str,
    /// Bytes of one answer.
    bytes: usize,
    /// Each request needs a connection of its own.
    closes: bool,
}

impl Case {
    fn ok(bytes: usize) -> Self {
        Self { args: "", status: "200", bytes, closes: false }
    }

    /// Twelve requests on two connections all complete.
    #[track_caller]
    fn check(&self, script: &[Act]) {
        for io in IO {
            let server = Server::start(script);
            let measured =
                measure(&format!("-n 12 -c 2 --timeout 2s --io {io} {} {}", self.args, server.url()));
            let report = &measured.expect_counts(0).expect_errors(&[]).report;
            assert_eq!(report.status.get(self.status), Some(&12), "{}", measured.story());
            assert_eq!(report.totals.bytes_in, 12 * self.bytes as u64, "{}", measured.story());
            let connections = if self.closes { 12 } else { 2 };
            assert_eq!(report.totals.connections_opened, connections, "{}", measured.story());
            assert!(measured.ended.wall < Duration::from_secs(3), "{}", measured.story());
        }
    }
}

#[track_caller]
fn check(answer: &str) {
    Case::ok(answer.len()).check(&[Act::send(answer)]);
}

#[track_caller]
fn check_closing(answer: &str, end: &[Act]) {
    let script = [&[Act::send(answer)], end].concat();
    Case { closes: true, ..Case::ok(answer.len()) }.check(&script);
}

#[test]
fn chunked_bodies_with_extensions_and_trailers() {
    let _turn = turn();
    check(CHUNKED);
    check(&format!("{HEAD}Transfer-Encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"));
    check(&format!("{HEAD}transfer-encoding:CHUNKED\r\n\r\n0\r\n\r\n"));
}

#[test]
fn every_byte_may_come_alone() {
    let _turn = turn();
    for answer in [CHUNKED.to_owned(), format!("{HEAD}Content-Length: 5\r\n\r\nhello")] {
        Case::ok(answer.len()).check(&[Act::SendByByte(answer.clone().into_bytes())]);
        let (begin, end) = answer.split_at(answer.len() / 2);
        let pause = Act::Pause(Duration::from_millis(10));
        Case::ok(answer.len()).check(&[Act::send(begin), pause, Act::send(end)]);
    }
}

#[test]
fn interim_answers_come_before_the_final_one() {
    let _turn = turn();
    let last = format!("{HEAD}Content-Length: 5\r\n\r\nhello");
    check(&format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n{last}"));
    check(&format!("{}{last}", "HTTP/1.1 102 Processing\r\n\r\n".repeat(16)));
}

#[test]
fn answers_without_a_body() {
    let _turn = turn();
    for (args, status, answer) in [
        ("", "204", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("", "304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: \"x\"\r\n\r\n"),
        ("-m HEAD", "200", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        ("-m HEAD", "200", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("", "200", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ] {
        Case { args, status, ..Case::ok(answer.len()) }.check(&[Act::send(answer)]);
    }
}

#[test]
fn odd_spellings() {
    let _turn = turn();
    check("HTTP/1.1 200 \r\ncontent-LENGTH:5\r\n\r\nhello");
    check(&format!("{HEAD}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"));
    check(&format!("{HEAD}{}Content-Length: 5\r\n\r\nhello", "X-Many: 1\r\n".repeat(120)));
    check(&format!("{HEAD}X-Long: {}\r\nContent-Length: 5\r\n\r\nhello", "x".repeat(40_000)));
    check("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello");
}

#[test]
fn connections_that_end_with_the_answer() {
    let _turn = turn();
    check_closing("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", &[Act::Close]);
    check_closing("HTTP/1.0 200 OK\r\n\r\nuntil the end", &[Act::Close]);
    check_closing(&format!("{HEAD}\r\nuntil the end"), &[Act::Close]);
    check_closing(&format!("{HEAD}Connection: close\r\nContent-Length: 5\r\n\r\nhello"), &[Act::Close]);
    // It announces the end and leaves it to the client.
    check_closing(&format!("{HEAD}Connection: close\r\nContent-Length: 5\r\n\r\nhello"), &[Act::Silence]);
    check_closing("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", &[Act::Silence]);
}

#[test]
fn slow_answers_are_waited_for() {
    let _turn = turn();
    let answer = format!("{HEAD}Content-Length: 5\r\n\r\nhello");
    let pause = Act::Pause(Duration::from_millis(60));
    Case::ok(answer.len()).check(&[pause, Act::send(&answer)]);
}

/// What follows an answer unasked is never taken for the answer to another request.
#[test]
fn bytes_after_an_answer_answer_nothing() {
    let _turn = turn();
    let answer = format!("{HEAD}Content-Length: 5\r\n\r\nhello");
    let unasked = "HTTP/1.1 299 Unasked\r\nContent-Length: 0\r\n\r\n";
    for io in IO {
        for script in [
            vec![Act::send(&format!("{answer}{unasked}"))],
            vec![Act::send(&answer), Act::Pause(Duration::from_millis(2)), Act::send(unasked)],
        ] {
            let server = Server::start(&script);
            let measured = measure(&format!("-n 12 -c 2 --timeout 2s --io {io} {}", server.url()));
            // One that comes after the next request was sent cannot be told from its answer, by anybody.
            if script.len() == 1 {
                measured.expect_errors(&[]);
                assert_eq!(measured.report.totals.connections_opened, 12, "{}", measured.story());
                assert_eq!(measured.report.status.get("299"), None, "{}", measured.story());
            }
            assert_eq!(measured.report.totals.started, 12, "{}", measured.story());
            assert!(server.requests() <= 12, "{}", measured.story());
        }
    }
}
