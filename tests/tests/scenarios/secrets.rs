//! What is secret arrives where it is to go, and is nowhere else.

use std::fs;
use std::path::Path;

use brunt_tests::brunt::Brunt;
use brunt_tests::origin::free_port;
use brunt_tests::recorder::{Recorder, Seen, answer};
use brunt_tests::turn;

use crate::{Folder, IO};

pub(crate) const CANARY: &str = "canary-7Qz4mX9vT2kB";
/// Base64 of `me:` and the canary, as Basic authentication has it (RFC 7617).
const BASIC: &str = "bWU6Y2FuYXJ5LTdRejRtWDl2VDJrQg==";
const FORMATS: [&str; 6] = ["text", "json", "csv", "hgrm", "markdown", "junit"];

const STEPS: &str = r#"
flows:
  a:
    steps:
      - {get: "/path/{{ secret.X }}", headers: {X-Own: "{{ secret.X }}"}}
      - {post: /form, form: {a: "{{ secret.X }}"}}
      - {post: /json, json: {a: "{{ secret.X }}"}, check: ['json("$.echo") == secret.X', 'header("x-own") == secret.X']}
      - {get: /basic, auth: {basic: {user: me, password: "{{ secret.X }}"}}}
      - {get: /query, query: {q: "{{ secret.X }}"}, save: {gone: 'json("$.none")'}}
"#;

/// Sends back what came, as an answer that fails or not.
fn mirror(status: u16, seen: &Seen) -> String {
    let headers = format!("X-Own: {}", seen.header("x-own"));
    answer(status, &[&headers, &format!("Location: /{CANARY}")], &format!("{{\"echo\": \"{CANARY}\"}}"))
}

/// All that a run leaves: stdout, stderr, and a file of each format.
fn leaves(run: Brunt, folder: &Path) -> (Option<i32>, Vec<(String, String)>) {
    let path = |format: &str| folder.join(format!("out.{format}"));
    let outputs = FORMATS.map(|format| format!("-o {format}={}", path(format).display())).join(" ");
    let ended = run.args(&outputs.split_whitespace().collect::<Vec<_>>()).args(&["-o", "json"]).run();
    let files = FORMATS.map(|format| {
        let text = fs::read_to_string(path(format)).unwrap_or_else(|error| panic!("{format}: {error}"));
        assert!(!text.is_empty(), "{format} is empty");
        (format.to_owned(), text)
    });
    let streams = [("stdout".to_owned(), ended.stdout), ("stderr".to_owned(), ended.stderr)];
    (ended.code, files.into_iter().chain(streams).collect())
}

#[track_caller]
pub(crate) fn check_absent(leaves: &[(String, String)], run: &str) {
    for (name, text) in leaves {
        for shown in [CANARY, BASIC, &CANARY[7..]] {
            assert!(!text.contains(shown), "{name} of {run} shows the secret\n{text}");
        }
    }
}

#[test]
fn w3_a_secret_is_in_no_output() {
    let _turn = turn();
    for (status, handler) in [
        (200, (|seen| mirror(200, seen)) as fn(&Seen) -> String),
        (401, |seen| mirror(401, seen)),
        (302, |seen| mirror(302, seen)),
        (0, |_| format!("HTTP/1.1 {CANARY}\r\n\r\n")),
    ] {
        for io in IO {
            let server = Recorder::start(handler);
            let folder = Folder::new(&format!("target: {}{STEPS}", server.target()), &[]);
            let args = format!("-c 2 -n 20 --io {io} --limit check_rate>=100%");
            let (code, leaves) = leaves(folder.run(&args).env("BRUNT_SECRET_X", CANARY), folder.path());
            assert!(matches!(code, Some(0 | 3 | 4 | 7)), "{status}: {code:?} {leaves:?}");
            check_absent(&leaves, &format!("status {status}"));
            check_arrived(&server.seen(), status);
        }
    }
}

/// In every place that the steps name.
#[track_caller]
fn check_arrived(seen: &[Seen], status: u16) {
    let of = |line: &str| {
        seen.iter().find(|seen| seen.asked().starts_with(line)).unwrap_or_else(|| panic!("{line}, {status}"))
    };
    let path = of("GET /path");
    assert_eq!(path.asked(), format!("GET /path/{CANARY}"));
    assert_eq!(path.header("x-own"), CANARY);
    assert_eq!(of("POST /form").text(), format!("a={CANARY}"));
    assert_eq!(of("POST /json").text(), format!("{{\"a\":\"{CANARY}\"}}"));
    assert_eq!(of("GET /basic").header("authorization"), format!("Basic {BASIC}"));
    assert_eq!(of("GET /query").asked(), format!("GET /query?q={CANARY}"));
}

#[test]
fn w3_a_secret_is_not_shown_where_nobody_answers() {
    let _turn = turn();
    let folder = Folder::new(&format!("target: http://127.0.0.1:{}{STEPS}", free_port()), &[]);
    let (code, leaves) = leaves(folder.run("-c 2 -n 20").env("BRUNT_SECRET_X", CANARY), folder.path());
    assert_eq!(code, Some(7), "{leaves:?}");
    check_absent(&leaves, "a run without a server");
}

/// A file and the folder of systemd's credentials do as well as the environment; without any, the name is told.
#[test]
fn secrets_come_from_files_too() {
    let _turn = turn();
    let server = Recorder::start(|_| answer(200, &[], ""));
    let scenario = format!(
        "target: {}\nflows: {{a: [{{get: /, headers: {{K: \"{{{{ secret.X }}}}\"}}}}]}}\n",
        server.target()
    );
    let folder = Folder::new(&scenario, &[("X", &format!("{CANARY}\n"))]);
    let own = folder.path().display().to_string();
    let by_flag = folder.run(&format!("-n 1 --secret-file X={own}/X"));
    let by_folder = folder.run("-n 1").env("CREDENTIALS_DIRECTORY", &own);
    for (way, run) in [("flag", by_flag), ("folder", by_folder)] {
        let ended = run.run();
        assert!(matches!(ended.code, Some(0 | 4)), "{way}\n{}", ended.story());
        check_absent(&[("stdout".to_owned(), ended.stdout), ("stderr".to_owned(), ended.stderr)], way);
    }
    let keys: Vec<_> = server.seen().iter().map(|seen| seen.header("k")).collect();
    assert_eq!(keys, [CANARY, CANARY]);
    folder
        .run("-n 1")
        .run()
        .expect_code(5)
        .expect_on_stderr(&["the secret X has no value", "BRUNT_SECRET_X"]);
}

/// A scenario with a secret in it is refused, and what was found is not repeated.
#[test]
fn i3_a_secret_within_a_scenario_is_refused_unseen() {
    for value in ["AKIAQ7Z4MX9VT2KBWYUD", "ghp_q7Z4mX9vT2kBwYuDq7Z4mX9vT2kBwYuDabcd"] {
        let scenario =
            format!("target: http://127.0.0.1:1\nflows: {{a: [{{get: /, headers: {{K: {value}}}}}]}}\n");
        let ended = Folder::new(&scenario, &[]).run("-n 1").run();
        ended.expect_code(5).expect_on_stderr(&["looks like", "{{ secret.NAME }}"]);
        assert!(!ended.stderr.contains(value) && !ended.stderr.contains(&value[6..]), "{}", ended.story());
    }
}
