//! Finds the value at a simple path in the bytes of a JSON text (RFC 8259), in one pass and without building
//! anything.
//!
//! The pass is strict about the grammar up to the point where it may stop, so nothing is found behind a
//! break. It does not look at what a reader of values would: whether skipped texts are UTF-8, whether
//! surrogates come in pairs, and whether a number fits. Of members of the same name the last one counts, as
//! for `serde_json`; so the pass may stop before the end only where no object encloses the value. It
//! allocates for one case alone: a name written with escapes that may be the wanted one.

use std::ops::Range;

/// What one part of a simple path chooses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Segment {
    Name(Box<str>),
    Index(u64),
}

/// Open containers. It is the limit of `serde_json` too, so both ways refuse the same texts.
const DEPTH_MAX: usize = 127;

/// The bytes of the value at `path`, without white space around it.
pub(super) fn find<'a>(body: &'a [u8], path: &[Segment]) -> Option<&'a [u8]> {
    let scan = Scan {
        body,
        at: 0,
        path,
        objects: 0,
        depth: 0,
        on_path: 0,
        index: 0,
        target_start: None,
        found: None,
    };
    scan.run()
}

struct Scan<'a, 'p> {
    body: &'a [u8],
    at: usize,
    path: &'p [Segment],
    /// Bit `n` is set where the container with `n` others around it is an object.
    objects: u128,
    /// Open containers.
    depth: usize,
    /// How many of them, counted from outside, the path leads through.
    on_path: usize,
    /// The number of the element, in an array that the path leads through.
    index: u64,
    /// Where the value at the path began, while it is being read.
    target_start: Option<usize>,
    found: Option<Range<usize>>,
}

impl<'a> Scan<'a, '_> {
    /// Each round reads one value, or the beginning of one, and what ends after it.
    fn run(mut self) -> Option<&'a [u8]> {
        let mut is_wanted = true;
        loop {
            self.skip_space();
            if is_wanted {
                // A member of the same name came before: it no longer counts, nor does what was found in it.
                self.found = None;
                self.target_start = (self.depth == self.path.len()).then_some(self.at);
            }
            if self.value(is_wanted)? {
                is_wanted = self.child()?;
                continue;
            }
            loop {
                if self.depth == self.path.len()
                    && let Some(start) = self.target_start.take()
                {
                    self.found = Some(start..self.at);
                }
                self.skip_space();
                if self.depth == 0 {
                    let is_end = self.at == self.body.len();
                    return self.result().filter(|_| is_end);
                }
                let byte = self.next()?;
                if byte != b',' && byte != self.closing() {
                    return None;
                }
                if self.found.is_some() && self.no_object_encloses() {
                    return self.result();
                }
                if byte == b',' {
                    break;
                }
                self.close();
            }
            self.index = self.index.saturating_add(u64::from(self.on_path == self.depth));
            is_wanted = self.child()?;
        }
    }

    /// Reads a value without content of its own, or the opening of one; true if something follows inside it.
    fn value(&mut self, is_wanted: bool) -> Option<bool> {
        match self.peek()? {
            byte @ (b'{' | b'[') => {
                self.at += 1;
                self.open(byte == b'{', is_wanted)?;
                self.skip_space();
                let is_empty = self.peek()? == self.closing();
                if is_empty {
                    self.at += 1;
                    self.close();
                }
                return Some(!is_empty);
            }
            b'"' => self.string().map(|_| ())?,
            b't' => self.literal(b"true")?,
            b'f' => self.literal(b"false")?,
            b'n' => self.literal(b"null")?,
            _ => self.number()?,
        }
        Some(false)
    }

    fn open(&mut self, is_object: bool, is_wanted: bool) -> Option<()> {
        if self.depth == DEPTH_MAX {
            return None;
        }
        let bit = 1u128 << self.depth;
        self.objects = if is_object { self.objects | bit } else { self.objects & !bit };
        if is_wanted && self.depth < self.path.len() {
            self.on_path = self.depth + 1;
            self.index = 0;
        }
        self.depth += 1;
        Some(())
    }

    fn close(&mut self) {
        if self.on_path == self.depth {
            self.on_path -= 1;
            // The one element of the array outside that the path leads through is over.
            self.index = u64::MAX;
        }
        self.depth -= 1;
    }

    /// Goes to the value that is next in a container, past its name; true if the path leads there.
    fn child(&mut self) -> Option<bool> {
        let wanted = if self.on_path == self.depth { self.path.get(self.depth - 1) } else { None };
        if !self.is_in_object() {
            return Some(matches!(wanted, Some(Segment::Index(index)) if *index == self.index));
        }
        self.skip_space();
        if self.peek()? != b'"' {
            return None;
        }
        let name = self.string()?;
        self.skip_space();
        if self.next()? != b':' {
            return None;
        }
        Some(matches!(wanted, Some(Segment::Name(wanted)) if is_name(name, wanted)))
    }

    fn is_in_object(&self) -> bool {
        self.objects >> (self.depth - 1) & 1 == 1
    }

    fn closing(&self) -> u8 {
        if self.is_in_object() { b'}' } else { b']' }
    }

    fn no_object_encloses(&self) -> bool {
        self.objects & ((1 << self.on_path) - 1) == 0
    }

    fn result(&self) -> Option<&'a [u8]> {
        self.body.get(self.found.clone()?)
    }

    fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn literal(&mut self, text: &[u8]) -> Option<()> {
        self.body[self.at..].starts_with(text).then(|| self.at += text.len())
    }

    /// Section 6: `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`.
    fn number(&mut self) -> Option<()> {
        self.at += usize::from(self.peek() == Some(b'-'));
        let is_zero = self.peek() == Some(b'0');
        if self.digits()? > 1 && is_zero {
            return None;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Some(())
    }

    /// At least one.
    fn digits(&mut self) -> Option<usize> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(self.at - start)
    }

    /// What stands between the quotes, as it is written.
    fn string(&mut self) -> Option<&'a [u8]> {
        let start = self.at + 1;
        let mut at = start;
        loop {
            let rest = &self.body[at..];
            at += plain_len(rest);
            match *self.body.get(at)? {
                b'"' => break,
                b'\\' => at += escape_len(&self.body[at..])?,
                _ => return None,
            }
        }
        self.at = at + 1;
        Some(&self.body[start..at])
    }
}

/// Whether a name, as it is written between quotes, is the wanted one.
fn is_name(written: &[u8], wanted: &str) -> bool {
    if !written.contains(&b'\\') {
        return written == wanted.as_bytes();
    }
    // Each byte takes at most the six of `\u0061`, so most names need not be read.
    written.len() > wanted.len()
        && written.len() <= wanted.len().saturating_mul(6)
        && serde_json::from_slice::<String>(&[b"\"", written, b"\""].concat())
            .is_ok_and(|name| name == wanted)
}

/// Section 7: what a backslash begins.
fn escape_len(bytes: &[u8]) -> Option<usize> {
    match bytes.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => bytes.get(2..6)?.iter().all(u8::is_ascii_hexdigit).then_some(6),
        _ => None,
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// How many bytes come before the first quote, backslash or control character. Eight are looked at in one
/// step.
fn plain_len(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let hits = special(u64::from_le_bytes(*word));
        if hits != 0 {
            return at * 8 + hits.trailing_zeros() as usize / 8;
        }
    }
    let tail = rest.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)).count();
    words.len() * 8 + tail
}

/// The high bit of each byte that ends plain text. A borrow may set a bit too many, but only above the lowest
/// hit.
fn special(word: u64) -> u64 {
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let quote = zero(word ^ (ONES * b'"' as u64));
    let backslash = zero(word ^ (ONES * b'\\' as u64));
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (quote | backslash | control) & HIGHS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{DEPTH_MAX, Segment, find, plain_len};

    fn name(name: &str) -> Segment {
        Segment::Name(name.into())
    }

    fn check(body: &str, path: &[Segment], expected: Option<&str>) {
        assert_eq!(find(body.as_bytes(), path), expected.map(str::as_bytes), "{body} {path:?}");
    }

    #[test]
    fn values_are_found_as_they_are_written() {
        let body = r#" {"a" : [ 1 ,{"b":"x\"y"} , {} ], "c":{"d":null,"e":-1.5e+3}, "" : true} "#;
        check(body, &[], Some(body.trim()));
        check(body, &[name("a")], Some(r#"[ 1 ,{"b":"x\"y"} , {} ]"#));
        check(body, &[name("a"), Segment::Index(0)], Some("1"));
        check(body, &[name("a"), Segment::Index(1), name("b")], Some(r#""x\"y""#));
        check(body, &[name("a"), Segment::Index(2)], Some("{}"));
        check(body, &[name("a"), Segment::Index(3)], None);
        check(body, &[name("a"), name("b")], None);
        check(body, &[name("c"), name("e")], Some("-1.5e+3"));
        check(body, &[name("c"), Segment::Index(0)], None);
        check(body, &[name("c"), name("d"), name("d")], None);
        check(body, &[name("b")], None);
        check(body, &[name("")], Some("true"));
    }

    #[test]
    fn names_may_be_written_with_escapes() {
        check(r#"{"\u0061\u00e9\/":1}"#, &[name("aé/")], Some("1"));
        check(r#"{"\ud83d\ude00":1}"#, &[name("😀")], Some("1"));
        check(r#"{"\ud83d":1}"#, &[name("😀")], None);
        check(r#"{"a\n":1, "a":2}"#, &[name("a")], Some("2"));
    }

    #[test]
    fn of_members_of_one_name_the_last_counts() {
        check(r#"{"a":1,"a":2}"#, &[name("a")], Some("2"));
        check(r#"{"a":{"b":1},"a":{"c":2}}"#, &[name("a"), name("b")], None);
        check(r#"{"a":{"b":1},"a":3}"#, &[name("a"), name("b")], None);
        check(r#"{"a":[1],"a":[]}"#, &[name("a"), Segment::Index(0)], None);
        check(
            r#"{"a":[[0,1],[2,3]],"b":[[4]]}"#,
            &[name("a"), Segment::Index(1), Segment::Index(0)],
            Some("2"),
        );
    }

    #[test]
    fn nothing_is_found_behind_a_break() {
        for body in [
            "",
            " ",
            "{",
            "[",
            "]",
            "tru",
            "{\"x\":foo,\"a\":1}",
            "{\"x\":01,\"a\":1}",
            "{\"x\":1.,\"a\":1}",
            "{\"x\":-,\"a\":1}",
            "{\"x\":1e,\"a\":1}",
            "{\"x\":[},\"a\":1}",
            "{\"x\" 1,\"a\":1}",
            "{x:1,\"a\":1}",
            "{,\"a\":1}",
            "{\"x\":[1,],\"a\":1}",
            "{\"x\":\"\\x\",\"a\":1}",
            "{\"x\":\"\\u12g4\",\"a\":1}",
            "{\"x\":\"\n\",\"a\":1}",
            "{\"a\":1",
            "{\"a\":12",
            "{\"a\":1}}",
            "{\"a\":\"b",
            "{\"a\":1,}",
            "\u{feff}{\"a\":1}",
        ] {
            check(body, &[name("a")], None);
            check(body, &[], None);
        }
        // No object encloses it, so what comes later is not looked at.
        check("[1, foo", &[Segment::Index(0)], Some("1"));
        check("[1", &[Segment::Index(0)], None);
        check("[12foo]", &[Segment::Index(0)], None);
        check("12 foo", &[], None);
    }

    #[test]
    fn nesting_has_a_limit() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let whole = nested(DEPTH_MAX);
        check(&whole, &[], Some(&whole));
        check(&nested(DEPTH_MAX + 1), &[], None);
        check(&"[".repeat(1 << 20), &[], None);
        let path = vec![Segment::Index(0); DEPTH_MAX - 1];
        check(&whole, &path, Some("[]"));
        check(&whole, &vec![Segment::Index(0); 500], None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn plain_text_ends_at_the_first_special_byte(
            bytes in prop::collection::vec(
                prop_oneof![4 => any::<u8>(), 1 => Just(b'"'), 1 => Just(b'\\'), 20 => Just(b'a')],
                0..40,
            ),
        ) {
            let first = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
            prop_assert_eq!(plain_len(&bytes), first.unwrap_or(bytes.len()));
        }
    }
}
