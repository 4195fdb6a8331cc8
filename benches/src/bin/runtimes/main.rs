//! One keep-alive loop over several I/O interfaces and runtimes: what each of them alone costs a request.
//!
//! ```text
//! runtimes [--connections 64,1024] [--rounds 7] [--seconds 2] [--body 100] [--only uring,tokio]
//! ```
//!
//! The loop is the same everywhere: each connection sends a GET, finds the end of the answer, records its time in a
//! histogram and sends again. Each runtime runs in a process of its own on `--core`, in turn with the others, against
//! the purpose-made origin on `--server-core`; its CPU time is the kernel's for the whole process. What differs is
//! how bytes come and go:
//!
//! - `uring`: io_uring by hand, multishot receive into provided buffers, at most 8 sends an enter;
//! - `epoll`: edge-triggered, with `recv` and `send`;
//! - `monoio`: one task a connection, on a ring with the same flags;
//! - `tokio-uring`: one task a connection, on a plain ring, since it hangs with deferred task work;
//! - `tokio`: one task a connection, current-thread scheduler, plain `TcpStream`s;
//! - `hyper`: its HTTP/1.1 client on that scheduler.
//!
//! Results are kept in `target/bench/runtimes.json`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the table is this program's result")]

mod epoll;
mod hyper_client;
mod load;
mod monoio_loop;
mod tasks;
mod tokio_loop;
mod tokio_uring_loop;
mod uring;

use std::net::SocketAddr;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use brunt_benches::affinity;
use brunt_benches::child::{self, last_line};
use brunt_benches::origin::{self, Speech};
use brunt_benches::server::Origin;
use brunt_benches::stats::{Median, median};
use brunt_benches::table::{Machine, Table, save};

use clap::{Parser, Subcommand, ValueEnum};
use serde::Serialize;

use crate::load::{Load, Outcome};

const GRACE: Duration = Duration::from_secs(15);

/// One keep-alive loop over several I/O interfaces and runtimes.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    hidden: Option<Hidden>,
    /// Connections of each table.
    #[arg(long, value_delimiter = ',', default_values_t = [64, 1024])]
    connections: Vec<u32>,
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Length of one run.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// Body bytes of the answer.
    #[arg(long, default_value_t = 100)]
    body: usize,
    /// Which to run: all, if not given. Ratios are to the first.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Runtime>,
    /// Where the loops run.
    #[arg(long, default_value_t = 0)]
    core: usize,
    /// Where the origin runs.
    #[arg(long, default_value_t = 1)]
    server_core: usize,
}

#[derive(Subcommand)]
enum Hidden {
    /// Serves one answer until standard input closes.
    #[command(hide = true)]
    Origin {
        #[arg(long)]
        size: usize,
        #[arg(long)]
        core: usize,
    },
    /// Runs one loop and prints what it did as JSON.
    #[command(hide = true)]
    One { runtime: Runtime, address: SocketAddr, connections: u32, seconds: u32 },
}

#[derive(Copy, Clone, PartialEq, Eq, ValueEnum)]
enum Runtime {
    Uring,
    Epoll,
    Monoio,
    TokioUring,
    Tokio,
    Hyper,
}

impl Runtime {
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    fn run(self, load: &Load) -> anyhow::Result<Outcome> {
        match self {
            Self::Uring => uring::run(load),
            Self::Epoll => epoll::run(load),
            Self::Monoio => monoio_loop::run(load),
            Self::TokioUring => tokio_uring_loop::run(load),
            Self::Tokio => tokio_loop::run(load),
            Self::Hyper => hyper_client::run(load),
        }
    }
}

#[derive(Serialize)]
struct Run {
    user_us: f64,
    sys_us: f64,
    #[serde(flatten)]
    outcome: Outcome,
}

impl Run {
    fn cpu_us(&self) -> f64 {
        self.user_us + self.sys_us
    }
}

#[derive(Serialize)]
struct Row {
    runtime: String,
    runs: Vec<Run>,
    /// CPU time a request over that of the first row, by round.
    ratio: Option<Median>,
}

#[derive(Serialize)]
struct Cell {
    connections: u32,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Kept {
    machine: Machine,
    seconds: u32,
    rounds: u32,
    body_bytes: usize,
    cells: Vec<Cell>,
}

fn main() -> ExitCode {
    match act(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("runtimes: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn act(arguments: Arguments) -> anyhow::Result<()> {
    match arguments.hidden {
        Some(Hidden::Origin { size, core }) => origin::serve(size, core, Speech::Http1),
        Some(Hidden::One { runtime, address, connections, seconds }) => {
            let outcome = runtime.run(&Load { address, connections, seconds })?;
            println!("{}", serde_json::to_string(&outcome)?);
            Ok(())
        }
        None => compare(&arguments),
    }
}

fn compare(arguments: &Arguments) -> anyhow::Result<()> {
    if arguments.core == arguments.server_core {
        bail!("the loops and the origin need a core each; choose with --core and --server-core");
    }
    // This process wakes up between runs only, and then beside the origin rather than beside a loop.
    affinity::pin(arguments.server_core)?;
    affinity::raise_open_files(u64::from(arguments.connections.iter().copied().max().unwrap_or(0)) + 64)?;
    let mut kept = Kept {
        machine: Machine::this(),
        seconds: arguments.seconds,
        rounds: arguments.rounds,
        body_bytes: arguments.body,
        cells: Vec::new(),
    };
    println!(
        "{}\norigin on core {}, loops on core {}\n",
        kept.machine, arguments.server_core, arguments.core
    );
    for &connections in &arguments.connections {
        let cell = measure(arguments, connections)?;
        println!("{} connections, {} B\n{}", connections, arguments.body, render(&cell));
        kept.cells.push(cell);
    }
    println!("kept in {}", save("runtimes.json", &kept)?.display());
    Ok(())
}

/// All rounds with one number of connections.
fn measure(arguments: &Arguments, connections: u32) -> anyhow::Result<Cell> {
    let chosen = if arguments.only.is_empty() { Runtime::value_variants() } else { &arguments.only };
    let origin = Origin::start(arguments.body, arguments.server_core, Speech::Http1)?;
    let load = Load { address: origin.address, connections, seconds: arguments.seconds };
    let mut rows: Vec<Row> =
        chosen.iter().map(|runtime| Row { runtime: runtime.name(), runs: Vec::new(), ratio: None }).collect();
    for round in 1..=arguments.rounds {
        eprint!("\r{connections} connections: round {round} of {} ", arguments.rounds);
        for (row, &runtime) in rows.iter_mut().zip(chosen) {
            row.runs.push(run_one(runtime, &load, arguments.core)?);
        }
    }
    eprintln!();
    check_counts(&rows, origin.stop()?, connections)?;
    let base: Vec<f64> = rows.first().map_or_else(Vec::new, |row| row.runs.iter().map(Run::cpu_us).collect());
    for row in &mut rows {
        let ratios: Vec<f64> = row.runs.iter().zip(&base).map(|(run, base)| run.cpu_us() / base).collect();
        row.ratio = Median::of(&ratios);
    }
    Ok(Cell { connections, rows })
}

/// Runs this very binary with its hidden command `one`.
fn run_one(runtime: Runtime, load: &Load, core: usize) -> anyhow::Result<Run> {
    let (connections, seconds) = (load.connections.to_string(), load.seconds.to_string());
    let mut command = Command::new(std::env::current_exe().context("the path of this binary is unknown")?);
    command.args(["one", &runtime.name(), &load.address.to_string(), &connections, &seconds]);
    let limit = Duration::from_secs(load.seconds.into()) + GRACE;
    let ended = child::run(&mut command, core, limit)?;
    let name = runtime.name();
    ensure!(ended.status.success(), "{name} ended with {}: {}", ended.status, last_line(&ended.stderr));
    let outcome: Outcome =
        serde_json::from_str(&ended.stdout).with_context(|| format!("{name} printed no outcome"))?;
    ensure!(outcome.requests > 0, "{name} completed no request");
    let requests = outcome.requests as f64;
    Ok(Run { user_us: ended.usage.user_us / requests, sys_us: ended.usage.sys_us / requests, outcome })
}

/// Each run may leave one request a connection unanswered; the origin has counted it and the loop has not.
fn check_counts(rows: &[Row], served: u64, connections: u32) -> anyhow::Result<()> {
    let runs = rows.iter().flat_map(|row| &row.runs);
    let (answered, unanswered_max) = runs
        .fold((0, 0), |(answered, max), run| (answered + run.outcome.requests, max + u64::from(connections)));
    ensure!(
        (answered..=answered + unanswered_max).contains(&served),
        "the origin counted {served} requests, the loops {answered}: a loop miscounts"
    );
    Ok(())
}

fn render(cell: &Cell) -> Table {
    let first = cell.rows.first().map_or("", |row| row.runtime.as_str());
    let ratio = format!("/ {first}");
    let mut table =
        Table::new(&["runtime", "us/request", "user", "sys", "requests/s", "p99 us", &ratio, "interval"]);
    for row in &cell.rows {
        let middle =
            |figure: fn(&Run) -> f64| median(&row.runs.iter().map(figure).collect::<Vec<_>>()).unwrap_or(0.0);
        let (ratio, interval) = row.ratio.map_or_else(Default::default, |ratio| {
            (
                format!("{:.3}", ratio.median),
                format!("{:.3}..{:.3} ({:.0} %)", ratio.low, ratio.high, ratio.coverage * 100.0),
            )
        });
        table.row([
            row.runtime.clone(),
            format!("{:.2}", middle(Run::cpu_us)),
            format!("{:.2}", middle(|run| run.user_us)),
            format!("{:.2}", middle(|run| run.sys_us)),
            format!("{:.0}", middle(|run| run.outcome.requests as f64 / run.outcome.seconds)),
            format!("{:.0}", middle(|run| run.outcome.p99_ns as f64 / 1e3)),
            ratio,
            interval,
        ]);
    }
    table
}
