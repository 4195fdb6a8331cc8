//! Closed loads on a real server: the counts agree with its access log to the request and to the byte.

use brunt_model::verdict::Status;
use brunt_tests::brunt::{Measured, measure};
use brunt_tests::clean::quiet;
use brunt_tests::nginx::{Logged, Nginx};
use brunt_tests::turn;

use crate::IO;

/// Every request was answered with 200, nothing is left, and nginx saw the same requests and bytes.
#[track_caller]
fn check_against_log(measured: &Measured, logged: &[Logged]) {
    let totals = &measured.expect_counts(0).report.totals;
    let story = measured.story();
    let lines = logged.len() as u64;
    assert_eq!((totals.completed, totals.failed, totals.in_flight, totals.lost), (lines, 0, 0, 0), "{story}");
    assert_eq!((totals.scheduled, totals.started), (lines, lines), "{story}");
    assert_eq!(measured.report.status.get("200"), Some(&lines), "{story}");
    assert_eq!(totals.bytes_in, logged.iter().map(|line| line.bytes).sum::<u64>(), "bytes\n{story}");
    assert!(logged.iter().all(|line| line.status == 200), "nginx answered something else");
}

#[test]
fn a_closed_run_agrees_with_the_access_log() {
    let _turn = turn();
    let mut before = 0;
    let Some(nginx) = Nginx::start_or_skip("a_closed_run_agrees_with_the_access_log") else { return };
    for io in IO {
        let measured = quiet(|| {
            before = nginx.logged().len();
            measure(&format!("-c 64 -z 2s --io {io} {}", nginx.url("100")))
        });
        assert_eq!(measured.expect(0).report.verdict.status, Status::Pass, "{}", measured.story());
        assert_eq!(measured.report.environment.io, io);
        assert_eq!(measured.report.totals.connections_opened, 64, "{}", measured.story());
        check_against_log(&measured, &nginx.logged()[before..]);
    }
}

/// A count ends the run, and exactly so many requests were made, however they divide among the connections.
#[test]
fn a_number_of_requests_is_exact() {
    let _turn = turn();
    let Some(nginx) = Nginx::start_or_skip("a_number_of_requests_is_exact") else { return };
    for (args, count) in [
        ("-n 10k -c 16", 10_000),
        ("-n 1", 1),
        ("-n 1 -c 1", 1),
        ("-n 3 -c 64", 3),
        ("-n 1001 -c 7 --cores 0", 1_001),
        ("-n 100 -c 1 --cores 0-1", 100),
        ("-n 500 -c 10 --disable-keepalive", 500),
        ("-n 1k -z 20s -c 4", 1_000),
    ] {
        let before = nginx.logged().len();
        let measured = measure(&format!("{args} {}", nginx.url("100")));
        let logged = nginx.logged();
        check_against_log(&measured, &logged[before..]);
        assert_eq!(measured.report.totals.completed, count, "{args}\n{}", measured.story());
    }
}

#[test]
fn without_keep_alive_each_request_has_its_connection() {
    let _turn = turn();
    let Some(nginx) = Nginx::start_or_skip("without_keep_alive_each_request_has_its_connection") else {
        return;
    };
    for io in IO {
        let before = nginx.logged().len();
        let measured = measure(&format!("-n 300 -c 10 --disable-keepalive --io {io} {}", nginx.url("100")));
        assert_eq!(measured.report.totals.connections_opened, 300, "{}", measured.story());
        let mut connections: Vec<_> = nginx.logged()[before..].iter().map(|line| line.connection).collect();
        connections.sort_unstable();
        connections.dedup();
        assert_eq!(connections.len(), 300);
    }
}

/// nginx closes each connection after a hundred requests; none is lost by that.
#[test]
fn a_server_that_ages_its_connections_costs_no_request() {
    let _turn = turn();
    let name = "a_server_that_ages_its_connections_costs_no_request";
    let Some(nginx) = Nginx::with_keepalive_or_skip(name, 100) else { return };
    for io in IO {
        let before = nginx.logged().len();
        let measured = measure(&format!("-n 10k -c 16 --io {io} {}", nginx.url("100")));
        check_against_log(&measured, &nginx.logged()[before..]);
        let opened = measured.report.totals.connections_opened;
        assert!((100..=116).contains(&opened), "{opened} connections for 10,000 requests, 100 each");
    }
}

#[test]
fn large_bodies_are_counted_to_the_byte() {
    let _turn = turn();
    let Some(nginx) = Nginx::start_or_skip("large_bodies_are_counted_to_the_byte") else { return };
    for (file, args) in
        [("4k", "-n 2k -c 16"), ("64k", "-n 1k -c 16"), ("1m", "-n 100 -c 4"), ("1m", "-n 64 -c 64")]
    {
        for io in IO {
            let before = nginx.logged().len();
            let measured = measure(&format!("{args} --io {io} {}", nginx.url(file)));
            check_against_log(&measured, &nginx.logged()[before..]);
        }
    }
}

/// What is sent arrives. nginx reads the body of a POST to its end before it takes the next request.
#[test]
fn requests_are_sent_as_asked() {
    let _turn = turn();
    let Some(nginx) = Nginx::start_or_skip("requests_are_sent_as_asked") else { return };
    for (args, path, status, method) in [
        ("-m HEAD", "100", 200, "HEAD"),
        ("-m POST -d hello", "", 200, "POST"),
        ("-m DELETE --ok-status 405", "100", 405, "DELETE"),
        ("--ok-status 404", "nowhere", 404, "GET"),
    ] {
        for io in IO {
            let before = nginx.logged().len();
            let measured = measure(&format!("-n 20 -c 2 --io {io} {args} {}", nginx.url(path)));
            measured.expect_counts(0).expect_errors(&[]);
            let logged = nginx.logged();
            let expected = (20, status, method, format!("/{path}"));
            let line = &logged[before];
            let got = (logged.len() - before, line.status, line.method.as_str(), line.path.clone());
            assert_eq!(got, expected, "{}", measured.story());
        }
    }
}
