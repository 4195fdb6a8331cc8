//! What the host took from the engine's threads during a run: steal, run-queue delay, quota.

use brunt_model::units::{CoreId, Nanos};
use brunt_model::verdict::HostPressure;

use super::cgroup::CpuGroups;
use super::cpu::{self, ByCore};
use super::text_of;

/// Readings from before the run, and the last ones of each engine thread.
pub(crate) struct PressureGauge {
    cores: Vec<CoreId>,
    groups: CpuGroups,
    times: ByCore,
    throttled: Nanos,
    threads: Vec<Thread>,
}

/// Run-queue delay of one thread since it exists.
struct Thread {
    /// Its process and itself, by the kernel's ids.
    id: (u32, i32),
    at_start: Nanos,
    last: Nanos,
}

impl PressureGauge {
    /// Takes the first readings.
    pub(crate) fn new(cores: &[CoreId]) -> Self {
        let groups = CpuGroups::of_this_process();
        let throttled = groups.throttled();
        Self { cores: cores.to_vec(), groups, times: cpu::times(), throttled, threads: Vec::new() }
    }

    /// The engine's process and threads are there, by core.
    pub(crate) fn begin(&mut self, process: u32, threads: &[i32]) {
        let begin = |&thread: &i32| {
            let id = (process, thread);
            let delay = run_delay(id).unwrap_or_default();
            Thread { id, at_start: delay, last: delay }
        };
        self.threads = threads.iter().map(begin).collect();
    }

    /// Reads one thread again. The last value before its end is the one that counts, as its file goes with it.
    pub(crate) fn sample(&mut self, core: u32) {
        if let Some(thread) = self.threads.get_mut(core as usize)
            && let Some(delay) = run_delay(thread.id)
        {
            thread.last = delay;
        }
    }

    /// What was taken since the first readings.
    pub(crate) fn finish(&self) -> HostPressure {
        let delays = self.threads.iter().map(|thread| thread.last.0.saturating_sub(thread.at_start.0));
        HostPressure {
            steal: cpu::stolen(&self.times, &cpu::times(), &self.cores),
            run_delay: Nanos(delays.sum()),
            throttled: Nanos(self.groups.throttled().0.saturating_sub(self.throttled.0)),
            ..HostPressure::default()
        }
    }
}

fn run_delay((process, thread): (u32, i32)) -> Option<Nanos> {
    parse_run_delay(&text_of(format!("/proc/{process}/task/{thread}/schedstat"))?)
}

/// Time on a CPU, time waiting for one (both in nanoseconds), number of time slices.
fn parse_run_delay(schedstat: &str) -> Option<Nanos> {
    schedstat.split_ascii_whitespace().nth(1)?.parse().ok().map(Nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_delay_is_the_second_field() {
        assert_eq!(parse_run_delay("459851 51653 2"), Some(Nanos(51_653)));
        assert_eq!(parse_run_delay("459851"), None);
        assert_eq!(parse_run_delay("a b c"), None);
    }

    #[test]
    fn a_thread_that_is_gone_keeps_its_last_value() {
        let mut gauge = PressureGauge::new(&[CoreId(0)]);
        gauge.begin(std::process::id(), &[i32::MAX]);
        gauge.sample(0);
        gauge.sample(7);
        assert_eq!(gauge.finish().run_delay, Nanos::ZERO);
    }
}
