//! What of a request goes into a connection: its header block, encoded once as long as the table stays as it is.

use std::sync::Arc;

use super::frame::{Head, MAX_FRAME_SIZE, flag, kind};
use super::hpack::Encoder;
use crate::conn::Wants;

/// A request as HTTP/2 sends it.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Pseudo-header fields first, names in lower case.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    pub body: Arc<[u8]>,
    /// The body waits for `100 (Continue)`.
    pub expects_continue: bool,
    /// The same list is sent again and again.
    pub repeated: bool,
    /// As [`crate::conn::one::Wire::has_cookies`].
    pub has_cookies: bool,
    pub wants: Wants,
}

/// Encodes header blocks.
#[derive(Debug)]
pub(super) struct Blocks {
    encoder: Encoder,
    /// The block of a repeated request, valid for one generation of the table.
    block: Vec<u8>,
    of: u16,
    generation: Option<u64>,
}

impl Blocks {
    pub(super) fn new() -> Self {
        Self { encoder: Encoder::new(), block: Vec::new(), of: 0, generation: None }
    }

    pub(super) fn set_max_table(&mut self, size: u32) {
        self.encoder.set_max_table(size as usize);
        self.generation = None;
    }

    /// Appends HEADERS, and CONTINUATION where the block is long.
    #[inline]
    pub(super) fn write(&mut self, request: &Outgoing, stream: u32, end_stream: bool, out: &mut Vec<u8>) {
        let same = request.repeated && request.wants.request == self.of;
        if !(same && self.generation == Some(self.encoder.generation())) {
            self.encode(request);
        }
        let end_stream = if end_stream { flag::END_STREAM } else { 0 };
        if self.block.len() <= MAX_FRAME_SIZE as usize {
            let len = u32::try_from(self.block.len()).unwrap_or(MAX_FRAME_SIZE);
            Head { len, kind: kind::HEADERS, flags: flag::END_HEADERS | end_stream, stream }.write(out);
            out.extend_from_slice(&self.block);
        } else {
            self.write_in_parts(stream, end_stream, out);
        }
    }

    fn encode(&mut self, request: &Outgoing) {
        let before = self.encoder.generation();
        self.block.clear();
        let fields = request.fields.iter().map(|(name, value)| (&name[..], &value[..]));
        self.encoder.encode(fields, &mut self.block);
        let after = self.encoder.generation();
        self.of = request.wants.request;
        self.generation = (request.repeated && before == after).then_some(after);
    }

    fn write_in_parts(&self, stream: u32, end_stream: u8, out: &mut Vec<u8>) {
        let mut parts = self.block.chunks(MAX_FRAME_SIZE as usize).peekable();
        let (mut kind, mut flags) = (kind::HEADERS, end_stream);
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                flags |= flag::END_HEADERS;
            }
            let len = u32::try_from(part.len()).unwrap_or(MAX_FRAME_SIZE);
            Head { len, kind, flags, stream }.write(out);
            out.extend_from_slice(part);
            (kind, flags) = (kind::CONTINUATION, 0);
        }
    }
}
