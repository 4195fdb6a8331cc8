//! What a text must look like where it is put.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but the unreserved characters (RFC 3986 section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where the slots of a template stand.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Escape {
    None,
    /// In a path or the value of a query: all but unreserved characters are percent-encoded (RFC 3986 section
    /// 2.3).
    Url,
    /// In the value of a field: CR, LF and NUL cannot be sent (RFC 9110 section 5.5).
    Header,
    /// Inside a JSON text (RFC 8259 section 7).
    Json,
    /// In `application/x-www-form-urlencoded` (WHATWG URL section 5.2).
    Form,
}

/// The text cannot stand there, however it is written.
#[derive(Copy, Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a line break or NUL cannot stand in a header")]
pub struct Unsendable;

impl Escape {
    /// Appends a text as it must be written there.
    ///
    /// # Errors
    /// When it cannot stand there; `out` is as it was then.
    pub fn write(self, text: &str, out: &mut Vec<u8>) -> Result<(), Unsendable> {
        match self {
            Self::Header if text.contains(['\r', '\n', '\0']) => return Err(Unsendable),
            Self::None | Self::Header => out.extend_from_slice(text.as_bytes()),
            Self::Url => {
                utf8_percent_encode(text, RESERVED).for_each(|part| out.extend_from_slice(part.as_bytes()));
            }
            Self::Form => url::form_urlencoded::byte_serialize(text.as_bytes())
                .for_each(|part| out.extend_from_slice(part.as_bytes())),
            Self::Json => json(text, out),
        }
        Ok(())
    }

    /// A text as it stands in a URL.
    pub(super) fn url(text: &str) -> String {
        utf8_percent_encode(text, RESERVED).to_string()
    }

    /// Whether a text is the same wherever it stands.
    pub(super) fn leaves(text: &str) -> bool {
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
    }
}

fn json(text: &str, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for &byte in text.as_bytes() {
        match byte {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..b' ' => {
                out.extend_from_slice(b"\\u00");
                out.extend([byte >> 4, byte & 0xf].map(|digit| DIGITS[usize::from(digit)]));
            }
            _ => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(escape: Escape, text: &str) -> Result<String, Unsendable> {
        let mut out = Vec::new();
        escape.write(text, &mut out)?;
        Ok(String::from_utf8(out).expect("texts stay texts"))
    }

    #[test]
    fn texts_are_escaped() {
        let check = |escape, text, want: &str| assert_eq!(written(escape, text), Ok(want.to_owned()));
        check(Escape::None, "a\r\n\"é", "a\r\n\"é");
        check(Escape::Url, "a b/é?~-._&=+", "a%20b%2F%C3%A9%3F~-._%26%3D%2B");
        check(Escape::Form, "a b/~*&=+", "a+b%2F%7E*%26%3D%2B");
        check(Escape::Json, "a\"b\\c\n\r\t\u{1}\u{1f}é/", r#"a\"b\\c\n\r\t\u0001\u001fé/"#);
        check(Escape::Header, "Bearer é\t", "Bearer é\t");
    }

    #[test]
    fn a_header_cannot_be_split() {
        for wrong in ["a\r\nX: y", "a\n", "\r", "\0"] {
            let mut out = b"X: ".to_vec();
            assert_eq!(Escape::Header.write(wrong, &mut out), Err(Unsendable), "{wrong:?}");
            assert_eq!(out, b"X: ");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_is_written_is_read_back(text in any::<String>()) {
            let url = written(Escape::Url, &text).unwrap();
            let read = percent_encoding::percent_decode_str(&url).decode_utf8().unwrap();
            prop_assert_eq!(&*read, &text);
            let form = format!("k={}", written(Escape::Form, &text).unwrap());
            let read: Vec<_> = url::form_urlencoded::parse(form.as_bytes()).collect();
            prop_assert_eq!(&*read[0].1, &text);
            let json = format!("\"{}\"", written(Escape::Json, &text).unwrap());
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }

        #[test]
        fn what_needs_no_escape_is_the_same_everywhere(text in "[ -~]{0,8}") {
            let all = [Escape::None, Escape::Url, Escape::Header, Escape::Json, Escape::Form];
            if Escape::leaves(&text) {
                for escape in all {
                    prop_assert_eq!(written(escape, &text), Ok(text.clone()));
                }
            }
        }
    }
}
