//! Quantities with their unit in the type, and how people write them.
//!
//! Durations are integer nanoseconds and rates integer milli-requests a second, so that a schedule is exact.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// A duration, or an instant as the distance from an origin that the context names, in nanoseconds.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nanos(pub u64);

impl Nanos {
    pub const ZERO: Self = Self(0);

    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros * 1_000)
    }

    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1_000_000)
    }

    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds * NANOS_PER_SECOND)
    }

    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / NANOS_PER_SECOND as f64
    }
}

impl fmt::Display for Nanos {
    /// Three significant digits with the unit that fits: `812 ns`, `14.2 us`, `3.10 ms`, `1.50 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = self.0 as f64;
        let (value, unit) = match self.0 {
            0..1_000 => return write!(f, "{} ns", self.0),
            1_000..999_500 => (ns / 1e3, "us"),
            999_500..999_500_000 => (ns / 1e6, "ms"),
            _ => (ns / 1e9, "s"),
        };
        let decimals = if value < 9.995 {
            2
        } else if value < 99.95 {
            1
        } else {
            0
        };
        write!(f, "{value:.decimals$} {unit}")
    }
}

/// A rate of arrivals, in thousandths of a request a second.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rate(pub u64);

impl Rate {
    /// Above this, slot arithmetic would leave 128 bits; it is also far past what a host can send.
    pub const MAX: Self = Self(10_000_000_000);

    #[must_use]
    pub const fn per_second(requests: u64) -> Self {
        Self(requests * 1_000)
    }

    #[must_use]
    pub fn as_per_second(self) -> f64 {
        self.0 as f64 / 1e3
    }

    /// The time between two arrivals at this rate; the longest representable for a rate of zero.
    #[must_use]
    pub const fn gap(self) -> Nanos {
        match 1_000_000_000_000u64.checked_div(self.0) {
            Some(gap) => Nanos(gap),
            None => Nanos(u64::MAX),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(1_000) {
            write!(f, "{}/s", self.0 / 1_000)
        } else {
            write!(f, "{:.3}/s", self.as_per_second())
        }
    }
}

/// A size in bytes.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

impl Bytes {
    #[must_use]
    pub const fn from_kib(kib: u64) -> Self {
        Self(kib << 10)
    }

    #[must_use]
    pub const fn from_mib(mib: u64) -> Self {
        Self(mib << 20)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
        if self.0 < 1024 {
            return write!(f, "{} B", self.0);
        }
        let mut value = self.0 as f64 / 1024.0;
        let mut unit = 0;
        while value >= 1023.95 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        write!(f, "{value:.1} {}", UNITS[unit])
    }
}

/// A logical CPU by the kernel's number.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CoreId(pub u32);

/// Why a quantity could not be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("'{text}' is not {expected}")]
pub struct UnitError {
    pub text: String,
    pub expected: &'static str,
}

impl UnitError {
    fn new(text: &str, expected: &'static str) -> Self {
        Self { text: text.to_owned(), expected }
    }
}

impl FromStr for Nanos {
    type Err = UnitError;

    /// One or more `<number><unit>` with the units ns, us, ms, s, m, h, d, as in `1h20m` or `1.5s`.
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let fail = || UnitError::new(text, "a duration such as 500ms, 30s or 1h20m");
        let mut total = 0u128;
        let mut rest = text;
        while !rest.is_empty() {
            let (number, after) = split_number(rest).ok_or_else(fail)?;
            let unit_len = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
            let scale: u64 = match &after[..unit_len] {
                "ns" => 1,
                "us" | "µs" => 1_000,
                "ms" => 1_000_000,
                "s" => NANOS_PER_SECOND,
                "m" | "min" => 60 * NANOS_PER_SECOND,
                "h" => 3_600 * NANOS_PER_SECOND,
                "d" => 86_400 * NANOS_PER_SECOND,
                _ => return Err(fail()),
            };
            total += scaled(number, scale).ok_or_else(fail)?;
            rest = &after[unit_len..];
        }
        match u64::try_from(total) {
            Ok(ns) if !text.is_empty() => Ok(Self(ns)),
            _ => Err(fail()),
        }
    }
}

impl FromStr for Rate {
    type Err = UnitError;

    /// `500`, `2.5`, `20k`, `1m`, each with an optional `/s`.
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let fail = || UnitError::new(text, "a rate such as 500, 20k or 0.5/s, above 0 and at most 10m");
        let (number, after) = split_number(text.strip_suffix("/s").unwrap_or(text)).ok_or_else(fail)?;
        let scale = metric_suffix(after).ok_or_else(fail)?;
        let rate =
            scaled(number, scale * 1_000).and_then(|r| u64::try_from(r).ok()).map(Self).ok_or_else(fail)?;
        if rate == Self(0) || rate > Self::MAX { Err(fail()) } else { Ok(rate) }
    }
}

impl FromStr for Bytes {
    type Err = UnitError;

    /// `512`, `64KiB`, `1MiB`, `2GiB`; `K`, `M`, `G` and `KB`, `MB`, `GB` mean the same powers of 1024.
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let fail = || UnitError::new(text, "a size such as 512, 64KiB or 1MiB");
        let (number, after) = split_number(text).ok_or_else(fail)?;
        let scale = match after.to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kb" | "kib" => 1 << 10,
            "m" | "mb" | "mib" => 1 << 20,
            "g" | "gb" | "gib" => 1 << 30,
            _ => return Err(fail()),
        };
        scaled(number, scale).and_then(|b| u64::try_from(b).ok()).map(Self).ok_or_else(fail)
    }
}

/// A count such as `100`, `10k` or `1.5m`.
///
/// # Errors
/// When the text is no such count, or not a whole number.
pub fn parse_count(text: &str) -> Result<u64, UnitError> {
    let fail = || UnitError::new(text, "a count such as 1000, 10k or 1.5m");
    let (number, after) = split_number(text).ok_or_else(fail)?;
    let scale = metric_suffix(after).ok_or_else(fail)?;
    scaled(number, scale).and_then(|count| u64::try_from(count).ok()).ok_or_else(fail)
}

fn metric_suffix(text: &str) -> Option<u64> {
    match text {
        "" => Some(1),
        "k" | "K" => Some(1_000),
        "m" | "M" => Some(1_000_000),
        _ => None,
    }
}

/// A decimal number with at most nine places, as (digits, number of places), and what follows it.
fn split_number(text: &str) -> Option<((u64, u32), &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (whole, fraction) = text[..end].split_once('.').unwrap_or((&text[..end], ""));
    if whole.is_empty() || fraction.len() > 9 || text[..end].ends_with('.') {
        return None;
    }
    let digits = format!("{whole}{fraction}").parse().ok()?;
    let places = u32::try_from(fraction.len()).ok()?;
    Some(((digits, places), &text[end..]))
}

/// `number * scale`, if that is a whole number.
fn scaled((digits, places): (u64, u32), scale: u64) -> Option<u128> {
    let product = u128::from(digits) * u128::from(scale);
    let divisor = 10u128.pow(places);
    product.is_multiple_of(divisor).then(|| product / divisor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, want) in [
            ("30s", Some(30 * NANOS_PER_SECOND)),
            ("1h20m", Some(4_800 * NANOS_PER_SECOND)),
            ("1.5s", Some(1_500_000_000)),
            ("250us", Some(250_000)),
            ("10", None),
            ("", None),
            ("1.s", None),
            ("s", None),
            ("-1s", None),
            ("0.0000000001s", None),
            ("99999999999h", None),
        ] {
            assert_eq!(text.parse::<Nanos>().ok().map(|n| n.0), want, "{text}");
        }
    }

    #[test]
    fn rates_counts_and_sizes() {
        assert_eq!("20k".parse(), Ok(Rate::per_second(20_000)));
        assert_eq!("0.5/s".parse(), Ok(Rate(500)));
        assert!(
            "0".parse::<Rate>().is_err() && "11m".parse::<Rate>().is_err() && "x".parse::<Rate>().is_err()
        );
        assert_eq!(parse_count("1.5k"), Ok(1_500));
        assert!(parse_count("1.0005k").is_err() && parse_count("5x").is_err());
        assert_eq!("64KiB".parse(), Ok(Bytes(65_536)));
        assert!("1.5".parse::<Bytes>().is_err());
    }

    #[test]
    fn durations_print_with_three_digits_and_a_fitting_unit() {
        for (ns, want) in [
            (812, "812 ns"),
            (14_240, "14.2 us"),
            (999_499, "999 us"),
            (999_600, "1.00 ms"),
            (3_104_000, "3.10 ms"),
            (1_500_000_000, "1.50 s"),
            (120_000_000_000, "120 s"),
        ] {
            assert_eq!(Nanos(ns).to_string(), want);
        }
    }
}
