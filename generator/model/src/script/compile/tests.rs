use super::*;
use crate::expr::{Answer, Sight};
use crate::random::Random;
use crate::script::Op;
use crate::script::call::render;

fn compiled_for(target: &str, source: &str, files: &Files) -> Result<Script, Vec<Fault>> {
    let file = file::read(source).unwrap_or_else(|faults| panic!("{faults:?}"));
    let target = Url::parse(target).expect("a good URL");
    compile(&file, frame(&target, &[]), files)
}

fn no_logs() -> &'static Logs {
    static NONE: std::sync::OnceLock<Logs> = std::sync::OnceLock::new();
    NONE.get_or_init(Logs::default)
}

fn frame<'a>(target: &'a Url, others: &'a [(String, Url)]) -> Frame<'a> {
    Frame {
        target,
        others,
        multiplexed: false,
        closes: false,
        compressed: false,
        redirects: None,
        secrets_in_clear: false,
        lifecycle: Lifecycle::Load,
        globals: &[],
        tags: &[],
        exclude_tags: &[],
        logs: no_logs(),
    }
}

fn compiled(source: &str) -> Script {
    compiled_for("http://127.0.0.1:80/base/", source, &Files::new())
        .unwrap_or_else(|faults| panic!("{faults:?}"))
}

/// A world in which variables are their numbers, and columns, secrets and the clock are fixed.
struct World(Vec<Value>);

impl Sight for World {
    fn variable(&self, index: u16) -> &Value {
        &self.0[usize::from(index)]
    }
    fn column(&self, _: u16, column: u16) -> Option<&str> {
        ["ann", "p w"].get(usize::from(column)).copied()
    }
    fn secret(&self, _: u16) -> &str {
        "s3cr3t"
    }
    fn wall_ns(&self) -> i64 {
        0
    }
    fn counter(&self) -> u64 {
        7
    }
    fn user(&self) -> u64 {
        3
    }
    fn answer(&self) -> Option<&dyn Answer> {
        None
    }
}

/// The request of the first call, with all variables the text 5.
fn sent(script: &Script) -> String {
    let call = &script.calls[0];
    let Some(draft) = &call.draft else { return String::from_utf8(call.request.wire.to_vec()).unwrap() };
    let (world, mut random) =
        (World(vec![Value::Text("5".into()); script.variables.len()]), Random::new(1, 1));
    let (mut head, mut body) = (Vec::new(), Vec::new());
    render(&draft.head, &world, &mut random, &mut head).unwrap();
    render(&draft.body, &world, &mut random, &mut body).unwrap();
    let length = if draft.has_body { format!("Content-Length: {}\r\n", body.len()) } else { String::new() };
    format!("{}{length}\r\n{}", String::from_utf8(head).unwrap(), String::from_utf8(body).unwrap())
}

fn check(steps: &str, line: &str, contains: &[&str], body: &str) {
    let source =
        format!("http: {{cookies: false}}\nvars: {{v: 1, w: \"a{{{{ v }}}}\"}}\nflows:\n  f:\n{steps}");
    let sent = sent(&compiled(&source));
    assert!(sent.starts_with(&format!("{line} HTTP/1.1\r\nHost: 127.0.0.1\r\n")), "{steps}: {sent}");
    for part in contains {
        assert!(sent.contains(part), "{steps}: {part} in {sent}");
    }
    assert!(sent.ends_with(&format!("\r\n\r\n{body}")), "{steps}: {sent}");
}

#[test]
fn requests_are_put_together() {
    check("    - get: /a?b=c#d", "GET /base/a?b=c", &["Accept: */*\r\n"], "");
    check("    - get: /a b/{{ \"x y/\" + w }}", "GET /base/a%20b/x%20y%2F5", &[], "");
    check("    - {get: /a, query: {q: \"{{ v }}&\", r: ü}}", "GET /base/a?q=1%26&r=%C3%BC", &[], "");
    check("    - {get: \"/a?b\", query: {q: x}}", "GET /base/a?b&q=x", &[], "");
    check("    - get: http://127.0.0.1/other", "GET /base/other", &[], "");
    let headers = "    - {delete: /, headers: {X-A: \"{{ w }}!\", accept: text/plain}}";
    check(headers, "DELETE /base/", &["X-A: 5!\r\n", "accept: text/plain\r\n"], "");
    check("    - post: /", "POST /base/", &["Content-Length: 0\r\n"], "");
    let body = "    - {put: /, body: \"n={{ w }}\"}";
    check(
        body,
        "PUT /base/",
        &["Content-Type: text/plain; charset=utf-8\r\n", "Content-Length: 3\r\n"],
        "n=5",
    );
    check(
        "    - post: /\n      json: {a: \"{{ w }}\", b: \"x{{ w }}\\\"\", c: [1, 2.5, null, true], d: {}}",
        "POST /base/",
        &["Content-Type: application/json\r\n"],
        r#"{"a":"5","b":"x5\"","c":[1,2.5,null,true],"d":{}}"#,
    );
    check(
        "    - {post: /, form: {a b: \"c&{{ w }}\", d: e}}",
        "POST /base/",
        &["Content-Type: application/x-www-form-urlencoded\r\n"],
        "a+b=c%265&d=e",
    );
    check(
        "    - {get: /, auth: {basic: {user: u, password: \"{{ w }}\"}}}",
        "GET /base/",
        &["Basic dTo1\r\n"],
        "",
    );
    let quoted = "    - {get: /, auth: {basic: {user: 'a{{ \"}}\" }}', password: '\\{{x'}}}";
    check(quoted, "GET /base/", &["Basic YX19Ont7eA==\r\n"], "");
    check("    - {get: /, auth: {bearer: \"{{ secret.T }}\"}}", "GET /base/", &["Bearer s3cr3t\r\n"], "");
}

#[test]
fn what_is_the_same_each_time_is_rendered_once() {
    let script = compiled("vars: {v: abc}\nflows:\n  f:\n    - get: /{{ v }}\n    - get: /{{ counter() }}\n");
    assert!(script.calls[0].draft.is_none() && script.calls[1].draft.is_some());
    assert_eq!(script.names, ["GET /base/abc", "GET /base/{}"]);
    assert!(script.variables.is_empty() && script.initial.is_empty(), "a constant needs no variable");
    assert!(!script.is_single(), "cookies may come");
    assert!(compiled("http: {cookies: false}\nflows:\n  f:\n    - get: /\n").is_single());
}

fn shown(ops: &[Op]) -> Vec<String> {
    let shown = |op: &Op| match op {
        Op::Call(call) => format!("call {call}"),
        Op::Parallel(first, count) => format!("parallel {first} {count}"),
        Op::Think(span) => format!("think {}..{}", span.from, span.to),
        Op::Set(variable, expr) => format!("set {variable} {}", expr.source()),
        Op::Jump(to) => format!("jump {to}"),
        Op::JumpUnless(expr, to) => format!("unless {} {to}", expr.source()),
        Op::Count(counter, times) => format!("count {counter} {}", times.source()),
        Op::Round(counter, end) => format!("round {counter} {end}"),
        Op::Draw(ways) => format!("draw {ways:?}"),
        Op::Switch(on, cases, other) => {
            let cases: Vec<_> = cases.iter().map(|(value, to)| format!("{:?} {to}", value.0)).collect();
            format!("switch {} {cases:?} {other}", on.source())
        }
    };
    ops.iter().map(shown).collect()
}

#[test]
fn blocks_become_jumps() {
    let ops = |steps: &str| {
        let source =
            format!("vars: {{v: 1}}\nflows:\n  f:\n    - set: {{x: v}}\n{steps}  g: [{{get: /last}}]\n");
        shown(&compiled(&source).flows[0].steps)[1..].to_vec()
    };
    assert_eq!(ops("    - think: 1s..2s\n"), ["think 1.00 s..2.00 s"]);
    assert_eq!(
        ops(
            "    - repeat: 3\n      steps:\n        - get: /\n        - repeat: x\n          steps: [{get: /}]\n"
        ),
        ["count 0 3", "round 0 9", "call 0", "count 1 x", "round 1 8", "call 1", "jump 5", "jump 2"]
    );
    assert_eq!(
        ops("    - while: x < 3\n      max: 9\n      steps: [{get: /}]\n"),
        ["count 0 9", "round 0 6", "unless x < 3 6", "call 0", "jump 2"]
    );
    assert_eq!(
        ops("    - if: x == 1\n      then: [{get: /}]\n      else: [{head: /}]\n"),
        ["unless x == 1 4", "call 0", "jump 5", "call 1"]
    );
    assert_eq!(
        ops(
            "    - random:\n        - {weight: 3, steps: [{get: /}]}\n        - {weight: 1, steps: [{head: /}]}\n"
        ),
        ["draw [(3, 2), (4, 4)]", "call 0", "jump 6", "call 1", "jump 6"]
    );
    assert_eq!(
        ops("    - switch: x\n      cases: {1: [{get: /}], a: []}\n      else: [{head: /}]\n"),
        ["switch x [\"Int(1) 2\", \"Text(\\\"a\\\") 4\"] 5", "call 0", "jump 6", "jump 6", "call 1"]
    );
    assert_eq!(ops("    - group: g\n      steps: [{get: /}]\n"), ["call 0"]);
}

/// A secret that goes the way of a variable was sent in clear text.
#[test]
fn secrets_in_variables_are_secrets() {
    let check = |before: &str, step: &str, shows: bool| {
        let source = format!("{before}\nflows:\n  f:\n    - {step}\n");
        let allowed = compiled_for("http://127.0.0.1/", &source, &Files::new());
        assert_eq!(allowed.err(), None, "{source}");
        let told = compiled_for("http://example.test/", &source, &Files::new()).err().unwrap_or_default();
        let in_clear = told.iter().any(|fault| fault.what.contains("in clear text"));
        assert_eq!((told.len(), in_clear), (usize::from(shows), shows), "{source}: {told:?}");
    };
    for step in [
        "get: /{{ key }}",
        "{get: /, query: {q: \"{{ key }}\"}}",
        "{post: /, body: \"{{ key }}\"}",
        "{post: /, json: {k: \"{{ key }}\"}}",
        "{get: /, headers: {X-Key: \"a{{ key }}\"}}",
        "{get: /, auth: {bearer: \"{{ key }}\"}}",
    ] {
        check("setup: [{set: {key: secret.K}}]", step, true);
        check("on_start: [{set: {key: secret.K}}]", step, true);
        check("vars: {key: \"{{ secret.K }}\"}", step, true);
        check("vars: {key: \"{{ other }}\"}\nsetup: [{set: {other: secret.K}}]", step, true);
        check("setup: [{set: {other: secret.K}}, {get: /, save: {key: status}}]", step, false);
    }
    // What is found out by the setup needs no secret of the load.
    let script = compiled("setup: [{set: {key: secret.K}}]\nflows: {f: [{get: \"/{{ key }}\"}]}\n");
    assert_eq!(script.secrets, [""; 0]);
}

/// What is wrong with a file: the place and the sentence of each fault.
fn faults(source: &str) -> Vec<String> {
    let faults = compiled_for("http://example.test/", source, &Files::new()).expect_err(source);
    assert!(faults.iter().all(|fault| !fault.mend.is_empty()), "{faults:?}");
    faults.iter().map(|fault| format!("{}:{} {}", fault.at.line, fault.at.column, fault.what)).collect()
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let step = |step: &str| format!("flows:\n  f:\n    - {step}\n");
    let files = [
        (step("get: /{{ nobody }}"), "3:16 there is no `nobody`"),
        (step("get: items"), "3:12 'items' does not begin with '/'"),
        (step("get: https://elsewhere.test/"), "3:12 'https://elsewhere.test/' does not begin with '/'"),
        (step("{get: /, headers: {\"A B\": x}}"), "3:27 'A B' cannot be the name of a header"),
        (
            step("{get: /, headers: {Content-Length: 5}}"),
            "3:26 the header 'Content-Length' is made from the body",
        ),
        (
            step("{get: /, headers: {A: \"x\\r\\nB: y\"}}"),
            "3:30 a line break or NUL cannot stand in a header",
        ),
        (
            format!("vars: {{v: \"x\\ny\"}}\n{}", step("{get: /, headers: {A: 'a{{ v }}'}}")),
            "4:30 the value of `v` has a line break or NUL, which cannot stand in a header",
        ),
        (
            format!("vars: {{v: \"x\\ny\"}}\n{}", step("{get: /, auth: {bearer: '{{ v }}'}}")),
            "4:32 the value of `v` has a line break",
        ),
        (
            step("{post: /, multipart: [{name: a, text: b, content_type: \"c\\nd\"}]}"),
            "3:63 a line break or NUL cannot stand in a header",
        ),
        (step("{get: /, check: [status]}"), "3:24 this is an integer, where true or false is wanted"),
        (step("{get: /, check: ['json(\"$[\") == 1']}"), "3:25 a JSON path is wrong"),
        (step("{get: /, save: {status: status}}"), "3:23 'status' means something else in expressions"),
        (step("{repeat: '\"a\"', steps: []}"), "3:17 this is a text, where an integer is wanted"),
        (
            step("{get: /, headers: {A: '{{ secret.K }}'}}"),
            "3:7 a secret would go over the network in clear text",
        ),
        (
            "data: {d: {csv: no.csv}}\nflows: {f: [{get: /}]}\n".to_owned(),
            "1:17 the file 'no.csv' was not read",
        ),
        ("flows: {f: {weight: 0, steps: [{get: /}]}}\n".to_owned(), "1:1 there is no flow to run"),
        (
            "vars: {body: 1}\nflows: {f: [{get: /}]}\n".to_owned(),
            "1:8 'body' means something else in expressions",
        ),
    ];
    let told: Vec<_> = files.iter().map(|(source, _)| faults(source)).collect();
    let as_wanted =
        |(told, (_, want)): (&Vec<String>, &(String, &str))| told.len() == 1 && told[0].starts_with(want);
    assert!(told.iter().zip(&files).all(as_wanted), "{told:#?}");
}

#[test]
fn tags_choose_what_is_run() {
    let source = "flows:\n  a: {tags: [smoke], steps: [{get: /a}, {get: /b, tags: [slow]}]}\n  b: {steps: [{get: /c}]}\n";
    let of = |tags: &[&str], exclude: &[&str]| {
        let owned = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
        let (tags, exclude_tags) = (owned(tags), owned(exclude));
        let target = Url::parse("http://h/").unwrap();
        let frame =
            Frame { multiplexed: true, tags: &tags, exclude_tags: &exclude_tags, ..frame(&target, &[]) };
        compile(&file::read(source).unwrap(), frame, &Files::new()).unwrap().names
    };
    assert_eq!(of(&[], &[]), ["GET /a", "GET /b", "GET /c"]);
    assert_eq!(of(&["smoke"], &[]), ["GET /a", "GET /b"]);
    assert_eq!(of(&[], &["slow"]), ["GET /a", "GET /c"]);
    assert_eq!(of(&["smoke"], &["slow"]), ["GET /a"]);
}

/// The other target's calls: which of them goes where, on which way, under which name, with which host.
fn spread(steps: &str) -> Result<Vec<(u16, u16, String, String)>, String> {
    let text = format!(
        "target: https://shop.test/v1\nhttp: {{auth: {{bearer: for-shop}}}}\n\
                        flows:\n  f:\n{steps}"
    );
    let file = file::read(&text).map_err(|faults| faults[0].to_string())?;
    let others = [("api".to_owned(), Url::parse("https://api.test:8443/v2/").unwrap())];
    let target = Url::parse("https://shop.test/v1").unwrap();
    let script =
        compile(&file, frame(&target, &others), &Files::new()).map_err(|faults| faults[0].to_string())?;
    let of = |call: &Call| {
        let head = String::from_utf8_lossy(&call.request.wire).into_owned();
        assert_eq!(
            head.contains("for-shop"),
            call.target == 0,
            "credentials are for the file's target alone"
        );
        let host = head.lines().find_map(|line| line.strip_prefix("Host: ")).unwrap().to_owned();
        (call.target, call.way, script.names[usize::from(call.name)].clone(), host)
    };
    Ok(script.calls.iter().map(of).collect())
}

#[test]
fn requests_name_their_target_or_lie_within_it() {
    let of = |target, way, name: &str, host: &str| (target, way, name.to_owned(), host.to_owned());
    let (shop, api) = ("shop.test", "api.test:8443");
    assert_eq!(
        spread(
            "    - get: /a\n    - {get: /b, target: api}\n    - get: https://api.test:8443/c\n    \
             - get: https://shop.test/d\n"
        ),
        Ok(vec![
            of(0, 0, "GET /v1/a", shop),
            of(1, 0, "GET /v2/b", api),
            of(1, 0, "GET /v2/c", api),
            of(0, 0, "GET /v1/d", shop)
        ])
    );
    assert_eq!(
        spread(
            "    - parallel: [{get: /a}, {get: /b, target: api}, {get: /c}, {get: /d, target: api}]\n    \
             - get: /e\n"
        ),
        Ok(vec![
            of(0, 0, "GET /v1/a", shop),
            of(1, 0, "GET /v2/b", api),
            of(0, 1, "GET /v1/c", shop),
            of(1, 1, "GET /v2/d", api),
            of(0, 0, "GET /v1/e", shop)
        ])
    );
    assert_eq!(
        spread("    - {get: /a, target: apo}\n").unwrap_err(),
        "5:25: there is no target 'apo'; did you mean 'api'?"
    );
    assert_eq!(
        spread("    - get: https://other.test/\n").unwrap_err(),
        "5:12: 'https://other.test/' does not begin with '/'; write a path on https://shop.test, such as \
         /items?page=2"
    );
    let many = format!("    - parallel: [{}]\n", vec!["{get: /}"; 33].join(", "));
    assert!(spread(&many).unwrap_err().contains("these are 33 requests at once, and at most 32 are allowed"));
}

#[test]
fn a_scenario_without_requests_is_none() {
    let check = |flows: &str| {
        let text = format!("flows:\n  f: {flows}\n");
        let faults = compiled_for("http://h/", &text, &Files::new()).map(|_| ()).unwrap_err();
        let told: Vec<_> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["2:3: there is no request; add one such as `- get: /`"], "{flows}");
    };
    check("[]");
    check("[{think: 10ms}]");
    check("[{set: {x: 1}}, {parallel: []}, {while: 'true', steps: []}]");
}

#[test]
fn an_iteration_takes_rows_of_the_feeders_that_it_looks_at() {
    let files = [("a.csv".to_owned(), b"n\n1\n".to_vec()), ("b.csv".to_owned(), b"n\n1\n".to_vec())].into();
    let feeders = |more: &str| {
        let text = format!(
            "data: {{a: {{csv: a.csv}}, b: {{csv: b.csv}}}}\n{more}flows:\n  none: [{{get: /}}]\n  \
             one: [{{get: \"/{{{{ b.n }}}}\"}}]\n  both: [{{set: {{x: a.n}}}}, {{get: /, check: [status == int(b.n)]}}]\n"
        );
        let script = compiled_for("http://h/", &text, &files).unwrap();
        script.flows.iter().map(|flow| flow.feeders.clone()).collect::<Vec<_>>()
    };
    assert_eq!(feeders(""), [vec![], vec![1], vec![0, 1]]);
    assert_eq!(feeders("on_start: [{get: \"/{{ a.n }}\"}]\n"), [vec![0], vec![0, 1], vec![0, 1]]);
    assert_eq!(feeders("vars: {v: \"{{ a.n }}\"}\n"), [vec![0], vec![0, 1], vec![0, 1]]);
}
