//! The engine runs in a process of its own. Whatever becomes of it, the result is written and says so.

use std::fs;
use std::path::Path;
use std::time::Duration;

use brunt_model::verdict::Status;
use brunt_tests::brunt::{Brunt, Measuring, engine_of};
use brunt_tests::garbage::{Act, Server, wait_for_requests};
use brunt_tests::{clock, turn};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::IO;

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const SOON: Duration = Duration::from_secs(10);

/// A run of four users whose engine makes requests already.
fn start(server: &Server, load: &str) -> (Measuring, Pid) {
    let started = Brunt::new(&format!("run {load} {}", server.url())).start_json();
    wait_for_requests(server, 4);
    let engine = started.engine();
    (started, engine)
}

#[test]
fn a_killed_engine_leaves_what_it_had_counted() {
    let _turn = turn();
    for io in IO {
        for load in ["-c 4 -z 60s", "-c 4 -q 500 -z 60s"] {
            let server = Server::start(&[Act::Pause(Duration::from_millis(5)), Act::send(ANSWER)]);
            let (started, engine) = start(&server, &format!("{load} --io {io}"));
            // One whole interval is counted by then: at most 800 requests a second are answered.
            wait_for_requests(&server, 2_000);
            kill_process(engine, Signal::KILL).expect("the engine is there");
            let measured = started.finish();
            let report = &measured.expect(1).report;
            assert_eq!(report.verdict.status, Status::Error, "{}", measured.story());
            let why = &report.verdict.reasons[0];
            assert!(
                why.contains("the engine process was killed by signal 9 (SIGKILL)"),
                "{}",
                measured.story()
            );
            assert!(report.totals.completed > 0, "{}", measured.story());
            assert_eq!(measured.errors("engine_lost"), report.totals.lost, "{}", measured.story());
            assert!(measured.ended.stdout.contains("p99"), "the text is there too\n{}", measured.story());
        }
    }
}

/// Only its parent decides what a signal means.
#[test]
fn signals_to_the_engine_are_ignored() {
    let _turn = turn();
    let server = Server::start(&[Act::send(ANSWER)]);
    let (started, engine) = start(&server, "-c 4 -z 2s");
    for signal in [Signal::INT, Signal::TERM] {
        kill_process(engine, signal).expect("the engine is there");
    }
    let measured = started.finish();
    measured.expect_counts(0).expect_errors(&[]);
    assert!(measured.report.run.duration_ns >= 2_000_000_000, "{}", measured.story());
}

#[test]
fn the_engine_dies_with_its_parent_and_sees_nothing_of_its_environment() {
    let _turn = turn();
    let server = Server::start(&[Act::Silence]);
    let command = Brunt::new(&format!("run -c 4 -z 60s --timeout 60s {}", server.url()));
    let running = command.env("BRUNT_BASIC_AUTH", "user:se-cret").start();
    wait_for_requests(&server, 4);
    let engine = engine_of(&running);
    let of_engine = |file: &str| {
        let bytes = fs::read(format!("/proc/{}/{file}", engine.as_raw_nonzero())).expect("it is there");
        String::from_utf8_lossy(&bytes).into_owned()
    };
    assert!(!of_engine("environ").contains("cret") && !of_engine("environ").contains("PATH"));
    let words = format!("brunt\0engine\0{}\0", running.pid().as_raw_nonzero());
    assert!(of_engine("cmdline").starts_with(&words), "{:?}", of_engine("cmdline"));
    running.signal(Signal::KILL);
    let ended = running.finish(SOON);
    assert_eq!(ended.signal, Some(Signal::KILL.as_raw()), "{}", ended.story());
    clock::until("the end of the engine", SOON, || test_kill_process(engine).is_err().then_some(()));
}

/// Whatever a run was started with, its engine has pipes, stderr and what it made itself.
#[test]
fn the_engine_has_no_file_of_its_callers() {
    let _turn = turn();
    let server = Server::start(&[Act::Pause(Duration::from_millis(5)), Act::send(ANSWER)]);
    let script = "exec 7</ 8</dev/zero 9<>/dev/null \"$0\" \"$@\"";
    let command = Brunt::new(&format!("run -c 4 -z 60s --io epoll {}", server.url()));
    let running = command.wrapped(&["sh", "-c", script]).start();
    wait_for_requests(&server, 4);
    let open_in = |pid: Pid| {
        let folder = format!("/proc/{}/fd", pid.as_raw_nonzero());
        let targets = fs::read_dir(folder).expect("it is there").flatten();
        targets.filter_map(|entry| fs::read_link(entry.path()).ok()).collect::<Vec<_>>()
    };
    let (of_run, of_engine) = (open_in(running.pid()), open_in(engine_of(&running)));
    for path in ["/", "/dev/zero", "/dev/null"].map(Path::new) {
        assert!(of_run.iter().any(|open| open == path), "{path:?} in {of_run:?}");
        assert!(!of_engine.iter().any(|open| open == path), "{path:?} in {of_engine:?}");
    }
    running.signal(Signal::TERM);
    let ended = running.finish(SOON);
    assert_eq!(ended.code, Some(143), "{}", ended.story());
}

#[test]
fn nobody_else_can_start_an_engine() {
    let ended = Brunt::new("engine 1").run();
    ended.expect_code(2).expect_on_stderr(&["use brunt run"]);
    let help = Brunt::new("--help").run();
    assert!(!help.expect_code(0).stdout.contains("engine "), "{}", help.story());
}
