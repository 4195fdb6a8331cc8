//! Root, capabilities and the ways to have them again.
//!
//! Users, groups and capabilities belong to a thread for the kernel, so this is for a process that has one only.

use caps::{CapSet, Capability};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getgid, getpid, getuid, set_dumpable_behavior, setrlimit,
};
use rustix::thread::{Gid, Uid};

use crate::state::{Confinement, state_of};
use crate::{JailError, Part};

/// The user and group that own nothing ("nobody").
const NOBODY: u32 = 65_534;

/// Gives up everything, and looks whether it is gone. `keep_user`: but for the user, without whom nothing else of root's is
/// there.
pub(crate) fn give_up(keep_user: bool) -> Result<Vec<Part>, JailError> {
    // No file with a set-user-ID bit or capabilities gives any back, and filters may be installed without privilege.
    rustix::thread::set_no_new_privs(true)
        .map_err(|errno| system("set no_new_privs", "Linux 3.5 has it", errno))?;
    empty_bounding_set();
    let identity = if keep_user {
        Part::off(
            "user",
            "kept, because the target is a unix socket, which others may not be let reach".to_owned(),
        )
    } else {
        become_nobody()?
    };
    empty_all_sets()?;
    // A change of user makes a process dumpable by the setting of the host, so this comes after it.
    forbid_dumps()?;
    let state = own_state()?;
    if !state.no_new_privs {
        return Err(JailError::Kept { left: "the way to new privileges" });
    }
    if state.has_capabilities() {
        return Err(JailError::Kept { left: "a capability" });
    }
    Ok(vec![
        identity,
        Part::on("capabilities", "all sets are empty".to_owned()),
        bounding_part(state.bounding),
        Part::on("no new privileges", "set".to_owned()),
        Part::on("core dumps", "off, as is tracing by the same user".to_owned()),
    ])
}

/// Keeps the memory of this process out of core dumps, also those that are piped to a program, and from being read or
/// traced by the same user. Whatever it starts may have no core file either.
///
/// # Errors
/// When the system refuses.
pub fn forbid_dumps() -> Result<(), JailError> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })
        .map_err(|errno| system("set the limit on core dumps", "let the process lower its limits", errno))?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|errno| system("forbid core dumps and tracing", "Linux 2.4 has it", errno))
}

/// How this process stands now.
pub(crate) fn own_state() -> Result<Confinement, JailError> {
    let own = u32::try_from(getpid().as_raw_nonzero().get()).unwrap_or_default();
    state_of(own).map_err(|source| JailError::System {
        action: "read the state of this process in /proc",
        mend: "mount /proc",
        source,
    })
}

fn system(action: &'static str, mend: &'static str, errno: rustix::io::Errno) -> JailError {
    JailError::System { action, mend, source: errno.into() }
}

/// What stays in this set cannot be had without new privileges, so that a failure is told and no error.
fn empty_bounding_set() {
    for capability in caps::all() {
        let _ = caps::drop(None, CapSet::Bounding, capability);
    }
}

fn bounding_part(left: u64) -> Part {
    let name = "bounding set";
    if left == 0 {
        Part::on(name, "empty".to_owned())
    } else {
        Part::off(name, format!("{left:#x} stays, because emptying it takes CAP_SETPCAP; nothing can use it"))
    }
}

fn empty_all_sets() -> Result<(), JailError> {
    let sets = [
        (CapSet::Ambient, "empty the ambient capabilities"),
        (CapSet::Inheritable, "empty the inheritable capabilities"),
        (CapSet::Effective, "empty the effective capabilities"),
        (CapSet::Permitted, "empty the permitted capabilities"),
    ];
    sets.into_iter().try_for_each(|(set, action)| {
        caps::clear(None, set).map_err(|source| JailError::Capabilities { action, source })
    })
}

/// Becomes nobody where the process is root and can.
fn become_nobody() -> Result<Part, JailError> {
    let name = "user";
    let state = own_state()?;
    if !state.uids.contains(&0) {
        return Ok(Part::on(name, format!("{}, not root", getuid().as_raw())));
    }
    if let Err(reason) = can_change_user() {
        return Ok(Part::off(name, format!("stays user {}: {reason}", getuid().as_raw())));
    }
    let mend = "start the process as an ordinary user";
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    // Groups go first: without the user's privilege they could not be changed any more.
    rustix::thread::set_thread_groups(&[]).map_err(|errno| system("leave all groups", mend, errno))?;
    rustix::thread::set_thread_res_gid(group, group, group)
        .map_err(|errno| system("change to the group of nobody", mend, errno))?;
    rustix::thread::set_thread_res_uid(user, user, user)
        .map_err(|errno| system("change to the user nobody", mend, errno))?;
    let state = own_state()?;
    if state.uids != [NOBODY; 4] || state.gids != [NOBODY; 4] {
        return Err(JailError::Kept { left: "the user or group root" });
    }
    Ok(Part::on(name, format!("{} and group {}, no other groups", getuid().as_raw(), getgid().as_raw())))
}

/// Containers may have root without the right to change users, or without other users at all. They are told so.
fn can_change_user() -> Result<(), &'static str> {
    let has = |capability| caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false);
    if !has(Capability::CAP_SETUID) || !has(Capability::CAP_SETGID) {
        return Err("without CAP_SETUID and CAP_SETGID it cannot be changed; start as an ordinary user");
    }
    let maps = |path| std::fs::read_to_string(path).is_ok_and(|map| is_mapped(&map, NOBODY));
    if !maps("/proc/self/uid_map") || !maps("/proc/self/gid_map") {
        return Err("there is no user 65534 in this user namespace; start as an ordinary user");
    }
    Ok(())
}

/// Is there a user of this number? Each line of a map has the first number inside, the first outside and how many
/// (user_namespaces(7)).
fn is_mapped(map: &str, id: u32) -> bool {
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().map(str::parse::<u64>);
        match (numbers.next(), numbers.nth(1)) {
            (Some(Ok(first)), Some(Ok(count))) => {
                (first..first.saturating_add(count)).contains(&u64::from(id))
            }
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_tells_which_users_it_has() {
        let check = |map, expected| assert_eq!(is_mapped(map, NOBODY), expected, "{map:?}");
        check("         0          0 4294967295\n", true);
        check("0 100000 65536\n", true);
        check("0 1000 1\n", false);
        check("0 1000 1\n65534 100000 1\n", true);
        check("0 1000 65534\n", false);
        check("", false);
        check("0 x 65536\n", true);
        check("0 1000\nx y z\n", false);
        check("1 1 18446744073709551615\n", true);
    }

    #[test]
    fn a_bounding_set_that_stays_is_told() {
        let check = |left, expected| assert_eq!(bounding_part(left).is_on(), expected, "{left:#x}");
        check(0, true);
        check(1 << 41, false);
    }
}
