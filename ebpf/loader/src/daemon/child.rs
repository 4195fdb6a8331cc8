//! Moving a child of the peer into its session's cgroup.

use std::fs;
use std::io;
use std::path::Path;

use brunt_loader::wire::{Reply, Status};

use super::cgroups::{self, Cgroup};
use super::peer::Peer;

/// A peer can only name its own children. It is looked at again once it has moved: the number may have become that of
/// another process in between, if the peer has waited for its child. Such a one is moved back.
pub(crate) fn enter(mount: &Path, cgroup: &Cgroup, peer: Peer, pid: u32) -> Reply {
    let before = cgroups::of_process(mount, pid);
    if !is_child(peer, pid) {
        return Reply::new(Status::Refused, format!("process {pid} is not a child of yours, with your user"));
    }
    if let Err(error) = cgroups::enter(cgroup.path(), pid) {
        return Reply::new(Status::Unable, format!("moving process {pid} into its cgroup: {error}"));
    }
    if is_child(peer, pid) {
        return Reply::new(Status::Done, "");
    }
    let text = match move_back(before.as_deref(), pid) {
        Ok(()) => format!("process {pid} has ended, or become another user's"),
        Err(error) => format!("process {pid} is no longer a child of yours, and moving it back: {error}"),
    };
    Reply::new(Status::Refused, text)
}

/// One that has ended needs no move.
fn move_back(before: Option<&Path>, pid: u32) -> io::Result<()> {
    let before = before.ok_or(io::ErrorKind::NotFound)?;
    match cgroups::enter(before, pid) {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        moved => moved,
    }
}

fn is_child(peer: Peer, pid: u32) -> bool {
    let status = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status"));
    status.is_ok_and(|status| is_child_in(&status, peer))
}

/// What /proc/PID/status says (`proc_pid_status(5)`): the parent, and the four user ids. A child with another one runs a
/// set-user-id program, over which the peer has no say; root's may have become somebody else.
fn is_child_in(status: &str, peer: Peer) -> bool {
    let numbers = |name: &str| -> Option<Vec<u32>> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().map(|word| word.parse().ok()).collect()
    };
    numbers("PPid:") == Some(vec![peer.pid]) && (peer.uid == 0 || numbers("Uid:") == Some(vec![peer.uid; 4]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_has_the_parent_and_all_user_ids_of_the_peer() {
        for (uid, status, want) in [
            (7, "Name:\tx\nPPid:\t5\nUid:\t7\t7\t7\t7\n", true),
            (7, "Name:\tx\nPPid:\t5\nUid:\t7\t0\t0\t0\n", false),
            (7, "Name:\tx\nPPid:\t5\nUid:\t7\t7\t0\t7\n", false),
            (7, "Name:\tx\nPPid:\t5\nUid:\t8\t8\t8\t8\n", false),
            (7, "Name:\tx\nPPid:\t6\nUid:\t7\t7\t7\t7\n", false),
            (7, "Name:\tx\nPPid:\t5\n", false),
            (0, "Name:\tx\nPPid:\t5\nUid:\t9\t9\t9\t9\n", true),
            (0, "Name:\tx\nPPid:\t1\nUid:\t0\t0\t0\t0\n", false),
            (7, "", false),
        ] {
            assert_eq!(is_child_in(status, Peer { pid: 5, uid }), want, "{uid}: {status}");
        }
    }
}
