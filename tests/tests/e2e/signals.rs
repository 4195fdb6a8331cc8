//! Interrupted runs: the partial result is written, and true.

use std::time::Duration;

use brunt_model::verdict::{Mark, Status};
use brunt_tests::brunt::Brunt;
use brunt_tests::garbage::{Act, Server, wait_for_requests};
use brunt_tests::nginx::Nginx;
use brunt_tests::skip::{is_root, skip};
use brunt_tests::{clock, turn};
use rustix::process::Signal;

use crate::IO;

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn a_signal_drains_and_leaves_the_partial_result() {
    let _turn = turn();
    let Some(nginx) = Nginx::start_or_skip("a_signal_drains_and_leaves_the_partial_result") else { return };
    for (signal, code, load) in [
        (Signal::INT, 130, "-c 16 -z 60s --io uring"),
        (Signal::TERM, 143, "-c 16 -z 60s --io epoll"),
        (Signal::INT, 130, "-q 500 -z 60s --io epoll"),
        (Signal::TERM, 143, "-q 500 -z 60s --io uring"),
    ] {
        let before = nginx.logged().len();
        let started = Brunt::new(&format!("run {load} {}", nginx.url("100"))).start_json();
        let some = before + 200;
        clock::until("200 requests in the log", Duration::from_secs(10), || {
            (nginx.lines_now() >= some).then_some(())
        });
        started.signal(signal);
        let measured = started.finish();
        let report = &measured.expect(code).expect_errors(&[]).report;
        assert_eq!(report.verdict.status, Status::Stopped, "{}", measured.story());
        assert_eq!(report.totals.in_flight, 0, "it drained\n{}", measured.story());
        assert_eq!(report.totals.completed, (nginx.logged().len() - before) as u64, "{}", measured.story());
        assert!(measured.ended.wall < Duration::from_secs(10), "{}", measured.story());
        assert!(measured.ended.stdout.contains("p99"), "the text is there too\n{}", measured.story());
    }
}

/// Nothing is answered, so the first signal waits; the second does not.
#[test]
fn a_second_signal_stops_at_once() {
    let _turn = turn();
    for io in IO {
        let server = Server::start(&[Act::Silence]);
        let started = Brunt::new(&format!("run -c 4 -z 60s --io {io} {}", server.url())).start_json();
        wait_for_requests(&server, 4);
        started.signal(Signal::INT);
        // Two signals sent at once may arrive as one; that it took the first shows nowhere.
        std::thread::sleep(Duration::from_millis(300));
        started.signal(Signal::INT);
        let measured = started.finish();
        let report = &measured.expect(130).report;
        assert!(measured.ended.wall < Duration::from_secs(4), "{}", measured.story());
        assert_eq!(report.totals.started, 4, "{}", measured.story());
        assert_eq!(report.verdict.status, Status::Stopped, "{}", measured.story());
        let open_end = report.verdict.marks.contains(&Mark::Incomplete);
        assert_eq!(open_end, report.totals.in_flight > 0, "{}", measured.story());
    }
}

/// Ctrl-C in a terminal goes to all of a process group. The run's own loader would take the engine with it.
#[test]
fn a_signal_to_the_whole_group_drains_too() {
    let _turn = turn();
    if !is_root() {
        skip("a_signal_to_the_whole_group_drains_too", "only root's runs start a loader for themselves");
        return;
    }
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let server = Server::start(&[Act::Pause(Duration::from_millis(20)), Act::send(ANSWER)]);
        let none = "--loader-socket /nonexistent/loader.sock --kernel on --guard required";
        let started = Brunt::new(&format!("run -c 4 -z 60s {none} {}", server.url())).start_json();
        wait_for_requests(&server, 40);
        started.signal_group(signal);
        let measured = started.finish();
        let report = &measured.expect(code).expect_errors(&[]).report;
        assert_eq!(report.verdict.status, Status::Stopped, "{}", measured.story());
        assert_eq!((report.totals.in_flight, report.totals.lost), (0, 0), "{}", measured.story());
        assert!(report.environment.guard.starts_with("on"), "{}", measured.story());
        assert!(measured.ended.wall < Duration::from_secs(10), "{}", measured.story());
    }
}
