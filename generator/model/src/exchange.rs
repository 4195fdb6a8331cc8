//! Single exchanges, whole: what was sent, what was answered, and what was made of it. Only a run of one iteration of each
//! flow keeps them.

use serde::{Deserialize, Serialize};

use crate::outcome::ErrorKind;
use crate::plan::Plan;
use crate::units::Nanos;

/// What is kept of each head and each content, in bytes.
pub const KEPT_MAX: usize = 64 << 10;
/// What is kept of a value that was saved.
pub const SAVED_MAX: usize = 4 << 10;
/// Exchanges that are kept, and the bytes of all of them.
pub const EXCHANGES_MAX: usize = 1_000;
pub const EXCHANGES_BYTES_MAX: usize = 16 << 20;

/// The steps of the script that a request is of.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub enum Within {
    #[default]
    OnStart,
    Flow(u16),
    OnStop,
}

impl Within {
    #[must_use]
    pub const fn flow(self) -> Option<u16> {
        match self {
            Self::Flow(flow) => Some(flow),
            Self::OnStart | Self::OnStop => None,
        }
    }
}

/// One request as it went out, and its answer. A redirect that is followed is another.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Exchange {
    pub within: Within,
    /// Of the script.
    pub call: u16,
    /// `None`: it was never sent.
    pub request: Option<Part>,
    pub response: Option<Part>,
    /// Of the connection, where it was made for this exchange.
    pub connect: Option<Nanos>,
    pub tls: Option<Nanos>,
    /// From when it was sent, as the next.
    pub first_byte: Option<Nanos>,
    pub total: Nanos,
    pub status: Option<u16>,
    pub error: Option<ErrorKind>,
    /// It is not the end of its request: a redirect or a challenge that is answered.
    pub goes_on: bool,
    /// By check of the call: did it hold? Empty where they were not looked at.
    pub checks: Vec<bool>,
    /// Variables and their new values.
    pub saved: Vec<(u16, String)>,
    /// Exchanges after this one that were not kept.
    pub left_out: u64,
}

/// One side of an exchange.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Part {
    /// Lines; over HTTP/2 as `name: value`.
    pub head: Vec<u8>,
    /// Its beginning.
    pub body: Vec<u8>,
    pub body_size: u64,
}

impl Part {
    /// As much of it as is kept.
    #[must_use]
    pub fn new(head: &[u8], body: &[u8], body_size: u64) -> Self {
        let kept = |bytes: &[u8]| bytes[..bytes.len().min(KEPT_MAX)].to_vec();
        Self { head: kept(head), body: kept(body), body_size }
    }
}

impl Exchange {
    /// Bytes that it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        let parts = self.request.iter().chain(&self.response);
        let saved = self.saved.iter().map(|(_, value)| value.len());
        parts.map(|part| part.head.len() + part.body.len()).chain(saved).sum()
    }

    /// Could it be one of this plan?
    #[must_use]
    pub fn is_possible(&self, plan: &Plan) -> bool {
        let script = &plan.script;
        let fits = |part: &Part| part.head.len() <= KEPT_MAX && part.body.len() <= KEPT_MAX;
        script.calls.get(usize::from(self.call)).is_some_and(|call| {
            call.checks.len() >= self.checks.len() && call.saves.len() >= self.saved.len()
        }) && self.within.flow().is_none_or(|flow| usize::from(flow) < script.flows.len())
            && self.request.iter().chain(&self.response).all(fits)
            && self.saved.iter().all(|(variable, value)| {
                usize::from(*variable) < script.variables.len() && value.len() <= SAVED_MAX
            })
    }
}
