//! Stream sockets, made ready to connect.

use std::io;
use std::mem::{self, MaybeUninit};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};

use brunt_loader::timing::CoreTiming;
use brunt_model::outcome::ErrorKind;
use brunt_model::plan::{Endpoint, Plan};

use super::{ConnId, Route, connect_error};

/// A socket address as the kernel reads it.
#[derive(Copy, Clone)]
pub(super) struct RawAddress {
    storage: libc::sockaddr_storage,
    len: libc::socklen_t,
}

impl RawAddress {
    pub(super) const fn as_ptr(&self) -> *const libc::sockaddr {
        (&raw const self.storage).cast()
    }

    pub(super) const fn len(&self) -> libc::socklen_t {
        self.len
    }

    fn family(&self) -> libc::c_int {
        libc::c_int::from(self.storage.ss_family)
    }

    /// Copies a concrete address into the storage that fits all of them.
    fn of<T: Copy>(concrete: T, len: usize) -> Self {
        const { assert!(mem::size_of::<T>() <= mem::size_of::<libc::sockaddr_storage>()) };
        let mut storage = MaybeUninit::<libc::sockaddr_storage>::zeroed();
        // SAFETY: the storage is at least as large as T and aligned for every socket address; all of it is zeroed, so
        // it is initialised whatever T leaves out.
        let storage = unsafe {
            storage.as_mut_ptr().cast::<T>().write(concrete);
            storage.assume_init()
        };
        Self { storage, len: libc::socklen_t::try_from(len).expect("an address is short") }
    }

    fn ip(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(v4) => {
                let raw = libc::sockaddr_in {
                    sin_family: family(libc::AF_INET),
                    sin_port: v4.port().to_be(),
                    sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(v4.ip().octets()) },
                    sin_zero: [0; 8],
                };
                Self::of(raw, mem::size_of_val(&raw))
            }
            SocketAddr::V6(v6) => {
                let raw = libc::sockaddr_in6 {
                    sin6_family: family(libc::AF_INET6),
                    sin6_port: v6.port().to_be(),
                    sin6_flowinfo: v6.flowinfo(),
                    sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                    sin6_scope_id: v6.scope_id(),
                };
                Self::of(raw, mem::size_of_val(&raw))
            }
        }
    }

    /// `None` where the path is longer than the kernel takes (107 bytes).
    fn unix(path: &str) -> Option<Self> {
        let mut raw = libc::sockaddr_un { sun_family: family(libc::AF_UNIX), sun_path: [0; 108] };
        if path.len() >= raw.sun_path.len() {
            return None;
        }
        for (slot, byte) in raw.sun_path.iter_mut().zip(path.bytes()) {
            *slot = byte.cast_signed();
        }
        Some(Self::of(raw, mem::size_of_val(&raw)))
    }
}

fn family(family: libc::c_int) -> libc::sa_family_t {
    libc::sa_family_t::try_from(family).expect("address families are small numbers")
}

/// The plan's endpoints and source addresses, translated once.
pub(super) struct Routes {
    endpoints: Vec<Option<RawAddress>>,
    sources: Vec<RawAddress>,
    /// The kernel is to stamp what these sockets send and receive.
    timing: Option<CoreTiming>,
    /// What the kernel said of the last connect that failed.
    refused: AtomicI32,
}

impl Routes {
    pub(super) fn new(plan: &Plan, timing: Option<CoreTiming>) -> Self {
        let endpoints = plan.endpoints.iter().map(|endpoint| match endpoint {
            Endpoint::Ip(address) => Some(RawAddress::ip(*address)),
            Endpoint::Unix(path) => RawAddress::unix(path),
        });
        let source = |ip: &IpAddr| RawAddress::ip(SocketAddr::new(*ip, 0));
        Self {
            endpoints: endpoints.collect(),
            sources: plan.source_ips.iter().map(source).collect(),
            timing,
            refused: AtomicI32::new(0),
        }
    }

    /// Do sockets of these routes discard with MSG_TRUNC? TCP does (tcp(7)); for unix sockets it means nothing.
    pub(super) fn can_discard(&self) -> bool {
        self.endpoints.iter().flatten().all(|address| address.family() != libc::AF_UNIX)
    }

    /// The address a route leads to. It stays where it is as long as `self` lives.
    pub(super) fn endpoint(&self, route: Route) -> Result<&RawAddress, ErrorKind> {
        self.endpoints[route.endpoint].as_ref().ok_or(ErrorKind::ConnectUnreachable)
    }

    /// A new socket for the route, bound to its source address if it has one.
    pub(super) fn open(&self, route: Route, blocking: bool) -> Result<OwnedFd, ErrorKind> {
        let address = self.endpoint(route)?;
        let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | if blocking { 0 } else { libc::SOCK_NONBLOCK };
        // SAFETY: no pointers are passed; the result is checked before it is owned.
        let raw = unsafe { libc::socket(address.family(), kind, 0) };
        if raw < 0 {
            return Err(self.refused(errno()));
        }
        // SAFETY: `raw` is a descriptor that was just made and is owned by nobody else.
        let fd = unsafe { OwnedFd::from_raw_fd(raw) };
        if address.family() != libc::AF_UNIX {
            set(raw, libc::IPPROTO_TCP, libc::TCP_NODELAY).map_err(|errno| self.refused(errno))?;
        }
        if let Some(source) = route.source.map(|source| &self.sources[source]) {
            bind(raw, source).map_err(|errno| self.refused(errno))?;
        }
        Ok(fd)
    }

    /// A connect failed by this error: what that means.
    pub(super) fn refused(&self, errno: i32) -> ErrorKind {
        self.refused.store(errno, Ordering::Relaxed);
        connect_error(errno)
    }

    /// The error of the last connect that failed.
    pub(super) fn last_refused(&self) -> i32 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Ties a new socket to its connection's time stamps; false where it will have none. `generation` differs from that
    /// of the connection before.
    pub(super) fn mark(&self, fd: &OwnedFd, conn: ConnId, generation: u32) -> bool {
        let Some(timing) = &self.timing else { return false };
        timing.mark(fd.as_fd(), conn.index(), generation).is_ok()
    }
}

/// The port is chosen at connect, when the kernel knows the other end and may use it again for another one.
fn bind(fd: RawFd, source: &RawAddress) -> Result<(), i32> {
    set(fd, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT)?;
    // SAFETY: the address is valid for its length and is only read.
    let result = unsafe { libc::bind(fd, source.as_ptr(), source.len()) };
    if result == 0 { Ok(()) } else { Err(errno()) }
}

fn set(fd: RawFd, level: libc::c_int, option: libc::c_int) -> Result<(), i32> {
    let on: libc::c_int = 1;
    let len = libc::socklen_t::try_from(mem::size_of_val(&on)).expect("four bytes");
    // SAFETY: the value is a live integer of the length given, and is only read.
    let result = unsafe { libc::setsockopt(fd, level, option, (&raw const on).cast(), len) };
    if result == 0 { Ok(()) } else { Err(errno()) }
}

/// Ends both directions, so that every operation waiting on the socket ends too, and closes it.
pub(super) fn shut(fd: OwnedFd) {
    // SAFETY: the descriptor is open; shutdown has no memory effects. A failure means that it was not connected.
    unsafe { libc::shutdown(fd.as_raw_fd(), libc::SHUT_RDWR) };
}

/// Writes as much as the socket takes without waiting; 0 where that is nothing.
#[inline]
pub(super) fn send_some(fd: RawFd, bytes: &[u8]) -> Result<usize, i32> {
    let mut sent = 0;
    while sent < bytes.len() {
        let rest = &bytes[sent..];
        let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
        // SAFETY: the pointer and length are of a live slice that is only read.
        let result = unsafe { libc::send(fd, rest.as_ptr().cast(), rest.len(), flags) };
        match usize::try_from(result) {
            Ok(count) => sent += count,
            Err(_) => match errno() {
                libc::EAGAIN => break,
                libc::EINTR => {}
                error => return Err(error),
            },
        }
    }
    Ok(sent)
}

/// Does the peer keep its receive window closed to data that waits for it? (`TCP_INFO`, tcp(7))
pub(super) fn is_shut_out(fd: RawFd) -> bool {
    /// Where `struct tcp_info` (linux/tcp.h) has `tcpi_snd_mss`, `tcpi_notsent_bytes` and `tcpi_snd_wnd`.
    const SND_MSS: usize = 16;
    const NOT_SENT: usize = 144;
    const SND_WND: usize = 228;
    let mut info = [0u8; 256];
    let mut len = libc::socklen_t::try_from(info.len()).expect("a short array");
    // SAFETY: the kernel writes at most `len` bytes, the length of the live array.
    let result = unsafe {
        libc::getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, info.as_mut_ptr().cast(), &raw mut len)
    };
    let field = |at: usize| u32::from_ne_bytes([info[at], info[at + 1], info[at + 2], info[at + 3]]);
    // Kernels before 5.4 do not tell the window; for them nothing is shut out.
    let told = result == 0 && len as usize >= SND_WND + 4;
    told && field(NOT_SENT) > 0 && field(SND_WND) < field(SND_MSS)
}

/// The error that a connect in progress ended with; 0 if none.
pub(super) fn pending_error(fd: RawFd) -> i32 {
    let mut error: libc::c_int = 0;
    let mut len = libc::socklen_t::try_from(mem::size_of_val(&error)).expect("four bytes");
    // SAFETY: both pointers are to live integers of the right size.
    let result = unsafe {
        libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_ERROR, (&raw mut error).cast(), &raw mut len)
    };
    if result == 0 { error } else { errno() }
}

pub(super) fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}
