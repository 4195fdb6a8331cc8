//! Outputs: every format is what it claims to be, and stdout carries the result only.

use std::fs;
use std::path::Path;

use brunt_model::report::Report;
use brunt_tests::brunt::{Brunt, brunt, measure};
use brunt_tests::formats::{check_xml, parse_csv, parse_hgrm};
use brunt_tests::garbage::{Act, Server};
use brunt_tests::turn;
use serde_json::Value;

fn ok() -> Server {
    Server::start(&[Act::send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")])
}

/// Names are a contract: fields may be added, none renamed.
#[test]
fn the_result_has_the_fields_that_scripts_rely_on() {
    let _turn = turn();
    let server = ok();
    let measured = measure(&format!("-n 200 -c 4 {}", server.url()));
    let json = &measured.json;
    assert_eq!(json["schema_version"], 1);
    for (place, fields) in [
        (
            "",
            "run verdict limits totals rate latency kernel status errors errors_samples requests timeline workers environment signature",
        ),
        ("/run", "id name started_at duration_ns seed plan_id scenario"),
        ("/verdict", "status reasons marks"),
        ("/limits/0", "expression observed passed"),
        ("/totals", "scheduled finished failed_arrivals dropped in_flight lost started completed failed"),
        ("/totals", "bytes_in bytes_out connections_opened tls_handshakes retransmits syn_retransmits"),
        ("/rate", "target achieved"),
        ("/latency", "response response_ok service first_byte connect tls lag kernel dwell handshake"),
        ("/kernel", "coverage known overwritten missing"),
        ("/latency/response", "count min mean stddev p50 p75 p90 p95 p99 p99_9 p99_99 max hdr"),
        (
            "/requests/0",
            "name completed failed response response_ok service first_byte kernel dwell status errors",
        ),
        ("/timeline/0", "tick target achieved p50 p99 kernel_p99 errors connections lag_p99"),
        ("/workers/0", "name cores cpu_busiest lag_p99 dropped clock_error_ns"),
        ("/environment", "version kernel cpu nic offloads governor io kernel_timing guard jail"),
    ] {
        let object =
            json.pointer(place).and_then(Value::as_object).unwrap_or_else(|| panic!("no object at {place}"));
        for field in fields.split_whitespace() {
            assert!(object.contains_key(field), "{place} has no {field}");
        }
    }
}

#[test]
fn figures_agree_with_each_other() {
    let _turn = turn();
    let server = ok();
    let measured = measure(&format!("-n 500 -c 4 {}", server.url()));
    let latency = &measured.report.latency;
    for l in [&latency.response, &latency.response_ok, &latency.service, &latency.first_byte] {
        assert_eq!(l.count, 500, "{}", measured.story());
        let rising = [l.min, l.p50, l.p75, l.p90, l.p95, l.p99, l.p99_9, l.p99_99, l.max];
        assert!(rising.is_sorted() && l.min > 0, "{rising:?}");
        let hdr = l.decode_hdr().expect("the stored histogram decodes");
        assert_eq!(hdr.len(), 500);
    }
    assert_eq!(latency.connect.count, 4);
    assert!(latency.first_byte.max <= latency.service.max && latency.service.max <= latency.response.max);
    let run = &measured.report.run;
    let wall_ns = measured.ended.wall.as_nanos();
    assert!(u128::from(run.duration_ns) <= wall_ns, "{} of {wall_ns} ns", run.duration_ns);
    assert!(run.plan_id.len() == 64 && !run.id.is_empty());
}

#[test]
fn all_formats_at_once() {
    let _turn = turn();
    let server = ok();
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let path = |name: &str| directory.path().join(name);
    let files = ["json", "csv", "hgrm", "markdown", "junit"]
        .map(|format| format!("-o {format}={}", path(format).display()))
        .join(" ");
    let ended = brunt(&format!("run -n 300 -c 4 -o text {files} {}", server.url()));
    assert!(matches!(ended.code, Some(0 | 4)), "{}", ended.story());
    assert_eq!(ended.stderr, "", "progress is silent where it is no terminal\n{}", ended.story());
    let report: Report = serde_json::from_str(&read(&path("json"))).expect("the JSON is a report");
    check_text(&ended.stdout, &report);
    check_files(&path, &report);
    let again = brunt(&format!("report {}", path("json").display()));
    assert_eq!(again.expect_code(0).stdout, ended.stdout, "a stored result prints the same text");
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The verdict comes first; then what a reader looks for.
fn check_text(text: &str, report: &Report) {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("").to_lowercase();
    assert!(first.contains(report.verdict.status.name()), "the first line is the verdict: {first}");
    for word in ["error_rate < 50%", "p50", "p90", "p99", "p99.9", "p99.99", "max", "lag"] {
        assert!(text.contains(word), "the text has no {word}\n{text}");
    }
    assert!(!text.contains('\x1b'), "no colour where it is no terminal\n{text}");
}

fn check_files(path: &dyn Fn(&str) -> std::path::PathBuf, report: &Report) {
    let rows = parse_csv(&read(&path("csv"))).expect("the CSV is regular");
    assert!(rows.len() >= 2 && rows[0].len() >= 2, "{rows:?}");
    let percentiles = parse_hgrm(&read(&path("hgrm"))).expect("a percentile distribution");
    let last = percentiles.last().expect("there are lines");
    assert!((last.1 - 1.0).abs() < f64::EPSILON, "the last is {last:?}");
    assert_eq!(last.2, report.latency.response.count);
    let markdown = read(&path("markdown"));
    assert!(markdown.lines().any(|line| line.starts_with("| ")), "{markdown}");
    assert!(markdown.contains("p99"), "{markdown}");
    let junit = read(&path("junit"));
    assert_eq!(check_xml(&junit), Ok(()), "{junit}");
    assert!(junit.contains("<testsuite") && junit.contains("<testcase"), "{junit}");
}

/// A missed limit is a failed test case; hostile names do not break the format.
#[test]
fn junit_shows_what_failed() {
    let _turn = turn();
    let server = ok();
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let file = directory.path().join("junit.xml");
    let ended = Brunt::new(&format!("run -n 10 -c 1 -o junit={}", file.display()))
        .args(&["--name", "<&\"'> \u{1b}[31m", "--limit", "max(response_time) < 1ns", &server.url()])
        .run();
    ended.expect_code(3);
    let junit = read(&file);
    assert_eq!(check_xml(&junit), Ok(()), "{junit}");
    assert!(junit.contains("<failure") && !junit.contains('\x1b'), "{junit}");
    assert!(!ended.stdout.contains('\x1b'), "{}", ended.story());
}

#[test]
fn one_format_may_take_stdout() {
    let _turn = turn();
    let server = ok();
    let out = |format: &str| {
        let ended = brunt(&format!("run -n 50 -c 1 -o {format} {}", server.url()));
        assert!(matches!(ended.code, Some(0 | 4)), "{}", ended.story());
        ended.stdout
    };
    serde_json::from_str::<Report>(&out("json")).expect("stdout is a report and nothing else");
    parse_csv(&out("csv")).expect("stdout is CSV and nothing else");
    parse_hgrm(&out("hgrm")).expect("stdout is a percentile distribution and nothing else");
    assert_eq!(check_xml(&out("junit")), Ok(()));
}

#[test]
fn a_reader_that_goes_away_is_no_fault() {
    let _turn = turn();
    let server = ok();
    for (format, reader) in [("text", "head -n 1"), ("json", "true"), ("csv", "head -c 1")] {
        let script = format!("{{ \"$0\" \"$@\"; echo \"code $?\" >&2; }} | {reader}");
        let command = Brunt::new(&format!("run -n 50 -c 1 -o {format} {}", server.url()));
        let ended = command.wrapped(&["sh", "-c", &script]).run();
        let quiet = ["code 0\n", "code 4\n"].contains(&ended.stderr.as_str());
        assert!(quiet, "{format} | {reader} ends quietly\n{}", ended.story());
    }
}

/// A result does not depend on the number of requests in its size in memory.
#[test]
fn memory_does_not_grow_with_requests() {
    let _turn = turn();
    let server = ok();
    let resident =
        |requests: u32| measure(&format!("-n {requests} -c 4 {}", server.url())).ended.resident_kib;
    let (few, many) = (resident(2_000), resident(40_000));
    assert!(many <= few + 4_096, "{few} KiB for 2,000 requests, {many} KiB for 40,000");
}
