//! What expressions result in.

use super::*;

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
