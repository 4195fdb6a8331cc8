//! HTTPS beside wrk and h2load, and handshakes beside what opens connections as fast.
//!
//! All of it is TLS 1.3 with one cipher suite and one group, which nginx offers alone. No tool verifies the chain of
//! the certificate, since peers never do. Shapes are such that both sides open as many connections in the same way:
//!
//! - *keep-alive*: requests one after another on 64 connections;
//! - *full, in turn*: 64 connections at a time, one request each. wrk resumes sessions where it can, so nginx gives none;
//! - *full, at once*: h2load cannot replace a connection, so all are opened at the start, one request each;
//! - *resumed*: one connection at a time, as `openssl s_time` does it.

use std::process::Command;

use anyhow::{Context, bail, ensure};
use brunt_benches::certificate::{Certificate, KeyKind};
use brunt_benches::child::{self, last_line};
use brunt_benches::server::{Face, Nginx};
use brunt_benches::table::{Machine, save};
use brunt_benches::tools::{Counts, Load, Shape, in_path};
use serde::Serialize;

use crate::Setup;
use crate::cell::{self, Cell, Run, Runner};
use crate::goal::{self, Goal, Judged, Kind};
use crate::runs::{among, limit, run_brunt, run_peer};

const BODY_BYTES: usize = 100;
const CONNECTIONS: u32 = 64;
/// Enough for a second of work, and fewer than the ports that one address has.
const CONNECTIONS_AT_ONCE: u32 = 2_000;
const PEERS: [&str; 3] = ["wrk", "h2load", "oha"];
const S_TIME: &str = "s_time";
const FILE: &str = "peers-tls.json";
/// A tool that resumes fewer of its sessions than this is measured at something else.
const RESUMED_SHARE_MIN: f64 = 0.9;

const KEEP_ALIVE_GOALS: [Goal; 1] = [Goal { peer: "wrk", kind: Kind::Cpu(0.78) }];
const AT_ONCE_GOALS: [Goal; 1] = [Goal { peer: "h2load", kind: Kind::PerCpuSecond(1.3) }];

/// What is done with a handshake.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Handshakes {
    Full,
    Resumed,
}

struct Plan<'a> {
    setup: &'a Setup,
    nginx: Nginx,
    key: KeyKind,
    rounds: u32,
    seconds: u32,
}

type Measure = fn(&Plan<'_>) -> anyhow::Result<Cell>;

#[derive(Serialize)]
struct Outcome {
    machine: Machine,
    seconds: u32,
    rounds: u32,
    body_bytes: usize,
    cells: Vec<Cell>,
    goals: Vec<Judged>,
}

/// Measures all cells with each kind of key.
pub(crate) fn run(setup: &Setup, keys: &[KeyKind], rounds: u32, seconds: u32) -> anyhow::Result<()> {
    let (machine, cells, goals) = (Machine::this(), Vec::new(), Vec::new());
    println!(
        "{machine}\nTLS 1.3, AES-128-GCM, X25519; nginx on core {}, generators on core {}; 4 cells a key of {rounds} \
         rounds, {seconds} s a run\n",
        setup.server_core, setup.core,
    );
    let mut outcome = Outcome { machine, seconds, rounds, body_bytes: BODY_BYTES, cells, goals };
    for &key in keys {
        let plan = Plan { setup, nginx: start_nginx(key, setup.server_core)?, key, rounds, seconds };
        let cells: [(Measure, &[Goal]); 4] = [
            (keep_alive, &KEEP_ALIVE_GOALS),
            (full_in_turn, &[]),
            (full_at_once, &AT_ONCE_GOALS),
            (resumed, &[]),
        ];
        for (measure, goals) in cells {
            let cell = measure(&plan)?;
            let judged = goal::judge(&cell, goals);
            println!("{}{}{}", cell::render(&cell), per_cpu_second(&cell), goal::render(&judged));
            outcome.cells.push(cell);
            outcome.goals.extend(judged);
            save(FILE, &outcome)?;
        }
    }
    println!("kept in {}", save(FILE, &outcome)?.display());
    Ok(())
}

/// Two ports: where sessions can be resumed, and where they cannot.
fn start_nginx(key: KeyKind, core: usize) -> anyhow::Result<Nginx> {
    let certificate = Certificate::make(key, core)?;
    let face = |resume| Face::Tls { certificate: &certificate, http2: false, resume };
    Nginx::start(&[face(true), face(false)], &[BODY_BYTES], CONNECTIONS_AT_ONCE, core)
}

/// How many handshakes a second of CPU time goes into, tool by tool.
fn per_cpu_second(cell: &Cell) -> String {
    if cell.unit == "request" {
        return String::new();
    }
    let figure = |tool: &cell::Tool| format!("{} {:.0}", tool.name, 1e6 / tool.median(Run::cpu_us));
    let figures: Vec<String> = cell.tools.iter().map(figure).collect();
    format!("{}s a CPU second: {}\n", cell.unit, figures.join(", "))
}

fn keep_alive(plan: &Plan<'_>) -> anyhow::Result<Cell> {
    let url = plan.url(Handshakes::Resumed);
    let load = plan.load(&url, CONNECTIONS, Shape::KeepAlive);
    let flags = format!("-c {CONNECTIONS} -z {}s --insecure", plan.seconds);
    let brunt: Runner<'_> = Box::new(|| run_brunt(plan.setup, &flags, &load));
    plan.measure("keep-alive", "request", &brunt, &load)
}

fn full_in_turn(plan: &Plan<'_>) -> anyhow::Result<Cell> {
    let url = plan.url(Handshakes::Full);
    let load = plan.load(&url, CONNECTIONS, Shape::Close);
    let flags = format!("-c {CONNECTIONS} -z {}s --disable-keepalive --no-resume --insecure", plan.seconds);
    let brunt: Runner<'_> = Box::new(|| brunt_handshakes(plan.setup, &flags, &load, Handshakes::Full));
    plan.measure("full handshakes in turn", "handshake", &brunt, &load)
}

fn full_at_once(plan: &Plan<'_>) -> anyhow::Result<Cell> {
    let url = plan.url(Handshakes::Full);
    let n = CONNECTIONS_AT_ONCE;
    let load = plan.load(&url, n, Shape::AtOnce);
    let flags = format!("-c {n} -n {n} --disable-keepalive --no-resume --insecure");
    let brunt: Runner<'_> = Box::new(|| brunt_handshakes(plan.setup, &flags, &load, Handshakes::Full));
    plan.measure("full handshakes at once", "handshake", &brunt, &load)
}

fn resumed(plan: &Plan<'_>) -> anyhow::Result<Cell> {
    let url = plan.url(Handshakes::Resumed);
    let load = plan.load(&url, 1, Shape::Close);
    let flags = format!("-c 1 -z {}s --disable-keepalive --insecure", plan.seconds);
    let brunt: Runner<'_> = Box::new(|| brunt_handshakes(plan.setup, &flags, &load, Handshakes::Resumed));
    let peer: (_, Runner<'_>) = (S_TIME, Box::new(|| s_time(plan.setup, &load)));
    let name = plan.name("resumed handshakes", &load);
    cell::measure(name, "handshake", &brunt, &[peer], plan.rounds)
}

impl Plan<'_> {
    fn url(&self, handshakes: Handshakes) -> String {
        self.nginx.url(usize::from(handshakes == Handshakes::Full), BODY_BYTES)
    }

    fn load<'u>(&self, url: &'u str, connections: u32, shape: Shape) -> Load<'u> {
        Load { connections, seconds: self.seconds, url, rate: None, shape }
    }

    fn name(&self, what: &str, load: &Load<'_>) -> String {
        format!("{what}, {}, {} connections, {BODY_BYTES} B", self.key, load.connections)
    }

    /// All rounds of a cell, with the peers that can make its shape of load.
    fn measure(
        &self,
        what: &str,
        unit: &'static str,
        brunt: &Runner<'_>,
        load: &Load<'_>,
    ) -> anyhow::Result<Cell> {
        let able = among(self.setup, &PEERS).into_iter().filter(|peer| peer.command(load).is_some());
        let peers: Vec<_> = able.map(|peer| (peer.tool.name, run_peer(self.setup, peer, load))).collect();
        cell::measure(self.name(what, load), unit, brunt, &peers, self.rounds)
    }
}

/// brunt by its handshakes, which must be of the kind wanted.
fn brunt_handshakes(setup: &Setup, flags: &str, load: &Load<'_>, wanted: Handshakes) -> anyhow::Result<Run> {
    let ran = setup.brunt.run(flags, load.url, limit(load), None)?;
    let totals = ran.result.totals;
    let share = totals.tls_resumed as f64 / totals.tls_handshakes.max(1) as f64;
    match wanted {
        Handshakes::Full => ensure!(totals.tls_resumed == 0, "brunt resumed {} sessions", totals.tls_resumed),
        Handshakes::Resumed => ensure!(
            share >= RESUMED_SHARE_MIN,
            "brunt resumed {} sessions of {}",
            totals.tls_resumed,
            totals.tls_handshakes
        ),
    }
    let counts = Counts { completed: totals.tls_handshakes, failed: totals.failed };
    Run::of(&ran.usage, counts).context("brunt completed no handshake")
}

/// `openssl s_time -reuse`: full handshake once, then resumed ones one after another.
fn s_time(setup: &Setup, load: &Load<'_>) -> anyhow::Result<Run> {
    let openssl = in_path("openssl").context("openssl is not installed (apt-get install openssl)")?;
    let address = load.url.trim_start_matches("https://");
    let (address, path) = address.split_once('/').context("the URL has no path")?;
    let mut command = Command::new(openssl);
    command.args(["s_time", "-reuse", "-connect", address, "-www", &format!("/{path}")]);
    command.args(["-time", &load.seconds.to_string()]);
    let ended = child::run(&mut command, setup.core, limit(load))?;
    let Some((made, resumed)) = s_time_counts(&ended.stdout) else {
        bail!("s_time ended with {} and no count: {}", ended.status, last_line(&ended.stderr));
    };
    ensure!(resumed as f64 >= made as f64 * RESUMED_SHARE_MIN, "s_time resumed {resumed} sessions of {made}");
    Run::of(&ended.usage, Counts { completed: made, failed: 0 }).context("s_time completed no handshake")
}

/// Connections made and sessions resumed: `4392 connections in 3 real seconds`, and an `r` for each resumed one in a
/// line of such marks.
fn s_time_counts(output: &str) -> Option<(u64, u64)> {
    let line = output.lines().find(|line| line.contains(" connections in ") && line.contains(" real "))?;
    let made = line.split_whitespace().next()?.parse().ok()?;
    let is_marks = |line: &&str| line.bytes().all(|mark| b"rt*".contains(&mark));
    let resumed = output.lines().filter(is_marks).flat_map(str::bytes).filter(|mark| *mark == b'r').count();
    Some((made, resumed as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_s_time_prints() {
        let output = "Collecting connection statistics for 2 seconds\nstarting\nrr*r\n\n\
                      4 connections in 0.74s; 5935.14 connections/user sec, bytes read 1462536\n\
                      4 connections in 3 real seconds, 333 bytes read per connection\n";
        assert_eq!(s_time_counts(output), Some((4, 3)));
        assert_eq!(s_time_counts("connect: Connection refused\n"), None);
    }
}
