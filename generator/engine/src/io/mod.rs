//! Drivers: how a core asks the kernel for I/O. All `unsafe` of the engine lives in this folder.
//!
//! A driver owns sockets by [`ConnId`] and speaks of bytes and ends; it knows nothing of HTTP. Whatever was queued
//! for a connection before [`Driver::close`] is never reported after it, even if the id is used again.
#![allow(
    unsafe_code,
    reason = "the one place of the engine where system interfaces without safe wrappers are used"
)]

mod buffers;
pub(crate) mod epoll;
pub(crate) mod inherit;
mod outbox;
#[cfg(test)]
pub(crate) mod sim;
#[cfg(test)]
pub(crate) mod sim_h2;
#[cfg(test)]
pub(crate) mod sim_kernel;
#[cfg(test)]
pub(crate) mod sim_tls;
mod socket;
pub(crate) mod tsc;
pub(crate) mod uring;

use std::sync::Arc;

use brunt_model::outcome::ErrorKind;
use brunt_model::plan::Plan;

use crate::limits::LONG_WAIT_NS;

/// A connection's place in the dense tables of its core.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct ConnId(pub(crate) u32);

impl ConnId {
    #[inline(always)]
    #[must_use]
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a driver reports. The bytes of `Data` are read with [`Driver::data`] before the next event is taken.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    Connected(ConnId),
    ConnectFailed(ConnId, ErrorKind),
    Data(ConnId),
    /// So many bytes arrived and were discarded, as [`Driver::receive`] asked.
    Skipped(ConnId, u64),
    /// The peer closed its side: no more data will come.
    Eof(ConnId),
    /// The connection broke.
    Broken(ConnId, ErrorKind),
    /// All that [`Driver::write`] was given is written, after a while in which it was not.
    Written(ConnId),
}

/// Where a connection is to lead and from which address, as positions in the plan's lists.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Route {
    pub(crate) endpoint: usize,
    pub(crate) source: Option<usize>,
}

pub(crate) trait Driver {
    /// Sends between two calls of `submit` for which one time stamp is taken.
    const SEND_BATCH: usize;

    /// Begins to connect, and asks the kernel for time stamps where it gives any; ends in `Connected` or `ConnectFailed`.
    ///
    /// # Errors
    /// When it cannot even begin, for want of a descriptor or a port.
    fn connect(&mut self, conn: ConnId, route: Route) -> Result<(), ErrorKind>;

    /// The system's number for why a connect failed last; 0 where none did.
    fn connect_errno(&self) -> i32 {
        0
    }

    /// Does the kernel stamp what the last connection of this place sends and receives?
    fn is_marked(&self, conn: ConnId) -> bool;

    /// Queues one of the script's requests, by its index, to be sent whole.
    fn send(&mut self, conn: ConnId, request: u16);

    /// Writes `bytes` now and empties them. Where the socket does not take all, the rest is kept and `Written` follows;
    /// until then `bytes` are left to the caller.
    fn write(&mut self, conn: ConnId, bytes: &mut Vec<u8>);

    /// Has the kernel taken all that was sent and written?
    fn sent_whole(&self, conn: ConnId) -> bool;

    /// Does the peer keep its window closed to what was sent or written?
    fn is_shut_out(&self, conn: ConnId) -> bool;

    /// Hands to the kernel whatever was queued.
    fn submit(&mut self);

    /// Hands over what was queued and waits for events, at most until `until`; both are instants of the core's clock.
    fn wait(&mut self, now: u64, until: u64);

    /// The same, but the first event ends it only after `gather` nanoseconds, so that more can gather.
    fn wait_together(&mut self, now: u64, until: u64, gather: u64);

    /// The same, for a short wait whose end matters little: it may come as much later as the wait is long, where that
    /// saves a timer.
    fn wait_roughly(&mut self, now: u64, until: u64) {
        self.wait(now, until);
    }

    /// Looks for events without waiting; as cheap as the driver can, for a spin.
    fn poll(&mut self) -> bool;

    fn next_event(&mut self) -> Option<Event>;

    /// The bytes of the last `Data` event.
    fn data(&self) -> &[u8];

    /// Goes on receiving after a `Data` or `Skipped` event; the next `skip` bytes are of no interest.
    fn receive(&mut self, conn: ConnId, skip: u64);

    /// Closes the connection and forgets it.
    fn close(&mut self, conn: ConnId);

    /// Losses since the last call: overflowed queues.
    fn take_overflows(&mut self) -> u64;
}

/// The one long-lived timer of a driver. Arming a timer for each wait costs a tenth of a small request, so a wait
/// that ends no earlier than a timer already armed relies on that one.
#[derive(Copy, Clone, Default, Debug)]
struct LongTimer {
    fires: Option<u64>,
}

/// How a wait gets its end.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum WaitEnd {
    /// The long timer fires in time.
    Armed,
    /// The long timer is to be armed for so many nanoseconds from now.
    Arm(u64),
    /// The long timer is busy with a later end: this wait brings its own timeout.
    Timeout(u64),
}

impl LongTimer {
    fn end_of_wait(&mut self, now: u64, until: u64) -> WaitEnd {
        let nanos = until.saturating_sub(now);
        match self.fires {
            Some(fires) if fires <= until => WaitEnd::Armed,
            None if nanos >= LONG_WAIT_NS => {
                self.fires = Some(until);
                WaitEnd::Arm(nanos)
            }
            _ => WaitEnd::Timeout(nanos),
        }
    }

    const fn fired(&mut self) {
        self.fires = None;
    }
}

/// The requests of a plan's script as HTTP/1.1 sends them, for one core: copied, so that cores share no count of references.
fn wires(plan: &Plan) -> Vec<Arc<[u8]>> {
    plan.script.calls.iter().map(|template| Arc::from(&template.request.wire[..])).collect()
}

/// What a failed connect means.
#[must_use]
pub(crate) fn connect_error(errno: i32) -> ErrorKind {
    match errno {
        // EAGAIN: the queue of a listening unix socket is full (unix(7)).
        libc::ECONNREFUSED | libc::ENOENT | libc::EAGAIN => ErrorKind::ConnectRefused,
        libc::ETIMEDOUT => ErrorKind::ConnectTimeout,
        libc::ECONNRESET | libc::EPIPE | libc::ECONNABORTED => ErrorKind::ConnectReset,
        libc::EADDRNOTAVAIL | libc::EADDRINUSE => ErrorKind::NoPort,
        libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM => ErrorKind::NoFd,
        libc::EPERM | libc::EACCES => ErrorKind::Policy,
        _ => ErrorKind::ConnectUnreachable,
    }
}

/// What a failed send or receive means.
#[must_use]
pub(crate) fn transfer_error(errno: i32) -> ErrorKind {
    match errno {
        libc::EPIPE => ErrorKind::ClosedEarly,
        libc::ETIMEDOUT => ErrorKind::TimeoutTotal,
        libc::EPERM | libc::EACCES => ErrorKind::Policy,
        libc::EHOSTUNREACH | libc::ENETUNREACH => ErrorKind::ConnectUnreachable,
        _ => ErrorKind::Reset,
    }
}
