//! The system calls that a sealed process may make, as data: one row for each, with its reason.
//!
//! Invariant: no row makes a new process, program, file, ring or listener, receives descriptors, or opens another way
//! out than a TCP connection. Left out on purpose, though a load could use them: `sendmsg` and `recvmsg` (they carry
//! descriptors), `io_uring_register` (it carries them too, and could lift restrictions), `prctl`, and the options of
//! sockets that choose another way out (`SO_MARK`, `SO_BINDTODEVICE`), let a write connect (`TCP_FASTOPEN_CONNECT`) or
//! return descriptors (`SO_PEERPIDFD`). Numbers of arguments count from 0.

use libc::c_long;

/// One way in which a system call is allowed; rows of the same call are alternatives.
pub(crate) struct Allowed {
    pub(crate) call: c_long,
    pub(crate) need: Need,
    /// All must hold.
    pub(crate) tests: &'static [Test],
    #[cfg_attr(not(test), expect(dead_code, reason = "read by people, and by a test"))]
    pub(crate) why: &'static str,
}

/// When a row applies.
#[derive(Copy, Clone, Debug)]
pub(crate) enum Need {
    Always,
    Rings,
    UnixSockets,
}

/// What is asked of an argument.
#[derive(Copy, Clone, Debug)]
pub(crate) enum Test {
    Is(u8, u32),
    Bits { argument: u8, mask: u32, value: u32 },
    IsOwnProcess(u8),
}

const fn always(call: c_long, why: &'static str) -> Allowed {
    Allowed { call, need: Need::Always, tests: &[], why }
}

const fn when(call: c_long, tests: &'static [Test], why: &'static str) -> Allowed {
    Allowed { call, need: Need::Always, tests, why }
}

const fn unsigned(value: libc::c_int) -> u32 {
    value.cast_unsigned()
}

const NO_EXECUTION: &[Test] = &[Test::Bits { argument: 2, mask: unsigned(libc::PROT_EXEC), value: 0 }];
const NO_FAST_OPEN: &[Test] = &[Test::Bits { argument: 3, mask: unsigned(libc::MSG_FASTOPEN), value: 0 }];
const OWN: &[Test] = &[Test::IsOwnProcess(0)];

/// A stream, whether it waits and whether it is passed on.
const STREAM: Test = Test::Bits {
    argument: 1,
    mask: !unsigned(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC),
    value: unsigned(libc::SOCK_STREAM),
};
const INET: Test = Test::Is(0, unsigned(libc::AF_INET));
const INET6: Test = Test::Is(0, unsigned(libc::AF_INET6));
const UNIX: Test = Test::Is(0, unsigned(libc::AF_UNIX));
const DEFAULT_PROTOCOL: Test = Test::Is(2, 0);
const TCP: Test = Test::Is(2, unsigned(libc::IPPROTO_TCP));

/// The level and name by which a socket is tied to the memory of the kernel programs ("br"). They answer to no
/// protocol, so that without the programs the kernel refuses them.
const MARK_LEVEL: u32 = 0x6272;
const MARK_NAME: u32 = 1;

/// Tests of an option's level and name.
macro_rules! option {
    ($level:expr, $name:expr) => {
        &[Test::Is(1, $level), Test::Is(2, $name)]
    };
}

macro_rules! command {
    ($name:expr) => {
        &[Test::Is(1, unsigned($name))]
    };
}

pub(crate) const ALLOWED: &[Allowed] = &[
    // Sockets: made, connected, asked and ended.
    when(libc::SYS_socket, &[INET, STREAM, DEFAULT_PROTOCOL], "connections over IPv4"),
    when(libc::SYS_socket, &[INET, STREAM, TCP], "the same, with its protocol named"),
    when(libc::SYS_socket, &[INET6, STREAM, DEFAULT_PROTOCOL], "connections over IPv6"),
    when(libc::SYS_socket, &[INET6, STREAM, TCP], "the same, with its protocol named"),
    Allowed {
        call: libc::SYS_socket,
        need: Need::UnixSockets,
        tests: &[UNIX, STREAM, DEFAULT_PROTOCOL],
        why: "targets that are unix sockets",
    },
    always(libc::SYS_bind, "source addresses; there is no listen(2) after it"),
    always(libc::SYS_connect, "the guard judges where to"),
    always(libc::SYS_getsockname, "the port that the kernel chose"),
    always(libc::SYS_getpeername, "which address answered"),
    when(
        libc::SYS_setsockopt,
        option!(unsigned(libc::IPPROTO_TCP), unsigned(libc::TCP_NODELAY)),
        "requests leave at once",
    ),
    when(
        libc::SYS_setsockopt,
        option!(unsigned(libc::IPPROTO_IP), unsigned(libc::IP_BIND_ADDRESS_NO_PORT)),
        "a port is chosen when the other end is known",
    ),
    when(
        libc::SYS_setsockopt,
        option!(unsigned(libc::SOL_SOCKET), unsigned(libc::SO_LINGER)),
        "connections that end with a reset leave no port behind",
    ),
    when(
        libc::SYS_setsockopt,
        option!(MARK_LEVEL, MARK_NAME),
        "ties a connection to the stamps of the kernel programs",
    ),
    when(
        libc::SYS_getsockopt,
        option!(unsigned(libc::SOL_SOCKET), unsigned(libc::SO_ERROR)),
        "how a connect ended",
    ),
    when(
        libc::SYS_getsockopt,
        option!(unsigned(libc::IPPROTO_TCP), unsigned(libc::TCP_INFO)),
        "is the peer's window closed?",
    ),
    when(
        libc::SYS_sendto,
        NO_FAST_OPEN,
        "requests; with Fast Open it would connect as well, which connect(2) alone may",
    ),
    always(libc::SYS_recvfrom, "answers"),
    always(libc::SYS_shutdown, "the end of a connection"),
    // Descriptors that are there.
    always(libc::SYS_read, "the parent's pipe, timers and sockets"),
    always(libc::SYS_write, "snapshots to the parent, and a panic's message"),
    always(libc::SYS_writev, "the same in pieces"),
    always(libc::SYS_close, "connections that ended"),
    when(libc::SYS_fcntl, command!(libc::F_GETFL), "does a descriptor wait?"),
    when(libc::SYS_fcntl, command!(libc::F_SETFL), "to wait or not"),
    when(libc::SYS_fcntl, command!(libc::F_GETFD), "builds with checks look whether a descriptor is open"),
    when(libc::SYS_fcntl, command!(libc::F_SETFD), "close-on-exec, without effect here"),
    // Waiting for them.
    Allowed {
        call: libc::SYS_io_uring_enter,
        need: Need::Rings,
        tests: &[],
        why: "rings made before the seal",
    },
    #[cfg(target_arch = "x86_64")]
    always(libc::SYS_epoll_wait, "readiness"),
    always(libc::SYS_epoll_pwait, "the same"),
    always(libc::SYS_epoll_pwait2, "the same, to the nanosecond"),
    always(libc::SYS_epoll_ctl, "new connections"),
    #[cfg(target_arch = "x86_64")]
    always(libc::SYS_poll, "the standard library waits for a connect with it"),
    always(libc::SYS_ppoll, "the same"),
    always(libc::SYS_timerfd_settime, "when the next request is due"),
    // Memory: none that can be executed.
    when(libc::SYS_mmap, NO_EXECUTION, "allocations"),
    when(libc::SYS_mprotect, NO_EXECUTION, "heaps of threads grow by it"),
    always(libc::SYS_munmap, "memory given back; a thread's stack at its end"),
    always(libc::SYS_mremap, "large vectors that grow"),
    always(libc::SYS_madvise, "memory given back; a thread's stack at its end"),
    always(libc::SYS_brk, "the heap of the first thread"),
    // Threads, which end but do not begin.
    always(libc::SYS_futex, "locks, channels, barriers and joins"),
    always(libc::SYS_sched_yield, "spinning lets others run"),
    always(libc::SYS_sched_getaffinity, "how many processors there are"),
    always(libc::SYS_gettid, "panics and abort(3) name their thread"),
    always(libc::SYS_getpid, "the same for the process"),
    always(libc::SYS_membarrier, "barriers without a cost to the other side"),
    always(libc::SYS_rseq, "the C library unregisters it"),
    always(libc::SYS_set_robust_list, "the C library sets it for each thread"),
    always(libc::SYS_sigaltstack, "a thread gives back its stack for signals"),
    always(libc::SYS_exit, "the end of a thread"),
    always(libc::SYS_exit_group, "the end of the process"),
    // Signals to oneself.
    always(libc::SYS_rt_sigaction, "abort(3) takes back handlers"),
    always(libc::SYS_rt_sigprocmask, "signals wait while a thread ends"),
    always(libc::SYS_rt_sigreturn, "the end of a handler"),
    always(libc::SYS_restart_syscall, "waits go on after a stop"),
    when(libc::SYS_tgkill, OWN, "abort(3)"),
    // Time and chance.
    always(libc::SYS_clock_gettime, "where the kernel has no faster clock"),
    always(libc::SYS_clock_nanosleep, "pacing"),
    always(libc::SYS_nanosleep, "the same, in older C libraries"),
    always(libc::SYS_getrandom, "TLS, and the seeds of hash tables"),
    always(libc::SYS_getrusage, "what a run cost"),
];
