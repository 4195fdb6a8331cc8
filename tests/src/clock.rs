//! The only place of the harness that reads the clock: deadlines, and waiting for a condition.

use std::time::{Duration, Instant, UNIX_EPOCH};

/// How often a condition is looked at again.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// The time, for measuring and for deadlines.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the harness watches real processes in real time")]
pub fn now() -> Instant {
    Instant::now()
}

/// Seconds since 1970, for servers that judge how old a request is.
///
/// # Panics
/// When the clock of this machine stands before that.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the harness watches real processes in real time")]
pub fn unix_s() -> i64 {
    let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    i64::try_from(since.as_secs()).expect("the clock is before the end of time")
}

/// Waits until `found` gives something.
///
/// # Panics
/// When it did not within `deadline`, saying what was waited for.
pub fn until<T>(what: &str, deadline: Duration, mut found: impl FnMut() -> Option<T>) -> T {
    let start = now();
    loop {
        if let Some(value) = found() {
            return value;
        }
        assert!(start.elapsed() < deadline, "waited {deadline:?} in vain for {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}
