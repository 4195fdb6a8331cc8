//! Every bound of the engine, with its reason.

/// Sends between two system calls. Eight amortise the call; more would stamp the last of them too early.
pub const SEND_BATCH: usize = 8;

/// A response head, over all its reads. Servers stay far below; RFC 9112 leaves the bound to the recipient.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Fields of a response head.
pub const HEAD_FIELDS_MAX: usize = 128;

/// Interim (1xx) responses before the final one.
pub const INTERIM_MAX: u8 = 16;

/// From the first byte of a head to its end: a server that trickles one byte at a time must end somewhere.
pub const HEAD_DEADLINE_NS: u64 = 10_000_000_000;

/// In a head, each byte buys this much time beyond the first two seconds, up to the deadline: a hundred bytes a second
/// is less than any line brings, and tells a trickle from a slow start.
pub const HEAD_BYTE_NS: u64 = 10_000_000;
pub const HEAD_GRACE_NS: u64 = 2_000_000_000;

/// A head kept while its rest is awaited stays allocated up to this size, so that a server that always splits its
/// heads costs no allocation per request.
pub const PARTIAL_HEAD_KEPT: usize = 4 * 1024;

/// Heads longer than this are parsed anew each time instead of being compared with the last one.
pub const CACHED_HEAD_MAX: usize = 4 * 1024;

/// A chunk-size line with its extensions (RFC 9112 section 7.1.1 asks for a limit).
pub const CHUNK_LINE_MAX: u32 = 4 * 1024;

/// The trailer section as a whole.
pub const TRAILERS_MAX: u32 = 16 * 1024;

/// Decoded output made in one step. Nobody reads it, so it only has to be large enough to make calls rare.
pub const DECODE_STEP: usize = 16 * 1024;

/// A body that decodes to more than so many times its size is a bomb: text and pages stay below fifty.
pub const DECODE_RATIO_MAX: u64 = 100;

/// Decoded bytes up to which the ratio is not looked at: a short page of blanks is no danger.
pub const DECODE_RATIO_FROM: u64 = 64 * 1024;

/// Logarithm of the window a decoder may ask memory for: 8 MiB, what RFC 9659 section 3 grants zstd. Brotli's larger
/// one of 16 MiB is refused as well.
pub const DECODE_WINDOW_LOG_MAX: u32 = 23;

/// A gzip header with its extra field, name and comment (RFC 1952 section 2.3 sets no bound).
pub const GZIP_HEADER_MAX: u32 = 64 * 1024;

/// A rest of a body at least this long is received without copying it to user space.
pub const SKIP_AT_LEAST: u64 = 16 * 1024;

/// Bytes discarded by one receive, so that progress and stops are noticed within it.
pub const SKIP_AT_MOST: u64 = TURN_BYTES as u64;

/// How often deadlines are looked at, and the longest a core sleeps.
pub const SWEEP_NS: u64 = 10_000_000;

/// Waits at least this long share one timer; shorter ones are a pacer's and must end to the microsecond.
pub const LONG_WAIT_NS: u64 = 2_000_000;

/// A step of the loop that takes longer than this was interrupted by the host: the longest of its own, a batch of
/// sends, takes a tenth of it.
pub const STALL_NS: u64 = 500_000;

/// Slots sent in one go when the core is behind, before it looks at answers again.
pub const DISPATCH_MAX: usize = 64;

/// A request up to this size is in the socket as soon as it is sent. Of a longer one the driver watches the end, so
/// that no other follows while it is still being written.
pub const SHORT_REQUEST_MAX: usize = 16 * 1024;

/// Connects under way at once on one core: more would overflow a server's listen queue.
pub const CONNECTS_IN_FLIGHT_MAX: usize = 128;

/// How long the connections that a load begins with are waited for before it begins.
pub const OPEN_AHEAD_NS: u64 = 2_000_000_000;

/// A user whose connect failed waits this long before the next, doubling up to the second value.
pub const BACKOFF_NS: u64 = 5_000_000;
pub const BACKOFF_NS_MAX: u64 = 320_000_000;

/// Connects that may fail, with none ever made, before the target counts as unreachable, per user.
pub const CONNECT_TRIES: u64 = 3;

/// The quantum of `--pace efficient`: slots wait for its end together. Where a wake-up of the server costs the sender
/// an interrupt of a virtual machine, a tenth of this made a request twice as expensive; lag p99 stays below a millisecond.
pub const QUANTUM_NS: u64 = 750_000;

/// How long `--pace efficient` lets answers gather at most: service times may be too long by this.
pub const GATHER_NS: u64 = 100_000;

/// Bounds of the stretch that `--pace precise` spins before a slot.
pub const SPIN_NS_MIN: u64 = 60_000;
pub const SPIN_NS_MAX: u64 = 1_000_000;

/// Snapshots of one core in circulation: one being filled, one or two on their way.
pub const SNAPSHOTS: usize = 3;

/// Output gathered for one connection beyond what its lanes' heads need: request bodies are written in such pieces.
pub const OUT_MAX: usize = 64 * 1024;

/// How long a connection of many closed users may gather their next requests while the server is busy with the
/// others: a part of the last service time, at most so long, and not at all where it would be too short to matter.
pub const GATHERED_PART: u64 = 16;
pub const GATHERED_NS_MAX: u64 = 100_000;
pub const GATHERED_NS_MIN: u64 = 20_000;

/// Connections with something to write before all are written.
pub const DIRTY_MAX: usize = 64;

/// How often a request is sent again that the server did not begin with. A server that takes fewer requests of a
/// connection than it is sent leaves some out several times; one that takes none must come to an end.
pub const RESENDS_MAX: u8 = 8;

/// Streams opened before the server's SETTINGS came; RFC 9113 section 6.5.2 recommends that servers take no fewer.
pub const STREAMS_BEFORE_SETTINGS: u32 = 100;

/// Control frames (SETTINGS, PING, PRIORITY, WINDOW_UPDATE, empty DATA, unknown ones) that a server may send at once;
/// how many more a second; and for how much content it may send another. Real servers send a handful.
pub const CONTROL_BURST: u32 = 512;
pub const CONTROL_PER_SECOND: u32 = 100;
pub const DATA_PER_CONTROL: u32 = 16 * 1024;

/// The least of our content in a frame for which it may send a control frame, and twice that for two.
pub const UPLOAD_PER_CONTROL: u32 = 16;

/// Frames that may still arrive for a stream that we reset: what a socket's buffers hold of them.
pub const CONTROL_PER_RESET: u32 = 128;

/// TLS sessions remembered for resumption on one core.
pub const SESSIONS_KEPT: usize = 256;

/// How long a body waits for `100 (Continue)` before it is sent without.
pub const CONTINUE_NS: u64 = 1_000_000_000;

/// How long a server may keep its window closed, TCP's or HTTP/2's, to a request that waits to be sent.
pub const ZERO_WINDOW_NS: u64 = 10_000_000_000;

/// Bytes read of one connection before another has its turn.
pub const TURN_BYTES: usize = 64 * 1024;

/// What HTTP/2 field compression may keep of a peer's fields on a connection; larger tables gain next to nothing.
pub const HPACK_TABLE_MAX: usize = 64 * 1024;

/// What the compression of our requests keeps: the protocol's default, and far more than a request's fields need.
pub const HPACK_OWN_TABLE_MAX: usize = 4 * 1024;

/// What a setup tells, in bytes of its texts.
pub(crate) const TOLD_BYTES_MAX: usize = 1 << 20;

/// Answers of a core whose status tells of an error, refused or not, of which content is kept for a sample; after that
/// nothing of them is.
pub(crate) const ERRORS_KEPT: u32 = 64;

/// A user whose iteration sent nothing pauses so long: a flow of nothing but conditions must not take the core.
pub(crate) const EMPTY_ITERATION_NS: u64 = 1_000_000;
