//! One way through all steps of a file, for whoever looks at them one by one.

use super::{File, Located, Request, Step};

impl File {
    /// All steps: before and after users and the run, then by flow; each before those within it.
    pub fn visit_steps<'f>(&'f self, mut see: impl FnMut(&'f Step)) {
        let around = [&self.setup, &self.on_start, &self.on_stop, &self.teardown].map(Vec::as_slice);
        let of_flows = self.flows.iter().map(|(_, flow)| flow.steps.as_slice());
        around.into_iter().chain(of_flows).for_each(|steps| visit(steps, &mut see));
    }
}

impl Step {
    /// The requests that it makes itself, not those of steps within it.
    pub fn requests(&self) -> impl Iterator<Item = &Request> {
        let (one, several) = match self {
            Self::Request(request) => (Some(&**request), &[][..]),
            Self::Parallel(requests) => (None, requests.as_slice()),
            _ => (None, &[][..]),
        };
        one.into_iter().chain(several.iter().map(|request| &request.value))
    }

    /// The lists of steps within it.
    fn blocks(&self) -> Vec<&[Located<Step>]> {
        match self {
            Self::Request(_) | Self::Parallel(_) | Self::Think(_) | Self::Set(_) => Vec::new(),
            Self::Group { steps, .. } | Self::Repeat { steps, .. } | Self::While { steps, .. } => vec![steps],
            Self::If { then, otherwise, .. } => vec![then, otherwise],
            Self::Random(ways) => ways.iter().map(|(_, steps)| steps.as_slice()).collect(),
            Self::Switch { cases, otherwise, .. } => {
                cases.iter().map(|(_, steps)| steps).chain([otherwise]).map(Vec::as_slice).collect()
            }
        }
    }
}

/// All of these steps, each before those within it; the reader bounds how deep they nest.
pub(crate) fn visit<'f>(steps: &'f [Located<Step>], see: &mut impl FnMut(&'f Step)) {
    for step in steps {
        see(&step.value);
        step.value.blocks().into_iter().for_each(|block| visit(block, see));
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::file::{Step, read};

    /// The URLs of all requests, and the names that are set, in the order of the visit.
    fn check(source: &str, want: &str) {
        let file = read(source).unwrap_or_else(|faults| panic!("{faults:?}"));
        let mut seen = Vec::new();
        file.visit_steps(|step| {
            seen.extend(step.requests().map(|request| request.url.value.clone()));
            if let Step::Set(entries) = step {
                seen.extend(entries.iter().map(|(name, _)| name.value.clone()));
            }
        });
        assert_eq!(seen.join(" "), want, "{source}");
    }

    #[test]
    fn every_step_is_visited_once() {
        check("flows: {a: [{get: /1}, {think: 1s}, {set: {v: 1}}], b: [{get: /2}]}", "/1 v /2");
        check(
            "setup: [{get: /s}]\non_start: [{get: /b}]\non_stop: [{get: /e}]\nteardown: [{get: /t}]\n\
             flows: {a: [{get: /1}]}",
            "/s /b /e /t /1",
        );
        check(
            "flows: {a: [{group: g, steps: [{get: /1}]}, {repeat: 2, steps: [{get: /2}]},
             {while: 'true', steps: [{if: 'true', then: [{get: /3}], else: [{get: /4}]}]},
             {random: [{weight: 1, steps: [{get: /5}]}, {weight: 2, steps: [{get: /6}]}]},
             {switch: '1', cases: {1: [{get: /7}], 2: [{get: /8}]}, else: [{get: /9}]},
             {parallel: [{get: /10}, {get: /11}]}, {get: /12}]}",
            "/1 /2 /3 /4 /5 /6 /7 /8 /9 /10 /11 /12",
        );
    }
}
