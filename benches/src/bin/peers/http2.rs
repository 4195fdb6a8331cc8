//! HTTP/2 beside h2load: cells from the cheapest origin there is to a common server behind TLS.
//!
//! In the first cell the generator is the limit, in the last the server. Connections and streams are the same for all
//! tools, each of which has one thread. No tool verifies the certificate chain of the last cell, since peers never do.

use brunt_benches::certificate::{Certificate, KeyKind};
use brunt_benches::origin::Speech;
use brunt_benches::server::{Face, Nghttpd, Nginx, Origin};
use brunt_benches::table::{Machine, save};
use brunt_benches::tools::{Load, Shape};
use serde::Serialize;

use crate::Setup;
use crate::cell::{self, Cell, Runner};
use crate::goal::{self, Goal, Judged, Kind};
use crate::runs::{among, run_brunt, run_peer};

const BODY_BYTES: usize = 100;
const PEERS: [&str; 2] = ["h2load", "oha"];
const FILE: &str = "peers-http2.json";

/// One target, the load on it, and what is promised there.
struct Target {
    name: &'static str,
    url: String,
    connections: u32,
    streams: u32,
    /// How brunt is told to speak HTTP/2.
    speak: &'static str,
    /// The most of h2load's CPU time a request, where that is promised.
    cpu_max: Option<f64>,
}

/// What runs while the cells do.
struct Servers {
    origin: Origin,
    nghttpd: Option<Nghttpd>,
    nginx: Option<Nginx>,
}

#[derive(Serialize)]
struct Outcome {
    machine: Machine,
    seconds: u32,
    rounds: u32,
    body_bytes: usize,
    cells: Vec<Cell>,
    goals: Vec<Judged>,
    left_out: Vec<String>,
}

/// Measures the cells whose servers are installed, and says which were left out.
pub(crate) fn run(setup: &Setup, rounds: u32, seconds: u32) -> anyhow::Result<()> {
    let mut left_out = Vec::new();
    let servers = Servers::start(setup.server_core, &mut left_out)?;
    let targets = servers.targets();
    println!(
        "{}\nHTTP/2, {BODY_BYTES} B; servers on core {}, generators on core {}; {} cells of {rounds} rounds, \
         {seconds} s a run\n",
        Machine::this(),
        setup.server_core,
        setup.core,
        targets.len(),
    );
    let (cells, goals) = (Vec::new(), Vec::new());
    let machine = Machine::this();
    let mut outcome = Outcome { machine, seconds, rounds, body_bytes: BODY_BYTES, cells, goals, left_out };
    for target in &targets {
        let cell = measure(setup, target, rounds, seconds)?;
        let judged = goal::judge(&cell, &target.goals());
        println!("{}{}", cell::render(&cell), goal::render(&judged));
        outcome.cells.push(cell);
        outcome.goals.extend(judged);
        save(FILE, &outcome)?;
    }
    for reason in &outcome.left_out {
        println!("left out: {reason}");
    }
    println!("kept in {}", save(FILE, &outcome)?.display());
    Ok(())
}

fn measure(setup: &Setup, target: &Target, rounds: u32, seconds: u32) -> anyhow::Result<Cell> {
    let &Target { connections, streams, speak, .. } = target;
    let load = Load { connections, seconds, url: &target.url, rate: None, shape: Shape::Streams(streams) };
    let flags = format!("-c {connections} -p {streams} -z {seconds}s {speak}");
    let brunt: Runner<'_> = Box::new(|| run_brunt(setup, &flags, &load));
    let peers: Vec<_> =
        among(setup, &PEERS).into_iter().map(|peer| (peer.tool.name, run_peer(setup, peer, &load))).collect();
    let name = format!("{}, {connections} connections x {streams} streams, {BODY_BYTES} B", target.name);
    cell::measure(name, "request", &brunt, &peers, rounds)
}

impl Target {
    fn goals(&self) -> Vec<Goal> {
        let kinds = self.cpu_max.map(Kind::Cpu).into_iter().chain([Kind::NoSlower]);
        kinds.map(|kind| Goal { peer: PEERS[0], kind }).collect()
    }
}

impl Servers {
    /// Starts what is installed; what is not is noted.
    fn start(core: usize, left_out: &mut Vec<String>) -> anyhow::Result<Self> {
        let origin = Origin::start(BODY_BYTES, core, Speech::Http2)?;
        let mut or_note = |error: anyhow::Error| left_out.push(format!("{error:#}"));
        let nghttpd = Nghttpd::start(BODY_BYTES, core).map_err(&mut or_note).ok();
        let nginx = start_nginx(core).map_err(&mut or_note).ok();
        Ok(Self { origin, nghttpd, nginx })
    }

    fn targets(&self) -> Vec<Target> {
        let origin = Target {
            name: "h2c, purpose-made origin",
            url: format!("http://{}/", self.origin.address),
            connections: 1,
            streams: 100,
            speak: "--h2c",
            cpu_max: Some(0.4),
        };
        let four =
            |name, url, speak, cpu_max| Target { name, url, connections: 4, streams: 32, speak, cpu_max };
        let nghttpd = self
            .nghttpd
            .as_ref()
            .map(|server| four("h2c, nghttpd -n1", server.url(BODY_BYTES), "--h2c", Some(0.6)));
        let nginx = self.nginx.iter().flat_map(|server| {
            [
                four("h2c, nginx", server.url(0, BODY_BYTES), "--h2c", Some(0.85)),
                four("https h2, nginx", server.url(1, BODY_BYTES), "--http2 --insecure", None),
            ]
        });
        [origin].into_iter().chain(nghttpd).chain(nginx).collect()
    }
}

fn start_nginx(core: usize) -> anyhow::Result<Nginx> {
    let certificate = Certificate::make(KeyKind::P256, core)?;
    let tls = Face::Tls { certificate: &certificate, http2: true, resume: false };
    Nginx::start(&[Face::ClearHttp2, tls], &[BODY_BYTES], 4, core)
}
