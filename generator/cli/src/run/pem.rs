//! PEM texts to certificates and keys. What is wrong with one is told without quoting it: it may be a key.

use brunt_engine::conn::tls::Identity;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, RootCertStore};

/// Why a text does not serve, to be read after its name, and what to do about it.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Wrong {
    pub why: String,
    pub mend: &'static str,
}

/// Authorities that can be trusted; at least one.
pub(crate) fn roots(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, Wrong> {
    let certificates = certificates(bytes)?;
    for (number, certificate) in (1..).zip(&certificates) {
        RootCertStore::empty().add(certificate.clone()).map_err(|error| Wrong {
            why: format!("has a certificate (number {number}) that cannot be trusted: {error}"),
            mend: "take it out",
        })?;
    }
    Ok(certificates)
}

/// All certificates of a text; at least one.
pub(crate) fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, Wrong> {
    let fail = |why: String| Wrong {
        why,
        mend: "give a PEM file with 'BEGIN CERTIFICATE' (openssl x509 -inform der makes one of DER)",
    };
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    // The line at which the reader stops may be that of a key.
    let certificates = parsed.map_err(|_| fail("is not PEM".to_owned()))?;
    if certificates.is_empty() { Err(fail("has no certificate".to_owned())) } else { Ok(certificates) }
}

/// PKCS#8, PKCS#1 or SEC1; the first in the text.
pub(crate) fn private_key(bytes: &[u8]) -> Result<PrivateKeyDer<'static>, Wrong> {
    PrivateKeyDer::from_pem_slice(bytes).map_err(|error| {
        let locked = [&b"ENCRYPTED PRIVATE KEY"[..], b"Proc-Type: 4,ENCRYPTED"];
        if locked.iter().any(|mark| bytes.windows(mark.len()).any(|window| window == *mark)) {
            let mend = "take the passphrase off (openssl pkey -in FILE -out NEW)";
            return Wrong { why: "has a key with a passphrase".to_owned(), mend };
        }
        match error {
            pem::Error::NoItemsFound => Wrong {
                why: "has no private key".to_owned(),
                mend: "give a PEM file with a key in PKCS#8, PKCS#1 or SEC1",
            },
            _ => Wrong {
                why: "is not PEM".to_owned(),
                mend: "give a key in PKCS#8, PKCS#1 or SEC1, with the line breaks that it has in its file",
            },
        }
    })
}

/// A chain and its key, which are known to belong together. `cert` is what the chain's file is called.
///
/// # Errors
/// What is wrong with the key.
pub(crate) fn identity(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    cert: &str,
) -> Result<Identity, Wrong> {
    let provider = rustls::crypto::ring::default_provider();
    match CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider) {
        Ok(_) => Ok(Identity { chain, key }),
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => Err(Wrong {
            why: format!("is not the key of the first certificate in '{cert}'"),
            mend: "give the key it was made for, and the client's own certificate before those above it",
        }),
        Err(error) => Err(Wrong {
            why: format!("and its certificate cannot be used: {error}"),
            mend: "give an RSA, ECDSA or Ed25519 key and an X.509 certificate of version 3",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_key_does_not_show_it() {
        for text in [
            "-----BEGIN PRIVATE KEY-----c2VjcmV0-----END PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----c2VjcmV0",
            "-----BEGIN PRIVATE KEY-----\nc2VjcmV0!\n-----END PRIVATE KEY-----\n",
            "c2VjcmV0",
        ] {
            for wrong in [private_key(text.as_bytes()).map(drop), certificates(text.as_bytes()).map(drop)] {
                let Wrong { why, mend } = wrong.expect_err("it is no PEM");
                assert!(!why.contains("c2VjcmV0") && !mend.is_empty(), "{text}: {why}");
            }
        }
    }
}
