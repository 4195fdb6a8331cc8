//! What a `Set-Cookie` field says: RFC 6265 section 5.2, with the lengths and prefixes of RFC 6265bis.

use super::date;

/// Bytes of a name and its value together (RFC 6265bis section 5.6, step 5).
pub(super) const COOKIE_MAX: usize = 4096;
/// Bytes of an attribute's value; longer attributes are ignored (RFC 6265bis section 5.6, step 6 of the
/// attributes).
const ATTRIBUTE_MAX: usize = 1024;

#[derive(PartialEq, Debug)]
pub(super) struct SetCookie<'a> {
    pub(super) name: &'a str,
    pub(super) value: &'a [u8],
    /// Seconds since 1970; it is over when they have come. `None` is as long as the user lives.
    pub(super) expires_s: Option<i64>,
    /// Without a dot in front; `None` if there is no such attribute or an empty one.
    pub(super) domain: Option<&'a str>,
    /// One that begins with a slash.
    pub(super) path: Option<&'a str>,
    pub(super) secure: bool,
}

/// `None` for what is to be ignored. Attributes that nobody knows are skipped; of equal ones the last counts.
pub(super) fn parse(field: &[u8], now_s: i64) -> Option<SetCookie<'_>> {
    // What ends a line or hides in one has no place in a request. Section 5.6, step 1.
    if field.iter().any(|byte| matches!(byte, 0x00..=0x08 | 0x0a..=0x1f | 0x7f)) {
        return None;
    }
    let mut parts = field.split(|byte| *byte == b';');
    let (name, value) = pair(parts.next()?);
    let (name, value) = (str::from_utf8(name).ok()?, value?);
    let has_tab = name.contains('\t') || value.contains(&b'\t');
    if name.is_empty() || has_tab || name.len() + value.len() > COOKIE_MAX {
        return None;
    }
    let mut cookie = SetCookie { name, value, expires_s: None, domain: None, path: None, secure: false };
    let mut lives_until_s = None;
    for (name, value) in parts.map(pair) {
        let value = value.unwrap_or_default();
        if value.len() > ATTRIBUTE_MAX {
            continue;
        }
        let is = |attribute: &str| name.eq_ignore_ascii_case(attribute.as_bytes());
        if is("Expires") {
            cookie.expires_s = date::parse(value).or(cookie.expires_s);
        } else if is("Max-Age") {
            lives_until_s = age_s(value).map(|age_s| now_s.saturating_add(age_s)).or(lives_until_s);
        } else if is("Domain") {
            let domain = str::from_utf8(value).ok()?;
            cookie.domain =
                Some(domain.strip_prefix('.').unwrap_or(domain)).filter(|domain| !domain.is_empty());
        } else if is("Path") {
            cookie.path = str::from_utf8(value).ok().filter(|path| path.starts_with('/'));
        } else if is("Secure") {
            cookie.secure = true;
        }
    }
    // Section 5.3, step 3.
    cookie.expires_s = lives_until_s.or(cookie.expires_s);
    has_what_its_name_promises(&cookie).then_some(cookie)
}

/// RFC 6265bis section 4.1.3; browsers compare the prefixes without regard to case.
fn has_what_its_name_promises(cookie: &SetCookie<'_>) -> bool {
    let begins = |prefix: &str| {
        cookie.name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    let is_secure = !begins("__Secure-") || cookie.secure;
    let is_of_host = cookie.secure && cookie.domain.is_none() && cookie.path == Some("/");
    is_secure && (!begins("__Host-") || is_of_host)
}

/// Name and value without white space around them; no value if there is no `=`.
fn pair(part: &[u8]) -> (&[u8], Option<&[u8]>) {
    match part.iter().position(|byte| *byte == b'=') {
        Some(at) => (part[..at].trim_ascii(), Some(part[at + 1..].trim_ascii())),
        None => (part.trim_ascii(), None),
    }
}

/// Section 5.2.2. What is too large for a number is as good as forever, or long past.
fn age_s(value: &[u8]) -> Option<i64> {
    let (sign, digits) = match value.strip_prefix(b"-") {
        Some(digits) => (-1, digits),
        None => (1, value),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let age = |age: i64, byte: &u8| age.saturating_mul(10).saturating_add(i64::from(byte - b'0'));
    Some(sign * digits.iter().fold(0, age))
}

#[cfg(test)]
mod tests {
    use super::{COOKIE_MAX, SetCookie, parse};

    const NOW_S: i64 = 1_000;

    fn check(field: &str, expected: Option<SetCookie<'_>>) {
        assert_eq!(parse(field.as_bytes(), NOW_S), expected, "{field}");
    }

    fn plain<'a>(name: &'a str, value: &'a str) -> SetCookie<'a> {
        SetCookie { name, value: value.as_bytes(), expires_s: None, domain: None, path: None, secure: false }
    }

    #[test]
    fn names_and_values_are_taken_apart() {
        check("a=b", Some(plain("a", "b")));
        check("  a = b=\"c\" d ;; HttpOnly; SameSite=None; x", Some(plain("a", "b=\"c\" d")));
        check("a=", Some(plain("a", "")));
        check("a=ü", Some(plain("a", "ü")));
        for field in [
            "",
            "a",
            ";a=b",
            "=b",
            "a;b=c",
            "a=b\r\nX: y",
            "a=b\0",
            "a=b; Path=/\n",
            "a\tb=c",
            "a=b\tc",
            "a=\x7f",
        ] {
            check(field, None);
        }
        assert!(parse(b"\xff=b", NOW_S).is_none());
        assert_eq!(parse(b"a=\xff", NOW_S).map(|cookie| cookie.value), Some(&b"\xff"[..]));
        let long = |len: usize| format!("a={}", "x".repeat(len - 1));
        assert!(parse(long(COOKIE_MAX).as_bytes(), NOW_S).is_some());
        check(&long(COOKIE_MAX + 1), None);
    }

    #[test]
    fn attributes_are_read() {
        let with = |expires_s| Some(SetCookie { expires_s, ..plain("a", "b") });
        check("a=b; max-age=10", with(Some(1_010)));
        check("a=b; Max-Age=-10", with(Some(990)));
        check("a=b; Max-Age=99999999999999999999", with(Some(i64::MAX)));
        check("a=b; Max-Age=-99999999999999999999", with(Some(1_000 - i64::MAX)));
        check("a=b; Max-Age=1x; Max-Age=; Max-Age=-; Max-Age=+1", with(None));
        check("a=b; Max-Age=10; Expires=Thu, 01 Jan 1970 00:00:07 GMT", with(Some(1_010)));
        check("a=b; EXPIRES=Thu, 01 Jan 1970 00:00:07 GMT; Expires=never", with(Some(7)));
        let long = format!("a=b; Path=/{}", "p".repeat(1024));
        check(&long, Some(plain("a", "b")));
        check(&long[..long.len() - 1], Some(SetCookie { path: Some(&long[10..1034]), ..plain("a", "b") }));
        check("a=b; Path=/x; path=y; Secure=no", Some(SetCookie { secure: true, ..plain("a", "b") }));
        check("a=b; Domain=.x.y", Some(SetCookie { domain: Some("x.y"), ..plain("a", "b") }));
        check("a=b; Domain=x.y; Domain=", Some(plain("a", "b")));
    }

    #[test]
    fn prefixes_are_promises() {
        for (field, is_taken) in [
            ("__Secure-a=b; Secure", true),
            ("__secure-a=b", false),
            ("__Host-a=b; Secure; Path=/", true),
            ("__Host-a=b; Secure", false),
            ("__Host-a=b; Path=/", false),
            ("__Host-a=b; Secure; Path=/x", false),
            ("__HOST-a=b; Secure; Path=/; Domain=h.x", false),
            ("__Hos", false),
        ] {
            assert_eq!(parse(field.as_bytes(), NOW_S).is_some(), is_taken, "{field}");
        }
    }
}
