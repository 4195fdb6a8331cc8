//! The TLS side of `brunt origin`: its certificate, its own or one made at the start.

use std::sync::Arc;
use std::time::Duration;

use brunt_engine::conn::tls::Identity;
use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring::{self, Ticketer};
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use crate::error::CommandError;
use crate::flags::OriginFlags;
use crate::host::identity;
use crate::run::tls::load_identity;

/// Whom the certificate that is made at the start is for.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// Long enough for a day of trying things, short enough to be of no use to anybody later.
const VALID_FOR: Duration = Duration::from_secs(24 * 3_600);
/// Clocks of two hosts may differ; the certificate is valid a little before it was made.
const CLOCK_ERROR_MAX: Duration = Duration::from_secs(300);
/// Both versions of HTTP, the newer one first (RFC 7301, RFC 9113 section 3.2).
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// What answers TLS handshakes; `None` where clear text is to be served.
pub(super) fn acceptor(flags: &OriginFlags) -> Result<Option<TlsAcceptor>, CommandError> {
    let identity = match (&flags.cert, &flags.key) {
        (None, None) if !flags.tls => return Ok(None),
        (Some(_), _) | (_, Some(_)) if !flags.tls => {
            return Err(CommandError::Usage("--cert and --key are for TLS; add --tls".to_owned()));
        }
        (None, None) => {
            self_signed(identity::since_epoch()).map_err(CommandError::system("making a certificate"))?
        }
        (Some(cert), Some(key)) => load_identity(cert, key).map_err(CommandError::Pem)?,
        _ => {
            return Err(CommandError::Usage(
                "--cert and --key belong together; give both or neither".to_owned(),
            ));
        }
    };
    acceptor_of(identity).map(Some).map_err(CommandError::system("setting up TLS"))
}

pub(super) fn acceptor_of(identity: Identity) -> std::io::Result<TlsAcceptor> {
    let provider = Arc::new(ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(identity.chain, identity.key));
    let mut config = config.map_err(std::io::Error::other)?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    // Tickets cost no memory here, however many clients want to resume.
    config.ticketer = Ticketer::new().map_err(std::io::Error::other)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// A new key, and a certificate of itself that is valid from about now.
pub(super) fn self_signed(now_since_epoch: Duration) -> std::io::Result<Identity> {
    let made = || {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(NAMES.map(str::to_owned))?;
        params.distinguished_name.push(DnType::CommonName, "brunt origin");
        let now = rcgen::date_time_ymd(1970, 1, 1) + now_since_epoch;
        (params.not_before, params.not_after) = (now - CLOCK_ERROR_MAX, now + VALID_FOR);
        let certificate = params.self_signed(&key)?;
        Ok((certificate, key))
    };
    let (certificate, key) = made().map_err(|error: rcgen::Error| std::io::Error::other(error))?;
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    Ok(Identity { chain: vec![certificate.der().clone()], key })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(tls: bool, cert: Option<&str>, key: Option<&str>) -> OriginFlags {
        use clap::Parser as _;
        let cli = crate::flags::Cli::try_parse_from(["brunt", "origin"]).unwrap();
        let crate::flags::Command::Origin(flags) = cli.command else { panic!("{cli:?}") };
        OriginFlags { tls, cert: cert.map(Into::into), key: key.map(Into::into), ..flags }
    }

    #[test]
    fn flags_decide_what_is_served() {
        for (flags, want) in [
            (flags(false, None, None), Ok(false)),
            (flags(true, None, None), Ok(true)),
            (flags(false, Some("c"), Some("k")), Err("add --tls")),
            (flags(true, Some("c"), None), Err("give both or neither")),
            (flags(true, Some("/none/c"), Some("/none/k")), Err("the file '/none/c' cannot be opened")),
        ] {
            match (acceptor(&flags), want) {
                (Ok(got), Ok(want)) => assert_eq!(got.is_some(), want),
                (Err(got), Err(want)) => assert!(got.to_string().contains(want), "{got}"),
                (got, want) => panic!("{:?} {want:?}", got.map(|acceptor| acceptor.is_some())),
            }
        }
    }
}
