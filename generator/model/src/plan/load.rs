//! The workload model of a plan.

use std::sync::Arc;

use serde::Serialize;

use super::{LoadPart, replay};
use crate::schedule::Schedule;
use crate::units::Nanos;
use crate::users::Users;

/// The workload model.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Load {
    /// Each user sends, waits for the end, and sends again.
    Closed {
        connections: u32,
        /// Requests, or iterations of flows, over all users.
        requests: Option<u64>,
        duration: Option<Nanos>,
        /// Where users come and go.
        shape: Option<ClosedShape>,
    },
    /// Requests are sent when the schedule says so, whatever became of earlier ones.
    Open {
        schedule: Schedule,
        /// Connections opened before T0.
        warm_connections: u32,
        max_connections: u32,
        /// Arrivals that may wait for a connection; those past it are dropped.
        max_backlog: u32,
        /// By an arrival's number, the flow that it takes; those past the end draw theirs. Written down as its digest.
        #[serde(serialize_with = "replay::digest_of_picks", skip_serializing_if = "Option::is_none")]
        picks: Option<Arc<[u16]>>,
    },
    /// At the same time; the run ends with the last of them.
    Several(Vec<LoadPart>),
}

/// When the users of a closed load are there, and what each of them does at most.
#[derive(Clone, Debug, Serialize)]
pub struct ClosedShape {
    pub users: Users,
    /// Iterations of each user.
    pub per_user: Option<u64>,
}

impl Load {
    /// The loads that it is made of: itself, or each of several.
    #[must_use]
    pub fn each(&self) -> Vec<&Self> {
        match self {
            Self::Several(parts) => parts.iter().map(|part| &part.load).collect(),
            load => vec![load],
        }
    }

    /// The end of the load, if it is known.
    #[must_use]
    pub fn duration(&self) -> Option<Nanos> {
        match self {
            // The longest; without an end where one of them has none.
            Self::Several(parts) => parts
                .iter()
                .map(|part| part.load.duration())
                .try_fold(Nanos::ZERO, |most, each| Some(most.max(each?))),
            Self::Closed { duration, .. } => *duration,
            Self::Open { schedule, .. } => Some(schedule.expected().1),
        }
    }

    /// Some arrivals come when the schedule says so.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match self {
            Self::Closed { .. } => false,
            Self::Open { .. } => true,
            Self::Several(parts) => parts.iter().any(|part| part.load.is_open()),
        }
    }

    /// Connections that may be open at once, over all cores.
    #[must_use]
    pub fn max_connections(&self) -> u32 {
        match self {
            Self::Closed { connections, .. } => *connections,
            Self::Open { max_connections, .. } => *max_connections,
            Self::Several(parts) => {
                parts.iter().fold(0, |sum, part| part.load.max_connections().saturating_add(sum))
            }
        }
    }

    /// The rate wanted over the whole of an open load, and of several that are all open.
    #[must_use]
    pub fn target_rate(&self) -> Option<f64> {
        let (slots, end) = self.expected()?;
        (end.0 > 0).then(|| slots as f64 / end.as_secs_f64())
    }

    /// The number of slots of an open load, and when the last of them is over.
    #[must_use]
    pub fn expected(&self) -> Option<(u64, Nanos)> {
        match self {
            Self::Closed { .. } => None,
            Self::Open { schedule, .. } => Some(schedule.expected()),
            Self::Several(parts) => parts.iter().try_fold((0, Nanos::ZERO), |(sum, most), part| {
                let (slots, end) = part.load.expected()?;
                Some((slots.saturating_add(sum), most.max(end)))
            }),
        }
    }

    /// The same, each of several with this warm-up.
    pub(super) fn warmed_for(mut self, warmup: Nanos) -> Self {
        if let Self::Several(parts) = &mut self {
            parts.iter_mut().for_each(|part| part.warmup = warmup);
        }
        self
    }

    /// The number of slots of an open load before a time after T0.
    #[must_use]
    pub fn expected_before(&self, time: Nanos) -> u64 {
        match self {
            Self::Closed { .. } => 0,
            Self::Open { schedule, .. } => schedule.count_before(time),
            Self::Several(parts) => parts.iter().map(|part| part.load.expected_before(time)).sum(),
        }
    }

    /// The rate of an open load at a time after T0.
    #[must_use]
    pub fn rate_at(&self, time: Nanos) -> Option<f64> {
        match self {
            Self::Closed { .. } => None,
            Self::Open { schedule, .. } => Some(schedule.rate_at(time).as_per_second()),
            Self::Several(parts) => {
                parts.iter().try_fold(0.0, |sum, part| Some(part.load.rate_at(time)? + sum))
            }
        }
    }
}
