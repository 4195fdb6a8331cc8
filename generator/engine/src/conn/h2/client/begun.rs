//! Where in what was fed answers begin: of use to whoever has time stamps by offset.

use super::Client;

/// Where answers began, for whoever asked.
#[derive(Default, Debug)]
pub(super) struct Begun {
    /// The offset of the next byte, and of the frame or header block that began last.
    pub(super) at: u64,
    pub(super) frame_from: u64,
    pub(super) asked: bool,
    /// Lanes whose answers began, and where.
    pub(super) answers: Vec<(u32, u64)>,
}

impl Client {
    /// Somebody will take with [`Client::next_begun`] what this notes.
    pub fn follow_answers(&mut self) {
        self.begun.asked = true;
        self.begun.answers.reserve(self.streams.lanes() as usize);
    }

    /// The offset of what is fed next; it counts on from there.
    pub const fn feed_from(&mut self, offset: u64) {
        self.begun.at = offset;
    }

    /// An answer whose head came: its lane, and the offset of its first frame. To be taken after each `feed`.
    #[inline]
    pub fn next_begun(&mut self) -> Option<(u32, u64)> {
        self.begun.answers.pop()
    }

    /// Where the frame or header block began that has not ended.
    #[must_use]
    pub fn open_from(&self) -> Option<u64> {
        self.is_midway().then_some(self.begun.frame_from)
    }
}
