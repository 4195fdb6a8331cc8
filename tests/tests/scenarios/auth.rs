//! Who one is: Basic, Digest and bearer authentication against servers that check them.

use std::collections::BTreeMap;
use std::time::Duration;

use brunt_tests::access::{Access, PASSWORD, USER};
use brunt_tests::apache::{Apache, Guard};
use brunt_tests::brunt::Measured;
use brunt_tests::clock;
use brunt_tests::lighttpd::Lighttpd;
use brunt_tests::nghttpd::Nghttpd;
use brunt_tests::recorder::{Recorder, Seen, answer};
use brunt_tests::turn;

use crate::{Folder, IO};

const LOG_DEADLINE: Duration = Duration::from_secs(10);
/// Requests of a run, of so many users.
const REQUESTS: u64 = 40;
const USERS: u64 = 2;

/// All requests have this `auth`, with its password as a secret.
fn run(target: &str, auth: &str, steps: &str, password: &str, args: &str) -> Measured {
    let scenario = format!(
        "target: {target}\nhttp: {{cookies: true, auth: {auth}}}\nlimits: [error_rate <= 100%]\nflows: {{a: [{{{steps}}}]}}\n"
    );
    let folder = Folder::new(&scenario, &[("password", password)]);
    let secret = folder.path().join("password").display().to_string();
    folder.run(args).arg("--secret-file").arg(&format!("PASSWORD={secret}")).json()
}

/// One that gives name and password, in such a scheme.
fn named(scheme: &str) -> String {
    format!("{{{scheme}: {{user: {USER}, password: \"{{{{ secret.PASSWORD }}}}\"}}}}")
}

/// So many requests, by HTTP/1.1 and HTTP/2, by each driver.
fn ways() -> impl Iterator<Item = String> {
    let load = format!("-c {USERS} -n {REQUESTS}");
    IO.into_iter().flat_map(move |io| ["", "--h2c"].map(|version| format!("{load} --io {io} {version}")))
}

/// What Apache logged of a run with a password that is right or wrong.
fn asked(apache: &Apache, scheme: &str, password: &str, args: &str, lines: u64) -> (Measured, Vec<Access>) {
    let before = apache.asked().len();
    let measured = run(&apache.target(), &named(scheme), "get: /100?q=\"a b\"", password, args);
    let log = clock::until("Apache's log", LOG_DEADLINE, || {
        let log = apache.asked().split_off(before);
        (log.len() as u64 >= lines).then_some(log)
    });
    assert_eq!(log.len() as u64, lines, "{log:#?}\n{}", measured.story());
    let version = if args.contains("--h2c") { "HTTP/2.0" } else { "HTTP/1.1" };
    assert!(apache.logged().split_off(before).iter().all(|line| line.ends_with(version)), "{version}");
    (measured, log)
}

#[track_caller]
fn check_right(measured: &Measured) {
    measured.expect_counts(0).expect_errors(&[]);
    assert_eq!(measured.report.totals.completed, REQUESTS, "{}", measured.story());
}

/// Each request failed for its status, and none was left out or repeated without end.
#[track_caller]
fn check_wrong(measured: &Measured, log: &[Access]) {
    measured.expect_counts(0).expect_errors(&[("status", REQUESTS)]);
    assert_eq!(measured.report.totals.failed, REQUESTS, "{}", measured.story());
    assert!(log.iter().all(|line| line.status == 401), "{log:#?}");
}

/// The server asked once for each nonce that was then used, and each was counted from 1 up without a gap.
#[track_caller]
fn check_digest(log: &[Access], nonces: u64) {
    // Users that are asked in the same microsecond are given the same nonce.
    let mut counts: BTreeMap<(&str, &str), Vec<u32>> = BTreeMap::new();
    for line in log.iter().filter(|line| line.status == 200) {
        assert_eq!(line.user, USER, "{line:?}");
        let count = u32::from_str_radix(line.parameter("nc"), 16);
        counts
            .entry((line.parameter("nonce"), line.parameter("cnonce")))
            .or_default()
            .push(count.expect("a count in hexadecimal"));
    }
    for counts in counts.values_mut() {
        counts.sort_unstable();
        assert!(counts.iter().copied().eq(1..=u32::try_from(counts.len()).expect("few")), "{counts:?}");
    }
    let asked = log.iter().filter(|line| line.status == 401).count() as u64;
    assert_eq!((counts.len() as u64, asked), (nonces, nonces), "{log:#?}");
}

#[test]
fn basic_is_given_at_once() {
    let _turn = turn();
    let Some(apache) = Apache::guarded_or_skip("basic_is_given_at_once", Guard::Basic) else { return };
    for args in ways() {
        let (measured, log) = asked(&apache, "basic", PASSWORD, &args, REQUESTS);
        check_right(&measured);
        assert!(log.iter().all(|line| (line.status, line.user.as_str()) == (200, USER)), "{log:#?}");
        let (measured, log) = asked(&apache, "basic", "wrong", &args, REQUESTS);
        check_wrong(&measured, &log);
    }
}

/// The module checks the counts: one that is repeated would be asked for anew.
#[test]
fn digest_is_given_where_it_is_asked_for() {
    let _turn = turn();
    let guard = Guard::Digest("AuthDigestNcCheck On");
    let Some(apache) = Apache::guarded_or_skip("digest_is_given_where_it_is_asked_for", guard) else {
        return;
    };
    for args in ways() {
        let (measured, log) = asked(&apache, "digest", PASSWORD, &args, REQUESTS + USERS);
        check_right(&measured);
        check_digest(&log, USERS);
        // Each is asked once, and its one answer is refused.
        let (measured, log) = asked(&apache, "digest", "wrong", &args, 2 * REQUESTS);
        check_wrong(&measured, &log);
    }
}

/// A nonce that is too old is no reason to fail: the server gives another, and the run goes on.
#[test]
fn digest_goes_on_with_a_new_nonce() {
    let _turn = turn();
    let guard = Guard::Digest("AuthDigestNonceLifetime 1");
    let Some(apache) = Apache::guarded_or_skip("digest_goes_on_with_a_new_nonce", guard) else { return };
    for io in IO {
        let before = apache.asked().len();
        let steps = "get: /100}, {think: 100ms";
        // 15 iterations of a user take longer than a nonce lives.
        let args = format!("-c {USERS} -n 30 --io {io}");
        let measured = run(&apache.target(), &named("digest"), steps, PASSWORD, &args);
        measured.expect_counts(0).expect_errors(&[]);
        let completed = measured.report.totals.completed;
        assert_eq!(completed, 30, "{}", measured.story());
        let log = clock::until("Apache's log", LOG_DEADLINE, || {
            let log = apache.asked().split_off(before);
            (answered(&log) >= completed).then_some(log)
        });
        assert_eq!(answered(&log), completed, "{}", measured.story());
        let nonces = log.len() as u64 - completed;
        assert!(nonces >= 2 * USERS, "{nonces} nonces\n{}", measured.story());
        check_digest(&log, nonces);
    }
}

fn answered(log: &[Access]) -> u64 {
    log.iter().filter(|line| line.status == 200).count() as u64
}

#[test]
fn digest_with_sha256() {
    let _turn = turn();
    for args in ways().filter(|args| !args.contains("--h2c")) {
        let Some(server) = Lighttpd::start_or_skip("digest_with_sha256") else { return };
        let measured = run(&server.target(), &named("digest"), "get: /100", PASSWORD, &args);
        check_right(&measured);
        let log = server.end();
        check_digest(&log, USERS);
        assert!(
            log.iter().all(|line| line.status == 401 || line.parameter("algorithm") == "SHA-256"),
            "{log:#?}"
        );
    }
}

const CHALLENGE: &str = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\", algorithm=MD5-sess";

/// Asks whoever does not say who it is; `/hop` leads on, and `/open` and `/see` do so without a question.
fn asking(seen: &Seen) -> String {
    match seen.header("authorization") {
        _ if seen.asked() == "POST /open" => answer(303, &["Location: /see"], ""),
        _ if seen.asked() == "GET /see" => answer(307, &["Location: /end"], ""),
        none if none.is_empty() => answer(401, &[CHALLENGE, "Set-Cookie: asked=1; Path=/"], ""),
        _ if seen.asked().ends_with("/hop") => answer(307, &["Location: /end"], ""),
        _ => answer(200, &[], ""),
    }
}

/// What is drawn for a request is drawn once, and a session's key is made of one nonce of the client.
#[test]
fn the_request_that_was_refused_is_the_one_that_is_repeated() {
    let _turn = turn();
    let step = "post: \"/{{ counter() }}/{{ uuid() }}/hop\", body: \"{{ pick(1, 1000000) }}\", redirects: 1";
    for io in IO {
        let server = Recorder::start(asking);
        let measured =
            run(&server.target(), &named("digest"), step, PASSWORD, &format!("-c 1 -n 2 --io {io}"));
        measured.expect_counts(0).expect_errors(&[]);
        let seen = server.seen();
        let [refused, repeated, led, second, last] = &seen[..] else { panic!("five requests: {seen:#?}") };
        assert_eq!((refused.asked(), refused.text()), (repeated.asked(), repeated.text()));
        assert_eq!([refused, repeated, led].map(|seen| seen.header("cookie")), ["", "asked=1", "asked=1"]);
        let [first_path, second_path] =
            [repeated, second].map(|seen| seen.asked().trim_start_matches("POST "));
        assert!(first_path.starts_with("/0/") && second_path.starts_with("/1/"), "{seen:#?}");
        let given = [(repeated, first_path), (led, "/end"), (second, second_path), (last, "/end")];
        let cnonce =
            |seen: &Seen| Access::of_field(&seen.header("authorization")).parameter("cnonce").to_owned();
        for (number, (seen, uri)) in given.into_iter().enumerate() {
            let given = Access::of_field(&seen.header("authorization"));
            assert_eq!(given.parameter("nc"), format!("{:08x}", number + 1));
            assert_eq!(given.parameter("uri"), uri);
            assert_eq!(given.parameter("cnonce"), cnonce(repeated));
        }
    }
}

/// Where a request is led to it is asked as well, and answers for the method that it has there.
#[test]
fn who_is_led_on_is_asked_there() {
    let _turn = turn();
    for io in IO {
        let server = Recorder::start(asking);
        let args = format!("-c 1 -n 1 --io {io}");
        let step = "post: /open, body: x, redirects: 2";
        run(&server.target(), &named("digest"), step, PASSWORD, &args).expect_counts(0).expect_errors(&[]);
        let seen = server.seen();
        let asked: Vec<_> = seen.iter().map(Seen::asked).collect();
        assert_eq!(asked, ["POST /open", "GET /see", "GET /end", "GET /end"]);
        let counts = seen.iter().map(|seen| Access::of_field(&seen.header("authorization")));
        let counts: Vec<_> = counts.map(|given| given.parameter("nc").to_owned()).collect();
        assert_eq!(counts, ["", "", "", "00000001"]);
    }
}

/// Cookies that a scenario writes itself go with each request of a chain, and those that the user keeps beside them.
#[test]
fn own_cookies_go_on() {
    let _turn = turn();
    let check = |cookies: &str, step: &str, want: &[&str], io: &str| {
        let server = Recorder::start(asking);
        let scenario = format!(
            "target: {}\nhttp: {{cookies: {cookies}, auth: {{digest: {{user: me, password: p}}}}, headers: {{Cookie: \
             own=1}}}}\nflows: {{a: [{{{step}}}]}}\n",
            server.target()
        );
        let folder = Folder::new(&scenario, &[]);
        folder.run(&format!("-c 1 -n 1 --io {io}")).json().expect_counts(0).expect_errors(&[]);
        let got: Vec<_> = server.seen().iter().map(|seen| seen.header("cookie")).collect();
        assert_eq!(got, want, "{step}, cookies: {cookies}");
    };
    for io in IO {
        check("false", "get: /hop, redirects: 1", &["own=1", "own=1", "own=1"], io);
        check("true", "get: /hop, redirects: 1", &["own=1", "own=1|asked=1", "own=1|asked=1"], io);
        check("false", "post: /open, redirects: 2", &["own=1"; 4], io);
        check("true", "post: /open, redirects: 2", &["own=1", "own=1", "own=1", "own=1|asked=1"], io);
    }
}

/// Letters of RFC 6750 section 2.1.
const TOKEN: &str = "aZ09-._~+/==";

#[test]
fn a_bearer_is_sent_as_it_is() {
    let _turn = turn();
    for io in IO {
        let server = Recorder::start(|_| answer(200, &[], ""));
        let auth = "{bearer: \"{{ secret.PASSWORD }}\"}";
        let measured = run(&server.target(), auth, "get: /", TOKEN, &format!("-c 1 -n 1 --io {io}"));
        measured.expect_counts(0).expect_errors(&[]);
        let seen: Vec<_> = server.seen().iter().map(|seen| seen.header("authorization")).collect();
        assert_eq!(seen, [format!("Bearer {TOKEN}")]);
    }
}

/// nghttpd shows each field that it was sent.
#[test]
fn basic_and_bearer_by_http2() {
    let _turn = turn();
    let bearer = "{bearer: \"{{ secret.PASSWORD }}\"}";
    for (auth, password, value) in
        [(&*named("basic"), PASSWORD, "Basic bWU6czNjcmV0"), (bearer, TOKEN, "Bearer aZ09-._~+/==")]
    {
        for io in IO {
            let Some(server) = Nghttpd::start_or_skip("basic_and_bearer_by_http2", None, &[]) else { return };
            let args = format!("-c {USERS} -n {REQUESTS} --io {io} --h2c");
            check_right(&run(&server.target(), auth, "get: /100", password, &args));
            let [shown, _] = server.shown();
            let fields = shown.lines().filter_map(|line| line.split_once(") authorization: "));
            let values: Vec<_> = fields.map(|(_, value)| value).collect();
            assert_eq!(values, [value; 40], "{shown}");
        }
    }
}
