//! A plan: a scenario with everything resolved and bounded, immutable, named by its content.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use url::Url;

use crate::limit::Limit;
use crate::scenario::{LoadSpec, RequestSpec, Scenario, StatusRange};
use crate::schedule::{Schedule, Shape};
use crate::units::{Bytes, Nanos, Rate};

/// Addresses kept of one name; more would make the plan unbounded.
pub const ADDRESSES_MAX: usize = 64;
/// Rendered size of one request without its body.
pub const REQUEST_HEAD_MAX: usize = 64 * 1024;
pub const CONNECTIONS_MAX: u32 = 1_000_000;
/// Deadlines fit the histogram, whose range ends at 73 minutes.
pub const DEADLINE_MAX: Nanos = Nanos::from_secs(3_600);
pub const DURATION_MAX: Nanos = Nanos::from_secs(30 * 86_400);

/// Rows a timeline may have; longer runs get wider intervals.
pub const TIMELINE_ROWS_MAX: u64 = 86_400;

const CLOSED_CONNECTIONS: u32 = 50;
const OPEN_CONNECTIONS_MAX: u32 = 10_000;
const BACKLOG_MAX: u32 = 65_536;
const DURATION: Nanos = Nanos::from_secs(10);
/// How long answers still under way are waited for after the last request was sent.
const DRAIN_MAX: Nanos = Nanos::from_secs(10);
const LATE_AT_LEAST: Nanos = Nanos::from_millis(1);

/// What the outside world adds to a scenario; it enters here and nowhere else.
#[derive(Clone, Default, Debug)]
pub struct Inputs {
    /// What the target's name resolved to, in the order to be used.
    pub addresses: Vec<SocketAddr>,
    /// The body of the request.
    pub body: Vec<u8>,
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

/// One request, rendered once.
#[derive(Clone, Debug, Serialize)]
pub struct Request {
    /// The label in results: method and path, never the query.
    pub name: String,
    pub method: String,
    /// The bytes on the wire, head and body.
    #[serde(serialize_with = "digest_of_bytes")]
    pub wire: Arc<[u8]>,
}

impl Request {
    /// The answer to this request never has a body (RFC 9110 section 9.3.2).
    #[must_use]
    pub fn is_head(&self) -> bool {
        self.method == "HEAD"
    }
}

/// The workload model.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Load {
    /// Each user sends, waits for the end, and sends again.
    Closed { users: u32, requests: Option<u64>, duration: Option<Nanos> },
    /// Requests are sent when the schedule says so, whatever became of earlier ones.
    Open {
        schedule: Schedule,
        /// Connections opened before T0.
        warm_connections: u32,
        max_connections: u32,
        /// Arrivals that may wait for a connection; those past it are dropped.
        max_backlog: u32,
    },
}

impl Load {
    /// The end of the load, if it is known.
    #[must_use]
    pub fn duration(&self) -> Option<Nanos> {
        match self {
            Self::Closed { duration, .. } => *duration,
            Self::Open { schedule, .. } => Some(schedule.expected().1),
        }
    }

    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }

    /// Connections that may be open at once, over all cores.
    #[must_use]
    pub const fn max_connections(&self) -> u32 {
        match self {
            Self::Closed { users, .. } => *users,
            Self::Open { max_connections, .. } => *max_connections,
        }
    }

    /// The rate wanted over the whole of an open load.
    #[must_use]
    pub fn target_rate(&self) -> Option<f64> {
        match self {
            Self::Closed { .. } => None,
            Self::Open { schedule, .. } => {
                let (slots, end) = schedule.expected();
                (end.0 > 0).then(|| slots as f64 / end.as_secs_f64())
            }
        }
    }
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
    pub url: String,
    pub endpoints: Vec<Endpoint>,
    pub source_ips: Vec<IpAddr>,
    pub request: Request,
    pub load: Load,
    pub keep_alive: bool,
    pub deadlines: Deadlines,
    pub body_limit: Bytes,
    pub ok_status: Vec<StatusRange>,
    /// Requests intended before this (from T0) are counted but neither measured nor judged.
    pub warmup: Nanos,
    /// Length of a tick.
    pub interval: Nanos,
    /// A slot sent later than this is late.
    pub late_over: Nanos,
    pub seed: u64,
    pub limits: Vec<Limit>,
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

    /// Names of the requests, by the index used in [`crate::snapshot::Stats`].
    #[must_use]
    pub fn request_names(&self) -> Vec<String> {
        vec![self.request.name.clone()]
    }
}

/// Why a scenario cannot become a plan. Each says what to change.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PlanError {
    #[error("'{url}' is not a URL such as http://127.0.0.1:8080/path: {why}")]
    Url { url: String, why: String },
    #[error("{scheme}: is not in this build; use an http:// URL")]
    Scheme { scheme: String },
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
    #[error("no source address fits the target's address family; give --source-ip of the same family")]
    SourceFamily,
}

/// Resolves and bounds a scenario.
///
/// # Errors
/// The first thing that cannot be run as asked.
pub fn compile(scenario: &Scenario, inputs: &Inputs) -> Result<Plan, PlanError> {
    let url = parse_url(&scenario.url)?;
    let endpoints = endpoints(scenario, inputs, &url)?;
    let request = render(scenario, &url, &inputs.body)?;
    let load = load(&scenario.load, scenario.seed)?;
    let deadlines = deadlines(scenario)?;
    if load.duration().is_some_and(|duration| scenario.warmup >= duration) && scenario.warmup > Nanos::ZERO {
        return Err(PlanError::WarmupTooLong(scenario.warmup));
    }
    let gap = match &load {
        Load::Closed { .. } => Nanos::ZERO,
        Load::Open { schedule, .. } => schedule.widest_gap(),
    };
    let mut plan = Plan {
        id: String::new(),
        name: scenario.name.clone().unwrap_or_else(|| request.name.clone()),
        url: redacted(&url),
        endpoints,
        source_ips: scenario.source_ips.clone(),
        request,
        interval: interval(load.duration()),
        late_over: gap.max(LATE_AT_LEAST),
        load,
        keep_alive: scenario.http.keep_alive,
        deadlines,
        body_limit: scenario.http.body_limit,
        ok_status: scenario.http.ok_status.clone(),
        warmup: scenario.warmup,
        seed: scenario.seed,
        limits: scenario.limits.clone(),
    };
    plan.id = content_id(&plan);
    Ok(plan)
}

/// Reads a target's URL.
///
/// # Errors
/// When it is no absolute `http:` URL with a host.
pub fn parse_url(text: &str) -> Result<Url, PlanError> {
    let fail = |why: String| PlanError::Url { url: text.to_owned(), why };
    let url = Url::parse(text).map_err(|error| fail(error.to_string()))?;
    match url.scheme() {
        "http" => {}
        "https" => return Err(PlanError::Scheme { scheme: "https".to_owned() }),
        other => return Err(fail(format!("the scheme {other} is not http"))),
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

fn endpoints(scenario: &Scenario, inputs: &Inputs, url: &Url) -> Result<Vec<Endpoint>, PlanError> {
    if let Some(path) = &scenario.unix_socket {
        return Ok(vec![Endpoint::Unix(path.clone())]);
    }
    let family_fits = |address: &&SocketAddr| {
        scenario.source_ips.is_empty()
            || scenario.source_ips.iter().any(|ip| ip.is_ipv4() == address.is_ipv4())
    };
    if inputs.addresses.is_empty() {
        return Err(PlanError::NoAddress(url.host_str().unwrap_or_default().to_owned()));
    }
    let fitting: Vec<_> =
        inputs.addresses.iter().filter(family_fits).take(ADDRESSES_MAX).copied().map(Endpoint::Ip).collect();
    if fitting.is_empty() { Err(PlanError::SourceFamily) } else { Ok(fitting) }
}

fn render(scenario: &Scenario, url: &Url, body: &[u8]) -> Result<Request, PlanError> {
    let spec = &scenario.request;
    let method = if spec.method.is_empty() { "GET" } else { &spec.method };
    if !is_token(method) {
        return Err(PlanError::Method(method.to_owned()));
    }
    check_headers(spec)?;
    let has = |name: &str| spec.headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
    let mut head = format!("{method} {}", url.path());
    if let Some(query) = url.query() {
        head.push('?');
        head.push_str(query);
    }
    head.push_str(" HTTP/1.1\r\n");
    let mut field = |name: &str, value: &str| {
        head.push_str(name);
        head.push_str(": ");
        head.push_str(value);
        head.push_str("\r\n");
    };
    if !has("host") {
        field("Host", &authority(url));
    }
    if !has("user-agent") {
        field("User-Agent", concat!("brunt/", env!("CARGO_PKG_VERSION")));
    }
    if !has("accept") {
        field("Accept", "*/*");
    }
    for (name, value) in &spec.headers {
        field(name, value);
    }
    if !scenario.http.keep_alive {
        field("Connection", "close");
    }
    if !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH") {
        field("Content-Length", &body.len().to_string());
    }
    head.push_str("\r\n");
    if head.len() > REQUEST_HEAD_MAX {
        return Err(PlanError::HeadTooLong(head.len()));
    }
    let mut wire = head.into_bytes();
    wire.extend_from_slice(body);
    Ok(Request { name: format!("{method} {}", url.path()), method: method.to_owned(), wire: wire.into() })
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    let tchar = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(tchar)
}

fn check_headers(spec: &RequestSpec) -> Result<(), PlanError> {
    for (name, value) in &spec.headers {
        let printable = value.bytes().all(|b| b == b'\t' || (0x20..0x7f).contains(&b) || b >= 0x80);
        if !is_token(name) || !printable {
            return Err(PlanError::Header(format!("{name}: {}", value.escape_debug())));
        }
        let reserved = ["content-length", "transfer-encoding", "connection"];
        if reserved.iter().any(|reserved| name.eq_ignore_ascii_case(reserved)) {
            return Err(PlanError::ReservedHeader(name.clone()));
        }
    }
    Ok(())
}

fn load(spec: &LoadSpec, seed: u64) -> Result<Load, PlanError> {
    in_range("the number of connections (-c)", spec.connections, 1, CONNECTIONS_MAX)?;
    in_range("the number of requests (-n)", spec.requests, 1, u64::MAX / 2)?;
    in_range("the duration (-z)", spec.duration, Nanos::from_millis(1), DURATION_MAX)?;
    in_range("--max-connections", spec.max_connections, 1, CONNECTIONS_MAX)?;
    in_range("--max-backlog", spec.max_backlog, 0, 16 * BACKLOG_MAX)?;
    let Some(rate) = spec.rate else { return closed(spec) };
    in_range("the rate (-q)", Some(rate), Rate(1), Rate::MAX)?;
    let max_connections =
        spec.max_connections.unwrap_or(OPEN_CONNECTIONS_MAX).max(spec.connections.unwrap_or(1));
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
    })
}

fn closed(spec: &LoadSpec) -> Result<Load, PlanError> {
    if spec.max_connections.is_some() {
        return Err(PlanError::OnlyOpen { what: "--max-connections" });
    }
    if spec.max_backlog.is_some() {
        return Err(PlanError::OnlyOpen { what: "--max-backlog" });
    }
    let users = spec.connections.unwrap_or(CLOSED_CONNECTIONS);
    let duration =
        if spec.requests.is_none() { Some(spec.duration.unwrap_or(DURATION)) } else { spec.duration };
    Ok(Load::Closed { users, requests: spec.requests, duration })
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

fn digest_of_bytes<S: Serializer>(bytes: &Arc<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex(&Sha256::digest(bytes)))
}

fn content_id(plan: &Plan) -> String {
    let canonical = serde_json::to_vec(plan).expect("a plan has only string keys and finite numbers");
    hex(&Sha256::digest(&canonical))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs() -> Inputs {
        Inputs { addresses: vec!["127.0.0.1:80".parse().unwrap()], body: Vec::new() }
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
        assert_eq!(std::str::from_utf8(&plan.request.wire), Ok(want.as_str()));
        assert_eq!(plan.request.name, "GET /a/b", "queries are never labels");
        assert_eq!(plan.url, "http://h:8080/a/b");
        let Load::Closed { users: 50, requests: None, duration: Some(duration) } = plan.load else {
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
    fn what_cannot_be_run_is_refused_with_the_mend() {
        for (got, want) in [
            (error(|s| s.url = "nonsense".into()), "is not a URL such as"),
            (error(|s| s.url = "https://h/".into()), "not in this build"),
            (error(|s| s.url = "ftp://h/".into()), "the scheme ftp is not http"),
            (error(|s| s.request.method = "GE T".into()), "not a token"),
            (error(|s| s.request.headers.push(("A".into(), "x\r\nB: y".into()))), "without line breaks"),
            (error(|s| s.request.headers.push(("Content-Length".into(), "5".into()))), "set by brunt itself"),
            (error(|s| s.load.connections = Some(0)), "between 1 and 1000000"),
            (error(|s| s.load.max_backlog = Some(1)), "give a rate with -q"),
            (error(|s| s.warmup = Nanos::from_secs(10)), "leaves nothing"),
            (error(|s| s.source_ips.push("::1".parse().unwrap())), "same family"),
            (error(|s| s.http.total_timeout = Nanos::ZERO), "must be between"),
        ] {
            assert!(got.contains(want), "{got} should contain {want}");
        }
        let nowhere = compile(&Scenario::of("http://h/"), &Inputs::default()).unwrap_err();
        assert_eq!(nowhere, PlanError::NoAddress("h".into()));
    }
}
