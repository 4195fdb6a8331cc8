//! Two clocks on one event: what the kernel's stamps say of a request against what the origin itself stamped.

use std::path::Path;

use brunt_tests::brunt::{Brunt, Measured};
use brunt_tests::netns::Pair;
use brunt_tests::truth::Origin;
use brunt_tests::turn;

use crate::{IO, note};

const TRUTH: &str = env!("CARGO_BIN_EXE_brunt-truth");
/// How far the median of the kernel's times may lie from the truth, in the median of three tries.
const ALLOWED_NS: i64 = 100_000;
const TRIES: usize = 3;

/// A way of speaking, with its flags for the origin and for us.
#[derive(Copy, Clone)]
struct Way<'a> {
    name: &'static str,
    origin: &'static str,
    run: &'a str,
}

const WAYS: [Way<'static>; 5] = [
    Way { name: "HTTP/1.1", origin: "", run: "-c 2" },
    Way { name: "HTTP/1.1 pipelined", origin: "", run: "-c 1 --pipeline 2" },
    Way { name: "HTTP/2", origin: "", run: "-c 1 -p 4 --h2c" },
    Way { name: "HTTP/1.1 over TLS", origin: "--tls", run: "-c 2 --http1.1" },
    Way { name: "HTTP/2 over TLS", origin: "--tls", run: "-c 1 -p 4 --http2" },
];

/// Medians of one try, in nanoseconds.
struct Try {
    truth: i64,
    kernel: i64,
    application: i64,
}

fn nanos(figure: u64) -> i64 {
    i64::try_from(figure).expect("less than a run")
}

#[track_caller]
fn try_once(origin: &mut Origin, command: Brunt, io: &str, way: Way<'_>, delay_us: u64) -> Try {
    let authority =
        if way.origin.is_empty() { String::new() } else { format!("--cacert {}", origin.authority()) };
    // Enough requests for a median, and not more time than that takes.
    let requests = (1_200_000 / delay_us).clamp(60, 400);
    let flags = format!("-n {requests} --cores 0 --io {io} --kernel on {} {authority}", way.run);
    let words: Vec<_> = flags.split_whitespace().collect();
    let measured = command.args(&words).arg(&origin.url("")).json();
    expect_all_known(&measured);
    let truth = origin.report();
    let latency = &measured.report.latency;
    let kernel = latency.kernel.as_ref().unwrap_or_else(|| panic!("no kernel times\n{}", measured.story()));
    Try { truth: nanos(truth.p50_ns), kernel: nanos(kernel.p50), application: nanos(latency.first_byte.p50) }
}

/// Whatever the verdict: another process may have had the core.
#[track_caller]
fn expect_all_known(measured: &Measured) {
    let kernel = &measured.report.kernel;
    assert!(matches!(measured.ended.code, Some(0 | 4)), "{}", measured.story());
    assert_eq!(measured.report.environment.kernel_timing, "on", "{}", measured.story());
    assert!(kernel.known > 0 && kernel.known == measured.report.totals.completed, "{}", measured.story());
}

/// The try with the middle one of the distances to the truth.
fn median(mut tries: Vec<Try>) -> Try {
    tries.sort_by_key(|a_try| (a_try.kernel - a_try.truth).abs());
    tries.swap_remove(tries.len() / 2)
}

#[track_caller]
fn check(place: &str, way: Way<'_>, delay_us: u64, io: &str, mut make: impl FnMut() -> (Origin, Brunt)) {
    let tries = (0..TRIES).map(|_| {
        let (mut origin, command) = make();
        try_once(&mut origin, command, io, way, delay_us)
    });
    let Try { truth, kernel, application } = median(tries.collect());
    let micros = |nanos: i64| nanos as f64 / 1e3;
    note(&format!(
        "truth | {place} | {} | {io} | {delay_us} | {:.1} | {:.1} | {:.1} | {:+.1}",
        way.name,
        micros(truth),
        micros(kernel),
        micros(application),
        micros(kernel - truth)
    ));
    assert!(
        (kernel - truth).abs() <= ALLOWED_NS && truth >= nanos(delay_us * 1_000),
        "{place}, {}, {io}, {delay_us} us: truth {truth} ns, kernel {kernel} ns, application {application} ns",
        way.name
    );
}

fn origin_flags(way: Way<'_>, delay_us: u64) -> String {
    format!("--core 1 --delay-us {delay_us} {}", way.origin)
}

fn check_on_loopback(way: Way<'_>) {
    let _turn = turn();
    for (delay_us, io) in [(2_000, "uring"), (5_000, "epoll"), (20_000, "uring")] {
        check("loopback", way, delay_us, io, || {
            let origin = Origin::start(Path::new(TRUTH), &origin_flags(way, delay_us));
            (origin, Brunt::new("run"))
        });
    }
}

#[test]
fn the_kernels_times_of_http1_are_true() {
    check_on_loopback(WAYS[0]);
}

#[test]
fn the_kernels_times_of_a_pipeline_are_true() {
    check_on_loopback(WAYS[1]);
}

#[test]
fn the_kernels_times_of_http2_are_true() {
    check_on_loopback(WAYS[2]);
}

#[test]
fn the_kernels_times_of_http1_over_tls_are_true() {
    check_on_loopback(WAYS[3]);
}

#[test]
fn the_kernels_times_of_http2_over_tls_are_true() {
    check_on_loopback(WAYS[4]);
}

#[test]
fn the_kernels_times_are_true_from_host_to_host() {
    let _turn = turn();
    let Some(pair) = Pair::make_or_skip("the_kernels_times_are_true_from_host_to_host") else { return };
    let wrapper = pair.client().network_wrapper();
    let wrapper: Vec<_> = wrapper.iter().map(String::as_str).collect();
    for (way, io) in WAYS.into_iter().zip(IO.into_iter().cycle()) {
        check("veth", way, 5_000, io, || {
            let flags = origin_flags(way, 5_000);
            let origin = Origin::start_inside(pair.server(), Pair::SERVER.into(), Path::new(TRUTH), &flags);
            (origin, Brunt::new("run").wrapped(&wrapper))
        });
    }
}

/// A reader that comes 3 ms late moves the application's figures by that and the kernel's by nothing: the time is told
/// apart as dwell.
#[test]
fn a_late_reader_moves_the_application_and_not_the_kernel() {
    const LATE_NS: i64 = 3_000_000;
    const MOVED_NS_MAX: i64 = 50_000;
    let _turn = turn();
    for way in [WAYS[0], WAYS[2], WAYS[3]] {
        // One at a time: of two answers the second would also wait for what the first is late.
        let run = way.run.replace("-c 2", "-c 1").replace("-p 4", "-p 1");
        let way = Way { run: &run, ..way };
        let delay_us = 5_000;
        let run = |late: &str| {
            let tries = (0..TRIES).map(|_| {
                let mut origin = Origin::start(Path::new(TRUTH), &origin_flags(way, delay_us));
                try_once(&mut origin, Brunt::new("run").args(&["--late-reads", late]), "uring", way, delay_us)
            });
            median(tries.collect())
        };
        let (prompt, late) = (run("0s"), run("3ms"));
        // The origin's own median is taken out: it is not what is tested here.
        let moved = (late.kernel - late.truth) - (prompt.kernel - prompt.truth);
        let app_moved = late.application - prompt.application;
        note(&format!(
            "late reader | {} | kernel moved {:+.1} us | application moved {:+.1} us",
            way.name,
            moved as f64 / 1e3,
            app_moved as f64 / 1e3
        ));
        assert!(moved.abs() < MOVED_NS_MAX, "{}: the kernel's times moved by {moved} ns", way.name);
        assert!((app_moved - LATE_NS).abs() < 700_000, "{}: {app_moved} ns", way.name);
    }
}
