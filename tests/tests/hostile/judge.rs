//! What a run against a hostile server must have left, and what it left.

use brunt_tests::brunt::Measured;
use brunt_tests::clean;
use brunt_tests::zoo::{Case, Expect};

/// Memory of brunt and its engine together, which may grow with nothing a server does, and of each connection.
const RESIDENT_KIB_MAX: u64 = 64 << 10;
/// A long body is in both, and on its way from the one to the other.
const RESIDENT_KIB_WITH_UPLOAD_MAX: u64 = 160 << 10;
const RESIDENT_KIB_PER_CONNECTION: u64 = 256;

/// Exit codes: all well; a limit failed, here that on errors; the generator was the limit; not one answer arrived.
const PASS: i32 = 0;
const LIMIT_FAILED: i32 = 3;
const INVALID: i32 = 4;
const NO_ANSWER: i32 = 7;

/// Everything that is wrong with this run, each in a line.
pub(crate) fn faults(case: &Case, measured: &Measured) -> Vec<String> {
    let checks = [kinds, counts, completed, exit_code, time, memory, panics, terminal];
    checks.iter().filter_map(|check| check(case, measured).err()).collect()
}

type Checked = Result<(), String>;

fn ensure(is_so: bool, fault: impl FnOnce() -> String) -> Checked {
    if is_so { Ok(()) } else { Err(fault()) }
}

fn kinds(case: &Case, measured: &Measured) -> Checked {
    let expected = case.expect.kinds();
    let strange = measured.report.errors.keys().any(|kind| !expected.contains(&kind.as_str()));
    ensure(!strange, || {
        format!("errors {:?}, but {} was expected", measured.report.errors, case.expect.words())
    })
}

fn failures(measured: &Measured) -> u64 {
    measured.report.errors.values().sum()
}

/// Each request ended, and nothing is left over.
fn counts(case: &Case, measured: &Measured) -> Checked {
    let totals = &measured.report.totals;
    let requests = u64::from(case.requests);
    let left = totals.in_flight + totals.lost;
    let ended = totals.completed + failures(measured);
    let right = match case.expect {
        Expect::NeverConnects(_) => ended > 0,
        _ => ended == requests,
    };
    ensure(right && left == 0, || format!("of {requests} requests {ended} ended and {left} were left"))
}

fn completed(case: &Case, measured: &Measured) -> Checked {
    let completed = measured.report.totals.completed;
    let right = match case.expect {
        Expect::Completes => completed == u64::from(case.requests),
        Expect::CompletesOrFails(_) => true,
        _ => completed == 0,
    };
    ensure(right, || format!("{completed} requests completed"))
}

fn exit_code(case: &Case, measured: &Measured) -> Checked {
    let code = measured.ended.code;
    let expected: &[i32] = match case.expect {
        Expect::Completes => &[PASS],
        Expect::Rejects(_) => &[LIMIT_FAILED],
        Expect::NeverConnects(_) => &[NO_ANSWER],
        // A refused redirect is an answer to some and none to others.
        Expect::Fails(kinds) if kinds.contains(&"redirect_refused") => &[NO_ANSWER, LIMIT_FAILED],
        Expect::Fails(_) => &[NO_ANSWER],
        Expect::CompletesOrFails(_) => &[PASS, NO_ANSWER],
    };
    let excused = code == Some(INVALID) && clean::disturbed(&measured.report.verdict);
    ensure(excused || code.is_some_and(|code| expected.contains(&code)), || {
        format!("exit code {code:?}, but {expected:?} was expected: {:?}", measured.report.verdict)
    })
}

fn time(case: &Case, measured: &Measured) -> Checked {
    let wall = measured.ended.wall;
    ensure(wall <= case.give_up, || format!("took {wall:?}, but {:?} is the most", case.give_up))
}

fn memory(case: &Case, measured: &Measured) -> Checked {
    let base = if case.flags.contains("{body}") { RESIDENT_KIB_WITH_UPLOAD_MAX } else { RESIDENT_KIB_MAX };
    let most = base + RESIDENT_KIB_PER_CONNECTION * u64::from(case.connections);
    let resident = measured.ended.resident_kib;
    ensure(resident <= most, || format!("{resident} KiB resident, but {most} is the most"))
}

fn panics(_: &Case, measured: &Measured) -> Checked {
    let panicked = measured.ended.stderr.contains("panicked at") || measured.ended.signal.is_some();
    ensure(!panicked, || "it panicked or was killed".to_owned())
}

/// Nothing that a server says reaches a terminal as it is.
fn terminal(_: &Case, measured: &Measured) -> Checked {
    let shown = [measured.ended.stdout.as_str(), &measured.ended.stderr].concat();
    let strange = shown.chars().find(|char| (char.is_control() && *char != '\n') || is_disguise(*char));
    ensure(strange.is_none(), || format!("{strange:?} is shown as it came"))
}

/// What stands for bytes that are no UTF-8, and what turns the direction of a text.
fn is_disguise(char: char) -> bool {
    matches!(char, '\u{fffd}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
