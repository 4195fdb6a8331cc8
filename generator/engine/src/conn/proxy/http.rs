//! CONNECT: an HTTP proxy is asked for a tunnel to the target (RFC 9110 section 9.3.6).

use std::mem::MaybeUninit;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use brunt_model::outcome::ErrorKind;
use brunt_model::plan::Proxy;

use super::Progress;
use crate::limits::{HEAD_BYTES_MAX, HEAD_FIELDS_MAX, INTERIM_MAX, PARTIAL_HEAD_KEPT};

#[derive(Clone, Debug)]
pub(super) struct Connect {
    request: Vec<u8>,
    /// The response head so far.
    head: Vec<u8>,
    /// Bytes of its present line, the line break left out: a head ends with an empty one.
    line: usize,
    interim: u8,
}

impl Connect {
    pub(super) fn new(proxy: &Proxy) -> Self {
        Self { request: request(proxy), head: Vec::new(), line: 0, interim: 0 }
    }

    pub(super) fn start(&mut self, out: &mut Vec<u8>) {
        self.next_head();
        self.interim = 0;
        out.extend_from_slice(&self.request);
    }

    /// Heads are cut off at their empty line before they are parsed, so nothing behind the last is touched.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Progress, ErrorKind> {
        for (at, &byte) in bytes.iter().enumerate() {
            if self.head.len() == HEAD_BYTES_MAX {
                return Err(ErrorKind::Proxy);
            }
            self.head.push(byte);
            match byte {
                b'\n' if self.line == 0 => {
                    if self.is_final()? {
                        self.next_head();
                        return Ok(Progress::Done { used: at + 1 });
                    }
                    self.next_head();
                }
                b'\n' => self.line = 0,
                b'\r' => {}
                _ => self.line += 1,
            }
        }
        Ok(Progress::More)
    }

    /// Judges a whole head: 2xx opens the tunnel, of 1xx a few may come before it, and anything else is a refusal.
    fn is_final(&mut self) -> Result<bool, ErrorKind> {
        match status(&self.head).ok_or(ErrorKind::Proxy)? {
            // Nobody asked for another protocol.
            101 => Err(ErrorKind::Proxy),
            100..200 if self.interim < INTERIM_MAX => {
                self.interim += 1;
                Ok(false)
            }
            200..300 => Ok(true),
            _ => Err(ErrorKind::Proxy),
        }
    }

    fn next_head(&mut self) {
        self.head.clear();
        self.head.shrink_to(PARTIAL_HEAD_KEPT);
        self.line = 0;
    }
}

fn request(proxy: &Proxy) -> Vec<u8> {
    let Proxy { host, port, credentials, .. } = proxy;
    let authority = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let mut text = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
    if let Some((user, password)) = credentials {
        // The Basic scheme (RFC 7617 section 2).
        let basic = STANDARD.encode(format!("{user}:{password}"));
        text.push_str(&format!("Proxy-Authorization: Basic {basic}\r\n"));
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// The status of a head, if it is one and ends where the bytes end. Its fields are checked for form only: in an answer
/// to CONNECT `Content-Length` and `Transfer-Encoding` mean nothing (RFC 9110 section 9.3.6).
fn status(head: &[u8]) -> Option<u16> {
    let mut fields = [const { MaybeUninit::uninit() }; HEAD_FIELDS_MAX];
    let mut response = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    match config.parse_response_with_uninit_headers(&mut response, head, &mut fields) {
        Ok(httparse::Status::Complete(len)) if len == head.len() => response.code,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use brunt_model::scenario::ProxyKind;

    use super::super::tests::{proxy, run};
    use super::*;

    /// `answer` has plain line breaks; `want` is how many bytes of it belong to the proxy once all arrived.
    fn check(answer: &str, want: Result<Option<&str>, ErrorKind>) {
        let bytes = answer.replace('\n', "\r\n").into_bytes();
        let want = want.map(|used| used.map(|text| text.replace('\n', "\r\n").len()));
        for cut in [1, 2, 3, 7, 50, usize::MAX] {
            let (_, got) = run(&proxy(ProxyKind::Http, "a.example", None), &bytes, cut);
            assert_eq!(got, want, "{answer} cut {cut}");
        }
    }

    #[test]
    fn the_request_names_the_target() {
        let sent = |host: &str, credentials| {
            let (sent, _) = run(&proxy(ProxyKind::Http, host, credentials), b"", 1);
            String::from_utf8(sent).unwrap()
        };
        assert_eq!(sent("a.example", None), "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n");
        assert_eq!(
            sent("2001:db8::1", Some(("Aladdin", "open sesame"))),
            "CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\
             Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"
        );
    }

    #[test]
    fn a_tunnel_opens_with_2xx_and_the_rest_is_the_targets() {
        for (head, rest) in [
            ("HTTP/1.1 200 Connection established\n\n", ""),
            ("HTTP/1.0 200 OK\nVia: x\n\n", "\x16\x03\x01"),
            ("HTTP/1.1 204 No Content\n\n", "HTTP/1.1 200 OK\n\n"),
            ("HTTP/1.1 200 OK\nContent-Length: 5\n\n", "hello"),
            ("HTTP/1.1 200 OK\nContent-Length: x\nTransfer-Encoding: chunked\n\n", "0\n\n"),
            ("HTTP/1.1 100 Continue\n\nHTTP/1.1 103 Hints\nLink: x\n\nHTTP/1.1 200 OK\n\n", "\n\n"),
        ] {
            check(&format!("{head}{rest}"), Ok(Some(head)));
        }
        check("HTTP/1.1 200 OK\nVia: x\n", Ok(None));
        let interim = "HTTP/1.1 100 Continue\n\n".repeat(usize::from(INTERIM_MAX));
        let answer = format!("{interim}HTTP/1.1 200 OK\n\n");
        check(&answer, Ok(Some(&answer)));
    }

    #[test]
    fn anything_else_is_a_refusal() {
        let long = format!("HTTP/1.1 200 OK\nA: {}\n\n", "b".repeat(HEAD_BYTES_MAX));
        let many = format!("HTTP/1.1 200 OK\n{}\n", "A: b\n".repeat(HEAD_FIELDS_MAX + 1));
        let interim = "HTTP/1.1 100 Continue\n\n".repeat(usize::from(INTERIM_MAX) + 1);
        for answer in [
            "HTTP/1.1 407 Proxy Authentication Required\nProxy-Authenticate: Basic realm=x\n\n",
            "HTTP/1.1 301 Moved\nLocation: /\n\n",
            "HTTP/1.1 502 Bad Gateway\n\n",
            "HTTP/1.1 101 Switching Protocols\n\n",
            "HTTP/1.1 99 x\n\n",
            "HTTP/2 200\n\n",
            "SSH-2.0-x\n\n",
            "\nHTTP/1.1 200 OK\n\n",
            "HTTP/1.1 200 OK\nno field\n\n",
            &long,
            &many,
            &interim,
        ] {
            check(answer, Err(ErrorKind::Proxy));
        }
    }
}
