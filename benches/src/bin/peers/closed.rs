//! The table of cells: connections by body size, as fast as each tool can.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::bail;
use brunt_benches::child::{self, Usage, last_line};
use brunt_benches::server::Server;
use brunt_benches::stats::{Median, median};
use brunt_benches::table::{Machine, Table, save};
use brunt_benches::tools::{Counts, Found, Load};
use serde::Serialize;

use crate::Setup;
use crate::brunt::GRACE;

pub(crate) struct Cells {
    pub connections: Vec<u32>,
    pub bodies: Vec<usize>,
    pub rounds: u32,
    pub seconds: u32,
}

/// One run of one tool.
#[derive(Copy, Clone, Serialize)]
struct Run {
    user_us: f64,
    sys_us: f64,
    per_second: f64,
    completed: u64,
    failed: u64,
}

/// All runs of one tool in a cell; `None` where it failed.
#[derive(Serialize)]
struct Tool {
    name: &'static str,
    runs: Vec<Option<Run>>,
    error: Option<String>,
}

#[derive(Serialize)]
struct Ratio {
    peer: &'static str,
    /// brunt's CPU time a request over the peer's.
    cpu: Median,
    lost: bool,
}

#[derive(Serialize)]
struct Cell {
    connections: u32,
    body_bytes: usize,
    tools: Vec<Tool>,
    ratios: Vec<Ratio>,
    /// The second run of brunt in a round over the first.
    aa: Option<Median>,
}

#[derive(Serialize)]
struct Outcome {
    machine: Machine,
    server: String,
    seconds: u32,
    rounds: u32,
    cells: Vec<Cell>,
}

const BRUNT: &str = "brunt";
const BRUNT_AGAIN: &str = "brunt again";

impl Run {
    fn of(usage: &Usage, counts: Counts) -> Option<Self> {
        let per_request = 1.0 / counts.completed as f64;
        (counts.completed > 0).then(|| Self {
            user_us: usage.user_us * per_request,
            sys_us: usage.sys_us * per_request,
            per_second: counts.completed as f64 / usage.wall.as_secs_f64(),
            completed: counts.completed,
            failed: counts.failed,
        })
    }

    fn cpu_us(&self) -> f64 {
        self.user_us + self.sys_us
    }
}

/// Measures every cell, prints its table, and keeps what is known so far after each.
pub(crate) fn run(setup: &Setup, cells: &Cells) -> anyhow::Result<()> {
    let connections = cells.connections.iter().copied().max().unwrap_or(1);
    let server = Server::start(setup.server, &cells.bodies, connections, setup.server_core)?;
    let mut outcome = Outcome {
        machine: Machine::this(),
        server: setup.server.to_string(),
        seconds: cells.seconds,
        rounds: cells.rounds,
        cells: Vec::new(),
    };
    announce(setup, cells, &outcome);
    for &body in &cells.bodies {
        let url = server.url(body)?;
        for &connections in &cells.connections {
            let load = Load { connections, seconds: cells.seconds, url: &url, rate: None };
            let cell = measure(setup, &load, body, cells.rounds)?;
            println!("{}", render(&cell));
            outcome.cells.push(cell);
            save("peers.json", &outcome)?;
        }
    }
    println!("{}", summary(&outcome.cells));
    println!("kept in {}", save("peers.json", &outcome)?.display());
    Ok(())
}

fn announce(setup: &Setup, cells: &Cells, outcome: &Outcome) {
    let count = cells.bodies.len() * cells.connections.len();
    let runs = count * (setup.peers.len() + 2) * cells.rounds as usize;
    println!(
        "{}\nserver {} on core {}, generators on core {}; {count} cells of {} rounds, {} s a run: about {} min\n",
        outcome.machine,
        outcome.server,
        setup.server_core,
        setup.core,
        cells.rounds,
        cells.seconds,
        (runs * cells.seconds as usize).div_ceil(60),
    );
}

/// All rounds of one cell.
fn measure(setup: &Setup, load: &Load<'_>, body_bytes: usize, rounds: u32) -> anyhow::Result<Cell> {
    let new = |name| Tool { name, runs: Vec::new(), error: None };
    let names = setup.peers.iter().map(|peer| peer.tool.name);
    let mut tools: Vec<Tool> = [BRUNT].into_iter().chain(names).chain([BRUNT_AGAIN]).map(new).collect();
    for round in 0..rounds as usize {
        eprint!("\r{} connections, {body_bytes} B: round {} of {rounds} ", load.connections, round + 1);
        let again = tools.len() - 1;
        tools[0].note(run_brunt(setup, load));
        for turn in 0..setup.peers.len() {
            // The order changes, so that no tool always runs after the same other one.
            let peer = (turn + round) % setup.peers.len();
            if tools[peer + 1].error.is_none() {
                tools[peer + 1].note(run_peer(setup, &setup.peers[peer], load));
            } else {
                tools[peer + 1].runs.push(None);
            }
        }
        tools[again].note(run_brunt(setup, load));
        if let (Some(error), true) = (&tools[0].error, round == 0) {
            bail!("{error}");
        }
    }
    eprintln!();
    let ratios = compare(&tools);
    let aa = Median::of(&pairs(&tools[tools.len() - 1], &tools[0]));
    Ok(Cell { connections: load.connections, body_bytes, tools, ratios, aa })
}

impl Tool {
    fn note(&mut self, run: anyhow::Result<Run>) {
        match run {
            Ok(run) => self.runs.push(Some(run)),
            Err(error) => {
                self.runs.push(None);
                self.error = Some(format!("{error:#}"));
            }
        }
    }

    fn median(&self, figure: impl Fn(&Run) -> f64) -> f64 {
        median(&self.runs.iter().flatten().map(figure).collect::<Vec<_>>()).unwrap_or(f64::NAN)
    }
}

fn run_brunt(setup: &Setup, load: &Load<'_>) -> anyhow::Result<Run> {
    let flags = format!("-c {} -z {}s", load.connections, load.seconds);
    let ran = setup.brunt.run(&flags, load.url, limit(load), None)?;
    match Run::of(&ran.usage, ran.result.counts()) {
        Some(run) => Ok(run),
        None => bail!("brunt completed no request: {}", ran.result.verdict.reasons.join("; ")),
    }
}

fn run_peer(setup: &Setup, peer: &Found, load: &Load<'_>) -> anyhow::Result<Run> {
    let name = peer.tool.name;
    let ended = child::run(&mut peer.command(load), setup.core, limit(load))?;
    let Some(counts) = (peer.tool.counts)(&ended.stdout) else {
        bail!("{name} ended with {} and no count: {}", ended.status, last_line(&ended.stderr));
    };
    match Run::of(&ended.usage, counts) {
        Some(run) => Ok(run),
        None => bail!("{name} completed no request, {} failed", counts.failed),
    }
}

fn limit(load: &Load<'_>) -> Duration {
    Duration::from_secs(load.seconds.into()) + GRACE
}

/// brunt over each peer: by round, the mean of brunt's two runs over the peer's one.
fn compare(tools: &[Tool]) -> Vec<Ratio> {
    let [first, peers @ .., again] = tools else { return Vec::new() };
    let brunt = first.runs.iter().zip(&again.runs).map(|(first, again)| match (first, again) {
        (Some(first), Some(again)) => Some(f64::midpoint(first.cpu_us(), again.cpu_us())),
        (only, None) | (None, only) => only.as_ref().map(Run::cpu_us),
    });
    let brunt: Vec<Option<f64>> = brunt.collect();
    let ratio = |peer: &Tool| {
        let both = brunt.iter().zip(&peer.runs);
        let pairs: Vec<f64> =
            both.filter_map(|(mine, its)| Some((*mine)? / its.as_ref()?.cpu_us())).collect();
        let cpu = Median::of(&pairs)?;
        Some(Ratio { peer: peer.name, cpu, lost: cpu.low > 1.0 })
    };
    peers.iter().filter_map(ratio).collect()
}

fn pairs(over: &Tool, under: &Tool) -> Vec<f64> {
    let both = over.runs.iter().zip(&under.runs);
    both.filter_map(|(over, under)| Some(over.as_ref()?.cpu_us() / under.as_ref()?.cpu_us())).collect()
}

fn render(cell: &Cell) -> String {
    let mut table =
        Table::new(&["tool", "us/request", "user", "sys", "requests/s", "failed", "brunt/tool", "interval"]);
    for tool in &cell.tools {
        let figures = [
            format!("{:.2}", tool.median(Run::cpu_us)),
            format!("{:.2}", tool.median(|run| run.user_us)),
            format!("{:.2}", tool.median(|run| run.sys_us)),
            format!("{:.0}", tool.median(|run| run.per_second)),
            tool.runs.iter().flatten().map(|run| run.failed).sum::<u64>().to_string(),
        ];
        let ratio = cell.ratios.iter().find(|ratio| ratio.peer == tool.name);
        let ratio = ratio.map_or_else(Vec::new, |ratio| {
            let lost = if ratio.lost { " LOST" } else { "" };
            vec![format!("{:.3}", ratio.cpu.median), format!("{}{lost}", interval(&ratio.cpu))]
        });
        table.row([tool.name.to_owned()].into_iter().chain(figures).chain(ratio));
    }
    let mut text = format!("{} connections, {} B\n{table}", cell.connections, cell.body_bytes);
    if let Some(aa) = &cell.aa {
        let _ = writeln!(text, "A/A (brunt again / brunt): {:.3}, {}", aa.median, interval(aa));
    }
    for tool in &cell.tools {
        if let Some(error) = &tool.error {
            let _ = writeln!(text, "{}: {error}", tool.name);
        }
    }
    text
}

fn interval(median: &Median) -> String {
    format!("{:.3}..{:.3} ({:.0} %)", median.low, median.high, median.coverage * 100.0)
}

/// brunt over each peer in all cells, in one table.
fn summary(cells: &[Cell]) -> String {
    let mut peers: Vec<&str> = Vec::new();
    for ratio in cells.iter().flat_map(|cell| &cell.ratios) {
        if !peers.contains(&ratio.peer) {
            peers.push(ratio.peer);
        }
    }
    let head: Vec<&str> = ["brunt over:"].into_iter().chain(peers.iter().copied()).chain(["A/A"]).collect();
    let mut table = Table::new(&head);
    for cell in cells {
        let ratio = |peer: &&str| {
            let ratio = cell.ratios.iter().find(|ratio| ratio.peer == *peer);
            let text =
                |ratio: &Ratio| format!("{:.3}{}", ratio.cpu.median, if ratio.lost { " LOST" } else { "" });
            ratio.map_or_else(|| "-".to_owned(), text)
        };
        let aa =
            cell.aa.as_ref().map_or_else(|| "-".to_owned(), |aa| format!("{:.3}..{:.3}", aa.low, aa.high));
        let name = format!("{} connections, {} B", cell.connections, cell.body_bytes);
        table.row([name].into_iter().chain(peers.iter().map(ratio)).chain([aa]));
    }
    let lost = cells.iter().flat_map(|cell| &cell.ratios).filter(|ratio| ratio.lost).count();
    format!("CPU us/request, median over the rounds; {lost} cells lost\n{table}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &'static str, cpu_us: &[f64]) -> Tool {
        let run = |&us: &f64| {
            (us > 0.0).then_some(Run {
                user_us: us / 2.0,
                sys_us: us / 2.0,
                per_second: 1.0,
                completed: 1,
                failed: 0,
            })
        };
        Tool { name, runs: cpu_us.iter().map(run).collect(), error: None }
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        let tools = [
            tool(BRUNT, &[2.0, 4.0, 6.0]),
            tool("wrk", &[4.0, 8.0, 12.0]),
            tool(BRUNT_AGAIN, &[2.0, 4.0, 6.0]),
        ];
        let ratios = compare(&tools);
        assert_eq!((ratios[0].cpu.low, ratios[0].cpu.high, ratios[0].lost), (0.5, 0.5, false));
    }

    #[test]
    fn a_cell_is_lost_only_when_the_whole_interval_is() {
        let lost = |wrk: &[f64]| {
            compare(&[tool(BRUNT, &[5.0; 3]), tool("wrk", wrk), tool(BRUNT_AGAIN, &[5.0; 3])])[0].lost
        };
        assert!(lost(&[4.0, 4.5, 4.9]));
        assert!(!lost(&[4.0, 4.5, 5.1]));
    }

    #[test]
    fn a_round_in_which_a_tool_failed_is_left_out() {
        let tools = [
            tool(BRUNT, &[2.0, 0.0, 3.0]),
            tool("wrk", &[4.0, 4.0, 0.0]),
            tool(BRUNT_AGAIN, &[0.0, 2.0, 3.0]),
        ];
        let ratio = &compare(&tools)[0];
        assert_eq!((ratio.cpu.low, ratio.cpu.high, ratio.cpu.coverage), (0.5, 0.5, 0.5));
    }
}
