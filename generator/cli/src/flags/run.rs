//! The flags of `brunt run`, as typed. Their defaults are the model's, not repeated here.

use std::net::IpAddr;
use std::path::PathBuf;

use brunt_loader::grant::Grant;
use brunt_loader::session::SOCKET_PATH;
use brunt_model::limit::Limit;
use brunt_model::scenario::StatusRange;
use brunt_model::units::{Nanos, Rate};
use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};

use super::ColorChoice;
use super::later::NoneOfLater;
use super::protocol::{ProtocolFlags, TlsFlags};
use super::proxy::ProxyUrl;
use super::secret::Secret;
use super::values::{
    ConnectTo, CoreList, Credentials, FormField, Header, OutputSpec, Resolve, count, count_u32,
};
use crate::kernel::{Need, Wanted};

#[derive(Args, Debug)]
pub(crate) struct RunFlags {
    /// The target, as http://host[:port]/path or https://..., or a scenario file
    #[arg(value_name = "URL|SCENARIO")]
    pub url: String,
    #[command(flatten)]
    pub scenario: ScenarioFlags,
    #[command(flatten)]
    pub load: LoadFlags,
    #[command(flatten)]
    pub request: RequestFlags,
    #[command(flatten)]
    pub protocol: ProtocolFlags,
    #[command(flatten)]
    pub tls: TlsFlags,
    #[command(flatten)]
    pub connection: ConnectionFlags,
    #[command(flatten)]
    pub engine: EngineFlags,
    #[command(flatten)]
    pub kernel: KernelFlags,
    #[command(flatten)]
    pub judge: JudgeFlags,
    #[command(flatten)]
    pub output: OutputFlags,
    #[command(flatten)]
    pub later: NoneOfLater,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Load")]
pub(crate) struct LoadFlags {
    /// Connections: users of a closed load (50 by default), or those opened at the start with -q
    #[arg(short, long, value_name = "N", value_parser = count_u32, env = "BRUNT_CONNECTIONS")]
    pub connections: Option<u32>,
    /// Requests in all, as in 10k; with -z or -q whichever ends first
    #[arg(short = 'n', long, value_name = "N", value_parser = count, env = "BRUNT_REQUESTS")]
    pub requests: Option<u64>,
    /// How long, as in 30s or 1h20m; 10s by default
    #[arg(short = 'z', long, value_name = "DURATION", env = "BRUNT_DURATION")]
    pub duration: Option<Nanos>,
    /// Total rate in requests a second; this makes it an open load
    #[arg(short = 'q', long, value_name = "RATE", env = "BRUNT_RATE")]
    pub rate: Option<Rate>,
    /// How the gaps between arrivals are drawn
    #[arg(long, value_name = "KIND", default_value = "uniform", env = "BRUNT_ARRIVALS")]
    pub arrivals: ArrivalsChoice,
    /// Connections that -q may open; 10000 by default
    #[arg(long, value_name = "N", value_parser = count_u32, env = "BRUNT_MAX_CONNECTIONS")]
    pub max_connections: Option<u32>,
    /// Arrivals that may wait for a connection before they are dropped; one second of the rate by default
    #[arg(long, value_name = "N", value_parser = count_u32, env = "BRUNT_MAX_BACKLOG")]
    pub max_backlog: Option<u32>,
    /// Make one iteration of each flow, as one user, and show each exchange whole; secrets are left out
    #[arg(long, value_parser = BoolishValueParser::new(), env = "BRUNT_ONCE", conflicts_with_all =
          ["connections", "requests", "duration", "rate", "max_connections", "max_backlog"])]
    pub once: bool,
    /// What is sent before this is not measured
    #[arg(long, value_name = "DURATION", default_value = "0s", env = "BRUNT_WARMUP")]
    pub warmup: Nanos,
    /// Seed of all that is drawn at random
    #[arg(long, value_name = "N", default_value_t = 1, env = "BRUNT_SEED")]
    pub seed: u64,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Scenario")]
pub(crate) struct ScenarioFlags {
    /// Send to this URL in place of the scenario's target
    #[arg(long, value_name = "URL", env = "BRUNT_TARGET")]
    pub target: Option<String>,
    /// Only flows and requests with one of these tags
    #[arg(long, value_name = "TAG", value_delimiter = ',', env = "BRUNT_TAGS")]
    pub tags: Vec<String>,
    /// No flow or request with one of these tags
    #[arg(long, value_name = "TAG", value_delimiter = ',', env = "BRUNT_EXCLUDE_TAGS")]
    pub exclude_tags: Vec<String>,
    /// Let secrets go to other hosts without TLS
    #[arg(long, value_parser = BoolishValueParser::new(), env = "BRUNT_SECRETS_IN_CLEAR")]
    pub secrets_in_clear: bool,
    /// A file with the value of a secret; else BRUNT_SECRET_NAME, or a file NAME in CREDENTIALS_DIRECTORY (repeatable)
    #[arg(long, value_name = "NAME=FILE", env = "BRUNT_SECRET_FILE", value_delimiter = ',')]
    pub secret_file: Vec<String>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Request")]
pub(crate) struct RequestFlags {
    /// GET by default, POST with --form
    #[arg(short, long, value_name = "METHOD", env = "BRUNT_METHOD")]
    pub method: Option<String>,
    /// Another header, as in 'Name: value' (repeatable)
    #[arg(short = 'H', long = "header", value_name = "HEADER", env = "BRUNT_HEADER")]
    pub headers: Vec<Header>,
    /// The body
    #[arg(short = 'd', long, value_name = "TEXT", env = "BRUNT_BODY", conflicts_with = "body_file")]
    pub body: Option<String>,
    /// A file with the body
    #[arg(short = 'D', long, value_name = "FILE", env = "BRUNT_BODY_FILE")]
    pub body_file: Option<PathBuf>,
    /// A field of a multipart form, or with NAME=@FILE a file to upload, as in curl -F (repeatable)
    #[arg(long, value_name = "NAME=VALUE", env = "BRUNT_FORM",
          conflicts_with_all = ["body", "body_file", "content_type"])]
    pub form: Vec<FormField>,
    /// The header Content-Type
    #[arg(short = 'T', long, value_name = "TYPE", env = "BRUNT_CONTENT_TYPE")]
    pub content_type: Option<String>,
    /// The header Accept
    #[arg(short = 'A', long, value_name = "TYPES", env = "BRUNT_ACCEPT")]
    pub accept: Option<String>,
    /// Basic authentication
    #[arg(short = 'a', long, value_name = "USER:PASSWORD", value_parser = Secret::<Credentials>::new(),
          env = "BRUNT_BASIC_AUTH", hide_env_values = true)]
    pub basic_auth: Option<Credentials>,
    /// Statuses that count as completed, as in 200-299,404 or 2xx; all below 400 by default
    #[arg(long, value_name = "STATUS", value_delimiter = ',', env = "BRUNT_OK_STATUS")]
    pub ok_status: Vec<StatusRange>,
    /// Each connection is a user that keeps cookies, with -p and --pipeline each request under way on it; not with -q
    #[arg(long, value_parser = BoolishValueParser::new(), env = "BRUNT_COOKIES")]
    pub cookies: bool,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionFlags {
    /// Connect to another host and port than the URL's, as in curl (repeatable)
    #[arg(long, value_name = "HOST1:PORT1:HOST2:PORT2", value_delimiter = '\n', env = "BRUNT_CONNECT_TO")]
    pub connect_to: Vec<ConnectTo>,
    /// Give a name its addresses, as in curl; with --proxy the proxy's name (repeatable)
    #[arg(long, value_name = "HOST:PORT:ADDR", value_delimiter = '\n', env = "BRUNT_RESOLVE")]
    pub resolve: Vec<Resolve>,
    /// Connect from this address (repeatable)
    #[arg(long, value_name = "ADDR", value_delimiter = ',', env = "BRUNT_SOURCE_IP")]
    pub source_ip: Vec<IpAddr>,
    /// Connect through this unix socket
    #[arg(long, value_name = "PATH", env = "BRUNT_UNIX_SOCKET")]
    pub unix_socket: Option<String>,
    /// Connect through http://[user:password@]host:port (CONNECT) or socks5://...; it looks up the target's name
    #[arg(long, value_name = "URL", value_parser = Secret::<ProxyUrl>::new(), env = "BRUNT_PROXY",
          hide_env_values = true)]
    pub proxy: Option<ProxyUrl>,
    /// A new connection for each request
    #[arg(long, value_parser = BoolishValueParser::new(), env = "BRUNT_DISABLE_KEEPALIVE")]
    pub disable_keepalive: bool,
    /// What a whole request may take, its first byte too; by default 60s, and 30s to the first byte
    #[arg(long, value_name = "DURATION", env = "BRUNT_TIMEOUT")]
    pub timeout: Option<Nanos>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Engine")]
pub(crate) struct EngineFlags {
    /// Cores to run on, as in 0-3 or 0,2; one per 64 connections or 50000 requests a second by default
    #[arg(long, value_name = "LIST", env = "BRUNT_CORES")]
    pub cores: Option<CoreList>,
    /// How to ask the kernel for I/O; io_uring where it is usable
    #[arg(long, value_name = "DRIVER", env = "BRUNT_IO")]
    pub io: Option<IoChoice>,
    /// How the core waits: precise, or efficient, where times may be 0.1 ms too long; precise for closed loads and on
    /// idle cores
    #[arg(long, value_name = "PACE", env = "BRUNT_PACE")]
    pub pace: Option<PaceChoice>,
    #[arg(long, hide = true, value_name = "DURATION", default_value = "0s")]
    pub late_reads: Nanos,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Kernel")]
pub(crate) struct KernelFlags {
    /// Time stamps by the kernel: on refuses to run without, auto takes them where brunt-loader runs or can be started
    #[arg(long, value_name = "on|off|auto", default_value = "auto", env = "BRUNT_KERNEL", value_parser = kernel_need)]
    pub kernel: Need,
    /// A fence in the kernel around what may be reached: required refuses to run without
    #[arg(long, value_name = "required|off|auto", default_value = "auto", env = "BRUNT_GUARD",
          value_parser = guard_need)]
    pub guard: Need,
    /// What may be reached, as in 10.0.0.0/8:8080 or [2001:db8::]/32:80-90 (repeatable); the target alone by default
    #[arg(long, value_name = "CIDR[:PORTS]", value_delimiter = ',', env = "BRUNT_ALLOW")]
    pub allow: Vec<Grant>,
    /// Where brunt-loader listens
    #[arg(long, value_name = "PATH", default_value = SOCKET_PATH, env = "BRUNT_LOADER_SOCKET")]
    pub loader_socket: PathBuf,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Result")]
pub(crate) struct JudgeFlags {
    /// What the run must hold, as in 'p99(response_time) < 50ms' (repeatable); 'error_rate < 50%' by default
    #[arg(long = "limit", value_name = "LIMIT", value_delimiter = '\n', env = "BRUNT_LIMIT")]
    pub limits: Vec<Limit>,
    /// Name of the run; method and path by default
    #[arg(long, value_name = "NAME", env = "BRUNT_NAME")]
    pub name: Option<String>,
    /// Watch the run on the whole terminal, however short it is; by default if it lasts longer than 5 s
    #[arg(long, value_parser = BoolishValueParser::new(), env = "BRUNT_TUI")]
    pub tui: bool,
    /// Keep to the progress line
    #[arg(long, value_parser = BoolishValueParser::new(), env = "BRUNT_NO_TUI")]
    pub no_tui: bool,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Result")]
pub(crate) struct OutputFlags {
    /// text, json, csv, hgrm, markdown or junit, each with =FILE or on stdout (repeatable); text by default
    #[arg(short, long, value_name = "FORMAT[=FILE]", value_delimiter = '\n', env = "BRUNT_OUTPUT")]
    pub output: Vec<OutputSpec>,
    /// When to use colour; NO_COLOR is heeded
    #[arg(long, value_name = "WHEN", default_value = "auto", env = "BRUNT_COLOR")]
    pub color: ColorChoice,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum ArrivalsChoice {
    Uniform,
    Poisson,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum IoChoice {
    Uring,
    Epoll,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum PaceChoice {
    Precise,
    Efficient,
}

impl KernelFlags {
    pub(crate) fn wanted(&self) -> Wanted {
        Wanted {
            timing: self.kernel,
            guard: self.guard,
            allow: self.allow.clone(),
            socket: self.loader_socket.clone(),
        }
    }
}

fn kernel_need(text: &str) -> Result<Need, String> {
    need(text, "on")
}

fn guard_need(text: &str) -> Result<Need, String> {
    need(text, "required")
}

fn need(text: &str, strongest: &str) -> Result<Need, String> {
    match text {
        "auto" => Ok(Need::Auto),
        "off" => Ok(Need::Off),
        _ if text == strongest => Ok(Need::Required),
        _ => Err(format!("expected auto, off or {strongest}")),
    }
}
