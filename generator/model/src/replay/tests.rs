use proptest::prelude::*;
use serde_json::json;

use super::*;
use LogFormat::{Combined, Har, JsonLines};

fn ok(log: &str, format: LogFormat) -> Vec<LogRequest> {
    read(log.as_bytes(), format).unwrap_or_else(|error| panic!("{error}"))
}

/// Times in milliseconds, methods and paths.
fn check(log: &str, format: LogFormat, want: &[(u64, &str, &str)]) {
    let got = ok(log, format);
    let got: Vec<_> = got.iter().map(|r| (r.at.0 / 1_000_000, r.method.as_str(), r.path.as_str())).collect();
    assert_eq!(got, want, "{log}");
}

/// A line for each request line, a second apart.
fn access(request: &str) -> String {
    format!("10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] \"{request}\" 200 2326\n")
}

#[test]
fn an_access_log_is_read_in_order_and_spread_over_its_seconds() {
    let log = r#"
192.0.2.1 - frank [10/Oct/2000:13:55:37 -0700] "POST /c?d=%20e HTTP/1.1" 201 5 "http://h/\"q\"" "Mozilla/5.0 (X)"
::1 - - [10/Oct/2000:13:55:36 -0700] "GET /1 HTTP/1.1" 200 2326 "-" "-"
h:80 192.0.2.1 - - [10/Oct/2000:20:55:36 +0000] "GET /2 HTTP/2.0" 200 -

::1 - - [10/Oct/2000:13:55:36 -0700] "HEAD /3 HTTP/1.1" 304 0 "-" "curl" "192.0.2.7"
::1 - - [10/Oct/2000:13:55:39 -0700] "GET /d" 200 1"#;
    for log in [log.to_owned(), log.replace('\n', "\r\n"), format!("\u{feff}{log}")] {
        let want = [
            (0, "GET", "/1"),
            (333, "GET", "/2"),
            (666, "HEAD", "/3"),
            (1_000, "POST", "/c?d=%20e"),
            (3_000, "GET", "/d"),
        ];
        check(&log, Combined, &want);
    }
    let headers: Vec<_> = ok(log, Combined).into_iter().map(|request| request.headers).collect();
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let post = vec![header("Referer", "http://h/\"q\""), header("User-Agent", "Mozilla/5.0 (X)")];
    assert_eq!(headers, [vec![], vec![], vec![header("User-Agent", "curl")], post, vec![]]);
}

#[test]
fn request_lines_are_taken_as_far_as_they_are_requests() {
    for (request, want) in [
        (r"GET http://h.test:8080/a?b HTTP/1.1", Some(("GET", Some("h.test:8080"), "/a?b"))),
        (r"GET HTTPS://u:p@H/ HTTP/1.1", Some(("GET", Some("h"), "/"))),
        (r"GET http://h?x HTTP/1.1", Some(("GET", Some("h"), "/?x"))),
        (r"GET http://[::1]:80 HTTP/1.1", Some(("GET", Some("[::1]:80"), "/"))),
        (r#"GET /a\"b\x22c\\d\x5Ce HTTP/1.1"#, Some(("GET", None, r"/a%22b%22c\d\e"))),
        (r"GET /a b\t\r\n\x0d\x0aX: y HTTP/1.1", Some(("GET", None, "/a%20b%09%0D%0A%0D%0AX:%20y"))),
        (r"GET /\xc3\xa9#f HTTP/1.1", Some(("GET", None, "/%C3%A9"))),
        (r"GET /é\q HTTP/1.1", Some(("GET", None, r"/%C3%A9\q"))),
        (r"M-SEARCH /a HTTP/1.1", Some(("M-SEARCH", None, "/a"))),
        (r"GET //a HTTP/1.1", Some(("GET", None, "//a"))),
        ("-", None),
        ("", None),
        ("GET", None),
        (r"\x16\x03\x01\x02 /a HTTP/1.1", None),
        ("G(T /a HTTP/1.1", None),
        ("CONNECT h:443 HTTP/1.1", None),
        ("OPTIONS * HTTP/1.1", None),
        ("GET http:// HTTP/1.1", None),
        ("GET http://a b/ HTTP/1.1", None),
        ("GET ftp://h/ HTTP/1.1", None),
    ] {
        let got = ok(&access(request), Combined);
        let got: Vec<_> =
            got.iter().map(|r| (r.method.as_str(), r.host.as_deref(), r.path.as_str())).collect();
        assert_eq!(got, want.into_iter().collect::<Vec<_>>(), "{request}");
    }
}

#[test]
fn json_lines_hold_all_that_is_sent() {
    let log = r#"{"time": "2000-10-10T13:55:36.5-07:00", "method": "PUT", "url": "/a?b", "status": 200, "body": "x\ny",
 "headers": {"B": "2", "a": "1", "HOST": "H.test", "Cookie": "c", "Content-Length": "3", "B": "3"}}
{"time": 971211336, "method": "GET", "url": "https://other/"}
{"time": 971211336.25, "method": "GET", "url": "/", "body": null}"#
        .replace("\n ", " ");
    check(&log, JsonLines, &[(0, "GET", "/"), (250, "GET", "/"), (500, "PUT", "/a?b")]);
    let requests = ok(&log, JsonLines);
    assert_eq!(requests[0].host.as_deref(), Some("other"));
    let put = requests.last().unwrap();
    let headers: Vec<_> = put.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    assert_eq!(headers, ["B: 2", "a: 1", "B: 3"]);
    assert_eq!((put.host.as_deref(), put.body.as_slice()), (Some("h.test"), &b"x\ny"[..]));
}

fn har(entries: &str) -> String {
    format!(r#"{{"log": {{"version": "1.2", "creator": {{}}, "entries": [{entries}]}}}}"#)
}

#[test]
fn a_har_file_is_read_for_its_requests() {
    let log = har(
        r#"{"startedDateTime": "2026-01-01T00:00:01.000Z", "time": 5, "response": {"status": 200}, "request": {
            "method": "POST", "url": "https://h.test/a?b#c", "httpVersion": "h2", "cookies": [{"name": "s"}],
            "headers": [{"name": ":authority", "value": "h.test"}, {"name": "accept", "value": "*/*"},
                {"name": "Connection", "value": "close"}, {"name": "cookie", "value": "s=1"}],
            "postData": {"mimeType": "text/plain", "text": "hello"}}},
        {"startedDateTime": "2026-01-01T00:00:00.750Z", "request": {"method": "GET", "url": "http://h.test:81"}},
        {"startedDateTime": "", "request": {"method": "GET", "url": "data:image/png;base64,AA=="}},
        {"startedDateTime": "2026-01-01T00:00:02Z", "request": {"method": "GET", "url": "wss://h.test/"}}"#,
    );
    for log in [log.clone(), format!("\u{feff}{log}")] {
        check(&log, Har, &[(0, "GET", "/"), (250, "POST", "/a?b")]);
    }
    let post = ok(&log, Har).remove(1);
    assert_eq!((post.host.as_deref(), post.body.as_slice()), (Some("h.test"), &b"hello"[..]));
    assert_eq!(post.headers, [("accept".to_owned(), "*/*".to_owned())]);
}

#[test]
fn what_is_broken_is_named_with_its_line() {
    let good = access("GET / HTTP/1.1");
    let line = |line: &str| format!("{good}\n{line}\n{good}");
    let json = |rest: &str| format!("\n{{\"time\": 1, {rest}}}");
    let entry = |request: &str| {
        let good =
            r#"{"startedDateTime": "2026-01-01T00:00:00Z", "request": {"method": "GET", "url": "http://h"}}"#;
        har(&format!("{good}, {}", good.replace(r#""method": "GET", "url": "http://h""#, request)))
    };
    let long = "x".repeat(1_000);
    for (log, format, want) in [
        (line("what"), Combined, "line 3: there is no time in brackets; a line is like: 10."),
        (line("a [b] \"GET / HTTP/1.1\" 200 1"), Combined, "line 3: 'b' is not a time such as 10/Oct"),
        (line("a [10/Oct/2000:13:55:36 -0700 \"GET /"), Combined, "line 3: there is no time in"),
        (
            line(good.trim_end().strip_suffix("\" 200 2326").unwrap()),
            Combined,
            "line 3: there is no request in quotes",
        ),
        (
            line(r#"a [10/Oct/2000:13:55:36 -0700] "GET /\"#),
            Combined,
            "line 3: there is no request in quotes",
        ),
        (line(r#"a [10/Oct/2000:13:55:36 -0700] "GET /" "a" "b""#), Combined, "line 3: there is no status"),
        (
            line(&good.replace("2000", "1700")),
            Combined,
            "first and last time are more than a hundred years apart",
        ),
        (json(""), JsonLines, "line 2: trailing comma, at column 13; a line is like: {\"time\""),
        (json(r#""method": "GET""#), JsonLines, "line 2: missing field `url`"),
        (json(r#""method": "G T", "url": "/""#), JsonLines, "line 2: 'G T' is not a method"),
        (json(r#""method": "GET", "url": "a""#), JsonLines, "line 2: 'a' is neither a path nor an http URL"),
        (json(&format!(r#""method": "GET", "url": "{long}""#)), JsonLines, "xxx...' is neither"),
        (
            json(r#""method": "GET", "url": "/", "headers": {"a b": "c"}"#),
            JsonLines,
            "'a b' is not a header's name",
        ),
        (json(r#""method": "GET", "url": "/", "headers": {"a": "b\nc"}"#), JsonLines, "'a' has a control"),
        (json(r#""method": "GET", "url": "/", "headers": []"#), JsonLines, "expected an object of headers"),
        (
            r#"{"time": "now", "method": "GET", "url": "/"}"#.into(),
            JsonLines,
            "line 1: 'now' is not a time such",
        ),
        (r#"{"time": -1, "method": "GET", "url": "/"}"#.into(), JsonLines, "line 1: -1 is not a number of"),
        (r#"{"time": [], "method": "GET", "url": "/"}"#.into(), JsonLines, "line 1: `time` is neither"),
        ("[".repeat(10_000), JsonLines, "line 1: "),
        ("{\n\"log\":\n[".into(), Har, "line 3: "),
        ("{}".into(), Har, "line 1: missing field `log`, at column 2; save it again"),
        (entry(r#""method": "", "url": "http://h""#), Har, "entry 2: '' is not a method"),
        (entry(r#""method": "GET", "url": "http:///""#), Har, "entry 2: 'http:///' is neither"),
        (
            entry(r#""method": "POST", "url": "http://h", "postData": {"params": [{"name": "a"}]}"#),
            Har,
            "entry 2: its postData has params without the text",
        ),
        (entry("").replace("\"request\": {}", "\"x\": 1"), Har, "line 1: missing field `request`"),
        ("\n".repeat(LOG_LINES_MAX) + "x", Combined, "line 10000001: the log has more than 10000000 lines"),
        ("\n".repeat(LOG_BYTES_MAX + 1), JsonLines, "the log has 67108865 bytes, more than 67108864"),
    ] {
        let got = read(log.as_bytes(), format).expect_err(want).to_string();
        assert!(got.contains(want) && got.len() < 400, "{got} should contain {want}");
    }
    assert_eq!(ok(" \n", Combined), []);
}

#[test]
fn a_speed_divides_times() {
    let times = [0, 10, 1_000_000_001, u64::MAX].map(Nanos);
    let at = |factor| speed(times, factor).map(|times| times.iter().map(|time| time.0).collect::<Vec<_>>());
    assert_eq!(at(1.0), Some(times.map(|time| time.0).to_vec()));
    assert_eq!(at(2.5).unwrap()[..3], [0, 4, 400_000_000]);
    assert_eq!(at(1e-300).unwrap()[..2], [0, u64::MAX]);
    for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(at(wrong), None, "{wrong}");
    }
}

/// Milliseconds, paths and bodies.
fn sent() -> impl Strategy<Value = Vec<(u64, String, String)>> {
    prop::collection::vec((0u64..100_000, "/[!$-~]{0,20}", any::<String>()), 0..20)
}

fn rfc3339(millis: u64) -> String {
    let (minutes, seconds) = (millis / 60_000, millis / 1_000 % 60);
    format!("2026-01-01T00:{minutes:02}:{seconds:02}.{:03}Z", millis % 1_000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What is written as the formats want it is read as it was, in the order of times.
    #[test]
    fn what_was_sent_is_what_will_be(mut sent in sent()) {
        let (mut lines, mut entries) = (String::new(), Vec::new());
        for (at, path, body) in &sent {
            let (time, put) = (rfc3339(*at), "PUT");
            let line = json!({ "time": time, "method": put, "url": path, "body": body });
            lines.push_str(&format!("{line}\n"));
            let request = json!({ "method": put, "url": format!("http://h{path}"), "postData": { "text": body } });
            entries.push(json!({ "startedDateTime": time, "request": request }).to_string());
        }
        sent.sort_by_key(|(at, ..)| *at);
        let first = sent.first().map_or(0, |(at, ..)| *at);
        let want = sent.into_iter().map(|(at, path, body)| (Nanos::from_millis(at - first), path, body.into_bytes()));
        let want: Vec<_> = want.collect();
        for requests in [ok(&lines, JsonLines), ok(&har(&entries.join(",")), Har)] {
            let got: Vec<_> = requests.into_iter().map(|r| (r.at, r.path, r.body)).collect();
            prop_assert_eq!(&got, &want);
        }
    }

    /// Whatever a log holds, what is read of it is in order and cannot break out of a request's head.
    #[test]
    fn nothing_of_a_log_breaks_a_head(
        noise in prop::collection::vec(any::<u8>(), 0..200),
        line in r#"a \[1[01]/Oct/2000:13:55:3[0-9] [+-]0700\] "(GET|\\x[0-9a-f]{2})? ?[/h -~é\\"]{0,20}( HTTP/1.1)?" 200 1 "[ -~]{0,9}" "[\t-~]{0,9}""#,
        json in r#"\{"time": ?[0-9"]{0,3}, "method": "[A-Z ]{1,3}", "url": "/[ -~]{0,9}", "headers": \{"[a-c: ]{1,2}": "[ -~]*"\}\}"#,
    ) {
        let log = [&noise[..], b"\n", line.as_bytes(), b"\n", line.as_bytes()].concat();
        let logs = [
            (&log[..], Combined), (line.as_bytes(), Combined), (json.as_bytes(), JsonLines),
            (&noise, JsonLines), (json.as_bytes(), Har), (&noise, Har),
        ];
        for (log, format) in logs {
            let Ok(requests) = read(log, format) else { continue };
            prop_assert!(requests.is_sorted_by_key(|request| request.at));
            for request in requests {
                prop_assert!(is_token(&request.method) && request.path.starts_with('/'));
                prop_assert!(request.path.bytes().all(|byte| byte.is_ascii_graphic()));
                prop_assert!(request.headers.iter().all(|(name, value)| is_token(name) && is_printable(value)));
                prop_assert!(request.host.is_none_or(|host| host.bytes().all(|byte| byte.is_ascii_graphic())));
            }
        }
    }
}
