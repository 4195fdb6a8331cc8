//! The kernel programs in the simulated network: memory filled as they fill theirs, and the truth beside it, found in
//! the bytes themselves and not by offsets.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use brunt_loader::timing::Timing;
use brunt_model::histogram::Histogram;

use super::ConnId;
use crate::conn::h2::frame::{HEAD_LEN, Head, kind};

/// The layout of `brunt_abi::timing`: bytes of a slot and of a log, entries of each half of a log, bytes of one.
const SLOT: usize = 128;
const LOG: usize = 2_112;
const LOG_ENTRIES: usize = 64;
const MARK: usize = 16;

#[derive(Copy, Clone, Default)]
struct Slot {
    generation: u64,
    syn_ns: u64,
    synack_ns: u64,
    out_ns: u64,
    out_from: u64,
    in_ns: u64,
    in_from: u64,
    retransmits: u64,
}

/// What the programs do wrong, for a test.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Flaw {
    None,
    /// They are gone: no socket is tied to its stamps.
    Gone,
    /// Each write leaves in so many segments.
    Segments(u64),
    /// Every segment came out of order.
    Reordered,
}

/// How answers are told from each other, for the truth.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Speech {
    /// Requests of so many bytes.
    One(usize),
    Two,
}

/// One connection as the programs and the truth see it.
#[derive(Default)]
struct Line {
    slot: Slot,
    out_end: u64,
    in_end: u64,
    /// Entries of each half of the log.
    counts: [u64; 2],
    /// Plaintext of both directions that is not made sense of yet, and how much came before it.
    said: [Vec<u8>; 2],
    before: usize,
    /// When requests left: in their order, and by stream.
    order: VecDeque<u64>,
    streams: BTreeMap<u32, u64>,
    /// When the open frame of each direction began.
    frame_ns: [u64; 2],
    answer_open: bool,
}

pub(crate) struct Kernel {
    slots: File,
    logs: File,
    lines: Vec<Line>,
    speech: Speech,
    pub(crate) flaw: Flaw,
    pub(crate) truth: Histogram,
    pub(crate) handshakes: Histogram,
}

const OUT: usize = 0;
const IN: usize = 1;

fn memory(len: usize) -> OwnedFd {
    let fd = rustix::fs::memfd_create("stamps", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    rustix::fs::ftruncate(&fd, len.next_multiple_of(4096) as u64).unwrap();
    fd
}

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

impl Kernel {
    /// The programs' side and that of the engine.
    pub(crate) fn new(connections: usize, speech: Speech, flaw: Flaw) -> (Self, Arc<Timing>) {
        let slots = memory(connections * SLOT);
        let logs = memory(connections * LOG);
        let timing = Timing::new(&slots, Some(&logs), u32::try_from(connections).unwrap()).unwrap();
        let kernel = Self {
            slots: slots.into(),
            logs: logs.into(),
            lines: std::iter::repeat_with(Line::default).take(connections).collect(),
            speech,
            flaw,
            truth: Histogram::with_sums(),
            handshakes: Histogram::default(),
        };
        (kernel, Arc::new(timing))
    }

    pub(crate) fn is_there(&self) -> bool {
        self.flaw != Flaw::Gone
    }

    /// A socket was tied to its slot, and its SYN left, twice.
    pub(crate) fn begin(&mut self, conn: ConnId, now: u64) {
        if self.is_there() {
            let generation = self.lines[conn.index()].slot.generation + 1;
            let slot = Slot { generation, syn_ns: now, retransmits: 1, ..Slot::default() };
            self.lines[conn.index()] = Line { slot, ..Line::default() };
            self.show_slot(conn);
            self.show_counts(conn);
        }
    }

    pub(crate) fn connected(&mut self, conn: ConnId, now: u64) {
        if self.is_there() {
            let slot = &mut self.lines[conn.index()].slot;
            slot.synack_ns = now;
            self.handshakes.record(now - slot.syn_ns);
            self.show_slot(conn);
        }
    }

    /// A whole request left that is always the same.
    pub(crate) fn left_whole(&mut self, conn: ConnId, now: u64) {
        let Speech::One(request) = self.speech else { panic!("only HTTP/1.1 has such") };
        self.left(conn, request, &vec![b'x'; request], now);
    }

    /// So many bytes left, with this plaintext in them.
    pub(crate) fn left(&mut self, conn: ConnId, bytes: usize, plain: &[u8], now: u64) {
        let line = &mut self.lines[conn.index()];
        if line.slot.out_ns == 0 || line.slot.in_ns != 0 {
            (line.slot.out_ns, line.slot.out_from, line.slot.in_ns) = (now, line.out_end, 0);
        }
        line.slot.retransmits += 1;
        let from = line.out_end;
        line.out_end += bytes as u64;
        self.said_out(conn, plain, now);
        let segments = if let Flaw::Segments(count) = self.flaw { count } else { 1 };
        // Only the last are kept.
        let gone = segments.saturating_sub(LOG_ENTRIES as u64);
        self.lines[conn.index()].counts[OUT] += gone;
        for segment in gone + 1..=segments {
            self.log(conn, OUT, from + bytes as u64 * segment / segments, now);
        }
        self.show_slot(conn);
    }

    /// So many bytes arrived, with this plaintext in them; `last`: the answer ends there.
    pub(crate) fn arrived(&mut self, conn: ConnId, bytes: usize, plain: &[u8], last: bool, now: u64) {
        let line = &mut self.lines[conn.index()];
        if line.slot.in_ns == 0 && line.slot.out_ns != 0 {
            (line.slot.in_ns, line.slot.in_from) = (now, line.in_end);
        }
        line.in_end += bytes as u64;
        let end = line.in_end;
        self.said_in(conn, plain, last, now);
        self.log(conn, IN, end, now);
        self.show_slot(conn);
    }

    fn log(&mut self, conn: ConnId, half: usize, end: u64, now: u64) {
        let count = &mut self.lines[conn.index()].counts[half];
        let at = usize::try_from(*count).unwrap() % LOG_ENTRIES;
        *count += 1;
        let half_len = LOG_ENTRIES * MARK;
        let offset = conn.index() * LOG + 16 + half * half_len + at * MARK;
        let ns = if self.flaw == Flaw::Reordered { 0 } else { now };
        self.logs.write_all_at(&words(&[end, ns]), offset as u64).unwrap();
        self.show_counts(conn);
    }

    fn show_counts(&self, conn: ConnId) {
        let offset = conn.index() * LOG;
        self.logs.write_all_at(&words(&self.lines[conn.index()].counts), offset as u64).unwrap();
    }

    fn show_slot(&self, conn: ConnId) {
        let slot = self.lines[conn.index()].slot;
        // A line for each direction; what only the programs need is left zero.
        let outward = [slot.out_ns, slot.out_from, 0, 0, slot.generation, slot.retransmits, slot.syn_ns, 0];
        let inward = [slot.in_ns, slot.in_from, 0, 0, slot.generation, slot.synack_ns, 0, 0];
        let all = [outward, inward].concat();
        self.slots.write_all_at(&words(&all), (conn.index() * SLOT) as u64).unwrap();
    }

    fn said_out(&mut self, conn: ConnId, plain: &[u8], now: u64) {
        let line = &mut self.lines[conn.index()];
        match self.speech {
            Speech::One(request) => {
                let begun = |bytes: usize| bytes.div_ceil(request);
                let new = begun(line.before + plain.len()) - begun(line.before);
                line.before += plain.len();
                line.order.extend(std::iter::repeat_n(now, new));
            }
            Speech::Two => {
                let preface = 24usize.saturating_sub(line.before).min(plain.len());
                line.before += plain.len();
                for stream in line.heads(OUT, &plain[preface..], now) {
                    line.streams.insert(stream.0, stream.1);
                }
            }
        }
    }

    fn said_in(&mut self, conn: ConnId, plain: &[u8], last: bool, now: u64) {
        let line = &mut self.lines[conn.index()];
        match self.speech {
            Speech::One(_) if plain.is_empty() => {}
            Speech::One(_) => {
                if !std::mem::replace(&mut line.answer_open, !last) {
                    let left = line.order.pop_front().expect("an answer to a request");
                    self.truth.record(now - left);
                }
            }
            Speech::Two => {
                for (stream, began) in line.heads(IN, plain, now) {
                    if let Some(left) = line.streams.remove(&stream) {
                        self.truth.record(began - left);
                    }
                }
            }
        }
    }
}

impl Line {
    /// Streams whose HEADERS ended in `plain`, and when these began.
    fn heads(&mut self, direction: usize, plain: &[u8], now: u64) -> Vec<(u32, u64)> {
        let (said, began) = (&mut self.said[direction], &mut self.frame_ns[direction]);
        if said.is_empty() {
            *began = now;
        }
        said.extend_from_slice(plain);
        let mut heads = Vec::new();
        while let Some(head) = said.first_chunk::<HEAD_LEN>().map(Head::read) {
            let end = HEAD_LEN + head.len as usize;
            if said.len() < end {
                break;
            }
            if head.kind == kind::HEADERS {
                heads.push((head.stream, *began));
            }
            said.drain(..end);
            *began = now;
        }
        heads
    }
}
