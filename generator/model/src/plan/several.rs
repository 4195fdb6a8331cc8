//! Several loads at once: each is a plan of its own, whose cores are its own as far as there are enough.

use serde::Serialize;

use super::{Load, Plan};
use crate::split::Share;

/// Loads of one run.
pub const LOADS_MAX: usize = 16;

/// One of several loads.
#[derive(Clone, Debug, Serialize)]
pub struct LoadPart {
    pub name: String,
    pub load: Load,
    /// By flow of the script, how often it is chosen; 0 where it is none of this load's.
    pub weights: Vec<u32>,
}

/// What a thread of the engine does.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Assignment {
    /// Which of [`Plan::parts`].
    pub part: usize,
    /// Of that part.
    pub share: Share,
}

impl Plan {
    /// The plans that are run at the same time: one for each load.
    #[must_use]
    pub fn parts(&self) -> Vec<Self> {
        let Load::Several(parts) = &self.load else { return vec![self.clone()] };
        let of = |(index, part): (usize, &LoadPart)| {
            let mut plan = Self { load: part.load.clone(), ..self.clone() };
            for (flow, weight) in plan.script.flows.iter_mut().zip(&part.weights) {
                flow.weight = *weight;
            }
            // Each draws for itself.
            plan.seed = self.seed.wrapping_add(index as u64 * 0x9e37_79b9_7f4a_7c15);
            plan.late_over = super::late_over(&plan.load);
            plan.numbered = (parts.len() as u64, index as u64);
            plan
        };
        parts.iter().enumerate().map(of).collect()
    }

    /// Deals so many threads to the loads: one to each, and the rest by how much each has to do. With fewer than loads
    /// there is one to each all the same.
    #[must_use]
    pub fn assignments(&self, threads: usize) -> Vec<Assignment> {
        let loads: Vec<&Load> = match &self.load {
            Load::Several(parts) => parts.iter().map(|part| &part.load).collect(),
            load => vec![load],
        };
        let mut dealt = vec![1u32; loads.len()];
        for _ in loads.len()..threads {
            let left = (0..loads.len()).filter(|&part| dealt[part] < loads[part].max_connections());
            let need = |part: &usize| loads[*part].need() / f64::from(dealt[*part]);
            let Some(neediest) = left.max_by(|a, b| need(a).total_cmp(&need(b)).then(b.cmp(a))) else {
                break;
            };
            dealt[neediest] += 1;
        }
        let of_part = |(part, cores): (usize, &u32)| {
            let share = move |core| Share { worker: 0, workers: 1, core, cores: *cores };
            (0..*cores).map(move |core| Assignment { part, share: share(core) }).collect::<Vec<_>>()
        };
        dealt.iter().enumerate().flat_map(of_part).collect()
    }
}

impl Load {
    /// How much a load has to do, in requests a second or so: a user's requests are taken for a thousand.
    fn need(&self) -> f64 {
        match self {
            Self::Closed { connections, .. } => f64::from(*connections) * 1_000.0,
            Self::Open { schedule, .. } => schedule.peak().as_per_second(),
            Self::Several(parts) => parts.iter().map(|part| part.load.need()).sum(),
        }
    }
}
