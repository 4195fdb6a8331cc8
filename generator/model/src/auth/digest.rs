//! The `Digest` scheme: RFC 7616, and RFC 2617 for servers that know only MD5 or no `qop`.
//!
//! The content is not part of the hash (`qop=auth`), and names are not hashed (`userhash`).

use md5::Md5;
use sha2::{Digest, Sha256};

use super::check_text;
use crate::request::hex;

/// Bytes of one `WWW-Authenticate` field that are read: more than any server needs for all its challenges.
const FIELD_MAX: usize = 8 * 1024;

/// What a server asks for, and can be given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    /// The algorithm by name, which is repeated only if the server said it.
    is_named: bool,
    /// `-sess`: the hash of name and password takes in the nonces.
    is_session: bool,
    /// `qop=auth`; without it requests are not counted, as in RFC 2069.
    has_qop: bool,
    is_stale: bool,
}

/// The better is the greater.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Algorithm {
    Md5,
    Sha256,
}

/// What the hash of one request is made of.
#[derive(Copy, Clone)]
pub struct Request<'a> {
    pub user: &'a str,
    pub password: &'a str,
    pub method: &'a str,
    /// The request's target as it is sent: path and query.
    pub uri: &'a str,
    /// How many requests were sent with this nonce, this one included.
    pub count: u32,
    /// A text that the server cannot foresee.
    pub cnonce: &'a str,
}

impl Challenge {
    /// The best challenge of all `WWW-Authenticate` fields of an answer: SHA-256 before MD5, then the first.
    /// `None` if there is none that can be answered.
    pub fn choose<'a>(fields: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let mut best: Option<Self> = None;
        for field in fields {
            for challenge in challenges(field) {
                if best.as_ref().is_none_or(|best| best.algorithm < challenge.algorithm) {
                    best = Some(challenge);
                }
            }
        }
        best
    }

    /// Whether name and password were right and only the nonce was too old (section 3.3, `stale`).
    #[must_use]
    pub const fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// The value of `Authorization` (section 3.4).
    ///
    /// # Errors
    /// A sentence, if a part has a control character.
    pub fn authorization(&self, request: &Request<'_>) -> Result<String, String> {
        check_text("the user of Digest authentication", request.user)?;
        check_text("the password of Digest authentication", request.password)?;
        check_text("the method", request.method)?;
        check_text("the request's target", request.uri)?;
        check_text("the nonce of the client", request.cnonce)?;
        let mut value = format!(
            "Digest username={}, realm={}, nonce={}, uri={}, response=\"{}\"",
            quoted(request.user),
            quoted(&self.realm),
            quoted(&self.nonce),
            quoted(request.uri),
            self.response(request)
        );
        if self.is_named {
            value.push_str(", algorithm=");
            value.push_str(match self.algorithm {
                Algorithm::Md5 => "MD5",
                Algorithm::Sha256 => "SHA-256",
            });
            value.push_str(if self.is_session { "-sess" } else { "" });
        }
        if self.has_qop {
            value.push_str(&format!(", qop=auth, nc={:08x}", request.count));
        }
        if self.has_qop || self.is_session {
            value.push_str(&format!(", cnonce={}", quoted(request.cnonce)));
        }
        if let Some(opaque) = &self.opaque {
            value.push_str(&format!(", opaque={}", quoted(opaque)));
        }
        Ok(value)
    }

    /// Sections 3.4.1 to 3.4.3.
    fn response(&self, request: &Request<'_>) -> String {
        let Request { user, password, method, uri, count, cnonce } = request;
        let Self { realm, nonce, .. } = self;
        let mut secret = self.hash(&format!("{user}:{realm}:{password}"));
        if self.is_session {
            secret = self.hash(&format!("{secret}:{nonce}:{cnonce}"));
        }
        let asked = self.hash(&format!("{method}:{uri}"));
        if self.has_qop {
            self.hash(&format!("{secret}:{nonce}:{count:08x}:{cnonce}:auth:{asked}"))
        } else {
            self.hash(&format!("{secret}:{nonce}:{asked}"))
        }
    }

    fn hash(&self, text: &str) -> String {
        match self.algorithm {
            Algorithm::Md5 => hex(&Md5::digest(text)),
            Algorithm::Sha256 => hex(&Sha256::digest(text)),
        }
    }
}

/// The parameters of one challenge, in their order.
type Parameters = Vec<(String, String)>;

/// All challenges of a field that can be answered; a field is read up to where its grammar breaks.
fn challenges(field: &[u8]) -> Vec<Challenge> {
    let text = if field.len() <= FIELD_MAX { str::from_utf8(field).unwrap_or_default() } else { "" };
    if text.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
        return Vec::new();
    }
    let mut rest = Rest(text);
    let mut found: Vec<(&str, Parameters)> = Vec::new();
    while let Some(word) = rest.word() {
        match (rest.value(), found.last_mut()) {
            (Value::Given(value), Some((_, parameters))) => {
                parameters.push((word.to_ascii_lowercase(), value))
            }
            (Value::None, _) => {
                found.push((word, Vec::new()));
                rest.skip_token68();
            }
            (Value::Given(_), None) | (Value::Broken, _) => break,
        }
    }
    let is_digest = |scheme: &str| scheme.eq_ignore_ascii_case("Digest");
    found.iter().filter(|(scheme, _)| is_digest(scheme)).filter_map(|(_, of)| challenge(of)).collect()
}

/// `None` if a part is missing, or an algorithm or quality is wanted that is not known here.
fn challenge(parameters: &[(String, String)]) -> Option<Challenge> {
    let get =
        |name: &str| parameters.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str());
    let named = get("algorithm");
    let (algorithm, is_session) = match named.unwrap_or("MD5").to_ascii_uppercase().as_str() {
        "MD5" => (Algorithm::Md5, false),
        "MD5-SESS" => (Algorithm::Md5, true),
        "SHA-256" => (Algorithm::Sha256, false),
        "SHA-256-SESS" => (Algorithm::Sha256, true),
        _ => return None,
    };
    let qop = get("qop");
    if qop.is_some_and(|qop| !qop.split(',').any(|one| one.trim().eq_ignore_ascii_case("auth"))) {
        return None;
    }
    Some(Challenge {
        realm: get("realm")?.to_owned(),
        nonce: get("nonce")?.to_owned(),
        opaque: get("opaque").map(str::to_owned),
        algorithm,
        is_named: named.is_some(),
        is_session,
        has_qop: qop.is_some(),
        is_stale: get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
    })
}

/// What is left of a field: RFC 9110 section 11.6.1, a list whose commas part challenges and parameters
/// alike.
struct Rest<'a>(&'a str);

enum Value {
    Given(String),
    /// The word before is the name of a scheme.
    None,
    Broken,
}

impl<'a> Rest<'a> {
    /// The next token, past commas and white space.
    fn word(&mut self) -> Option<&'a str> {
        self.0 = self.0.trim_start_matches([' ', '\t', ',']);
        Some(self.take(is_tchar)).filter(|word| !word.is_empty())
    }

    /// The value of a parameter: a token, or a text in quotes, which is given without them.
    fn value(&mut self) -> Value {
        let Some(after) = self.0.trim_start_matches(is_space).strip_prefix('=') else { return Value::None };
        self.0 = after.trim_start_matches(is_space);
        match self.0.strip_prefix('"') {
            Some(quoted) => {
                self.0 = quoted;
                self.unquoted().map_or(Value::Broken, Value::Given)
            }
            None => Value::Given(self.take(is_tchar).to_owned()),
        }
    }

    fn unquoted(&mut self) -> Option<String> {
        let mut text = String::new();
        let mut chars = self.0.chars();
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => text.push(chars.next()?),
                c => text.push(c),
            }
        }
        self.0 = chars.as_str();
        Some(text)
    }

    /// Some schemes are followed by one opaque word, which may end with `=` (RFC 9110 section 11.2).
    fn skip_token68(&mut self) {
        let before = self.0;
        self.0 = self.0.trim_start_matches(is_space);
        let word = self.take(|c| c.is_ascii_alphanumeric() || "-._~+/".contains(c));
        let padding = self.take(|c| c == '=');
        self.0 = self.0.trim_start_matches(is_space);
        let is_alone = self.0.is_empty() || self.0.starts_with(',');
        if word.is_empty() && padding.is_empty() || !is_alone {
            self.0 = before;
        }
    }

    fn take(&mut self, is_part: impl Fn(char) -> bool) -> &'a str {
        let end = self.0.find(|c| !is_part(c)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }
}

const fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

/// RFC 9110 section 5.6.2.
fn is_tchar(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Challenge, FIELD_MAX, Request};

    const RFC_7616: [&str; 2] = [
        "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=MD5, \
         nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
         opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"",
        "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=SHA-256, \
         nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
         opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"",
    ];
    const RFC_2617: &str = "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
        nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";

    const REQUEST: Request<'_> = Request {
        user: "Mufasa",
        password: "Circle of Life",
        method: "GET",
        uri: "/dir/index.html",
        count: 1,
        cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    };

    /// The parts must stand in the value of the field; without any, no challenge can be answered.
    fn check(fields: &[&str], request: Request<'_>, parts: &[&str]) {
        let Some(challenge) = Challenge::choose(fields.iter().map(|field| field.as_bytes())) else {
            assert!(parts.is_empty(), "{fields:?}");
            return;
        };
        let value = challenge.authorization(&request).unwrap();
        assert!(!parts.is_empty(), "{fields:?}: {value}");
        for part in parts {
            assert!(value.contains(part), "{part} in {value}");
        }
    }

    #[test]
    fn examples_of_the_rfcs() {
        let common = [
            "Digest username=\"Mufasa\", realm=\"http-auth@example.org\"",
            ", uri=\"/dir/index.html\"",
            ", nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\"",
            ", qop=auth, nc=00000001, cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\"",
            ", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"",
        ];
        check(&RFC_7616[..1], REQUEST, &common);
        check(&RFC_7616[..1], REQUEST, &["algorithm=MD5", "response=\"8ca523f5e9506fed4657c9700eebdbec\""]);
        let sha = "response=\"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1\"";
        check(&RFC_7616[1..], REQUEST, &common);
        check(&RFC_7616[1..], REQUEST, &["algorithm=SHA-256", sha]);
        check(&RFC_7616, REQUEST, &[sha]);
        check(&[&RFC_7616.join(", ")], REQUEST, &[sha]);
        let old = Request { password: "Circle Of Life", cnonce: "0a4f113b", ..REQUEST };
        check(&[RFC_2617], old, &["response=\"6629fae49393a05397450978507c4ef1\", qop=auth, nc=00000001"]);
    }

    #[test]
    fn sessions_and_servers_without_quality() {
        let challenge = |rest: &str| format!("Digest realm=\"r\", nonce=\"n\"{rest}");
        let request = Request { user: "u", password: "p", method: "GET", uri: "/", count: 0x1f, cnonce: "c" };
        check(&[&challenge("")], request, &["response=\"f23121ca97143c6b358da620220c83b4\""]);
        check(
            &[&challenge(", algorithm=md5-sess, qop=auth")],
            request,
            &["-sess, qop=auth, nc=0000001f", "\"28c370f724a0f7c74e61b7e6094829b1\""],
        );
        check(
            &[&challenge(", algorithm=SHA-256-sess, qop=auth")],
            request,
            &["=SHA-256-sess", "\"90f9b220b70ce8511e77ea6fc66e3c78e1610b2f13903dcf2015d5485f7809b4\""],
        );
        check(
            &[&challenge(", algorithm=MD5-sess")],
            request,
            &["algorithm=MD5-sess, cnonce=\"c\"", "\"254644af15666e40df975c5ae58b9796\""],
        );
    }

    #[test]
    fn challenges_are_found_among_others() {
        let digest = "DIGEST  realm = \"a, \\\"b\\\" \\\\\" ,nonce=n";
        let expected = "realm=\"a, \\\"b\\\" \\\\\", nonce=\"n\"";
        for before in [
            "",
            ",, ",
            "Basic realm=\"Digest realm=x\", ",
            "Negotiate, ",
            "NTLM YWJj/+==, ",
            "Bearer, Basic realm=x,",
        ] {
            check(&[&format!("{before}{digest}")], REQUEST, &[expected]);
            check(&[&format!("{before}{digest}, Negotiate abc=")], REQUEST, &[expected]);
        }
        for none in [
            "",
            "Digest",
            "Digest realm=\"x\"",
            "Digest nonce=\"x\"",
            "Digest realm=\"x, nonce=\"y\"",
            "realm=x, nonce=y",
            "Digest realm=x, nonce=y, algorithm=SHA-512-256",
            "Digest realm=x, nonce=y, qop=auth-int",
            "Digest realm=x, nonce=\"y\r\n\"",
            "Basic realm=x, nonce=y",
            "Digest realm=x, nonce=\"y\\",
        ] {
            check(&[none], REQUEST, &[]);
        }
        let long = |len: usize| format!("Digest realm=x, nonce={}", "y".repeat(len - 22));
        check(&[&long(FIELD_MAX)], REQUEST, &["yyy"]);
        check(&[&long(FIELD_MAX + 1)], REQUEST, &[]);
        for (stale, expected) in
            [("", false), (", stale=TRUE", true), (", stale=\"true\"", true), (", stale=no", false)]
        {
            let field = format!("Digest realm=x, nonce=y{stale}");
            assert_eq!(
                Challenge::choose([field.as_bytes()]).map(|it| it.is_stale()),
                Some(expected),
                "{field}"
            );
        }
    }

    #[test]
    fn credentials_cannot_break_a_field() {
        let challenge = Challenge::choose([RFC_2617.as_bytes()]).unwrap();
        for (request, part) in [
            (Request { user: "a\r\nX: y", ..REQUEST }, "the user"),
            (Request { password: "a\n", ..REQUEST }, "the password"),
            (Request { method: "GET\0", ..REQUEST }, "the method"),
            (Request { uri: "/\n", ..REQUEST }, "the request's target"),
            (Request { cnonce: "\t", ..REQUEST }, "the nonce"),
        ] {
            let error = challenge.authorization(&request).unwrap_err();
            assert!(error.starts_with(part), "{error}");
        }
        check(&[RFC_2617], Request { user: "a\"b\\", ..REQUEST }, &["username=\"a\\\"b\\\\\", realm"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn parameters_come_back_as_they_were(realm in "[ -~é]{0,20}", nonce in "[ -~]{0,20}") {
            let field = format!("Digest realm={}, nonce={}", super::quoted(&realm), super::quoted(&nonce));
            let challenge = Challenge::choose([field.as_bytes()]).unwrap();
            prop_assert_eq!((challenge.realm, challenge.nonce), (realm, nonce));
        }

        #[test]
        fn no_field_breaks_a_request(parts in prop::collection::vec(
            prop::sample::select(vec![
                "Digest realm=\"", "\", nonce=\"", "=", "\"", "\\", ",", " ", "\n", "é", "qop=auth",
            ]),
            0..30,
        )) {
            if let Some(challenge) = Challenge::choose([parts.concat().as_bytes()]) {
                let value = challenge.authorization(&REQUEST).unwrap();
                prop_assert!(!value.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
            }
        }
    }
}
