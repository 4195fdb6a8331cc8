//! How requests leave: queued, stamped with the time, and handed to the driver in batches.

use brunt_model::sample::Kernel;

use crate::clock::Clock;
use crate::connection::State;
use crate::core_loop::CoreLoop;
use crate::io::{ConnId, Driver};
use crate::lane::{LaneId, Phase};
use crate::limits::{
    CONTINUE_NS, DIRTY_MAX, GATHERED_NS_MAX, GATHERED_NS_MIN, GATHERED_PART, SEND_BATCH, ZERO_WINDOW_NS,
};

impl<D: Driver, C: Clock> CoreLoop<D, C> {
    /// Queues the request; it is sent with the next batch.
    #[inline]
    pub(crate) fn queue_send(&mut self, id: LaneId) {
        let lane = self.lanes.get(id);
        lane.phase = Phase::Queued;
        if lane.detour.is_none() {
            (lane.first_byte, lane.bytes_in, lane.hop_from) = (0, 0, 0);
            lane.kernel = Kernel::Missing;
        }
        if !self.settings.direct || lane.own.is_some() || lane.detour.is_some() {
            return self.queue_written(id);
        }
        let request = usize::from(lane.request);
        let (conn, within) = (self.lanes.conn(id), self.lanes.within(id));
        self.conns[conn.index()].link.sent(within, self.requests[request].wants());
        self.queued.push(id);
        if self.queued.len() >= D::SEND_BATCH.min(SEND_BATCH) {
            self.flush(true);
            self.driver.submit();
        }
    }

    /// Adds the request to what its connection is to write.
    fn queue_written(&mut self, id: LaneId) {
        let conn_id = self.lanes.conn(id);
        let within = self.lanes.within(id);
        let conn = &mut self.conns[conn_id.index()];
        if let Some(stamps) = &mut self.stamps {
            stamps.queued(conn_id, id, conn.link.waiting(), conn.link.tls.is_some());
        }
        let lane = self.lanes.at(id);
        let usual = &self.requests[usize::from(lane.request)];
        let own = lane.own.as_ref().map_or(usual, |own| own);
        let request = lane.detour.as_ref().map_or(own, |detour| &detour.request);
        self.recorder.counters().bytes_out += conn.link.request(within, request);
        if conn.batch.is_empty() {
            let gather = (conn.service_ns / GATHERED_PART).min(GATHERED_NS_MAX);
            let gathers = self.settings.gathers && gather >= GATHERED_NS_MIN;
            conn.gather_until = if gathers { self.progress.seen + gather } else { 0 };
        }
        conn.batch.push(within);
        self.mark_dirty(conn_id);
        if self.dirty.len() >= if self.settings.gathers { DIRTY_MAX } else { SEND_BATCH } {
            self.flush(true);
        }
    }

    /// Notes that a connection has something to write.
    #[inline]
    pub(crate) fn mark_dirty(&mut self, id: ConnId) {
        let conn = &mut self.conns[id.index()];
        if !conn.dirty {
            conn.dirty = true;
            self.dirty.push(id);
        }
    }

    /// Takes the time for what is queued and gives it to the driver. The caller submits. Unless it must be `all`,
    /// connections may go on gathering.
    #[inline]
    pub(crate) fn flush(&mut self, all: bool) -> u64 {
        let now = self.now();
        for index in 0..self.queued.len() {
            let id = self.queued[index];
            // Its connection may have ended before it was sent.
            if self.stamp(id, now) {
                let request = self.lanes.at(id).request;
                let bytes = self.requests[usize::from(request)].size();
                self.recorder.counters().bytes_out += bytes;
                let conn = self.lanes.conn(id);
                if let Some(stamps) = &mut self.stamps {
                    stamps.queued(conn, id, 0, false);
                    stamps.sent(conn, bytes);
                }
                self.driver.send(conn, request);
            }
        }
        self.queued.clear();
        let (count, mut kept) = (self.dirty.len(), 0);
        for index in 0..count {
            let id = self.dirty[index];
            if !all && self.gathers_on(id) {
                self.dirty[kept] = id;
                kept += 1;
            } else {
                self.write_batch(id);
            }
        }
        // Who has more to write has its turn in the next round.
        self.dirty.drain(kept..count);
        now
    }

    /// A queued request is sent now; false if it is not queued any more.
    #[inline]
    fn stamp(&mut self, id: LaneId, now: u64) -> bool {
        let lane = self.lanes.get(id);
        if lane.phase != Phase::Queued {
            return false;
        }
        lane.phase = Phase::Sent;
        // A detour belongs to the request that was sent first.
        if lane.detour.is_none() {
            lane.sent = now;
        }
        lane.hop_sent = now;
        let total = self.total_ns(self.lanes.at(id).request);
        let patience = self.settings.first_byte_ns.min(total).min(ZERO_WINDOW_NS);
        self.lanes.set_deadline(id, now + patience);
        true
    }

    /// A server that still has most of a connection's requests loses nothing if the next ones come together, and
    /// they cost both sides a fraction. As soon as it has answered half of them, or after a moment, they go.
    #[inline]
    fn gathers_on(&self, id: ConnId) -> bool {
        let conn = &self.conns[id.index()];
        conn.gather_until > self.progress.seen
            && conn.state == State::Open
            && 2 * conn.batch.len() < conn.link.under_way()
    }

    /// When the first connection that gathers must be written.
    #[inline]
    pub(crate) fn gathered_until(&self, latest: u64) -> u64 {
        let until = self.dirty.iter().map(|id| self.conns[id.index()].gather_until);
        until.fold(latest, u64::min)
    }

    /// Writes what a connection has gathered, stamped just before the system call.
    fn write_batch(&mut self, id: ConnId) {
        let now = self.now();
        let conn = &mut self.conns[id.index()];
        conn.dirty = false;
        if !conn.batch.is_empty() {
            let mut batch = std::mem::take(&mut conn.batch);
            for within in batch.drain(..) {
                self.stamp(self.lanes.id(id, within), now);
            }
            self.conns[id.index()].batch = batch;
            if self.settings.continues {
                let deadline = &mut self.deadlines[id.index()];
                *deadline = (*deadline).min(now + CONTINUE_NS);
            }
        }
        self.write(id);
        // A socket that was never full does not report that it has room again.
        if self.conns[id.index()].state == State::Open && self.driver.sent_whole(id) {
            self.gather_more(id, now);
        }
    }

    /// All that was gathered went out: there is room for more of long requests, and for those that waited for it.
    pub(crate) fn gather_more(&mut self, id: ConnId, now: u64) {
        let conn = &mut self.conns[id.index()];
        conn.link.pump();
        if conn.link.has_output() {
            self.mark_dirty(id);
        }
        if self.conns[id.index()].held > 0 {
            self.release_held(id, now);
        }
    }

    /// Writes what a connection has to say.
    pub(crate) fn write(&mut self, id: ConnId) {
        if !self.driver.sent_whole(id) {
            return; // What is written out of turn is not taken; `Written` comes.
        }
        let link = &mut self.conns[id.index()].link;
        let (unsealed, before) = link.waiting_for_tls();
        let output = link.output();
        let bytes = output.len();
        if bytes == 0 {
            return;
        }
        self.driver.write(id, output);
        if let Some(stamps) = &mut self.stamps {
            stamps.seal(id, unsealed - link.waiting_for_tls().0, before);
            stamps.sent(id, bytes as u64);
            stamps.look(id);
        }
    }
}
