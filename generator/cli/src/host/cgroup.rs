//! CPU quotas of this process's control groups: how much they allow and how long they held it back. Both versions of
//! the interface; a group's parents count too, since each may have a quota of its own.
//!
//! <https://docs.kernel.org/admin-guide/cgroup-v2.html>, <https://docs.kernel.org/scheduler/sched-bwc.html>

use std::path::{Path, PathBuf};

use brunt_model::units::Nanos;

use super::{number_of, text_of};

const ROOT: &str = "/sys/fs/cgroup";

/// Folders with the CPU controller's files, this process's group first, then its parents.
#[derive(Clone, Default, Debug)]
pub(crate) struct CpuGroups(Vec<PathBuf>);

impl CpuGroups {
    pub(crate) fn of_this_process() -> Self {
        let text = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self(folders(&text).into_iter().filter(|folder| folder.is_dir()).collect())
    }

    /// The longest any of the groups was held back since it exists.
    pub(crate) fn throttled(&self) -> Nanos {
        let stats = self.0.iter().filter_map(|folder| text_of(folder.join("cpu.stat")));
        stats.map(|stat| parse_throttled(&stat)).max().unwrap_or_default()
    }

    /// The tightest quota in CPUs, if there is one.
    pub(crate) fn quota(&self) -> Option<f64> {
        let quotas = self.0.iter().filter_map(|folder| quota_of(folder));
        quotas.min_by(f64::total_cmp)
    }
}

/// Lines `hierarchy:controllers:path` (cgroups(7)); version 2 has no controllers in its line.
fn folders(cgroup: &str) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for line in cgroup.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let root = match controllers {
            "" => PathBuf::from(ROOT),
            _ if controllers.split(',').any(|controller| controller == "cpu") => {
                Path::new(ROOT).join(controllers)
            }
            _ => continue,
        };
        let relative = Path::new(path.trim_start_matches('/'));
        folders.extend(relative.ancestors().map(|ancestor| root.join(ancestor)));
    }
    folders
}

fn parse_throttled(stat: &str) -> Nanos {
    let value = |key: &str| {
        let found = stat.lines().find_map(|line| line.strip_prefix(key)?.trim().parse::<u64>().ok());
        found.unwrap_or(0)
    };
    Nanos(value("throttled_time ").max(value("throttled_usec ").saturating_mul(1_000)))
}

fn quota_of(folder: &Path) -> Option<f64> {
    match text_of(folder.join("cpu.max")) {
        Some(max) => parse_cpu_max(&max),
        None => {
            // A quota of -1 means none, and is no number here.
            let quota = number_of(folder.join("cpu.cfs_quota_us"))?;
            Some(quota as f64 / number_of(folder.join("cpu.cfs_period_us"))?.max(1) as f64)
        }
    }
}

/// `max 100000` or `150000 100000`.
fn parse_cpu_max(text: &str) -> Option<f64> {
    let (quota, period) = text.split_once(' ')?;
    Some(quota.parse::<u64>().ok()? as f64 / period.parse::<u64>().ok()?.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_both_versions_with_their_parents() {
        let shown =
            |text: &str| folders(text).iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
        assert_eq!(shown("0::/a/b\n"), ["/sys/fs/cgroup/a/b", "/sys/fs/cgroup/a", "/sys/fs/cgroup/"]);
        assert_eq!(
            shown("3:cpuset:/\n2:cpu,cpuacct:/x\n"),
            ["/sys/fs/cgroup/cpu,cpuacct/x", "/sys/fs/cgroup/cpu,cpuacct/"]
        );
        assert!(shown("nonsense\n\n").is_empty());
    }

    #[test]
    fn throttling_and_quotas_of_both_versions() {
        assert_eq!(parse_throttled("nr_throttled 3\nthrottled_usec 1500\n"), Nanos::from_micros(1_500));
        assert_eq!(parse_throttled("nr_throttled 3\nthrottled_time 77\n"), Nanos(77));
        assert_eq!(parse_throttled(""), Nanos::ZERO);
        assert_eq!(parse_cpu_max("150000 100000"), Some(1.5));
        assert_eq!(parse_cpu_max("max 100000"), None);
    }
}
