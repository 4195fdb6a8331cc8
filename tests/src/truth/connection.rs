//! One connection of the origin: its socket, TLS where there is some, and its protocol. Nothing here waits.

use std::error::Error;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::time::{ClockId, clock_gettime};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};

use super::protocol::{Protocol, Request, STREAMS_MAX};

/// What may wait for a client that does not read.
const UNSENT_BYTES_MAX: usize = 32 << 20;
/// Decrypted bytes taken at once, a record's worth.
const PLAIN_BYTES: usize = 16 << 10;

/// What a server needs to do TLS with this certificate and key, in PEM files.
///
/// # Errors
/// When a file cannot be read, or they do not belong together.
pub fn tls(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, Box<dyn Error>> {
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// `CLOCK_MONOTONIC` in nanoseconds, as kernel programs see it.
pub(super) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let [seconds, nanos] = [now.tv_sec, now.tv_nsec].map(|part| u64::try_from(part).unwrap_or(0));
    seconds * 1_000_000_000 + nanos
}

#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    tls: Option<Box<ServerConnection>>,
    protocol: Protocol,
    unsent: Vec<u8>,
    /// Requests that were read and not yet answered.
    under_way: usize,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, config: Option<&Arc<ServerConfig>>) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let tls = config.map(|config| ServerConnection::new(Arc::clone(config)));
        let mut tls = tls.transpose().map_err(io::Error::other)?.map(Box::new);
        if let Some(tls) = &mut tls {
            tls.set_buffer_limit(Some(UNSENT_BYTES_MAX));
        }
        Ok(Self { stream, tls, protocol: Protocol::default(), unsent: Vec::new(), under_way: 0 })
    }

    /// Reads once; adds whole requests to `requests`, and gives the time when the read returned.
    pub(super) fn receive(&mut self, buffer: &mut [u8], requests: &mut Vec<Request>) -> io::Result<u64> {
        let length = match self.stream.read(buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(now_ns()),
            Err(error) => return Err(error),
        };
        let read_ns = now_ns();
        let mut replies = Vec::new();
        let arrived = &buffer[..length];
        match &mut self.tls {
            None => self.protocol.feed(arrived, requests, &mut replies)?,
            Some(tls) => open(tls, arrived, |plain| self.protocol.feed(plain, requests, &mut replies))?,
        }
        self.under_way += requests.len();
        if self.under_way > usize::from(STREAMS_MAX) {
            return Err(io::Error::new(ErrorKind::InvalidData, "the client sent too many requests at once"));
        }
        self.send(&replies)?;
        Ok(read_ns)
    }

    /// Answers a request, and gives the time just before the write.
    pub(super) fn answer(&mut self, request: Request, body: &[u8]) -> io::Result<u64> {
        self.under_way = self.under_way.saturating_sub(1);
        let mut bytes = Vec::with_capacity(body.len() + 128);
        self.protocol.answer(request, body, &mut bytes);
        self.send(&bytes)
    }

    /// Writes what the socket takes; the rest is kept for `flush`.
    fn send(&mut self, bytes: &[u8]) -> io::Result<u64> {
        match &mut self.tls {
            None => self.unsent.extend_from_slice(bytes),
            Some(tls) => {
                tls.writer().write_all(bytes)?;
                while tls.wants_write() {
                    tls.write_tls(&mut self.unsent)?;
                }
            }
        }
        if self.unsent.len() > UNSENT_BYTES_MAX {
            return Err(io::Error::other("the client does not read its answers"));
        }
        let write_ns = now_ns();
        self.flush()?;
        Ok(write_ns)
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        let mut sent = 0;
        while sent < self.unsent.len() {
            match self.stream.write(&self.unsent[sent..]) {
                Ok(length) => sent += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        self.unsent.drain(..sent);
        Ok(())
    }

    pub(super) fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Decrypts what arrived.
fn open(
    tls: &mut ServerConnection,
    mut arrived: &[u8],
    mut feed: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut plain = [0; PLAIN_BYTES];
    while !arrived.is_empty() {
        tls.read_tls(&mut arrived)?;
        tls.process_new_packets().map_err(io::Error::other)?;
        loop {
            match tls.reader().read(&mut plain) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => feed(&plain[..length])?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}
