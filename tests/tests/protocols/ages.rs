//! Servers that end connections by their age or allow few streams: no request is lost by it.

use brunt_tests::certificates::{Certificates, Holder};
use brunt_tests::nginx::{Nginx, Site};
use brunt_tests::turn;

use crate::{IO, agrees, connections, url};

/// HTTP/1.1 and HTTP/2, each in clear text and over TLS, with these directives.
fn all(certificates: &Certificates, more: &str) -> [Site; 4] {
    let secure = |listen| Site::secure(listen, certificates, Holder::Server, more);
    [Site::new("", more), secure("ssl"), Site::new("http2", more), secure("ssl http2")]
}

/// So many requests at once on each connection of a server that takes fifty each, and then closes it or sends GOAWAY
/// (RFC 9113 section 6.8).
#[track_caller]
fn check(name: &str, cases: &[(usize, &str, &str)]) {
    let _turn = turn();
    let made = Certificates::make();
    let Some(nginx) = Nginx::with_sites_or_skip(name, &all(&made, "keepalive_requests 50;")) else { return };
    for (io, (site, scheme, flags)) in IO.into_iter().flat_map(|io| cases.iter().map(move |case| (io, case)))
    {
        let trust = if *scheme == "https" { format!("--cacert {}", made.authority()) } else { String::new() };
        let target = url(&nginx, *site, scheme, "100");
        let args = format!("-n 2000 -c 4 --io {io} {trust} {flags} {target}");
        let (measured, logged) = agrees(&nginx, &args, 2_000);
        let opened = connections(&logged);
        assert!(opened >= 40, "{opened} connections for 2000 requests, fifty each\n{}", measured.story());
    }
}

#[test]
fn a_server_that_goes_away_costs_no_stream() {
    let cases = [
        (2, "http", "--h2c"),
        (2, "http", "--h2c -p 8"),
        (3, "https", "--http2 -p 8"),
        (3, "https", "--http2 -p 40"),
    ];
    check("a_server_that_goes_away_costs_no_stream", &cases);
}

#[test]
fn a_server_that_closes_costs_no_request_of_a_pipeline() {
    let cases = [(0, "http", "--pipeline 8"), (1, "https", "--pipeline 8"), (1, "https", "")];
    check("a_server_that_closes_costs_no_request_of_a_pipeline", &cases);
}

#[test]
fn an_open_load_outlives_its_connections() {
    let _turn = turn();
    let made = Certificates::make();
    let name = "an_open_load_outlives_its_connections";
    let Some(nginx) = Nginx::with_sites_or_skip(name, &all(&made, "keepalive_requests 50;")) else { return };
    let trust = format!("--http2 --cacert {}", made.authority());
    for (io, (site, scheme, flags)) in IO
        .into_iter()
        .flat_map(|io| [(2, "http", "--h2c"), (3, "https", trust.as_str())].map(|case| (io, case)))
    {
        let target = url(&nginx, site, scheme, "100");
        agrees(&nginx, &format!("-q 1000 -z 500ms -c 2 -p 8 --io {io} {flags} {target}"), 500);
    }
}

/// A server that takes four streams at once is never sent a fifth (RFC 9113 section 5.1.2).
#[test]
fn streams_wait_until_the_server_takes_them() {
    let _turn = turn();
    let made = Certificates::make();
    let name = "streams_wait_until_the_server_takes_them";
    let Some(nginx) = Nginx::with_sites_or_skip(name, &all(&made, "http2_max_concurrent_streams 4;")) else {
        return;
    };
    let trust = format!("--http2 --cacert {}", made.authority());
    for io in IO {
        for (site, scheme, flags) in [(2, "http", "--h2c"), (3, "https", trust.as_str())] {
            let target = url(&nginx, site, scheme, "4k");
            for load in ["-n 1000 -c 1", "-n 1000 -c 4", "-q 4000 -n 1000 -c 2"] {
                agrees(&nginx, &format!("{load} -p 32 --io {io} {flags} {target}"), 1_000);
            }
        }
    }
}
