//! The report for a terminal. The verdict and the limits come first; figures of a run that is not to be trusted say so
//! in the heading right above them.

use std::fmt::Write as _;

use brunt_model::report::{Latency, RateReport, Report};
use brunt_model::tempo::RateChange;
use brunt_model::units::{Bytes, Nanos};
use brunt_model::verdict::Status;

use super::{clean, coverage, distrust, explanation, names, observed, parts, percent, samples_of};

/// Changes of the rate that are named; the others are in the JSON.
const RATE_CHANGES_NAMED: usize = 5;
/// Rows of the histogram.
const BARS: u32 = 12;
/// Columns of its longest bar.
const BAR_WIDTH: f64 = 40.0;
/// What a line of the table of names has room for.
const COLUMNS: usize = 110;
/// Names are never cut to less than this.
const NAME_LEAST: usize = 10;
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

pub(crate) fn render(report: &Report, coloured: bool) -> String {
    let mut page = Page { text: String::new(), coloured, distrust: distrust(report) };
    verdict(&mut page, report);
    limits(&mut page, report);
    rate(&mut page, report);
    latencies(&mut page, report);
    by_name(&mut page, report);
    histogram(&mut page, &report.latency.response);
    errors(&mut page, report);
    statuses(&mut page, report);
    totals(&mut page, report);
    environment(&mut page, report);
    page.text
}

/// Text under way. Writing to a string does not fail, so nothing here returns an error.
struct Page {
    text: String,
    coloured: bool,
    distrust: Option<&'static str>,
}

impl Page {
    fn line(&mut self, line: &str) {
        let _ = writeln!(self.text, "  {}", line.trim_end());
    }

    fn heading(&mut self, heading: &str) {
        let heading = self.painted("1", heading);
        let _ = writeln!(self.text, "\n{heading}");
    }

    /// A heading above measured figures.
    fn figures(&mut self, heading: &str) {
        match self.distrust {
            None => self.heading(heading),
            Some(distrust) => {
                let warning = self.painted("1;33", distrust);
                let heading = self.painted("1", heading);
                let _ = writeln!(self.text, "\n{heading}  {warning}");
            }
        }
    }

    /// With an ANSI rendition (ECMA-48 section 8.3.117) where colour is wanted.
    fn painted(&self, rendition: &str, text: &str) -> String {
        if self.coloured { format!("\x1b[{rendition}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

fn verdict(page: &mut Page, report: &Report) {
    let status = report.verdict.status;
    let rendition = match status {
        Status::Pass => "1;32",
        Status::Fail | Status::Error | Status::Refused => "1;31",
        Status::Invalid | Status::Stopped => "1;33",
    };
    let word = page.painted(rendition, &status.name().to_uppercase());
    let (name, target) = (clean(&report.run.name), clean(&report.run.scenario));
    let _ = writeln!(page.text, "{word}  {name}  {target}");
    for reason in &report.verdict.reasons {
        page.line(&format!("- {}", clean(reason)));
    }
    for mark in &report.verdict.marks {
        page.line(&format!("- {}: {}", mark.name(), mark.explanation()));
    }
}

fn limits(page: &mut Page, report: &Report) {
    page.figures("limits");
    let width = report.limits.iter().map(|limit| limit.expression.chars().count()).max().unwrap_or(0);
    for limit in &report.limits {
        let word = if limit.passed { page.painted("32", "passed") } else { page.painted("31", "FAILED") };
        page.line(&format!("{word}  {:width$}  observed {}", clean(&limit.expression), observed(limit)));
    }
}

fn rate(page: &mut Page, report: &Report) {
    page.figures("rate");
    let RateReport { target, achieved, arrivals, over_ns } = report.rate;
    let duration = Nanos(over_ns);
    // A target is one of arrivals.
    let (what, reached, requests) = match arrivals {
        None => ("achieved", achieved, String::new()),
        Some(arrivals) => ("arrivals", arrivals, format!(", requests {achieved:.1}/s")),
    };
    match target {
        Some(target) if target > 0.0 => {
            let share = reached / target * 100.0;
            page.line(&format!(
                "target {target:.1}/s, {what} {reached:.1}/s ({share:.1} %){requests}, over {duration}"
            ));
        }
        _ => page.line(&format!(
            "{what} {reached:.1}/s{requests}, over {duration} (no target: not all of the load is open)"
        )),
    }
    rate_changes(page, &report.run.rate_changes);
}

/// A run whose rate was changed by hand is not the run of its plan.
fn rate_changes(page: &mut Page, changes: &[RateChange]) {
    if changes.is_empty() {
        return;
    }
    let named = changes.iter().take(RATE_CHANGES_NAMED).map(|change| {
        format!("to {:.1} % after {}", f64::from(change.per_mille) / 10.0, Nanos(change.at_ns))
    });
    let more = match changes.len().saturating_sub(RATE_CHANGES_NAMED) {
        0 => String::new(),
        more => format!(", and {more} times more"),
    };
    page.line(&format!("changed by hand: {}{more}", named.collect::<Vec<_>>().join(", ")));
}

fn latencies(page: &mut Page, report: &Report) {
    page.figures("latency");
    let columns = ["p50", "p75", "p90", "p95", "p99", "p99.9", "p99.99", "max"];
    let columns = columns.map(|column| format!("{column:>9}")).concat();
    page.line(&format!("{:<10}{columns}", ""));
    let latency = &report.latency;
    for (name, latency) in [
        ("response", Some(&latency.response)),
        ("service", Some(&latency.service)),
        ("first byte", Some(&latency.first_byte)),
        ("kernel", latency.kernel.as_ref()),
        ("dwell", latency.dwell.as_ref()),
        ("connect", Some(&latency.connect)),
        ("handshake", latency.handshake.as_ref()),
        ("tls", latency.tls.as_ref()),
        ("lag", Some(&latency.lag)),
    ] {
        if let Some(latency) = latency {
            page.line(&latency_row(name, latency));
        }
    }
    if let Some(coverage) = coverage(&report.kernel) {
        page.line(&coverage);
        page.line("kernel is the server and the wire alone, dwell the wait of an answer to be read here");
    }
}

fn latency_row(name: &str, latency: &Latency) -> String {
    if latency.count == 0 {
        return format!("{name:<10}  nothing measured");
    }
    let l = latency;
    let times = [l.p50, l.p75, l.p90, l.p95, l.p99, l.p99_9, l.p99_99, l.max];
    let times = times.map(|time| format!("{:>9}", Nanos(time).to_string())).concat();
    format!("{name:<10}{times}")
}

/// One line a name, in columns as wide as what is in them.
fn by_name(page: &mut Page, report: &Report) {
    let Some(table) = names::table(report) else { return };
    page.figures("requests by name");
    let width = |column: usize| {
        let figures = table.rows.iter().map(|row| row.figures[column].len());
        figures.max().unwrap_or(0).max(table.heads[column].len()) + 2
    };
    let widths: Vec<_> = (0..table.heads.len()).map(width).collect();
    let room = (COLUMNS - 2).saturating_sub(widths.iter().sum()).max(NAME_LEAST);
    let names: Vec<_> = table.rows.iter().map(|row| names::shortened(&clean(&row.name), room)).collect();
    let room = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let figures = |figures: &mut dyn Iterator<Item = &str>| -> String {
        figures.zip(&widths).map(|(figure, width)| format!("{figure:>width$}")).collect()
    };
    page.line(&format!("{:room$}{}", "", figures(&mut table.heads.iter().copied())));
    for (name, row) in names.iter().zip(&table.rows) {
        page.line(&format!("{name:room$}{}", figures(&mut row.figures.iter().map(String::as_str))));
    }
    if table.left_out > 0 {
        page.line(&format!("{} more names are in -o json and -o csv", table.left_out));
    }
}

/// Counts over bounds that grow by a constant factor: latencies spread over orders of magnitude.
fn histogram(page: &mut Page, response: &Latency) {
    let Some(histogram) = response.decode_hdr().filter(|histogram| !histogram.is_empty()) else { return };
    page.figures("response time");
    let bounds = bounds(response.min, response.max);
    let counts: Vec<_> =
        bounds.windows(2).map(|pair| histogram.count_between(pair[0] + 1, pair[1])).collect();
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    for (bound, &count) in bounds[1..].iter().zip(&counts) {
        let bar = bar(count as f64 / most as f64);
        let share = percent(count, histogram.len());
        page.line(&format!("<= {:>8} {count:>10} {share:6.2} % {bar}", Nanos(*bound).to_string()));
    }
}

/// Rising bounds around all values from `min` to `max`, at most [`BARS`] intervals.
fn bounds(min: u64, max: u64) -> Vec<u64> {
    let low = min.max(1) as f64;
    // What is stored has three digits, so its end may lie a little above the maximum.
    let high = (max as f64 * 1.001).max(low + 1.0);
    let factor = (high / low).powf(1.0 / f64::from(BARS));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bounds lie between two times"
    )]
    let inner = (1..BARS).map(|i| (low * factor.powf(f64::from(i))) as u64);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the end is a time")]
    let end = high.ceil() as u64;
    let mut bounds: Vec<_> = [0].into_iter().chain(inner).chain([end]).collect();
    bounds.dedup();
    bounds
}

/// A bar for a share of one.
fn bar(share: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a small constant"
    )]
    let eighths = (share.clamp(0.0, 1.0) * BAR_WIDTH * 8.0).round() as usize;
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

fn errors(page: &mut Page, report: &Report) {
    if report.errors.is_empty() {
        return;
    }
    page.figures("errors");
    let mut errors: Vec<_> = report.errors.iter().collect();
    errors.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for (name, count) in errors {
        page.line(&format!("{:<20} {count:>10}  {}", clean(name), explanation(name)));
        for sample in samples_of(report, name) {
            page.line(&format!("  e.g. {}", clean(&sample)));
        }
    }
}

fn statuses(page: &mut Page, report: &Report) {
    if report.status.is_empty() {
        return;
    }
    page.figures("status codes");
    for (status, count) in &report.status {
        page.line(&format!("{:<20} {count:>10}", clean(status)));
    }
}

fn totals(page: &mut Page, report: &Report) {
    let t = &report.totals;
    page.heading("totals");
    page.line(&format!(
        "arrivals     {} scheduled, {} finished, {} failed, {} dropped, {} in flight, {} lost",
        t.scheduled, t.finished, t.failed_arrivals, t.dropped, t.in_flight, t.lost
    ));
    page.line(&format!("requests     {} started, {} completed, {} failed", t.started, t.completed, t.failed));
    page.line(&format!(
        "traffic      {} in, {} out, {} connections opened",
        Bytes(t.bytes_in),
        Bytes(t.bytes_out),
        t.connections_opened
    ));
    if t.checks.are_any() {
        page.line(&format!("checks       {} passed, {} failed", t.checks.passed, t.checks.failed));
    }
    if t.retransmits > 0 || report.environment.has_kernel_timing() {
        page.line(&format!("retransmits  {} segments, {} of them SYN", t.retransmits, t.syn_retransmits));
    }
    if t.redirects > 0 {
        page.line(&format!("redirects      {} followed, each part of the request before it", t.redirects));
    }
    if t.tls_handshakes > 0 {
        page.line(&format!("tls handshakes {} ({} resumed)", t.tls_handshakes, t.tls_resumed));
    }
}

fn environment(page: &mut Page, report: &Report) {
    let (run, e) = (&report.run, &report.environment);
    page.heading("run");
    page.line(&format!("{}, started {}, seed {}", clean(&run.id), clean(&run.started_at), run.seed));
    page.line(&clean(&format!("brunt {}, {}, {}", e.version, e.kernel, e.cpu)));
    // Results of earlier builds do not have it.
    if !e.protocol.is_empty() {
        page.line(&clean(&e.protocol));
    }
    let busiest = report.workers.iter().map(|worker| worker.cpu_busiest).fold(0.0, f64::max);
    let cores: u32 = report.workers.iter().map(|worker| worker.cores).sum();
    let busiest = busiest * 100.0;
    page.line(&format!("engine cores {cores}, the busiest {busiest:.0} % busy; I/O {}", clean(&e.io)));
    page.line(&format!("pace {}", clean(&e.pace)));
    parts(e).for_each(|part| page.line(&clean(&part)));
    page.line(&format!(
        "host took {} by steal, {} by run-queue delay, {} by CPU quota; cores stood still for {}",
        Nanos(e.steal_ns),
        Nanos(e.run_delay_ns),
        Nanos(e.throttled_ns),
        Nanos(e.stalled_ns)
    ));
    if e.paused_ns > 0 {
        page.line(&format!("the engine was paused for {}", Nanos(e.paused_ns)));
    }
    if e.listen_drops + e.softnet_drops > 0 {
        page.line(&format!(
            "host dropped {} connects at a listening socket and {} packets before TCP",
            e.listen_drops, e.softnet_drops
        ));
    }
}

#[cfg(test)]
mod tests {
    use brunt_model::verdict::Mark;

    use super::*;
    use crate::output::sample;

    #[test]
    fn the_verdict_and_the_limits_come_first() {
        let rendered = render(&sample::report(Status::Fail), false);
        assert!(rendered.starts_with("FAIL  =GET /<a>|\\u{1b}[31m  http://127.0.0.1:8080/a\n"), "{rendered}");
        let at = |text: &str| rendered.find(text).unwrap_or_else(|| panic!("{text} in {rendered}"));
        let order = [
            "limit missed",
            "\nlimits\n",
            "FAILED  p99(response_time) < 1ms  observed 9.90 ms",
            "\nrate\n",
            "target 100.0/s, achieved 99.0/s (99.0 %)",
            "p99.99",
            "response    5.0",
            "\nresponse time\n",
            "\nerrors\n",
            "reset                         6  The server reset the connection.",
            "\nstatus codes\n",
            "1000 started, 990 completed, 10 failed",
            "1.0 MiB in, 64.0 KiB out, 5 connections opened",
        ];
        assert!(order.iter().map(|text| at(text)).is_sorted(), "{rendered}");
        assert!(!rendered.contains("INVALID"));
    }

    #[test]
    fn figures_of_an_invalid_run_say_so_right_there() {
        let rendered = render(&sample::report(Status::Invalid), false);
        for heading in ["limits", "rate", "latency", "response time", "errors", "status codes"] {
            assert!(
                rendered.contains(&format!("\n{heading}  INVALID: these figures do not describe the target")),
                "{heading}"
            );
        }
    }

    #[test]
    fn names_checks_and_arrivals_of_flows_are_told() {
        let plain = render(&sample::report(Status::Pass), false);
        assert!(!["by name", "arrivals 4", "checks"].iter().any(|word| plain.contains(word)), "{plain}");
        let mut report = sample::with_flows(sample::report(Status::Pass));
        let rendered = render(&report, false);
        for text in [
            "\n  target 100.0/s, arrivals 49.5/s (49.5 %), requests 99.0/s, over 10.0 s\n",
            "\n  checks       108 passed, 2 failed\n",
            "\n  check_failed                  2  A check on the response failed.\n",
            "\n  extract_failed                2  A value to save",
            "\n  data_exhausted                2  The data feeder",
        ] {
            assert!(rendered.contains(text), "{text} in {rendered}");
        }
        let lines: Vec<_> = rendered.lines().skip_while(|line| *line != "requests by name").take(4).collect();
        let [_, heads, first, second] = lines[..] else { panic!("{rendered}") };
        let ends = [
            (heads, "  requests  failed    rate      p50      p95      p99      max  checks failed"),
            (first, "      1000      10  89.1/s  5.01 ms  9.50 ms  9.96 ms  10.0 ms              0"),
            (second, "       113       3   9.9/s  5.01 ms  9.50 ms  9.96 ms  10.0 ms              2"),
        ];
        for (line, end) in ends {
            assert!(line.ends_with(end) && line.chars().count() == 110, "{line} ends {end}");
        }
        assert!(second.starts_with("  GET /longlong") && second.contains("…"), "{second}");
        assert!(second.contains("long/end  "), "{second}");
        report.rate.target = None;
        let closed =
            "\n  arrivals 49.5/s, requests 99.0/s, over 10.0 s (no target: not all of the load is open)\n";
        assert!(render(&report, false).contains(closed));
    }

    #[test]
    fn tls_is_told_where_there_was_any() {
        let mut report = sample::report(Status::Pass);
        let clear = render(&report, false);
        assert!(!clear.contains("tls") && !clear.contains("insecure"), "{clear}");
        report.latency.tls = Some(report.latency.connect.clone());
        (report.totals.tls_handshakes, report.totals.tls_resumed) = (5, 3);
        report.verdict.marks = vec![Mark::Insecure];
        report.environment.protocol = "HTTP/2 over TLS 1.3".to_owned();
        let rendered = render(&report, false);
        for line in [
            "\n  - insecure: the target's certificate was not verified\n",
            "\n  tls          ",
            "\n  tls handshakes 5 (3 resumed)\n",
            "\n  HTTP/2 over TLS 1.3\n",
        ] {
            assert!(rendered.contains(line), "{line} in {rendered}");
        }
    }

    #[test]
    fn kernel_times_stand_beside_the_application_s() {
        let plain = render(&sample::report(Status::Pass), false);
        for word in ["kernel", "dwell", "handshake", "retransmits", "guard", "jail", "paused", "dropped 1"] {
            assert!(!plain.contains(word), "{word} in {plain}");
        }
        let mut report = sample::with_kernel_times(sample::report(Status::Pass));
        (report.environment.paused_ns, report.environment.softnet_drops) = (5_000_000, 12);
        let rendered = render(&report, false);
        let at = |text: &str| rendered.find(text).unwrap_or_else(|| panic!("{text} in {rendered}"));
        let order = [
            "\n  first byte  ",
            "\n  kernel      ",
            "\n  dwell       ",
            "\n  connect     ",
            "\n  handshake   ",
            "\n  lag         ",
            "\n  kernel times of 99.89 % of the answers: 989 known, 0 overwritten, 1 missing\n",
            "\n  retransmits  7 segments, 2 of them SYN\n",
            "\n  kernel timing on\n",
            "\n  guard on: 127.0.0.0/8\n",
            "\n  jail off: not <asked> for\n",
            "\n  the engine was paused for 5.00 ms\n",
            "\n  host dropped 0 connects at a listening socket and 12 packets before TCP\n",
        ];
        assert!(order.iter().map(|text| at(text)).is_sorted(), "{rendered}");
    }

    #[test]
    fn colour_is_only_where_it_is_wanted() {
        let report = sample::report(Status::Pass);
        assert!(render(&report, true).starts_with("\x1b[1;32mPASS\x1b[0m"));
        assert!(!render(&report, false).contains('\x1b'));
    }

    #[test]
    fn a_histogram_counts_every_value_once() {
        let report = sample::report(Status::Pass);
        let rendered = render(&report, false);
        let counts: u64 = rendered
            .lines()
            .filter_map(|line| line.strip_prefix("  <= "))
            .map(|line| line.split_ascii_whitespace().nth(2).unwrap().parse::<u64>().unwrap())
            .sum();
        assert_eq!(counts, report.latency.response.count, "{rendered}");
    }

    #[test]
    fn bounds_rise_and_bars_fit() {
        for (min, max) in [(0, 0), (1, 1), (5, 6), (100, 1_000_000), (7, u64::MAX / 2)] {
            let bounds = bounds(min, max);
            assert!(
                bounds.is_sorted_by(|a, b| a < b) && bounds[0] < min.max(1) && *bounds.last().unwrap() >= max
            );
        }
        for (share, want) in [(0.0, 0), (1.0, 40), (0.51, 21), (2.0, 40)] {
            assert_eq!(bar(share).chars().count(), want);
        }
    }
}
