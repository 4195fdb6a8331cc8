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
}
