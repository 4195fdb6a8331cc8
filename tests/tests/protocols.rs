//! End to end over TLS, HTTP/2 and proxies: the built `brunt` against the servers that people run.
//!
//! One test at a time makes load (`brunt_tests::turn`). Counts are exact: what Brunt says it sent is what the
//! server says it got, and what is refused is refused by name.

#[path = "protocols/ages.rs"]
mod ages;
#[path = "protocols/bodies.rs"]
mod bodies;
#[path = "protocols/content.rs"]
mod content;
#[path = "protocols/counts.rs"]
mod counts;
#[path = "protocols/proxies.rs"]
mod proxies;
#[path = "protocols/sessions.rs"]
mod sessions;
#[path = "protocols/trust.rs"]
mod trust;

use brunt_tests::brunt::{Measured, measure};
use brunt_tests::nginx::{Logged, Nginx};

/// Both I/O drivers; every behaviour on the wire is checked with each.
pub(crate) const IO: [&str; 2] = ["uring", "epoll"];

/// A run of which all of so many requests completed.
#[track_caller]
pub(crate) fn completes(args: &str, count: u64) -> Measured {
    let measured = measure(args);
    measured.expect_counts(0).expect_errors(&[]);
    let t = &measured.report.totals;
    let got = (t.scheduled, t.completed, t.in_flight, t.lost);
    assert_eq!(got, (count, count, 0, 0), "{}", measured.story());
    measured
}

/// The same against nginx, which logged each of them and no other; what it logged.
#[track_caller]
pub(crate) fn agrees(nginx: &Nginx, args: &str, count: u64) -> (Measured, Vec<Logged>) {
    let before = nginx.logged().len();
    let measured = completes(args, count);
    let logged = nginx.logged().split_off(before);
    assert_eq!(logged.len() as u64, count, "{}", measured.story());
    (measured, logged)
}

/// A run of which nothing was answered, and all that failed did so as this kind.
#[track_caller]
pub(crate) fn fails(args: &str, kind: &str) -> Measured {
    let measured = measure(args);
    let count = measured.errors(kind);
    assert!(count > 0, "errors {kind} were expected\n{}", measured.story());
    measured.expect(7).expect_errors(&[(kind, count)]);
    measured
}

/// Different connections in these lines.
pub(crate) fn connections(logged: &[Logged]) -> usize {
    let all: std::collections::BTreeSet<_> = logged.iter().map(|line| line.connection).collect();
    all.len()
}

/// The URL of a file of a further server.
pub(crate) fn url(nginx: &Nginx, site: usize, scheme: &str, path: &str) -> String {
    format!("{scheme}://127.0.0.1:{}/{path}", nginx.port_of(site))
}
