//! Names of sessions, which their cgroups and folders of pins have: `brunt-PID-RANDOM-N`, with the process of the loader
//! and the number of the session. In a container each loader may be process 1, so random bits tell its sessions from
//! those of one that was killed.

use std::fs;
use std::io;

use rustix::rand::{GetRandomFlags, getrandom};

/// Hexadecimal digits of the random part.
const DIGITS: usize = 8;

/// A name that no other session has had.
pub(crate) fn fresh(number: u64) -> io::Result<String> {
    let mut bits = [0; DIGITS / 2];
    // So few bytes come whole (getrandom(2)).
    getrandom(&mut bits, GetRandomFlags::empty())?;
    Ok(format!("brunt-{}-{:08x}-{number}", std::process::id(), u32::from_ne_bytes(bits)))
}

/// The process of the loader, where this is the name of a session. A unit of systemd has another form.
pub(crate) fn keeper_of(name: &str) -> Option<u32> {
    let mut parts = name.strip_prefix("brunt-")?.split('-');
    let (keeper, random, number) = (parts.next()?, parts.next()?, parts.next()?);
    let is_random = random.len() == DIGITS && random.bytes().all(|byte| byte.is_ascii_hexdigit());
    number.parse::<u64>().ok().filter(|_| is_random && parts.next().is_none())?;
    keeper.parse().ok()
}

/// Does the loader that made this session still run? Then it is not ours to clear, empty as its cgroup may be just now.
/// The number of a loader that is gone may have become ours.
pub(crate) fn has_keeper(name: &str) -> bool {
    let Some(keeper) = keeper_of(name) else { return true };
    let command = fs::read_to_string(format!("/proc/{keeper}/comm")).unwrap_or_default();
    keeper != std::process::id() && command.trim_end() == "brunt-loader"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_have_names_that_nothing_else_has() {
        for (name, want) in [
            ("brunt-17-00c0ffee-3", Some(17)),
            ("brunt", None),
            ("brunt-loader.service", None),
            ("brunt-17", None),
            ("brunt-17-3", None),
            ("brunt-17-00c0ffee", None),
            ("brunt-17-00c0ffee-", None),
            ("brunt-17-00c0ffee-3-x", None),
            ("brunt-17-00coffee-3", None),
            ("brunt-17-c0ffee-3", None),
            ("x-brunt-17-00c0ffee-3", None),
        ] {
            assert_eq!(keeper_of(name), want, "{name}");
        }
    }

    #[test]
    fn the_same_number_makes_another_name() {
        let [first, second] = [fresh(3), fresh(3)].map(Result::unwrap);
        assert_ne!(first, second);
        assert_eq!(keeper_of(&first), Some(std::process::id()));
    }

    #[test]
    fn a_number_that_is_ours_or_somebody_else_s_has_no_keeper() {
        assert!(!has_keeper(&fresh(1).unwrap()));
        assert!(!has_keeper("brunt-1-00c0ffee-1"), "the first process is no loader");
        assert!(has_keeper("brunt"), "what is no session is not touched");
    }
}
