//! Where in a TCP stream the records of TLS begin, and which of them a byte of plaintext came in.
//!
//! Only the lengths in the records' heads are read (RFC 8446 section 5.1); records may be cut anywhere.

use std::collections::VecDeque;

/// Type, version and length.
const HEAD_LEN: usize = 5;

/// A walk along the records of one direction. Offsets are of the TCP stream, or of the plaintext from its beginning.
#[derive(Debug)]
pub struct Records {
    /// The next byte that is to come.
    at: u64,
    head: [u8; HEAD_LEN],
    /// Bytes of the open record's head that came; 0: none is open.
    have: usize,
    /// Bytes of its body that are still to come.
    left: usize,
    /// Where it begins, or the last one did.
    from: u64,
    plain_end: u64,
    /// Where the plaintext of a record ends, and where the record begins.
    kept: VecDeque<(u64, u64)>,
}

impl Records {
    /// The first record begins at this offset of the stream.
    #[must_use]
    pub const fn new(at: u64) -> Self {
        Self { at, head: [0; HEAD_LEN], have: 0, left: 0, from: at, plain_end: 0, kept: VecDeque::new() }
    }

    /// How many of `bytes` belong to the record that is open or begins here. They are taken as read.
    pub fn take(&mut self, bytes: &[u8]) -> usize {
        if self.have == 0 {
            self.from = self.at;
        }
        let mut used = 0;
        if self.have < HEAD_LEN {
            used = bytes.len().min(HEAD_LEN - self.have);
            self.head[self.have..self.have + used].copy_from_slice(&bytes[..used]);
            self.have += used;
            self.left = usize::from(u16::from_be_bytes([self.head[3], self.head[4]]));
        }
        if self.have == HEAD_LEN {
            let body = self.left.min(bytes.len() - used);
            self.left -= body;
            used += body;
            if self.left == 0 {
                self.have = 0;
            }
        }
        self.at += used as u64;
        used
    }

    /// The record that ended last held so many bytes of plaintext.
    pub fn opened(&mut self, plain: usize) {
        if plain > 0 {
            self.plain_end += plain as u64;
            self.kept.push_back((self.plain_end, self.from));
        }
    }

    /// Plaintext so far.
    #[must_use]
    pub const fn plain_end(&self) -> u64 {
        self.plain_end
    }

    /// Where the record begins that holds a byte of plaintext; `None` where that is not kept.
    #[must_use]
    pub fn record_of(&self, plain: u64) -> Option<u64> {
        let index = self.kept.partition_point(|&(end, _)| end <= plain);
        self.kept.get(index).map(|&(_, from)| from)
    }

    /// Nobody will ask for plaintext before this any more.
    pub fn forget_before(&mut self, plain: u64) {
        while self.kept.front().is_some_and(|&(end, _)| end <= plain) {
            self.kept.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records of these body lengths from offset 100 on, in pieces that end at `cuts`.
    fn check(lens: &[u16], cuts: &[usize], want: &[u64]) {
        let mut bytes = Vec::new();
        for len in lens {
            bytes.extend_from_slice(&[0x17, 3, 3]);
            bytes.extend_from_slice(&len.to_be_bytes());
            bytes.resize(bytes.len() + usize::from(*len), 0);
        }
        let (mut records, mut from, mut begun) = (Records::new(100), 0, Vec::new());
        for &end in cuts.iter().chain([&bytes.len()]) {
            let mut piece = &bytes[from..end];
            while !piece.is_empty() {
                let len = records.take(piece);
                assert!(len > 0, "it goes on");
                piece = &piece[len..];
                if records.have == 0 {
                    begun.push(records.from);
                }
            }
            from = end;
        }
        assert_eq!(begun, want, "{lens:?} cut at {cuts:?}");
    }

    #[test]
    fn records_are_found_however_they_are_cut() {
        let (lens, want) = ([3, 0, 300, 1], [100, 108, 113, 418]);
        let total = 20 + 304;
        for cut in 0..=total {
            check(&lens, &[cut], &want);
            check(&lens, &[cut.min(4), cut], &want);
        }
        check(&lens, &(0..total).collect::<Vec<_>>(), &want);
    }

    #[test]
    fn plaintext_is_traced_to_its_record_and_forgotten() {
        let mut records = Records::new(0);
        for (len, plain) in [(50u8, 10), (20, 0), (30, 5)] {
            records.take(&[0x17, 3, 3, 0, len]);
            records.take(&vec![0; usize::from(len)]);
            records.opened(plain);
        }
        let asked = |records: &Records| [0, 9, 10, 14, 15].map(|plain| records.record_of(plain));
        assert_eq!(asked(&records), [Some(0), Some(0), Some(80), Some(80), None]);
        records.forget_before(9);
        assert_eq!(records.record_of(9), Some(0), "its record is still needed");
        records.forget_before(10);
        assert_eq!((records.kept.len(), records.record_of(12)), (1, Some(80)));
        records.forget_before(records.plain_end());
        assert!(records.kept.is_empty());
    }
}
