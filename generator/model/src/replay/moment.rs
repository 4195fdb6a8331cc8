//! Times as logs write them, to nanoseconds since 1970 in UTC.

use crate::units::NANOS_PER_SECOND;

const SECOND: i128 = NANOS_PER_SECOND as i128;
const MONTHS: [&[u8]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// The end of the year 9999, the last that RFC 3339 can write.
const SECONDS_MAX: f64 = 253_402_300_800.0;

/// `10/Oct/2000:13:55:36 -0700`, as in access logs.
pub(super) fn common(text: &[u8]) -> Option<i128> {
    let mut reader = Reader(text);
    let day = reader.number(2)?;
    reader.one_of(b"/")?;
    let (month, rest) = reader.0.split_at_checked(3)?;
    let month = 1 + i64::try_from(MONTHS.iter().position(|name| *name == month)?).ok()?;
    reader.0 = rest;
    reader.one_of(b"/")?;
    let year = reader.number(4)?;
    reader.one_of(b":")?;
    let seconds = days(year, month, day)? * 86_400 + reader.time_of_day()?;
    reader.one_of(b" ")?;
    let east = reader.sign()? * (reader.number(2)? * 3_600 + reader.number(2)? * 60);
    reader.0.is_empty().then(|| i128::from(seconds - east) * SECOND)
}

/// `2000-10-10T13:55:36.123-07:00` (RFC 3339 section 5.6). Digits past the ninth are cut.
pub(super) fn rfc3339(text: &[u8]) -> Option<i128> {
    let mut reader = Reader(text);
    let year = reader.number(4)?;
    reader.one_of(b"-")?;
    let month = reader.number(2)?;
    reader.one_of(b"-")?;
    let day = reader.number(2)?;
    reader.one_of(b"Tt ")?;
    let seconds = days(year, month, day)? * 86_400 + reader.time_of_day()?;
    let nanos = if reader.one_of(b".").is_some() { reader.fraction()? } else { 0 };
    let east = if reader.one_of(b"Zz").is_some() {
        0
    } else {
        let sign = reader.sign()?;
        let hours = reader.number(2)?;
        reader.one_of(b":")?;
        sign * (hours * 3_600 + reader.number(2)? * 60)
    };
    reader.0.is_empty().then(|| i128::from(seconds - east) * SECOND + i128::from(nanos))
}

/// To a microsecond: a 64-bit number of today's seconds is no finer.
#[expect(clippy::cast_possible_truncation, reason = "the number is bounded")]
pub(super) fn unix(seconds: f64) -> Option<i128> {
    let whole = seconds.floor();
    let micros = ((seconds - whole) * 1e6).round();
    (0.0..SECONDS_MAX).contains(&seconds).then(|| whole as i128 * SECOND + micros as i128 * 1_000)
}

/// Days since 1970 in the proleptic Gregorian calendar, if there is such a day. Counted in eras of 400 years that begin in
/// March, so that a leap day is the last of its year.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=last).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

/// What is left of a text.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    /// Exactly so many digits.
    fn number(&mut self, digits: usize) -> Option<i64> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        number.iter().try_fold(0, |sum, digit| Some(sum * 10 + i64::from(value(*digit)?)))
    }

    fn one_of(&mut self, choice: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = if choice.contains(first) { rest } else { return None };
        Some(*first)
    }

    fn sign(&mut self) -> Option<i64> {
        self.one_of(b"+-").map(|sign| if sign == b'+' { 1 } else { -1 })
    }

    /// `13:55:36`, in seconds; a leap second counts as the next minute's first.
    fn time_of_day(&mut self) -> Option<i64> {
        let hour = self.number(2).filter(|hour| *hour < 24)?;
        self.one_of(b":")?;
        let minute = self.number(2).filter(|minute| *minute < 60)?;
        self.one_of(b":")?;
        let second = self.number(2).filter(|second| *second <= 60)?;
        Some(hour * 3_600 + minute * 60 + second)
    }

    /// Nanoseconds, from at least one digit.
    fn fraction(&mut self) -> Option<u32> {
        let end = self.0.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(self.0.len());
        let (digits, rest) = self.0.split_at(end);
        self.0 = rest;
        let nine = digits.iter().copied().chain(std::iter::repeat(b'0')).take(9);
        let nanos = nine.filter_map(value).fold(0, |sum, digit| sum * 10 + u32::from(digit));
        (end > 0).then_some(nanos)
    }
}

fn value(digit: u8) -> Option<u8> {
    digit.is_ascii_digit().then(|| digit - b'0')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(time: Option<i128>) -> Option<f64> {
        time.map(|time| time as f64 / 1e9)
    }

    #[test]
    fn times_of_access_logs() {
        for (text, want) in [
            ("10/Oct/2000:13:55:36 -0700", Some(971_211_336.0)),
            ("10/Oct/2000:20:55:36 +0000", Some(971_211_336.0)),
            ("01/Jan/1970:00:00:00 +0000", Some(0.0)),
            ("29/Feb/2024:23:59:60 +0530", Some(1_709_231_400.0)),
            ("29/Feb/2023:00:00:00 +0000", None),
            ("31/Apr/2023:00:00:00 +0000", None),
            ("10/oct/2000:13:55:36 -0700", None),
            ("10/Oct/2000:24:00:00 -0700", None),
            ("10/Oct/2000:13:55:36", None),
            ("10/Oct/2000:13:55:36 -0700 ", None),
            ("", None),
        ] {
            assert_eq!(seconds(common(text.as_bytes())), want, "{text}");
        }
    }

    #[test]
    fn times_of_rfc_3339_and_of_unix() {
        for (text, want) in [
            ("2000-10-10T13:55:36-07:00", Some(971_211_336.0)),
            ("2000-10-10t20:55:36.25z", Some(971_211_336.25)),
            ("2000-10-10 20:55:36.5000000001Z", Some(971_211_336.5)),
            ("1969-12-31T23:59:59Z", Some(-1.0)),
            ("0000-03-01T00:00:00Z", Some(-62_162_035_200.0)),
            ("2000-13-10T13:55:36Z", None),
            ("2000-00-10T13:55:36Z", None),
            ("2000-10-00T13:55:36Z", None),
            ("2000-10-10T13:60:36Z", None),
            ("2000-10-10T13:55:61Z", None),
            ("2000-10-10T13:55:36.Z", None),
            ("2000-10-10T13:55:36", None),
            ("2000-10-10T13:55:36+0700", None),
            ("+200-10-10T13:55:36Z", None),
        ] {
            assert_eq!(seconds(rfc3339(text.as_bytes())), want, "{text}");
        }
        assert_eq!(unix(971_211_336.123_456), Some(971_211_336_123_456_000));
        assert_eq!(unix(1.999_999_9), Some(2_000_000_000));
        for wrong in [-1.0, f64::NAN, f64::INFINITY, SECONDS_MAX] {
            assert_eq!(unix(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Each day is one after the day before, for all years that can be written.
        #[test]
        fn days_follow_each_other(year in 0i64..10_000, month in 1i64..13) {
            let first = days(year, month, 1).unwrap();
            let (year, month) = if month == 1 { (year - 1, 12) } else { (year, month - 1) };
            let before = (28..32).filter_map(|day| days(year, month, day)).max();
            prop_assert_eq!(before, Some(first - 1));
        }

        #[test]
        fn both_ways_of_writing_agree(day in 1u32..29, hour in 0u32..24, second in 0u32..60, east in 0u32..14) {
            let access = format!("{day:02}/Aug/2026:{hour:02}:07:{second:02} +{east:02}30");
            let iso = format!("2026-08-{day:02}T{hour:02}:07:{second:02}+{east:02}:30");
            prop_assert!(common(access.as_bytes()).is_some());
            prop_assert_eq!(common(access.as_bytes()), rfc3339(iso.as_bytes()));
        }
    }
}
