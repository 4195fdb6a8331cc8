//! What hostile servers say to a ClientHello, written by hand. TLS 1.2 sends its certificates in clear text, so that
//! no key is needed to write a hostile one (RFC 5246 section 7.4).

use std::time::Duration;

use crate::wire::Act;

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const SERVER_HELLO: u8 = 2;
const CERTIFICATE: u8 = 11;
/// The largest record (RFC 5246 section 6.2.1).
const RECORD_MAX: usize = 1 << 14;
/// The largest length of a handshake message has 24 bits; some room for the lengths of the lists within.
const CHAIN: usize = (1 << 24) - 16;
/// ec_point_formats (RFC 8422), renegotiation_info (RFC 5746): the least that clients ask of a server of TLS 1.2.
const EXTENSIONS: &[u8] = &[0x00, 0x0b, 0, 2, 1, 0, 0xff, 0x01, 0, 1, 0];
/// The protocol `evil` (RFC 7301).
const ALPN_EVIL: &[u8] = b"\x00\x10\x00\x07\x00\x05\x04evil";

pub(super) fn garbage() -> Vec<Act> {
    vec![Act::Send((0..=255).rev().cycle().take(4_096).collect()), Act::Silence]
}

pub(super) fn clear_text() -> Vec<Act> {
    let answer = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    vec![Act::send(answer), Act::HalfClose]
}

/// Fatal, internal_error.
pub(super) fn alert() -> Vec<Act> {
    vec![Act::Send(record(ALERT, &[2, 80])), Act::HalfClose]
}

pub(super) fn truncated() -> Vec<Act> {
    let whole = record(HANDSHAKE, &server_hello(EXTENSIONS));
    vec![Act::Send(whole[..whole.len() / 2].to_vec()), Act::Silence]
}

pub(super) fn other_alpn() -> Vec<Act> {
    vec![Act::Send(record(HANDSHAKE, &server_hello(&[EXTENSIONS, ALPN_EVIL].concat()))), Act::Silence]
}

/// Announces one certificate of 16 MiB and sends zeros for it.
pub(super) fn long_chain() -> Vec<Act> {
    let lengths = [&length24(CHAIN)[..], &length24(CHAIN - 3), &length24(CHAIN - 6)].concat();
    let first = [
        record(HANDSHAKE, &server_hello(EXTENSIONS)),
        record(HANDSHAKE, &[&[CERTIFICATE], &lengths[..]].concat()),
    ];
    let rest = record(HANDSHAKE, &[0; RECORD_MAX]);
    vec![Act::Send(first.concat()), Act::Repeat(rest, Duration::ZERO)]
}

/// Chooses TLS 1.2 and ECDHE_ECDSA_WITH_AES_128_GCM_SHA256.
fn server_hello(extensions: &[u8]) -> Vec<u8> {
    let [.., high, low] = extensions.len().to_be_bytes();
    let body = [&[3, 3], &[7; 32][..], &[0], &[0xc0, 0x2b], &[0], &[high, low], extensions].concat();
    [&[SERVER_HELLO], &length24(body.len())[..], &body].concat()
}

fn length24(length: usize) -> [u8; 3] {
    let [.., a, b, c] = length.to_be_bytes();
    [a, b, c]
}

/// One record of TLS 1.2 (RFC 5246 section 6.2.1).
fn record(kind: u8, payload: &[u8]) -> Vec<u8> {
    let [.., high, low] = payload.len().to_be_bytes();
    [&[kind, 3, 3, high, low], payload].concat()
}
