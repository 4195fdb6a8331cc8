//! The server side of TLS in the simulated network, around whatever the peer says.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection};

/// A server with a certificate of its own making.
pub(crate) fn server() -> Arc<ServerConfig> {
    let made = rcgen::generate_simple_self_signed(["sim".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config =
        builder.unwrap().with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

/// One connection's TLS.
pub(crate) struct Tls {
    connection: ServerConnection,
    /// Sealed, and kept back at the last delivery.
    kept: Vec<u8>,
}

impl Tls {
    pub(crate) fn new(config: &Arc<ServerConfig>) -> Self {
        let mut connection = ServerConnection::new(config.clone()).unwrap();
        connection.set_buffer_limit(None);
        Self { connection, kept: Vec::new() }
    }

    /// What the client wrote.
    pub(crate) fn open(&mut self, mut sealed: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        while !sealed.is_empty() {
            self.connection.read_tls(&mut sealed).unwrap();
            self.connection.process_new_packets().expect("the client speaks TLS");
            // It ends with an error where no more is there at present.
            let _ = self.connection.reader().read_to_end(&mut plain);
        }
        plain
    }

    /// Seals `plain` behind what waits; of the newest bytes up to `keep` stay behind for the next time.
    pub(crate) fn seal(&mut self, plain: &[u8], keep: usize) -> Vec<u8> {
        let mut sealed = std::mem::take(&mut self.kept);
        let before = sealed.len();
        self.connection.writer().write_all(plain).unwrap();
        while self.connection.wants_write() {
            self.connection.write_tls(&mut sealed).unwrap();
        }
        let new = sealed.len() - before;
        self.kept = sealed.split_off(sealed.len() - keep.min(new.saturating_sub(1)));
        sealed
    }

    pub(crate) fn has_more(&self) -> bool {
        !self.kept.is_empty() || self.connection.wants_write()
    }
}
