//! Operators and functions on values alone. All of them are total: what has no answer is `Null`.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt::Write as _;
use std::ops::Range;

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::escape::Escape;
use super::function::Function;
use super::syntax::{Arithmetic, Order};
use super::value::{Operand, TEXT_MAX};
use crate::units::Nanos;

use Operand::{Bool, Duration, Float, Int, Null, Text};

pub(super) fn arithmetic<'a>(sign: Arithmetic, left: Operand<'a>, right: Operand<'a>) -> Operand<'a> {
    match (left, right) {
        (Int(left), Int(right)) => integers(sign, left, right).map_or(Null, Int),
        (Text(left), Text(right)) if sign == Arithmetic::Add => join(left, &right),
        (Duration(left), Duration(right)) => durations(sign, left, right),
        (Duration(left), right @ (Int(_) | Float(_))) => scaled(sign, left, &right),
        (left @ (Int(_) | Float(_)), Duration(right)) if sign == Arithmetic::Multiply => {
            scaled(sign, right, &left)
        }
        (left, right) => match (number(&left), number(&right)) {
            (Some(left), Some(right)) => Operand::from_float(floats(sign, left, right)),
            _ => Null,
        },
    }
}

pub(super) fn negate(of: &Operand<'_>) -> Operand<'static> {
    match of {
        Int(value) => value.checked_neg().map_or(Null, Int),
        Float(value) => Float(-value),
        _ => Null,
    }
}

/// A comparison with `Null` is false; one of kinds that have no order is `Null`.
pub(super) fn order(sign: Order, left: &Operand<'_>, right: &Operand<'_>) -> Operand<'static> {
    if matches!(left, Null) || matches!(right, Null) {
        return Bool(false);
    }
    compare(left, right).map_or(Null, |found| {
        Bool(match sign {
            Order::Less => found.is_lt(),
            Order::LessOrEqual => found.is_le(),
            Order::Greater => found.is_gt(),
            Order::GreaterOrEqual => found.is_ge(),
        })
    })
}

/// Values of different kinds differ, but for numbers.
pub(super) fn equal(left: &Operand<'_>, right: &Operand<'_>, negated: bool) -> Operand<'static> {
    match (left, right) {
        (Null, _) | (_, Null) => Bool(false),
        (Bool(left), Bool(right)) => Bool((left == right) != negated),
        _ => Bool((compare(left, right) == Some(Ordering::Equal)) != negated),
    }
}

/// The smaller or the larger; `Null` if they have no order. Of an integer and a decimal number it is a
/// decimal number.
pub(super) fn extreme<'a>(largest: bool, left: Operand<'a>, right: Operand<'a>) -> Operand<'a> {
    let (left, right) = match (left, right) {
        (Float(left), Int(right)) => (Float(left), Float(right as f64)),
        (Int(left), Float(right)) => (Float(left as f64), Float(right)),
        pair @ ((Int(_), Int(_)) | (Float(_), Float(_)) | (Duration(_), Duration(_))) => pair,
        _ => return Null,
    };
    match compare(&left, &right) {
        Some(found) if found.is_gt() == largest => left,
        Some(_) => right,
        None => Null,
    }
}

/// A function of values alone, none of which is `Null`; those that it does not take are.
pub(super) fn call<'a>(function: Function, arguments: [Operand<'a>; 3]) -> Operand<'a> {
    match (function, arguments) {
        (Function::Sha256, [Text(text), ..]) => sha256(text.as_bytes()),
        (Function::HmacSha256, [Text(key), Text(text), _]) => hmac_sha256(&key, &text),
        (Function::Base64Decode, [Text(text), ..]) => base64_decode(&text),
        (Function::Len, [Text(text), ..]) => Operand::int(text.chars().count()),
        (Function::Trim, [Text(text), ..]) => trim(text),
        (Function::Substr, [Text(text), Int(from), Int(count)]) => substr(text, from, count),
        (Function::Replace, [Text(text), Text(part), Text(by)]) => replace(&text, &part, &by),
        (Function::Contains, [Text(text), Text(part), _]) => Bool(text.contains(&*part)),
        (Function::StartsWith, [Text(text), Text(part), _]) => Bool(text.starts_with(&*part)),
        (Function::EndsWith, [Text(text), Text(part), _]) => Bool(text.ends_with(&*part)),
        (Function::Text, [text @ Text(_), ..]) => text,
        (Function::Text, [value, ..]) => Operand::made(value.to_string()),
        (Function::Int, [value, ..]) => int(&value),
        (Function::Float, [value, ..]) => float(&value),
        (Function::Abs, [Int(value), ..]) => value.checked_abs().map_or(Null, Int),
        (Function::Abs, [Float(value), ..]) => Float(value.abs()),
        (Function::Round | Function::Floor, [Int(value), ..]) => Int(value),
        (Function::Round, [Float(value), ..]) => whole(value.round()),
        (Function::Floor, [Float(value), ..]) => whole(value.floor()),
        (converted, [Text(text), ..]) if text.len() <= TEXT_MAX => convert(converted, &text),
        _ => Null,
    }
}

/// Texts that are about as long as what they are made of.
fn convert(function: Function, text: &str) -> Operand<'static> {
    match function {
        Function::Base64 => Operand::made(base64::engine::general_purpose::STANDARD.encode(text)),
        Function::Url => Operand::made(Escape::url(text)),
        Function::Upper => Operand::made(text.to_uppercase()),
        Function::Lower => Operand::made(text.to_lowercase()),
        _ => Null,
    }
}

/// A part of a text, lent if the text is.
pub(super) fn part(text: Cow<'_, str>, range: Range<usize>) -> Operand<'_> {
    let found = match text {
        Cow::Borrowed(text) => text.get(range).map(Cow::Borrowed),
        Cow::Owned(text) => text.get(range).map(|part| Cow::Owned(part.to_owned())),
    };
    Operand::lent(found)
}

/// The hash in hexadecimal digits (FIPS 180-4).
pub(super) fn sha256(bytes: &[u8]) -> Operand<'static> {
    hex(&Sha256::digest(bytes))
}

/// RFC 2104.
fn hmac_sha256(key: &str, text: &str) -> Operand<'static> {
    Hmac::<Sha256>::new_from_slice(key.as_bytes()).map_or(Null, |mut mac| {
        mac.update(text.as_bytes());
        hex(&mac.finalize().into_bytes())
    })
}

fn hex(bytes: &[u8]) -> Operand<'static> {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Operand::made(text)
}

/// Both alphabets of RFC 4648, with padding or without: tokens have the one, headers the other.
fn base64_decode(text: &str) -> Operand<'static> {
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    // Four characters make three bytes.
    if text.len() / 4 * 3 > TEXT_MAX {
        return Null;
    }
    let bytes = GeneralPurpose::new(&STANDARD, LENIENT)
        .decode(text)
        .or_else(|_| GeneralPurpose::new(&URL_SAFE, LENIENT).decode(text));
    bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok()).map_or(Null, Operand::made)
}

fn trim(text: Cow<'_, str>) -> Operand<'_> {
    let start = text.len() - text.trim_start().len();
    let end = start + text.trim().len();
    part(text, start..end)
}

/// `count` characters from character `from` on, fewer at the end; `Null` if it begins past the end.
fn substr(text: Cow<'_, str>, from: i64, count: i64) -> Operand<'_> {
    let (Ok(from), Ok(count)) = (usize::try_from(from), usize::try_from(count)) else { return Null };
    let mut ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    let Some(start) = ends.nth(from) else { return Null };
    let end = if count == 0 { start } else { ends.nth(count - 1).unwrap_or(text.len()) };
    part(text, start..end)
}

/// `Null` if the part is empty. The length is reckoned first: it may be the product of two lengths.
fn replace(text: &str, part: &str, by: &str) -> Operand<'static> {
    if part.is_empty() {
        return Null;
    }
    let found = text.matches(part).count();
    let length = found.checked_mul(by.len()).map(|added| text.len() - found * part.len() + added);
    match length {
        Some(0..=TEXT_MAX) => Operand::made(text.replace(part, by)),
        _ => Null,
    }
}

fn join<'a>(left: Cow<'a, str>, right: &str) -> Operand<'a> {
    if left.len() + right.len() > TEXT_MAX {
        return Null;
    }
    let mut text = left.into_owned();
    text.push_str(right);
    Text(Cow::Owned(text))
}

fn int(value: &Operand<'_>) -> Operand<'static> {
    match value {
        Int(value) => Int(*value),
        Float(value) => whole(value.trunc()),
        Text(text) => text.parse().map_or(Null, Int),
        _ => Null,
    }
}

fn float(value: &Operand<'_>) -> Operand<'static> {
    match value {
        Text(text) => text.parse().map_or(Null, Operand::from_float),
        other => number(other).map_or(Null, Float),
    }
}

fn integers(sign: Arithmetic, left: i64, right: i64) -> Option<i64> {
    match sign {
        Arithmetic::Add => left.checked_add(right),
        Arithmetic::Subtract => left.checked_sub(right),
        Arithmetic::Multiply => left.checked_mul(right),
        Arithmetic::Divide => left.checked_div(right),
        Arithmetic::Remainder => left.checked_rem(right),
    }
}

fn floats(sign: Arithmetic, left: f64, right: f64) -> f64 {
    match sign {
        Arithmetic::Add => left + right,
        Arithmetic::Subtract => left - right,
        Arithmetic::Multiply => left * right,
        Arithmetic::Divide => left / right,
        Arithmetic::Remainder => left % right,
    }
}

fn durations(sign: Arithmetic, left: Nanos, right: Nanos) -> Operand<'static> {
    let nanos = match sign {
        Arithmetic::Add => left.0.checked_add(right.0),
        Arithmetic::Subtract => left.0.checked_sub(right.0),
        Arithmetic::Remainder => left.0.checked_rem(right.0),
        Arithmetic::Divide => return Operand::from_float(left.0 as f64 / right.0 as f64),
        Arithmetic::Multiply => None,
    };
    nanos.map_or(Null, |nanos| Duration(Nanos(nanos)))
}

/// A duration times a number, or divided by it.
fn scaled(sign: Arithmetic, duration: Nanos, by: &Operand<'_>) -> Operand<'static> {
    let nanos = match (sign, by) {
        (Arithmetic::Multiply, Int(by)) => u64::try_from(*by).ok().and_then(|by| duration.0.checked_mul(by)),
        (Arithmetic::Divide, Int(by)) => u64::try_from(*by).ok().and_then(|by| duration.0.checked_div(by)),
        (Arithmetic::Multiply, Float(by)) => unsigned((duration.0 as f64 * by).round()),
        (Arithmetic::Divide, Float(by)) => unsigned((duration.0 as f64 / by).round()),
        _ => None,
    };
    nanos.map_or(Null, |nanos| Duration(Nanos(nanos)))
}

fn number(value: &Operand<'_>) -> Option<f64> {
    match value {
        Int(value) => Some(*value as f64),
        Float(value) => Some(*value),
        _ => None,
    }
}

fn compare(left: &Operand<'_>, right: &Operand<'_>) -> Option<Ordering> {
    match (left, right) {
        (Int(left), Int(right)) => Some(left.cmp(right)),
        (Text(left), Text(right)) => Some(left.cmp(right)),
        (Duration(left), Duration(right)) => Some(left.cmp(right)),
        (left, right) => number(left)?.partial_cmp(&number(right)?),
    }
}

/// A number without decimal places as an integer, if it is in range.
fn whole(value: f64) -> Operand<'static> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0; // 2^63
    if (-LIMIT..LIMIT).contains(&value) {
        #[expect(clippy::cast_possible_truncation, reason = "it is in range")]
        return Int(value as i64);
    }
    Null
}

fn unsigned(value: f64) -> Option<u64> {
    const LIMIT: f64 = 18_446_744_073_709_551_616.0; // 2^64
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in range")]
    (0.0..LIMIT).contains(&value).then_some(value as u64)
}
