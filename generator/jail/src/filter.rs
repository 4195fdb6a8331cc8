//! The seal: an allow-list of system calls for all threads, compiled from the table in [`crate::calls`].
//!
//! Invariant: what the table does not name fails with `EPERM`. Nothing is killed, so a surprise is an error of one
//! operation and not the end of a run.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use crate::calls::{ALLOWED, Need, Test};
use crate::{JailError, Part};

/// What the load needs beyond the common list.
#[derive(Copy, Clone, Default, Debug)]
pub struct Seal {
    /// Targets may be unix sockets.
    pub unix_sockets: bool,
    /// Rings are there, and are gone on with.
    pub io_uring: bool,
}

/// Allows no other system calls than the load needs, on all threads and for good. To be called when rings, timers and
/// threads are there: none can be made after it.
///
/// # Errors
/// When there is no list for this processor, or the kernel does not take the filter on every thread.
pub fn seal(seal: &Seal) -> Result<(), JailError> {
    let program = compile(*seal, std::process::id())?;
    Ok(seccompiler::apply_filter_all_threads(&program)?)
}

/// Could a process be sealed here?
pub(crate) fn support() -> Part {
    const ACTIONS: &str = "/proc/sys/kernel/seccomp/actions_avail";
    let name = "seccomp";
    if architecture().is_err() {
        return Part::off(name, "there is no list of system calls for this processor".to_owned());
    }
    match std::fs::read_to_string(ACTIONS) {
        Ok(actions) if actions.split_whitespace().any(|action| action == "errno") => {
            Part::on(name, "filters are available".to_owned())
        }
        Ok(_) => Part::off(name, "the kernel's filters cannot return errors; Linux 4.14 has all".to_owned()),
        Err(error) => Part::off(name, format!("cannot read {ACTIONS}: {error}; Linux 4.14 has it")),
    }
}

fn architecture() -> Result<TargetArch, JailError> {
    match std::env::consts::ARCH {
        "x86_64" => Ok(TargetArch::x86_64),
        "aarch64" => Ok(TargetArch::aarch64),
        _ => Err(JailError::Architecture),
    }
}

/// The program for process `own`.
fn compile(seal: Seal, own: u32) -> Result<BpfProgram, JailError> {
    let denied = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    SeccompFilter::new(rules(seal, own)?, denied, SeccompAction::Allow, architecture()?)
        .and_then(TryInto::try_into)
        .map_err(|error| JailError::Filter(error.into()))
}

/// The rows that apply, by system call. A call without rules is allowed whatever its arguments are.
fn rules(seal: Seal, own: u32) -> Result<BTreeMap<i64, Vec<SeccompRule>>, JailError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for row in ALLOWED.iter().filter(|row| applies(row.need, seal)) {
        let alternatives = rules.entry(row.call).or_default();
        if !row.tests.is_empty() {
            let conditions: Result<Vec<_>, _> = row.tests.iter().map(|test| condition(*test, own)).collect();
            let rule = conditions.and_then(SeccompRule::new).map_err(seccompiler::Error::from)?;
            alternatives.push(rule);
        }
    }
    Ok(rules)
}

const fn applies(need: Need, seal: Seal) -> bool {
    match need {
        Need::Always => true,
        Need::Rings => seal.io_uring,
        Need::UnixSockets => seal.unix_sockets,
    }
}

/// All arguments that are looked at are `int` for the kernel, or flags in the lower half, so the upper half is not
/// compared.
fn condition(test: Test, own: u32) -> Result<SeccompCondition, BackendError> {
    let (argument, operator, value) = match test {
        Test::Is(argument, value) => (argument, SeccompCmpOp::Eq, value),
        Test::Bits { argument, mask, value } => (argument, SeccompCmpOp::MaskedEq(u64::from(mask)), value),
        Test::IsOwnProcess(argument) => (argument, SeccompCmpOp::Eq, own),
    };
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, u64::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seal_compiles() {
        for (unix_sockets, io_uring) in [(false, false), (false, true), (true, false), (true, true)] {
            let seal = Seal { unix_sockets, io_uring };
            let program = compile(seal, 1).expect("the table compiles");
            assert!(program.len() > ALLOWED.len(), "{seal:?}");
        }
    }

    #[test]
    fn what_is_not_needed_is_not_allowed() {
        let count = |seal, call| rules(seal, 1).expect("the table is sound").get(&call).map(Vec::len);
        let check = |seal, call, expected| assert_eq!(count(seal, call), expected, "{seal:?} {call}");
        let none = Seal::default();
        let all = Seal { unix_sockets: true, io_uring: true };
        check(none, libc::SYS_io_uring_enter, None);
        check(all, libc::SYS_io_uring_enter, Some(0));
        check(none, libc::SYS_socket, Some(4));
        check(all, libc::SYS_socket, Some(5));
    }

    #[test]
    fn a_call_is_allowed_always_or_under_conditions_but_not_both() {
        for row in ALLOWED {
            let same = ALLOWED.iter().filter(|other| other.call == row.call);
            let unconditional = row.tests.is_empty();
            assert!(!unconditional || same.count() == 1, "system call {} has two rows", row.call);
            assert!(!row.why.is_empty());
        }
    }
}
