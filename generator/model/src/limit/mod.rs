//! Limits: what a run must hold, as `p99(response_time) < 50ms` or `error_rate(tag="smoke") < 0.1%`.
//!
//! ```text
//! limit   = figure ("<" | "<=" | ">" | ">=") bound
//! figure  = (p50..p99.99 | mean | min | max) "(" metric ["," scope] ")"
//!         | (error_rate | check_rate | rate) ["(" scope ")"]
//! scope   = (name | tag) "=" string
//! ```
//!
//! A string is in double quotes, with `\"` and `\\` for a quote and a backslash in it. Without a scope a limit is of all
//! requests together.

mod figure;
mod live;
mod parse;
mod scope;
mod window;

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::limit::figure::{Figure, Measured};
use crate::limit::parse::Parser;
use crate::snapshot::Stats;
use crate::units::Nanos;

pub(crate) use crate::limit::live::{LIVE_INTERVALS_MAX, LIVE_LIMITS_MAX};
pub use crate::limit::live::{LiveLimits, PlannedLimit};
pub use crate::limit::scope::{Catalogue, Scope};
pub use crate::limit::window::Broken;
pub(crate) use crate::limit::window::WINDOW_INTERVALS_MAX;

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
    scope: Scope,
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
    /// Length of the stretches in each of which it had to hold as well.
    #[serde(default)]
    pub window: Option<Nanos>,
    /// Where the first of these ended in which it did not hold, from T0; `observed` is of that one then.
    #[serde(default)]
    pub window_end: Option<Nanos>,
    /// Up to where the run was measured when it was aborted because of this limit, from T0.
    #[serde(default)]
    pub aborted_at: Option<Nanos>,
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

    /// The requests that it is about.
    #[must_use]
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Is there any request that it is about?
    ///
    /// # Errors
    /// The name or tag that no request has, with what may have been meant.
    pub fn resolve(&self, catalogue: &Catalogue) -> Result<(), String> {
        self.scope.resolve(catalogue).map_err(|wrong| format!("limit '{}': {wrong}", self.text))
    }

    /// Compares the figure of a finished run with the bound. A figure without any measurement fails, and so does one of
    /// kernel timing that is known of less than [`KERNEL_COVERAGE_LEAST`] of the answers: the rest could be anything.
    #[must_use]
    pub fn check(&self, stats: &Stats, catalogue: &Catalogue, elapsed: Nanos) -> LimitResult {
        let measured = Measured::of(self.figure, stats, &self.scope, catalogue);
        let observed = measured.value(self.figure, elapsed);
        let passed = observed.is_some_and(|value| self.holds(value)) && measured.is_known_enough();
        LimitResult {
            expression: self.text.clone(),
            observed,
            passed,
            window: None,
            window_end: None,
            aborted_at: None,
        }
    }

    /// The figure, where there is one and it does not hold.
    fn missed(&self, measured: &Measured, elapsed: Nanos) -> Option<f64> {
        let observed = measured.value(self.figure, elapsed)?;
        (!self.holds(observed) || !measured.is_known_enough()).then_some(observed)
    }

    /// Whether its figure comes from kernel timing.
    #[must_use]
    pub const fn is_of_the_kernel(&self) -> bool {
        self.figure.is_of_the_kernel()
    }

    /// A value of this limit's figure, for people.
    #[must_use]
    pub fn show(&self, value: f64) -> String {
        match self.figure {
            Figure::ErrorRate | Figure::CheckRate => format!("{:.3} %", value * 100.0),
            Figure::Rate => format!("{value:.1}/s"),
            _ => nanos(value).to_string(),
        }
    }

    fn holds(&self, value: f64) -> bool {
        match self.comparison {
            Comparison::Less => value < self.bound,
            Comparison::LessOrEqual => value <= self.bound,
            Comparison::Greater => value > self.bound,
            Comparison::GreaterOrEqual => value >= self.bound,
        }
    }
}

/// What must be known for a limit on kernel timing to hold.
pub const KERNEL_COVERAGE_LEAST: f64 = 0.999;

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a measured time is not negative"
)]
fn nanos(value: f64) -> Nanos {
    Nanos(value.max(0.0) as u64)
}

impl FromStr for Limit {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        let mut parser = Parser::new(text);
        let (figure, scope) = parser.figure()?;
        let comparison = parser.comparison()?;
        let bound = parser.bound(figure)?;
        Ok(Self { text: text.trim().to_owned(), figure, scope, comparison, bound })
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

#[cfg(test)]
mod tests;
