//! The Combined Log Format of [Apache](https://httpd.apache.org/docs/2.4/logs.html#combined) and nginx, and the Common one
//! without its last two fields.
//!
//! ```text
//! host ident user [10/Oct/2000:13:55:36 -0700] "GET /path HTTP/1.1" 200 2326 "referer" "agent"
//! ```
//!
//! Servers write what they cannot print, and quotes, as `\xHH` or with a backslash. They log requests that were none, too:
//! `-` where a client said nothing, and bytes of other protocols.

use super::{Entry, LogRequest, is_printable, moment, shown, target};
use crate::request::is_token;
use crate::units::Nanos;

pub(super) const MEND: &str = r#"a line is like: 10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET /path HTTP/1.1" 200 123 "referer" "agent""#;

/// The request of a line; `None` if there is none in it that can be sent.
pub(super) fn entry(line: &[u8]) -> Result<Option<Entry>, String> {
    let (time, rest) = bracketed(line).ok_or("there is no time in brackets")?;
    let time = moment::common(time).ok_or_else(|| {
        format!(
            "'{}' is not a time such as 10/Oct/2000:13:55:36 -0700",
            shown(&String::from_utf8_lossy(time))
        )
    })?;
    let (request, rest) = quoted(rest).ok_or("there is no request in quotes after the time")?;
    let mut words = rest.trim_ascii_start().splitn(3, |byte| *byte == b' ');
    let status = words.next().unwrap_or_default();
    if status.len() != 3 || !status.iter().all(u8::is_ascii_digit) {
        return Err("there is no status of three digits after the request".to_owned());
    }
    // The second is the number of bytes.
    let rest = words.nth(1).unwrap_or_default();
    let Some((method, host, path)) = request_line(&request) else { return Ok(None) };
    let (referer, rest) = quoted(rest).unwrap_or_default();
    let (agent, _) = quoted(rest).unwrap_or_default();
    let headers = [("Referer", referer), ("User-Agent", agent)];
    let headers =
        headers.into_iter().filter_map(|(name, value)| Some((name.to_owned(), field(value)?))).collect();
    let request = LogRequest { at: Nanos::ZERO, method, path, host, headers, body: Vec::new() };
    Ok(Some(Entry { time, request }))
}

/// What stands between the first brackets, and what is after them.
fn bracketed(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = line.iter().position(|byte| *byte == b'[')? + 1;
    let length = line[start..].iter().position(|byte| *byte == b']')?;
    Some((&line[start..start + length], &line[start + length + 1..]))
}

/// What is in quotes next, without its escapes, and what is after it.
fn quoted(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut rest = text.trim_ascii_start().strip_prefix(b"\"")?;
    let mut plain = Vec::new();
    loop {
        let (&byte, after) = rest.split_first()?;
        rest = match byte {
            b'"' => return Some((plain, after)),
            b'\\' => {
                let (byte, length) = escaped(after)?;
                plain.push(byte);
                &after[length..]
            }
            _ => {
                plain.push(byte);
                after
            }
        };
    }
}

/// The byte that is meant by what follows a backslash, and how much that is. Of what no server writes it is the backslash.
fn escaped(text: &[u8]) -> Option<(u8, usize)> {
    Some(match text {
        [b'x', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
            (hex_value(*high) << 4 | hex_value(*low), 3)
        }
        [byte @ (b'"' | b'\\'), ..] => (*byte, 1),
        [b'n', ..] => (b'\n', 1),
        [b'r', ..] => (b'\r', 1),
        [b't', ..] => (b'\t', 1),
        [_, ..] => (b'\\', 0),
        [] => return None,
    })
}

const fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

/// Method, host and path of `GET /path HTTP/1.1`. A path may have spaces in it, and HTTP/0.9 has no version.
fn request_line(line: &[u8]) -> Option<(String, Option<String>, String)> {
    let (method, rest) = line.split_at(line.iter().position(|byte| *byte == b' ')?);
    let method = std::str::from_utf8(method).ok().filter(|method| is_token(method))?;
    let mut target = rest.trim_ascii();
    if let Some(last) = target.iter().rposition(|byte| *byte == b' ')
        && target[last..].starts_with(b" HTTP/")
    {
        target = target[..last].trim_ascii();
    }
    let (host, path) = target::split(target)?;
    Some((method.to_owned(), host, path))
}

/// A field that was sent and can be sent again.
fn field(value: Vec<u8>) -> Option<String> {
    String::from_utf8(value).ok().filter(|value| !value.is_empty() && value != "-" && is_printable(value))
}
