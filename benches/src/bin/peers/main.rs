//! Brunt and other load generators side by side.
//!
//! ```text
//! BRUNT_BIN=target/release/brunt peers [--connections 64,1024] [--bodies 100,4096] [--rounds 7] [--seconds 2]
//!                                      [--server nginx|origin] [--peers wrk,h2load]
//! BRUNT_BIN=target/release/brunt peers --open       punctuality and cost at a fixed rate
//! BRUNT_BIN=target/release/brunt peers --memory     what memory depends on
//! BRUNT_BIN=target/release/brunt peers --http2      HTTP/2, in clear text and over TLS
//! BRUNT_BIN=target/release/brunt peers --kernel     what kernel timing and the guard cost
//! BRUNT_BIN=target/release/brunt peers --tls [--keys p256,rsa2048]   HTTPS, and handshakes
//! BRUNT_BIN=target/release/brunt peers --scenario   what scenario files cost, beside flags and Locust
//! ```
//!
//! Generators run alone on `--core`, the server on `--server-core`. In every round each tool runs once and brunt
//! twice; the figures compared are those of one round, and what is reported is the median over the rounds with its
//! interval. The second run of brunt against the first (A/A) shows how much of a ratio the machine alone can make.
//! CPU time is the kernel's for the whole process, start-up included, for all alike.
//!
//! A cell is *lost* when the whole interval of brunt's CPU time a request over the peer's lies above 1.
//! Results are kept in `target/bench/peers.json`, and in `peers-open.json` and its like for the other modes.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the table is this program's result")]

mod brunt;
mod cell;
mod closed;
mod goal;
mod http2;
mod kernel;
mod memory;
mod open;
mod runs;
mod scenario;
mod tls;

use std::process::ExitCode;

use anyhow::bail;
use brunt_benches::affinity;
use brunt_benches::certificate::KeyKind;
use brunt_benches::origin::{self, Speech};
use brunt_benches::server::Kind;
use brunt_benches::tools::{self, Found};
use clap::{Parser, Subcommand};

use crate::brunt::Brunt;

/// Brunt and other load generators side by side.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
#[command(group(clap::ArgGroup::new("mode").args(["open", "memory", "http2", "tls", "kernel", "scenario"])))]
struct Arguments {
    #[command(subcommand)]
    hidden: Option<Hidden>,
    /// Connections of each cell.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64, 256, 1024])]
    connections: Vec<u32>,
    /// Body bytes of each cell.
    #[arg(long, value_delimiter = ',', default_values_t = [100, 4096, 65536, 1_048_576])]
    bodies: Vec<usize>,
    /// Rounds a cell; 5 with --open.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,
    /// Length of one run: 2, or 5 with --open.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: Option<u32>,
    /// What is loaded: nginx where it is installed, else the purpose-made origin.
    #[arg(long)]
    server: Option<Kind>,
    /// Which other tools to run: all that are installed, if not given.
    #[arg(long, value_delimiter = ',')]
    peers: Option<Vec<String>>,
    /// Punctuality and cost at a fixed rate instead of the table of cells.
    #[arg(long)]
    open: bool,
    /// Memory instead of the table of cells.
    #[arg(long)]
    memory: bool,
    /// HTTP/2 instead of the table of cells.
    #[arg(long)]
    http2: bool,
    /// HTTPS and handshakes instead of the table of cells.
    #[arg(long)]
    tls: bool,
    /// The cost of kernel timing and the guard instead of the table of cells; as root.
    #[arg(long)]
    kernel: bool,
    /// The cost of scenario files instead of the table of cells; installs Locust from PyPI where need be.
    #[arg(long)]
    scenario: bool,
    /// What certificates are made with, with --tls.
    #[arg(long, value_delimiter = ',', default_value = "p256")]
    keys: Vec<KeyKind>,
    /// Requests a second with --open.
    #[arg(long, default_value_t = 20_000)]
    rate: u32,
    /// Where generators run.
    #[arg(long, default_value_t = 0)]
    core: usize,
    /// Where the server runs.
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
        #[arg(long)]
        http2: bool,
    },
}

/// What every mode needs.
struct Setup {
    brunt: Brunt,
    peers: Vec<Found>,
    server: Kind,
    core: usize,
    server_core: usize,
}

fn main() -> ExitCode {
    match act(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn act(arguments: Arguments) -> anyhow::Result<()> {
    if let Some(Hidden::Origin { size, core, http2 }) = arguments.hidden {
        let speech = if http2 { Speech::Http2 } else { Speech::Http1 };
        return origin::serve(size, core, speech);
    }
    if arguments.core == arguments.server_core {
        bail!("generator and server need a core each; choose with --core and --server-core");
    }
    let setup = Setup {
        brunt: Brunt::from_environment(arguments.core)?,
        peers: chosen(arguments.peers.as_deref())?,
        server: Kind::or_default(arguments.server),
        core: arguments.core,
        server_core: arguments.server_core,
    };
    // This process wakes up between runs only, and then beside the server rather than beside a generator.
    affinity::pin(arguments.server_core)?;
    if arguments.open {
        let seconds = arguments.seconds.unwrap_or(5);
        open::run(&setup, arguments.rate, arguments.rounds.unwrap_or(5), seconds)
    } else if arguments.memory {
        memory::run(&setup)
    } else if arguments.kernel {
        kernel::run(&setup, arguments.rounds.unwrap_or(7), arguments.seconds.unwrap_or(2))
    } else if arguments.scenario {
        scenario::run(&setup, arguments.rounds.unwrap_or(7), arguments.seconds.unwrap_or(2))
    } else if arguments.http2 {
        http2::run(&setup, arguments.rounds.unwrap_or(7), arguments.seconds.unwrap_or(2))
    } else if arguments.tls {
        let (rounds, seconds) = (arguments.rounds.unwrap_or(7), arguments.seconds.unwrap_or(2));
        tls::run(&setup, &arguments.keys, rounds, seconds)
    } else {
        let plan = closed::Cells {
            connections: arguments.connections,
            bodies: arguments.bodies,
            rounds: arguments.rounds.unwrap_or(7),
            seconds: arguments.seconds.unwrap_or(2),
        };
        closed::run(&setup, &plan)
    }
}

/// The peers asked for, or all that are installed.
fn chosen(names: Option<&[String]>) -> anyhow::Result<Vec<Found>> {
    let found = tools::found();
    let Some(names) = names else { return Ok(found) };
    let wanted = |name: &String| {
        if let Some(peer) = found.iter().find(|peer| peer.tool.name == name) {
            return Ok(peer.clone());
        }
        let known: Vec<_> = tools::TOOLS.iter().map(|tool| tool.name).collect();
        if known.contains(&name.as_str()) {
            bail!("{name} is not installed; put it into PATH or name its file in {}", name.to_uppercase());
        }
        bail!("{name} is not a known tool; known are {}", known.join(", "));
    };
    names.iter().map(wanted).collect()
}
