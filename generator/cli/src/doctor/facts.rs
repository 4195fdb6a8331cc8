//! What is read of this host. A figure that cannot be had is `None`.

use std::collections::BTreeMap;
use std::path::Path;

use brunt_model::units::CoreId;

use super::kernel::Kernel;
use crate::host::cgroup::CpuGroups;
use crate::host::{cpu, environment, files, number_of, text_of, uring};

/// One reading of everything that is judged.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub open_files: (u64, u64),
    pub network: Network,
    pub io_uring: Option<String>,
    pub clock_source: Option<String>,
    pub cpus: Cpus,
    pub kernel: Kernel,
    pub jail: Vec<brunt_jail::Part>,
}

#[derive(Clone, Default, Debug)]
pub(super) struct Network {
    pub local_ports: Option<(u64, u64)>,
    pub tw_reuse: Option<u64>,
    pub somaxconn: Option<u64>,
}

#[derive(Clone, Default, Debug)]
pub(super) struct Cpus {
    /// Idle share of each CPU that may be used.
    pub idle: BTreeMap<CoreId, f64>,
    pub governor: Option<String>,
    pub quota: Option<f64>,
    /// Device interrupts a second of each CPU; `None` where they cannot be read.
    pub interrupts: Option<BTreeMap<CoreId, u64>>,
}

pub(super) fn gather(loader_socket: &Path) -> Facts {
    let sysctl = |name: &str| format!("/proc/sys/net/{name}");
    Facts {
        open_files: files::limits(),
        network: Network {
            local_ports: text_of(sysctl("ipv4/ip_local_port_range")).and_then(|text| parse_ports(&text)),
            tw_reuse: number_of(sysctl("ipv4/tcp_tw_reuse")),
            somaxconn: number_of(sysctl("core/somaxconn")),
        },
        io_uring: uring::probe().err(),
        clock_source: cpu::clock_source(),
        cpus: cpus(),
        kernel: Kernel::of_this_host(loader_socket),
        jail: brunt_jail::support(),
    }
}

fn cpus() -> Cpus {
    let allowed = cpu::allowed();
    let interrupts = || text_of("/proc/interrupts").map(|text| parse_interrupts(&text));
    let before = interrupts();
    let mut idle = cpu::watch_idle();
    let after = interrupts();
    idle.retain(|core, _| allowed.contains(core));
    Cpus {
        idle,
        governor: allowed.first().and_then(|core| environment::governor(*core)),
        quota: CpuGroups::of_this_process().quota(),
        interrupts: before.zip(after).map(|(before, after)| per_second(&before, &after)),
    }
}

fn parse_ports(text: &str) -> Option<(u64, u64)> {
    let (from, to) = text.split_once(char::is_whitespace)?;
    Some((from.trim().parse().ok()?, to.trim().parse().ok()?))
}

/// Sums of the numbered lines, those of devices, by CPU. The first line names the columns.
fn parse_interrupts(text: &str) -> BTreeMap<CoreId, u64> {
    let mut lines = text.lines();
    let header = lines.next().unwrap_or_default().split_ascii_whitespace();
    let cores: Vec<_> =
        header.filter_map(|name| name.strip_prefix("CPU")?.parse().ok().map(CoreId)).collect();
    let mut sums: BTreeMap<_, u64> = cores.iter().map(|core| (*core, 0)).collect();
    for line in lines {
        let Some((name, counts)) = line.trim_start().split_once(':') else { continue };
        if !name.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        for (core, count) in cores.iter().zip(counts.split_ascii_whitespace()) {
            *sums.entry(*core).or_default() += count.parse().unwrap_or(0);
        }
    }
    sums
}

/// The CPUs are watched for a tenth of a second.
fn per_second(before: &BTreeMap<CoreId, u64>, after: &BTreeMap<CoreId, u64>) -> BTreeMap<CoreId, u64> {
    let rate = |(core, now): (&CoreId, &u64)| {
        (*core, now.saturating_sub(before.get(core).copied().unwrap_or(*now)) * 10)
    };
    after.iter().map(rate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interrupts_are_summed_by_core() {
        let text = "           CPU0       CPU2\n  4:         10         20   IO-APIC   4-edge  ttyS0\n\
                    25:          1          2   PCI-MSI eth0\nLOC:       5000       6000   Local timer interrupts\nERR: 0\n";
        let sums = parse_interrupts(text);
        assert_eq!(sums, BTreeMap::from([(CoreId(0), 11), (CoreId(2), 22)]));
        let later = BTreeMap::from([(CoreId(0), 15), (CoreId(2), 22), (CoreId(3), 9)]);
        assert_eq!(
            per_second(&sums, &later),
            BTreeMap::from([(CoreId(0), 40), (CoreId(2), 0), (CoreId(3), 0)])
        );
        assert!(parse_interrupts("").is_empty());
    }

    #[test]
    fn port_ranges() {
        assert_eq!(parse_ports("32768\t60999"), Some((32_768, 60_999)));
        assert_eq!(parse_ports("x y"), None);
    }

    #[test]
    fn this_host_has_cpus() {
        assert!(!cpus().idle.is_empty());
    }
}
