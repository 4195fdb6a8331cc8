//! One row for each request name and one for all, for spreadsheets (RFC 4180).

use std::collections::BTreeMap;

use brunt_model::report::{Checks, Latency, Report};

use super::clean;

const HEADER: &str = "name,verdict,completed,failed,response_min_ns,response_mean_ns,response_p50_ns,response_p75_ns,\
response_p90_ns,response_p95_ns,response_p99_ns,response_p99_9_ns,response_p99_99_ns,response_max_ns,service_p50_ns,\
service_p99_ns,service_max_ns,first_byte_p50_ns,first_byte_p99_ns,kernel_p50_ns,kernel_p99_ns,kernel_max_ns,dwell_p50_ns,\
dwell_p99_ns,dwell_max_ns,checks_passed,checks_failed,errors\r\n";

/// What a row is made of.
struct Row<'a> {
    name: &'a str,
    completed: u64,
    failed: u64,
    response: &'a Latency,
    service: &'a Latency,
    first_byte: &'a Latency,
    kernel: Option<&'a Latency>,
    dwell: Option<&'a Latency>,
    checks: Checks,
    errors: &'a BTreeMap<String, u64>,
}

pub(crate) fn render(report: &Report) -> String {
    let verdict = report.verdict.status.name();
    let requests = report.requests.iter().map(|request| Row {
        name: &request.name,
        completed: request.completed,
        failed: request.failed,
        response: &request.response,
        service: &request.service,
        first_byte: &request.first_byte,
        kernel: request.kernel.as_ref(),
        dwell: request.dwell.as_ref(),
        checks: request.checks,
        errors: &request.errors,
    });
    let latency = &report.latency;
    let total = Row {
        name: "total",
        // Totals count the warm-up too, which is in no row.
        completed: report.requests.iter().map(|request| request.completed).sum(),
        failed: report.requests.iter().map(|request| request.failed).sum(),
        response: &latency.response,
        service: &latency.service,
        first_byte: &latency.first_byte,
        kernel: latency.kernel.as_ref(),
        dwell: latency.dwell.as_ref(),
        checks: report.totals.checks,
        errors: &report.errors,
    };
    let rows: String = requests.chain([total]).map(|row| line(&row, verdict)).collect();
    format!("{HEADER}{rows}")
}

fn line(row: &Row<'_>, verdict: &str) -> String {
    let r = row.response;
    let mut fields =
        vec![cell(row.name), verdict.to_owned(), row.completed.to_string(), row.failed.to_string()];
    let mean = r.mean.round();
    fields.push(if r.count > 0 { r.min.to_string() } else { String::new() });
    fields.push(if r.count > 0 { format!("{mean:.0}") } else { String::new() });
    let (service, first_byte) = (row.service, row.first_byte);
    fields.extend(times(r, &[r.p50, r.p75, r.p90, r.p95, r.p99, r.p99_9, r.p99_99, r.max]));
    fields.extend(times(service, &[service.p50, service.p99, service.max]));
    fields.extend(times(first_byte, &[first_byte.p50, first_byte.p99]));
    // New columns come last, so that the others keep their places.
    let none = Latency::default();
    for seen in [row.kernel, row.dwell] {
        let seen = seen.unwrap_or(&none);
        fields.extend(times(seen, &[seen.p50, seen.p99, seen.max]));
    }
    fields.extend([row.checks.passed.to_string(), row.checks.failed.to_string(), cell(&counts(row.errors))]);
    fields.join(",") + "\r\n"
}

/// Counts by kind in one cell, as in `reset=6 status=4`: a column for each kind would nearly always be zero.
fn counts(errors: &BTreeMap<String, u64>) -> String {
    let each: Vec<_> = errors.iter().map(|(kind, count)| format!("{kind}={count}")).collect();
    each.join(" ")
}

/// What was never measured is empty, not zero.
fn times(latency: &Latency, values: &[u64]) -> Vec<String> {
    let text = |value: &u64| if latency.count > 0 { value.to_string() } else { String::new() };
    values.iter().map(text).collect()
}

/// A quoted cell. A leading apostrophe keeps spreadsheets from taking text for a formula.
fn cell(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    format!("\"{guard}{}\"", clean(text).replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use brunt_model::verdict::Status;

    use super::*;
    use crate::output::sample;

    #[test]
    fn a_header_a_row_for_each_name_and_the_total() {
        let rendered = render(&sample::report(Status::Pass));
        let lines: Vec<_> = rendered.lines().collect();
        assert_eq!(lines.len(), 3);
        let columns = lines[0].split(',').count();
        assert!(lines.iter().all(|line| line.split(',').count() == columns));
        assert!(lines[1].starts_with("\"'=GET /<a>|\\u{1b}[31m\",pass,990,10,10000,"), "{}", lines[1]);
        assert!(lines[2].starts_with("\"total\",pass,990,10,"));
    }

    #[test]
    fn kernel_times_come_late_and_are_empty_where_there_are_none() {
        let plain = render(&sample::report(Status::Pass));
        assert!(plain.lines().skip(1).all(|line| line.contains(",,,,,,,0,0,")), "{plain}");
        let report = sample::with_kernel_times(sample::report(Status::Pass));
        let (kernel, dwell) =
            (report.latency.kernel.as_ref().unwrap(), report.latency.dwell.as_ref().unwrap());
        let times = [kernel.p50, kernel.p99, kernel.max, dwell.p50, dwell.p99, dwell.max];
        let want = times.map(|time| format!(",{time}")).concat() + ",0,0,";
        let rendered = render(&report);
        assert!(rendered.lines().skip(1).all(|line| line.contains(&want)), "{want} in {rendered}");
    }

    #[test]
    fn checks_and_errors_come_last() {
        let rendered = render(&sample::with_flows(sample::report(Status::Pass)));
        let lines: Vec<_> = rendered.lines().collect();
        for (line, want) in [
            (0, ",checks_passed,checks_failed,errors"),
            (1, ",0,0,\"reset=6 status=4\""),
            (2, ",108,2,\"check_failed=2 reset=6 status=4\""),
            (3, ",108,2,\"check_failed=2 data_exhausted=2 extract_failed=2 reset=6 status=4\""),
        ] {
            assert!(lines[line].ends_with(want), "{want} ends {}", lines[line]);
        }
    }

    #[test]
    fn cells_are_never_formulas() {
        for (text, want) in [("GET /", "\"GET /\""), ("@SUM(1)", "\"'@SUM(1)\""), ("a\"b", "\"a\"\"b\"")] {
            assert_eq!(cell(text), want);
        }
    }
}
