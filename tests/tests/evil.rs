//! A process that was taken over tries to reach an address that it must not reach: not fenced in, which shows that the
//! attempt is one, then by the guard alone, by the jail alone, and by both. What counts is what arrives at the address, not what the process says.
//!
//! The rows say which layer holds alone and why the other does not, so a hole that opens or closes is noticed. With both
//! nothing may ever arrive. Where `BRUNT_EVIL_TABLE` names a file, the table is written there as markdown.

#[path = "evil/field.rs"]
mod field;
#[path = "evil/kill.rs"]
mod kill;
#[path = "evil/rows.rs"]
mod rows;
#[path = "evil/summary.rs"]
mod summary;
#[path = "evil/worker.rs"]
mod worker;

use brunt_tests::{evil, turn};

use self::field::{Field, Layers, Run};
use self::rows::{Alone, ROWS, Row};

#[test]
fn f1_the_jail_alone_does_not_see_where_connections_go() {
    check("f1");
}

#[test]
fn f2_the_guard_sees_every_way_to_connect_or_send() {
    check("f2");
}

#[test]
fn f3a_mapped_addresses_are_the_same_addresses() {
    check("f3a");
}

#[test]
fn f3b_sockets_from_elsewhere_do_not_get_in() {
    check("f3b");
}

#[test]
fn f3c_packets_made_by_hand_do_not_get_out() {
    check("f3c");
}

#[test]
fn f3d_old_connections_and_verdicts_end_with_the_policy() {
    check("f3d");
}

/// Landlock's rules for TCP see none of these, so they are not what a fence can be made of.
#[test]
fn f4_what_landlock_does_not_see_is_refused() {
    check("f4");
}

#[test]
fn f5_no_ring_can_be_made_after_the_seal() {
    check("f5");
}

#[test]
fn w1_nothing_leaves_the_fence() {
    check("w1");
}

#[test]
fn every_attempt_has_one_row() {
    let mut in_rows: Vec<_> = ROWS.iter().map(|row| row.attempt).collect();
    in_rows.push(kill::ATTEMPT);
    let mut known: Vec<_> = evil::names().collect();
    in_rows.sort_unstable();
    known.sort_unstable();
    assert_eq!(in_rows, known);
}

/// Runs all rows of an identifier, whatever becomes of the ones before, and tells all that is not as the rows say.
fn check(id: &'static str) {
    let _turn = turn();
    let Some(field) = Field::make_or_skip(id) else { return };
    let mut faults = Vec::new();
    for row in ROWS.iter().filter(|row| row.id == id) {
        let runs = Layers::ALL.map(|layers| field.run(row, layers));
        faults.extend(faults_of(row, &runs));
        summary::add(row, &runs);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn faults_of(row: &Row, runs: &[Run; 4]) -> Vec<String> {
    let expected = [Alone::Passes, row.guard_alone, row.jail_alone, Alone::Holds];
    let mut faults = Vec::new();
    for ((layers, run), expected) in Layers::ALL.iter().zip(runs).zip(expected) {
        if expected.holds() != (run.packets == 0) {
            faults.push(format!("{} with {layers:?}: {run:?}, but {expected:?}", row.attempt));
        }
    }
    let [_, guard, ..] = runs;
    if let Some(reason) = row.counted
        && !guard.denied.iter().any(|(name, _)| *name == reason.name())
    {
        faults.push(format!("{}: {} was not counted: {guard:?}", row.attempt, reason.name()));
    }
    faults
}
