//! A report in each of its forms. Every form is a pure function of the report, one file each; [`write`] is the only
//! one that touches the outside.
//!
//! Names, URLs and reasons may hold what a target or a file put there: control characters are escaped before they
//! reach a terminal or a document.

mod csv;
mod hgrm;
mod json;
mod junit;
mod markdown;
mod names;
#[cfg(test)]
mod sample;
mod text;
pub(crate) mod write;

use std::borrow::Cow;
use std::fmt::Write as _;

use brunt_model::limit::{Limit, LimitResult};
use brunt_model::outcome::ErrorKind;
use brunt_model::report::{Environment, KernelReport, Report};
use brunt_model::samples::ErrorSample;
use brunt_model::verdict::Status;

use crate::flags::values::{Format, OutputSpec};
use crate::terminal;

/// Writes every output; says on stderr which could not be written, and whether there was one.
pub(crate) fn write_all(report: &Report, outputs: &[OutputSpec], coloured: bool) -> bool {
    let mut failed = false;
    for output in outputs {
        let rendered = render(report, output.format, coloured && output.file.is_none());
        if let Err(error) = write::write(output.file.as_deref(), &rendered) {
            terminal::say(&format!("error: {error}"));
            failed = true;
        }
    }
    failed
}

fn render(report: &Report, format: Format, coloured: bool) -> String {
    match format {
        Format::Text => text::render(report, coloured),
        Format::Json => json::render(report),
        Format::Csv => csv::render(report),
        Format::Hgrm => hgrm::render(report),
        Format::Markdown => markdown::render(report),
        Format::Junit => junit::render(report),
    }
}

/// Text from outside without anything that moves a cursor or turns the reading direction.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut cleaned = String::with_capacity(text.len() + 8);
    for char in text.chars() {
        if is_unsafe(char) {
            // Writing to a string does not fail.
            let _ = write!(cleaned, "\\u{{{:x}}}", u32::from(char));
        } else {
            cleaned.push(char);
        }
    }
    Cow::Owned(cleaned)
}

/// Control characters, line and paragraph separators, and the bidirectional controls of Unicode (UAX #9).
pub(crate) fn is_unsafe(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Why the figures of a report must not be taken as the target's, to be shown where the figures are.
fn distrust(report: &Report) -> Option<&'static str> {
    match report.verdict.status {
        Status::Invalid => Some("INVALID: these figures do not describe the target; see the reasons"),
        Status::Error => Some("ERROR: brunt failed; these figures are not to be relied on"),
        Status::Stopped => Some("STOPPED: the run is partial"),
        Status::Refused => Some("REFUSED: the load was not allowed"),
        Status::Pass | Status::Fail => None,
    }
}

/// The observed value of a limit, in its own unit, and where in the run that was if not over all of it.
fn observed(limit: &LimitResult) -> String {
    let value = match (limit.observed, limit.expression.parse::<Limit>()) {
        (None, _) => "nothing measured".to_owned(),
        (Some(value), Ok(parsed)) => parsed.show(value),
        (Some(value), Err(_)) => value.to_string(),
    };
    limit.stretch().map_or_else(|| value.clone(), |stretch| format!("{value} {stretch}"))
}

/// Of how many answers the kernel's times are known, where it was asked. Rounded down: only all of them are 100 %.
fn coverage(kernel: &KernelReport) -> Option<String> {
    kernel.coverage.map(|coverage| {
        format!(
            "kernel times of {:.2} % of the answers: {} known, {} overwritten, {} missing",
            (coverage * 10_000.0).floor() / 100.0,
            kernel.known,
            kernel.overwritten,
            kernel.missing
        )
    })
}

/// The parts that a run may go without, each with the reason where it did. Results of earlier builds lack some.
fn parts(environment: &Environment) -> impl Iterator<Item = String> {
    let e = environment;
    [("kernel timing", &e.kernel_timing), ("guard", &e.guard), ("jail", &e.jail)]
        .into_iter()
        .filter(|(_, state)| !state.is_empty())
        .map(|(part, state)| format!("{part} {state}"))
}

/// What a kind of error means; nothing for a kind that this build does not know.
fn explanation(name: &str) -> &'static str {
    ErrorKind::ALL.iter().find(|kind| kind.name() == name).map_or("", |kind| kind.explanation())
}

/// A failure in one line, with the name of its request where there are several.
fn sample_line(report: &Report, sample: &ErrorSample) -> String {
    let name = if report.requests.len() > 1 { format!("{}: ", sample.name) } else { String::new() };
    let status = sample.status.map_or_else(String::new, |status| format!("{status} "));
    format!("{name}{status}{}", sample.message)
}

/// The samples of a kind; those that say the same are shown once.
fn samples_of(report: &Report, kind: &str) -> Vec<String> {
    let samples = report.errors_samples.iter().filter(|sample| sample.kind == kind);
    let mut lines: Vec<_> = samples.map(|sample| sample_line(report, sample)).collect();
    lines.dedup();
    lines
}

/// `passed` over `whole` in percent.
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_moves_the_cursor() {
        for (text, want) in [
            ("GET /a", "GET /a"),
            ("a\x1b[2Jb", "a\\u{1b}[2Jb"),
            ("a\nb\u{9b}c", "a\\u{a}b\\u{9b}c"),
            ("\u{202e}gpj", "\\u{202e}gpj"),
            ("ü — ok", "ü — ok"),
        ] {
            assert_eq!(clean(text), want);
        }
    }

    #[test]
    fn samples_of_failures_are_only_text() {
        let report = sample::with_samples(sample::report(Status::Fail));
        for (format, want) in [
            (Format::Text, "    e.g. 503 answered: \\u{1b}[31m<b>|no\\u{a}room\n"),
            (Format::Json, r#""message": "answered: \u001b[31m<b>|no\nroom""#),
            (Format::Markdown, r"- status: 503 answered: \\u{1b}\[31m&lt;b&gt;\|no\\u{a}room"),
            (Format::Junit, "observed 9.90 ms"),
        ] {
            let rendered = render(&report, format, false);
            assert!(rendered.contains(want), "{format:?}: {rendered}");
        }
        let junit = render(&report, Format::Junit, false);
        assert!(
            junit.contains(r">status: 503 answered: \u{1b}[31m&lt;b&gt;|no\u{a}room</failure>"),
            "{junit}"
        );
    }

    #[test]
    fn every_form_says_it_when_the_run_is_invalid() {
        let report = sample::report(Status::Invalid);
        for format in [Format::Text, Format::Json, Format::Csv, Format::Hgrm, Format::Markdown, Format::Junit]
        {
            let rendered = render(&report, format, false);
            assert!(rendered.to_lowercase().contains("invalid"), "{format:?}: {rendered}");
            assert!(!rendered.contains('\x1b'), "{format:?}");
        }
    }
}
