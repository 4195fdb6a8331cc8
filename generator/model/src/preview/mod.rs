//! What a plan will do, told before it does it: its load over time, its flows, and what may be expected of
//! them.
//!
//! Figures are those of a run without failures. What chance or answers decide is an [`Estimate`] that says
//! so. Sizes are those of the requests alone, as HTTP/1.1 writes them: neither TLS nor HPACK nor the packets
//! around them count.

mod course;
mod replay;
mod visits;

use serde::Serialize;

pub use self::course::spoken_duration;
use crate::limit::{Limit, PlannedLimit};
use crate::plan::{Load, Plan};
use crate::script::{Op, Script};
use crate::units::Nanos;

/// A figure, and whether something undecided is in it.
#[derive(Copy, Clone, PartialEq, Default, Debug, Serialize)]
pub struct Estimate {
    pub value: f64,
    /// It depends on chance, or on answers.
    pub about: bool,
}

/// A plan's preview. In JSON, durations are integer nanoseconds.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Preview {
    pub plan_id: String,
    pub name: String,
    pub seed: u64,
    pub url: String,
    /// Further targets, by name.
    pub other_targets: Vec<(String, String)>,
    /// Where connections lead.
    pub endpoints: Vec<String>,
    pub load: LoadPreview,
    /// Those at the same time.
    pub beside: Vec<LoadPreview>,
    pub flows: Vec<FlowPreview>,
    /// Requests of each user before its first iteration, and after its last.
    pub on_start: Estimate,
    pub on_stop: Estimate,
    /// Requests of the whole run without those, where the number of iterations is known.
    pub requests: Option<Estimate>,
    pub upload: Upload,
    pub warmup_ns: Nanos,
    pub limits: Vec<String>,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkloadModel {
    Open,
    Closed,
}

/// The load, and its course over time.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct LoadPreview {
    /// Empty where there is one only.
    pub name: String,
    pub model: WorkloadModel,
    /// Such as `closed load of 100 users for 10m`.
    pub words: String,
    /// Its end, where that is a matter of time.
    pub duration_ns: Option<Nanos>,
    /// The most arrivals a second of an open load, the most users of a closed one.
    pub peak: f64,
    /// The same over time, in as many equal steps as were asked for: the most of each.
    pub course: Vec<f64>,
    /// How long `course` is; without an end, until nothing changes any more.
    pub course_ns: Nanos,
    /// Of an open load.
    pub arrivals: Option<Estimate>,
    /// Of a closed load that counts them: at most so many.
    pub iterations: Option<u64>,
    /// Opened before the load begins.
    pub warm_connections: u32,
    pub max_connections: u32,
    /// Of a user.
    pub connections_each: u32,
    /// Arrivals of an open load that may wait.
    pub max_backlog: Option<u32>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct FlowPreview {
    pub name: String,
    /// The load that takes it, where there are several.
    pub load: String,
    pub weight: u32,
    /// Of all iterations, between 0 and 1.
    pub share: f64,
    /// Of an iteration.
    pub requests: Estimate,
    /// Bytes sent in an iteration.
    pub upload: Estimate,
}

/// What is sent, in bytes.
#[derive(Copy, Clone, PartialEq, Debug, Serialize)]
pub struct Upload {
    /// In an iteration, on average over the flows.
    pub iteration: Estimate,
    /// A second, at the peak of an open load; a closed one sends as fast as answers come.
    pub per_second_at_peak: Option<Estimate>,
}

impl Preview {
    /// Looks ahead; the course of the load has so many steps.
    #[must_use]
    pub fn of(plan: &Plan, steps: usize) -> Self {
        let mut parts: Vec<_> =
            plan.parts().iter().zip(names(plan)).map(|(part, name)| Part::of(part, name, steps)).collect();
        let requests = parts.iter().map(|part| part.requests).reduce(|sum, more| Some(sum?.plus(more?)));
        let upload = Upload {
            iteration: parts[0].iteration,
            per_second_at_peak: parts
                .iter()
                .filter(|part| part.load.model == WorkloadModel::Open)
                .map(|part| Estimate { value: part.load.peak, about: false }.times(part.iteration))
                .reduce(Estimate::plus),
        };
        let flows = parts.iter_mut().flat_map(|part| std::mem::take(&mut part.flows)).collect();
        let mut loads = parts.into_iter().map(|part| part.load);
        let usual = [PlannedLimit::from(Limit::default_limit())];
        let limits = if plan.limits.is_empty() { &usual[..] } else { &plan.limits };
        Self {
            plan_id: plan.id.clone(),
            name: plan.name.clone(),
            seed: plan.seed,
            url: plan.target().url.clone(),
            other_targets: other_targets(plan),
            endpoints: plan.endpoints.iter().map(ToString::to_string).collect(),
            flows,
            on_start: calls(&plan.script, &plan.script.on_start).0,
            on_stop: calls(&plan.script, &plan.script.on_stop).0,
            requests: requests.flatten(),
            upload,
            load: loads.next().expect("a run has a load"),
            beside: loads.collect(),
            warmup_ns: plan.warmup,
            limits: limits.iter().map(|planned| planned.limit.text().to_owned()).collect(),
        }
    }

    /// All loads.
    pub fn loads(&self) -> impl Iterator<Item = &LoadPreview> {
        std::iter::once(&self.load).chain(&self.beside)
    }
}

/// One of the loads.
struct Part {
    load: LoadPreview,
    flows: Vec<FlowPreview>,
    /// Bytes sent in an iteration.
    iteration: Estimate,
    requests: Option<Estimate>,
}

impl Part {
    fn of(plan: &Plan, name: &str, steps: usize) -> Self {
        let load = course::load(name, &plan.load, plan.connections_each(), steps);
        let mut flows = match plan.load.picks() {
            Some(picks) => replay::flows(&plan.script, picks),
            None => flows(&plan.script),
        };
        if !name.is_empty() {
            flows.retain(|flow| flow.weight > 0 || plan.load.picks().is_some());
            flows.iter_mut().for_each(|flow| name.clone_into(&mut flow.load));
        }
        let counted = load.iterations.map(|iterations| Estimate { value: iterations as f64, about: false });
        let requests = mean(&flows, |flow| flow.requests);
        Self {
            iteration: mean(&flows, |flow| flow.upload),
            requests: load.arrivals.or(counted).map(|iterations| iterations.times(requests)),
            load,
            flows,
        }
    }
}

/// Of the loads.
fn names(plan: &Plan) -> Vec<&str> {
    match &plan.load {
        Load::Several(parts) => parts.iter().map(|part| part.name.as_str()).collect(),
        _ => vec![""],
    }
}

impl Estimate {
    fn plus(self, other: Self) -> Self {
        Self { value: self.value + other.value, about: self.about || other.about }
    }

    fn times(self, other: Self) -> Self {
        Self { value: self.value * other.value, about: self.about || other.about }
    }
}

fn other_targets(plan: &Plan) -> Vec<(String, String)> {
    plan.targets[1..].iter().map(|target| (target.name.clone(), target.url.clone())).collect()
}

fn flows(script: &Script) -> Vec<FlowPreview> {
    let weights: f64 = script.flows.iter().map(|flow| f64::from(flow.weight)).sum();
    let preview = |flow: &crate::script::Flow| {
        let (requests, upload) = calls(script, &flow.steps);
        FlowPreview {
            name: flow.name.clone(),
            load: String::new(),
            weight: flow.weight,
            share: f64::from(flow.weight) / weights.max(1.0),
            requests,
            upload,
        }
    };
    script.flows.iter().map(preview).collect()
}

/// The number of requests that operations make, and their bytes.
fn calls(script: &Script, ops: &[Op]) -> (Estimate, Estimate) {
    let (mut requests, mut bytes) = (Estimate::default(), Estimate::default());
    for (call, visits) in visits::of_calls(ops) {
        let Some(call) = script.calls.get(usize::from(call)) else { continue };
        let size = Estimate { value: call.request.wire.len() as f64, about: call.draft.is_some() };
        for (sum, term) in [(&mut requests, visits), (&mut bytes, visits.times(size))] {
            sum.value += term.value;
            sum.about |= term.about;
        }
    }
    (requests, bytes)
}

/// The average over iterations, which are undecided where flows differ.
fn mean(flows: &[FlowPreview], figure: impl Fn(&FlowPreview) -> Estimate) -> Estimate {
    let mut chosen = flows.iter().filter(|flow| flow.weight > 0);
    let value = chosen.clone().map(|flow| flow.share * figure(flow).value).sum();
    let about = chosen.clone().any(|flow| figure(flow).about);
    let first = chosen.next().map(|flow| figure(flow).value);
    Estimate { value, about: about || chosen.any(|flow| Some(figure(flow).value) != first) }
}

#[cfg(test)]
mod tests;
