use std::io::Write;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use flate2::{Crc, GzBuilder};
use proptest::prelude::*;

use super::*;
use crate::limits::GZIP_HEADER_MAX;

const LIMIT: u64 = 1 << 20;
const CODINGS: [Coding; 5] = [Coding::Identity, Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd];

/// What the constant streams decode to: this sentence with a blank after it, twenty times.
const SENTENCE: &str = "The quick brown fox jumps over the lazy dog. ";
const TEXT_LENGTH: u64 = 900;

/// Made by the reference encoder with quality 9.
const BROTLI: &[u8] = b"\
\x1b\x83\x03\x00\x44\xdb\x46\xa9\x2e\x24\x5b\x32\x14\xc5\x53\x91\x67\x72\xf2\xe7\x28\x50\x15\x98\
\x57\xb6\xb2\x59\xd0\x6c\xe1\x95\xa7\x23\xf2\xa2\xac\x36\x26\xb8\x45\x1f\x18\x27\x62\x75\xff\x21\
\x30\x19\x00";

/// Made by the reference encoder with level 9, its length and checksum included.
const ZSTD: &[u8] = b"\
\x28\xb5\x2f\xfd\x64\x84\x02\xb5\x01\x00\xd4\x02\x54\x68\x65\x20\x71\x75\x69\x63\x6b\x20\x62\x72\
\x6f\x77\x6e\x20\x66\x6f\x78\x20\x6a\x75\x6d\x70\x73\x20\x6f\x76\x65\x72\x20\x74\x68\x65\x20\x6c\
\x61\x7a\x79\x20\x64\x6f\x67\x2e\x20\x01\x00\xa5\x0a\x2b\x55\x06\x59\x13\xfa\x85";

/// The first bytes of 100 MiB of zeros, which have the same block over and over.
const ZSTD_BOMB_HEAD: &[u8] = b"\x28\xb5\x2f\xfd\x00\x58\x54\x00\x00\x10\x00\x00\x01\x00\xfb\xff\x39\xc0\x02";
const ZSTD_BOMB_BLOCK: &[u8] = b"\x02\x00\x10\x00";
const BROTLI_BOMB: &[u8] = b"\
\xcb\xff\xff\x3f\xf8\x27\x00\xe2\xb1\x40\x20\xf7\xfe\x8f\xff\xff\x7f\xf0\x4f\x00\xc4\x61\x11\x80\
\xee\xfd\x1f\xff\xff\xff\xe0\x9f\x00\x88\xc3\x02\x00\xdd\xfb\x3f\xfe\xff\xff\xc1\x3f\x01\x10\x87";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn decode(decoder: &mut Decoder, bytes: &[u8], cut: usize) -> Result<u64, ErrorKind> {
    for piece in bytes.chunks(cut.max(1)) {
        decoder.feed(piece, &mut |_| {})?;
    }
    decoder.finish()
}

/// Do two cuts of one body end alike? Near its bounds a decoder that works ahead may see the budget or the fault first.
fn alike(a: Result<u64, ErrorKind>, b: Result<u64, ErrorKind>) -> bool {
    a == b || a == Err(ErrorKind::DecodeLimit) || b == Err(ErrorKind::DecodeLimit)
}

/// Decodes a stream in many cuts, by a new decoder each and by one that is used over and over.
fn check(coding: Coding, bytes: &[u8], want: Result<u64, ErrorKind>) {
    let mut used = Decoder::new(Coding::Identity, LIMIT);
    for cut in [1, 2, 3, 5, 17, 64, 1_000, usize::MAX] {
        let fresh = decode(&mut Decoder::new(coding, LIMIT), bytes, cut);
        assert_eq!(fresh, want, "{coding:?} of {} bytes, cut {cut}", bytes.len());
        used.reset(coding);
        assert_eq!(decode(&mut used, bytes, cut), want, "{coding:?}, used before, cut {cut}");
    }
}

/// A valid stream of each coding, and what it decodes to.
fn streams() -> Vec<(Coding, Vec<u8>)> {
    let text = SENTENCE.repeat(20).into_bytes();
    vec![
        (Coding::Gzip, gzip(&text)),
        (Coding::Deflate, zlib(&text)),
        (Coding::Brotli, BROTLI.to_vec()),
        (Coding::Zstd, ZSTD.to_vec()),
    ]
}

#[test]
fn codings_are_known_by_name() {
    for (value, want) in [
        (&b"gzip"[..], Some(Coding::Gzip)),
        (b" X-GZip ", Some(Coding::Gzip)),
        (b"Deflate", Some(Coding::Deflate)),
        (b"BR", Some(Coding::Brotli)),
        (b"zstd", Some(Coding::Zstd)),
        (b"identity", Some(Coding::Identity)),
        (b"gzip, br", None),
        (b"gzip,", None),
        (b"compress", None),
        (b"", None),
    ] {
        assert_eq!(Coding::of(value), want, "{}", value.escape_ascii());
    }
}

#[test]
fn whole_bodies_are_counted() {
    for (coding, bytes) in streams() {
        check(coding, &bytes, Ok(TEXT_LENGTH));
    }
    check(Coding::Identity, b"hello", Ok(5));
    check(Coding::Identity, b"", Ok(0));
    check(Coding::Gzip, &gzip(b""), Ok(0));
    check(Coding::Deflate, &zlib(b""), Ok(0));
    check(Coding::Brotli, b"\x3b", Ok(0));
    check(Coding::Zstd, b"\x28\xb5\x2f\xfd\x20\x00\x01\x00\x00", Ok(0));
}

#[test]
fn bodies_of_several_steps_are_counted() {
    // The sentence over and over, made by the reference encoders; the second length ends with a step.
    let brotli_odd = b"\
\x1b\xc7\xaf\x00\x44\xdb\x46\xa9\x2e\x24\x5b\x32\x14\xc5\x53\x91\x67\x72\xf2\xe7\x28\x50\x1d\x98\
\x57\xb6\xb2\x59\xd0\x6c\xe1\x95\xa7\x23\xf2\xa2\xac\x36\x26\xb8\x45\x1f\x18\xa7\xea\x14\xa0\xba\
\xff\x10\x98\x0c\x00";
    let brotli_even = b"\
\x1b\xff\x7f\x00\x44\xdb\x46\xa9\x2e\x24\x5b\x32\x14\xc5\x53\x91\x67\x72\xf2\xe7\x28\x50\x1d\x98\
\x57\xb6\xb2\x59\xd0\x6c\xe1\x95\xa7\x23\xf2\xa2\xac\x36\x26\xb8\x45\x1f\x18\xa7\xf1\x0e\xa0\xba\
\xff\x10\x98\x0c\x00";
    let zstd_odd = b"\
\x28\xb5\x2f\xfd\x64\xc8\xae\xbd\x01\x00\xd4\x02\x54\x68\x65\x20\x71\x75\x69\x63\x6b\x20\x62\x72\
\x6f\x77\x6e\x20\x66\x6f\x78\x20\x6a\x75\x6d\x70\x73\x20\x6f\x76\x65\x72\x20\x74\x68\x65\x20\x6c\
\x61\x7a\x79\x20\x64\x6f\x67\x2e\x20\x01\x00\xc5\x7c\x41\x5d\x95\x01\x05\xbb\x1c\x8e";
    let zstd_even = b"\
\x28\xb5\x2f\xfd\x64\x00\x7f\xb5\x01\x00\xd4\x02\x54\x68\x65\x20\x71\x75\x69\x63\x6b\x20\x62\x72\
\x6f\x77\x6e\x20\x66\x6f\x78\x20\x6a\x75\x6d\x70\x73\x20\x6f\x76\x65\x72\x20\x74\x68\x65\x20\x6c\
\x61\x7a\x79\x20\x64\x6f\x67\x2e\x20\x01\x00\x85\xfe\xe1\xae\xca\x77\x7c\xc0\xa2";
    check(Coding::Brotli, brotli_odd, Ok(45_000));
    check(Coding::Brotli, brotli_even, Ok(2 * DECODE_STEP as u64));
    check(Coding::Zstd, zstd_odd, Ok(45_000));
    check(Coding::Zstd, zstd_even, Ok(2 * DECODE_STEP as u64));
}

#[test]
fn what_is_cut_short_is_not_valid() {
    for (coding, bytes) in streams() {
        for length in 0..bytes.len() {
            let mut decoder = Decoder::new(coding, LIMIT);
            let got = decode(&mut decoder, &bytes[..length], usize::MAX);
            assert_eq!(got, Err(ErrorKind::Protocol), "{coding:?} {length}");
        }
    }
}

#[test]
fn what_goes_on_after_the_end_is_not_valid() {
    for (coding, bytes) in streams() {
        for rest in [&b"\0"[..], b"x", b"trailing garbage of some length"] {
            check(coding, &[&bytes, rest].concat(), Err(ErrorKind::Protocol));
        }
    }
}

#[test]
fn members_and_frames_may_follow_one_another() {
    for coding in [Coding::Gzip, Coding::Zstd] {
        let (_, bytes) = streams().into_iter().find(|(of, _)| *of == coding).unwrap();
        check(coding, &bytes.repeat(3), Ok(3 * TEXT_LENGTH));
        check(coding, &bytes.repeat(3)[..2 * bytes.len() + 9], Err(ErrorKind::Protocol));
    }
    for coding in [Coding::Deflate, Coding::Brotli] {
        let (_, bytes) = streams().into_iter().find(|(of, _)| *of == coding).unwrap();
        check(coding, &bytes.repeat(2), Err(ErrorKind::Protocol));
    }
}

#[test]
fn a_wrong_checksum_is_found() {
    for (coding, bytes) in streams().into_iter().filter(|(coding, _)| *coding != Coding::Brotli) {
        for back in 1..=4 {
            let mut broken = bytes.clone();
            let at = broken.len() - back;
            broken[at] ^= 0x10;
            check(coding, &broken, Err(ErrorKind::Protocol));
        }
    }
    let mut broken = gzip(b"hello");
    let at = broken.len() - 8;
    broken[at] ^= 1;
    check(Coding::Gzip, &broken, Err(ErrorKind::Protocol));
}

#[test]
fn gzip_headers_have_many_parts() {
    let builder = || GzBuilder::new().extra(&b"extra"[..]).filename(&b"name"[..]).comment(&b"comment"[..]);
    let mut encoder = builder().mtime(7).write(Vec::new(), Compression::fast());
    encoder.write_all(b"hello").unwrap();
    let full = encoder.finish().unwrap();
    check(Coding::Gzip, &full, Ok(5));

    // The same with a checksum of the header, which the encoder does not write.
    let header = 10 + 2 + "extra".len() + "name\0".len() + "comment\0".len();
    let mut with_crc = full.clone();
    with_crc[3] |= 1 << 1;
    let mut crc = Crc::new();
    crc.update(&with_crc[..header]);
    with_crc.splice(header..header, crc.sum().to_le_bytes()[..2].iter().copied());
    check(Coding::Gzip, &with_crc, Ok(5));
    with_crc[header] ^= 1;
    check(Coding::Gzip, &with_crc, Err(ErrorKind::Protocol));

    let no_extra = [&full[..3], &[1 << 2], &full[4..10], &[0, 0], &full[header..]].concat();
    check(Coding::Gzip, &no_extra, Ok(5));
    for (at, byte) in [(0, 0), (1, 0), (2, 7), (3, 0x20)] {
        let mut broken = full.clone();
        broken[at] = byte;
        check(Coding::Gzip, &broken, Err(ErrorKind::Protocol));
    }
    let endless = [&full[..3], &[1 << 3], &full[4..10], &vec![b'x'; GZIP_HEADER_MAX as usize]].concat();
    check(Coding::Gzip, &endless, Err(ErrorKind::DecodeLimit));
}

#[test]
fn the_limit_is_exact() {
    for (coding, bytes) in streams() {
        for cut in [1, usize::MAX] {
            let run = |limit| decode(&mut Decoder::new(coding, limit), &bytes, cut);
            assert_eq!(run(TEXT_LENGTH), Ok(TEXT_LENGTH), "{coding:?}");
            assert_eq!(run(TEXT_LENGTH - 1), Err(ErrorKind::DecodeLimit), "{coding:?}");
            assert_eq!(run(0), Err(ErrorKind::DecodeLimit), "{coding:?}");
            assert_eq!(run(u64::MAX), Ok(TEXT_LENGTH), "{coding:?}");
        }
    }
    let mut decoder = Decoder::new(Coding::Identity, 4);
    assert_eq!(decode(&mut decoder, b"hello", 1), Err(ErrorKind::DecodeLimit));
    assert_eq!(decoder.feed(b"", &mut |_| {}), Err(ErrorKind::DecodeLimit));
    assert_eq!(decoder.finish(), Err(ErrorKind::DecodeLimit));
}

#[test]
fn bombs_are_given_up_after_little_work() {
    let zeros = vec![0; 1 << 20];
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    (0..100).for_each(|_| encoder.write_all(&zeros).unwrap());
    let gzip_bomb = encoder.finish().unwrap();
    let zstd_bomb = [ZSTD_BOMB_HEAD, &ZSTD_BOMB_BLOCK.repeat(800)].concat();
    for (coding, bytes) in [
        (Coding::Gzip, &gzip_bomb[..]),
        (Coding::Deflate, &zlib(&zeros)),
        (Coding::Brotli, BROTLI_BOMB),
        (Coding::Zstd, &zstd_bomb),
    ] {
        check(coding, bytes, Err(ErrorKind::DecodeLimit));
        let mut decoder = Decoder::new(coding, u64::MAX);
        assert_eq!(decoder.feed(bytes, &mut |_| {}), Err(ErrorKind::DecodeLimit));
        let made = decoder.decoded();
        assert!(made <= DECODE_RATIO_FROM + 2 * DECODE_STEP as u64, "{coding:?} made {made} bytes");
    }
}

#[test]
fn windows_above_eight_mib_are_refused() {
    // A frame without a length: its window is 1 KiB shifted by the upper five bits of the sixth byte.
    let zstd = |window: u8| [b"\x28\xb5\x2f\xfd\x00", &[window][..], b"\x01\x00\x00"].concat();
    check(Coding::Zstd, &zstd(13 << 3), Ok(0));
    check(Coding::Zstd, &zstd(13 << 3 | 1), Err(ErrorKind::DecodeLimit));
    check(Coding::Zstd, &zstd(14 << 3), Err(ErrorKind::DecodeLimit));
    check(Coding::Zstd, &zstd(31 << 3), Err(ErrorKind::DecodeLimit));
    // The window is told by the lowest bits; what follows is an empty last block.
    check(Coding::Brotli, &[0b0011_1101], Ok(0));
    check(Coding::Brotli, &[0b0011_1111], Err(ErrorKind::DecodeLimit));
    check(Coding::Brotli, &[0x11, 30, 3], Err(ErrorKind::Protocol));
}

#[test]
fn a_decoder_forgets_a_failure() {
    let mut decoder = Decoder::new(Coding::Gzip, LIMIT);
    for (coding, bytes) in streams().into_iter().chain(streams()) {
        decoder.reset(coding);
        let half = &bytes[..bytes.len() / 2];
        assert_eq!(decode(&mut decoder, half, 7), Err(ErrorKind::Protocol), "{coding:?}");
        decoder.reset(coding);
        assert!(
            decoder.feed(&[half, &[0xff; 64]].concat(), &mut |_| {}).is_err() || decoder.finish().is_err()
        );
        decoder.reset(coding);
        assert_eq!(decode(&mut decoder, &bytes, 7), Ok(TEXT_LENGTH), "{coding:?}");
    }
}

proptest! {
    #[test]
    fn round_trips_in_any_cut(
        parts in prop::collection::vec((any::<u8>(), 1usize..1_500), 0..40),
        noise in prop::collection::vec(any::<u8>(), 0..3_000),
        cut in 1usize..3_000,
    ) {
        let mut bytes = noise;
        parts.iter().for_each(|&(byte, count)| bytes.extend(std::iter::repeat_n(byte, count)));
        for (coding, coded) in [(Coding::Gzip, gzip(&bytes)), (Coding::Deflate, zlib(&bytes))] {
            // Too short for the ratio to matter.
            let whole = decode(&mut Decoder::new(coding, LIMIT), &coded, usize::MAX);
            prop_assert_eq!(whole, Ok(bytes.len() as u64));
            prop_assert_eq!(decode(&mut Decoder::new(coding, LIMIT), &coded, cut), whole);
        }
    }

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400), cut in 1usize..60) {
        for coding in CODINGS {
            let whole = decode(&mut Decoder::new(coding, LIMIT), &bytes, usize::MAX);
            let pieces = decode(&mut Decoder::new(coding, LIMIT), &bytes, cut);
            prop_assert!(alike(pieces, whole), "{coding:?} {pieces:?} {whole:?}");
        }
    }

    #[test]
    fn damage_never_panics(flips in prop::collection::vec((any::<usize>(), any::<u8>()), 1..6), cut in 1usize..60) {
        for (coding, mut bytes) in streams() {
            for (at, mask) in &flips {
                let at = at % bytes.len();
                bytes[at] ^= mask;
            }
            let whole = decode(&mut Decoder::new(coding, LIMIT), &bytes, usize::MAX);
            let pieces = decode(&mut Decoder::new(coding, LIMIT), &bytes, cut);
            prop_assert!(alike(pieces, whole), "{coding:?} {pieces:?} {whole:?}");
        }
    }
}
