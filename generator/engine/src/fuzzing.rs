//! Entry points for fuzz targets: any bytes may come in, and nothing may panic.
//!
//! What a machine says must not depend on how the bytes were cut on their way; a difference is a panic too. Where a
//! target needs more than bytes of the peer, the first ones are its choices. `tests/corpus.rs` replays what is kept.

use brunt_model::outcome::ErrorKind;
use brunt_model::plan::Proxy;
use brunt_model::scenario::ProxyKind;

use crate::conn::chunked::{self, Chunked};
use crate::conn::decode::{Coding, Decoder};
use crate::conn::h1::{Context, H1, Progress};
use crate::conn::h2::client::{self, Client};
use crate::conn::h2::hpack::{Decoder as FieldDecoder, Error as FieldError};
use crate::conn::h2::request::Outgoing;
use crate::conn::head::{self, HeadCache};
use crate::conn::proxy::{self, Handshake};
use crate::conn::{ErrorsKept, Step, Wants};

/// The name of a target, which is also that of its file in `fuzz/fuzz_targets` and of its folder in `fuzz/corpus`, and
/// what takes its bytes.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: &[Target] = &[
    ("head", head),
    ("chunked", chunked),
    ("proxy", proxy),
    ("decode", decode),
    ("h2", h2),
    ("hpack", hpack),
];

/// Small, so that inputs reach it.
const LIMIT_BYTES: u64 = 1 << 20;

/// A choice and the length of pieces, then what a server answers over HTTP/1.1.
///
/// # Panics
/// On a fault of the machines.
pub fn head(bytes: &[u8]) {
    let [choice, cut, answer @ ..] = bytes else { return };
    let to_head_request = choice & 1 != 0;
    if let Ok(Some(head)) = head::parse(answer, to_head_request) {
        assert!(head.len <= answer.len(), "a head ends within its bytes");
        let mut cache = HeadCache::default();
        cache.keep(answer, head);
        assert!(cache.find(answer).is_none_or(|found| found == head), "a remembered head is the same");
    }
    let whole = h1(answer, to_head_request, usize::MAX);
    assert_eq!(h1(answer, to_head_request, usize::from(*cut)), whole);
}

fn h1(answer: &[u8], to_head_request: bool, cut: usize) -> Progress {
    let mut context = Context {
        caches: vec![HeadCache::default()],
        body_limit: LIMIT_BYTES,
        decode: false,
        redirects: true,
        errors: ErrorsKept { bytes: 100, answers: u32::MAX },
    };
    let mut machine = H1::default();
    machine.expect(Wants { to_head: to_head_request, head: true, body: 1_000, request: 0 });
    for piece in answer.chunks(cut.max(1)) {
        match machine.feed(piece, &mut context) {
            (used, Progress::More { .. }) => assert_eq!(used, piece.len(), "nothing is left of input"),
            (_, end) => return end,
        }
    }
    machine.feed_eof()
}

/// The length of pieces, then a chunked body.
///
/// # Panics
/// On a fault of the machine.
pub fn chunked(bytes: &[u8]) {
    let [cut, body @ ..] = bytes else { return };
    assert_eq!(dechunk(body, usize::from(*cut)), dechunk(body, usize::MAX));
}

/// Where the body ends and how long it is, or nothing where it goes on.
fn dechunk(body: &[u8], cut: usize) -> Result<Option<(usize, u64)>, ErrorKind> {
    let (mut chunked, mut used) = (Chunked::default(), 0);
    for piece in body.chunks(cut.max(1)) {
        match chunked.feed(piece, &mut |_| Ok(()))? {
            chunked::Progress::More => used += piece.len(),
            chunked::Progress::Done(last) => return Ok(Some((used + last, chunked.body()))),
        }
    }
    Ok(None)
}

/// A choice and the length of pieces, then what a proxy answers.
///
/// # Panics
/// On a fault of the machine.
pub fn proxy(bytes: &[u8]) {
    let [choice, cut, answer @ ..] = bytes else { return };
    let proxy = Proxy {
        kind: if choice & 1 != 0 { ProxyKind::Socks5 } else { ProxyKind::Http },
        host: "a.example".to_owned(),
        port: 443,
        credentials: (choice & 2 != 0).then(|| ("user".to_owned(), "password".to_owned())),
    };
    assert_eq!(shake(&proxy, answer, usize::from(*cut)), shake(&proxy, answer, usize::MAX));
}

/// What was sent, and where the proxy's part ends, or nothing where it goes on.
fn shake(proxy: &Proxy, answer: &[u8], cut: usize) -> (Vec<u8>, Result<Option<usize>, ErrorKind>) {
    let (mut handshake, mut sent, mut used) = (Handshake::new(proxy), Vec::new(), 0);
    handshake.start(&mut sent);
    for piece in answer.chunks(cut.max(1)) {
        match handshake.feed(piece, &mut sent) {
            Ok(proxy::Progress::More) => used += piece.len(),
            Ok(proxy::Progress::Done { used: last }) => return (sent, Ok(Some(used + last))),
            Err(kind) => return (sent, Err(kind)),
        }
    }
    (sent, Ok(None))
}

/// A choice of coding and the length of pieces, then a coded body.
///
/// # Panics
/// On a fault of the decoders.
pub fn decode(bytes: &[u8]) {
    let [choice, cut, body @ ..] = bytes else { return };
    let coding = match choice % 5 {
        0 => Coding::Identity,
        1 => Coding::Gzip,
        2 => Coding::Deflate,
        3 => Coding::Brotli,
        _ => Coding::Zstd,
    };
    let whole = decoded(coding, body, usize::MAX);
    let pieces = decoded(coding, body, usize::from(*cut));
    // A decoder that works ahead may see the budget or the fault first.
    let is_limit = [whole, pieces].contains(&Err(ErrorKind::DecodeLimit));
    assert!(whole == pieces || is_limit, "{whole:?} whole, {pieces:?} in pieces");
}

fn decoded(coding: Coding, body: &[u8], cut: usize) -> Result<u64, ErrorKind> {
    let mut decoder = Decoder::new(coding, LIMIT_BYTES);
    let fed = body.chunks(cut.max(1)).try_for_each(|piece| decoder.feed(piece, &mut |_| {}));
    assert!(decoder.decoded() <= LIMIT_BYTES + 1, "the budget holds");
    fed.and_then(|()| decoder.finish())
}

/// A choice and the length of pieces, then what a server sends over HTTP/2 to four requests, the first with a body.
///
/// # Panics
/// On a fault of the machine.
pub fn h2(bytes: &[u8]) {
    let [choice, cut, answer @ ..] = bytes else { return };
    let context = client::Context {
        body_limit: LIMIT_BYTES,
        decode: choice & 2 != 0,
        redirects: choice & 4 != 0,
        errors: ErrorsKept { bytes: 100, answers: u32::MAX },
    };
    let wants = Wants { to_head: choice & 1 != 0, head: choice & 8 != 0, body: 1_000, request: 0 };
    let whole = multiplex(context, wants, answer, usize::MAX);
    assert!(multiplex(context, wants, answer, usize::from(*cut)) == whole, "the cut does not matter");
}

const LANES: u32 = 4;

/// What was sent, and each step but the waits.
fn multiplex(mut context: client::Context, wants: Wants, answer: &[u8], cut: usize) -> (Vec<u8>, Vec<Step>) {
    let (mut client, mut sent, mut steps) = (Client::new(LANES), Vec::new(), Vec::new());
    client.start(&context, &mut sent);
    for lane in 0..LANES {
        let body: &[u8] = if lane == 0 { &[b'x'; 100_000] } else { &[] };
        let fields = vec![(b":method".to_vec(), b"GET".to_vec()), (b":path".to_vec(), b"/".to_vec())];
        let (expects_continue, repeated) = (lane == 0, lane > 0);
        let body = body.into();
        let request = Outgoing { fields, body, expects_continue, repeated, has_cookies: false, wants };
        client.request(lane, &request, &mut sent);
    }
    for piece in answer.chunks(cut.max(1)) {
        let mut rest = piece;
        loop {
            let (used, step) = client.feed(rest, 1, &mut context, &mut sent);
            rest = &rest[used..];
            match step {
                Step::More { .. } => break,
                step => steps.push(step),
            }
            if matches!(step, Step::Failed(_)) {
                return (sent, steps);
            }
        }
        assert!(rest.is_empty(), "nothing is left of input");
        assert!(client.open() <= LANES && (sent.len() as u64) < LIMIT_BYTES, "output is bounded");
    }
    (sent, steps)
}

/// Blocks of fields, each after its length in one byte, as one connection sends them.
///
/// # Panics
/// On a fault of the decoder.
pub fn hpack(bytes: &[u8]) {
    let (mut decoder, mut rest) = (FieldDecoder::new(4096), bytes);
    while let [length, after @ ..] = rest {
        let (block, next) = after.split_at(after.len().min(usize::from(*length)));
        let mut listed = 0;
        let result = decoder.decode(block, &mut |name, value| listed += name.len() + value.len() + 32);
        assert!(listed <= crate::limits::HEAD_BYTES_MAX, "the list is bounded");
        if let Err(FieldError::Malformed | FieldError::TooLarge) = result {
            return;
        }
        rest = next;
    }
}
