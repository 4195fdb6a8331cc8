//! Throw-away certificates: an authority that nobody trusts, and what it signed, as PEM files in a temporary directory.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
    date_time_ymd,
};
use tempfile::TempDir;

use crate::netns::Pair;

/// Whom a certificate is for.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Holder {
    /// `localhost`, `127.0.0.1` and the server of a pair of namespaces.
    Server,
    /// The same, until the year 2001.
    Expired,
    /// `other.test`.
    Other,
    /// A client, by the name `client.test`.
    Client,
}

impl Holder {
    const ALL: [Self; 4] = [Self::Server, Self::Expired, Self::Other, Self::Client];

    const fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Expired => "expired",
            Self::Other => "other",
            Self::Client => "client",
        }
    }

    fn names(self) -> Vec<SanType> {
        let dns = |name: &str| SanType::DnsName(name.try_into().expect("a constant that is ASCII"));
        match self {
            Self::Server | Self::Expired => {
                let addresses = [Ipv4Addr::LOCALHOST, Pair::SERVER];
                let addresses = addresses.map(|address| SanType::IpAddress(IpAddr::V4(address)));
                std::iter::once(dns("localhost")).chain(addresses).collect()
            }
            Self::Other => vec![dns("other.test")],
            Self::Client => vec![dns("client.test")],
        }
    }

    fn usage(self) -> ExtendedKeyUsagePurpose {
        match self {
            Self::Client => ExtendedKeyUsagePurpose::ClientAuth,
            _ => ExtendedKeyUsagePurpose::ServerAuth,
        }
    }
}

/// The files. Dropping it deletes them.
#[derive(Debug)]
pub struct Certificates {
    directory: TempDir,
}

impl Certificates {
    /// Makes the authority and signs one certificate for each holder.
    ///
    /// # Panics
    /// When a key cannot be made or a file not be written.
    #[must_use]
    pub fn make() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let certificates = Self { directory };
        let key = KeyPair::generate().expect("a key can be made");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an authority of tests");
        let authority = params.self_signed(&key).expect("a certificate can be signed");
        certificates.write("authority.pem", &authority.pem());
        let issuer = Issuer::new(params, key);
        for holder in Holder::ALL {
            certificates.sign(holder, &issuer);
        }
        certificates
    }

    fn sign(&self, holder: Holder, issuer: &Issuer<'_, KeyPair>) {
        let key = KeyPair::generate().expect("a key can be made");
        let mut params = CertificateParams::default();
        params.subject_alt_names = holder.names();
        params.distinguished_name.push(DnType::CommonName, holder.name());
        params.extended_key_usages.push(holder.usage());
        if holder == Holder::Expired {
            (params.not_before, params.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(2001, 1, 1));
        }
        let certificate = params.signed_by(&key, issuer).expect("a certificate can be signed");
        self.write(&format!("{}.pem", holder.name()), &certificate.pem());
        self.write(&format!("{}.key", holder.name()), &key.serialize_pem());
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.directory.path().join(name), text).expect("a new directory is writable");
    }

    /// The path of the authority's certificate.
    #[must_use]
    pub fn authority(&self) -> String {
        self.path("authority.pem")
    }

    /// The path of a certificate.
    #[must_use]
    pub fn certificate(&self, holder: Holder) -> String {
        self.path(&format!("{}.pem", holder.name()))
    }

    /// The path of its key.
    #[must_use]
    pub fn key(&self, holder: Holder) -> String {
        self.path(&format!("{}.key", holder.name()))
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_string_lossy().into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_holder_has_a_certificate_and_a_key() {
        let made = Certificates::make();
        let mut paths = vec![(made.authority(), "CERTIFICATE")];
        for holder in Holder::ALL {
            paths.extend([(made.certificate(holder), "CERTIFICATE"), (made.key(holder), "PRIVATE KEY")]);
        }
        for (path, kind) in paths {
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.starts_with(&format!("-----BEGIN {kind}-----")), "{path}: {text}");
        }
    }
}
