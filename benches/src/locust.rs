//! Locust: a given one, or one in a virtual environment of the benches' own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

use crate::child::{self, Ended, Usage, last_line};
use crate::table::folder;
use crate::tools::Counts;

/// The release measured; the newest one where it cannot be installed.
const VERSION: &str = "2.24.1";
const ASK_LIMIT: Duration = Duration::from_secs(60);
const INSTALL_LIMIT: Duration = Duration::from_secs(600);

/// An installed Locust.
#[derive(Debug)]
pub struct Locust {
    program: PathBuf,
    /// Its own words: `locust 2.24.1 from ... (python 3.11.7)`.
    pub version: String,
}

/// A line of the list that `--json` prints: one a request name.
#[derive(Deserialize)]
struct Entry {
    /// Failed ones too.
    num_requests: u64,
    num_failures: u64,
}

impl Locust {
    /// The one that the variable `LOCUST` names, else that of the bench's own folder; `None` where there is neither.
    ///
    /// # Errors
    /// When `LOCUST` names something else.
    pub fn installed(core: usize) -> anyhow::Result<Option<Self>> {
        if let Some(program) = std::env::var_os("LOCUST").map(PathBuf::from) {
            return Self::at(program, core).map(Some).context("LOCUST must name the program locust");
        }
        Ok(Self::at(program(&home()?), core).ok())
    }

    /// Installs it from PyPI into the bench's own folder.
    ///
    /// # Errors
    /// When Python's module venv or PyPI cannot be had.
    pub fn install(core: usize) -> anyhow::Result<Self> {
        let home = home()?;
        make(&home, core)?;
        Self::at(program(&home), core)
    }

    fn at(program: PathBuf, core: usize) -> anyhow::Result<Self> {
        let ended = child::run(Command::new(&program).arg("--version"), core, ASK_LIMIT)?;
        let version = last_line(&ended.stdout).to_owned();
        ensure!(
            ended.status.success() && version.starts_with("locust "),
            "{} --version says: {}",
            program.display(),
            last_line(&ended.stderr)
        );
        Ok(Self { program, version })
    }

    /// One process without a web page, whose users all begin at once and wait for nothing.
    #[must_use]
    pub fn command(&self, file: &Path, origin: &str, users: u32, seconds: u32) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["--headless", "--json", "--only-summary", "--loglevel", "WARNING"]);
        // A user is spawned at a time, but all of them in the first instants.
        command.args(["-u", &users.to_string(), "-r", &users.to_string(), "-t", &format!("{seconds}s")]);
        command.arg("-H").arg(origin).arg("-f").arg(file);
        command
    }
}

fn home() -> anyhow::Result<PathBuf> {
    Ok(folder()?.join("locust"))
}

fn program(home: &Path) -> PathBuf {
    home.join("bin").join("locust")
}

/// Makes the virtual environment and installs into it.
fn make(home: &Path, core: usize) -> anyhow::Result<()> {
    let mut make = Command::new("python3");
    // What an interrupted attempt left is cleared away.
    make.args(["-m", "venv", "--clear"]).arg(home);
    succeed(&mut make, core).context(
        "no virtual environment for locust; it takes python3 with its module venv (apt-get install python3-venv)",
    )?;
    let pip = |package: &str| {
        let mut pip = Command::new(home.join("bin").join("pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check", package]);
        succeed(&mut pip, core)
    };
    pip(&format!("locust=={VERSION}"))
        .or_else(|_| pip("locust"))
        .context("locust cannot be installed from PyPI; install it elsewhere and name its program in LOCUST")
}

fn succeed(command: &mut Command, core: usize) -> anyhow::Result<()> {
    let ended = child::run(command, core, INSTALL_LIMIT)?;
    // venv explains itself on standard output.
    let said = if ended.stderr.trim().is_empty() { &ended.stdout } else { &ended.stderr };
    ensure!(ended.status.success(), "{}", last_line(said));
    Ok(())
}

/// What came of a run.
#[derive(Copy, Clone, Debug)]
pub struct Figures {
    pub counts: Counts,
    /// From the first request on. To import Python's modules takes longer than a short run, so that is kept apart.
    pub usage: Usage,
    /// CPU time before the first request.
    pub start_up_us: f64,
}

/// What a run over `seconds` counted and used.
///
/// # Errors
/// When it printed no counts, or its file did not tell the start-up.
pub fn figures(ended: &Ended, seconds: u32) -> anyhow::Result<Figures> {
    let Some(counts) = counts(&ended.stdout) else {
        bail!("locust ended with {} and no count: {}", ended.status, last_line(&ended.stderr));
    };
    let (user_us, sys_us) = start_up_us(&ended.stderr).context("locust did not tell its start-up")?;
    let usage = Usage {
        user_us: ended.usage.user_us - user_us,
        sys_us: ended.usage.sys_us - sys_us,
        wall: Duration::from_secs(seconds.into()),
    };
    Ok(Figures { counts, usage, start_up_us: user_us + sys_us })
}

fn counts(output: &str) -> Option<Counts> {
    let entries: Vec<Entry> = serde_json::from_str(output).ok()?;
    let failed = entries.iter().map(|entry| entry.num_failures).sum();
    let all: u64 = entries.iter().map(|entry| entry.num_requests).sum();
    Some(Counts { completed: all.checked_sub(failed)?, failed })
}

/// `start-up: 0.61 0.08`, in seconds, among other lines.
fn start_up_us(output: &str) -> Option<(f64, f64)> {
    let line = output.lines().find_map(|line| line.strip_prefix("start-up: "))?;
    let (user, sys) = line.trim().split_once(' ')?;
    let us = |seconds: &str| seconds.parse::<f64>().ok().map(|seconds| seconds * 1e6);
    Some((us(user)?, us(sys)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(output: &str, expected: Option<(u64, u64)>) {
        let expected = expected.map(|(completed, failed)| Counts { completed, failed });
        assert_eq!(counts(output), expected, "{output}");
    }

    #[test]
    fn failed_requests_are_not_completed() {
        let entry = |all: u64, failed: u64| {
            format!(
                r#"{{"name": "GET /items/{{id}}", "num_requests": {all}, "num_failures": {failed}, "a": []}}"#
            )
        };
        check(&format!("[\n    {}\n]\n", entry(2_315, 0)), Some((2_315, 0)));
        check(&format!("[{}, {}]", entry(10, 3), entry(5, 5)), Some((7, 8)));
        check("[]", Some((0, 0)));
        check("", None);
        check("[{}]", None);
    }

    #[test]
    fn start_up_is_found_among_other_lines() {
        let found = start_up_us("a warning\nstart-up: 0.5 0.25\nanother\n");
        assert_eq!(found, Some((500_000.0, 250_000.0)));
        for other in ["", "start-up: 0.5", "start-up: a b"] {
            assert_eq!(start_up_us(other), None, "{other}");
        }
    }
}
