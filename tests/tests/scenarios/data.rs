//! Rows of files: each goes to whom it should, and what happens when there is none left.

use std::collections::BTreeMap;
use std::time::Duration;

use brunt_tests::recorder::{Recorder, answer};
use brunt_tests::turn;

use crate::Folder;

const ROWS: u64 = 20;

/// Twenty people and their numbers.
fn people() -> String {
    (0..ROWS).fold("name,number\n".to_owned(), |text, row| text + &format!("p{row},{row}\n"))
}

struct Used {
    /// How often each row came, by name.
    rows: BTreeMap<String, u64>,
    measured: brunt_tests::brunt::Measured,
}

/// Runs a flow of one request with the row's name in its path.
fn used(feeder: &str, load: &str, args: &str) -> Used {
    let server = Recorder::start(|_| answer(200, &[], ""));
    let lines: String =
        (0..ROWS).map(|row| format!("{{\"name\": \"p{row}\", \"number\": {row}}}\n")).collect();
    let target = server.target();
    let steps = r#"[{get: "/{{ people.name }}/{{ people.number }}", name: a}]"#;
    let scenario =
        format!("target: {target}\ndata: {{people: {feeder}}}\nload: {load}\nflows: {{a: {steps}}}\n");
    let folder = Folder::new(&scenario, &[("people.csv", &people()), ("people.jsonl", &lines)]);
    let measured = folder.run(args).json();
    let mut rows = BTreeMap::new();
    for seen in server.seen() {
        let mut parts = seen.asked().trim_start_matches("GET /").split('/');
        let (name, number) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        assert_eq!(name, format!("p{number}"), "both cells are of one row");
        *rows.entry(name.to_owned()).or_insert(0) += 1;
    }
    Used { rows, measured }
}

/// So many rows were used, each so often.
#[track_caller]
fn check(feeder: &str, load: &str, args: &str, (rows, times): (usize, u64)) {
    let Used { rows: got, measured } = used(feeder, load, args);
    measured.expect_counts(0).expect_errors(&[]);
    assert!(
        got.len() == rows && got.values().all(|n| *n == times),
        "{feeder} {load}: {got:?}\n{}",
        measured.story()
    );
}

#[test]
fn rows_are_shared_out() {
    let _turn = turn();
    for args in ["--cores 0", "--cores 0,1", "--io epoll"] {
        for file in ["csv: people.csv", "jsonl: people.jsonl"] {
            let unique = format!("{{{file}, pick: unique}}");
            check(&unique, "{closed: {users: 20, iterations_per_user: 1}}", args, (20, 1));
            check(&unique, "{closed: {users: 10, iterations_per_user: 3}}", args, (10, 3));
            check(&unique, "{open: {rate: 100/s, for: 200ms}}", args, (20, 1));
            let sequential = format!("{{{file}, on_end: recycle}}");
            check(&sequential, "{closed: {users: 3, iterations: 20}}", args, (20, 1));
            check(&sequential, "{closed: {users: 3, iterations: 60}}", args, (20, 3));
            check(&sequential, "{open: {rate: 200/s, for: 200ms}}", args, (20, 2));
        }
    }
}

/// Closed users that find no row leave quietly, and a run that nobody is left in ends.
#[test]
fn closed_users_without_a_row_end_quietly() {
    let _turn = turn();
    for (feeder, load, rows) in [
        ("{csv: people.csv}", "{closed: {users: 3, for: 20s}}", (20, 1)),
        ("{csv: people.csv}", "{closed: {users: 3, iterations: 5k}}", (20, 1)),
        ("{csv: people.csv, pick: unique}", "{closed: {users: 30, iterations_per_user: 2}}", (20, 2)),
    ] {
        for args in ["--cores 0", "--cores 0,1"] {
            let Used { rows: got, measured } = used(feeder, load, args);
            measured.expect_counts(0).expect_errors(&[]);
            let story = measured.story();
            assert!(got.len() == rows.0 && got.values().all(|n| *n == rows.1), "{load}: {got:?}\n{story}");
            assert_eq!(measured.report.totals.scheduled, 20 * rows.1, "{load}\n{story}");
            assert!(
                measured.ended.wall < Duration::from_secs(10),
                "it did not end when nobody was left\n{story}"
            );
        }
    }
}

/// Arrivals that find no row have failed, because they were to come.
#[test]
fn arrivals_without_a_row_have_failed() {
    let _turn = turn();
    for feeder in ["{csv: people.csv}", "{csv: people.csv, pick: unique}"] {
        for args in ["--cores 0", "--cores 0,1"] {
            let Used { rows, measured } = used(feeder, "{open: {rate: 100/s, for: 500ms}}", args);
            measured.expect_counts(3).expect_errors(&[("data_exhausted", 30)]);
            let totals = &measured.report.totals;
            let got = (rows.len(), totals.scheduled, totals.completed, totals.failed_arrivals);
            assert_eq!(got, (20, 50, 20, 30), "{}", measured.story());
        }
    }
}
