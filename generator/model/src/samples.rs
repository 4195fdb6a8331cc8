//! Samples of failures: a few of each kind and request name, so that a result says not only how often something failed.
//!
//! Cores keep them as observed; before one is shown, secrets are taken out, which answers may echo.

use serde::{Deserialize, Serialize};

use crate::outcome::ErrorKind;
use crate::redact::Redactor;

/// Samples of a kind and a name.
pub const OF_A_KIND_MAX: usize = 3;
/// Samples of a run.
pub const SAMPLES_MAX: usize = 64;
/// What is kept of an answer, in bytes: more than is shown, so that a secret is seen whole where it begins within.
pub const ANSWER_KEPT: usize = 1_024;
/// What is shown of it.
pub const ANSWER_SHOWN: usize = 200;
/// The longest description of a failure, in bytes. Names of checks and expressions come from the scenario.
pub const WHAT_MAX: usize = 1_024;

/// A failure as a core saw it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Observed {
    /// Index of the request's name.
    pub name: u16,
    pub kind: ErrorKind,
    pub status: Option<u16>,
    /// What was observed, in words.
    pub what: String,
    /// The beginning of the answer, where that says more.
    pub answer: Option<Vec<u8>>,
}

/// A failure as it is shown.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ErrorSample {
    pub name: String,
    pub kind: String,
    pub status: Option<u16>,
    pub message: String,
}

/// Has a sample of this kind and name room beside those?
#[must_use]
pub fn has_room(samples: &[Observed], name: u16, kind: ErrorKind) -> bool {
    let alike = samples.iter().filter(|sample| sample.name == name && sample.kind == kind);
    samples.len() < SAMPLES_MAX && alike.count() < OF_A_KIND_MAX
}

/// Adds those that have room.
pub fn merge(samples: &mut Vec<Observed>, more: Vec<Observed>) {
    for sample in more {
        if has_room(samples, sample.name, sample.kind) {
            samples.push(sample);
        }
    }
}

/// Could a core have kept them?
#[must_use]
pub fn are_possible(samples: &[Observed], names: usize) -> bool {
    let fits = |sample: &Observed| {
        usize::from(sample.name) < names
            && sample.what.len() <= WHAT_MAX
            && sample.answer.as_ref().is_none_or(|answer| answer.len() <= ANSWER_KEPT)
    };
    samples.len() <= SAMPLES_MAX && samples.iter().all(fits)
}

/// The samples for people, in order of name and kind.
#[must_use]
pub fn shown(mut samples: Vec<Observed>, names: &[String], redactor: &Redactor) -> Vec<ErrorSample> {
    samples.sort_by_key(|sample| (sample.name, sample.kind));
    let shown = samples.into_iter().map(|sample| ErrorSample {
        name: names.get(usize::from(sample.name)).cloned().unwrap_or_default(),
        kind: sample.kind.name().to_owned(),
        status: sample.status,
        message: message(&sample, redactor),
    });
    shown.collect()
}

fn message(sample: &Observed, redactor: &Redactor) -> String {
    let what = redactor.text(&sample.what);
    let Some(answer) = &sample.answer else { return what };
    let is_cut = answer.len() >= ANSWER_KEPT;
    let text = match std::str::from_utf8(answer) {
        Err(error) if !is_cut || error.error_len().is_some() => "what is no text".to_owned(),
        _ if answer.is_empty() => "nothing".to_owned(),
        _ => beginning(&String::from_utf8_lossy(&redactor.bytes(answer, is_cut)), ANSWER_SHOWN).to_owned(),
    };
    format!("{what}: {text}")
}

/// So many bytes at most, up to the end of a character.
#[must_use]
pub fn beginning(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(name: u16, kind: ErrorKind, answer: Option<&[u8]>) -> Observed {
        let answer = answer.map(<[u8]>::to_vec);
        Observed { name, kind, status: Some(503), what: "answered".to_owned(), answer }
    }

    #[test]
    fn there_are_few_of_a_kind_and_few_in_all() {
        let mut samples = Vec::new();
        for _ in 0..5 {
            merge(&mut samples, vec![sample(0, ErrorKind::Status, None), sample(1, ErrorKind::Reset, None)]);
        }
        assert_eq!(samples.len(), 2 * OF_A_KIND_MAX);
        merge(&mut samples, (0..100).map(|name| sample(name, ErrorKind::Flood, None)).collect());
        assert_eq!(samples.len(), SAMPLES_MAX);
        assert!(are_possible(&samples, 100) && !are_possible(&samples, 50));
    }

    #[test]
    fn messages_show_the_answer_without_secrets() {
        fn check(answer: Option<&[u8]>, want: &str) {
            let names = ["GET /".to_owned()];
            let samples = vec![sample(0, ErrorKind::Status, answer)];
            let shown = shown(samples, &names, &Redactor::new(["s3cret"]));
            assert_eq!((shown[0].message.as_str(), shown[0].kind.as_str()), (want, "status"));
        }
        check(None, "answered");
        check(Some(b""), "answered: nothing");
        check(Some(b"no s3cret here"), "answered: no *** here");
        check(Some(b"\xff\x00"), "answered: what is no text");
        let long = [&b"s3cret"[..], &[b'x'; ANSWER_KEPT]].concat();
        check(Some(&long[..ANSWER_KEPT]), &format!("answered: ***{}", "x".repeat(ANSWER_SHOWN - 3)));
        let split = [&[b'y'; 197][..], b"\xc3\xbc\xc3\xbc"].concat();
        check(Some(&split), &format!("answered: {}ü", "y".repeat(197)));
    }
}
