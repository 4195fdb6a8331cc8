//! One cell: brunt and its peers in turn, round after round, and what their ratios come to.

use std::fmt::Write as _;

use anyhow::bail;
use brunt_benches::child::Usage;
use brunt_benches::stats::{Median, median};
use brunt_benches::table::Table;
use brunt_benches::tools::Counts;
use serde::Serialize;

/// One run of one tool.
#[derive(Copy, Clone, Serialize)]
pub(crate) struct Run {
    pub user_us: f64,
    pub sys_us: f64,
    pub per_second: f64,
    pub completed: u64,
    pub failed: u64,
}

/// All runs of one tool in a cell; `None` where it failed.
#[derive(Serialize)]
pub(crate) struct Tool {
    pub name: &'static str,
    pub runs: Vec<Option<Run>>,
    /// Why runs were not used, one a run.
    rejected: Vec<String>,
    error: Option<String>,
}

/// Why a run that came to its end is not used; its tool runs again in the next round.
#[derive(Debug)]
pub(crate) struct Rejected(pub String);

impl std::error::Error for Rejected {}

impl std::fmt::Display for Rejected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Serialize)]
pub(crate) struct Ratio {
    pub peer: &'static str,
    /// brunt's CPU time a request over the peer's.
    pub cpu: Median,
    /// brunt's requests a second over the peer's.
    pub per_second: Median,
    /// Whether brunt's CPU time is the higher one over the whole interval.
    pub lost: bool,
}

/// What is compared, and in what.
#[derive(Serialize)]
pub(crate) struct Cell {
    pub name: String,
    /// What CPU time is divided by: requests, or handshakes where each request has one.
    pub unit: &'static str,
    pub tools: Vec<Tool>,
    pub ratios: Vec<Ratio>,
    /// The second run of brunt in a round over the first.
    pub aa: Option<Median>,
}

/// One run of a tool, whenever it is called.
pub(crate) type Runner<'a> = Box<dyn Fn() -> anyhow::Result<Run> + 'a>;

pub(crate) const BRUNT: &str = "brunt";
const BRUNT_AGAIN: &str = "brunt again";

impl Run {
    /// `None` where nothing was completed.
    pub(crate) fn of(usage: &Usage, counts: Counts) -> Option<Self> {
        let per_request = 1.0 / counts.completed as f64;
        (counts.completed > 0).then(|| Self {
            user_us: usage.user_us * per_request,
            sys_us: usage.sys_us * per_request,
            per_second: counts.completed as f64 / usage.wall.as_secs_f64(),
            completed: counts.completed,
            failed: counts.failed,
        })
    }

    pub(crate) fn cpu_us(&self) -> f64 {
        self.user_us + self.sys_us
    }
}

/// All rounds of one cell. Peers that fail are left out from then on.
///
/// # Errors
/// When brunt fails in the first round: then nothing can be compared.
pub(crate) fn measure(
    name: String,
    unit: &'static str,
    brunt: &Runner<'_>,
    peers: &[(&'static str, Runner<'_>)],
    rounds: u32,
) -> anyhow::Result<Cell> {
    let names = peers.iter().map(|(name, _)| *name);
    let mut tools: Vec<Tool> = [BRUNT].into_iter().chain(names).chain([BRUNT_AGAIN]).map(Tool::new).collect();
    for round in 0..rounds as usize {
        eprint!("\r{name}: round {} of {rounds} ", round + 1);
        let again = tools.len() - 1;
        tools[0].note(brunt());
        if let (Some(error), true) = (&tools[0].error, round == 0) {
            bail!("{error}");
        }
        for turn in 0..peers.len() {
            // The order changes, so that no tool always runs after the same other one.
            let peer = (turn + round) % peers.len();
            if tools[peer + 1].error.is_none() {
                tools[peer + 1].note((peers[peer].1)());
            } else {
                tools[peer + 1].runs.push(None);
            }
        }
        tools[again].note(brunt());
    }
    eprintln!();
    let ratios = compare(&tools);
    let aa = Median::of(&pairs(&tools[tools.len() - 1], &tools[0], Run::cpu_us));
    Ok(Cell { name, unit, tools, ratios, aa })
}

impl Tool {
    fn new(name: &'static str) -> Self {
        Self { name, runs: Vec::new(), rejected: Vec::new(), error: None }
    }

    fn note(&mut self, run: anyhow::Result<Run>) {
        if let Err(error) = &run {
            let text = format!("{error:#}");
            match error.downcast_ref::<Rejected>() {
                Some(_) => self.rejected.push(text),
                None => self.error = Some(text),
            }
        }
        self.runs.push(run.ok());
    }

    pub(crate) fn median(&self, figure: impl Fn(&Run) -> f64) -> f64 {
        median(&self.runs.iter().flatten().map(figure).collect::<Vec<_>>()).unwrap_or(f64::NAN)
    }

    /// The median, or a dash where no run was used.
    pub(crate) fn shown(&self, figure: impl Fn(&Run) -> f64, digits: usize) -> String {
        let median = self.median(figure);
        if median.is_nan() { "-".to_owned() } else { format!("{median:.digits$}") }
    }
}

/// brunt over each peer: by round, the mean of brunt's two runs over the peer's one.
fn compare(tools: &[Tool]) -> Vec<Ratio> {
    let [first, peers @ .., again] = tools else { return Vec::new() };
    let both = first.runs.iter().zip(&again.runs);
    let brunt = Tool { runs: both.map(|(a, b)| mean(*a, *b)).collect(), ..Tool::new(BRUNT) };
    let ratio = |peer: &Tool| {
        let cpu = Median::of(&pairs(&brunt, peer, Run::cpu_us))?;
        let per_second = Median::of(&pairs(&brunt, peer, |run| run.per_second))?;
        Some(Ratio { peer: peer.name, cpu, per_second, lost: cpu.low > 1.0 })
    };
    peers.iter().filter_map(ratio).collect()
}

/// The middle of two runs, or the only one.
fn mean(first: Option<Run>, again: Option<Run>) -> Option<Run> {
    let (Some(a), Some(b)) = (first, again) else { return first.or(again) };
    Some(Run {
        user_us: f64::midpoint(a.user_us, b.user_us),
        sys_us: f64::midpoint(a.sys_us, b.sys_us),
        per_second: f64::midpoint(a.per_second, b.per_second),
        completed: u64::midpoint(a.completed, b.completed),
        failed: u64::midpoint(a.failed, b.failed),
    })
}

/// The ratio in each round in which neither failed.
fn pairs(over: &Tool, under: &Tool, figure: impl Fn(&Run) -> f64) -> Vec<f64> {
    let both = over.runs.iter().zip(&under.runs);
    both.filter_map(|(over, under)| Some(figure(over.as_ref()?) / figure(under.as_ref()?))).collect()
}

/// The table of one cell, and below it what the machine alone can make and what went wrong.
pub(crate) fn render(cell: &Cell) -> String {
    let (cpu, rate) = (format!("us/{}", cell.unit), format!("{}s/s", cell.unit));
    let mut table = Table::new(&["tool", &cpu, "user", "sys", &rate, "failed", "brunt/tool", "interval"]);
    for tool in &cell.tools {
        let figures = [
            tool.shown(Run::cpu_us, 2),
            tool.shown(|run| run.user_us, 2),
            tool.shown(|run| run.sys_us, 2),
            tool.shown(|run| run.per_second, 0),
            tool.runs.iter().flatten().map(|run| run.failed).sum::<u64>().to_string(),
        ];
        let ratio = cell.ratios.iter().find(|ratio| ratio.peer == tool.name);
        let ratio = ratio.map_or_else(Vec::new, |ratio| {
            let lost = if ratio.lost { " LOST" } else { "" };
            vec![format!("{:.3}", ratio.cpu.median), format!("{}{lost}", interval(&ratio.cpu))]
        });
        table.row([tool.name.to_owned()].into_iter().chain(figures).chain(ratio));
    }
    let mut text = format!("{}\n{table}", cell.name);
    if let Some(aa) = &cell.aa {
        let _ = writeln!(text, "A/A (brunt again / brunt): {:.3}, {}", aa.median, interval(aa));
    }
    for tool in &cell.tools {
        if let (Some(last), count) = (tool.rejected.last(), tool.rejected.len()) {
            let of = tool.runs.len();
            let _ = writeln!(text, "{}: {count} of {of} runs not used, the last: {last}", tool.name);
        }
        if let Some(error) = &tool.error {
            let _ = writeln!(text, "{}: {error}", tool.name);
        }
    }
    text
}

pub(crate) fn interval(median: &Median) -> String {
    format!("{:.3}..{:.3} ({:.0} %)", median.low, median.high, median.coverage * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_of(us: f64) -> Run {
        Run { user_us: us / 2.0, sys_us: us / 2.0, per_second: 1.0, completed: 1, failed: 0 }
    }

    fn tool(name: &'static str, cpu_us: &[f64]) -> Tool {
        let run = |&us: &f64| (us > 0.0).then(|| run_of(us));
        Tool { runs: cpu_us.iter().map(run).collect(), ..Tool::new(name) }
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        let tools = [
            tool(BRUNT, &[2.0, 4.0, 6.0]),
            tool("wrk", &[4.0, 8.0, 12.0]),
            tool(BRUNT_AGAIN, &[2.0, 4.0, 6.0]),
        ];
        let ratios = compare(&tools);
        assert_eq!((ratios[0].cpu.low, ratios[0].cpu.high, ratios[0].lost), (0.5, 0.5, false));
    }

    #[test]
    fn a_cell_is_lost_only_when_the_whole_interval_is() {
        let lost = |wrk: &[f64]| {
            compare(&[tool(BRUNT, &[5.0; 3]), tool("wrk", wrk), tool(BRUNT_AGAIN, &[5.0; 3])])[0].lost
        };
        assert!(lost(&[4.0, 4.5, 4.9]));
        assert!(!lost(&[4.0, 4.5, 5.1]));
    }

    #[test]
    fn a_round_in_which_a_tool_failed_is_left_out() {
        let tools = [
            tool(BRUNT, &[2.0, 0.0, 3.0]),
            tool("wrk", &[4.0, 4.0, 0.0]),
            tool(BRUNT_AGAIN, &[0.0, 2.0, 3.0]),
        ];
        let ratio = &compare(&tools)[0];
        assert_eq!((ratio.cpu.low, ratio.cpu.high, ratio.cpu.coverage), (0.5, 0.5, 0.5));
    }

    #[test]
    fn a_rejected_run_leaves_out_its_round_and_not_its_tool() {
        let turn = std::cell::Cell::new(0);
        let peer: Runner<'_> = Box::new(|| {
            turn.set(turn.get() + 1);
            if turn.get() == 1 { Err(Rejected("invalid".into()).into()) } else { Ok(run_of(4.0)) }
        });
        let brunt: Runner<'_> = Box::new(|| Ok(run_of(2.0)));
        let cell = measure("a".into(), "request", &brunt, &[("locust", peer)], 3).expect("brunt runs");
        assert_eq!((turn.get(), cell.tools[1].runs.iter().flatten().count()), (3, 2));
        assert_eq!((cell.ratios[0].cpu.median, cell.ratios[0].cpu.coverage), (0.5, 0.5));
        assert!(
            render(&cell).contains("locust: 1 of 3 runs not used, the last: invalid"),
            "{}",
            render(&cell)
        );
    }
}
