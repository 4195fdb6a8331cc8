//! The client's side of the runtimes' common loop: finds the end of each answer in a stream of bytes.
//!
//! Answers have a Content-Length and status 200; anything else is an error, since the benches talk to their own
//! origin only. A head equal to the last one is recognised by comparing bytes, any other is parsed.

use anyhow::{Context, bail};
use brunt_model::histogram::Histogram;

use crate::clock::now_ns;

/// A longer head than this is refused.
const HEAD_BYTES_MAX: usize = 8 << 10;
const FIELDS_MAX: usize = 32;

/// What all connections of a run share: the last head seen, and what was counted.
#[derive(Default)]
pub struct Recorder {
    head: Vec<u8>,
    body: usize,
    pub response: Histogram,
}

impl Recorder {
    /// Records an answer to a request sent at `sent_ns`, and returns the time now.
    #[inline]
    pub fn answered(&mut self, sent_ns: u64) -> u64 {
        let now = now_ns();
        self.response.record(now.saturating_sub(sent_ns));
        now
    }

    /// Length of the head that `bytes` begin with and of its body; `None` while the head is incomplete.
    #[inline]
    fn parse(&mut self, bytes: &[u8]) -> anyhow::Result<Option<(usize, usize)>> {
        if !self.head.is_empty() && bytes.starts_with(&self.head) {
            return Ok(Some((self.head.len(), self.body)));
        }
        self.parse_anew(bytes)
    }

    #[cold]
    fn parse_anew(&mut self, bytes: &[u8]) -> anyhow::Result<Option<(usize, usize)>> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut answer = httparse::Response::new(&mut fields);
        let head = match answer.parse(bytes).context("the answer is not HTTP/1.1")? {
            httparse::Status::Complete(length) => length,
            httparse::Status::Partial if bytes.len() > HEAD_BYTES_MAX => {
                bail!("the answer's head does not end")
            }
            httparse::Status::Partial => return Ok(None),
        };
        if answer.code != Some(200) {
            bail!("the answer's status is {:?}, not 200", answer.code);
        }
        let length = answer.headers.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"));
        let length = length.context("the answer has no Content-Length")?;
        self.body =
            std::str::from_utf8(length.value)?.trim().parse().context("the Content-Length is no number")?;
        self.head = bytes[..head].to_vec();
        Ok(Some((head, self.body)))
    }
}

/// Where one connection is in its stream of answers.
#[derive(Default, Debug)]
pub struct AnswerReader {
    /// Bytes of the present body still to come.
    body_left: usize,
    /// The beginning of a head that a read cut off; empty most of the time.
    cut_head: Vec<u8>,
}

impl AnswerReader {
    /// Takes the next bytes of the stream; returns how many answers end in them.
    ///
    /// # Errors
    /// When they are not the answers expected.
    #[inline]
    pub fn feed(&mut self, recorder: &mut Recorder, bytes: &[u8]) -> anyhow::Result<u32> {
        if self.cut_head.is_empty() {
            return self.feed_whole(recorder, bytes);
        }
        let mut joined = std::mem::take(&mut self.cut_head);
        joined.extend_from_slice(bytes);
        self.feed_whole(recorder, &joined)
    }

    #[inline]
    fn feed_whole(&mut self, recorder: &mut Recorder, mut bytes: &[u8]) -> anyhow::Result<u32> {
        let mut ended = 0;
        while !bytes.is_empty() {
            if self.body_left == 0 {
                let Some((head, body)) = recorder.parse(bytes)? else {
                    self.cut_head = bytes.to_vec();
                    return Ok(ended);
                };
                self.body_left = body;
                bytes = &bytes[head..];
            }
            let taken = self.body_left.min(bytes.len());
            self.body_left -= taken;
            bytes = &bytes[taken..];
            ended += u32::from(self.body_left == 0);
        }
        Ok(ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] =
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n\
        HTTP/1.1 200 OK\r\ncontent-length: 5\r\nA: b\r\n\r\nhello";

    #[test]
    fn every_split_gives_the_same_count() {
        for first in 0..=STREAM.len() {
            for second in first..=STREAM.len() {
                let (mut recorder, mut reader) = (Recorder::default(), AnswerReader::default());
                let parts = [&STREAM[..first], &STREAM[first..second], &STREAM[second..]];
                let ended = parts.map(|part| reader.feed(&mut recorder, part).expect("the stream is valid"));
                assert_eq!(ended.iter().sum::<u32>(), 3, "{first} {second}");
            }
        }
    }

    #[test]
    fn other_answers_are_refused() {
        for bad in ["HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "\0\0\0\0"] {
            let fed = AnswerReader::default().feed(&mut Recorder::default(), bad.as_bytes());
            assert!(fed.is_err(), "{bad:?}");
        }
        let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "y".repeat(HEAD_BYTES_MAX));
        assert!(AnswerReader::default().feed(&mut Recorder::default(), endless.as_bytes()).is_err());
    }
}
