//! The client side of one HTTP/1.1 connection with one request in flight.
//!
//! The machine sees only what the server sends. It counts the bytes of each answer and keeps none of a body.

use brunt_model::outcome::ErrorKind;

use super::chunked::{self, Chunked};
use super::head::{self, Framing, Head, HeadCache};
use crate::limits::{HEAD_BYTES_MAX, INTERIM_MAX, PARTIAL_HEAD_KEPT};

/// What is the same for all connections of a core.
#[derive(Debug)]
pub struct Context {
    pub cache: HeadCache,
    /// The plan's request is a HEAD: no answer has a body.
    pub to_head_request: bool,
    pub body_limit: u64,
}

/// Where a piece of input left the answer.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Progress {
    /// More must come; the next so many bytes are body and need not be looked at.
    More {
        skip: u64,
    },
    Done(Answer),
    Failed(ErrorKind),
}

/// A whole answer.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    pub status: u16,
    /// Another request may be sent on this connection.
    pub reusable: bool,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum State {
    Head,
    Length(u64),
    Chunked(Chunked),
    /// Body bytes so far.
    UntilClose(u64),
}

/// One connection's protocol state.
#[derive(Debug)]
pub struct H1 {
    state: State,
    answer: Answer,
    interim: u8,
    /// A head whose end has not arrived.
    partial: Vec<u8>,
}

impl Default for H1 {
    fn default() -> Self {
        Self {
            state: State::Head,
            answer: Answer { status: 0, reusable: false },
            interim: 0,
            partial: Vec::new(),
        }
    }
}

impl H1 {
    /// Makes ready for the next answer on the same or on a new connection.
    #[inline]
    pub fn reset(&mut self) {
        self.state = State::Head;
        self.interim = 0;
        if !self.partial.is_empty() {
            self.partial.clear();
            self.partial.shrink_to(PARTIAL_HEAD_KEPT);
        }
    }

    /// The head of the answer has not ended yet.
    #[must_use]
    pub const fn in_head(&self) -> bool {
        matches!(self.state, State::Head)
    }

    /// Takes what the server sent. After `Done` or `Failed`, call [`H1::reset`] before the next answer.
    #[inline]
    pub fn feed(&mut self, bytes: &[u8], context: &mut Context) -> Progress {
        if self.in_head()
            && self.partial.is_empty()
            && self.interim == 0
            && let Some(head) = context.cache.find(bytes)
        {
            return self.after_head(&head, &bytes[head.len..], context);
        }
        self.feed_slowly(bytes, context)
    }

    /// The server closed its side.
    #[must_use]
    pub const fn feed_eof(&self) -> Progress {
        match self.state {
            State::UntilClose(_) => Progress::Done(self.answer),
            _ => Progress::Failed(ErrorKind::ClosedEarly),
        }
    }

    /// Takes `count` body bytes as received; at most what `Progress::More` offered.
    pub fn skip(&mut self, count: u64, context: &Context) -> Progress {
        match &mut self.state {
            State::Head => Progress::Failed(ErrorKind::Protocol),
            State::Length(remaining) => {
                *remaining -= count;
                if *remaining == 0 {
                    Progress::Done(self.answer)
                } else {
                    Progress::More { skip: *remaining }
                }
            }
            State::Chunked(chunked) => {
                chunked.skip(count);
                self.more(context)
            }
            State::UntilClose(received) => {
                *received += count;
                self.more(context)
            }
        }
    }

    fn feed_slowly(&mut self, bytes: &[u8], context: &mut Context) -> Progress {
        match &mut self.state {
            State::Head => self.feed_head(bytes, context),
            State::Length(remaining) => {
                let left = remaining.saturating_sub(bytes.len() as u64);
                let excess = bytes.len() as u64 > *remaining;
                *remaining = left;
                if left > 0 { Progress::More { skip: left } } else { self.done(excess) }
            }
            State::Chunked(chunked) => match chunked.feed(bytes) {
                Ok(chunked::Progress::More) => self.more(context),
                Ok(chunked::Progress::Done(used)) => self.done_within(used < bytes.len(), context),
                Err(kind) => Progress::Failed(kind),
            },
            State::UntilClose(received) => {
                *received += bytes.len() as u64;
                self.more(context)
            }
        }
    }

    /// One or more heads may be in `bytes`: interim ones come before the final one.
    fn feed_head(&mut self, bytes: &[u8], context: &mut Context) -> Progress {
        if self.partial.is_empty() {
            return self.heads(bytes, context);
        }
        let room = (HEAD_BYTES_MAX + 1).saturating_sub(self.partial.len());
        let mut joined = std::mem::take(&mut self.partial);
        let (now, later) = bytes.split_at(bytes.len().min(room));
        joined.extend_from_slice(now);
        let progress = self.heads(&joined, context);
        let progress = match progress {
            other if later.is_empty() => other,
            Progress::More { .. } if self.in_head() => Progress::Failed(ErrorKind::HeaderLimit),
            Progress::More { .. } => self.feed_slowly(later, context),
            Progress::Done(answer) => Progress::Done(Answer { reusable: false, ..answer }),
            failed @ Progress::Failed(_) => failed,
        };
        if self.partial.is_empty() {
            // Keep the memory for the next split head.
            joined.clear();
            joined.shrink_to(PARTIAL_HEAD_KEPT);
            self.partial = joined;
        }
        progress
    }

    fn heads(&mut self, mut bytes: &[u8], context: &mut Context) -> Progress {
        loop {
            let head = match head::parse(bytes, context.to_head_request) {
                Ok(Some(head)) => head,
                Ok(None) => {
                    self.partial.extend_from_slice(bytes);
                    return Progress::More { skip: 0 };
                }
                Err(kind) => return Progress::Failed(kind),
            };
            match head.status {
                // An upgrade nobody asked for: what follows would not be HTTP (RFC 9110 section 15.2.2).
                101 => return Progress::Failed(ErrorKind::Protocol),
                100..200 => {
                    self.interim += 1;
                    if self.interim > INTERIM_MAX {
                        return Progress::Failed(ErrorKind::TooManyInterim);
                    }
                    bytes = &bytes[head.len..];
                    if bytes.is_empty() {
                        return Progress::More { skip: 0 };
                    }
                }
                _ => {
                    context.cache.keep(bytes, head);
                    return self.after_head(&head, &bytes[head.len..], context);
                }
            }
        }
    }

    #[inline]
    fn after_head(&mut self, head: &Head, rest: &[u8], context: &mut Context) -> Progress {
        self.answer = Answer { status: head.status, reusable: head.keep_alive };
        match head.framing {
            Framing::None => self.done(!rest.is_empty()),
            Framing::Length(length) => {
                let arrived = rest.len() as u64;
                if arrived >= length {
                    return self.done_within_length(arrived > length, length, context);
                }
                self.state = State::Length(length - arrived);
                if length > context.body_limit {
                    return Progress::Failed(ErrorKind::BodyLimit);
                }
                Progress::More { skip: length - arrived }
            }
            Framing::Chunked => {
                self.state = State::Chunked(Chunked::default());
                if rest.is_empty() { Progress::More { skip: 0 } } else { self.feed_slowly(rest, context) }
            }
            Framing::UntilClose => {
                self.state = State::UntilClose(rest.len() as u64);
                self.more(context)
            }
        }
    }

    /// Bytes after the end of an answer belong to no request: the answer counts, the connection is done with.
    #[inline]
    const fn done(&self, excess: bool) -> Progress {
        Progress::Done(Answer { status: self.answer.status, reusable: self.answer.reusable && !excess })
    }

    #[inline]
    fn done_within_length(&self, excess: bool, length: u64, context: &Context) -> Progress {
        if length > context.body_limit { Progress::Failed(ErrorKind::BodyLimit) } else { self.done(excess) }
    }

    fn done_within(&self, excess: bool, context: &Context) -> Progress {
        if self.received() > context.body_limit {
            Progress::Failed(ErrorKind::BodyLimit)
        } else {
            self.done(excess)
        }
    }

    const fn received(&self) -> u64 {
        match self.state {
            State::Chunked(chunked) => chunked.body(),
            State::UntilClose(received) => received,
            State::Head | State::Length(_) => 0,
        }
    }

    /// More must come, unless the body is too long already.
    fn more(&self, context: &Context) -> Progress {
        let announced = match &self.state {
            State::Chunked(chunked) => chunked.skippable(),
            _ => 0,
        };
        if self.received().saturating_add(announced) > context.body_limit {
            return Progress::Failed(ErrorKind::BodyLimit);
        }
        let skip = match &self.state {
            // One byte past the limit is enough to know.
            State::UntilClose(received) => context.body_limit - received + 1,
            _ => announced,
        };
        Progress::More { skip }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn context(to_head_request: bool) -> Context {
        Context { cache: HeadCache::default(), to_head_request, body_limit: 1_000 }
    }

    /// Feeds `answer` in pieces of `cut` bytes, and its end where the machine wants more.
    fn run(machine: &mut H1, context: &mut Context, answer: &[u8], cut: usize) -> Progress {
        machine.reset();
        for piece in answer.chunks(cut.max(1)) {
            match machine.feed(piece, context) {
                Progress::More { .. } => {}
                end => return end,
            }
        }
        machine.feed_eof()
    }

    fn check(answer: &str, want: Progress) {
        let bytes = answer.replace('\n', "\r\n").into_bytes();
        for cut in (1..bytes.len()).chain([bytes.len(), bytes.len()]) {
            let (mut machine, mut context) = (H1::default(), context(false));
            let first = run(&mut machine, &mut context, &bytes, cut);
            assert_eq!(first, want, "{answer} cut {cut}");
            let again = run(&mut machine, &mut context, &bytes, cut);
            assert_eq!(again, want, "{answer} cut {cut}, with the head remembered");
        }
    }

    fn done(status: u16, reusable: bool) -> Progress {
        Progress::Done(Answer { status, reusable })
    }

    #[test]
    fn whole_answers() {
        check("HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", done(200, true));
        check("HTTP/1.1 200 OK\nContent-Length: 5\nConnection: close\n\nhello", done(200, false));
        check("HTTP/1.1 404 Not Found\nContent-Length: 0\n\n", done(404, true));
        check("HTTP/1.1 204 No Content\n\n", done(204, true));
        check("HTTP/1.1 200 OK\n\nuntil the end", done(200, false));
        check(
            "HTTP/1.1 100 Continue\n\nHTTP/1.1 103 Hints\nLink: x\n\nHTTP/1.1 200 OK\nContent-Length: 2\n\nok",
            done(200, true),
        );
        check("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n5;x=y\nhello\n0\nA: b\n\n", done(200, true));
    }

    #[test]
    fn an_answer_to_head_has_no_body() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n";
        assert_eq!(run(&mut H1::default(), &mut context(true), answer, 99), done(200, true));
    }

    #[test]
    fn broken_answers() {
        use ErrorKind::{BodyLimit, ClosedEarly, Protocol, TooManyInterim};
        check("", Progress::Failed(ClosedEarly));
        check("HTTP/1.1 200 OK\nContent-Le", Progress::Failed(ClosedEarly));
        check("HTTP/1.1 200 OK\nContent-Length: 5\n\nhell", Progress::Failed(ClosedEarly));
        check("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n5\nhello\n", Progress::Failed(ClosedEarly));
        check("HTTP/1.1 101 Switching Protocols\nUpgrade: x\n\n", Progress::Failed(Protocol));
        check(
            "HTTP/1.1 200 OK\nContent-Length: 5\nTransfer-Encoding: chunked\n\n0\n\n",
            Progress::Failed(Protocol),
        );
        check("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\nnonsense", Progress::Failed(Protocol));
        check("HTTP/1.1 200 OK\nContent-Length: 1001\n\n", Progress::Failed(BodyLimit));
        check("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n3E9\n", Progress::Failed(BodyLimit));
        check(&format!("HTTP/1.1 200 OK\n\n{}", "x".repeat(1_001)), Progress::Failed(BodyLimit));
        check(&"HTTP/1.1 100 Continue\n\n".repeat(17), Progress::Failed(TooManyInterim));
    }

    #[test]
    fn bytes_after_the_answer_end_the_connection_but_not_the_answer() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n";
        assert_eq!(run(&mut H1::default(), &mut context(false), answer, 99), done(200, false));
    }

    #[test]
    fn skipping_is_the_same_as_reading() {
        let (mut machine, mut context) = (H1::default(), context(false));
        let progress = machine.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nabc", &mut context);
        assert_eq!(progress, Progress::More { skip: 897 });
        assert_eq!(machine.skip(800, &context), Progress::More { skip: 97 });
        assert_eq!(machine.skip(97, &context), done(200, true));

        machine.reset();
        let progress =
            machine.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n", &mut context);
        assert_eq!(progress, Progress::More { skip: 100 });
        assert_eq!(machine.skip(100, &context), Progress::More { skip: 0 });
        assert_eq!(machine.feed(b"\r\n0\r\n\r\n", &mut context), done(200, true));
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter_and_nothing_panics(tail in prop::collection::vec(any::<u8>(), 0..120), kind in 0usize..4, cut in 1usize..60) {
            let head = [
                "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 20",
                "",
            ][kind];
            let bytes = [head.as_bytes(), &tail].concat();
            let end = |progress| match progress {
                // How much lies behind the end depends on the cut: that it ended does not.
                Progress::Done(answer) => Progress::Done(Answer { reusable: false, ..answer }),
                other => other,
            };
            let whole = end(run(&mut H1::default(), &mut context(false), &bytes, usize::MAX));
            prop_assert_eq!(end(run(&mut H1::default(), &mut context(false), &bytes, cut)), whole);
        }
    }
}
