//! What a replay sends, told by the names that its requests have in results: it may have thousands of them.

use std::collections::BTreeMap;

use super::{Estimate, FlowPreview, calls};
use crate::script::{Op, Script};

/// A row for each name, the most frequent first. Its weight is the number of arrivals that take it.
pub(super) fn flows(script: &Script, picks: &[u16]) -> Vec<FlowPreview> {
    let mut taken = vec![0u32; script.flows.len()];
    for pick in picks {
        taken[usize::from(*pick)] += 1;
    }
    let mut by_name = BTreeMap::new();
    for (flow, taken) in script.flows.iter().zip(taken).filter(|(_, taken)| *taken > 0) {
        let (_, upload) = calls(script, &flow.steps);
        let row = by_name.entry(name_of(script, &flow.steps)).or_insert((0, Estimate::default()));
        row.0 += taken;
        row.1.value += upload.value * f64::from(taken);
        row.1.about |= upload.about;
    }
    let flow = |(name, (weight, upload)): (u16, (u32, Estimate))| FlowPreview {
        load: String::new(),
        name: script.names[usize::from(name)].clone(),
        weight,
        share: f64::from(weight) / picks.len().max(1) as f64,
        requests: Estimate { value: 1.0, about: false },
        upload: Estimate { value: upload.value / f64::from(weight), about: upload.about },
    };
    let mut flows: Vec<_> = by_name.into_iter().map(flow).collect();
    flows.sort_by_key(|flow| std::cmp::Reverse(flow.weight));
    flows
}

fn name_of(script: &Script, steps: &[Op]) -> u16 {
    let call = steps.iter().find_map(|op| if let Op::Call(call) = op { Some(*call) } else { None });
    call.and_then(|call| script.calls.get(usize::from(call))).map_or(0, |call| call.name)
}
