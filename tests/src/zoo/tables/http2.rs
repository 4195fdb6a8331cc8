//! Cases in HTTP/2 without TLS.

use super::super::case::{Case, Expect, Protocol};
use super::super::http2::{self as h2, Habits};

const fn h2(id: &'static str, does: &'static str, habits: Habits, kinds: &'static [&'static str]) -> Case {
    Case::h2c(id, does, habits).fails(kinds)
}

pub(super) const CASES: &[Case] = &[
    Case::h2c("T0-h2c", "answers properly", h2::GOOD).requests(40, 4),
    h2("T8-interim", "HEADERS with 103 without end", h2::INTERIM_FLOOD, &["too_many_interim"]),
    h2("T9-ping", "PING without end", h2::PING_FLOOD, &["flood"]),
    h2("T9-ping-deaf", "the same, and reads no answer", h2::PING_FLOOD_DEAF, &["flood"]),
    h2("T9-settings", "SETTINGS without end", h2::SETTINGS_FLOOD, &["flood"]),
    h2("T9-settings-deaf", "the same, and reads no answer", h2::SETTINGS_FLOOD_DEAF, &["flood"]),
    h2("T9-priority", "PRIORITY without end", h2::PRIORITY_FLOOD, &["flood"]),
    h2("T9-priority-deaf", "the same, and reads nothing", h2::PRIORITY_FLOOD_DEAF, &["flood"]),
    h2("T9-window", "WINDOW_UPDATE by 1 without end", h2::WINDOW_FLOOD, &["flood"]),
    h2("T10-continuation", "CONTINUATION of 16 KiB without end", h2::CONTINUATION_FLOOD, &["header_limit"]),
    h2("T10-empty", "empty CONTINUATION without end", h2::CONTINUATION_EMPTY, &["flood"]),
    h2("T11-hpack", "16 KiB of HPACK that is 48 MB of fields", h2::HPACK_BOMB, &["header_limit"]),
    h2("T12-data", "empty DATA without end", h2::EMPTY_DATA, &["flood"]),
    h2("T12-data-deaf", "the same, and reads nothing", h2::EMPTY_DATA_DEAF, &["flood"]),
    // A client that gives back the window as fast as it reads sees only a long body.
    h2("T13-data", "DATA that heeds no window", h2::OVER_WINDOW, &["protocol", "body_limit"])
        .timeout("20s")
        .requests(2, 2)
        .gives_up_in(22),
    h2("T13-frame", "a DATA frame of 16 MiB", h2::OVER_FRAME_SIZE, &["protocol"]),
    h2("T13-overflow", "overflows the window of a stream", h2::WINDOW_OVERFLOW_STREAM, &["protocol"]),
    h2(
        "T13-overflow-conn",
        "overflows that of the connection",
        h2::WINDOW_OVERFLOW_CONNECTION,
        &["protocol"],
    ),
    h2("T13-zero", "WINDOW_UPDATE by 0 on a stream", h2::WINDOW_ZERO_STREAM, &["protocol"]),
    h2("T13-zero-conn", "WINDOW_UPDATE by 0 on the connection", h2::WINDOW_ZERO_CONNECTION, &["protocol"]),
    h2("T13-settings", "SETTINGS out of range", h2::SETTINGS_WRONG, &["protocol"]),
    h2("T14-push", "PUSH_PROMISE", h2::PUSH_PROMISE, &["protocol"]),
    h2("T15-unknown", "unknown frames of 16 KiB without end", h2::UNKNOWN_FLOOD, &["flood"]),
    h2("T15-unknown-small", "empty unknown frames without end", h2::UNKNOWN_SMALL, &["flood"]),
    h2("T16-reset", "RST_STREAM (CANCEL) for each request", h2::RESET_STREAMS, &["reset"]).requests(40, 4),
    h2("T16-refused", "REFUSED_STREAM for each request", h2::REFUSE_STREAMS, &["refused_stream"])
        .requests(40, 4),
    Case::h2c("T16-goaway-loop", "GOAWAY on each new connection", h2::GOAWAY_AT_ONCE)
        .expects(Expect::NeverConnects(&["goaway"])),
    h2("T16-goaway", "GOAWAY that leaves the request out", h2::GOAWAY_AFTER, &["goaway"]),
    // Assumes that waiting for a stream counts as waiting for the first byte.
    h2("T16-no-streams", "SETTINGS_MAX_CONCURRENT_STREAMS is 0", h2::NO_STREAMS, &["timeout_first_byte"])
        .timeout("1s"),
    Case::at_once(Protocol::H2c, "T17-h1-only", "answers the preface with 400 in HTTP/1.1", h2::only_http1)
        .expects(Expect::NeverConnects(&["alpn"])),
    // Assumes that the deadline of a closed window is below 15 seconds.
    h2("T19-h2-window", "a flow-control window of 0 for ever", h2::ZERO_WINDOW, &["zero_window"])
        .timeout("30s")
        .flags("-D {body}")
        .requests(2, 2)
        .gives_up_in(17),
    Case::h2c("T21-h2-markup", "HTML, C1 controls and invalid UTF-8 in values", h2::MARKUP),
    h2("T21-h2-controls", "NUL, CR and LF in a value", h2::CONTROL_CHARACTERS, &["protocol"]),
];
