//! Which requests a limit is about.

use crate::slips;

/// All requests, those of a name, or those with a tag.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scope {
    All,
    Name(String),
    Tag(String),
}

/// What the requests of a plan are called, by the index used in [`crate::snapshot::Stats`].
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Catalogue {
    pub names: Vec<String>,
    /// Of each name.
    pub tags: Vec<Vec<String>>,
}

/// Names and tags looked at, and characters of each, to find the one that was meant: a mend must not cost more than the
/// mistake.
const CANDIDATES_MAX: usize = 1_000;
const COMPARED_CHARS_MAX: usize = 64;

/// Names listed where none resembles.
const LISTED_MAX: usize = 5;

impl Scope {
    /// Is the request of this index in it?
    pub(super) fn has(&self, catalogue: &Catalogue, index: usize) -> bool {
        match self {
            Self::All => true,
            Self::Name(name) => catalogue.names.get(index) == Some(name),
            Self::Tag(tag) => catalogue.tags.get(index).is_some_and(|tags| tags.contains(tag)),
        }
    }

    pub(super) fn resolve(&self, catalogue: &Catalogue) -> Result<(), String> {
        let (kind, wanted, known): (_, _, Vec<&str>) = match self {
            Self::All => return Ok(()),
            Self::Name(name) => ("name", name, catalogue.names.iter().map(String::as_str).collect()),
            Self::Tag(tag) => ("tag", tag, catalogue.tags.iter().flatten().map(String::as_str).collect()),
        };
        if known.contains(&wanted.as_str()) {
            return Ok(());
        }
        Err(format!("no request has the {kind} '{wanted}'; {}", mend(kind, wanted, &known)))
    }
}

fn mend(kind: &str, wanted: &str, known: &[&str]) -> String {
    if let Some(nearest) = nearest(wanted, known) {
        return format!("did you mean '{nearest}'?");
    }
    let mut distinct: Vec<_> = known.iter().take(CANDIDATES_MAX).collect();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.is_empty() {
        return format!("no request has a {kind}, so leave it out");
    }
    let listed: Vec<_> = distinct.iter().take(LISTED_MAX).map(|name| format!("'{name}'")).collect();
    let more = if distinct.len() > LISTED_MAX { " and others" } else { "" };
    format!("there are {}{more}", listed.join(", "))
}

/// The known text that is reached by the fewest changes, if these are few for its length.
fn nearest<'a>(wanted: &str, known: &[&'a str]) -> Option<&'a str> {
    let wanted: Vec<char> = lower(wanted).collect();
    let most = (wanted.len() / 3).max(1);
    let reached = |name: &str| slips::distance(&wanted, &lower(name).collect::<Vec<_>>());
    let distances = known.iter().take(CANDIDATES_MAX).map(|name| (reached(name), *name));
    distances
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

fn lower(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().flat_map(char::to_lowercase).take(COMPARED_CHARS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_request_has_comes_with_what_was_meant() {
        let catalogue = Catalogue {
            names: ["GET /items/{id}", "POST /cart", "a", "b", "c", "d"].map(String::from).to_vec(),
            tags: vec![vec!["smoke".into()], vec!["smoke".into(), "write".into()]],
        };
        let name = |text: &str| Scope::Name(text.into()).resolve(&catalogue);
        let tag = |text: &str| Scope::Tag(text.into()).resolve(&catalogue);
        assert_eq!(
            (Scope::All.resolve(&catalogue), name("POST /cart"), tag("write")),
            (Ok(()), Ok(()), Ok(()))
        );
        for (got, want) in [
            (
                name("get /item/{id}"),
                "no request has the name 'get /item/{id}'; did you mean 'GET /items/{id}'?",
            ),
            (
                name("smoke"),
                "no request has the name 'smoke'; there are 'GET /items/{id}', 'POST /cart', 'a', 'b', 'c' and others",
            ),
            (tag("smok"), "no request has the tag 'smok'; did you mean 'smoke'?"),
            (tag("GET /items/{id}"), "no request has the tag 'GET /items/{id}'; there are 'smoke', 'write'"),
            (tag(""), "no request has the tag ''; there are 'smoke', 'write'"),
        ] {
            assert_eq!(got, Err(want.to_owned()));
        }
        let without = Scope::Tag("smoke".into()).resolve(&Catalogue::default());
        assert_eq!(
            without,
            Err("no request has the tag 'smoke'; no request has a tag, so leave it out".to_owned())
        );
    }
}
