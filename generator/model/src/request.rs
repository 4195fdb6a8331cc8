//! A request, rendered once: for HTTP/1.1 as the bytes on the wire, for HTTP/2 as a field list and a body.

use std::sync::Arc;

use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use url::Url;

use crate::plan::PlanError;
use crate::scenario::{HttpVersion, RequestSpec, Scenario};

/// Rendered size of one request without its body.
pub const REQUEST_HEAD_MAX: usize = 64 * 1024;

/// Size of the chunks of a chunked upload.
const CHUNK: usize = 16 * 1024;

/// The content codings that `--compressed` asks for.
const CODINGS: &str = "gzip, br, zstd";

/// One request, rendered once.
#[derive(Clone, Debug, Serialize)]
pub struct Request {
    /// The label in results: method and path, never the query.
    pub name: String,
    pub method: String,
    /// HTTP/1.1: the bytes on the wire, head and body.
    #[serde(serialize_with = "digest_of_bytes")]
    pub wire: Arc<[u8]>,
    /// Length of the head in `wire`.
    pub head_len: usize,
    /// HTTP/2: pseudo-header fields first, names in lower case (RFC 9113 section 8.3).
    #[serde(skip)]
    pub fields: Vec<(String, String)>,
    /// HTTP/2: the content.
    #[serde(skip)]
    pub body: Arc<[u8]>,
    /// The body waits for an interim response (RFC 9110 section 10.1.1).
    pub expects_continue: bool,
}

impl Request {
    /// The answer to this request never has a body (RFC 9110 section 9.3.2).
    #[must_use]
    pub fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    /// The request as it goes where `status` of an answer sends it: the same for another target, or a GET without a
    /// body (RFC 9110 section 15.4).
    #[must_use]
    pub fn redirected(&self, status: u16, url: &Url) -> Self {
        let becomes_get = status == 303 && !self.is_head() || status < 303 && self.method == "POST";
        let method = if becomes_get { "GET" } else { self.method.as_str() };
        let dropped =
            |name: &str| becomes_get && CONTENT_FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name));
        let (head, body) = self.wire.split_at(self.head_len);
        let head = String::from_utf8_lossy(head);
        let mut wire = format!("{method} {} HTTP/1.1\r\n", target(url));
        for line in head.split_inclusive("\r\n").skip(1) {
            if !dropped(line.split(':').next().unwrap_or_default()) {
                wire.push_str(line);
            }
        }
        let head_len = wire.len();
        let mut wire = wire.into_bytes();
        let mut fields = self.fields.clone();
        fields.retain(|(name, _)| !dropped(name));
        for (name, value) in &mut fields {
            match name.as_str() {
                ":method" => *value = method.to_owned(),
                ":path" => *value = target(url),
                _ => {}
            }
        }
        if !becomes_get {
            wire.extend_from_slice(body);
        }
        Self {
            name: self.name.clone(),
            method: method.to_owned(),
            wire: wire.into(),
            head_len,
            fields,
            body: if becomes_get { Arc::from([]) } else { self.body.clone() },
            expects_continue: self.expects_continue && !becomes_get,
        }
    }
}

/// Fields that speak of a body.
const CONTENT_FIELDS: [&str; 5] =
    ["content-length", "transfer-encoding", "content-type", "content-encoding", "expect"];

pub(crate) fn render(scenario: &Scenario, url: &Url, body: &[u8]) -> Result<Request, PlanError> {
    let spec = &scenario.request;
    let method = if spec.method.is_empty() { "GET" } else { &spec.method };
    if !is_token(method) {
        return Err(PlanError::Method(method.to_owned()));
    }
    check_headers(spec)?;
    let expects_continue = scenario.http.expect_continue && !body.is_empty();
    let fields = common_fields(scenario, url, expects_continue);
    let has_length = !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH");
    let head = head(scenario, method, url, &fields, has_length.then_some(body.len()));
    if head.len() > REQUEST_HEAD_MAX {
        return Err(PlanError::HeadTooLong(head.len()));
    }
    let head_len = head.len();
    let mut wire = head.into_bytes();
    if scenario.http.chunked && has_length {
        chunked(body, &mut wire);
    } else {
        wire.extend_from_slice(body);
    }
    let h2 = scenario.http.version == HttpVersion::Http2;
    Ok(Request {
        name: format!("{method} {}", url.path()),
        method: method.to_owned(),
        wire: wire.into(),
        head_len,
        fields: if h2 {
            fields_h2(scenario, method, url, &fields, has_length.then_some(body.len()))
        } else {
            Vec::new()
        },
        body: if h2 { body.into() } else { Arc::from([]) },
        expects_continue,
    })
}

/// The fields that every request has unless it says otherwise.
pub(crate) fn default_fields(url: &Url, compressed: bool) -> Vec<(String, String)> {
    let mut fields = vec![
        ("Host".to_owned(), authority(url)),
        ("User-Agent".to_owned(), concat!("brunt/", env!("CARGO_PKG_VERSION")).to_owned()),
        ("Accept".to_owned(), "*/*".to_owned()),
    ];
    if compressed {
        fields.push(("Accept-Encoding".to_owned(), CODINGS.to_owned()));
    }
    fields
}

/// The fields of both versions, `Host` first.
fn common_fields(scenario: &Scenario, url: &Url, expects_continue: bool) -> Vec<(String, String)> {
    let spec = &scenario.request;
    let has = |name: &str| spec.headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
    let mut fields = default_fields(url, scenario.http.compressed);
    if expects_continue {
        fields.push(("Expect".to_owned(), "100-continue".to_owned()));
    }
    fields.retain(|(name, _)| !has(name));
    fields.extend(spec.headers.iter().cloned());
    fields
}

fn head(
    scenario: &Scenario,
    method: &str,
    url: &Url,
    fields: &[(String, String)],
    length: Option<usize>,
) -> String {
    let mut head = format!("{method} {} HTTP/1.1\r\n", target(url));
    let mut field = |name: &str, value: &str| {
        head.push_str(name);
        head.push_str(": ");
        head.push_str(value);
        head.push_str("\r\n");
    };
    for (name, value) in fields {
        field(name, value);
    }
    if !scenario.http.keep_alive {
        field("Connection", "close");
    }
    match length {
        Some(_) if scenario.http.chunked => field("Transfer-Encoding", "chunked"),
        Some(length) => field("Content-Length", &length.to_string()),
        None => {}
    }
    head.push_str("\r\n");
    head
}

/// RFC 9113 section 8.3.1; `Host` becomes `:authority`, and fields of the connection do not exist.
fn fields_h2(
    scenario: &Scenario,
    method: &str,
    url: &Url,
    fields: &[(String, String)],
    length: Option<usize>,
) -> Vec<(String, String)> {
    let host = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
    let authority = host.map_or_else(|| authority(url), |(_, value)| value.clone());
    let mut list = vec![
        (":method".to_owned(), method.to_owned()),
        (":scheme".to_owned(), url.scheme().to_owned()),
        (":authority".to_owned(), authority),
        (":path".to_owned(), target(url)),
    ];
    let regular = fields.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("host"));
    list.extend(regular.map(|(name, value)| (name.to_ascii_lowercase(), value.clone())));
    if let Some(length) = length.filter(|_| !scenario.http.chunked) {
        list.push(("content-length".to_owned(), length.to_string()));
    }
    list
}

fn target(url: &Url) -> String {
    url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
}

/// RFC 9112 section 7.1.
fn chunked(body: &[u8], wire: &mut Vec<u8>) {
    for chunk in body.chunks(CHUNK) {
        wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        wire.extend_from_slice(chunk);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"0\r\n\r\n");
}

pub(crate) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// RFC 9110 section 5.6.2.
pub(crate) fn is_token(text: &str) -> bool {
    let tchar = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(tchar)
}

fn check_headers(spec: &RequestSpec) -> Result<(), PlanError> {
    for (name, value) in &spec.headers {
        let printable = value.bytes().all(|b| b == b'\t' || (0x20..0x7f).contains(&b) || b >= 0x80);
        if !is_token(name) || !printable {
            return Err(PlanError::Header(format!("{name}: {}", value.escape_debug())));
        }
        if is_reserved_field(name) {
            return Err(PlanError::ReservedHeader(name.clone()));
        }
    }
    Ok(())
}

/// A field that is made from the body and the connection.
pub(crate) fn is_reserved_field(name: &str) -> bool {
    let reserved = [
        "content-length",
        "transfer-encoding",
        "connection",
        "upgrade",
        "http2-settings",
        "keep-alive",
        "proxy-connection",
    ];
    reserved.iter().any(|reserved| name.eq_ignore_ascii_case(reserved))
}

/// SHA-256 in hex.
pub(crate) fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(crate) fn digest_of_bytes<S: Serializer>(bytes: &Arc<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&digest(bytes))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(url: &str, body: &[u8], change: impl FnOnce(&mut Scenario)) -> Request {
        let mut scenario = Scenario::of(url);
        change(&mut scenario);
        render(&scenario, &Url::parse(url).unwrap(), body).unwrap()
    }

    #[test]
    fn a_field_list_has_pseudo_header_fields_first_and_none_of_the_connection() {
        let request = rendered("https://h:8443/a?b", b"body", |scenario| {
            scenario.http.version = HttpVersion::Http2;
            scenario.request.method = "POST".into();
            scenario.request.headers = vec![("X-Id".into(), "7".into()), ("Host".into(), "other".into())];
        });
        let list: Vec<_> = request.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(list[..4], [":method=POST", ":scheme=https", ":authority=other", ":path=/a?b"]);
        assert_eq!(list[5..], ["accept=*/*", "x-id=7", "content-length=4"]);
        assert_eq!(&request.body[..], b"body");
    }

    #[test]
    fn a_chunked_upload_has_chunks_and_no_length() {
        let body = vec![b'x'; CHUNK + 1];
        let request = rendered("http://h/", &body, |scenario| {
            scenario.http.chunked = true;
            scenario.http.expect_continue = true;
            scenario.request.method = "PUT".into();
        });
        let (head, rest) = request.wire.split_at(request.head_len);
        let head = std::str::from_utf8(head).unwrap();
        assert!(head.contains("Transfer-Encoding: chunked\r\n") && head.contains("Expect: 100-continue\r\n"));
        assert!(!head.contains("Content-Length") && head.ends_with("\r\n\r\n"));
        assert!(rest.starts_with(b"4000\r\nxxx") && rest.ends_with(b"\r\n1\r\nx\r\n0\r\n\r\n"));
        assert!(request.expects_continue);
    }

    #[test]
    fn a_redirected_request_keeps_all_but_its_target_unless_it_becomes_a_get() {
        let post = |change: fn(&mut Scenario)| {
            rendered("http://h/a", b"body", |scenario| {
                scenario.request.method = "POST".into();
                scenario.request.headers = vec![("X-Id".into(), "7".into())];
                change(scenario);
            })
        };
        let to = Url::parse("http://h/b?c").unwrap();
        let text = |request: &Request| String::from_utf8(request.wire.to_vec()).unwrap();
        for status in [301, 302, 303] {
            let get = post(|_| {}).redirected(status, &to);
            let text = text(&get);
            assert!(
                text.starts_with("GET /b?c HTTP/1.1\r\nHost: h\r\n") && text.ends_with("X-Id: 7\r\n\r\n"),
                "{text}"
            );
            assert_eq!(get.head_len, get.wire.len());
        }
        let same = post(|_| {}).redirected(307, &to);
        assert!(
            text(&same).starts_with("POST /b?c ") && text(&same).ends_with("Content-Length: 4\r\n\r\nbody")
        );
        let h2 = post(|scenario| scenario.http.version = HttpVersion::Http2).redirected(303, &to);
        let list: Vec<_> = h2.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert!(list.contains(&":method=GET".to_owned()) && list.contains(&":path=/b?c".to_owned()));
        assert!(h2.body.is_empty() && !list.iter().any(|field| field.starts_with("content-length")));
    }

    #[test]
    fn compressed_asks_for_codings_unless_the_user_does() {
        let ask = |headers: Vec<(String, String)>| {
            let request = rendered("http://h/", b"", |scenario| {
                scenario.http.compressed = true;
                scenario.request.headers = headers;
            });
            String::from_utf8(request.wire.to_vec()).unwrap()
        };
        assert!(ask(Vec::new()).contains("Accept-Encoding: gzip, br, zstd\r\n"));
        let own = ask(vec![("accept-encoding".into(), "br".into())]);
        assert!(own.contains("accept-encoding: br\r\n") && !own.contains("zstd"));
    }
}
