//! What the kernel programs write of each connection, and user space reads from shared memory.
//!
//! All instants are nanoseconds of `CLOCK_MONOTONIC`. Stream offsets count payload bytes from the start of the
//! connection in 64 bits, so they do not wrap as sequence numbers do. Each value is written whole by one aligned store;
//! what must fit together is told by an offset or a count beside it, which the reader checks.

/// Level and name of the socket option that ties a socket to its slot. The kernel knows no such option: a program
/// on `cgroup/setsockopt` takes it, so a process needs neither a capability nor bpf(2). Where no program is attached
/// the call fails with `ENOPROTOOPT`.
pub const MARK_LEVEL: i32 = 0x6272;
pub const MARK_NAME: i32 = 1;

/// The value of the option, 8 bytes in the machine's order: the slot, then its generation.
pub type MarkValue = [u32; 2];

/// The stamps of one connection. What changes with each request is on one cache line: both directions write it, often
/// from two CPUs.
#[repr(C, align(64))]
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug)]
pub struct Slot {
    /// The first byte of the newest request left; 0: none yet. A request begins with the first new payload after
    /// an answer began to arrive.
    pub out_ns: u64,
    /// Its stream offset.
    pub out_from: u64,
    /// The first byte of the answer to it arrived; 0: not yet.
    pub in_ns: u64,
    /// Its stream offset.
    pub in_from: u64,
    /// Payload bytes so far, sent and arrived in order.
    pub out_total: u64,
    pub in_total: u64,
    /// Not 0: a request left and no answer to it has begun to arrive.
    pub awaiting: u64,
    /// Tells this connection from the one that had the slot before.
    pub generation: u64,
    /// The first SYN left.
    pub syn_ns: u64,
    /// The SYN-ACK arrived.
    pub synack_ns: u64,
    /// Segments sent again, SYN included.
    pub retransmits: u64,
}

/// Entries of each half of a [`Log`].
pub const LOG_ENTRIES: usize = 64;

/// All payload up to a stream offset had left, or had arrived in order, at an instant.
#[repr(C)]
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug)]
pub struct Mark {
    /// The offset behind the last byte.
    pub end: u64,
    /// 0: when is not known, because segments came out of order.
    pub ns: u64,
}

/// The last segments of one connection in each direction, for connections with several requests under way.
#[repr(C, align(64))]
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Log {
    /// Entries ever written; entry `n` is at `n % LOG_ENTRIES`.
    pub out_count: u64,
    pub in_count: u64,
    pub outward: [Mark; LOG_ENTRIES],
    pub inward: [Mark; LOG_ENTRIES],
}

const _: () = assert!(LOG_ENTRIES.is_power_of_two(), "the kernel programs mask the index");
const _: () =
    assert!(core::mem::offset_of!(Slot, syn_ns) == 64, "what is written for each request is one cache line");
const _: () = assert!(size_of::<Slot>() == 128, "a slot is laid out the same on both sides");
const _: () = assert!(size_of::<Log>() == 2_112, "a log is laid out the same on both sides");
