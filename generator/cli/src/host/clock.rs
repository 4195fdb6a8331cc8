//! The clock that deadlines of this process go by.

use std::time::Duration;

use brunt_model::units::Nanos;
use rustix::time::{ClockId, clock_gettime};

/// Time since some moment in the past, never set back.
pub(crate) fn monotonic() -> Duration {
    clock_gettime(ClockId::Monotonic).try_into().unwrap_or_default()
}

/// The same as a number.
pub(crate) fn monotonic_nanos() -> Nanos {
    Nanos(u64::try_from(monotonic().as_nanos()).unwrap_or(u64::MAX))
}
