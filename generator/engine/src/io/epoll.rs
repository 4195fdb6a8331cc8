//! The epoll driver: edge-triggered, for hosts where io_uring is forbidden.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use brunt_loader::timing::CoreTiming;
use brunt_model::outcome::ErrorKind;
use brunt_model::plan::Plan;

use super::outbox::Outbox;
use super::socket::{Routes, errno, is_shut_out, pending_error, send_some, shut};
use super::{ConnId, Driver, Event, LongTimer, Route, WaitEnd, transfer_error};
use crate::limits::{SKIP_AT_MOST, TURN_BYTES};

const BUFFER_SIZE: usize = 64 * 1024;
const EVENTS: usize = 256;
const INTEREST: libc::c_int = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET;
const READABLE: libc::c_int = libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR;

/// The timer's mark among the readiness reports; no connection has it.
const TIMER: u64 = u64::MAX;

fn timespec(nanos: u64) -> libc::timespec {
    libc::timespec {
        tv_sec: libc::time_t::try_from(nanos / 1_000_000_000).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::try_from(nanos % 1_000_000_000).unwrap_or(0),
    }
}

/// Takes a new descriptor from a system call.
fn owned(raw: libc::c_int) -> io::Result<OwnedFd> {
    if raw < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `raw` was just made by the caller's system call and is owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

fn add(epoll: &OwnedFd, fd: RawFd, interest: libc::c_int, mark: u64) -> io::Result<()> {
    let mut event = libc::epoll_event { events: interest.cast_unsigned(), u64: mark };
    // SAFETY: both descriptors are open and the event is live for the call.
    let added = unsafe { libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &raw mut event) };
    if added == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

struct Slot {
    fd: Option<OwnedFd>,
    /// It is tied to its time stamps.
    marked: bool,
    generation: u32,
    connecting: bool,
    /// The request that is sent, and how many bytes of it are still to be written.
    request: u16,
    unsent: usize,
    outbox: Outbox,
    skip: u64,
}

/// A connection that may be read, with its generation and whether its peer may have closed.
type Reading = (ConnId, u32, bool);

/// One core's epoll instance with its sockets.
pub(crate) struct Epoll {
    epoll: OwnedFd,
    timer_fd: OwnedFd,
    timer: LongTimer,
    routes: Routes,
    /// Uninteresting bytes need not be copied.
    discards: bool,
    requests: Vec<Arc<[u8]>>,
    slots: Vec<Slot>,
    buffer: Box<[u8]>,
    data_len: usize,
    events: Vec<libc::epoll_event>,
    next: usize,
    filled: usize,
    /// The connection being read, and how much of its turn it has used.
    reading: Option<Reading>,
    turn: usize,
    /// Connections with more to read whose turn is over.
    later: VecDeque<Reading>,
    /// Sends that failed at once, to be reported as events.
    failed: Vec<(ConnId, u32, ErrorKind)>,
}

impl Epoll {
    /// Room for `connections`.
    ///
    /// # Errors
    /// When the kernel has no descriptor or memory for it.
    pub(crate) fn new(plan: &Plan, connections: usize, timing: Option<CoreTiming>) -> io::Result<Self> {
        // SAFETY: no pointers are passed to either call.
        let (epoll, timer_fd) = unsafe {
            let timer_flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
            (
                owned(libc::epoll_create1(libc::EPOLL_CLOEXEC))?,
                owned(libc::timerfd_create(libc::CLOCK_MONOTONIC, timer_flags))?,
            )
        };
        add(&epoll, timer_fd.as_raw_fd(), libc::EPOLLIN | libc::EPOLLET, TIMER)?;
        let routes = Routes::new(plan, timing);
        let slot = || Slot {
            fd: None,
            marked: false,
            generation: 0,
            connecting: false,
            request: 0,
            unsent: 0,
            outbox: Outbox::default(),
            skip: 0,
        };
        Ok(Self {
            epoll,
            timer_fd,
            timer: LongTimer::default(),
            discards: routes.can_discard(),
            routes,
            requests: super::wires(plan),
            slots: std::iter::repeat_with(slot).take(connections).collect(),
            buffer: vec![0; BUFFER_SIZE].into_boxed_slice(),
            data_len: 0,
            events: vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS],
            next: 0,
            filled: 0,
            reading: None,
            turn: 0,
            later: VecDeque::with_capacity(connections),
            failed: Vec::with_capacity(connections),
        })
    }

    fn fd(&self, conn: ConnId) -> Option<RawFd> {
        self.slots[conn.index()].fd.as_ref().map(AsRawFd::as_raw_fd)
    }

    fn is_current(&self, conn: ConnId, generation: u32) -> bool {
        let slot = &self.slots[conn.index()];
        slot.fd.is_some() && slot.generation == generation
    }

    /// Writes what is left of the request; a full socket is continued when it is writable again.
    fn send_rest(&mut self, conn: ConnId) -> Result<(), ErrorKind> {
        let Some(fd) = self.fd(conn) else { return Ok(()) };
        let slot = &mut self.slots[conn.index()];
        let request = &self.requests[usize::from(slot.request)];
        let rest = &request[request.len() - slot.unsent..];
        slot.unsent -= send_some(fd, rest).map_err(transfer_error)?;
        Ok(())
    }

    fn has_reports(&self) -> bool {
        self.next < self.filled || self.reading.is_some() || !self.failed.is_empty() || !self.later.is_empty()
    }

    /// Waits for readiness; `None` waits for the timer at the latest.
    fn wait_reports(&mut self, nanos: Option<u64>) {
        let timeout = nanos.map(timespec);
        let capacity = libc::c_int::try_from(self.events.len()).unwrap_or(libc::c_int::MAX);
        // SAFETY: the events and the timeout are live for the call; no signal mask is given.
        let count = unsafe {
            libc::epoll_pwait2(
                self.epoll.as_raw_fd(),
                self.events.as_mut_ptr(),
                capacity,
                timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref),
                std::ptr::null(),
            )
        };
        (self.next, self.filled) = (0, usize::try_from(count).unwrap_or(0));
    }

    fn arm_timer(&self, nanos: u64) {
        let once = libc::itimerspec { it_interval: timespec(0), it_value: timespec(nanos.max(1)) };
        // SAFETY: the descriptor is a timer and the value is live for the call. It fails only for invalid values.
        unsafe { libc::timerfd_settime(self.timer_fd.as_raw_fd(), 0, &raw const once, std::ptr::null_mut()) };
    }

    /// Takes the next readiness report, as an event where it is one.
    fn take_report(&mut self) -> Option<Event> {
        let report = self.events[self.next];
        self.next += 1;
        let (bits, data) = (report.events.cast_signed(), report.u64);
        if data == TIMER {
            self.timer.fired();
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the low half holds the connection, the high one the rest"
        )]
        let (conn, generation) = (ConnId(data as u32), (data >> 32) as u32);
        if !self.is_current(conn, generation) {
            return None;
        }
        if self.slots[conn.index()].connecting {
            let event = self.connect_ended(conn, bits);
            if matches!(event, Some(Event::Connected(_))) {
                // The peer may have spoken or closed already; this edge is not reported again.
                self.note_readable(conn, generation, bits);
            }
            return event;
        }
        self.note_readable(conn, generation, bits);
        if bits & libc::EPOLLOUT != 0 { self.writable(conn) } else { None }
    }

    fn writable(&mut self, conn: ConnId) -> Option<Event> {
        if self.slots[conn.index()].unsent > 0 {
            return self.send_rest(conn).err().map(|kind| Event::Broken(conn, kind));
        }
        let fd = self.fd(conn)?;
        let outbox = &mut self.slots[conn.index()].outbox;
        if outbox.is_empty() {
            return None;
        }
        match outbox.resume(fd) {
            Ok(true) => Some(Event::Written(conn)),
            Ok(false) => None,
            Err(kind) => Some(Event::Broken(conn, kind)),
        }
    }

    fn note_readable(&mut self, conn: ConnId, generation: u32, bits: libc::c_int) {
        if bits & READABLE != 0 {
            self.begin_turn((conn, generation, bits & !libc::EPOLLIN & READABLE != 0));
        }
    }

    fn next_failed(&mut self) -> Option<Event> {
        while let Some((conn, generation, kind)) = self.failed.pop() {
            if self.is_current(conn, generation) {
                return Some(Event::Broken(conn, kind));
            }
        }
        None
    }

    fn begin_turn(&mut self, reading: Reading) {
        (self.reading, self.turn) = (Some(reading), 0);
    }

    /// A connection that could be read for ever lets the others go first.
    fn end_turn(&mut self) {
        if self.turn >= TURN_BYTES
            && let Some(reading) = self.reading.take()
        {
            self.later.push_back(reading);
        }
    }

    fn connect_ended(&mut self, conn: ConnId, bits: libc::c_int) -> Option<Event> {
        if bits & (libc::EPOLLOUT | libc::EPOLLERR | libc::EPOLLHUP) == 0 {
            return None;
        }
        self.slots[conn.index()].connecting = false;
        match self.fd(conn).map(pending_error) {
            Some(0) => Some(Event::Connected(conn)),
            error => Some(Event::ConnectFailed(conn, self.routes.refused(error.unwrap_or(0)))),
        }
    }

    /// One receive on the connection being read.
    fn read(&mut self) -> Option<Event> {
        let (conn, generation, may_be_closed) = self.reading?;
        if !self.is_current(conn, generation) {
            self.reading = None;
            return None;
        }
        let fd = self.fd(conn)?;
        let skip = self.slots[conn.index()].skip;
        let wanted =
            if skip > 0 { usize::try_from(skip.min(SKIP_AT_MOST)).unwrap_or(0) } else { self.buffer.len() };
        let received = if skip > 0 {
            // SAFETY: with MSG_TRUNC the kernel discards the bytes and writes nothing (tcp(7)), so null is no memory.
            unsafe { libc::recv(fd, std::ptr::null_mut(), wanted, libc::MSG_TRUNC) }
        } else {
            // SAFETY: the buffer is live and of the length given.
            unsafe { libc::recv(fd, self.buffer.as_mut_ptr().cast(), wanted, 0) }
        };
        let Ok(received) = usize::try_from(received) else { return self.read_error(conn) };
        // An edge says nothing of what came after a short read: only that, or the peer's end, is worth another call.
        if received < wanted && !may_be_closed || received == 0 {
            self.reading = None;
        }
        self.turn += received;
        self.end_turn();
        match (received, skip) {
            (0, _) => Some(Event::Eof(conn)),
            (_, 0) => {
                self.data_len = received;
                Some(Event::Data(conn))
            }
            _ => Some(Event::Skipped(conn, received as u64)),
        }
    }

    fn read_error(&mut self, conn: ConnId) -> Option<Event> {
        match errno() {
            libc::EINTR => None,
            libc::EAGAIN => {
                self.reading = None;
                None
            }
            error => {
                self.reading = None;
                Some(Event::Broken(conn, transfer_error(error)))
            }
        }
    }
}

impl Driver for Epoll {
    /// Each send is a system call of its own, so each has a time stamp of its own.
    const SEND_BATCH: usize = 1;

    fn connect(&mut self, conn: ConnId, route: Route) -> Result<(), ErrorKind> {
        let address = *self.routes.endpoint(route)?;
        let fd = self.routes.open(route, false)?;
        let slot = &mut self.slots[conn.index()];
        slot.generation = slot.generation.wrapping_add(1);
        (slot.connecting, slot.unsent, slot.skip) = (true, 0, 0);
        slot.outbox.clear();
        slot.marked = self.routes.mark(&fd, conn, slot.generation);
        // SAFETY: the address is valid for its length and is only read.
        let result = unsafe { libc::connect(fd.as_raw_fd(), address.as_ptr(), address.len()) };
        if result < 0 && errno() != libc::EINPROGRESS {
            return Err(self.routes.refused(errno()));
        }
        let mark = u64::from(slot.generation) << 32 | u64::from(conn.0);
        if let Err(error) = add(&self.epoll, fd.as_raw_fd(), INTEREST, mark) {
            return Err(self.routes.refused(error.raw_os_error().unwrap_or(0)));
        }
        slot.fd = Some(fd);
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
        let slot = &mut self.slots[conn.index()];
        (slot.request, slot.unsent) = (request, self.requests[usize::from(request)].len());
        if let Err(kind) = self.send_rest(conn) {
            self.failed.push((conn, self.slots[conn.index()].generation, kind));
        }
    }

    #[inline]
    fn write(&mut self, conn: ConnId, bytes: &mut Vec<u8>) {
        let Some(fd) = self.fd(conn) else { return };
        let slot = &mut self.slots[conn.index()];
        if let Err(kind) = slot.outbox.write(fd, bytes) {
            self.failed.push((conn, slot.generation, kind));
        }
    }

    #[inline]
    fn sent_whole(&self, conn: ConnId) -> bool {
        let slot = &self.slots[conn.index()];
        slot.unsent == 0 && slot.outbox.is_empty()
    }

    fn is_shut_out(&self, conn: ConnId) -> bool {
        self.fd(conn).is_some_and(is_shut_out)
    }

    fn submit(&mut self) {}

    #[inline]
    fn wait(&mut self, now: u64, until: u64) {
        if self.has_reports() {
            return;
        }
        match self.timer.end_of_wait(now, until) {
            WaitEnd::Armed => self.wait_reports(None),
            WaitEnd::Arm(nanos) => {
                self.arm_timer(nanos);
                self.wait_reports(None);
            }
            WaitEnd::Timeout(nanos) => self.wait_reports(Some(nanos)),
        }
    }

    /// Readiness gathers by itself; the sleep is what keeps it from ending the wait.
    fn wait_together(&mut self, now: u64, until: u64, gather: u64) {
        if !self.has_reports() {
            let gather = until.saturating_sub(now).min(gather);
            std::thread::sleep(std::time::Duration::from_nanos(gather));
            self.wait_reports(Some(until.saturating_sub(now + gather)));
        }
    }

    fn poll(&mut self) -> bool {
        if !self.has_reports() {
            self.wait_reports(Some(0));
        }
        self.has_reports()
    }

    #[inline]
    fn next_event(&mut self) -> Option<Event> {
        loop {
            let event = if self.reading.is_some() {
                self.read()
            } else if self.next < self.filled {
                self.take_report()
            } else if let Some(reading) = self.later.pop_front() {
                // Whoever became ready meanwhile is next.
                self.wait_reports(Some(0));
                self.begin_turn(reading);
                None
            } else {
                // What had arrived before a write failed comes first: it may be the reason.
                return self.next_failed();
            };
            if event.is_some() {
                return event;
            }
        }
    }

    fn data(&self) -> &[u8] {
        &self.buffer[..self.data_len]
    }

    #[inline]
    fn receive(&mut self, conn: ConnId, skip: u64) {
        self.slots[conn.index()].skip = if self.discards { skip } else { 0 };
    }

    fn close(&mut self, conn: ConnId) {
        let slot = &mut self.slots[conn.index()];
        if let Some(fd) = slot.fd.take() {
            slot.generation = slot.generation.wrapping_add(1);
            shut(fd);
        }
    }

    fn take_overflows(&mut self) -> u64 {
        0
    }
}
