//! The attempts, as data.

use std::io;

use super::Scene;
use super::{bpf, escapes, foreign, raw, rings, sockets, streams, trace};

pub(crate) struct Attempt {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&mut Scene) -> io::Result<()>,
}

/// The attempt of this name.
pub(crate) fn find(name: &str) -> Option<&'static Attempt> {
    ATTEMPTS.iter().find(|attempt| attempt.name == name)
}

/// The names of all.
pub fn names() -> impl Iterator<Item = &'static str> {
    ATTEMPTS.iter().map(|attempt| attempt.name)
}

const fn attempt(name: &'static str, run: fn(&mut Scene) -> io::Result<()>) -> Attempt {
    Attempt { name, run }
}

const ATTEMPTS: &[Attempt] = &[
    // Ways to connect.
    attempt("connect", sockets::connect),
    attempt("connect_mapped", sockets::connect_mapped),
    attempt("connect_any", sockets::connect),
    attempt("fast_open", sockets::fast_open),
    attempt("fast_open_option", sockets::fast_open_option),
    attempt("mptcp", sockets::mptcp),
    attempt("ring_connect", rings::connect),
    attempt("ring_polled_connect", rings::connect_polled),
    attempt("ring_fast_open", rings::fast_open),
    attempt("ring_second", rings::connect_on_second),
    attempt("ring_second_sendmsg", rings::send_datagram_on_second),
    // Without a connection.
    attempt("udp", sockets::datagram),
    attempt("udp_connected", sockets::connected_datagram),
    attempt("raw_ip", raw::internet),
    attempt("raw_tcp", raw::transport),
    attempt("packet", raw::frame),
    // Behind a verdict that was given before.
    attempt("marked_udp", sockets::marked_datagram),
    attempt("marked_raw", raw::marked),
    attempt("marked_reconnect", sockets::marked_reconnect),
    attempt("marked_source_route", sockets::marked_source_route),
    attempt("narrowed", streams::send_when_told),
    // Sockets from elsewhere.
    attempt("inherited", foreign::inherited),
    attempt("inherited_connected", foreign::inherited_connected),
    attempt("passed", foreign::passed),
    attempt("passed_by_ring", rings::passed),
    attempt("taken", foreign::taken),
    // Out of the fence.
    attempt("leave_cgroup", escapes::leave_cgroup),
    attempt("bpf_detach", bpf::detach),
    attempt("ptrace", trace::connect_in_sibling),
    attempt("exec", escapes::execute),
    // The kill switch's.
    attempt("flood", streams::flood),
];
