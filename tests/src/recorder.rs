//! A server that keeps every request as it came, so that a test can say what was sent to the byte.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crate::wire::{Act, Wire, accept_all};

/// More than any test sends; a test that asks for more would read of requests that are not there.
const REQUESTS_MAX: usize = 100_000;

/// What is answered to a request: a whole answer, head and body.
pub type Answer = fn(&Seen) -> String;

/// A running server. Dropping it ends it and all of its threads.
#[derive(Debug)]
pub struct Recorder {
    shared: Arc<Shared>,
    address: SocketAddr,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Default, Debug)]
struct Shared {
    stop: AtomicBool,
    seen: Mutex<Vec<Seen>>,
}

/// A request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Method, target and version.
    pub line: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Seen {
    fn new(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(bytes.len());
        let head = String::from_utf8_lossy(&bytes[..end]);
        let mut lines = head.split("\r\n");
        let line = lines.next().unwrap_or_default().to_owned();
        let field = |line: &str| {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            (name.to_ascii_lowercase(), value.trim().to_owned())
        };
        let body = bytes.get(end + 4..).unwrap_or_default().to_vec();
        Self { line, headers: lines.map(field).collect(), body }
    }

    /// Method and target.
    #[must_use]
    pub fn asked(&self) -> &str {
        self.line.trim_end_matches(" HTTP/1.1")
    }

    /// The values of a header, joined by `|`; empty without it.
    #[must_use]
    pub fn header(&self, name: &str) -> String {
        let values: Vec<_> =
            self.headers.iter().filter(|field| field.0 == name).map(|field| field.1.as_str()).collect();
        values.join("|")
    }

    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Recorder {
    /// On a free port of 127.0.0.1.
    ///
    /// # Panics
    /// When no port is free.
    #[must_use]
    pub fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port is free");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared::default());
        let [for_acceptor, for_connections] = [(); 2].map(|()| Arc::clone(&shared));
        let acceptor = thread::spawn(move || {
            accept_all(
                &for_acceptor.stop,
                || {
                    let (stream, _) = listener.accept()?;
                    stream.set_nodelay(true)?;
                    Ok(stream)
                },
                move |stream| {
                    // Whatever the client does to the connection is its own affair: it ends there.
                    let _ = serve(&for_connections, stream, answer);
                },
            );
        });
        Self { shared, address, acceptor: Some(acceptor) }
    }

    /// `http://127.0.0.1:PORT`, as a target.
    #[must_use]
    pub fn target(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests, in the order of their arrival.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Wakes the acceptor; it sees the flag before it serves anything.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn serve(shared: &Shared, stream: TcpStream, answer: Answer) -> io::Result<()> {
    let mut wire = Wire::new(stream, &shared.stop)?;
    while let Some(request) = wire.read_request()? {
        let seen = Seen::new(&request);
        let answer = answer(&seen);
        {
            let mut all = shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if all.len() >= REQUESTS_MAX {
                return Ok(());
            }
            all.push(seen);
        }
        if !wire.perform_all(&[Act::Send(answer.into_bytes())])? {
            return Ok(());
        }
    }
    Ok(())
}

/// A whole answer of this status, with these header lines and this body.
#[must_use]
pub fn answer(status: u16, headers: &[&str], body: &str) -> String {
    let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    format!("HTTP/1.1 {status} -\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn it_keeps_what_came_and_answers_by_it() {
        let recorder =
            Recorder::start(|seen| answer(if seen.body.is_empty() { 204 } else { 200 }, &["A: b"], ""));
        let mut stream = TcpStream::connect(recorder.address).unwrap();
        stream.write_all(b"PUT /a?b HTTP/1.1\r\nX: 1\r\nx:2\r\nContent-Length: 2\r\n\r\nhi").unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let mut answers = [0; 2 * "HTTP/1.1 200 -\r\nA: b\r\nContent-Length: 0\r\n\r\n".len()];
        stream.read_exact(&mut answers).unwrap();
        let answers = String::from_utf8_lossy(&answers).into_owned();
        assert!(
            answers.starts_with("HTTP/1.1 200 -\r\nA: b\r\n") && answers.contains("HTTP/1.1 204 -"),
            "{answers}"
        );
        let seen = recorder.seen();
        assert_eq!(seen.iter().map(Seen::asked).collect::<Vec<_>>(), ["PUT /a?b", "GET /"]);
        assert_eq!((seen[0].header("x"), seen[0].text()), ("1|2".to_owned(), "hi".to_owned()));
    }
}
