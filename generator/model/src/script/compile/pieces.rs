//! Texts to pieces: what is the same each time as bytes, what is filled in as expressions.

use std::fmt::Write as _;

use crate::expr::{Escape, ExprError, Part, Scan, Template, Value, Written};
use crate::script::call::Piece;

/// Pieces under way: neighbouring bytes become one piece.
#[derive(Default)]
pub(super) struct Pieces {
    done: Vec<Piece>,
    literal: Vec<u8>,
}

impl Pieces {
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.literal.extend_from_slice(bytes);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(super) fn piece(&mut self, piece: Piece) {
        self.end_literal();
        self.done.push(piece);
    }

    /// A template whose literal parts stand as they are.
    pub(super) fn template(&mut self, template: &Template, escape: Escape) {
        self.parts(template, escape, Escape::None);
    }

    /// A template all of which is escaped.
    pub(super) fn escaped(&mut self, template: &Template, escape: Escape) {
        self.parts(template, escape, escape);
    }

    fn parts(&mut self, template: &Template, escape: Escape, of_literals: Escape) {
        for part in template.parts() {
            match part {
                Part::Literal(text) => {
                    // What cannot stand in a header was refused before.
                    let _ = of_literals.write(text, &mut self.literal);
                }
                Part::Slot(expr) => {
                    let known = expr.constant().filter(|value| **value != Value::Null).map(Value::to_string);
                    if known.is_none_or(|text| escape.write(&text, &mut self.literal).is_err()) {
                        self.piece(Piece::Slot(expr.clone(), escape));
                    }
                }
            }
        }
    }

    fn end_literal(&mut self) {
        if !self.literal.is_empty() {
            self.done.push(Piece::Literal(std::mem::take(&mut self.literal).into()));
        }
    }

    pub(super) fn finish(mut self) -> Vec<Piece> {
        self.end_literal();
        self.done
    }

    pub(super) fn append(&mut self, other: Vec<Piece>) {
        for piece in other {
            match piece {
                Piece::Literal(bytes) => self.bytes(&bytes),
                piece => self.piece(piece),
            }
        }
    }
}

/// What pieces are where nothing is filled in; what is filled in leaves no trace.
pub(super) fn fixed(pieces: &[Piece]) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    let mut is_fixed = true;
    for piece in pieces {
        match piece {
            Piece::Literal(literal) => bytes.extend_from_slice(literal),
            Piece::Slot(..) | Piece::Json(_) => is_fixed = false,
        }
    }
    (bytes, is_fixed)
}

/// A value as it is written in an expression.
pub(super) fn literal(value: &Value) -> String {
    match value {
        Value::Text(text) => quoted(text),
        Value::Int(number) if *number < 0 => format!("({number})"),
        Value::Float(number) => format!("({number:?})"),
        value => value.to_string(),
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(character);
            }
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            character if u32::from(character) < 0x20 => {
                // Writing to a text cannot fail.
                let _ = write!(quoted, "\\u{{{:x}}}", u32::from(character));
            }
            character => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

/// A text with slots as one expression of type text.
///
/// # Errors
/// When a slot does not end.
pub(super) fn source_of(text: &str) -> Result<String, ExprError> {
    let (mut parts, mut literal) = (Vec::new(), String::new());
    for written in Scan::of(text) {
        match written? {
            Written::Literal(text) => literal.push_str(text),
            Written::Slot { source, .. } => {
                if !literal.is_empty() {
                    parts.push(quoted(&std::mem::take(&mut literal)));
                }
                parts.push(format!("text({})", source.trim()));
            }
        }
    }
    if !literal.is_empty() || parts.is_empty() {
        parts.push(quoted(&literal));
    }
    Ok(parts.join(" + "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: &str) {
        assert_eq!(source_of(text).expect(text), want, "{text}");
    }

    #[test]
    fn texts_become_expressions() {
        check("", r#""""#);
        check("a\"b", r#""a\"b""#);
        check("{{ v }}", "text(v)");
        check("a{{ v }}b{{w}}", r#""a" + text(v) + "b" + text(w)"#);
        check(r#"{{ "}}" + v }}!"#, r#"text("}}" + v) + "!""#);
        check(r"x\{{ v }}", r#""x{{ v }}""#);
        assert!(source_of("a{{ v").is_err());
    }
}
