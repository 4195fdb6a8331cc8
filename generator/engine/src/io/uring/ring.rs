//! The ring itself, and what its entries are called.
//!
//! A ring can do what a filter of system calls forbids: its operations are none. So it is made disabled, restricted to
//! what the driver uses, and only then enabled (io_uring_register(2), `IORING_REGISTER_RESTRICTIONS`). After that
//! nothing can be registered or unregistered with it.

use std::io;

use io_uring::register::Restriction;
use io_uring::types::{CancelBuilder, SubmitArgs, Timespec};
use io_uring::{IoUring, opcode, squeue};

use crate::io::ConnId;

const SUBMISSIONS: u32 = 256;
const COMPLETIONS_MAX: u32 = 1 << 16;

/// What an operation was, kept in the high byte of its `user_data`.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Op {
    Connect = 1,
    Send = 2,
    Receive = 3,
    Skip = 4,
    Cancel = 5,
    Timer = 6,
    Writable = 7,
    Rough = 8,
    /// The end of all that is under way.
    Last = 9,
}

/// Every operation that the driver submits.
const ALLOWED: [u8; 6] = [
    opcode::Connect::CODE,
    opcode::Send::CODE,
    opcode::Recv::CODE,
    opcode::AsyncCancel::CODE,
    opcode::Timeout::CODE,
    opcode::PollAdd::CODE,
];

const NOT_FOUND: i32 = -libc::ENOENT;

/// How often what is under way is heard out and cancelled anew, and how long each time is waited for. With ten thousand
/// connections the kernel takes a third of a second for each cancellation, and the run has ended: a few must do.
const CANCELS_MAX: u32 = 4;
const CANCEL_WAIT_NS: u64 = 10_000_000;

pub(super) const GENERATION_MASK: u32 = 0xff_ffff;

pub(super) fn user_data(op: Op, generation: u32, conn: ConnId) -> u64 {
    (op as u64) << 56 | u64::from(generation & GENERATION_MASK) << 32 | u64::from(conn.0)
}

#[derive(Copy, Clone, Default)]
pub(super) struct Completion {
    pub(super) user_data: u64,
    pub(super) result: i32,
    pub(super) flags: u32,
}

/// Makes a ring that is not enabled yet.
pub(super) fn build_ring(connections: usize) -> io::Result<IoUring> {
    let wanted = u32::try_from(connections * 2).unwrap_or(COMPLETIONS_MAX);
    let mut builder = IoUring::builder();
    builder
        .setup_single_issuer()
        .setup_submit_all()
        .setup_defer_taskrun()
        .setup_coop_taskrun()
        .setup_taskrun_flag()
        .setup_r_disabled()
        .setup_cqsize(wanted.next_power_of_two().clamp(SUBMISSIONS * 2, COMPLETIONS_MAX));
    // Linux 6.6 can leave out an indirection; 6.1, which has all else, refuses the flag.
    builder.clone().setup_no_sqarray().build(SUBMISSIONS).or_else(|_| builder.build(SUBMISSIONS))
}

/// Restricts the ring to what the driver does and enables it, for the calling thread alone.
pub(super) fn enable(ring: &IoUring) -> io::Result<()> {
    let flags = squeue::Flags::SKIP_SUCCESS | squeue::Flags::BUFFER_SELECT;
    let mut allowed: Vec<_> = ALLOWED.iter().map(|&code| Restriction::sqe_op(code)).collect();
    allowed.push(Restriction::sqe_flags_allowed(flags.bits()));
    ring.submitter().register_restrictions(&mut allowed)?;
    ring.submitter().register_enable_rings()
}

/// Ends all that is under way; false where that did not succeed soon.
pub(super) fn cancel_all(ring: &mut IoUring) -> bool {
    let mark = user_data(Op::Last, 0, ConnId(0));
    hear_out(ring);
    (0..CANCELS_MAX).any(|_| {
        let entry = opcode::AsyncCancel2::new(CancelBuilder::any()).build().user_data(mark);
        // SAFETY: the entry refers to no memory.
        while unsafe { ring.submission().push(&entry) }.is_err() {
            if ring.submit().is_err() {
                return false;
            }
        }
        let wait = timespec(CANCEL_WAIT_NS);
        let _ = ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&wait));
        // None was left to cancel.
        ring.completion().any(|done| done.user_data() == mark && matches!(done.result(), 0 | NOT_FOUND))
    })
}

/// Takes what comes by itself, for a few turns: the sockets are shut, so most of what waited on them ends.
fn hear_out(ring: &mut IoUring) {
    for _ in 0..CANCELS_MAX {
        let wait = timespec(CANCEL_WAIT_NS);
        let _ = ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&wait));
        if ring.completion().count() == 0 {
            return;
        }
    }
}

pub(super) fn timespec(nanos: u64) -> Timespec {
    Timespec::from(std::time::Duration::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use io_uring::types::Fd;

    use super::*;

    /// What an operation on a restricted ring ends with.
    fn check(entry: squeue::Entry, want: i32) {
        let mut ring = build_ring(1).unwrap();
        enable(&ring).unwrap();
        // SAFETY: what the entry refers to is static.
        unsafe { ring.submission().push(&entry).unwrap() };
        ring.submit_and_wait(1).unwrap();
        assert_eq!(ring.completion().next().unwrap().result(), want, "{entry:?}");
    }

    #[test]
    fn only_what_the_driver_does_is_allowed() {
        check(opcode::Socket::new(libc::AF_INET, libc::SOCK_STREAM, 0).build(), -libc::EACCES);
        check(opcode::OpenAt::new(Fd(libc::AT_FDCWD), c"/".as_ptr()).build(), -libc::EACCES);
        check(opcode::Nop::new().build(), -libc::EACCES);
        let linked = opcode::AsyncCancel::new(1).build().flags(squeue::Flags::ASYNC);
        check(linked, -libc::EACCES);
        check(opcode::AsyncCancel::new(1).build(), NOT_FOUND);
        check(opcode::Recv::new(Fd(-1), std::ptr::null_mut(), 0).build(), -libc::EBADF);
    }

    #[test]
    fn nothing_is_registered_with_an_enabled_ring() {
        let ring = build_ring(1).unwrap();
        enable(&ring).unwrap();
        let refused = |result: io::Result<()>| result.unwrap_err().raw_os_error();
        assert_eq!(refused(ring.submitter().register_files(&[0])), Some(libc::EACCES));
        assert_eq!(refused(ring.submitter().unregister_buf_ring(0)), Some(libc::EACCES));
        assert_eq!(refused(enable(&ring)), Some(libc::EACCES));
    }

    #[test]
    fn all_that_is_under_way_ends() {
        let mut ring = build_ring(1).unwrap();
        enable(&ring).unwrap();
        assert!(cancel_all(&mut ring), "nothing is under way");
        let hour = timespec(3_600_000_000_000);
        let entry = opcode::Timeout::new(&raw const hour).build();
        // SAFETY: the time outlives the ring's work, which ends below.
        unsafe { ring.submission().push(&entry).unwrap() };
        assert!(cancel_all(&mut ring));
    }
}
