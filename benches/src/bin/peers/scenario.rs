//! What scenario files cost: beside a quick run of the same requests, beside Locust, and in memory.
//!
//! - *static*: one request that never changes, from a file, against the same by flags;
//! - *dynamic*: a request with two values filled in, one check of its JSON answer and one value saved, against a quick
//!   run of one such URL, and against the same flow in Locust's `FastHttpUser`;
//! - *memory*: 10,000 users who keep two cookies and ten values each while they think.
//!
//! All of it is HTTP/1.1 with keep-alive from 64 users or connections, but for the memory. A run that is not valid, or in
//! which a request failed, gives no figure. What Locust used before its first request is left out in its favour: goals are
//! judged without it, and the figure with it stands below.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use anyhow::Context;
use brunt_benches::affinity::raise_open_files;
use brunt_benches::child;
use brunt_benches::locust::{self, Figures, Locust};
use brunt_benches::server::{Face, Nginx, Reply};
use brunt_benches::stats::median;
use brunt_benches::table::{Machine, folder, save};
use brunt_benches::tools::{Load, Shape};
use serde::Serialize;

use crate::Setup;
use crate::cell::{self, Cell, Rejected, Run, Runner};
use crate::goal::{self, Goal, Judged, Kind};
use crate::memory;
use crate::runs::limit;

const FILE: &str = "peers-scenario.json";
const BODY_BYTES: usize = 100;
const USERS: u32 = 64;
const MEMORY_USERS: u32 = 10_000;
const MEMORY_MIB_MAX: f64 = 200.0;
/// Files of this process and its children beside their connections, with room.
const OWN_FILES: u64 = 256;

const STATIC: (&str, &str) = ("static.yaml", include_str!("scenario/static.yaml"));
const DYNAMIC: (&str, &str) = ("dynamic.yaml", include_str!("scenario/dynamic.yaml"));
const MEMORY: (&str, &str) = ("memory.yaml", include_str!("scenario/memory.yaml"));
const LOCUSTFILE: (&str, &str) = ("locustfile.py", include_str!("scenario/locustfile.py"));

const QUICK: &str = "quick run";
const LOCUST: &str = "locust";
const STATIC_GOALS: [Goal; 1] = [Goal { peer: QUICK, kind: Kind::Cpu(1.1) }];
const DYNAMIC_GOALS: [Goal; 2] =
    [Goal { peer: QUICK, kind: Kind::Cpu(2.0) }, Goal { peer: LOCUST, kind: Kind::PerCpuSecond(30.0) }];

/// One of the URLs that `dynamic.yaml` asks for.
const DYNAMIC_PATH: &str = "/items/4711?page=12";
const COOKIES: &[&str] = &["session", "visit"];
const REPLIES: [Reply; 3] = [
    Reply {
        path: "/items/",
        json: r#"{"id":4711,"name":"blue kettle, two and a half litres","price":2999,"stock":12,"token":"5f0c6a8e9b2d"}"#,
        sets: &[],
        needs: &[],
    },
    Reply { path: "/begin", json: TEN_VALUES, sets: COOKIES, needs: &[] },
    Reply { path: "/held", json: "{}", sets: &[], needs: COOKIES },
];
/// Ten values of 32 characters each, other ones in each answer.
const TEN_VALUES: &str = r#"{"v0":"$request_id","v1":"$request_id","v2":"$request_id","v3":"$request_id","v4":"$request_id","v5":"$request_id","v6":"$request_id","v7":"$request_id","v8":"$request_id","v9":"$request_id"}"#;

/// What all measurements share.
struct Plan<'a> {
    setup: &'a Setup,
    nginx: Nginx,
    rounds: u32,
    seconds: u32,
    /// CPU time a request of each run of Locust, with its start-up.
    locust_whole_us: RefCell<Vec<f64>>,
}

#[derive(Serialize)]
struct Outcome {
    machine: Machine,
    seconds: u32,
    rounds: u32,
    locust: Option<String>,
    locust_whole_us: Vec<f64>,
    cells: Vec<Cell>,
    goals: Vec<Judged>,
    memory: Option<memory::Run>,
    left_out: Vec<String>,
}

/// Measures, prints and keeps.
pub(crate) fn run(setup: &Setup, rounds: u32, seconds: u32) -> anyhow::Result<()> {
    raise_open_files(u64::from(MEMORY_USERS) + OWN_FILES)?;
    let mut left_out = Vec::new();
    let locust =
        provide_locust(setup.server_core).map_err(|error| left_out.push(format!("locust: {error:#}"))).ok();
    let nginx = Nginx::start(&[Face::Replies(&REPLIES)], &[BODY_BYTES], MEMORY_USERS, setup.server_core)?;
    let plan = Plan { setup, nginx, rounds, seconds, locust_whole_us: RefCell::default() };
    let version = locust.as_ref().map(|locust| locust.version.clone());
    println!(
        "{}\nnginx on core {}, generators on core {}; {}; 2 cells of {rounds} rounds, {seconds} s a run\n",
        Machine::this(),
        setup.server_core,
        setup.core,
        version.as_deref().unwrap_or("no locust"),
    );
    let mut outcome = Outcome {
        machine: Machine::this(),
        seconds,
        rounds,
        locust: version,
        locust_whole_us: Vec::new(),
        cells: Vec::new(),
        goals: Vec::new(),
        memory: None,
        left_out,
    };
    outcome.add(plan.unchanging()?, &STATIC_GOALS)?;
    outcome.add(plan.dynamic(locust.as_ref())?, &DYNAMIC_GOALS)?;
    outcome.locust_whole_us = plan.locust_whole_us.take();
    print!("{}", outcome.with_start_up());
    outcome.add_memory(plan.memory());
    outcome.left_out.iter().for_each(|reason| println!("left out: {reason}"));
    println!("kept in {}", save(FILE, &outcome)?.display());
    Ok(())
}

fn provide_locust(core: usize) -> anyhow::Result<Locust> {
    if let Some(locust) = Locust::installed(core)? {
        return Ok(locust);
    }
    eprintln!("installing locust from PyPI into the folder of the benches");
    Locust::install(core)
}

impl Outcome {
    fn add(&mut self, cell: Cell, goals: &[Goal]) -> anyhow::Result<()> {
        let judged = goal::judge(&cell, goals);
        println!("{}{}{}", cell::render(&cell), per_cpu_second(&cell), goal::render(&judged));
        self.cells.push(cell);
        self.goals.extend(judged);
        save(FILE, self)?;
        Ok(())
    }

    /// Locust in the last cell as its whole process counts, start-up and all.
    fn with_start_up(&self) -> String {
        let Some(whole_us) = median(&self.locust_whole_us) else { return String::new() };
        let brunt_us = self.cells.last().map_or(f64::NAN, |cell| cell.tools[0].median(Run::cpu_us));
        format!(
            "{LOCUST} with its start-up, in runs of {} s: {:.0} requests a CPU second; brunt {:.1} x that\n\n",
            self.seconds,
            1e6 / whole_us,
            whole_us / brunt_us,
        )
    }

    fn add_memory(&mut self, run: anyhow::Result<memory::Run>) {
        let run = run.map_err(|error| self.left_out.push(format!("memory: {error:#}"))).ok();
        let (judged, unusable) = judge_memory(run.as_ref());
        println!("memory\n{}", goal::render(std::slice::from_ref(&judged)));
        self.left_out.extend(unusable.map(|why| format!("memory: {why}")));
        self.goals.push(judged);
        self.memory = run;
    }
}

/// Requests that a second of CPU time goes into, tool by tool.
fn per_cpu_second(cell: &Cell) -> String {
    let figure = |tool: &cell::Tool| format!("{} {}", tool.name, tool.shown(|run| 1e6 / run.cpu_us(), 0));
    let figures: Vec<String> = cell.tools.iter().map(figure).collect();
    format!("{}s a CPU second: {}\n", cell.unit, figures.join(", "))
}

impl Plan<'_> {
    /// The cell *static*.
    fn unchanging(&self) -> anyhow::Result<Cell> {
        let path = write(STATIC)?;
        let quick = self.quick(self.nginx.url(0, BODY_BYTES));
        let name = format!("static: brunt with a scenario file, {USERS} users, {BODY_BYTES} B");
        cell::measure(name, "request", &self.scenario(&path), &[(QUICK, quick)], self.rounds)
    }

    fn dynamic(&self, locust: Option<&Locust>) -> anyhow::Result<Cell> {
        let (path, locustfile) = (write(DYNAMIC)?, write(LOCUSTFILE)?);
        let quick = self.quick(self.nginx.origin(0) + DYNAMIC_PATH);
        let locust = locust.map(|locust| (LOCUST, self.locust(locust, &locustfile)));
        let peers: Vec<_> = [(QUICK, quick)].into_iter().chain(locust).collect();
        let bytes = REPLIES[0].json.len();
        let name =
            format!("dynamic: brunt with 2 slots, 1 JSON check, 1 saved value, {USERS} users, {bytes} B");
        cell::measure(name, "request", &self.scenario(&path), &peers, self.rounds)
    }

    fn memory(&self) -> anyhow::Result<memory::Run> {
        let path = write(MEMORY)?;
        memory::measure(self.setup, text(&path)?, format!("--target {}", self.nginx.origin(0)))
    }

    /// A run by flags alone, of one URL.
    fn quick(&self, url: String) -> Runner<'_> {
        Box::new(move || self.run_brunt(&format!("-c {USERS} -z {}s", self.seconds), &url))
    }

    /// A run of a scenario file, with as many users and for as long as the quick run.
    fn scenario<'a>(&'a self, path: &'a Path) -> Runner<'a> {
        Box::new(move || {
            let flags = format!("--target {} -c {USERS} -z {}s", self.nginx.origin(0), self.seconds);
            self.run_brunt(&flags, text(path)?)
        })
    }

    fn run_brunt(&self, flags: &str, target: &str) -> anyhow::Result<Run> {
        let ran = self.setup.brunt.run(flags, target, limit(&self.load(target)), None)?;
        if let Some(why) = ran.result.unusable() {
            return Err(Rejected(why).into());
        }
        Run::of(&ran.usage, ran.result.counts()).context("brunt completed no request")
    }

    fn locust<'a>(&'a self, locust: &'a Locust, file: &'a Path) -> Runner<'a> {
        Box::new(move || {
            let origin = self.nginx.origin(0);
            let mut command = locust.command(file, &origin, USERS, self.seconds);
            let ended = child::run(&mut command, self.setup.core, limit(&self.load(&origin)))?;
            let Figures { counts, usage, start_up_us } = locust::figures(&ended, self.seconds)?;
            if counts.failed > 0 {
                return Err(Rejected(format!("{} requests failed", counts.failed)).into());
            }
            let run = Run::of(&usage, counts).context("locust completed no request")?;
            self.locust_whole_us.borrow_mut().push(run.cpu_us() + start_up_us / counts.completed as f64);
            Ok(run)
        })
    }

    const fn load<'a>(&self, url: &'a str) -> Load<'a> {
        Load { connections: USERS, seconds: self.seconds, url, rate: None, shape: Shape::KeepAlive }
    }
}

/// What is promised of memory beside what was measured, and why that is no answer where it is none.
fn judge_memory(run: Option<&memory::Run>) -> (Judged, Option<String>) {
    let promise = format!("{MEMORY_USERS} users, 2 cookies and 10 values each, at most {MEMORY_MIB_MAX} MiB");
    let judged = |text, met| Judged { cell: "memory".to_owned(), text, met };
    let Some(run) = run else { return (judged(promise + ": not measured", None), None) };
    let twice = u64::from(MEMORY_USERS) * 2;
    let too_few = || {
        let text = format!("{} requests completed, fewer than two for each user", run.completed);
        (run.completed < twice).then_some(text)
    };
    let unusable = memory::unsound(run, MEMORY_USERS).or_else(|| run.unusable.clone()).or_else(too_few);
    let mib = run.peak_kib as f64 / 1024.0;
    let met = unusable.is_none().then_some(mib <= MEMORY_MIB_MAX);
    (judged(format!("{promise}: {mib:.1}"), met), unusable)
}

/// Writes a file of this mode where runs find it.
fn write((name, text): (&str, &str)) -> anyhow::Result<PathBuf> {
    let home = folder()?.join("scenario");
    let path = home.join(name);
    std::fs::create_dir_all(&home)
        .and_then(|()| std::fs::write(&path, text))
        .with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(path)
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8, which brunt's arguments are", path.display()))
}

#[cfg(test)]
mod tests {
    use brunt_model::scenario::file;

    use super::*;

    fn check((peak_mib, connections, completed, failed): (u64, u32, u64, u64), met: Option<bool>) {
        let run = memory::Run::example(peak_mib << 10, connections.into(), completed, failed);
        let (judged, unusable) = judge_memory(Some(&run));
        assert_eq!((judged.met, unusable.is_none()), (met, met.is_some()), "{}: {unusable:?}", judged.text);
    }

    #[test]
    fn memory_is_judged_only_where_all_users_held_their_values() {
        check((200, 10_000, 20_000, 0), Some(true));
        check((201, 10_000, 20_000, 0), Some(false));
        check((100, 9_999, 20_000, 0), None);
        check((100, 10_000, 19_999, 0), None);
        check((100, 10_000, 20_000, 1), None);
        assert_eq!(judge_memory(None).0.met, None, "no run");
    }

    #[test]
    fn the_scenario_files_hold_what_is_promised() {
        for ((name, text), saved) in [(STATIC, 0), (DYNAMIC, 1), (MEMORY, 10)] {
            let file = file::read(text).unwrap_or_else(|faults| panic!("{name}: {faults:?}"));
            let steps = file.flows.iter().flat_map(|(_, flow)| &flow.steps);
            let saves = steps.map(|step| match &step.value {
                file::Step::Request(request) => request.save.len(),
                _ => 0,
            });
            assert_eq!(saves.sum::<usize>(), saved, "{name}");
        }
        let users = format!("{{closed: {{users: {MEMORY_USERS}, ");
        assert!(MEMORY.1.contains(&users), "{users} in {}", MEMORY.1);
    }
}
