//! HTTP/1.1 at its cheapest: requests are counted, answers are slices of one pre-rendered buffer.
//!
//! Requests have no body; each is counted by the blank line that ends its head, wherever reads split it. Pipelined
//! requests and partial writes are handled.

use std::os::fd::OwnedFd;

use memchr::memmem;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::Conversation;

const END_OF_HEAD: &[u8] = b"\r\n\r\n";
/// Small answers are rendered several times in a row, so that one system call answers a pipelined batch.
const RENDERED_BYTES_MIN: usize = 32 << 10;

pub(super) struct Connection {
    socket: OwnedFd,
    counter: RequestCounter,
    /// Bytes of answers that are still to be sent.
    owed: usize,
    /// How much of the present answer is sent.
    offset: usize,
}

/// The answer, rendered once or several times in a row.
pub(super) struct Answers {
    bytes: Vec<u8>,
    one: usize,
}

impl Answers {
    pub(super) fn new(size: usize) -> Self {
        let head = format!(
            "HTTP/1.1 200 OK\r\nServer: brunt-benches\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n\
             Content-Type: application/octet-stream\r\nContent-Length: {size}\r\nConnection: keep-alive\r\n\r\n"
        );
        let mut answer = head.into_bytes();
        answer.resize(answer.len() + size, b'x');
        Self { one: answer.len(), bytes: answer.repeat(RENDERED_BYTES_MIN.div_ceil(answer.len())) }
    }
}

impl Conversation for Connection {
    type Shared = Answers;

    fn begin(socket: OwnedFd, _: &Answers) -> Self {
        Self { socket, counter: RequestCounter::default(), owed: 0, offset: 0 }
    }

    fn step(&mut self, buffer: &mut [u8], answers: &Answers, requests: &mut u64) -> bool {
        self.receive(buffer, answers.one, requests) && self.send(answers)
    }
}

impl Connection {
    /// Reads what is there and notes what is owed for it. False when the connection is over.
    fn receive(&mut self, buffer: &mut [u8], answer_bytes: usize, requests: &mut u64) -> bool {
        loop {
            match recv(&self.socket, &mut *buffer, RecvFlags::empty()) {
                Ok((0, _)) => return false,
                Ok((n, _)) => {
                    let ended = self.counter.count(&buffer[..n]);
                    *requests += ended as u64;
                    self.owed += ended * answer_bytes;
                    // A short read emptied the socket; whatever comes later raises a new edge.
                    if n < buffer.len() {
                        return true;
                    }
                }
                Err(Errno::AGAIN) => return true,
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }

    /// Sends what is owed, as far as the socket takes it. False when the connection is over.
    fn send(&mut self, answers: &Answers) -> bool {
        while self.owed > 0 {
            let end = answers.bytes.len().min(self.offset + self.owed);
            match send(&self.socket, &answers.bytes[self.offset..end], SendFlags::NOSIGNAL) {
                Ok(n) => {
                    self.owed -= n;
                    self.offset = (self.offset + n) % answers.one;
                }
                Err(Errno::AGAIN) => return true,
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
        true
    }
}

/// Counts heads by their closing blank line, over reads split anywhere.
#[derive(Default, Debug)]
struct RequestCounter {
    /// How many bytes of the blank line the last read ended with.
    matched: usize,
}

impl RequestCounter {
    /// Heads that end within `bytes`.
    #[inline]
    fn count(&mut self, bytes: &[u8]) -> usize {
        if self.matched == 0 && bytes.ends_with(END_OF_HEAD) {
            return memmem::find_iter(bytes, END_OF_HEAD).count();
        }
        bytes.iter().map(|&byte| usize::from(self.ends_head(byte))).sum()
    }

    fn ends_head(&mut self, byte: u8) -> bool {
        self.matched =
            if byte == END_OF_HEAD[self.matched] { self.matched + 1 } else { usize::from(byte == b'\r') };
        let ended = self.matched == END_OF_HEAD.len();
        if ended {
            self.matched = 0;
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\nX: \r\r\n\r\n";

    #[test]
    fn pipelined_requests_are_counted() {
        assert_eq!(RequestCounter::default().count(TWO), 2);
        assert_eq!(RequestCounter::default().count(&TWO.repeat(50)), 100);
    }

    #[test]
    fn every_split_gives_the_same_count() {
        for first in 0..=TWO.len() {
            for second in first..=TWO.len() {
                let mut counter = RequestCounter::default();
                let parts = [&TWO[..first], &TWO[first..second], &TWO[second..]];
                assert_eq!(
                    parts.map(|part| counter.count(part)).iter().sum::<usize>(),
                    2,
                    "{first} {second}"
                );
            }
        }
    }

    #[test]
    fn an_unfinished_head_counts_when_it_ends() {
        let mut counter = RequestCounter::default();
        assert_eq!(counter.count(b"GET / HTTP/1.1\r\n\r"), 0);
        assert_eq!(counter.count(b"\n"), 1);
        assert_eq!(counter.count(b"\r\n"), 0, "half a blank line is none");
    }

    #[test]
    fn rendered_answers_are_whole() {
        for size in [0, 100, 1 << 20] {
            let answers = Answers::new(size);
            assert_eq!(answers.bytes.len() % answers.one, 0);
            assert!(answers.bytes.starts_with(b"HTTP/1.1 200 OK\r\n"));
            assert!(answers.one >= size + 100);
        }
    }
}
