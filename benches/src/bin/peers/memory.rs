//! What brunt's memory depends on: connections, and nothing else.
//!
//! The figure is the highest resident memory (`VmHWM`) seen while it ran, looked up every few milliseconds. The one
//! that `wait4` gives will not do: it starts at what the parent had when it forked.

use std::time::Duration;

use anyhow::ensure;
use brunt_benches::child::Watch;
use brunt_benches::server::Server;
use brunt_benches::table::{Machine, Table, save};
use serde::Serialize;

use crate::Setup;
use crate::brunt::Ran;

const BODY_BYTES: usize = 100;
const LOOK_EVERY: Duration = Duration::from_millis(5);
const LIMIT: Duration = Duration::from_secs(180);
const FEW_CONNECTIONS: u32 = 100;
const MANY_CONNECTIONS: u32 = 10_000;
/// What is promised for a keep-alive connection above the base.
const KIB_PER_CONNECTION_MAX: f64 = 8.0;

#[derive(Serialize)]
struct Run {
    flags: String,
    peak_kib: u64,
    completed: u64,
    failed: u64,
    connections_opened: u64,
    response_p99_ns: u64,
    verdict: String,
    reasons: Vec<String>,
    exit_code: i32,
}

#[derive(Serialize)]
struct Outcome {
    machine: Machine,
    server: String,
    runs: Vec<Run>,
    kib_per_connection: f64,
}

/// Measures, prints, and fails where 10,000 connections did not work.
pub(crate) fn run(setup: &Setup) -> anyhow::Result<()> {
    let server = Server::start(setup.server, &[BODY_BYTES], MANY_CONNECTIONS, setup.server_core)?;
    let url = server.url(BODY_BYTES)?;
    let flags = [
        "-c 64 -n 100k".to_owned(),
        "-c 64 -n 2m".to_owned(),
        format!("-c {FEW_CONNECTIONS} -z 5s"),
        format!("-c {MANY_CONNECTIONS} -z 5s"),
    ];
    let runs =
        flags.into_iter().map(|flags| measure(setup, &url, flags)).collect::<anyhow::Result<Vec<_>>>()?;
    let [short, long, few, many] = runs.as_slice() else { unreachable!("there are four sets of flags") };
    let more_connections = f64::from(MANY_CONNECTIONS - FEW_CONNECTIONS);
    let kib_per_connection = (many.peak_kib as f64 - few.peak_kib as f64) / more_connections;
    let growth_kib = long.peak_kib as f64 - short.peak_kib as f64;
    println!("{}\nserver {}\n{}", Machine::this(), setup.server, render(&runs));
    println!("20 times the requests: {growth_kib:+.0} KiB");
    println!("{kib_per_connection:.2} KiB a connection (at most {KIB_PER_CONNECTION_MAX} promised)");
    let unsound = unsound(many);
    let outcome =
        Outcome { machine: Machine::this(), server: setup.server.to_string(), runs, kib_per_connection };
    println!("kept in {}", save("peers-memory.json", &outcome)?.display());
    ensure!(
        unsound.is_none(),
        "{MANY_CONNECTIONS} connections did not work: {}",
        unsound.unwrap_or_default()
    );
    Ok(())
}

fn measure(setup: &Setup, url: &str, flags: String) -> anyhow::Result<Run> {
    eprintln!("brunt run {flags}");
    let mut peak_kib = 0;
    let mut look = |pid| peak_kib = peak_kib.max(peak_kib_of(pid).unwrap_or(0));
    let watch = Watch { every: LOOK_EVERY, look: &mut look };
    let Ran { result, code, .. } = setup.brunt.run(&flags, url, LIMIT, Some(watch))?;
    Ok(Run {
        flags,
        peak_kib,
        completed: result.totals.completed,
        failed: result.totals.failed,
        connections_opened: result.totals.connections_opened,
        response_p99_ns: result.latency.response.p99,
        verdict: result.verdict.status,
        reasons: result.verdict.reasons,
        exit_code: code,
    })
}

/// `None` once the process has given its memory back.
fn peak_kib_of(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

fn render(runs: &[Run]) -> Table {
    let mut table =
        Table::new(&["brunt run", "peak KiB", "completed", "failed", "connections", "p99 ms", "verdict"]);
    for run in runs {
        table.row([
            run.flags.clone(),
            run.peak_kib.to_string(),
            run.completed.to_string(),
            run.failed.to_string(),
            run.connections_opened.to_string(),
            format!("{:.1}", run.response_p99_ns as f64 / 1e6),
            run.verdict.clone(),
        ]);
    }
    table
}

/// Why a run with many connections does not count as working.
fn unsound(run: &Run) -> Option<String> {
    let opened = run.connections_opened < u64::from(MANY_CONNECTIONS);
    let figures =
        format!("{} opened, {} completed, {} failed", run.connections_opened, run.completed, run.failed);
    (opened || run.completed == 0 || run.failed > 0).then_some(figures)
}
