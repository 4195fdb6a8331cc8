//! The binary under test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use brunt_model::report::Report;
use rustix::process::{Pid, Signal};
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Ended, Running};
use crate::terminal::Terminal;
use crate::{clean, clock};

/// A command may take this long unless it says otherwise; past it, it hangs.
const DEADLINE: Duration = Duration::from_secs(25);

/// One call of `brunt`, about to be made.
#[derive(Clone, Debug)]
pub struct Brunt {
    args: Vec<String>,
    wrapper: Vec<String>,
    environment: Vec<(String, String)>,
    deadline: Duration,
}

impl Brunt {
    /// The arguments, separated by white space.
    #[must_use]
    pub fn new(args: &str) -> Self {
        Self {
            args: args.split_whitespace().map(str::to_owned).collect(),
            wrapper: Vec::new(),
            environment: Vec::new(),
            deadline: DEADLINE,
        }
    }

    /// One more argument, white space and all.
    #[must_use]
    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// More of them, each white space and all.
    #[must_use]
    pub fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    /// Is started by this command, which must become it by `exec`.
    #[must_use]
    pub fn wrapped(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Sees this variable, and no other `BRUNT_*` than those given so.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Hangs if it runs longer than this.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Runs to the end.
    #[must_use]
    #[track_caller]
    pub fn run(self) -> Ended {
        let deadline = self.deadline;
        Running::start(self.command()).finish(deadline)
    }

    /// Starts, and leaves the result where the arguments say.
    #[must_use]
    pub fn start(self) -> Running {
        Running::start(self.command())
    }

    /// Runs to the end with `-o json=FILE` added, and reads that file.
    #[must_use]
    #[track_caller]
    pub fn json(self) -> Measured {
        self.start_json().finish()
    }

    /// Starts, with `-o json=FILE` added.
    ///
    /// # Panics
    /// When no temporary directory can be made.
    #[must_use]
    pub fn start_json(self) -> Measuring {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let file = directory.path().join("result.json");
        let deadline = self.deadline;
        let with_output = self.arg("-o").arg(&format!("json={}", file.display()));
        Measuring { running: Running::start(with_output.command()), directory, file, deadline }
    }

    /// Starts in a terminal of this many columns and rows.
    #[must_use]
    pub fn in_terminal(self, columns: u16, rows: u16) -> Terminal {
        Terminal::start(&self.command(), columns, rows)
    }

    fn command(self) -> Command {
        let binary = binary();
        let words: Vec<String> =
            self.wrapper.into_iter().chain([path_text(&binary)]).chain(self.args).collect();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("BRUNT_")) {
                command.env_remove(name);
            }
        }
        command.envs(self.environment);
        command
    }
}

/// `brunt` with these arguments, to its end.
#[must_use]
#[track_caller]
pub fn brunt(args: &str) -> Ended {
    Brunt::new(args).run()
}

/// `brunt run` with these arguments, to its end, with its result as JSON.
#[must_use]
#[track_caller]
pub fn measure(args: &str) -> Measured {
    Brunt::new(&format!("run {args}")).json()
}

/// A run under way.
#[derive(Debug)]
pub struct Measuring {
    running: Running,
    directory: TempDir,
    file: PathBuf,
    deadline: Duration,
}

impl Measuring {
    pub fn signal(&self, signal: Signal) {
        self.running.signal(signal);
    }

    /// Sends a signal to its process group, as a terminal does.
    pub fn signal_group(&self, signal: Signal) {
        self.running.signal_group(signal);
    }

    /// Waits for the process in which the engine runs.
    #[must_use]
    pub fn engine(&self) -> Pid {
        engine_of(&self.running)
    }

    /// Waits for the end and reads the result.
    ///
    /// # Panics
    /// When it hangs, or wrote no result that can be read.
    #[must_use]
    #[track_caller]
    pub fn finish(self) -> Measured {
        let ended = self.running.finish(self.deadline);
        assert!(!ended.stderr.contains("panicked at"), "it panicked\n{}", ended.story());
        let text = std::fs::read_to_string(&self.file)
            .unwrap_or_else(|error| panic!("the result cannot be read: {error}\n{}", ended.story()));
        let json: Value = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("the result is not JSON: {error}\n{text}\n{}", ended.story()));
        let report = serde_json::from_value(json.clone()).unwrap_or_else(|error| {
            panic!("the result is not a report: {error}\n{json:#}\n{}", ended.story())
        });
        drop(self.directory);
        Measured { ended, report, json }
    }
}

/// Waits for the process in which the engine of a run runs.
#[must_use]
pub fn engine_of(running: &Running) -> Pid {
    // A loader may be another child.
    let is_engine = |pid: &Pid| {
        let line = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
        line.split(|&byte| byte == 0).nth(1) == Some(b"engine")
    };
    clock::until("the engine process", DEADLINE, || running.children().into_iter().find(is_engine))
}

/// A run that has ended, with its result.
#[derive(Debug)]
pub struct Measured {
    pub ended: Ended,
    pub report: Report,
    /// The same as it was written.
    pub json: Value,
}

impl Measured {
    /// The result's figures and how the process ended, for messages.
    #[must_use]
    pub fn story(&self) -> String {
        let r = &self.report;
        format!(
            "verdict {:?}\ntotals {:?}\nstatus {:?}\nerrors {:?}\n{}",
            r.verdict,
            r.totals,
            r.status,
            r.errors,
            self.ended.story()
        )
    }

    /// Asserts the exit code, and that the counts add up.
    ///
    /// # Panics
    /// When one of them is not so.
    #[track_caller]
    pub fn expect(&self, code: i32) -> &Self {
        assert!(self.ended.code == Some(code), "exit code {code} was expected\n{}", self.story());
        self.expect_counts(code)
    }

    /// The same for tests that are about counts, not about the verdict: where the host disturbed the run, or a build
    /// without optimization was too slow for it, it may be invalid instead of passed or failed, and the counts must be
    /// exact all the same.
    ///
    /// Of every result it must be true that both accounting identities hold, and that statuses and errors add up
    /// to the requests that ended (in a run without a warm-up).
    ///
    /// # Panics
    /// When one of them is not so.
    #[track_caller]
    pub fn expect_counts(&self, code: i32) -> &Self {
        let excused = matches!(code, 0 | 3)
            && self.ended.code == Some(4)
            && clean::disturbed_or_busy(&self.report.verdict);
        assert!(excused || self.ended.code == Some(code), "exit code {code} was expected\n{}", self.story());
        let t = &self.report.totals;
        let arrivals = t.finished + t.failed_arrivals + t.dropped + t.in_flight + t.lost;
        assert!(t.scheduled == arrivals, "arrivals do not add up: {arrivals}\n{}", self.story());
        let in_flight = t.started.checked_sub(t.completed + t.failed);
        assert!(
            in_flight.is_some_and(|n| n <= t.in_flight + t.lost),
            "requests do not add up\n{}",
            self.story()
        );
        let failed = self.report.errors.values().sum::<u64>() - self.errors("engine_lost");
        assert!(failed == t.failed, "{failed} errors, {} failed\n{}", t.failed, self.story());
        // A redirect that is refused is an answer too, with its status, and so is what a check refused. Where a value is
        // missing, that may be in an answer, or in a request that could not be made for want of it.
        let refused = ["status", "redirect_refused", "check_failed"].map(|kind| self.errors(kind));
        let least = t.completed + refused.iter().sum::<u64>();
        let answers = self.report.answers();
        assert!(
            (least..=least + self.errors("extract_failed")).contains(&answers),
            "{answers} answers do not add up\n{}",
            self.story()
        );
        self
    }

    /// Failures of this kind.
    #[must_use]
    pub fn errors(&self, kind: &str) -> u64 {
        self.report.errors.get(kind).copied().unwrap_or(0)
    }

    /// Asserts the kinds of failure and their counts, all of them.
    ///
    /// # Panics
    /// When there are others.
    #[track_caller]
    pub fn expect_errors(&self, errors: &[(&str, u64)]) -> &Self {
        let got: Vec<_> = self.report.errors.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
        assert!(got == errors, "errors {errors:?} were expected\n{}", self.story());
        self
    }
}

/// `BRUNT_BIN`, else `debug/brunt` of the workspace's target directory.
#[must_use]
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("BRUNT_BIN") {
        return PathBuf::from(path);
    }
    target_directory().join("debug/brunt")
}

/// The workspace's target directory.
pub(crate) fn target_directory() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    workspace.join(target)
}

fn path_text(path: &Path) -> String {
    path.to_str().expect("the path of the binary is UTF-8").to_owned()
}
