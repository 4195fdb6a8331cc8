//! What came out of each case, as a table.

use std::fmt::Write as _;
use std::time::Duration;

use brunt_tests::brunt::Measured;
use brunt_tests::zoo::Case;

/// Names a file for the table as markdown.
const TABLE: &str = "BRUNT_ZOO_TABLE";
const HEAD: &str =
    "| Case | Server | Expected | Outcome | Gave up after | Peak memory | |\n|---|---|---|---|---|---|---|\n";

/// One case.
pub(crate) struct Row {
    case: &'static Case,
    outcome: String,
    wall: Option<Duration>,
    resident_kib: u64,
    faults: Vec<String>,
    story: String,
}

impl Row {
    pub(crate) fn new(case: &'static Case, measured: &Measured, faults: Vec<String>) -> Self {
        let failed = measured.report.errors.iter().map(|(kind, count)| format!("{kind} {count}"));
        let completed = measured.report.totals.completed;
        let completed = (completed > 0).then(|| format!("completed {completed}"));
        Self {
            case,
            outcome: failed.chain(completed).collect::<Vec<_>>().join(", "),
            wall: Some(measured.ended.wall),
            resident_kib: measured.ended.resident_kib,
            faults,
            story: measured.story(),
        }
    }

    /// Of a run that hung or wrote no result.
    pub(crate) fn without_result(case: &'static Case, why: &str) -> Self {
        // The first line says what the harness missed, and this one what the command said, if anything.
        let said = why.lines().find(|line| line.starts_with("error"));
        let faults = why.lines().take(1).chain(said).map(str::to_owned).collect();
        let outcome = "no result".to_owned();
        Self { case, outcome, wall: None, resident_kib: 0, faults, story: why.to_owned() }
    }

    fn markdown(&self) -> String {
        let Self { case, outcome, .. } = self;
        let wall = self.wall.map_or_else(|| "-".to_owned(), |wall| format!("{:.2} s", wall.as_secs_f64()));
        let [name, does, expected] = [case.id, case.does, &case.expect.words()];
        let memory = format!("{:.1} MiB", self.resident_kib as f64 / 1_024.0);
        let mark = if self.faults.is_empty() { "ok" } else { "FAULT" };
        format!("| {name} | {does} | {expected} | {outcome} | {wall} | {memory} | {mark} |\n")
    }
}

/// All of them.
#[derive(Default)]
pub(crate) struct Summary {
    rows: Vec<Row>,
}

impl Summary {
    pub(crate) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// A story for each case that did not end as it must.
    pub(crate) fn faults(&self) -> Vec<String> {
        let wrong = self.rows.iter().filter(|row| !row.faults.is_empty());
        wrong.map(|row| format!("{}: {}\n{}", row.case.id, row.faults.join("; "), row.story)).collect()
    }

    /// Prints the table, and writes it where the environment says.
    #[expect(clippy::print_stdout, reason = "this is how a test speaks")]
    pub(crate) fn publish(&self) {
        let table = self.markdown();
        println!("{table}");
        if let Some(path) = std::env::var_os(TABLE) {
            std::fs::write(&path, table).expect("the file named by BRUNT_ZOO_TABLE can be written");
        }
    }

    fn markdown(&self) -> String {
        let mut table = HEAD.to_owned();
        for row in &self.rows {
            table.push_str(&row.markdown());
        }
        let wrong = self.rows.iter().filter(|row| !row.faults.is_empty()).count();
        let _ = writeln!(table, "\n{} cases, {wrong} with a fault.", self.rows.len());
        table
    }
}
