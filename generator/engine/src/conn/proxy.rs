//! The client side of a proxy handshake, before the target is spoken to.
//!
//! The machine never takes a byte that belongs to the target: what follows the handshake is left to the caller.

mod http;
mod socks5;

use brunt_model::outcome::ErrorKind;
use brunt_model::plan::Proxy;
use brunt_model::scenario::ProxyKind;

/// Where a piece of input left the handshake.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Progress {
    /// All input is used; what was written to `out` is to be sent, and more must come.
    More,
    /// The target is connected. So many bytes of the input were the proxy's; the rest is the target's.
    Done { used: usize },
}

/// One connection's way through a proxy.
#[derive(Clone, Debug)]
pub struct Handshake {
    machine: Machine,
    end: Option<Result<(), ErrorKind>>,
}

#[derive(Clone, Debug)]
enum Machine {
    Http(http::Connect),
    Socks5(socks5::Socks5),
}

impl Handshake {
    /// A handshake that asks this proxy for its target.
    #[must_use]
    pub fn new(proxy: &Proxy) -> Self {
        let machine = match proxy.kind {
            ProxyKind::Http => Machine::Http(http::Connect::new(proxy)),
            ProxyKind::Socks5 => Machine::Socks5(socks5::Socks5::new(proxy)),
        };
        Self { machine, end: None }
    }

    /// Begins on a new connection, the first or a later one: appends to `out` what is sent first.
    pub fn start(&mut self, out: &mut Vec<u8>) {
        self.end = None;
        match &mut self.machine {
            Machine::Http(connect) => connect.start(out),
            Machine::Socks5(socks5) => socks5.start(out),
        }
    }

    /// Takes what the proxy sent, and appends to `out` what is to be sent next. After the end nothing is taken.
    ///
    /// # Errors
    /// `Proxy` where the proxy refuses, breaks its protocol or cannot be told the target; the same again after that.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<Progress, ErrorKind> {
        if let Some(end) = self.end {
            return end.map(|()| Progress::Done { used: 0 });
        }
        let progress = match &mut self.machine {
            Machine::Http(connect) => connect.feed(bytes),
            Machine::Socks5(socks5) => socks5.feed(bytes, out),
        };
        self.end = match progress {
            Ok(Progress::More) => None,
            Ok(Progress::Done { .. }) => Some(Ok(())),
            Err(kind) => Some(Err(kind)),
        };
        progress
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(super) fn proxy(kind: ProxyKind, host: &str, credentials: Option<(&str, &str)>) -> Proxy {
        let credentials = credentials.map(|(user, password)| (user.to_owned(), password.to_owned()));
        Proxy { kind, host: host.to_owned(), port: 443, credentials }
    }

    /// Feeds `answer` in pieces of `cut` bytes. Returns all that was sent and, at the end, all bytes used.
    pub(super) fn run(
        proxy: &Proxy,
        answer: &[u8],
        cut: usize,
    ) -> (Vec<u8>, Result<Option<usize>, ErrorKind>) {
        let (mut handshake, mut out, mut used) = (Handshake::new(proxy), Vec::new(), 0);
        handshake.start(&mut out);
        for piece in answer.chunks(cut.max(1)) {
            match handshake.feed(piece, &mut out) {
                Ok(Progress::More) => used += piece.len(),
                Ok(Progress::Done { used: last }) => return (out, Ok(Some(used + last))),
                Err(kind) => {
                    assert_eq!(handshake.feed(piece, &mut out), Err(kind), "an error stays");
                    return (out, Err(kind));
                }
            }
        }
        (out, Ok(None))
    }

    #[test]
    fn a_handshake_can_begin_again() {
        for (kind, answer) in [
            (ProxyKind::Http, b"HTTP/1.1 200 OK\r\n\r\n".to_vec()),
            (ProxyKind::Socks5, vec![5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
        ] {
            let mut handshake = Handshake::new(&proxy(kind, "a.example", None));
            let mut sent = Vec::new();
            for _ in 0..3 {
                let mut out = Vec::new();
                handshake.start(&mut out);
                assert_eq!(handshake.feed(&answer[..1], &mut out), Ok(Progress::More));
                // Given up in the middle, then once more to the end.
                out.clear();
                handshake.start(&mut out);
                let done = Ok(Progress::Done { used: answer.len() });
                assert_eq!(handshake.feed(&answer, &mut out), done);
                assert_eq!(handshake.feed(b"target", &mut out), Ok(Progress::Done { used: 0 }));
                sent.push(out);
            }
            assert!(sent.windows(2).all(|pair| pair[0] == pair[1]), "{sent:?}");
        }
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter_and_nothing_panics(
            tail in prop::collection::vec(any::<u8>(), 0..80),
            begin in 0usize..6,
            cut in 1usize..40,
            with_credentials in any::<bool>(),
        ) {
            let head: &[u8] = [
                &b""[..],
                b"HTTP/1.1 200 OK\r\n",
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
                &[5, 0, 5, 0, 0, 3],
                &[5, 2, 1, 0, 5, 0, 0, 4],
                &[5, 0, 5, 0, 0, 1],
            ][begin];
            let bytes = [head, &tail].concat();
            let credentials = with_credentials.then_some(("user", "password"));
            for kind in [ProxyKind::Http, ProxyKind::Socks5] {
                let proxy = proxy(kind, "a.example", credentials);
                prop_assert_eq!(run(&proxy, &bytes, cut), run(&proxy, &bytes, usize::MAX));
            }
        }
    }
}
