//! An expression's source, cut into tokens.

use std::iter::Peekable;
use std::str::CharIndices;

use super::error::ExprError;
use crate::units::{Bytes, Nanos};

/// In bytes. What is longer is a program, which this language is not.
pub(super) const SOURCE_MAX: usize = 4 * 1024;

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Token<'s> {
    /// Without a sign, so that the parser can make the smallest `i64` of it.
    Int(u64),
    Float(f64),
    Duration(Nanos),
    Text(String),
    Word(&'s str),
    Symbol(&'static str),
    End,
}

/// A token and where it begins, in characters.
pub(super) type Placed<'s> = (usize, Token<'s>);

/// Longer ones first: the first that fits is taken.
const SYMBOLS: [&str; 19] =
    ["==", "!=", "<=", ">=", "&&", "||", "(", ")", ",", ".", "+", "-", "*", "/", "%", "<", ">", "~", "!"];

/// What people write out of habit, and how it is written here.
const HABITS: [(char, &str); 5] = [
    ('=', "write `==` to compare, `~` to match a pattern"),
    ('&', "write `and`"),
    ('|', "write `or`"),
    ('?', "write if(condition, a, b)"),
    ('{', "an expression has no braces; in a text `\\{{` stands for two of them"),
];

/// The tokens of a source; the last is [`Token::End`].
pub(super) fn tokens(source: &str) -> Result<Vec<Placed<'_>>, ExprError> {
    if source.len() > SOURCE_MAX {
        let what = format!("the expression has {} bytes, and at most {SOURCE_MAX} are allowed", source.len());
        return Err(ExprError::new(0, what, "compute parts of it with `set` first"));
    }
    let mut lexer = Lexer { source, at: 0, byte: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip(|c| c.is_whitespace());
        let at = lexer.at;
        let token = lexer.token()?;
        let is_end = token == Token::End;
        tokens.push((at, token));
        if is_end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'s> {
    source: &'s str,
    /// In characters, for people.
    at: usize,
    /// The same place in bytes.
    byte: usize,
}

impl<'s> Lexer<'s> {
    fn rest(&self) -> &'s str {
        &self.source[self.byte..]
    }

    fn advance(&mut self, text: &str) {
        self.at += text.chars().count();
        self.byte += text.len();
    }

    /// What stands here as far as a condition holds.
    fn skip(&mut self, holds: impl Fn(char) -> bool) -> &'s str {
        let rest = self.rest();
        let skipped = &rest[..rest.find(|c| !holds(c)).unwrap_or(rest.len())];
        self.advance(skipped);
        skipped
    }

    fn token(&mut self) -> Result<Token<'s>, ExprError> {
        let Some(first) = self.rest().chars().next() else { return Ok(Token::End) };
        if first.is_ascii_digit() {
            return self.number();
        }
        if first == '"' || first == '\'' {
            return self.text(first);
        }
        if is_word_start(first) {
            return Ok(Token::Word(self.skip(is_word_part)));
        }
        if let Some(symbol) = SYMBOLS.iter().find(|symbol| self.rest().starts_with(**symbol)) {
            self.advance(symbol);
            return Ok(Token::Symbol(symbol));
        }
        let mend = HABITS
            .iter()
            .find(|(habit, _)| *habit == first)
            .map_or("texts stand in quotes, names are letters, digits and `_`", |(_, mend)| mend);
        Err(ExprError::new(self.at, format!("{first:?} does not belong in an expression"), mend))
    }

    /// A number, or one with a unit.
    fn number(&mut self) -> Result<Token<'s>, ExprError> {
        let (start, at) = (self.byte, self.at);
        let mut word = self.skip(is_number_part);
        let signed = self.rest().strip_prefix(['+', '-']).is_some_and(|rest| rest.starts_with(is_digit));
        if signed && word.ends_with(['e', 'E']) && word.starts_with(is_digit) && !word.contains('_') {
            self.advance(&self.rest()[..1]);
            self.skip(is_digit);
            word = &self.source[start..self.byte];
        }
        read_number(word).ok_or_else(|| {
            ExprError::new(
                at,
                format!("`{word}` is no number"),
                "write an integer such as 1_000 (up to 9223372036854775807), a decimal number such as 0.5, a \
                 duration such as 500ms, or a size such as 64KiB",
            )
        })
    }

    fn text(&mut self, quote: char) -> Result<Token<'s>, ExprError> {
        let start = self.at;
        let mut characters = self.rest().char_indices().peekable();
        characters.next();
        let mut text = String::new();
        let mut length = 1;
        while let Some((byte, c)) = characters.next() {
            length += 1;
            if c == quote {
                self.byte += byte + c.len_utf8();
                self.at += length;
                return Ok(Token::Text(text));
            }
            if c == '\\' {
                let (escaped, read) = escape(&mut characters, start + length - 1)?;
                length += read;
                text.push(escaped);
            } else {
                text.push(c);
            }
        }
        Err(ExprError::new(
            start,
            "the text that begins here does not end",
            format!("add a {quote} after it"),
        ))
    }
}

/// What stands after a backslash: the character meant, and the number of characters read.
fn escape(characters: &mut Peekable<CharIndices<'_>>, at: usize) -> Result<(char, usize), ExprError> {
    let next = characters.next().map(|(_, c)| c);
    let simple = match next {
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some('0') => '\0',
        Some(same @ ('\\' | '"' | '\'')) => same,
        Some('u') => return code_point(characters, at),
        other => {
            let written = other.map(String::from).unwrap_or_default();
            let mend = "write `\\\\` for a backslash; there are \\n, \\r, \\t, \\0, \\\", \\' and \\u{...}";
            return Err(ExprError::new(at, format!("`\\{written}` stands for nothing"), mend));
        }
    };
    Ok((simple, 1))
}

/// `{1f600}` after `\u`.
fn code_point(characters: &mut Peekable<CharIndices<'_>>, at: usize) -> Result<(char, usize), ExprError> {
    const DIGITS_MAX: usize = 6; // the largest code point is 10ffff
    let mut digits = String::new();
    let mut opened = false;
    while let Some((_, c)) = characters.next_if(|_| digits.len() <= DIGITS_MAX) {
        match c {
            '{' if !opened => opened = true,
            '}' if opened => {
                let found = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                match found {
                    Some(found) => return Ok((found, digits.len() + 3)),
                    None => break,
                }
            }
            digit if opened && digit.is_ascii_hexdigit() => digits.push(digit),
            _ => break,
        }
    }
    Err(ExprError::new(at, "`\\u` names no character", "write its number in hexadecimal, as in \\u{e9}"))
}

/// An integer, else a decimal number, else a duration, else a size: `1m` is a minute, `1M` a mebibyte.
fn read_number(word: &str) -> Option<Token<'static>> {
    let digits = without_separators(word)?;
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        return digits.parse().ok().filter(|&int| int <= 1 << 63).map(Token::Int);
    }
    if let Ok(float) = digits.parse::<f64>() {
        return (float.is_finite() && !digits.ends_with('.')).then_some(Token::Float(float));
    }
    if let Ok(duration) = digits.parse::<Nanos>() {
        return Some(Token::Duration(duration));
    }
    let size = digits.parse::<Bytes>().ok()?.0;
    (i64::try_from(size).is_ok()).then_some(Token::Int(size))
}

/// `1_000` without its `_`, each of which must stand between two digits.
fn without_separators(word: &str) -> Option<String> {
    let parts = word.split('_');
    let count = parts.clone().count();
    let is_placed = |(index, part): (usize, &str)| {
        (index == 0 || part.starts_with(is_digit)) && (index + 1 == count || part.ends_with(is_digit))
    };
    parts.enumerate().all(is_placed).then(|| word.replace('_', ""))
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

fn is_number_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | 'µ')
}

fn is_word_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn is_word_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::Token::{Duration, Float, Int, Symbol, Text, Word};
    use super::*;

    fn check(source: &str, want: &[(usize, Token<'_>)]) {
        let mut found = tokens(source).unwrap_or_else(|error| panic!("{source}: {error}"));
        assert_eq!(found.pop(), Some((source.chars().count(), Token::End)), "{source}");
        assert_eq!(found, want, "{source}");
    }

    fn check_one(source: &str, want: Token<'_>) {
        check(source, &[(0, want)]);
    }

    fn check_error(source: &str, offset: usize, part: &str) {
        let error = tokens(source).expect_err(source);
        assert_eq!(error.offset, offset, "{source}: {error}");
        assert!(error.to_string().contains(part), "{source}: {error}");
    }

    #[test]
    fn numbers() {
        check_one("1_000", Int(1_000));
        check_one("9223372036854775808", Int(1 << 63));
        check_one("0.5", Float(0.5));
        check_one("1e3", Float(1_000.0));
        check_one("1.5e-3", Float(0.0015));
        check_one("500ms", Duration(Nanos::from_millis(500)));
        check_one("1h20m", Duration(Nanos::from_secs(4_800)));
        check_one("1m", Duration(Nanos::from_secs(60)));
        check_one("1M", Int(1 << 20));
        check_one("64KiB", Int(65_536));
        check("1-2", &[(0, Int(1)), (1, Symbol("-")), (2, Int(2))]);
        check("1e3-2", &[(0, Float(1_000.0)), (3, Symbol("-")), (4, Int(2))]);
        for wrong in
            ["9223372036854775809", "1_", "1__0", "1_.5", "1.", "1.5.2", "1e999", "5x", "1e", "8GGiB", "0x10"]
        {
            check_error(wrong, 0, "is no number");
        }
    }

    #[test]
    fn texts() {
        check_one(r#""a'b""#, Text("a'b".into()));
        check_one(r#"'a"b'"#, Text("a\"b".into()));
        check_one(r#""\n\r\t\0\\\"\'\u{e9}""#, Text("\n\r\t\0\\\"'é".into()));
        check(r#""é\n" x"#, &[(0, Text("é\n".into())), (6, Word("x"))]);
        check(r#""\u{1F600}" x"#, &[(0, Text("😀".into())), (12, Word("x"))]);
        check_error("1 + \"abc", 4, "does not end");
        check_error("\"abc\\\"", 0, "does not end");
        check_error(r#""id=(\d+)""#, 5, "write `\\\\`");
        check_error("'\\", 1, "stands for nothing");
        for wrong in ["u", "u{", "u{}", "u{d800}", "u{1234567}", "u{110000}", "u{x}", "ue9"] {
            check_error(&format!("'\\{wrong}'"), 1, "\\u{e9}");
        }
    }

    #[test]
    fn words_and_symbols() {
        check("users.name", &[(0, Word("users")), (5, Symbol(".")), (6, Word("name"))]);
        check(
            "größe<=1 &&!x",
            &[
                (0, Word("größe")),
                (5, Symbol("<=")),
                (7, Int(1)),
                (9, Symbol("&&")),
                (11, Symbol("!")),
                (12, Word("x")),
            ],
        );
        check("", &[]);
        check(" \n", &[]);
        check_error("é = 1", 2, "write `==`");
        check_error("a & b", 2, "write `and`");
        check_error("a # b", 2, "does not belong");
        check_error("{a}", 0, "braces");
        check_error(&" ".repeat(SOURCE_MAX + 1), 0, "4096");
    }
}
