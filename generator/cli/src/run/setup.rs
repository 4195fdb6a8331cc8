//! From a scenario to what the engine is given: the plan, the cores, the pace, the I/O driver, and enough open files.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use brunt_engine::conn::tls::Material;
use brunt_engine::sight::Data;
use brunt_engine::{Io, Pace, Parts};
use brunt_model::plan::{self, Inputs, Load, Plan};
use brunt_model::report::Environment;
use brunt_model::scenario::Scenario;
use brunt_model::units::CoreId;

use super::spoken::spoken;
use crate::error::CommandError;
use crate::flags::values::CoreList;
use crate::flags::{EngineFlags, IoChoice, PaceChoice};
use crate::host::cgroup::CpuGroups;
use crate::host::{cpu, environment, files, uring};

/// A core serves this many connections before another is taken.
const CONNECTIONS_PER_CORE: u32 = 64;
/// The same for the rate of an open load: at the 5 to 10 us that a request costs, the core stays half idle, which is
/// what punctual sending needs.
const RATE_PER_CORE: f64 = 50_000.0;
/// Spinning is for cores that have nothing else to do.
const IDLE_AT_LEAST: f64 = 0.8;

/// All that a run needs.
pub(crate) struct Prepared {
    /// What the plan was compiled from.
    pub scenario: Scenario,
    pub plan: Plan,
    pub parts: Parts,
    pub environment: Environment,
    /// What was decided differently from what one might expect.
    pub notices: Vec<String>,
}

/// What was seen of the CPUs before the run; empty where nothing depends on it.
struct Sight {
    idle: BTreeMap<CoreId, f64>,
    quota: Option<f64>,
}

/// Compiles the scenario and decides how it is run here.
pub(crate) fn prepare(
    mut scenario: Scenario,
    inputs: &Inputs,
    flags: &EngineFlags,
    tls: Arc<Material>,
) -> Result<Prepared, CommandError> {
    let mut notices = Vec::new();
    let mut plan = plan::compile(&scenario, inputs).map_err(CommandError::Plan)?;
    let sight = look(&plan.load, flags);
    let cores = choose_cores(&plan.load, flags.cores.as_ref(), &cpu::allowed(), &sight.idle)?;
    let cores = seated(&plan, &cores);
    if let Some(connections) = fit_open_files(&scenario, &plan, cores.len())? {
        notices.push(format!(
            "note: the limit on open files allows {connections} connections; that is the cap of each open load"
        ));
        scenario.load.max_connections = Some(connections);
        plan = plan::compile(&scenario, inputs).map_err(CommandError::Plan)?;
    }
    let (io, io_notice) = choose_io(flags.io, uring::probe());
    notices.extend(io_notice);
    let (pace, why) = choose_pace(flags.pace, plan.load.is_open(), &cores, &sight);
    let environment = Environment {
        io: if io == Io::Uring { "uring" } else { "epoll" }.to_owned(),
        pace: why,
        protocol: spoken(&plan),
        ..environment::describe(&plan.endpoints, &cores)
    };
    Ok(Prepared {
        scenario,
        plan,
        parts: Parts {
            io,
            pace,
            cores,
            trust_tsc: cpu::clock_source().as_deref() == Some("tsc"),
            tls,
            timing: None,
            seal: None,
            late_reads: flags.late_reads,
            data: Data::default(),
        },
        environment,
        notices,
    })
}

/// Watches the CPUs only where something is to be decided by them.
fn look(load: &Load, flags: &EngineFlags) -> Sight {
    if load.is_open() && (flags.pace.is_none() || flags.cores.is_none()) {
        Sight { idle: cpu::watch_idle(), quota: CpuGroups::of_this_process().quota() }
    } else {
        Sight { idle: BTreeMap::new(), quota: None }
    }
}

/// The cores asked for, if they may be used; else as many as the load needs, the idlest first.
fn choose_cores(
    load: &Load,
    asked: Option<&CoreList>,
    allowed: &[CoreId],
    idle: &BTreeMap<CoreId, f64>,
) -> Result<Vec<CoreId>, CommandError> {
    if let Some(CoreList(cores)) = asked {
        return match cores.iter().find(|core| !allowed.contains(core)) {
            None => Ok(cores.iter().copied().take(cores_with_work(load)).collect()),
            Some(core) => {
                let allowed: Vec<_> = allowed.iter().map(|core| core.0.to_string()).collect();
                let allowed = allowed.join(",");
                Err(CommandError::Usage(format!(
                    "core {} is not one that this process may use; --cores can be of {allowed}",
                    core.0
                )))
            }
        };
    }
    let mut cores = allowed.to_vec();
    // Differences below a tenth are noise, and a stable order is worth more.
    let rounded = |core: &CoreId| idle.get(core).map_or(0.0, |idle| (idle * 10.0).round());
    cores.sort_by(|a, b| rounded(b).total_cmp(&rounded(a)));
    cores.truncate(cores_needed(load));
    cores.sort_unstable();
    Ok(cores)
}

/// A core without a connection could not send its part of the requests.
fn cores_with_work(load: &Load) -> usize {
    load.max_connections() as usize
}

/// A core for each thread: several loads have one each, though there be fewer cores.
fn seated(plan: &Plan, cores: &[CoreId]) -> Vec<CoreId> {
    let threads = plan.assignments(cores.len()).len();
    cores.iter().copied().cycle().take(threads).collect()
}

fn cores_needed(load: &Load) -> usize {
    let by_connections = |connections: u32| connections.div_ceil(CONNECTIONS_PER_CORE).max(1) as usize;
    match load {
        Load::Several(parts) => parts.iter().map(|part| cores_needed(&part.load)).sum(),
        Load::Closed { connections, .. } => by_connections(*connections),
        Load::Open { warm_connections, .. } => {
            let mut cores = by_connections(*warm_connections);
            while load.target_rate().unwrap_or(0.0) > RATE_PER_CORE * cores as f64 {
                cores += 1;
            }
            cores
        }
    }
}

/// Raises the limit on open files. Where it stays too low for a cap that nobody asked for, returns the cap it allows.
fn fit_open_files(scenario: &Scenario, plan: &Plan, cores: usize) -> Result<Option<u32>, CommandError> {
    let needed = files::needed(plan.max_connections(), cores);
    let limit = files::raise(needed);
    if limit >= needed {
        return Ok(None);
    }
    let (open, closed): (Vec<&Load>, Vec<&Load>) =
        plan.load.each().into_iter().partition(|load| load.is_open());
    let users: u32 = closed.iter().map(|load| load.max_connections()).sum();
    let all = files::connections_within(limit, cores) / plan.connections_each();
    let possible = all.saturating_sub(users) / u32::try_from(open.len().max(1)).unwrap_or(u32::MAX);
    let cap_is_ours = !open.is_empty() && scenario.load.max_connections.is_none();
    if cap_is_ours && possible >= scenario.load.connections.unwrap_or(1).max(1) {
        Ok(Some(possible))
    } else {
        Err(CommandError::FileLimit { limit, needed })
    }
}

fn choose_io(asked: Option<IoChoice>, usable: Result<(), String>) -> (Io, Option<String>) {
    match (asked, usable) {
        (Some(IoChoice::Epoll), _) => (Io::Epoll, None),
        (None, Err(why)) => {
            (Io::Epoll, Some(format!("note: io_uring is not usable here ({why}); using epoll")))
        }
        (Some(IoChoice::Uring), _) | (None, Ok(())) => (Io::Uring, None),
    }
}

/// The pace, and why.
fn choose_pace(asked: Option<PaceChoice>, open: bool, cores: &[CoreId], sight: &Sight) -> (Pace, String) {
    match asked {
        Some(PaceChoice::Precise) => return (Pace::Precise, "precise: asked for".to_owned()),
        Some(PaceChoice::Efficient) => return (Pace::Efficient, "efficient: asked for".to_owned()),
        None => {}
    }
    if !open {
        return (Pace::Precise, "precise: a closed load reads and sends as answers arrive".to_owned());
    }
    match why_not_precise(cores, sight) {
        None => (Pace::Precise, "precise: its cores were idle".to_owned()),
        Some(why) => (Pace::Efficient, format!("efficient: {why}")),
    }
}

fn why_not_precise(cores: &[CoreId], sight: &Sight) -> Option<String> {
    if let Some(quota) = sight.quota.filter(|quota| *quota < cores.len() as f64) {
        return Some(format!("the CPU quota of {quota:.1} is below its {} cores", cores.len()));
    }
    if cores.iter().collect::<BTreeSet<_>>().len() < cores.len() {
        return Some("several loads share a core".to_owned());
    }
    let idle_of = |core: &CoreId| sight.idle.get(core).copied().unwrap_or(0.0);
    if let Some(core) = cores.iter().find(|core| idle_of(core) < IDLE_AT_LEAST) {
        return Some(format!("core {} was only {:.0} % idle before the run", core.0, idle_of(core) * 100.0));
    }
    (cores.len() >= sight.idle.len())
        .then(|| "spinning would leave no core to the rest of this host".to_owned())
}

#[cfg(test)]
mod tests {
    use brunt_model::schedule::{Arrivals, Schedule, Shape};
    use brunt_model::units::{Nanos, Rate};

    use super::*;

    fn closed(connections: u32) -> Load {
        Load::Closed { connections, requests: None, duration: Some(Nanos::from_secs(1)), shape: None }
    }

    fn open(rate: u64, warm_connections: u32) -> Load {
        let schedule = Schedule::new(Arrivals::Uniform, 1)
            .then(Shape::Constant(Rate::per_second(rate)), Nanos::from_secs(1));
        Load::Open { schedule, warm_connections, max_connections: 10_000, max_backlog: 100, picks: None }
    }

    fn cores(numbers: &[u32]) -> Vec<CoreId> {
        numbers.iter().copied().map(CoreId).collect()
    }

    fn sight(idle: &[f64], quota: Option<f64>) -> Sight {
        Sight { idle: (0..).map(CoreId).zip(idle.iter().copied()).collect(), quota }
    }

    #[test]
    fn cores_follow_the_load() {
        for (load, want) in [
            (closed(1), 1),
            (closed(64), 1),
            (closed(65), 2),
            (closed(100_000), 4),
            (open(50_000, 1), 1),
            (open(50_001, 1), 2),
            (open(10, 200), 4),
        ] {
            let got = choose_cores(&load, None, &cores(&[0, 1, 2, 3]), &BTreeMap::new()).unwrap();
            assert_eq!(got.len(), want, "{load:?}");
        }
    }

    #[test]
    fn the_idlest_cores_are_taken_and_noise_does_not_matter() {
        let choose =
            |idle: &[f64]| choose_cores(&open(1, 1), None, &cores(&[0, 1]), &sight(idle, None).idle).unwrap();
        assert_eq!(choose(&[0.1, 0.9]), cores(&[1]));
        assert_eq!(choose(&[0.96, 1.0]), cores(&[0]));
    }

    #[test]
    fn cores_asked_for_must_be_allowed() {
        let asked = CoreList(cores(&[1, 7]));
        let error = choose_cores(&closed(1), Some(&asked), &cores(&[0, 1]), &BTreeMap::new()).unwrap_err();
        assert_eq!(error.to_string(), "core 7 is not one that this process may use; --cores can be of 0,1");
        let asked = CoreList(cores(&[1]));
        assert_eq!(
            choose_cores(&closed(999), Some(&asked), &cores(&[0, 1]), &BTreeMap::new()).unwrap(),
            cores(&[1])
        );
    }

    #[test]
    fn pace_is_precise_where_cores_are_idle() {
        let none = None;
        for (asked, open, sight, want) in [
            (none, true, sight(&[0.9, 0.1], None), "precise: its cores were idle"),
            (none, true, sight(&[0.79, 1.0], None), "efficient: core 0 was only 79 % idle"),
            (none, true, sight(&[1.0, 1.0], Some(0.5)), "efficient: the CPU quota of 0.5"),
            (none, true, sight(&[1.0], None), "efficient: spinning would leave no core"),
            (none, false, sight(&[], None), "precise: a closed load"),
            (Some(PaceChoice::Efficient), false, sight(&[], None), "efficient: asked for"),
            (Some(PaceChoice::Precise), true, sight(&[], None), "precise: asked for"),
            (Some(PaceChoice::Efficient), true, sight(&[1.0, 1.0], None), "efficient: asked for"),
        ] {
            let (pace, why) = choose_pace(asked, open, &cores(&[0]), &sight);
            assert!(why.starts_with(want), "{why}");
            assert_eq!(pace == Pace::Precise, want.starts_with("precise"));
        }
    }

    #[test]
    fn epoll_steps_in_where_io_uring_is_forbidden() {
        let forbidden = || Err("no".to_owned());
        assert_eq!(choose_io(None, Ok(())), (Io::Uring, None));
        assert_eq!(choose_io(Some(IoChoice::Epoll), Ok(())), (Io::Epoll, None));
        assert_eq!(
            choose_io(Some(IoChoice::Uring), forbidden()),
            (Io::Uring, None),
            "the engine says what is wrong"
        );
        let (io, notice) = choose_io(None, forbidden());
        assert!(io == Io::Epoll && notice.unwrap().contains("using epoll"));
    }
}
