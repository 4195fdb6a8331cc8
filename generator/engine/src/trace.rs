//! Exchanges kept whole, where a run is one iteration of each flow.

use std::collections::BTreeMap;

use brunt_model::exchange::{EXCHANGES_BYTES_MAX, EXCHANGES_MAX, Exchange, Part, SAVED_MAX, Within};
use brunt_model::expr::Value;
use brunt_model::outcome::ErrorKind;
use brunt_model::samples::beginning;
use brunt_model::units::Nanos;

use crate::clock::Clock;
use crate::conn::link::{Http, Outgoing};
use crate::core_loop::CoreLoop;
use crate::io::{ConnId, Driver};
use crate::lane::{LaneId, Phase};

/// What was exchanged so far.
#[derive(Default)]
pub(crate) struct Trace {
    pub(crate) exchanges: Vec<Exchange>,
    bytes: usize,
    /// Times of connections that were made and that no exchange has used yet.
    made: BTreeMap<ConnId, Made>,
    /// What was saved of the answer that is being judged.
    saved: Vec<(u16, String)>,
}

/// What making a connection took.
#[derive(Default)]
struct Made {
    connect: Option<Nanos>,
    tls: Option<Nanos>,
}

impl Trace {
    pub(crate) fn connected(&mut self, id: ConnId, took: Nanos) {
        self.made.insert(id, Made { connect: Some(took), tls: None });
    }

    pub(crate) fn secured(&mut self, id: ConnId, took: Nanos) {
        self.made.entry(id).or_default().tls = Some(took);
    }

    pub(crate) fn save(&mut self, variable: u16, value: &Value) {
        let text = value.to_string();
        self.saved.push((variable, beginning(&text, SAVED_MAX).to_owned()));
    }

    fn add(&mut self, exchange: Exchange) {
        let size = exchange.size();
        if self.exchanges.len() < EXCHANGES_MAX && self.bytes + size <= EXCHANGES_BYTES_MAX {
            self.bytes += size;
            self.exchanges.push(exchange);
        } else if let Some(last) = self.exchanges.last_mut() {
            // What comes after it is only counted, however short it is.
            self.bytes = EXCHANGES_BYTES_MAX;
            last.left_out += 1;
        }
    }
}

impl<D: Driver, C: Clock> CoreLoop<D, C> {
    /// A lane's exchange ends: as its request does, or with an answer that leads to another.
    pub(crate) fn trace_end(
        &mut self,
        id: LaneId,
        (status, error): (Option<u16>, Option<ErrorKind>),
        goes_on: bool,
        now: u64,
    ) {
        if self.trace.is_none() || self.lanes.at(id).job.is_none() {
            return;
        }
        let exchange = Exchange { status, error, goes_on, ..self.exchange(id, status.is_some(), now) };
        let checks = std::mem::take(&mut self.samples.checks);
        let Some(trace) = &mut self.trace else { return };
        let saved = std::mem::take(&mut trace.saved);
        let Made { connect, tls } = trace.made.remove(&self.lanes.conn(id)).unwrap_or_default();
        trace.add(Exchange { checks, saved, connect, tls, ..exchange });
    }

    /// A call of the lane's user could not be made.
    pub(crate) fn trace_unsent(&mut self, id: LaneId, kind: ErrorKind) {
        let (within, call) = (self.steps_of(id), self.lanes.at(id).request);
        if let Some(trace) = &mut self.trace {
            trace.add(Exchange { within, call, error: Some(kind), ..Exchange::default() });
        }
    }

    fn steps_of(&mut self, id: LaneId) -> Within {
        self.users.get(self.lanes.home(id)).within()
    }

    /// What was sent and received in a lane. `answered`: the answer is whole.
    fn exchange(&mut self, id: LaneId, answered: bool, now: u64) -> Exchange {
        let steps = self.steps_of(id);
        let lane = self.lanes.at(id);
        let within = self.lanes.within(id);
        let link = &self.conns[self.lanes.conn(id).index()].link;
        let (came, first) = match &link.http {
            Http::One(_) => (lane.hop_bytes(), lane.hop_first_byte),
            Http::Two(client) => client.received(within),
        };
        let is_sent = lane.phase == Phase::Sent;
        let usual = || &self.requests[usize::from(lane.request)];
        let own = || lane.own.as_deref().unwrap_or_else(usual);
        let request = lane.detour.as_ref().map_or_else(own, |detour| &detour.request);
        let kept = link.kept(within);
        let size = if answered { kept.body_size } else { kept.body.len() as u64 };
        let begun = if is_sent { lane.hop_sent } else { lane.job.map_or(now, |job| job.intended) };
        Exchange {
            within: steps,
            call: lane.request,
            request: is_sent.then(|| part_of(request)),
            response: (is_sent && came > 0).then(|| Part::new(kept.head, kept.body, size)),
            first_byte: (is_sent && came > 0).then(|| Nanos(first.saturating_sub(begun))),
            total: Nanos(now.saturating_sub(begun)),
            ..Exchange::default()
        }
    }
}

fn part_of(request: &Outgoing) -> Part {
    match request {
        Outgoing::One(wire) => {
            let (head, body) = wire.bytes.split_at(wire.head_len);
            Part::new(head, body, body.len() as u64)
        }
        Outgoing::Two(request) => {
            let lines = request.fields.iter().flat_map(|(name, value)| [name, &b": "[..], value, b"\r\n"]);
            let head = lines.collect::<Vec<_>>().concat();
            Part::new(&head, &request.body, request.body.len() as u64)
        }
    }
}
