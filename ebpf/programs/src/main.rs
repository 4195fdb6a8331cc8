//! The kernel's side: programs on a cgroup that stamp requests and answers, and a guard that lets nothing out but what
//! is granted.
//!
//! Only stable contexts and helpers are used, no structures of the kernel's own, so nothing has to be relocated. There is
//! no division, no panic and no unbounded loop: the verifier must see that every program ends.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod guard;
mod mark;
mod memory;
mod packet;
mod timing;

use aya_ebpf::macros::{cgroup_skb, cgroup_sock_addr, cgroup_sockopt};
use aya_ebpf::programs::{SkBuffContext, SockAddrContext, SockoptContext};

const PASS: i32 = 1;
const DROP: i32 = 0;

/// Every packet that a socket of the cgroup sends.
#[cgroup_skb]
pub fn brunt_egress(ctx: SkBuffContext) -> i32 {
    let packet = packet::parse(&ctx);
    let mut state = memory::state_of_packet(&ctx);
    if memory::guards() && !guard::lets_out(&ctx, packet.as_ref(), state.as_deref_mut()) {
        return DROP;
    }
    if memory::times()
        && let (Some(packet), Some(state)) = (packet, state)
    {
        timing::sent(&ctx, &packet, state);
    }
    PASS
}

/// Every packet that a socket of the cgroup is to get.
#[cgroup_skb]
pub fn brunt_ingress(ctx: SkBuffContext) -> i32 {
    if let (Some(packet), Some(state)) = (packet::parse(&ctx), memory::state_of_packet(&ctx)) {
        timing::received(&ctx, &packet, state);
    }
    PASS
}

/// Ties a socket to its slot.
#[cgroup_sockopt(setsockopt)]
pub fn brunt_mark(ctx: SockoptContext) -> i32 {
    mark::mark(&ctx)
}

#[cgroup_sock_addr(connect4)]
pub fn brunt_connect4(ctx: SockAddrContext) -> i32 {
    guard::lets_connect(&ctx, guard::address4(&ctx))
}

#[cgroup_sock_addr(connect6)]
pub fn brunt_connect6(ctx: SockAddrContext) -> i32 {
    guard::lets_connect(&ctx, guard::address6(&ctx))
}

#[cgroup_sock_addr(sendmsg4)]
pub fn brunt_sendmsg4(_ctx: SockAddrContext) -> i32 {
    guard::refuse_datagram()
}

#[cgroup_sock_addr(sendmsg6)]
pub fn brunt_sendmsg6(_ctx: SockAddrContext) -> i32 {
    guard::refuse_datagram()
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}

/// The helpers used are for programs under a licence compatible with the GPL.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";
