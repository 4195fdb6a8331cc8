//! What must not be shown, taken out of what is shown: values of secrets in whatever form a request or an answer has them,
//! and the fields of heads that carry credentials.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// What stands in place of it.
pub const REDACTED: &str = "***";

/// Shorter pieces of base64 are found everywhere.
const BASE64_LEAST: usize = 4;

/// Fields whose value is a scheme and credentials (RFC 9110 section 11.6.2).
const CREDENTIALS: [&str; 2] = ["authorization", "proxy-authorization"];

/// Knows the secrets of a run.
#[derive(Clone, Default)]
pub struct Redactor {
    secrets: Vec<Vec<Forms>>,
    /// Middles of what base64 makes of them, wherever in a longer text they stood.
    base64: Vec<Vec<u8>>,
}

/// The ways in which one character of a secret may be written.
#[derive(Clone)]
struct Forms {
    raw: Vec<u8>,
    /// Escapes of URLs, forms, JSON and HTML, once and twice; their letters may have either case.
    escaped: Vec<Vec<u8>>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").field("secrets", &self.secrets.len()).finish_non_exhaustive()
    }
}

impl Redactor {
    /// Empty values are no secrets.
    pub fn new<'s>(secrets: impl IntoIterator<Item = &'s str>) -> Self {
        let mut secrets: Vec<_> = secrets.into_iter().filter(|secret| !secret.is_empty()).collect();
        // Where one begins with another, the whole of it goes.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self {
            base64: secrets.iter().flat_map(|secret| middles(secret.as_bytes())).collect(),
            secrets: secrets.iter().map(|secret| secret.chars().map(Forms::of).collect()).collect(),
        }
    }

    /// The bytes without secrets. `is_cut`: they are the beginning of something longer, so their end may be the beginning
    /// of a secret.
    #[must_use]
    pub fn bytes(&self, bytes: &[u8], is_cut: bool) -> Vec<u8> {
        let bytes = self.without_base64(bytes, is_cut);
        let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
        while at < bytes.len() {
            let end = self.secrets.iter().find_map(|secret| end_of(secret, &bytes, at, is_cut));
            match end {
                Some(end) => {
                    out.extend_from_slice(REDACTED.as_bytes());
                    at = end;
                }
                None => {
                    out.push(bytes[at]);
                    at += 1;
                }
            }
        }
        out
    }

    #[must_use]
    pub fn text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.bytes(text.as_bytes(), false)).into_owned()
    }

    /// A head, line by line: the values of fields with credentials go whole, but for their scheme or the cookie's name.
    #[must_use]
    pub fn head(&self, head: &[u8], is_cut: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(head.len());
        let mut lines = head.split_inclusive(|&byte| byte == b'\n').peekable();
        while let Some(line) = lines.next() {
            let is_last = lines.peek().is_none();
            match field_of(line).and_then(|(name, value)| credentials(name, &value)) {
                Some(shown) => {
                    let end = if line.ends_with(b"\r\n") { "\r\n" } else { "\n" };
                    out.extend_from_slice(self.text(&shown).as_bytes());
                    out.extend_from_slice(end.as_bytes());
                }
                None => out.extend_from_slice(&self.bytes(line, is_cut && is_last)),
            }
        }
        out
    }

    /// Takes out whole words of base64 that hold a secret.
    fn without_base64(&self, bytes: &[u8], is_cut: bool) -> Vec<u8> {
        let is_word =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=');
        let mut out = Vec::with_capacity(bytes.len());
        let mut at = 0;
        while at < bytes.len() {
            let len = bytes[at..].iter().position(|&byte| is_word(byte) != is_word(bytes[at]));
            let end = len.map_or(bytes.len(), |len| at + len);
            let word = &bytes[at..end];
            if self.base64.iter().any(|middle| holds(word, middle, is_cut && end == bytes.len())) {
                out.extend_from_slice(REDACTED.as_bytes());
            } else {
                out.extend_from_slice(word);
            }
            at = end;
        }
        out
    }
}

impl Forms {
    fn of(char: char) -> Self {
        let raw = char.to_string().into_bytes();
        let mut escaped = vec![raw.iter().map(|byte| format!("%{byte:02x}")).collect::<String>()];
        let mut units = [0; 2];
        let units = char.encode_utf16(&mut units);
        escaped.push(units.iter().map(|unit| format!("\\u{unit:04x}")).collect());
        escaped.push(format!("&#{};", u32::from(char)));
        escaped.push(format!("&#x{:x};", u32::from(char)));
        let named: &[&str] = match char {
            ' ' => &["+"],
            '"' => &["\\\"", "&quot;"],
            '\\' => &["\\\\"],
            '/' => &["\\/"],
            '\n' => &["\\n"],
            '\r' => &["\\r"],
            '\t' => &["\\t"],
            '&' => &["&amp;"],
            '<' => &["&lt;"],
            '>' => &["&gt;"],
            '\'' => &["&apos;"],
            _ => &[],
        };
        escaped.extend(named.iter().map(|form| (*form).to_owned()));
        // What was escaped may stand in something that is escaped again.
        let again =
            |form: &String| [form.replace('\\', r"\\").replace('"', r#"\""#), form.replace('%', "%25")];
        let nested: Vec<_> = escaped.iter().flat_map(again).filter(|form| !escaped.contains(form)).collect();
        escaped.extend(nested);
        Self { raw, escaped: escaped.into_iter().map(String::into_bytes).collect() }
    }

    /// Adds to `ends` where the character may end that begins at `at`.
    fn ends(&self, bytes: &[u8], at: usize, is_cut: bool, ends: &mut Vec<usize>) {
        let rest = &bytes[at..];
        let mut add = |form: &[u8], same: fn(&[u8], &[u8]) -> bool| {
            let len = form.len().min(rest.len());
            let is_whole = len == form.len() || is_cut;
            if is_whole && same(&form[..len], &rest[..len]) && !ends.contains(&(at + len)) {
                ends.push(at + len);
            }
        };
        add(&self.raw, |form, rest| form == rest);
        self.escaped.iter().for_each(|form| add(form, <[u8]>::eq_ignore_ascii_case));
    }
}

/// Where the secret ends that begins at `at`. One character may be written in several ways, of which the right one shows
/// later.
fn end_of(secret: &[Forms], bytes: &[u8], at: usize, is_cut: bool) -> Option<usize> {
    let (mut here, mut next) = (vec![at], Vec::new());
    for forms in secret {
        here.iter().for_each(|&at| forms.ends(bytes, at, is_cut, &mut next));
        std::mem::swap(&mut here, &mut next);
        next.clear();
        if here.is_empty() {
            return None;
        }
    }
    here.into_iter().max()
}

/// What base64 makes of a secret at each of its three places in a group, without what depends on its neighbours.
fn middles(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut middles = Vec::new();
    for before in 0..3 {
        let bytes = [&[0; 3][..before], secret].concat();
        let begin = (before * 8).div_ceil(6);
        let end = bytes.len() * 8 / 6;
        for coded in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            let middle = coded.as_bytes().get(begin..end).unwrap_or_default().to_vec();
            if middle.len() >= BASE64_LEAST && !middles.contains(&middle) {
                middles.push(middle);
            }
        }
    }
    middles
}

fn holds(word: &[u8], middle: &[u8], is_cut: bool) -> bool {
    let begins = || (BASE64_LEAST..middle.len()).any(|len| word.ends_with(&middle[..len]));
    word.windows(middle.len()).any(|window| window == middle) || is_cut && begins()
}

/// A field's name and value. A value may have any byte (RFC 9110 section 5.5), and whoever sends it is not to be trusted to
/// write UTF-8.
fn field_of(line: &[u8]) -> Option<(&str, Cow<'_, str>)> {
    // Names of pseudo-header fields begin with a colon.
    let colon = line.get(1..)?.iter().position(|&byte| byte == b':')? + 1;
    let name = std::str::from_utf8(&line[..colon]).ok()?;
    Some((name, String::from_utf8_lossy(line[colon + 1..].trim_ascii())))
}

/// What is shown of a field with credentials; `None` for all others.
fn credentials(name: &str, value: &str) -> Option<String> {
    let is = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known));
    let named = |pair: &str| {
        pair.split_once('=')
            .map_or_else(|| REDACTED.to_owned(), |(name, _)| format!("{}={REDACTED}", name.trim()))
    };
    let shown = if is(&CREDENTIALS) {
        value
            .split_once(' ')
            .map_or_else(|| REDACTED.to_owned(), |(scheme, _)| format!("{scheme} {REDACTED}"))
    } else if is(&["cookie"]) {
        value.split(';').map(named).collect::<Vec<_>>().join("; ")
    } else if is(&["set-cookie"]) {
        let (pair, attributes) = value.split_at(value.find(';').unwrap_or(value.len()));
        named(pair) + attributes
    } else {
        return None;
    };
    Some(format!("{name}: {shown}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(secret: &str, text: &str, is_cut: bool, want: &str) {
        let shown = Redactor::new([secret]).bytes(text.as_bytes(), is_cut);
        assert_eq!(String::from_utf8_lossy(&shown), want, "{secret} in {text}");
    }

    #[test]
    fn secrets_go_in_every_form() {
        let secret = "a b/\"ü&9";
        for form in [
            secret,
            "a%20b%2F%22%C3%BC%269",
            "a+b%2f%22%c3%bc%269",
            "a b\\/\\\"\\u00fc&9",
            "a%2520b%252F%2522%25C3%25BC%25269",
            "a b/\\\\\\\"\\\\u00fc&9",
            "\\u0061 b/\\\"ü\\u00269",
            "a b/&quot;&#252;&amp;9",
            "a b/&#x22;ü&#38;9",
        ] {
            check(secret, &format!("<{form}>"), false, "<***>");
        }
        check("p%q", "x p%25q p%q p", false, "x *** *** p");
        check("ab", "aab abab", false, "a*** ******");
        check("", "ab", false, "ab");
    }

    #[test]
    fn base64_goes_wherever_the_secret_stood() {
        let secret = "canary-7Qz4?>mX9";
        for before in ["", "u", "me", "me:", "user:"] {
            for after in ["", "x", "xy"] {
                let whole = format!("{before}{secret}{after}");
                for coded in [STANDARD_NO_PAD.encode(&whole), URL_SAFE_NO_PAD.encode(&whole)] {
                    check(secret, &format!("\"Basic {coded}==\","), false, "\"Basic ***\",");
                }
            }
        }
    }

    #[test]
    fn the_beginning_of_a_secret_at_a_cut_goes_too() {
        for (text, want) in [
            ("x canary", "x ***"),
            ("x can", "x ***"),
            ("x canary1%2", "x ***"),
            ("x cab", "x cab"),
            ("x", "x"),
        ] {
            check("canary1/2", text, true, want);
        }
        check("canary1/2", "x can", false, "x can");
        check("canary1/2", "x Y2FuYX", true, "x ***");
    }

    /// One byte that is not UTF-8 once let the whole line through.
    #[test]
    fn credentials_go_whatever_their_bytes_are() {
        fn check(line: &[u8], want: &str) {
            let shown = Redactor::default().head(line, false);
            assert_eq!(String::from_utf8_lossy(&shown), want, "{}", line.escape_ascii());
        }
        check(b"Set-Cookie: sid=abc\xff; Path=/\r\n", "Set-Cookie: sid=***; Path=/\r\n");
        check(b"cookie: a=\xc3; b=\xff2\n", "cookie: a=***; b=***\n");
        check(b"Authorization: Basic \xfe\r\n", "Authorization: Basic ***\r\n");
        check(b"X-\xff: abc\r\n", "X-\u{fffd}: abc\r\n");
    }

    #[test]
    fn fields_with_credentials_go_but_for_scheme_and_name() {
        let head = "GET /?q=s3cret HTTP/1.1\r\nauthorization: Basic YTpi\r\nProxy-Authorization: x\r\n\
                    Cookie: a=1; b=2\r\nSet-Cookie: sid=77; Path=/\r\nX: s3cret\r\n\r\n";
        let want = "GET /?q=*** HTTP/1.1\r\nauthorization: Basic ***\r\nProxy-Authorization: ***\r\n\
                    Cookie: a=***; b=***\r\nSet-Cookie: sid=***; Path=/\r\nX: ***\r\n\r\n";
        let redactor = Redactor::new(["s3cret"]);
        assert_eq!(String::from_utf8_lossy(&redactor.head(head.as_bytes(), false)), want);
        assert_eq!(redactor.head(b":path: /s3cret\ncookie: k=v\n", false), b":path: /***\ncookie: k=***\n");
        assert!(!format!("{redactor:?}").contains("s3cret"));
    }
}
