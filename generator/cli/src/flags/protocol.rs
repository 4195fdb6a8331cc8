//! What is spoken to the target, and how it is trusted: flags of HTTP versions and of TLS.
//!
//! Which of them exclude each other is looked at when they are resolved, not by clap: to clap an environment variable
//! that says `false` is a flag in use.

use std::path::PathBuf;

use brunt_model::scenario::TlsVersion;
use clap::Args;
use clap::builder::BoolishValueParser;

use super::values::count_u32;

#[derive(Args, Debug)]
#[command(next_help_heading = "Protocol")]
pub(crate) struct ProtocolFlags {
    /// Speak HTTP/1.1, which is the default
    #[arg(long = "http1.1", value_parser = BoolishValueParser::new(), env = "BRUNT_HTTP1_1")]
    pub http1_1: bool,
    /// Speak HTTP/2 to an https:// target, agreed on by ALPN
    #[arg(long, value_parser = BoolishValueParser::new(), env = "BRUNT_HTTP2")]
    pub http2: bool,
    /// Speak HTTP/2 to an http:// target, which must know it beforehand
    #[arg(long, value_parser = BoolishValueParser::new(), env = "BRUNT_H2C")]
    pub h2c: bool,
    /// Requests under way at once on each HTTP/2 connection; 1 by default
    #[arg(short = 'p', long, value_name = "N", value_parser = count_u32, env = "BRUNT_STREAMS")]
    pub streams: Option<u32>,
    /// Requests sent on an HTTP/1.1 connection before the first is answered; 1 by default
    #[arg(long, value_name = "N", value_parser = count_u32, env = "BRUNT_PIPELINE")]
    pub pipeline: Option<u32>,
    /// Ask for gzip, br and zstd, and decode what comes
    #[arg(long, value_parser = BoolishValueParser::new(), env = "BRUNT_COMPRESSED")]
    pub compressed: bool,
    /// Follow up to N redirects within the target's origin; none by default
    #[arg(long, value_name = "N", value_parser = count_u32, env = "BRUNT_REDIRECTS")]
    pub redirects: Option<u32>,
    /// Send the body only when the target has said 100 (Continue), or after a second without
    #[arg(long, value_parser = BoolishValueParser::new(), env = "BRUNT_EXPECT_CONTINUE")]
    pub expect_continue: bool,
    /// Send the body in chunks, without its length
    #[arg(long, value_parser = BoolishValueParser::new(), env = "BRUNT_CHUNKED")]
    pub chunked: bool,
}

#[derive(Args, Default, Debug)]
#[command(next_help_heading = "TLS")]
pub(crate) struct TlsFlags {
    /// Do not verify the target's certificate; the result is marked insecure
    #[arg(long, value_parser = BoolishValueParser::new(), env = "BRUNT_INSECURE")]
    pub insecure: bool,
    /// Trust the authorities of this PEM file, and no others (repeatable)
    #[arg(long, value_name = "FILE", value_delimiter = '\n', env = "BRUNT_CACERT")]
    pub cacert: Vec<PathBuf>,
    /// Client certificate with the chain above it, in PEM; needs --key
    #[arg(long, value_name = "FILE", env = "BRUNT_CERT")]
    pub cert: Option<PathBuf>,
    /// Key of the client certificate, in PEM without a passphrase; needs --cert
    #[arg(long, value_name = "FILE", env = "BRUNT_KEY")]
    pub key: Option<PathBuf>,
    /// Oldest version of TLS, 1.2 or 1.3; 1.2 by default
    #[arg(long, value_name = "VERSION", env = "BRUNT_TLS_MIN")]
    pub tls_min: Option<TlsVersion>,
    /// Newest version of TLS, 1.2 or 1.3; 1.3 by default
    #[arg(long, value_name = "VERSION", env = "BRUNT_TLS_MAX")]
    pub tls_max: Option<TlsVersion>,
    /// A full handshake for each connection, instead of resuming earlier sessions
    #[arg(long, value_parser = BoolishValueParser::new(), env = "BRUNT_NO_RESUME")]
    pub no_resume: bool,
    /// Append the secrets of each session to the file that SSLKEYLOGFILE names, to decrypt captures with
    #[arg(long, value_parser = BoolishValueParser::new(), env = "BRUNT_KEYLOG")]
    pub keylog: bool,
}
