//! Scenarios made of what users already have: locustfiles, curl command lines, lists of URLs, HAR files and
//! OpenAPI documents.
//!
//! Each importer is a function of the bytes. What it leaves out it says in a [`Note`]; what would change the
//! requests that are sent and is not understood refuses the whole input, so a scenario never does quietly
//! something else than its source. Inputs are hostile: sizes and depths are bounded, and no text of an input
//! can become an expression of the scenario (see [`template`]).

pub mod curl;
pub mod har;
pub mod locustfile;
pub mod openapi;
mod origins;
mod python;
mod template;
pub mod urls;
#[cfg(test)]
mod written;

use std::fmt;

use crate::scenario::file::{File, Load, Phase, PhaseShape, Place};
use crate::units::Nanos;

/// Longest source that people write by hand: a thousand times what a large locustfile has.
const SOURCE_MAX: usize = 1 << 20;

/// Longest document that tools write.
const DOCUMENT_MAX: usize = 64 << 20;

/// More requests are a log to be replayed, not a flow; each takes some hundred times what a short line has.
const REQUESTS_MAX: usize = 100_000;

/// A scenario, and what of its source is not in it.
#[derive(Clone, PartialEq, Debug)]
pub struct Imported {
    pub file: File,
    /// In the order of their lines.
    pub notes: Vec<Note>,
}

/// What was left out or assumed, and why. Lines count from 1.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Note {
    pub line: u32,
    pub text: String,
}

/// Why nothing was imported: where, what is there, and what to do instead. Lines and columns count from 1,
/// columns in characters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImportError {
    pub line: u32,
    pub column: u32,
    pub what: String,
    pub mend: String,
}

impl ImportError {
    fn new(at: Place, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { line: at.line.max(1), column: at.column.max(1), what: what.into(), mend: mend.into() }
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}; {}", self.line, self.column, self.what, self.mend)
    }
}

impl std::error::Error for ImportError {}

/// The text of a source of at most `most` bytes, without a byte order mark.
fn text_of(source: &[u8], most: usize) -> Result<&str, ImportError> {
    let start = Place { line: 1, column: 1 };
    if source.len() > most {
        let what = format!("the input has {} bytes and at most {most} are read", source.len());
        return Err(ImportError::new(start, what, "split it"));
    }
    let text = std::str::from_utf8(source).map_err(|error| {
        let line = source[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        let at = Place { line: u32::try_from(line).unwrap_or(u32::MAX), column: 1 };
        ImportError::new(at, "the text is not UTF-8", "save it as UTF-8")
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// A document of JSON, of which serde_json bounds the depth.
fn json_of<T: serde::de::DeserializeOwned>(text: &str, what: &str, mend: &str) -> Result<T, ImportError> {
    serde_json::from_str(text).map_err(|error| {
        let place = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let at = Place { line: place(error.line()), column: place(error.column()) };
        let reason = error.to_string();
        let reason = reason.split(" at line ").next().unwrap_or_default();
        ImportError::new(at, format!("this is no {what}: {reason:.120}"), mend)
    })
}

/// Refuses a source with too many requests.
fn check_count(requests: usize, at: Place) -> Result<(), ImportError> {
    if requests <= REQUESTS_MAX {
        return Ok(());
    }
    Err(ImportError::new(at, format!("there are more than {REQUESTS_MAX} requests"), "replay them as a log"))
}

/// One user for a minute: sources that have no load must have one to be run.
fn default_load() -> Load {
    let duration = Some(Nanos::from_secs(60));
    let shape = PhaseShape::Closed { from: 1, to: 1, duration, iterations: None };
    Load { phases: vec![Phase { shape, warmup: false }.into()], ..Load::default() }
}

/// Whether a text can be a method or the name of a header: tchar of RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
}

/// Scheme, host and port of an absolute URL, and what follows; nothing if it is not absolute.
fn split_origin(url: &str) -> Option<(&str, &str)> {
    let scheme = ["http://", "https://"]
        .into_iter()
        .find(|scheme| url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))?;
    let end = url[scheme.len()..].find(['/', '?', '#']).map_or(url.len(), |at| at + scheme.len());
    (end > scheme.len()).then(|| url.split_at(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        for (url, want) in [
            ("http://a.test/x?y", Some(("http://a.test", "/x?y"))),
            ("HTTPS://a.test:8443", Some(("HTTPS://a.test:8443", ""))),
            ("http://a.test?x", Some(("http://a.test", "?x"))),
            ("http://", None),
            ("/x", None),
            ("ftp://a.test/", None),
            ("htt\u{e9}://a", None),
        ] {
            assert_eq!(split_origin(url), want, "{url}");
        }
    }

    #[test]
    fn sources_are_bounded_utf8() {
        assert_eq!(text_of("\u{feff}a".as_bytes(), 10), Ok("a"));
        assert!(text_of(b"aaaa", 3).is_err());
        assert_eq!(text_of(b"a\n\xff", 10).map_err(|e| e.line), Err(2));
    }
}
