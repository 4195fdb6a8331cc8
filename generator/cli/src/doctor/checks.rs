//! Facts to findings: pure, one function for each line of the diagnosis.

use serde::Serialize;

use super::facts::{Cpus, Facts, Network};
use super::kernel;

/// The default cap of an open load and what a run needs beside it.
const OPEN_FILES_WANTED: u64 = 10_080;
const OPEN_FILES_LEAST: u64 = 1_024;
/// The kernel's default range has 28,232.
const PORTS_WANTED: u64 = 28_000;
const BACKLOG_WANTED: u64 = 4_096;
const IDLE_WANTED: f64 = 0.8;
/// Each takes a few microseconds from the engine.
const INTERRUPTS_MOST: u64 = 2_000;

#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Ok,
    /// Runs work, but not at their best.
    Warn,
    /// Runs will be invalid or refused.
    Bad,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Finding {
    pub name: &'static str,
    pub level: Level,
    pub figure: String,
    pub mend: Option<String>,
}

pub(super) fn all(facts: &Facts) -> Vec<Finding> {
    let host = [
        open_files(facts.open_files),
        local_ports(&facts.network),
        tw_reuse(&facts.network),
        listen_backlog(&facts.network),
        io_uring(facts.io_uring.as_deref()),
        clock(facts.clock_source.as_deref()),
        governor(&facts.cpus),
        idle(&facts.cpus),
        quota(&facts.cpus),
        interrupts(&facts.cpus),
    ];
    let parts = [kernel::timing(&facts.kernel), kernel::guard(&facts.kernel), kernel::jail(&facts.jail)];
    host.into_iter().chain(parts).collect()
}

pub(super) fn finding(name: &'static str, level: Level, figure: impl Into<String>, mend: &str) -> Finding {
    let mend = (level != Level::Ok && !mend.is_empty()).then(|| mend.to_owned());
    Finding { name, level, figure: figure.into(), mend }
}

fn unknown(name: &'static str, what: &str) -> Finding {
    finding(name, Level::Warn, format!("{what} cannot be read here"), "")
}

fn open_files((soft, hard): (u64, u64)) -> Finding {
    let shown = |limit: u64| if limit == u64::MAX { "none".to_owned() } else { limit.to_string() };
    let level = match hard {
        OPEN_FILES_WANTED.. => Level::Ok,
        OPEN_FILES_LEAST.. => Level::Warn,
        _ => Level::Bad,
    };
    let figure = format!("limit {}, which a run raises up to {} as needed", shown(soft), shown(hard));
    finding(
        "open files",
        level,
        figure,
        "raise the hard limit: ulimit -Hn, LimitNOFILE= or /etc/security/limits.conf",
    )
}

fn local_ports(network: &Network) -> Finding {
    const NAME: &str = "local ports";
    let Some((from, to)) = network.local_ports else { return unknown(NAME, "net.ipv4.ip_local_port_range") };
    let count = (to + 1).saturating_sub(from);
    let level = match count {
        PORTS_WANTED.. => Level::Ok,
        1_000.. => Level::Warn,
        _ => Level::Bad,
    };
    let figure = format!("{from}-{to}: {count} connections to each target address from each source address");
    finding(NAME, level, figure, "sysctl net.ipv4.ip_local_port_range='1024 65535', or several --source-ip")
}

/// RFC 6191: ports in TIME-WAIT may be taken again where time stamps tell the connections apart.
fn tw_reuse(network: &Network) -> Finding {
    const NAME: &str = "port reuse";
    match network.tw_reuse {
        None => unknown(NAME, "net.ipv4.tcp_tw_reuse"),
        Some(0) => {
            let figure = "off: without keep-alive, ports rest for a minute after each connection";
            finding(NAME, Level::Warn, figure, "sysctl net.ipv4.tcp_tw_reuse=1")
        }
        Some(1) => finding(NAME, Level::Ok, "on", ""),
        Some(_) => finding(NAME, Level::Ok, "on for loopback (1 would be on for all targets)", ""),
    }
}

fn listen_backlog(network: &Network) -> Finding {
    const NAME: &str = "listen backlog";
    match network.somaxconn {
        None => unknown(NAME, "net.core.somaxconn"),
        Some(most) => {
            let level = if most >= BACKLOG_WANTED { Level::Ok } else { Level::Warn };
            let figure = format!("at most {most}, for targets on this host");
            finding(
                NAME,
                level,
                figure,
                "sysctl net.core.somaxconn=4096, or many connections at once will be slow to open",
            )
        }
    }
}

fn io_uring(obstacle: Option<&str>) -> Finding {
    match obstacle {
        None => finding("io_uring", Level::Ok, "usable", ""),
        Some(why) => {
            let figure = format!("not usable ({why}): runs use epoll, at up to 10 % more CPU a request");
            finding(
                "io_uring",
                Level::Warn,
                figure,
                "allow it by sysctl kernel.io_uring_disabled=0 and the seccomp profile",
            )
        }
    }
}

fn clock(source: Option<&str>) -> Finding {
    const NAME: &str = "clock";
    const MEND: &str = "boot with clocksource=tsc, where the CPU has an invariant TSC";
    match source {
        None => unknown(NAME, "the clock source"),
        Some(source @ ("tsc" | "arch_sys_counter")) => finding(NAME, Level::Ok, source, ""),
        Some(source @ ("kvm-clock" | "hyperv_clocksource_tsc_page")) => {
            finding(NAME, Level::Ok, format!("{source}, readable without a system call"), "")
        }
        Some(source) => {
            finding(NAME, Level::Warn, format!("{source}: each time stamp is a system call"), MEND)
        }
    }
}

fn governor(cpus: &Cpus) -> Finding {
    const NAME: &str = "CPU governor";
    match cpus.governor.as_deref() {
        None => finding(NAME, Level::Ok, "not visible here, as usual in a virtual machine", ""),
        Some("performance") => finding(NAME, Level::Ok, "performance", ""),
        Some(governor) => {
            let figure = format!("{governor}: latencies include the time a CPU takes to speed up");
            finding(NAME, Level::Warn, figure, "cpupower frequency-set -g performance")
        }
    }
}

fn idle(cpus: &Cpus) -> Finding {
    const MEND: &str = "stop other work, or keep it off the cores of --cores (taskset, cpusets)";
    let idle = cpus.idle.values().filter(|idle| **idle >= IDLE_WANTED).count();
    let level = match idle {
        0 => Level::Bad,
        _ if idle < cpus.idle.len() => Level::Warn,
        _ => Level::Ok,
    };
    let each: Vec<_> =
        cpus.idle.iter().take(16).map(|(core, idle)| format!("{}: {:.0} %", core.0, idle * 100.0)).collect();
    let figure = format!("{idle} of {} usable cores are idle ({})", cpus.idle.len(), each.join(", "));
    finding("idle cores", level, figure, MEND)
}

fn quota(cpus: &Cpus) -> Finding {
    match cpus.quota {
        None => finding("CPU quota", Level::Ok, "none", ""),
        Some(quota) => {
            let level = if quota < 1.0 { Level::Bad } else { Level::Warn };
            let figure =
                format!("{quota:.2} CPUs: a run that needs more is stopped for milliseconds at a time");
            finding("CPU quota", level, figure, "lift it (cpu.max, CPUQuota=, the container's CPU limit)")
        }
    }
}

fn interrupts(cpus: &Cpus) -> Finding {
    const NAME: &str = "interrupts";
    let Some(rates) = &cpus.interrupts else { return unknown(NAME, "/proc/interrupts") };
    let usable = rates.iter().filter(|(core, _)| cpus.idle.contains_key(core));
    match usable.max_by_key(|(_, rate)| **rate) {
        None => unknown(NAME, "/proc/interrupts"),
        Some((core, rate)) => {
            let level = if *rate > INTERRUPTS_MOST { Level::Warn } else { Level::Ok };
            let figure = format!("at most {rate}/s from devices, on core {}", core.0);
            finding(
                NAME,
                level,
                figure,
                "move them to other cores (/proc/irq/*/smp_affinity, irqbalance) or choose --cores",
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use brunt_model::units::CoreId;

    use super::*;

    fn check(found: &Finding, level: Level, word: &str) {
        assert!(
            found.level == level && found.figure.contains(word),
            "{found:?} should be {level:?} with {word}"
        );
        assert_eq!(
            found.mend.is_some(),
            level != Level::Ok && !found.figure.contains("cannot be read"),
            "{found:?}"
        );
    }

    #[test]
    fn limits_and_ports() {
        check(&open_files((1_024, u64::MAX)), Level::Ok, "up to none");
        check(&open_files((1_024, 4_096)), Level::Warn, "limit 1024");
        check(&open_files((64, 64)), Level::Bad, "limit 64");
        let ports = |range| local_ports(&Network { local_ports: range, ..Network::default() });
        check(&ports(Some((32_768, 60_999))), Level::Ok, "28232 connections");
        check(&ports(Some((60_000, 61_999))), Level::Warn, "2000 connections");
        check(&ports(Some((60_000, 60_009))), Level::Bad, "10 connections");
        check(&ports(None), Level::Warn, "cannot be read");
    }

    #[test]
    fn the_kernel_s_settings() {
        let network = |tw_reuse, somaxconn| Network {
            tw_reuse: Some(tw_reuse),
            somaxconn: Some(somaxconn),
            ..Network::default()
        };
        check(&tw_reuse(&network(0, 0)), Level::Warn, "off");
        check(&tw_reuse(&network(2, 0)), Level::Ok, "loopback");
        check(&listen_backlog(&network(0, 128)), Level::Warn, "128");
        check(&listen_backlog(&network(0, 4_096)), Level::Ok, "4096");
        check(&io_uring(None), Level::Ok, "usable");
        check(&io_uring(Some("denied")), Level::Warn, "denied");
        check(&clock(Some("tsc")), Level::Ok, "tsc");
        check(&clock(Some("hpet")), Level::Warn, "system call");
    }

    #[test]
    fn cpus() {
        let with = |idle: [f64; 2], rate: u64| Cpus {
            idle: (0..).map(CoreId).zip(idle).collect(),
            governor: Some("powersave".to_owned()),
            quota: Some(1.5),
            interrupts: Some(BTreeMap::from([(CoreId(0), 5), (CoreId(1), rate), (CoreId(9), 99_999)])),
        };
        check(&idle(&with([0.9, 1.0], 0)), Level::Ok, "2 of 2");
        check(&idle(&with([0.1, 1.0], 0)), Level::Warn, "1 of 2");
        check(&idle(&with([0.1, 0.1], 0)), Level::Bad, "0 of 2");
        check(&interrupts(&with([1.0, 1.0], 7)), Level::Ok, "7/s from devices, on core 1");
        check(&interrupts(&with([1.0, 1.0], 7_000)), Level::Warn, "7000/s");
        check(&governor(&with([1.0, 1.0], 0)), Level::Warn, "powersave");
        check(&quota(&with([1.0, 1.0], 0)), Level::Warn, "1.50 CPUs");
        check(&quota(&Cpus::default()), Level::Ok, "none");
    }
}
