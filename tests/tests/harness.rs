//! Those parts of the harness that are programs of their own.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use brunt_tests::clock;
use brunt_tests::netns::Pair;
use brunt_tests::process::Running;
use brunt_tests::truth::{Figures, Origin};

const TRUTH: &str = env!("CARGO_BIN_EXE_brunt-truth");
const DELAY_US: u64 = 5_000;
const DEADLINE: Duration = Duration::from_secs(5);

/// Asks it twice over one connection, which the caller made.
fn check(mut origin: Origin, connect: impl FnOnce(&Origin) -> std::io::Result<TcpStream>) {
    let mut stream = connect(&origin).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a bound above zero");
    for _ in 0..2 {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect("it reads");
        let mut answer = [0; "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx".len()];
        stream.read_exact(&mut answer).expect("it answers");
    }
    let figures = origin.report();
    assert!(figures.count == 2 && figures.min_ns >= DELAY_US * 1_000, "{figures:?}");
    assert_eq!(origin.report(), Figures::default(), "a report begins anew");
}

#[test]
fn an_origin_reports_its_own_times() {
    let origin = Origin::start(Path::new(TRUTH), &format!("--delay-us {DELAY_US} --body 1"));
    check(origin, |origin| TcpStream::connect(origin.address()));
}

#[test]
fn an_origin_in_a_namespace_reports_its_own_times() {
    let Some(pair) = Pair::make_or_skip("an_origin_in_a_namespace_reports_its_own_times") else { return };
    let args = format!("--delay-us {DELAY_US} --body 1 --core 0");
    let origin = Origin::start_inside(pair.server(), Pair::SERVER.into(), Path::new(TRUTH), &args);
    check(origin, |origin| pair.client().inside(|| TcpStream::connect_timeout(&origin.address(), DEADLINE)));
}

#[test]
fn an_origin_ends_with_its_input_or_its_time() {
    let ended = Running::start(Command::new(TRUTH)).finish(DEADLINE);
    let nothing = Figures::default().to_json();
    assert!(ended.code == Some(0) && ended.stdout.lines().nth(1) == Some(&nothing), "{}", ended.story());
    let mut origin = Origin::start(Path::new(TRUTH), "--exit-after 1");
    clock::until("the origin to end by itself", DEADLINE, || origin.has_ended().then_some(()));
}
