//! Values of expressions, and the texts that show them.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::units::{NANOS_PER_SECOND, Nanos};

/// The longest text that an expression can result in, in bytes: variables are kept for each user, so that a
/// text that grows with each iteration must have an end.
pub(super) const TEXT_MAX: usize = 1 << 20;

/// What an expression results in.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Value {
    /// There is no answer.
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Box<str>),
    Duration(Nanos),
}

/// What is known of a value before the run. A value of any type may also be [`Value::Null`].
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Type {
    /// Known only when it is there, as with values out of JSON.
    Any,
    Bool,
    Int,
    Float,
    Text,
    Duration,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "a value of any type",
            Self::Bool => "true or false",
            Self::Int => "an integer",
            Self::Float => "a decimal number",
            Self::Text => "a text",
            Self::Duration => "a duration",
        })
    }
}

impl Value {
    /// The type that a value has; `Any` for `Null`.
    #[must_use]
    pub const fn type_of(&self) -> Type {
        match self {
            Self::Null => Type::Any,
            Self::Bool(_) => Type::Bool,
            Self::Int(_) => Type::Int,
            Self::Float(_) => Type::Float,
            Self::Text(_) => Type::Text,
            Self::Duration(_) => Type::Duration,
        }
    }

    /// The same value, its text lent.
    pub(super) fn lend(&self) -> Operand<'_> {
        match self {
            Self::Null => Operand::Null,
            Self::Bool(value) => Operand::Bool(*value),
            Self::Int(value) => Operand::Int(*value),
            Self::Float(value) => Operand::from_float(*value),
            Self::Text(text) => Operand::Text(Cow::Borrowed(text)),
            Self::Duration(value) => Operand::Duration(*value),
        }
    }
}

impl fmt::Display for Value {
    /// As it stands in a text: numbers in their shortest form, durations so that they can be read back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lend().fmt(f)
    }
}

/// A value under way: texts are lent where they can be, so that looking at a body does not copy it.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Operand<'a> {
    Null,
    Bool(bool),
    Int(i64),
    /// Finite.
    Float(f64),
    Text(Cow<'a, str>),
    Duration(Nanos),
}

impl<'a> Operand<'a> {
    /// Infinities and what is no number become `Null`.
    pub(super) const fn from_float(value: f64) -> Self {
        if value.is_finite() { Self::Float(value) } else { Self::Null }
    }

    /// A text that was lent and may be of any length.
    pub(super) fn lent(text: Option<impl Into<Cow<'a, str>>>) -> Self {
        text.map_or(Self::Null, |text| Self::Text(text.into()))
    }

    /// A text that was made; `Null` if it is too long.
    pub(super) fn made(text: String) -> Self {
        if text.len() <= TEXT_MAX { Self::Text(Cow::Owned(text)) } else { Self::Null }
    }

    pub(super) fn int(value: impl TryInto<i64>) -> Self {
        value.try_into().map_or(Self::Null, Self::Int)
    }

    /// The value to keep; `Null` for a text that is too long to be kept.
    pub(super) fn keep(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Int(value) => Value::Int(value),
            Self::Float(value) => Value::Float(value),
            Self::Text(text) if text.len() > TEXT_MAX => Value::Null,
            Self::Text(text) => Value::Text(text.into()),
            Self::Duration(value) => Value::Duration(value),
        }
    }
}

impl From<Value> for Operand<'_> {
    fn from(value: Value) -> Self {
        match value {
            Value::Text(text) => Self::Text(Cow::Owned(text.into())),
            other => match other.lend() {
                Operand::Bool(value) => Self::Bool(value),
                Operand::Int(value) => Self::Int(value),
                Operand::Float(value) => Self::Float(value),
                Operand::Duration(value) => Self::Duration(value),
                Operand::Null | Operand::Text(_) => Self::Null,
            },
        }
    }
}

impl fmt::Display for Operand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => float(*value, f),
            Self::Text(text) => f.write_str(text),
            Self::Duration(value) => duration(*value, f),
        }
    }
}

/// With an exponent where digits alone would be long.
fn float(value: f64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let plain = value == 0.0 || (1e-6..1e16).contains(&value.abs());
    if plain { write!(f, "{value}") } else { write!(f, "{value:e}") }
}

/// Exact, in the largest unit that leaves no zero in front: `1.5s`, `250us`.
fn duration(value: Nanos, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (scale, places, unit) = match value.0 {
        0 => return f.write_str("0s"),
        1..1_000 => (1, 0, "ns"),
        1_000..1_000_000 => (1_000, 3, "us"),
        1_000_000..NANOS_PER_SECOND => (1_000_000, 6, "ms"),
        _ => (NANOS_PER_SECOND, 9, "s"),
    };
    let (whole, mut fraction, mut places) = (value.0 / scale, value.0 % scale, places);
    if fraction == 0 {
        return write!(f, "{whole}{unit}");
    }
    while fraction.is_multiple_of(10) {
        (fraction, places) = (fraction / 10, places - 1);
    }
    write!(f, "{whole}.{fraction:0places$}{unit}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(value: Value, want: &str) {
        assert_eq!(value.to_string(), want);
    }

    #[test]
    fn values_show_as_texts() {
        check(Value::Null, "null");
        check(Value::Bool(true), "true");
        check(Value::Int(i64::MIN), "-9223372036854775808");
        check(Value::Float(0.1), "0.1");
        check(Value::Float(-2.0), "-2");
        check(Value::Float(1e300), "1e300");
        check(Value::Float(1.5e-9), "1.5e-9");
        check(Value::Float(f64::NAN), "null");
        check(Value::Text("a\"b".into()), "a\"b");
        check(Value::Duration(Nanos(0)), "0s");
        check(Value::Duration(Nanos(17)), "17ns");
        check(Value::Duration(Nanos(250_000)), "250us");
        check(Value::Duration(Nanos(1_050_000)), "1.05ms");
        check(Value::Duration(Nanos(1_500_000_000)), "1.5s");
        check(Value::Duration(Nanos(u64::MAX)), "18446744073.709551615s");
    }

    #[test]
    fn a_value_is_small() {
        assert_eq!(size_of::<Value>(), 24);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn durations_are_read_back(ns in any::<u64>(), shift in 0u32..64) {
            let duration = Nanos(ns >> shift);
            prop_assert_eq!(Value::Duration(duration).to_string().parse(), Ok(duration));
        }
    }
}
