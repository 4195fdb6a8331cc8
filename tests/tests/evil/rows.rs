//! What holds against what, as data.

use brunt_abi::guard::Reason;

/// One attempt, and what each layer is worth against it.
#[derive(Debug)]
pub(super) struct Row {
    /// Of the finding or requirement that it shows.
    pub(super) id: &'static str,
    pub(super) attempt: &'static str,
    pub(super) guard_alone: Alone,
    pub(super) jail_alone: Alone,
    /// What the guard counts when it is alone.
    pub(super) counted: Option<Reason>,
    pub(super) why: &'static str,
}

/// What a layer does without the other.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Alone {
    Holds,
    Passes,
}

impl Alone {
    pub(super) fn holds(self) -> bool {
        self == Self::Holds
    }
}

use Alone::{Holds, Passes};
use Reason::{NeverAllowed, NotGranted, Protocol};

const fn row(
    id: &'static str,
    attempt: &'static str,
    [guard_alone, jail_alone]: [Alone; 2],
    counted: Option<Reason>,
    why: &'static str,
) -> Row {
    Row { id, attempt, guard_alone, jail_alone, counted, why }
}

/// The jail does not judge addresses, so whatever the load itself does leads anywhere. The guard judges the sockets of
/// its cgroup, so others get past it, as does root, who can leave the cgroup or take the programs off.
pub(super) const ROWS: &[Row] = &[
    row(
        "f1",
        "connect",
        [Holds, Passes],
        Some(NotGranted),
        "the load needs connect(2); the jail does not see where to",
    ),
    row("f1", "ring_connect", [Holds, Passes], Some(NotGranted), "operations of a ring are no system calls"),
    row(
        "f1",
        "ring_polled_connect",
        [Holds, Passes],
        Some(NotGranted),
        "the same, submitted by a thread of the kernel",
    ),
    row(
        "f1",
        "ring_fast_open",
        [Holds, Passes],
        Some(NotGranted),
        "the seal sees flags of sendto(2), not those of a ring's send",
    ),
    row(
        "f2",
        "connect_any",
        [Holds, Passes],
        Some(NeverAllowed),
        "0.0.0.0 is this host; the jail does not see where to",
    ),
    row(
        "f4",
        "fast_open",
        [Holds, Holds],
        Some(NotGranted),
        "a connect within a send; the seal denies the flag",
    ),
    row("f4", "fast_open_option", [Holds, Holds], Some(NotGranted), "the seal denies the option"),
    row(
        "f4",
        "mptcp",
        [Holds, Holds],
        Some(NotGranted),
        "judged as the TCP connection below it; the seal denies such sockets",
    ),
    row("f4", "udp", [Holds, Holds], Some(Protocol), "the seal denies sockets for datagrams"),
    row("f4", "udp_connected", [Holds, Holds], Some(Protocol), "the same"),
    row("f2", "ring_second_sendmsg", [Holds, Holds], Some(Protocol), "the same, by a ring"),
    row(
        "f3a",
        "connect_mapped",
        [Holds, Passes],
        Some(NotGranted),
        "::ffff:a.b.c.d meets the entries of IPv4, even where all of IPv6 is granted",
    ),
    row(
        "f3b",
        "inherited",
        [Passes, Holds],
        None,
        "a socket belongs to the cgroup of its maker; the jail refuses the start",
    ),
    row("f3b", "inherited_connected", [Passes, Holds], None, "the same, connected already"),
    row("f3b", "passed", [Passes, Holds], None, "the same, by SCM_RIGHTS; the seal denies recvmsg(2)"),
    row(
        "f3b",
        "passed_by_ring",
        [Passes, Holds],
        None,
        "the same; the ring is restricted to what the load does",
    ),
    row("f3b", "taken", [Passes, Holds], None, "the same, by pidfd_getfd(2), which the seal denies"),
    row(
        "f3c",
        "raw_ip",
        [Holds, Holds],
        Some(NotGranted),
        "packets are looked at as they leave; the jail has no CAP_NET_RAW",
    ),
    row("f3c", "raw_tcp", [Holds, Holds], Some(NotGranted), "the same"),
    row(
        "f3c",
        "packet",
        [Passes, Holds],
        None,
        "frames do not pass the IP layer, where the guard is; the jail has no CAP_NET_RAW",
    ),
    row("f3c", "marked_raw", [Holds, Holds], Some(NotGranted), "verdicts are kept for connections alone"),
    row("f3c", "marked_udp", [Holds, Holds], Some(Protocol), "the same"),
    row(
        "f3d",
        "narrowed",
        [Holds, Passes],
        Some(NotGranted),
        "packets of a connection are judged by the policy of now",
    ),
    row(
        "f3d",
        "marked_reconnect",
        [Holds, Passes],
        Some(NotGranted),
        "a new connection of an old socket is judged anew",
    ),
    row(
        "f3d",
        "marked_source_route",
        [Holds, Holds],
        Some(Protocol),
        "options of IP would lead packets elsewhere than their address says; the seal denies those options too",
    ),
    row("f5", "ring_second", [Holds, Holds], Some(NotGranted), "the seal denies io_uring_setup(2)"),
    row(
        "w1",
        "leave_cgroup",
        [Passes, Holds],
        None,
        "root writes to any cgroup.procs; the jail opens no file",
    ),
    row("w1", "bpf_detach", [Passes, Holds], None, "root detaches programs; the seal denies bpf(2)"),
    row(
        "w1",
        "ptrace",
        [Passes, Holds],
        None,
        "root makes another process connect; the seal denies ptrace(2)",
    ),
    row(
        "w1",
        "exec",
        [Holds, Holds],
        Some(NotGranted),
        "a new program stays in the cgroup; the seal denies execve(2)",
    ),
];
