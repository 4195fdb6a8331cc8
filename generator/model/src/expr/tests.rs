//! Whole expressions and texts, from source to value.

use proptest::prelude::*;

use super::*;
use crate::units::Nanos;

/// Variables by their index, with what is known of them before the run.
const VARIABLES: [(&str, Type); 8] = [
    ("region", Type::Text),
    ("n", Type::Int),
    ("ratio", Type::Float),
    ("flag", Type::Bool),
    ("pause", Type::Duration),
    ("any_int", Type::Any),
    ("any_text", Type::Any),
    ("missing", Type::Any),
];

struct World {
    variables: [Value; 8],
    body: Vec<u8>,
    has_answer: bool,
}

fn world() -> World {
    World {
        variables: [
            Value::Text("eu".into()),
            Value::Int(7),
            Value::Float(0.5),
            Value::Bool(true),
            Value::Duration(Nanos::from_millis(1_500)),
            Value::Int(3),
            Value::Text("a b".into()),
            Value::Null,
        ],
        body: br#"{"id": "x17", "items": [1, 2]} id=42;"#.to_vec(),
        has_answer: true,
    }
}

impl Names for World {
    fn look_up(&self, path: &[&str]) -> Option<(Ref, Type)> {
        match path {
            ["users", "name"] => Some((Ref::Column { feeder: 0, column: 0 }, Type::Text)),
            ["users", "age"] => Some((Ref::Column { feeder: 0, column: 1 }, Type::Text)),
            ["secret", "API_KEY"] => Some((Ref::Secret(4), Type::Text)),
            ["answer_to_all"] => Some((Ref::Constant(Value::Int(42)), Type::Int)),
            ["long"] => Some((Ref::Constant(Value::Text("x".repeat(40_000).into())), Type::Text)),
            [name] => {
                let index = VARIABLES.iter().position(|(known, _)| known == name)?;
                Some((Ref::Variable(u16::try_from(index).ok()?), VARIABLES[index].1))
            }
            _ => None,
        }
    }

    fn all(&self) -> Vec<String> {
        let variables = VARIABLES.iter().map(|(name, _)| (*name).to_owned());
        variables.chain(["users.name", "users.age", "secret.API_KEY"].map(str::to_owned)).collect()
    }
}

impl Sight for World {
    fn variable(&self, index: u16) -> &Value {
        &self.variables[usize::from(index)]
    }

    fn column(&self, _: u16, column: u16) -> Option<&str> {
        (column == 0).then_some("Zoë")
    }

    fn secret(&self, _: u16) -> &str {
        "hunter2"
    }

    fn wall_ns(&self) -> i64 {
        1_772_323_199_987_654_321 // 2026-02-28T23:59:59.987654321Z
    }

    fn counter(&self) -> u64 {
        9
    }

    fn user(&self) -> u64 {
        u64::MAX
    }

    fn answer(&self) -> Option<&dyn Answer> {
        self.has_answer.then_some(self)
    }
}

impl Answer for World {
    fn status(&self) -> u16 {
        200
    }

    fn body(&self) -> &[u8] {
        &self.body
    }

    fn body_size(&self) -> u64 {
        self.body.len() as u64
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        (name == "etag").then_some(b"\"abc\"")
    }

    fn cookie(&self, name: &str) -> Option<&[u8]> {
        (name == "sid").then_some(b"s1")
    }

    fn response_ns(&self) -> u64 {
        12_000_000
    }

    fn first_byte_ns(&self) -> u64 {
        9_000_000
    }

    fn json(&self, path: usize) -> Value {
        [Value::Text("x17".into()), Value::Int(5)].get(path).cloned().unwrap_or(Value::Null)
    }

    fn json_count(&self, path: usize) -> Option<u64> {
        (path == 0).then_some(2)
    }
}

fn compile(source: &str) -> Expr {
    Expr::compile(source, &world(), Stage::Response).unwrap_or_else(|error| panic!("{source}: {error}"))
}

fn evaluate(source: &str) -> Value {
    let expr = compile(source);
    let value = expr.evaluate(&world(), &mut Random::new(1, 0));
    assert!(value == Value::Null || matches!(expr.type_of(), Type::Any) || value.type_of() == expr.type_of());
    value
}

fn check(source: &str, want: Value) {
    assert_eq!(evaluate(source), want, "{source}");
}

fn ints(cases: &[(&str, i64)]) {
    cases.iter().for_each(|(source, want)| check(source, Value::Int(*want)));
}

fn bools(cases: &[(&str, bool)]) {
    cases.iter().for_each(|(source, want)| check(source, Value::Bool(*want)));
}

fn texts(cases: &[(&str, &str)]) {
    cases.iter().for_each(|(source, want)| check(source, Value::Text((*want).into())));
}

fn nulls(sources: &[&str]) {
    sources.iter().for_each(|source| check(source, Value::Null));
}

fn check_error_at(stage: Stage, source: &str, offset: usize, parts: &[&str]) {
    let error = Expr::compile(source, &world(), stage).expect_err(source);
    assert_eq!(error.offset, offset, "{source}: {error}");
    for part in parts {
        assert!(error.to_string().contains(part), "{source}: {error}");
    }
}

fn check_error(source: &str, offset: usize, parts: &[&str]) {
    check_error_at(Stage::Response, source, offset, parts);
}

#[test]
fn operators_bind_as_they_should() {
    ints(&[
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("10 - 2 - 3", 5),
        ("100 / 10 / 5", 2),
        ("-2 * -3", 6),
        ("- -2", 2),
        ("2 -1", 1),
        ("-n % 4", -3),
        ("-9223372036854775808", i64::MIN),
        ("64KiB", 65_536),
    ]);
    bools(&[
        ("true or false and false", true),
        ("(true or false) and false", false),
        ("not false and false", false),
        ("!flag || 1 + 1 == 2", true),
        ("1 < 2 and 2 <= 2 and 3 > 2 and 3 >= 3 and 1 != 2", true),
        ("not (status == 404)", true),
    ]);
}

#[test]
fn numbers_and_durations_reckon() {
    check("7 / 2", Value::Int(3));
    check("7 / 2.0", Value::Float(3.5));
    check("1 + ratio", Value::Float(1.5));
    check("7.5 % 2", Value::Float(1.5));
    check("1s + 500ms - 1ms", Value::Duration(Nanos::from_millis(1_499)));
    check("3 * 1s / 2", Value::Duration(Nanos::from_millis(1_500)));
    check("pause * ratio", Value::Duration(Nanos::from_millis(750)));
    check("1s / 0.5", Value::Duration(Nanos::from_secs(2)));
    check("1s % 300ms", Value::Duration(Nanos::from_millis(100)));
    check("pause / 1ms", Value::Float(1_500.0));
    bools(&[
        ("1 == 1.0", true),
        ("1 < 1.5", true),
        ("pause > 1s", true),
        ("first_byte <= response_time", true),
    ]);
}

#[test]
fn what_has_no_answer_is_null() {
    nulls(&[
        "1 / 0",
        "1 % 0",
        "1.0 / 0",
        "1s / 0",
        "1s / 0s",
        "1s - 2s",
        "1s * -1",
        "1s * -0.5",
        "9223372036854775807 + n",
        "-9223372036854775807 - n",
        "(-9223372036854775808) / -1",
        "-(-9223372036854775808)",
        "abs(-9223372036854775808)",
        "1e308 * 10",
        "213503d * 2",
        "any_text * 2",
        "any_text < 1",
        "-any_text",
        "any_int + \"a\"",
        "any_int ~ 'a'",
        "missing + 1",
        "not missing",
        "missing and true",
        "missing or true",
        "true and missing",
        "if(missing, 1, 2)",
        "null",
    ]);
    bools(&[
        ("missing == 1", false),
        ("missing != 1", false),
        ("missing < 1", false),
        ("missing ~ 'a'", false),
        ("missing == missing", false),
        ("missing == null", true),
        ("missing != null", false),
        ("null == n", false),
        ("null != n", true),
        ("null == null", true),
        ("(1 / 0) == null", true),
        ("any_text == 3", false),
        ("any_text != 3", true),
        ("n == 1 / 0", false),
        ("missing == 1 / 0", false),
        ("missing != 1 / 0", false),
        ("false and missing", false),
        ("true or missing", true),
    ]);
    ints(&[("default(missing, 5)", 5), ("default(n, 5)", 7), ("default(1 / 0, 2)", 2)]);
}

#[test]
fn texts_are_made() {
    texts(&[
        ("region + '-' + text(n)", "eu-7"),
        ("users.name + users.name", "ZoëZoë"),
        ("upper('straße') + lower('ÀB')", "STRASSEàb"),
        ("trim(' a b\n')", "a b"),
        ("trim(region + ' ')", "eu"),
        ("substr('grüße', 2, 2)", "üß"),
        ("substr('abc', 1, 99)", "bc"),
        ("substr('abc', 3, 1)", ""),
        ("substr('abc', 1, 0)", ""),
        ("replace('a.b.c', '.', '--')", "a--b--c"),
        ("url('a b/é~')", "a%20b%2F%C3%A9~"),
        ("base64('hé?>')", "aMOpPz4="),
        ("base64_decode('aMOpPz4=')", "hé?>"),
        ("base64_decode('aMOpPz4')", "hé?>"),
        ("base64_decode('Pz8-Pz8_')", "??>???"),
        ("text(1.0) + text(true) + text(90s) + text('x')", "1true90sx"),
        ("sha256('abc')", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "hmac_sha256('key', 'The quick brown fox jumps over the lazy dog')",
            "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8",
        ),
        ("if(flag, 'yes', 'no')", "yes"),
        ("one_of('a', 'a')", "a"),
        ("now('rfc3339')", "2026-02-28T23:59:59.987Z"),
    ]);
    ints(&[("len('grüße')", 5), ("len(users.name)", 3), ("int('12') + int(1.9) + int(-1.9)", 12)]);
    bools(&[
        ("contains('abc', 'b') and starts_with('abc', 'ab') and ends_with('abc', 'bc')", true),
        ("'abc' ~ '^a.c$'", true),
        ("region ~ 'x'", false),
        ("'a' < 'b'", true),
    ]);
    nulls(&[
        "substr('abc', 4, 1)",
        "substr('abc', -1, 1)",
        "substr('abc', 0, -1)",
        "replace('abc', '', 'x')",
        "base64_decode('%')",
        "base64_decode('_v8')",
        "int('1.5')",
        "int('')",
        "float('nan')",
        "int(1e300)",
        "text(missing)",
        "len(any_int)",
        "users.age",
    ]);
}

#[test]
fn numbers_are_chosen_and_rounded() {
    ints(&[
        ("min(3, n, 1)", 1),
        ("max(3, n, 1)", 7),
        ("min(n)", 7),
        ("abs(-3)", 3),
        ("round(2.5)", 3),
        ("floor(-2.5)", -3),
        ("round(n)", 7),
        ("counter()", 9),
        ("now()", 1_772_323_199_987),
    ]);
    check("max(1, 2.5, 2)", Value::Float(2.5));
    check("min(1, 2.5)", Value::Float(1.0));
    check("max(1s, pause)", Value::Duration(Nanos::from_millis(1_500)));
    check("abs(-2.5)", Value::Float(2.5));
    check("float('2.5')", Value::Float(2.5));
    nulls(&[
        "user()",
        "min(1, missing)",
        "max(any_text, 1)",
        "round(1e19)",
        "pick(2, 1)",
        "pick(1, missing)",
    ]);
}

#[test]
fn an_answer_is_looked_at() {
    ints(&[("status", 200), ("body.size", 37)]);
    check("json('$.a')", Value::Text("x17".into()));
    check("if(json('$.a') == 'x17', json('$.b'), 0)", Value::Int(5));
    check("json_count('$.items[*]')", Value::Int(2));
    texts(&[
        ("header('ETag')", "\"abc\""),
        ("cookie('sid')", "s1"),
        ("regex('id=(\\\\d+)')", "42"),
        ("regex('id=(\\\\d+)', 0)", "id=42"),
        ("regex('id=\\\\d+')", "id=42"),
        ("regex('(x)?id=(\\\\d+)', 2)", "42"),
    ]);
    check("body.sha256 == sha256(body)", Value::Bool(true));
    check("body ~ 'items' and response_time == 12ms and first_byte == 9ms", Value::Bool(true));
    nulls(&["header('x')", "cookie('x')", "regex('zzz')", "regex('(x)?id=(\\\\d+)', 1)"]);
    let without = World { has_answer: false, ..world() };
    assert_eq!(compile("status").evaluate(&without, &mut Random::new(1, 0)), Value::Null);
    let binary = World { body: b"\xffid=5".to_vec(), ..world() };
    let found = compile("regex('id=(.)')").evaluate(&binary, &mut Random::new(1, 0));
    assert_eq!(found, Value::Text("5".into()));
}

#[test]
fn what_an_expression_needs_is_known() {
    let needs = |source| compile(source).needs().clone();
    assert_eq!(needs("status == 200 and response_time < 1s"), Needs::default());
    assert_eq!(needs("body.size > 1"), Needs { body_size: true, ..Needs::default() });
    assert_eq!(needs("body ~ 'a'"), Needs { body: true, ..Needs::default() });
    assert_eq!(needs("regex('a') == body.sha256"), Needs { body: true, ..Needs::default() });
    assert_eq!(
        needs("header('ETag') == header('etag') and header('A') == cookie('b')"),
        Needs { headers: vec!["etag".into(), "a".into()], cookies: true, ..Needs::default() }
    );
    assert_eq!(
        needs("json('$.a') == json('$.b') and json_count('$.a') == 1"),
        Needs { body: true, json: vec!["$.a".into(), "$.b".into()], ..Needs::default() }
    );
    let secrets: Vec<_> = compile("secret.API_KEY + sha256(secret.API_KEY)").secrets().collect();
    assert_eq!(secrets, [4]);
    assert_eq!(compile("region").secrets().count(), 0);
}

#[test]
fn constants_are_folded() {
    let check =
        |source, want: Option<Value>| assert_eq!(compile(source).constant(), want.as_ref(), "{source}");
    check("answer_to_all + 1", Some(Value::Int(43)));
    check("if(1 < 2, upper('a'), 'b')", Some(Value::Text("A".into())));
    check("'ab' ~ 'b'", Some(Value::Bool(true)));
    check("null == null", Some(Value::Bool(true)));
    check("region", None);
    check("sha256(secret.API_KEY)", None);
    for source in ["pick(1, 1)", "one_of(1)", "uuid()", "now()", "now('rfc3339')", "counter()", "user()"] {
        check(source, None);
    }
    check("replace('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'a', 'bbbb') != null", Some(Value::Bool(true)));
    // A constant may be a pattern, whoever computed it.
    bools(&[("region ~ ('^' + 'e')", true)]);
}

#[test]
fn randomness_comes_from_the_seed() {
    let draw = |source, seed| compile(source).evaluate(&world(), &mut Random::new(seed, 0));
    for source in ["uuid()", "random_text(12)", "pick(1, 1_000_000_000)"] {
        assert_eq!(draw(source, 1), draw(source, 1), "{source}");
        assert_ne!(draw(source, 1), draw(source, 2), "{source}");
    }
    let drawn: Vec<_> = (0..200).map(|seed| draw("pick(-1, 1)", seed)).collect();
    assert!([-1, 0, 1].iter().all(|n| drawn.contains(&Value::Int(*n))));
    let drawn: Vec<_> = (0..200).map(|seed| draw("one_of('a', n, null)", seed)).collect();
    assert!([Value::Text("a".into()), Value::Int(7), Value::Null].iter().all(|n| drawn.contains(n)));
    bools(&[
        ("uuid() ~ '^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$'", true),
        ("random_text(1024) ~ '^[0-9A-Za-z]{1024}$'", true),
        ("random_text(0) == ''", true),
        ("pick(-9223372036854775808, 9223372036854775807) != null", true),
    ]);
    nulls(&["random_text(1025)", "random_text(-1)"]);
}

#[test]
fn types_that_do_not_fit_are_refused() {
    check_error("'a' + n", 4, &["`+` does not take a text and an integer", "write text(...)"]);
    check_error("users.age > 18", 10, &["write int(...)"]);
    check_error("response_time < 5", 14, &["a duration and an integer", "500ms"]);
    check_error("1 < flag", 2, &["`and`"]);
    check_error("1s * 1s", 3, &["`*` does not take"]);
    check_error("1 / 1s", 2, &["`/` does not take"]);
    check_error("'a' == 1", 4, &["`==` does not take"]);
    check_error("1 ~ 'a'", 0, &["the left side of `~` must be a text"]);
    check_error("region ~ region", 9, &["known before the run"]);
    check_error("not status == 200", 4, &["must be true or false, not an integer", "parentheses"]);
    check_error("flag and n", 9, &["the right side of `and`"]);
    check_error("-region", 1, &["must be a number", "int(...)"]);
    check_error("len(n)", 4, &["argument 1 of len(text) must be a text, not an integer", "text(...)"]);
    check_error("pick(1, 2.5)", 8, &["argument 2 of pick(lo, hi)", "round(...)"]);
    check_error("round(1s)", 6, &["1ms"]);
    check_error("int(flag)", 4, &["a number or a text"]);
    check_error("min(1, 1s)", 0, &["`min` does not take"]);
    check_error("min(1, 'a')", 7, &["a number or a duration"]);
    check_error("if(n, 1, 2)", 3, &["true or false"]);
    check_error("substr('a', 1)", 0, &["does not take 2 arguments", "substr(text, from, count)"]);
    check_error("uuid(1)", 0, &["uuid()"]);
    check_error("one_of()", 0, &["one_of(a, b, ...)"]);
    check_error("now('iso')", 4, &["rfc3339"]);
    check_error("header(region)", 7, &["in quotes"]);
    check_error("header('a b')", 7, &["content-type"]);
    check_error("regex('a', n)", 11, &["known before the run"]);
    check_error("regex('(a)', 2)", 13, &["no such group", "up to 1"]);
    check_error("regex('a', -1)", 11, &["no such group"]);
}

#[test]
fn unknown_names_are_answered_with_what_was_meant() {
    check_error("1 + regoin", 4, &["there is no `regoin`", "did you mean `region`?"]);
    check_error("users.nme", 0, &["did you mean `users.name`?"]);
    check_error("secret.API_KY", 0, &["did you mean `secret.API_KEY`?"]);
    check_error("stauts", 0, &["did you mean `status`?"]);
    check_error("zzzzzz", 0, &["define it in `vars`"]);
    check_error("uuid", 0, &["uuid()"]);
    check_error("status()", 0, &["`status` without parentheses"]);
    check_error("pikc(1, 2)", 0, &["no function `pikc`", "did you mean `pick`?"]);
    check_error("xpath('/a')", 0, &["no function `xpath`"]);
    check_error("users.name.first", 0, &["there is no `users.name.first`"]);
    check_error_at(Stage::Request, "stauts", 0, &["define it"]);
    check_error_at(Stage::Request, "1 + status", 4, &["only once there is an answer", "save"]);
    for call in ["json('$')", "json_count('$')", "header('a')", "cookie('a')", "regex('a')", "body.size"] {
        check_error_at(Stage::Request, call, 0, &["only once there is an answer"]);
    }
    for word in ["status", "body", "secret", "and", "null", "response_time"] {
        assert!(is_reserved(word), "{word}");
    }
    assert!(!is_reserved("region"));
}

#[test]
fn what_is_no_expression_is_refused() {
    check_error("", 0, &["no expression"]);
    check_error("  ", 0, &["no expression"]);
    check_error("1 +", 3, &["a value was expected, not the end"]);
    check_error("1 2", 2, &["`2` follows a whole expression"]);
    check_error("(1 + 2", 6, &["the parenthesis at character 1 is not closed"]);
    check_error("len('a'", 7, &["the parenthesis at character 4"]);
    check_error("1)", 1, &["`)` follows"]);
    check_error("and", 0, &["a value was expected, not `and`"]);
    check_error("users.", 6, &["after the dot"]);
    check_error("users.1a", 6, &["is no number"]);
    check_error("pick(1,)", 7, &["a value was expected, not `)`"]);
    check_error("9223372036854775808", 0, &["too large"]);
    check_error("'é' + + 1", 6, &["a value was expected, not `+`"]);
    check_error("n = 7", 2, &["`==`"]);
    check_error("region ~ '('", 9, &["the pattern cannot be used", "unclosed group"]);
}

#[test]
fn hostile_sources_are_refused_in_time() {
    let nested =
        |open: &str, close: &str, levels| format!("{}1{}", open.repeat(levels), close.repeat(levels));
    check("((((((((((((((((((((((((((((((1))))))))))))))))))))))))))))))", Value::Int(1));
    check_error(&nested("(", ")", 40), 32, &["more than 32 levels"]);
    check_error(&"(".repeat(4_096), 32, &["more than 32 levels"]);
    check_error(&"(".repeat(4_097), 0, &["4096"]);
    check_error(&nested("-", "", 2_000), 32, &["levels"]);
    check_error(&nested("not ", "", 1_000), 128, &["levels"]);
    check_error(&nested("abs(", ")", 500), 128, &["levels"]);
    check_error(&nested("1+1*(", ")", 300), 160, &["levels"]);
    // The longest chain there may be, and one that is longer.
    check(&vec!["1"; 128].join("+"), Value::Int(128));
    check_error(&vec!["1"; 129].join("+"), 255, &["more than 256 values"]);
    check_error(&format!("max({})", vec!["1"; 1_000].join(",")), 516, &["more than 256 values"]);
    for bomb in ["a{1000}{1000}", "(a{100}){100}{100}", "\\\\w{1000}", "(?i)\\\\pL{9999}"] {
        check_error(&format!("region ~ '{bomb}'"), 9, &["the pattern cannot be used"]);
    }
    check_error(&format!("region ~ '{}a{}'", "(".repeat(60), ")".repeat(60)), 9, &["cannot be used"]);
    let patterns = ["region ~ 'a'"; 9].join(" or ");
    check_error(&patterns, 8 * 16 + 9, &["more than 8 patterns"]);
    check_error("long + long", 7, &["more than 65536 bytes"]);
    check_error(&format!("{}{}", "x".repeat(2_000), ".a".repeat(1_000)), 0, &["there is no"]);
    check_error(&"\"".repeat(4_095), 4_094, &["does not end"]);
}

/// A pattern that makes backtracking engines take a time that doubles with each letter.
#[test]
fn a_pattern_does_not_blow_up_at_run_time() {
    let world = World { body: vec![b'a'; 100_000], ..world() };
    let found =
        compile("body ~ '^(a+)+$' and not (body ~ '^(a|aa)+b$')").evaluate(&world, &mut Random::new(1, 0));
    assert_eq!(found, Value::Bool(true));
}

#[test]
fn texts_have_an_end() {
    let mut text = "region".to_owned();
    for _ in 0..3 {
        text = format!("replace({text}, 'e', '{}')", "e".repeat(100));
    }
    assert_eq!(evaluate(&format!("len({text})")), Value::Int(1_000_001));
    nulls(&[&format!("replace({text}, 'e', 'ee')"), &format!("base64({text})"), &format!("{text} + {text}")]);
    let long = World { body: vec![b'a'; (1 << 20) + 1], ..world() };
    let check = |source, want| {
        assert_eq!(compile(source).evaluate(&long, &mut Random::new(1, 0)), want, "{source}");
    };
    check("len(body)", Value::Int((1 << 20) + 1));
    check("contains(body, 'b') or sha256(body) != body.sha256", Value::Bool(false));
    check("len(substr(body, 1, 10))", Value::Int(10));
    for source in ["body", "upper(body)", "body + ''", "base64(body)", "url(body)", "replace(body, 'a', 'b')"]
    {
        check(source, Value::Null);
    }
    // A long constant stays an operation, so that short sources do not fill the memory.
    let long = text.replace("region", "'e'");
    assert_eq!(compile(&long).constant(), None);
}

fn template(text: &str) -> Template {
    Template::compile(text, &world(), Stage::Response).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn check_text(text: &str, escape: Escape, want: &str) {
    let mut out = b"> ".to_vec();
    template(text).render(&world(), &mut Random::new(1, 0), escape, &mut out).expect(text);
    assert_eq!(String::from_utf8(out).unwrap(), format!("> {want}"), "{text}");
}

#[test]
fn templates_render() {
    check_text("", Escape::None, "");
    check_text("/items/{{ n }}/{{region}}?é", Escape::Url, "/items/7/eu?é");
    check_text("a b {{ any_text }}", Escape::Url, "a b a%20b");
    check_text("a b {{ any_text }}", Escape::Form, "a b a+b");
    check_text("{{ header('etag') }}", Escape::Json, "\\\"abc\\\"");
    check_text("{{ header('etag') }}", Escape::Header, "\"abc\"");
    check_text("{{ ratio }} {{ pause }} {{ flag }} {{ -n }}", Escape::Url, "0.5 1.5s true -7");
    check_text("Bearer {{ secret.API_KEY }}", Escape::Header, "Bearer hunter2");
    check_text("{{ '}}' }}{{ \"\\\"}}\" }}}}", Escape::None, "}}\"}}}}");
    check_text("\\{{ n }} {{ n }} }}", Escape::None, "{{ n }} 7 }}");
    check_text("\\\\{{ n", Escape::None, "\\{{ n");
    check_text("é{{ 'é' }}{{ n }}", Escape::None, "éé7");
}

#[test]
fn what_cannot_be_rendered_leaves_nothing() {
    let check = |text, escape, want: &str| {
        let mut out = b"before".to_vec();
        let template = template(text);
        let error = template.render(&world(), &mut Random::new(1, 0), escape, &mut out).expect_err(text);
        assert_eq!(error.to_string(), want);
        assert_eq!(out, b"before");
    };
    check("a{{ n }}{{ missing }}", Escape::None, "`missing` has no value");
    check("a{{ null }}", Escape::None, "`null` has no value");
    let injected = "the value of `region + '\\n'` has a line break or NUL, which cannot stand in a header";
    check("a{{ region + '\\n' }}", Escape::Header, injected);
    let mut long = "any_text".to_owned();
    for _ in 0..3 {
        long = format!("replace({long}, 'a', '{}')", "a".repeat(90));
    }
    let text = format!("{{{{ {long} }}}}").repeat(12);
    check(&text, Escape::None, &format!("with the value of `{long}` the text is too long"));
    let long_body = World { body: vec![b'a'; (1 << 20) + 1], ..world() };
    let body = compile("body");
    let rendered = body.render(&long_body, &mut Random::new(1, 0), Escape::None, &mut Vec::new());
    assert!(matches!(rendered, Err(RenderError::TooLong(_))));
}

#[test]
fn constant_parts_are_joined() {
    let check = |text, parts: &[&str], constant: Option<&str>| {
        let template = template(text);
        let found: Vec<_> = template
            .parts()
            .iter()
            .map(|part| match part {
                Part::Literal(text) => format!("'{text}'"),
                Part::Slot(expr) => expr.source().to_owned(),
            })
            .collect();
        assert_eq!(found, parts, "{text}");
        assert_eq!(template.constant(), constant, "{text}");
    };
    check("", &[], Some(""));
    check("a\\{{b", &["'a{{b'"], Some("a{{b"));
    check("a{{ answer_to_all }}b{{ 'x' + 'y' }}", &["'a42bxy'"], Some("a42bxy"));
    check("a{{ 'x y' }}b", &["'a'", "'x y'", "'b'"], None);
    check("a{{ n }}b{{ n }}{{ region }}", &["'a'", "n", "'b'", "n", "region"], None);
    check("{{ 42 }}", &["42"], Some("42"));
    check("{{ n }}", &["n"], None);
    check("{{ null }}", &["null"], None);
    assert_eq!(template("{{ n + 1 }}").single().map(Expr::type_of), Some(Type::Int));
    assert!(template(" {{ n }}").single().is_none() && template("n").single().is_none());
}

#[test]
fn errors_in_templates_name_their_place() {
    let check = |text: &str, offset, part| {
        let error = Template::compile(text, &world(), Stage::Request).expect_err(text);
        assert_eq!(error.offset, offset, "{text}: {error}");
        assert!(error.to_string().contains(part), "{text}: {error}");
    };
    check("é{{ n }}é{{ regoin }}", 12, "`region`");
    check("\\{{ {{ regoin }}", 7, "`region`");
    check("a{{ n", 1, "is not closed");
    check("a{{ 'it }}", 1, "is not closed");
    check("a{{}}", 3, "no expression");
    check("{{{{ n }}}}", 2, "braces");
    check("a{{ status }}", 4, "only once there is an answer");
    check(&"{{".repeat(100_000), 0, "is not closed");
    check(&"{{ n }}".repeat(257), 256 * 7, "more than 256 expressions");
    check(&"{{ region ~ 'a' }}".repeat(9), 8 * 18, "more than 8 patterns");
    check(&"x".repeat((1 << 20) + 1), 0, "1048576");
}

/// Sources that are well formed, though their types may not fit: operands joined by operators and functions. Where all
/// operands may have any type, far more of them fit.
fn sources(of_any: bool) -> impl Strategy<Value = String> {
    let names = VARIABLES.map(|(name, _)| name);
    let literals = ["0", "-1", "9223372036854775807", "1e308", "0.5", "'a'", "''", "1s", "true", "null"];
    let of_answer = ["status", "body", "json('$.a')", "regex('(x)?')", "uuid()", "now()", "users.age"];
    let all: Vec<_> = names.into_iter().chain(literals).chain(of_answer).map(str::to_owned).collect();
    let any = ["any_int", "any_text", "missing", "json('$.b')", "null"].map(str::to_owned).to_vec();
    prop::sample::select(if of_any { any } else { all }).prop_recursive(5, 40, 3, |inner| {
        let signs = ["+", "-", "*", "/", "%", "==", "!=", "<", ">=", "and", "or"];
        let called: Vec<_> = function::SIGNATURES.iter().collect();
        prop_oneof![
            (prop::sample::select(signs.to_vec()), inner.clone(), inner.clone())
                .prop_map(|(sign, left, right)| format!("({left} {sign} {right})")),
            inner.clone().prop_map(|of| format!("not {of}")),
            inner.clone().prop_map(|of| format!("default({of}, -{of})")),
            (0..called.len(), prop::collection::vec(inner, 3)).prop_map(move |(index, of)| {
                let count = called[index].parameters.len();
                format!("{}({})", called[index].name(), of[..count].join(", "))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn literals_are_read_back(int in any::<i64>(), float in any::<f64>(), ns in any::<u64>(), text in any::<String>()) {
        let float = if float.is_finite() { float } else { 0.5 };
        for value in [Value::Int(int), Value::Duration(Nanos(ns)), Value::Float(float)] {
            let source = value.to_string();
            let expr = compile(&source);
            // A float without decimal places is written as an integer.
            let found = match (expr.constant(), &value) {
                (Some(Value::Int(found)), Value::Float(_)) => Value::Float(*found as f64),
                (found, _) => found.cloned().unwrap(),
            };
            prop_assert_eq!(found, value);
        }
        let expr = compile(&format!("{text:?}"));
        prop_assert_eq!(expr.constant(), Some(&Value::Text(text.into())));
    }

    #[test]
    fn anything_compiles_or_is_refused_at_a_place(source in any::<String>(), signs in "[(){}'\"\\\\a1.,+~!= -]{0,60}") {
        for source in [&source, &signs] {
            if let Err(error) = Expr::compile(source, &world(), Stage::Response) {
                prop_assert!(error.offset <= source.chars().count());
                prop_assert!(!error.what.is_empty() && !error.mend.is_empty());
            }
            if let Err(error) = Template::compile(&format!("é{{{{{source}}}}}"), &world(), Stage::Response) {
                prop_assert!(error.offset <= source.chars().count() + 5);
            }
        }
    }

    #[test]
    fn bytes_and_base64_are_inverse(text in any::<String>()) {
        let source = format!("base64_decode(base64({text:?}))");
        let expr = compile(&source);
        prop_assert_eq!(expr.constant(), Some(&Value::Text(text.into())));
    }
}

proptest! {
    // Most of the sources do not fit together, so that more are needed.
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn a_value_has_the_type_that_was_foretold(source in prop_oneof![sources(true), sources(false)], seed in any::<u64>()) {
        if let Ok(expr) = Expr::compile(&source, &world(), Stage::Response) {
            let value = expr.evaluate(&world(), &mut Random::new(seed, 0));
            let foretold = expr.type_of();
            prop_assert!(
                value == Value::Null || foretold == Type::Any || value.type_of() == foretold,
                "{source} is {value:?}, not {foretold:?}"
            );
            let mut out = Vec::new();
            let rendered = expr.render(&world(), &mut Random::new(seed, 0), Escape::None, &mut out).is_ok();
            prop_assert_eq!(rendered, value != Value::Null);
            if rendered {
                prop_assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
            }
        }
    }
}
