//! The plan of one iteration of each flow: its load, and what is spoken.

use super::{Load, Protocol};
use crate::script::Script;

/// One user, and an iteration for each flow.
pub(super) fn load(script: &Script) -> Load {
    let requests = Some(script.flows.len() as u64);
    Load::Closed { connections: 1, requests, duration: None, shape: None }
}

impl Protocol {
    /// One request at a time.
    pub(super) const fn of_one_lane(self) -> Self {
        match self {
            Self::Http1 { .. } => Self::Http1 { pipeline: 1 },
            Self::Http2 { .. } => Self::Http2 { streams: 1 },
        }
    }
}
