//! Hostile servers: each is given up in time, under its right name, within the memory of its connections.
//!
//! The table of cases is the zoo's. A summary of what came out is printed at the end and, where `BRUNT_ZOO_TABLE`
//! names a file, written there as markdown.

#[path = "hostile/judge.rs"]
mod judge;
#[path = "hostile/mixed.rs"]
mod mixed;
#[path = "hostile/names.rs"]
mod names;
#[path = "hostile/summary.rs"]
mod summary;

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use brunt_tests::brunt::Brunt;
use brunt_tests::turn;
use brunt_tests::zoo::{Case, Keeper};

use self::judge::faults;
use self::summary::{Row, Summary};

/// The size of an upload that no window takes at once.
const BODY_BYTES: u64 = 8 << 20;
/// A run that hangs is killed this long after it should have given up.
const GRACE: Duration = Duration::from_secs(10);

fn zoo() -> Keeper {
    Keeper::start(Path::new(env!("CARGO_BIN_EXE_brunt-zoo")))
}

/// All cases in one test, since their summary is one table. Every case is run, whatever became of the others.
#[test]
fn every_hostile_server_is_given_up_under_its_right_name() {
    let _turn = turn();
    let keeper = zoo();
    let body = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    File::set_len(body.as_file(), BODY_BYTES).expect("there is room for a hole");
    let body = body.path().to_string_lossy().into_owned();
    let mut summary = Summary::default();
    for (case, url) in keeper.places().iter().filter(|(case, _)| is_chosen(case)) {
        summary.add(run(case, url, &keeper.authority(), &body));
    }
    summary.publish();
    assert!(summary.faults().is_empty(), "{}", summary.faults().join("\n\n"));
}

/// Words in `BRUNT_ZOO_ONLY`, of which one must begin the name of a case, make a shorter run while one is at work.
fn is_chosen(case: &Case) -> bool {
    let only = std::env::var("BRUNT_ZOO_ONLY").unwrap_or_default();
    only.is_empty() || only.split(',').any(|word| case.id.starts_with(word))
}

fn run(case: &'static Case, url: &str, ca: &str, body: &str) -> Row {
    let load = format!(
        "run -n {} -c {} --timeout {} --cores 0 -o text",
        case.requests, case.connections, case.timeout
    );
    let flags = case.all_flags(ca, body);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let command = Brunt::new(&load).args(&flags).arg(url).deadline(case.give_up + GRACE);
    // What a run that hangs, panics or writes no result says of itself is this case's fault, not the suite's end.
    match std::panic::catch_unwind(|| command.json()) {
        Ok(measured) => Row::new(case, &measured, faults(case, &measured)),
        Err(cause) => Row::without_result(case, &panic_text(cause.as_ref())),
    }
}

fn panic_text(cause: &(dyn std::any::Any + Send)) -> String {
    let text = cause.downcast_ref::<String>().cloned();
    text.or_else(|| cause.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}
