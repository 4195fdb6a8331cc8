//! The commands beside `run`.

use brunt_tests::brunt::{brunt, measure};
use brunt_tests::origin::Origin;
use brunt_tests::turn;

use crate::IO;

#[test]
fn the_origin_answers_as_asked() {
    let _turn = turn();
    let origin = Origin::start("");
    for io in IO {
        for (path, args, status) in [
            ("", "", "200"),
            ("status/503", "--ok-status 503", "503"),
            ("status/204", "", "204"),
            ("any/path?x=1", "", "200"),
        ] {
            let measured = measure(&format!("-n 100 -c 4 --io {io} {args} {}", origin.url(path)));
            measured.expect_counts(0).expect_errors(&[]);
            assert_eq!(measured.report.status.get(status), Some(&100), "{path}\n{}", measured.story());
        }
    }
    let failing = measure(&format!("-n 100 -c 4 {}", origin.url("status/503")));
    failing.expect_counts(3).expect_errors(&[("status", 100)]);
}

/// Two clocks on one event: what the origin waits, Brunt measures.
#[test]
fn a_delay_is_measured() {
    let _turn = turn();
    let origin = Origin::start("");
    let slow = Origin::start("--delay 20ms");
    for io in IO {
        for url in [origin.url("delay/20ms"), slow.url("")] {
            let measured = measure(&format!("-n 100 -c 4 --io {io} {url}"));
            let latency = &measured.expect_counts(0).expect_errors(&[]).report.latency;
            for l in [&latency.response, &latency.service, &latency.first_byte] {
                assert!(l.min >= 20_000_000, "{} ns\n{}", l.min, measured.story());
                assert!(l.p50 < 40_000_000, "{} ns\n{}", l.p50, measured.story());
            }
        }
    }
}

#[test]
fn sizes_are_as_asked() {
    let _turn = turn();
    let origin = Origin::start("");
    let sized = Origin::start("--size 64KiB");
    let bytes = |url: &str, io: &str| {
        let measured = measure(&format!("-n 200 -c 16 --io {io} {url}"));
        measured.expect_counts(0).expect_errors(&[]).report.totals.bytes_in
    };
    for io in IO {
        let head = |total: u64, body: u64| {
            assert_eq!(total % 200, 0, "all answers are of one size");
            let head = (total / 200).checked_sub(body).expect("at least the body");
            assert!((16..1_000).contains(&head), "a head of {head} bytes");
        };
        head(bytes(&origin.url("bytes/64KiB"), io), 64 << 10);
        head(bytes(&origin.url("bytes/1MiB"), io), 1 << 20);
        head(bytes(&sized.url(""), io), 64 << 10);
        head(bytes(&origin.url(""), io), 1 << 10);
    }
}

#[test]
fn the_doctor_looks_at_what_matters() {
    let ended = brunt("doctor");
    assert!(matches!(ended.code, Some(0 | 4)), "{}", ended.story());
    let text = ended.stdout.to_lowercase();
    for word in ["io_uring", "files", "ports", "clock"] {
        assert!(text.contains(word), "nothing about {word}\n{}", ended.story());
    }
    let json = brunt("doctor -o json");
    serde_json::from_str::<serde_json::Value>(&json.stdout).unwrap_or_else(|_| panic!("{}", json.story()));
}

#[test]
fn completions_and_manual() {
    for shell in ["bash", "zsh", "fish"] {
        let ended = brunt(&format!("completions {shell}"));
        assert!(ended.expect_code(0).stdout.contains("max-connections"), "{}", ended.story());
    }
    brunt("completions abacus").expect_code(2);
    let manual = brunt("man");
    let text = &manual.expect_code(0).stdout;
    assert!(text.contains(".TH") && text.to_lowercase().contains("brunt"), "{}", manual.story());
    let version = brunt("--version");
    assert!(version.expect_code(0).stdout.starts_with("brunt "), "{}", version.story());
    assert!(brunt("run --help").expect_code(0).stdout.contains("--limit"));
}

#[test]
fn a_result_that_is_none_is_five() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let file = directory.path().join("x.json");
    for text in ["", "{}", "[1, 2", "{\"schema_version\": 99}"] {
        std::fs::write(&file, text).expect("a new file is writable");
        let ended = brunt(&format!("report {}", file.display()));
        ended.expect_code(5).expect_on_stderr(&["x.json"]);
        assert_eq!(ended.stdout, "", "{}", ended.story());
    }
    brunt("report /nonexistent.json").expect_code(5).expect_on_stderr(&["/nonexistent.json"]);
}
