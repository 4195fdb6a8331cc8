//! Cases with TLS.

use super::super::case::{Case, Expect, Protocol, Serve};
use super::super::tls::{Identity, Tls};
use super::super::{client_hello_answers as hello, http1 as h1, http2 as h2};
use crate::wire::Act;

const HTTP1: Tls = Tls { identity: Identity::Good, alpn: &["http/1.1"] };
const HTTP2: Tls = Tls { identity: Identity::Good, alpn: &["h2"] };

pub(super) const CASES: &[Case] = &[
    over(HTTP1, "T0-tls-h1", "answers properly", h1::good),
    Case::new(Protocol::TlsHttp2, "T0-tls-h2", "answers properly", Serve::Http2(h2::GOOD))
        .with_tls(HTTP2)
        .requests(40, 4),
    Case::new(Protocol::TlsHttp2, "T9-ping-tls", "PING without end", Serve::Http2(h2::PING_FLOOD))
        .with_tls(HTTP2)
        .fails(&["flood"]),
    raw("T17-garbage", "bytes that are no TLS", hello::garbage, &["tls_handshake"]),
    raw("T17-clear", "an answer in clear text", hello::clear_text, &["tls_handshake"]),
    raw("T17-alert", "a fatal alert", hello::alert, &["tls_handshake"]),
    // The handshake has five seconds of its own.
    raw("T17-mute", "never answers the hello", h1::silent, &["tls_timeout"]).timeout(PATIENT).gives_up_in(9),
    raw("T17-truncated", "half a record, then silence", hello::truncated, &["tls_timeout"])
        .timeout(PATIENT)
        .gives_up_in(9),
    raw("T17-chain-12", "a certificate message of 16 MiB in TLS 1.2", hello::long_chain, &["tls_handshake"]),
    never(
        Tls { identity: Identity::LongChain, ..HTTP1 },
        "T17-chain-13",
        "the same in TLS 1.3",
        &["tls_handshake"],
    ),
    over(HTTP1, "T17-no-notify", "no close_notify in a body", h1::half_close).fails(&["closed_early"]),
    // Whoever can cut a connection could shorten such a body unseen (RFC 9112 section 9.8).
    over(HTTP1, "T17-no-notify-unframed", "no close_notify ends a body", h1::half_close_unframed)
        .fails(&["closed_early"]),
    never(
        Tls { identity: Identity::Expired, ..HTTP1 },
        "T17-expired",
        "an old certificate",
        &["cert_expired"],
    ),
    never(
        Tls { identity: Identity::SelfSigned, ..HTTP1 },
        "T17-self-signed",
        "a certificate that signs itself",
        &["cert_untrusted"],
    ),
    never(
        Tls { identity: Identity::OtherName, ..HTTP1 },
        "T17-name",
        "a certificate for other.example",
        &["cert_name"],
    ),
    no_http2(Tls { alpn: &[], ..HTTP1 }, "T17-alpn-none", "knows no ALPN where h2 is asked for"),
    no_http2(HTTP1, "T17-alpn-h1", "speaks HTTP/1.1 alone where h2 is asked for"),
    Case::at_once(
        Protocol::TlsHttp2,
        "T17-alpn-other",
        "chooses a protocol nobody offered",
        hello::other_alpn,
    )
    .expects(Expect::NeverConnects(&["alpn", "tls_handshake"])),
];

const PATIENT: &str = "20s";

/// HTTP/1.1 over proper TLS.
const fn over(tls: Tls, id: &'static str, does: &'static str, answer: fn() -> Vec<Act>) -> Case {
    Case::new(Protocol::TlsHttp1, id, does, Serve::Http1(answer)).with_tls(tls)
}

/// TLS that no client may accept.
const fn never(tls: Tls, id: &'static str, does: &'static str, kinds: &'static [&'static str]) -> Case {
    over(tls, id, does, h1::good).expects(Expect::NeverConnects(kinds))
}

/// What the server sends is written by hand.
const fn raw(
    id: &'static str,
    does: &'static str,
    acts: fn() -> Vec<Act>,
    kinds: &'static [&'static str],
) -> Case {
    Case::at_once(Protocol::TlsHttp1, id, does, acts).expects(Expect::NeverConnects(kinds))
}

const fn no_http2(tls: Tls, id: &'static str, does: &'static str) -> Case {
    let case = Case::new(Protocol::TlsHttp2, id, does, Serve::Http1(h1::good)).with_tls(tls);
    case.expects(Expect::NeverConnects(&["alpn"]))
}
