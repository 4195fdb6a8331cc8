//! The figures of each request name, for the forms that people read.

use brunt_model::report::{Report, RequestReport};
use brunt_model::units::Nanos;

/// Names shown; JSON and CSV have all of them.
const NAMES_MAX: usize = 100;

/// One row a name.
pub(super) struct Table {
    /// Above the figures; the name's own column has none.
    pub heads: Vec<&'static str>,
    pub rows: Vec<Row>,
    /// Names past [`NAMES_MAX`].
    pub left_out: usize,
}

pub(super) struct Row {
    pub name: String,
    pub figures: Vec<String>,
}

/// The table of a run with several names; one name alone has the figures of the whole run.
pub(super) fn table(report: &Report) -> Option<Table> {
    if report.requests.len() < 2 {
        return None;
    }
    let has_checks = report.requests.iter().any(|request| request.checks.are_any());
    let mut heads = vec!["requests", "failed", "rate", "p50", "p95", "p99", "max"];
    heads.extend(has_checks.then_some("checks failed"));
    let shown = report.requests.iter().take(NAMES_MAX);
    let rows = shown.map(|request| Row { name: request.name.clone(), figures: figures(report, request) });
    let mut rows: Vec<_> = rows.collect();
    rows.iter_mut().for_each(|row| row.figures.truncate(heads.len()));
    let left_out = report.requests.len() - rows.len();
    Some(Table { heads, rows, left_out })
}

fn figures(report: &Report, request: &RequestReport) -> Vec<String> {
    let r = &request.response;
    let time = |time| if r.count > 0 { Nanos(time).to_string() } else { "-".to_owned() };
    vec![
        request.completed.saturating_add(request.failed).to_string(),
        request.failed.to_string(),
        format!("{:.1}/s", rate(report, request)),
        time(r.p50),
        time(r.p95),
        time(r.p99),
        time(r.max),
        request.checks.failed.to_string(),
    ]
}

/// Completed a second. All names have the same time, so theirs is a share of the whole rate.
fn rate(report: &Report, request: &RequestReport) -> f64 {
    let all = report.requests.iter().fold(0u64, |sum, request| sum.saturating_add(request.completed));
    if all == 0 { 0.0 } else { report.rate.achieved * request.completed as f64 / all as f64 }
}

/// A text of so many characters at most: what is too long loses its middle, as names differ at both ends.
pub(super) fn shortened(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most {
        return text.to_owned();
    }
    let kept = most.saturating_sub(1);
    let (head, tail) = (kept.div_ceil(2), kept / 2);
    text.chars().take(head).chain(['…']).chain(text.chars().skip(count - tail)).collect()
}

#[cfg(test)]
mod tests {
    use brunt_model::report::Checks;
    use brunt_model::verdict::Status;

    use super::*;
    use crate::output::sample;

    #[test]
    fn what_is_too_long_loses_its_middle() {
        for (text, most, want) in [
            ("GET /a", 6, "GET /a"),
            ("GET /a/b", 7, "GET…a/b"),
            ("GET /a/b", 6, "GET…/b"),
            ("äöüäöü", 3, "ä…ü"),
            ("ab", 1, "…"),
            ("", 0, ""),
        ] {
            let got = shortened(text, most);
            assert_eq!((got.as_str(), got.chars().count() <= most), (want, true), "{text}");
        }
    }

    #[test]
    fn each_name_has_its_share_of_the_rate() {
        let mut report = sample::report(Status::Pass);
        assert!(table(&report).is_none(), "one name is the whole run");
        sample::add_name(&mut report, "POST /b", 110, 3);
        let of = |report: &Report| {
            let table = table(report).unwrap();
            (table.heads.len(), table.rows.into_iter().map(|row| row.figures).collect::<Vec<_>>())
        };
        let (heads, rows) = of(&report);
        assert_eq!((heads, rows[0].len(), rows[1].len()), (7, 7, 7));
        assert_eq!(rows[0][..3], ["1000", "10", "89.1/s"], "990 of 1100 at 99/s");
        assert_eq!(rows[1][..3], ["113", "3", "9.9/s"]);
        report.requests[1].checks = Checks { passed: 5, failed: 2 };
        let (heads, rows) = of(&report);
        assert_eq!((heads, rows[0][7].as_str(), rows[1][7].as_str()), (8, "0", "2"));
        report.requests[1].response = brunt_model::report::Latency::default();
        assert_eq!(of(&report).1[1][3], "-");
    }

    #[test]
    fn there_is_an_end_to_names() {
        let mut report = sample::report(Status::Pass);
        (0..NAMES_MAX).for_each(|name| sample::add_name(&mut report, &format!("GET /{name}"), 1, 0));
        let table = table(&report).unwrap();
        assert_eq!((table.rows.len(), table.left_out), (NAMES_MAX, 1));
    }
}
