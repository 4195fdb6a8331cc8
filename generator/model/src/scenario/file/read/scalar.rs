//! Readers of single values: texts, names and quantities.

use crate::limit::Limit;
use crate::scenario::StatusRange;
use crate::scenario::file::core_schema::{Meaning, meaning};
use crate::scenario::file::fault::{Faults, Shown};
use crate::scenario::file::keys::Shape;
use crate::scenario::file::tree::{Leaf, Node, Style};
use crate::scenario::file::{Expr, Located, Place, Scalar, Span, Text};
use crate::units::{Bytes, Nanos, Rate, parse_count};

/// No quantity needs more; those of many parts would only cost time.
const QUANTITY_BYTES_MAX: usize = 64;

/// A text as it is written, be it a number or boolean too: what is sent is what stands there.
pub(super) fn text(node: &Node, faults: &mut Faults) -> Option<Text> {
    match node {
        Node::Leaf(leaf) if leaf.is_secret => {
            Some(Located::new(format!("{{{{ secret.{} }}}}", secret(leaf, faults)?), leaf.at))
        }
        Node::Leaf(leaf) if !is_null(leaf) => Some(Located::new(leaf.text.clone(), leaf.at)),
        _ => mismatch(node, &Shape::Text, faults),
    }
}

/// What `!secret` names.
pub(super) fn secret<'n>(leaf: &'n Leaf, faults: &mut Faults) -> Option<&'n str> {
    let is_name = leaf.text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && leaf.text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !is_name {
        faults.add(
            leaf.at,
            "what follows !secret is not the name of a secret",
            "write a name of letters, digits and _, as in !secret API_KEY",
        );
    }
    is_name.then_some(leaf.text.as_str())
}

pub(super) fn expression(node: &Node, faults: &mut Faults) -> Option<Expr> {
    match node {
        Node::Leaf(leaf) if !leaf.is_secret && leaf.text != "~" && !leaf.text.trim().is_empty() => {
            Some(Located::new(leaf.text.clone(), leaf.at))
        }
        _ => mismatch(node, &Shape::Expression, faults),
    }
}

pub(super) fn name(node: &Node, faults: &mut Faults) -> Option<Located<String>> {
    literal(node, &Shape::Name, faults)
}

pub(super) fn url(node: &Node, faults: &mut Faults) -> Option<Located<String>> {
    literal(node, &Shape::Url, faults)
}

pub(super) fn file(node: &Node, faults: &mut Faults) -> Option<Located<String>> {
    match node {
        Node::Leaf(leaf) if leaf.text.is_empty() => mismatch(node, &Shape::File, faults),
        _ => literal(node, &Shape::File, faults),
    }
}

/// A text that stands for itself.
fn literal(node: &Node, shape: &Shape, faults: &mut Faults) -> Option<Located<String>> {
    match node {
        Node::Leaf(leaf) if !leaf.is_secret && !is_null(leaf) => {
            Some(Located::new(leaf.text.clone(), leaf.at))
        }
        _ => mismatch(node, shape, faults),
    }
}

/// A name whose place is of no interest.
pub(super) fn word(node: &Node, faults: &mut Faults) -> Option<String> {
    name(node, faults).map(|name| name.value)
}

pub(super) fn value(node: &Node, faults: &mut Faults) -> Option<Scalar> {
    match node {
        Node::Leaf(leaf) if leaf.is_secret => text(node, faults).map(Scalar::Text),
        Node::Leaf(leaf) => value_of(leaf, faults),
        Node::List(..) | Node::Map(..) => mismatch(node, &Shape::Value, faults),
    }
}

pub(super) fn value_of(leaf: &Leaf, faults: &mut Faults) -> Option<Scalar> {
    Some(match means(leaf) {
        Meaning::Null => Scalar::Null,
        Meaning::Bool(value) => Scalar::Bool(value),
        Meaning::Int(value) => Scalar::Int(value),
        Meaning::Float(value) => Scalar::Float(value),
        Meaning::Text => Scalar::Text(Located::new(leaf.text.clone(), leaf.at)),
        Meaning::Unkept => {
            faults.add(
                leaf.at,
                format!("the number {} is neither a finite one nor an integer of 64 bits", Shown(&leaf.text)),
                "write a smaller one, or put it in quotes if it is a text",
            );
            return None;
        }
    })
}

pub(super) fn boolean(node: &Node, faults: &mut Faults) -> Option<bool> {
    match node {
        Node::Leaf(leaf) if !leaf.is_secret => match means(leaf) {
            Meaning::Bool(value) => Some(value),
            _ => mismatch(node, &Shape::Boolean, faults),
        },
        _ => mismatch(node, &Shape::Boolean, faults),
    }
}

/// A count that fits its type.
pub(super) fn count<T: TryFrom<u64>>(node: &Node, faults: &mut Faults) -> Option<T> {
    let count: u64 = quantity(node, &Shape::Count, faults, |text| parse_count(text).ok())?;
    let fitting = T::try_from(count).ok();
    if fitting.is_none() {
        faults.add(node.at(), format!("{count} is too large"), format!("write at most {}", u32::MAX));
    }
    fitting
}

/// Users from and to.
pub(super) fn counts(node: &Node, faults: &mut Faults) -> Option<(u32, u32)> {
    let count = |text: &str| parse_count(text).ok().and_then(|count| u32::try_from(count).ok());
    quantity(node, &Shape::Counts, faults, |text| range(text, count))
}

pub(super) fn duration(node: &Node, faults: &mut Faults) -> Option<Nanos> {
    quantity(node, &Shape::Duration, faults, |text| text.parse().ok())
}

pub(super) fn span(node: &Node, faults: &mut Faults) -> Option<Span> {
    let (from, to) = quantity(node, &Shape::Span, faults, |text| {
        range(text, |part| part.parse::<Nanos>().ok()).filter(|(from, to)| from <= to)
    })?;
    Some(Span { from, to })
}

pub(super) fn rate(node: &Node, faults: &mut Faults) -> Option<Rate> {
    quantity(node, &Shape::Rate, faults, rate_of)
}

pub(super) fn rates(node: &Node, faults: &mut Faults) -> Option<(Rate, Rate)> {
    quantity(node, &Shape::Rates, faults, |text| range(text, rate_of))
}

/// In a phase a rate can be 0, as the beginning of a ramp.
fn rate_of(text: &str) -> Option<Rate> {
    let number = text.strip_suffix("/s").unwrap_or(text);
    let is_zero = !number.is_empty() && number.bytes().all(|b| b == b'0');
    if is_zero { Some(Rate(0)) } else { text.parse().ok() }
}

pub(super) fn size(node: &Node, faults: &mut Faults) -> Option<Bytes> {
    quantity(node, &Shape::Size, faults, |text| text.parse().ok())
}

/// How many times as fast a log is replayed.
pub(super) fn speed(node: &Node, faults: &mut Faults) -> Option<f64> {
    quantity(node, &Shape::Speed, faults, |text| {
        let speed: f64 = text.strip_suffix('x').unwrap_or(text).parse().ok()?;
        (0.001..=1_000.0).contains(&speed).then_some(speed)
    })
}

pub(super) fn status(node: &Node, faults: &mut Faults) -> Option<StatusRange> {
    quantity(node, &Shape::Status, faults, |text| {
        let is_class = text.ends_with("xx");
        if is_class && text.len() != 3 { None } else { text.parse().ok() }
    })
}

pub(super) fn limit(node: &Node, faults: &mut Faults) -> Option<Limit> {
    let leaf = match node {
        Node::Leaf(leaf) if !leaf.is_secret && !is_null(leaf) => leaf,
        _ => return mismatch(node, &Shape::Limit, faults),
    };
    match leaf.text.parse::<Limit>() {
        Ok(limit) => Some(limit),
        Err(error) => {
            let offset = u32::try_from(error.column).unwrap_or(u32::MAX).saturating_sub(1);
            let at = match leaf.style {
                Style::Block => leaf.at,
                Style::Plain | Style::Quoted => {
                    Place { column: leaf.at.column.saturating_add(offset), ..leaf.at }
                }
            };
            faults.add(
                at,
                format!("this is not a limit: expected {}", error.expected),
                "write a limit such as p99(response_time) < 50ms",
            );
            None
        }
    }
}

/// One of a few words, as its number among them.
pub(super) fn choice<T: Copy>(
    node: &Node,
    words: &'static [&'static str],
    values: &[T],
    faults: &mut Faults,
) -> Option<T> {
    debug_assert_eq!(words.len(), values.len());
    if let Node::Leaf(leaf) = node
        && !leaf.is_secret
        && let Some(at) = words.iter().position(|word| *word == leaf.text)
    {
        return values.get(at).copied();
    }
    mismatch(node, &Shape::Word(words), faults)
}

/// `one` or `one..other`.
fn range<T: Copy>(text: &str, read: impl Fn(&str) -> Option<T>) -> Option<(T, T)> {
    match text.split_once("..") {
        Some((from, to)) => Some((read(from.trim_end())?, read(to.trim_start())?)),
        None => read(text).map(|one| (one, one)),
    }
}

fn quantity<T>(
    node: &Node,
    shape: &Shape,
    faults: &mut Faults,
    read: impl FnOnce(&str) -> Option<T>,
) -> Option<T> {
    if let Node::Leaf(leaf) = node
        && !leaf.is_secret
        && leaf.text.len() <= QUANTITY_BYTES_MAX
        && let Some(value) = read(leaf.text.trim())
    {
        return Some(value);
    }
    mismatch(node, shape, faults)
}

/// Tells what was expected, what was found, and how to mend it.
pub(super) fn mismatch<T>(node: &Node, shape: &Shape, faults: &mut Faults) -> Option<T> {
    if !faults.has_room() {
        return None;
    }
    let (what, example) = shape.words();
    let found = match node {
        Node::List(..) => "a list".to_owned(),
        Node::Map(..) => "a map".to_owned(),
        Node::Leaf(leaf) if leaf.is_secret => "a secret".to_owned(),
        Node::Leaf(leaf) => match means(leaf) {
            Meaning::Null => "nothing".to_owned(),
            Meaning::Bool(value) => value.to_string(),
            Meaning::Int(_) | Meaning::Float(_) | Meaning::Unkept => {
                format!("the number {}", Shown(&leaf.text))
            }
            Meaning::Text => format!("the text {}", Shown(&leaf.text)),
        },
    };
    let is_collection = !matches!(node, Node::Leaf(_));
    let mend = match (shape, node) {
        (Shape::Duration | Shape::Span, Node::Leaf(leaf))
            if matches!(means(leaf), Meaning::Int(0..)) && leaf.text.len() < QUANTITY_BYTES_MAX =>
        {
            format!("write {what} such as {}s", leaf.text)
        }
        (Shape::Word(words), Node::Leaf(leaf)) => super::unknown(&leaf.text, words.iter().copied()),
        (Shape::Word(words), _) => super::unknown("", words.iter().copied()),
        (Shape::Expression | Shape::Text | Shape::Limit | Shape::Name, _) if is_collection => {
            format!("write {what} such as {example}, in single quotes if it holds {{, [, ': ' or ' #'")
        }
        (Shape::Text, _) => "write the text, or \"\" for an empty one".to_owned(),
        _ => format!("write {what} such as {example}"),
    };
    faults.add(node.at(), format!("expected {what}, found {found}"), mend);
    None
}

fn is_null(leaf: &Leaf) -> bool {
    means(leaf) == Meaning::Null
}

/// Only plain scalars can be anything but texts.
pub(in super::super) fn means(leaf: &Leaf) -> Meaning {
    match leaf.style {
        Style::Plain => meaning(&leaf.text),
        Style::Quoted | Style::Block => Meaning::Text,
    }
}
