//! The examples that Brunt comes with do what they say, against `brunt origin`.

use std::path::{Path, PathBuf};

use brunt_tests::brunt::{Brunt, Measured};
use brunt_tests::origin::Origin;
use brunt_tests::turn;

use crate::Folder;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../generator/cli/examples")
}

/// An example with these arguments, against an origin: no check fails, nothing else does, and each request was answered
/// as often as its name was sent.
#[track_caller]
fn check(example: &str, args: &str) -> Measured {
    let origin = Origin::start("");
    let target = origin.url("");
    let path = folder().join(example).display().to_string();
    let measured = Brunt::new("run").arg(&path).args(&["--target", &target]).args(&words(args)).json();
    measured.expect_counts(0).expect_errors(&[]);
    let (totals, requests) = (&measured.report.totals, &measured.report.requests);
    let by_name: u64 = requests.iter().map(|request| request.completed).sum();
    assert!(totals.completed > 0 && totals.completed == by_name, "{example}\n{}", measured.story());
    measured
}

fn words(args: &str) -> Vec<&str> {
    args.split_whitespace().collect()
}

/// Requests that completed, by name.
fn completed(measured: &Measured, name: &str) -> u64 {
    let request = measured.report.requests.iter().find(|request| request.name == name);
    request.unwrap_or_else(|| panic!("no request {name}\n{}", measured.story())).completed
}

/// A new example is run as well, or this fails.
#[test]
fn no_example_is_forgotten() {
    let files = std::fs::read_dir(folder()).expect("there are examples");
    let mut names: Vec<_> = files
        .map(|file| file.expect("it can be read").file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".yaml"))
        .collect();
    names.sort();
    let mut run: Vec<_> = SHORTENED.iter().map(|(name, _)| *name).collect();
    run.sort_unstable();
    assert_eq!(names, run);
}

const SHORTENED: [(&str, &str); 10] = [
    ("csv-api.yaml", "-c 4 -z 1s"),
    ("lifecycle.yaml", "-c 2 -n 6"),
    ("login.yaml", "-c 4 -z 1s"),
    ("replay.yaml", ""),
    ("shop.yaml", "-c 10 -z 2s"),
    ("soak.yaml", "-q 50 -z 1s"),
    ("spike.yaml", "-q 100 -z 1s"),
    ("steps-to-saturation.yaml", "-q 100 -z 1s"),
    ("two-loads.yaml", "-c 4 -z 1s"),
    ("upload.yaml", "-c 4 -z 1s"),
];

#[test]
fn each_example_runs_shortened() {
    let _turn = turn();
    for (example, args) in SHORTENED {
        check(example, args);
    }
}

#[test]
fn every_step_of_an_iteration_is_made() {
    let _turn = turn();
    let login = check("login.yaml", "-c 4 -n 20");
    for name in ["POST /login", "GET /me (cookie)", "GET /me (bearer)"] {
        assert_eq!(completed(&login, name), 20, "{name}\n{}", login.story());
    }
    let shop = check("shop.yaml", "-c 4 -n 40");
    let [logins, pages, items, carts] =
        ["POST /login", "GET /items", "GET /items/{id}", "POST /cart"].map(|name| completed(&shop, name));
    assert_eq!((logins, pages + carts, items), (4, 40, 40), "{}", shop.story());
    assert!(carts > 0 && pages > carts, "{}", shop.story());
}

/// Loads as they are written, where they are short.
#[test]
fn loads_of_the_files_are_exact() {
    let _turn = turn();
    let api = check("csv-api.yaml", "");
    for name in ["POST /login", "GET /me", "POST /echo"] {
        assert_eq!(completed(&api, name), 10 * 20, "{name}\n{}", api.story());
    }
    let lives = check("lifecycle.yaml", "");
    for (name, want) in [("POST /login", 4), ("GET /me", 20), ("POST say", 20), ("POST leave", 4)] {
        assert_eq!(completed(&lives, name), want, "{name}\n{}", lives.story());
    }
    assert_eq!(lives.report.totals.completed, 48, "setup and teardown are not measured\n{}", lives.story());
    let two = check("two-loads.yaml", "");
    let [items, pages, syncs] =
        ["GET /items/{id}", "GET /items", "POST sync"].map(|name| completed(&two, name));
    assert_eq!((pages, syncs), (2 * items, 2 * 20), "{}", two.story());
    let replay = check("replay.yaml", "");
    assert_eq!(replay.report.totals.completed, 44, "a line of the log each\n{}", replay.story());
    assert_eq!(completed(&replay, "GET /items/{id}"), 7, "{}", replay.story());
    let origin = Origin::start("");
    let path = folder().join("spike.yaml").display().to_string();
    let spike = Brunt::new("run").arg(&path).args(&["--target", &origin.url("")]).json();
    assert!(matches!(spike.ended.code, Some(0 | 4)), "{}", spike.story());
    let totals = &spike.report.totals;
    // 2 s at 100, a second up to 600 (350 on average), 2 s there, a second back, and 4 s at 100; the first 2 s are a
    // warm-up, and are in no table of statuses.
    assert_eq!((totals.scheduled, totals.completed, totals.failed), (2_500, 2_500, 0), "{}", spike.story());
    assert_eq!(spike.report.status.get("200"), Some(&2_300), "{}", spike.story());
}

/// What the page shows beside a locustfile and a script for k6 does the same as they.
#[test]
fn the_scenario_of_the_page_runs() {
    let _turn = turn();
    let page = std::fs::read_to_string(folder().join("README.md")).expect("there is a page");
    let shown = page
        .split("```yaml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("it shows a scenario");
    let origin = Origin::start("");
    let folder = Folder::new(shown, &[]);
    let measured = folder.run(&format!("--target {} -c 4 -z 2s", origin.url(""))).json();
    measured.expect_counts(0).expect_errors(&[]);
    assert_eq!(completed(&measured, "POST /login"), 4, "{}", measured.story());
    assert!(completed(&measured, "GET /items/{id}") > 4, "{}", measured.story());
}
