//! Waiting between tasks.

use super::super::ImportError;
use super::super::python::{Class, Expr};
use super::module::{attribute, method};
use super::task::{Translator, refuse};
use super::value::Value;
use crate::scenario::file::{Place, Span};
use crate::units::Nanos;

/// A day: users that wait longer send nothing in any test.
const WAIT_MAX_SECONDS: f64 = 86_400.0;

/// What a user does between two tasks.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug)]
pub(super) enum Wait {
    #[default]
    Nothing,
    Think(Span),
    /// From the beginning of one to that of the next.
    Pacing(Span),
}

impl<'s> Translator<'s> {
    /// `wait_time` of a task set, or else of its user.
    pub(super) fn wait_of(&mut self, lineage: &[&'s Class]) -> Result<Option<Wait>, ImportError> {
        for old in ["min_wait", "max_wait", "wait_function"] {
            if let Some(value) = attribute(lineage, old) {
                return Err(refuse(
                    value.at,
                    &format!("'{old}'"),
                    "write wait_time = between(a, b), in seconds",
                ));
            }
        }
        if let Some(function) = method(lineage, "wait_time") {
            let at = function.body.first().map_or(Place::default(), |statement| statement.at);
            return Err(refuse(at, "a wait_time that is a function", MEND));
        }
        attribute(lineage, "wait_time").map(|value| self.wait(value)).transpose()
    }

    fn wait(&mut self, value: &Expr) -> Result<Wait, ImportError> {
        let at = value.at;
        let Some(call) = value.as_call() else { return Err(refuse(at, "this wait_time", MEND)) };
        let path = call.function.path().map(|path| self.module.resolve(&path)).unwrap_or_default();
        let arguments: Vec<Value> = call.arguments.iter().map(|argument| self.eval(argument)).collect();
        let last = path.rsplit('.').next().unwrap_or_default();
        match (last, arguments.as_slice()) {
            ("between", [from, to]) => Ok(Wait::Think(span_of(at, from, to)?)),
            ("constant", [time]) => Ok(Wait::Think(span_of(at, time, time)?)),
            ("constant_pacing", [time]) => Ok(Wait::Pacing(span_of(at, time, time)?)),
            ("constant_throughput", [rate]) => {
                let seconds = seconds_of(rate).filter(|rate| *rate > 0.0).map(|rate| 1.0 / rate);
                let time = Value::Float(seconds.ok_or_else(|| refuse(at, "this throughput", MEND))?);
                Ok(Wait::Pacing(span_of(at, &time, &time)?))
            }
            _ => Err(refuse(at, "this wait_time", MEND)),
        }
    }
}

const MEND: &str = "use between(a, b), constant(x), constant_pacing(x) or constant_throughput(x)";

/// A time out of a range of seconds.
pub(super) fn span_of(at: Place, from: &Value, to: &Value) -> Result<Span, ImportError> {
    let (from, to) = (duration_of(at, from)?, duration_of(at, to)?);
    Ok(Span { from: from.min(to), to: from.max(to) })
}

pub(super) fn duration_of(at: Place, seconds: &Value) -> Result<Nanos, ImportError> {
    let seconds = seconds_of(seconds).filter(|seconds| (0.0..=WAIT_MAX_SECONDS).contains(seconds));
    let seconds = seconds.ok_or_else(|| {
        refuse(at, "a time that is no constant number of seconds", "write a number from 0 to 86400")
    })?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at most a day, and not negative"
    )]
    Ok(Nanos::from_micros((seconds * 1e6).round() as u64))
}

fn seconds_of(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}
