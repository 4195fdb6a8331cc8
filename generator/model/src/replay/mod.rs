//! Logs of requests, read so that they can be sent again at their own times.
//!
//! Of a request only what can be sent to another target is kept: its method, path and query, fields of its own and its body.
//! Fields that speak of the connection or the body's length are not the request's own, and cookies belong to who sent them.
//! What a log holds beside requests is left out: what was no HTTP, and what cannot be asked of an origin (`CONNECT`, `*`).
//!
//! A log may come from anybody, so its size and number of lines have limits, and its texts cannot break out of a head.

mod combined;
mod har;
mod json_lines;
mod label;
mod logs;
mod moment;
mod target;

use std::sync::Arc;

pub use self::label::label;
pub use self::logs::{Logged, Logs, Replay};
use crate::request::is_token;
use crate::scenario::file::LogFormat;
use crate::units::{NANOS_PER_SECOND, Nanos};

/// It is held in memory, and several times over while it is read.
pub const LOG_BYTES_MAX: usize = 64 << 20;
/// The line's number is the last thing a person could look for.
pub const LOG_LINES_MAX: usize = 10_000_000;
/// Times further apart than a hundred years are wrong, and would not fit [`Nanos`] much longer.
const LOG_SPAN_MAX_NS: i128 = 100 * 366 * 86_400 * NANOS_PER_SECOND as i128;

/// Fields that a request has for its connection, for the length of its body, or from who sent it.
const LEFT_OUT: [&str; 13] = [
    "connection",
    "content-length",
    "cookie",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// One request of a log.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct LogRequest {
    /// Since the earliest request of the log.
    pub at: Nanos,
    pub method: String,
    /// Path and query as they are sent, in printable ASCII.
    pub path: String,
    /// Where the log says whom it was sent to.
    pub host: Option<String>,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// Why a log could not be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}{what}; {mend}", .line.map_or(String::new(), |line| format!("line {line}: ")))]
pub struct LogError {
    /// Counted from 1; `None` where it is not of one line.
    pub line: Option<usize>,
    pub what: String,
    pub mend: &'static str,
}

/// Reads the requests of a log in the order of their times; requests of the same time keep the order of the log.
///
/// # Errors
/// The first line that is not of the format, or what is past a limit.
pub fn read(bytes: &[u8], format: LogFormat) -> Result<Vec<LogRequest>, LogError> {
    if bytes.len() > LOG_BYTES_MAX {
        let what = format!("the log has {} bytes, more than {LOG_BYTES_MAX}", bytes.len());
        return Err(LogError { line: None, what, mend: "replay a part of it" });
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match format {
        LogFormat::Combined => in_order(each_line(bytes, combined::entry, combined::MEND)?, true),
        LogFormat::JsonLines => in_order(each_line(bytes, json_lines::entry, json_lines::MEND)?, false),
        LogFormat::Har => in_order(har::entries(bytes)?, false),
    }
}

/// The times of a replay that is `factor` times as fast, to the nearest nanosecond. `None` where the factor is not above 0
/// and finite.
pub fn speed(times: impl IntoIterator<Item = Nanos>, factor: f64) -> Option<Arc<[Nanos]>> {
    let divided = |time: Nanos| if factor == 1.0 { time } else { nearest(time.0 as f64 / factor) };
    (factor.is_finite() && factor > 0.0).then(|| times.into_iter().map(divided).collect())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "what is too long is cut")]
fn nearest(time: f64) -> Nanos {
    Nanos(time.round() as u64)
}

/// A request, and its time in nanoseconds since 1970.
struct Entry {
    time: i128,
    request: LogRequest,
}

/// Reads each line that is not blank. What gives `None` is left out.
fn each_line(
    bytes: &[u8],
    entry: fn(&[u8]) -> Result<Option<Entry>, String>,
    mend: &'static str,
) -> Result<Vec<Entry>, LogError> {
    let mut entries = Vec::new();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let error = |what, mend| LogError { line: Some(index + 1), what, mend };
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        if index >= LOG_LINES_MAX {
            return Err(error(format!("the log has more than {LOG_LINES_MAX} lines"), "replay a part of it"));
        }
        entries.extend(entry(line).map_err(|what| error(what, mend))?);
    }
    Ok(entries)
}

/// Sorts the requests and counts their times from the first. Where the log has whole seconds only, the requests of one are
/// spread evenly over it: all at once they would be a load that never was.
fn in_order(mut entries: Vec<Entry>, whole_seconds: bool) -> Result<Vec<LogRequest>, LogError> {
    entries.sort_by_key(|entry| entry.time);
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Ok(Vec::new()) };
    let start = first.time;
    if last.time - start > LOG_SPAN_MAX_NS {
        let what = "the log's first and last time are more than a hundred years apart".to_owned();
        return Err(LogError { line: None, what, mend: "mend the one that is wrong" });
    }
    if whole_seconds {
        for same in entries.chunk_by_mut(|a, b| a.time == b.time) {
            let count = same.len() as u64;
            for (entry, index) in same.iter_mut().zip(0u64..) {
                entry.time += i128::from(index * NANOS_PER_SECOND / count);
            }
        }
    }
    let placed = entries.into_iter().map(|entry| {
        let at = Nanos(u64::try_from(entry.time - start).unwrap_or(0));
        LogRequest { at, ..entry.request }
    });
    Ok(placed.collect())
}

/// A request that says of itself what it is, and so must be right.
fn request(
    method: String,
    url: &str,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
) -> Result<LogRequest, String> {
    if !is_token(&method) {
        return Err(format!("'{}' is not a method", shown(&method)));
    }
    let Some((host, path)) = target::split(url.as_bytes()) else {
        return Err(format!("'{}' is neither a path nor an http URL", shown(url)));
    };
    let named = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
    let host = host.or_else(|| named.and_then(|(_, value)| target::host(value.as_bytes())));
    let mut kept = Vec::new();
    for (name, value) in headers {
        // Of HTTP/2, browsers log the pseudo-header fields too.
        if name.starts_with(':') || LEFT_OUT.iter().any(|left_out| name.eq_ignore_ascii_case(left_out)) {
            continue;
        }
        if !is_token(&name) {
            return Err(format!("'{}' is not a header's name", shown(&name)));
        }
        if !is_printable(&value) {
            return Err(format!("the header '{}' has a control character", shown(&name)));
        }
        kept.push((name, value));
    }
    Ok(LogRequest { at: Nanos::ZERO, method, path, host, headers: kept, body })
}

/// As much of a text as helps to find it, without what could disturb a terminal.
fn shown(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    let more = if text.chars().nth(CHARS_MAX).is_some() { "..." } else { "" };
    format!("{}{more}", text.chars().take(CHARS_MAX).collect::<String>().escape_debug())
}

fn is_printable(value: &str) -> bool {
    value.bytes().all(|byte| byte == b'\t' || byte >= 0x20 && byte != 0x7f)
}

#[cfg(test)]
mod tests;
