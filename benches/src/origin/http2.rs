//! HTTP/2 at its cheapest: frames are walked over, and each request is answered from one template.
//!
//! Only what an answer depends on is read (RFC 9113): the end of each request, settings and pings to acknowledge, and
//! the connection's window. Header blocks are not decoded, since nothing in a request changes the answer; so the
//! answer may only use the static table. One system call sends the answers to all that one read brought.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use anyhow::ensure;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::Conversation;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEAD_BYTES: usize = 9;
/// The largest frame that a peer may send or be sent before it says otherwise (RFC 9113, section 6.5.2).
const FRAME_BYTES_MAX: usize = 16_384;
const WINDOW_AT_START: i64 = 65_535;
/// The window given for bodies of requests: to each stream once, to the connection again by halves.
const WINDOW_GIVEN: u32 = 1 << 30;
/// More streams than any cell of a bench has; a client that leaves more than these waiting for window is let go.
const STREAMS_MAX: u16 = 1_024;
/// A client that lets this much go unread is let go: it is many times what the streams of one connection hold.
const UNSENT_BYTES_MAX: usize = 64 << 20;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// HEADERS and DATA of one answer, in which only the stream is open.
pub(super) struct Answer {
    frames: Vec<u8>,
    /// Where the two frames have their stream.
    streams: [usize; 2],
    body: i64,
}

impl Answer {
    /// # Errors
    /// When the body does not fit one frame: then the answer would depend on more than the connection's window.
    pub(super) fn new(size: usize) -> anyhow::Result<Self> {
        ensure!(size <= FRAME_BYTES_MAX, "the HTTP/2 origin answers with at most {FRAME_BYTES_MAX} bytes");
        let length = size.to_string();
        // `:status: 200` is entry 8 of the static table. `content-length` is entry 28, written as 15 + 13 and not
        // added to the dynamic table (RFC 7541, sections 6.1 and 6.2.2).
        let mut block = vec![0x88, 0x0f, 13, u8::try_from(length.len())?];
        block.extend_from_slice(length.as_bytes());
        let mut frames = Vec::new();
        push_head(&mut frames, block.len(), HEADERS, END_HEADERS, 0);
        frames.extend_from_slice(&block);
        let second = frames.len();
        push_head(&mut frames, size, DATA, END_STREAM, 0);
        frames.resize(frames.len() + size, b'x');
        Ok(Self { frames, streams: [5, second + 5], body: i64::try_from(size)? })
    }

    fn push(&self, out: &mut Vec<u8>, stream: u32) {
        let start = out.len();
        out.extend_from_slice(&self.frames);
        for at in self.streams {
            out[start + at..start + at + 4].copy_from_slice(&stream.to_be_bytes());
        }
    }
}

fn push_head(out: &mut Vec<u8>, length: usize, kind: u8, flags: u8, stream: u32) {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "callers keep to the largest frame, which fits 24 bits"
    )]
    let length = (length as u32).to_be_bytes();
    out.extend_from_slice(&length[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
}

/// Raises the connection's window for bodies of requests.
fn push_window(out: &mut Vec<u8>, by: u32) {
    push_head(out, 4, WINDOW_UPDATE, 0, 0);
    out.extend_from_slice(&by.to_be_bytes());
}

/// What the client did that no client of a bench does.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
struct Over;

/// The protocol without the socket: bytes of the client in, bytes for it out.
struct Machine {
    greeted: bool,
    /// What the connection's window lets be sent in DATA.
    window: i64,
    /// Streams whose answer waits for that window.
    waiting: VecDeque<u32>,
    /// The beginning of a frame that a read cut off.
    cut: Vec<u8>,
    /// Bytes of request bodies since the connection's window was last raised.
    taken: u32,
    out: Vec<u8>,
    requests: u64,
}

impl Machine {
    fn new() -> Self {
        let mut out = Vec::new();
        push_head(&mut out, 12, SETTINGS, 0, 0);
        for (setting, value) in
            [(MAX_CONCURRENT_STREAMS, u32::from(STREAMS_MAX)), (INITIAL_WINDOW_SIZE, WINDOW_GIVEN)]
        {
            out.extend_from_slice(&setting.to_be_bytes());
            out.extend_from_slice(&value.to_be_bytes());
        }
        push_window(&mut out, WINDOW_GIVEN);
        let (waiting, cut) = (VecDeque::new(), Vec::new());
        Self { greeted: false, window: WINDOW_AT_START, waiting, cut, taken: 0, out, requests: 0 }
    }

    /// Takes the next bytes of the client and renders all that is owed for them.
    fn feed(&mut self, bytes: &[u8], answer: &Answer) -> Result<(), Over> {
        if self.cut.is_empty() {
            let taken = self.walk(bytes, answer)?;
            self.cut.extend_from_slice(&bytes[taken..]);
            return Ok(());
        }
        let mut joined = std::mem::take(&mut self.cut);
        joined.extend_from_slice(bytes);
        let taken = self.walk(&joined, answer)?;
        joined.drain(..taken);
        self.cut = joined;
        Ok(())
    }

    /// How many bytes whole frames take up; what is left is less than one.
    fn walk(&mut self, bytes: &[u8], answer: &Answer) -> Result<usize, Over> {
        let mut rest = bytes;
        if !self.greeted {
            let Some(after) = rest.strip_prefix(PREFACE) else {
                return if PREFACE.starts_with(rest) { Ok(0) } else { Err(Over) };
            };
            (self.greeted, rest) = (true, after);
        }
        while let Some((head, after)) = rest.split_first_chunk::<HEAD_BYTES>() {
            let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            if length > FRAME_BYTES_MAX {
                return Err(Over);
            }
            let Some((payload, after)) = after.split_at_checked(length) else { break };
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            self.frame(head[3], head[4], stream, payload, answer)?;
            rest = after;
        }
        Ok(bytes.len() - rest.len())
    }

    #[inline]
    fn frame(&mut self, kind: u8, flags: u8, stream: u32, body: &[u8], answer: &Answer) -> Result<(), Over> {
        if kind == DATA {
            self.take(body.len());
        }
        match kind {
            HEADERS | DATA if flags & END_STREAM != 0 => return self.request(stream, answer),
            SETTINGS | PING if flags & ACK == 0 => {
                let echo = if kind == PING { body } else { &[] };
                push_head(&mut self.out, echo.len(), kind, ACK, 0);
                self.out.extend_from_slice(echo);
            }
            WINDOW_UPDATE if stream == 0 => {
                let by = body.first_chunk().copied().map(u32::from_be_bytes).ok_or(Over)?;
                self.window += i64::from(by);
                self.answer_waiting(answer);
            }
            GOAWAY => return Err(Over),
            // A stream's window is not kept: no answer is larger than what each begins with.
            _ => {}
        }
        Ok(())
    }

    /// Notes body bytes of a request; before they use up the connection's window it is raised again.
    fn take(&mut self, bytes: usize) {
        self.taken += u32::try_from(bytes).unwrap_or(0);
        if self.taken >= WINDOW_GIVEN / 2 {
            self.taken -= WINDOW_GIVEN / 2;
            push_window(&mut self.out, WINDOW_GIVEN / 2);
        }
    }

    #[inline]
    fn request(&mut self, stream: u32, answer: &Answer) -> Result<(), Over> {
        self.requests += 1;
        if self.window >= answer.body && self.waiting.is_empty() {
            self.window -= answer.body;
            answer.push(&mut self.out, stream);
            return Ok(());
        }
        if self.waiting.len() >= usize::from(STREAMS_MAX) {
            return Err(Over);
        }
        self.waiting.push_back(stream);
        Ok(())
    }

    fn answer_waiting(&mut self, answer: &Answer) {
        while self.window >= answer.body {
            let Some(stream) = self.waiting.pop_front() else { return };
            self.window -= answer.body;
            answer.push(&mut self.out, stream);
        }
    }
}

pub(super) struct Connection {
    socket: OwnedFd,
    machine: Machine,
    /// How much of what was rendered is sent.
    sent: usize,
}

impl Conversation for Connection {
    type Shared = Answer;

    fn begin(socket: OwnedFd, _: &Answer) -> Self {
        Self { socket, machine: Machine::new(), sent: 0 }
    }

    fn step(&mut self, buffer: &mut [u8], answer: &Answer, requests: &mut u64) -> bool {
        let before = self.machine.requests;
        let open = self.receive(buffer, answer);
        *requests += self.machine.requests - before;
        open
    }
}

impl Connection {
    /// Reads what is there, and answers each read with one write. False when the connection is over.
    fn receive(&mut self, buffer: &mut [u8], answer: &Answer) -> bool {
        loop {
            match recv(&self.socket, &mut *buffer, RecvFlags::empty()) {
                Ok((0, _)) => return false,
                Ok((n, _)) => {
                    if self.machine.feed(&buffer[..n], answer).is_err() || !self.send() {
                        return false;
                    }
                    // A short read emptied the socket; whatever comes later raises a new edge.
                    if n < buffer.len() {
                        return true;
                    }
                }
                Err(Errno::AGAIN) => return self.send(),
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }

    /// Sends what is rendered, as far as the socket takes it. False when the connection is over.
    fn send(&mut self) -> bool {
        let out = &mut self.machine.out;
        while self.sent < out.len() {
            match send(&self.socket, &out[self.sent..], SendFlags::NOSIGNAL) {
                Ok(n) => self.sent += n,
                Err(Errno::AGAIN) => return out.len() <= UNSENT_BYTES_MAX,
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
        out.clear();
        self.sent = 0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        push_head(&mut bytes, payload.len(), kind, flags, stream);
        bytes.extend_from_slice(payload);
        bytes
    }

    fn request(stream: u32) -> Vec<u8> {
        frame(HEADERS, END_HEADERS | END_STREAM, stream, &[0x82, 0x84, 0x86])
    }

    /// What comes out for `sent`, after the greeting of both sides.
    fn check(sent: &[Vec<u8>], expected: &Result<Vec<u8>, Over>) {
        let answer = Answer::new(2).expect("it fits");
        let bytes = [PREFACE, &sent.concat()].concat();
        for split in 0..=bytes.len() {
            let mut machine = Machine::new();
            let greeting = std::mem::take(&mut machine.out);
            assert_eq!(greeting.len(), 2 * HEAD_BYTES + 12 + 4);
            let fed = [&bytes[..split], &bytes[split..]].map(|part| machine.feed(part, &answer));
            let got = fed.into_iter().collect::<Result<Vec<()>, Over>>().map(|_| machine.out);
            assert_eq!(&got, expected, "split at {split}");
        }
    }

    fn answered(streams: &[u32]) -> Vec<u8> {
        let both = |&stream: &u32| {
            let head = frame(HEADERS, END_HEADERS, stream, &[0x88, 0x0f, 13, 1, b'2']);
            [head, frame(DATA, END_STREAM, stream, b"xx")].concat()
        };
        streams.iter().flat_map(both).collect()
    }

    #[test]
    fn every_request_is_answered_wherever_reads_split() {
        check(&[request(1), request(3), request(5)], &Ok(answered(&[1, 3, 5])));
        let posted = [frame(HEADERS, END_HEADERS, 1, &[0x83]), frame(DATA, END_STREAM, 1, b"body")];
        check(&posted, &Ok(answered(&[1])));
    }

    #[test]
    fn settings_and_pings_are_acknowledged_and_acknowledgements_are_not() {
        let ping = frame(PING, 0, 0, b"12345678");
        let settings = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 1, 0]);
        let expected = [frame(PING, ACK, 0, b"12345678"), frame(SETTINGS, ACK, 0, b"")].concat();
        check(&[ping, settings, frame(SETTINGS, ACK, 0, b""), frame(PING, ACK, 0, &[0; 8])], &Ok(expected));
    }

    #[test]
    fn bodies_of_requests_never_use_up_the_window() {
        let (answer, mut machine) = (Answer::new(1).expect("it fits"), Machine::new());
        machine.out.clear();
        machine.greeted = true;
        let body = frame(DATA, 0, 1, &vec![0; FRAME_BYTES_MAX]);
        for _ in 0..WINDOW_GIVEN / 16_384 {
            machine.feed(&body, &answer).expect("a client may do that");
        }
        assert_eq!(machine.out, frame(WINDOW_UPDATE, 0, 0, &(WINDOW_GIVEN / 2).to_be_bytes()).repeat(2));
    }

    #[test]
    fn what_no_client_of_a_bench_does_ends_the_connection() {
        check(&[frame(GOAWAY, 0, 0, &[0; 8])], &Err(Over));
        check(&[vec![0xff, 0, 0, DATA, 0, 0, 0, 0, 1]], &Err(Over));
        let mut machine = Machine::new();
        let fed = machine.feed(b"GET / HTTP/1.1\r\n", &Answer::new(1).expect("it fits"));
        assert_eq!(fed, Err(Over), "this is not the preface");
        assert!(Answer::new(FRAME_BYTES_MAX + 1).is_err());
    }

    #[test]
    fn answers_wait_for_the_window_of_the_connection() {
        let answer = Answer::new(16_000).expect("it fits");
        let mut machine = Machine::new();
        machine.out.clear();
        let requests: Vec<u8> = (0..6).flat_map(|i| request(2 * i + 1)).collect();
        machine.feed(&[PREFACE, &requests].concat(), &answer).expect("a client may do that");
        let whole = |machine: &Machine| machine.out.len() / answer.frames.len();
        assert_eq!((whole(&machine), machine.waiting.len()), (4, 2));
        machine.feed(&frame(WINDOW_UPDATE, 0, 0, &32_000u32.to_be_bytes()), &answer).expect("it may");
        assert_eq!((whole(&machine), machine.waiting.len(), machine.requests), (6, 0, 6));
    }
}
