//! A planted fault: few local ports, so that connections run out of them.

use crate::netns::{Namespace, Setting};

/// Above the ports of services, and all of a few thousand from here on are local ports by the kernel's own default.
const FIRST: u16 = 40_000;

/// A narrow range of local ports. Dropping it gives back the old one.
#[derive(Debug)]
pub struct PortRange {
    _setting: Setting,
}

impl PortRange {
    /// Leaves this namespace so many ports for its connections: an even number, since the kernel looks at the ports of
    /// each parity in turn, and the last of an odd number only from some of its random starts
    /// (`__inet_hash_connect` in Linux' `net/ipv4/inet_hashtables.c`).
    ///
    /// # Panics
    /// When it is none, odd, or more than there are from 40,000 on.
    #[must_use]
    pub fn narrow(namespace: &Namespace, ports: u16) -> Self {
        assert!(ports.is_multiple_of(2), "an even number of ports");
        let last = ports.checked_sub(1).and_then(|more| FIRST.checked_add(more)).expect("2 to 25,536 ports");
        let range = format!("{FIRST} {last}");
        Self { _setting: Setting::change(namespace, "net.ipv4.ip_local_port_range", &range) }
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    use super::*;

    #[test]
    fn connections_run_out_of_ports() {
        let Some(namespace) = Namespace::make_or_skip("connections_run_out_of_ports") else { return };
        let _range = PortRange::narrow(&namespace, 6);
        let listener = namespace.inside(|| TcpListener::bind((Ipv4Addr::LOCALHOST, 80))).unwrap();
        let address = listener.local_addr().unwrap();
        let connect = || namespace.inside(|| TcpStream::connect(address));
        let streams: Vec<_> = (0..6).map(|_| connect().expect("a port is left")).collect();
        let ports = streams.iter().map(|stream| stream.local_addr().unwrap().port());
        assert!(
            ports.clone().all(|port| (40_000..40_006).contains(&port)),
            "{:?}",
            ports.collect::<Vec<_>>()
        );
        assert_eq!(connect().unwrap_err().kind(), ErrorKind::AddrNotAvailable);
    }
}
