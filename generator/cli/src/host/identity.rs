//! What tells one run from another: a random id and the time of day. Both enter the program here.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::rand::{GetRandomFlags, getrandom};

use super::clock;

const SECONDS_PER_DAY: u64 = 86_400;

/// 128 random bits from the kernel, in hex.
///
/// # Errors
/// When the kernel has no random numbers to give.
pub(crate) fn run_id() -> std::io::Result<String> {
    let mut bytes = [0u8; 16];
    let filled = getrandom(&mut bytes, GetRandomFlags::empty())?;
    if filled < bytes.len() {
        return Err(std::io::Error::other("the kernel gave fewer random bytes than asked for"));
    }
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The time of day as RFC 3339 in UTC, to the millisecond.
pub(crate) fn now() -> String {
    let since_epoch = since_epoch();
    rfc3339(since_epoch.as_secs(), since_epoch.subsec_millis())
}

/// The time of day since 1970; zero where the clock is before that.
pub(crate) fn since_epoch() -> Duration {
    #[expect(clippy::disallowed_methods, reason = "the one place where the time of day enters")]
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The time of day where the monotonic clock is 0, in nanoseconds since 1970: what the engine, which reads that clock
/// alone, adds to it.
pub(crate) fn wall_at_zero_ns() -> i64 {
    let at_zero = since_epoch().saturating_sub(clock::monotonic());
    i64::try_from(at_zero.as_nanos()).unwrap_or(i64::MAX)
}

fn rfc3339(seconds: u64, millis: u32) -> String {
    let (year, month, day) = civil_from_days(seconds / SECONDS_PER_DAY);
    let second_of_day = seconds % SECONDS_PER_DAY;
    let (hour, minute, second) = (second_of_day / 3_600, second_of_day / 60 % 60, second_of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Days since 1970-01-01 to the Gregorian date, by eras of 400 years that begin in March.
/// <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>
const fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (seconds, want) in [
            (0, "1970-01-01T00:00:00.007Z"),
            (951_782_400, "2000-02-29T00:00:00.007Z"),
            (1_763_919_722, "2025-11-23T17:42:02.007Z"),
            (4_107_542_399, "2100-02-28T23:59:59.007Z"),
            (4_107_542_400, "2100-03-01T00:00:00.007Z"),
        ] {
            assert_eq!(rfc3339(seconds, 7), want);
        }
    }

    /// Two readings of each clock, a moment apart.
    #[test]
    fn both_clocks_tell_one_time() {
        let before = since_epoch();
        let told = Duration::from_nanos(u64::try_from(wall_at_zero_ns()).unwrap()) + clock::monotonic();
        let apart = told.abs_diff(before);
        assert!(apart < Duration::from_secs(60), "{apart:?}");
    }

    #[test]
    fn ids_differ() {
        let (one, two) = (run_id().unwrap(), run_id().unwrap());
        assert!(one.len() == 32 && one != two);
    }
}
