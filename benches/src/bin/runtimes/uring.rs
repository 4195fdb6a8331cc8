//! io_uring by hand: a ring of this thread alone with deferred task work, multishot receives into a ring of provided
//! buffers, sends without a completion, and an enter after at most 8 of them.

#![expect(unsafe_code, reason = "the kernel reads and writes memory that the ring's entries point to")]

use std::net::TcpStream;
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, bail, ensure};
use brunt_benches::answers::{AnswerReader, Recorder};
use brunt_benches::clock::now_ns;
use io_uring::types::{BufRingEntry, Fd};
use io_uring::{IoUring, cqueue, opcode, squeue};

use crate::load::{Load, Outcome, RECEIVE_BYTES, REQUEST};

const ENTRIES: u32 = 2_048;
const COMPLETIONS: u32 = 8_192;
/// More would delay the first of them while the last is prepared.
const SENDS_AN_ENTER: usize = 8;
const BUFFERS_MIN: u16 = 16;
const BUFFERS_MAX: u16 = 1_024;
const GROUP: u16 = 0;
/// Set in the user data of a send, whose other bits are the connection.
const SEND: u64 = 1 << 32;

struct Connection {
    socket: TcpStream,
    reader: AnswerReader,
    sent_ns: u64,
}

struct Loop {
    ring: IoUring,
    buffers: Buffers,
    connections: Vec<Connection>,
    recorder: Recorder,
    sends_waiting: usize,
    end_ns: u64,
}

pub(crate) fn run(load: &Load) -> anyhow::Result<Outcome> {
    let ring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_coop_taskrun()
        .setup_no_sqarray()
        .setup_cqsize(COMPLETIONS)
        .build(ENTRIES)
        .context("io_uring cannot be set up")?;
    let buffers = Buffers::register(&ring, load.connections)?;
    let connection = |socket| Connection { socket, reader: AnswerReader::default(), sent_ns: 0 };
    let connections: Vec<_> = load.connect()?.into_iter().map(connection).collect();
    let (recorder, end_ns) = (Recorder::default(), load.end_ns());
    let mut this = Loop { ring, buffers, connections, recorder, sends_waiting: 0, end_ns };
    this.run()?;
    Ok(load.outcome(&this.recorder))
}

impl Loop {
    fn run(&mut self) -> anyhow::Result<()> {
        for index in 0..self.connections.len() {
            self.receive(index)?;
            self.send(index, now_ns())?;
        }
        let mut completions: Vec<cqueue::Entry> = Vec::with_capacity(COMPLETIONS as usize);
        loop {
            self.ring.submit_and_wait(1).context("io_uring_enter failed")?;
            self.sends_waiting = 0;
            completions.extend(self.ring.completion());
            for completion in completions.drain(..) {
                if self.complete(&completion)? {
                    return Ok(());
                }
            }
            self.buffers.publish();
        }
    }

    /// Handles one completion. True when time is up.
    fn complete(&mut self, completion: &cqueue::Entry) -> anyhow::Result<bool> {
        if completion.user_data() & SEND != 0 {
            bail!("a send failed: {}", std::io::Error::from_raw_os_error(-completion.result()));
        }
        let index = usize::try_from(completion.user_data())?;
        if completion.result() == -libc::ENOBUFS {
            self.buffers.publish();
            self.receive(index)?;
            return Ok(false);
        }
        ensure!(completion.result() > 0, "a receive ended with {}", completion.result());
        let buffer = cqueue::buffer_select(completion.flags()).context("a receive without a buffer")?;
        let connection = &mut self.connections[index];
        let bytes = self.buffers.bytes(buffer, usize::try_from(completion.result())?);
        let ended = connection.reader.feed(&mut self.recorder, bytes)?;
        self.buffers.give_back(buffer);
        if !cqueue::more(completion.flags()) {
            self.receive(index)?;
        }
        if ended == 0 {
            return Ok(false);
        }
        let now = self.recorder.answered(self.connections[index].sent_ns);
        if now < self.end_ns {
            self.send(index, now)?;
        }
        Ok(now >= self.end_ns)
    }

    fn receive(&mut self, index: usize) -> anyhow::Result<()> {
        let fd = Fd(self.connections[index].socket.as_raw_fd());
        self.push(&opcode::RecvMulti::new(fd, GROUP).build().user_data(index as u64))
    }

    fn send(&mut self, index: usize, now: u64) -> anyhow::Result<()> {
        let connection = &mut self.connections[index];
        connection.sent_ns = now;
        let length = u32::try_from(REQUEST.len())?;
        let send = opcode::Send::new(Fd(connection.socket.as_raw_fd()), REQUEST.as_ptr(), length)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
            .build()
            .flags(squeue::Flags::SKIP_SUCCESS)
            .user_data(SEND | index as u64);
        self.push(&send)?;
        self.sends_waiting += 1;
        if self.sends_waiting == SENDS_AN_ENTER {
            self.ring.submit().context("io_uring_enter failed")?;
            self.sends_waiting = 0;
        }
        Ok(())
    }

    fn push(&mut self, entry: &squeue::Entry) -> anyhow::Result<()> {
        // SAFETY: sends read a static slice, and receives write into the registered buffers, which are never freed.
        while unsafe { self.ring.submission().push(entry) }.is_err() {
            self.ring.submit().context("io_uring_enter failed")?;
        }
        Ok(())
    }
}

/// Memory aligned as the kernel wants a ring of buffers to be.
#[repr(C, align(4096))]
#[derive(Clone)]
struct Page([u8; 4096]);

/// Buffers that the kernel picks from for receives. Their memory is leaked: the process runs one loop and ends, and
/// the kernel may write to it until then.
struct Buffers {
    entries: *mut BufRingEntry,
    data: *mut u8,
    mask: u16,
    tail: u16,
}

impl Buffers {
    /// One buffer a connection, within bounds.
    fn register(ring: &IoUring, connections: u32) -> anyhow::Result<Self> {
        let wanted = u16::try_from(connections).unwrap_or(BUFFERS_MAX).min(BUFFERS_MAX);
        let count = wanted.next_power_of_two().max(BUFFERS_MIN);
        let pages = (usize::from(count) * size_of::<BufRingEntry>()).div_ceil(size_of::<Page>());
        let entries = vec![Page([0; 4096]); pages].leak().as_mut_ptr().cast();
        let data = vec![0; usize::from(count) * RECEIVE_BYTES].leak().as_mut_ptr();
        // SAFETY: the entries are page-aligned, large enough for `count` of them, zeroed and never freed.
        unsafe { ring.submitter().register_buf_ring_with_flags(entries as u64, count, GROUP, 0) }
            .context("a ring of buffers cannot be registered")?;
        let mut buffers = Self { entries, data, mask: count - 1, tail: 0 };
        (0..count).for_each(|buffer| buffers.give_back(buffer));
        buffers.publish();
        Ok(buffers)
    }

    /// What the kernel wrote into a buffer that a completion named.
    fn bytes(&self, buffer: u16, length: usize) -> &[u8] {
        let (buffer, length) = (usize::from(buffer & self.mask), length.min(RECEIVE_BYTES));
        // SAFETY: the range lies within `data`, and the kernel does not touch a buffer until it is given back.
        unsafe { std::slice::from_raw_parts(self.data.add(buffer * RECEIVE_BYTES), length) }
    }

    /// Lets the kernel use a buffer again, once [`publish`](Self::publish) is called.
    fn give_back(&mut self, buffer: u16) {
        let buffer = buffer & self.mask;
        // SAFETY: the masked index lies within the ring, and the kernel reads no entry past the published tail.
        let entry = unsafe { &mut *self.entries.add(usize::from(self.tail & self.mask)) };
        // SAFETY: the offset lies within `data`.
        entry.set_addr(unsafe { self.data.add(usize::from(buffer) * RECEIVE_BYTES) } as u64);
        entry.set_len(u32::try_from(RECEIVE_BYTES).expect("a small constant"));
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
    }

    fn publish(&self) {
        // SAFETY: `entries` is the address of the registered ring; its tail is an aligned u16 that only we write.
        let tail = unsafe { &*BufRingEntry::tail(self.entries).cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
    }
}
