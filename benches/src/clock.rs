//! The monotonic clock of the host, in nanoseconds.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds since an arbitrary instant.
#[inline]
#[must_use]
pub fn now_ns() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// The time since `start_ns`.
#[must_use]
pub fn since(start_ns: u64) -> Duration {
    Duration::from_nanos(now_ns().saturating_sub(start_ns))
}
