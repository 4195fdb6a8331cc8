//! A fixed rate: how late each way of pacing is, and what it costs.
//!
//! Before each round a bare spin loop measures what the machine itself allows: no generator can be more punctual.

use std::time::Duration;

use anyhow::Context;
use brunt_benches::affinity::on_core;
use brunt_benches::child;
use brunt_benches::noise::{self, Gaps};
use brunt_benches::server::Server;
use brunt_benches::stats::median;
use brunt_benches::table::{Machine, Table, save};
use brunt_benches::tools::{Found, Load, Shape};
use serde::Serialize;

use crate::Setup;
use crate::brunt::GRACE;

const CONNECTIONS: u32 = 64;
const BODY_BYTES: usize = 100;
const NOISE_NS: u64 = 2_000_000_000;
const PACES: [&str; 2] = ["precise", "efficient"];

#[derive(Serialize)]
struct Run {
    cpu_us: f64,
    achieved_per_second: f64,
    /// brunt's own measure; wrk2 has none.
    lag: Option<Lag>,
    verdict: Option<String>,
    reasons: Vec<String>,
}

#[derive(Copy, Clone, Serialize)]
struct Lag {
    p50_ns: u64,
    p99_ns: u64,
    max_ns: u64,
}

#[derive(Serialize)]
struct Mode {
    name: String,
    runs: Vec<Run>,
}

#[derive(Serialize)]
struct Outcome {
    machine: Machine,
    server: String,
    rate: u32,
    connections: u32,
    seconds: u32,
    modes: Vec<Mode>,
    noise: Vec<Gaps>,
}

/// Runs the modes in turn, `rounds` times, and prints the best and the median of each.
pub(crate) fn run(setup: &Setup, rate: u32, rounds: u32, seconds: u32) -> anyhow::Result<()> {
    let server = Server::start(setup.server, &[BODY_BYTES], CONNECTIONS, setup.server_core)?;
    let url = server.url(BODY_BYTES)?;
    let load =
        Load { connections: CONNECTIONS, seconds, url: &url, rate: Some(rate), shape: Shape::KeepAlive };
    let wrk2 = setup.peers.iter().find(|peer| peer.tool.name == "wrk2");
    let names = PACES.iter().map(|pace| format!("brunt {pace}")).chain(wrk2.map(|_| "wrk2".to_owned()));
    let mut outcome = Outcome {
        machine: Machine::this(),
        server: setup.server.to_string(),
        rate,
        connections: CONNECTIONS,
        seconds,
        modes: names.map(|name| Mode { name, runs: Vec::new() }).collect(),
        noise: Vec::new(),
    };
    for round in 1..=rounds {
        eprint!("\rround {round} of {rounds} ");
        outcome.noise.push(on_core(setup.core, || noise::measure(NOISE_NS))?);
        for (mode, pace) in PACES.iter().enumerate() {
            outcome.modes[mode].runs.push(run_brunt(setup, &load, pace)?);
        }
        if let (Some(wrk2), Some(mode)) = (wrk2, outcome.modes.last_mut()) {
            mode.runs.push(run_wrk2(setup, wrk2, &load)?);
        }
        save("peers-open.json", &outcome)?;
    }
    eprintln!();
    println!("{}", render(&outcome));
    if wrk2.is_none() {
        println!("wrk2 is not installed; put it into PATH or name its file in WRK2");
    }
    println!("kept in {}", save("peers-open.json", &outcome)?.display());
    Ok(())
}

fn run_brunt(setup: &Setup, load: &Load<'_>, pace: &str) -> anyhow::Result<Run> {
    let rate = load.rate.unwrap_or(0);
    let flags = format!("-q {rate} -c {} -z {}s --pace {pace}", load.connections, load.seconds);
    let ran = setup.brunt.run(&flags, load.url, limit(load), None)?;
    let lag = &ran.result.latency.lag;
    Ok(Run {
        cpu_us: (ran.usage.user_us + ran.usage.sys_us) / ran.result.totals.completed.max(1) as f64,
        achieved_per_second: ran.result.rate.achieved,
        lag: Some(Lag { p50_ns: lag.p50, p99_ns: lag.p99, max_ns: lag.max }),
        verdict: Some(ran.result.verdict.status),
        reasons: ran.result.verdict.reasons,
    })
}

fn run_wrk2(setup: &Setup, wrk2: &Found, load: &Load<'_>) -> anyhow::Result<Run> {
    let mut command = wrk2.command(load).context("wrk2 cannot make this load")?;
    let ended = child::run(&mut command, setup.core, limit(load))?;
    let counts = (wrk2.tool.counts)(&ended.stdout).context("wrk2 printed no count")?;
    Ok(Run {
        cpu_us: (ended.usage.user_us + ended.usage.sys_us) / counts.completed.max(1) as f64,
        achieved_per_second: counts.completed as f64 / f64::from(load.seconds),
        lag: None,
        verdict: None,
        reasons: Vec::new(),
    })
}

fn limit(load: &Load<'_>) -> Duration {
    Duration::from_secs(load.seconds.into()) + GRACE
}

fn render(outcome: &Outcome) -> String {
    let head = [
        "mode",
        "us/request best",
        "median",
        "lag p50 best",
        "median",
        "lag p99 best",
        "median",
        "achieved/s",
        "verdicts",
    ];
    let mut table = Table::new(&head);
    for mode in &outcome.modes {
        let best_and_median = |figure: &dyn Fn(&Run) -> Option<f64>, unit: f64, places: usize| {
            let figures: Vec<f64> = mode.runs.iter().filter_map(figure).map(|value| value / unit).collect();
            let best = figures.iter().copied().reduce(f64::min);
            [best, median(&figures)]
                .map(|value| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.places$}")))
        };
        let lag = |of: fn(&Lag) -> u64| move |run: &Run| run.lag.as_ref().map(|lag| of(lag) as f64);
        let achieved: Vec<f64> = mode.runs.iter().map(|run| run.achieved_per_second).collect();
        let mut row = vec![mode.name.clone()];
        row.extend(best_and_median(&|run| Some(run.cpu_us), 1.0, 2));
        row.extend(best_and_median(&lag(|lag| lag.p50_ns), 1e3, 1));
        row.extend(best_and_median(&lag(|lag| lag.p99_ns), 1e3, 1));
        row.push(format!("{:.0}", median(&achieved).unwrap_or(0.0)));
        row.push(verdicts(&mode.runs));
        table.row(row);
    }
    let noise = |figure: fn(&Gaps) -> u64| {
        let figures: Vec<f64> = outcome.noise.iter().map(|gaps| figure(gaps) as f64 / 1e3).collect();
        let (best, worst) =
            (figures.iter().copied().reduce(f64::min), figures.iter().copied().reduce(f64::max));
        format!("{:.2}..{:.2} us", best.unwrap_or(0.0), worst.unwrap_or(0.0))
    };
    format!(
        "{}\n{} requests/s over {} connections on {}, {} runs of {} s; lag in us\n{table}\
         the machine's own noise, by a bare spin loop on that core: gap of clock reads p99 {}, worst {};\n\
         lag p99 that a perfect generator would have had: {}\n",
        outcome.machine,
        outcome.rate,
        outcome.connections,
        outcome.server,
        outcome.noise.len(),
        outcome.seconds,
        noise(|gaps| gaps.gap_p99_ns),
        noise(|gaps| gaps.gap_max_ns),
        noise(|gaps| gaps.ideal_lag_p99_ns),
    )
}

/// Each verdict with how often it was given.
fn verdicts(runs: &[Run]) -> String {
    let mut counted: Vec<(&str, usize)> = Vec::new();
    for verdict in runs.iter().filter_map(|run| run.verdict.as_deref()) {
        match counted.iter_mut().find(|(name, _)| *name == verdict) {
            Some((_, count)) => *count += 1,
            None => counted.push((verdict, 1)),
        }
    }
    let texts: Vec<String> = counted.iter().map(|(name, count)| format!("{count} {name}")).collect();
    if texts.is_empty() { "-".to_owned() } else { texts.join(", ") }
}
