//! Protocol machines: bytes in, steps out; the caller does the I/O.

pub mod body;
pub mod chunked;
pub mod decode;
pub mod h1;
pub mod h2;
pub mod head;
pub mod link;
pub mod one;
pub mod proxy;
pub mod records;
pub mod tls;

use brunt_model::outcome::ErrorKind;

use self::h1::Answer;

/// What somebody wants to know of an answer.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug)]
pub struct Wants {
    /// It answers a HEAD request: it has no body (RFC 9110 section 9.3.2).
    pub to_head: bool,
    /// Its head is kept.
    pub head: bool,
    /// So many bytes of its content are kept, decoded where it is coded.
    pub body: usize,
    /// The request's number: answers to the same request have mostly the same head.
    pub request: u16,
}

/// Contents kept of answers whose status tells of an error, beside what somebody wants: they go into samples of failures.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug)]
pub struct ErrorsKept {
    /// So many bytes of each.
    pub bytes: usize,
    /// Of so many more answers.
    pub answers: u32,
}

impl ErrorsKept {
    /// What is to be kept of an answer with this status, which then counts.
    #[inline]
    pub(crate) const fn take(&mut self, status: u16) -> Option<usize> {
        if status < 400 || self.answers == 0 {
            return None;
        }
        self.answers -= 1;
        Some(self.bytes)
    }
}

/// What was kept of an answer, until the next one comes.
#[derive(Copy, Clone, Debug)]
pub struct Kept<'a> {
    /// Lines `name: value`; over HTTP/1.1 the status line is before them.
    pub head: &'a [u8],
    pub body: &'a [u8],
    /// The length of the whole content, decoded where it was coded.
    pub body_size: u64,
}

/// What a connection's input led to.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// All input is used; the next so many bytes are content and need not be looked at.
    More { skip: u64 },
    /// The request of a lane is answered.
    Done { lane: u32, answer: Answer },
    /// The request of a lane failed; the connection goes on.
    LaneFailed { lane: u32, kind: ErrorKind },
    /// The server will not answer the request of a lane and did not begin to: it may be sent again.
    Unprocessed { lane: u32 },
    /// The server said how much it takes.
    Ready,
    /// The server takes no more requests.
    Leaving,
    /// The connection is of no more use.
    Failed(ErrorKind),
}
