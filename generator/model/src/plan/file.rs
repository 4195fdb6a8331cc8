//! A plan out of a scenario file: its flows, and its load where the command line names none.

use url::Url;

use super::{
    BACKLOG_MAX, CONNECTIONS_MAX, DURATION_MAX, Inputs, LOADS_MAX, Load, LoadPart, PlanError, TARGETS_MAX,
    parse_url, replay,
};
use crate::replay::Logs;
use crate::scenario::file::{
    self, FAULTS_MAX, Fault, File, Iterations, LimitSpec, Located, Phase, PhaseShape, Place, nearest,
};
use crate::scenario::{HttpVersion, Lifecycle, LoadSpec, Scenario, ScriptSource};
use crate::schedule::{Arrivals, STEPS_MAX, Schedule, Shape};
use crate::script::compile::{Files, Frame, compile};
use crate::script::{Flow, Script};
use crate::units::{Nanos, Rate};
use crate::users::Users;

/// Requests that the open loads of a file may have under way together, unless they say otherwise.
const OPEN_REQUESTS: u32 = 10_000;

/// The load of a run's setup and of its teardown.
const ONE_USER: Load =
    Load::Closed { connections: 1, requests: Some(1), duration: Some(Nanos::from_secs(60)), shape: None };

/// What a file adds to a plan.
pub(super) struct OfFile {
    pub(super) script: Script,
    pub(super) load: Option<(Load, Nanos)>,
    pub(super) limits: Vec<Located<LimitSpec>>,
    /// Further targets, by name.
    pub(super) others: Vec<(String, Url)>,
}

/// Compiles a file's flows, and its load unless `scenario` has one.
pub(super) fn of_file(
    source: &ScriptSource,
    scenario: &Scenario,
    inputs: &Inputs,
    url: &Url,
) -> Result<OfFile, PlanError> {
    let file = file::read(&source.text).map_err(PlanError::File)?;
    let others = others(&file).map_err(PlanError::File)?;
    let names_a_load = scenario.load.names_a_load();
    let lanes = scenario.http.streams.or(scenario.http.pipeline).unwrap_or(1);
    let logs = match source.lifecycle {
        Lifecycle::Load => replay::logs(&file, &inputs.files, names_a_load).map_err(PlanError::File)?,
        Lifecycle::Setup | Lifecycle::Teardown => Logs::default(),
    };
    let frame = Frame {
        target: url,
        others: &others,
        multiplexed: scenario.http.version == HttpVersion::Http2,
        closes: !scenario.http.keep_alive,
        compressed: scenario.http.compressed,
        redirects: scenario.http.redirects,
        secrets_in_clear: source.secrets_in_clear,
        lifecycle: source.lifecycle,
        globals: &inputs.globals,
        tags: &source.tags,
        exclude_tags: &source.exclude_tags,
        logs: &logs,
    };
    let script = compile_all(&file, frame, &inputs.files);
    let script = match script {
        Ok(script) if scenario.once => {
            replay::once(&file, &script).map_or(Ok(script), |fault| Err(vec![fault]))
        }
        script => script,
    };
    let load = match source.lifecycle {
        Lifecycle::Load if names_a_load => Ok(None),
        Lifecycle::Load => load(&file, &scenario.load, scenario.seed, &logs, script.as_ref().ok(), lanes),
        Lifecycle::Setup | Lifecycle::Teardown => Ok(Some((ONE_USER, Nanos::ZERO))),
    };
    let limits = if source.lifecycle == Lifecycle::Load { file.limits } else { Vec::new() };
    match (script, load) {
        (Ok(script), Ok(load)) => Ok(OfFile { script, load, limits, others }),
        (script, load) => {
            let mut faults: Vec<_> = script.err().into_iter().chain(load.err()).flatten().collect();
            faults.sort_by_key(|fault| fault.at);
            Err(PlanError::File(faults))
        }
    }
}

/// Compiles what is to be run; what is run before or after it may be wrong too.
fn compile_all(file: &File, frame: Frame<'_>, files: &Files) -> Result<Script, Vec<Fault>> {
    let script = compile(file, frame, files);
    let others = [(Lifecycle::Setup, &file.setup), (Lifecycle::Teardown, &file.teardown)];
    let mut faults = Vec::new();
    for (lifecycle, _) in
        others.into_iter().filter(|(other, steps)| *other != frame.lifecycle && !steps.is_empty())
    {
        faults.extend(compile(file, Frame { lifecycle, ..frame }, files).err().into_iter().flatten());
    }
    if faults.is_empty() {
        return script;
    }
    faults.extend(script.err().into_iter().flatten());
    // What they have in common is told by each.
    faults.sort_by(|a, b| (a.at, &a.what).cmp(&(b.at, &b.what)));
    faults.dedup();
    faults.truncate(FAULTS_MAX);
    Err(faults)
}

/// The further targets of a file.
fn others(file: &File) -> Result<Vec<(String, Url)>, Vec<Fault>> {
    if let Some((name, _)) = file.targets.get(TARGETS_MAX) {
        let what = format!("there are more than {TARGETS_MAX} further targets");
        return Err(vec![fault(name.at, what, "put some of the load into another scenario")]);
    }
    let (mut targets, mut faults) = (Vec::new(), Vec::new());
    for (name, url) in &file.targets {
        match parse_url(&url.value) {
            Ok(parsed) => targets.push((name.value.clone(), parsed)),
            Err(error) => faults.push(fault(url.at, error.to_string(), "write one such as https://api.test")),
        }
    }
    if faults.is_empty() { Ok(targets) } else { Err(faults) }
}

/// The file's load, and how long its warm-up is: of several, the shortest.
fn load(
    file: &File,
    spec: &LoadSpec,
    seed: u64,
    logs: &Logs,
    script: Option<&Script>,
    lanes: u32,
) -> Result<Option<(Load, Nanos)>, Vec<Fault>> {
    if let Some((name, _)) = file.loads.get(LOADS_MAX) {
        let what = format!("there are more than {LOADS_MAX} loads");
        return Err(vec![fault(name.at, what, "put some of them into another scenario")]);
    }
    let (mut parts, mut faults) = (Vec::new(), Vec::new());
    let is_only = file.loads.len() == 1;
    let cap = Cap { of_each: spec.max_connections, usual: usual_cap(file, script, lanes), lowers: !is_only };
    for (name, load) in &file.loads {
        let (made, warmup) = one(load, spec, cap, seed, logs, &mut faults);
        let at = load.phases.first().map_or(name.at, |phase| phase.at);
        if is_only && made.duration().is_some_and(|duration| warmup >= duration) && warmup > Nanos::ZERO {
            faults.push(fault(at, "the warm-up leaves nothing to measure", "add a phase without `warmup`"));
        }
        let weights = weights(file, load, script.map_or(&[], |script| &script.flows[..]), &mut faults);
        let has_flow = weights.iter().any(|weight| *weight > 0) || made.picks().is_some();
        if faults.is_empty() && !has_flow && script.is_some() {
            faults.push(fault(at, "this load has no flow to run", "give one of its flows a weight above 0"));
        }
        parts.push(LoadPart { name: name.value.clone(), load: made, weights, warmup });
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let shortest = parts.iter().map(|part: &LoadPart| part.warmup).min().unwrap_or(Nanos::ZERO);
    let is_plain = file.loads.iter().all(|(_, load)| load.flows.is_empty());
    Ok(match (parts.pop(), parts.is_empty()) {
        (None, _) => None,
        (Some(part), true) if is_plain => Some((part.load, shortest)),
        (Some(part), _) => {
            parts.push(part);
            Some((Load::Several(parts), shortest))
        }
    })
}

/// How often a load takes each flow of the script.
fn weights(file: &File, load: &file::Load, flows: &[Flow], faults: &mut Vec<Fault>) -> Vec<u32> {
    for name in &load.flows {
        if !file.flows.iter().any(|(flow, _)| flow.value == name.value) {
            let near = nearest(&name.value, file.flows.iter().map(|(flow, _)| flow.value.as_str()));
            let mend = near
                .map_or_else(|| "add it under `flows:`".to_owned(), |near| format!("did you mean '{near}'?"));
            faults.push(fault(name.at, format!("there is no flow '{}'", name.value), mend));
        }
    }
    let is_its = |flow: &Flow| load.flows.is_empty() || load.flows.iter().any(|name| name.value == flow.name);
    flows.iter().map(|flow| if is_its(flow) { flow.weight } else { 0 }).collect()
}

/// How many connections each open load may have.
#[derive(Copy, Clone)]
struct Cap {
    /// By the command line.
    of_each: Option<u32>,
    /// Where nobody says anything.
    usual: u32,
    /// That of the command line lowers what a load says, but does not raise it.
    lowers: bool,
}

impl Cap {
    fn of(self, load: &file::Load) -> u32 {
        match (self.of_each, load.max_connections) {
            (Some(most), Some(own)) if self.lowers => most.min(own),
            (Some(most), _) => most,
            (None, own) => own.unwrap_or(self.usual),
        }
    }
}

fn is_closed(phase: &Located<Phase>) -> bool {
    matches!(phase.value.shape, PhaseShape::Closed { .. })
}

/// A pause is in loads of either kind.
fn is_open(phase: &Located<Phase>) -> bool {
    !is_closed(phase) && !matches!(phase.value.shape, PhaseShape::Pause(_))
}

/// All open loads together have as many requests under way as a quick run would.
fn usual_cap(file: &File, script: Option<&Script>, lanes: u32) -> u32 {
    let loads = file.loads.iter().filter(|(_, load)| load.phases.iter().any(is_open)).count().max(1);
    let all = u32::try_from(loads * (file.targets.len() + 1)).unwrap_or(u32::MAX);
    let each = all.saturating_mul(script.map_or(1, Script::ways)).saturating_mul(lanes);
    (OPEN_REQUESTS / each.max(1)).max(1)
}

/// One load of the file, and how long its warm-up is.
fn one(
    load: &file::Load,
    spec: &LoadSpec,
    cap: Cap,
    seed: u64,
    logs: &Logs,
    faults: &mut Vec<Fault>,
) -> (Load, Nanos) {
    let at = load.phases.first().map_or(Place::default(), |phase| phase.at);
    faults.extend(replay::beside(load));
    let warmup = warmup(&load.phases, logs, faults);
    if let (Some(closed), true) = (load.phases.iter().find(|p| is_closed(p)), load.phases.iter().any(is_open))
    {
        let mend = "name either users (`closed`) or arrivals (`open` and others) in all phases of a load";
        faults.push(fault(closed.at, "a load is either closed or open", mend));
    }
    let made = if load.phases.iter().any(is_closed) {
        closed(load, faults)
    } else {
        open(load, spec, cap.of(load), seed, logs, faults)
    };
    let too_long = made.duration().is_some_and(|duration| duration > DURATION_MAX);
    if too_long || made.max_connections() > CONNECTIONS_MAX {
        let what =
            format!("a load has at most {CONNECTIONS_MAX} users or connections and lasts 30 days at most");
        faults.push(fault(at, what, "make it smaller"));
    }
    (made, warmup)
}

pub(super) fn fault(at: Place, what: impl Into<String>, mend: impl Into<String>) -> Fault {
    Fault { at, what: what.into(), mend: mend.into() }
}

/// The length of the first phases that are marked so; no later one may be.
fn warmup(phases: &[Located<Phase>], logs: &Logs, faults: &mut Vec<Fault>) -> Nanos {
    let first = phases.iter().take_while(|phase| phase.value.warmup).count();
    if let Some(late) = phases[first..].iter().find(|phase| phase.value.warmup) {
        faults.push(fault(
            late.at,
            "a warm-up comes before all that is measured",
            "move this phase to the front",
        ));
    }
    Nanos(phases[..first].iter().map(|phase| length(&phase.value.shape, logs).0).sum())
}

fn length(shape: &PhaseShape, logs: &Logs) -> Nanos {
    match shape {
        PhaseShape::Open { duration, .. }
        | PhaseShape::Sine { duration, .. }
        | PhaseShape::Pause(duration) => *duration,
        PhaseShape::Steps { from, by, every, until } => {
            let steps = until.0.saturating_sub(from.0) / by.0.max(1) + 1;
            Nanos(every.0.saturating_mul(steps))
        }
        PhaseShape::Spike { rise, hold, fall, .. } => Nanos(rise.0 + hold.0 + fall.0),
        PhaseShape::Points(points) => points.last().map_or(Nanos::ZERO, |(at, _)| *at),
        PhaseShape::Closed { duration, .. } => duration.unwrap_or(Nanos::ZERO),
        PhaseShape::Replay { file, .. } => replay::length(logs, file.at),
    }
}

fn open(
    load: &file::Load,
    spec: &LoadSpec,
    max_connections: u32,
    seed: u64,
    logs: &Logs,
    faults: &mut Vec<Fault>,
) -> Load {
    let mut schedule = Schedule::new(load.arrivals.unwrap_or(Arrivals::Uniform), seed);
    if load.start > Nanos::ZERO {
        schedule = schedule.then_pause(load.start);
    }
    let (mut highest, mut picks) = (Rate(0), Vec::new());
    for phase in &load.phases {
        let mut seen = |rate: Rate| highest = highest.max(rate);
        schedule = match &phase.value.shape {
            PhaseShape::Open { from, to, duration } => {
                seen(*from.max(to));
                let shape = if from == to { Shape::Constant(*to) } else { Shape::Ramp(*from, *to) };
                schedule.then(shape, *duration)
            }
            PhaseShape::Steps { from, by, every, until } => {
                seen(*until);
                if until.0.saturating_sub(from.0) / by.0.max(1) >= STEPS_MAX as u64 {
                    faults.push(fault(
                        phase.at,
                        format!("there are more than {STEPS_MAX} steps"),
                        "make `by` larger",
                    ));
                    continue;
                }
                schedule.then_steps(*from, *by, *every, *until)
            }
            PhaseShape::Spike { from, to, rise, hold, fall } => {
                seen(*to);
                schedule.then_spike(*from, *to, *rise, *hold, *fall)
            }
            PhaseShape::Sine { mean, amplitude, period, duration } => {
                seen(Rate(mean.0 + amplitude.0));
                schedule.then_sine(*mean, *amplitude, *period, *duration)
            }
            PhaseShape::Points(points) => {
                points.iter().for_each(|(_, rate)| seen(*rate));
                schedule.then_points(points)
            }
            PhaseShape::Pause(duration) => schedule.then_pause(*duration),
            PhaseShape::Replay { file, .. } => {
                let replayed = replay::then(schedule, logs, file.at, &mut picks);
                seen(replayed.peak());
                replayed
            }
            PhaseShape::Closed { .. } => schedule,
        };
    }
    let second_of_rate = u32::try_from(highest.0.div_ceil(1_000)).unwrap_or(u32::MAX);
    Load::Open {
        schedule,
        warm_connections: 1,
        max_connections,
        max_backlog: spec.max_backlog.or(load.max_backlog).unwrap_or(second_of_rate.clamp(1, BACKLOG_MAX)),
        picks: (!picks.is_empty()).then(|| picks.into()),
    }
}

fn closed(load: &file::Load, faults: &mut Vec<Fault>) -> Load {
    let mut users = Users::default();
    if load.start > Nanos::ZERO {
        users = users.then_pause(load.start);
    }
    let (mut requests, mut per_user) = (None, None);
    let mut open_end = false;
    for (position, phase) in load.phases.iter().enumerate() {
        if open_end {
            let mend = "give the phase before it `for`";
            faults.push(fault(phase.at, "this phase would never come: the one before it has no end", mend));
        }
        match &phase.value.shape {
            PhaseShape::Closed { from, to, duration, iterations } => {
                if iterations.is_some() && position + 1 < load.phases.len() {
                    let what = "only the last phase of a load can have a number of iterations";
                    faults.push(fault(phase.at, what, "use `for` here"));
                }
                match iterations {
                    Some(Iterations::Shared(count)) => requests = Some(*count),
                    Some(Iterations::PerUser(count)) => per_user = Some(*count),
                    None => {}
                }
                match duration {
                    Some(duration) => users = users.then(*from, *to, *duration),
                    None => {
                        open_end = true;
                        users = users.then_open_end(*to);
                    }
                }
            }
            PhaseShape::Pause(duration) => users = users.then_pause(*duration),
            _ => {}
        }
    }
    if let Some(last) = load.phases.last().filter(|_| open_end && requests.is_none() && per_user.is_none()) {
        let mend = "give it `for`, `iterations` or `iterations_per_user`";
        faults.push(fault(last.at, "this phase has no end", mend));
    }
    Load::Closed {
        connections: users.max_users().max(1),
        requests,
        duration: users.duration(),
        shape: Some(super::ClosedShape { users, per_user }),
    }
}
