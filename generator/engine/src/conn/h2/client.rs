//! The client side of one HTTP/2 connection: many requests under way, each in a lane of its own.
//!
//! The machine keeps no content. It bounds what the server can make it do: control frames by a budget, header blocks
//! and interim responses by size and number, content by the plan's limit, which is also each stream's window.

mod begun;
mod data;
mod heads;
mod upload;

use std::collections::VecDeque;

use brunt_model::outcome::ErrorKind;

use self::begun::Begun;
use super::budget::Budget;
use super::frame::{self, ErrorCode, Frame, HEAD_LEN, Head, MAX_FRAME_SIZE, flag, kind};
use super::request::{self, Outgoing};
use super::response;
use super::stream::{Streams, Upload};
use crate::conn::{ErrorsKept, Kept, Step};
use crate::limits::{CONTROL_PER_RESET, HEAD_BYTES_MAX, STREAMS_BEFORE_SETTINGS};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// RFC 9113 section 6.9.1 and 6.5.2.
const WINDOW_MAX: i64 = 0x7fff_ffff;
const DEFAULT_WINDOW: u32 = 65_535;
/// The connection's window is filled up again once this much of it was used.
const WINDOW_BATCH: u32 = 1 << 30;
/// Octets of SETTINGS that cost as much as a frame: sixteen of them.
const SETTINGS_PER_CONTROL: usize = 16 * 6;

mod setting {
    pub(super) const HEADER_TABLE_SIZE: u16 = 1;
    pub(super) const ENABLE_PUSH: u16 = 2;
    pub(super) const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub(super) const INITIAL_WINDOW_SIZE: u16 = 4;
    pub(super) const MAX_FRAME_SIZE: u16 = 5;
    pub(super) const MAX_HEADER_LIST_SIZE: u16 = 6;
}

/// What is the same for all connections of a core.
#[derive(Copy, Clone, Debug)]
pub struct Context {
    pub body_limit: u64,
    pub decode: bool,
    pub redirects: bool,
    pub errors: ErrorsKept,
}

/// The connection must end: why, as the peer is told and as results name it.
#[derive(Copy, Clone, Debug)]
struct Fatal {
    code: ErrorCode,
    kind: ErrorKind,
}

impl From<ErrorCode> for Fatal {
    fn from(code: ErrorCode) -> Self {
        Self { code, kind: ErrorKind::Protocol }
    }
}

const FLOOD: Fatal = Fatal { code: ErrorCode::ENHANCE_YOUR_CALM, kind: ErrorKind::Flood };
const BROKEN: Fatal = Fatal { code: ErrorCode::PROTOCOL_ERROR, kind: ErrorKind::Protocol };

/// DATA of a frame whose head was read.
#[derive(Copy, Clone, Debug)]
struct Data {
    lane: Option<u32>,
    left: u32,
    end_stream: bool,
}

/// A header block whose end has not come.
#[derive(Debug)]
struct OpenBlock {
    stream: u32,
    end_stream: bool,
    bytes: Vec<u8>,
}

/// What the server's SETTINGS say.
#[derive(Debug)]
struct Peer {
    /// Its first SETTINGS came.
    greeted: bool,
    initial_window: u32,
    max_streams: u32,
}

/// One connection.
#[derive(Debug)]
pub struct Client {
    streams: Streams,
    requests: request::Blocks,
    responses: response::Blocks,
    peer: Peer,
    budget: Budget,
    /// A frame whose end has not arrived.
    partial: Vec<u8>,
    data: Option<Data>,
    block: Option<OpenBlock>,
    /// What the server lets us send on all streams together.
    window: i64,
    /// Received since the connection's window was filled up.
    used: u32,
    /// Lanes whose request bodies are not sent whole, in turn.
    uploads: VecDeque<u32>,
    /// GOAWAY came: the last stream that may still be answered.
    last_stream: Option<u32>,
    /// The next lane to look at for a stream that GOAWAY left out.
    sweep: Option<u32>,
    /// We said goodbye.
    gone: bool,
    frames: u32,
    begun: Begun,
}

impl Client {
    #[must_use]
    pub fn new(lanes: u32) -> Self {
        Self {
            streams: Streams::new(lanes),
            requests: request::Blocks::new(),
            responses: response::Blocks::new(),
            peer: Peer {
                greeted: false,
                initial_window: DEFAULT_WINDOW,
                max_streams: STREAMS_BEFORE_SETTINGS,
            },
            budget: Budget::default(),
            partial: Vec::new(),
            data: None,
            block: None,
            window: i64::from(DEFAULT_WINDOW),
            used: 0,
            uploads: VecDeque::new(),
            last_stream: None,
            sweep: None,
            gone: false,
            frames: 0,
            begun: Begun::default(),
        }
    }

    /// Writes the preface: no push, windows wide open, since nothing of an answer is kept (RFC 9113 section 3.4).
    pub fn start(&self, context: &Context, out: &mut Vec<u8>) {
        out.extend_from_slice(PREFACE);
        // One byte past the limit is enough to know that a body is too long.
        let window = context.body_limit.saturating_add(1).min(WINDOW_MAX.unsigned_abs());
        let header_list = u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX);
        let settings = [
            (setting::ENABLE_PUSH, 0),
            (setting::INITIAL_WINDOW_SIZE, u32::try_from(window).unwrap_or(u32::MAX)),
            (setting::MAX_HEADER_LIST_SIZE, header_list),
        ];
        Head { len: 18, kind: kind::SETTINGS, flags: 0, stream: 0 }.write(out);
        for (name, value) in settings {
            out.extend_from_slice(&name.to_be_bytes());
            out.extend_from_slice(&value.to_be_bytes());
        }
        window_update(0, 0x7fff_ffff - DEFAULT_WINDOW, out);
    }

    /// Another request may be sent now.
    #[inline]
    #[must_use]
    pub fn can_request(&self) -> bool {
        self.streams.open() < self.peer.max_streams && !self.is_leaving()
    }

    /// No request will be taken any more; what is under way may still be answered.
    #[inline]
    #[must_use]
    pub const fn is_leaving(&self) -> bool {
        self.last_stream.is_some() || self.streams.exhausted()
    }

    /// Requests under way.
    #[must_use]
    pub const fn open(&self) -> u32 {
        self.streams.open()
    }

    /// Frames that have begun, those that continue a header block left out, modulo 2^32.
    #[must_use]
    pub const fn frames(&self) -> u32 {
        self.frames
    }

    /// In the middle of a frame or a header block, which should not last.
    #[must_use]
    pub const fn is_midway(&self) -> bool {
        self.block.is_some() || !self.partial.is_empty()
    }

    /// Bytes received for the lane's last request, and when the first of them was handled.
    #[inline]
    #[must_use]
    pub fn received(&self, lane: u32) -> (u64, u64) {
        let stream = self.streams.at(lane);
        (stream.received, stream.first)
    }

    /// The server's windows are closed to the lane's request body.
    #[must_use]
    pub fn is_shut_out(&self, lane: u32) -> bool {
        let stream = self.streams.at(lane);
        let waits = stream.upload.as_ref().is_some_and(|upload| !upload.held);
        waits && (stream.window <= 0 || self.window <= 0)
    }

    /// Bytes of the lane's request body that wait.
    #[must_use]
    pub fn left_to_upload(&self, lane: u32) -> usize {
        self.streams.at(lane).upload.as_ref().map_or(0, |upload| upload.body.len() - upload.from)
    }

    /// Where the response of a lane redirected to.
    #[must_use]
    pub fn location(&self, lane: u32) -> &[u8] {
        &self.streams.at(lane).location
    }

    /// Sends a request in a lane that has none; ask [`Client::can_request`] first.
    #[inline]
    pub fn request(&mut self, lane: u32, request: &Outgoing, out: &mut Vec<u8>) {
        let id = self.streams.begin(lane, i64::from(self.peer.initial_window), request.wants);
        self.budget.earn(2);
        self.requests.write(request, id, request.body.is_empty(), out);
        if !request.body.is_empty() {
            let upload = Upload { body: request.body.clone(), from: 0, held: request.expects_continue };
            self.streams.get(lane).upload = Some(upload);
            // One that was given up may still have the lane's place.
            if !self.uploads.contains(&lane) {
                self.uploads.push_back(lane);
            }
            self.pump(out);
        }
    }

    /// What was kept of the answer that a lane got last.
    #[must_use]
    pub fn kept(&self, lane: u32) -> Kept<'_> {
        let stream = self.streams.at(lane);
        Kept { head: &stream.head, body: stream.content.kept(), body_size: stream.body }
    }

    /// Gives a lane's request up.
    pub fn abandon(&mut self, lane: u32, out: &mut Vec<u8>) {
        let id = self.streams.at(lane).id;
        if id != 0 {
            self.reset_stream(lane, ErrorCode::CANCEL, out);
            // What was on its way is not held against the server.
            self.budget.earn(CONTROL_PER_RESET);
        }
    }

    fn reset_stream(&mut self, lane: u32, code: ErrorCode, out: &mut Vec<u8>) {
        let id = self.streams.at(lane).id;
        Head { len: 4, kind: kind::RST_STREAM, flags: 0, stream: id }.write(out);
        out.extend_from_slice(&code.0.to_be_bytes());
        self.streams.end(lane);
        // The rest of a frame that has begun is not for the lane's next stream.
        if let Some(data) = self.data.as_mut().filter(|data| data.lane == Some(lane)) {
            data.lane = None;
        }
    }

    /// Tells the server that we go, unless it was told why.
    pub fn goodbye(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.gone, true) {
            goaway(ErrorCode::NO_ERROR, out);
        }
    }

    /// Takes what the server sent, up to the next step. Of `bytes` the number returned were used.
    #[inline]
    pub fn feed(
        &mut self,
        bytes: &[u8],
        now: u64,
        context: &mut Context,
        out: &mut Vec<u8>,
    ) -> (usize, Step) {
        if let Some(lane) = self.unprocessed() {
            return (0, Step::Unprocessed { lane });
        }
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let (used, result) = match self.data {
                Some(data) => self.content(data, rest, out),
                None => self.next_frame(rest, now, context, out),
            };
            at += used;
            self.begun.at += used as u64;
            match result {
                Ok(None) => {}
                Ok(Some(step)) => return (at, step),
                Err(fatal) => {
                    goaway(fatal.code, out);
                    self.gone = true;
                    return (bytes.len(), Step::Failed(fatal.kind));
                }
            }
        }
        (at, Step::More { skip: 0 })
    }

    /// The next lane whose stream the server will not answer.
    fn unprocessed(&mut self) -> Option<u32> {
        let (from, last) = (self.sweep?, self.last_stream?);
        let left_out = |lane: &u32| self.streams.at(*lane).id > last;
        let found = (from..self.streams.lanes()).find(left_out);
        self.sweep = found;
        if let Some(lane) = found {
            self.streams.end(lane);
        }
        found
    }

    /// Takes one frame, or as much of it as has arrived.
    #[inline]
    fn next_frame(&mut self, bytes: &[u8], now: u64, context: &mut Context, out: &mut Vec<u8>) -> Taken {
        if !self.partial.is_empty() {
            return self.complete_frame(bytes, now, context, out);
        }
        if self.block.is_none() {
            self.frames = self.frames.wrapping_add(1);
            self.begun.frame_from = self.begun.at;
        }
        let Some(first) = bytes.first_chunk::<HEAD_LEN>() else {
            self.partial.extend_from_slice(bytes);
            return (bytes.len(), Ok(None));
        };
        let head = Head::read(first);
        if let Err(fatal) = self.admit(head, first) {
            return (bytes.len(), Err(fatal));
        }
        if is_streamed(head) {
            return (HEAD_LEN, self.begin_data(head, now, context, out));
        }
        let end = HEAD_LEN + head.len as usize;
        match bytes.get(HEAD_LEN..end) {
            Some(payload) => (end, self.frame(head, payload, now, context, out)),
            None => {
                self.partial.extend_from_slice(bytes);
                (bytes.len(), Ok(None))
            }
        }
    }

    /// Adds to a frame that arrived in part.
    fn complete_frame(&mut self, bytes: &[u8], now: u64, context: &mut Context, out: &mut Vec<u8>) -> Taken {
        let mut used = 0;
        if self.partial.len() < HEAD_LEN {
            used = bytes.len().min(HEAD_LEN - self.partial.len());
            self.partial.extend_from_slice(&bytes[..used]);
        }
        let Some(first) = self.partial.first_chunk::<HEAD_LEN>().copied() else { return (used, Ok(None)) };
        let head = Head::read(&first);
        if self.partial.len() == HEAD_LEN {
            if let Err(fatal) = self.admit(head, &first) {
                return (bytes.len(), Err(fatal));
            }
            if is_streamed(head) {
                self.partial.clear();
                return (used, self.begin_data(head, now, context, out));
            }
        }
        let missing = HEAD_LEN + head.len as usize - self.partial.len();
        let more = &bytes[used..used + missing.min(bytes.len() - used)];
        self.partial.extend_from_slice(more);
        used += more.len();
        if more.len() < missing {
            return (used, Ok(None));
        }
        let mut frame = std::mem::take(&mut self.partial);
        let result = self.frame(head, &frame[HEAD_LEN..], now, context, out);
        frame.clear();
        frame.shrink_to(PARTIAL_KEPT);
        self.partial = frame;
        (used, result)
    }

    /// May a frame begin like this here?
    #[inline]
    fn admit(&self, head: Head, first: &[u8; HEAD_LEN]) -> Result<(), Fatal> {
        if !self.peer.greeted {
            if first.starts_with(b"HTTP/") {
                return Err(Fatal { code: ErrorCode::HTTP_1_1_REQUIRED, kind: ErrorKind::Alpn });
            }
            if head.kind != kind::SETTINGS || head.flags & flag::ACK != 0 {
                return Err(BROKEN);
            }
        }
        if head.len > MAX_FRAME_SIZE {
            return Err(ErrorCode::FRAME_SIZE_ERROR.into());
        }
        match &self.block {
            Some(block) if head.kind != kind::CONTINUATION || head.stream != block.stream => Err(BROKEN),
            None if head.kind == kind::CONTINUATION => Err(BROKEN),
            _ => Ok(()),
        }
    }

    fn charge(&mut self, now: u64) -> Result<(), Fatal> {
        if self.budget.charge(now) { Ok(()) } else { Err(FLOOD) }
    }

    /// The lane of a stream that the server may speak of; `None` where it has ended.
    #[inline]
    fn lane_of(&mut self, stream: u32, now: u64) -> Result<Option<u32>, Fatal> {
        if stream == 0 || self.streams.is_idle(stream) {
            return Err(BROKEN);
        }
        let lane = self.streams.find(stream);
        if lane.is_none() {
            self.charge(now)?;
        }
        Ok(lane)
    }

    /// Takes a whole frame.
    fn frame(
        &mut self,
        head: Head,
        payload: &[u8],
        now: u64,
        context: &mut Context,
        out: &mut Vec<u8>,
    ) -> Result<Option<Step>, Fatal> {
        match frame::parse(head, payload)? {
            Frame::Data { data, end_stream, .. } => {
                let len = u32::try_from(data.len()).unwrap_or(MAX_FRAME_SIZE);
                let Some(lane) = self.account(head, len, now, out)? else { return Ok(None) };
                if head.len > len && !end_stream {
                    // Padding is no content, so it takes nothing of the body's limit.
                    window_update(head.stream, head.len - len, out);
                }
                if let Some(step) = self.judge_data(lane, context, out) {
                    return Ok(Some(step));
                }
                let whole = Data { lane: Some(lane), left: len, end_stream };
                self.content(whole, data, out).1
            }
            Frame::Headers { fragment, end_stream, end_headers, .. } => {
                if end_headers {
                    return self.header_block(head.stream, end_stream, fragment, now, context, out);
                }
                self.block = Some(OpenBlock { stream: head.stream, end_stream, bytes: fragment.to_vec() });
                Ok(None)
            }
            Frame::Continuation { fragment, end_headers } => {
                self.continuation(fragment, end_headers, now, context, out)
            }
            Frame::Settings { ack, pairs } => {
                self.charge_unless_first(now)?;
                // What it holds is work as well.
                for _ in 0..pairs.len() / SETTINGS_PER_CONTROL {
                    self.charge(now)?;
                }
                if !ack {
                    self.settings(pairs)?;
                    Head { len: 0, kind: kind::SETTINGS, flags: flag::ACK, stream: 0 }.write(out);
                    self.pump(out);
                    return Ok(Some(Step::Ready));
                }
                Ok(None)
            }
            Frame::Ping { ack, payload } => {
                self.charge(now)?;
                if !ack {
                    Head { len: 8, kind: kind::PING, flags: flag::ACK, stream: 0 }.write(out);
                    out.extend_from_slice(&payload);
                }
                Ok(None)
            }
            Frame::RstStream(code) => self.reset_by_peer(head.stream, code, now),
            Frame::Goaway { last_stream, .. } => {
                self.charge(now)?;
                let last = self.last_stream.map_or(last_stream, |before| before.min(last_stream));
                (self.last_stream, self.sweep) = (Some(last), Some(0));
                Ok(self.unprocessed().map_or(Some(Step::Leaving), |lane| Some(Step::Unprocessed { lane })))
            }
            Frame::WindowUpdate(increment) => self.window_update(head.stream, increment, now, out),
            Frame::PushPromise { .. } => Err(BROKEN),
            Frame::Priority(_) | Frame::Unknown => self.charge(now).map(|()| None),
        }
    }

    fn charge_unless_first(&mut self, now: u64) -> Result<(), Fatal> {
        if self.peer.greeted { self.charge(now) } else { Ok(()) }
    }

    fn settings(&mut self, pairs: &[u8]) -> Result<(), Fatal> {
        if !self.peer.greeted {
            self.peer.greeted = true;
            self.peer.max_streams = u32::MAX;
        }
        for (name, value) in frame::settings(pairs) {
            match name {
                setting::HEADER_TABLE_SIZE => self.requests.set_max_table(value),
                setting::ENABLE_PUSH if value != 0 => return Err(BROKEN),
                setting::MAX_CONCURRENT_STREAMS => self.peer.max_streams = value,
                setting::INITIAL_WINDOW_SIZE => self.initial_window(value)?,
                setting::MAX_FRAME_SIZE if !(MAX_FRAME_SIZE..1 << 24).contains(&value) => return Err(BROKEN),
                _ => {}
            }
        }
        Ok(())
    }

    /// RFC 9113 section 6.9.2: what was sent already counts against the new size.
    fn initial_window(&mut self, size: u32) -> Result<(), Fatal> {
        if i64::from(size) > WINDOW_MAX {
            return Err(ErrorCode::FLOW_CONTROL_ERROR.into());
        }
        let change = i64::from(size) - i64::from(self.peer.initial_window);
        self.peer.initial_window = size;
        for stream in self.streams.live() {
            stream.window += change;
            if stream.window > WINDOW_MAX {
                return Err(ErrorCode::FLOW_CONTROL_ERROR.into());
            }
        }
        Ok(())
    }

    fn window_update(
        &mut self,
        stream: u32,
        increment: u32,
        now: u64,
        out: &mut Vec<u8>,
    ) -> Result<Option<Step>, Fatal> {
        self.charge(now)?;
        if stream == 0 {
            self.window += i64::from(increment);
            if self.window > WINDOW_MAX {
                return Err(ErrorCode::FLOW_CONTROL_ERROR.into());
            }
        } else if let Some(lane) = self.lane_of(stream, now)? {
            let stream = self.streams.get(lane);
            stream.window += i64::from(increment);
            if stream.window > WINDOW_MAX {
                return Ok(Some(self.fail(lane, ErrorKind::Protocol, out)));
            }
            self.pump_lane(lane, out);
            return Ok(None);
        }
        self.pump(out);
        Ok(None)
    }

    fn reset_by_peer(&mut self, stream: u32, code: ErrorCode, now: u64) -> Result<Option<Step>, Fatal> {
        let Some(lane) = self.lane_of(stream, now)? else { return Ok(None) };
        self.streams.end(lane);
        let kind = match code {
            ErrorCode::REFUSED_STREAM => ErrorKind::RefusedStream,
            ErrorCode::HTTP_1_1_REQUIRED => ErrorKind::Alpn,
            _ => ErrorKind::Reset,
        };
        Ok(Some(Step::LaneFailed { lane, kind }))
    }
}

/// Bytes of the input that were used, and what came of them.
type Taken = (usize, Result<Option<Step>, Fatal>);

/// Memory kept for frames that arrive in parts.
const PARTIAL_KEPT: usize = 1024;

/// DATA without padding need not be whole to be taken.
const fn is_streamed(head: Head) -> bool {
    head.kind == kind::DATA && head.flags & flag::PADDED == 0
}

fn window_update(stream: u32, increment: u32, out: &mut Vec<u8>) {
    Head { len: 4, kind: kind::WINDOW_UPDATE, flags: 0, stream }.write(out);
    out.extend_from_slice(&increment.to_be_bytes());
}

/// The last stream that we took from the server: none, since push is off.
fn goaway(code: ErrorCode, out: &mut Vec<u8>) {
    Head { len: 8, kind: kind::GOAWAY, flags: 0, stream: 0 }.write(out);
    out.extend_from_slice(&0u32.to_be_bytes());
    out.extend_from_slice(&code.0.to_be_bytes());
}

#[cfg(test)]
mod tests;
