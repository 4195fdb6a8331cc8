//! Request bodies on their way, as far as the server's windows and the room in the output allow.

use super::Client;
use crate::conn::h2::frame::{Head, MAX_FRAME_SIZE, flag, kind};
use crate::limits::OUT_MAX;

impl Client {
    /// Sends of the request bodies what the windows and `out` have room for. Before the server has told its window they
    /// wait: it may reset what does not fit a smaller one (RFC 9113 section 6.9.3).
    pub fn pump(&mut self, out: &mut Vec<u8>) {
        if !self.peer.greeted {
            return;
        }
        let mut blocked = 0;
        while blocked < self.uploads.len() && out.len() < OUT_MAX && self.window > 0 {
            let Some(lane) = self.uploads.pop_front() else { return };
            match self.upload_some(lane, out) {
                None => blocked = 0,
                Some(progress) => {
                    self.uploads.push_back(lane);
                    blocked = if progress { 0 } else { blocked + 1 };
                }
            }
        }
    }

    /// The same for the body of one lane, whose window has grown.
    pub(super) fn pump_lane(&mut self, lane: u32, out: &mut Vec<u8>) {
        while self.peer.greeted && out.len() < OUT_MAX && self.upload_some(lane, out) == Some(true) {}
        self.uploads.retain(|&other| other != lane || self.streams.at(lane).upload.is_some());
    }

    /// One DATA frame; `None` when the body is sent whole or the stream is gone.
    fn upload_some(&mut self, lane: u32, out: &mut Vec<u8>) -> Option<bool> {
        let stream = self.streams.get(lane);
        let (id, window) = (stream.id, stream.window.min(self.window));
        let upload = stream.upload.as_mut()?;
        let rest = &upload.body[upload.from..];
        let len = rest.len().min(MAX_FRAME_SIZE as usize).min(usize::try_from(window).unwrap_or(0));
        if upload.held || len == 0 {
            return Some(false);
        }
        let last = len == rest.len();
        let flags = if last { flag::END_STREAM } else { 0 };
        let size = u32::try_from(len).unwrap_or(MAX_FRAME_SIZE);
        Head { len: size, kind: kind::DATA, flags, stream: id }.write(out);
        out.extend_from_slice(&rest[..len]);
        upload.from += len;
        stream.window -= i64::from(size);
        self.window -= i64::from(size);
        self.budget.earn_by_upload(size);
        if last {
            stream.upload = None;
            return None;
        }
        Some(true)
    }

    /// A request that waited long enough for `100 (Continue)` goes on without (RFC 9110 section 10.1.1).
    pub fn release_uploads(&mut self, out: &mut Vec<u8>) {
        self.streams
            .live()
            .filter_map(|stream| stream.upload.as_mut())
            .for_each(|upload| upload.held = false);
        self.pump(out);
    }
}
