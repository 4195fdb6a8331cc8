//! What is made of answers: checks, values that are saved, and what comes after a failure.

use brunt_tests::brunt::Measured;
use brunt_tests::recorder::{Recorder, Seen, answer};
use brunt_tests::turn;

use crate::{Folder, IO};

/// Answers with JSON that says whether the number at the end of the path is even; `/bad` with 500.
fn parity(seen: &Seen) -> String {
    let path = seen.asked().trim_start_matches("GET /");
    match path.parse::<u64>() {
        Ok(number) => {
            answer(200, &["Content-Type: application/json"], &format!("{{\"odd\": {}}}", number % 2))
        }
        Err(_) if path == "bad" => answer(500, &[], "{}"),
        Err(_) => answer(200, &[], "{}"),
    }
}

struct Run {
    measured: Measured,
    seen: Vec<Seen>,
}

impl Run {
    /// How many requests the server got for a path.
    fn asked(&self, path: &str) -> usize {
        self.seen.iter().filter(|seen| seen.asked() == format!("GET {path}")).count()
    }
}

/// A hundred iterations of these steps, in a flow with these other keys.
fn run(flow: &str, limits: &str, io: &str) -> Run {
    let server = Recorder::start(parity);
    let limits = if limits.is_empty() { String::new() } else { format!("limits: [{limits}]\n") };
    let folder = Folder::new(&format!("target: {}\n{limits}flows:\n  a: {flow}\n", server.target()), &[]);
    let measured = folder.run(&format!("-c 4 -n 100 --io {io}")).json();
    Run { measured, seen: server.seen() }
}

/// Every second answer fails its second check.
const HALF: &str = "[{get: \"/{{ counter() }}\", name: n, check: [status == 200, 'json(\"$.odd\") == 0']}]";

#[test]
fn failing_checks_are_counted_and_judged() {
    let _turn = turn();
    for (limit, code) in [
        ("check_rate >= 100%", 3),
        ("check_rate >= 76%", 3),
        ("check_rate >= 75%", 0),
        ("'check_rate(name=\"n\") > 75%'", 3),
        ("error_rate <= 50%", 0),
        ("error_rate < 50%", 3),
    ] {
        for io in IO {
            let Run { measured, seen } = run(HALF, limit, io);
            measured.expect_counts(code).expect_errors(&[("check_failed", 50)]);
            assert_eq!(seen.len(), 100);
            let totals = &measured.report.totals;
            let got = (totals.completed, totals.failed, totals.finished, totals.failed_arrivals);
            assert_eq!(got, (50, 50, 50, 50), "{}", measured.story());
            assert_eq!(measured.report.limits[0].passed, code == 0, "{limit}\n{}", measured.story());
        }
    }
}

/// A check of the status says which are right; without one, ranges do.
#[test]
fn a_status_is_judged_once() {
    let _turn = turn();
    for (step, errors) in [
        ("{get: /bad}", &[("status", 100)][..]),
        ("{get: /bad, ok_status: [5xx]}", &[]),
        ("{get: /bad, check: [status == 500]}", &[]),
        ("{get: /bad, check: [status == 200]}", &[("check_failed", 100)]),
        ("{get: /bad, check: [body.size >= 0]}", &[("status", 100)]),
    ] {
        let run = run(&format!("[{step}]"), "error_rate <= 100%", "epoll");
        assert_eq!(run.seen.len(), 100);
        run.measured.expect_counts(0).expect_errors(errors);
    }
}

/// What follows would be nonsense, so it is not sent.
#[test]
fn a_value_that_is_not_there_ends_the_iteration() {
    let _turn = turn();
    for (save, failed) in [
        (r#"json("$.none")"#, 100),
        (r#"header("x-none")"#, 100),
        (r#"cookie("none")"#, 100),
        (r#"regex("none=(\\d)", 1)"#, 100),
        // JSON null is no value either.
        (r#"default(json("$.none"), 1)"#, 0),
    ] {
        for io in IO {
            let flow = format!("[{{get: /1, save: {{v: '{save}'}}}}, {{get: \"/next?{{{{ v }}}}\"}}]");
            let run = run(&flow, "error_rate <= 100%", io);
            let errors: &[_] = if failed > 0 { &[("extract_failed", failed)] } else { &[] };
            run.measured.expect_counts(0).expect_errors(errors);
            let totals = &run.measured.report.totals;
            let after = run.seen.iter().filter(|seen| seen.asked().starts_with("GET /next")).count() as u64;
            assert_eq!((run.asked("/1"), after), (100, 100 - failed), "{save}");
            assert_eq!((totals.failed_arrivals, totals.scheduled), (failed, 100), "{}", run.measured.story());
        }
    }
}

#[test]
fn a_failed_request_ends_the_iteration_where_asked() {
    let _turn = turn();
    for (flow, next) in [
        ("[{get: /bad}, {get: /1}]", 100),
        ("{on_error: continue, steps: [{get: /bad}, {get: /1}]}", 100),
        ("{on_error: end, steps: [{get: /bad}, {get: /1}]}", 0),
        // What it was to save is not there.
        ("[{get: /bad, save: {s: status}}, {get: /1}]", 0),
    ] {
        let run = run(flow, "error_rate <= 100%", "epoll");
        run.measured.expect_counts(0).expect_errors(&[("status", 100)]);
        assert_eq!((run.asked("/bad"), run.asked("/1")), (100, next), "{flow}");
        assert_eq!(run.measured.report.totals.failed_arrivals, 100, "{}", run.measured.story());
    }
}

/// A value that cannot be sent is a failure of its request, which is never made.
#[test]
fn i4_a_value_that_breaks_a_header_is_not_sent() {
    let _turn = turn();
    for io in IO {
        let flow = r#"[{get: /1, save: {v: '"a\r\nX-Evil: 1"'}}, {get: /2, headers: {X-Own: "{{ v }}"}}, {get: /3}]"#;
        let run = run(flow, "error_rate <= 100%", io);
        assert_eq!((run.asked("/1"), run.asked("/2"), run.asked("/3")), (100, 0, 0));
        assert!(run.seen.iter().all(|seen| seen.header("x-evil").is_empty()));
        run.measured.expect_counts(0).expect_errors(&[("extract_failed", 100)]);
    }
}
