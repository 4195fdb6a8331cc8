//! For a comment on a change: what a reviewer wants to know, short.

use std::fmt::Write as _;

use brunt_model::report::{Latency, Report};
use brunt_model::units::Nanos;

use super::{clean, coverage, distrust, explanation, names, observed, parts, percent, samples_of};

pub(crate) fn render(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string does not fail, here and below.
    let status = report.verdict.status.name().to_uppercase();
    let _ = writeln!(text, "### {status}: {}\n", cell(&report.run.name));
    for reason in &report.verdict.reasons {
        let _ = writeln!(text, "- {}", cell(reason));
    }
    for mark in &report.verdict.marks {
        let _ = writeln!(text, "- {}: {}", mark.name(), cell(mark.explanation()));
    }
    if !(report.verdict.reasons.is_empty() && report.verdict.marks.is_empty()) {
        text.push('\n');
    }
    limits(&mut text, report);
    if let Some(distrust) = distrust(report) {
        let _ = writeln!(text, "> **{distrust}.**\n");
    }
    rates(&mut text, report);
    latencies(&mut text, report);
    by_name(&mut text, report);
    errors(&mut text, report);
    let run = &report.run;
    let _ = writeln!(
        text,
        "{} for {}, started {}",
        cell(&run.scenario),
        Nanos(run.duration_ns),
        cell(&run.started_at)
    );
    let parts: Vec<_> = parts(&report.environment).map(|part| cell(&part)).collect();
    if !parts.is_empty() {
        let _ = writeln!(text, "\n{}", parts.join("; "));
    }
    text
}

fn limits(text: &mut String, report: &Report) {
    text.push_str("| Limit | Observed | |\n|---|---:|---|\n");
    for limit in &report.limits {
        let passed = if limit.passed { "passed" } else { "**failed**" };
        let _ = writeln!(text, "| {} | {} | {passed} |", cell(&limit.expression), observed(limit));
    }
    text.push('\n');
}

fn rates(text: &mut String, report: &Report) {
    let (rate, totals) = (&report.rate, &report.totals);
    let target = rate.target.map_or_else(String::new, |target| format!(" of {target:.1}/s"));
    let rates = match rate.arrivals {
        None => format!("{:.1}/s{target}", rate.achieved),
        // The target is one of arrivals.
        Some(arrivals) => format!("arrivals {arrivals:.1}/s{target}, requests {:.1}/s", rate.achieved),
    };
    let _ = writeln!(
        text,
        "{rates}, {} completed, {} failed ({:.2} %), {} dropped\n",
        totals.completed,
        totals.failed,
        percent(totals.failed, totals.started),
        totals.dropped
    );
    if totals.checks.are_any() {
        let _ = writeln!(text, "checks {} passed, {} failed\n", totals.checks.passed, totals.checks.failed);
    }
    if totals.retransmits > 0 {
        let _ = writeln!(
            text,
            "segments sent again {} ({} of them SYN)\n",
            totals.retransmits, totals.syn_retransmits
        );
    }
    if totals.redirects > 0 {
        let _ = writeln!(text, "redirects followed {}\n", totals.redirects);
    }
    if totals.tls_handshakes > 0 {
        let _ = writeln!(text, "tls handshakes {} ({} resumed)\n", totals.tls_handshakes, totals.tls_resumed);
    }
}

fn latencies(text: &mut String, report: &Report) {
    text.push_str("| | p50 | p90 | p99 | p99.9 | p99.99 | max |\n|---|---:|---:|---:|---:|---:|---:|\n");
    let mut row = |name: &str, latency: &Latency| {
        let times = [latency.p50, latency.p90, latency.p99, latency.p99_9, latency.p99_99, latency.max];
        let shown = |&time: &u64| if latency.count > 0 { Nanos(time).to_string() } else { "-".to_owned() };
        let times: Vec<_> = times.iter().map(shown).collect();
        let _ = writeln!(text, "| {name} | {} |", times.join(" | "));
    };
    row("response", &report.latency.response);
    row("service", &report.latency.service);
    let latency = &report.latency;
    for (name, latency) in [
        ("kernel", &latency.kernel),
        ("dwell", &latency.dwell),
        ("handshake", &latency.handshake),
        ("tls", &latency.tls),
    ] {
        if let Some(latency) = latency {
            row(name, latency);
        }
    }
    row("lag", &latency.lag);
    text.push('\n');
    if let Some(coverage) = coverage(&report.kernel) {
        let _ = writeln!(text, "{coverage}\n");
    }
}

fn by_name(text: &mut String, report: &Report) {
    let Some(table) = names::table(report) else { return };
    let _ = writeln!(
        text,
        "| Request | {} |\n|---|{}",
        table.heads.join(" | "),
        "---:|".repeat(table.heads.len())
    );
    for row in &table.rows {
        let _ = writeln!(text, "| {} | {} |", cell(&row.name), row.figures.join(" | "));
    }
    text.push('\n');
    if table.left_out > 0 {
        let _ = writeln!(text, "{} more names are in JSON and CSV\n", table.left_out);
    }
}

fn errors(text: &mut String, report: &Report) {
    if report.errors.is_empty() {
        return;
    }
    text.push_str("| Error | Count | |\n|---|---:|---|\n");
    for (kind, count) in &report.errors {
        let _ = writeln!(text, "| {} | {count} | {} |", cell(kind), cell(explanation(kind)));
    }
    text.push('\n');
    for kind in report.errors.keys() {
        for sample in samples_of(report, kind) {
            let _ = writeln!(text, "- {}: {}", cell(kind), cell(&sample));
        }
    }
    if !report.errors_samples.is_empty() {
        text.push('\n');
    }
}

/// Text that stays within its cell and is neither markup nor a mention.
fn cell(text: &str) -> String {
    let mut escaped = String::new();
    for char in clean(text).chars() {
        match char {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '@' => escaped.push_str("&#64;"),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '!' | '#' | '~' => {
                escaped.push('\\');
                escaped.push(char);
            }
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
    fn verdict_and_limits_come_first_and_names_are_only_text() {
        let rendered = render(&sample::report(Status::Fail));
        assert!(rendered.starts_with("### FAIL: =GET /&lt;a&gt;\\|\\\\u{1b}\\[31m\n"), "{rendered}");
        let at = |text: &str| rendered.find(text).unwrap_or_else(|| panic!("{text} in {rendered}"));
        assert!(at("limit missed") < at("| Limit") && at("| Limit") < at("99.0/s of 100.0/s"));
        assert!(rendered.contains("| p99(response\\_time) &lt; 1ms | 9.90 ms | **failed** |"), "{rendered}");
        assert!(rendered.contains("| reset | 6 | The server reset the connection. |"), "{rendered}");
    }

    #[test]
    fn kernel_times_are_told_where_there_were_any() {
        let plain = render(&sample::report(Status::Pass));
        for word in ["kernel", "dwell", "sent again", "guard"] {
            assert!(!plain.contains(word), "{word} in {plain}");
        }
        let rendered = render(&sample::with_kernel_times(sample::report(Status::Pass)));
        for text in [
            "\n| kernel | ",
            "\n| dwell | ",
            "\n| handshake | ",
            "\nkernel times of 99.89 % of the answers: 989 known, 0 overwritten, 1 missing\n",
            "\nsegments sent again 7 (2 of them SYN)\n",
            "\nkernel timing on; guard on: 127.0.0.0/8; jail off: not &lt;asked&gt; for\n",
        ] {
            assert!(rendered.contains(text), "{text} in {rendered}");
        }
    }

    #[test]
    fn names_checks_and_arrivals_of_flows_are_told() {
        let plain = render(&sample::report(Status::Pass));
        assert!(!["Request", "arrivals", "checks"].iter().any(|word| plain.contains(word)), "{plain}");
        let rendered = render(&sample::with_flows(sample::report(Status::Pass)));
        let end = "long/end | 113 | 3 | 9.9/s | 5.01 ms | 9.50 ms | 9.96 ms | 10.0 ms | 2 |\n";
        for text in [
            "\narrivals 49.5/s of 100.0/s, requests 99.0/s, 990 completed",
            "\nchecks 108 passed, 2 failed\n",
            "\n| Request | requests | failed | rate | p50 | p95 | p99 | max | checks failed |\n\
             |---|---:|---:|---:|---:|---:|---:|---:|---:|\n| =GET /&lt;a&gt;\\|",
            end,
            "| check\\_failed | 2 | A check on the response failed. |",
            "| extract\\_failed | 2 | A value to save",
            "| data\\_exhausted | 2 | The data feeder",
        ] {
            assert!(rendered.contains(text), "{text} in {rendered}");
        }
    }

    #[test]
    fn tls_is_told_where_there_was_any() {
        let mut report = sample::report(Status::Pass);
        let clear = render(&report);
        assert!(!clear.contains("tls") && !clear.contains("insecure"), "{clear}");
        report.latency.tls = Some(report.latency.connect.clone());
        (report.totals.tls_handshakes, report.totals.tls_resumed) = (5, 3);
        report.verdict.marks = vec![Mark::Insecure];
        let rendered = render(&report);
        for text in ["\n- insecure: the target's", "\n| tls | ", "\ntls handshakes 5 (3 resumed)\n"] {
            assert!(rendered.contains(text), "{text} in {rendered}");
        }
    }
}
