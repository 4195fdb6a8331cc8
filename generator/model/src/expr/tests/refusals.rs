//! What is refused, where, and with which mend.

use super::*;

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
