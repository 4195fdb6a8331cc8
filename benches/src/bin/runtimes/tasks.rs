//! What the runtimes with a task per connection share: a recorder of the thread that all of them run on.

use std::cell::RefCell;

use brunt_benches::answers::{AnswerReader, Recorder};

use crate::load::{Load, Outcome};

thread_local! {
    static RECORDER: RefCell<Recorder> = RefCell::default();
}

/// How many answers end in the bytes just received.
#[inline]
pub(crate) fn feed(reader: &mut AnswerReader, bytes: &[u8]) -> anyhow::Result<u32> {
    anyhow::ensure!(!bytes.is_empty(), "the origin closed a connection");
    RECORDER.with_borrow_mut(|recorder| reader.feed(recorder, bytes))
}

/// Records an answer, and returns the time now.
#[inline]
pub(crate) fn answered(sent_ns: u64) -> u64 {
    RECORDER.with_borrow_mut(|recorder| recorder.answered(sent_ns))
}

/// What this thread's tasks did.
pub(crate) fn outcome(load: &Load) -> Outcome {
    RECORDER.with_borrow(|recorder| load.outcome(recorder))
}
