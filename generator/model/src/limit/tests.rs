use proptest::prelude::*;

use super::*;
use crate::outcome::{ErrorKind, Outcome};
use crate::sample::{Kernel, Sample};

fn stats() -> Stats {
    let mut stats = Stats::new(3);
    let known = Kernel::Known { left_ns: 2_000, arrived_ns: 5_002_000 };
    for (i, outcome, kernel, first_byte_ns) in [
        (1, Outcome::Completed(200), known, Some(5_009_000)),
        (2, Outcome::Failed(ErrorKind::Reset), Kernel::Off, None),
    ] {
        let sample = Sample {
            intended_ns: 0,
            ready_ns: 0,
            sent_ns: Some(1_000),
            first_byte_ns,
            done_ns: i * 10_000_000,
            bytes_in: 0,
            kernel,
            outcome,
        };
        stats.record(0, &sample, true, 0);
    }
    let slow = Sample {
        intended_ns: 0,
        ready_ns: 0,
        sent_ns: None,
        first_byte_ns: None,
        done_ns: 40_000_000,
        bytes_in: 0,
        kernel: Kernel::Off,
        outcome: Outcome::Completed(200),
    };
    stats.record(1, &slow, true, 0);
    stats.record_checks(0, 3, 1);
    stats.record_checks(1, 0, 1);
    stats
}

/// Two ended requests of the first, a slower one of the second, and none of the third.
fn catalogue() -> Catalogue {
    let names = ["GET /items/{id}", "say \"hi\" \\", "never"].map(String::from).to_vec();
    let tags = vec![vec!["smoke".into()], vec!["smoke".into(), "slow".into()], vec!["rare".into()]];
    Catalogue { names, tags }
}

fn check(text: &str) -> bool {
    text.parse::<Limit>().unwrap().check(&stats(), &catalogue(), Nanos::from_secs(1)).passed
}

#[test]
fn limits_hold_or_not() {
    assert!(check("p50(response_time) < 21ms") && !check("p50(response_time) < 19ms"));
    assert!(check("max( response_time )>=20ms") && !check("p99.9(response_time_ok) > 45ms"));
    assert!(check("error_rate <= 34%") && !check("error_rate < 33 %") && check("error_rate < 0.34"));
    assert!(check("rate >= 2/s") && !check("rate > 2"));
    assert!(check("mean(lag) < 2us"));
    assert!(check("p99(kernel_time) < 5.1ms") && !check("min(kernel_time) < 4.9ms"));
    assert!(check("max(dwell_time) < 8us") && !check("p99( dwell_time ) < 6us"));
    assert!(!check("p99(connect_time) < 1s"), "nothing measured is not a pass");
}

#[test]
fn a_scope_selects_requests() {
    const ITEMS: &str = r#"name="GET /items/{id}""#;
    assert!(check(&format!("max(response_time,{ITEMS}) < 21ms")) && !check(&format!("rate({ITEMS}) > 1")));
    assert!(
        check(r#"min(response_time, name="say \"hi\" \\") > 39ms"#)
            && check(r#"rate( tag = "slow" ) >= 1/s"#)
    );
    assert!(check(&format!("error_rate({ITEMS}) >= 50%")) && check(r#"error_rate(tag="slow") <= 0%"#));
    assert!(check(r#"error_rate(tag="smoke") < 34%"#) && !check(r#"error_rate(tag="smoke") < 33%"#));
    assert!(check("check_rate >= 60%") && !check("check_rate > 60%"));
    assert!(check(&format!("check_rate({ITEMS}) >= 75%")) && !check(r#"check_rate(tag="slow") > 0%"#));
    for nothing in ["p99(service_time", "error_rate(", "check_rate("] {
        let comma = if nothing.ends_with('(') { "" } else { ", " };
        let bound = if comma.is_empty() { "100%" } else { "1h" };
        for scope in [r#"name="never""#, r#"tag="rare""#, r#"name="unknown""#] {
            assert!(
                !check(&format!("{nothing}{comma}{scope}) <= {bound}")),
                "{nothing} {scope}: nothing measured"
            );
        }
    }
}

#[test]
fn kernel_times_of_a_scope_must_be_known_of_nearly_all_its_answers() {
    assert!(check(r#"p99(kernel_time, name="GET /items/{id}") < 6ms"#));
    assert!(!check(r#"p99(kernel_time, tag="smoke") < 6ms"#), "of one answer nothing is known");
}

#[test]
fn scopes_are_kept_and_resolved() {
    let scope = |text: &str| text.parse::<Limit>().unwrap().scope().clone();
    assert_eq!(scope("p99(lag) < 1s"), Scope::All);
    assert_eq!(scope(r#"check_rate(name="status == 200") > 99%"#), Scope::Name("status == 200".into()));
    assert_eq!(scope(r#"mean(first_byte , tag="") < 1s"#), Scope::Tag(String::new()));
    let resolve = |text: &str| text.parse::<Limit>().unwrap().resolve(&catalogue());
    assert_eq!(resolve(r#"rate(tag="smoke") > 1"#), Ok(()));
    let want = "limit 'rate(tag=\"smoky\") > 1': no request has the tag 'smoky'; did you mean 'smoke'?";
    assert_eq!(resolve(r#"rate(tag="smoky") > 1"#), Err(want.to_owned()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_name_can_be_written(name in any::<String>()) {
        let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
        let limit: Limit = format!("error_rate(name=\"{quoted}\") < 1%").parse().unwrap();
        prop_assert_eq!(limit.scope(), &Scope::Name(name));
    }

    #[test]
    fn no_text_panics(text in r#"(p99|rate|check_rate|min)?[( ]*(lag|first_byte)?[, ]*(name|tag)?[="\\é) <%1s]*"#) {
        if let Ok(limit) = text.parse::<Limit>() {
            prop_assert_eq!(String::from(limit), text.trim());
        }
    }
}

#[test]
fn what_is_wrong_is_named_with_its_column() {
    for (text, column, expected) in [
        ("", 1, "p50..p99.99"),
        ("p101(lag) < 1s", 1, "p50..p99.99"),
        ("p99 < 50ms", 5, "'(' and one of"),
        ("p99(latency) < 50ms", 5, "'(' and one of"),
        ("p99(lag < 50ms", 9, "')'"),
        ("p99(lag, name=\"a\") < 50ms", 8, "')', because"),
        ("p99(first_byte < 50ms", 16, "')', or ','"),
        ("p99(first_byte, nam=\"a\") < 50ms", 17, "name="),
        ("rate(name \"a\") > 5", 11, "'='"),
        ("rate(name=a) > 5", 11, "a text in"),
        ("rate(name=\"a) > 5", 18, "a double quote"),
        ("rate(name=\"a\\n\") > 5", 13, "\\\" or"),
        ("rate(name=\"a\", tag=\"b\") > 5", 14, "')'"),
        ("rate() > 5", 6, "name="),
        ("p99(lag) = 50ms", 10, "one of <"),
        ("p99(lag) < 50", 12, "a duration"),
        ("p99(lag) < 50ms!", 12, "a duration"),
        ("error_rate < 200%", 14, "a share"),
    ] {
        let error = text.parse::<Limit>().expect_err(text);
        assert_eq!((error.column, error.expected.starts_with(expected)), (column, true), "{error}");
    }
}

#[test]
fn the_default_parses_and_keeps_its_text() {
    assert_eq!(String::from(Limit::default_limit()), "error_rate < 50%");
}
