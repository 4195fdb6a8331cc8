//! Holds a process to a share of one core: by a control group where one can be made, else by its priority.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, setpriority_process};

use crate::clock;

/// The period of both kinds of group, in microseconds, as the kernel has it by default.
const PERIOD_US: u32 = 100_000;
const LEAST_PRIORITY: i32 = 19;
/// A group can be deleted once its processes are reaped.
const EMPTY_WITHIN: Duration = Duration::from_secs(5);

/// A process held to a share. Dropping it deletes the group, for which the process must have ended or is let go.
#[derive(Debug)]
pub struct CpuShare {
    group: Option<PathBuf>,
    percent: u32,
}

impl CpuShare {
    /// Holds this process and its threads to so many percent of one core.
    #[must_use]
    pub fn hold(pid: Pid, percent: u32) -> Self {
        let group = make_group(pid, percent).ok();
        if group.is_none() {
            // The next best: it yields to everybody, but takes what they leave.
            let _ = setpriority_process(Some(pid), LEAST_PRIORITY);
        }
        Self { group, percent }
    }
}

impl fmt::Display for CpuShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.group {
            Some(_) => write!(f, "held to {} % of a core", self.percent),
            None => write!(f, "at the lowest priority, since no control group could be made"),
        }
    }
}

impl Drop for CpuShare {
    fn drop(&mut self) {
        let Some(group) = &self.group else { return };
        let start = clock::now();
        while fs::remove_dir(group).is_err() && start.elapsed() < EMPTY_WITHIN {
            if let (Some(parent), Ok(pids)) = (group.parent(), fs::read_to_string(group.join("cgroup.procs")))
            {
                for pid in pids.lines() {
                    let _ = fs::write(parent.join("cgroup.procs"), pid);
                }
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A new group with this process in it.
fn make_group(pid: Pid, percent: u32) -> io::Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/mounts")?;
    let (parent, limits) = controller(&mounts, percent).ok_or(io::ErrorKind::NotFound)?;
    let group = parent.join(format!("brunt-test-{}", pid.as_raw_nonzero()));
    fs::create_dir(&group)?;
    let made = limits
        .iter()
        .try_for_each(|(file, value)| fs::write(group.join(file), value))
        .and_then(|()| fs::write(group.join("cgroup.procs"), pid.as_raw_nonzero().to_string()));
    if let Err(error) = made {
        let _ = fs::remove_dir(&group);
        return Err(error);
    }
    Ok(group)
}

/// Where groups with a share of CPU time can be made here, and the files that say how much (cgroups(7)).
fn controller(mounts: &str, percent: u32) -> Option<(PathBuf, Vec<(&'static str, String)>)> {
    let quota = PERIOD_US / 100 * percent;
    for line in mounts.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, place, kind, options, ..] = fields[..] else { continue };
        let place = PathBuf::from(place);
        if kind == "cgroup" && options.split(',').any(|option| option == "cpu") {
            return Some((place, vec![("cpu.cfs_quota_us", quota.to_string())]));
        }
        if kind == "cgroup2" && has_cpu(&place) {
            return Some((place, vec![("cpu.max", format!("{quota} {PERIOD_US}"))]));
        }
    }
    None
}

/// Does the second version have this controller, and give it to new groups?
fn has_cpu(root: &Path) -> bool {
    let given = fs::read_to_string(root.join("cgroup.subtree_control")).unwrap_or_default();
    given.split_whitespace().any(|controller| controller == "cpu")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_version_is_found_by_its_options() {
        let mounts = "cgroup2 /none cgroup2 rw 0 0\ncgroup /sys/cpu cgroup rw,relatime,cpu 0 0\n";
        let (place, limits) = controller(mounts, 10).unwrap();
        assert_eq!((place, limits), ("/sys/cpu".into(), vec![("cpu.cfs_quota_us", "10000".to_owned())]));
        assert!(controller("tmpfs / tmpfs rw 0 0\n", 10).is_none());
    }
}
