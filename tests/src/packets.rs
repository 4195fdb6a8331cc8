//! An address that nobody may reach: counts the packets that arrive there, of any kind, whether or not anybody
//! listens.
//!
//! They are counted as the first thing after their arrival, on `lo` as well, so one that any socket, raw or not, sent
//! there is seen, and one that was stopped where it left is not. Counting changes nothing for the packets.

use std::net::{IpAddr, SocketAddr};

use crate::netns::Namespace;
use crate::nft::Table;

/// An address and port that must see nothing. Dropping it ends the counting.
#[derive(Debug)]
pub struct Forbidden {
    address: SocketAddr,
    table: Table,
}

impl Forbidden {
    /// Counts from now on what arrives at this address, in this namespace or in the network of this process, or
    /// reports that `test` is skipped.
    #[must_use]
    pub fn watch_or_skip(test: &str, namespace: Option<&Namespace>, address: SocketAddr) -> Option<Self> {
        let family = match address.ip() {
            IpAddr::V4(_) => "ip",
            IpAddr::V6(_) => "ip6",
        };
        // Before connection tracking puts fragments together or anything drops the packet.
        let chain = format!(
            "chain arriving {{
                type filter hook prerouting priority -450; policy accept;
                {family} daddr {} th dport {} counter
            }}",
            address.ip(),
            address.port()
        );
        Some(Self { address, table: Table::make_or_skip(test, namespace, &chain)? })
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many packets have arrived until now.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.table.packets()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream, UdpSocket};
    use std::time::Duration;

    use super::*;
    use crate::netns::{Pair, connected};
    use crate::origin::free_port;

    fn check(namespace: Option<&Namespace>, to: SocketAddr, send: fn(SocketAddr), expected: u64) {
        let Some(forbidden) = Forbidden::watch_or_skip("packets::check", namespace, to) else { return };
        assert_eq!(forbidden.packets(), 0, "{to}");
        match namespace {
            Some(namespace) => namespace.inside(|| send(to)),
            None => send(to),
        }
        assert_eq!(forbidden.packets(), expected, "{to}");
    }

    fn syn(to: SocketAddr) {
        // Nobody listens, so it is one SYN and a reset that goes the other way.
        TcpStream::connect_timeout(&to, Duration::from_secs(5)).unwrap_err();
    }

    fn two_datagrams(to: SocketAddr) {
        let own: IpAddr = if to.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
        let socket = UdpSocket::bind((own, 0)).unwrap();
        for _ in 0..2 {
            // The second may first be told that nobody listens, which sends nothing.
            if socket.send_to(b"x", to).is_err() {
                socket.send_to(b"x", to).unwrap();
            }
        }
    }

    fn elsewhere(to: SocketAddr) {
        let listener = TcpListener::bind((to.ip(), 0)).unwrap();
        TcpStream::connect_timeout(&listener.local_addr().unwrap(), Duration::from_secs(5)).unwrap();
    }

    #[test]
    fn whatever_arrives_is_counted() {
        let Some(namespace) = Namespace::make_or_skip("whatever_arrives_is_counted") else { return };
        let own = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        check(None, own(free_port()), syn, 1);
        check(None, own(free_port()), elsewhere, 0);
        check(Some(&namespace), own(81), syn, 1);
        check(Some(&namespace), own(82), two_datagrams, 2);
        check(Some(&namespace), own(83), elsewhere, 0);
        check(Some(&namespace), SocketAddr::from((Ipv6Addr::LOCALHOST, 84)), syn, 1);
        check(Some(&namespace), SocketAddr::from((Ipv6Addr::LOCALHOST, 85)), two_datagrams, 2);
    }

    #[test]
    fn packets_of_a_connection_that_stands_are_counted() {
        let test = "packets_of_a_connection_that_stands_are_counted";
        let Some(pair) = Pair::make_or_skip(test) else { return };
        let [mut client, mut server] = connected(pair.client(), pair.server(), Pair::SERVER);
        let address = server.local_addr().unwrap();
        let Some(forbidden) = Forbidden::watch_or_skip(test, Some(pair.server()), address) else { return };
        client.write_all(b"x").unwrap();
        server.read_exact(&mut [0]).unwrap();
        assert_eq!(forbidden.packets(), 1);
    }
}
