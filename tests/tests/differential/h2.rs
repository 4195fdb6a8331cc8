//! Our HTTP/2 client against the server of the crate h2.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, PoisonError};

use brunt_engine::conn::h2::client::{Client, Context};
use brunt_engine::conn::h2::frame::{HEAD_LEN, Head, flag, kind};
use brunt_engine::conn::h2::request::Outgoing;
use brunt_engine::conn::{ErrorsKept, Step, Wants};
use brunt_model::outcome::ErrorKind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::h2_server::{End, Fields, Script, Sights, Temper, serve};
use super::{Random, content, run};

/// Exchanges of one seed.
const EXCHANGES: usize = 100;

#[test]
fn exchanges_with_the_server_of_h2() {
    let seeds = if brunt_tests::long() { 1_000 } else { 100 };
    let mut connections = 0;
    for seed in 0..seeds {
        connections += check(seed);
    }
    assert!(connections > seeds, "some servers left in mid-connection");
}

/// How an exchange ended for the client.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Outcome {
    Answered { status: u16 },
    Failed(ErrorKind),
}

/// All exchanges of a seed, over as many connections as it takes; returns how many.
fn check(seed: u64) -> u64 {
    let mut random = Random(seed);
    let temper = Temper::new(&mut random);
    let script = |exchange| Script::new(exchange, temper.to_head_request, &mut random);
    let scripts: Arc<Vec<_>> = Arc::new((0..EXCHANGES).map(script).collect());
    let mut left: VecDeque<usize> = (0..EXCHANGES).collect();
    let mut connections = 0;
    while !left.is_empty() {
        connections += 1;
        assert!(connections < 200, "seed {seed}: {} exchanges come to no end", left.len());
        let sights = Sights::default();
        let (ours, theirs) = tokio::io::duplex(random.one_of(&[100, 4_096, 100_000]));
        let server = serve(theirs, temper.clone(), scripts.clone(), sights.clone(), Random(random.next()));
        let lanes = random.one_of(&[1, 2, 7, 30]);
        let mut talk = Talk::new(seed, lanes, &temper, &scripts, Random(random.next()));
        run(seed, async {
            let server = tokio::spawn(server);
            talk.converse(ours, &mut left).await;
            let served = server.await.expect("the server does not panic");
            served.unwrap_or_else(|error| panic!("seed {seed}: the server says {error}"));
        });
        let sights = std::mem::take(&mut *sights.lock().unwrap_or_else(PoisonError::into_inner));
        talk.compare(&sights);
    }
    connections
}

/// One connection, as its client sees it.
struct Talk<'a> {
    seed: u64,
    scripts: &'a [Script],
    context: Context,
    client: Client,
    random: Random,
    out: Vec<u8>,
    /// By lane, the exchange under way.
    lanes: Vec<Option<usize>>,
    /// By exchange, its outcome and the bytes counted for it.
    ended: BTreeMap<usize, (Outcome, u64)>,
    /// Exchanges that the server said it did not begin.
    unprocessed: Vec<usize>,
    tap: Tap,
    /// The server has a limit of streams.
    is_limited: bool,
    /// Nothing is asked before the server's SETTINGS came: it forgets to open a stream's window that became narrower
    /// than what was read of it.
    waits: bool,
    to_head_request: bool,
}

impl<'a> Talk<'a> {
    fn new(seed: u64, lanes: u32, temper: &Temper, scripts: &'a [Script], random: Random) -> Self {
        let context =
            Context { body_limit: 1 << 30, decode: false, redirects: false, errors: ErrorsKept::default() };
        let mut out = Vec::new();
        let client = Client::new(lanes);
        client.start(&context, &mut out);
        let lanes = vec![None; lanes as usize];
        let (ended, unprocessed, tap) = (BTreeMap::new(), Vec::new(), Tap::default());
        let (is_limited, waits) = (temper.max_streams.is_some(), temper.window < 65_535);
        Self {
            seed,
            scripts,
            context,
            client,
            random,
            out,
            lanes,
            ended,
            unprocessed,
            tap,
            is_limited,
            waits,
            to_head_request: temper.to_head_request,
        }
    }

    /// Until nothing is left to ask, or the server left.
    async fn converse(&mut self, io: DuplexStream, left: &mut VecDeque<usize>) {
        let (mut reader, mut writer) = tokio::io::split(io);
        let mut buffer = vec![0; 30_000];
        loop {
            self.ask(left);
            self.client.pump(&mut self.out);
            if self.lanes.iter().all(Option::is_none) && (left.is_empty() || self.client.is_leaving()) {
                break;
            }
            tokio::select! {
                read = reader.read(&mut buffer) => {
                    let count = read.expect("a pipe can be read");
                    assert!(count > 0, "seed {}: closed with {:?} open", self.seed, self.lanes);
                    self.hear(&buffer[..count], left);
                }
                written = writer.write(&self.out), if !self.out.is_empty() => {
                    self.out.drain(..written.expect("a pipe can be written to"));
                }
            }
        }
        self.client.goodbye(&mut self.out);
        // A server that left may be gone.
        let _ = writer.write_all(&self.out).await;
        let _ = writer.shutdown().await;
        while matches!(reader.read(&mut buffer).await, Ok(1..)) {}
    }

    fn ask(&mut self, left: &mut VecDeque<usize>) {
        for lane in 0..self.lanes.len() {
            if self.waits || self.lanes[lane].is_some() || !self.client.can_request() {
                continue;
            }
            let Some(exchange) = left.pop_front() else { return };
            let script = &self.scripts[exchange];
            let request = Outgoing {
                fields: script.fields.clone(),
                body: content(script.body).into(),
                expects_continue: script.expects_continue,
                repeated: false,
                has_cookies: false,
                wants: Wants { to_head: self.to_head_request, ..Wants::default() },
            };
            self.lanes[lane] = Some(exchange);
            self.client.request(number(lane), &request, &mut self.out);
        }
    }

    /// Feeds the client in pieces of any size.
    fn hear(&mut self, bytes: &[u8], left: &mut VecDeque<usize>) {
        self.tap.take(bytes);
        let most = self.random.one_of(&[1, 20, 3_000, 30_000]);
        let mut rest = bytes;
        while !rest.is_empty() {
            let (piece, later) = rest.split_at((1 + self.random.below(most)).min(rest.len()));
            rest = later;
            let mut at = 0;
            loop {
                let (used, step) = self.client.feed(&piece[at..], 1, &mut self.context, &mut self.out);
                at += used;
                if matches!(step, Step::More { .. }) {
                    break;
                }
                self.step(step, left);
            }
            assert_eq!(at, piece.len(), "seed {}: input is used up", self.seed);
        }
    }

    fn step(&mut self, step: Step, left: &mut VecDeque<usize>) {
        match step {
            Step::Done { lane, answer } => self.end(lane, Outcome::Answered { status: answer.status }),
            Step::LaneFailed { lane, kind } if self.is_too_many(lane, kind) => self.give_back(lane, left),
            Step::LaneFailed { lane, kind } => self.end(lane, Outcome::Failed(kind)),
            Step::Unprocessed { lane } => self.give_back(lane, left),
            Step::Ready => self.waits = false,
            Step::Leaving | Step::More { .. } => {}
            Step::Failed(kind) => panic!("seed {}: the connection failed: {kind:?}", self.seed),
        }
    }

    /// Opened before the server could say how many streams it takes.
    fn is_too_many(&self, lane: u32, kind: ErrorKind) -> bool {
        let exchange = self.lanes[lane as usize].expect("a lane with a request");
        self.is_limited
            && kind == ErrorKind::RefusedStream
            && expected(&self.scripts[exchange]) != Outcome::Failed(kind)
    }

    fn give_back(&mut self, lane: u32, left: &mut VecDeque<usize>) {
        let exchange = self.lanes[lane as usize].take().expect("a lane with a request");
        self.unprocessed.push(exchange);
        left.push_back(exchange);
    }

    fn end(&mut self, lane: u32, outcome: Outcome) {
        let exchange = self.lanes[lane as usize].take().expect("a lane with a request");
        let counted = self.client.received(lane).0;
        let before = self.ended.insert(exchange, (outcome, counted));
        assert_eq!(before, None, "seed {}: exchange {exchange} ended twice", self.seed);
    }

    /// Both views, and the script.
    fn compare(&self, sights: &[super::h2_server::Sight]) {
        let seed = self.seed;
        for exchange in self.unprocessed.iter().filter(|exchange| !self.ended.contains_key(exchange)) {
            let seen = sights.iter().any(|sight| sight.exchange == *exchange);
            assert!(!seen, "seed {seed}: {exchange} was given up and yet handled");
        }
        for (exchange, (outcome, counted)) in &self.ended {
            let place = format!("seed {seed}, exchange {exchange}");
            let script = &self.scripts[*exchange];
            let sight = sights.iter().find(|sight| sight.exchange == *exchange);
            if sight.is_none() && self.is_limited && *outcome == Outcome::Failed(ErrorKind::RefusedStream) {
                continue; // One too many, and its script would have refused it as well.
            }
            let sight = sight.unwrap_or_else(|| panic!("{place}: the server saw it"));
            assert_eq!(sight.fields, asked(&script.fields), "{place}");
            if let Some(body) = &sight.body {
                assert!(*body == content(script.body), "{place}: the body arrived as it was");
            }
            assert_eq!(*outcome, expected(script), "{place}: {script:?}");
            if matches!(outcome, Outcome::Answered { .. }) {
                let (frames, data) = self.tap.streams[&sight.stream];
                assert_eq!(*counted, frames, "{place}: bytes of frames");
                assert_eq!(data, script.content_length() as u64, "{place}: bytes of content");
            }
        }
    }
}

/// A request's fields as the server lists them: names in the order in which they first came, repeated ones together.
fn asked(fields: &Fields) -> Fields {
    let listed: Vec<_> =
        fields.iter().filter(|(name, _)| name != b":scheme" && name != b":authority").collect();
    let mut asked = Fields::new();
    for (name, _) in &listed {
        if asked.iter().all(|(known, _)| known != name) {
            asked.extend(listed.iter().filter(|(other, _)| other == name).map(|field| (*field).clone()));
        }
    }
    asked
}

fn expected(script: &Script) -> Outcome {
    let reset = |code| {
        Outcome::Failed(match code {
            7 => ErrorKind::RefusedStream,
            13 => ErrorKind::Alpn,
            _ => ErrorKind::Reset,
        })
    };
    match script.end {
        End::Whole => Outcome::Answered { status: script.status },
        End::WrongLength => Outcome::Failed(ErrorKind::Protocol),
        End::ResetAtOnce(code) | End::Reset(code) => reset(code),
    }
}

/// Reads along what the server says, frame by frame, without the machine under test.
#[derive(Default)]
struct Tap {
    unread: Vec<u8>,
    /// By stream: bytes of its frames as the client counts them, and of content.
    streams: BTreeMap<u32, (u64, u64)>,
}

impl Tap {
    fn take(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        while let Some(first) = self.unread.first_chunk::<HEAD_LEN>() {
            let head = Head::read(first);
            let end = HEAD_LEN + head.len as usize;
            if self.unread.len() < end {
                return;
            }
            assert!(!head.has(flag::PADDED) || head.kind > kind::HEADERS, "this server does not pad");
            let counts = self.streams.entry(head.stream).or_default();
            match head.kind {
                kind::DATA => {
                    counts.0 += end as u64;
                    counts.1 += u64::from(head.len);
                }
                kind::HEADERS => counts.0 += end as u64,
                kind::CONTINUATION => counts.0 += u64::from(head.len),
                _ => {}
            }
            self.unread.drain(..end);
        }
    }
}

fn number(lane: usize) -> u32 {
    u32::try_from(lane).expect("few lanes")
}
