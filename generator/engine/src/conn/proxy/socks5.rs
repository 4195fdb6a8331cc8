//! SOCKS version 5 (RFC 1928), with names and passwords (RFC 1929).
//!
//! The target's name goes to the proxy as it is, so that the proxy looks it up.

use std::net::IpAddr;

use brunt_model::outcome::ErrorKind;
use brunt_model::plan::Proxy;

use super::Progress;

const VERSION: u8 = 5;
const METHOD_NONE: u8 = 0;
const METHOD_PASSWORD: u8 = 2;
const PASSWORD_VERSION: u8 = 1;
const COMMAND_CONNECT: u8 = 1;
const ADDRESS_V4: u8 = 1;
const ADDRESS_NAME: u8 = 3;
const ADDRESS_V6: u8 = 4;
const SUCCEEDED: u8 = 0;

/// The longest part of an answer that is looked at.
const PART_MAX: usize = 4;

#[derive(Clone, Debug)]
pub(super) struct Socks5 {
    proxy: Proxy,
    stage: Stage,
    /// The present part of an answer, and how much of it arrived.
    part: [u8; PART_MAX],
    len: usize,
}

/// The part of an answer that is awaited.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Stage {
    Method,
    Password,
    Reply,
    /// The length of the name the proxy is bound to.
    NameLength,
    /// The address the proxy is bound to, so many bytes with its port. Nobody needs it.
    Bound(usize),
    Done,
}

impl Stage {
    const fn length(self) -> usize {
        match self {
            Self::Method | Self::Password => 2,
            Self::Reply => 4,
            Self::NameLength => 1,
            Self::Bound(length) => length,
            Self::Done => 0,
        }
    }
}

impl Socks5 {
    pub(super) fn new(proxy: &Proxy) -> Self {
        Self { proxy: proxy.clone(), stage: Stage::Method, part: [0; PART_MAX], len: 0 }
    }

    pub(super) fn start(&mut self, out: &mut Vec<u8>) {
        (self.stage, self.len) = (Stage::Method, 0);
        if self.proxy.credentials.is_some() {
            out.extend_from_slice(&[VERSION, 2, METHOD_NONE, METHOD_PASSWORD]);
        } else {
            out.extend_from_slice(&[VERSION, 1, METHOD_NONE]);
        }
    }

    pub(super) fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<Progress, ErrorKind> {
        let mut used = 0;
        while self.stage != Stage::Done {
            let wanted = self.stage.length();
            let taken = (wanted - self.len).min(bytes.len() - used);
            // What does not fit is of the address the proxy is bound to.
            if let Some(part) = self.part.get_mut(self.len..self.len + taken) {
                part.copy_from_slice(&bytes[used..used + taken]);
            }
            self.len += taken;
            used += taken;
            if self.len < wanted {
                return Ok(Progress::More);
            }
            self.len = 0;
            self.stage = self.next(out)?;
        }
        Ok(Progress::Done { used })
    }

    /// Judges a whole part, and says what comes next.
    fn next(&self, out: &mut Vec<u8>) -> Result<Stage, ErrorKind> {
        match (self.stage, self.part) {
            (Stage::Method, [VERSION, METHOD_NONE, ..]) => {
                request(&self.proxy, out)?;
                Ok(Stage::Reply)
            }
            (Stage::Method, [VERSION, METHOD_PASSWORD, ..]) => {
                password(&self.proxy, out)?;
                Ok(Stage::Password)
            }
            (Stage::Password, [PASSWORD_VERSION, SUCCEEDED, ..]) => {
                request(&self.proxy, out)?;
                Ok(Stage::Reply)
            }
            (Stage::Reply, [VERSION, SUCCEEDED, 0, ADDRESS_V4, ..]) => Ok(Stage::Bound(4 + 2)),
            (Stage::Reply, [VERSION, SUCCEEDED, 0, ADDRESS_V6, ..]) => Ok(Stage::Bound(16 + 2)),
            (Stage::Reply, [VERSION, SUCCEEDED, 0, ADDRESS_NAME, ..]) => Ok(Stage::NameLength),
            (Stage::NameLength, [length, ..]) => Ok(Stage::Bound(usize::from(length) + 2)),
            (Stage::Bound(_) | Stage::Done, _) => Ok(Stage::Done),
            _ => Err(ErrorKind::Proxy),
        }
    }
}

/// The request for a connection to the target (RFC 1928 section 4).
fn request(proxy: &Proxy, out: &mut Vec<u8>) -> Result<(), ErrorKind> {
    out.extend_from_slice(&[VERSION, COMMAND_CONNECT, 0]);
    match proxy.host.parse() {
        Ok(IpAddr::V4(address)) => {
            out.push(ADDRESS_V4);
            out.extend_from_slice(&address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            out.push(ADDRESS_V6);
            out.extend_from_slice(&address.octets());
        }
        Err(_) => {
            out.push(ADDRESS_NAME);
            counted(&proxy.host, out)?;
        }
    }
    out.extend_from_slice(&proxy.port.to_be_bytes());
    Ok(())
}

/// Name and password (RFC 1929 section 2). Without any, the proxy chose a method that was not offered.
fn password(proxy: &Proxy, out: &mut Vec<u8>) -> Result<(), ErrorKind> {
    let (user, password) = proxy.credentials.as_ref().ok_or(ErrorKind::Proxy)?;
    out.push(PASSWORD_VERSION);
    counted(user, out)?;
    counted(password, out)
}

/// A text of at most 255 bytes after its length.
fn counted(text: &str, out: &mut Vec<u8>) -> Result<(), ErrorKind> {
    out.push(u8::try_from(text.len()).map_err(|_| ErrorKind::Proxy)?);
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use brunt_model::scenario::ProxyKind;

    use super::super::tests::{proxy, run};
    use super::*;

    type Credentials = Option<(&'static str, &'static str)>;
    const USER: Credentials = Some(("me", "secret"));

    fn check(
        host: &str,
        credentials: Credentials,
        answer: &[u8],
        want: Result<Option<usize>, ErrorKind>,
    ) -> Vec<u8> {
        let proxy = proxy(ProxyKind::Socks5, host, credentials);
        let whole = run(&proxy, answer, usize::MAX);
        assert_eq!(whole.1, want, "{answer:?}");
        for cut in 1..answer.len() {
            assert_eq!(run(&proxy, answer, cut), whole, "{answer:?} cut {cut}");
        }
        whole.0
    }

    #[test]
    fn names_and_addresses_are_sent_in_their_own_types() {
        let answer = [5, 0, 5, 0, 0, 1, 10, 0, 0, 1, 1, 187, 0x16, 0x03];
        let sent = |host| check(host, None, &answer, Ok(Some(12)));
        assert_eq!(sent("a.example"), b"\x05\x01\x00\x05\x01\x00\x03\x09a.example\x01\xbb");
        assert_eq!(sent("192.0.2.1"), b"\x05\x01\x00\x05\x01\x00\x01\xc0\x00\x02\x01\x01\xbb");
        assert_eq!(
            sent("2001:db8::1"),
            b"\x05\x01\x00\x05\x01\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x01\xbb"
        );
    }

    #[test]
    fn a_password_is_sent_where_the_proxy_wants_one() {
        let with = [5, 2, 1, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        assert_eq!(
            check("a", USER, &with, Ok(Some(14))),
            b"\x05\x02\x00\x02\x01\x02me\x06secret\x05\x01\x00\x03\x01a\x01\xbb"
        );
        let without = [5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        assert_eq!(
            check("a", USER, &without, Ok(Some(12))),
            b"\x05\x02\x00\x02\x05\x01\x00\x03\x01a\x01\xbb"
        );
    }

    #[test]
    fn the_bound_address_is_skipped_whatever_its_type() {
        let reply = |kind: u8, address: &[u8]| [&[5, 0, 5, 0, 0, kind], address, &[0, 80]].concat();
        for (kind, address) in
            [(1, vec![0; 4]), (4, vec![0; 16]), (3, vec![0]), (3, [&[255][..], &[7; 255]].concat())]
        {
            let mut answer = reply(kind, &address);
            let length = answer.len();
            check("a", None, &answer[..length - 1], Ok(None));
            answer.extend_from_slice(b"target");
            check("a", None, &answer, Ok(Some(length)));
        }
    }

    #[test]
    fn wrong_bytes_and_failures_are_refused() {
        for answer in [
            &[4, 0][..],
            &[5, 0xff],
            &[5, 1],
            // A method that was not offered.
            &[5, 2],
            &[5, 0, 4, 0, 0, 1],
            &[5, 0, 5, 5, 0, 1],
            &[5, 0, 5, 0, 1, 1],
            &[5, 0, 5, 0, 0, 2],
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
        ] {
            check("a", None, answer, Err(ErrorKind::Proxy));
        }
        check("a", USER, &[5, 2, 1, 1], Err(ErrorKind::Proxy));
        check("a", USER, &[5, 2, 5, 0], Err(ErrorKind::Proxy));
    }

    #[test]
    fn what_is_too_long_to_be_told_is_refused() {
        let long: &'static str = Box::leak("x".repeat(256).into_boxed_str());
        check(&long[1..], None, &[5, 0], Ok(None));
        check(long, None, &[5, 0], Err(ErrorKind::Proxy));
        check("a", Some((&long[1..], &long[1..])), &[5, 2], Ok(None));
        check("a", Some((long, "x")), &[5, 2], Err(ErrorKind::Proxy));
        check("a", Some(("x", long)), &[5, 2], Err(ErrorKind::Proxy));
    }
}
