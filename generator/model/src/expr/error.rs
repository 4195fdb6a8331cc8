//! What is wrong with an expression, and what was probably meant.

use crate::slips;

/// A name further from what was written than this many edits was not meant.
const DISTANCE_MAX: usize = 2;

/// Longer names are not compared: the cost of comparing grows with the square of their length.
const COMPARED_CHARACTERS_MAX: usize = 64;

/// A list of names longer than this helps nobody.
const LISTED_MAX: usize = 8;

/// Why an expression could not be compiled.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{what}; {mend}")]
pub struct ExprError {
    /// Where in the text, in characters from its start.
    pub offset: usize,
    /// What is wrong, as a sentence without its full stop.
    pub what: String,
    /// How to mend it.
    pub mend: String,
}

impl ExprError {
    pub(super) fn new(offset: usize, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { offset, what: what.into(), mend: mend.into() }
    }
}

/// How to mend a name that is not known: the closest of the known ones, else all of them if they are few.
pub(super) fn suggest<'a>(
    written: &str,
    known: impl Iterator<Item = &'a str> + Clone,
    otherwise: &str,
) -> String {
    let closest = known
        .clone()
        .map(|name| (distance(written, name), name))
        .filter(|(distance, name)| *distance <= DISTANCE_MAX && *distance < name.chars().count())
        .min();
    if let Some((_, name)) = closest {
        return format!("did you mean `{name}`?");
    }
    let listed: Vec<_> = known.take(LISTED_MAX + 1).map(|name| format!("`{name}`")).collect();
    if listed.is_empty() || listed.len() > LISTED_MAX {
        return otherwise.to_owned();
    }
    format!("known here: {}", listed.join(", "))
}

/// The least number of characters to insert, delete or replace (Levenshtein 1966); the largest number for
/// what is too long or differs too much in length.
fn distance(a: &str, b: &str) -> usize {
    // Bytes bound characters, so that a hostile text is not even counted.
    if a.len().max(b.len()) > 4 * COMPARED_CHARACTERS_MAX {
        return usize::MAX;
    }
    let (a, b): (Vec<_>, Vec<_>) = (a.chars().collect(), b.chars().collect());
    if a.len().max(b.len()) > COMPARED_CHARACTERS_MAX || a.len().abs_diff(b.len()) > DISTANCE_MAX {
        return usize::MAX;
    }
    slips::distance(&a, &b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        let long = "x".repeat(COMPARED_CHARACTERS_MAX + 1);
        for (a, b, want) in [
            ("", "", 0),
            ("region", "region", 0),
            ("regoin", "region", 2),
            ("users.nme", "users.name", 1),
            ("a", "abcd", usize::MAX),
            ("größe", "grösse", 2),
            (&long, &long, usize::MAX),
        ] {
            assert_eq!(distance(a, b), want, "{a} {b}");
            assert_eq!(distance(b, a), want, "{b} {a}");
        }
    }

    #[test]
    fn suggestions() {
        let check = |written, known: &[&str], want| {
            assert_eq!(suggest(written, known.iter().copied(), "define it"), want);
        };
        check("regoin", &["users.name", "region"], "did you mean `region`?");
        check("zzzzzz", &["a", "b"], "known here: `a`, `b`");
        check("zz", &["a", "b"], "known here: `a`, `b`");
        check("zzzzzz", &[], "define it");
        check("zzzzzz", &["a"; LISTED_MAX + 1], "define it");
    }
}
