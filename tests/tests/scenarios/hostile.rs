//! Scenarios that mean harm are refused at once, in little memory, with the place and the mend.

use std::os::unix::fs::symlink;
use std::time::Duration;

use brunt_tests::process::Ended;
use brunt_tests::turn;

use crate::Folder;

/// What may be written besides the stack, in KiB; past it, memory is refused and the process dies of that.
const DATA_KIB_MAX: u64 = 64 << 10;
/// The same of time on a CPU, which other processes cannot make longer.
const CPU_MAX: Duration = Duration::from_secs(1);

fn run_bounded(folder: &Folder) -> Ended {
    let script = format!("ulimit -d {DATA_KIB_MAX} && exec \"$0\" \"$@\"");
    folder.run("-n 1").wrapped(&["sh", "-c", &script]).run()
}

/// It is refused with a message of these words, in bounded time and memory, and few lines.
#[track_caller]
fn check_folder(story: &str, folder: &Folder, words: &[&str]) {
    let ended = run_bounded(folder);
    assert!(ended.code == Some(5), "{story}: exit code 5 was expected\n{:.2000}", ended.story());
    ended.expect_on_stderr(words);
    assert!(ended.cpu < CPU_MAX, "{story} took {:?}", ended.cpu);
    assert!(ended.resident_kib < DATA_KIB_MAX, "{story} took {} KiB", ended.resident_kib);
    assert!(ended.stderr.len() < 32 << 10, "{story}: {} bytes of messages", ended.stderr.len());
    assert!(
        ended.stderr.is_ascii() || !ended.stderr.contains('\u{1b}'),
        "{story}: a message controls the terminal"
    );
}

#[track_caller]
fn check(story: &str, scenario: &str, words: &[&str]) {
    check_folder(story, &Folder::new(scenario, &[]), words);
}

/// A scenario with this flow.
fn with(flow: &str) -> String {
    format!("target: http://127.0.0.1:1\nflows: {{a: [{flow}]}}\n")
}

#[test]
fn i1_what_is_too_large_or_too_deep_is_refused() {
    let _turn = turn();
    let laughs = (0..9).fold("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, n| {
        let of = format!("*a{n}, ").repeat(10);
        text + &format!("a{}: &a{} [{of}]\n", n + 1, n + 1)
    });
    let pad = "#".repeat((256 << 10) - with("{get: /}").len());
    for (story, scenario, words) in [
        ("one byte too long", with("{get: /}") + &pad + "#", &["262144 are allowed"][..]),
        ("lists within lists", format!("vars: {}", "[".repeat(100_000)), &["recursion limit"]),
        ("maps within maps", format!("vars: {}", "{a: ".repeat(50_000)), &["deep"]),
        ("lines within lines", (0..600).map(|n| format!("{}a:\n", " ".repeat(n))).collect(), &["deep"]),
        ("dashes in a row", "- ".repeat(120_000), &["deep"]),
        ("aliases of aliases", laughs, &["anchor"]),
        (
            "thousands of flows",
            format!("flows: {{{}}}", (0..12_000).map(|n| format!("a{n}: [], ")).collect::<String>()),
            &["target"],
        ),
        ("faults without end", format!("flows: [{}]", "x, ".repeat(80_000)), &["expected"]),
        ("steps within steps", with(&format!("{}{{get: /}}", "{repeat: 2, steps: [".repeat(60))), &["deep"]),
        ("a number without end", with(&format!("{{think: {}s}}", "9".repeat(100_000))), &["duration"]),
        ("a name that controls the terminal", with("{get: /, \"\\e[31mx\": 1}"), &["unknown key"]),
    ] {
        check(story, &scenario, words);
    }
    // The same without the last byte is read, and there is only nobody at the target.
    let ended = Folder::new(&(with("{get: /}") + &pad), &[]).run("-n 1").run();
    ended.expect_code(7);
}

#[test]
fn i7_what_would_be_injected_is_refused() {
    let _turn = turn();
    for (story, flow, words) in [
        ("lines in a header", r#"{get: /, headers: {A: "b\r\nX-Evil: 1"}}"#, &["header"][..]),
        ("lines in the name of a header", r#"{get: /, headers: {"A: b\r\nX-Evil": c}}"#, &["header"]),
        (
            "a length of its own",
            "{post: /, headers: {Content-Length: \"5\"}}",
            &["'Content-Length'", "leave it out"],
        ),
        ("a coding of its own", "{post: /, headers: {Transfer-Encoding: chunked}}", &["leave it out"]),
        ("lines in a method", r#"{request: /, method: "GET / HTTP/1.1\r\nX"}"#, &["method"]),
        ("another host", "{get: \"http://example.org/\"}", &["does not begin with '/'"]),
        ("another host without a scheme", "{get: \"@example.org/\"}", &["does not begin with '/'"]),
    ] {
        check(story, &with(flow), words);
    }
}

#[test]
fn i2_expressions_that_take_for_ever_are_refused() {
    let _turn = turn();
    let with_check = |check: &str| with(&format!("{{get: /, check: ['{check}']}}"));
    for (story, check_of, words) in [
        ("a pattern of patterns", r#"body ~ "(((a{100}){100}){100}){100}""#.to_owned(), &["pattern"][..]),
        (
            "a pattern of classes",
            format!(r#"body ~ "(\\w{{1000}}{})""#, r"\\w{1000}".repeat(50)),
            &["pattern"],
        ),
        (
            "a pattern within patterns",
            format!(r#"body ~ "{}{}""#, "(".repeat(1_000), ")".repeat(1_000)),
            &["pattern"],
        ),
        (
            "brackets within brackets",
            format!("{}1{} == 1", "(".repeat(1_500), ")".repeat(1_500)),
            &["nesting"],
        ),
        ("nots in a row", format!("{}true", "not ".repeat(1_000)), &["nesting"]),
        ("a sum without end", format!("1{} == 1", " + 1".repeat(1_000)), &["256 values"]),
        ("a long one", format!("status == 200{}", " or status == 201".repeat(1_000)), &["4096"]),
        (
            "a path within paths",
            format!(r#"json("$[?({}@.a{})]") == 1"#, "@[?(".repeat(50), ")]".repeat(50)),
            &["JSON path"],
        ),
        ("descents in a row", format!(r#"json("${}") == 1"#, "..a".repeat(300)), &["JSON path"]),
    ] {
        check(story, &with_check(&check_of), words);
    }
}

#[test]
fn files_outside_of_the_folder_are_refused() {
    let _turn = turn();
    let scenario = |file: &str| {
        format!("target: http://127.0.0.1:1\ndata: {{d: {{csv: \"{file}\"}}}}\nflows: {{a: [{{get: /}}]}}\n")
    };
    let outside = tempfile::tempdir().expect("a temporary directory can be made");
    std::fs::write(outside.path().join("rows.csv"), "canary\n1\n").expect("a new directory is writable");
    let make = |file: &str| {
        let folder = Folder::new(&scenario(file), &[("plain.csv", "a\n1\n")]);
        let own = folder.path();
        symlink(outside.path().join("rows.csv"), own.join("link.csv")).expect("a link can be made");
        symlink(outside.path(), own.join("away")).expect("a link can be made");
        symlink("loop", own.join("loop")).expect("a link can be made");
        std::fs::create_dir(own.join("folder")).expect("a new directory is writable");
        folder
    };
    for (file, words) in [
        ("../../etc/passwd", &["outside"][..]),
        ("/etc/passwd", &["outside"]),
        ("folder/../../x", &["outside"]),
        ("link.csv", &["outside"]),
        ("away/rows.csv", &["outside"]),
        ("loop", &["cannot be opened"]),
        ("folder", &["is no file"]),
        ("none.csv", &["cannot be opened"]),
        ("a\\u0000b", &["b"]),
    ] {
        let folder = make(file);
        check_folder(file, &folder, words);
        let ended = run_bounded(&folder);
        assert!(
            !ended.stderr.contains("canary") && !ended.stderr.contains("root:"),
            "{file}: {}",
            ended.stderr
        );
    }
    // Links within the folder are fine.
    let folder = make("inner.csv");
    symlink("plain.csv", folder.path().join("inner.csv")).expect("a link can be made");
    folder.run("-n 1").run().expect_code(7);
}

/// A loop without a request ends, and so does the run.
#[test]
fn w4_loops_that_do_nothing_end() {
    let _turn = turn();
    let server = brunt_tests::recorder::Recorder::start(|_| brunt_tests::recorder::answer(200, &[], ""));
    let nested =
        format!("{}{{set: {{x: x + 1}}}}{}", "{repeat: 1000000, steps: [".repeat(10), "]}".repeat(10));
    let scenario =
        format!("target: {}\nvars: {{x: 0}}\nflows: {{a: [{nested}, {{get: /}}]}}\n", server.target());
    let measured = Folder::new(&scenario, &[]).run("-c 1 -n 3 --limit error_rate<=100%").json();
    assert_eq!(measured.report.totals.failed_arrivals, 3, "{}", measured.story());
    measured.expect_errors(&[("step_limit", 3)]);
    assert!(server.seen().is_empty(), "the loop never came to its request");
}
