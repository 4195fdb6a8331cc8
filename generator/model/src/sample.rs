//! One request, as the recorder sees it.

use crate::outcome::Outcome;

/// The times of one request and its end. Instants are nanoseconds of the run's monotonic clock.
#[derive(Copy, Clone, Debug)]
pub struct Sample {
    /// When the schedule wanted it sent; for a closed user, the end of what it waited for.
    pub intended_ns: u64,
    /// When it could be sent: `intended_ns`, or later when a connection had to be opened for it first.
    pub ready_ns: u64,
    /// The clock just before the system call that submitted it; `None` if it was never sent.
    pub sent_ns: Option<u64>,
    /// When the first byte of the answer was handled; `None` if there was none.
    pub first_byte_ns: Option<u64>,
    /// When its end was handled.
    pub done_ns: u64,
    pub bytes_in: u64,
    pub kernel: Kernel,
    pub outcome: Outcome,
}

/// What the kernel's time stamps say of a request. They are on the same clock.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug)]
pub enum Kernel {
    /// Nobody asked it.
    #[default]
    Off,
    /// The first byte of the request left this host, and the first byte of the answer arrived.
    Known { left_ns: u64, arrived_ns: u64 },
    /// The stamps were overwritten before they were read.
    Overwritten,
    /// No stamp fits the request: lost or reordered segments, or a connection that began without the programs.
    Missing,
}

impl Sample {
    /// From the intended time to the end: what a user would have waited. Coordinated omission cannot hide here.
    #[must_use]
    pub const fn response_ns(&self) -> u64 {
        self.done_ns.saturating_sub(self.intended_ns)
    }

    /// How late the generator itself was: from when the request could be sent to when it was.
    #[must_use]
    pub fn lag_ns(&self) -> Option<u64> {
        self.sent_ns.map(|sent| sent.saturating_sub(self.ready_ns))
    }

    /// From the system call to the end.
    #[must_use]
    pub fn service_ns(&self) -> Option<u64> {
        self.sent_ns.map(|sent| self.done_ns.saturating_sub(sent))
    }

    /// From the first byte leaving this host to the first byte of the answer arriving: server and wire alone.
    #[must_use]
    pub const fn kernel_ns(&self) -> Option<u64> {
        match self.kernel {
            Kernel::Known { left_ns, arrived_ns } => Some(arrived_ns.saturating_sub(left_ns)),
            Kernel::Off | Kernel::Overwritten | Kernel::Missing => None,
        }
    }

    /// How long the answer lay in its socket before the generator handled it.
    #[must_use]
    pub fn dwell_ns(&self) -> Option<u64> {
        match (self.kernel, self.first_byte_ns) {
            (Kernel::Known { arrived_ns, .. }, Some(handled)) => Some(handled.saturating_sub(arrived_ns)),
            _ => None,
        }
    }

    /// From the system call to the first byte of the answer.
    #[must_use]
    pub fn first_byte_after_ns(&self) -> Option<u64> {
        match (self.sent_ns, self.first_byte_ns) {
            (Some(sent), Some(first)) => Some(first.saturating_sub(sent)),
            _ => None,
        }
    }
}
