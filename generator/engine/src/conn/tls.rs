//! The TLS stage of a connection: ciphertext in, plaintext out, by rustls with the ring provider.

use std::sync::Arc;

use rustls::KeyLog;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

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
