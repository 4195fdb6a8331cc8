//! Texts of a scenario put together of literal text and expressions, so that literal text stays literal:
//! wherever it would open an expression, its brace is written as one (`{{ "{" }}`).

/// A part of a text.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Piece {
    Literal(String),
    Expression(String),
}

/// The text of a scenario that comes out as these pieces in a row.
pub(super) fn render(pieces: &[Piece]) -> String {
    let mut text = String::new();
    for (index, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Expression(expression) => text.push_str(&format!("{{{{ {expression} }}}}")),
            Piece::Literal(literal) => {
                let next = pieces[index + 1..].iter().find(|p| **p != Piece::Literal(String::new()));
                push_literal(&mut text, literal, opens(next));
            }
        }
    }
    text
}

/// Text without expressions.
pub(super) fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    push_literal(&mut out, text, false);
    out
}

/// A text as a constant of an expression.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A name that variables and flows can have: letters, digits and `_`, beginning with a letter.
pub(super) fn identifier(text: &str) -> String {
    let mut name: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(NAME_MAX).collect();
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        name.insert(0, 'x');
    }
    name
}

/// Longer names only repeat what stands in the source.
const NAME_MAX: usize = 64;

/// Whether what follows begins with a brace in the written text.
fn opens(next: Option<&Piece>) -> bool {
    match next {
        Some(Piece::Expression(_)) => true,
        Some(Piece::Literal(text)) => text.starts_with('{'),
        None => false,
    }
}

/// Also a backslash before an expression would change what it means, so that a row of them is written as one
/// too.
fn push_literal(out: &mut String, text: &str, brace_follows: bool) {
    let mut rest = text.chars().peekable();
    let mut backslashes = 0;
    while let Some(c) = rest.next() {
        if c == '\\' {
            backslashes += 1;
            continue;
        }
        let doubled = c == '{' && rest.peek().map_or(brace_follows, |next| *next == '{');
        push_backslashes(out, std::mem::take(&mut backslashes), doubled);
        if doubled {
            out.push_str("{{ \"{\" }}");
        } else {
            out.push(c);
        }
    }
    push_backslashes(out, backslashes, brace_follows);
}

fn push_backslashes(out: &mut String, count: usize, brace_follows: bool) {
    if count > 0 && brace_follows {
        out.push_str(&format!("{{{{ {} }}}}", quoted(&"\\".repeat(count))));
    } else {
        out.extend(std::iter::repeat_n('\\', count));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literal_text_never_opens_an_expression() {
        let (text, expr) = (|t: &str| Piece::Literal(t.into()), |t: &str| Piece::Expression(t.into()));
        for (pieces, want) in [
            (vec![text("a{b}")], "a{b}"),
            (vec![text("{{ secret.X }}")], "{{ \"{\" }}{ secret.X }}"),
            (vec![text("{"), expr("x"), text("}")], "{{ \"{\" }}{{ x }}}"),
            (vec![text("{"), text(""), text("{")], "{{ \"{\" }}{"),
            (vec![expr("x"), expr("y")], "{{ x }}{{ y }}"),
            (vec![text("\\a\\\\"), expr("x")], "\\a{{ \"\\\\\\\\\" }}{{ x }}"),
            (vec![text("\\{{")], "{{ \"\\\\\" }}{{ \"{\" }}{"),
        ] {
            assert_eq!(render(&pieces), want);
        }
        assert_eq!(literal("{{{"), "{{ \"{\" }}{{ \"{\" }}{");
    }

    #[test]
    fn names_and_constants() {
        assert_eq!((identifier("a b-9"), identifier("9")), ("a_b_9".into(), "x9".into()));
        assert_eq!(quoted("a\"\\\n"), r#""a\"\\\n""#);
    }
}
