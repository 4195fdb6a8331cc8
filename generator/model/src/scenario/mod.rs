//! What a user asked for, as asked: names unresolved, defaults not yet filled in.
//!
//! Today a scenario is what quick-run flags can say: one request, one load.

pub mod file;

use serde::{Deserialize, Serialize};

use crate::limit::Limit;
use crate::schedule::Arrivals;
use crate::units::{Bytes, Nanos, Rate};

/// One request repeated under one load.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Scenario {
    pub name: Option<String>,
    /// `http://host[:port]/path?query`.
    pub url: String,
    /// Send through this unix socket; the URL still gives `Host` and the path.
    pub unix_socket: Option<String>,
    pub source_ips: Vec<std::net::IpAddr>,
    pub request: RequestSpec,
    pub load: LoadSpec,
    pub http: HttpSpec,
    pub tls: TlsSpec,
    pub proxy: Option<ProxySpec>,
    pub warmup: Nanos,
    pub seed: u64,
    pub limits: Vec<Limit>,
    /// Flows of a scenario file in place of the request.
    pub script: Option<ScriptSource>,
    /// In place of a load: one user makes one iteration of each flow, and its exchanges are kept.
    pub once: bool,
}

/// A scenario file as it was written, and what of it is to be run.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
pub struct ScriptSource {
    pub text: String,
    /// Flows and requests with one of these tags only; empty means all.
    pub tags: Vec<String>,
    pub exclude_tags: Vec<String>,
    /// Secrets may go to other hosts without TLS.
    pub secrets_in_clear: bool,
    pub lifecycle: Lifecycle,
}

/// What of a scenario a run is.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub enum Lifecycle {
    /// One user takes the steps of `setup`, before all others.
    Setup,
    #[default]
    Load,
    /// One user takes the steps of `teardown`, after all others.
    Teardown,
}

impl Scenario {
    /// A bare run of a URL: everything else is left to the defaults.
    #[must_use]
    pub fn of(url: &str) -> Self {
        Self {
            name: None,
            url: url.to_owned(),
            unix_socket: None,
            source_ips: Vec::new(),
            request: RequestSpec::default(),
            load: LoadSpec::default(),
            http: HttpSpec::default(),
            tls: TlsSpec::default(),
            proxy: None,
            warmup: Nanos::ZERO,
            seed: 1,
            limits: Vec::new(),
            script: None,
            once: false,
        }
    }
}

#[derive(Clone, Default, Debug, Serialize, Deserialize)]
pub struct RequestSpec {
    /// `GET` when empty.
    pub method: String,
    /// In the order they are sent. `Host`, `User-Agent` and `Accept` are added where they are missing.
    pub headers: Vec<(String, String)>,
}

/// How much load, and of which kind.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
pub struct LoadSpec {
    /// Users of a closed load, or connections kept open from the start of an open one.
    pub connections: Option<u32>,
    pub requests: Option<u64>,
    pub duration: Option<Nanos>,
    /// Makes the load open.
    pub rate: Option<Rate>,
    pub arrivals: Arrivals,
    pub max_connections: Option<u32>,
    pub max_backlog: Option<u32>,
}

impl LoadSpec {
    /// Somebody asked for a load, not only for bounds of one.
    #[must_use]
    pub const fn names_a_load(&self) -> bool {
        self.connections.is_some()
            || self.requests.is_some()
            || self.duration.is_some()
            || self.rate.is_some()
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HttpSpec {
    pub version: HttpVersion,
    /// HTTP/2: requests under way on one connection.
    pub streams: Option<u32>,
    /// HTTP/1.1: requests sent before the first is answered.
    pub pipeline: Option<u32>,
    /// Ask for content codings and decode them.
    pub compressed: bool,
    /// Follow so many redirects within the target's origin.
    pub redirects: Option<u32>,
    /// Send the head alone and wait for `100 (Continue)` before the body.
    pub expect_continue: bool,
    /// Send the body in chunks, without its length.
    pub chunked: bool,
    pub keep_alive: bool,
    /// The user of each connection keeps cookies. A scenario file says so itself.
    pub cookies: bool,
    pub connect_timeout: Nanos,
    pub first_byte_timeout: Nanos,
    pub total_timeout: Nanos,
    pub body_limit: Bytes,
    /// Statuses that count as completed; empty means all below 400.
    pub ok_status: Vec<StatusRange>,
}

impl Default for HttpSpec {
    fn default() -> Self {
        Self {
            version: HttpVersion::Http1,
            streams: None,
            pipeline: None,
            compressed: false,
            redirects: None,
            expect_continue: false,
            chunked: false,
            keep_alive: true,
            cookies: false,
            connect_timeout: Nanos::from_secs(5),
            first_byte_timeout: Nanos::from_secs(30),
            total_timeout: Nanos::from_secs(60),
            body_limit: Bytes::from_mib(64),
            ok_status: Vec::new(),
        }
    }
}

#[derive(Copy, Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub enum HttpVersion {
    #[default]
    #[serde(rename = "1.1")]
    Http1,
    /// By ALPN to an `https:` target, with prior knowledge to an `http:` one (RFC 9113 section 3).
    #[serde(rename = "2")]
    Http2,
}

#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum TlsVersion {
    #[serde(rename = "1.2")]
    Tls12,
    #[serde(rename = "1.3")]
    Tls13,
}

impl std::str::FromStr for TlsVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "1.2" => Ok(Self::Tls12),
            "1.3" => Ok(Self::Tls13),
            _ => Err(format!("'{text}' is not a TLS version; use 1.2 or 1.3")),
        }
    }
}

/// What is asked of TLS. Certificates and keys come with [`crate::plan::Inputs`] and the engine's parts.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TlsSpec {
    /// Do not verify the server's certificate.
    pub insecure: bool,
    /// Oldest and newest version; 1.2 and 1.3 by default.
    pub min: Option<TlsVersion>,
    pub max: Option<TlsVersion>,
    /// Resume earlier sessions where the server offers it.
    pub resume: bool,
}

impl Default for TlsSpec {
    fn default() -> Self {
        Self { insecure: false, min: None, max: None, resume: true }
    }
}

impl TlsSpec {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProxyKind {
    /// A tunnel by CONNECT (RFC 9110 section 9.3.6).
    Http,
    /// RFC 1928; the proxy resolves the target's name.
    Socks5,
}

/// The proxy's own addresses are [`crate::plan::Inputs::addresses`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ProxySpec {
    pub kind: ProxyKind,
    /// User and password.
    #[serde(skip)]
    pub credentials: Option<(String, String)>,
}

/// `404`, `200-299` or `2xx`.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StatusRange {
    pub from: u16,
    pub to: u16,
}

impl std::str::FromStr for StatusRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let range = match text.strip_suffix("xx") {
            Some(class) => class
                .parse::<u16>()
                .ok()
                .filter(|class| *class < 10)
                .map(|class| (class * 100, class * 100 + 99)),
            None => {
                let (from, to) = text.split_once('-').unwrap_or((text, text));
                from.parse().ok().zip(to.parse().ok())
            }
        };
        match range {
            Some((from, to)) if (100..1000).contains(&from) && from <= to && to < 1000 => {
                Ok(Self { from, to })
            }
            _ => Err(format!("'{text}' is not a status such as 404, 200-299 or 2xx")),
        }
    }
}
