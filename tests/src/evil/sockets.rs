//! Attempts with sockets of one's own, by plain system calls.
#![allow(unsafe_code, reason = "options of sockets that no wrapper sets")]

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd as _, OwnedFd};

use brunt_abi::timing::{MARK_LEVEL, MARK_NAME, MarkValue};
use rustix::net::{AddressFamily, Protocol, SendFlags, SocketType, connect_unspec, send, sendto, socket};

use super::{Scene, checked};

/// Any content; that it leaves at all is what counts.
pub(super) const CONTENT: &[u8] = b"evil";
const LOOSE_SOURCE_ROUTE: u8 = 131;

pub(super) fn connect(scene: &mut Scene) -> io::Result<()> {
    connect_to(&stream(scene.target)?, scene.target)
}

/// `::ffff:a.b.c.d` leads to IPv4 from a socket of IPv6.
pub(super) fn connect_mapped(scene: &mut Scene) -> io::Result<()> {
    let mapped = match scene.target.ip() {
        IpAddr::V4(v4) => SocketAddr::from((v4.to_ipv6_mapped(), scene.target.port())),
        IpAddr::V6(_) => scene.target,
    };
    connect_to(&stream(mapped)?, mapped)
}

/// A connect within a send (RFC 7413).
pub(super) fn fast_open(scene: &mut Scene) -> io::Result<()> {
    let flags = SendFlags::from_bits_retain(libc::MSG_FASTOPEN.cast_unsigned());
    sendto(&stream(scene.target)?, CONTENT, flags, &scene.target)?;
    Ok(())
}

/// A connect that only seems to be one, and happens with the first write.
pub(super) fn fast_open_option(scene: &mut Scene) -> io::Result<()> {
    let socket = stream(scene.target)?;
    set(&socket, libc::IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT, &1_i32)?;
    connect_to(&socket, scene.target)?;
    send(&socket, CONTENT, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Multipath TCP (RFC 8684).
pub(super) fn mptcp(scene: &mut Scene) -> io::Result<()> {
    let socket = socket(family(scene.target), SocketType::STREAM, Some(rustix::net::ipproto::MPTCP))?;
    connect_to(&socket, scene.target)
}

pub(super) fn datagram(scene: &mut Scene) -> io::Result<()> {
    sendto(&datagrams(scene.target)?, CONTENT, SendFlags::empty(), &scene.target)?;
    Ok(())
}

pub(super) fn connected_datagram(scene: &mut Scene) -> io::Result<()> {
    let socket = datagrams(scene.target)?;
    connect_to(&socket, scene.target)?;
    send(&socket, CONTENT, SendFlags::empty())?;
    Ok(())
}

/// The timing's mark gives a socket memory in which a verdict may be kept.
pub(super) fn marked_datagram(scene: &mut Scene) -> io::Result<()> {
    let socket = datagrams(scene.target)?;
    mark(&socket)?;
    let _ = sendto(&socket, CONTENT, SendFlags::empty(), &scene.allowed);
    sendto(&socket, CONTENT, SendFlags::empty(), &scene.target)?;
    Ok(())
}

/// A connection whose packets were found good becomes another one.
pub(super) fn marked_reconnect(scene: &mut Scene) -> io::Result<()> {
    let socket = stream(scene.target)?;
    mark(&socket)?;
    connect_to(&socket, scene.allowed)?;
    send(&socket, CONTENT, SendFlags::NOSIGNAL)?;
    connect_unspec(&socket)?;
    connect_to(&socket, scene.target)
}

/// A connection whose packets were found good goes on by way of another host (RFC 791, loose source route).
pub(super) fn marked_source_route(scene: &mut Scene) -> io::Result<()> {
    let socket = stream(scene.allowed)?;
    mark(&socket)?;
    connect_to(&socket, scene.allowed)?;
    send(&socket, CONTENT, SendFlags::NOSIGNAL)?;
    let IpAddr::V4(hop) = scene.target.ip() else { return Err(io::ErrorKind::Unsupported.into()) };
    let [a, b, c, d] = hop.octets();
    let route: [u8; 8] = [LOOSE_SOURCE_ROUTE, 7, 4, a, b, c, d, 0];
    set(&socket, libc::IPPROTO_IP, libc::IP_OPTIONS, &route)?;
    // A change of the type of service has the kernel look for the way anew.
    set(&socket, libc::IPPROTO_IP, libc::IP_TOS, &0x10_i32)?;
    send(&socket, CONTENT, SendFlags::NOSIGNAL)?;
    Ok(())
}

pub(super) fn stream(to: SocketAddr) -> io::Result<OwnedFd> {
    Ok(socket(family(to), SocketType::STREAM, None)?)
}

pub(super) fn datagrams(to: SocketAddr) -> io::Result<OwnedFd> {
    Ok(socket(family(to), SocketType::DGRAM, None::<Protocol>)?)
}

pub(super) fn connect_to(socket: &OwnedFd, to: SocketAddr) -> io::Result<()> {
    Ok(rustix::net::connect(socket, &to)?)
}

/// Ties a socket to the first slot. Without the programs there is no such option, and nothing to be had by it.
pub(super) fn mark(socket: &OwnedFd) -> io::Result<()> {
    let value: MarkValue = [0, 1];
    match set(socket, MARK_LEVEL, MARK_NAME, &value) {
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => Ok(()),
        result => result,
    }
}

fn family(of: SocketAddr) -> AddressFamily {
    if of.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 }
}

fn set<T>(socket: &OwnedFd, level: i32, name: i32, value: &T) -> io::Result<()> {
    let len = libc::socklen_t::try_from(size_of::<T>()).map_err(io::Error::other)?;
    // SAFETY: the value is readable for its own size.
    checked(unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const *value).cast(), len) })?;
    Ok(())
}
