//! What a verdict stands on: figures, gathered elsewhere.

use crate::units::Nanos;

/// What the host took from the engine's threads during the run. The largest of these names the cause of lateness.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug)]
pub struct HostPressure {
    /// CPU time that the hypervisor gave to others on the engine's cores.
    pub steal: Nanos,
    /// Time that the engine's threads were runnable but did not run.
    pub run_delay: Nanos,
    /// CPU time that the container's quota withheld.
    pub throttled: Nanos,
    /// Time in which the engine's cores stood still by its own clock, whatever the host admits to.
    pub stalled: Nanos,
}

impl HostPressure {
    fn admitted(self) -> Nanos {
        self.steal.max(self.run_delay).max(self.throttled)
    }

    pub(super) fn worst(self) -> Nanos {
        self.admitted().max(self.stalled)
    }

    pub(super) fn name(self) -> String {
        let worst = self.admitted();
        if worst.0 < self.stalled.0 / 2 {
            // Hypervisors need not report what they take; interrupts are not reported per thread.
            format!("host steal or interrupts: the engine's cores stood still for {}", self.stalled)
        } else if worst == self.throttled {
            format!("the CPU quota held the engine back for {worst}; raise the quota")
        } else if worst == self.steal {
            format!("host steal: the hypervisor took {worst} of CPU time")
        } else {
            format!("run-queue delay: the engine's threads waited {worst} for a CPU")
        }
    }
}

/// The figures a verdict stands on.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Evidence {
    pub open: bool,
    /// Sum of all cores' time.
    pub core_time: Nanos,
    pub lag_p99: Nanos,
    pub response_p50: Nanos,
    pub scheduled: u64,
    pub late: u64,
    /// Late slots that waited because every allowed connection was in use.
    pub late_for_connections: u64,
    pub dropped: u64,
    pub max_connections: u32,
    pub dwell_p99: Option<Nanos>,
    /// The longest stretch in which one core was busier than the threshold.
    pub busy_for: Nanos,
    /// The busiest core over the whole run, 0..=1.
    pub busiest: f64,
    pub overflows: u64,
    pub started: u64,
    /// Requests that ended after the warm-up.
    pub ended: u64,
    pub no_port: u64,
    pub no_fd: u64,
    pub host: HostPressure,
    /// Expressions and figures of missed limits.
    pub missed_limits: Vec<String>,
    pub answers: u64,
    pub in_flight: u64,
    /// The target's certificate was not verified.
    pub insecure: bool,
    pub stopped: bool,
    /// No connection could ever be made, so the load was ended early.
    pub unreachable: bool,
    /// A fault of Brunt's own, such as accounting that does not add up.
    pub fault: Option<String>,
}
