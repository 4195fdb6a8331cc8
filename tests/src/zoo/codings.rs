//! Small files that decode into large ones.

use std::io::Write as _;

use flate2::write::GzEncoder;
use flate2::{Compression, FlushCompress};

/// What each bomb decodes into: sixteen times Brunt's limit on a body.
pub(super) const BOMB_BYTES: usize = 1 << 30;
/// A header of gzip without name or time (RFC 1952 section 2.3).
const GZIP_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// An empty last block of deflate with fixed codes (RFC 1951 section 3.2.6).
const DEFLATE_END: [u8; 2] = [0x03, 0x00];
const PIECE: usize = 1 << 20;

/// This text as a file of gzip.
///
/// # Panics
/// Never: memory can be written to.
pub(super) fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).and_then(|()| encoder.finish()).expect("memory can be written to")
}

/// Zeros as a file of gzip: one compressed piece again and again. Its checksum is wrong, which nobody reaches.
pub(super) fn gzip_bomb() -> Vec<u8> {
    let piece = piece_of_zeros();
    let mut bomb = GZIP_HEAD.to_vec();
    for _ in 0..BOMB_BYTES / PIECE {
        bomb.extend_from_slice(&piece);
    }
    bomb.extend_from_slice(&DEFLATE_END);
    bomb.extend_from_slice(&[0; 8]);
    bomb
}

/// Whole blocks of deflate that end at a byte and refer to nothing before them, so that they can be repeated.
fn piece_of_zeros() -> Vec<u8> {
    let mut compress = flate2::Compress::new(Compression::best(), false);
    let mut piece = Vec::with_capacity(PIECE);
    let zeros = vec![0; PIECE];
    compress.compress_vec(&zeros, &mut piece, FlushCompress::Full).expect("zeros can be compressed");
    piece
}

/// The same as brotli (RFC 7932): blocks of twenty bytes that copy one letter over 16 MiB.
pub(super) fn brotli_bomb() -> Vec<u8> {
    let mut bits = Bits::default();
    // A window of 64 KiB.
    bits.push(0, 1);
    for _ in 0..BOMB_BYTES >> 24 {
        push_block(&mut bits);
    }
    // The last block, which is empty.
    bits.push(0b11, 2);
    bits.bytes
}

/// One meta-block of 2^24 bytes: all of its codes have a single symbol and so no bits (sections 9.2 and 3.4).
fn push_block(bits: &mut Bits) {
    const LENGTH: u32 = 1 << 24;
    /// Inserts one literal, then copies: insert code 1, copy code 23, with a distance (section 5).
    const INSERT_ONE_COPY_LONG: u32 = 399;
    /// The shortest copy that copy code 23 stands for.
    const COPY_BASE: u32 = 2_118;
    // Not the last; the length in six nibbles, less one; compressed.
    bits.push(0, 1);
    bits.push(2, 2);
    bits.push(LENGTH - 1, 24);
    bits.push(0, 1);
    // One type of literals, of commands and of distances; no postfix or direct distances; context mode 0; one tree
    // for literals and one for distances.
    bits.push(0, 3);
    bits.push(0, 6);
    bits.push(0, 2);
    bits.push(0, 2);
    for (symbol, width) in [(u32::from(b'x'), 8), (INSERT_ONE_COPY_LONG, 10), (16, 6)] {
        // A simple code with one symbol.
        bits.push(1, 2);
        bits.push(0, 2);
        bits.push(symbol, width);
    }
    // The length of the copy, and distance 1 as the first that symbol 16 stands for.
    bits.push(LENGTH - 1 - COPY_BASE, 24);
    bits.push(0, 1);
}

/// Bits, the first in the lowest place of a byte.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    /// Bits of the last byte that are taken; none when it is full.
    used: u32,
}

impl Bits {
    fn push(&mut self, value: u32, width: u32) {
        for position in 0..width {
            if self.used == 0 {
                self.bytes.push(0);
            }
            if value >> position & 1 == 1
                && let Some(last) = self.bytes.last_mut()
            {
                *last |= 1 << self.used;
            }
            self.used = (self.used + 1) % 8;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    /// Decoded here of each bomb: twice Brunt's limit on a body. The whole takes long.
    const DECODED: usize = 128 << 20;

    /// Decodes into this byte again and again.
    fn check(name: &str, file: &[u8], mut decoder: impl Read, byte: u8) {
        assert!(file.len() < BOMB_BYTES / 500, "{name}: {} bytes", file.len());
        let mut buffer = vec![0; PIECE];
        let mut decoded = 0;
        while decoded < DECODED {
            let count =
                decoder.read(&mut buffer).unwrap_or_else(|error| panic!("{name}: {decoded}: {error}"));
            assert!(count > 0 && buffer[..count].iter().all(|got| *got == byte), "{name}: {decoded}");
            decoded += count;
        }
    }

    #[test]
    fn bombs_decode_into_far_more_than_they_are() {
        let (gzip, brotli) = (gzip_bomb(), brotli_bomb());
        check("gzip", &gzip, flate2::read::GzDecoder::new(&gzip[..]), 0);
        check("brotli", &brotli, brotli_decompressor::Decompressor::new(&brotli[..], PIECE), b'x');
    }

    #[test]
    fn a_text_comes_back() {
        let file = gzip(b"a text");
        let mut text = String::new();
        flate2::read::GzDecoder::new(&file[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text, "a text");
    }
}
