//! The table of cells: connections by body size, as fast as each tool can.

use brunt_benches::server::Server;
use brunt_benches::table::{Machine, Table, save};
use brunt_benches::tools::{Load, Shape};
use serde::Serialize;

use crate::Setup;
use crate::cell::{self, Cell, Ratio, Runner};
use crate::runs::{run_brunt, run_peer};

pub(crate) struct Cells {
    pub connections: Vec<u32>,
    pub bodies: Vec<usize>,
    pub rounds: u32,
    pub seconds: u32,
}

#[derive(Serialize)]
struct SizedCell {
    connections: u32,
    body_bytes: usize,
    #[serde(flatten)]
    cell: Cell,
}

#[derive(Serialize)]
struct Outcome {
    machine: Machine,
    server: String,
    seconds: u32,
    rounds: u32,
    cells: Vec<SizedCell>,
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
            let load =
                Load { connections, seconds: cells.seconds, url: &url, rate: None, shape: Shape::KeepAlive };
            let cell = measure(setup, &load, body, cells.rounds)?;
            println!("{}", cell::render(&cell));
            outcome.cells.push(SizedCell { connections, body_bytes: body, cell });
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
    let name = format!("{} connections, {body_bytes} B", load.connections);
    let flags = format!("-c {} -z {}s", load.connections, load.seconds);
    let brunt: Runner<'_> = Box::new(move || run_brunt(setup, &flags, load));
    let peers: Vec<_> =
        setup.peers.iter().map(|peer| (peer.tool.name, run_peer(setup, peer, load))).collect();
    cell::measure(name, "request", &brunt, &peers, rounds)
}

/// brunt over each peer in all cells, in one table.
fn summary(cells: &[SizedCell]) -> String {
    let mut peers: Vec<&str> = Vec::new();
    for ratio in cells.iter().flat_map(|cell| &cell.cell.ratios) {
        if !peers.contains(&ratio.peer) {
            peers.push(ratio.peer);
        }
    }
    let head: Vec<&str> = ["brunt over:"].into_iter().chain(peers.iter().copied()).chain(["A/A"]).collect();
    let mut table = Table::new(&head);
    for SizedCell { cell, .. } in cells {
        let ratio = |peer: &&str| {
            let ratio = cell.ratios.iter().find(|ratio| ratio.peer == *peer);
            let text =
                |ratio: &Ratio| format!("{:.3}{}", ratio.cpu.median, if ratio.lost { " LOST" } else { "" });
            ratio.map_or_else(|| "-".to_owned(), text)
        };
        let aa =
            cell.aa.as_ref().map_or_else(|| "-".to_owned(), |aa| format!("{:.3}..{:.3}", aa.low, aa.high));
        table.row([cell.name.clone()].into_iter().chain(peers.iter().map(ratio)).chain([aa]));
    }
    let lost = cells.iter().flat_map(|cell| &cell.cell.ratios).filter(|ratio| ratio.lost).count();
    format!("CPU us/request, median over the rounds; {lost} cells lost\n{table}")
}
