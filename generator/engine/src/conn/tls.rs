//! The TLS stage of a connection: ciphertext in, plaintext out, by rustls with the ring provider.

use std::io::BufRead as _;
use std::io::Write as _;
use std::sync::Arc;

use brunt_model::outcome::ErrorKind;
use brunt_model::plan::{self, Protocol};
use brunt_model::scenario::TlsVersion;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::version::{TLS12, TLS13};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error,
    HandshakeKind, KeyLog, OtherError, PeerMisbehaved, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
};

use super::records::Records;
use crate::limits::SESSIONS_KEPT;

/// What files and the host give to TLS. Nothing of it is part of a plan.
#[derive(Default, Debug)]
pub struct Material {
    /// Whom to trust.
    pub roots: Vec<CertificateDer<'static>>,
    pub identity: Option<Identity>,
    /// Told the secrets of each session, for decryption of captures; only where the user asked for it.
    pub key_log: Option<Arc<dyn KeyLog>>,
}

/// A client certificate with the chain above it, and its key.
#[derive(Debug)]
pub struct Identity {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("'{0}' is no name that a certificate can be for")]
    Name(String),
    #[error("no certificate authority is trusted; give one with --cacert")]
    NoRoots,
    #[error("the client certificate cannot be used: {0}")]
    Identity(#[source] Error),
    #[error("TLS cannot be set up: {0}")]
    Other(#[source] Error),
}

/// What all connections of one core have in common. Each core has its own, so that no lock is shared.
#[derive(Clone, Debug)]
pub struct Setup {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    alpn: &'static [u8],
    /// The server need not speak of protocols at all.
    alpn_optional: bool,
}

impl Setup {
    /// # Errors
    /// When the plan's name or the material is of no use.
    pub fn new(tls: &plan::Tls, protocol: Protocol, material: &Material) -> Result<Self, SetupError> {
        let name = ServerName::try_from(tls.server_name.clone())
            .map_err(|_| SetupError::Name(tls.server_name.clone()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Verifier::new(tls.insecure, material, provider.clone())?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions(tls))
            .map_err(SetupError::Other)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &material.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder
                .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())
                .map_err(SetupError::Identity)?,
        };
        config.resumption =
            if tls.resume { Resumption::in_memory_sessions(SESSIONS_KEPT) } else { Resumption::disabled() };
        if let Some(key_log) = &material.key_log {
            config.key_log = key_log.clone();
        }
        let (alpn, alpn_optional): (&[u8], bool) = match protocol {
            Protocol::Http1 { .. } => (b"http/1.1", true),
            Protocol::Http2 { .. } => (b"h2", false),
        };
        config.alpn_protocols = vec![alpn.to_vec()];
        Ok(Self { config: Arc::new(config), name, alpn, alpn_optional })
    }
}

type Versions = &'static [&'static SupportedProtocolVersion];

const fn versions(tls: &plan::Tls) -> Versions {
    const OLD: Versions = &[&TLS12];
    const NEW: Versions = &[&TLS13];
    const BOTH: Versions = &[&TLS13, &TLS12];
    match (tls.min, tls.max) {
        (TlsVersion::Tls12, TlsVersion::Tls12) => OLD,
        (TlsVersion::Tls13, _) => NEW,
        _ => BOTH,
    }
}

/// What a server's certificate must be. The signature over the handshake is verified in any case.
#[derive(Debug)]
struct Verifier {
    /// None: any certificate will do.
    chains: Option<Arc<WebPkiServerVerifier>>,
    roots: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(insecure: bool, material: &Material, provider: Arc<CryptoProvider>) -> Result<Self, SetupError> {
        if insecure {
            return Ok(Self { chains: None, roots: Vec::new(), provider });
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(material.roots.iter().cloned());
        let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let chains = builder.build().map_err(|_| SetupError::NoRoots)?;
        Ok(Self { chains: Some(chains), roots: material.roots.clone(), provider })
    }
}

impl ServerCertVerifier for Verifier {
    /// Verifies the chain, and takes a certificate that is itself among the trusted ones: a self-signed one often says
    /// that it is an authority, which no server's certificate may be (RFC 5280 section 4.2.1.9).
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chains) = &self.chains else { return Ok(ServerCertVerified::assertion()) };
        match chains.verify_server_cert(end_entity, intermediates, name, ocsp, now) {
            // The dates were looked at before that was found.
            Err(error) if is_authority(&error) && self.roots.contains(end_entity) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn is_authority(error: &Error) -> bool {
    let Error::InvalidCertificate(CertificateError::Other(OtherError(cause))) = error else { return false };
    matches!(cause.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}

/// One connection's TLS.
pub struct Session {
    connection: ClientConnection,
    closed: bool,
    /// Where the records began that came, if anybody asked.
    pub records: Option<Records>,
}

impl Session {
    /// Begins a handshake; [`Session::flush`] has its first bytes.
    ///
    /// # Errors
    /// `TlsHandshake` where the library cannot begin.
    pub fn new(setup: &Setup) -> Result<Self, ErrorKind> {
        let mut connection = ClientConnection::new(setup.config.clone(), setup.name.clone())
            .map_err(|error| kind_of(&error))?;
        // What is written is bounded by who writes it.
        connection.set_buffer_limit(None);
        Ok(Self { connection, closed: false, records: None })
    }

    #[must_use]
    pub fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// The handshake went on from an earlier session.
    #[must_use]
    pub fn resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// # Errors
    /// `Alpn` where the server did not agree to the protocol that is to be spoken (RFC 7301).
    pub fn check_alpn(&self, setup: &Setup) -> Result<(), ErrorKind> {
        match self.connection.alpn_protocol() {
            Some(chosen) if chosen == setup.alpn => Ok(()),
            None if setup.alpn_optional => Ok(()),
            _ => Err(ErrorKind::Alpn),
        }
    }

    /// The peer said that nothing more will come.
    #[must_use]
    pub const fn peer_closed(&self) -> bool {
        self.closed
    }

    /// Takes ciphertext and appends what it holds to `plain`.
    ///
    /// # Errors
    /// What is wrong with the handshake, the certificate or a record. What came before is in `plain`.
    pub fn read(&mut self, mut bytes: &[u8], plain: &mut Vec<u8>) -> Result<(), ErrorKind> {
        let Some(mut records) = self.records.take() else { return self.read_all(bytes, plain) };
        let mut result = Ok(());
        // One at a time, so that it is known which plaintext is of which.
        while !bytes.is_empty() && !self.closed && result.is_ok() {
            let (piece, rest) = bytes.split_at(records.take(bytes));
            let before = plain.len();
            result = self.read_all(piece, plain);
            records.opened(plain.len() - before);
            bytes = rest;
        }
        self.records = Some(records);
        result
    }

    fn read_all(&mut self, mut bytes: &[u8], plain: &mut Vec<u8>) -> Result<(), ErrorKind> {
        while !bytes.is_empty() {
            let taken = self.connection.read_tls(&mut bytes).map_err(|_| ErrorKind::Protocol)?;
            let state = match self.connection.process_new_packets() {
                Ok(state) => state,
                Err(error) => {
                    // What came whole before it still counts; that there is no more is no other fault.
                    let _ = self.take_plain(usize::MAX, plain);
                    return Err(self.kind_now(&error));
                }
            };
            self.closed |= state.peer_has_closed();
            self.take_plain(state.plaintext_bytes_to_read(), plain)?;
            if taken == 0 || self.closed {
                break;
            }
        }
        Ok(())
    }

    fn take_plain(&mut self, mut waiting: usize, plain: &mut Vec<u8>) -> Result<(), ErrorKind> {
        let mut reader = self.connection.reader();
        while waiting > 0 {
            let chunk = reader.fill_buf().map_err(|_| ErrorKind::Protocol)?;
            let len = chunk.len();
            if len == 0 {
                break;
            }
            plain.extend_from_slice(chunk);
            reader.consume(len);
            waiting = waiting.saturating_sub(len);
        }
        Ok(())
    }

    /// A broken record after the handshake is a broken connection. What the server thinks of our certificate comes
    /// after our side of a handshake of TLS 1.3, and is of the handshake all the same (RFC 8446 section 4.4.2.4).
    fn kind_now(&self, error: &Error) -> ErrorKind {
        if self.connection.is_handshaking() || is_of_our_certificate(error) {
            return kind_of(error);
        }
        match kind_of(error) {
            ErrorKind::TlsHandshake => ErrorKind::Protocol,
            kind => kind,
        }
    }

    /// Seals `plain` and appends the records to `sealed`.
    pub fn write(&mut self, plain: &[u8], sealed: &mut Vec<u8>) {
        // Neither a buffer without limit nor a vector refuses.
        let _ = self.connection.writer().write_all(plain);
        self.flush(sealed);
    }

    /// Appends what the library itself has to send: handshake messages, key updates, alerts.
    #[inline]
    pub fn flush(&mut self, sealed: &mut Vec<u8>) {
        while self.connection.wants_write() {
            if !matches!(self.connection.write_tls(sealed), Ok(1..)) {
                return;
            }
        }
    }

    /// The library has something to send.
    #[inline]
    #[must_use]
    pub fn wants_write(&self) -> bool {
        self.connection.wants_write()
    }

    /// Says that nothing more will be sent (RFC 8446 section 6.1).
    pub fn close(&mut self, sealed: &mut Vec<u8>) {
        self.connection.send_close_notify();
        self.flush(sealed);
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("closed", &self.closed).finish_non_exhaustive()
    }
}

const fn is_of_our_certificate(error: &Error) -> bool {
    use AlertDescription as A;
    matches!(
        error,
        Error::AlertReceived(
            A::CertificateRequired
                | A::BadCertificate
                | A::UnsupportedCertificate
                | A::CertificateRevoked
                | A::CertificateExpired
                | A::CertificateUnknown
                | A::UnknownCA
                | A::DecryptError
                | A::AccessDenied
        )
    )
}

fn kind_of(error: &Error) -> ErrorKind {
    match error {
        Error::InvalidCertificate(reason) => certificate_kind(reason),
        Error::NoApplicationProtocol
        | Error::AlertReceived(AlertDescription::NoApplicationProtocol)
        | Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedApplicationProtocol) => ErrorKind::Alpn,
        _ => ErrorKind::TlsHandshake,
    }
}

fn certificate_kind(reason: &CertificateError) -> ErrorKind {
    use CertificateError as E;
    match reason {
        E::Expired | E::ExpiredContext { .. } | E::NotValidYet | E::NotValidYetContext { .. } => {
            ErrorKind::CertExpired
        }
        E::NotValidForName | E::NotValidForNameContext { .. } => ErrorKind::CertName,
        E::BadEncoding => ErrorKind::TlsHandshake,
        _ => ErrorKind::CertUntrusted,
    }
}

#[cfg(test)]
mod tests;
