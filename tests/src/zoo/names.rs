//! T22, a stand-in DNS server (RFC 1035): one name has a great many addresses, and all others do not exist.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use crate::wire::{Stream as _, came_back};

/// The name with many addresses.
pub const MANY: &str = "many.example";
/// Its addresses: the most that an answer of 64 KiB holds, at sixteen bytes each.
const ADDRESSES: u16 = 4_000;
/// Larger answers than this come over TCP.
const UDP_MAX: usize = 512;
const TYPE_A: [u8; 2] = [0, 1];
/// Flags of an answer: response, recursion desired and available; of one over UDP that does not fit, truncated.
const ANSWER: u8 = 0x81;
const TRUNCATED: u8 = 0x02;
const AVAILABLE: u8 = 0x80;
const NXDOMAIN: u8 = 3;
/// ID, flags and four counts.
const HEAD: usize = 12;

/// A running DNS server. Dropping it ends it.
#[derive(Debug)]
pub struct Names {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    port: u16,
}

impl Names {
    /// On this port of 127.0.0.1, UDP and TCP; 0 takes a free one.
    ///
    /// # Errors
    /// When the port is taken or reserved.
    pub fn start(port: u16) -> io::Result<Self> {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let port = tcp.local_addr()?.port();
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, port))?;
        udp.set_read_timeout(Some(crate::wire::LOOK_EVERY))?;
        let stop = Arc::new(AtomicBool::new(false));
        let [for_udp, for_tcp] = [(); 2].map(|()| Arc::clone(&stop));
        let threads = vec![
            thread::spawn(move || serve_udp(&udp, &for_udp)),
            thread::spawn(move || serve_tcp(&tcp, &for_tcp)),
        ];
        Ok(Self { stop, threads, port })
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn serve_udp(socket: &UdpSocket, stop: &AtomicBool) {
    let mut buffer = [0; UDP_MAX];
    while !stop.load(Ordering::SeqCst) {
        let Ok((length, peer)) = socket.recv_from(&mut buffer) else { continue };
        if let Some(answer) = answer(&buffer[..length], UDP_MAX) {
            let _ = socket.send_to(&answer, peer);
        }
    }
}

/// One connection after the other: a resolver makes one a question.
fn serve_tcp(listener: &TcpListener, stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        let Ok((stream, _)) = listener.accept() else { continue };
        let _ = serve_connection(stream, stop);
    }
}

fn serve_connection(mut stream: TcpStream, stop: &AtomicBool) -> io::Result<()> {
    stream.look_often()?;
    let mut unread = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let mut buffer = [0; UDP_MAX];
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => unread.extend_from_slice(&buffer[..count]),
            Err(error) if came_back(&error) => continue,
            Err(error) => return Err(error),
        }
        if unread.len() > 2 * UDP_MAX {
            break;
        }
        if let Some(length) = unread.first_chunk().map(|bytes| usize::from(u16::from_be_bytes(*bytes)))
            && unread.len() >= 2 + length
        {
            let answer = answer(&unread[2..2 + length], usize::from(u16::MAX)).unwrap_or_default();
            let [.., high, low] = answer.len().to_be_bytes();
            stream.write_all(&[&[high, low], answer.as_slice()].concat())?;
            unread.drain(..2 + length);
        }
    }
    Ok(())
}

/// The answer to a question, of at most so many bytes; `None` where it is no question.
fn answer(question: &[u8], most: usize) -> Option<Vec<u8>> {
    let (name, end) = name_of(question)?;
    let asked = question.get(HEAD..end + 4)?;
    let known = name.eq_ignore_ascii_case(MANY);
    let records = if known && question.get(end..end + 2)? == TYPE_A { addresses() } else { Vec::new() };
    let fits = HEAD + asked.len() + records.len() <= most;
    let records = if fits { records } else { Vec::new() };
    let flags = [
        if fits { ANSWER } else { ANSWER | TRUNCATED },
        if known { AVAILABLE } else { AVAILABLE | NXDOMAIN },
    ];
    let [high, low] = u16::try_from(records.len() / RECORD).ok()?.to_be_bytes();
    let counts = [0, 1, high, low, 0, 0, 0, 0];
    Some([question.get(..2)?, &flags, &counts, asked, &records].concat())
}

/// Bytes of one record with its name compressed.
const RECORD: usize = 16;

/// Addresses of 127.0.0.0/8, of which each is this host.
fn addresses() -> Vec<u8> {
    let record = |number: u16| {
        let [high, low] = number.to_be_bytes();
        // The name of the question, A, IN, 60 seconds, four bytes.
        [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, high, low]
    };
    (1..=ADDRESSES).flat_map(record).collect()
}

/// The name that a message asks for, and where it ends.
fn name_of(question: &[u8]) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    let mut at = HEAD;
    loop {
        let length = usize::from(*question.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        labels.push(String::from_utf8_lossy(question.get(at..at + length)?).into_owned());
        at += length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(labels: &[&str]) -> Vec<u8> {
        let mut bytes = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in labels {
            bytes.push(u8::try_from(label.len()).unwrap());
            bytes.extend_from_slice(label.as_bytes());
        }
        [bytes.as_slice(), &[0, 0, 1, 0, 1]].concat()
    }

    /// Length of the answer, its flags and its number of records.
    fn check(labels: &[&str], most: usize, length: usize, flags: [u8; 2], records: u16) {
        let got = answer(&question(labels), most).unwrap();
        assert_eq!((got.len(), &got[2..4], &got[6..8]), (length, &flags[..], &records.to_be_bytes()[..]));
    }

    #[test]
    fn answers_are_many_cut_or_none() {
        check(&["many", "example"], 65_535, 30 + 64_000, [0x81, 0x80], 4_000);
        check(&["MANY", "example"], UDP_MAX, 30, [0x83, 0x80], 0);
        check(&["no", "example"], UDP_MAX, 28, [0x81, 0x83], 0);
    }

    #[test]
    fn what_is_no_question_gets_no_answer() {
        let whole = question(&["many", "example"]);
        for length in 0..whole.len() {
            assert_eq!(answer(&whole[..length], UDP_MAX), None);
        }
    }

    #[test]
    fn it_serves_udp_and_tcp() {
        let names = Names::start(0).unwrap();
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        udp.send_to(&question(&["x"]), (Ipv4Addr::LOCALHOST, names.port())).unwrap();
        let mut buffer = [0; UDP_MAX];
        assert_eq!(udp.recv(&mut buffer).unwrap(), 19);
        let mut tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, names.port())).unwrap();
        let asked = question(&["many", "example"]);
        tcp.write_all(&[&[0, u8::try_from(asked.len()).unwrap()], asked.as_slice()].concat()).unwrap();
        let mut answer = vec![0; 2 + 30 + 64_000];
        tcp.read_exact(&mut answer).unwrap();
        assert_eq!(answer[..2], 64_030_u16.to_be_bytes());
    }
}
