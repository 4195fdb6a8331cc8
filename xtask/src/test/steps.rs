//! Runs one step after the other, names each before it and tells its duration after it.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::sources;
use super::suites::{Step, Suite, Work};
use super::tally::{Reader, Tally};
use crate::cargo;
use crate::console::{Stopwatch, say};
use crate::failure::Failure;
use crate::target;

/// What the tests are told.
#[derive(Debug)]
pub(super) struct Environment {
    pub(super) long: bool,
    pub(super) skip_log: PathBuf,
}

pub(super) fn run_suite(suite: &Suite, environment: &Environment, tally: &mut Tally) {
    for step in suite.steps {
        let name = format!("{}: {}", suite.name, step.name);
        say(&format!("== {name}"));
        let watch = Stopwatch::start();
        let failed_before = tally.failed;
        if let Err(failure) = run_step(&name, step, environment, tally) {
            say(&failure.message);
            tally.fail(&name);
        }
        let is_good = tally.failed == failed_before;
        say(&format!("== {name}: {} in {watch}", if is_good { "ok" } else { "FAILED" }));
        if !is_good && matches!(step.work, Work::Build(_)) {
            say(&format!("== {}: the rest needs this build and is left out", suite.name));
            break;
        }
    }
}

fn run_step(name: &str, step: &Step, environment: &Environment, tally: &mut Tally) -> Result<(), Failure> {
    match step.work {
        Work::Check(check) => {
            let violations = check()?;
            for violation in &violations {
                say(violation);
            }
            tally.count_check(name, violations.is_empty());
        }
        Work::Cargo(arguments) => tally.count_check(name, cargo::succeeds(arguments)?),
        Work::Build(arguments) => {
            if !cargo::succeeds(arguments)? {
                tally.fail(name);
            }
        }
        Work::Tests(target, arguments) => {
            let mut command = test_command(target, arguments)?;
            tell(&mut command, environment)?;
            run_tests(name, &mut command, tally)?;
            let skipped = std::fs::read_to_string(&environment.skip_log)
                .map_err(|e| Failure::io("read the list of skips", &e))?;
            tally.count_skips(&skipped);
            std::fs::write(&environment.skip_log, "")
                .map_err(|e| Failure::io("empty the list of skips", &e))?;
        }
    }
    Ok(())
}

/// `--no-fail-fast`, so that one test program that fails does not hide the others.
fn test_command(target: &[&str], arguments: &[&str]) -> Result<Command, Failure> {
    let words = [&["test", "--no-fail-fast"], target, &["--"], arguments].concat();
    cargo::command(&words)
}

fn tell(command: &mut Command, environment: &Environment) -> Result<(), Failure> {
    command.env("BRUNT_BIN", cargo::program_path("brunt", false)?);
    // Servers and network tools stand where an ordinary user's path does not look.
    command.env("PATH", target::search_path()?);
    command.env(sources::VARIABLE, sources::folder()?);
    command.env("BRUNT_SKIP_LOG", &environment.skip_log);
    if environment.long {
        command.env("BRUNT_LONG", "1");
    } else {
        command.env_remove("BRUNT_LONG");
    }
    Ok(())
}

/// Passes the tests' output through and counts what it says.
fn run_tests(name: &str, command: &mut Command, tally: &mut Tally) -> Result<(), Failure> {
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|e| Failure::io("start cargo", &e))?;
    let mut reader = Reader::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line.map_err(|e| Failure::io("read what the tests print", &e))?;
            let line = String::from_utf8_lossy(&line);
            say(&line);
            reader.read(&line);
        }
    }
    let status = child.wait().map_err(|e| Failure::io("wait for cargo", &e))?;
    tally.count_tests(name, reader.finish(), status.success());
    Ok(())
}
