//! Python source -> tokens with their places (Python's Language Reference, chapter 2), as far as sources of
//! tests use them: indentation, joined lines, names, numbers, operators, strings with prefixes and triple
//! quotes, f-strings.
//!
//! The code inside an f-string is kept as text with its place; the parser reads it as source of its own.

use super::super::ImportError;
use crate::scenario::file::Place;

/// As deep as Python itself indents.
const INDENTS_MAX: usize = 100;

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Token {
    Name(String),
    Int(i64),
    Float(f64),
    Text(String),
    Bytes,
    Format(Vec<FormatToken>),
    Op(&'static str),
    Newline,
    Indent,
    Dedent,
    End,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) enum FormatToken {
    Text(String),
    /// `{code!conversion:format}`; what follows the code is only known to be there.
    Code {
        code: String,
        at: Place,
        formatted: bool,
    },
}

pub(super) type Tokens = Vec<(Token, Place)>;

/// Longest first, so that the first that fits is the right one.
const OPERATORS: [&str; 47] = [
    "**=", "//=", ">>=", "<<=", "...", "**", "//", ">>", "<<", "<=", ">=", "==", "!=", "->", "+=", "-=",
    "*=", "/=", "%=", "&=", "|=", "^=", "@=", ":=", "+", "-", "*", "/", "%", "@", "&", "|", "^", "~", "<",
    ">", "(", ")", "[", "]", "{", "}", ",", ":", ".", ";", "=",
];

/// The tokens of a file, or of code inside of an f-string that begins at `start`.
pub(super) fn tokens(source: &str, start: Place, nested: bool) -> Result<Tokens, ImportError> {
    let mut reader = Reader { rest: source, at: start, tokens: Vec::new(), indents: vec![0], brackets: 0 };
    if nested {
        // Code between braces may be broken into lines as within brackets.
        reader.brackets = 1;
    }
    reader.run(nested)?;
    Ok(reader.tokens)
}

struct Reader<'s> {
    rest: &'s str,
    at: Place,
    tokens: Tokens,
    indents: Vec<usize>,
    brackets: usize,
}

impl Reader<'_> {
    fn run(&mut self, nested: bool) -> Result<(), ImportError> {
        let mut line_begins = !nested;
        while !self.rest.is_empty() {
            if line_begins && self.brackets == 0 {
                line_begins = false;
                if !self.indentation()? {
                    line_begins = true;
                    continue;
                }
            }
            let Some(c) = self.peek() else { break };
            match c {
                '\n' => {
                    if self.brackets == 0 {
                        self.push(Token::Newline);
                        line_begins = true;
                    }
                    self.skip(1);
                }
                ' ' | '\t' | '\r' | '\u{c}' => self.skip(1),
                '#' => self.skip_comment(),
                '\\' => self.join_line()?,
                c if c.is_alphabetic() || c == '_' => self.name_or_string()?,
                c if c.is_ascii_digit() || (c == '.' && self.digit_at(1)) => self.number()?,
                '"' | '\'' => self.string("")?,
                _ => self.operator()?,
            }
        }
        self.finish();
        Ok(())
    }

    fn finish(&mut self) {
        if self.tokens.last().is_some_and(|(token, _)| *token != Token::Newline) {
            self.push(Token::Newline);
        }
        for _ in 1..self.indents.len() {
            self.push(Token::Dedent);
        }
        self.push(Token::End);
    }

    /// Measures the indentation of a line; false if the line is blank, which then is skipped.
    fn indentation(&mut self) -> Result<bool, ImportError> {
        let mut width = 0;
        while let Some(c) = self.peek() {
            match c {
                ' ' => width += 1,
                '\t' => width = (width / 8 + 1) * 8,
                '\r' | '\u{c}' => {}
                '#' => {
                    self.skip_comment();
                    continue;
                }
                '\n' => {
                    self.skip(1);
                    return Ok(false);
                }
                _ => break,
            }
            self.skip(1);
        }
        if self.rest.is_empty() {
            return Ok(false);
        }
        if width > self.indents.last().copied().unwrap_or(0) {
            if self.indents.len() == INDENTS_MAX {
                return Err(self.error("the blocks are nested too deep", "flatten them"));
            }
            self.indents.push(width);
            self.push(Token::Indent);
        }
        while width < self.indents.last().copied().unwrap_or(0) {
            self.indents.pop();
            self.push(Token::Dedent);
        }
        if width != self.indents.last().copied().unwrap_or(0) {
            return Err(self.error("the indentation fits no block", "indent it as the lines of its block"));
        }
        Ok(true)
    }

    fn join_line(&mut self) -> Result<(), ImportError> {
        let length = match self.rest.as_bytes() {
            [b'\\', b'\n', ..] => 2,
            [b'\\', b'\r', b'\n', ..] => 3,
            _ => return Err(self.error("a '\\' is not the end of its line", "remove it")),
        };
        self.skip(length);
        Ok(())
    }

    fn name_or_string(&mut self) -> Result<(), ImportError> {
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let word = &self.rest[..end];
        let is_prefix = word.len() <= 2 && word.chars().all(|c| "rRbBuUfF".contains(c));
        if is_prefix && self.rest[end..].starts_with(['"', '\'']) {
            return self.string(&word.to_ascii_lowercase());
        }
        let token = Token::Name(word.to_owned());
        self.push(token);
        self.skip(end);
        Ok(())
    }

    fn number(&mut self) -> Result<(), ImportError> {
        let mut end = 0;
        let bytes = self.rest.as_bytes();
        while let Some(byte) = bytes.get(end) {
            let sign = matches!(byte, b'+' | b'-')
                && matches!(bytes[end - 1], b'e' | b'E')
                && !self.rest.starts_with("0x");
            if !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_') || sign) {
                break;
            }
            end += 1;
        }
        let digits = self.rest[..end].replace('_', "");
        let radix = [("0x", 16), ("0o", 8), ("0b", 2)].into_iter().find_map(|(prefix, radix)| {
            i64::from_str_radix(digits.strip_prefix(prefix)?, radix).ok().map(Token::Int)
        });
        let token = radix
            .or_else(|| digits.parse().ok().map(Token::Int))
            .or_else(|| digits.parse().ok().filter(|f: &f64| f.is_finite()).map(Token::Float))
            .ok_or_else(|| {
                self.error(format!("{digits:.40} is no number that fits"), "write a smaller one")
            })?;
        self.push(token);
        self.skip(end);
        Ok(())
    }

    fn operator(&mut self) -> Result<(), ImportError> {
        let Some(operator) = OPERATORS.into_iter().find(|operator| self.rest.starts_with(operator)) else {
            let c = self.peek().unwrap_or(' ');
            return Err(self.error(format!("{c:?} is no part of Python"), "remove it"));
        };
        match operator {
            "(" | "[" | "{" => self.brackets += 1,
            ")" | "]" | "}" => self.brackets = self.brackets.saturating_sub(1),
            _ => {}
        }
        self.push(Token::Op(operator));
        self.skip(operator.len());
        Ok(())
    }

    fn string(&mut self, prefix: &str) -> Result<(), ImportError> {
        let at = self.at;
        self.skip(prefix.len());
        let mark = &self.rest[..1];
        let mark = if self.rest.len() >= 3 && self.rest.as_bytes()[..3] == mark.repeat(3).as_bytes()[..] {
            &self.rest[..3]
        } else {
            mark
        };
        let mark = mark.to_owned();
        self.skip(mark.len());
        let length = content_length(self.rest, &mark)
            .ok_or_else(|| ImportError::new(at, "a string has no end", format!("close it with {mark}")))?;
        let content = self.rest[..length].to_owned();
        let begin = self.at;
        self.skip(length + mark.len());
        let raw = prefix.contains('r');
        let token = if prefix.contains('b') {
            Token::Bytes
        } else if prefix.contains('f') {
            Token::Format(format_tokens(&content, begin, raw)?)
        } else {
            Token::Text(unescape(&content, raw))
        };
        self.tokens.push((token, at));
        Ok(())
    }

    fn skip_comment(&mut self) {
        self.skip(self.rest.find('\n').unwrap_or(self.rest.len()));
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn digit_at(&self, index: usize) -> bool {
        self.rest.as_bytes().get(index).is_some_and(u8::is_ascii_digit)
    }

    fn push(&mut self, token: Token) {
        self.tokens.push((token, self.at));
    }

    /// Goes on by so many bytes.
    fn skip(&mut self, length: usize) {
        let (gone, rest) = self.rest.split_at(length);
        self.at = after(self.at, gone);
        self.rest = rest;
    }

    fn error(&self, what: impl Into<String>, mend: &str) -> ImportError {
        ImportError::new(self.at, what, mend)
    }
}

/// The place behind a text that begins at `at`.
fn after(mut at: Place, text: &str) -> Place {
    for c in text.chars() {
        if c == '\n' {
            at = Place { line: at.line.saturating_add(1), column: 1 };
        } else {
            at.column = at.column.saturating_add(1);
        }
    }
    at
}

/// How many bytes come before the closing mark. A string in simple quotes ends on its line.
fn content_length(text: &str, mark: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut index = 0;
    while index < bytes.len() {
        match bytes[index] {
            b'\\' => index += 2,
            b'\n' if mark.len() == 1 => return None,
            _ if bytes[index..].starts_with(mark.as_bytes()) => return Some(index),
            _ => index += 1,
        }
    }
    None
}

/// Splits the content of an f-string into text and code.
fn format_tokens(content: &str, begin: Place, raw: bool) -> Result<Vec<FormatToken>, ImportError> {
    let mut tokens = Vec::new();
    let mut text = String::new();
    let (mut rest, mut at) = (content, begin);
    while let Some(index) = rest.find(['{', '}']) {
        text.push_str(&rest[..index]);
        at = after(at, &rest[..index]);
        rest = &rest[index..];
        let length = if rest.starts_with("{{") || rest.starts_with("}}") {
            text.push_str(&rest[..1]);
            2
        } else if let Some(behind) = rest.strip_prefix('{') {
            let end = code_length(behind).ok_or_else(|| {
                ImportError::new(at, "a '{' of an f-string has no end", "close it with '}'")
            })?;
            tokens.push(FormatToken::Text(unescape(&std::mem::take(&mut text), raw)));
            let inside = &rest[1..=end];
            let cut = format_start(inside);
            let code = inside[..cut].to_owned();
            tokens.push(FormatToken::Code { code, at: after(at, "{"), formatted: cut < inside.len() });
            end + 2
        } else {
            return Err(ImportError::new(at, "an f-string has a '}' without its '{'", "write '}}'"));
        };
        at = after(at, &rest[..length]);
        rest = &rest[length..];
    }
    text.push_str(rest);
    tokens.push(FormatToken::Text(unescape(&text, raw)));
    tokens.retain(|token| *token != FormatToken::Text(String::new()));
    Ok(tokens)
}

/// How many bytes come before the brace that closes.
fn code_length(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut quote = None;
    for (index, byte) in text.bytes().enumerate() {
        match (byte, quote) {
            (b'"' | b'\'', None) => quote = Some(byte),
            (_, Some(open)) if byte == open => quote = None,
            (b'{', None) => depth += 1,
            (b'}', None) if depth == 0 => return Some(index),
            (b'}', None) => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Where `!r`, `:>10` or `=` begins within the braces of an f-string; the length if there is none.
fn format_start(inside: &str) -> usize {
    let bytes = inside.as_bytes();
    let mut depth = 0usize;
    let mut quote = None;
    for (index, byte) in bytes.iter().copied().enumerate() {
        match (byte, quote) {
            (b'"' | b'\'', None) => quote = Some(byte),
            (_, Some(open)) if byte == open => quote = None,
            (b'(' | b'[' | b'{', None) => depth += 1,
            (b')' | b']' | b'}', None) => depth = depth.saturating_sub(1),
            (b':', None) if depth == 0 => return index,
            (b'!', None) if depth == 0 && bytes.get(index + 1) != Some(&b'=') => return index,
            _ => {}
        }
    }
    inside.trim_end().strip_suffix('=').map_or(inside.len(), str::len)
}

/// The text that a string's content stands for.
fn unescape(content: &str, raw: bool) -> String {
    if raw || !content.contains('\\') {
        return content.to_owned();
    }
    let mut out = String::with_capacity(content.len());
    let mut rest = content.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some('\n') | None => {}
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('0') => out.push('\0'),
            Some(c @ ('\\' | '\'' | '"')) => out.push(c),
            Some(c @ ('x' | 'u' | 'U')) => {
                let digits = match c {
                    'x' => 2,
                    'u' => 4,
                    _ => 8,
                };
                let code = rest.clone().take(digits).collect::<String>();
                match u32::from_str_radix(&code, 16).ok().and_then(char::from_u32) {
                    Some(c) if code.len() == digits => {
                        out.push(c);
                        rest.nth(digits - 1);
                    }
                    _ => out.extend(['\\', c]),
                }
            }
            Some(c) => out.extend(['\\', c]),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(source: &str) -> String {
        let begin = Place { line: 1, column: 1 };
        let word = |token: &Token| match token {
            Token::Name(name) => name.clone(),
            Token::Int(number) => number.to_string(),
            Token::Float(number) => format!("{number:?}"),
            Token::Text(text) => format!("{text:?}"),
            Token::Op(operator) => (*operator).to_owned(),
            Token::Newline => ";".to_owned(),
            Token::Indent => ">".to_owned(),
            Token::Dedent => "<".to_owned(),
            other => format!("{other:?}"),
        };
        match tokens(source, begin, false) {
            Ok(tokens) => tokens.iter().map(|(token, _)| word(token)).collect::<Vec<_>>().join(" "),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn sources_become_tokens() {
        for (source, want) in [
            ("a = 1\n", "a = 1 ; End"),
            ("if a:\n    b\n\n  # no line\n    c\nd", "if a : ; > b ; c ; < d ; End"),
            ("f(1,\n  2)\\\n + 3", "f ( 1 , 2 ) + 3 ; End"),
            ("0x1f 1_000 1.5e-3 .5", "31 1000 0.0015 0.5 ; End"),
            (r#"'a\'b' r"\n" """x"y""" u'\u00e9'"#, r#""a'b" "\\n" "x\"y" "é" ; End"#),
            ("x //= 2 # why", "x //= 2 ; End"),
            ("'a", "line 1, column 1: a string has no end; close it with '"),
            (
                "if a:\n    b\n  c",
                "line 3, column 3: the indentation fits no block; indent it as the lines of its block",
            ),
            ("a $ b", "line 1, column 3: '$' is no part of Python; remove it"),
        ] {
            assert_eq!(words(source), want, "{source}");
        }
    }

    #[test]
    fn format_strings_keep_code_and_place() {
        let begin = Place { line: 3, column: 1 };
        let tokens = tokens("f'a{x[\"k\"]:>3}{{b}}{y!r}'", begin, false).map(|tokens| tokens[0].clone());
        let code = |code: &str, column| FormatToken::Code {
            code: code.into(),
            at: Place { line: 3, column },
            formatted: true,
        };
        let parts = vec![
            FormatToken::Text("a".into()),
            code("x[\"k\"]", 5),
            FormatToken::Text("{b}".into()),
            code("y", 21),
        ];
        assert_eq!(tokens, Ok((Token::Format(parts), begin)));
    }
}
