//! The clock that deadlines of this process go by.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Time since some moment in the past, never set back.
pub(crate) fn monotonic() -> Duration {
    clock_gettime(ClockId::Monotonic).try_into().unwrap_or_default()
}
