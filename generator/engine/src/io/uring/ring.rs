//! The ring itself, and what its entries are called.

use std::io;

use io_uring::IoUring;
use io_uring::types::Timespec;

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
}

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

pub(super) fn build_ring(connections: usize) -> io::Result<IoUring> {
    let wanted = u32::try_from(connections * 2).unwrap_or(COMPLETIONS_MAX);
    let mut builder = IoUring::builder();
    builder
        .setup_single_issuer()
        .setup_submit_all()
        .setup_defer_taskrun()
        .setup_coop_taskrun()
        .setup_taskrun_flag()
        .setup_cqsize(wanted.next_power_of_two().clamp(SUBMISSIONS * 2, COMPLETIONS_MAX));
    // Linux 6.6 can leave out an indirection; 6.1, which has all else, refuses the flag.
    builder.clone().setup_no_sqarray().build(SUBMISSIONS).or_else(|_| builder.build(SUBMISSIONS))
}

pub(super) fn timespec(nanos: u64) -> Timespec {
    Timespec::from(std::time::Duration::from_nanos(nanos))
}
