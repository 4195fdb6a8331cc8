//! Our side of an HTTP/1.1 connection against hyper's server.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll};

use brunt_engine::conn::h1::Context;
use brunt_engine::conn::head::HeadCache;
use brunt_engine::conn::one::{One, Wire};
use brunt_engine::conn::{ErrorsKept, Step, Wants};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::{Random, content, run};

/// Exchanges of one seed.
const EXCHANGES: usize = 50;

#[test]
fn exchanges_with_the_server_of_hyper() {
    let seeds = if brunt_tests::long() { 2_000 } else { 100 };
    for seed in 0..seeds {
        check(seed);
    }
}

/// One exchange.
#[derive(Clone, Debug)]
struct Script {
    head: String,
    body: usize,
    chunked: bool,
    expects_continue: bool,
    status: u16,
    pieces: Vec<usize>,
    known_length: bool,
    trailers: bool,
    /// The answer says that the connection ends with it.
    closes: bool,
}

impl Script {
    fn new(exchange: usize, is_head: bool, random: &mut Random) -> Self {
        let body = if is_head || random.chance(50) { 0 } else { random.length(300_000) };
        let (chunked, expects_continue) = (random.chance(30), body > 0 && random.chance(20));
        let method = match (is_head, body) {
            (true, _) => "HEAD",
            (_, 0) => "GET",
            _ => "POST",
        };
        // An answer is as long as the connection lasts only where the request is of HTTP/1.0.
        let until_close = random.chance(3);
        let version = if until_close { "1.0" } else { "1.1" };
        let mut head = format!("{method} /{exchange} HTTP/{version}\r\nHost: a.example\r\n");
        for field in 0..random.below(5) {
            head += &format!("X-{field}: {}\r\n", "v".repeat(random.below(300)));
        }
        head += match (body, chunked && !until_close) {
            (0, _) => "".to_owned(),
            (_, true) => "Transfer-Encoding: chunked\r\n".to_owned(),
            (_, false) => format!("Content-Length: {body}\r\n"),
        }
        .as_str();
        if expects_continue && !until_close {
            head += "Expect: 100-continue\r\n";
        }
        head += "\r\n";
        let status = random.one_of(&[200, 200, 200, 201, 204, 304, 404, 500]);
        let length = if is_head || matches!(status, 204 | 304) { 0 } else { random.length(200_000) };
        Self {
            head,
            body,
            chunked: chunked && !until_close,
            expects_continue: expects_continue && !until_close,
            status,
            pieces: random.pieces(length),
            known_length: !until_close && random.chance(50),
            trailers: length > 0 && random.chance(20),
            closes: until_close || random.chance(3),
        }
    }

    fn wire(&self, random: &mut Random) -> Wire {
        let mut bytes = self.head.clone().into_bytes();
        let body = content(self.body);
        if self.chunked && self.body > 0 {
            let mut rest = &body[..];
            for piece in random.pieces(self.body) {
                let (chunk, later) = rest.split_at(piece);
                bytes.extend_from_slice(format!("{piece:x}\r\n").as_bytes());
                bytes.extend_from_slice(chunk);
                bytes.extend_from_slice(b"\r\n");
                rest = later;
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
        } else {
            bytes.extend_from_slice(&body);
        }
        let head_len = self.head.len();
        let wants = Wants { to_head: self.head.starts_with("HEAD "), ..Wants::default() };
        let expects_continue = self.expects_continue;
        Wire { bytes: bytes.into(), head_len, expects_continue, has_cookies: false, wants }
    }
}

/// What hyper handed to its service: the number of the exchange, its method and the body.
type Sights = Arc<Mutex<Vec<(usize, String, Vec<u8>)>>>;

/// The content of an answer, in pieces; without a known length it is chunked, or ends with the connection.
struct Pieces {
    left: VecDeque<usize>,
    is_known: bool,
    trailers: bool,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(piece) = self.left.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from(content(piece))))));
        }
        let trailers = std::mem::take(&mut self.trailers);
        let fields =
            || [("x-sum".parse().expect("a name"), "1".parse().expect("a value"))].into_iter().collect();
        Poll::Ready(trailers.then(|| Ok(Frame::trailers(fields()))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && !self.trailers
    }

    fn size_hint(&self) -> SizeHint {
        if self.is_known {
            SizeHint::with_exact(self.left.iter().sum::<usize>() as u64)
        } else {
            SizeHint::new()
        }
    }
}

async fn serve(io: DuplexStream, scripts: Arc<Vec<Script>>, sights: Sights) {
    let answer = |request: Request<Incoming>| {
        let (scripts, sights) = (scripts.clone(), sights.clone());
        async move {
            let exchange: usize = request.uri().path()[1..].parse().expect("the number of an exchange");
            let method = request.method().to_string();
            let body = request.into_body().collect().await?.to_bytes().to_vec();
            sights.lock().expect("the sights").push((exchange, method, body));
            let script = &scripts[exchange];
            let mut head = Response::builder().status(script.status);
            if script.trailers {
                head = head.header("trailer", "x-sum");
            }
            if script.closes {
                head = head.header("connection", "close");
            }
            let left = script.pieces.iter().copied().collect();
            let body = Pieces {
                left,
                is_known: script.known_length,
                trailers: script.trailers && !script.known_length,
            };
            Ok::<_, hyper::Error>(head.body(body).expect("a head"))
        }
    };
    let builder = hyper::server::conn::http1::Builder::new();
    // The client may be gone before the server sees that it is done.
    let _ = builder.serve_connection(TokioIo::new(io), hyper::service::service_fn(answer)).await;
}

/// All exchanges of a seed, over as many connections as it takes.
fn check(seed: u64) {
    let mut random = Random(seed);
    let is_head = random.chance(10);
    let script = |exchange| Script::new(exchange, is_head, &mut random);
    let scripts: Arc<Vec<_>> = Arc::new((0..EXCHANGES).map(script).collect());
    let mut left: VecDeque<usize> = (0..EXCHANGES).collect();
    let (mut connections, sights) = (0, Sights::default());
    let mut answered = vec![0; EXCHANGES];
    while !left.is_empty() {
        connections += 1;
        assert!(connections <= 2 * EXCHANGES, "seed {seed}: {left:?} come to no end");
        let (ours, theirs) = tokio::io::duplex(random.one_of(&[100, 4_096, 100_000]));
        let pipeline = random.one_of(&[1, 2, 5, 16]);
        let context = Context {
            caches: vec![HeadCache::default()],
            body_limit: 1 << 30,
            decode: false,
            redirects: false,
            errors: ErrorsKept::default(),
        };
        let random = Random(random.next());
        let (order, out, one) = (VecDeque::new(), Vec::new(), One::new(16));
        let mut talk = Talk {
            seed,
            pipeline,
            scripts: &scripts,
            context,
            one,
            random,
            out,
            order,
            answered: &mut answered,
        };
        run(seed, async {
            let server = tokio::spawn(serve(theirs, scripts.clone(), sights.clone()));
            talk.converse(ours, &mut left).await;
            server.await.expect("the server does not panic");
        });
    }
    assert_eq!(answered, vec![1; EXCHANGES], "seed {seed}: each is answered once");
    let sights = sights.lock().expect("the sights");
    for (exchange, script) in scripts.iter().enumerate() {
        // What a server saw and did not answer is asked again.
        let views: Vec<_> = sights.iter().filter(|(number, ..)| *number == exchange).collect();
        assert!(!views.is_empty(), "seed {seed}: the server saw {exchange}");
        for (_, method, body) in views {
            assert!(script.head.starts_with(method.as_str()), "seed {seed}, {exchange}: {method}");
            assert!(*body == content(script.body), "seed {seed}, {exchange}: the body arrived as it was");
        }
    }
}

/// One connection, as its client sees it.
struct Talk<'a> {
    seed: u64,
    pipeline: usize,
    scripts: &'a [Script],
    context: Context,
    one: One,
    random: Random,
    out: Vec<u8>,
    /// Exchanges under way; a lane has the number of its exchange.
    order: VecDeque<usize>,
    answered: &'a mut [u32],
}

impl Talk<'_> {
    async fn converse(&mut self, io: DuplexStream, left: &mut VecDeque<usize>) {
        let (mut reader, mut writer) = tokio::io::split(io);
        let mut buffer = vec![0; 30_000];
        let mut is_open = true;
        loop {
            while is_open
                && self.order.len() < self.pipeline
                && let Some(exchange) = left.pop_front()
            {
                let wire = self.scripts[exchange].wire(&mut self.random);
                self.order.push_back(exchange);
                self.one.request(u32::try_from(exchange).expect("few exchanges"), &wire, &mut self.out);
            }
            self.one.pump(&mut self.out);
            if !is_open || self.order.is_empty() {
                break;
            }
            tokio::select! {
                read = reader.read(&mut buffer) => match read {
                    Ok(count @ 1..) => is_open = self.hear(&buffer[..count]),
                    _ => {
                        let step = self.one.feed_eof();
                        self.step(step);
                        is_open = false;
                    }
                },
                written = writer.write(&self.out), if !self.out.is_empty() => match written {
                    Ok(count) => drop(self.out.drain(..count)),
                    Err(_) => self.out.clear(),
                }
            }
        }
        self.order.drain(..).for_each(|exchange| left.push_back(exchange));
    }

    /// Feeds the machine in pieces of any size; false once the connection is of no more use.
    fn hear(&mut self, bytes: &[u8]) -> bool {
        let most = self.random.one_of(&[1, 20, 3_000, 30_000]);
        let mut rest = bytes;
        while !rest.is_empty() {
            let (piece, later) = rest.split_at((1 + self.random.below(most)).min(rest.len()));
            rest = later;
            let mut at = 0;
            while at < piece.len() {
                let (used, step) = self.one.feed(&piece[at..], &mut self.context, &mut self.out);
                at += used;
                if !self.step(step) {
                    assert_eq!((at, rest.len()), (piece.len(), 0), "seed {}: hyper says no more", self.seed);
                    return false;
                }
            }
        }
        true
    }

    fn step(&mut self, step: Step) -> bool {
        let seed = self.seed;
        match step {
            Step::More { .. } => true,
            Step::Done { lane, answer } => {
                let exchange = self.order.pop_front().expect("an exchange under way");
                let script = &self.scripts[exchange];
                assert_eq!(lane as usize, exchange, "seed {seed}: answers come in order");
                assert_eq!(answer.status, script.status, "seed {seed}, exchange {exchange}");
                assert!(!(answer.reusable && script.closes), "seed {seed}, exchange {exchange}: {script:?}");
                self.answered[exchange] += 1;
                answer.reusable
            }
            other => {
                let front = self.order.front().map(|exchange| &self.scripts[*exchange]);
                panic!("seed {seed}: {other:?} for {front:?}")
            }
        }
    }
}
