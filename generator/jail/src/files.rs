//! Landlock closes the file system: all rights are handled and no rule grants any, so that nothing can be opened.
//!
//! Its rules for TCP are not used: Fast Open and Multipath TCP are unknown to them, so they would promise too much.
//! Source: landlock(7).

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, LandlockStatus, RestrictSelf, RestrictionStatus, Ruleset,
    RulesetAttr, RulesetError, RulesetStatus, Scope,
};

use crate::Part;

const NAME: &str = "landlock";
/// The newest version with rights on files that concern every process of ours.
const FILES: ABI = ABI::V5;
const SCOPES: ABI = ABI::V6;

/// Restricts this thread, and all that it starts, as far as the kernel can.
pub(crate) fn close(unix_sockets: bool) -> Part {
    match restrict(unix_sockets) {
        Ok(status) => part(&status),
        Err(error) => Part::off(NAME, format!("the kernel refused it: {error}")),
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

fn restrict(unix_sockets: bool) -> Result<RestrictionStatus, RulesetError> {
    let mut rights = AccessFs::from_all(FILES);
    if !unix_sockets {
        rights |= AccessFs::ResolveUnix;
    }
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(rights)?
        .scope(Scope::from_all(SCOPES))?
        .create()?
        .restrict_self()
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
}
