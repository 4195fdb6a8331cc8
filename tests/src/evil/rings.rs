//! Attempts by io_uring, whose operations are no system calls, so that no filter of those sees them.
#![allow(unsafe_code, reason = "entries of a ring name memory by address")]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};

use io_uring::register::Restriction;
use io_uring::types::Fd;
use io_uring::{IoUring, opcode, squeue};
use rustix::net::SocketAddrAny;

use super::sockets::{CONTENT, connect_to, datagrams, stream};
use super::{Scene, needed};

const ENTRIES: u32 = 8;
const POLLER_IDLE_MS: u32 = 1_000;

/// What the engine's rings may do (`generator/engine/src/io/uring/ring.rs`).
const ALLOWED: [u8; 6] = [
    opcode::Connect::CODE,
    opcode::Send::CODE,
    opcode::Recv::CODE,
    opcode::AsyncCancel::CODE,
    opcode::Timeout::CODE,
    opcode::PollAdd::CODE,
];

/// A ring as the engine makes it.
pub(super) fn build(restricted: bool) -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder.setup_single_issuer().setup_defer_taskrun().setup_coop_taskrun().setup_r_disabled();
    enabled(builder.build(ENTRIES)?, restricted)
}

/// A ring that a thread of the kernel serves, so that no system call is made for an operation at all.
pub(super) fn build_polled(restricted: bool) -> io::Result<IoUring> {
    enabled(IoUring::builder().setup_sqpoll(POLLER_IDLE_MS).setup_r_disabled().build(ENTRIES)?, restricted)
}

fn enabled(ring: IoUring, restricted: bool) -> io::Result<IoUring> {
    if restricted {
        let flags = squeue::Flags::SKIP_SUCCESS | squeue::Flags::BUFFER_SELECT;
        let mut allowed: Vec<_> = ALLOWED.iter().map(|&code| Restriction::sqe_op(code)).collect();
        allowed.push(Restriction::sqe_flags_allowed(flags.bits()));
        ring.submitter().register_restrictions(&mut allowed)?;
    }
    ring.submitter().register_enable_rings()?;
    Ok(ring)
}

pub(super) fn connect(scene: &mut Scene) -> io::Result<()> {
    let mut ring = needed(scene.ring.take(), "io_uring")?;
    connect_on(&mut ring, scene)
}

pub(super) fn connect_polled(scene: &mut Scene) -> io::Result<()> {
    let mut ring = needed(scene.polled.take(), "io_uring with a polling thread")?;
    connect_on(&mut ring, scene)
}

/// A ring made now is not restricted.
pub(super) fn connect_on_second(scene: &mut Scene) -> io::Result<()> {
    connect_on(&mut IoUring::new(ENTRIES)?, scene)
}

fn connect_on(ring: &mut IoUring, scene: &Scene) -> io::Result<()> {
    let socket = stream(scene.target)?;
    let to = SocketAddrAny::from(scene.target);
    one(ring, &opcode::Connect::new(fd(&socket), to.as_ptr().cast(), to.addr_len()).build())?;
    Ok(())
}

/// The filter refuses this flag to sendto(2); the ring's send has it too.
pub(super) fn fast_open(scene: &mut Scene) -> io::Result<()> {
    let mut ring = needed(scene.ring.take(), "io_uring")?;
    let socket = stream(scene.target)?;
    let to = SocketAddrAny::from(scene.target);
    let content_len = u32::try_from(CONTENT.len()).map_err(io::Error::other)?;
    let entry = opcode::Send::new(fd(&socket), CONTENT.as_ptr(), content_len)
        .flags(libc::MSG_FASTOPEN)
        .dest_addr(to.as_ptr().cast())
        .dest_addr_len(to.addr_len());
    one(&mut ring, &entry.build())?;
    Ok(())
}

pub(super) fn send_datagram_on_second(scene: &mut Scene) -> io::Result<()> {
    let socket = datagrams(scene.target)?;
    let mut ring = IoUring::new(ENTRIES)?;
    let to = SocketAddrAny::from(scene.target);
    let mut piece = libc::iovec { iov_base: CONTENT.as_ptr().cast_mut().cast(), iov_len: CONTENT.len() };
    // SAFETY: all zero is a message without parts.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_name = to.as_ptr().cast_mut().cast();
    message.msg_namelen = to.addr_len();
    (message.msg_iov, message.msg_iovlen) = (&raw mut piece, 1);
    one(&mut ring, &opcode::SendMsg::new(fd(&socket), &raw const message).build())?;
    Ok(())
}

/// Receives a descriptor from standard input by an operation of the ring.
pub(super) fn passed(scene: &mut Scene) -> io::Result<()> {
    let mut ring = needed(scene.ring.take(), "io_uring")?;
    let mut byte = [0_u8];
    let mut piece = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: byte.len() };
    let mut control = [0_u64; 8];
    // SAFETY: as above.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    (message.msg_iov, message.msg_iovlen) = (&raw mut piece, 1);
    (message.msg_control, message.msg_controllen) = (control.as_mut_ptr().cast(), size_of_val(&control));
    one(&mut ring, &opcode::RecvMsg::new(Fd(0), &raw mut message).build())?;
    // SAFETY: the kernel filled the message, whose buffers are still here.
    let number = unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (!header.is_null()).then(|| libc::CMSG_DATA(header).cast::<RawFd>().read_unaligned())
    };
    // SAFETY: the kernel made this descriptor for us just now.
    let socket = unsafe { OwnedFd::from_raw_fd(needed(number, "a descriptor in the message")?) };
    connect_to(&socket, scene.target)
}

/// Submits one operation and waits for its end. All that it refers to is alive until then.
fn one(ring: &mut IoUring, entry: &squeue::Entry) -> io::Result<i32> {
    // SAFETY: callers keep what the entry names until this returns.
    unsafe { ring.submission().push(entry).map_err(io::Error::other)? };
    ring.submit_and_wait(1)?;
    let done = ring.completion().next().ok_or_else(|| io::Error::other("the ring has no answer"))?;
    if done.result() < 0 { Err(io::Error::from_raw_os_error(-done.result())) } else { Ok(done.result()) }
}

fn fd(socket: &OwnedFd) -> Fd {
    Fd(socket.as_raw_fd())
}
