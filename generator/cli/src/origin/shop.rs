//! What scenarios are tried on: a login, a shop and an echo.
//!
//! Every answer follows from the request alone. A token says whose it is and proves that a login made it, so nobody has
//! to be remembered. It is no protection: whoever reads this can make one.

use std::hash::{DefaultHasher, Hasher as _};

use hyper::header::{
    ALLOW, AUTHORIZATION, CONTENT_TYPE, COOKIE, ETAG, HeaderMap, HeaderName, SET_COOKIE, WWW_AUTHENTICATE,
};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

/// The longest content that is looked at: what is echoed is kept in memory.
pub(super) const BODY_MAX: usize = 64 << 10;
/// The longest name of a user: it is part of tokens, which are sent in every head.
const USER_MAX: usize = 256;
const ITEMS_ON_PAGE: u64 = 10;
/// Hexadecimal digits of a token's proof.
const PROOF_DIGITS: usize = 16;

/// What is answered.
#[derive(PartialEq, Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) fields: Vec<(HeaderName, String)>,
    pub(super) content: Value,
}

impl Reply {
    fn new(status: StatusCode, content: Value) -> Self {
        Self { status, fields: Vec::new(), content }
    }

    fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// A failure, and in words how to do better.
    fn refusal(status: StatusCode, mend: &str) -> Self {
        Self::new(status, json!({ "error": mend }))
    }

    fn unauthorized(mend: &str) -> Self {
        Self::refusal(StatusCode::UNAUTHORIZED, mend).with(WWW_AUTHENTICATE, "Bearer")
    }
}

/// Is this one of the paths that are answered here?
pub(super) fn serves(path: &str) -> bool {
    matches!(path, "/login" | "/me" | "/items" | "/cart" | "/echo") || path.starts_with("/items/")
}

/// Answers a request for one of these paths; `content` is `None` where it is longer than [`BODY_MAX`].
pub(super) fn reply(head: &Parts, content: Option<&[u8]>) -> Reply {
    let Some(content) = content else {
        return Reply::refusal(StatusCode::PAYLOAD_TOO_LARGE, "send at most 64 KiB");
    };
    let path = head.uri.path();
    let wanted = match path {
        "/echo" => return Reply::new(StatusCode::OK, echo(head, content)),
        "/login" | "/cart" => Method::POST,
        _ => Method::GET,
    };
    if head.method != wanted && !(wanted == Method::GET && head.method == Method::HEAD) {
        let mend = format!("{path} is for {wanted}");
        return Reply::refusal(StatusCode::METHOD_NOT_ALLOWED, &mend).with(ALLOW, wanted.as_str());
    }
    match path {
        "/login" => login(&head.headers, content),
        "/me" => match visitor(&head.headers) {
            Some(user) => Reply::new(StatusCode::OK, json!({ "user": user })),
            None => Reply::unauthorized("POST user and password to /login"),
        },
        "/cart" => cart(&head.headers, content),
        "/items" => page(head.uri.query().unwrap_or_default()),
        _ => match path.strip_prefix("/items/").and_then(|id| id.parse().ok()) {
            Some(id) => Reply::new(StatusCode::OK, item(id)).with(ETAG, format!("\"item-{id}\"")),
            None => Reply::refusal(StatusCode::NOT_FOUND, "items have numbers, as in /items/7"),
        },
    }
}

fn login(headers: &HeaderMap, content: &[u8]) -> Reply {
    let (user, password) = credentials(headers, content);
    if user.is_empty() || user.len() > USER_MAX || password.is_empty() {
        return Reply::unauthorized("send user and password, as a form or as JSON");
    }
    let token = token(&user);
    let cookie = format!("session={token}; Path=/; HttpOnly");
    Reply::new(StatusCode::OK, json!({ "token": token, "user": user })).with(SET_COOKIE, cookie)
}

/// User and password; empty is what there was not.
fn credentials(headers: &HeaderMap, content: &[u8]) -> (String, String) {
    let is_json = text_of(headers, &CONTENT_TYPE).starts_with("application/json");
    if is_json {
        let content: Value = serde_json::from_slice(content).unwrap_or_default();
        let text = |name: &str| content[name].as_str().unwrap_or_default().to_owned();
        return (text("user"), text("password"));
    }
    let text = |wanted: &str| {
        let mut fields = form_urlencoded::parse(content);
        fields.find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    (text("user"), text("password"))
}

fn cart(headers: &HeaderMap, content: &[u8]) -> Reply {
    let Some(user) = visitor(headers) else {
        return Reply::unauthorized("send the token of /login, as a cookie or as Authorization: Bearer");
    };
    let content: Value = serde_json::from_slice(content).unwrap_or_default();
    match content["item"].as_u64() {
        Some(item) => {
            let id = proof(&format!("{user} {item}"));
            Reply::new(StatusCode::CREATED, json!({ "id": id, "items": [item] }))
        }
        None => Reply::refusal(StatusCode::BAD_REQUEST, "send JSON such as {\"item\": 7}"),
    }
}

fn page(query: &str) -> Reply {
    let asked = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "page");
    let page = asked.map_or(Some(1), |(_, page)| page.parse::<u32>().ok());
    let Some(page) = page.filter(|page| *page > 0) else {
        return Reply::refusal(StatusCode::BAD_REQUEST, "pages count from 1, as in /items?page=2");
    };
    let first = (u64::from(page) - 1) * ITEMS_ON_PAGE + 1;
    Reply::new(StatusCode::OK, (first..first + ITEMS_ON_PAGE).map(item).collect())
}

fn item(id: u64) -> Value {
    let price_cents = 199 + id % 97 * 50;
    json!({ "id": id, "name": format!("item {id}"), "price": price_cents as f64 / 100.0, "stock": id % 100 })
}

/// What came, as it came.
fn echo(head: &Parts, content: &[u8]) -> Value {
    let mut headers = Map::new();
    for name in head.headers.keys() {
        let values = head.headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        headers.insert(name.to_string(), values.collect::<Vec<_>>().join(", ").into());
    }
    json!({
        "method": head.method.as_str(),
        "path": head.uri.path(),
        "query": head.uri.query().unwrap_or_default(),
        "headers": headers,
        "body": String::from_utf8_lossy(content),
    })
}

/// Whose token a request has, in its cookie or its header Authorization.
fn visitor(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut sessions =
        cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().strip_prefix("session="));
    let bearer = text_of(headers, &AUTHORIZATION).strip_prefix("Bearer ");
    bearer.and_then(user_of).or_else(|| sessions.find_map(user_of))
}

fn text_of<'h>(headers: &'h HeaderMap, name: &HeaderName) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// A proof, and the user's name in hexadecimal digits.
fn token(user: &str) -> String {
    user.bytes().fold(proof(user), |token, byte| token + &format!("{byte:02x}"))
}

fn proof(text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(text.as_bytes());
    format!("{:0PROOF_DIGITS$x}", hasher.finish())
}

fn user_of(shown: &str) -> Option<String> {
    let digits = shown.as_bytes().get(PROOF_DIGITS..)?;
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let bytes: Option<Vec<u8>> =
        digits.chunks(2).map(|pair| Some(value(pair[0])? << 4 | value(*pair.get(1)?)?)).collect();
    let user = String::from_utf8(bytes?).ok()?;
    (!user.is_empty() && token(&user) == shown).then_some(user)
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    const FORM: &str = "content-type: application/x-www-form-urlencoded";
    const JSON: &str = "content-type: application/json; charset=utf-8";

    /// What is answered to `METHOD /path`, header lines and content.
    fn ask(line: &str, fields: &[&str], content: &str) -> Reply {
        let (method, target) = line.split_once(' ').expect("a method and a target");
        let mut builder = Request::builder().method(method).uri(target);
        for field in fields {
            let (name, value) = field.split_once(": ").expect("a header");
            builder = builder.header(name, value);
        }
        let (head, ()) = builder.body(()).expect("a good request").into_parts();
        assert!(serves(head.uri.path()), "{line}");
        reply(&head, Some(content.as_bytes()))
    }

    #[test]
    fn a_login_wants_a_user_and_a_password() {
        for (fields, content, user) in [
            ([FORM], "user=ann&password=x", Some("ann")),
            ([FORM], "password=x&user=a%26b+c", Some("a&b c")),
            ([JSON], r#"{"user": "ann", "password": "x"}"#, Some("ann")),
            ([JSON], r#"{"user": "ann"}"#, None),
            ([JSON], r#"{"user": 7, "password": "x"}"#, None),
            ([JSON], "{", None),
            ([FORM], "user=ann", None),
            ([FORM], "user=ann&password=", None),
            ([FORM], "user=&password=x", None),
            ([FORM], "", None),
        ] {
            let got = ask("POST /login", &fields, content);
            let Some(user) = user else {
                assert_eq!(got.status, StatusCode::UNAUTHORIZED, "{content}");
                continue;
            };
            let want = Reply::new(StatusCode::OK, json!({ "token": token(user), "user": user }));
            assert_eq!(
                got,
                want.with(SET_COOKIE, format!("session={}; Path=/; HttpOnly", token(user))),
                "{content}"
            );
        }
        let long = format!("user={}&password=x", "u".repeat(USER_MAX + 1));
        assert_eq!(ask("POST /login", &[FORM], &long).status, StatusCode::UNAUTHORIZED);
    }

    #[test]
    fn a_token_says_whose_it_is_as_cookie_and_as_header() {
        let token = token("jörg");
        for (field, known) in [
            (format!("authorization: Bearer {token}"), true),
            (format!("cookie: session={token}"), true),
            (format!("cookie: a=b; session={token}; c=d"), true),
            (format!("cookie: session={token}0"), false),
            (format!("cookie: session=0{token}"), false),
            (format!("cookie: session=f{}", &token[1..]), token.starts_with('f')),
            (format!("cookie: xsession={token}"), false),
            (format!("authorization: Basic {token}"), false),
            ("authorization: Bearer ".to_owned(), false),
            (format!("authorization: Bearer {}", proof("")), false),
        ] {
            let got = ask("GET /me", &[&field], "");
            let want = if known {
                (StatusCode::OK, json!("jörg"))
            } else {
                (StatusCode::UNAUTHORIZED, json!(null))
            };
            assert_eq!((got.status, got.content["user"].clone()), want, "{field}");
        }
        assert_eq!(ask("GET /me", &[], "").status, StatusCode::UNAUTHORIZED);
    }

    #[test]
    fn items_follow_from_their_numbers() {
        let seven = json!({ "id": 7, "name": "item 7", "price": 5.49, "stock": 7 });
        let got = ask("GET /items/7", &[], "");
        assert_eq!(got, Reply::new(StatusCode::OK, seven.clone()).with(ETAG, "\"item-7\""));
        for (target, first) in [("/items", 1), ("/items?page=1", 1), ("/items?x=y&page=3", 21)] {
            let got = ask(&format!("GET {target}"), &[], "");
            let list = got.content.as_array().expect("a list");
            assert_eq!(
                (got.status, list.len(), &list[0]["id"]),
                (StatusCode::OK, 10, &json!(first)),
                "{target}"
            );
        }
        assert_eq!(ask("GET /items", &[], "").content[6], seven);
        for (target, status) in [
            ("/items?page=0", 400),
            ("/items?page=x", 400),
            ("/items/", 404),
            ("/items/x", 404),
            ("/items/-1", 404),
        ] {
            assert_eq!(ask(&format!("GET {target}"), &[], "").status, status, "{target}");
        }
    }

    #[test]
    fn a_cart_is_for_who_logged_in() {
        let bearer = format!("authorization: Bearer {}", token("ann"));
        for (fields, content, status) in [
            (vec![JSON, &bearer], r#"{"item": 3}"#, 201),
            (vec![JSON, &bearer], r#"{"item": "3"}"#, 400),
            (vec![JSON, &bearer], "", 400),
            (vec![JSON], r#"{"item": 3}"#, 401),
        ] {
            let got = ask("POST /cart", &fields, content);
            assert_eq!(got.status, status, "{content}");
            assert_eq!(got.content["items"] == json!([3]), status == 201, "{content}");
        }
    }

    #[test]
    fn an_echo_shows_what_came() {
        let got = ask("PUT /echo?a=%20&b", &["x-one: 1", "x-two: 2", "x-two: 3"], "hi \u{e9}");
        let want = json!({
            "method": "PUT", "path": "/echo", "query": "a=%20&b",
            "headers": { "x-one": "1", "x-two": "2, 3" }, "body": "hi \u{e9}",
        });
        assert_eq!(got, Reply::new(StatusCode::OK, want));
    }

    #[test]
    fn other_methods_and_long_bodies_are_refused() {
        for (line, allowed) in
            [("GET /login", "POST"), ("GET /cart", "POST"), ("POST /me", "GET"), ("PUT /items/1", "GET")]
        {
            let got = ask(line, &[], "");
            assert_eq!(
                (got.status, &got.fields[..]),
                (StatusCode::METHOD_NOT_ALLOWED, &[(ALLOW, allowed.to_owned())][..]),
                "{line}"
            );
        }
        assert_eq!(ask("HEAD /items/1", &[], "").status, StatusCode::OK);
        let (head, ()) = Request::post("/echo").body(()).expect("a good request").into_parts();
        assert_eq!(reply(&head, None).status, StatusCode::PAYLOAD_TOO_LARGE);
    }
}
