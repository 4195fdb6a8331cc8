//! An HTTP/1.1 connection as a client uses it: requests go out in order, and answers come back in the same.

use std::collections::VecDeque;
use std::sync::Arc;

use brunt_model::outcome::ErrorKind;

use super::h1::{Context, H1, Progress};
use super::{Kept, Step, Wants};
use crate::limits::OUT_MAX;

/// A request as HTTP/1.1 sends it.
#[derive(Clone, Debug)]
pub struct Wire {
    pub bytes: Arc<[u8]>,
    pub head_len: usize,
    /// The body waits for `100 (Continue)`.
    pub expects_continue: bool,
    /// Its last field is of the cookies that its user keeps.
    pub has_cookies: bool,
    pub wants: Wants,
}

/// What is left to be sent of a request.
#[derive(Debug)]
struct Upload {
    lane: u32,
    bytes: Arc<[u8]>,
    from: usize,
    /// Nothing past this until the server wants the body.
    hold_at: Option<usize>,
}

/// One connection.
#[derive(Debug)]
pub struct One {
    machine: H1,
    /// Lanes whose requests are under way, the oldest first, and what is wanted of their answers.
    order: VecDeque<(u32, Wants)>,
    uploads: VecDeque<Upload>,
}

impl One {
    #[must_use]
    pub fn new(lanes: u32) -> Self {
        Self {
            machine: H1::default(),
            order: VecDeque::with_capacity(lanes as usize),
            uploads: VecDeque::new(),
        }
    }

    /// Makes ready for a new connection.
    pub fn reset(&mut self) {
        self.machine.reset();
        self.order.clear();
        self.uploads.clear();
    }

    /// The lane whose answer is to come next.
    #[inline]
    #[must_use]
    pub fn front(&self) -> Option<u32> {
        self.order.front().map(|&(lane, _)| lane)
    }

    /// Requests begun and not answered.
    #[inline]
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.order.len()
    }

    /// Bytes of requests that were begun and are not written.
    #[must_use]
    pub fn left_to_upload(&self) -> usize {
        self.uploads.iter().map(|upload| upload.bytes.len() - upload.from).sum()
    }

    /// The answer's first head has not ended. One that follows an interim head may take as long as the request: the
    /// server said that it is at work (RFC 9110 section 15.2).
    #[must_use]
    pub const fn in_head(&self) -> bool {
        self.machine.in_head() && !self.machine.was_interim()
    }

    /// What was kept of the last answer.
    #[must_use]
    pub fn kept(&self) -> Kept<'_> {
        self.machine.kept()
    }

    #[must_use]
    pub fn location(&self) -> &[u8] {
        self.machine.location()
    }

    /// A request goes out whole by other ways.
    #[inline]
    pub fn sent(&mut self, lane: u32, wants: Wants) {
        self.order.push_back((lane, wants));
    }

    /// Sends a request after those before it.
    pub fn request(&mut self, lane: u32, wire: &Wire, out: &mut Vec<u8>) {
        self.order.push_back((lane, wire.wants));
        if self.uploads.is_empty() && !wire.expects_continue && out.len() + wire.bytes.len() <= OUT_MAX {
            out.extend_from_slice(&wire.bytes);
            return;
        }
        let hold_at = wire.expects_continue.then_some(wire.head_len);
        self.uploads.push_back(Upload { lane, bytes: wire.bytes.clone(), from: 0, hold_at });
        self.pump(out);
    }

    /// Writes what `out` has room for.
    pub fn pump(&mut self, out: &mut Vec<u8>) {
        while let Some(upload) = self.uploads.front_mut() {
            let end = upload.hold_at.unwrap_or(upload.bytes.len());
            let len = (end - upload.from).min(OUT_MAX.saturating_sub(out.len()));
            out.extend_from_slice(&upload.bytes[upload.from..upload.from + len]);
            upload.from += len;
            if upload.from < upload.bytes.len() {
                return;
            }
            self.uploads.pop_front();
        }
    }

    /// The server wants the body, or took long enough to say so.
    pub fn release_upload(&mut self, out: &mut Vec<u8>) {
        if let Some(upload) = self.uploads.front_mut() {
            upload.hold_at = None;
            self.pump(out);
        }
    }

    /// Takes what the server sent, up to the end of the next answer. Of `bytes` the number returned were used.
    #[inline]
    pub fn feed(&mut self, bytes: &[u8], context: &mut Context, out: &mut Vec<u8>) -> (usize, Step) {
        if bytes.is_empty() {
            return (0, Step::More { skip: 0 });
        }
        let Some(&(_, wants)) = self.order.front() else {
            return (bytes.len(), Step::Failed(ErrorKind::Protocol));
        };
        if self.machine.is_fresh() {
            self.machine.expect(wants);
        }
        let (used, progress) = self.machine.feed(bytes, context);
        let step = self.step(progress, used < bytes.len());
        if matches!(step, Step::More { .. }) && self.machine.continued() && self.uploads_front() {
            self.release_upload(out);
        }
        (used, step)
    }

    /// Takes `count` bytes of content as read.
    pub fn skip(&mut self, count: u64, context: &Context) -> Step {
        let progress = self.machine.skip(count, context);
        self.step(progress, false)
    }

    /// The server closed its side.
    pub fn feed_eof(&mut self) -> Step {
        let progress = self.machine.feed_eof();
        self.step(progress, false)
    }

    /// Of the request whose answer is to come next something is not sent yet.
    fn uploads_front(&self) -> bool {
        self.uploads.front().is_some_and(|upload| Some(upload.lane) == self.front())
    }

    /// `excess`: more came than belongs to the answer, which is wrong where no other request is under way.
    #[inline]
    fn step(&mut self, progress: Progress, excess: bool) -> Step {
        match progress {
            Progress::More { skip } => Step::More { skip },
            Progress::Failed(kind) => Step::Failed(kind),
            Progress::Done(mut answer) => {
                self.machine.reset();
                // A body that was not sent whole must not meet the next request; those of later ones may go on.
                answer.reusable &= !self.uploads_front();
                let (lane, _) = self.order.pop_front().unwrap_or_default();
                answer.reusable &= !(excess && self.order.is_empty());
                Step::Done { lane, answer }
            }
        }
    }
}
