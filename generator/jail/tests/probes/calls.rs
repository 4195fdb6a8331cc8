//! System calls that the seal must deny, as data. Their arguments do no harm where the call is made after all.

use std::ffi::c_long;

use libc::{c_int, syscall};

/// A call and what it ends with: 0 or the number of an error.
pub(super) struct Denied {
    pub(super) name: &'static str,
    /// Without the seal, the kernel denies it to ordinary users with the same error.
    pub(super) needs_root: bool,
    pub(super) call: fn() -> c_long,
}

const fn denied(name: &'static str, call: fn() -> c_long) -> Denied {
    Denied { name, needs_root: false, call }
}

const fn to_root(name: &'static str, call: fn() -> c_long) -> Denied {
    Denied { name, needs_root: true, call }
}

/// No descriptor has this number.
const NONE: c_int = -1;
/// What the kernel has no command of.
const UNKNOWN: c_long = 9_999;
const NULL: c_long = 0;

/// Makes one system call with up to five arguments.
macro_rules! call {
    ($number:expr $(, $argument:expr)*) => {
        // SAFETY: every pointer among the arguments is null or to a constant that is only read.
        || unsafe { syscall($number $(, $argument)*) }
    };
}

const fn socket(family: c_int, kind: c_int, protocol: c_int) -> (c_int, c_int, c_int) {
    (family, kind, protocol)
}

fn make((family, kind, protocol): (c_int, c_int, c_int)) -> c_long {
    // SAFETY: no pointers are passed. The descriptor is left open; the probe ends soon.
    unsafe { syscall(libc::SYS_socket, family, kind, protocol) }
}

fn set(level: c_int, name: c_int) -> c_long {
    // SAFETY: there is no such descriptor, so the null pointer is not read.
    unsafe { syscall(libc::SYS_setsockopt, NONE, level, name, NULL, NULL) }
}

/// A process of its own, which ends at once.
fn fork() -> c_long {
    let flags = c_long::from(libc::SIGCHLD);
    // SAFETY: no pointers are passed, and the child does nothing but end.
    let result = unsafe { syscall(libc::SYS_clone, flags, NULL, NULL, NULL, NULL) };
    if result == 0 {
        // SAFETY: ends the child without running anything of the parent's.
        unsafe { libc::_exit(0) };
    }
    result
}

pub(super) const DENIED: &[Denied] = &[
    denied("openat", call!(libc::SYS_openat, NONE, c"/dev/null".as_ptr(), libc::O_RDONLY)),
    denied("openat2", call!(libc::SYS_openat2, NONE, NULL, NULL, NULL)),
    denied("execve", call!(libc::SYS_execve, c"/nowhere".as_ptr(), NULL, NULL)),
    denied("execveat", call!(libc::SYS_execveat, NONE, c"/nowhere".as_ptr(), NULL, NULL, NULL)),
    denied("clone", fork),
    denied("clone3", call!(libc::SYS_clone3, NULL, NULL)),
    denied("ptrace", call!(libc::SYS_ptrace, c_long::from(libc::PTRACE_CONT), NONE, NULL, NULL)),
    denied("process_vm_readv", call!(libc::SYS_process_vm_readv, NONE, NULL, NULL, NULL, NULL)),
    denied("process_vm_writev", call!(libc::SYS_process_vm_writev, NONE, NULL, NULL, NULL, NULL)),
    to_root("bpf", call!(libc::SYS_bpf, UNKNOWN, NULL, NULL)),
    denied("io_uring_setup", call!(libc::SYS_io_uring_setup, NULL, NULL)),
    denied("io_uring_register", call!(libc::SYS_io_uring_register, NONE, UNKNOWN, NULL, NULL)),
    denied("io_uring_enter", call!(libc::SYS_io_uring_enter, NONE, NULL, NULL, NULL, NULL)),
    denied("recvmsg", call!(libc::SYS_recvmsg, NONE, NULL, NULL)),
    denied("recvmmsg", call!(libc::SYS_recvmmsg, NONE, NULL, NULL, NULL, NULL)),
    denied("sendmsg", call!(libc::SYS_sendmsg, NONE, NULL, NULL)),
    denied("sendmmsg", call!(libc::SYS_sendmmsg, NONE, NULL, NULL, NULL)),
    denied("sendto with Fast Open", call!(libc::SYS_sendto, NONE, NULL, NULL, libc::MSG_FASTOPEN, NULL)),
    denied("pidfd_open", call!(libc::SYS_pidfd_open, NONE, NULL)),
    denied("pidfd_getfd", call!(libc::SYS_pidfd_getfd, NONE, NULL, NULL)),
    denied("pidfd_send_signal", call!(libc::SYS_pidfd_send_signal, NONE, NULL, NULL, NULL)),
    denied("accept4", call!(libc::SYS_accept4, NONE, NULL, NULL, NULL)),
    denied("listen", call!(libc::SYS_listen, NONE, NULL)),
    denied("socketpair", call!(libc::SYS_socketpair, UNKNOWN, NULL, NULL, NULL)),
    denied("prctl", call!(libc::SYS_prctl, c_long::from(libc::PR_GET_DUMPABLE), NULL, NULL, NULL)),
    denied("seccomp", call!(libc::SYS_seccomp, UNKNOWN, NULL, NULL)),
    to_root("mount", call!(libc::SYS_mount, NULL, NULL, NULL, NULL, NULL)),
    to_root("umount2", call!(libc::SYS_umount2, NULL, UNKNOWN)),
    denied("unshare", call!(libc::SYS_unshare, NULL)),
    denied("setns", call!(libc::SYS_setns, NONE, NULL)),
    denied("kill", call!(libc::SYS_kill, std::process::id(), NULL)),
    denied(
        "tgkill of another",
        call!(libc::SYS_tgkill, c_long::from(i32::MAX), c_long::from(i32::MAX), NULL),
    ),
    denied("ioctl", call!(libc::SYS_ioctl, NONE, libc::FIONREAD, NULL)),
    denied("dup", call!(libc::SYS_dup, NONE)),
    denied("fcntl to copy", call!(libc::SYS_fcntl, NONE, libc::F_DUPFD_CLOEXEC, NULL)),
    denied("memfd_create", call!(libc::SYS_memfd_create, NULL, NULL)),
    to_root("userfaultfd", call!(libc::SYS_userfaultfd, UNKNOWN)),
    denied("keyctl", call!(libc::SYS_keyctl, UNKNOWN)),
    denied("mmap to execute", call!(libc::SYS_mmap, NULL, NULL, libc::PROT_EXEC, NULL, NONE)),
    denied("mprotect to execute", call!(libc::SYS_mprotect, NULL, NULL, libc::PROT_EXEC)),
    denied("socket UNIX", || make(socket(libc::AF_UNIX, libc::SOCK_STREAM, 0))),
    denied("socket UDP", || make(socket(libc::AF_INET, libc::SOCK_DGRAM, 0))),
    denied("socket MPTCP", || make(socket(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_MPTCP))),
    denied("socket MPTCP over IPv6", || make(socket(libc::AF_INET6, libc::SOCK_STREAM, libc::IPPROTO_MPTCP))),
    denied("socket NETLINK", || make(socket(libc::AF_NETLINK, libc::SOCK_RAW, 0))),
    denied("socket VSOCK", || make(socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0))),
    to_root("socket RAW", || make(socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_TCP))),
    to_root("socket PACKET", || make(socket(libc::AF_PACKET, libc::SOCK_RAW, 0))),
    denied("option Fast Open", || set(libc::IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT)),
    denied("option TCP_REPAIR", || set(libc::IPPROTO_TCP, libc::TCP_REPAIR)),
    denied("option SO_MARK", || set(libc::SOL_SOCKET, libc::SO_MARK)),
    denied("option SO_BINDTODEVICE", || set(libc::SOL_SOCKET, libc::SO_BINDTODEVICE)),
    // The numbers of allowed options, at levels where they mean something else.
    denied("option 0x6272 of TCP", || set(libc::IPPROTO_TCP, 0x6272)),
    denied("option 1 of IP", || set(libc::IPPROTO_IP, 1)),
    denied("getsockopt SO_PEERPIDFD", call!(libc::SYS_getsockopt, NONE, libc::SOL_SOCKET, 77, NULL, NULL)),
];
