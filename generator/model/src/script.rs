//! What users do, compiled: requests, and flows of steps that name them.
//!
//! A quick run is the script with one request in one flow. The engine keeps a position in a flow for each user and never
//! looks at anything but these tables.

use serde::Serialize;

use crate::request::Request;
use crate::units::Nanos;

/// Requests of one script: their numbers fit 16 bits with room to spare.
pub const REQUESTS_MAX: usize = 10_000;
/// Operations of one flow.
pub const OPS_MAX: usize = 100_000;

/// All that a run's users do.
#[derive(Clone, Debug, Serialize)]
pub struct Script {
    /// Labels in results, by the index in [`crate::snapshot::Stats`].
    pub names: Vec<String>,
    /// At least one.
    pub requests: Vec<Template>,
    /// At least one, of which at least one has a weight.
    pub flows: Vec<Flow>,
}

/// A request of a script.
#[derive(Clone, Debug, Serialize)]
pub struct Template {
    /// Index of its label.
    pub name: u16,
    /// Where it goes, for what a redirect is relative to; without credentials.
    pub url: String,
    /// The request, where nothing in it changes.
    pub request: Request,
}

/// One way through the script, taken once an iteration.
#[derive(Clone, Debug, Serialize)]
pub struct Flow {
    pub name: String,
    /// How often it is chosen in relation to the others.
    pub weight: u32,
    /// Iterations of a closed user begin no closer than this.
    pub pacing: Option<Span>,
    /// A request that fails ends the iteration.
    pub ends_on_error: bool,
    pub steps: Vec<Op>,
}

/// A time drawn evenly, both ends included.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Span {
    pub from: Nanos,
    pub to: Nanos,
}

/// One operation of a flow. Positions are indices of its steps; the end of the steps is the end of the flow.
#[derive(Clone, Debug, Serialize)]
pub enum Op {
    /// Sends a request of the script and waits for its end.
    Request(u16),
    Think(Span),
    Jump(u32),
    /// Goes on at one of these positions, chosen by weight; weights are summed up.
    Draw(Vec<(u32, u32)>),
}

impl Script {
    /// One request, again and again.
    #[must_use]
    pub fn of(request: Request, url: String) -> Self {
        let name = request.name.clone();
        Self {
            names: vec![name.clone()],
            requests: vec![Template { name: 0, url, request }],
            flows: vec![Flow {
                name,
                weight: 1,
                pacing: None,
                ends_on_error: false,
                steps: vec![Op::Request(0)],
            }],
        }
    }

    /// Each iteration is the first request and nothing else.
    #[must_use]
    pub fn is_single(&self) -> bool {
        let [flow] = &self.flows[..] else { return false };
        self.requests.len() == 1 && flow.pacing.is_none() && matches!(flow.steps[..], [Op::Request(0)])
    }

    /// The first request: what a quick run sends.
    #[must_use]
    pub fn first(&self) -> &Request {
        &self.requests[0].request
    }
}
