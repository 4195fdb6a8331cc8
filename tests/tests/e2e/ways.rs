//! Ways to the target: IPv4, IPv6, unix sockets, several source addresses, names.

use brunt_tests::brunt::{Measured, measure};
use brunt_tests::garbage::{Act, Server};
use brunt_tests::nginx::Nginx;
use brunt_tests::{skip, turn};

use crate::IO;

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Two hundred requests complete.
#[track_caller]
fn check(args: &str) -> Measured {
    let measured = measure(&format!("-n 200 -c 8 {args}"));
    measured.expect_counts(0).expect_errors(&[]);
    assert_eq!(measured.report.totals.completed, 200, "{}", measured.story());
    measured
}

#[test]
fn ipv6() {
    let _turn = turn();
    let Ok(server) = Server::start_ipv6(&[Act::send(ANSWER)]) else {
        return skip::skip("ipv6", "this machine has no address ::1");
    };
    for io in IO {
        check(&format!("--io {io} {}", server.url()));
        check(&format!("--io {io} --source-ip ::1 {}", server.url()));
    }
}

#[test]
fn a_unix_socket() {
    let _turn = turn();
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let path = directory.path().join("socket");
    let server = Server::start_unix(&path, &[Act::send(ANSWER)]);
    for io in IO {
        check(&format!("--io {io} --unix-socket {} http://name.invalid/", path.display()));
    }
    assert!(server.requests() >= 400);
    let gone = measure(&format!("-n 4 -c 2 --unix-socket {}.gone http://localhost/", path.display()));
    gone.expect(7).expect_errors(&[("connect_refused", gone.errors("connect_refused"))]);
}

/// Bodies are not copied where the kernel can discard them, which it cannot on unix sockets.
#[test]
fn long_answers_over_a_unix_socket() {
    let _turn = turn();
    let Some(nginx) = Nginx::start_or_skip("long_answers_over_a_unix_socket") else { return };
    for io in IO {
        for size in ["64k", "1m"] {
            let before = nginx.logged().len();
            let way = format!("--unix-socket {} http://localhost/{size}", nginx.unix_socket().display());
            let measured = check(&format!("--io {io} {way}"));
            let bytes: u64 = nginx.logged()[before..].iter().map(|line| line.bytes).sum();
            assert_eq!(measured.report.totals.bytes_in, bytes, "{io} {size}");
        }
    }
}

#[test]
fn source_addresses_are_used_in_turn() {
    let _turn = turn();
    for io in IO {
        let server = Server::start(&[Act::send(ANSWER)]);
        check(&format!("--io {io} --source-ip 127.0.0.2 --source-ip 127.0.0.3 {}", server.url()));
        let peers: Vec<_> = server.peers().iter().map(ToString::to_string).collect();
        assert_eq!(peers, ["127.0.0.2", "127.0.0.3"]);
    }
}

#[test]
fn nginx_on_every_way() {
    let _turn = turn();
    let Some(nginx) = Nginx::start_or_skip("nginx_on_every_way") else { return };
    let socket = nginx.unix_socket();
    let mut ways = vec![
        (nginx.url("100"), "127.0.0.1"),
        (format!("--source-ip 127.0.0.2 {}", nginx.url("100")), "127.0.0.2"),
        (format!("--unix-socket {} http://localhost/100", socket.display()), "unix:"),
    ];
    ways.extend(nginx.url_ipv6("100").map(|url| (url, "::1")));
    for (args, peer) in ways {
        let before = nginx.logged().len();
        let measured = check(&args);
        let logged = nginx.logged();
        assert!(logged[before..].iter().all(|line| line.peer == peer), "{args}");
        let bytes: u64 = logged[logged.len() - 200..].iter().map(|line| line.bytes).sum();
        assert_eq!(measured.report.totals.bytes_in, bytes, "{args}");
    }
}

#[test]
fn names_are_resolved_or_given() {
    let _turn = turn();
    let server = Server::start(&[Act::send(ANSWER)]);
    let url = server.url();
    let port = url.trim_end_matches('/').rsplit(':').next().unwrap_or_default();
    check(&format!("http://localhost:{port}/"));
    check(&format!("--resolve name.invalid:{port}:127.0.0.1 http://name.invalid:{port}/"));
    check(&format!("--connect-to name.invalid:80:127.0.0.1:{port} http://name.invalid/"));
}

/// The bytes on the wire, all of them.
#[test]
fn a_request_is_sent_to_the_letter() {
    let _turn = turn();
    let server = Server::start(&[Act::send(ANSWER)]);
    let (url, host) = (server.url(), server.url().replace("http://", "").replace('/', ""));
    let agent = concat!("brunt/", env!("CARGO_PKG_VERSION"));
    let common = format!("Host: {host}\r\nUser-Agent: {agent}\r\nAccept: */*\r\n");
    for (args, path, want) in [
        ("", "", format!("GET / HTTP/1.1\r\n{common}\r\n")),
        ("", "a/b?c=d&e=%20f", format!("GET /a/b?c=d&e=%20f HTTP/1.1\r\n{common}\r\n")),
        ("-H X-One:1 -H X-Two:2", "", format!("GET / HTTP/1.1\r\n{common}X-One: 1\r\nX-Two: 2\r\n\r\n")),
        ("--disable-keepalive", "", format!("GET / HTTP/1.1\r\n{common}Connection: close\r\n\r\n")),
        ("-m PUT -d hello", "", format!("PUT / HTTP/1.1\r\n{common}Content-Length: 5\r\n\r\nhello")),
        ("-m POST", "", format!("POST / HTTP/1.1\r\n{common}Content-Length: 0\r\n\r\n")),
        (
            "-d x -T text/plain",
            "",
            format!("GET / HTTP/1.1\r\n{common}Content-Type: text/plain\r\nContent-Length: 1\r\n\r\nx"),
        ),
        ("-a user:pass", "", format!("GET / HTTP/1.1\r\n{common}Authorization: Basic dXNlcjpwYXNz\r\n\r\n")),
    ] {
        for io in IO {
            let measured = measure(&format!("-n 2 -c 1 --io {io} {args} {url}{path}"));
            measured.expect_counts(0).expect_errors(&[]);
            assert_eq!(server.last_request(), want, "{args}");
            assert_eq!(measured.report.totals.bytes_out, 2 * want.len() as u64, "{}", measured.story());
        }
    }
}
