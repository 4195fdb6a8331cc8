//! Instructions of the pieces that run for every request, counted by callgrind.
//!
//! ```text
//! icount [--only record,slot-constant]
//! ```
//!
//! A count does not depend on how busy the machine is, so a change of a few instructions shows. Each piece runs
//! under `valgrind --tool=callgrind` twice, N and 2 N times; the difference over N is the cost of one, free of
//! start-up and preparation. Results are kept in `target/bench/icount.json`. Exit code 2 says that valgrind is missing.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the table is this program's result")]

mod kernels;
mod parse;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use brunt_benches::child::{self, last_line};
use brunt_benches::table::{Table, folder, save};
use brunt_benches::tools::in_path;
use clap::{Parser, Subcommand};
use serde::Serialize;

use crate::kernels::{KERNELS, Kernel};

const LIMIT: Duration = Duration::from_secs(300);
const NO_VALGRIND: u8 = 2;

/// Instructions of the pieces that run for every request.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    hidden: Option<Hidden>,
    /// Which pieces: all, if not given.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

#[derive(Subcommand)]
enum Hidden {
    /// Runs one piece a number of times.
    #[command(hide = true)]
    Run { kernel: String, times: u64 },
}

#[derive(Serialize)]
struct Count {
    name: &'static str,
    what: &'static str,
    times: u64,
    instructions: f64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.hidden.is_none() && in_path("valgrind").is_none() {
        eprintln!("icount: valgrind is not installed; install it with: apt-get install valgrind");
        return ExitCode::from(NO_VALGRIND);
    }
    match act(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("icount: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn act(arguments: &Arguments) -> anyhow::Result<()> {
    if let Some(Hidden::Run { kernel, times }) = &arguments.hidden {
        (named(kernel)?.run)(*times);
        return Ok(());
    }
    let chosen: Vec<&Kernel> = if arguments.only.is_empty() {
        KERNELS.iter().collect()
    } else {
        arguments.only.iter().map(|name| named(name)).collect::<anyhow::Result<_>>()?
    };
    let counts = chosen.into_iter().map(count).collect::<anyhow::Result<Vec<_>>>()?;
    let mut table = Table::new(&["piece", "instructions"]);
    for count in &counts {
        table.row([format!("{}: {}", count.name, count.what), format!("{:.1}", count.instructions)]);
    }
    println!("{table}\nkept in {}", save("icount.json", &counts)?.display());
    Ok(())
}

fn named(name: &str) -> anyhow::Result<&'static Kernel> {
    let known = || KERNELS.iter().map(|kernel| kernel.name).collect::<Vec<_>>().join(", ");
    KERNELS
        .iter()
        .find(|kernel| kernel.name == name)
        .with_context(|| format!("no piece {name}; known are {}", known()))
}

fn count(kernel: &'static Kernel) -> anyhow::Result<Count> {
    eprintln!("{}", kernel.name);
    let once = under_callgrind(kernel, kernel.times)?;
    let twice = under_callgrind(kernel, 2 * kernel.times)?;
    let difference =
        twice.checked_sub(once).with_context(|| format!("{} does not grow with its count", kernel.name))?;
    let instructions = difference as f64 / kernel.times as f64;
    Ok(Count { name: kernel.name, what: kernel.what, times: kernel.times, instructions })
}

/// Instructions of the whole process.
fn under_callgrind(kernel: &Kernel, times: u64) -> anyhow::Result<u64> {
    let profile = folder()?.join(format!("icount-{}.out", std::process::id()));
    let counted = run_under_callgrind(kernel, times, &profile);
    // Nobody reads it again; a failure to remove it is no failure of the count.
    let _ = std::fs::remove_file(&profile);
    counted
}

fn run_under_callgrind(kernel: &Kernel, times: u64, profile: &Path) -> anyhow::Result<u64> {
    let binary: PathBuf = std::env::current_exe().context("the path of this binary is unknown")?;
    let mut out_file = std::ffi::OsString::from("--callgrind-out-file=");
    out_file.push(profile);
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--tool=callgrind"]).arg(out_file).arg(binary);
    command.args(["run", kernel.name, &times.to_string()]);
    let ended = child::run(&mut command, 0, LIMIT)?;
    ensure!(ended.status.success(), "valgrind ended with {}: {}", ended.status, last_line(&ended.stderr));
    let text = std::fs::read_to_string(profile).context("callgrind left no profile")?;
    match total(&text) {
        Some(total) => Ok(total),
        None => bail!("callgrind's profile has no total"),
    }
}

/// The line `totals: N` (or `summary: N`) of a profile.
fn total(profile: &str) -> Option<u64> {
    let figure = |name: &str| profile.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    figure("totals:").or_else(|| figure("summary:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_of_a_profile() {
        assert_eq!(total("version: 1\nevents: Ir\nsummary: 12\n\nfn=(1)\n1 2\ntotals: 34\n"), Some(34));
        assert_eq!(total("events: Ir\nsummary: 12\n"), Some(12));
        assert_eq!(total("events: Ir\n"), None);
    }

    #[test]
    fn names_are_unique_and_pieces_run() {
        for (index, kernel) in KERNELS.iter().enumerate() {
            assert!(KERNELS[..index].iter().all(|other| other.name != kernel.name), "{} twice", kernel.name);
            (kernel.run)(10);
        }
    }
}
