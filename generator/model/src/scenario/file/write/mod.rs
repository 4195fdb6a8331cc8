//! A [`File`] as text that reads as the same file.
//!
//! What is as it would be without being written is left out. A load without a name stands alone, and names
//! within one map differ: of files that were read that holds, and who makes one sees to it.

mod flow;
mod http;
mod load;
mod yaml;

use super::tree::{Leaf, Node, Style};
use super::{Entries, Expr, File, LimitSpec, Located, Place, Scalar, Text};
use crate::units::{Bytes, NANOS_PER_SECOND, Nanos, Rate};

/// Writes a scenario file in YAML's block style.
#[must_use]
pub fn write(file: &File) -> String {
    let mut fields = Fields::default();
    fields.some("name", file.name.as_deref().map(text));
    fields.some("target", file.target.as_ref().map(located));
    fields.named("targets", &file.targets, located);
    fields.map("http", http::http(&file.http));
    fields.named("data", &file.data, http::feeder);
    fields.named("vars", &file.vars, scalar);
    match &file.loads[..] {
        [(name, load)] if name.value.is_empty() => fields.put("load", load::short(load)),
        loads => fields.named("loads", loads, load::long),
    }
    fields.named("flows", &file.flows, flow::flow);
    for (name, steps) in [
        ("on_start", &file.on_start),
        ("on_stop", &file.on_stop),
        ("setup", &file.setup),
        ("teardown", &file.teardown),
    ] {
        fields.list(name, steps, |step| flow::step(&step.value));
    }
    fields.list("limits", &file.limits, limit);
    fields.some("seed", file.seed.map(plain));
    fields.some("not_secret", file.not_secret.as_ref().map(located));
    yaml::emit(&fields.into_node())
}

fn limit(limit: &Located<LimitSpec>) -> Node {
    let LimitSpec { that, window, abort } = &limit.value;
    if window.is_none() && !abort {
        return text(that.text());
    }
    let mut fields = Fields::default();
    fields.put("that", text(that.text()));
    fields.some("window", window.map(duration));
    fields.some("abort", abort.then(|| plain(true)));
    fields.into_node()
}

/// Keys and values of a map to be.
#[derive(Default)]
struct Fields(Vec<(Leaf, Node)>);

impl Fields {
    fn put(&mut self, key: &str, node: Node) {
        self.0.push((leaf(key, Style::Quoted), node));
    }

    fn some(&mut self, key: &str, node: Option<Node>) {
        if let Some(node) = node {
            self.put(key, node);
        }
    }

    /// Left out if it is empty.
    fn map(&mut self, key: &str, fields: Self) {
        if !fields.0.is_empty() {
            self.put(key, fields.into_node());
        }
    }

    /// Left out if it is empty.
    fn list<T>(&mut self, key: &str, items: &[T], node: impl FnMut(&T) -> Node) {
        if !items.is_empty() {
            self.put(key, list(items, node));
        }
    }

    /// Left out if it is empty.
    fn named<T>(&mut self, key: &str, entries: &[(Located<String>, T)], node: impl FnMut(&T) -> Node) {
        if !entries.is_empty() {
            self.put(key, named(entries, node));
        }
    }

    fn into_node(self) -> Node {
        Node::Map(self.0, Place::default())
    }
}

fn list<T>(items: &[T], node: impl FnMut(&T) -> Node) -> Node {
    Node::List(items.iter().map(node).collect(), Place::default())
}

fn named<T>(entries: &[(Located<String>, T)], mut node: impl FnMut(&T) -> Node) -> Node {
    let entry = |(name, value): &(Located<String>, T)| (leaf(&name.value, Style::Quoted), node(value));
    Node::Map(entries.iter().map(entry).collect(), Place::default())
}

fn expressions(entries: &Entries<Expr>) -> Node {
    named(entries, expression)
}

fn leaf(text: &str, style: Style) -> Leaf {
    Leaf { text: text.to_owned(), style, is_secret: false, at: Place::default() }
}

/// In quotes where plain style would read as anything but this text.
fn text(text: &str) -> Node {
    Node::Leaf(leaf(text, Style::Quoted))
}

fn located(text: &Text) -> Node {
    self::text(&text.value)
}

/// A number, a boolean, a quantity: what is meant by it does not depend on quotes.
fn plain(value: impl ToString) -> Node {
    Node::Leaf(leaf(&value.to_string(), Style::Plain))
}

fn expression(expression: &Expr) -> Node {
    plain(&expression.value)
}

fn secret(name: &str) -> Node {
    Node::Leaf(Leaf { is_secret: true, ..leaf(name, Style::Plain) })
}

fn scalar(scalar: &Scalar) -> Node {
    match scalar {
        Scalar::Null => plain("null"),
        Scalar::Bool(value) => plain(value),
        Scalar::Int(value) => plain(value),
        // With a point or an exponent, so that it stays a float.
        Scalar::Float(value) => plain(format!("{value:?}")),
        Scalar::Text(text) => located(text),
    }
}

fn duration(duration: Nanos) -> Node {
    plain(duration_text(duration))
}

/// In the largest unit of which it has a whole number.
fn duration_text(duration: Nanos) -> String {
    const UNITS: [(u64, &str); 6] = [
        (3_600 * NANOS_PER_SECOND, "h"),
        (60 * NANOS_PER_SECOND, "m"),
        (NANOS_PER_SECOND, "s"),
        (1_000_000, "ms"),
        (1_000, "us"),
        (1, "ns"),
    ];
    match UNITS.iter().find(|(unit, _)| duration.0 != 0 && duration.0.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{}{name}", duration.0 / unit),
        None => "0s".to_owned(),
    }
}

fn rate(rate: Rate) -> Node {
    plain(rate_text(rate))
}

/// With as many decimals as it has.
fn rate_text(rate: Rate) -> String {
    let (whole, thousandths) = (rate.0 / 1_000, rate.0 % 1_000);
    if thousandths == 0 {
        return format!("{whole}/s");
    }
    let decimals = format!("{thousandths:03}");
    format!("{whole}.{}/s", decimals.trim_end_matches('0'))
}

fn size(size: Bytes) -> Node {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.iter().find(|(unit, _)| size.0 != 0 && size.0.is_multiple_of(*unit)) {
        Some((unit, name)) => plain(format!("{}{name}", size.0 / unit)),
        None => plain(size.0),
    }
}

/// One value, or a range of two.
fn range<T: PartialEq>(from: T, to: T, text: impl Fn(T) -> String) -> Node {
    if from == to { plain(text(from)) } else { plain(format!("{}..{}", text(from), text(to))) }
}

#[cfg(test)]
pub(super) mod tests;
