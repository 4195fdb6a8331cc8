//! What may leave: TCP to what is granted, and nothing else.
//!
//! connect(2) and datagrams are refused where they are asked for, so that the caller learns of it. Packets are looked at
//! again as they leave: that catches raw sockets, sockets from elsewhere, connections older than the policy, and is the
//! kill switch.

use aya_ebpf::btf_maps::LpmTrie;
use aya_ebpf::btf_maps::lpm_trie::Key;
use aya_ebpf::helpers::generated::bpf_sk_fullsock;
use aya_ebpf::programs::{SkBuffContext, SockAddrContext};
use brunt_abi::guard::{Ports, RANGES, Reason, is_never_allowed};

use crate::memory::{self, GRANTED, RESERVED, State};
use crate::packet::{self, Segment};

const ALLOW: i32 = 1;
const REFUSE: i32 = 0;
const TCP: u32 = 6;
const SOCK_STREAM: u32 = 1;

/// The address that is connected to, IPv4 as IPv4-mapped.
#[inline(always)]
pub(crate) fn address4(ctx: &SockAddrContext) -> [u8; 16] {
    // SAFETY: the context is the kernel's. The address is in network order.
    packet::mapped(unsafe { (*ctx.sock_addr).user_ip4 }.to_ne_bytes())
}

#[inline(always)]
pub(crate) fn address6(ctx: &SockAddrContext) -> [u8; 16] {
    // SAFETY: as above; each word is read alone, which the verifier wants.
    let [a, b, c, d] = unsafe {
        let at = ctx.sock_addr;
        [(*at).user_ip6[0], (*at).user_ip6[1], (*at).user_ip6[2], (*at).user_ip6[3]]
    };
    let mut address = [0; 16];
    address[..4].copy_from_slice(&a.to_ne_bytes());
    address[4..8].copy_from_slice(&b.to_ne_bytes());
    address[8..12].copy_from_slice(&c.to_ne_bytes());
    address[12..].copy_from_slice(&d.to_ne_bytes());
    address
}

#[inline(always)]
pub(crate) fn lets_connect(ctx: &SockAddrContext, address: [u8; 16]) -> i32 {
    // SAFETY: the context is the kernel's. The port is in network order in the low half.
    let (port, protocol) = unsafe { ((*ctx.sock_addr).user_port, (*ctx.sock_addr).protocol) };
    let verdict = if memory::control().killed != 0 {
        Some(Reason::Killed)
    } else if protocol != TCP {
        Some(Reason::Protocol)
    } else {
        objection(address, u16::from_be(port as u16))
    };
    match verdict {
        None => ALLOW,
        Some(reason) => {
            memory::denied(reason);
            REFUSE
        }
    }
}

/// Nothing is sent by datagrams.
#[inline(always)]
pub(crate) fn refuse_datagram() -> i32 {
    memory::denied(Reason::Protocol);
    REFUSE
}

/// May this packet leave?
#[inline(always)]
pub(crate) fn lets_out(ctx: &SkBuffContext, segment: Option<&Segment>, state: Option<&mut State>) -> bool {
    let control = memory::control();
    if control.killed != 0 {
        memory::denied(Reason::Killed);
        return false;
    }
    let Some(segment) = segment else {
        memory::denied(Reason::Protocol);
        return false;
    };
    let generation = control.generation as u32;
    if let Some(state) = &state
        && state.allowed_at == generation
        && !segment.is_syn()
    {
        return true;
    }
    let verdict = match packet::destination(ctx, segment.is_v6) {
        Some(address) => objection(address, segment.to_port),
        None => Some(Reason::Protocol),
    };
    if let Some(reason) = verdict {
        memory::denied(reason);
        return false;
    }
    // Only a connection has one destination for good; it begins with a SYN, which is always looked at.
    if let Some(state) = state
        && is_connection(ctx)
    {
        state.allowed_at = generation;
    }
    true
}

#[inline(always)]
fn is_connection(ctx: &SkBuffContext) -> bool {
    // SAFETY: the context is the kernel's, and null is checked.
    unsafe {
        let socket = (*ctx.skb.skb).__bindgen_anon_2.sk;
        if socket.is_null() {
            return false;
        }
        let socket = bpf_sk_fullsock(socket);
        !socket.is_null() && (*socket).type_ == SOCK_STREAM && (*socket).protocol == TCP
    }
}

/// What speaks against an address and port.
#[inline(always)]
fn objection(address: [u8; 16], port: u16) -> Option<Reason> {
    if is_never_allowed(&address) {
        return Some(Reason::NeverAllowed);
    }
    let key = Key::new(128, address);
    if names(&RESERVED, &key, port) {
        return Some(Reason::Reserved);
    }
    if names(&GRANTED, &key, port) { None } else { Some(Reason::NotGranted) }
}

/// Does the longest prefix that fits the address have the port?
#[inline(always)]
fn names(table: &LpmTrie<[u8; 16], Ports, 1024>, key: &Key<[u8; 16]>, port: u16) -> bool {
    let Some(ports) = table.get(key) else { return false };
    let mut at = 0;
    while at < RANGES {
        if ports.0[at].contains(port) {
            return true;
        }
        at += 1;
    }
    false
}
