//! What every loop is given, and what it gives back.

use std::net::{SocketAddr, TcpStream};

use anyhow::Context;
use brunt_benches::answers::Recorder;
use brunt_benches::clock::now_ns;
use serde::{Deserialize, Serialize};

/// The same bytes from every loop; hyper renders nearly the same ones itself.
pub(crate) const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

/// Bytes of one receive: a small answer whole.
pub(crate) const RECEIVE_BYTES: usize = 2 << 10;

#[derive(Copy, Clone)]
pub(crate) struct Load {
    pub address: SocketAddr,
    pub connections: u32,
    pub seconds: u32,
}

#[derive(Copy, Clone, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub requests: u64,
    pub seconds: f64,
    pub p50_ns: u64,
    pub p99_ns: u64,
}

impl Load {
    /// Connected sockets, in blocking mode.
    pub(crate) fn connect(&self) -> anyhow::Result<Vec<TcpStream>> {
        let connect = |_| -> std::io::Result<TcpStream> {
            let socket = TcpStream::connect(self.address)?;
            socket.set_nodelay(true)?;
            Ok(socket)
        };
        (0..self.connections).map(connect).collect::<Result<_, _>>().context("a connection cannot be opened")
    }

    /// When to stop, counted from now.
    pub(crate) fn end_ns(&self) -> u64 {
        now_ns() + u64::from(self.seconds) * 1_000_000_000
    }

    pub(crate) fn outcome(&self, recorder: &Recorder) -> Outcome {
        Outcome {
            requests: recorder.response.count(),
            seconds: f64::from(self.seconds),
            p50_ns: recorder.response.quantile(0.5),
            p99_ns: recorder.response.quantile(0.99),
        }
    }
}
