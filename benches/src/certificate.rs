//! Certificates for servers on loopback, made by the openssl command.

use std::fmt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::child::{self, last_line};
use crate::table::folder;
use crate::tools::in_path;

/// Making a key of 2,048 bits takes a second where the machine is busy.
const LIMIT: Duration = Duration::from_secs(30);

/// What a server signs its handshakes with.
#[derive(Copy, Clone, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum KeyKind {
    /// ECDSA on the curve P-256.
    P256,
    /// RSA of 2,048 bits.
    Rsa2048,
}

impl KeyKind {
    const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::P256 => &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
            Self::Rsa2048 => &["-newkey", "rsa:2048"],
        }
    }

    const fn file_name(self) -> &'static str {
        match self {
            Self::P256 => "p256",
            Self::Rsa2048 => "rsa2048",
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::P256 => "ECDSA P-256",
            Self::Rsa2048 => "RSA-2048",
        })
    }
}

/// Two PEM files.
#[derive(Debug)]
pub struct Certificate {
    pub chain: PathBuf,
    pub key: PathBuf,
}

impl Certificate {
    /// Makes a self-signed one for 127.0.0.1.
    ///
    /// # Errors
    /// When openssl is not installed or fails.
    pub fn make(kind: KeyKind, core: usize) -> anyhow::Result<Self> {
        let openssl = in_path("openssl").context("openssl is not installed (apt-get install openssl)")?;
        let file = |part| anyhow::Ok(folder()?.join(format!("{}-{part}.pem", kind.file_name())));
        let made = Self { chain: file("certificate")?, key: file("key")? };
        let mut command = Command::new(openssl);
        command.args(["req", "-x509", "-nodes", "-days", "7", "-subj", "/CN=127.0.0.1"]);
        command.args(["-addext", "subjectAltName=IP:127.0.0.1"]).args(kind.arguments());
        command.arg("-keyout").arg(&made.key).arg("-out").arg(&made.chain);
        let ended = child::run(&mut command, core, LIMIT)?;
        if !ended.status.success() {
            bail!("openssl made no certificate: {}", last_line(&ended.stderr));
        }
        Ok(made)
    }
}
