//! What one core counts: an interval at a time, handed over without locks or allocation.
//!
//! The snapshots in circulation are made at the start. A core fills one, sends it, and goes on with one that came
//! back; if none has come back, it goes on filling the same one, and nothing is lost.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Duration;

use brunt_model::sample::Sample;
use brunt_model::snapshot::{CoreTime, Counters, Snapshot, Stats};

/// How long the last snapshot may take to be seen.
const LAST_SEEN_WITHIN: Duration = Duration::from_millis(500);

/// The recorder's ends of the two channels of one core.
pub(crate) struct Exchange {
    /// Which it is of all cores of the run.
    pub(crate) seat: u32,
    pub(crate) filled: SyncSender<Box<Snapshot>>,
    pub(crate) returned: Receiver<Box<Snapshot>>,
    /// Some core of this run has connected.
    pub(crate) reached: Arc<AtomicBool>,
}

/// What is known of the core when an interval ends.
#[derive(Copy, Clone, Default, Debug)]
pub(crate) struct Gauges {
    pub(crate) connections: u64,
    pub(crate) arrivals_in_flight: u64,
    pub(crate) requests_in_flight: u64,
}

pub(crate) struct Recorder {
    current: Box<Snapshot>,
    /// All that was handed over so far.
    total: Stats,
    exchange: Exchange,
    /// Instants before this belong to the warm-up.
    measured_from: u64,
    late_over_ns: u64,
    late_for_connections: u64,
}

impl Recorder {
    #[must_use]
    pub(crate) fn new(worker: u32, core: u32, names: usize, exchange: Exchange, late_over_ns: u64) -> Self {
        let (current, total) = (Box::new(Snapshot::blank(worker, core, names)), Stats::new(names));
        Self { current, total, exchange, measured_from: 0, late_over_ns, late_for_connections: 0 }
    }

    /// Requests intended before this instant are warm-up.
    pub(crate) const fn measure_from(&mut self, instant: u64) {
        self.measured_from = instant;
    }

    #[inline(always)]
    pub(crate) const fn counters(&mut self) -> &mut Counters {
        &mut self.current.stats.counters
    }

    /// What was intended then is measured.
    pub(crate) const fn is_measured(&self, intended: u64) -> bool {
        intended >= self.measured_from
    }

    /// Counts an arrival that is due.
    #[inline]
    pub(crate) fn scheduled(&mut self, intended: u64) {
        let measured = intended >= self.measured_from;
        let counters = self.counters();
        counters.scheduled += 1;
        counters.measured_scheduled += u64::from(measured);
    }

    /// Counts an arrival that found no room to wait.
    pub(crate) fn dropped(&mut self, intended: u64) {
        let measured = intended >= self.measured_from;
        let counters = self.counters();
        counters.dropped += 1;
        counters.measured_dropped += u64::from(measured);
    }

    /// Counts the end of a request of this name. `waited`: for a free connection, with all allowed ones in use;
    /// `arrival`: it is one of its own.
    #[inline]
    pub(crate) fn record(&mut self, name: usize, sample: &Sample, waited: bool, arrival: bool) {
        let measured = sample.intended_ns >= self.measured_from;
        if arrival {
            self.current.stats.record_arrival(name, sample, measured, self.late_over_ns);
        } else {
            self.current.stats.record(name, sample, measured, self.late_over_ns);
        }
        if waited && measured && sample.lag_ns().is_some_and(|lag| lag > self.late_over_ns) {
            self.late_for_connections += 1;
        }
    }

    /// Counts checks on the answer to a request of this name.
    pub(crate) fn record_checks(&mut self, name: usize, passed: u64, failed: u64, intended: u64) {
        if intended >= self.measured_from {
            self.current.stats.record_checks(name, passed, failed);
        }
    }

    pub(crate) fn record_connect(&mut self, nanos: u64) {
        self.current.stats.connect.record(nanos);
        self.current.stats.counters.connections_opened += 1;
    }

    /// A TCP handshake, as the kernel saw it.
    pub(crate) fn record_handshake(&mut self, nanos: u64) {
        self.current.stats.handshake.record(nanos);
    }

    pub(crate) fn record_tls(&mut self, nanos: u64, resumed: bool) {
        self.current.stats.tls.record(nanos);
        self.current.stats.counters.tls_handshakes += 1;
        self.current.stats.counters.tls_resumed += u64::from(resumed);
    }

    /// Ends the interval, if a snapshot to go on with is at hand or `last` is set.
    pub(crate) fn rotate(&mut self, tick: u64, time: CoreTime, gauges: Gauges, last: bool) -> bool {
        let next = match self.exchange.returned.try_recv() {
            Ok(next) => next,
            // Nothing is recorded after the last; there is no need for memory to go on with.
            Err(_) if last => Box::new(Snapshot::blank(self.current.worker, self.current.core, 0)),
            Err(_) => return false,
        };
        let mut done = std::mem::replace(&mut self.current, next);
        self.current.stats.clear();
        (self.current.seq, self.current.core, self.current.worker) = (done.seq + 1, done.core, done.worker);
        (done.tick, done.time) = (tick, time);
        done.connections = gauges.connections;
        done.arrivals_in_flight = gauges.arrivals_in_flight;
        done.requests_in_flight = gauges.requests_in_flight;
        done.last = last;
        self.total.merge(&done.stats);
        // The channel holds as many as there are snapshots; it refuses only when the receiver is gone with the run.
        let _ = self.exchange.filled.try_send(done);
        true
    }

    /// What was handed over, and how many late requests had waited for a connection. Waits a moment for the last
    /// snapshot to come back: until then whoever follows the run may still look at this thread.
    #[must_use]
    pub(crate) fn into_total(self) -> (Stats, u64) {
        let last = self.current.seq - 1;
        while let Ok(snapshot) = self.exchange.returned.recv_timeout(LAST_SEEN_WITHIN) {
            if snapshot.seq == last {
                break;
            }
        }
        (self.total, self.late_for_connections)
    }
}
