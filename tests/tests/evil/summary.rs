//! The table for people: attempts down, layers across.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use super::field::Run;
use super::rows::Row;

/// Rows of all tests of this run until now. A test that failed leaves them sound.
static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Notes a row, and writes all where `BRUNT_EVIL_TABLE` says.
pub(super) fn add(row: &Row, runs: &[Run; 4]) {
    let mut line = format!("| {} | {} |", row.id, row.attempt);
    for run in runs {
        let result =
            if run.packets == 0 { "refused".to_owned() } else { format!("**{} packets**", run.packets) };
        let _ = write!(line, " {result} ({}) |", said(&run.said));
    }
    let _ = write!(line, " {} |", row.why);
    let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    lines.push(line);
    if let Some(path) = std::env::var_os("BRUNT_EVIL_TABLE") {
        let head = "| | attempt | neither | guard alone | jail alone | both | why |\n|---|---|---|---|---|---|---|\n";
        std::fs::write(path, format!("{head}{}\n", lines.join("\n")))
            .expect("BRUNT_EVIL_TABLE can be written");
    }
}

/// What the process itself said became of it.
fn said(line: &str) -> String {
    let value: Option<serde_json::Value> = serde_json::from_str(line).ok();
    let result = value.as_ref().and_then(|value| value.get("result")?.as_str());
    result.unwrap_or(line).trim_start_matches("refused: ").to_owned()
}
