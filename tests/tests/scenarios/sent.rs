//! What is written in a scenario is what a server gets, to the byte.

use brunt_tests::brunt::Brunt;
use brunt_tests::clock;
use brunt_tests::origin::Origin;
use brunt_tests::recorder::{Recorder, Seen, answer};
use brunt_tests::turn;

use crate::{Folder, IO};

/// One user goes through these steps once; what the server got.
#[track_caller]
fn sent(head: &str, steps: &str, io: &str) -> Vec<Seen> {
    let server = Recorder::start(|_| answer(200, &[], "{}"));
    let scenario = format!("target: {}\n{head}\nflows:\n  a:\n{steps}\n", server.target());
    let folder = Folder::new(&scenario, &[("bytes", "\u{1}\u{2}{{ 1 }}"), ("note.txt", "a note")]);
    let measured = folder.run(&format!("-c 1 -n 1 --io {io}")).json();
    measured.expect_counts(0).expect_errors(&[]);
    server.seen()
}

const VARS: &str = "vars: {word: \"ö /?&+\\\"\", seven: 7}";

/// A step's request line, and its body.
#[track_caller]
fn check(step: &str, line: &str, body: &str) {
    for io in IO {
        let seen = sent(VARS, &format!("    - {step}"), io);
        let got: Vec<_> = seen.iter().map(|seen| (seen.asked(), seen.text())).collect();
        assert_eq!(got, [(line, body.to_owned())], "{step}");
    }
}

#[test]
fn paths_and_queries_are_encoded() {
    let _turn = turn();
    for (step, line) in [
        ("get: /items/{{ 6 * seven }}", "GET /items/42"),
        ("get: /a/{{ word }}/b", "GET /a/%C3%B6%20%2F%3F%26%2B%22/b"),
        ("get: /a/ö b?c=ö", "GET /a/%C3%B6%20b?c=%C3%B6"),
        (
            "{get: /q, query: {a: 1 &, \"b[]\": \"{{ word }}\"}}",
            "GET /q?a=1%20%26&b%5B%5D=%C3%B6%20%2F%3F%26%2B%22",
        ),
        ("{get: /q?x=1, query: {y: \"{{ seven }}\"}}", "GET /q?x=1&y=7"),
        ("delete: /x", "DELETE /x"),
        ("{request: /x, method: PURGE}", "PURGE /x"),
    ] {
        check(step, line, "");
    }
}

#[test]
fn bodies_are_as_written() {
    let _turn = turn();
    for (step, body) in [
        ("{post: /x, body: \"say {{ word }}\"}", "say ö /?&+\""),
        ("{post: /x, file: bytes}", "\u{1}\u{2}{{ 1 }}"),
        ("{post: /x, form: {a: 1 2, \"b&\": \"{{ word }}\"}}", "a=1+2&b%26=%C3%B6+%2F%3F%26%2B%22"),
        ("{post: /x, json: {n: \"{{ seven + 1 }}\", t: \"{{ text(seven) }}\"}}", r#"{"n":8,"t":"7"}"#),
        ("{post: /x, json: {b: \"{{ 1 < 2 }}\", f: \"{{ 1.5 }}\"}}", r#"{"b":true,"f":1.5}"#),
        (
            "{post: /x, json: [\"{{ word }}\", \"n{{ seven }}\", 3, 1.5, null, true]}",
            r#"["ö /?&+\"","n7",3,1.5,null,true]"#,
        ),
        ("{post: /x, json: \"{{ word }}\"}", r#""ö /?&+\"""#),
        ("post: /x", ""),
    ] {
        check(step, "POST /x", body);
    }
}

#[test]
fn headers_and_credentials_are_as_written() {
    let _turn = turn();
    let head =
        format!("{VARS}\nhttp: {{headers: {{A: all, B: all}}, auth: {{bearer: \"t{{{{ seven }}}}\"}}}}");
    let steps = "    - {get: /1, headers: {B: \"one {{ seven }}\"}}\n    \
                 - {get: /2, auth: {basic: {user: me, password: \"{{ text(seven) }}\"}}}\n    \
                 - {post: /3, json: {}}\n    - {post: /4, form: {a: b}, headers: {Content-Type: text/x}}";
    for io in IO {
        let seen = sent(&head, steps, io);
        let of = |name: &str| seen.iter().map(|seen| seen.header(name)).collect::<Vec<_>>();
        assert_eq!(of("a"), ["all", "all", "all", "all"]);
        assert_eq!(of("b"), ["one 7", "all", "all", "all"]);
        assert_eq!(of("authorization"), ["Bearer t7", "Basic bWU6Nw==", "Bearer t7", "Bearer t7"]);
        assert_eq!(of("content-type"), ["", "", "application/json", "text/x"]);
        assert_eq!(of("content-length"), ["", "", "2", "3"]);
    }
}

/// A variable that is one expression keeps its type, and one with more is a text.
#[test]
fn variables_are_computed_once_an_iteration() {
    let _turn = turn();
    let head = "vars: {n: \"{{ pick(1, 1000000) }}\", t: \"{{ 4 + 2 }}x\", plain: 5}";
    let step =
        "    - {post: \"/{{ n }}\", json: {n: \"{{ n }}\", more: \"{{ n - n + plain }}\", t: \"{{ t }}\"}}";
    let seen = sent(head, step, "epoll");
    let number = seen[0].asked().trim_start_matches("POST /").to_owned();
    assert!((1..=1_000_000).contains(&number.parse::<u32>().expect("a number")), "{number}");
    assert_eq!(seen[0].text(), format!(r#"{{"n":{number},"more":5,"t":"6x"}}"#));
}

/// RFC 7578 sections 4.1 and 4.2.
#[test]
fn forms_with_files_are_in_parts() {
    let _turn = turn();
    let step = "    - {post: /x, multipart: [{name: title, text: \"{{ 6 * seven }}\"}, \
                {name: f, file: note.txt, filename: \"n {{ seven }}.txt\", content_type: text/plain}]}";
    let seen = sent(VARS, step, "epoll");
    let kind = seen[0].header("content-type");
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").expect("the type names the boundary");
    let want = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\n42\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"f\"; filename=\"n 7.txt\"\r\n\
         Content-Type: text/plain\r\n\r\na note\r\n--{boundary}--\r\n"
    );
    assert_eq!(seen[0].text(), want);
}

/// Gives each user a cookie with its name, one for a path, and takes the first away again.
fn baker(seen: &Seen) -> String {
    let user = seen.header("x-user");
    match seen.asked() {
        "GET /in" => answer(200, &[&format!("Set-Cookie: id={user}"), "Set-Cookie: deep=1; Path=/deep"], ""),
        "GET /out" => answer(200, &["Set-Cookie: id=; Max-Age=0"], ""),
        _ => answer(200, &[], ""),
    }
}

#[test]
fn each_user_sends_its_own_cookies_back() {
    let _turn = turn();
    let paths = ["/in", "/deep/x", "/", "/out", "/", "/deep/x"];
    let steps: String = paths
        .map(|path| format!("    - {{get: {path}, headers: {{X-User: \"u{{{{ user() }}}}\"}}}}\n"))
        .concat();
    for (cookies, args) in [(true, "-c 3 -n 3"), (true, "-c 3 -n 3 --io epoll"), (false, "-c 3 -n 3")] {
        let server = Recorder::start(baker);
        let head = format!("target: {}\nhttp: {{cookies: {cookies}}}", server.target());
        let folder = Folder::new(&format!("{head}\nflows:\n  a:\n{steps}"), &[]);
        folder.run(args).json().expect_counts(0).expect_errors(&[]);
        let seen = server.seen();
        for user in ["u0", "u1", "u2"] {
            let own = seen.iter().filter(|seen| seen.header("x-user") == user);
            let got: Vec<_> = own.map(|seen| seen.header("cookie")).collect();
            let id = format!("id={user}");
            let deep = format!("deep=1; {id}");
            let want = ["", &deep, &id, &id, "", "deep=1"].map(|cookie| if cookies { cookie } else { "" });
            assert_eq!(got, want, "{user} of {args}, cookies: {cookies}");
        }
    }
}

/// Expressions know the time of day, and so does who keeps cookies.
#[test]
fn the_time_of_day_is_known() {
    let _turn = turn();
    const COOKIES: [&str; 2] = [
        "Set-Cookie: old=1; Expires=Sat, 01 Feb 2020 00:00:00 GMT",
        "Set-Cookie: new=1; Expires=Sun, 01 Feb 2099 00:00:00 GMT",
    ];
    for io in IO {
        let server = Recorder::start(|_| answer(200, &COOKIES, ""));
        let steps = "[{get: /}, {get: \"/{{ now() }}\"}]";
        let scenario =
            format!("target: {}\nhttp: {{cookies: true}}\nflows: {{a: {steps}}}\n", server.target());
        let before_ms = clock::unix_s() * 1_000;
        Folder::new(&scenario, &[])
            .run(&format!("-c 1 -n 1 --io {io}"))
            .json()
            .expect_counts(0)
            .expect_errors(&[]);
        let after_ms = (clock::unix_s() + 1) * 1_000;
        let seen = server.seen();
        let sent_ms = seen[1].asked().trim_start_matches("GET /").parse().expect("a number");
        assert!((before_ms..=after_ms).contains(&sent_ms), "{before_ms} {sent_ms} {after_ms}");
        assert_eq!(seen[1].header("cookie"), "new=1");
    }
}

/// A run of a URL with `--cookies`: a connection is a user, also on its way through redirects.
#[test]
fn a_connection_of_a_quick_run_keeps_its_cookies() {
    let _turn = turn();
    let bake = |seen: &Seen| match (seen.asked(), seen.header("cookie").as_str()) {
        ("GET /in", "") => answer(302, &["Set-Cookie: id=1", "Location: home"], ""),
        _ => answer(200, &[], ""),
    };
    for io in IO {
        let server = Recorder::start(bake);
        let args = format!("run {}/in --cookies --redirects 1 -c 2 -n 6 --io {io}", server.target());
        let measured = Brunt::new(&args).json();
        measured.expect_counts(0).expect_errors(&[]);
        let got: Vec<_> =
            server.seen().iter().map(|seen| (seen.asked().to_owned(), seen.header("cookie"))).collect();
        let count = |asked: &str, cookie: &str| {
            got.iter().filter(|(line, value)| (line.as_str(), value.as_str()) == (asked, cookie)).count()
        };
        let counts = [count("GET /in", ""), count("GET /home", "id=1"), count("GET /in", "id=1")];
        assert_eq!((counts, got.len()), ([2, 2, 4], 8), "{got:?}");
    }
}

/// A relative `Location` is resolved against the path that was sent (RFC 3986 section 5.2).
#[test]
fn redirects_are_relative_to_what_was_sent() {
    let _turn = turn();
    let lead = |seen: &Seen| match seen.asked() {
        "GET /shop/7/in?x=1" => answer(302, &["Location: ../8/out"], ""),
        "GET /shop/8/out" => answer(302, &["Location: deep/end"], ""),
        _ => answer(200, &[], ""),
    };
    for io in IO {
        let server = Recorder::start(lead);
        let steps = "[{get: \"/shop/{{ seven }}/in?x=1\", redirects: 2}]";
        let scenario = format!(
            "target: {}\nvars: {{seven: \"{{{{ pick(7, 7) }}}}\"}}\nflows: {{a: {steps}}}\n",
            server.target()
        );
        let measured = Folder::new(&scenario, &[]).run(&format!("-c 1 -n 1 --io {io}")).json();
        measured.expect_counts(0).expect_errors(&[]);
        let got: Vec<_> = server.seen().iter().map(|seen| seen.asked().to_owned()).collect();
        assert_eq!(got, ["GET /shop/7/in?x=1", "GET /shop/8/out", "GET /shop/8/deep/end"]);
    }
}

/// As `curl -F` sends it.
#[test]
fn a_form_of_a_quick_run_is_in_parts() {
    let _turn = turn();
    let folder = tempfile::tempdir().expect("a temporary directory can be made");
    let note = folder.path().join("note.txt");
    std::fs::write(&note, "a note").expect("a new directory is writable");
    for io in IO {
        let server = Recorder::start(|_| answer(200, &[], ""));
        let args = format!("run {}/x -c 1 -n 2 --io {io} --form title=42", server.target());
        let measured = Brunt::new(&args).arg("--form").arg(&format!("f=@{}", note.display())).json();
        measured.expect_counts(0).expect_errors(&[]);
        let seen = server.seen();
        assert_eq!(seen.iter().map(Seen::asked).collect::<Vec<_>>(), ["POST /x", "POST /x"]);
        let kind = seen[0].header("content-type");
        let boundary =
            kind.strip_prefix("multipart/form-data; boundary=").expect("the type names the boundary");
        let want = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\n42\r\n\
             --{boundary}\r\nContent-Disposition: form-data; name=\"f\"; filename=\"note.txt\"\r\n\
             Content-Type: application/octet-stream\r\n\r\na note\r\n--{boundary}--\r\n"
        );
        assert_eq!(seen[0].text(), want);
    }
}

/// Waits, groups, loops and ways lead to the requests that they should, in order.
#[test]
fn steps_are_taken_in_order() {
    let _turn = turn();
    let steps = "    - set: {n: \"2\"}\n    - repeat: n + 1\n      steps: [{get: \"/r{{ n }}\"}]\n    \
                 - while: n < 4\n      steps: [{set: {n: n + 1}}, {get: \"/w{{ n }}\"}]\n    \
                 - {if: n == 4, then: [{get: /then}], else: [{get: /else}]}\n    \
                 - {switch: n, cases: {3: [{get: /three}], 4: [{get: /four}]}, else: [{get: /other}]}\n    \
                 - {group: g, steps: [{get: /in}, {think: 1ms..2ms}, {get: /group}]}\n    \
                 - random: [{weight: 0, steps: [{get: /never}]}, {weight: 1, steps: [{get: /always}]}]";
    let want = ["/r2", "/r2", "/r2", "/w3", "/w4", "/then", "/four", "/in", "/group", "/always"];
    for io in IO {
        let seen = sent("", steps, io);
        let got: Vec<_> = seen.iter().map(|seen| seen.asked().trim_start_matches("GET ")).collect();
        assert_eq!(got, want);
    }
}

/// The same over HTTP/2: the checks compare what an echo got.
#[test]
fn both_versions_of_http_carry_the_same() {
    let _turn = turn();
    let origin = Origin::start("");
    let steps = r#"
flows:
  a:
    - post: /login
      form: {user: "u{{ user() }}", password: x}
      save: {token: json("$.token")}
    - post: /echo
      query: {q: "a b"}
      headers: {X-Own: "n{{ 3 }}", Authorization: "Bearer {{ token }}"}
      json: {n: "{{ 40 + 2 }}"}
      check:
        - json("$.method") == "POST" and json("$.path") == "/echo" and json("$.query") == "q=a%20b"
        - json("$.headers['x-own']") == "n3" and json("$.headers.cookie") == "session=" + token
        - json("$.headers.authorization") == "Bearer " + token
        - json("$.headers['content-type']") == "application/json" and json("$.headers['content-length']") == "8"
        - json("$.body") == "{\"n\":42}"
    - get: /me
      check: [json("$.user") == "u" + text(user())]
limits: [check_rate >= 100%]
"#;
    let folder = Folder::new(&format!("target: {}{steps}", origin.url("")), &[]);
    for io in IO {
        for version in ["", "--h2c", "--h2c -p 4"] {
            let measured = folder.run(&format!("-c 4 -n 60 --io {io} {version}")).json();
            measured.expect_counts(0).expect_errors(&[]);
            assert_eq!(measured.report.totals.completed, 180, "{version}\n{}", measured.story());
        }
    }
}
