//! Readers of loads and their phases.

use super::{Fields, fields, list, named, scalar};
use crate::scenario::file::fault::Faults;
use crate::scenario::file::keys::Shape;
use crate::scenario::file::keys::load as keys;
use crate::scenario::file::tree::{Leaf, Node};
use crate::scenario::file::{Entries, Iterations, Load, Located, LogFormat, Phase, PhaseShape};
use crate::schedule::Arrivals;
use crate::units::{Nanos, Rate};

/// `load` has no name.
pub(super) fn loads(file: &Fields<'_>, faults: &mut Faults) -> Entries<Load> {
    let mut loads = file.get("loads").map_or_else(Vec::new, |node| named(node, faults, load_of_map));
    if let Some((key, node)) = file.entry("load")
        && let Some(load) = load(node, faults)
    {
        loads.push((Located::new(String::new(), key.at), load));
    }
    loads
}

/// Phases, one phase, or a map with phases.
fn load(node: &Node, faults: &mut Faults) -> Option<Load> {
    let is_phase =
        |entries: &[(Leaf, Node)]| entries.iter().any(|(key, _)| keys::SHAPES.contains(&key.text.as_str()));
    let mut settings = Settings::default();
    let phases = match node {
        Node::Map(entries, _) if !is_phase(entries) => return load_of_map(node, faults),
        Node::Map(..) => phase(node, &mut settings, faults).into_iter().collect(),
        _ => list(node, faults, |node, faults| phase(node, &mut settings, faults)),
    };
    fit_together(&phases, faults);
    Some(settings.into_load(Load { phases, ..Load::default() }))
}

fn load_of_map(node: &Node, faults: &mut Faults) -> Option<Load> {
    let fields = fields(node, &keys::LOAD, faults)?;
    let mut settings = Settings::default();
    settings.take(&fields, faults);
    let load = Load {
        flows: fields.list("flows", faults, scalar::name),
        start: fields.read("start", faults, scalar::duration).unwrap_or_default(),
        phases: fields.list("phases", faults, |node, faults| phase(node, &mut settings, faults)),
        ..Load::default()
    };
    fit_together(&load.phases, faults);
    Some(settings.into_load(load))
}

/// Whether all phases are open or all closed (a pause is both), with warm-ups first.
fn fit_together(phases: &[Located<Phase>], faults: &mut Faults) {
    let is_closed = |phase: &Phase| match phase.shape {
        PhaseShape::Pause(_) => None,
        PhaseShape::Closed { .. } => Some(true),
        _ => Some(false),
    };
    let first = phases.iter().find_map(|phase| is_closed(&phase.value));
    if let Some(other) =
        phases.iter().find(|phase| is_closed(&phase.value).is_some_and(|it| Some(it) != first))
    {
        faults.add(
            other.at,
            "a load is open or closed, and this phase differs from those before it",
            "write two loads under 'loads', one of which has a 'start'",
        );
    }
    let measured = phases.iter().skip_while(|phase| phase.value.warmup);
    if let Some(late) = measured.clone().find(|phase| phase.value.warmup) {
        faults.add(
            late.at,
            "this warm-up comes after a phase that is measured",
            "leave 'warmup' out here, or move the phase to the beginning",
        );
    }
}

/// What can stand within a phase but is of its load.
#[derive(Default)]
struct Settings {
    arrivals: Option<Located<Arrivals>>,
    max_connections: Option<Located<u32>>,
    max_backlog: Option<Located<u32>>,
}

impl Settings {
    fn take(&mut self, fields: &Fields<'_>, faults: &mut Faults) {
        let values = [Arrivals::Uniform, Arrivals::Poisson];
        agree(&mut self.arrivals, fields, "arrivals", faults, |node, faults| {
            scalar::choice(node, keys::ARRIVALS, &values, faults)
        });
        agree(&mut self.max_connections, fields, "max_connections", faults, scalar::count);
        agree(&mut self.max_backlog, fields, "max_backlog", faults, scalar::count);
    }

    fn into_load(self, load: Load) -> Load {
        Load {
            arrivals: self.arrivals.map(|arrivals| arrivals.value),
            max_connections: self.max_connections.map(|most| most.value),
            max_backlog: self.max_backlog.map(|most| most.value),
            ..load
        }
    }
}

/// Takes a value that two places may give, if they give the same.
fn agree<T: Copy + PartialEq>(
    known: &mut Option<Located<T>>,
    fields: &Fields<'_>,
    name: &str,
    faults: &mut Faults,
    read: impl FnOnce(&Node, &mut Faults) -> Option<T>,
) {
    let Some(node) = fields.get(name) else { return };
    let Some(value) = read(node, faults) else { return };
    match known {
        Some(known) if known.value != value => faults.add(
            node.at(),
            format!(
                "'{name}' is of the whole load, and {}:{} says otherwise",
                known.at.line, known.at.column
            ),
            "write it once, or the same in both places",
        ),
        _ => *known = Some(Located::new(value, node.at())),
    }
}

fn phase(node: &Node, settings: &mut Settings, faults: &mut Faults) -> Option<Located<Phase>> {
    let fields = fields(node, &keys::PHASE, faults)?;
    let warmup = fields.read("warmup", faults, scalar::boolean).unwrap_or(false);
    let (key, inner) = keys::SHAPES.iter().find_map(|name| fields.entry(name))?;
    let shape = match key.text.as_str() {
        "open" => open(inner, settings, faults),
        "closed" => closed(inner, faults),
        "steps" => steps(inner, faults),
        "spike" => spike(inner, faults),
        "sine" => sine(inner, faults),
        "points" => points(inner, faults),
        "pause" => scalar::duration(inner, faults).map(PhaseShape::Pause),
        _ => replay(inner, faults),
    }?;
    Some(Located::new(Phase { shape, warmup }, node.at()))
}

/// How long, by either name.
fn duration(fields: &Fields<'_>, faults: &mut Faults) -> Option<Nanos> {
    let [lasting, over] = ["for", "over"].map(|name| fields.read(name, faults, scalar::duration));
    lasting.or(over)
}

fn open(node: &Node, settings: &mut Settings, faults: &mut Faults) -> Option<PhaseShape> {
    let fields = fields(node, &keys::OPEN, faults)?;
    settings.take(&fields, faults);
    let rates = fields.read("rate", faults, scalar::rates);
    let duration = duration(&fields, faults);
    let (from, to) = rates?;
    Some(PhaseShape::Open { from, to, duration: duration? })
}

fn closed(node: &Node, faults: &mut Faults) -> Option<PhaseShape> {
    let fields = fields(node, &keys::CLOSED, faults)?;
    let users = fields.read("users", faults, scalar::counts);
    let duration = duration(&fields, faults);
    let shared = fields.read("iterations", faults, scalar::count).map(Iterations::Shared);
    let per_user = fields.read("iterations_per_user", faults, scalar::count).map(Iterations::PerUser);
    let ends = ["for", "over", "iterations", "iterations_per_user"];
    if ends.iter().all(|end| fields.get(end).is_none()) {
        faults.add(fields.at, "nothing says when this phase ends", "add for: 10m, or iterations: 1000");
    }
    let (from, to) = users?;
    Some(PhaseShape::Closed { from, to, duration, iterations: shared.or(per_user) })
}

fn steps(node: &Node, faults: &mut Faults) -> Option<PhaseShape> {
    let fields = fields(node, &keys::STEPS, faults)?;
    let [from, by, until] = ["from", "by", "until"].map(|name| fields.read(name, faults, scalar::rate));
    let every = fields.read("every", faults, scalar::duration);
    let (from, by, every, until) = (from?, by?, every?, until?);
    if by == Rate(0) || until < from {
        faults.add(
            fields.at,
            "these steps never reach their end",
            "let 'by' be above 0, and 'until' above 'from'",
        );
    }
    Some(PhaseShape::Steps { from, by, every, until })
}

fn spike(node: &Node, faults: &mut Faults) -> Option<PhaseShape> {
    let fields = fields(node, &keys::SPIKE, faults)?;
    let [from, to] = ["from", "to"].map(|name| fields.read(name, faults, scalar::rate));
    let [rise, hold, fall] = ["rise", "hold", "fall"].map(|name| fields.read(name, faults, scalar::duration));
    Some(PhaseShape::Spike { from: from?, to: to?, rise: rise?, hold: hold?, fall: fall? })
}

fn sine(node: &Node, faults: &mut Faults) -> Option<PhaseShape> {
    let fields = fields(node, &keys::SINE, faults)?;
    let [mean, amplitude] = ["mean", "amplitude"].map(|name| fields.read(name, faults, scalar::rate));
    let [period, duration] = ["period", "for"].map(|name| fields.read(name, faults, scalar::duration));
    let (mean, amplitude, period, duration) = (mean?, amplitude?, period?, duration?);
    if amplitude > mean || period == Nanos::ZERO {
        faults.add(
            fields.at,
            "this wave would need rates below 0, or has no length",
            "let 'amplitude' be at most 'mean', and 'period' above 0s",
        );
    }
    Some(PhaseShape::Sine { mean, amplitude, period, duration })
}

fn points(node: &Node, faults: &mut Faults) -> Option<PhaseShape> {
    let points = list(node, faults, |node, faults| {
        let Node::List(pair, _) = node else { return scalar::mismatch(node, &Shape::Point, faults) };
        let [time, rate] = &pair[..] else { return scalar::mismatch(node, &Shape::Point, faults) };
        let (time, rate) = (scalar::duration(time, faults), scalar::rate(rate, faults));
        time.zip(rate)
    });
    let begins_at_zero = points.first().is_some_and(|(time, _)| *time == Nanos::ZERO);
    let all_read = matches!(node, Node::List(nodes, _) if nodes.len() == points.len());
    let are_in_order = begins_at_zero && points.len() > 1 && points.is_sorted_by_key(|(time, _)| *time);
    if all_read && !are_in_order {
        faults.add(
            node.at(),
            "points are at least two, begin at 0s and go on in time",
            "write them as in [[0s, 0/s], [30s, 500/s]]",
        );
    }
    Some(PhaseShape::Points(points))
}

fn replay(node: &Node, faults: &mut Faults) -> Option<PhaseShape> {
    let fields = fields(node, &keys::REPLAY, faults)?;
    let [log, har] = ["log", "har"].map(|name| fields.read(name, faults, scalar::file));
    let formats = [LogFormat::Combined, LogFormat::JsonLines];
    let format = fields
        .read("format", faults, |node, faults| scalar::choice(node, keys::LOG_FORMATS, &formats, faults));
    let speed = fields.read("speed", faults, scalar::speed).unwrap_or(1.0);
    let format = if har.is_some() { LogFormat::Har } else { format.unwrap_or(LogFormat::Combined) };
    Some(PhaseShape::Replay { file: log.or(har)?, format, speed })
}
