//! How brunt is called, and what is read from its result.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use brunt_benches::child::{self, Usage, Watch};
use brunt_benches::table::folder;
use brunt_benches::tools::Counts;
use serde::Deserialize;

/// A run may take this much longer than it should before it is killed.
pub(crate) const GRACE: Duration = Duration::from_secs(20);

/// The binary under test and where it writes.
pub(crate) struct Brunt {
    binary: PathBuf,
    result: PathBuf,
    core: usize,
}

/// One run of brunt.
pub(crate) struct Ran {
    pub usage: Usage,
    pub result: RunResult,
    /// Its exit code: 0 pass, 3 a limit failed, 4 the generator was the limit, others are errors.
    pub code: i32,
}

/// The fields of brunt's JSON result that are used here.
#[derive(Deserialize)]
pub(crate) struct RunResult {
    pub verdict: Verdict,
    pub totals: Totals,
    pub latency: Latency,
    pub rate: Rate,
    pub kernel: Kernel,
}

#[derive(Deserialize)]
pub(crate) struct Kernel {
    pub coverage: Option<f64>,
}

#[derive(Deserialize)]
pub(crate) struct Verdict {
    pub status: String,
    pub reasons: Vec<String>,
}

#[derive(Deserialize)]
pub(crate) struct Totals {
    pub completed: u64,
    pub failed: u64,
    pub connections_opened: u64,
    pub tls_handshakes: u64,
    pub tls_resumed: u64,
}

#[derive(Deserialize)]
pub(crate) struct Latency {
    pub lag: Quantiles,
    pub service: Quantiles,
    pub response: Quantiles,
}

#[derive(Deserialize)]
pub(crate) struct Quantiles {
    pub p50: u64,
    pub p99: u64,
    pub max: u64,
}

#[derive(Deserialize)]
pub(crate) struct Rate {
    pub achieved: f64,
}

impl RunResult {
    /// Why no figure may be taken of this run: it failed requests, or its verdict is another than pass.
    pub(crate) fn unusable(&self) -> Option<String> {
        let Verdict { status, reasons } = &self.verdict;
        match self.totals.failed {
            0 if status == "pass" => None,
            0 => Some(format!("{status}: {}", reasons.join("; "))),
            failed => Some(format!("{failed} requests failed")),
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts { completed: self.totals.completed, failed: self.totals.failed }
    }
}

impl Brunt {
    /// The binary that `BRUNT_BIN` names.
    pub(crate) fn from_environment(core: usize) -> anyhow::Result<Self> {
        let binary = std::env::var_os("BRUNT_BIN").map(PathBuf::from).context(
            "BRUNT_BIN is not set: it names the brunt to measure; `cargo xtask bench peers` builds one and sets it",
        )?;
        if !binary.is_file() {
            bail!("BRUNT_BIN is {}, which is no file; build it with cargo build --release", binary.display());
        }
        Ok(Self { binary, result: folder()?.join("peers-brunt.json"), core })
    }

    /// Runs it on its core with the flags given, and reads its result.
    pub(crate) fn run(
        &self,
        flags: &str,
        url: &str,
        limit: Duration,
        watch: Option<Watch<'_>>,
    ) -> anyhow::Result<Ran> {
        // A result that an earlier run left must not pass for this one's.
        let _ = std::fs::remove_file(&self.result);
        let mut output = std::ffi::OsString::from("json=");
        output.push(&self.result);
        let mut command = Command::new(&self.binary);
        command.arg("run").args(flags.split_whitespace());
        // Other generators have neither; what they cost is measured apart.
        if !flags.contains("--kernel") {
            command.args(["--kernel", "off", "--guard", "off"]);
        }
        command.args(["--cores", &self.core.to_string(), "--no-tui", "-o"]).arg(output).arg(url);
        let ended = child::run_watched(&mut command, self.core, limit, watch)?;
        let Some(code @ (0 | 3 | 4)) = ended.status.code() else {
            bail!("brunt ended with {}: {}", ended.status, self.why(&ended.stderr));
        };
        let text = std::fs::read_to_string(&self.result)
            .with_context(|| format!("brunt wrote no result to {}", self.result.display()))?;
        let result =
            serde_json::from_str(&text).context("the result of brunt has other fields than expected")?;
        Ok(Ran { usage: ended.usage, result, code })
    }

    /// Why it ended with an error: what its result says, where there is one, else its last words.
    fn why(&self, stderr: &str) -> String {
        let text = std::fs::read_to_string(&self.result).unwrap_or_default();
        match serde_json::from_str::<RunResult>(&text) {
            Ok(result) => result.verdict.reasons.join("; "),
            Err(_) => child::last_line(stderr).to_owned(),
        }
    }
}
