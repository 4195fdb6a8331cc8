//! A plan: a scenario with everything resolved and bounded, immutable, named by its content.

mod file;
mod limits;
mod load;
mod once;
mod quick;
mod replay;
mod several;
mod targets;

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use serde::Serialize;
use sha2::{Digest, Sha256};
use url::Url;

pub use self::load::{ClosedShape, Load};
pub use self::several::{Apart, Assignment, LOADS_MAX, LoadPart, Numbering};
use crate::expr::Value;
use crate::limit::{Catalogue, PlannedLimit};
use crate::request::{REQUEST_HEAD_MAX, Request, hex};
use crate::scenario::file::Fault;
use crate::scenario::{HttpVersion, Lifecycle, LoadSpec, ProxyKind, Scenario, StatusRange, TlsVersion};
use crate::schedule::{Schedule, Shape};
use crate::script::Script;
use crate::script::compile::Files;
use crate::units::{Bytes, Nanos, Rate};

/// Addresses kept of one name; more would make the plan unbounded.
pub const ADDRESSES_MAX: usize = 64;
pub const CONNECTIONS_MAX: u32 = 1_000_000;
/// Deadlines fit the histogram, whose range ends at 73 minutes.
pub const DEADLINE_MAX: Nanos = Nanos::from_secs(3_600);
pub const DURATION_MAX: Nanos = Nanos::from_secs(30 * 86_400);

/// Rows a timeline may have; longer runs get wider intervals.
pub const TIMELINE_ROWS_MAX: u64 = 86_400;

const CLOSED_CONNECTIONS: u32 = 50;
/// Requests that an open load may have under way, over all the connections it grows to.
const OPEN_REQUESTS_MAX: u32 = 10_000;
const BACKLOG_MAX: u32 = 65_536;
/// Requests under way on one connection: as many streams as servers allow at most, and as deep as pipelines help.
pub const STREAMS_MAX: u32 = 1_000;
pub const PIPELINE_MAX: u32 = 256;
/// As many as curl follows, and more than locust does.
pub const REDIRECTS_MAX: u32 = 50;
/// Targets beside the first; each user has a connection to each.
pub const TARGETS_MAX: usize = 16;
const DURATION: Nanos = Nanos::from_secs(10);
/// How long answers still under way are waited for after the last request was sent.
const DRAIN_MAX: Nanos = Nanos::from_secs(10);
const LATE_AT_LEAST: Nanos = Nanos::from_millis(1);

/// What the outside world adds to a scenario; it enters here and nowhere else.
#[derive(Clone, Default, Debug)]
pub struct Inputs {
    /// What the target's name resolved to, in the order to be used.
    pub addresses: Vec<SocketAddr>,
    /// The same of the further targets of a scenario file, in its order.
    pub others: Vec<Vec<SocketAddr>>,
    /// The body of the request.
    pub body: Vec<u8>,
    /// What a scenario file names.
    pub files: Files,
    /// What the setup of the run found out, by the name of its variable.
    pub globals: Vec<(String, Value)>,
}

/// Where connections lead.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Endpoint {
    Ip(SocketAddr),
    Unix(String),
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ip(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

/// What is spoken to the target, and how many requests a connection may have under way.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Http1 { pipeline: u32 },
    Http2 { streams: u32 },
}

impl Protocol {
    /// Requests that one connection may have under way.
    #[must_use]
    pub const fn lanes(self) -> u32 {
        match self {
            Self::Http1 { pipeline } => pipeline,
            Self::Http2 { streams } => streams,
        }
    }
}

/// How the target is to be reached by TLS. Certificates and keys are no part of a plan.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Tls {
    /// Whose certificate is expected, and what is asked for by SNI where it is a name.
    pub server_name: String,
    /// The certificate is not verified.
    pub insecure: bool,
    pub min: TlsVersion,
    pub max: TlsVersion,
    pub resume: bool,
}

/// Connections lead to a proxy, which is asked for the target. Credentials are no part of a plan.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Proxy {
    pub kind: ProxyKind,
    /// The target, as the proxy is to find it.
    pub host: String,
    pub port: u16,
    #[serde(skip)]
    pub credentials: Option<(String, String)>,
}

/// Where requests go.
#[derive(Clone, Debug, Serialize)]
pub struct Target {
    /// What requests call it; empty for the one that they go to unless they say otherwise.
    pub name: String,
    /// Without credentials and query.
    pub url: String,
    /// Which of the plan's endpoints are its.
    pub endpoints: Range<usize>,
    /// Set for `https:`.
    pub tls: Option<Tls>,
    pub proxy: Option<Proxy>,
}

/// Every wait has an end.
#[derive(Copy, Clone, Debug, Serialize)]
pub struct Deadlines {
    pub connect: Nanos,
    pub first_byte: Nanos,
    pub total: Nanos,
    pub drain: Nanos,
}

/// A run, ready to be split and sent.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// SHA-256 of everything below, in hex.
    #[serde(skip)]
    pub id: String,
    pub name: String,
    /// The first is where requests go that name no other.
    pub targets: Vec<Target>,
    /// Those of all targets, one after the other.
    pub endpoints: Vec<Endpoint>,
    pub source_ips: Vec<IpAddr>,
    pub script: Script,
    pub protocol: Protocol,
    pub load: Load,
    pub keep_alive: bool,
    pub deadlines: Deadlines,
    pub body_limit: Bytes,
    /// Bodies are decoded by their content coding, within `body_limit`.
    pub decode: bool,
    /// How many redirects of the same origin a request follows; `None` leaves them alone.
    pub redirects: Option<u32>,
    pub ok_status: Vec<StatusRange>,
    /// Requests intended before this (from T0) are counted but neither measured nor judged.
    pub warmup: Nanos,
    /// Length of a tick.
    pub interval: Nanos,
    /// A slot sent later than this is late.
    pub late_over: Nanos,
    pub seed: u64,
    #[serde(skip)]
    pub numbering: Numbering,
    /// The default stands where there is none.
    pub limits: Vec<PlannedLimit>,
}

impl Plan {
    /// Does an answer with this status count as completed?
    #[must_use]
    pub fn accepts(&self, status: u16) -> bool {
        if self.ok_status.is_empty() {
            return status < 400;
        }
        self.ok_status.iter().any(|range| (range.from..=range.to).contains(&status))
    }

    /// Requests that one connection may have under way.
    #[must_use]
    pub const fn lanes(&self) -> u32 {
        self.protocol.lanes()
    }

    /// Where requests go that name no other target.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.targets[0]
    }

    #[must_use]
    pub fn has_tls(&self) -> bool {
        self.targets.iter().any(|target| target.tls.is_some())
    }

    /// Connections for one of a load: a user has one to each target, and over HTTP/1.1 one for each request that it
    /// makes at once.
    #[must_use]
    pub fn connections_each(&self) -> u32 {
        let ways = if matches!(self.protocol, Protocol::Http2 { .. }) { 1 } else { self.script.ways() };
        u32::try_from(self.targets.len()).unwrap_or(u32::MAX).saturating_mul(ways)
    }

    /// Requests that a connection may have under way, with those that its users make at once.
    fn lanes_each(&self) -> u32 {
        let ways = if matches!(self.protocol, Protocol::Http2 { .. }) { self.script.ways() } else { 1 };
        self.lanes().saturating_mul(ways)
    }

    /// Connections that may be open at once, over all cores.
    #[must_use]
    pub fn max_connections(&self) -> u32 {
        self.load.max_connections().saturating_mul(self.connections_each())
    }

    /// Where an answer to `request` for `from` redirects to, and the request to send there. `None` where that is not
    /// within the same origin.
    #[must_use]
    pub fn redirect(
        request: &Request,
        from: &str,
        status: u16,
        location: &[u8],
    ) -> Option<(String, Request)> {
        let location = std::str::from_utf8(location).ok().filter(|text| !text.is_empty())?;
        let mut url = Url::parse(from).ok()?.join(location).ok()?;
        url.set_fragment(None);
        let within = url.origin() == Url::parse(from).ok()?.origin();
        let request = within.then(|| request.redirected(status, &url))?;
        if request.head_len > REQUEST_HEAD_MAX {
            return None;
        }
        Some((url.into(), request))
    }

    /// What limits can name.
    #[must_use]
    pub fn catalogue(&self) -> Catalogue {
        self.script.catalogue()
    }

    /// Names of the requests, by the index used in [`crate::snapshot::Stats`].
    #[must_use]
    pub fn request_names(&self) -> &[String] {
        &self.script.names
    }
}

/// Why a scenario cannot become a plan. Each says what to change.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PlanError {
    #[error("'{url}' is not a URL such as http://127.0.0.1:8080/path: {why}")]
    Url { url: String, why: String },
    #[error("{what} is for {target}; {mend}")]
    Combination { what: &'static str, target: &'static str, mend: &'static str },
    #[error("the name '{0}' has no address; check its spelling, or give one with --resolve")]
    NoAddress(String),
    #[error("method '{0}' is not a token (RFC 9110 section 9.1); use one such as GET or POST")]
    Method(String),
    #[error("header '{0}' is not 'Name: value' in printable ASCII without line breaks")]
    Header(String),
    #[error("header '{0}' is set by brunt itself from the body and the connection; remove it")]
    ReservedHeader(String),
    #[error("the request head has {0} bytes, more than {REQUEST_HEAD_MAX}; shorten the path or the headers")]
    HeadTooLong(usize),
    #[error("{what} must be between {least} and {most}")]
    Range { what: &'static str, least: String, most: String },
    #[error("{what} is for an open load; give a rate with -q")]
    OnlyOpen { what: &'static str },
    #[error("the warm-up of {0} leaves nothing of the run to measure; make the run longer with -z")]
    WarmupTooLong(Nanos),
    #[error("{0}")]
    Limit(String),
    #[error("the scenario is wrong in {} places", .0.len())]
    File(Vec<Fault>),
    #[error("no source address fits the target's address family; give --source-ip of the same family")]
    SourceFamily,
}

/// Resolves and bounds a scenario.
///
/// # Errors
/// The first thing that cannot be run as asked.
pub fn compile(scenario: &Scenario, inputs: &Inputs) -> Result<Plan, PlanError> {
    let url = parse_url(&scenario.url)?;
    let mut protocol = protocol(scenario)?;
    let file::OfFile { mut script, load: of_file, limits, others } = match &scenario.script {
        None => {
            let script = quick::script(scenario, inputs, &url)?;
            file::OfFile { script, load: None, limits: Vec::new(), others: Vec::new() }
        }
        Some(source) => file::of_file(source, scenario, inputs, &url)?,
    };
    let (mut load, mut warmup) = match of_file {
        // That of the command line comes in place of the file's.
        Some((load, _)) if scenario.warmup > Nanos::ZERO => {
            (load.warmed_for(scenario.warmup), scenario.warmup)
        }
        Some(of_file) => of_file,
        None => (load(&scenario.load, protocol.lanes(), scenario.seed)?, scenario.warmup),
    };
    if scenario.once {
        script.make_once();
        (protocol, load, warmup) = (protocol.of_one_lane(), once::load(&script), Nanos::ZERO);
    }
    let deadlines = deadlines(scenario)?;
    if load.duration().is_some_and(|duration| warmup >= duration) && warmup > Nanos::ZERO {
        return Err(PlanError::WarmupTooLong(warmup));
    }
    let interval = interval(load.duration());
    let is_load = scenario.script.as_ref().is_none_or(|source| source.lifecycle == Lifecycle::Load);
    let limits = match &scenario.limits[..] {
        _ if !is_load => Vec::new(),
        [] => limits::known(&limits, &script.catalogue())
            .and_then(|()| {
                limits::planned(&limits, interval, (warmup, load.duration()), scenario.load.names_a_load())
            })
            .map_err(PlanError::File)?,
        // Those of the command line come in place of the file's.
        limits => limits.iter().cloned().map(PlannedLimit::from).collect(),
    };
    let (targets, endpoints) = targets::of(scenario, inputs, &url, &others)?;
    let of_calls = script.calls.iter().filter_map(|call| call.redirects).max();
    let mut plan = Plan {
        id: String::new(),
        name: scenario.name.clone().unwrap_or_else(|| script.title().to_owned()),
        targets,
        endpoints,
        source_ips: scenario.source_ips.clone(),
        script,
        protocol,
        interval,
        late_over: late_over(&load),
        numbering: Numbering::default(),
        load,
        keep_alive: scenario.http.keep_alive,
        deadlines,
        body_limit: scenario.http.body_limit,
        decode: scenario.http.compressed,
        redirects: of_calls.max(scenario.http.redirects),
        ok_status: scenario.http.ok_status.clone(),
        warmup,
        seed: scenario.seed,
        limits,
    };
    let connections = plan.load.max_connections().checked_mul(plan.connections_each()).or(Some(u32::MAX));
    in_range("connections times those that a user has", connections, 0, CONNECTIONS_MAX)?;
    let lanes = connections.and_then(|all| all.checked_mul(plan.lanes_each())).or(Some(u32::MAX));
    in_range("connections times requests on each", lanes, 0, CONNECTIONS_MAX)?;
    let catalogue = plan.catalogue();
    plan.limits.iter().try_for_each(|planned| planned.limit.resolve(&catalogue)).map_err(PlanError::Limit)?;
    plan.id = content_id(&plan);
    Ok(plan)
}

/// Reads a target's URL.
///
/// # Errors
/// When it is no absolute `http:` or `https:` URL with a host.
pub fn parse_url(text: &str) -> Result<Url, PlanError> {
    let fail = |why: String| PlanError::Url { url: text.to_owned(), why };
    let url = Url::parse(text).map_err(|error| fail(error.to_string()))?;
    match url.scheme() {
        "http" | "https" => {}
        other => return Err(fail(format!("the scheme {other} is not http or https"))),
    }
    match url.host_str() {
        Some(host) if !host.is_empty() => Ok(url),
        _ => Err(fail("it names no host".to_owned())),
    }
}

fn redacted(url: &Url) -> String {
    let mut shown = url.clone();
    // Neither call can fail: the URL has a host.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_query(None);
    shown.to_string()
}

fn protocol(scenario: &Scenario) -> Result<Protocol, PlanError> {
    let http = &scenario.http;
    in_range("the number of streams (-p)", http.streams, 1, STREAMS_MAX)?;
    in_range("--pipeline", http.pipeline, 1, PIPELINE_MAX)?;
    in_range("--redirects", http.redirects, 0, REDIRECTS_MAX)?;
    match http.version {
        HttpVersion::Http1 if http.streams.is_some() => Err(PlanError::Combination {
            what: "-p (streams a connection)",
            target: "HTTP/2",
            mend: "add --http2 or --h2c, or use --pipeline",
        }),
        HttpVersion::Http2 if http.pipeline.is_some() => {
            Err(PlanError::Combination { what: "--pipeline", target: "HTTP/1.1", mend: "use -p for streams" })
        }
        HttpVersion::Http2 if !http.keep_alive && http.streams.is_some_and(|streams| streams > 1) => {
            Err(PlanError::Combination {
                what: "-p with --disable-keepalive",
                target: "connections that are kept",
                mend: "leave one of them out",
            })
        }
        HttpVersion::Http1 if !http.keep_alive && http.pipeline.is_some_and(|depth| depth > 1) => {
            Err(PlanError::Combination {
                what: "--pipeline with --disable-keepalive",
                target: "connections that are kept",
                mend: "leave one of them out",
            })
        }
        HttpVersion::Http1 if http.pipeline.is_some_and(|depth| depth > 1) && http.redirects.is_some() => {
            Err(PlanError::Combination {
                what: "--redirects with --pipeline",
                target: "requests one at a time",
                mend: "leave one of them out",
            })
        }
        HttpVersion::Http1 => Ok(Protocol::Http1 { pipeline: http.pipeline.unwrap_or(1) }),
        HttpVersion::Http2 => Ok(Protocol::Http2 { streams: http.streams.unwrap_or(1) }),
    }
}

fn load(spec: &LoadSpec, lanes: u32, seed: u64) -> Result<Load, PlanError> {
    in_range("the number of connections (-c)", spec.connections, 1, CONNECTIONS_MAX)?;
    in_range("the number of requests (-n)", spec.requests, 1, u64::MAX / 2)?;
    in_range("the duration (-z)", spec.duration, Nanos::from_millis(1), DURATION_MAX)?;
    in_range("--max-connections", spec.max_connections, 1, CONNECTIONS_MAX)?;
    in_range("--max-backlog", spec.max_backlog, 0, 16 * BACKLOG_MAX)?;
    let connections = spec.max_connections.max(spec.connections).unwrap_or(1);
    in_range(
        "connections times requests on each",
        connections.checked_mul(lanes).or(Some(u32::MAX)),
        1,
        CONNECTIONS_MAX,
    )?;
    let Some(rate) = spec.rate else { return closed(spec) };
    in_range("the rate (-q)", Some(rate), Rate(1), Rate::MAX)?;
    let enough = (OPEN_REQUESTS_MAX / lanes).max(1);
    let max_connections = spec.max_connections.unwrap_or(enough).max(spec.connections.unwrap_or(1));
    // A count alone ends the load: then its slots end the schedule, not a time.
    let without_time = if spec.requests.is_some() { DURATION_MAX } else { DURATION };
    let duration = spec.duration.unwrap_or(without_time);
    let schedule = Schedule::new(spec.arrivals, seed)
        .then(Shape::Constant(rate), duration)
        .limited_to(spec.requests.unwrap_or(u64::MAX));
    let second_of_rate = u32::try_from(rate.0.div_ceil(1_000)).unwrap_or(u32::MAX);
    Ok(Load::Open {
        schedule,
        warm_connections: spec.connections.unwrap_or(1),
        max_connections,
        max_backlog: spec.max_backlog.unwrap_or_else(|| second_of_rate.clamp(1, BACKLOG_MAX)),
        picks: None,
    })
}

fn closed(spec: &LoadSpec) -> Result<Load, PlanError> {
    if spec.max_connections.is_some() {
        return Err(PlanError::OnlyOpen { what: "--max-connections" });
    }
    if spec.max_backlog.is_some() {
        return Err(PlanError::OnlyOpen { what: "--max-backlog" });
    }
    let connections = spec.connections.unwrap_or(CLOSED_CONNECTIONS);
    let duration =
        if spec.requests.is_none() { Some(spec.duration.unwrap_or(DURATION)) } else { spec.duration };
    Ok(Load::Closed { connections, requests: spec.requests, duration, shape: None })
}

/// A slot may be as late as the next one is away.
fn late_over(load: &Load) -> Nanos {
    let gap = match load {
        Load::Open { schedule, .. } => schedule.widest_gap(),
        Load::Closed { .. } | Load::Several(_) => Nanos::ZERO,
    };
    gap.max(LATE_AT_LEAST)
}

fn deadlines(scenario: &Scenario) -> Result<Deadlines, PlanError> {
    let http = &scenario.http;
    for (what, value) in [
        ("the connect timeout", http.connect_timeout),
        ("the first-byte timeout", http.first_byte_timeout),
        ("the total timeout (--timeout)", http.total_timeout),
    ] {
        in_range(what, Some(value), Nanos::from_millis(1), DEADLINE_MAX)?;
    }
    Ok(Deadlines {
        connect: http.connect_timeout,
        first_byte: http.first_byte_timeout,
        total: http.total_timeout,
        drain: http.total_timeout.min(DRAIN_MAX),
    })
}

fn in_range<T>(what: &'static str, value: Option<T>, least: T, most: T) -> Result<(), PlanError>
where
    T: PartialOrd + std::fmt::Display,
{
    match value {
        Some(value) if value < least || value > most => {
            Err(PlanError::Range { what, least: least.to_string(), most: most.to_string() })
        }
        _ => Ok(()),
    }
}

fn interval(duration: Option<Nanos>) -> Nanos {
    let seconds = duration.map_or(1, |duration| duration.as_secs_ceil().div_ceil(TIMELINE_ROWS_MAX)).max(1);
    Nanos::from_secs(seconds)
}

impl Nanos {
    fn as_secs_ceil(self) -> u64 {
        self.0.div_ceil(crate::units::NANOS_PER_SECOND)
    }
}

fn content_id(plan: &Plan) -> String {
    let canonical = serde_json::to_vec(plan).expect("a plan has only string keys and finite numbers");
    hex(&Sha256::digest(&canonical))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs() -> Inputs {
        Inputs { addresses: vec!["127.0.0.1:80".parse().unwrap()], ..Inputs::default() }
    }

    fn error(change: impl FnOnce(&mut Scenario)) -> String {
        let mut scenario = Scenario::of("http://h/");
        change(&mut scenario);
        compile(&scenario, &inputs()).expect_err("the scenario is wrong").to_string()
    }

    #[test]
    fn a_bare_url_becomes_the_documented_defaults() {
        let plan = compile(&Scenario::of("http://h:8080/a/b?c=d"), &inputs()).unwrap();
        let want = format!(
            "GET /a/b?c=d HTTP/1.1\r\nHost: h:8080\r\nUser-Agent: brunt/{}\r\nAccept: */*\r\n\r\n",
            env!("CARGO_PKG_VERSION")
        );
        assert_eq!(std::str::from_utf8(&plan.script.first().wire), Ok(want.as_str()));
        assert_eq!(plan.script.first().name, "GET /a/b", "queries are never labels");
        assert_eq!(plan.target().url, "http://h:8080/a/b");
        let Load::Closed { connections: 50, requests: None, duration: Some(duration), .. } = plan.load else {
            panic!("{:?}", plan.load)
        };
        assert_eq!(duration, Nanos::from_secs(10));
    }

    #[test]
    fn a_rate_makes_it_open() {
        let mut open = Scenario::of("http://h/");
        open.load.rate = Some(Rate::per_second(100_000));
        let plan = compile(&open, &inputs()).unwrap();
        let Load::Open { schedule, max_connections, max_backlog, .. } = &plan.load else { panic!() };
        assert_eq!(plan.load.target_rate(), Some(100_000.0));
        assert_eq!(schedule.count_before(Nanos::from_secs(10)), 1_000_000);
        assert_eq!((*max_connections, *max_backlog), (10_000, 65_536));
        assert_eq!(plan.late_over, Nanos::from_millis(1));
    }

    #[test]
    fn a_count_ends_an_open_load_and_keeps_its_rate() {
        let mut open = Scenario::of("http://h/");
        (open.load.rate, open.load.requests) = (Some(Rate::per_second(2_000)), Some(3_000));
        let plan = compile(&open, &inputs()).unwrap();
        assert_eq!(plan.load.duration(), Some(Nanos::from_millis(1_500)));
        assert_eq!(plan.load.target_rate(), Some(2_000.0));
    }

    #[test]
    fn the_id_names_the_content() {
        let id = |seed| {
            let mut s = Scenario::of("http://h/");
            s.seed = seed;
            compile(&s, &inputs()).unwrap().id
        };
        assert_eq!(id(1), id(1));
        assert_ne!(id(1), id(2));
        assert_eq!(id(1).len(), 64);
    }

    #[test]
    fn users_with_cookies_have_a_place_in_their_flow() {
        let mut scenario = Scenario::of("http://h/");
        scenario.http.redirects = Some(3);
        assert!(compile(&scenario, &inputs()).unwrap().script.is_single());
        scenario.http.cookies = true;
        let script = compile(&scenario, &inputs()).unwrap().script;
        assert_eq!((script.is_single(), script.cookies, script.calls[0].redirects), (false, true, Some(3)));
    }

    #[test]
    fn redirects_stay_within_the_origin() {
        let plan = compile(&Scenario::of("http://h:81/a/b"), &inputs()).unwrap();
        for (location, want) in [
            ("/c", Some("http://h:81/c")),
            ("c?d#e", Some("http://h:81/a/c?d")),
            ("//h:81/c", Some("http://h:81/c")),
            ("http://h:81/", Some("http://h:81/")),
            ("http://h/", None),
            ("https://h:81/", None),
            ("http://other:81/", None),
            ("file:///etc/passwd", None),
            ("http://[", None),
            ("", None),
        ] {
            let got = Plan::redirect(plan.script.first(), &plan.target().url, 302, location.as_bytes())
                .map(|(url, _)| url);
            assert_eq!(got.as_deref(), want, "{location}");
        }
    }

    #[test]
    fn what_cannot_be_run_is_refused_with_the_mend() {
        for (got, want) in [
            (error(|s| s.url = "nonsense".into()), "is not a URL such as"),
            (error(|s| s.http.streams = Some(2)), "add --http2"),
            (error(|s| s.tls.insecure = true), "https:// URLs"),
            (
                error(|s| (s.http.pipeline, s.http.keep_alive) = (Some(2), false)),
                "--pipeline with --disable-keepalive",
            ),
            (
                error(|s| {
                    s.http.version = HttpVersion::Http2;
                    (s.http.streams, s.load.connections) = (Some(1_000), Some(1_001));
                }),
                "connections times requests on each",
            ),
            (error(|s| s.url = "ftp://h/".into()), "the scheme ftp is not http or https"),
            (
                error(|s| (s.http.cookies, s.load.rate) = (true, Some(Rate::per_second(1)))),
                "--cookies is for closed loads",
            ),
            (error(|s| s.request.method = "GE T".into()), "not a token"),
            (error(|s| s.request.headers.push(("A".into(), "x\r\nB: y".into()))), "without line breaks"),
            (error(|s| s.request.headers.push(("Content-Length".into(), "5".into()))), "set by brunt itself"),
            (error(|s| s.load.connections = Some(0)), "between 1 and 1000000"),
            (error(|s| s.load.max_backlog = Some(1)), "give a rate with -q"),
            (error(|s| s.warmup = Nanos::from_secs(10)), "leaves nothing"),
            (error(|s| s.source_ips.push("::1".parse().unwrap())), "same family"),
            (error(|s| s.http.total_timeout = Nanos::ZERO), "must be between"),
            (
                error(|s| s.limits.push("rate(name=\"GET /x\") > 1".parse().unwrap())),
                "no request has the name 'GET /x'; did you mean 'GET /'?",
            ),
        ] {
            assert!(got.contains(want), "{got} should contain {want}");
        }
        let nowhere = compile(&Scenario::of("http://h/"), &Inputs::default()).unwrap_err();
        assert_eq!(nowhere, PlanError::NoAddress("h".into()));
    }
}
