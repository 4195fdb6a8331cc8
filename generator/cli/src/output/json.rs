//! The result as JSON: the contract of `schema_version` 1.

use brunt_model::report::Report;

pub(crate) fn render(report: &Report) -> String {
    let mut text =
        serde_json::to_string_pretty(report).expect("a report has only string keys and finite numbers");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use brunt_model::verdict::Status;

    use super::*;
    use crate::output::sample;

    #[test]
    fn what_is_written_can_be_read_again() {
        let written = render(&sample::report(Status::Pass));
        let read: Report = serde_json::from_str(&written).unwrap();
        assert_eq!(render(&read), written);
        assert!(written.contains("\\u001b[31m"), "control characters are escaped");
    }

    #[test]
    fn a_result_of_an_earlier_build_can_be_read() {
        let mut value = serde_json::to_value(sample::report(Status::Pass)).unwrap();
        for (place, fields) in [
            ("", &["kernel", "errors_samples"][..]),
            ("/totals", &["retransmits", "syn_retransmits", "checks"]),
            ("/requests/0", &["kernel", "dwell", "checks"]),
            ("/rate", &["arrivals"]),
            ("/environment", &["guard", "jail", "paused_ns", "listen_drops", "softnet_drops"]),
        ] {
            let object = value.pointer_mut(place).and_then(serde_json::Value::as_object_mut).unwrap();
            for field in fields {
                assert!(object.remove(*field).is_some(), "{place} has {field}");
            }
        }
        let read: Report = serde_json::from_value(value).unwrap();
        assert_eq!((read.kernel.coverage, read.totals.retransmits), (None, 0));
        assert!(!read.totals.checks.are_any() && !read.requests[0].checks.are_any());
        assert_eq!(read.rate.arrivals, None);
        assert!(read.environment.guard.is_empty() && read.requests[0].kernel.is_none());
    }
}
