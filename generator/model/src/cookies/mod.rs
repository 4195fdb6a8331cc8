//! One user's cookies: RFC 6265, with what RFC 6265bis adds against mix-ups; `SameSite` has no meaning here,
//! because all requests are of one site's own.
//!
//! What a server sent can never break a request: control characters are refused and a `;` ends a value, so
//! none is ever written. There is no list of public suffixes: a domain needs a dot within, or must be the
//! host itself.

use std::net::IpAddr;

use self::set_cookie::SetCookie;

mod date;
mod set_cookie;

/// Cookies of one jar: what RFC 6265 section 6.1 asks for as the least of a domain.
pub const COOKIES_MAX: usize = 50;

/// All cookies of a user. Without any it is one pointer, because there may be many users.
#[derive(Clone, Default, Debug)]
pub struct Jar {
    kept: Option<Box<Kept>>,
}

/// Never empty.
#[derive(Clone, Default, Debug)]
struct Kept {
    /// In the order in which they are written: longer paths first, then older cookies (section 5.4, step 2).
    cookies: Vec<Cookie>,
    /// The age of the next one.
    next_age: u64,
}

#[derive(Clone, Debug)]
struct Cookie {
    name: Box<str>,
    value: Box<[u8]>,
    /// In lower case.
    domain: Box<str>,
    /// It goes to the very host that set it.
    host_only: bool,
    path: Box<str>,
    secure: bool,
    expires_s: Option<i64>,
    /// Larger numbers are younger.
    age: u64,
}

impl Jar {
    /// Takes what a `Set-Cookie` field says; what is wrong, foreign or too long is ignored.
    ///
    /// `host` is the request's, without a port; `path` its path, with or without query; `secure` whether it
    /// came over TLS; `now_s` seconds since 1970.
    pub fn take(&mut self, set_cookie: &[u8], host: &str, path: &str, secure: bool, now_s: i64) {
        let Some(set) = set_cookie::parse(set_cookie, now_s).filter(|set| secure || !set.secure) else {
            return;
        };
        let Some(cookie) = cookie(&set, host, path) else { return };
        let mut kept = self.kept.take().unwrap_or_default();
        if secure || !kept.cookies.iter().any(|old| old.secure && old.is_hidden_by(&cookie)) {
            kept.put(cookie, now_s);
        }
        self.kept = Some(kept).filter(|kept| !kept.cookies.is_empty());
    }

    /// Appends the value of a `Cookie` field, `a=1; b=2`; false if there is nothing to send. Arguments are
    /// those of [`Jar::take`]. At most [`COOKIES_MAX`] times 4 KiB are written.
    pub fn write(&self, host: &str, path: &str, secure: bool, now_s: i64, out: &mut Vec<u8>) -> bool {
        let path = without_query(path);
        let is_due = |cookie: &&Cookie| {
            cookie.is_of_host(host)
                && path_matches(&cookie.path, path)
                && (secure || !cookie.secure)
                && !cookie.is_over(now_s)
        };
        let mut is_first = true;
        for cookie in self.cookies().iter().filter(is_due) {
            if !is_first {
                out.extend_from_slice(b"; ");
            }
            is_first = false;
            out.extend_from_slice(cookie.name.as_bytes());
            out.push(b'=');
            out.extend_from_slice(&cookie.value);
        }
        !is_first
    }

    /// The value of a cookie, of whatever host and path; of several the one that is sent first. `None` too if
    /// it is not UTF-8.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let cookie = self.cookies().iter().find(|cookie| &*cookie.name == name)?;
        str::from_utf8(&cookie.value).ok()
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.kept.is_none()
    }

    pub fn clear(&mut self) {
        self.kept = None;
    }

    fn cookies(&self) -> &[Cookie] {
        self.kept.as_deref().map_or(&[], |kept| &kept.cookies)
    }
}

impl Kept {
    /// A cookie replaces the one of its name, domain and path, and keeps its age (section 5.3, step 11). One
    /// that is over already only removes that.
    fn put(&mut self, mut cookie: Cookie, now_s: i64) {
        cookie.age = self.next_age;
        if let Some(at) = self.cookies.iter().position(|old| old.is_replaced_by(&cookie)) {
            cookie.age = self.cookies.remove(at).age;
        }
        if cookie.is_over(now_s) {
            return;
        }
        if self.cookies.len() == COOKIES_MAX {
            self.cookies.retain(|old| !old.is_over(now_s));
        }
        if self.cookies.len() == COOKIES_MAX {
            let oldest = self.cookies.iter().map(|old| old.age).min();
            self.cookies.retain(|old| Some(old.age) != oldest);
        }
        self.next_age = self.next_age.max(cookie.age + 1);
        let at =
            self.cookies.partition_point(|old| (cookie.path.len(), old.age) < (old.path.len(), cookie.age));
        self.cookies.insert(at, cookie);
    }
}

impl Cookie {
    fn is_of_host(&self, host: &str) -> bool {
        if self.host_only {
            return self.domain.eq_ignore_ascii_case(host);
        }
        domain_matches(&self.domain, host)
    }

    fn is_over(&self, now_s: i64) -> bool {
        self.expires_s.is_some_and(|expires_s| expires_s <= now_s)
    }

    fn is_replaced_by(&self, new: &Self) -> bool {
        self.name == new.name
            && self.domain == new.domain
            && self.host_only == new.host_only
            && self.path == new.path
    }

    /// What came in clear text must not stand in for a cookie that did not (RFC 6265bis section 5.7, "leave
    /// secure cookies alone").
    fn is_hidden_by(&self, new: &Self) -> bool {
        let is_near = domain_matches(&self.domain, &new.domain) || domain_matches(&new.domain, &self.domain);
        self.name == new.name && is_near && path_matches(&self.path, &new.path)
    }
}

/// The cookie as it is kept; `None` if the host may not set it (section 5.3, steps 4 to 7).
fn cookie(set: &SetCookie<'_>, host: &str, path: &str) -> Option<Cookie> {
    let host = host.to_ascii_lowercase();
    let domain = set.domain.map(str::to_ascii_lowercase);
    let (domain, host_only) = match domain {
        None => (host, true),
        // An address, or a name without a dot, has no names below it.
        Some(domain) if domain == host => (domain, is_address(&host) || !host.contains('.')),
        Some(domain) if domain.contains('.') && domain_matches(&domain, &host) => (domain, false),
        Some(_) => return None,
    };
    Some(Cookie {
        name: set.name.into(),
        value: set.value.into(),
        domain: domain.into(),
        host_only,
        path: set.path.unwrap_or_else(|| default_path(path)).into(),
        secure: set.secure,
        expires_s: set.expires_s,
        age: 0,
    })
}

/// Section 5.1.3.
fn domain_matches(domain: &str, host: &str) -> bool {
    let Some(at) = host.len().checked_sub(domain.len()) else { return false };
    let (below, end) = host.as_bytes().split_at(at);
    let is_end = end.eq_ignore_ascii_case(domain.as_bytes());
    is_end && (below.is_empty() || below.ends_with(b".") && !is_address(host))
}

fn is_address(host: &str) -> bool {
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    inner.parse::<IpAddr>().is_ok()
}

/// Section 5.1.4.
fn path_matches(cookie: &str, request: &str) -> bool {
    let Some(rest) = request.strip_prefix(cookie) else { return request.is_empty() && cookie == "/" };
    rest.is_empty() || cookie.ends_with('/') || rest.starts_with('/')
}

/// Section 5.1.4: the directory of the request's path.
fn default_path(path: &str) -> &str {
    let path = without_query(path);
    match path.rfind('/') {
        Some(at) if at > 0 && path.starts_with('/') => &path[..at],
        _ => "/",
    }
}

fn without_query(path: &str) -> &str {
    path.split(['?', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{COOKIES_MAX, Jar, default_path};

    const NOW_S: i64 = 1_000;

    /// What is sent to `https://host/path` after these fields came from `https://from/path`.
    fn jar(from: (&str, &str), fields: &[&str]) -> Jar {
        let mut jar = Jar::default();
        for field in fields {
            jar.take(field.as_bytes(), from.0, from.1, true, NOW_S);
        }
        jar
    }

    fn sent(jar: &Jar, host: &str, path: &str, secure: bool, now_s: i64) -> String {
        let mut out = Vec::new();
        assert_eq!(jar.write(host, path, secure, now_s, &mut out), !out.is_empty());
        String::from_utf8(out).unwrap()
    }

    fn check(from: (&str, &str), fields: &[&str], to: (&str, &str), expected: &str) {
        let jar = jar(from, fields);
        assert_eq!(sent(&jar, to.0, to.1, true, NOW_S), expected, "{from:?} {fields:?} {to:?}");
    }

    #[test]
    fn hosts_and_domains() {
        let all = [
            "a=1",
            "b=2; Domain=x.test",
            "c=3; Domain=.A.X.test",
            "d=4; Domain=b.x.test",
            "e=5; Domain=test",
        ];
        check(("a.x.test", "/"), &all, ("a.x.test", "/"), "a=1; b=2; c=3");
        check(("a.x.test", "/"), &all, ("A.X.TEST", "/"), "a=1; b=2; c=3");
        check(("a.x.test", "/"), &all, ("x.test", "/"), "b=2");
        check(("a.x.test", "/"), &all, ("b.a.x.test", "/"), "b=2; c=3");
        check(("a.x.test", "/"), &all, ("aax.test", "/"), "");
        check(("localhost", "/"), &["a=1; Domain=localhost"], ("localhost", "/"), "a=1");
        check(("localhost", "/"), &["a=1; Domain=localhost"], ("b.localhost", "/"), "");
        check(("10.0.0.1", "/"), &["a=1; Domain=10.0.0.1", "b=2; Domain=0.0.1"], ("10.0.0.1", "/"), "a=1");
        check(("x.0.0.1", "/"), &["a=1; Domain=0.0.1"], ("y.0.0.1", "/"), "a=1");
        check(("x.0.0.1", "/"), &["a=1; Domain=0.0.1"], ("10.0.0.1", "/"), "");
        check(("[::1]", "/"), &["a=1; Domain=[::1]", "b=2"], ("[::1]", "/"), "a=1; b=2");
    }

    #[test]
    fn paths_choose_and_order() {
        let all = ["a=1; Path=/", "b=2; Path=/p/q", "c=3", "d=4; Path=/p/q", "e=5; Path=/p/", "f=6; Path=x"];
        check(("h", "/p/q?x=/y/z"), &all, ("h", "/p/q"), "b=2; d=4; e=5; c=3; f=6; a=1");
        check(("h", "/p/q"), &all, ("h", "/p/qq?"), "e=5; c=3; f=6; a=1");
        check(("h", "/p/q"), &all, ("h", "/p"), "c=3; f=6; a=1");
        check(("h", "/p/q"), &all, ("h", "/pq"), "a=1");
        check(("h", "/p/q"), &all, ("h", ""), "a=1");
        for (path, expected) in
            [("", "/"), ("/", "/"), ("/a", "/"), ("/a/", "/a"), ("/a/b", "/a"), ("*", "/"), ("x/y", "/")]
        {
            assert_eq!(default_path(path), expected, "{path}");
        }
    }

    #[test]
    fn what_is_set_again_keeps_its_age() {
        check(("h", "/"), &["a=1", "b=2", "a=3"], ("h", "/"), "a=3; b=2");
        check(("h", "/"), &["a=1", "b=2", "a=; Max-Age=0"], ("h", "/"), "b=2");
        check(("h", "/"), &["a=1", "b=2", "a=; Max-Age=0", "a=3"], ("h", "/"), "b=2; a=3");
        check(("h.x", "/"), &["a=1", "a=2; Domain=h.x"], ("h.x", "/"), "a=1; a=2");
    }

    #[test]
    fn cookies_end() {
        let jar = jar(("h", "/"), &["a=1; Max-Age=5", "b=2; Expires=Thu, 01 Jan 1970 00:16:43 GMT", "c=3"]);
        for (now_s, expected) in [(1_002, "a=1; b=2; c=3"), (1_003, "a=1; c=3"), (1_005, "c=3")] {
            assert_eq!(sent(&jar, "h", "/", false, now_s), expected);
        }
    }

    #[test]
    fn secure_cookies_stay_with_tls() {
        let mut jar = jar(("h", "/p/"), &["a=1; Secure", "b=2"]);
        assert_eq!(sent(&jar, "h", "/p/", false, NOW_S), "b=2");
        for field in ["a=9", "a=9; Path=/p/q", "c=3; Secure", "b=4", "a=5; Path=/"] {
            jar.take(field.as_bytes(), "h", "/p/", false, NOW_S);
        }
        assert_eq!(sent(&jar, "h", "/p/q", true, NOW_S), "a=1; b=4; a=5");
    }

    #[test]
    fn a_full_jar_loses_what_is_over_and_then_the_oldest() {
        let mut jar = jar(("h", "/"), &["old=1; Path=/x", "over=1; Max-Age=5"]);
        for number in 2..COOKIES_MAX {
            jar.take(format!("c{number}=1").as_bytes(), "h", "/", true, NOW_S);
        }
        jar.take(b"d=1", "h", "/", true, NOW_S + 5);
        assert_eq!([jar.get("over"), jar.get("old"), jar.get("d")], [None, Some("1"), Some("1")]);
        jar.take(b"c2=2", "h", "/", true, NOW_S);
        assert_eq!([jar.get("old"), jar.get("c2")], [Some("1"), Some("2")]);
        jar.take(b"e=1", "h", "/", true, NOW_S);
        assert_eq!([jar.get("old"), jar.get("c2"), jar.get("e")], [None, Some("2"), Some("1")]);
        assert_eq!(jar.cookies().len(), COOKIES_MAX);
    }

    #[test]
    fn an_empty_jar_is_one_pointer() {
        assert_eq!(size_of::<Jar>(), size_of::<usize>());
        let mut jar = jar(("h", "/"), &["nonsense", "a=; Max-Age=0"]);
        assert!(jar.is_empty());
        jar.take(b"a=1", "h", "/", true, NOW_S);
        assert!(!jar.is_empty());
        jar.take(b"a=1; Max-Age=0", "h", "/", true, NOW_S);
        assert!(jar.is_empty());
        jar.take(b"a=1", "h", "/", true, NOW_S);
        jar.clear();
        assert_eq!((jar.is_empty(), jar.get("a")), (true, None));
    }

    /// Fields made of what matters to their parser.
    fn field() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            prop::sample::select(vec![
                "a",
                "b=",
                "=",
                ";",
                "; ",
                "\r\n",
                "\n",
                "\0",
                "Path=/",
                "Domain=",
                "x.test",
                ".",
                "Max-Age=",
                "9",
                "-",
                "Expires=Thu, 01 Jan 2070 00:00:07 GMT",
                "Secure",
                "\t",
                ",",
                "\"",
                "__Host-",
            ])
            .prop_map(|text| text.as_bytes().to_vec()),
            prop::collection::vec(any::<u8>(), 0..3),
        ];
        prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_a_server_sends_never_breaks_a_request(fields in prop::collection::vec(field(), 0..80)) {
            let mut jar = Jar::default();
            for field in &fields {
                jar.take(field, "a.x.test", "/", true, NOW_S);
            }
            let mut out = Vec::new();
            jar.write("a.x.test", "/", true, NOW_S, &mut out);
            prop_assert!(!out.iter().any(u8::is_ascii_control));
            let pairs = out.split(|byte| *byte == b';').count();
            let due = jar.cookies().iter().filter(|cookie| "/".starts_with(&*cookie.path)).count();
            prop_assert!(jar.cookies().len() <= COOKIES_MAX);
            prop_assert_eq!(if out.is_empty() { 0 } else { pairs }, due);
        }

        #[test]
        fn cookies_are_written_in_the_order_of_the_rfc(
            set in prop::collection::vec((0u8..8, prop::sample::select(vec!["/", "/p", "/p/q"])), 0..60),
        ) {
            let mut jar = Jar::default();
            let mut model: Vec<(u8, &str)> = Vec::new();
            for (name, path) in set {
                jar.take(format!("{name}=; Path={path}").as_bytes(), "h", "/", false, NOW_S);
                if !model.contains(&(name, path)) {
                    model.push((name, path));
                }
            }
            model.sort_by_key(|(_, path)| std::cmp::Reverse(path.len()));
            let expected: Vec<_> = model.iter().map(|(name, _)| format!("{name}=")).collect();
            prop_assert_eq!(sent(&jar, "h", "/p/q", false, NOW_S), expected.join("; "));
        }
    }
}
