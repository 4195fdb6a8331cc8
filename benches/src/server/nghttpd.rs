//! nghttpd, the server of the nghttp2 project: HTTP/2 in clear text on one thread.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context, bail};

use super::{Process, free_address, program};
use crate::table::folder;

/// A running nghttpd; it ends when dropped.
#[derive(Debug)]
pub struct Nghttpd {
    address: SocketAddr,
    _process: Process,
}

impl Nghttpd {
    /// Starts it on a core, with one file of `size` bytes to serve.
    ///
    /// # Errors
    /// When it is not installed or does not come up.
    pub fn start(size: usize, core: usize) -> anyhow::Result<Self> {
        let nghttpd =
            program("nghttpd").context("nghttpd is not installed (apt-get install nghttp2-server)")?;
        let address = free_address()?;
        let files = folder()?.join("nghttpd");
        fs::create_dir_all(&files)
            .and_then(|()| fs::write(files.join(size.to_string()), vec![b'x'; size]))
            .with_context(|| format!("{} cannot be written", files.display()))?;
        let mut command = Command::new(nghttpd);
        command.args(["--no-tls", "-n1", "-a", &address.ip().to_string(), "-d"]).arg(files);
        command.arg(address.port().to_string());
        let mut process = Process::start(command, core)?;
        if !process.answers(address)? {
            bail!("nghttpd does not answer");
        }
        Ok(Self { address, _process: process })
    }

    /// Where the answer of that size is.
    #[must_use]
    pub fn url(&self, size: usize) -> String {
        format!("http://{}/{size}", self.address)
    }
}
