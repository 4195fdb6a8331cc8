//! The command `brunt`: reads flags, wires a run together, and turns its end into an exit code.
#![forbid(unsafe_code)]

mod check;
mod doctor;
mod engine;
mod error;
mod exit;
mod flags;
mod host;
mod import;
mod kernel;
mod manual;
mod origin;
mod output;
mod preview;
mod report;
mod run;
mod terminal;
mod tui;

use std::process::ExitCode;

use clap::Parser as _;

use crate::error::CommandError;
use crate::exit::Exit;
use crate::flags::{Cli, Command};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(shown) => {
            // Help and version come this way too, with code 0; a closed pipe is no reason to complain.
            let _ = shown.print();
            return ExitCode::from(u8::try_from(shown.exit_code()).unwrap_or(Exit::Usage.code()));
        }
    };
    let exit = execute(cli.command).unwrap_or_else(|error| error.tell());
    ExitCode::from(exit.code())
}

fn execute(command: Command) -> Result<Exit, CommandError> {
    match command {
        Command::Run(flags) => run::run(&flags),
        Command::Engine(process) => engine::child::serve(&process),
        Command::Check(flags) => check::check(&flags),
        Command::Plan(flags) => preview::plan(&flags),
        Command::Import(flags) => import::import(&flags),
        Command::Schema => check::schema(),
        Command::Report(flags) => report::report(&flags),
        Command::Doctor(flags) => doctor::doctor(&flags),
        Command::Origin(flags) => origin::origin(&flags),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { folder } => manual::pages(folder.as_deref()),
    }
}
