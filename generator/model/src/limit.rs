//! Limits: what a run must hold, as `p99(response_time) < 50ms` or `error_rate < 0.1%`.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::histogram::Histogram;
use crate::snapshot::Stats;
use crate::units::{Nanos, Rate};

/// A histogram that a limit can speak of.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Metric {
    ResponseTime,
    ResponseTimeOk,
    ServiceTime,
    FirstByte,
    ConnectTime,
    Lag,
    /// From here on as the kernel saw them.
    KernelTime,
    DwellTime,
}

const METRICS: [(&str, Metric); 8] = [
    ("response_time", Metric::ResponseTime),
    ("response_time_ok", Metric::ResponseTimeOk),
    ("service_time", Metric::ServiceTime),
    ("first_byte", Metric::FirstByte),
    ("connect_time", Metric::ConnectTime),
    ("lag", Metric::Lag),
    ("kernel_time", Metric::KernelTime),
    ("dwell_time", Metric::DwellTime),
];

/// The figure on the left of a limit.
#[derive(Copy, Clone, PartialEq, Debug)]
enum Figure {
    Quantile(f64, Metric),
    Mean(Metric),
    Min(Metric),
    Max(Metric),
    /// Failed over ended, 0..=1.
    ErrorRate,
    /// Completed a second.
    Rate,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A limit, parsed. Serialised as the text it was written as.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Limit {
    text: String,
    figure: Figure,
    comparison: Comparison,
    /// In the figure's own unit: nanoseconds, a share of 1, or requests a second.
    bound: f64,
}

/// Why a limit could not be read, and where.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("limit '{text}', column {column}: expected {expected}")]
pub struct LimitError {
    pub text: String,
    pub column: usize,
    pub expected: &'static str,
}

/// What a limit found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LimitResult {
    pub expression: String,
    /// In the unit of the bound: nanoseconds, a share of 1, or requests a second; `null` where nothing was measured.
    pub observed: Option<f64>,
    pub passed: bool,
}

impl Limit {
    /// The one that stands when no limit is given.
    ///
    /// # Panics
    /// Never: the text is a constant that a test parses.
    #[must_use]
    pub fn default_limit() -> Self {
        "error_rate < 50%".parse().expect("a constant")
    }

    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Compares the figure of a finished run with the bound. A figure without any measurement fails, and so does one of
    /// kernel timing that is known of less than [`KERNEL_COVERAGE_LEAST`] of the answers: the rest could be anything.
    #[must_use]
    pub fn check(&self, stats: &Stats, elapsed: Nanos) -> LimitResult {
        let observed = self.figure.of(stats, elapsed);
        let enough = !self.is_of_the_kernel() || kernel_coverage(stats) >= KERNEL_COVERAGE_LEAST;
        let passed = enough
            && observed.is_some_and(|value| match self.comparison {
                Comparison::Less => value < self.bound,
                Comparison::LessOrEqual => value <= self.bound,
                Comparison::Greater => value > self.bound,
                Comparison::GreaterOrEqual => value >= self.bound,
            });
        LimitResult { expression: self.text.clone(), observed, passed }
    }

    /// Whether its figure comes from kernel timing.
    #[must_use]
    pub const fn is_of_the_kernel(&self) -> bool {
        match self.figure {
            Figure::Quantile(_, metric)
            | Figure::Mean(metric)
            | Figure::Min(metric)
            | Figure::Max(metric) => matches!(metric, Metric::KernelTime | Metric::DwellTime),
            Figure::ErrorRate | Figure::Rate => false,
        }
    }

    /// A value of this limit's figure, for people.
    #[must_use]
    pub fn show(&self, value: f64) -> String {
        match self.figure {
            Figure::ErrorRate => format!("{:.3} %", value * 100.0),
            Figure::Rate => format!("{value:.1}/s"),
            _ => nanos(value).to_string(),
        }
    }
}

/// What must be known for a limit on kernel timing to hold.
pub const KERNEL_COVERAGE_LEAST: f64 = 0.999;

fn kernel_coverage(stats: &Stats) -> f64 {
    let c = &stats.counters;
    let asked = c.kernel_known + c.kernel_overwritten + c.kernel_missing;
    if asked == 0 { 0.0 } else { c.kernel_known as f64 / asked as f64 }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a measured time is not negative"
)]
fn nanos(value: f64) -> Nanos {
    Nanos(value.max(0.0) as u64)
}

impl Figure {
    fn of(self, stats: &Stats, elapsed: Nanos) -> Option<f64> {
        let of = |metric, value: &dyn Fn(&Histogram) -> f64| {
            let histogram = histogram(stats, metric);
            (!histogram.is_empty()).then(|| value(&histogram))
        };
        match self {
            Self::Quantile(q, metric) => of(metric, &|h| h.quantile(q) as f64),
            Self::Mean(metric) => of(metric, &Histogram::mean),
            Self::Min(metric) => of(metric, &|h| h.min() as f64),
            Self::Max(metric) => of(metric, &|h| h.max() as f64),
            Self::ErrorRate => {
                let (mut failed, mut ended) = (0, 0);
                for request in &stats.requests {
                    failed += request.response_failed.count();
                    ended += request.ended();
                }
                (ended > 0).then(|| failed as f64 / ended as f64)
            }
            Self::Rate => (elapsed.0 > 0).then(|| stats.counters.measured as f64 / elapsed.as_secs_f64()),
        }
    }
}

fn histogram(stats: &Stats, metric: Metric) -> Histogram {
    let all = stats.all_requests();
    match metric {
        Metric::ResponseTime => all.response(),
        Metric::ResponseTimeOk => all.response_ok,
        Metric::ServiceTime => all.service,
        Metric::FirstByte => all.first_byte,
        Metric::ConnectTime => stats.connect.clone(),
        Metric::Lag => stats.lag.clone(),
        Metric::KernelTime => all.kernel,
        Metric::DwellTime => all.dwell,
    }
}

impl FromStr for Limit {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        let mut parser = Parser { text, at: 0 };
        let figure = parser.figure()?;
        let comparison = parser.comparison()?;
        let bound = parser.bound(figure)?;
        Ok(Self { text: text.trim().to_owned(), figure, comparison, bound })
    }
}

impl TryFrom<String> for Limit {
    type Error = LimitError;

    fn try_from(text: String) -> Result<Self, LimitError> {
        text.parse()
    }
}

impl From<Limit> for String {
    fn from(limit: Limit) -> Self {
        limit.text
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn fail<T>(&self, expected: &'static str) -> Result<T, LimitError> {
        let column = self.text[..self.at].chars().count() + 1;
        Err(LimitError { text: self.text.to_owned(), column, expected })
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.text[self.at..].trim_start().len();
    }

    fn word(&mut self) -> &'a str {
        self.skip_space();
        let rest = &self.text[self.at..];
        let end =
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.')).unwrap_or(rest.len());
        &rest[..end]
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        self.skip_space();
        let found = self.text[self.at..].starts_with(symbol);
        if found {
            self.at += symbol.len();
        }
        found
    }

    fn figure(&mut self) -> Result<Figure, LimitError> {
        const EXPECTED: &str = "p50..p99.99, mean, min or max of a metric, or error_rate, or rate";
        let word = self.word();
        let with_metric: fn(Metric) -> Figure = match word {
            "error_rate" | "rate" => {
                self.at += word.len();
                return Ok(if word == "rate" { Figure::Rate } else { Figure::ErrorRate });
            }
            "mean" | "avg" => Figure::Mean,
            "min" => Figure::Min,
            "max" => Figure::Max,
            _ => {
                let percent = word.strip_prefix('p').and_then(|number| number.parse::<f64>().ok());
                let Some(percent) = percent.filter(|p| (0.0..=100.0).contains(p)) else {
                    return self.fail(EXPECTED);
                };
                self.at += word.len();
                return Ok(Figure::Quantile(percent / 100.0, self.metric()?));
            }
        };
        self.at += word.len();
        Ok(with_metric(self.metric()?))
    }

    fn metric(&mut self) -> Result<Metric, LimitError> {
        const EXPECTED: &str = "'(' and one of response_time, response_time_ok, service_time, first_byte, connect_time, lag, kernel_time, dwell_time";
        if !self.symbol("(") {
            return self.fail(EXPECTED);
        }
        let word = self.word();
        let Some(&(_, metric)) = METRICS.iter().find(|(name, _)| *name == word) else {
            return self.fail(EXPECTED);
        };
        self.at += word.len();
        if self.symbol(")") { Ok(metric) } else { self.fail("')'") }
    }

    fn comparison(&mut self) -> Result<Comparison, LimitError> {
        for (symbol, comparison) in [
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ] {
            if self.symbol(symbol) {
                return Ok(comparison);
            }
        }
        self.fail("one of < <= > >=")
    }

    fn bound(&mut self, figure: Figure) -> Result<f64, LimitError> {
        self.skip_space();
        let text = self.text[self.at..].trim_end();
        let (value, expected) = match figure {
            Figure::ErrorRate => (share(text), "a share such as 0.1% or 0.001, and nothing after it"),
            Figure::Rate => (
                text.parse::<Rate>().ok().map(Rate::as_per_second),
                "a rate such as 1000/s, and nothing after it",
            ),
            _ => (
                text.parse::<Nanos>().ok().map(|n| n.0 as f64),
                "a duration such as 50ms, and nothing after it",
            ),
        };
        value.map_or_else(|| self.fail(expected), Ok)
    }
}

fn share(text: &str) -> Option<f64> {
    let (number, scale) = text.strip_suffix('%').map_or((text, 1.0), |percent| (percent.trim_end(), 100.0));
    let value = number.parse::<f64>().ok()? / scale;
    (0.0..=1.0).contains(&value).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{ErrorKind, Outcome};
    use crate::sample::{Kernel, Sample};

    fn stats() -> Stats {
        let mut stats = Stats::new(1);
        let known = Kernel::Known { left_ns: 2_000, arrived_ns: 5_002_000 };
        for (i, outcome, kernel, first_byte_ns) in [
            (1, Outcome::Completed(200), known, Some(5_009_000)),
            (2, Outcome::Failed(ErrorKind::Reset), Kernel::Off, None),
        ] {
            let sample = Sample {
                intended_ns: 0,
                ready_ns: 0,
                sent_ns: Some(1_000),
                first_byte_ns,
                done_ns: i * 10_000_000,
                bytes_in: 0,
                kernel,
                outcome,
            };
            stats.record(0, &sample, true, 0);
        }
        stats
    }

    fn check(text: &str) -> bool {
        text.parse::<Limit>().unwrap().check(&stats(), Nanos::from_secs(1)).passed
    }

    #[test]
    fn limits_hold_or_not() {
        assert!(check("p50(response_time) < 11ms") && !check("p50(response_time) < 9ms"));
        assert!(check("max( response_time )>=20ms") && !check("p99.9(response_time_ok) > 15ms"));
        assert!(check("error_rate <= 50%") && !check("error_rate < 50 %") && check("error_rate < 0.6"));
        assert!(check("rate >= 1/s") && !check("rate > 1"));
        assert!(check("mean(lag) < 2us"));
        assert!(check("p99(kernel_time) < 5.1ms") && !check("min(kernel_time) < 4.9ms"));
        assert!(check("max(dwell_time) < 8us") && !check("p99( dwell_time ) < 6us"));
        assert!(!check("p99(connect_time) < 1s"), "nothing measured is not a pass");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_column() {
        for (text, column, expected) in [
            ("", 1, "p50..p99.99"),
            ("p101(lag) < 1s", 1, "p50..p99.99"),
            ("p99 < 50ms", 5, "'(' and one of"),
            ("p99(latency) < 50ms", 5, "'(' and one of"),
            ("p99(lag < 50ms", 9, "')'"),
            ("p99(lag) = 50ms", 10, "one of <"),
            ("p99(lag) < 50", 12, "a duration"),
            ("p99(lag) < 50ms!", 12, "a duration"),
            ("error_rate < 200%", 14, "a share"),
        ] {
            let error = text.parse::<Limit>().expect_err(text);
            assert_eq!((error.column, error.expected.starts_with(expected)), (column, true), "{error}");
        }
    }

    #[test]
    fn the_default_parses_and_keeps_its_text() {
        assert_eq!(String::from(Limit::default_limit()), "error_rate < 50%");
    }
}
