//! The answers of one HTTP/1.1 connection, in the order of their requests.
//!
//! The machine sees only what the server sends. It counts the bytes of each answer, and keeps of it what somebody wants.

use brunt_model::outcome::ErrorKind;

use super::body::Content;
use super::chunked::{self, Chunked};
use super::head::{self, Framing, Head, HeadCache};
use super::{ErrorsKept, Kept, Wants};
use crate::limits::{HEAD_BYTES_MAX, INTERIM_MAX, PARTIAL_HEAD_KEPT};

/// What is the same for all connections of a core.
#[derive(Debug)]
pub struct Context {
    /// By request.
    pub caches: Vec<HeadCache>,
    pub body_limit: u64,
    /// Bodies are decoded by their content coding.
    pub decode: bool,
    /// Places that answers redirect to are of interest.
    pub redirects: bool,
    pub errors: ErrorsKept,
}

/// Where a piece of input left the answer.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Progress {
    /// All input is used, more must come; the next so many bytes are body and need not be looked at.
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

/// The bytes of the input that were used, and where they left the answer.
type Fed = (usize, Progress);

/// One connection's protocol state.
#[derive(Debug)]
pub struct H1 {
    state: State,
    answer: Answer,
    interim: u8,
    /// A `100 (Continue)` came.
    continued: bool,
    content: Content,
    /// A head whose end has not arrived.
    partial: Vec<u8>,
    /// Where the last answer redirects to.
    location: Vec<u8>,
    wants: Wants,
    /// The next byte begins an answer.
    fresh: bool,
    kept_head: Vec<u8>,
    /// The length of the last content.
    body_size: u64,
}

impl Default for H1 {
    fn default() -> Self {
        Self {
            state: State::Head,
            answer: Answer { status: 0, reusable: false },
            interim: 0,
            continued: false,
            content: Content::default(),
            partial: Vec::new(),
            location: Vec::new(),
            wants: Wants::default(),
            fresh: true,
            kept_head: Vec::new(),
            body_size: 0,
        }
    }
}

impl H1 {
    /// Makes ready for the next answer on the same or on a new connection.
    #[inline]
    pub fn reset(&mut self) {
        self.state = State::Head;
        self.interim = 0;
        self.continued = false;
        self.fresh = true;
        self.content.end();
        if !self.partial.is_empty() {
            self.partial.clear();
            self.partial.shrink_to(PARTIAL_HEAD_KEPT);
        }
    }

    /// Nothing of the next answer has come.
    #[inline]
    #[must_use]
    pub const fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// What is wanted of the next answer. What was kept of the last one is forgotten.
    #[inline]
    pub fn expect(&mut self, wants: Wants) {
        self.wants = wants;
        self.fresh = false;
        self.kept_head.clear();
        self.content.keep(wants.body);
    }

    #[must_use]
    pub fn kept(&self) -> Kept<'_> {
        Kept { head: &self.kept_head, body: self.content.kept(), body_size: self.body_size }
    }

    /// The head of the answer has not ended yet.
    #[must_use]
    pub const fn in_head(&self) -> bool {
        matches!(self.state, State::Head)
    }

    /// An interim head came before.
    #[must_use]
    pub const fn was_interim(&self) -> bool {
        self.interim > 0
    }

    /// The server asked for the body (RFC 9110 section 10.1.1).
    #[must_use]
    pub const fn continued(&self) -> bool {
        self.continued
    }

    /// The `Location` of the last answer; empty where it had none, or nobody asked for redirects.
    #[must_use]
    pub fn location(&self) -> &[u8] {
        &self.location
    }

    /// Takes what the server sent, as far as it belongs to the present answer. After `Done` or `Failed`, call
    /// [`H1::reset`] before the next answer.
    #[inline]
    pub fn feed(&mut self, bytes: &[u8], context: &mut Context) -> Fed {
        if self.in_head()
            && self.partial.is_empty()
            && self.interim == 0
            && let Some(head) = context.caches[usize::from(self.wants.request)].find(bytes)
        {
            return self.after_head(&head, bytes, context);
        }
        self.feed_slowly(bytes, context)
    }

    /// The server closed its side.
    #[must_use]
    pub fn feed_eof(&mut self) -> Progress {
        match self.state {
            State::UntilClose(_) => self.done(),
            State::Head if !self.partial.is_empty() => {
                let fault = head::parse(&self.partial, false).err();
                Progress::Failed(fault.unwrap_or(ErrorKind::ClosedEarly))
            }
            _ => Progress::Failed(ErrorKind::ClosedEarly),
        }
    }

    /// Takes `count` body bytes as received; at most what `Progress::More` offered.
    pub fn skip(&mut self, count: u64, context: &Context) -> Progress {
        match &mut self.state {
            State::Head => Progress::Failed(ErrorKind::Protocol),
            State::Length(remaining) => {
                *remaining -= count;
                if *remaining == 0 { self.done() } else { Progress::More { skip: *remaining } }
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

    fn feed_slowly(&mut self, bytes: &[u8], context: &mut Context) -> Fed {
        if self.in_head() { self.feed_head(bytes, context) } else { self.feed_body(bytes, context) }
    }

    #[inline]
    fn feed_body(&mut self, bytes: &[u8], context: &Context) -> Fed {
        let Self { state, content, .. } = self;
        match state {
            State::Head => (0, Progress::Failed(ErrorKind::Protocol)),
            State::Length(remaining) => {
                let used = usize::try_from(*remaining).map_or(bytes.len(), |rest| rest.min(bytes.len()));
                *remaining -= used as u64;
                let left = *remaining;
                if let Err(kind) = content.feed(&bytes[..used]) {
                    return (used, Progress::Failed(kind));
                }
                (used, if left > 0 { self.skippable(left) } else { self.done() })
            }
            State::Chunked(chunked) => match chunked.feed(bytes, &mut |data| content.feed(data)) {
                Ok(chunked::Progress::More) => (bytes.len(), self.more(context)),
                Ok(chunked::Progress::Done(used)) => (used, self.done_within(context)),
                Err(kind) => (bytes.len(), Progress::Failed(kind)),
            },
            State::UntilClose(received) => {
                *received += bytes.len() as u64;
                let fed = content.feed(bytes);
                (bytes.len(), fed.map_or_else(Progress::Failed, |()| self.more(context)))
            }
        }
    }

    /// One or more heads may be in `bytes`: interim ones come before the final one.
    fn feed_head(&mut self, bytes: &[u8], context: &mut Context) -> Fed {
        if self.partial.is_empty() {
            return self.heads(bytes, context);
        }
        let before = self.partial.len();
        if !bytes.contains(&b'\n') && before + bytes.len() < HEAD_BYTES_MAX {
            // No head ends here, so there is nothing to be found by reading all of it again.
            self.partial.extend_from_slice(bytes);
            return (bytes.len(), Progress::More { skip: 0 });
        }
        let room = (HEAD_BYTES_MAX + 1).saturating_sub(before);
        let mut joined = std::mem::take(&mut self.partial);
        let (now, later) = bytes.split_at(bytes.len().min(room));
        joined.extend_from_slice(now);
        let (used, progress) = self.heads(&joined, context);
        let fed = match progress {
            Progress::More { .. } if !later.is_empty() => {
                if self.in_head() {
                    (bytes.len(), Progress::Failed(ErrorKind::HeaderLimit))
                } else {
                    let (used, progress) = self.feed_body(later, context);
                    (now.len() + used, progress)
                }
            }
            progress => (used.saturating_sub(before), progress),
        };
        if self.partial.is_empty() {
            // Keep the memory for the next split head.
            joined.clear();
            joined.shrink_to(PARTIAL_HEAD_KEPT);
            self.partial = joined;
        }
        fed
    }

    fn heads(&mut self, bytes: &[u8], context: &mut Context) -> Fed {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            let head = match head::parse(rest, self.wants.to_head) {
                Ok(Some(head)) => head,
                Ok(None) => {
                    self.partial.extend_from_slice(rest);
                    return (bytes.len(), Progress::More { skip: 0 });
                }
                Err(kind) => return (bytes.len(), Progress::Failed(kind)),
            };
            match head.status {
                // An upgrade nobody asked for: what follows would not be HTTP (RFC 9110 section 15.2.2).
                101 => return (bytes.len(), Progress::Failed(ErrorKind::Protocol)),
                100..200 => {
                    self.interim += 1;
                    self.continued |= head.status == 100;
                    if self.interim > INTERIM_MAX {
                        return (bytes.len(), Progress::Failed(ErrorKind::TooManyInterim));
                    }
                    at += head.len;
                    if at == bytes.len() {
                        return (at, Progress::More { skip: 0 });
                    }
                }
                _ => {
                    if context.redirects {
                        self.note_location(&head, rest);
                    } else {
                        context.caches[usize::from(self.wants.request)].keep(rest, head);
                    }
                    let (used, progress) = self.after_head(&head, rest, context);
                    return (at + used, progress);
                }
            }
        }
    }

    fn note_location(&mut self, head: &Head, bytes: &[u8]) {
        self.location.clear();
        let Some((offset, len)) = head.location else { return };
        self.location.extend_from_slice(&bytes[offset as usize..(offset + len) as usize]);
    }

    /// `bytes` begin with the head.
    #[inline]
    fn after_head(&mut self, head: &Head, bytes: &[u8], context: &mut Context) -> Fed {
        self.answer = Answer { status: head.status, reusable: head.keep_alive };
        if self.wants.head {
            self.kept_head.extend_from_slice(&bytes[..head.len]);
        }
        if let Some(bytes) = context.errors.take(head.status) {
            self.content.keep(self.wants.body.max(bytes));
        }
        self.body_size = if let Framing::Length(length) = head.framing { length } else { 0 };
        if context.decode {
            self.content.begin(head.coding, context.body_limit);
        }
        self.state = match head.framing {
            Framing::None => {
                self.content.end();
                return (head.len, self.done());
            }
            Framing::Length(length) if length > context.body_limit => {
                return (bytes.len(), Progress::Failed(ErrorKind::BodyLimit));
            }
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Chunked(Chunked::default()),
            Framing::UntilClose => State::UntilClose(0),
        };
        let (used, progress) = self.feed_body(&bytes[head.len..], context);
        (head.len + used, progress)
    }

    #[inline]
    fn done(&mut self) -> Progress {
        match self.content.finish() {
            Ok(decoded) => {
                let length = if self.body_size > 0 { self.body_size } else { self.received() };
                self.body_size = decoded.unwrap_or(length);
                Progress::Done(self.answer)
            }
            Err(kind) => Progress::Failed(kind),
        }
    }

    fn done_within(&mut self, context: &Context) -> Progress {
        if self.received() > context.body_limit {
            return Progress::Failed(ErrorKind::BodyLimit);
        }
        self.done()
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
        self.skippable(match &self.state {
            // One byte past the limit is enough to know.
            State::UntilClose(received) => context.body_limit - received + 1,
            _ => announced,
        })
    }

    /// What is decoded or kept must be seen.
    #[inline]
    const fn skippable(&self, bytes: u64) -> Progress {
        Progress::More { skip: if self.content.must_be_seen() { 0 } else { bytes } }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn context() -> Context {
        Context {
            caches: vec![HeadCache::default()],
            body_limit: 1_000,
            decode: false,
            redirects: false,
            errors: ErrorsKept::default(),
        }
    }

    /// Feeds `answer` in pieces of `cut` bytes, and its end where the machine wants more.
    fn run(machine: &mut H1, context: &mut Context, answer: &[u8], cut: usize) -> Progress {
        machine.reset();
        for piece in answer.chunks(cut.max(1)) {
            match machine.feed(piece, context) {
                (used, Progress::More { .. }) => assert_eq!(used, piece.len()),
                (_, end) => return end,
            }
        }
        machine.feed_eof()
    }

    fn check(answer: &str, want: Progress) {
        let bytes = answer.replace('\n', "\r\n").into_bytes();
        for cut in (1..bytes.len()).chain([bytes.len(), bytes.len()]) {
            let (mut machine, mut context) = (H1::default(), context());
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
        let mut machine = H1::default();
        machine.expect(Wants { to_head: true, ..Wants::default() });
        assert_eq!(run(&mut machine, &mut context(), answer, 99), done(200, true));
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
    fn bytes_after_the_answer_are_left() {
        let whole = [
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
        ];
        for answer in whole {
            let bytes = format!("{answer}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").into_bytes();
            for first in 0..answer.len() {
                let (mut machine, mut context) = (H1::default(), context());
                let (used, _) = machine.feed(&bytes[..first], &mut context);
                assert_eq!(used, first, "{answer}");
                let (rest, progress) = machine.feed(&bytes[first..], &mut context);
                assert!(
                    matches!(progress, Progress::Done(Answer { reusable: true, .. })),
                    "{answer} {first}"
                );
                assert_eq!(used + rest, answer.len(), "{answer} cut at {first}");
            }
        }
    }

    #[test]
    fn a_location_is_kept_where_redirects_are_followed() {
        let mut context = Context { redirects: true, ..context() };
        let mut machine = H1::default();
        for (answer, want) in [
            ("HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /a?b\r\n\r\n", "/a?b"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""),
        ] {
            run(&mut machine, &mut context, answer.as_bytes(), 7);
            assert_eq!(machine.location(), want.as_bytes());
        }
    }

    /// Answers whose status is accepted once did not count, and content of each was kept as long as a run took.
    #[test]
    fn contents_of_so_many_errors_are_kept() {
        let mut context = Context { errors: ErrorsKept { bytes: 3, answers: 2 }, ..context() };
        let mut machine = H1::default();
        for (status, want) in [(404, "abc"), (200, ""), (503, "abc"), (404, "")] {
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 5\r\n\r\nabcde");
            machine.expect(Wants::default());
            assert_eq!(run(&mut machine, &mut context, answer.as_bytes(), 9), done(status, true));
            assert_eq!(machine.kept().body, want.as_bytes(), "{status}");
        }
    }

    #[test]
    fn a_server_that_wants_the_body_is_heard() {
        let (mut machine, mut context) = (H1::default(), context());
        machine.feed(b"HTTP/1.1 103 Hints\r\n\r\n", &mut context);
        assert!(!machine.continued());
        machine.feed(b"HTTP/1.1 100 Continue\r\n\r\n", &mut context);
        assert!(machine.continued());
        machine.reset();
        assert!(!machine.continued());
    }

    #[test]
    fn skipping_is_the_same_as_reading() {
        let (mut machine, mut context) = (H1::default(), context());
        let (_, progress) = machine.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nabc", &mut context);
        assert_eq!(progress, Progress::More { skip: 897 });
        assert_eq!(machine.skip(800, &context), Progress::More { skip: 97 });
        assert_eq!(machine.skip(97, &context), done(200, true));

        machine.reset();
        let (_, progress) =
            machine.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n", &mut context);
        assert_eq!(progress, Progress::More { skip: 100 });
        assert_eq!(machine.skip(100, &context), Progress::More { skip: 0 });
        assert_eq!(machine.feed(b"\r\n0\r\n\r\n", &mut context), (7, done(200, true)));
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
            let whole = run(&mut H1::default(), &mut context(), &bytes, usize::MAX);
            prop_assert_eq!(run(&mut H1::default(), &mut context(), &bytes, cut), whole);
        }
    }
}
