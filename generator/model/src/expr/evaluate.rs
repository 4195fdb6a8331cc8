//! The compiled tree, and the walk over it.
//!
//! A walk borrows what it looks at and never fails. It recurses at most [`super::syntax::NODES_MAX`] deep.

use std::borrow::Cow;

use regex::Regex;

use super::function::Function;
use super::operate;
use super::sight::{Answer, Sight};
use super::syntax::{Arithmetic, Order};
use super::value::{Operand, Value};
use crate::random::Random;
use crate::units::{NANOS_PER_SECOND, Nanos};

/// The longest text that `random_text` makes.
const RANDOM_TEXT_MAX: i64 = 1024;

#[derive(Clone, Debug)]
pub(super) enum Node {
    Constant(Value),
    Variable(u16),
    Column {
        feeder: u16,
        column: u16,
    },
    Secret(u16),
    Answer(AnswerPart),
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    Arithmetic(Arithmetic, Box<[Node; 2]>),
    Order(Order, Box<[Node; 2]>),
    Equal {
        negated: bool,
        of: Box<[Node; 2]>,
    },
    /// `== null` and `!= null`.
    IsNull {
        negated: bool,
        of: Box<Node>,
    },
    Matches(Box<(Node, Regex)>),
    /// A function, but for those that [`AnswerPart`] has.
    Call(Function, Box<[Node]>),
}

/// What is looked at of an answer.
#[derive(Clone, Debug)]
pub(super) enum AnswerPart {
    Status,
    Body,
    BodySize,
    BodySha256,
    ResponseTime,
    FirstByte,
    /// Indices into [`super::Needs::json`].
    Json(usize),
    JsonCount(usize),
    /// A name in lower case.
    Header(Box<str>),
    Cookie(Box<str>),
    Regex(Box<(Regex, usize)>),
}

impl Node {
    pub(super) fn evaluate<'s>(&'s self, sight: &'s dyn Sight, random: &mut Random) -> Operand<'s> {
        match self {
            Self::Constant(value) => value.lend(),
            Self::Variable(index) => sight.variable(*index).lend(),
            Self::Column { feeder, column } => Operand::lent(sight.column(*feeder, *column)),
            Self::Secret(index) => Operand::Text(Cow::Borrowed(sight.secret(*index))),
            Self::Answer(part) => sight.answer().map_or(Operand::Null, |answer| part.of(answer)),
            Self::Not(of) => match of.evaluate(sight, random) {
                Operand::Bool(value) => Operand::Bool(!value),
                _ => Operand::Null,
            },
            Self::Negate(of) => operate::negate(&of.evaluate(sight, random)),
            Self::And(of) => until(false, of, sight, random),
            Self::Or(of) => until(true, of, sight, random),
            Self::Arithmetic(sign, of) => {
                let left = of[0].evaluate(sight, random);
                operate::arithmetic(*sign, left, of[1].evaluate(sight, random))
            }
            Self::Order(sign, of) => {
                let left = of[0].evaluate(sight, random);
                operate::order(*sign, &left, &of[1].evaluate(sight, random))
            }
            Self::Equal { negated, of } => {
                let left = of[0].evaluate(sight, random);
                operate::equal(&left, &of[1].evaluate(sight, random), *negated)
            }
            Self::IsNull { negated, of } => {
                Operand::Bool(matches!(of.evaluate(sight, random), Operand::Null) != *negated)
            }
            Self::Matches(of) => match of.0.evaluate(sight, random) {
                Operand::Text(text) => Operand::Bool(of.1.is_match(&text)),
                Operand::Null => Operand::Bool(false),
                _ => Operand::Null,
            },
            Self::Call(function, arguments) => call(*function, arguments, sight, random),
        }
    }

    pub(super) const fn constant(&self) -> Option<&Value> {
        if let Self::Constant(value) = self { Some(value) } else { None }
    }
}

/// `and` and `or`: the left side alone decides if it is `decided`.
fn until<'s>(decided: bool, of: &'s [Node; 2], sight: &'s dyn Sight, random: &mut Random) -> Operand<'s> {
    match of[0].evaluate(sight, random) {
        Operand::Bool(left) if left == decided => Operand::Bool(decided),
        Operand::Bool(_) => match of[1].evaluate(sight, random) {
            right @ Operand::Bool(_) => right,
            _ => Operand::Null,
        },
        _ => Operand::Null,
    }
}

fn call<'s>(
    function: Function,
    arguments: &'s [Node],
    sight: &'s dyn Sight,
    random: &mut Random,
) -> Operand<'s> {
    match (function, arguments) {
        (Function::If, [condition, then, otherwise]) => match condition.evaluate(sight, random) {
            Operand::Bool(true) => then.evaluate(sight, random),
            Operand::Bool(false) => otherwise.evaluate(sight, random),
            _ => Operand::Null,
        },
        (Function::Default, [value, otherwise]) => match value.evaluate(sight, random) {
            Operand::Null => otherwise.evaluate(sight, random),
            value => value,
        },
        (Function::OneOf, _) => {
            let drawn = usize::try_from(random.below(arguments.len() as u64)).unwrap_or(0);
            arguments.get(drawn).map_or(Operand::Null, |node| node.evaluate(sight, random))
        }
        (Function::Min | Function::Max, [first, rest @ ..]) => {
            let largest = function == Function::Max;
            let first = first.evaluate(sight, random);
            rest.iter()
                .fold(first, |so_far, node| operate::extreme(largest, so_far, node.evaluate(sight, random)))
        }
        (Function::Uuid, _) => uuid(random),
        (Function::Now, _) => Operand::Int(sight.wall_ns().div_euclid(1_000_000)),
        (Function::NowRfc3339, _) => rfc3339(sight.wall_ns()),
        (Function::Counter, _) => Operand::int(sight.counter()),
        (Function::User, _) => Operand::int(sight.user()),
        _ => strict(function, arguments, sight, random),
    }
}

/// Functions that evaluate all of their arguments, and are `Null` if one of those is.
fn strict<'s>(
    function: Function,
    arguments: &'s [Node],
    sight: &'s dyn Sight,
    random: &mut Random,
) -> Operand<'s> {
    let mut values = [Operand::Null, Operand::Null, Operand::Null];
    let mut is_null = false;
    for (value, node) in values.iter_mut().zip(arguments) {
        *value = node.evaluate(sight, random);
        is_null |= matches!(value, Operand::Null);
    }
    match (function, values) {
        _ if is_null => Operand::Null,
        (Function::Pick, [Operand::Int(low), Operand::Int(high), _]) => pick(low, high, random),
        (Function::RandomText, [Operand::Int(length), ..]) => random_text(length, random),
        (_, values) => operate::call(function, values),
    }
}

/// Each integer of `low..=high` as likely.
fn pick(low: i64, high: i64, random: &mut Random) -> Operand<'static> {
    if low > high {
        return Operand::Null;
    }
    let offset = match high.abs_diff(low).checked_add(1) {
        Some(count) => random.below(count),
        None => random.next(),
    };
    // The offset is at most `high - low`, so that this does not wrap.
    Operand::Int(low.wrapping_add_unsigned(offset))
}

fn random_text(length: i64, random: &mut Random) -> Operand<'static> {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    if !(0..=RANDOM_TEXT_MAX).contains(&length) {
        return Operand::Null;
    }
    let mut letter = || usize::try_from(random.below(62)).map_or('0', |at| char::from(LETTERS[at]));
    Operand::made((0..length).map(|_| letter()).collect())
}

/// Version 4 (RFC 9562 section 5.4).
fn uuid(random: &mut Random) -> Operand<'static> {
    let (high, low) = (random.next(), random.next());
    let high = high & !0xf000 | 0x4000;
    let low = low & !(0b11 << 62) | 0b10 << 62;
    Operand::made(format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    ))
}

/// In UTC with milliseconds. The date is Hinnant's `civil_from_days`, in years that begin in March.
fn rfc3339(wall_ns: i64) -> Operand<'static> {
    const SECOND: i64 = NANOS_PER_SECOND.cast_signed();
    const DAY: i64 = 86_400 * SECOND;
    const DAYS_FROM_MARCH_OF_YEAR_0: i64 = 719_468;
    const DAYS_OF_400_YEARS: i64 = 146_097;
    let (days, time) = (wall_ns.div_euclid(DAY) + DAYS_FROM_MARCH_OF_YEAR_0, wall_ns.rem_euclid(DAY));
    let (era, day_of_era) = (days.div_euclid(DAYS_OF_400_YEARS), days.rem_euclid(DAYS_OF_400_YEARS));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let (hour, minute) = (time / (3_600 * SECOND), time / (60 * SECOND) % 60);
    let (second, milli) = (time / SECOND % 60, time % SECOND / 1_000_000);
    Operand::made(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"))
}

impl AnswerPart {
    fn of<'s>(&'s self, answer: &'s dyn Answer) -> Operand<'s> {
        match self {
            Self::Status => Operand::Int(i64::from(answer.status())),
            Self::Body => Operand::Text(String::from_utf8_lossy(answer.body())),
            Self::BodySize => Operand::int(answer.body_size()),
            Self::BodySha256 => operate::sha256(answer.body()),
            Self::ResponseTime => Operand::Duration(Nanos(answer.response_ns())),
            Self::FirstByte => Operand::Duration(Nanos(answer.first_byte_ns())),
            Self::Json(path) => answer.json(*path).into(),
            Self::JsonCount(path) => answer.json_count(*path).map_or(Operand::Null, Operand::int),
            Self::Header(name) => Operand::lent(answer.header(name).map(String::from_utf8_lossy)),
            Self::Cookie(name) => Operand::lent(answer.cookie(name).map(String::from_utf8_lossy)),
            Self::Regex(of) => find(&of.0, of.1, String::from_utf8_lossy(answer.body())),
        }
    }
}

/// The first match, or a group of it.
fn find<'a>(pattern: &Regex, group: usize, text: Cow<'a, str>) -> Operand<'a> {
    let range = match group {
        0 => pattern.find(&text).map(|found| found.range()),
        _ => pattern.captures(&text).and_then(|found| Some(found.get(group)?.range())),
    };
    range.map_or(Operand::Null, |range| operate::part(text, range))
}
