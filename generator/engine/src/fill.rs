//! Requests that are not the same each time: filled in for a user, signed, and with its cookies.

use std::sync::Arc;

use brunt_model::auth::{digest, sigv4};
use brunt_model::cookies::Jar;
use brunt_model::expr::{Expr, Sight, Value};
use brunt_model::random::Random;
use brunt_model::request::Request;
use brunt_model::script::call::{self, Call, Draft, Signer};

use crate::conn::Wants;
use crate::conn::h2;
use crate::conn::link::Outgoing;
use crate::conn::one::Wire;

/// Fields that a signer sets.
const SIGNATURE: [&[u8]; 4] =
    [b"authorization", b"x-amz-date", b"x-amz-content-sha256", b"x-amz-security-token"];

/// Where requests go, as far as cookies and signatures want to know.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) host: String,
    pub(crate) secure: bool,
    pub(crate) now_s: i64,
}

/// What a server asked a user for, and how many requests have answered it.
#[derive(Clone, Debug)]
pub(crate) struct Challenged {
    pub(crate) challenge: digest::Challenge,
    /// One for all requests with the challenge's nonce, since keys of sessions are made of both (RFC 7616 section 3.4.2).
    pub(crate) cnonce: String,
    pub(crate) count: u32,
}

/// Who the request is for.
pub(crate) struct Asker<'a> {
    pub(crate) sight: &'a dyn Sight,
    pub(crate) random: &'a mut Random,
    pub(crate) jar: &'a Jar,
    pub(crate) challenged: Option<&'a mut Challenged>,
}

/// An expression has no value, or one that cannot stand where it would go.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Unfilled;

/// A request being put together; its memory is kept from one to the next.
#[derive(Default)]
pub(crate) struct Filler {
    /// HTTP/1.1: the head without its empty line.
    head: Vec<u8>,
    /// HTTP/2.
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    body: Vec<u8>,
    cookies: Vec<u8>,
}

impl Filler {
    /// The call's request for whoever asks, or `None` where it is the same as always.
    ///
    /// # Errors
    /// When something in it cannot be filled in.
    pub(crate) fn fill(
        &mut self,
        call: &Call,
        (wants, multiplexed): (Wants, bool),
        asker: Asker<'_>,
        place: &Place,
    ) -> Result<Option<Outgoing>, Unfilled> {
        let Asker { sight, random, jar, challenged } = asker;
        if call.draft.is_none() && jar.is_empty() {
            return Ok(None);
        }
        match &call.draft {
            None => self.take(&call.request, multiplexed),
            Some(draft) => {
                self.render(draft, multiplexed, sight, random)?;
                if let Some(signer) = &draft.signer {
                    self.sign(signer, &call.request.method, (sight, random), challenged, place)?;
                }
            }
        }
        let has_cookies = self.add_cookies(jar, place);
        Ok(Some(self.finish(call.request.expects_continue, has_cookies, wants, multiplexed)))
    }

    /// A request that goes out again, elsewhere or with the answer to what the server asked for: the same but for the
    /// jar's cookies and its signature, which are those that fit there. `had_cookies`: its last field is of the jar.
    ///
    /// # Errors
    /// When the credentials have no value, or one that no field can hold.
    pub(crate) fn again(
        &mut self,
        (call, request, had_cookies): (&Call, &Request, bool),
        (wants, multiplexed): (Wants, bool),
        asker: Asker<'_>,
        place: &Place,
    ) -> Result<Outgoing, Unfilled> {
        let Asker { sight, random, jar, challenged } = asker;
        self.take(request, multiplexed);
        if had_cookies {
            self.drop_last_field();
        }
        if let Some(signer) = call.draft.as_ref().and_then(|draft| draft.signer.as_ref()) {
            SIGNATURE.iter().for_each(|name| self.drop_field(name));
            self.sign(signer, &request.method, (sight, random), challenged, place)?;
        }
        let has_cookies = self.add_cookies(jar, place);
        Ok(self.finish(request.expects_continue, has_cookies, wants, multiplexed))
    }

    fn take(&mut self, request: &Request, multiplexed: bool) {
        self.head.clear();
        self.fields.clear();
        self.body.clear();
        if multiplexed {
            let same = |(name, value): &(String, String)| (name.clone().into(), value.clone().into());
            self.fields.extend(request.fields.iter().map(same));
            self.body.extend_from_slice(&request.body);
        } else {
            let (head, body) = request.wire.split_at(request.head_len);
            self.head.extend_from_slice(head.strip_suffix(b"\r\n").unwrap_or(head));
            self.body.extend_from_slice(body);
        }
    }

    fn render(
        &mut self,
        draft: &Draft,
        multiplexed: bool,
        sight: &dyn Sight,
        random: &mut Random,
    ) -> Result<(), Unfilled> {
        self.head.clear();
        self.fields.clear();
        self.body.clear();
        if multiplexed {
            for (name, pieces) in &draft.fields {
                let mut value = Vec::new();
                call::render(pieces, sight, random, &mut value).map_err(|_| Unfilled)?;
                self.fields.push((name.clone().into_bytes(), value));
            }
        } else {
            call::render(&draft.head, sight, random, &mut self.head).map_err(|_| Unfilled)?;
        }
        call::render(&draft.body, sight, random, &mut self.body).map_err(|_| Unfilled)?;
        if draft.has_body {
            let mut digits = [0; 20];
            let length = decimal(self.body.len(), &mut digits).to_vec();
            self.field("Content-Length", "content-length", &length, multiplexed);
        }
        Ok(())
    }

    fn field(&mut self, name: &str, lower: &str, value: &[u8], multiplexed: bool) {
        if multiplexed {
            self.fields.push((lower.as_bytes().to_vec(), value.to_vec()));
        } else {
            for part in [name.as_bytes(), b": ", value, b"\r\n"] {
                self.head.extend_from_slice(part);
            }
        }
    }

    /// The target as it is sent: path and query.
    fn target(&self) -> String {
        let of_fields = self.fields.iter().find(|(name, _)| name == b":path").map(|(_, value)| &value[..]);
        let of_head = || self.head.split(|&byte| byte == b' ').nth(1).unwrap_or_default();
        String::from_utf8_lossy(of_fields.unwrap_or_else(of_head)).into_owned()
    }

    fn sign(
        &mut self,
        signer: &Signer,
        method: &str,
        (sight, random): (&dyn Sight, &mut Random),
        challenged: Option<&mut Challenged>,
        place: &Place,
    ) -> Result<(), Unfilled> {
        let multiplexed = !self.fields.is_empty();
        let uri = self.target();
        match signer {
            Signer::Digest { user, password } => {
                // Until it is asked for, nothing can be answered.
                let Some(challenged) = challenged else { return Ok(()) };
                challenged.count += 1;
                let request = digest::Request {
                    user: &text_of(user, sight, random)?,
                    password: &text_of(password, sight, random)?,
                    method,
                    uri: &uri,
                    count: challenged.count,
                    cnonce: &challenged.cnonce,
                };
                let value = challenged.challenge.authorization(&request).map_err(|_| Unfilled)?;
                self.field("Authorization", "authorization", value.as_bytes(), multiplexed);
            }
            Signer::Aws { region, service, access_key, secret_key, session_token } => {
                let token = session_token.as_ref().map(|token| text_of(token, sight, random)).transpose()?;
                let credentials = sigv4::Credentials {
                    region: &text_of(region, sight, random)?,
                    service: &text_of(service, sight, random)?,
                    access_key: &text_of(access_key, sight, random)?,
                    secret_key: &text_of(secret_key, sight, random)?,
                    session_token: token.as_deref(),
                };
                let host = self.host(&place.host);
                let (path, query) = uri.split_once('?').unwrap_or((&uri, ""));
                let request = sigv4::Request { method, host: &host, path, query, content: &self.body };
                let signed = sigv4::sign(&credentials, &request, place.now_s).map_err(|_| Unfilled)?;
                let fields = [
                    ("X-Amz-Date", "x-amz-date", Some(signed.date)),
                    ("X-Amz-Content-Sha256", "x-amz-content-sha256", Some(signed.content_sha256)),
                    ("X-Amz-Security-Token", "x-amz-security-token", token.clone()),
                    ("Authorization", "authorization", Some(signed.authorization)),
                ];
                for (name, lower, value) in fields {
                    if let Some(value) = value {
                        self.field(name, lower, value.as_bytes(), multiplexed);
                    }
                }
            }
        }
        Ok(())
    }

    /// The value of `Host`, or of `:authority`.
    fn host(&self, otherwise: &str) -> String {
        let of_fields =
            self.fields.iter().find(|(name, _)| name == b":authority").map(|(_, value)| &value[..]);
        let of_head = crate::sight::fields(&self.head).find(|(name, _)| name.eq_ignore_ascii_case(b"host"));
        let host = of_fields.or(of_head.map(|(_, value)| value));
        host.map_or_else(|| otherwise.to_owned(), |host| String::from_utf8_lossy(host).into_owned())
    }

    /// Adds what the jar has for the request as its last field, if anything.
    fn add_cookies(&mut self, jar: &Jar, place: &Place) -> bool {
        if jar.is_empty() {
            return false;
        }
        let target = self.target();
        let path = target.split('?').next().unwrap_or("/");
        let mut cookies = std::mem::take(&mut self.cookies);
        cookies.clear();
        let has_cookies = jar.write(&place.host, path, place.secure, place.now_s, &mut cookies);
        if has_cookies {
            self.field("Cookie", "cookie", &cookies, !self.fields.is_empty());
        }
        self.cookies = cookies;
        has_cookies
    }

    fn drop_last_field(&mut self) {
        self.fields.pop();
        let lines = self.head.strip_suffix(b"\n").unwrap_or_default();
        let end = lines.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        self.head.truncate(end);
    }

    /// `lower` is its name in lower case.
    fn drop_field(&mut self, lower: &[u8]) {
        self.fields.retain(|(name, _)| name != lower);
        let is_kept = |line: &&[u8]| {
            let (name, rest) = line.split_at(lower.len().min(line.len()));
            !(name.eq_ignore_ascii_case(lower) && rest.starts_with(b":"))
        };
        self.head =
            self.head.split_inclusive(|&byte| byte == b'\n').filter(is_kept).flatten().copied().collect();
    }

    fn finish(
        &mut self,
        expects_continue: bool,
        has_cookies: bool,
        wants: Wants,
        multiplexed: bool,
    ) -> Outgoing {
        if multiplexed {
            return Outgoing::Two(h2::request::Outgoing {
                fields: std::mem::take(&mut self.fields),
                body: Arc::from(&self.body[..]),
                expects_continue,
                repeated: false,
                has_cookies,
                wants,
            });
        }
        self.head.extend_from_slice(b"\r\n");
        let head_len = self.head.len();
        self.head.extend_from_slice(&self.body);
        Outgoing::One(Wire {
            bytes: Arc::from(&self.head[..]),
            head_len,
            expects_continue,
            has_cookies,
            wants,
        })
    }
}

fn text_of(expr: &Expr, sight: &dyn Sight, random: &mut Random) -> Result<String, Unfilled> {
    match expr.evaluate(sight, random) {
        Value::Text(text) => Ok(text.into()),
        _ => Err(Unfilled),
    }
}

/// A number in digits.
fn decimal(mut number: usize, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        if number == 0 || at == 0 {
            return &digits[at..];
        }
    }
}

/// A request as it was sent, so that it can be sent elsewhere. Its method is not the call's where a redirect changed it.
pub(crate) fn as_request(outgoing: &Outgoing, of: &Request) -> Request {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match outgoing {
        Outgoing::One(wire) => Request {
            method: text(wire.bytes.split(|&byte| byte == b' ').next().unwrap_or_default()),
            wire: wire.bytes.clone(),
            head_len: wire.head_len,
            ..of.clone()
        },
        Outgoing::Two(sent) => {
            let fields: Vec<_> = sent.fields.iter().map(|(name, value)| (text(name), text(value))).collect();
            let method = fields.iter().find(|(name, _)| name == ":method").map(|(_, value)| value.clone());
            let method = method.unwrap_or_else(|| of.method.clone());
            Request { method, fields, body: sent.body.clone(), ..of.clone() }
        }
    }
}

/// The path that a request went to.
pub(crate) fn path_sent(outgoing: &Outgoing) -> String {
    match outgoing {
        Outgoing::One(wire) => path_of_head(&wire.bytes).to_owned(),
        Outgoing::Two(request) => {
            let path = request.fields.iter().find(|(name, _)| name == b":path");
            let target =
                path.map_or_else(String::new, |(_, value)| String::from_utf8_lossy(value).into_owned());
            target.split('?').next().unwrap_or("/").to_owned()
        }
    }
}

/// The path of a request line (RFC 9112 section 3).
pub(crate) fn path_of_head(head: &[u8]) -> &str {
    let target = head.split(|&byte| byte == b' ').nth(1).unwrap_or_default();
    let end = target.iter().position(|&byte| byte == b'?').unwrap_or(target.len());
    std::str::from_utf8(&target[..end]).unwrap_or("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The field of that name goes, and neither one whose name begins so nor one with that value.
    #[test]
    fn one_field_is_dropped() {
        let head = b"GET /cookie: HTTP/1.1\r\nCOOKIE: a=b\r\nCookies: c\r\nX: cookie: d\r\n".to_vec();
        let fields = ["cookie", "cookies", "x"].map(|name| (name.as_bytes().to_vec(), b"cookie".to_vec()));
        let mut filler = Filler { head, fields: fields.to_vec(), ..Filler::default() };
        filler.drop_field(b"cookie");
        assert_eq!(filler.head, b"GET /cookie: HTTP/1.1\r\nCookies: c\r\nX: cookie: d\r\n");
        assert_eq!(filler.fields, fields[1..]);
    }

    #[test]
    fn the_last_field_is_dropped() {
        fn check(head: &[u8], want: &[u8]) {
            let fields = [b":path", b"added"].map(|name| (name.to_vec(), b"/".to_vec()));
            let mut filler = Filler { head: head.to_vec(), fields: fields.to_vec(), ..Filler::default() };
            filler.drop_last_field();
            assert_eq!((&filler.head[..], &filler.fields[..]), (want, &fields[..1]));
        }
        check(b"GET / HTTP/1.1\r\nCookie: a=1\r\nCookie: b=2\r\n", b"GET / HTTP/1.1\r\nCookie: a=1\r\n");
        check(b"", b"");
    }

    #[test]
    fn numbers_are_written_in_digits() {
        for number in [0, 7, 10, 1_234_567, usize::MAX] {
            assert_eq!(decimal(number, &mut [0; 20]), number.to_string().as_bytes());
        }
    }
}
