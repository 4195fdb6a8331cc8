//! An attempt at making a process that is not fenced in connect: it is traced, and its system calls are replaced.
#![allow(unsafe_code, reason = "ptrace(2) has no wrapper here")]

use std::io;
use std::net::{IpAddr, SocketAddr};

use super::{Scene, checked, needed};

/// A `syscall` instruction of x86-64 has two bytes.
const INSTRUCTION_LEN: u64 = 2;
/// Below what a function may use without moving the stack pointer.
const RED_ZONE_LEN: u64 = 128 + 16;

/// The sibling waits in a system call, so the instruction before the next is one.
pub(super) fn connect_in_sibling(scene: &mut Scene) -> io::Result<()> {
    let sibling = needed(scene.sibling, "--sibling")?.cast_signed();
    let IpAddr::V4(_) = scene.target.ip() else { return Err(io::Error::other("needs an IPv4 address")) };
    trace(libc::PTRACE_ATTACH, sibling, 0, 0)?;
    wait_for_stop(sibling)?;
    let before = registers(sibling)?;
    let made = connect(sibling, &before, scene.target);
    set_registers(sibling, &before)?;
    trace(libc::PTRACE_DETACH, sibling, 0, 0)?;
    made
}

fn connect(sibling: i32, before: &libc::user_regs_struct, to: SocketAddr) -> io::Result<()> {
    let (family, kind) = (libc::AF_INET.cast_unsigned(), libc::SOCK_STREAM.cast_unsigned());
    let socket = call(sibling, before, libc::SYS_socket, [family.into(), kind.into(), 0])?;
    let at = before.rsp - RED_ZONE_LEN;
    let (first, second) = words_of(to);
    trace(libc::PTRACE_POKEDATA, sibling, at, first)?;
    trace(libc::PTRACE_POKEDATA, sibling, at + 8, second)?;
    call(sibling, before, libc::SYS_connect, [socket.cast_unsigned(), at, 16])?;
    Ok(())
}

/// `struct sockaddr_in` as two words.
fn words_of(to: SocketAddr) -> (u64, u64) {
    let mut bytes = [0; 8];
    bytes[..2].copy_from_slice(&2_u16.to_ne_bytes());
    bytes[2..4].copy_from_slice(&to.port().to_be_bytes());
    if let IpAddr::V4(v4) = to.ip() {
        bytes[4..].copy_from_slice(&v4.octets());
    }
    (u64::from_ne_bytes(bytes), 0)
}

/// Has the sibling make one system call; its result.
fn call(
    sibling: i32,
    before: &libc::user_regs_struct,
    number: libc::c_long,
    [first, second, third]: [u64; 3],
) -> io::Result<i64> {
    let mut now = *before;
    now.rip -= INSTRUCTION_LEN;
    now.rax = number.cast_unsigned();
    // No system call is to be gone on with.
    now.orig_rax = u64::MAX;
    (now.rdi, now.rsi, now.rdx) = (first, second, third);
    set_registers(sibling, &now)?;
    trace(libc::PTRACE_SINGLESTEP, sibling, 0, 0)?;
    wait_for_stop(sibling)?;
    let result = registers(sibling)?.rax.cast_signed();
    let errno = i32::try_from(-result).unwrap_or(libc::EIO);
    if result < 0 { Err(io::Error::from_raw_os_error(errno)) } else { Ok(result) }
}

fn wait_for_stop(sibling: i32) -> io::Result<()> {
    let mut status = 0;
    // SAFETY: the status is writable.
    checked(unsafe { libc::waitpid(sibling, &raw mut status, libc::__WALL) })?;
    if libc::WIFSTOPPED(status) { Ok(()) } else { Err(io::Error::other("the sibling ended")) }
}

fn registers(sibling: i32) -> io::Result<libc::user_regs_struct> {
    // SAFETY: registers are numbers, for which zero is a value.
    let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
    let at = u64::try_from((&raw mut registers).expose_provenance()).map_err(io::Error::other)?;
    trace(libc::PTRACE_GETREGS, sibling, 0, at)?;
    Ok(registers)
}

fn set_registers(sibling: i32, registers: &libc::user_regs_struct) -> io::Result<()> {
    let at = u64::try_from((&raw const *registers).expose_provenance()).map_err(io::Error::other)?;
    trace(libc::PTRACE_SETREGS, sibling, 0, at)
}

fn trace(request: libc::c_uint, sibling: i32, address: u64, data: u64) -> io::Result<()> {
    // SAFETY: where the data is an address it is of registers that live until the call returns.
    checked(unsafe { libc::ptrace(request, sibling, address, data) })?;
    Ok(())
}
