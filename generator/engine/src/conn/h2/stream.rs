//! The streams of one connection, one to a lane, found by their ids.

use std::sync::Arc;

use super::super::Wants;
use super::super::body::Content;

/// Ids end here; a connection that comes near is replaced (RFC 9113 section 5.1.1).
const LAST_ID: u32 = 0x7fff_ffff - 16;

/// One lane's stream, or what is left of its last one.
#[derive(Default, Debug)]
pub(super) struct Stream {
    /// 0: the lane has none.
    pub(super) id: u32,
    /// Status of the final response; 0 before it.
    pub(super) status: u16,
    pub(super) interim: u8,
    /// Bytes of frames, and when the first of them was handled.
    pub(super) received: u64,
    pub(super) first: u64,
    /// Content so far, and how much was announced.
    pub(super) body: u64,
    pub(super) length: Option<u64>,
    pub(super) content: Content,
    /// Where the response redirects to.
    pub(super) location: Vec<u8>,
    pub(super) wants: Wants,
    /// The fields of the response, where they are wanted.
    pub(super) head: Vec<u8>,
    /// What the server lets us send (RFC 9113 section 5.2).
    pub(super) window: i64,
    /// What is left to be sent of the request's body.
    pub(super) upload: Option<Upload>,
}

/// A request body on its way.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) body: Arc<[u8]>,
    pub(super) from: usize,
    /// A `100 (Continue)` is awaited.
    pub(super) held: bool,
}

#[derive(Debug)]
pub(super) struct Streams {
    by_lane: Vec<Stream>,
    /// The lane of an id, where the stream of that lane has it.
    ring: Vec<u32>,
    next_id: u32,
    open: u32,
}

impl Streams {
    pub(super) fn new(lanes: u32) -> Self {
        let ring = (lanes.next_power_of_two() * 4) as usize;
        Self {
            by_lane: std::iter::repeat_with(Stream::default).take(lanes as usize).collect(),
            ring: vec![0; ring],
            next_id: 1,
            open: 0,
        }
    }

    pub(super) const fn open(&self) -> u32 {
        self.open
    }

    pub(super) const fn exhausted(&self) -> bool {
        self.next_id >= LAST_ID
    }

    pub(super) fn lanes(&self) -> u32 {
        u32::try_from(self.by_lane.len()).unwrap_or(u32::MAX)
    }

    fn position(&self, id: u32) -> usize {
        (id >> 1) as usize & (self.ring.len() - 1)
    }

    /// Gives the lane a new stream.
    #[inline]
    pub(super) fn begin(&mut self, lane: u32, window: i64, wants: Wants) -> u32 {
        // A stream that lasts may have the place of the next id: ids may be left out.
        while self.occupied(self.position(self.next_id)) {
            self.next_id += 2;
        }
        let id = self.next_id;
        self.next_id += 2;
        let position = self.position(id);
        self.ring[position] = lane;
        let stream = &mut self.by_lane[lane as usize];
        (stream.id, stream.status, stream.interim) = (id, 0, 0);
        (stream.received, stream.first, stream.body, stream.length) = (0, 0, 0, None);
        (stream.window, stream.upload) = (window, None);
        stream.location.clear();
        stream.wants = wants;
        stream.head.clear();
        stream.content.keep(wants.body);
        self.open += 1;
        id
    }

    /// A live stream has this place in the ring.
    fn occupied(&self, position: usize) -> bool {
        let stream = &self.by_lane[self.ring[position] as usize];
        stream.id != 0 && self.position(stream.id) == position
    }

    /// The lane of a live stream.
    #[inline]
    pub(super) fn find(&self, id: u32) -> Option<u32> {
        let lane = self.ring[self.position(id)];
        (self.by_lane[lane as usize].id == id).then_some(lane)
    }

    /// The server names a stream that we never opened.
    pub(super) const fn is_idle(&self, id: u32) -> bool {
        id >= self.next_id || id.is_multiple_of(2)
    }

    #[inline]
    pub(super) fn get(&mut self, lane: u32) -> &mut Stream {
        &mut self.by_lane[lane as usize]
    }

    #[inline]
    pub(super) fn at(&self, lane: u32) -> &Stream {
        &self.by_lane[lane as usize]
    }

    /// Ends the lane's stream; its counts stay to be read.
    #[inline]
    pub(super) fn end(&mut self, lane: u32) {
        let stream = &mut self.by_lane[lane as usize];
        if stream.id != 0 {
            stream.id = 0;
            stream.upload = None;
            stream.content.end();
            self.open -= 1;
        }
    }

    pub(super) fn live(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.by_lane.iter_mut().filter(|stream| stream.id != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_lasts_keeps_its_place() {
        let mut streams = Streams::new(2);
        let old = streams.begin(0, 0, Wants::default());
        for _ in 0..100 {
            let id = streams.begin(1, 0, Wants::default());
            assert_eq!((streams.find(old), streams.find(id)), (Some(0), Some(1)));
            streams.end(1);
            assert_eq!(streams.find(id), None);
            assert!(!streams.is_idle(id) && streams.is_idle(id + 2) && streams.is_idle(id - 1));
        }
        assert_eq!(streams.open(), 1);
    }
}
