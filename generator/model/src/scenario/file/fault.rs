//! What is wrong with a file: a sentence for a person, with its place and its mend.

use std::collections::BTreeSet;
use std::fmt;

use super::{Place, secrets};
use crate::slips;

/// What is told of one file. Past so many, the first ones are what is worth mending.
pub const FAULTS_MAX: usize = 100;
/// What is gathered before the first are chosen by their place: tree and readers find theirs in different
/// orders.
const GATHERED_MAX: usize = 1_000;
/// What of somebody's text is repeated in a sentence.
const SHOWN_CHARS_MAX: usize = 40;
/// Names further apart than this are different words rather than a slip of the finger.
const SLIPS_MAX: usize = 2;

/// One thing that is wrong with a file.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}:{}: {what}; {mend}", at.line, at.column)]
pub struct Fault {
    pub at: Place,
    /// What was found, and where it matters what was expected.
    pub what: String,
    /// What to write in its place.
    pub mend: String,
}

impl Fault {
    /// It tells of what looks like a secret: its line is not to be shown.
    #[must_use]
    pub fn is_of_secret(&self) -> bool {
        self.mend == secrets::MEND
    }
}

/// Gathers faults, so that one reading finds them all.
#[derive(Default, Debug)]
pub(super) struct Faults {
    gathered: Vec<Fault>,
}

impl Faults {
    pub(super) fn add(&mut self, at: Place, what: impl Into<String>, mend: impl Into<String>) {
        if self.has_room() {
            self.gathered.push(Fault { at, what: what.into(), mend: mend.into() });
        }
    }

    pub(super) fn push(&mut self, fault: Fault) {
        self.add(fault.at, fault.what, fault.mend);
    }

    /// Whether another one would be kept.
    pub(super) fn has_room(&self) -> bool {
        self.gathered.len() < GATHERED_MAX
    }

    pub(super) fn is_empty(&self) -> bool {
        self.gathered.is_empty()
    }

    /// The first ones, in order of their place. What else is wrong with a secret is left out, since it may
    /// repeat it.
    pub(super) fn into_first(mut self) -> Vec<Fault> {
        let of_secrets = self.gathered.iter().filter(|fault| fault.is_of_secret());
        let secrets: BTreeSet<Place> = of_secrets.map(|fault| fault.at).collect();
        self.gathered.retain(|fault| fault.is_of_secret() || !secrets.contains(&fault.at));
        self.gathered.sort_by_key(|fault| fault.at);
        self.gathered.truncate(FAULTS_MAX);
        self.gathered
    }
}

/// A text of the file as sentences repeat it: short, and without characters that would move a cursor.
pub(super) struct Shown<'a>(pub(super) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("'")?;
        let mut chars = self.0.chars();
        for c in chars.by_ref().take(SHOWN_CHARS_MAX) {
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
        }
        f.write_str(if chars.next().is_some() { "...'" } else { "'" })
    }
}

/// The name that was probably meant, if one is near.
pub(crate) fn nearest<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if text.chars().count() > SHOWN_CHARS_MAX {
        return None;
    }
    // Two slips make any word of three letters into any other, so short ones allow fewer.
    let allowed = SLIPS_MAX.min(text.chars().count() / 2);
    names
        .map(|name| (distance(text, name), name))
        .filter(|&(slips, _)| slips <= allowed)
        .min_by_key(|&(slips, _)| slips)
        .map(|(_, name)| name)
}

/// Names for a sentence: `a, b and c`.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

/// Insertions, deletions and replacements that lead from one text to the other (Levenshtein 1966).
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<_>, Vec<_>) = (from.chars().collect(), to.chars().collect());
    slips::distance(&from, &to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found() {
        for (text, want) in [
            ("chek", Some("check")),
            ("header", Some("headers")),
            ("chekc", Some("check")),
            ("get", Some("get")),
            ("gte", None),
            ("gt", Some("get")),
            ("cookie", None),
            ("x", None),
            ("", None),
        ] {
            let names = ["check", "headers", "get", "name"];
            assert_eq!(nearest(text, names.into_iter()), want, "{text}");
        }
        assert_eq!(nearest(&"check".repeat(1_000), ["check"].into_iter()), None);
        assert_eq!((distance("kitten", "sitting"), distance("", "abc"), distance("abc", "")), (3, 3, 3));
    }

    #[test]
    fn what_is_shown_is_short_and_harmless() {
        assert_eq!(Shown("a\u{1b}[2J").to_string(), "'a\\u{1b}[2J'");
        assert_eq!(Shown(&"k".repeat(200_000)).to_string(), format!("'{}...'", "k".repeat(40)));
        assert_eq!(listed(["a", "b", "c"]), "a, b and c");
        assert_eq!((listed(["a"]), listed([])), ("a".into(), String::new()));
    }

    #[test]
    fn the_first_faults_by_place_are_kept() {
        let mut faults = Faults::default();
        for line in (1..=150).rev() {
            faults.add(Place { line, column: 1 }, "wrong", "mend it");
        }
        let first = faults.into_first();
        assert_eq!((first.len(), first[0].to_string()), (FAULTS_MAX, "1:1: wrong; mend it".into()));
        assert!(first.is_sorted_by_key(|fault| fault.at));
    }
}
