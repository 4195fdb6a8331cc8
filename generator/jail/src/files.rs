//! Landlock closes the file system: all rights are handled and no rule grants any, so that nothing can be opened. Where
//! the target is a unix socket, one rule lets that be connected to and no other.
//!
//! The rule is for the socket as it is now: one that its server makes anew at the same path is another.
//! Its rules for TCP are not used: Fast Open and Multipath TCP are unknown to them, so they would promise too much.
//! Source: landlock(7).

use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, LandlockStatus, PathBeneath, PathFd, RestrictSelf,
    RestrictionStatus, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

use crate::Part;

const NAME: &str = "landlock";
const UNIX_NAME: &str = "unix sockets";
/// The newest version with rights on files that concern every process of ours.
const FILES: ABI = ABI::V5;
const SCOPES: ABI = ABI::V6;
/// The first with a right to connect to unix sockets, [`AccessFs::ResolveUnix`].
const UNIX_SOCKETS: ABI = ABI::V9;

/// Restricts this thread, and all that it starts, as far as the kernel can.
pub(crate) fn close(unix_socket: Option<&Path>) -> Vec<Part> {
    match restrict(unix_socket) {
        Ok(status) => {
            let limited = unix_socket.map(|_| unix_part(&status.landlock));
            std::iter::once(part(&status)).chain(limited).collect()
        }
        Err(error) => vec![Part::off(NAME, format!("the kernel refused it: {error}"))],
    }
}

/// What [`close`] would find here.
pub(crate) fn support() -> Part {
    // Without a flag nothing is restricted; only the status is asked for.
    match RestrictSelf::default().no_new_privs(false).apply() {
        Ok(status) => described(status.landlock, ""),
        Err(error) => Part::off(NAME, format!("the kernel refused to be asked: {error}")),
    }
}

fn restrict(unix_socket: Option<&Path>) -> Result<RestrictionStatus, RulesetError> {
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(FILES) | AccessFs::ResolveUnix)?
        .scope(Scope::from_all(SCOPES))?
        .create()?;
    // Where there is no such socket, there is none to connect to.
    match unix_socket.and_then(|path| PathFd::new(path).ok()) {
        Some(socket) => ruleset.add_rule(PathBeneath::new(socket, AccessFs::ResolveUnix))?.restrict_self(),
        None => ruleset.restrict_self(),
    }
}

/// Is the target the only socket that can be connected to?
fn unix_part(status: &LandlockStatus) -> Part {
    match status {
        LandlockStatus::Available { effective_abi, .. } if *effective_abi >= UNIX_SOCKETS => {
            Part::on(UNIX_NAME, "only the target can be connected to".to_owned())
        }
        _ => Part::off(
            UNIX_NAME,
            "this kernel cannot limit which socket is connected to; Linux 7.1 can".to_owned(),
        ),
    }
}

fn part(status: &RestrictionStatus) -> Part {
    let part = described(status.landlock, ", nothing can be opened");
    if part.is_on() && status.ruleset == RulesetStatus::NotEnforced {
        return Part::off(NAME, "in this kernel, but not enforced".to_owned());
    }
    part
}

fn described(status: LandlockStatus, detail: &str) -> Part {
    match status {
        LandlockStatus::Available { effective_abi, kernel_abi } => {
            let version = kernel_abi.unwrap_or(effective_abi as i32);
            Part::on(NAME, format!("version {version}{detail}"))
        }
        LandlockStatus::NotEnabled => {
            Part::off(NAME, "not enabled; add landlock to the kernel's parameter lsm=".to_owned())
        }
        LandlockStatus::NotImplemented => {
            Part::off(NAME, "not in this kernel, or forbidden by a container; Linux 5.13 has it".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_tell_the_version_of_the_kernel_or_why_there_is_none() {
        let check = |status, expected: &str, is_on| {
            let part = described(status, "");
            assert!(format!("{:?}", part.state).contains(expected), "{part:?}");
            assert_eq!(part.is_on(), is_on);
        };
        check(LandlockStatus::Available { effective_abi: ABI::V7, kernel_abi: None }, "version 7", true);
        check(
            LandlockStatus::Available { effective_abi: ABI::V10, kernel_abi: Some(12) },
            "version 12",
            true,
        );
        check(LandlockStatus::NotEnabled, "lsm=", false);
        check(LandlockStatus::NotImplemented, "5.13", false);
    }

    #[test]
    fn sockets_are_limited_where_the_kernel_knows_them() {
        let check =
            |status, expected| assert_eq!(unix_part(&status).is_on(), expected, "{:?}", unix_part(&status));
        check(LandlockStatus::Available { effective_abi: ABI::V8, kernel_abi: None }, false);
        check(LandlockStatus::Available { effective_abi: ABI::V9, kernel_abi: None }, true);
        check(LandlockStatus::NotEnabled, false);
        check(LandlockStatus::NotImplemented, false);
    }
}
