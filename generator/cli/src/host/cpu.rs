//! Logical CPUs: which this process may use, and how their time was spent (`/proc/stat`, proc(5)).

use std::collections::BTreeMap;
use std::time::Duration;

use brunt_model::units::{CoreId, NANOS_PER_SECOND, Nanos};
use rustix::thread::CpuSet;

use super::text_of;

/// How long the CPUs are watched to tell whether they are idle: ten jiffies.
const IDLE_SAMPLE: Duration = Duration::from_millis(100);

/// Jiffies of one CPU since boot.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct CpuTimes {
    pub total: u64,
    pub idle: u64,
    pub steal: u64,
}

pub(crate) type ByCore = BTreeMap<CoreId, CpuTimes>;

/// The CPUs this process may run on, ascending.
pub(crate) fn allowed() -> Vec<CoreId> {
    let Ok(set) = rustix::thread::sched_getaffinity(None) else { return vec![CoreId(0)] };
    (0..CpuSet::MAX_CPU)
        .filter(|&cpu| set.is_set(cpu))
        .filter_map(|cpu| u32::try_from(cpu).ok())
        .map(CoreId)
        .collect()
}

/// Times of all CPUs until now.
pub(crate) fn times() -> ByCore {
    parse_times(&std::fs::read_to_string("/proc/stat").unwrap_or_default())
}

/// The kernel's present clock source, such as `tsc`.
pub(crate) fn clock_source() -> Option<String> {
    text_of("/sys/devices/system/clocksource/clocksource0/current_clocksource")
}

/// Idle share of each CPU over the next tenth of a second.
pub(crate) fn watch_idle() -> BTreeMap<CoreId, f64> {
    let before = times();
    std::thread::sleep(IDLE_SAMPLE);
    idle_shares(&before, &times())
}

/// Time that the hypervisor took from these CPUs between two readings.
pub(crate) fn stolen(before: &ByCore, after: &ByCore, cores: &[CoreId]) -> Nanos {
    let jiffies: u64 = cores
        .iter()
        .filter_map(|core| Some(after.get(core)?.steal.saturating_sub(before.get(core)?.steal)))
        .sum();
    Nanos(jiffies * (NANOS_PER_SECOND / rustix::param::clock_ticks_per_second().max(1)))
}

fn parse_times(stat: &str) -> ByCore {
    stat.lines().filter_map(parse_line).collect()
}

/// `cpu3 user nice system idle iowait irq softirq steal guest guest_nice`; guest time is contained in user time.
fn parse_line(line: &str) -> Option<(CoreId, CpuTimes)> {
    let (name, rest) = line.split_once(' ')?;
    let core = name.strip_prefix("cpu")?.parse().ok()?;
    let fields: Vec<u64> =
        rest.split_ascii_whitespace().map_while(|field| field.parse().ok()).take(8).collect();
    let at = |index: usize| fields.get(index).copied().unwrap_or(0);
    let times = CpuTimes { total: fields.iter().sum(), idle: at(3) + at(4), steal: at(7) };
    (fields.len() >= 4).then_some((CoreId(core), times))
}

fn idle_shares(before: &ByCore, after: &ByCore) -> BTreeMap<CoreId, f64> {
    let share = |(core, now): (&CoreId, &CpuTimes)| {
        let then = before.get(core)?;
        let total = now.total.saturating_sub(then.total);
        let idle = now.idle.saturating_sub(then.idle);
        // A CPU that counted no tick at all slept through them.
        Some((*core, if total == 0 { 1.0 } else { idle as f64 / total as f64 }))
    };
    after.iter().filter_map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str =
        "cpu  20 0 20 160 0 0 0 0 0 0\ncpu0 10 0 10 80 0 0 0 5 0 0\ncpu1 10 0 10 80 0 0 0 0 0 0\nintr 5 6\n";
    const AFTER: &str =
        "cpu  30 0 20 170 0 0 0 0 0 0\ncpu0 19 0 10 81 0 0 0 8 9 0\ncpu1 10 0 10 88 2 0 0 0 0 0\n";

    #[test]
    fn cpu_times_are_read_by_core() {
        let times = parse_times(BEFORE);
        assert_eq!(times.len(), 2, "the sum line is no core");
        assert_eq!(times[&CoreId(0)], CpuTimes { total: 105, idle: 80, steal: 5 });
        assert_eq!(parse_times("cpu0 1 2\ncpux 1 2 3 4\n"), ByCore::new());
    }

    #[test]
    fn idle_and_stolen_time_are_differences() {
        let (before, after) = (parse_times(BEFORE), parse_times(AFTER));
        let idle = idle_shares(&before, &after);
        assert!((idle[&CoreId(0)] - 1.0 / 13.0).abs() < 1e-9, "guest time is not counted twice");
        assert!((idle[&CoreId(1)] - 1.0).abs() < 1e-9);
        let tick = NANOS_PER_SECOND / rustix::param::clock_ticks_per_second();
        assert_eq!(stolen(&before, &after, &[CoreId(0), CoreId(1), CoreId(9)]), Nanos(3 * tick));
    }

    #[test]
    fn this_process_may_use_some_cpu() {
        let allowed = allowed();
        assert!(!allowed.is_empty());
        assert!(allowed.iter().all(|core| times().contains_key(core)));
    }
}
