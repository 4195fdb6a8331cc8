//! Writers of loads and their phases.

use super::{Fields, duration, list, located, plain, range, rate, rate_text};
use crate::scenario::file::tree::Node;
use crate::scenario::file::{Iterations, Load, Located, LogFormat, Phase, PhaseShape, Place};
use crate::schedule::Arrivals;
use crate::units::Nanos;

/// Just its phases, if it has nothing else.
pub(super) fn short(load: &Load) -> Node {
    let bare = Load { phases: load.phases.clone(), ..Load::default() };
    if *load == bare { list(&load.phases, phase) } else { long(load) }
}

pub(super) fn long(load: &Load) -> Node {
    let mut fields = Fields::default();
    fields.list("flows", &load.flows, located);
    fields.some("start", (load.start != Nanos::ZERO).then(|| duration(load.start)));
    let arrivals = load.arrivals.map(|arrivals| match arrivals {
        Arrivals::Uniform => "uniform",
        Arrivals::Poisson => "poisson",
    });
    fields.some("arrivals", arrivals.map(plain));
    fields.some("max_connections", load.max_connections.map(plain));
    fields.some("max_backlog", load.max_backlog.map(plain));
    fields.put("phases", list(&load.phases, phase));
    fields.into_node()
}

fn phase(phase: &Located<Phase>) -> Node {
    let Phase { shape, warmup } = &phase.value;
    let (name, node) = self::shape(shape);
    let mut fields = Fields::default();
    fields.put(name, node);
    fields.some("warmup", warmup.then(|| plain(true)));
    fields.into_node()
}

fn shape(shape: &PhaseShape) -> (&'static str, Node) {
    let mut fields = Fields::default();
    let name = match shape {
        PhaseShape::Open { from, to, duration } => {
            fields.put("rate", range(*from, *to, rate_text));
            fields.put(lasting(from == to), super::duration(*duration));
            "open"
        }
        PhaseShape::Steps { from, by, every, until } => {
            fields.put("from", rate(*from));
            fields.put("by", rate(*by));
            fields.put("every", duration(*every));
            fields.put("until", rate(*until));
            "steps"
        }
        PhaseShape::Spike { from, to, rise, hold, fall } => {
            fields.put("from", rate(*from));
            fields.put("to", rate(*to));
            fields.put("rise", duration(*rise));
            fields.put("hold", duration(*hold));
            fields.put("fall", duration(*fall));
            "spike"
        }
        PhaseShape::Sine { mean, amplitude, period, duration } => {
            fields.put("mean", rate(*mean));
            fields.put("amplitude", rate(*amplitude));
            fields.put("period", super::duration(*period));
            fields.put("for", super::duration(*duration));
            "sine"
        }
        PhaseShape::Points(points) => {
            let point = |(time, at): &_| Node::List(vec![duration(*time), rate(*at)], Place::default());
            return ("points", list(points, point));
        }
        PhaseShape::Closed { from, to, duration, iterations } => {
            fields.put("users", range(*from, *to, |users| users.to_string()));
            fields.some(lasting(from == to), duration.map(super::duration));
            match iterations {
                Some(Iterations::Shared(count)) => fields.put("iterations", plain(count)),
                Some(Iterations::PerUser(count)) => fields.put("iterations_per_user", plain(count)),
                None => {}
            }
            "closed"
        }
        PhaseShape::Pause(time) => return ("pause", duration(*time)),
        PhaseShape::Replay { file, format, speed } => {
            fields.put(if *format == LogFormat::Har { "har" } else { "log" }, located(file));
            fields.some("format", (*format == LogFormat::JsonLines).then(|| plain("json")));
            fields.some("speed", (speed.to_bits() != 1f64.to_bits()).then(|| plain(format!("{speed}x"))));
            "replay"
        }
    };
    (name, fields.into_node())
}

const fn lasting(is_constant: bool) -> &'static str {
    if is_constant { "for" } else { "over" }
}
