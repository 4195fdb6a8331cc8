//! Counts agree with the servers' logs, in each protocol, with each driver, closed and open.

use std::time::Duration;

use brunt_tests::apache::Apache;
use brunt_tests::certificates::{Certificates, Holder};
use brunt_tests::nghttpd::Nghttpd;
use brunt_tests::nginx::{FILES, Nginx, Site};
use brunt_tests::{clock, turn};

use crate::{IO, agrees, completes, connections, url};

/// A closed load and an open one, and how many requests they make.
const LOADS: [(&str, u64); 2] = [("-n 1000 -c 4", 1_000), ("-q 400 -z 500ms -c 4", 200)];
/// Other servers than nginx may log a request a little after its answer.
const LOG_DEADLINE: Duration = Duration::from_secs(5);

/// HTTP/1.1 over TLS, HTTP/2 over TLS, and HTTP/2 in clear text, in this order.
fn sites(certificates: &Certificates) -> [Site; 3] {
    let secure = |listen| Site::secure(listen, certificates, Holder::Server, "");
    [secure("ssl"), secure("ssl http2"), Site::new("http2", "")]
}

/// What each of [`sites`] speaks: scheme, flags, protocol in the log.
fn spoken(certificates: &Certificates) -> [(&'static str, String, &'static str); 3] {
    let trust = format!("--cacert {}", certificates.authority());
    [
        ("https", trust.clone(), "HTTP/1.1"),
        ("https", format!("{trust} --http2"), "HTTP/2.0"),
        ("http", "--h2c".to_owned(), "HTTP/2.0"),
    ]
}

#[test]
fn nginx_logs_what_was_counted() {
    let _turn = turn();
    let made = Certificates::make();
    let Some(nginx) = Nginx::with_sites_or_skip("nginx_logs_what_was_counted", &sites(&made)) else { return };
    for (site, (scheme, flags, protocol)) in spoken(&made).into_iter().enumerate() {
        let streams = if protocol == "HTTP/2.0" { "-p 32" } else { "" };
        for (io, (load, count)) in IO.into_iter().flat_map(|io| LOADS.map(|load| (io, load))) {
            let target = url(&nginx, site, scheme, "100");
            let args = format!("{load} --io {io} {flags} {streams} {target}");
            let (measured, logged) = agrees(&nginx, &args, count);
            let tls = if scheme == "https" { "TLSv1.3" } else { "" };
            let as_asked = logged.iter().all(|line| line.way.protocol == protocol && line.way.tls == tls);
            assert!(as_asked, "{:?}\n{}", logged[0], measured.story());
            let t = &measured.report.totals;
            let handshakes = if scheme == "https" { t.connections_opened } else { 0 };
            assert_eq!(t.tls_handshakes, handshakes, "{}", measured.story());
            assert_eq!(measured.report.latency.tls.is_some(), scheme == "https", "{}", measured.story());
        }
    }
}

/// A log that is not written in order with the answers is waited for.
#[track_caller]
fn check(target: &str, flags: &str, logged: impl Fn() -> u64) {
    for (io, (load, count)) in IO.into_iter().flat_map(|io| LOADS.map(|load| (io, load))) {
        let before = logged();
        let measured = completes(&format!("{load} -p 32 --io {io} {flags} {target}"), count);
        clock::until("the server's log", LOG_DEADLINE, || (logged() >= before + count).then_some(()));
        assert_eq!(logged() - before, count, "{}", measured.story());
    }
}

#[test]
fn nghttpd_shows_what_was_counted() {
    let _turn = turn();
    let made = Certificates::make();
    let trust = format!("--http2 --cacert {}", made.authority());
    for (certificates, flags) in [(None, "--h2c"), (Some(&made), trust.as_str())] {
        let Some(server) = Nghttpd::start_or_skip("nghttpd_shows_what_was_counted", certificates, &[]) else {
            return;
        };
        check(&server.url("100"), flags, || server.requests());
    }
}

#[test]
fn apache_logs_what_was_counted() {
    let _turn = turn();
    let made = Certificates::make();
    let trust = format!("--http2 --cacert {}", made.authority());
    for (certificates, flags) in [(None, "--h2c"), (Some(&made), trust.as_str())] {
        let Some(server) = Apache::start_or_skip("apache_logs_what_was_counted", certificates) else {
            return;
        };
        check(&server.url("100"), flags, || server.logged().len() as u64);
        assert!(server.logged().iter().all(|line| line == "200 HTTP/2.0"), "{:?}", server.logged()[0]);
    }
}

/// Frames with padding, trailers, and no length: all is HTTP/2 still.
#[test]
fn answers_of_odd_shapes() {
    let _turn = turn();
    let options = ["-b", "64", "--trailer", "x-sum: 1", "--no-content-length"];
    let Some(server) = Nghttpd::start_or_skip("answers_of_odd_shapes", None, &options) else { return };
    for io in IO {
        for file in ["100", "64k"] {
            completes(&format!("-n 200 -c 2 -p 8 --io {io} --h2c {}", server.url(file)), 200);
        }
    }
}

#[test]
fn an_answer_to_head_has_no_body() {
    let _turn = turn();
    let made = Certificates::make();
    let Some(nginx) = Nginx::with_sites_or_skip("an_answer_to_head_has_no_body", &sites(&made)) else {
        return;
    };
    for (site, (scheme, flags, _)) in spoken(&made).into_iter().enumerate() {
        for io in IO {
            let target = url(&nginx, site, scheme, "1m");
            let args = format!("-n 100 -c 4 -m HEAD --io {io} {flags} {target}");
            let (measured, logged) = agrees(&nginx, &args, 100);
            assert!(logged.iter().all(|line| line.method == "HEAD"), "{}", measured.story());
            assert!(measured.report.totals.bytes_in < 100_000, "{}", measured.story());
        }
    }
}

#[test]
fn large_bodies_arrive_whole() {
    let _turn = turn();
    let made = Certificates::make();
    let Some(nginx) = Nginx::with_sites_or_skip("large_bodies_arrive_whole", &sites(&made)) else { return };
    for (site, (scheme, flags, protocol)) in spoken(&made).into_iter().enumerate() {
        let streams = if protocol == "HTTP/2.0" { "-p 4" } else { "" };
        for (io, (file, size)) in IO.into_iter().flat_map(|io| FILES.map(|file| (io, file))) {
            let target = url(&nginx, site, scheme, file);
            let (measured, _) =
                agrees(&nginx, &format!("-n 40 -c 2 --io {io} {flags} {streams} {target}"), 40);
            // Frames and records come on top of the bodies.
            let bytes = measured.report.totals.bytes_in;
            assert!(bytes > 40 * size as u64, "{}", measured.story());
            assert!(bytes < 40 * (size as u64 * 11 / 10 + 4_000), "{}", measured.story());
        }
    }
}

#[test]
fn without_keep_alive_each_request_has_its_connection() {
    let _turn = turn();
    let made = Certificates::make();
    let name = "without_keep_alive_each_request_has_its_connection";
    let Some(nginx) = Nginx::with_sites_or_skip(name, &sites(&made)) else { return };
    for (site, (scheme, flags, _)) in spoken(&made).into_iter().enumerate() {
        for io in IO {
            let target = url(&nginx, site, scheme, "100");
            let args = format!("-n 100 -c 4 --disable-keepalive --io {io} {flags} {target}");
            let (measured, logged) = agrees(&nginx, &args, 100);
            assert_eq!(connections(&logged), 100, "{}", measured.story());
            assert_eq!(measured.report.totals.connections_opened, 100, "{}", measured.story());
        }
    }
}
