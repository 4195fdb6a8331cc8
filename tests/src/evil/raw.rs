//! Attempts with packets that are put together by hand, so that nothing is ever connected.
#![allow(unsafe_code, reason = "packet sockets have addresses that no wrapper knows")]

use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd as _, OwnedFd};

use rustix::net::{AddressFamily, RawProtocol, SendFlags, SocketType, sendto, socket};

use super::Scene;
use super::sockets::mark;

/// The loopback is the first interface of every namespace.
const LOOPBACK_INDEX: i32 = 1;
const IP_HEADER_LEN: usize = 20;
const SYN: u8 = 0b10;

/// With its IP header.
pub(super) fn internet(scene: &mut Scene) -> io::Result<()> {
    send(&raw(libc::IPPROTO_RAW)?, &syn(scene.target), scene.target)
}

/// The kernel makes the IP header.
pub(super) fn transport(scene: &mut Scene) -> io::Result<()> {
    send(&raw(libc::IPPROTO_TCP)?, &syn(scene.target)[IP_HEADER_LEN..], scene.target)
}

/// What this socket sends first may leave, so its next packet might be taken for more of the same.
pub(super) fn marked(scene: &mut Scene) -> io::Result<()> {
    let socket = raw(libc::IPPROTO_RAW)?;
    mark(&socket)?;
    for to in [scene.allowed, scene.target] {
        let mut packet = syn(to);
        // Not the begin of a connection but something within one.
        packet[IP_HEADER_LEN + 13] = 0b1_0000;
        send(&socket, &packet, to)?;
    }
    Ok(())
}

/// Below IP, on the wire itself.
pub(super) fn frame(scene: &mut Scene) -> io::Result<()> {
    let protocol = u16::try_from(libc::ETH_P_IP).map_err(io::Error::other)?.to_be();
    let kind = RawProtocol::new(u32::from(protocol)).map(rustix::net::Protocol::from_raw);
    let socket = socket(AddressFamily::PACKET, SocketType::DGRAM, kind)?;
    // SAFETY: all zero is an address, whose fields are set below.
    let mut to: libc::sockaddr_ll = unsafe { MaybeUninit::zeroed().assume_init() };
    to.sll_family = u16::try_from(libc::AF_PACKET).map_err(io::Error::other)?;
    (to.sll_protocol, to.sll_ifindex, to.sll_halen) = (protocol, LOOPBACK_INDEX, 6);
    let packet = syn(scene.target);
    let len = libc::socklen_t::try_from(size_of_val(&to)).map_err(io::Error::other)?;
    let (at, address) = (packet.as_ptr().cast(), (&raw const to).cast());
    // SAFETY: packet and address are readable for the lengths given.
    let sent = unsafe { libc::sendto(socket.as_raw_fd(), at, packet.len(), 0, address, len) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn raw(protocol: i32) -> io::Result<OwnedFd> {
    let protocol = RawProtocol::new(protocol.cast_unsigned()).map(rustix::net::Protocol::from_raw);
    Ok(socket(AddressFamily::INET, SocketType::RAW, protocol)?)
}

fn send(socket: &OwnedFd, packet: &[u8], to: SocketAddr) -> io::Result<()> {
    sendto(socket, packet, SendFlags::empty(), &SocketAddr::new(to.ip(), 0))?;
    Ok(())
}

/// A packet of IPv4 with the first segment of a connection (RFC 791, RFC 9293). Its TCP checksum is not needed for it
/// to arrive.
fn syn(to: SocketAddr) -> [u8; 40] {
    let IpAddr::V4(address) = to.ip() else { return [0; 40] };
    let mut packet = [0; 40];
    (packet[0], packet[3], packet[8], packet[9]) = (0x45, 40, 64, 6);
    packet[12..16].copy_from_slice(&Ipv4Addr::LOCALHOST.octets());
    packet[16..20].copy_from_slice(&address.octets());
    let sum = checksum(&packet[..IP_HEADER_LEN]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet[20..22].copy_from_slice(&40_000_u16.to_be_bytes());
    packet[22..24].copy_from_slice(&to.port().to_be_bytes());
    (packet[32], packet[33], packet[34]) = (5 << 4, SYN, 0xff);
    packet
}

/// RFC 1071, of a header whose own field is zero.
fn checksum(header: &[u8]) -> u16 {
    let words = header.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_goes_where_it_should_and_adds_up() {
        let packet = syn("127.0.0.9:513".parse().unwrap());
        assert_eq!((&packet[16..20], &packet[22..24]), (&[127, 0, 0, 9][..], &[2, 1][..]));
        // The sum over a header with its checksum is all ones.
        assert_eq!(checksum(&packet[..IP_HEADER_LEN]), 0);
    }
}
