//! Exchanges for a terminal: `>` is what was sent, `<` what was answered.

use std::fmt::Write as _;

use super::view::{Shown, ShownPart, Summary};
use crate::output::clean;
use brunt_model::units::{Bytes, Nanos};

const HEADING: &str =
    "each flow once, as one user; think and pacing take 1 s at most, and limits are not judged";

pub(super) fn render(shown: &[Shown], summary: &Summary) -> String {
    // Writing to a string does not fail, here and below.
    let mut text = format!("{HEADING}\n");
    for (number, exchange) in (1..).zip(shown) {
        let _ = writeln!(text, "\n{number}. {}  (flow {})", clean(&exchange.name), clean(&exchange.flow));
        exchanged(&mut text, exchange);
    }
    text.push('\n');
    sum(&mut text, summary);
    text
}

fn exchanged(text: &mut String, exchange: &Shown) {
    match &exchange.request {
        Some(request) => part(text, '>', request),
        None => text.push_str("  not sent\n"),
    }
    if let Some(response) = &exchange.response {
        part(text, '<', response);
    }
    let _ = writeln!(text, "  {}", times(exchange));
    let status = exchange.status.map_or_else(String::new, |status| format!(" with {status}"));
    let _ = match exchange.error {
        None => writeln!(text, "  {}{status}", exchange.outcome),
        Some(error) => writeln!(text, "  FAILED{status}: {error}: {}", exchange.explanation),
    };
    for check in &exchange.checks {
        let word = if check.passed { "passed" } else { "FAILED" };
        let _ = writeln!(text, "  check {word}: {}", clean(&check.check));
    }
    for value in &exchange.saved {
        let _ = writeln!(text, "  saved {} = {}", clean(&value.name), clean(&value.value));
    }
    if exchange.left_out > 0 {
        let _ = writeln!(text, "\n{} more exchanges were made and are not shown", exchange.left_out);
    }
}

fn part(text: &mut String, mark: char, part: &ShownPart) {
    let mut line = |line: &str| {
        let _ = writeln!(text, "{}", format!("{mark} {}", clean(line)).trim_end());
    };
    part.head.iter().for_each(|field| line(field));
    line("");
    if let Some(body) = part.body.as_ref().filter(|body| !body.is_empty()) {
        body.split('\n').map(|row| row.strip_suffix('\r').unwrap_or(row)).for_each(&mut line);
    }
    match &part.body_hex {
        Some(hex) => line(&format!("[{} that are no text: {hex} ...]", Bytes(part.body_size))),
        None if part.body_left_out > 0 => line(&format!("[{} more]", Bytes(part.body_left_out))),
        None => {}
    }
}

fn times(exchange: &Shown) -> String {
    let times = [
        ("connect", exchange.connect_ns),
        ("tls", exchange.tls_ns),
        ("first byte", exchange.first_byte_ns),
        ("total", Some(exchange.total_ns)),
    ];
    let known = times.iter().filter_map(|(name, time)| time.map(|time: Nanos| format!("{name} {time}")));
    known.collect::<Vec<_>>().join(", ")
}

fn sum(text: &mut String, summary: &Summary) {
    for reason in &summary.reasons {
        let _ = writeln!(text, "{}", clean(reason));
    }
    if summary.flows_not_begun > 0 {
        let _ = writeln!(text, "{} of {} flows were not begun", summary.flows_not_begun, summary.flows);
    }
    let Summary { requests, completed, failed, .. } = summary;
    let _ = writeln!(text, "{requests} requests, {completed} completed, {failed} failed");
}
