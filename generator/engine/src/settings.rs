//! The plan as far as one core needs it in its loop: its bounds in nanoseconds, its share of the work, its routes.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use brunt_model::exchange::KEPT_MAX;
use brunt_model::plan::{Endpoint, Load, Plan, Protocol};
use brunt_model::request::Request;
use brunt_model::split::Share;
use brunt_model::units::Nanos;

use crate::Pace;
use crate::conn::Wants;
use crate::conn::h2;
use crate::conn::link::Outgoing;
use crate::conn::one::Wire;
use crate::limits::{BACKOFF_NS, BACKOFF_NS_MAX, CONNECTS_IN_FLIGHT_MAX};
use crate::pacer::Pacer;

/// No deadline.
pub(crate) const NEVER: u64 = u64::MAX;

/// An arrival that waits for a connection.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) intended: u64,
    /// Among all arrivals of the run.
    pub(crate) number: u64,
    /// When the core got to it.
    pub(crate) dispatched: u64,
    /// No connection could be opened for it: all that are allowed are in use.
    pub(crate) capped: bool,
}

/// Where this core's requests come from.
pub(crate) enum Work {
    Closed {
        /// Iterations still to begin, if they are counted.
        remaining: u64,
        /// The next iteration's number among all of the run, and how far apart those of this core are.
        number: u64,
        stride: u64,
    },
    Open {
        pacer: Pacer,
        /// The same of arrivals.
        number: u64,
        stride: u64,
        backlog: VecDeque<Arrival>,
        max_backlog: usize,
    },
}

/// The plan as far as one core needs it in its loop.
pub(crate) struct Settings {
    pub(crate) connect_ns: u64,
    pub(crate) first_byte_ns: u64,
    pub(crate) total_ns: u64,
    pub(crate) drain_ns: u64,
    pub(crate) interval_ns: u64,
    pub(crate) keep_alive: bool,
    /// Users send again when they were answered.
    pub(crate) closed: bool,
    /// A user is one request after the other, all the same; else it has a place in its flow.
    pub(crate) single: bool,
    /// A lane belongs to its user as long as that has something to do.
    pub(crate) bound: bool,
    /// Requests are the same bytes each time and go to the driver as they are.
    pub(crate) direct: bool,
    /// All of them, always.
    pub(crate) direct_only: bool,
    /// One request a connection, in clear text: what leaves and arrives last is its own.
    pub(crate) one_at_a_time: bool,
    /// Requests share a connection by streams.
    pub(crate) multiplexed: bool,
    /// The plan's, with the streams of requests that a user makes at once.
    pub(crate) protocol: Protocol,
    /// Requests of one connection may go out together.
    pub(crate) gathers: bool,
    /// Answers may gather before the core is woken for them.
    pub(crate) reads_together: bool,
    /// Request bodies wait for `100 (Continue)`.
    pub(crate) continues: bool,
    pub(crate) plan: Arc<Plan>,
    /// The load ends this long after T0.
    pub(crate) duration_ns: u64,
    pub(crate) connects_ahead: u64,
}

impl Settings {
    pub(crate) fn new(plan: &Arc<Plan>, share: Share, pace: Pace) -> Self {
        let connects_ahead = match plan.load {
            Load::Closed { shape: Some(ref shape), .. } => {
                share.of(u64::from(shape.users.active_at(Nanos::ZERO)))
            }
            Load::Closed { connections, .. } => share.of(u64::from(connections)),
            Load::Open { warm_connections, .. } => share.of(u64::from(warm_connections)),
            // Each core has one of them.
            Load::Several(_) => 0,
        };
        Self {
            connect_ns: plan.deadlines.connect.0,
            first_byte_ns: plan.deadlines.first_byte.0,
            total_ns: plan.deadlines.total.0,
            drain_ns: plan.deadlines.drain.0,
            interval_ns: plan.interval.0,
            keep_alive: plan.keep_alive,
            closed: !plan.load.is_open(),
            single: plan.script.is_single(),
            bound: !plan.load.is_open() || !plan.script.is_single(),
            direct: is_direct(plan),
            direct_only: is_direct(plan) && plan.script.is_single(),
            one_at_a_time: is_one_at_a_time(plan),
            multiplexed: matches!(plan.protocol, Protocol::Http2 { .. }),
            protocol: match plan.protocol {
                Protocol::Http1 { pipeline } => Protocol::Http1 { pipeline },
                Protocol::Http2 { streams } => Protocol::Http2 { streams: streams * plan.script.ways() },
            },
            gathers: !plan.load.is_open() && plan.lanes() > 1,
            reads_together: !plan.load.is_open() && pace == Pace::Efficient,
            continues: plan.script.calls.iter().any(|template| template.request.expects_continue),
            plan: plan.clone(),
            duration_ns: plan.load.duration().map_or(NEVER, |duration| duration.0),
            connects_ahead,
        }
    }
}

impl Settings {
    /// A request as the plan's protocol sends it. `repeated`: again and again.
    pub(crate) fn outgoing(&self, request: &Request, number: u16, repeated: bool) -> Outgoing {
        let script = &self.plan.script;
        let call = &script.calls[usize::from(number)];
        let wants = Wants {
            to_head: request.is_head(),
            head: script.cookies || call.keeps_head() || script.once,
            body: call.keeps_body().max(if script.once { KEPT_MAX } else { 0 }),
            request: number,
        };
        // Copied, so that cores do not share a count of references.
        let own = |bytes: &[u8]| -> Arc<[u8]> { bytes.into() };
        if self.multiplexed {
            let fields = request.fields.iter();
            Outgoing::Two(h2::request::Outgoing {
                fields: fields.map(|(name, value)| (name.clone().into(), value.clone().into())).collect(),
                body: own(&request.body),
                expects_continue: request.expects_continue,
                repeated,
                has_cookies: false,
                wants,
            })
        } else {
            Outgoing::One(Wire {
                bytes: own(&request.wire),
                head_len: request.head_len,
                expects_continue: request.expects_continue,
                has_cookies: false,
                wants,
            })
        }
    }
}

/// One request a connection, in clear text, whole at once, and never another than the script's.
fn is_direct(plan: &Plan) -> bool {
    let waits = plan.script.calls.iter().any(|template| template.request.expects_continue);
    is_one_at_a_time(plan) && plan.redirects.is_none() && !waits
}

pub(crate) fn is_one_at_a_time(plan: &Plan) -> bool {
    plan.protocol == Protocol::Http1 { pipeline: 1 } && !plan.has_tls()
}

/// Connections that one core may have open at once.
pub(crate) fn connections_of(plan: &Plan, share: Share) -> u32 {
    homes_of(plan, share) * plan.connections_each()
}

/// The same without those for further targets and for requests that are made at once.
pub(crate) fn homes_of(plan: &Plan, share: Share) -> u32 {
    let part = share.of(u64::from(plan.load.max_connections()));
    let least = u64::from(plan.load.is_open());
    u32::try_from(part.max(least)).unwrap_or(u32::MAX)
}

pub(crate) fn work_of(plan: &Plan, share: Share, pace: Pace) -> Work {
    let (offset, stride) = share.position();
    match &plan.load {
        Load::Closed { requests, .. } => Work::Closed {
            remaining: requests.map_or(u64::MAX, |requests| share.of(requests)),
            number: offset,
            stride,
        },
        // Each core has one of them.
        Load::Several(_) => Work::Closed { remaining: 0, number: offset, stride },
        Load::Open { schedule, max_backlog, .. } => {
            let pacer = Pacer::new(schedule.slots(offset, stride), pace);
            let max_backlog = usize::try_from(share.of(u64::from(*max_backlog))).unwrap_or(usize::MAX);
            Work::Open {
                pacer,
                number: offset,
                stride,
                backlog: VecDeque::with_capacity(max_backlog + CONNECTS_IN_FLIGHT_MAX + 1),
                max_backlog,
            }
        }
    }
}

/// By endpoint, the source addresses of its family.
pub(crate) fn sources_by_endpoint(plan: &Plan) -> Vec<Vec<usize>> {
    let fitting = |endpoint: &Endpoint| match endpoint {
        Endpoint::Unix(_) => Vec::new(),
        Endpoint::Ip(to) => {
            let same_family = |(_, from): &(usize, &IpAddr)| from.is_ipv4() == to.is_ipv4();
            plan.source_ips.iter().enumerate().filter(same_family).map(|(index, _)| index).collect()
        }
    };
    plan.endpoints.iter().map(fitting).collect()
}

/// The wait after so many failed connects in a row.
pub(crate) fn backoff_ns(failures: u32) -> u64 {
    (BACKOFF_NS << failures.min(8)).min(BACKOFF_NS_MAX)
}
