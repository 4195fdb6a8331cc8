//! What brunt's memory depends on: connections and what they speak, and nothing else.
//!
//! The figure is the highest resident memory (`VmHWM`) of its two processes seen while it ran, looked up every few
//! milliseconds. The one
//! that `wait4` gives will not do: it starts at what the parent had when it forked.

use std::time::Duration;

use anyhow::ensure;
use brunt_benches::certificate::{Certificate, KeyKind};
use brunt_benches::child::Watch;
use brunt_benches::server::{Face, Nginx, Server};
use brunt_benches::table::{Machine, Table, save};
use serde::Serialize;

use crate::Setup;
use crate::brunt::Ran;

const BODY_BYTES: usize = 100;
const LOOK_EVERY: Duration = Duration::from_millis(5);
const LIMIT: Duration = Duration::from_secs(180);
/// Long enough for the handshakes of all connections, a few thousand of which a core of a server does in a second.
const SECURE_SECONDS: u32 = 12;
const FEW_CONNECTIONS: u32 = 100;
const MANY_CONNECTIONS: u32 = 10_000;
/// What is promised for a keep-alive connection above the base.
const KIB_PER_CONNECTION_MAX: f64 = 8.0;
/// Fewer connections over TLS than without: handshakes take most of a run, and memory is linear in any case.
const TLS_CONNECTIONS: [u32; 2] = [1_000, 4_000];

/// A protocol over TLS: how brunt is told to speak it, and what is promised a connection.
struct Secure {
    name: &'static str,
    flags: &'static str,
    http2: bool,
    kib_per_connection_max: f64,
}

const SECURE: [Secure; 2] = [
    Secure { name: "TLS and HTTP/1.1", flags: "", http2: false, kib_per_connection_max: 48.0 },
    Secure { name: "TLS and HTTP/2", flags: " --http2", http2: true, kib_per_connection_max: 96.0 },
];

#[derive(Serialize)]
pub(crate) struct Run {
    flags: String,
    pub peak_kib: u64,
    pub completed: u64,
    failed: u64,
    connections_opened: u64,
    response_p99_ns: u64,
    verdict: String,
    reasons: Vec<String>,
    exit_code: i32,
    pub unusable: Option<String>,
}

#[derive(Serialize)]
struct Outcome {
    machine: Machine,
    server: String,
    runs: Vec<Run>,
    kib_per_connection: f64,
    secure: Vec<SecureRuns>,
}

/// Runs with few and with many connections, and what lies between them.
#[derive(Serialize)]
struct SecureRuns {
    name: &'static str,
    runs: Vec<Run>,
    kib_per_connection: f64,
    kib_per_connection_max: f64,
    /// Why the figure does not count, where it does not.
    unsound: Option<String>,
}

/// Measures, prints, and fails where 10,000 connections did not work.
pub(crate) fn run(setup: &Setup) -> anyhow::Result<()> {
    let server = Server::start(setup.server, &[BODY_BYTES], MANY_CONNECTIONS, setup.server_core)?;
    let url = server.url(BODY_BYTES)?;
    let flags = [
        "-c 64 -n 100k".to_owned(),
        "-c 64 -n 2m".to_owned(),
        format!("-c {FEW_CONNECTIONS} -z 5s"),
        format!("-c {MANY_CONNECTIONS} -z 5s"),
    ];
    let runs =
        flags.into_iter().map(|flags| measure(setup, &url, flags)).collect::<anyhow::Result<Vec<_>>>()?;
    let [short, long, few, many] = runs.as_slice() else { unreachable!("there are four sets of flags") };
    let more_connections = f64::from(MANY_CONNECTIONS - FEW_CONNECTIONS);
    let kib_per_connection = (many.peak_kib as f64 - few.peak_kib as f64) / more_connections;
    let growth_kib = long.peak_kib as f64 - short.peak_kib as f64;
    println!("{}\nserver {}\n{}", Machine::this(), setup.server, render(&runs));
    println!("20 times the requests: {growth_kib:+.0} KiB");
    println!("{kib_per_connection:.2} KiB a connection (at most {KIB_PER_CONNECTION_MAX} promised)");
    let unsound = unsound(many, MANY_CONNECTIONS);
    // The next server is to have the core to itself.
    drop(server);
    let secure = measure_secure(setup).unwrap_or_else(|error| {
        println!("over TLS nothing was measured: {error:#}");
        Vec::new()
    });
    secure.iter().for_each(|runs| println!("{}", runs.render()));
    let (machine, server) = (Machine::this(), setup.server.to_string());
    let outcome = Outcome { machine, server, runs, kib_per_connection, secure };
    println!("kept in {}", save("peers-memory.json", &outcome)?.display());
    ensure!(
        unsound.is_none(),
        "{MANY_CONNECTIONS} connections did not work: {}",
        unsound.unwrap_or_default()
    );
    Ok(())
}

/// Connections over TLS to nginx, in either version of HTTP.
fn measure_secure(setup: &Setup) -> anyhow::Result<Vec<SecureRuns>> {
    let certificate = Certificate::make(KeyKind::P256, setup.server_core)?;
    let face = |secure: &Secure| Face::Tls { certificate: &certificate, http2: secure.http2, resume: true };
    let most = TLS_CONNECTIONS[1];
    let nginx = Nginx::start(&SECURE.each_ref().map(face), &[BODY_BYTES], most, setup.server_core)?;
    let both = |(port, secure): (usize, &Secure)| {
        let url = nginx.url(port, BODY_BYTES);
        let run = |connections| {
            let flags = format!("-c {connections} -z {SECURE_SECONDS}s --insecure{}", secure.flags);
            measure(setup, &url, flags)
        };
        let [few, many] = TLS_CONNECTIONS.map(run);
        let (few, many) = (few?, many?);
        let more_connections = f64::from(TLS_CONNECTIONS[1] - TLS_CONNECTIONS[0]);
        Ok(SecureRuns {
            name: secure.name,
            kib_per_connection: (many.peak_kib as f64 - few.peak_kib as f64) / more_connections,
            kib_per_connection_max: secure.kib_per_connection_max,
            unsound: unsound(&few, TLS_CONNECTIONS[0]).or_else(|| unsound(&many, TLS_CONNECTIONS[1])),
            runs: vec![few, many],
        })
    };
    SECURE.iter().enumerate().map(both).collect()
}

impl SecureRuns {
    fn render(&self) -> String {
        let Self { name, kib_per_connection, kib_per_connection_max, .. } = self;
        let met = match &self.unsound {
            None if kib_per_connection <= kib_per_connection_max => "met".to_owned(),
            None => "MISSED".to_owned(),
            Some(why) => format!("not known: {why}"),
        };
        format!(
            "\n{}{name}: {kib_per_connection:.2} KiB a connection (at most {kib_per_connection_max} promised): {met}",
            render(&self.runs)
        )
    }
}

/// The peak of all of brunt's processes in a run with the flags given, of a URL or a scenario file.
pub(crate) fn measure(setup: &Setup, url: &str, flags: String) -> anyhow::Result<Run> {
    eprintln!("brunt run {flags}");
    let mut peak_kib = 0;
    let mut look = |pid| peak_kib = peak_kib.max(peak_kib_of_all(pid));
    let watch = Watch { every: LOOK_EVERY, look: &mut look };
    let Ran { result, code, .. } = setup.brunt.run(&flags, url, LIMIT, Some(watch))?;
    Ok(Run {
        unusable: result.unusable(),
        flags,
        peak_kib,
        completed: result.totals.completed,
        failed: result.totals.failed,
        connections_opened: result.totals.connections_opened,
        response_p99_ns: result.latency.response.p99,
        verdict: result.verdict.status,
        reasons: result.verdict.reasons,
        exit_code: code,
    })
}

/// The process, and the child in which its engine runs.
fn peak_kib_of_all(pid: u32) -> u64 {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|child| child.parse().ok());
    children.chain([pid]).filter_map(peak_kib_of).sum()
}

/// `None` once the process has given its memory back.
fn peak_kib_of(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

fn render(runs: &[Run]) -> Table {
    let mut table =
        Table::new(&["brunt run", "peak KiB", "completed", "failed", "connections", "p99 ms", "verdict"]);
    for run in runs {
        table.row([
            run.flags.clone(),
            run.peak_kib.to_string(),
            run.completed.to_string(),
            run.failed.to_string(),
            run.connections_opened.to_string(),
            format!("{:.1}", run.response_p99_ns as f64 / 1e6),
            run.verdict.clone(),
        ]);
    }
    table
}

/// Why a run with many connections does not count as working.
pub(crate) fn unsound(run: &Run, wanted: u32) -> Option<String> {
    let opened = run.connections_opened < u64::from(wanted);
    let figures =
        format!("{} opened, {} completed, {} failed", run.connections_opened, run.completed, run.failed);
    (opened || run.completed == 0 || run.failed > 0).then_some(figures)
}

#[cfg(test)]
impl Run {
    /// A valid run with these figures.
    pub(crate) fn example(peak_kib: u64, connections_opened: u64, completed: u64, failed: u64) -> Self {
        Self {
            flags: String::new(),
            peak_kib,
            completed,
            failed,
            connections_opened,
            response_p99_ns: 0,
            verdict: "pass".to_owned(),
            reasons: Vec::new(),
            exit_code: 0,
            unusable: None,
        }
    }
}
