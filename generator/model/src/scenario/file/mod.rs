//! A scenario file: what a user wrote, with the place of each part, so that whatever is wrong with it can be shown where
//! it stands.
//!
//! The types are the language. Texts with `{{ ... }}` are [`Text`], conditions and values are [`Expr`]; both are kept as
//! written and are compiled with the plan. Nothing here is resolved: names of variables, flows, files and targets are
//! looked up later.

mod core_schema;
mod fault;
mod keys;
mod read;
mod schema;
mod secrets;
mod tree;
mod visit;
mod write;

pub(crate) use fault::nearest;
pub use fault::{FAULTS_MAX, Fault};
pub use read::read;
pub use schema::schema;
pub use secrets::may_hold_secret;
pub use tree::SOURCE_BYTES_MAX;
pub(crate) use visit::visit;
pub use write::write;

use crate::limit::Limit;
use crate::scenario::{StatusRange, TlsVersion};
use crate::schedule::Arrivals;
use crate::units::{Bytes, Nanos, Rate};

/// Where something begins in the file; both count from 1, columns in characters.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Place {
    pub line: u32,
    pub column: u32,
}

/// Something with its place. Two are equal if what they hold is, wherever that stands.
#[derive(Clone, Default, Debug)]
pub struct Located<T> {
    pub value: T,
    pub at: Place,
}

impl<T: PartialEq> PartialEq for Located<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T> Located<T> {
    #[must_use]
    pub const fn new(value: T, at: Place) -> Self {
        Self { value, at }
    }
}

/// What nobody wrote has no place; importers make such.
impl<T> From<T> for Located<T> {
    fn from(value: T) -> Self {
        Self { value, at: Place::default() }
    }
}

/// A text that may hold `{{ expression }}`.
pub type Text = Located<String>;
/// An expression.
pub type Expr = Located<String>;
/// A name that is defined here, or refers to one that is.
pub type Name = Located<String>;
/// In the order of the file.
pub type Entries<T> = Vec<(Name, T)>;

#[derive(Clone, PartialEq, Default, Debug)]
pub struct File {
    pub name: Option<String>,
    /// Base of all requests that name no other target: `https://host[:port][/path]`.
    pub target: Option<Located<String>>,
    /// Further ones, by the name that a request's `target` has.
    pub targets: Entries<Located<String>>,
    pub http: Http,
    pub data: Entries<Feeder>,
    /// What expressions can name: constants, or texts that are computed once an iteration.
    pub vars: Entries<Scalar>,
    /// `load:` is one without a name; `loads:` are several in parallel.
    pub loads: Entries<Load>,
    pub flows: Entries<Flow>,
    /// Once a user, before its first and after its last iteration.
    pub on_start: Vec<Located<Step>>,
    pub on_stop: Vec<Located<Step>>,
    /// Once a run, before all users and after them; what `setup` saves everybody can name.
    pub setup: Vec<Located<Step>>,
    pub teardown: Vec<Located<Step>>,
    pub limits: Vec<Located<LimitSpec>>,
    pub seed: Option<u64>,
    /// Why what looks like a secret in this file is none: without it such a file is refused.
    pub not_secret: Option<Located<String>>,
}

/// A value as YAML has it.
#[derive(Clone, PartialEq, Debug)]
pub enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Text),
}

/// `http:`, with what is left out as in a quick run.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Http {
    /// `1.1`, `2`, or `auto`: what ALPN agrees on, `1.1` in clear text.
    pub version: Option<Version>,
    pub streams: Option<u32>,
    pub keep_alive: Option<bool>,
    pub connect_timeout: Option<Nanos>,
    pub first_byte_timeout: Option<Nanos>,
    pub total_timeout: Option<Nanos>,
    pub redirects: Option<u32>,
    pub body_limit: Option<Bytes>,
    pub compressed: Option<bool>,
    /// Each user keeps cookies (RFC 6265). On unless it is `false`.
    pub cookies: Option<bool>,
    pub ok_status: Vec<StatusRange>,
    pub headers: Entries<Text>,
    pub auth: Option<Located<Auth>>,
    pub tls: Tls,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Version {
    Auto,
    Http1,
    Http2,
}

#[derive(Clone, PartialEq, Default, Debug)]
pub struct Tls {
    pub verify: Option<bool>,
    pub min: Option<TlsVersion>,
    pub max: Option<TlsVersion>,
    pub resume: Option<bool>,
    /// Names of PEM files.
    pub ca: Option<Located<String>>,
    pub cert: Option<Located<String>>,
    /// A file's name, or a secret.
    pub key: Option<Located<Reference>>,
}

/// A plain value, or `!secret NAME`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reference {
    Plain(String),
    Secret(String),
}

#[derive(Clone, PartialEq, Debug)]
pub enum Auth {
    Basic {
        user: Text,
        password: Text,
    },
    Bearer(Text),
    Digest {
        user: Text,
        password: Text,
    },
    /// AWS Signature Version 4.
    AwsSigV4 {
        region: Text,
        service: Text,
        access_key: Text,
        secret_key: Text,
        session_token: Option<Text>,
    },
}

/// Rows for users.
#[derive(Clone, PartialEq, Debug)]
pub struct Feeder {
    pub format: DataFormat,
    /// The file's name.
    pub file: Located<String>,
    pub pick: Pick,
    pub on_end: OnEnd,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum DataFormat {
    /// With a row of names first (RFC 4180).
    Csv,
    /// One JSON object a line.
    JsonLines,
}

#[derive(Copy, Clone, PartialEq, Eq, Default, Debug, serde::Serialize)]
pub enum Pick {
    /// Iteration `n` of the run gets row `n`.
    #[default]
    Sequential,
    Random,
    /// Each user (in an open load each arrival) has a row that no other gets.
    Unique,
}

/// What becomes of whoever finds no row left.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug, serde::Serialize)]
pub enum OnEnd {
    #[default]
    Stop,
    Recycle,
}

/// One load: phases in order, all open or all closed.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Load {
    /// Which flows it runs; empty means all.
    pub flows: Vec<Name>,
    /// After T0.
    pub start: Nanos,
    pub arrivals: Option<Arrivals>,
    pub max_connections: Option<u32>,
    pub max_backlog: Option<u32>,
    pub phases: Vec<Located<Phase>>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Phase {
    pub shape: PhaseShape,
    /// It is sent, but neither measured nor judged. Only the first phases of a load can be.
    pub warmup: bool,
}

#[derive(Clone, PartialEq, Debug)]
pub enum PhaseShape {
    /// Arrivals of flows: `rate: 0/s..500/s, over: 1m` or `rate: 500/s, for: 1m`.
    Open { from: Rate, to: Rate, duration: Nanos },
    /// `from`, `from + by`, ... up to and including `until`, each for `every`.
    Steps { from: Rate, by: Rate, every: Nanos, until: Rate },
    /// From a rate up to another, held, and back.
    Spike { from: Rate, to: Rate, rise: Nanos, hold: Nanos, fall: Nanos },
    /// `mean + amplitude * sin(2 pi t / period)`.
    Sine { mean: Rate, amplitude: Rate, period: Nanos, duration: Nanos },
    /// Straight lines between points of time and rate; the first is at 0.
    Points(Vec<(Nanos, Rate)>),
    /// Virtual users: `users: 0..100, over: 1m` or `users: 100, for: 10m`, for a time or until so many iterations.
    Closed { from: u32, to: u32, duration: Option<Nanos>, iterations: Option<Iterations> },
    /// Nothing for a while.
    Pause(Nanos),
    /// Requests of a log at their own times, `speed` times as fast.
    Replay { file: Located<String>, format: LogFormat, speed: f64 },
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Iterations {
    /// All users together.
    Shared(u64),
    PerUser(u64),
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// The Combined Log Format of Apache and nginx.
    Combined,
    /// A JSON object a line, with `time` (RFC 3339, or seconds since 1970), `method`, `url`, and if wanted `headers`, `body`.
    JsonLines,
    Har,
}

#[derive(Clone, PartialEq, Default, Debug)]
pub struct Flow {
    /// How often it is chosen in relation to others; 1 by default, 0 never.
    pub weight: Option<u32>,
    pub tags: Vec<String>,
    /// Iterations begin no closer than this: a user that is done sooner waits.
    pub pacing: Option<Located<Span>>,
    pub on_error: OnError,
    pub steps: Vec<Located<Step>>,
}

/// What a flow does after a request that failed. A value to save that is not there always ends the iteration: what
/// follows would send nonsense.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug)]
pub enum OnError {
    #[default]
    Continue,
    /// Ends the iteration.
    End,
}

/// A time, or one drawn evenly from a range: `2s` or `500ms..2s`.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Span {
    pub from: Nanos,
    pub to: Nanos,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Step {
    Request(Box<Request>),
    Think(Span),
    /// New values of variables.
    Set(Entries<Expr>),
    Group {
        name: Name,
        steps: Vec<Located<Step>>,
    },
    /// The number of times is an expression.
    Repeat {
        times: Expr,
        steps: Vec<Located<Step>>,
    },
    /// At most `max` times, 1,000 where it is left out.
    While {
        condition: Expr,
        max: Option<u32>,
        steps: Vec<Located<Step>>,
    },
    If {
        condition: Expr,
        then: Vec<Located<Step>>,
        otherwise: Vec<Located<Step>>,
    },
    /// One of them, by weight.
    Random(Vec<(u32, Vec<Located<Step>>)>),
    /// The first case whose value equals that of the expression.
    Switch {
        on: Expr,
        cases: Vec<(Scalar, Vec<Located<Step>>)>,
        otherwise: Vec<Located<Step>>,
    },
    /// Requests at the same time; the next step comes when all have ended.
    Parallel(Vec<Located<Request>>),
}

#[derive(Clone, PartialEq, Default, Debug)]
pub struct Request {
    /// `GET` and the like, in capitals.
    pub method: String,
    /// Relative to the target: `/path?query`.
    pub url: Text,
    /// One of `targets`.
    pub target: Option<Name>,
    /// The label in results; left out, it is method and path with `{}` for each expression.
    pub name: Option<String>,
    pub tags: Vec<String>,
    pub headers: Entries<Text>,
    pub query: Entries<Text>,
    pub body: Option<Body>,
    pub auth: Option<Located<Auth>>,
    /// Statuses that count as completed; a check of the status comes in their place.
    pub ok_status: Vec<StatusRange>,
    pub total_timeout: Option<Nanos>,
    pub redirects: Option<u32>,
    pub check: Vec<Check>,
    pub save: Entries<Expr>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Body {
    Text(Text),
    Json(Json),
    /// `application/x-www-form-urlencoded`.
    Form(Entries<Text>),
    Multipart(Vec<Part>),
    /// The bytes of a file.
    File(Located<String>),
}

/// JSON whose texts may hold expressions. A text that is one expression and nothing else becomes its value, with its type.
#[derive(Clone, PartialEq, Debug)]
pub enum Json {
    Scalar(Scalar),
    List(Vec<Json>),
    Map(Entries<Json>),
}

/// RFC 7578.
#[derive(Clone, PartialEq, Debug)]
pub struct Part {
    pub name: Text,
    pub content: PartContent,
    pub filename: Option<Text>,
    pub content_type: Option<Text>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum PartContent {
    Text(Text),
    File(Located<String>),
}

/// What must be true of an answer.
#[derive(Clone, PartialEq, Debug)]
pub struct Check {
    pub that: Expr,
    /// What results call it; the expression where it is left out.
    pub name: Option<String>,
}

/// `p99(response_time) < 50ms`, or with a window and what happens at once.
#[derive(Clone, PartialEq, Debug)]
pub struct LimitSpec {
    pub that: Limit,
    /// It must hold in each stretch of this length, not only over the whole run.
    pub window: Option<Nanos>,
    /// The run ends as soon as it does not hold.
    pub abort: bool,
}
