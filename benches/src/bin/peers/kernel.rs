//! What kernel timing and the guard cost: the run time of the programs themselves, and brunt's CPU time and its own
//! figures with and without them, in turn.
//!
//! The programs' run time is the kernel's (`kernel.bpf_stats_enabled`, which is switched on for this and off again; it
//! reads the clock twice a run, which is in the figure). It is read from the loader that brunt starts for itself as root.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, ensure};
use brunt_benches::child::Watch;
use brunt_benches::server::{Face, Nghttpd, Nginx};
use brunt_benches::stats::Median;
use brunt_benches::table::{Machine, Table, save};
use serde::Serialize;

use crate::Setup;
use crate::brunt::{GRACE, Ran};

const BODY_BYTES: usize = 100;
const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What is promised of the programs' run time a request.
const PROGRAMS_US_MAX: f64 = 0.35;
/// With what brunt runs in each round, in this order.
const WAYS: [(&str, &str); 3] = [
    ("neither", "--kernel off --guard off"),
    ("timing", "--kernel on --guard off"),
    ("timing and guard", "--kernel on --guard required"),
];

#[derive(Serialize)]
struct Figures {
    cpu_us: Vec<f64>,
    per_second: Vec<f64>,
    service_p50_us: Vec<f64>,
    service_p99_us: Vec<f64>,
    programs_us: Vec<f64>,
    coverage: Vec<f64>,
}

#[derive(Serialize)]
struct Load {
    name: &'static str,
    ways: Vec<(&'static str, Figures)>,
}

/// The kernel counts run times while this lives.
struct Counting {
    before: String,
}

impl Counting {
    fn begin() -> anyhow::Result<Self> {
        let before = fs::read_to_string(SWITCH).context("this kernel counts no run times of programs")?;
        fs::write(SWITCH, "1").context("counting run times of programs takes root")?;
        Ok(Self { before })
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        let _ = fs::write(SWITCH, self.before.trim());
    }
}

/// Measures, prints and keeps.
pub(crate) fn run(setup: &Setup, rounds: u32, seconds: u32) -> anyhow::Result<()> {
    let _counting = Counting::begin()?;
    let mut loads = Vec::new();
    {
        let nginx = Nginx::start(&[Face::Clear], &[BODY_BYTES], 64, setup.server_core)?;
        let url = nginx.url(0, BODY_BYTES);
        loads.push(measure(setup, "64 x 1, HTTP/1.1, nginx", "-c 64", &url, (rounds, seconds))?);
    }
    {
        let nghttpd = Nghttpd::start(BODY_BYTES, setup.server_core)?;
        let url = nghttpd.url(BODY_BYTES);
        loads.push(measure(setup, "4 x 32, HTTP/2, nghttpd", "-c 4 -p 32 --h2c", &url, (rounds, seconds))?);
    }
    println!("{}\n{rounds} rounds of {seconds} s; medians with their intervals", Machine::this());
    loads.iter().for_each(|load| println!("\n{}\n{}", load.name, render(load)));
    println!("the programs may take {PROGRAMS_US_MAX} us a request");
    println!("kept in {}", save("peers-kernel.json", &loads)?.display());
    Ok(())
}

fn measure(
    setup: &Setup,
    name: &'static str,
    flags: &str,
    url: &str,
    (rounds, seconds): (u32, u32),
) -> anyhow::Result<Load> {
    let blank = || Figures {
        cpu_us: Vec::new(),
        per_second: Vec::new(),
        service_p50_us: Vec::new(),
        service_p99_us: Vec::new(),
        programs_us: Vec::new(),
        coverage: Vec::new(),
    };
    let mut ways: Vec<_> = WAYS.iter().map(|(way, _)| (*way, blank())).collect();
    for _ in 0..rounds {
        for ((_, switches), (_, figures)) in WAYS.iter().zip(&mut ways) {
            let mut seen = BTreeMap::new();
            let watch = Watch { every: LOOK_EVERY, look: &mut |pid| look(pid, &mut seen) };
            let limit = Duration::from_secs(u64::from(seconds)) + GRACE;
            let all = format!("{flags} -z {seconds}s {switches}");
            let ran = setup.brunt.run(&all, url, limit, Some(watch))?;
            ensure!(
                ran.result.totals.completed > 0,
                "nothing was answered: {:?}",
                ran.result.verdict.reasons
            );
            figures.add(&ran, seen.values().sum());
        }
    }
    Ok(Load { name, ways })
}

impl Figures {
    fn add(&mut self, ran: &Ran, programs_ns: u64) {
        let requests = ran.result.totals.completed as f64;
        self.cpu_us.push((ran.usage.user_us + ran.usage.sys_us) / requests);
        self.per_second.push(ran.result.rate.achieved);
        self.service_p50_us.push(ran.result.latency.service.p50 as f64 / 1e3);
        self.service_p99_us.push(ran.result.latency.service.p99 as f64 / 1e3);
        self.programs_us.push(programs_ns as f64 / 1e3 / requests);
        self.coverage.extend(ran.result.kernel.coverage);
    }
}

/// Notes the run times of all programs that a loader among the children of this process holds.
fn look(parent: u32, seen: &mut BTreeMap<String, u64>) {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    let is_loader = |child: &&str| {
        fs::read_to_string(format!("/proc/{child}/comm")).is_ok_and(|name| name.trim() == "brunt-loader")
    };
    for child in children.split_whitespace().filter(is_loader) {
        let descriptors = fs::read_dir(format!("/proc/{child}/fdinfo")).into_iter().flatten().flatten();
        for text in descriptors.filter_map(|entry| fs::read_to_string(entry.path()).ok()) {
            let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            if let (Some(id), Some(ns)) = (field("prog_id:"), field("run_time_ns:")) {
                seen.insert(id.to_owned(), ns.parse().unwrap_or(0));
            }
        }
    }
}

fn render(load: &Load) -> String {
    let head = ["", "programs us", "CPU us", "requests/s", "service p50 us", "p99 us", "coverage"];
    let mut table = Table::new(&head);
    for (way, figures) in &load.ways {
        let shown = |figures: &[f64], digits: usize| {
            let median = Median::of(figures);
            median.map_or_else(
                || "-".to_owned(),
                |of| format!("{:.digits$} ({:.digits$}..{:.digits$})", of.median, of.low, of.high),
            )
        };
        table.row([
            (*way).to_owned(),
            shown(&figures.programs_us, 3),
            shown(&figures.cpu_us, 2),
            shown(&figures.per_second, 0),
            shown(&figures.service_p50_us, 1),
            shown(&figures.service_p99_us, 1),
            shown(&figures.coverage, 5),
        ]);
    }
    table.to_string()
}
