//! Heads of responses and trailers: blocks of fields, which may come in several frames, and what they say.

use brunt_model::outcome::ErrorKind;

use super::{BROKEN, Client, Context, Fatal};
use crate::conn::Step;
use crate::conn::h2::frame::{ErrorCode, HEAD_LEN};
use crate::conn::h2::hpack;
use crate::conn::h2::response::ResponseHead;
use crate::limits::{HEAD_BYTES_MAX, INTERIM_MAX};

impl Client {
    pub(super) fn continuation(
        &mut self,
        fragment: &[u8],
        end_headers: bool,
        now: u64,
        context: &mut Context,
        out: &mut Vec<u8>,
    ) -> Result<Option<Step>, Fatal> {
        let Some(mut block) = self.block.take() else { return Err(BROKEN) };
        if fragment.is_empty() && !end_headers {
            self.charge(now)?;
        }
        block.bytes.extend_from_slice(fragment);
        if block.bytes.len() > HEAD_BYTES_MAX {
            return Err(Fatal { code: ErrorCode::ENHANCE_YOUR_CALM, kind: ErrorKind::HeaderLimit });
        }
        if !end_headers {
            self.block = Some(block);
            return Ok(None);
        }
        self.header_block(block.stream, block.end_stream, &block.bytes, now, context, out)
    }

    /// Takes a whole header block. It must be decoded even where the stream has ended: it may change the table.
    #[inline]
    pub(super) fn header_block(
        &mut self,
        stream: u32,
        end_stream: bool,
        block: &[u8],
        now: u64,
        context: &mut Context,
        out: &mut Vec<u8>,
    ) -> Result<Option<Step>, Fatal> {
        let lane = self.lane_of(stream, now)?;
        let wants_fields = lane.is_some_and(|lane| self.streams.at(lane).wants.head);
        let head =
            self.responses.read(block, context.redirects, wants_fields).map_err(|error| match error {
                hpack::Error::TooLarge => {
                    Fatal { code: ErrorCode::ENHANCE_YOUR_CALM, kind: ErrorKind::HeaderLimit }
                }
                hpack::Error::Malformed => ErrorCode::COMPRESSION_ERROR.into(),
            })?;
        let Some(lane) = lane else { return Ok(None) };
        let stream = self.streams.get(lane);
        stream.received += (HEAD_LEN + block.len()) as u64;
        if stream.first == 0 {
            stream.first = now;
            if self.begun.asked {
                self.begun.answers.push((lane, self.begun.frame_from));
            }
        }
        Ok(self.response_head(lane, head, end_stream, context, out))
    }

    #[inline]
    fn response_head(
        &mut self,
        lane: u32,
        head: ResponseHead,
        end_stream: bool,
        context: &mut Context,
        out: &mut Vec<u8>,
    ) -> Option<Step> {
        let stream = self.streams.get(lane);
        let trailers = stream.status != 0;
        let wrong = if trailers { head.status != 0 || !end_stream } else { head.status == 0 };
        if head.malformed || wrong || head.status == 101 || (head.status < 200 && !trailers && end_stream) {
            return Some(self.fail(lane, ErrorKind::Protocol, out));
        }
        match head.status {
            0 => {}
            100..200 => return self.interim(lane, head.status, out),
            _ => {
                (stream.status, stream.length) = (head.status, head.length);
                if context.redirects {
                    std::mem::swap(&mut stream.location, &mut self.responses.location);
                }
                if stream.wants.head {
                    std::mem::swap(&mut stream.head, &mut self.responses.fields);
                }
                if let Some(bytes) = context.errors.take(head.status) {
                    stream.content.keep(stream.wants.body.max(bytes));
                }
                let to_head = stream.wants.to_head;
                if !to_head && head.length.is_some_and(|length| length > context.body_limit) {
                    return Some(self.fail(lane, ErrorKind::BodyLimit, out));
                }
                let bodiless = to_head || matches!(head.status, 204 | 304) || head.length == Some(0);
                if context.decode && !end_stream && !bodiless {
                    stream.content.begin(head.coding, context.body_limit);
                }
            }
        }
        end_stream.then(|| self.finish(lane, out))
    }

    fn interim(&mut self, lane: u32, status: u16, out: &mut Vec<u8>) -> Option<Step> {
        let stream = self.streams.get(lane);
        stream.interim += 1;
        if stream.interim > INTERIM_MAX {
            return Some(self.fail(lane, ErrorKind::TooManyInterim, out));
        }
        if status == 100
            && let Some(upload) = &mut stream.upload
        {
            upload.held = false;
            self.pump(out);
        }
        None
    }
}
