//! The server side of HTTP/2 in the simulated network: it reads what the client wrote, and answers in frames of any
//! size, interleaved between streams, cut anywhere, late, or not at all.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::sim::Random;
use crate::conn::h2::frame::{self, ErrorCode, Frame, HEAD_LEN, Head, flag, kind};
use crate::conn::h2::hpack::Decoder;

/// What an HTTP/2 server may do for each request, in parts of a thousand.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Manners {
    /// `SETTINGS_MAX_CONCURRENT_STREAMS`. Streams opened before it was acknowledged are taken where `refused` is 0.
    pub(crate) max_streams: Option<u32>,
    /// `SETTINGS_INITIAL_WINDOW_SIZE`, and as much for the connection. Where it is less than a request's body takes,
    /// the server opens its windows again as it reads.
    pub(crate) window: u32,
    /// Octets of a request's body.
    pub(crate) body: usize,
    pub(crate) reset: u64,
    pub(crate) refused: u64,
    pub(crate) goaway: u64,
    pub(crate) flood: u64,
    pub(crate) silent: u64,
    /// The connection is closed or reset in the middle of it all.
    pub(crate) broken: u64,
    /// The most that one delay lasts.
    pub(crate) delay_ns: u64,
}

impl Manners {
    pub(crate) const PERFECT: Self = Self {
        max_streams: None,
        window: 65_535,
        body: 0,
        reset: 0,
        refused: 0,
        goaway: 0,
        flood: 0,
        silent: 0,
        broken: 0,
        delay_ns: 20_000_000,
    };
}

/// What the server will do after a while.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    Say(Words),
    Close,
    Reset,
}

/// A frame, or several of the connection itself.
#[derive(Clone, Debug)]
pub(crate) struct Words {
    /// 0 for the connection itself.
    stream: u32,
    bytes: Vec<u8>,
    /// The stream ends with it: `Some(true)` where its answer is whole.
    ends: Option<bool>,
}

type Deeds = Vec<(u64, Deed)>;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// `:status 200` of the static table, and `:status 103` by its name (RFC 7541 appendix A).
const STATUS_200: &[u8] = &[0x88];
const STATUS_103: &[u8] = &[0x08, 0x03, b'1', b'0', b'3'];
/// More control frames at once than a client has to put up with.
const FLOOD_FRAMES: u64 = 2_000;

/// The server's side of one connection.
pub(crate) struct Peer {
    random: Random,
    manners: Manners,
    fields: Decoder,
    /// The beginning of what the client wrote and is no whole frame.
    unread: Vec<u8>,
    greeted: bool,
    /// The client knows our settings.
    acknowledged: bool,
    /// Streams whose answers have not ended.
    open: BTreeSet<u32>,
    newest: u32,
    /// Octets of the bodies that have not ended.
    bodies: BTreeMap<u32, usize>,
    /// The highest stream of which anything was said.
    begun: u32,
    /// What GOAWAY gave as the last stream.
    last: Option<u32>,
    /// What was said and has not arrived, and where whole answers end in it.
    wire: Vec<u8>,
    ends: VecDeque<usize>,
    pub(crate) requests: u64,
}

impl Peer {
    pub(crate) fn new(seed: u64, manners: Manners) -> Self {
        Self {
            random: Random(seed),
            manners,
            fields: Decoder::new(4096),
            unread: Vec::new(),
            greeted: false,
            acknowledged: false,
            open: BTreeSet::new(),
            newest: 0,
            bodies: BTreeMap::new(),
            begun: 0,
            last: None,
            wire: Vec::new(),
            ends: VecDeque::new(),
            requests: 0,
        }
    }

    /// Reads what the client wrote; what follows from it, and after how many nanoseconds.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Deeds {
        let mut deeds = Deeds::new();
        self.unread.extend_from_slice(bytes);
        if !self.greeted && self.unread.len() >= PREFACE.len() {
            let rest = self.unread.split_off(PREFACE.len());
            assert_eq!(std::mem::replace(&mut self.unread, rest), PREFACE);
            self.greeted = true;
            self.greet(&mut deeds);
        }
        while self.greeted
            && let Some((head, payload)) = self.next_frame()
        {
            self.hear(head, &payload, &mut deeds);
        }
        deeds
    }

    fn next_frame(&mut self) -> Option<(Head, Vec<u8>)> {
        let head = Head::read(self.unread.first_chunk::<HEAD_LEN>()?);
        let payload = self.unread.get(HEAD_LEN..HEAD_LEN + head.len as usize)?.to_vec();
        self.unread.drain(..HEAD_LEN + payload.len());
        Some((head, payload))
    }

    fn greet(&mut self, deeds: &mut Deeds) {
        let mut settings = vec![(1, u32::try_from(self.random.below(8_192)).unwrap_or(0))];
        settings.extend(self.manners.max_streams.map(|streams| (3, streams)));
        settings.push((4, self.manners.window));
        let mut bytes = Vec::new();
        frame::write_settings(&settings, &mut bytes);
        if self.manners.window > 65_535 {
            frame::write_window_update(0, self.manners.window, &mut bytes);
        }
        // The first word is heard before any other.
        deeds.push((1, say(0, bytes, None)));
    }

    fn hear(&mut self, head: Head, payload: &[u8], deeds: &mut Deeds) {
        match frame::parse(head, payload).expect("the client's frames are well-formed") {
            Frame::Headers { fragment, end_stream, end_headers, .. } => {
                assert!(end_headers, "the head of a request is in one frame");
                assert_eq!(end_stream, self.manners.body == 0, "a request has its body");
                self.request(head.stream, fragment, deeds);
            }
            Frame::Data { data, end_stream, .. } => self.content(head.stream, data.len(), end_stream, deeds),
            Frame::Settings { ack: true, .. } => self.acknowledged = true,
            Frame::Settings { .. } => {
                let mut bytes = Vec::new();
                frame::write_settings_ack(&mut bytes);
                deeds.push((2, say(0, bytes, None)));
            }
            Frame::RstStream(_) => {
                assert!(head.stream <= self.newest, "a stream that was never opened is reset");
                self.open.remove(&head.stream);
                self.bodies.remove(&head.stream);
            }
            Frame::Ping { ack: true, .. } | Frame::WindowUpdate(_) | Frame::Goaway { .. } => {}
            other => panic!("the client has no reason to send {other:?}"),
        }
    }

    fn request(&mut self, stream: u32, fragment: &[u8], deeds: &mut Deeds) {
        assert!(stream % 2 == 1 && stream > self.newest, "ids of streams go up: {stream}");
        (self.newest, self.requests) = (stream, self.requests + 1);
        let mut paths = 0;
        let sink = &mut |name: &[u8], _: &[u8]| paths += u32::from(name == b":path");
        self.fields.decode(fragment, sink).expect("a block of fields");
        assert_eq!(paths, 1, "a request has one path");
        if self.last.is_some_and(|last| stream > last) {
            return;
        }
        let manners = self.manners;
        if let Some(max) = manners.max_streams
            && self.open.len() >= max as usize
        {
            assert!(!self.acknowledged, "no more than {max} streams at once");
            if manners.refused > 0 {
                self.open.insert(stream);
                return deeds.push((2, say_reset(stream, ErrorCode::REFUSED_STREAM)));
            }
        }
        self.open.insert(stream);
        if self.random.chance(manners.goaway) && self.last.is_none() {
            self.go_away(deeds);
        }
        if self.random.chance(manners.flood) {
            deeds.push((self.delay(), say(0, self.pings(FLOOD_FRAMES), None)));
        }
        if self.random.chance(manners.broken) {
            let end = if self.random.chance(500) { Deed::Close } else { Deed::Reset };
            deeds.push((self.delay(), end));
        }
        if manners.body > 0 {
            self.bodies.insert(stream, 0);
        } else if !self.random.chance(manners.silent) {
            self.answer(stream, deeds);
        }
    }

    /// A piece of a request's body.
    fn content(&mut self, stream: u32, octets: usize, ends: bool, deeds: &mut Deeds) {
        let Manners { window, body, .. } = self.manners;
        let increment = u32::try_from(octets).unwrap_or(0);
        let mut bytes = Vec::new();
        if (window as usize) < 8 * body && increment > 0 {
            frame::write_window_update(0, increment, &mut bytes);
            frame::write_window_update(stream, increment, &mut bytes);
            deeds.push((self.delay() / 10 + 3, say(0, bytes, None)));
        }
        let Some(got) = self.bodies.get_mut(&stream) else { return };
        *got += octets;
        assert!(*got <= body, "stream {stream}: more than the body came");
        if ends {
            assert_eq!(self.bodies.remove(&stream), Some(body), "stream {stream}: the body is whole");
            self.answer(stream, deeds);
        }
    }

    /// Gives up the newest streams, as far as nothing was said of them; often announced before.
    fn go_away(&mut self, deeds: &mut Deeds) {
        let given_up = u32::try_from(self.random.below(6)).unwrap_or(0);
        let last = self.newest.saturating_sub(2 * given_up).max(self.begun);
        self.last = Some(last);
        let mut bytes = Vec::new();
        if self.random.chance(500) {
            frame::write_goaway(0x7fff_ffff, ErrorCode::NO_ERROR, b"soon", &mut bytes);
        }
        frame::write_goaway(last, ErrorCode::NO_ERROR, b"", &mut bytes);
        deeds.push((self.delay(), say(0, bytes, None)));
    }

    fn answer(&mut self, stream: u32, deeds: &mut Deeds) {
        let mut at = self.delay() + 2;
        if self.random.chance(self.manners.refused) {
            return deeds.push((at, say_reset(stream, ErrorCode::REFUSED_STREAM)));
        }
        let mut frames = self.compose(stream);
        if self.random.chance(self.manners.reset) {
            let kept = self.random.size(frames.len());
            frames.truncate(kept);
            frames.push(say_reset(stream, ErrorCode::INTERNAL_ERROR));
        }
        for frame in frames {
            deeds.push((at, frame));
            // Frames of one stream stay in order.
            at += if self.random.chance(500) { 1 } else { self.delay() / 10 + 1 };
        }
    }

    /// A whole answer: perhaps an interim one, a head, and content, of which the last frame may be empty.
    fn compose(&mut self, stream: u32) -> Vec<Deed> {
        let head = |block: &[u8], ends: bool| {
            let mut bytes = Vec::new();
            frame::write_headers(stream, block, ends, true, &mut bytes);
            say(stream, bytes, ends.then_some(true))
        };
        let mut frames = Vec::new();
        if self.random.chance(100) {
            frames.push(head(STATUS_103, false));
        }
        let mut ended = self.random.chance(200);
        frames.push(head(STATUS_200, ended));
        let mut left = if self.random.chance(50) { 40_000 } else { self.random.size(1_000) };
        while !ended {
            let size = (1 + self.random.size(if left > 5_000 { 16_384 } else { 500 })).min(left);
            left -= size;
            ended = left == 0 && self.random.chance(700) || size == 0;
            frames.push(say(stream, self.data(stream, size, ended), ended.then_some(true)));
        }
        frames
    }

    /// A DATA frame, now and then padded or with a control frame before it.
    fn data(&mut self, stream: u32, size: usize, ends: bool) -> Vec<u8> {
        let mut bytes = if self.random.chance(20) { self.pings(1) } else { Vec::new() };
        let content = vec![b'x'; size];
        if size > 0 && self.random.chance(100) {
            let padding = [0; 9];
            let data = Frame::Data { data: &content[..size.min(16_000)], padding: 9, end_stream: ends };
            frame::write(&data, stream, Some(&padding), &mut bytes);
        } else {
            let flags = if ends { flag::END_STREAM } else { 0 };
            let len = u32::try_from(size).unwrap_or(0);
            Head { len, kind: kind::DATA, flags, stream }.write(&mut bytes);
            bytes.extend_from_slice(&content);
        }
        bytes
    }

    fn pings(&mut self, count: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..count {
            frame::write_ping(false, self.random.next().to_be_bytes(), &mut bytes);
        }
        bytes
    }

    fn delay(&mut self) -> u64 {
        self.random.below(self.manners.delay_ns) + 2
    }

    /// Says something, unless it is of no interest any more. What was on its way when a stream was given up may
    /// arrive all the same.
    pub(crate) fn say(&mut self, words: Words) {
        let Words { stream, bytes, ends } = words;
        if stream != 0 {
            let given_up = self.last.is_some_and(|last| stream > last);
            let cancelled = !self.open.contains(&stream);
            if given_up || cancelled && self.random.chance(500) {
                return;
            }
            self.begun = self.begun.max(stream);
            if ends.is_some() {
                self.open.remove(&stream);
            }
        }
        self.wire.extend_from_slice(&bytes);
        if ends == Some(true) {
            self.ends.push_back(self.wire.len());
        }
    }

    /// What arrives now of what was said, and how many whole answers end in it.
    pub(crate) fn arriving(&mut self) -> (Vec<u8>, u64) {
        let most = self.wire.len().min(8 * 1024);
        let size = if self.random.chance(500) { most } else { self.random.size(most) + 1 }.min(most);
        let rest = self.wire.split_off(size);
        let mut answers = 0;
        while self.ends.pop_front_if(|end| *end <= size).is_some() {
            answers += 1;
        }
        self.ends.iter_mut().for_each(|end| *end -= size);
        (std::mem::replace(&mut self.wire, rest), answers)
    }

    /// Something is on its way.
    pub(crate) fn has_more(&self) -> bool {
        !self.wire.is_empty()
    }
}

fn say(stream: u32, bytes: Vec<u8>, ends: Option<bool>) -> Deed {
    Deed::Say(Words { stream, bytes, ends })
}

fn say_reset(stream: u32, code: ErrorCode) -> Deed {
    let mut bytes = Vec::new();
    frame::write_rst_stream(stream, code, &mut bytes);
    say(stream, bytes, Some(false))
}
