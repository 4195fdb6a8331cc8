//! The io_uring driver: multishot receives into provided buffers, sends without completions.
//!
//! A connection begins with a multishot receive, which needs no system call per answer. Once an answer is seen whose
//! rest is long, its connections change to single receives: a buffer for the head, then one receive that discards
//! the body in the kernel (`MSG_TRUNC`, tcp(7)), so that large bodies cost neither copies nor completions.

mod ring;

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use brunt_loader::timing::CoreTiming;
use brunt_model::outcome::ErrorKind;
use brunt_model::plan::Plan;
use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};

use self::ring::{Completion, GENERATION_MASK, Op, build_ring, cancel_all, enable, timespec, user_data};
use super::buffers::Buffers;
use super::outbox::Outbox;
use super::socket::{Routes, is_shut_out, shut};
use super::{ConnId, Driver, Event, LongTimer, Route, WaitEnd, transfer_error};
use crate::limits::{SEND_BATCH, SHORT_REQUEST_MAX, SKIP_AT_LEAST, SKIP_AT_MOST};

const GROUP: u16 = 0;
/// An answer of a few kilobytes fits one buffer ...
const BUFFER_SIZE: u32 = 8 * 1024;
/// ... unless there are so many connections that memory counts for more.
const BUFFER_SIZE_OF_MANY: u32 = 4 * 1024;
const MANY: usize = 1024;
const BUFFERS_MIN: usize = 16;
/// Connections that are ready at once and find no buffer are armed again, which costs.
const BUFFERS_MAX: usize = 8 * 1024;
/// Completions that end a wait for the next quantum early.
const TOGETHER: usize = 64;
/// Completions taken from the shared queue at once.
const TAKEN: usize = 64;

/// How a connection's receive stands.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Receiving {
    /// None is under way.
    No,
    Multishot,
    /// A multishot that was asked to end; single receives follow.
    Ending,
    Once,
}

struct Slot {
    fd: Option<OwnedFd>,
    /// It is tied to its time stamps.
    marked: bool,
    /// Tells completions of a closed connection from those of the next one in this place.
    generation: u32,
    receiving: Receiving,
    /// The length of a long request that is still being sent; 0: none is.
    sending: usize,
    outbox: Outbox,
    /// Bytes to discard with the next single receive.
    skip: u64,
}

/// One core's ring with its sockets.
pub(crate) struct Uring {
    ring: Option<IoUring>,
    buffers: Option<Buffers>,
    buffer_size: u32,
    /// The kernel knows waits with a least duration (Linux 6.12).
    gathers: bool,
    routes: Arc<Routes>,
    requests: Vec<Arc<[u8]>>,
    slots: Vec<Slot>,
    /// Uninteresting bytes need not be copied.
    discards: bool,
    /// Answers are long here: new connections begin with single receives.
    long_answers: bool,
    taken: [Completion; TAKEN],
    next: usize,
    filled: usize,
    /// The buffer and length of the last `Data` event.
    current: Option<(u16, usize)>,
    timer: LongTimer,
    /// A timer for rough waits is armed.
    rough: bool,
    /// Read by the kernel when a timer is armed.
    timeout: Box<Timespec>,
    overflows: u64,
    overflows_seen: u32,
    /// Writes that failed at once, to be reported as events.
    failed: Vec<(ConnId, u32, ErrorKind)>,
}

/// Is io_uring usable here, with what the driver needs?
///
/// # Errors
/// The system call that failed.
pub(crate) fn probe() -> io::Result<()> {
    let ring = build_ring(BUFFERS_MIN)?;
    let buffers = Buffers::register(&ring, GROUP, 16, 64)?;
    let enabled = enable(&ring);
    drop(ring);
    // SAFETY: nothing was submitted, and the ring is closed.
    unsafe { buffers.free() };
    enabled
}

impl Uring {
    /// Room for `connections`. Must be called, and the driver used, on one thread.
    ///
    /// # Errors
    /// When the kernel refuses the ring or its buffers.
    pub(crate) fn new(plan: &Plan, connections: usize, timing: Option<CoreTiming>) -> io::Result<Self> {
        let ring = build_ring(connections)?;
        let count = connections.next_power_of_two().clamp(BUFFERS_MIN, BUFFERS_MAX);
        let buffer_size = if count > MANY { BUFFER_SIZE_OF_MANY } else { BUFFER_SIZE };
        let routes = Arc::new(Routes::new(plan, timing));
        let gathers = ring.params().is_feature_min_timeout();
        let buffers = Buffers::register(&ring, GROUP, u16::try_from(count).unwrap_or(1024), buffer_size)?;
        enable(&ring)?;
        let slot = || Slot {
            fd: None,
            marked: false,
            generation: 0,
            receiving: Receiving::No,
            sending: 0,
            outbox: Outbox::default(),
            skip: 0,
        };
        Ok(Self {
            ring: Some(ring),
            buffers: Some(buffers),
            buffer_size,
            gathers,
            discards: routes.can_discard(),
            routes,
            requests: super::wires(plan),
            slots: std::iter::repeat_with(slot).take(connections).collect(),
            long_answers: false,
            taken: [Completion::default(); TAKEN],
            next: 0,
            filled: 0,
            current: None,
            timer: LongTimer::default(),
            rough: false,
            timeout: Box::new(Timespec::new()),
            overflows: 0,
            overflows_seen: 0,
            failed: Vec::with_capacity(connections),
        })
    }

    fn ring(&mut self) -> &mut IoUring {
        self.ring.as_mut().expect("taken only in drop")
    }

    fn buffers(&mut self) -> &mut Buffers {
        self.buffers.as_mut().expect("taken only in drop")
    }

    fn push(&mut self, entry: &squeue::Entry) {
        loop {
            // SAFETY: every entry's memory outlives its operation: the requests and the routes' addresses are held by
            // `self`, buffers are registered, and all of them stay until `drop` has cancelled what is under way.
            if unsafe { self.ring().submission().push(entry) }.is_ok() {
                return;
            }
            self.submit();
        }
    }

    fn fd(&self, conn: ConnId) -> Option<(Fd, u32)> {
        let slot = &self.slots[conn.index()];
        slot.fd.as_ref().map(|fd| (Fd(fd.as_raw_fd()), slot.generation))
    }

    /// Begins the receive that this connection needs next.
    fn arm(&mut self, conn: ConnId) {
        let Some((fd, generation)) = self.fd(conn) else { return };
        let (multishot, skip) = (!self.long_answers, self.slots[conn.index()].skip);
        let (entry, op, receiving) = if multishot && skip == 0 {
            (opcode::RecvMulti::new(fd, GROUP).build(), Op::Receive, Receiving::Multishot)
        } else if skip > 0 {
            let len = u32::try_from(skip.min(SKIP_AT_MOST)).unwrap_or(u32::MAX);
            // The kernel writes nothing with MSG_TRUNC, so there is no memory to name. MSG_WAITALL would count from
            // the start again after each part, because nothing is copied, and never end.
            let entry = opcode::Recv::new(fd, std::ptr::null_mut(), len).flags(libc::MSG_TRUNC).build();
            (entry, Op::Skip, Receiving::Once)
        } else {
            let entry =
                opcode::Recv::new(fd, std::ptr::null_mut(), self.buffer_size).buf_group(GROUP).build();
            (entry.flags(squeue::Flags::BUFFER_SELECT), Op::Receive, Receiving::Once)
        };
        self.slots[conn.index()].receiving = receiving;
        self.push(&entry.user_data(user_data(op, generation, conn)));
    }

    /// The timer's time is read when the entry is submitted, before another is armed.
    fn arm_timer(&mut self, op: Op, nanos: u64) {
        *self.timeout = timespec(nanos.max(1));
        let entry = opcode::Timeout::new(&raw const *self.timeout).build();
        self.push(&entry.user_data(user_data(op, 0, ConnId(0))));
    }

    fn cancel_multishot(&mut self, conn: ConnId) {
        let Some((_, generation)) = self.fd(conn) else { return };
        self.slots[conn.index()].receiving = Receiving::Ending;
        let target = user_data(Op::Receive, generation, conn);
        let entry = opcode::AsyncCancel::new(target).build().flags(squeue::Flags::SKIP_SUCCESS);
        self.push(&entry.user_data(user_data(Op::Cancel, generation, conn)));
    }

    fn take_completions(&mut self) {
        let (next, filled) = {
            let (ring, taken) = (self.ring.as_mut().expect("taken only in drop"), &mut self.taken);
            let mut queue = ring.completion();
            let mut filled = 0;
            for (slot, entry) in taken.iter_mut().zip(&mut queue) {
                *slot =
                    Completion { user_data: entry.user_data(), result: entry.result(), flags: entry.flags() };
                filled += 1;
            }
            (0, filled)
        };
        (self.next, self.filled) = (next, filled);
    }

    /// What a completion means to the caller, if anything.
    fn event(&mut self, done: Completion) -> Option<Event> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the low half holds the connection, the high one the rest"
        )]
        let (conn, high) = (ConnId(done.user_data as u32), (done.user_data >> 32) as u32);
        let op = (high >> 24) as u8;
        if op == Op::Timer as u8 {
            self.timer.fired();
            return None;
        }
        if op == Op::Rough as u8 {
            self.rough = false;
            return None;
        }
        let slot = self.slots.get(conn.index())?;
        if slot.fd.is_none() || slot.generation & GENERATION_MASK != high & GENERATION_MASK {
            self.give_back(done.flags);
            return None;
        }
        if op == Op::Receive as u8 {
            self.received(conn, done)
        } else if op == Op::Skip as u8 {
            self.slots[conn.index()].receiving = Receiving::No;
            Some(match done.result {
                0 => Event::Eof(conn),
                n @ 1.. => Event::Skipped(conn, u64::from(n.unsigned_abs())),
                errno => Event::Broken(conn, transfer_error(-errno)),
            })
        } else if op == Op::Send as u8 {
            self.send_ended(conn, done.result)
        } else if op == Op::Connect as u8 {
            Some(self.connected(conn, done.result))
        } else if op == Op::Writable as u8 {
            self.writable(conn)
        } else {
            None
        }
    }

    /// Short sends complete silently; one that reports did not send everything.
    fn send_ended(&mut self, conn: ConnId, result: i32) -> Option<Event> {
        let slot = &mut self.slots[conn.index()];
        if slot.sending > 0 && usize::try_from(result).is_ok_and(|sent| sent == slot.sending) {
            slot.sending = 0;
            return None;
        }
        Some(Event::Broken(conn, transfer_error(-result.min(0))))
    }

    fn connected(&mut self, conn: ConnId, result: i32) -> Event {
        if result < 0 {
            return Event::ConnectFailed(conn, self.routes.refused(-result));
        }
        self.arm(conn);
        Event::Connected(conn)
    }

    fn received(&mut self, conn: ConnId, done: Completion) -> Option<Event> {
        let more = cqueue::more(done.flags);
        let state = self.slots[conn.index()].receiving;
        if !more {
            self.slots[conn.index()].receiving = Receiving::No;
        }
        match done.result {
            n @ 1.. => {
                let buffer = cqueue::buffer_select(done.flags)?;
                self.current = Some((buffer, usize::try_from(n).unwrap_or(0)));
                if !more && state == Receiving::Multishot {
                    self.arm(conn);
                }
                Some(Event::Data(conn))
            }
            0 => {
                self.give_back(done.flags);
                Some(Event::Eof(conn))
            }
            errno if -errno == libc::ENOBUFS || (-errno == libc::ECANCELED && state == Receiving::Ending) => {
                self.arm(conn);
                None
            }
            errno => Some(Event::Broken(conn, transfer_error(-errno))),
        }
    }

    /// Asks to be told when the socket has room.
    fn await_room(&mut self, conn: ConnId) {
        let Some((fd, generation)) = self.fd(conn) else { return };
        let interest = u32::try_from(libc::POLLOUT).unwrap_or_default();
        let entry = opcode::PollAdd::new(fd, interest).build();
        self.push(&entry.user_data(user_data(Op::Writable, generation, conn)));
    }

    fn writable(&mut self, conn: ConnId) -> Option<Event> {
        let (fd, _) = self.fd(conn)?;
        match self.slots[conn.index()].outbox.resume(fd.0) {
            Ok(true) => Some(Event::Written(conn)),
            Ok(false) => {
                self.await_room(conn);
                None
            }
            Err(kind) => Some(Event::Broken(conn, kind)),
        }
    }

    fn next_failed(&mut self) -> Option<Event> {
        while let Some((conn, generation, kind)) = self.failed.pop() {
            let slot = &self.slots[conn.index()];
            if slot.fd.is_some() && slot.generation == generation {
                return Some(Event::Broken(conn, kind));
            }
        }
        None
    }

    fn give_back(&mut self, flags: u32) {
        if let Some(buffer) = cqueue::buffer_select(flags) {
            self.buffers().lend(buffer);
        }
    }

    /// A failed enter either is harmless or cost completions.
    fn entered(&mut self, result: io::Result<usize>) {
        let Err(error) = result else { return };
        match error.raw_os_error() {
            Some(libc::EINTR | libc::ETIME | libc::EBUSY | libc::EAGAIN) => {}
            _ => self.overflows += 1,
        }
    }
}

impl Driver for Uring {
    const SEND_BATCH: usize = SEND_BATCH;

    fn connect(&mut self, conn: ConnId, route: Route) -> Result<(), ErrorKind> {
        let routes = Arc::clone(&self.routes);
        let address = routes.endpoint(route)?;
        let fd = routes.open(route, true)?;
        let slot = &mut self.slots[conn.index()];
        slot.generation = slot.generation.wrapping_add(1);
        (slot.receiving, slot.sending, slot.skip) = (Receiving::No, 0, 0);
        slot.outbox.clear();
        slot.marked = routes.mark(&fd, conn, slot.generation);
        let entry = opcode::Connect::new(Fd(fd.as_raw_fd()), address.as_ptr(), address.len()).build();
        let entry = entry.user_data(user_data(Op::Connect, slot.generation, conn));
        slot.fd = Some(fd);
        self.push(&entry);
        Ok(())
    }

    fn connect_errno(&self) -> i32 {
        self.routes.last_refused()
    }

    fn is_marked(&self, conn: ConnId) -> bool {
        self.slots[conn.index()].marked
    }

    #[inline]
    fn send(&mut self, conn: ConnId, request: u16) {
        let Some((fd, generation)) = self.fd(conn) else { return };
        let bytes = &self.requests[usize::from(request)];
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let short = bytes.len() <= SHORT_REQUEST_MAX;
        let entry = opcode::Send::new(fd, bytes.as_ptr(), len)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
            .build()
            .flags(if short { squeue::Flags::SKIP_SUCCESS } else { squeue::Flags::empty() })
            .user_data(user_data(Op::Send, generation, conn));
        self.slots[conn.index()].sending = if short { 0 } else { bytes.len() };
        self.push(&entry);
    }

    #[inline]
    fn write(&mut self, conn: ConnId, bytes: &mut Vec<u8>) {
        let Some((fd, generation)) = self.fd(conn) else { return };
        let outbox = &mut self.slots[conn.index()].outbox;
        if !outbox.is_empty() {
            return;
        }
        match outbox.write(fd.0, bytes) {
            Ok(true) => {}
            Ok(false) => self.await_room(conn),
            Err(kind) => self.failed.push((conn, generation, kind)),
        }
    }

    #[inline]
    fn sent_whole(&self, conn: ConnId) -> bool {
        let slot = &self.slots[conn.index()];
        slot.sending == 0 && slot.outbox.is_empty()
    }

    fn is_shut_out(&self, conn: ConnId) -> bool {
        self.slots[conn.index()].fd.as_ref().is_some_and(|fd| is_shut_out(fd.as_raw_fd()))
    }

    #[inline]
    fn submit(&mut self) {
        let result = self.ring().submit();
        self.entered(result);
    }

    #[inline]
    fn wait(&mut self, now: u64, until: u64) {
        if self.next < self.filled || !self.failed.is_empty() {
            self.submit();
            return;
        }
        let result = match self.timer.end_of_wait(now, until) {
            WaitEnd::Armed => self.ring().submit_and_wait(1),
            WaitEnd::Arm(nanos) => {
                self.arm_timer(Op::Timer, nanos);
                self.ring().submit_and_wait(1)
            }
            WaitEnd::Timeout(nanos) => {
                let timeout = timespec(nanos.max(1));
                self.ring().submitter().submit_with_args(1, &SubmitArgs::new().timespec(&timeout))
            }
        };
        self.entered(result);
    }

    /// One timer for several waits in a row: to set and to cancel one costs as much as a small request.
    fn wait_roughly(&mut self, now: u64, until: u64) {
        if self.next < self.filled || !self.failed.is_empty() {
            self.submit();
            return;
        }
        if !std::mem::replace(&mut self.rough, true) {
            self.arm_timer(Op::Rough, until.saturating_sub(now));
        }
        let result = self.ring().submit_and_wait(1);
        self.entered(result);
    }

    fn wait_together(&mut self, now: u64, until: u64, gather: u64) {
        if self.next < self.filled || !self.gathers || !self.failed.is_empty() {
            self.wait(now, until);
            return;
        }
        // The kernel looks at the end of the wait only after the least duration.
        let gather = u32::try_from(until.saturating_sub(now).min(gather) / 1_000).unwrap_or(u32::MAX);
        if gather == 0 {
            return self.wait(now, until);
        }
        let timeout = timespec(until.saturating_sub(now));
        let arguments = SubmitArgs::new().timespec(&timeout).min_wait_usec(gather);
        let result = self.ring().submitter().submit_with_args(TOGETHER, &arguments);
        self.entered(result);
    }

    /// The kernel says in shared memory whether it has anything for us.
    #[inline]
    fn poll(&mut self) -> bool {
        if self.next < self.filled || !self.failed.is_empty() {
            return true;
        }
        let ring = self.ring();
        if ring.completion().is_empty() {
            if !ring.submission().taskrun() {
                return false;
            }
            const GETEVENTS: u32 = 1; // IORING_ENTER_GETEVENTS: runs what the kernel deferred, without waiting.
            // SAFETY: no argument structure is passed; the flags only ask for deferred work to be run.
            let result = unsafe { ring.submitter().enter::<()>(0, 0, GETEVENTS, None) };
            self.entered(result);
        }
        true
    }

    #[inline]
    fn next_event(&mut self) -> Option<Event> {
        if let Some((buffer, _)) = self.current.take() {
            self.buffers().lend(buffer);
        }
        loop {
            if self.next == self.filled {
                self.take_completions();
                if self.filled == 0 {
                    // What had arrived before a write failed comes first: it may be the reason.
                    return self.next_failed();
                }
            }
            let done = self.taken[self.next];
            self.next += 1;
            if let Some(event) = self.event(done) {
                return Some(event);
            }
        }
    }

    #[inline]
    fn data(&self) -> &[u8] {
        match (self.current, &self.buffers) {
            (Some((buffer, len)), Some(buffers)) => buffers.bytes(buffer, len),
            _ => &[],
        }
    }

    #[inline]
    fn receive(&mut self, conn: ConnId, skip: u64) {
        let skip = if self.discards { skip } else { 0 };
        let slot = &mut self.slots[conn.index()];
        match slot.receiving {
            Receiving::Multishot if skip < SKIP_AT_LEAST => {}
            Receiving::Multishot => {
                slot.skip = skip;
                self.long_answers = true;
                self.cancel_multishot(conn);
            }
            Receiving::Ending => slot.skip = skip,
            Receiving::No => {
                slot.skip = skip;
                self.arm(conn);
            }
            Receiving::Once => {}
        }
    }

    fn close(&mut self, conn: ConnId) {
        let slot = &mut self.slots[conn.index()];
        let Some(fd) = slot.fd.take() else { return };
        let connecting = slot.receiving == Receiving::No;
        slot.generation = slot.generation.wrapping_add(1);
        slot.receiving = Receiving::No;
        if connecting {
            // A connect that is not answered does not end by shutdown alone.
            let before = slot.generation.wrapping_sub(1);
            let target = user_data(Op::Connect, before, conn);
            let entry = opcode::AsyncCancel::new(target).build().flags(squeue::Flags::SKIP_SUCCESS);
            self.push(&entry.user_data(user_data(Op::Cancel, before, conn)));
        }
        // What was queued for this socket must reach the kernel before the descriptor can be used again.
        self.submit();
        shut(fd);
    }

    fn take_overflows(&mut self) -> u64 {
        let lost = self.ring().completion().overflow();
        let new = lost.wrapping_sub(self.overflows_seen);
        self.overflows_seen = lost;
        std::mem::take(&mut self.overflows) + u64::from(new)
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        // What is queued names descriptors, which may be somebody else's once they are closed.
        self.submit();
        self.slots.iter_mut().filter_map(|slot| slot.fd.take()).for_each(shut);
        let (Some(mut ring), Some(buffers)) = (self.ring.take(), self.buffers.take()) else { return };
        let idle = cancel_all(&mut ring);
        // Closed, not unregistered: an enabled ring refuses that.
        drop(ring);
        if idle {
            // SAFETY: every operation has ended, and the ring is closed.
            unsafe { buffers.free() };
        } else {
            // The kernel may still write to the buffers, which are not freed, and read these, which are leaked.
            std::mem::forget(std::mem::take(&mut self.requests));
            std::mem::forget(Arc::clone(&self.routes));
        }
    }
}
