//! One connection from its proxy to its protocol: what comes in is opened and fed, what goes out is gathered and sealed.

use brunt_model::outcome::ErrorKind;
use brunt_model::plan::{Plan, Protocol};
use brunt_model::samples::ANSWER_KEPT;

use super::h2::client::{self, Client};
use super::one::{One, Wire};
use super::proxy::Handshake;
use super::records::Records;
use super::tls::Session;
use super::{ErrorsKept, Kept, Step, Wants, h1, h2};
use crate::limits::{ERRORS_KEPT, OUT_MAX};

/// A request, as either version sends it.
#[derive(Clone, Debug)]
pub enum Outgoing {
    One(Wire),
    Two(h2::request::Outgoing),
}

impl Outgoing {
    /// What is wanted of its answer.
    #[inline]
    #[must_use]
    pub const fn wants(&self) -> Wants {
        match self {
            Self::One(wire) => wire.wants,
            Self::Two(request) => request.wants,
        }
    }

    /// Its last field is of the cookies that its user keeps.
    #[must_use]
    pub const fn has_cookies(&self) -> bool {
        match self {
            Self::One(wire) => wire.has_cookies,
            Self::Two(request) => request.has_cookies,
        }
    }

    /// Its bytes, where they are known before it is encoded.
    #[inline]
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::One(wire) => wire.bytes.len() as u64,
            Self::Two(request) => request.body.len() as u64,
        }
    }
}

/// What is the same for all connections of a core.
#[derive(Debug)]
pub struct Context {
    pub one: h1::Context,
    pub two: client::Context,
}

impl Context {
    /// Content of the next answer that tells of an error is kept.
    #[must_use]
    pub const fn keeps_errors(&self) -> bool {
        self.one.errors.answers > 0 && self.two.errors.answers > 0
    }

    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let (decode, redirects) = (plan.decode, plan.redirects.is_some());
        let body_limit = plan.body_limit.0;
        let caches = plan.script.calls.iter().map(|_| super::head::HeadCache::default()).collect();
        let errors = ErrorsKept { bytes: ANSWER_KEPT, answers: ERRORS_KEPT };
        Self {
            one: h1::Context { caches, body_limit, decode, redirects, errors },
            two: client::Context { body_limit, decode, redirects, errors },
        }
    }
}

/// The protocol's own machine.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a run has one kind; the smaller one must not cost a way through memory"
)]
pub enum Http {
    One(One),
    Two(Box<Client>),
}

/// The machines of one connection.
#[derive(Debug)]
pub struct Link {
    pub proxy: Option<Box<Handshake>>,
    pub tls: Option<Box<Session>>,
    pub http: Http,
    /// What is to be sent, before it is sealed.
    out: Vec<u8>,
    /// What is to be sent over the socket, where that is something else.
    sealed: Vec<u8>,
}

impl Link {
    #[must_use]
    pub fn new(protocol: Protocol) -> Self {
        // Nothing large is allocated for a connection that may never be made.
        let lanes = if let Protocol::Http1 { pipeline } = protocol { pipeline } else { 0 };
        let http = Http::One(One::new(lanes));
        Self { proxy: None, tls: None, http, out: Vec::new(), sealed: Vec::new() }
    }

    /// Makes ready for a new connection.
    pub fn reset(&mut self, protocol: Protocol) {
        (self.proxy, self.tls) = (None, None);
        self.out.clear();
        self.sealed.clear();
        match (protocol, &mut self.http) {
            (Protocol::Http1 { .. }, Http::One(one)) => one.reset(),
            (Protocol::Http1 { pipeline }, http) => *http = Http::One(One::new(pipeline)),
            (Protocol::Http2 { streams }, http) => *http = Http::Two(Box::new(Client::new(streams))),
        }
    }

    /// The connection is there: says what the protocol says first.
    pub fn start(&mut self, context: &Context) {
        if let Http::Two(client) = &mut self.http {
            client.start(&context.two, &mut self.out);
        }
    }

    /// Takes plaintext, up to the next step. Of `bytes` the number returned were used.
    #[inline]
    pub fn feed(&mut self, bytes: &[u8], now: u64, context: &mut Context) -> (usize, Step) {
        match &mut self.http {
            Http::One(one) => one.feed(bytes, &mut context.one, &mut self.out),
            Http::Two(client) => client.feed(bytes, now, &mut context.two, &mut self.out),
        }
    }

    /// The peer closed its side.
    pub fn feed_eof(&mut self) -> Step {
        match &mut self.http {
            Http::One(one) => one.feed_eof(),
            Http::Two(client) if client.is_leaving() => Step::Failed(ErrorKind::Goaway),
            Http::Two(_) => Step::Failed(ErrorKind::ClosedEarly),
        }
    }

    /// Another request may be sent now.
    #[inline]
    #[must_use]
    pub fn can_request(&self) -> bool {
        match &self.http {
            Http::One(_) => true,
            // A server that answers but does not read would make us gather without end.
            Http::Two(client) => client.can_request() && self.out.len() + self.sealed.len() < OUT_MAX,
        }
    }

    /// Requests begun and not answered.
    #[inline]
    #[must_use]
    pub fn under_way(&self) -> usize {
        match &self.http {
            Http::One(one) => one.under_way(),
            Http::Two(client) => client.open() as usize,
        }
    }

    /// No request will be taken any more.
    #[inline]
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        match &self.http {
            Http::One(_) => false,
            Http::Two(client) => client.is_leaving(),
        }
    }

    /// Sends a request in a lane; returns its length on the wire before TLS.
    #[inline]
    pub fn request(&mut self, lane: u32, request: &Outgoing) -> u64 {
        match (&mut self.http, request) {
            (Http::One(one), Outgoing::One(wire)) => {
                one.request(lane, wire, &mut self.out);
                wire.bytes.len() as u64
            }
            (Http::Two(client), Outgoing::Two(request)) => {
                let before = self.out.len();
                client.request(lane, request, &mut self.out);
                let later = client.left_to_upload(lane);
                (self.out.len() - before + later) as u64
            }
            // Requests and connections are of the plan's one protocol.
            (Http::One(_), Outgoing::Two(_)) | (Http::Two(_), Outgoing::One(_)) => 0,
        }
    }

    /// Goes on with request bodies.
    pub fn pump(&mut self) {
        match &mut self.http {
            Http::One(one) => one.pump(&mut self.out),
            Http::Two(client) => client.pump(&mut self.out),
        }
    }

    /// Goes on with bodies that waited for `100 (Continue)`.
    pub fn release_uploads(&mut self) {
        match &mut self.http {
            Http::One(one) => one.release_upload(&mut self.out),
            Http::Two(client) => client.release_uploads(&mut self.out),
        }
    }

    /// The request in a lane goes out by other ways.
    #[inline]
    pub fn sent(&mut self, lane: u32, wants: Wants) {
        if let Http::One(one) = &mut self.http {
            one.sent(lane, wants);
        }
    }

    /// The server keeps its window closed to the lane's request.
    #[must_use]
    pub fn is_shut_out(&self, lane: u32) -> bool {
        match &self.http {
            Http::One(_) => false,
            Http::Two(client) => client.is_shut_out(lane),
        }
    }

    /// Ends the request of one lane; false where that takes the connection.
    pub fn abandon(&mut self, lane: u32) -> bool {
        match &mut self.http {
            Http::One(_) => false,
            Http::Two(client) => {
                client.abandon(lane, &mut self.out);
                true
            }
        }
    }

    /// What was kept of the answer that a lane got last.
    #[must_use]
    pub fn kept(&self, lane: u32) -> Kept<'_> {
        match &self.http {
            Http::One(one) => one.kept(),
            Http::Two(client) => client.kept(lane),
        }
    }

    /// Where the answer of a lane redirected to.
    #[must_use]
    pub fn location(&self, lane: u32) -> &[u8] {
        match &self.http {
            Http::One(one) => one.location(),
            Http::Two(client) => client.location(lane),
        }
    }

    /// What is to be written to the socket now. Whoever takes it empties it.
    #[inline]
    pub fn output(&mut self) -> &mut Vec<u8> {
        let Some(tls) = &mut self.tls else { return &mut self.out };
        if self.sealed.len() >= OUT_MAX {
            // The socket takes nothing at present: what is not sealed holds back whoever wants to send more.
            return &mut self.sealed;
        }
        if !self.out.is_empty() {
            tls.write(&self.out, &mut self.sealed);
            self.out.clear();
        } else {
            tls.flush(&mut self.sealed);
        }
        &mut self.sealed
    }

    /// Something waits to be written.
    #[inline]
    #[must_use]
    pub fn has_output(&self) -> bool {
        !self.out.is_empty()
            || !self.sealed.is_empty()
            || self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Bytes that go out before those of the next request.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let later = if let Http::One(one) = &self.http { one.left_to_upload() } else { 0 };
        self.out.len() + later
    }

    /// What waits to be sealed, and what is sealed and waits to be written.
    #[must_use]
    pub fn waiting_for_tls(&self) -> (usize, usize) {
        if self.tls.is_some() { (self.out.len(), self.sealed.len()) } else { (0, 0) }
    }

    /// What was gathered will not be sent.
    pub fn forget_output(&mut self) {
        self.out.clear();
        self.sealed.clear();
    }

    /// Says goodbye where the protocol has words for it.
    pub fn goodbye(&mut self) {
        if let Http::Two(client) = &mut self.http {
            client.goodbye(&mut self.out);
        }
        if let Some(tls) = &mut self.tls {
            if !self.out.is_empty() {
                tls.write(&self.out, &mut self.sealed);
                self.out.clear();
            }
            tls.close(&mut self.sealed);
        }
    }

    /// Somebody will ask at which offsets answers begin. Told for each new connection.
    pub fn follow_answers(&mut self) {
        if let Http::Two(client) = &mut self.http {
            client.follow_answers();
        }
    }

    /// What is fed next lies at this offset: of the TCP stream, or of the plaintext where there is TLS.
    pub fn feed_from(&mut self, offset: u64) {
        if let Http::Two(client) = &mut self.http {
            client.feed_from(offset);
        }
    }

    /// An HTTP/2 answer that began since the last call: its lane, and the offset as `feed_from` counts.
    #[inline]
    pub fn next_begun(&mut self) -> Option<(u32, u64)> {
        match &mut self.http {
            Http::One(_) => None,
            Http::Two(client) => client.next_begun(),
        }
    }

    /// Plaintext that came so far; `None` where there is no TLS.
    #[must_use]
    pub fn plain_end(&self) -> Option<u64> {
        self.tls.as_ref()?.records.as_ref().map(Records::plain_end)
    }

    /// The offset in the TCP stream of what holds the byte at an offset as `feed_from` counts: the byte or its record.
    #[must_use]
    pub fn in_stream(&self, offset: u64) -> Option<u64> {
        match &self.tls {
            None => Some(offset),
            Some(tls) => tls.records.as_ref()?.record_of(offset),
        }
    }

    /// Forgets where those records began that hold nothing of what is still to be asked for.
    pub fn forget_records(&mut self) {
        let Some(records) = self.tls.as_mut().and_then(|tls| tls.records.as_mut()) else { return };
        let needed = match &self.http {
            Http::One(_) => records.plain_end(),
            Http::Two(client) => client.open_from().unwrap_or_else(|| records.plain_end()),
        };
        records.forget_before(needed);
    }

    /// Begins the proxy's handshake.
    pub fn begin_proxy(&mut self, mut handshake: Handshake) {
        handshake.start(&mut self.out);
        self.proxy = Some(Box::new(handshake));
    }

    /// Takes what the proxy sent; the number of bytes used once its handshake has ended.
    ///
    /// # Errors
    /// When the proxy refuses or fails.
    pub fn feed_proxy(&mut self, bytes: &[u8]) -> Result<Option<usize>, ErrorKind> {
        let Some(proxy) = &mut self.proxy else { return Ok(Some(0)) };
        match proxy.feed(bytes, &mut self.out)? {
            super::proxy::Progress::More => Ok(None),
            super::proxy::Progress::Done { used } => {
                self.proxy = None;
                if !self.out.is_empty() {
                    // It answered what it was not asked yet. That must not go to the target.
                    self.out.clear();
                    return Err(ErrorKind::Proxy);
                }
                Ok(Some(used))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use brunt_model::plan::Proxy;
    use brunt_model::scenario::ProxyKind;

    use super::*;

    /// With the password still to be sent, the proxy's part once ended, and what was left went to the target.
    #[test]
    fn a_proxy_that_answers_too_early_gets_nothing_through() {
        let mut link = Link::new(Protocol::Http1 { pipeline: 1 });
        link.begin_proxy(Handshake::new(&Proxy {
            kind: ProxyKind::Socks5,
            host: "h".to_owned(),
            port: 80,
            credentials: Some(("user".to_owned(), "secret".to_owned())),
        }));
        link.output().clear();
        let all_at_once = [&b"\x05\x02"[..], b"\x01\x00", b"\x05\x00\x00\x01\0\0\0\0\0\0"].concat();
        assert_eq!(link.feed_proxy(&all_at_once), Err(ErrorKind::Proxy));
        assert!(!link.has_output(), "nothing of it is left");
    }

    /// A server that answers what it predicts and never reads once made output without end.
    #[test]
    fn requests_wait_while_output_is_not_taken() {
        let mut link = Link::new(Protocol::Http2 { streams: 1 });
        link.reset(Protocol::Http2 { streams: 1 });
        let mut context = Context {
            one: h1::Context {
                caches: vec![super::super::head::HeadCache::default()],
                body_limit: 1_000,
                decode: false,
                redirects: false,
                errors: ErrorsKept::default(),
            },
            two: client::Context {
                body_limit: 1_000,
                decode: false,
                redirects: false,
                errors: ErrorsKept::default(),
            },
        };
        link.start(&context);
        assert_eq!(link.feed(b"\0\0\0\x04\0\0\0\0\0", 1, &mut context).1, Step::Ready);
        let request = Outgoing::Two(h2::request::Outgoing {
            fields: vec![(b"authorization".to_vec(), vec![b'x'; 1_000])],
            body: Vec::new().into(),
            expects_continue: false,
            repeated: true,
            has_cookies: false,
            wants: Wants::default(),
        });
        let mut sent = 0u32;
        while link.can_request() {
            link.request(0, &request);
            let answer = [&b"\0\0\x01\x01\x05"[..], &(2 * sent + 1).to_be_bytes(), b"\x88"].concat();
            assert!(matches!(link.feed(&answer, 1, &mut context).1, Step::Done { .. }));
            sent += 1;
            assert!(link.output().len() < 2 * OUT_MAX, "output is bounded");
        }
        assert!(sent > 10);
    }
}
