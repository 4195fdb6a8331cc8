//! What users do, compiled: calls, and flows of steps that name them.
//!
//! A quick run is the script with one call in one flow. The engine keeps a position in a flow for each user and never
//! looks at anything but these tables.

pub mod call;
pub mod compile;

use std::sync::Arc;

use serde::Serialize;

use crate::expr::{Expr, Value};
use crate::feeder::Table;
use crate::limit::Catalogue;
use crate::request::Request;
use crate::scenario::file::{OnEnd, Pick};
use crate::units::Nanos;
use call::Call;

/// Calls of one script: their numbers fit 16 bits with room to spare.
pub const CALLS_MAX: usize = 10_000;
/// Operations of one flow.
pub const OPS_MAX: usize = 100_000;
/// Operations that a user may go through without a request or a wait; then its iteration ends.
pub const OPS_IN_A_ROW_MAX: u32 = 100_000;
/// Variables of one script; each user has all of them.
pub const VARIABLES_MAX: usize = 1_000;
/// Loops within loops.
pub const LOOPS_MAX: usize = 16;
/// Requests that a user makes at once.
pub const PARALLEL_MAX: usize = 32;

/// How long think and pacing take at most where somebody waits for one iteration.
pub const ONCE_WAIT_MAX: Nanos = Nanos::from_secs(1);

/// All that a run's users do.
#[derive(Clone, Default, Debug, Serialize)]
pub struct Script {
    /// Labels in results, by the index in [`crate::snapshot::Stats`].
    pub names: Vec<String>,
    /// Tags of each of them.
    pub tags: Vec<Vec<String>>,
    /// At least one.
    pub calls: Vec<Call>,
    /// At least one, of which at least one has a weight.
    pub flows: Vec<Flow>,
    /// Once a user, before its first iteration and after its last.
    pub on_start: Vec<Op>,
    pub on_stop: Vec<Op>,
    /// Names of the variables; each user begins with all of them `Null`, but for `globals`.
    pub variables: Vec<String>,
    /// What the setup of the run found out. Like secrets, it is no part of a plan.
    #[serde(skip)]
    pub globals: Vec<(u16, Value)>,
    /// Variables whose values are told when the run has ended: those of its setup.
    pub tells: Vec<u16>,
    /// What variables are set to when an iteration begins, in this order.
    pub initial: Vec<(u16, Expr)>,
    pub feeders: Vec<FeederPlan>,
    /// Those of them that every user looks at, whatever its flow.
    pub feeders_of_all: Vec<u16>,
    /// Names of the secrets. Their values are no part of a plan.
    pub secrets: Vec<String>,
    /// Each user keeps cookies.
    pub cookies: bool,
    /// Iterations take the flows in their order, one each, and each exchange is kept.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub once: bool,
}

/// One way through the script, taken once an iteration.
#[derive(Clone, Debug, Serialize)]
pub struct Flow {
    pub name: String,
    /// How often it is chosen in relation to the others.
    pub weight: u32,
    /// Iterations of a closed user begin no closer than this.
    pub pacing: Option<Span>,
    /// A call that fails ends the iteration.
    pub ends_on_error: bool,
    pub steps: Vec<Op>,
    /// Of which an iteration takes rows: those that something of it looks at.
    pub feeders: Vec<u16>,
}

/// A time drawn evenly, both ends included.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Span {
    pub from: Nanos,
    pub to: Nanos,
}

/// Where a script's rows come from.
#[derive(Clone, Debug, Serialize)]
pub struct FeederPlan {
    pub name: String,
    pub pick: Pick,
    pub on_end: OnEnd,
    /// SHA-256 of the file, in hex.
    pub digest: String,
    #[serde(skip)]
    pub table: Arc<Table>,
}

/// One operation of a flow. Positions are indices of its steps; the end of the steps is the end of the flow.
#[derive(Clone, Debug, Serialize)]
pub enum Op {
    /// Makes a call of the script and waits for its end.
    Call(u16),
    /// Makes so many calls at once, from this one on, and waits for the end of all.
    Parallel(u16, u16),
    Think(Span),
    /// Gives a variable a value.
    Set(u16, Expr),
    Jump(u32),
    /// Goes on there where the condition is not true.
    JumpUnless(Expr, u32),
    /// Sets one of the user's counters to a number of rounds; what is no positive integer is none.
    Count(u8, Expr),
    /// Takes one round off a counter, or goes on there if none is left.
    Round(u8, u32),
    /// Goes on at one of these positions, chosen by weight; weights are summed up.
    Draw(Vec<(u32, u32)>),
    /// Goes on where the value is equal, else at the last.
    Switch(Expr, Vec<(Literal, u32)>, u32),
}

/// A value that a plan can be told apart by.
#[derive(Clone, PartialEq, Debug)]
pub struct Literal(pub Value);

impl Serialize for Literal {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:?}", self.0))
    }
}

impl Script {
    /// One request, again and again.
    #[must_use]
    pub fn of(request: Request, url: String) -> Self {
        let name = request.name.clone();
        Self {
            names: vec![name.clone()],
            tags: vec![Vec::new()],
            calls: vec![Call::fixed(0, request, url)],
            flows: vec![Flow {
                name,
                weight: 1,
                pacing: None,
                ends_on_error: false,
                steps: vec![Op::Call(0)],
                feeders: Vec::new(),
            }],
            ..Self::default()
        }
    }

    /// Each iteration is the first call, which never changes, and nothing else.
    #[must_use]
    pub fn is_single(&self) -> bool {
        let ([call], [flow]) = (&self.calls[..], &self.flows[..]) else { return false };
        call.is_plain()
            && !self.once
            && flow.pacing.is_none()
            && matches!(flow.steps[..], [Op::Call(0)])
            && self.on_start.is_empty()
            && self.on_stop.is_empty()
            && self.tells.is_empty()
            && !self.cookies
    }

    /// The values that a user's variables have at first.
    #[must_use]
    pub fn beginning(&self) -> Box<[Value]> {
        let mut values = vec![Value::Null; self.variables.len()];
        for (variable, value) in &self.globals {
            values[usize::from(*variable)] = value.clone();
        }
        values.into()
    }

    /// Requests to one target that a user makes at once.
    #[must_use]
    pub fn ways(&self) -> u32 {
        self.calls.iter().map(|call| u32::from(call.way) + 1).max().unwrap_or(1)
    }

    /// One iteration of each flow that a run would take, with waits of at most [`ONCE_WAIT_MAX`].
    pub fn make_once(&mut self) {
        self.once = true;
        self.flows.retain(|flow| flow.weight > 0);
        let shorten = |span: &mut Span| {
            *span = Span { from: span.from.min(ONCE_WAIT_MAX), to: span.to.min(ONCE_WAIT_MAX) };
        };
        self.flows.iter_mut().filter_map(|flow| flow.pacing.as_mut()).for_each(shorten);
        let of_flows = self.flows.iter_mut().flat_map(|flow| &mut flow.steps);
        for op in of_flows.chain(&mut self.on_start).chain(&mut self.on_stop) {
            if let Op::Think(span) = op {
                shorten(span);
            }
        }
    }

    /// What limits can name.
    #[must_use]
    pub fn catalogue(&self) -> Catalogue {
        Catalogue { names: self.names.clone(), tags: self.tags.clone() }
    }

    /// What a run is called that has no name: the label of the first request of the first flow.
    #[must_use]
    pub fn title(&self) -> &str {
        let mut ops = self.flows.iter().flat_map(|flow| &flow.steps);
        let first = ops.find_map(|op| match op {
            Op::Call(call) | Op::Parallel(call, _) => self.calls.get(usize::from(*call)),
            _ => None,
        });
        &self.names[usize::from(first.unwrap_or(&self.calls[0]).name)]
    }

    /// The first call's request: what a quick run sends.
    #[must_use]
    pub fn first(&self) -> &Request {
        &self.calls[0].request
    }
}
