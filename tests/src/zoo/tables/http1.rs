//! Cases in HTTP/1.1 without TLS.

use super::super::case::{Case, Expect, Protocol};
use super::super::http1 as h1;

/// An HTTP/1.1 case.
const fn h1(
    id: &'static str,
    does: &'static str,
    answer: fn() -> Vec<crate::wire::Act>,
    kinds: &'static [&'static str],
) -> Case {
    Case::http1(id, does, answer).fails(kinds)
}

pub(super) const CASES: &[Case] = &[
    Case::http1("T0-h1", "answers properly", h1::good),
    h1("T1-silent", "accepts and stays silent", h1::silent, &["timeout_first_byte"]).timeout("1s"),
    // The head has ten seconds of its own.
    h1("T2-trickle", "a byte of the head each 0.4 s", h1::trickled_head, &["header_timeout"])
        .timeout("30s")
        .gives_up_in(13),
    h1("T3-field", "one header field without end", h1::endless_field, &["header_limit"]),
    h1("T3-fields", "small header fields without end", h1::endless_fields, &["header_limit"]),
    h1("T3-reason", "a reason phrase without end", h1::endless_reason, &["header_limit"]),
    body("T4-announced", "announces a body of 1 TiB and sends it", h1::announced_body),
    body("T4-chunked", "chunks without end", h1::chunked_body),
    body("T4-unframed", "a body that only the end of the connection would end", h1::body_until_close),
    h1("T5-extension", "a chunk extension without end", h1::chunk_extensions, &["header_limit"]),
    h1("T5-trailer", "trailers without end", h1::trailers, &["header_limit"]),
    h1("T5-overflow", "a chunk size of more than 64 bits", h1::chunk_size_overflow, &["protocol"]),
    h1("T5-largest", "a chunk size of almost 2^64", h1::chunk_size_largest, &["protocol", "body_limit"]),
    h1("T6-both", "Transfer-Encoding and Content-Length", h1::coding_and_length, &["protocol"]),
    h1("T6-lengths", "two different Content-Lengths", h1::two_lengths, &["protocol"]),
    h1("T7-interim", "103 without end", h1::interim_flood, &["too_many_interim"]),
    coded("T18-gzip", "1 MiB of gzip that is 1 GiB of zeros", h1::gzip_bomb, &["decode_limit"]),
    coded("T18-br", "1.3 KiB of brotli that is 1 GiB", h1::brotli_bomb, &["decode_limit"]),
    coded("T18-cut", "half a file of gzip as a whole body", h1::gzip_cut, &["protocol"]),
    coded("T18-not", "plain text that says it is gzip", h1::gzip_not, &["protocol"]),
    Case::at_once(Protocol::Http1, "T19-reset", "resets each connection once accepted", h1::reset)
        .fails(&["reset"]),
    h1("T19-reset-body", "resets in the middle of a body", h1::reset_in_body, &["reset"]),
    h1("T19-half-close", "a FIN in the middle of a body, then reads on", h1::half_close, &["closed_early"]),
    // Assumes that the deadline of a closed window is below 15 seconds.
    Case::at_once(Protocol::Http1, "T19-zero-window", "reads nothing of a body of 8 MiB", h1::deaf)
        .fails(&["zero_window"])
        .timeout("30s")
        .flags("-D {body}")
        .requests(2, 2)
        .receive_buffer(4_096)
        .gives_up_in(17),
    h1("T20-cookies", "a million Set-Cookie in one head", h1::cookies, &["header_limit"]),
    redirect("T20-loop", "Location leads to itself", h1::redirect_loop),
    redirect("T20-foreign", "Location leads to another origin", h1::redirect_away),
    Case::http1("T20-retry", "503 with Retry-After: 1e18", h1::retry_never)
        .expects(Expect::Rejects("status")),
    Case::http1("T20-dates", "dates that no calendar has", h1::bad_dates),
    Case::http1("T21-markup", "HTML, C1 controls and invalid UTF-8 in reason and values", h1::markup),
    redirect("T21-location", "the same in a Location to another origin", h1::redirect_to_markup),
    // Refusing and replacing are both allowed (RFC 9110 section 5.5); showing them is not.
    Case::http1("T21-ansi-reason", "terminal escapes in the reason", h1::ansi_in_reason)
        .expects(Expect::CompletesOrFails(&["protocol"])),
    Case::http1("T21-ansi-value", "terminal escapes in a value", h1::ansi_in_value)
        .expects(Expect::CompletesOrFails(&["protocol"])),
    Case::http1("T21-nul", "a NUL in a value", h1::nul_in_value)
        .expects(Expect::CompletesOrFails(&["protocol"])),
];

/// A body past the limit of 64 MiB: two connections, since each carries that much.
const fn body(id: &'static str, does: &'static str, answer: fn() -> Vec<crate::wire::Act>) -> Case {
    h1(id, does, answer, &["body_limit"]).timeout("20s").requests(2, 2).gives_up_in(22)
}

const fn coded(
    id: &'static str,
    does: &'static str,
    answer: fn() -> Vec<crate::wire::Act>,
    kinds: &'static [&'static str],
) -> Case {
    h1(id, does, answer, kinds).timeout("10s").flags("--compressed").gives_up_in(12)
}

const fn redirect(id: &'static str, does: &'static str, answer: fn() -> Vec<crate::wire::Act>) -> Case {
    h1(id, does, answer, &["redirect_refused"]).timeout("2s").flags("--redirects 5")
}
