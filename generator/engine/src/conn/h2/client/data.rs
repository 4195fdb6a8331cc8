//! DATA of responses: what it counts for, and where it ends the stream. Its content is taken as it comes.

use brunt_model::outcome::ErrorKind;

use super::{Client, Context, Data, Fatal, Taken, WINDOW_BATCH, window_update};
use crate::conn::Step;
use crate::conn::h1::Answer;
use crate::conn::h2::frame::{ErrorCode, HEAD_LEN, Head, flag};
use crate::limits::CONTROL_PER_RESET;

impl Client {
    /// A DATA frame without padding: its content is taken as it comes.
    #[inline]
    pub(super) fn begin_data(
        &mut self,
        head: Head,
        now: u64,
        context: &mut Context,
        out: &mut Vec<u8>,
    ) -> Result<Option<Step>, Fatal> {
        let end_stream = head.flags & flag::END_STREAM != 0;
        let lane = self.account(head, head.len, now, out)?;
        if head.len > 0 {
            self.data = Some(Data { lane, left: head.len, end_stream });
        }
        let Some(lane) = lane else { return Ok(None) };
        match self.judge_data(lane, context, out) {
            None if head.len == 0 && end_stream => Ok(Some(self.finish(lane, out))),
            None => Ok(None),
            step => Ok(step),
        }
    }

    /// Windows, budget and counts of a DATA frame with so much content.
    #[inline]
    pub(super) fn account(
        &mut self,
        head: Head,
        content: u32,
        now: u64,
        out: &mut Vec<u8>,
    ) -> Result<Option<u32>, Fatal> {
        let lane = self.lane_of(head.stream, now)?;
        if content > 0 {
            // After the end of its stream it is of no use to anybody.
            if lane.is_some() {
                self.budget.earn_by_data(head.len);
            }
        } else if head.flags & flag::END_STREAM == 0 {
            self.charge(now)?;
        }
        // Never past the window: it is filled up long before.
        self.used += head.len;
        if self.used >= WINDOW_BATCH {
            window_update(0, self.used, out);
            self.used = 0;
        }
        if let Some(lane) = lane {
            let stream = self.streams.get(lane);
            stream.received += HEAD_LEN as u64 + u64::from(head.len);
            stream.body += u64::from(content);
        }
        Ok(lane)
    }

    /// Content that comes before the response's head, past its length or past the limit ends the stream.
    #[inline]
    pub(super) fn judge_data(&mut self, lane: u32, context: &Context, out: &mut Vec<u8>) -> Option<Step> {
        let stream = self.streams.at(lane);
        let kind = if stream.status == 0 || stream.length.is_some_and(|length| stream.body > length) {
            ErrorKind::Protocol
        } else if stream.body > context.body_limit {
            ErrorKind::BodyLimit
        } else {
            return None;
        };
        Some(self.fail(lane, kind, out))
    }

    /// Takes content.
    #[inline]
    pub(super) fn content(&mut self, data: Data, bytes: &[u8], out: &mut Vec<u8>) -> Taken {
        let used = bytes.len().min(data.left as usize);
        let left = data.left - u32::try_from(used).unwrap_or(data.left);
        self.data = (left > 0).then_some(Data { left, ..data });
        let Some(lane) = data.lane else { return (used, Ok(None)) };
        if let Err(kind) = self.streams.get(lane).content.feed(&bytes[..used]) {
            return (used, Ok(Some(self.fail(lane, kind, out))));
        }
        let ended = left == 0 && data.end_stream;
        (used, Ok(ended.then(|| self.finish(lane, out))))
    }

    /// The response of a lane has ended.
    #[inline]
    pub(super) fn finish(&mut self, lane: u32, out: &mut Vec<u8>) -> Step {
        let stream = self.streams.get(lane);
        let bodiless = stream.wants.to_head || matches!(stream.status, 204 | 304);
        let whole = bodiless || stream.length.is_none_or(|length| length == stream.body);
        let decoded = stream.content.finish();
        if stream.status == 0 || !whole {
            return self.fail(lane, ErrorKind::Protocol, out);
        }
        match decoded {
            Ok(Some(length)) => stream.body = length,
            Ok(None) => {}
            Err(kind) => return self.fail(lane, kind, out),
        }
        let answer = Answer { status: stream.status, reusable: true };
        if stream.upload.is_some() {
            // The answer did not wait for the body (RFC 9113 section 8.1).
            self.reset_stream(lane, ErrorCode::NO_ERROR, out);
        }
        self.streams.end(lane);
        Step::Done { lane, answer }
    }

    pub(super) fn fail(&mut self, lane: u32, kind: ErrorKind, out: &mut Vec<u8>) -> Step {
        let code = if kind == ErrorKind::Protocol { ErrorCode::PROTOCOL_ERROR } else { ErrorCode::CANCEL };
        self.reset_stream(lane, code, out);
        if matches!(kind, ErrorKind::BodyLimit | ErrorKind::DecodeLimit) {
            // What was on its way of an allowed length is not held against the server.
            self.budget.earn(CONTROL_PER_RESET);
        }
        Step::LaneFailed { lane, kind }
    }
}
