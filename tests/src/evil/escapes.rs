//! Attempts at leaving the fence: another cgroup, another program.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use super::{Scene, needed, sockets};

/// Policy follows the cgroup, so go to the top of the tree.
pub(super) fn leave_cgroup(scene: &mut Scene) -> io::Result<()> {
    let top = needed(scene.cgroups.as_ref(), "cgroups of version 2")?;
    fs::write(top.join("cgroup.procs"), "0")?;
    sockets::connect(scene)
}

/// Another program, in the hope that it is less confined.
pub(super) fn execute(scene: &mut Scene) -> io::Result<()> {
    Err(Command::new("/proc/self/exe").args(["connect", &scene.target.to_string(), "--now"]).exec())
}

/// Where cgroups of version 2 are mounted (proc(5), mountinfo).
pub(super) fn mount_point() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        after.starts_with("cgroup2 ").then(|| before.split(' ').nth(4)).flatten().map(PathBuf::from)
    })
}
