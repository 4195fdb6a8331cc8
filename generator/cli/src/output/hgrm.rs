//! The percentile distribution of the response time as HdrHistogram's own tools print and plot it, in milliseconds.
//! The format holds one distribution; those of the kernel's times are in JSON.

use std::fmt::Write as _;

use brunt_model::report::{Latency, Report};

use super::{clean, distrust};

const NANOS_PER_MILLI: f64 = 1e6;
/// Steps for each halving of the distance to 100 %, as the reference tools have it.
const TICKS_PER_HALF: u32 = 5;

pub(crate) fn render(report: &Report) -> String {
    let mut text = String::new();
    // Lines with # are comments to every reader of this format. Writing to a string does not fail.
    if let Some(distrust) = distrust(report) {
        let _ = writeln!(text, "#[{distrust}: {}]", clean(&report.verdict.reasons.join("; ")));
    }
    let _ = writeln!(
        text,
        "{:>12} {:>14} {:>10} {:>14}\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    );
    let response = &report.latency.response;
    if let Some(histogram) = response.decode_hdr() {
        let mut total = 0;
        for step in histogram.iter_quantiles(TICKS_PER_HALF) {
            total += step.count_since_last_iteration();
            let (value, quantile) =
                (step.value_iterated_to() as f64 / NANOS_PER_MILLI, step.quantile_iterated_to());
            let _ = write!(text, "{value:12.6} {quantile:2.12} {total:10}");
            let _ = if quantile < 1.0 {
                writeln!(text, " {:14.2}", 1.0 / (1.0 - quantile))
            } else {
                writeln!(text)
            };
        }
    }
    footer(&mut text, response);
    text
}

fn footer(text: &mut String, response: &Latency) {
    let millis = |nanos: f64| nanos / NANOS_PER_MILLI;
    let (mean, deviation) = (millis(response.mean), millis(response.stddev));
    let _ = writeln!(text, "#[Mean    = {mean:12.6}, StdDeviation   = {deviation:12.6}]");
    let (max, count) = (millis(response.max as f64), response.count);
    let _ = writeln!(text, "#[Max     = {max:12.6}, Total count    = {count:12}]");
}

#[cfg(test)]
mod tests {
    use brunt_model::verdict::Status;

    use super::*;
    use crate::output::sample;

    #[test]
    fn percentiles_rise_to_the_maximum() {
        let report = sample::report(Status::Pass);
        let rendered = render(&report);
        let rows: Vec<Vec<f64>> = rendered
            .lines()
            .skip(2)
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split_ascii_whitespace().map(|field| field.parse().unwrap()).collect())
            .collect();
        assert!(
            rows.len() > 10 && rows.iter().is_sorted_by(|a, b| a[0] <= b[0] && a[1] <= b[1] && a[2] <= b[2])
        );
        let last = rows.last().unwrap();
        assert_eq!((last[1], last[2]), (1.0, 1_000.0));
        assert!((last[0] - 10.0).abs() < 0.1, "{last:?} is in milliseconds");
        assert!(rendered.contains("#[Max     =    10.000000, Total count    =         1000]"), "{rendered}");
    }

    #[test]
    fn nothing_measured_is_an_empty_distribution() {
        let mut report = sample::report(Status::Pass);
        report.latency.response = Latency::default();
        assert!(render(&report).contains("Total count    =            0]"));
    }
}
