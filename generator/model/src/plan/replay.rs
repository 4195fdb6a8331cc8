//! Loads that replay logs: their arrivals have the times of the log, and say which of its requests they are.

use std::sync::Arc;

use serde::Serializer;
use sha2::{Digest, Sha256};

use super::file::fault;
use crate::replay::Logs;
use crate::request::hex;
use crate::scenario::file::{Fault, File, Load, LogFormat, PhaseShape, Place};
use crate::schedule::Schedule;
use crate::script::Script;
use crate::script::compile::Files;
use crate::units::{NANOS_PER_SECOND, Nanos};

/// A log with one request has no length, and the rate of its load would be any.
const LENGTH_MIN: Nanos = Nanos(NANOS_PER_SECOND);

impl super::Load {
    /// The flows of a replay's arrivals, by their numbers.
    #[must_use]
    pub const fn picks(&self) -> Option<&Arc<[u16]>> {
        match self {
            Self::Open { picks, .. } => picks.as_ref(),
            Self::Closed { .. } | Self::Several(_) => None,
        }
    }
}

/// Reads the logs that a file replays. Where the command line names another load there is none.
pub(super) fn logs(file: &File, files: &Files, is_other_load: bool) -> Result<Logs, Vec<Fault>> {
    let (mut logs, mut faults) = (Logs::default(), Vec::new());
    for (name, format, speed) in file.loads.iter().flat_map(|(_, load)| named(load)) {
        if is_other_load {
            if file.flows.is_empty() {
                let what = "a replay has the number and the times of its log's requests";
                faults.push(fault(name.at, what, "leave -c, -n, -q and -z out, or add `flows` for them"));
            }
            continue;
        }
        let Some(bytes) = files.get(&name.value) else {
            let what = format!("the file '{}' was not read", name.value);
            faults.push(fault(name.at, what, "give a path relative to the scenario's folder"));
            continue;
        };
        if let Err(error) = logs.add(name.at, bytes, format, speed) {
            let line = error.line.map_or(String::new(), |line| format!("line {line} of "));
            faults.push(fault(name.at, format!("{line}{}: {}", name.value, error.what), error.mend));
        }
    }
    if faults.is_empty() { Ok(logs) } else { Err(faults) }
}

fn named(load: &Load) -> impl Iterator<Item = (&crate::scenario::file::Located<String>, LogFormat, f64)> {
    load.phases.iter().filter_map(|phase| match &phase.value.shape {
        PhaseShape::Replay { file, format, speed } => Some((file, *format, *speed)),
        _ => None,
    })
}

/// What of a load cannot stand beside a log.
pub(super) fn beside(load: &Load) -> Option<Fault> {
    named(load).next()?;
    let is_foreign = |shape: &PhaseShape| !matches!(shape, PhaseShape::Replay { .. } | PhaseShape::Pause(_));
    let foreign = load.phases.iter().find(|phase| is_foreign(&phase.value.shape))?;
    let mend = "name only logs and pauses in a load with `replay`";
    Some(fault(foreign.at, "arrivals of flows cannot stand beside a log", mend))
}

/// Why nothing is left of a script that is taken once: the requests of logs are of no flow.
pub(super) fn once(file: &File, script: &Script) -> Option<Fault> {
    if script.flows.iter().any(|flow| flow.weight > 0) {
        return None;
    }
    let (name, ..) = file.loads.iter().flat_map(|(_, load)| named(load)).next()?;
    let mend = "leave --once out, or add `flows` that it can take";
    Some(fault(name.at, "the requests of a log are not taken with --once, and there is no other flow", mend))
}

/// How long the replay of the log that is named at `at` takes.
pub(super) fn length(logs: &Logs, at: Place) -> Nanos {
    let last = logs.replay(at).and_then(|replay| replay.times.last().copied());
    last.map_or(Nanos::ZERO, |last| Nanos(last.0.saturating_add(1)).max(LENGTH_MIN))
}

/// Adds the replay of the log that is named at `at` to a schedule, and what its arrivals take.
pub(super) fn then(schedule: Schedule, logs: &Logs, at: Place, picks: &mut Vec<u16>) -> Schedule {
    let Some(replay) = logs.replay(at) else { return schedule };
    picks.extend(&replay.picks);
    let end = Nanos(schedule.duration().0.saturating_add(length(logs, at).0));
    let replayed = schedule.then_replay(replay.times.clone());
    let rest = end.0.saturating_sub(replayed.duration().0);
    replayed.then_pause(Nanos(rest))
}

pub(super) fn digest_of_picks<S: Serializer>(
    picks: &Option<Arc<[u16]>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut hash = Sha256::new();
    picks.iter().flat_map(|picks| picks.iter()).for_each(|pick| hash.update(pick.to_le_bytes()));
    serializer.serialize_str(&hex(&hash.finalize()))
}

#[cfg(test)]
mod tests;
