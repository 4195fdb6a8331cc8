//! Planted faults flip the verdict, and it names them; a clean run passes without a word.

use std::time::Duration;

use brunt_model::verdict::Status;
use brunt_tests::brunt::{Measured, measure};
use brunt_tests::clean::quiet;
use brunt_tests::garbage::{Act, Server};
use brunt_tests::hog::Hog;
use brunt_tests::nginx::Nginx;
use brunt_tests::turn;

/// The run is invalid, for one reason at least that names the cause, and says so first of all.
#[track_caller]
fn expect_invalid(measured: &Measured, cause: &str) {
    let report = &measured.expect(4).report;
    assert_eq!(report.verdict.status, Status::Invalid, "{}", measured.story());
    let named = report.verdict.reasons.iter().any(|reason| reason.contains(cause));
    assert!(named, "no reason names '{cause}'\n{}", measured.story());
    let said = measured.ended.stdout.lines().take(5).any(|line| line.to_lowercase().contains("invalid"));
    assert!(said, "the text does not begin with it\n{}", measured.story());
}

#[test]
fn a_clean_run_passes_without_a_word() {
    let _turn = turn();
    let Some(nginx) = Nginx::start_or_skip("a_clean_run_passes_without_a_word") else { return };
    let measured = quiet(|| measure(&format!("-q 500 -z 2s --cores 0 {}", nginx.url("100"))));
    let verdict = &measured.expect(0).report.verdict;
    assert_eq!((verdict.status, verdict.reasons.len()), (Status::Pass, 0), "{}", measured.story());
}

/// All users of a closed load begin at once, and the last of a thousand must wait for the first: no fault of theirs. Answers to
/// the first lie in their sockets meanwhile, so a run must be long enough for that to be its beginning and not its whole.
#[test]
fn many_users_that_begin_at_once_are_not_late() {
    let _turn = turn();
    let Some(nginx) = Nginx::start_or_skip("many_users_that_begin_at_once_are_not_late") else { return };
    for io in crate::IO {
        let measured =
            quiet(|| measure(&format!("-c 1000 -n 200k --cores 0 --io {io} {}", nginx.url("100"))));
        // A host that goes on disturbing the run makes it invalid for another reason, but nobody late.
        measured.expect_counts(0).expect_errors(&[]);
        let lag = measured.report.latency.lag.p99;
        assert!(lag < 1_000_000, "lag p99 of {lag} ns\n{}", measured.story());
    }
}

/// Six spinning threads leave the engine a seventh of its core.
fn check_with_hog(name: &str, args: &str) {
    let _turn = turn();
    let Some(nginx) = Nginx::start_or_skip(name) else { return };
    let hog = Hog::on_core(0, 6);
    let measured = measure(&format!("{args} --cores 0 {}", nginx.url("100")));
    drop(hog);
    expect_invalid(&measured, "run-queue delay");
}

#[test]
fn other_work_on_the_core_of_an_open_run_makes_it_invalid() {
    check_with_hog("other_work_on_the_core_of_an_open_run_makes_it_invalid", "-q 2000 -z 2s --pace precise");
}

/// A closed load sends when it gets to run, so it is never late by its own clock; its figures are wrong all the same.
#[test]
fn other_work_on_the_core_of_a_closed_run_makes_it_invalid() {
    check_with_hog("other_work_on_the_core_of_a_closed_run_makes_it_invalid", "-c 16 -z 2s");
}

#[test]
fn too_few_connections_for_the_rate_make_it_invalid() {
    let _turn = turn();
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let server = Server::start(&[Act::Pause(Duration::from_millis(20)), Act::send(answer)]);
    let args = format!("-q 2000 -z 1s --max-connections 1 --max-backlog 20 --timeout 2s {}", server.url());
    let measured = measure(&args);
    expect_invalid(&measured, "connections were in use");
    let totals = &measured.report.totals;
    assert_eq!(totals.scheduled, 2_000, "{}", measured.story());
    // One connection at 20 ms an answer makes 50 in the second, and 20 more from the backlog.
    assert!((30..=72).contains(&totals.completed), "{}", measured.story());
    assert!(totals.dropped >= 1_900, "{}", measured.story());
    assert_eq!(server.requests(), totals.started, "{}", measured.story());
}

/// The target's slowness is no fault of the generator.
#[test]
fn a_slow_server_is_no_reason_to_doubt_the_run() {
    let _turn = turn();
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let server = Server::start(&[Act::Pause(Duration::from_millis(100)), Act::send(answer)]);
    let measured = quiet(|| measure(&format!("-q 100 -z 2s {}", server.url())));
    let report = &measured.expect(0).expect_errors(&[]).report;
    assert_eq!(report.totals.completed, 200, "{}", measured.story());
    assert!(report.latency.response.min >= 100_000_000, "{}", measured.story());
}
