//! How many requests the kernel's stamps are known of, and that they change nothing.

use brunt_tests::brunt::{Brunt, measure};
use brunt_tests::clean::quiet;
use brunt_tests::nghttpd::Nghttpd;
use brunt_tests::nginx::Nginx;
use brunt_tests::origin::Origin;
use brunt_tests::turn;

use crate::{IO, note};

const LEAST: f64 = 0.999;

/// A whole run's coverage, its unknown requests in the denominator.
#[track_caller]
fn check(what: &str, args: &str) {
    for io in IO {
        let measured = measure(&format!("{args} --kernel on --io {io}"));
        assert!(matches!(measured.ended.code, Some(0 | 4)), "{}", measured.story());
        let (kernel, totals) = (&measured.report.kernel, &measured.report.totals);
        let sum = kernel.known + kernel.overwritten + kernel.missing;
        assert_eq!(sum, totals.completed, "each completed request is known or unknown\n{}", measured.story());
        let coverage = kernel.coverage.unwrap_or_default();
        note(&format!("coverage | {what} | {io} | {} of {sum} | {:.4} %", kernel.known, coverage * 100.0));
        assert!(coverage >= LEAST, "{what}, {io}: {coverage}\n{}", measured.story());
        let latency = &measured.report.latency;
        let (kernel, dwell) = (latency.kernel.as_ref(), latency.dwell.as_ref());
        let handshake = latency.handshake.as_ref();
        let counts = [kernel, dwell].map(|latency| latency.map_or(0, |latency| latency.count));
        assert_eq!(counts, [sum, sum], "{}", measured.story());
        assert_eq!(
            handshake.map_or(0, |latency| latency.count),
            totals.connections_opened,
            "{}",
            measured.story()
        );
        // The parts are not longer than the whole, bucket widths and clock readings aside.
        let parts = kernel.map_or(0, |latency| latency.p50);
        assert!(parts <= latency.first_byte.p50 + latency.first_byte.p50 / 50, "{}", measured.story());
    }
}

#[test]
fn one_request_on_each_of_64_connections() {
    let _turn = turn();
    let Some(nginx) = Nginx::start_or_skip("one_request_on_each_of_64_connections") else { return };
    check("64 x 1, nginx, 100 B", &format!("-c 64 -z 2s --cores 0 {}", nginx.url("100")));
    check("64 x 1, nginx, 64 KiB", &format!("-c 64 -z 1s --cores 0 {}", nginx.url("64k")));
}

#[test]
fn thirty_two_streams_on_each_of_4_connections() {
    let _turn = turn();
    let Some(nghttpd) = Nghttpd::start_or_skip("thirty_two_streams_on_each_of_4_connections", None, &[])
    else {
        return;
    };
    let url = nghttpd.url("100");
    check("4 x 32, nghttpd, 100 B", &format!("-c 4 -p 32 --h2c -z 2s --cores 0 {url}"));
}

#[test]
fn many_short_connections() {
    let _turn = turn();
    let origin = Origin::start("");
    check("connection a request", &format!("-c 8 -z 1s --cores 0 --disable-keepalive {}", origin.url("")));
}

#[test]
fn an_upload_is_known_from_its_first_byte() {
    let _turn = turn();
    let origin = Origin::start("");
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let file = directory.path().join("body");
    std::fs::write(&file, vec![b'x'; 1 << 20]).expect("it can be written");
    let args = format!("-n 200 -c 4 --cores 0 -D {} {}", file.display(), origin.url(""));
    check("uploads of 1 MiB", &args);
}

/// Container engines forbid io_uring by default: then runs go by epoll, with all that the kernel adds and their jail sealed.
#[test]
fn f6_where_io_uring_is_forbidden_nothing_else_is_lost() {
    let _turn = turn();
    let origin = Origin::start("");
    let args = format!("run -n 500 -c 4 --kernel on --guard required {}", origin.url(""));
    let measured = Brunt::new(&args).wrapped(&[env!("CARGO_BIN_EXE_brunt-without-uring")]).json();
    measured.expect_counts(0);
    let (report, environment) = (&measured.report, &measured.report.environment);
    assert_eq!(environment.io, "epoll", "{}", measured.story());
    let parts = [&environment.kernel_timing, &environment.guard, &environment.jail];
    assert!(parts.iter().all(|part| *part == "on"), "{parts:?}\n{}", measured.story());
    assert_eq!(report.kernel.coverage, Some(1.0), "{}", measured.story());
}

/// With and without stamps the application's own figures agree: they are taken the same way. A ratio within one run's
/// noise cannot be told here, so it is only held against being of another kind.
#[test]
fn stamps_do_not_change_the_applications_figures() {
    let _turn = turn();
    let Some(nginx) = Nginx::start_or_skip("stamps_do_not_change_the_applications_figures") else { return };
    let p50 = |kernel: &str| {
        let args =
            format!("run -q 1000 -z 1500ms --cores 0 --guard off --kernel {kernel} {}", nginx.url("100"));
        let measured = quiet(|| Brunt::new(&args).json());
        measured.expect_counts(0);
        let kernel_times = measured.report.latency.kernel.is_some();
        assert_eq!(kernel_times, kernel == "on", "{}", measured.story());
        measured.report.latency.service.p50
    };
    let mut ratios: Vec<_> = (0..3).map(|_| p50("on") as f64 / p50("off") as f64).collect();
    ratios.sort_by(f64::total_cmp);
    note(&format!("application p50, stamps on / off | {ratios:.3?}"));
    assert!((0.5..2.0).contains(&ratios[1]), "{ratios:?}");
}
