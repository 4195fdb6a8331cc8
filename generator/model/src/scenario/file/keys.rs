//! The keys of a scenario file: what may stand where, and what it means.
//!
//! One table for all who need to know: readers refuse what is not in it, "did you mean" looks into it, and
//! the JSON Schema is made from it.

pub(super) mod flow;
pub(super) mod load;
pub(super) mod root;

/// A map with known keys.
#[derive(Debug)]
pub(super) struct Object {
    /// Its name among the definitions of the schema.
    pub(super) name: &'static str,
    pub(super) keys: &'static [Key],
    pub(super) rules: &'static [Rule],
}

#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) help: &'static str,
}

/// What must hold of the keys that are there.
#[derive(Debug)]
pub(super) enum Rule {
    Required(&'static str),
    OneOf(&'static [&'static str]),
    AtMostOne(&'static [&'static str]),
}

/// What a value looks like.
#[derive(Debug)]
pub(super) enum Shape {
    /// May hold `{{ expression }}`.
    Text,
    Expression,
    /// A word or name, without expressions.
    Name,
    Url,
    File,
    Boolean,
    /// At least 0; `10k` means 10,000.
    Count,
    Counts,
    Duration,
    /// A duration or a range of them.
    Span,
    Rate,
    Rates,
    Size,
    Speed,
    Status,
    Limit,
    /// Null, a boolean, a number or a text.
    Value,
    Json,
    Word(&'static [&'static str]),
    /// A point of time and the rate there.
    Point,
    Step,
    List(&'static Self),
    /// Names of the user's choice.
    Named(&'static Self),
    Object(&'static Object),
    Either(&'static [Self]),
}

impl Object {
    const fn new(name: &'static str, keys: &'static [Key]) -> Self {
        Self { name, keys, rules: &[] }
    }

    const fn with(self, rules: &'static [Rule]) -> Self {
        Self { rules, ..self }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> + Clone {
        self.keys.iter().map(|key| key.name)
    }
}

impl Shape {
    /// What it is, and how one is written.
    pub(super) fn words(&self) -> (&'static str, &'static str) {
        match self {
            Self::Text => ("a text", "\"text\""),
            Self::Expression => ("an expression", "status == 200"),
            Self::Name => ("a name", "checkout"),
            Self::Url => ("a URL", "https://example.org"),
            Self::File => ("the name of a file", "users.csv"),
            Self::Boolean => ("a boolean", "true or false"),
            Self::Count => ("a count", "100 or 10k"),
            Self::Counts => ("a count or a range", "100 or 0..100"),
            Self::Duration => ("a duration", "500ms, 10s or 1h20m"),
            Self::Span => ("a duration or a range", "2s or 500ms..2s"),
            Self::Rate => ("a rate", "500/s, at most 10m/s"),
            Self::Rates => ("a rate or a range", "500/s or 0/s..500/s, at most 10m/s"),
            Self::Size => ("a size", "512, 64KiB or 1MiB"),
            Self::Speed => ("a speed", "2x, from 0.001x to 1000x"),
            Self::Status => ("a status", "404, 200-299 or 2xx"),
            Self::Limit => ("a limit", "p99(response_time) < 50ms"),
            Self::Value => ("a value", "5, true or \"text\""),
            Self::Json => ("JSON", "{item: 5}"),
            Self::Word(_) => ("a word", ""),
            Self::Point => ("a point of time and rate", "[30s, 500/s]"),
            Self::Step => ("a step", "{get: /path}"),
            Self::List(_) => ("a list", "[first, second]"),
            Self::Named(_) | Self::Object(_) => ("a map", "{key: value}"),
            Self::Either(shapes) => shapes.first().map_or(("a value", ""), Self::words),
        }
    }
}

const fn key(name: &'static str, shape: Shape, help: &'static str) -> Key {
    Key { name, shape, help }
}
