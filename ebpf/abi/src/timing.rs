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

/// The stamps of one connection. Each direction has a cache line of its own and never looks at the other's: they are
/// often written from two CPUs. Where a request or an answer begins shows in the acknowledgement that comes with it: it
/// covers what the other side has said since (RFC 9293 section 3.4).
#[repr(C, align(64))]
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug)]
pub struct Slot {
    /// The first byte of the newest request left; 0: none yet. A request begins with the first new payload that
    /// acknowledges more than the payload before it.
    pub out_ns: u64,
    /// Its stream offset.
    pub out_from: u64,
    /// Payload bytes sent so far.
    pub out_total: u64,
    /// What the last payload acknowledged, and [`ACKED`].
    pub out_ack: u64,
    /// Tells this connection from the one that had the slot before.
    pub out_generation: u64,
    /// Segments sent again, SYN included.
    pub retransmits: u64,
    /// The first SYN left.
    pub syn_ns: u64,
    pub out_unused: u64,
    /// The first byte of the newest answer arrived; 0: none yet.
    pub in_ns: u64,
    /// Its stream offset.
    pub in_from: u64,
    /// Payload bytes that arrived in order so far.
    pub in_total: u64,
    pub in_ack: u64,
    pub in_generation: u64,
    /// The SYN-ACK arrived.
    pub synack_ns: u64,
    pub in_unused: [u64; 2],
}

/// Tells an acknowledgement of 0 from none.
pub const ACKED: u64 = 1 << 32;

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
const _: () = assert!(core::mem::offset_of!(Slot, in_ns) == 64, "each direction has a cache line of its own");
const _: () = assert!(size_of::<Slot>() == 128, "a slot is laid out the same on both sides");
const _: () = assert!(size_of::<Log>() == 2_112, "a log is laid out the same on both sides");
