//! Several loads at once: each is a plan of its own, whose cores are its own as far as there are enough.

use serde::Serialize;

use super::{Load, Plan};
use crate::script::{Flow, Op};
use crate::split::Share;
use crate::units::Nanos;

/// Loads of one run.
pub const LOADS_MAX: usize = 16;

/// One of several loads.
#[derive(Clone, Debug, Serialize)]
pub struct LoadPart {
    pub name: String,
    pub load: Load,
    /// By flow of the script, how often it is chosen; 0 where it is none of this load's.
    pub weights: Vec<u32>,
    /// Its own; the run is measured from the shortest on.
    pub warmup: Nanos,
}

/// Numbers that lie so far apart, from the first on.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Apart {
    pub first: u64,
    pub step: u64,
}

impl Apart {
    /// The number that is so many after the first.
    #[must_use]
    pub const fn nth(self, count: u64) -> u64 {
        self.first.saturating_add(count.saturating_mul(self.step))
    }
}

/// How users and iterations of a load are numbered among those of all loads, so that no two have the same number.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Numbering {
    pub users: Apart,
    pub iterations: Apart,
}

impl Default for Numbering {
    fn default() -> Self {
        let all = Apart { first: 0, step: 1 };
        Self { users: all, iterations: all }
    }
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
        let Load::Several(parts) = &self.load else {
            let mut plan = self.clone();
            plan.lead_home();
            return vec![plan];
        };
        let users = |part: &LoadPart| u64::from(part.load.max_connections()) * u64::from(self.lanes());
        let closed = || parts.iter().filter(|part| !part.load.is_open());
        let (mut users_before, mut open_before) = (0, 0);
        let of = |(index, part): (usize, &LoadPart)| {
            let mut plan = Self { load: part.load.clone(), ..self.clone() };
            for (flow, weight) in plan.script.flows.iter_mut().zip(&part.weights) {
                flow.weight = *weight;
            }
            // Each draws for itself.
            plan.seed = self.seed.wrapping_add((index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            plan.late_over = super::late_over(&plan.load);
            plan.warmup = part.warmup;
            plan.numbering.iterations = Apart { first: index as u64, step: parts.len() as u64 };
            // Nobody knows how many users arrive, so their numbers come after those of all others, in turn.
            plan.numbering.users = if part.load.is_open() {
                let first = closed().map(users).sum::<u64>() + open_before;
                open_before += 1;
                Apart { first, step: parts.iter().filter(|part| part.load.is_open()).count() as u64 }
            } else {
                let first = users_before;
                users_before += users(part);
                Apart { first, step: 1 }
            };
            plan.lead_home();
            plan
        };
        parts.iter().enumerate().map(of).collect()
    }

    /// An arrival waits for a connection to the first target, so that is one that all flows speak to, if there is any.
    fn lead_home(&mut self) {
        if !self.load.is_open() || self.load.picks().is_some() {
            return;
        }
        let script = &self.script;
        let speaks = |flow: &Flow, target: usize| {
            let calls = flow.steps.iter().flat_map(|op| match op {
                Op::Call(call) => *call..*call + 1,
                Op::Parallel(first, count) => *first..*first + *count,
                _ => 0..0,
            });
            calls.into_iter().any(|call| usize::from(script.calls[usize::from(call)].target) == target)
        };
        let taken = || script.flows.iter().filter(|flow| flow.weight > 0);
        let common = (0..self.targets.len()).find(|&target| taken().all(|flow| speaks(flow, target)));
        let Some(home @ 1..) = common else { return };
        self.targets.swap(0, home);
        for call in &mut self.script.calls {
            call.target = match usize::from(call.target) {
                0 => u16::try_from(home).unwrap_or(0),
                target if target == home => 0,
                _ => call.target,
            };
        }
    }

    /// Deals so many threads to the loads: one to each, and the rest by how much each has to do. With fewer than loads
    /// there is one to each all the same.
    #[must_use]
    pub fn assignments(&self, threads: usize) -> Vec<Assignment> {
        let loads = self.load.each();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Inputs, PlanError, compile};
    use crate::scenario::{Scenario, ScriptSource};

    const FLOWS: &str = "flows: {a: {steps: [{get: /a}]}, b: {weight: 3, steps: [{get: /b}]}, c: {weight: 0, \
                         steps: [{get: /c}]}}\n";

    fn compiled(loads: &str) -> Result<Plan, String> {
        let text = format!("loads:\n{loads}{FLOWS}");
        let mut scenario = Scenario::of("http://h/");
        scenario.script = Some(ScriptSource { text, ..ScriptSource::default() });
        let inputs = Inputs { addresses: vec!["127.0.0.1:80".parse().unwrap()], ..Inputs::default() };
        compile(&scenario, &inputs).map_err(|error| match error {
            PlanError::File(faults) => faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
            error => panic!("{error}"),
        })
    }

    const USERS: &str = "  users: {flows: [a], phases: [{closed: {users: 3, for: 2s}}]}\n";
    const ARRIVALS: &str = "  arrivals: {phases: [{open: {rate: 100/s, for: 5s}}]}\n";

    #[test]
    fn each_load_is_a_plan_for_its_flows() {
        let plan = compiled(&format!("{USERS}{ARRIVALS}")).unwrap();
        assert!(plan.load.is_open() && plan.load.target_rate().is_none(), "only a part has a rate");
        assert_eq!((plan.load.duration(), plan.load.max_connections()), (Some(Nanos::from_secs(5)), 10_003));
        let parts = plan.parts();
        let weights = |part: &Plan| part.script.flows.iter().map(|flow| flow.weight).collect::<Vec<_>>();
        assert_eq!(parts.iter().map(weights).collect::<Vec<_>>(), [[1, 0, 0], [1, 3, 0]]);
        let numbers = |part: &Plan| (part.numbering.users.nth(2), part.numbering.iterations.nth(2));
        assert_eq!((numbers(&parts[0]), numbers(&parts[1])), ((2, 4), (5, 5)), "no two have a number");
        assert_eq!((parts[0].seed, parts[0].load.is_open()), (plan.seed, false));
        assert!(parts[1].seed != plan.seed && parts[1].load.is_open(), "each draws for itself");
        assert!(parts.iter().all(|part| part.request_names() == plan.request_names()));
        let both = compiled(&format!("{ARRIVALS}  more: {{phases: [{{open: {{rate: 50/s, for: 10s}}}}]}}\n"));
        let both = both.unwrap().load;
        assert_eq!(both.expected(), Some((1_000, Nanos::from_secs(10))));
        let at = |seconds| both.rate_at(Nanos::from_secs(seconds));
        assert_eq!((both.target_rate(), at(1), at(7)), (Some(100.0), Some(150.0), Some(50.0)));
    }

    #[test]
    fn one_load_may_be_for_some_flows() {
        let plan = compiled(USERS).unwrap();
        let [part] = &plan.parts()[..] else { panic!("{:?}", plan.load) };
        assert_eq!(part.script.flows.iter().map(|flow| flow.weight).sum::<u32>(), 1);
        assert_eq!(part.numbering, Numbering::default());
    }

    #[test]
    fn loads_without_flows_are_told_with_their_place() {
        let check = |loads: &str, want: &str| assert_eq!(compiled(loads).unwrap_err(), want);
        check(
            "  x: {flows: [d], phases: [{closed: {users: 1, for: 1s}}]}\n",
            "2:15: there is no flow 'd'; add it under `flows:`",
        );
        check(
            "  x: {flows: [c], phases: [{closed: {users: 1, for: 1s}}]}\n",
            "2:28: this load has no flow to run; give one of its flows a weight above 0",
        );
        let many: String = (0..=LOADS_MAX)
            .map(|load| format!("  x{load}: {{phases: [{{closed: {{users: 1, for: 1s}}}}]}}\n"))
            .collect();
        check(&many, "18:3: there are more than 16 loads; put some of them into another scenario");
    }

    /// Cores by load, for so many threads.
    fn dealt(plan: &Plan, threads: usize) -> Vec<usize> {
        let all = plan.assignments(threads);
        let of = |part| all.iter().filter(|one| one.part == part).collect::<Vec<_>>();
        let parts = plan.parts().len();
        for part in 0..parts {
            let shares: Vec<_> = of(part).iter().map(|one| (one.share.core, one.share.cores)).collect();
            let count = u32::try_from(shares.len()).unwrap();
            assert!(shares.into_iter().eq((0..count).map(|core| (core, count))), "each share is somebody's");
        }
        (0..parts).map(|part| of(part).len()).collect()
    }

    #[test]
    fn cores_are_dealt_by_what_is_to_be_done() {
        let plan = compiled(&format!("{USERS}{ARRIVALS}")).unwrap();
        assert_eq!(dealt(&plan, 1), [1, 1], "one core is shared");
        assert_eq!(dealt(&plan, 2), [1, 1]);
        assert_eq!(dealt(&plan, 4), [3, 1], "three users may well make more than 100 requests a second");
        assert_eq!(dealt(&plan, 9), [3, 6], "a core without a user has nothing to do");
        let heavy = "  heavy: {phases: [{open: {rate: 9000/s, for: 5s}}]}\n";
        assert_eq!(dealt(&compiled(&format!("{heavy}{ARRIVALS}")).unwrap(), 8), [7, 1]);
        let one = compiled(USERS).unwrap();
        assert_eq!((dealt(&one, 1), dealt(&one, 8)), (vec![1], vec![3]));
    }
}
