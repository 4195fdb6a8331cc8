//! Hostile HTTP/1.1 servers: what each says to a request.

use std::time::Duration;

use super::codings;
use crate::wire::Act;

const HEAD: &str = "HTTP/1.1 200 OK\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
/// Between the bytes of a server that trickles.
const TRICKLE: Duration = Duration::from_millis(400);
/// Lets the beginning of an answer arrive before its end does.
const A_MOMENT: Duration = Duration::from_millis(20);
/// Short lines in one write, so that a flood is not one of system calls.
const LINES_PER_WRITE: usize = 500;
/// Written in one piece.
const BLOCK: usize = 64 << 10;

/// What a page or a log must not show as it is.
pub(super) const MARKUP: &[u8] = b"</td><script>alert('\"&amp;<!-- %s %n ${jndi:x} \xe2\x80\xae\xff\xfe";
/// The control sequences of terminals in one byte each: CSI 2 J, OSC, DCS and ST of ECMA-48.
pub(super) const C1: &[u8] = b"\x9b2J\x9d0;title\x9c\x90q\x9c";
/// The same with ESC, which no header value may hold (RFC 9110 section 5.5).
const ANSI: &[u8] = b"\x1b[2J\x1b]0;title\x07\x1b[31mred";

/// Sends this and then listens: whatever is wrong must be found in it, not by waiting.
fn say(answer: &str) -> Vec<Act> {
    vec![Act::send(answer), Act::Silence]
}

fn say_bytes(parts: &[&[u8]]) -> Vec<Act> {
    vec![Act::Send(parts.concat()), Act::Silence]
}

fn with_fields(fields: &str) -> Vec<Act> {
    vec![Act::send(&format!("{HEAD}{fields}Content-Length: 2\r\n\r\nok"))]
}

fn endless(first: &str, line: &[u8]) -> Vec<Act> {
    vec![Act::send(first), Act::Repeat(line.repeat(LINES_PER_WRITE), Duration::ZERO)]
}

pub(super) fn good() -> Vec<Act> {
    with_fields("")
}

pub(super) fn silent() -> Vec<Act> {
    vec![Act::Silence]
}

pub(super) fn trickled_head() -> Vec<Act> {
    vec![Act::send(HEAD), Act::send("X-Slow: "), Act::Repeat(b"x".to_vec(), TRICKLE)]
}

pub(super) fn endless_field() -> Vec<Act> {
    endless(&format!("{HEAD}X-Filler: "), b"nothing of interest in here ")
}

pub(super) fn endless_fields() -> Vec<Act> {
    endless(HEAD, b"A: b\r\n")
}

pub(super) fn endless_reason() -> Vec<Act> {
    endless("HTTP/1.1 200 ", b"a reason without end ")
}

pub(super) fn announced_body() -> Vec<Act> {
    let block = Act::Repeat(vec![b'x'; BLOCK], Duration::ZERO);
    vec![Act::send(&format!("{HEAD}Content-Length: 1099511627776\r\n\r\n")), block]
}

pub(super) fn body_until_close() -> Vec<Act> {
    vec![Act::send(&format!("{HEAD}\r\n")), Act::Repeat(vec![b'x'; BLOCK], Duration::ZERO)]
}

pub(super) fn chunked_body() -> Vec<Act> {
    let chunk = [b"10000\r\n", vec![b'x'; BLOCK].as_slice(), b"\r\n"].concat();
    vec![Act::send(CHUNKED), Act::Repeat(chunk, Duration::ZERO)]
}

pub(super) fn chunk_extensions() -> Vec<Act> {
    endless(&format!("{CHUNKED}5;"), b"an extension without end ")
}

pub(super) fn trailers() -> Vec<Act> {
    endless(&format!("{CHUNKED}0\r\n"), b"X-Trailer: without end\r\n")
}

/// Seventeen digits: more than 64 bits hold.
pub(super) fn chunk_size_overflow() -> Vec<Act> {
    say(&format!("{CHUNKED}11111111111111111\r\nhello"))
}

/// Sixteen digits: a length that wraps to nothing where two bytes are added to it.
pub(super) fn chunk_size_largest() -> Vec<Act> {
    say(&format!("{CHUNKED}fffffffffffffffe\r\nhello"))
}

pub(super) fn coding_and_length() -> Vec<Act> {
    say(&format!("{HEAD}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"))
}

pub(super) fn two_lengths() -> Vec<Act> {
    say(&format!("{HEAD}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"))
}

pub(super) fn interim_flood() -> Vec<Act> {
    endless("", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
}

fn coded(coding: &str, body: &[u8]) -> Vec<Act> {
    let head = format!("{HEAD}Content-Encoding: {coding}\r\nContent-Length: {}\r\n\r\n", body.len());
    vec![Act::Send([head.as_bytes(), body].concat()), Act::Silence]
}

pub(super) fn gzip_bomb() -> Vec<Act> {
    coded("gzip", &codings::gzip_bomb())
}

pub(super) fn brotli_bomb() -> Vec<Act> {
    coded("br", &codings::brotli_bomb())
}

/// A whole body by its length, and half a file by its coding.
pub(super) fn gzip_cut() -> Vec<Act> {
    let whole = codings::gzip(b"a text of which only the first half arrives".repeat(20).as_slice());
    coded("gzip", &whole[..whole.len() / 2])
}

pub(super) fn gzip_not() -> Vec<Act> {
    coded("gzip", b"this was never compressed by anybody")
}

pub(super) fn reset() -> Vec<Act> {
    vec![Act::Reset]
}

fn half_a_body() -> Act {
    Act::send(&format!("{HEAD}Content-Length: 100\r\n\r\nhello"))
}

pub(super) fn reset_in_body() -> Vec<Act> {
    vec![half_a_body(), Act::Pause(A_MOMENT), Act::Reset]
}

pub(super) fn half_close() -> Vec<Act> {
    vec![half_a_body(), Act::Pause(A_MOMENT), Act::HalfClose]
}

/// A body that only the end of the connection ends: without TLS that end is honest, with TLS it needs a `close_notify`.
pub(super) fn half_close_unframed() -> Vec<Act> {
    vec![Act::send(&format!("{HEAD}\r\nhello")), Act::Pause(A_MOMENT), Act::HalfClose]
}

pub(super) fn deaf() -> Vec<Act> {
    vec![Act::Deaf]
}

pub(super) fn cookies() -> Vec<Act> {
    let cookies = (0..1_000_000).map(|number| format!("Set-Cookie: c{number}=1\r\n")).collect::<String>();
    vec![Act::send(HEAD), Act::Send(cookies.into_bytes()), Act::Silence]
}

fn redirect(location: &[u8]) -> Vec<Act> {
    let head = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: ";
    vec![Act::Send([head, location, b"\r\n\r\n"].concat())]
}

pub(super) fn redirect_loop() -> Vec<Act> {
    redirect(b"/again")
}

/// Nobody listens there; a client that goes there all the same fails in another way than by refusing.
pub(super) fn redirect_away() -> Vec<Act> {
    redirect(b"http://127.0.0.2:9/")
}

pub(super) fn redirect_to_markup() -> Vec<Act> {
    redirect(&[b"http://127.0.0.2:9/", MARKUP, C1].concat())
}

pub(super) fn retry_never() -> Vec<Act> {
    let fields = "Retry-After: 1000000000000000000\r\nContent-Length: 0\r\n";
    vec![Act::send(&format!("HTTP/1.1 503 Service Unavailable\r\n{fields}\r\n"))]
}

pub(super) fn bad_dates() -> Vec<Act> {
    with_fields(
        "Date: Thu, 99 Foo 99999 25:61:61 GMT\r\nExpires: -1\r\nLast-Modified: 292277026596-12-04\r\nAge: -9\r\n",
    )
}

pub(super) fn markup() -> Vec<Act> {
    let rest: [&[u8]; 5] = [b"\r\nServer: ", MARKUP, b"\r\nX-C1: ", C1, b"\r\nContent-Length: 2\r\n\r\nok"];
    vec![Act::Send([&[b"HTTP/1.1 200 ", MARKUP, C1], rest.as_slice()].concat().concat())]
}

pub(super) fn ansi_in_reason() -> Vec<Act> {
    say_bytes(&[b"HTTP/1.1 200 ", ANSI, b"\r\nContent-Length: 2\r\n\r\nok"])
}

pub(super) fn ansi_in_value() -> Vec<Act> {
    say_bytes(&[HEAD.as_bytes(), b"X-Evil: ", ANSI, b"\r\nContent-Length: 2\r\n\r\nok"])
}

pub(super) fn nul_in_value() -> Vec<Act> {
    say_bytes(&[HEAD.as_bytes(), b"X-Evil: a\0b\r\nContent-Length: 2\r\n\r\nok"])
}
