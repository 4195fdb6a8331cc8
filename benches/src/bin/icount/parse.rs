//! Answers through the engine's HTTP/1.1 machine, by the paths that it has.

use std::hint::black_box;

use brunt_engine::conn::ErrorsKept;
use brunt_engine::conn::h1::{Context, H1, Progress};
use brunt_engine::conn::head::HeadCache;

const BODY_BYTES: usize = 100;

/// An answer as nginx gives it.
fn answer(date: &str, etag: &str) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: {date}\r\nContent-Type: application/octet-stream\r\n\
         Content-Length: {BODY_BYTES}\r\nLast-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\n\
         Connection: keep-alive\r\nETag: \"{etag}\"\r\nAccept-Ranges: bytes\r\n\r\n"
    );
    [head.as_bytes(), &[b'x'; BODY_BYTES]].concat()
}

const MONDAY: &str = "Mon, 01 Jan 2024 00:00:00 GMT";
const TUESDAY: &str = "Tue, 02 Jan 2024 00:00:00 GMT";

pub(crate) fn repeated(times: u64) {
    feed(&[&[&answer(MONDAY, "6592-64")]], times);
}

pub(crate) fn dated(times: u64) {
    feed(&[&[&answer(MONDAY, "6592-64")], &[&answer(TUESDAY, "6592-64")]], times);
}

pub(crate) fn other(times: u64) {
    feed(&[&[&answer(MONDAY, "6592-64")], &[&answer(MONDAY, "6592-65")]], times);
}

pub(crate) fn split(times: u64) {
    let answer = answer(MONDAY, "6592-64");
    let (first, second) = answer.split_at(60);
    feed(&[&[first, second]], times);
}

pub(crate) fn chunked(times: u64) {
    let answer = b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n\
        Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    feed(&[&[answer]], times);
}

/// Gives a connection the answers in turn, each in its pieces.
fn feed(answers: &[&[&[u8]]], times: u64) {
    let mut context = Context {
        caches: vec![HeadCache::default()],
        body_limit: u64::MAX,
        decode: false,
        redirects: false,
        errors: ErrorsKept::default(),
    };
    let mut connection = H1::default();
    for pieces in answers.iter().cycle().take(usize::try_from(times).expect("64-bit only")) {
        let mut progress = None;
        for piece in *pieces {
            progress = Some(connection.feed(black_box(piece), &mut context));
        }
        assert!(
            matches!(black_box(progress), Some((_, Progress::Done(_)))),
            "a whole answer was given: {progress:?}"
        );
        connection.reset();
    }
}

pub(crate) fn httparse_alone(times: u64) {
    let answer = answer(MONDAY, "6592-64");
    for _ in 0..times {
        let mut fields = [httparse::EMPTY_HEADER; 32];
        let mut head = httparse::Response::new(&mut fields);
        let parsed = head.parse(black_box(&answer));
        assert!(black_box(parsed).is_ok_and(|status| status.is_complete()), "a whole head was given");
        black_box(&head);
    }
}
