//! Texts with expressions in them.

use super::*;

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
