//! The project's own commands: `cargo xtask <command>`, one file each.
//!
//! This crate uses nothing but the standard library, so that its first line shows seconds after a fresh clone.
//! It never links what it checks: it reads sources and runs the built binaries.

mod bench;
mod cargo;
mod ci;
mod console;
mod demo;
mod deny;
mod ebpf;
mod failure;
mod fuzz;
mod layers;
mod lint;
mod man;
mod manifest;
mod source;
mod target;
mod test;
mod tidy;
mod tree;

use std::process::ExitCode;

use console::say;
use failure::Failure;

/// One command. `run` gets what follows the name and returns the exit code.
struct Command {
    name: &'static str,
    arguments: &'static str,
    about: &'static str,
    run: fn(&[String]) -> Result<u8, Failure>,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "test",
        arguments: "[--only SUITE]... [--long] [--no-install]",
        about: "run the checks and tests; the last line counts them",
        run: test::run,
    },
    Command {
        name: "demo",
        arguments: "",
        about: "load a real server for ten seconds and print the report",
        run: demo::run,
    },
    Command {
        name: "lint",
        arguments: "",
        about: "fmt, clippy, layers and tidy, and no tests",
        run: lint::run,
    },
    Command {
        name: "layers",
        arguments: "",
        about: "prove who may use whom, and where unsafe code may live",
        run: layers::run,
    },
    Command { name: "tidy", arguments: "", about: "house checks on every file", run: tidy::run },
    Command {
        name: "deny",
        arguments: "",
        about: "licences, sources and banned crates, by cargo-deny",
        run: deny::run,
    },
    Command {
        name: "bench",
        arguments: "[peers|runtimes|icount] [ARGUMENT]...",
        about: "measure; the default is peers",
        run: bench::run,
    },
    Command {
        name: "fuzz",
        arguments: "[TARGET] [--seconds N]",
        about: "any bytes into the protocol machines, by cargo-fuzz",
        run: fuzz::run,
    },
    Command {
        name: "ebpf",
        arguments: "[--check]",
        about: "build the kernel programs, or prove that the stored ones are of these sources",
        run: ebpf::run,
    },
    Command { name: "man", arguments: "", about: "write the manual page to target/man", run: man::run },
    Command { name: "ci", arguments: "", about: "what CI runs: .ci/run", run: ci::run },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            console::complain(&format!("xtask: {}", failure.message));
            ExitCode::from(failure.exit_code)
        }
    }
}

fn dispatch(arguments: &[String]) -> Result<u8, Failure> {
    let Some((name, rest)) = arguments.split_first() else {
        help();
        return Ok(2);
    };
    if ["help", "--help", "-h"].contains(&name.as_str()) || rest.iter().any(|word| word == "--help") {
        help();
        return Ok(0);
    }
    let command = COMMANDS.iter().find(|command| command.name == name).ok_or_else(|| {
        Failure::usage(format!("there is no command `{name}`; `cargo xtask help` lists them"))
    })?;
    (command.run)(rest)
}

fn help() {
    say("usage: cargo xtask <command>");
    say("");
    for Command { name, arguments, about, .. } in COMMANDS {
        say(&format!("  {name:<7} {about}"));
        if !arguments.is_empty() {
            say(&format!("          {name} {arguments}"));
        }
    }
    say("");
    say("suites of test:");
    for suite in test::suites::SUITES {
        say(&format!("  {:<7} {}", suite.name, suite.about));
    }
}
