//! One hostile server and what a client must make of it, as data.

use std::time::Duration;

use super::http2::Habits;
use super::tls::Tls;
use crate::wire::Act;

/// A run gives up on a case within this unless the case says otherwise: its `--timeout` and a second for the process.
const GIVE_UP: Duration = Duration::from_secs(4);

/// A hostile server and how a client must end with it.
#[derive(Copy, Clone, Debug)]
pub struct Case {
    /// Number and name, as in `T9-ping`.
    pub id: &'static str,
    pub protocol: Protocol,
    /// What the server does, in one line.
    pub does: &'static str,
    /// Requests of a run against it (`-n`), and the connections that make them (`-c`).
    pub requests: u32,
    pub connections: u32,
    /// What a request of that run may take (`--timeout`), as typed.
    pub timeout: &'static str,
    /// Further flags of it. `{ca}` stands for a file with the zoo's authority, `{body}` for one of 8 MiB.
    pub flags: &'static str,
    pub expect: Expect,
    /// The longest that such a run may take, its process included.
    pub give_up: Duration,
    pub(super) serve: Serve,
    pub(super) tls: Option<Tls>,
    /// Bytes of the socket's receive buffer where the kernel's own choice would hide the fault.
    pub(super) receive_buffer: Option<usize>,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Protocol {
    Http1,
    /// HTTP/2 with prior knowledge, in clear text.
    H2c,
    TlsHttp1,
    TlsHttp2,
}

/// How each request of a run must end. Kinds are names of the closed list of outcomes.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Expect {
    /// No answer: every failure is one of these kinds, and there is one for each request.
    Fails(&'static [&'static str]),
    /// No connection was ever usable: every failure is one of these kinds. How often one is tried is the client's affair.
    NeverConnects(&'static [&'static str]),
    /// An answer arrived for each request, and this is why it does not count.
    Rejects(&'static str),
    Completes,
    /// Both are right: it completes, or fails as one of these kinds.
    CompletesOrFails(&'static [&'static str]),
}

/// What a server does with a connection.
#[derive(Copy, Clone, Debug)]
pub(super) enum Serve {
    /// These acts at once, whatever the client says.
    AtOnce(fn() -> Vec<Act>),
    /// These acts for each request.
    Http1(fn() -> Vec<Act>),
    Http2(Habits),
}

impl Protocol {
    pub const ALL: [Self; 4] = [Self::Http1, Self::H2c, Self::TlsHttp1, Self::TlsHttp2];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http1 => "h1",
            Self::H2c => "h2c",
            Self::TlsHttp1 => "tls-h1",
            Self::TlsHttp2 => "tls-h2",
        }
    }

    #[must_use]
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::Http1 | Self::H2c => "http",
            Self::TlsHttp1 | Self::TlsHttp2 => "https",
        }
    }

    /// The flags that make a client speak it and trust the zoo.
    const fn flags(self) -> &'static str {
        match self {
            Self::Http1 => "",
            Self::H2c => "--h2c",
            Self::TlsHttp1 => "--cacert {ca}",
            Self::TlsHttp2 => "--http2 --cacert {ca}",
        }
    }
}

impl Expect {
    /// The expected kinds of failure.
    #[must_use]
    pub fn kinds(&self) -> Vec<&'static str> {
        match self {
            Self::Fails(kinds) | Self::NeverConnects(kinds) | Self::CompletesOrFails(kinds) => kinds.to_vec(),
            Self::Rejects(kind) => vec![kind],
            Self::Completes => Vec::new(),
        }
    }

    /// In a few words, for tables.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Completes => "completes".to_owned(),
            Self::CompletesOrFails(kinds) => format!("completes or {}", kinds.join(" or ")),
            Self::Fails(kinds) | Self::NeverConnects(kinds) => kinds.join(" or "),
            Self::Rejects(kind) => format!("{kind}, answered"),
        }
    }
}

impl Case {
    /// Four requests, one a connection, that must complete.
    pub(super) const fn new(protocol: Protocol, id: &'static str, does: &'static str, serve: Serve) -> Self {
        Self {
            id,
            protocol,
            does,
            requests: 4,
            connections: 4,
            timeout: "2s",
            flags: "",
            expect: Expect::Completes,
            give_up: GIVE_UP,
            serve,
            tls: None,
            receive_buffer: None,
        }
    }

    pub(super) const fn http1(id: &'static str, does: &'static str, answer: fn() -> Vec<Act>) -> Self {
        Self::new(Protocol::Http1, id, does, Serve::Http1(answer))
    }

    pub(super) const fn at_once(
        protocol: Protocol,
        id: &'static str,
        does: &'static str,
        acts: fn() -> Vec<Act>,
    ) -> Self {
        Self::new(protocol, id, does, Serve::AtOnce(acts))
    }

    pub(super) const fn h2c(id: &'static str, does: &'static str, habits: Habits) -> Self {
        Self::new(Protocol::H2c, id, does, Serve::Http2(habits))
    }

    pub(super) const fn with_tls(self, tls: Tls) -> Self {
        Self { tls: Some(tls), ..self }
    }

    pub(super) const fn fails(self, kinds: &'static [&'static str]) -> Self {
        Self { expect: Expect::Fails(kinds), ..self }
    }

    pub(super) const fn expects(self, expect: Expect) -> Self {
        Self { expect, ..self }
    }

    pub(super) const fn timeout(self, timeout: &'static str) -> Self {
        Self { timeout, ..self }
    }

    pub(super) const fn flags(self, flags: &'static str) -> Self {
        Self { flags, ..self }
    }

    pub(super) const fn requests(self, requests: u32, connections: u32) -> Self {
        Self { requests, connections, ..self }
    }

    pub(super) const fn gives_up_in(self, seconds: u64) -> Self {
        Self { give_up: Duration::from_secs(seconds), ..self }
    }

    pub(super) const fn receive_buffer(self, bytes: usize) -> Self {
        Self { receive_buffer: Some(bytes), ..self }
    }

    /// The flags of a run, without its size and its timeout.
    #[must_use]
    pub fn all_flags(&self, ca: &str, body: &str) -> Vec<String> {
        let words = self.protocol.flags().split_whitespace().chain(self.flags.split_whitespace());
        words.map(|word| word.replace("{ca}", ca).replace("{body}", body)).collect()
    }
}
