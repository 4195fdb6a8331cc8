//! Targets of requests (RFC 9112 section 3.2), as far as they can be asked of an origin.

use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

/// What would end a target or its line, and what is not ASCII, is sent in its place's code. The rest was sent as it is.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"');

/// The host, if it is in absolute form, and path and query. `None` for what is in no form that an origin answers.
pub(super) fn split(target: &[u8]) -> Option<(Option<String>, String)> {
    // A fragment is never sent.
    let target = target.split(|byte| *byte == b'#').next().unwrap_or_default();
    if target.starts_with(b"/") {
        return Some((None, encoded(target)));
    }
    let rest = strip_scheme(target, b"http://").or_else(|| strip_scheme(target, b"https://"))?;
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let after_user = authority.iter().rposition(|byte| *byte == b'@').map_or(0, |at| at + 1);
    let host = host(&authority[after_user..])?;
    let slash = if path.starts_with(b"/") { "" } else { "/" };
    Some((Some(host), format!("{slash}{}", encoded(path))))
}

/// A host with its port, if it can be one.
pub(super) fn host(text: &[u8]) -> Option<String> {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%[]:".contains(byte);
    let text = Some(text).filter(|text| !text.is_empty() && text.iter().all(allowed))?;
    String::from_utf8(text.to_ascii_lowercase()).ok()
}

fn strip_scheme<'a>(target: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = target.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then_some(rest)
}

fn encoded(path: &[u8]) -> String {
    percent_encode(path, ENCODED).to_string()
}
