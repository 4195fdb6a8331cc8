//! The terminal view as a person has it: in a terminal, with keys, and gone without a trace.

use std::fs;
use std::time::Duration;

use brunt_model::report::Report;
use brunt_model::verdict::Status;
use brunt_tests::brunt::Brunt;
use brunt_tests::origin::Origin;
use brunt_tests::turn;

use crate::IO;

/// A change shows once the interval in which it was made is over, which takes a second.
const DEADLINE: Duration = Duration::from_secs(15);

#[test]
fn a_run_is_watched_sped_up_and_stopped_by_keys() {
    let _turn = turn();
    for io in IO {
        let origin = Origin::start("");
        let folder = tempfile::tempdir().expect("a temporary directory can be made");
        let result = folder.path().join("result.json");
        let load = format!("run --tui -q 100 -z 60s --io {io} -o text -o json={}", result.display());
        let mut terminal = Brunt::new(&load).arg(&origin.url("")).in_terminal(100, 80);
        let before = terminal.modes();

        let whole = |screen: &str| {
            ["/100 req/s", "p50", "p99", "verdict so far: ", "q stop", "100 % of the plan's"]
                .iter()
                .all(|words| screen.contains(words))
                && has_table(screen)
        };
        terminal.wait_for("rate, percentiles and verdict", DEADLINE, whole);
        assert!(terminal.modes().are_raw() && terminal.is_on_second_screen() && terminal.hides_cursor());

        terminal.press("+");
        terminal.wait_for("the rate that was asked for", DEADLINE, |screen| {
            screen.contains("110 % of the plan's") && screen.contains("/110 req/s")
        });
        terminal.press("--");
        terminal.wait_for("a lower rate", DEADLINE, |screen| screen.contains("/90 req/s"));

        terminal.press("q");
        let (status, screen) = terminal.finish(DEADLINE);
        assert_eq!(status.code(), Some(130), "{screen}");
        assert_eq!(terminal.modes(), before, "the terminal is as it was");
        assert!(!terminal.is_on_second_screen() && !terminal.hides_cursor(), "{screen}");
        assert!(screen.contains("p99"), "the result stands on the first screen\n{screen}");
        check_result(&fs::read(&result).expect("the result is written"));
    }
}

/// Each request has its line, below all else, with counts and times; a frame is not written at once.
fn has_table(screen: &str) -> bool {
    let line = screen.lines().rfind(|line| line.starts_with("GET /"));
    let fields: Vec<_> = line.unwrap_or_default().split_whitespace().collect();
    let [.., requests, failed, _, _, _, p99_unit] = fields[..] else { return false };
    let is_count = requests.parse::<u64>().is_ok_and(|requests| requests > 0);
    is_count && failed == "0" && ["us", "ms", "s"].contains(&p99_unit)
}

#[track_caller]
fn check_result(json: &[u8]) {
    let report: Report = serde_json::from_slice(json).expect("the result can be read");
    assert_eq!(report.verdict.status, Status::Stopped);
    let rates: Vec<_> = report.run.rate_changes.iter().map(|change| change.per_mille).collect();
    // Both presses of a key may be heeded at once.
    assert!(rates == [1_100, 1_000, 900] || rates == [1_100, 900], "{rates:?}");
    assert!(report.totals.completed > 100 && report.totals.failed == 0, "{:?}", report.totals);
    let t = &report.totals;
    assert_eq!(t.scheduled, t.finished + t.failed_arrivals + t.dropped + t.in_flight + t.lost);
}

/// Ctrl-C is a key like any other there, and a signal from elsewhere gives the terminal back as well.
#[test]
fn every_way_out_gives_the_terminal_back() {
    let _turn = turn();
    let origin = Origin::start("");
    for (way, code) in [("key", 130), ("small", 130), ("end", 0)] {
        let duration = if way == "end" { "2s" } else { "60s" };
        let rows = if way == "small" { 10 } else { 30 };
        let load = format!("run --tui -q 100 -z {duration} {}", origin.url(""));
        let mut terminal = Brunt::new(&load).in_terminal(80, rows);
        let before = terminal.modes();
        terminal.wait_for("the view", DEADLINE, |screen| screen.contains("req/s"));
        assert!(terminal.modes().are_raw(), "{way}");
        if code == 130 {
            terminal.press("\u{3}");
        }
        let (status, screen) = terminal.finish(DEADLINE);
        // Whether the run can be trusted is another test's.
        let ended = status.code();
        assert!(ended == Some(code) || (code == 0 && ended == Some(4)), "{way}: {status}\n{screen}");
        assert_eq!(terminal.modes(), before, "{way}");
        assert!(!terminal.is_on_second_screen() && !terminal.hides_cursor(), "{way}\n{screen}");
    }
}
