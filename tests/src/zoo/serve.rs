//! Serves cases on loopback ports.

use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use rustix::net::sockopt::set_socket_recv_buffer_size;
use rustls::ServerConfig;

use super::case::{Case, Serve};
use super::http2;
use super::tls::{Authority, TlsStream};
use crate::wire::{Act, Stream, Wire, accept_all};

/// Running hostile servers. Dropping it ends them and all of their threads.
pub struct Zoo {
    stop: Arc<AtomicBool>,
    places: Vec<Place>,
    acceptors: Vec<JoinHandle<()>>,
    authority: String,
}

/// Where a case is served.
#[derive(Copy, Clone, Debug)]
pub struct Place {
    pub case: &'static Case,
    pub address: SocketAddr,
}

impl Place {
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}/", self.case.protocol.scheme(), self.address)
    }
}

impl Zoo {
    /// Serves each of these cases on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port is free or a certificate cannot be made.
    pub fn open(cases: impl IntoIterator<Item = &'static Case>) -> Result<Self, Box<dyn Error>> {
        let authority = Authority::new()?;
        let mut zoo = Self {
            stop: Arc::default(),
            places: Vec::new(),
            acceptors: Vec::new(),
            authority: authority.pem.clone(),
        };
        for case in cases {
            let config = case.tls.map(|tls| authority.config(tls)).transpose()?;
            zoo.add(case, config)?;
        }
        Ok(zoo)
    }

    fn add(&mut self, case: &'static Case, config: Option<Arc<ServerConfig>>) -> io::Result<()> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        if let Some(bytes) = case.receive_buffer {
            // Connections inherit it.
            set_socket_recv_buffer_size(&listener, bytes)?;
        }
        self.places.push(Place { case, address: listener.local_addr()? });
        let stop = Arc::clone(&self.stop);
        self.acceptors.push(thread::spawn(move || {
            let for_connections = Arc::clone(&stop);
            accept_all(
                &stop,
                || accept(&listener),
                move |tcp| {
                    // However the client ends the connection is right.
                    let _ = serve_one(case.serve, config.clone(), tcp, &for_connections);
                },
            );
        }));
        Ok(())
    }

    #[must_use]
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// The certificate of the authority that signed the good ones, as PEM.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }
}

impl Drop for Zoo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for place in &self.places {
            // Wakes the acceptor; it sees the flag before it serves anything.
            drop(TcpStream::connect(place.address));
        }
        for acceptor in self.acceptors.drain(..) {
            let _ = acceptor.join();
        }
    }
}

fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn serve_one(
    serve: Serve,
    config: Option<Arc<ServerConfig>>,
    tcp: TcpStream,
    stop: &AtomicBool,
) -> io::Result<()> {
    match config {
        None => serve_stream(serve, Wire::new(tcp, stop)?),
        Some(config) => serve_stream(serve, Wire::new(TlsStream::accept(tcp, config, stop)?, stop)?),
    }
}

fn serve_stream<S: Stream>(serve: Serve, mut wire: Wire<'_, S>) -> io::Result<()> {
    match serve {
        Serve::AtOnce(acts) => wire.perform_all(&acts()).map(drop),
        Serve::Http1(answer) => serve_http1(&mut wire, &answer()),
        Serve::Http2(habits) => http2::serve(&mut wire, habits),
    }
}

fn serve_http1<S: Stream>(wire: &mut Wire<'_, S>, acts: &[Act]) -> io::Result<()> {
    while wire.read_request()?.is_some() {
        if !wire.perform_all(acts)? {
            break;
        }
    }
    Ok(())
}
