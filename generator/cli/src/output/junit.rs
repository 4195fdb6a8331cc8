//! Limits as test cases, for the CI servers that read JUnit XML: a missed limit is a failure, a run that cannot judge
//! its limits is an error.

use std::fmt::Write as _;

use brunt_model::limit::LimitResult;
use brunt_model::report::Report;
use brunt_model::units::NANOS_PER_SECOND;

use super::{clean, coverage, distrust, observed, parts, samples_of};

pub(crate) fn render(report: &Report) -> String {
    let distrust = distrust(report);
    let cases = report.limits.len();
    let errors = if distrust.is_some() { cases } else { 0 };
    let failures =
        if distrust.is_some() { 0 } else { report.limits.iter().filter(|limit| !limit.passed).count() };
    let seconds = report.run.duration_ns as f64 / NANOS_PER_SECOND as f64;
    let name = escaped(&report.run.name);
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "<testsuites>\n  <testsuite name=\"{name}\" tests=\"{cases}\" failures=\"{failures}\" errors=\"{errors}\" \
         time=\"{seconds:.3}\" timestamp=\"{}\">",
        escaped(report.run.started_at.split('.').next().unwrap_or_default())
    );
    properties(&mut text, report);
    let reasons = report.verdict.reasons.join("; ");
    let failures = sampled(report);
    for limit in &report.limits {
        let result = match distrust {
            Some(distrust) => Some(("error", format!("{distrust}: {reasons}"))),
            None => missed(limit).map(|message| ("failure", message)),
        };
        case(&mut text, (&name, &failures), limit, result, seconds);
    }
    text.push_str("  </testsuite>\n</testsuites>\n");
    text
}

/// What a reader of a passed case should know of how it was measured.
fn properties(text: &mut String, report: &Report) {
    let marks = report.verdict.marks.iter().map(|mark| ("mark", mark.name().to_owned()));
    let parts = parts(&report.environment).map(|part| ("environment", part));
    let coverage = coverage(&report.kernel).map(|coverage| ("coverage", coverage));
    let all: Vec<_> = marks.chain(parts).chain(coverage).collect();
    if all.is_empty() {
        return;
    }
    text.push_str("    <properties>\n");
    for (name, value) in all {
        // Writing to a string does not fail.
        let _ = writeln!(text, "      <property name=\"{name}\" value=\"{}\"/>", escaped(&value));
    }
    text.push_str("    </properties>\n");
}

/// What failed, a line for each sample.
fn sampled(report: &Report) -> String {
    let kinds = report.errors.keys();
    let lines = kinds.flat_map(|kind| {
        samples_of(report, kind).into_iter().map(move |sample| escaped(&format!("{kind}: {sample}")))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn missed(limit: &LimitResult) -> Option<String> {
    (!limit.passed).then(|| format!("observed {}", observed(limit)))
}

fn case(
    text: &mut String,
    (suite, samples): (&str, &str),
    limit: &LimitResult,
    result: Option<(&str, String)>,
    seconds: f64,
) {
    let name = escaped(&limit.expression);
    let _ = write!(text, "    <testcase classname=\"{suite}\" name=\"{name}\" time=\"{seconds:.3}\"");
    let _ = match result {
        None => writeln!(text, "/>"),
        Some(("failure", message)) if !samples.is_empty() => {
            let message = escaped(&message);
            writeln!(text, ">\n      <failure message=\"{message}\">{samples}</failure>\n    </testcase>")
        }
        Some((kind, message)) => {
            writeln!(text, ">\n      <{kind} message=\"{}\"/>\n    </testcase>", escaped(&message))
        }
    };
}

/// XML has no way to write most control characters, so they are shown escaped.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for char in clean(text).chars() {
        match char {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            _ => escaped.push(char),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use brunt_model::verdict::{Mark, Status};

    use super::*;
    use crate::output::sample;

    #[test]
    fn limits_are_cases_and_the_verdict_decides_their_kind() {
        for (status, head, within) in [
            (
                Status::Pass,
                "tests=\"2\" failures=\"0\" errors=\"0\"",
                "name=\"error_rate &lt; 50%\" time=\"10.000\"/>",
            ),
            (
                Status::Fail,
                "tests=\"2\" failures=\"1\" errors=\"0\"",
                "<failure message=\"observed 9.90 ms\"/>",
            ),
            (
                Status::Invalid,
                "tests=\"2\" failures=\"0\" errors=\"2\"",
                "<error message=\"INVALID: these figures",
            ),
        ] {
            let rendered = render(&sample::report(status));
            assert!(rendered.contains(head) && rendered.contains(within), "{rendered}");
            assert!(rendered.contains("testsuite name=\"=GET /&lt;a&gt;|\\u{1b}[31m\""), "{rendered}");
            assert!(rendered.contains("timestamp=\"2026-01-02T03:04:05\""));
        }
    }

    #[test]
    fn how_it_was_measured_comes_before_the_cases() {
        assert!(!render(&sample::report(Status::Pass)).contains("properties"));
        let mut report = sample::with_kernel_times(sample::report(Status::Pass));
        report.verdict.marks = vec![Mark::Degraded];
        let rendered = render(&report);
        let at = |text: &str| rendered.find(text).unwrap_or_else(|| panic!("{text} in {rendered}"));
        let order = [
            "<properties>",
            "name=\"mark\" value=\"degraded\"/>",
            "value=\"kernel timing on\"/>",
            "value=\"jail off: not &lt;asked&gt; for\"/>",
            "name=\"coverage\" value=\"kernel times of 99.89 %",
            "</properties>",
            "<testcase ",
        ];
        assert!(order.iter().map(|text| at(text)).is_sorted(), "{rendered}");
    }

    #[test]
    fn reasons_are_escaped() {
        let rendered = render(&sample::report(Status::Invalid));
        assert!(rendered.contains("&lt;unknown&gt; &amp; \\u{1b}[31mred"), "{rendered}");
    }
}
