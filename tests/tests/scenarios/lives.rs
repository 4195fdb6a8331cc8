//! What is done once for a user or for the run, what is done at once, and where it goes.

use std::time::Duration;

use brunt_tests::clock;
use brunt_tests::recorder::{Recorder, Seen, answer};
use brunt_tests::turn;
use rustix::process::Signal;

use crate::{Folder, IO};

/// A token for whoever logs in, and what is asked for.
fn shop(seen: &Seen) -> String {
    match seen.asked() {
        "POST /login" => answer(200, &[], r#"{"token": "t-7", "count": 3}"#),
        "GET /none" => answer(404, &[], ""),
        _ => answer(200, &[], "{}"),
    }
}

/// Of all requests the targets, in order.
fn asked(server: &Recorder) -> Vec<String> {
    server.seen().iter().map(|seen| seen.asked().to_owned()).collect()
}

const LIVES: &str = "
setup:
  - {post: /login, check: [status == 200], save: {token: 'json(\"$.token\")', count: 'json(\"$.count\")'}}
  - set: {doubled: count * 2}
on_start: [{get: \"/start/{{ token }}\"}]
on_stop: [{get: \"/stop/{{ token }}\"}]
teardown: [{get: \"/end/{{ token }}/{{ doubled }}\"}]
flows: {a: [{get: \"/a/{{ token }}/{{ doubled + 1 }}\"}]}
";

#[test]
fn setup_comes_first_and_teardown_last() {
    let _turn = turn();
    for io in IO {
        let server = Recorder::start(shop);
        let scenario = format!("target: {}\n{LIVES}", server.target());
        let folder = Folder::new(&scenario, &[]);
        let measured = folder.run(&format!("-c 3 -n 7 --io {io}")).json();
        let mut all = asked(&server);
        assert_eq!(all.remove(0), "POST /login");
        assert_eq!(all.pop().as_deref(), Some("GET /end/t-7/6"), "integers stay integers");
        let count = |line: &str| all.iter().filter(|asked| *asked == line).count();
        let counts = ["GET /start/t-7", "GET /a/t-7/7", "GET /stop/t-7"].map(count);
        assert_eq!((counts, all.len()), ([3, 7, 3], 13), "{all:?}");
        let first_stop = all.iter().position(|asked| asked == "GET /stop/t-7").unwrap();
        assert!(all[first_stop..].iter().all(|asked| asked != "GET /a/t-7/7"), "{all:?}");
        measured.expect_errors(&[]);
        assert_eq!(measured.json["totals"]["started"], 13, "what is done once for the run is not measured");
    }
}

#[test]
fn a_setup_that_fails_is_the_end() {
    let _turn = turn();
    let server = Recorder::start(shop);
    let check = |setup: &str, code: i32, told: &str, sent: &[&str]| {
        let before = server.seen().len();
        let scenario =
            format!("target: {}\nsetup: [{setup}]\nflows: {{a: [{{get: /a}}]}}\n", server.target());
        let ended = Folder::new(&scenario, &[]).run("-c 1 -n 1").run();
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{setup}: {}", ended.stderr);
        assert!(ended.stderr.contains(told), "{setup}: {}", ended.stderr);
        assert_eq!(&asked(&server)[before..], sent, "{setup}");
    };
    check("{get: /none}, {get: /b}", 5, "setup failed: GET /none: status 404", &["GET /none"]);
    check("{get: /c, save: {x: 'json(\"$.none\")'}}", 5, "setup failed: GET /c: extract_failed", &["GET /c"]);
    check("{get: /d, check: [body.size > 9]}", 5, "setup failed: GET /d: check_failed", &["GET /d"]);
    let nobody = "target: http://127.0.0.1:1\nsetup: [{get: /}]\nflows: {a: [{get: /a}]}\n";
    let ended = Folder::new(nobody, &[]).run("-c 1 -n 1").run();
    assert_eq!(ended.code, Some(7), "{}", ended.stderr);
    assert!(ended.stderr.contains("setup failed: GET /: connect_refused"), "{}", ended.stderr);
}

/// What it took was never given back.
#[test]
fn a_setup_that_is_not_done_is_followed_by_teardown() {
    let _turn = turn();
    let server = Recorder::start(shop);
    let scenario = |rest: &str, teardown: &str| {
        format!(
            "target: {}\nsetup:\n  - {{post: /login, save: {{token: 'json(\"$.token\")'}}}}\n  - get: /b\n{rest}  - {{get: \
             /c, save: {{late: status}}}}\nteardown:\n{teardown}flows: {{a: [{{get: /a}}]}}\n",
            server.target()
        )
    };
    let back = "  - get: \"/end/{{ token }}\"\n  - {if: 'late == null', then: [{get: /none}]}\n";
    let ended = Folder::new(&scenario("  - get: /none\n", back), &[]).run("-c 1 -n 1").run();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(5), ""), "{}", ended.stderr);
    let [failed, warned] =
        ["error: setup failed: GET /none: status 404", "warning: teardown failed: GET /none: status 404"]
            .map(|line| ended.stderr.find(line).unwrap_or_else(|| panic!("{line}: {}", ended.stderr)));
    assert!(failed < warned, "{}", ended.stderr);
    assert_eq!(asked(&server), ["POST /login", "GET /b", "GET /none", "GET /end/t-7", "GET /none"]);

    let before = asked(&server).len();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let from = asked(&server).len();
        let folder = Folder::new(&scenario("  - think: 50s\n", back), &[]);
        let running = folder.run("-c 1 -n 1").start();
        clock::until("the second request of the setup", Duration::from_secs(10), || {
            (asked(&server).len() == from + 2).then_some(())
        });
        running.signal(signal);
        let ended = running.finish(Duration::from_secs(30));
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{}", ended.stderr);
    }
    let one = ["POST /login", "GET /b", "GET /end/t-7", "GET /none"];
    assert_eq!(asked(&server)[before..], [one, one].concat());
}

#[test]
fn a_teardown_that_fails_is_told_and_changes_nothing() {
    let _turn = turn();
    let server = Recorder::start(shop);
    let scenario =
        format!("target: {}\nteardown: [{{get: /none}}]\nflows: {{a: [{{get: /a}}]}}\n", server.target());
    let ended = Folder::new(&scenario, &[]).run("-c 1 -n 2").run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("warning: teardown failed: GET /none: status 404"), "{}", ended.stderr);
    assert_eq!(asked(&server), ["GET /a", "GET /a", "GET /none"]);
}

#[test]
fn what_the_end_needs_is_missed_at_the_beginning() {
    let _turn = turn();
    let server = Recorder::start(shop);
    let scenario = format!(
        "target: {}\nteardown: [{{get: \"/{{{{ secret.GONE }}}}\"}}]\nflows: {{a: [{{get: /a}}]}}\n",
        server.target()
    );
    let ended = Folder::new(&scenario, &[]).run("-c 1 -n 2").run();
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    assert!(ended.stderr.contains("the secret GONE has no value"), "{}", ended.stderr);
    assert_eq!(asked(&server), [""; 0], "nothing was sent");
}

#[test]
fn requests_go_to_the_target_that_they_name() {
    let _turn = turn();
    for io in IO {
        let [shop, api] = [Recorder::start(shop), Recorder::start(shop)];
        let scenario = format!(
            "target: {}\ntargets: {{api: \"{}/v2\"}}\nflows:\n  a:\n    - parallel: [{{get: /1}}, {{get: /2}}, \
             {{get: /3, target: api}}]\n    - {{get: /4, target: api}}\n    - get: {}/5\n",
            shop.target(),
            api.target(),
            api.target()
        );
        let folder = Folder::new(&scenario, &[]);
        let measured = folder.run(&format!("-c 1 -n 2 --io {io}")).json();
        measured.expect_errors(&[]);
        let mut first = asked(&shop);
        first.sort_unstable();
        assert_eq!(first, ["GET /1", "GET /1", "GET /2", "GET /2"]);
        let round = ["GET /v2/3", "GET /v2/4", "GET /v2/5"];
        assert_eq!(asked(&api), [round, round].concat());
        assert!(api.seen().iter().all(|seen| format!("http://{}", seen.header("host")) == api.target()));
        assert_eq!(measured.json["totals"]["connections_opened"], 3, "kept from one iteration to the next");
    }
}

#[test]
fn a_target_that_no_grant_allows_is_refused_though_it_is_not_the_first() {
    let _turn = turn();
    let server = Recorder::start(shop);
    let scenario = format!(
        "target: {}\ntargets: {{other: \"http://127.0.0.2:81\"}}\nflows: {{a: [{{get: /a}}]}}\n",
        server.target()
    );
    let ended = Folder::new(&scenario, &[]).run("-c 1 -n 1 --allow 127.0.0.1/32").run();
    assert_eq!(ended.code, Some(6), "{}", ended.stderr);
    assert!(ended.stderr.contains("127.0.0.2:81 is not among what --allow names"), "{}", ended.stderr);
    assert_eq!(asked(&server), [""; 0]);
}

/// The half second of the shorter load counted as a whole one.
#[test]
fn a_row_in_which_a_load_ends_is_true() {
    let _turn = turn();
    let server = Recorder::start(shop);
    let scenario = format!(
        "target: {}\nloads:\n  short: {{flows: [s], phases: [{{open: {{rate: 200/s, for: 1500ms}}}}]}}\n  long: {{flows: \
         [l], phases: [{{open: {{rate: 20/s, for: 4s}}}}]}}\nflows: {{s: [{{get: /s}}], l: [{{get: /l}}]}}\n",
        server.target()
    );
    let measured = Folder::new(&scenario, &[]).run("--cores 0-1").json();
    measured.expect_errors(&[]);
    let rows = &measured.report.timeline;
    assert_eq!(measured.json["totals"]["completed"], 380);
    let of_rows = rows[..4].iter().map(|row| row.achieved).sum::<f64>();
    assert!((of_rows - 380.0).abs() < 25.0, "rows of a second tell {of_rows}: {rows:?}");
}

#[test]
fn loads_run_at_the_same_time_each_for_its_flows() {
    let _turn = turn();
    for cores in ["0", "0-1"] {
        let server = Recorder::start(shop);
        let scenario = format!(
            "target: {}\ndata: {{rows: {{csv: rows.csv, pick: unique}}}}\nloads:\n  users: {{flows: [u], phases: \
             [{{closed: {{users: 3, iterations_per_user: 4}}}}]}}\n  arrivals: {{flows: [o], phases: [{{open: {{rate: \
             20/s, for: 1s}}}}]}}\nflows:\n  u: [{{get: \"/u/{{{{ rows.n }}}}\"}}, {{think: 200ms}}]\n  o: [{{get: \
             \"/o/{{{{ rows.n }}}}\"}}]\n",
            server.target()
        );
        let rows: String = (0..100).map(|row| format!("{row}\n")).collect();
        let folder = Folder::new(&scenario, &[("rows.csv", &format!("n\n{rows}"))]);
        let measured = folder.run(&format!("--cores {cores}")).json();
        measured.expect_errors(&[]);
        let mut all = asked(&server);
        let order = all.join(" ");
        let first_of_users = order.find("/u/").expect("there are users");
        let last_of_users = order.rfind("/u/").expect("there are users");
        let within = order[first_of_users..last_of_users].contains("/o/");
        assert!(within, "they are at the same time: {order}");
        all.sort_unstable();
        let of = |mark: &str| all.iter().filter(|line| line.starts_with(mark)).cloned().collect::<Vec<_>>();
        let (users, arrivals) = (of("GET /u/"), of("GET /o/"));
        assert_eq!((users.len(), arrivals.len(), all.len()), (12, 20, 32), "{all:?}");
        let rows_of = |lines: &[String]| {
            let rows: std::collections::BTreeSet<_> = lines.iter().map(|line| line[7..].to_owned()).collect();
            rows
        };
        assert_eq!((rows_of(&users).len(), rows_of(&arrivals).len()), (3, 20), "a row is one user's");
        assert!(rows_of(&users).is_disjoint(&rows_of(&arrivals)), "in one load only: {all:?}");
        assert_eq!(measured.json["totals"]["scheduled"], 32);
    }
}
