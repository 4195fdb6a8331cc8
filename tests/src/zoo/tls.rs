//! TLS of the zoo: an authority of its own, good and bad certificates, and the server's end of a connection.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::wire::{Stream, came_back};

/// Certificates that follow the server's own in the long chain, and the bytes of each: 16 MiB less what they are
/// wrapped in, the most that a message can hold.
const LONG_CHAIN: usize = 255;
const LONG_CERTIFICATE: usize = 65_000;

/// How a server does TLS.
#[derive(Copy, Clone, Debug)]
pub(super) struct Tls {
    pub(super) identity: Identity,
    /// What it speaks, the best first; it knows no ALPN where this is empty.
    pub(super) alpn: &'static [&'static str],
}

/// Whose certificate a server shows.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Identity {
    Good,
    /// Was valid until 2001.
    Expired,
    SelfSigned,
    /// Is for `other.example`.
    OtherName,
    /// A good one, followed by 16 MiB.
    LongChain,
}

/// Signs the zoo's certificates.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate.
    pub(super) pem: String,
}

impl Authority {
    pub(super) fn new() -> Result<Self, rcgen::Error> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, "Authority of the zoo");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), pem })
    }

    /// What a server needs to do TLS in this way.
    pub(super) fn config(&self, tls: Tls) -> Result<Arc<ServerConfig>, Box<dyn Error>> {
        let key = KeyPair::generate()?;
        let chain = self.chain(tls.identity, &key)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = tls.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(Arc::new(config))
    }

    fn chain(&self, identity: Identity, key: &KeyPair) -> Result<Vec<CertificateDer<'static>>, rcgen::Error> {
        let names = match identity {
            Identity::OtherName => vec!["other.example".to_owned()],
            _ => vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
        };
        let mut params = CertificateParams::new(names)?;
        // Another name than the authority's: a certificate issued by its own name would count as self-signed.
        params.distinguished_name.push(DnType::CommonName, "A server of the zoo");
        if identity == Identity::Expired {
            params.not_before = date_time_ymd(2000, 1, 1);
            params.not_after = date_time_ymd(2001, 1, 1);
        }
        let own = match identity {
            Identity::SelfSigned => params.self_signed(key)?,
            _ => params.signed_by(key, &self.issuer)?,
        };
        let mut chain = vec![own.der().clone()];
        if identity == Identity::LongChain {
            chain.resize(1 + LONG_CHAIN, CertificateDer::from(vec![0; LONG_CERTIFICATE]));
        }
        Ok(chain)
    }
}

/// The server's end of a connection with TLS.
pub(super) struct TlsStream(StreamOwned<ServerConnection, TcpStream>);

impl TlsStream {
    /// Does the handshake.
    ///
    /// # Errors
    /// When the client breaks it off, or the server is to stop.
    pub(super) fn accept(tcp: TcpStream, config: Arc<ServerConfig>, stop: &AtomicBool) -> io::Result<Self> {
        tcp.look_often()?;
        let connection = ServerConnection::new(config).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, tcp);
        while stream.conn.is_handshaking() {
            if stop.load(Ordering::SeqCst) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            match stream.conn.complete_io(&mut stream.sock) {
                Ok(_) => {}
                Err(error) if came_back(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self(stream))
    }
}

impl Read for TlsStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for TlsStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl AsFd for TlsStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.sock.as_fd()
    }
}

impl Stream for TlsStream {
    fn look_often(&self) -> io::Result<()> {
        self.0.sock.look_often()
    }

    fn never_wait(&self, yes: bool) -> io::Result<()> {
        self.0.sock.set_nonblocking(yes)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.0.conn.send_close_notify();
        self.0.flush()?;
        self.0.sock.shutdown(Shutdown::Both)
    }

    fn half_close(&self) -> io::Result<()> {
        self.0.sock.shutdown(Shutdown::Write)
    }
}
