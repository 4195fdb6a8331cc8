//! What a verdict stands on: figures, gathered elsewhere.

use crate::units::Nanos;

/// What the host took from the engine's threads during the run, and what it lost of their packets. The largest of the
/// times names the cause of lateness.
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
    /// Time in which the engine's process was seen stopped: by a signal or a debugger.
    pub paused: Nanos,
    /// Connects that listeners in the engine's network namespace dropped, most often at a full queue.
    pub listen_drops: u64,
    /// Packets that this host dropped before TCP saw them.
    pub softnet_drops: u64,
}

impl HostPressure {
    fn admitted(self) -> Nanos {
        self.steal.max(self.run_delay).max(self.throttled)
    }

    pub(super) fn worst(self) -> Nanos {
        self.admitted().max(self.stalled).max(self.paused)
    }

    /// The largest of the times, as a cause.
    pub(super) fn name(self) -> String {
        let admitted = self.admitted();
        // A stopped process stands still by its own clock as well, once for each of its cores.
        if self.paused.0 > 0 && self.paused >= admitted && self.paused.0 >= self.stalled.0 / 2 {
            format!("the engine was paused for {} (SIGSTOP, a debugger or a freezer)", self.paused)
        } else if admitted.0 < self.stalled.0 / 2 {
            // Hypervisors need not report what they take; interrupts are not reported per thread.
            format!("host steal or interrupts: the engine's cores stood still for {}", self.stalled)
        } else if admitted == self.throttled {
            format!("the CPU quota held the engine back for {admitted}; raise the quota")
        } else if admitted == self.steal {
            format!("host steal: the hypervisor took {admitted} of CPU time")
        } else {
            format!("run-queue delay: the engine's threads waited {admitted} for a CPU")
        }
    }
}

/// What kernel timing saw; all zero where it was off.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug)]
pub struct KernelEvidence {
    /// It was on when the run began.
    pub on: bool,
    /// Completed requests of which kernel times could be had, whether they were or not.
    pub completed: u64,
    pub known: u64,
    /// Their stamps were overwritten before they were read.
    pub overwritten: u64,
    /// No stamp fits them.
    pub missing: u64,
    /// TCP segments sent again, SYN included.
    pub retransmits: u64,
    pub syn_retransmits: u64,
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
    pub kernel: KernelEvidence,
    pub connections_opened: u64,
    /// The slowest connect that succeeded.
    pub connect_max: Nanos,
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
    /// Requests that the policy of this host did not let out.
    pub policy: u64,
    /// What the guard denied, by its name for the reason.
    pub denied: Vec<(String, u64)>,
    /// Sentences about parts that went away while the run went on, such as kernel timing.
    pub lost_parts: Vec<String>,
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
