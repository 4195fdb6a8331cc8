//! What the guard's programs look up, and what they count.

/// Prefix lengths count from the front of a 128-bit address; an IPv4 address is its IPv4-mapped IPv6 address (RFC 4291
/// section 2.5.5.2), so both ways of naming it meet the same entry.
pub const MAPPED_PREFIX: u32 = 96;

/// Port ranges that one entry may hold.
pub const RANGES: usize = 16;

/// Ports from the first to the last, both included.
#[repr(C)]
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub struct Range {
    pub first: u16,
    pub last: u16,
}

/// The port ranges of one prefix. Unused ones have `first > last`, so nothing is in them.
#[repr(C)]
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Ports(pub [Range; RANGES]);

impl Range {
    pub const NONE: Self = Self { first: 1, last: 0 };
    pub const ALL: Self = Self { first: 0, last: u16::MAX };

    #[inline(always)]
    #[must_use]
    pub const fn contains(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }
}

impl Ports {
    pub const NONE: Self = Self([Range::NONE; RANGES]);
}

/// The state of a guard: one entry of a map of its own.
#[repr(C)]
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug)]
pub struct Control {
    /// Counts changes of the policy from 1; sockets that were allowed under an older one are looked at again.
    pub generation: u64,
    /// Not 0: nothing leaves any more.
    pub killed: u64,
}

/// Why something was denied: indices of the counters.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Reason {
    /// No grant names the address and port.
    NotGranted = 0,
    /// Link-local, metadata, multicast, broadcast or unspecified: no grant can name them.
    NeverAllowed = 1,
    /// Not TCP.
    Protocol = 2,
    /// The kill switch is on.
    Killed = 3,
    /// A listening socket that was named as never to be reached, such as a controller's.
    Reserved = 4,
}

pub const REASONS: usize = 5;

impl Reason {
    pub const ALL: [Self; REASONS] =
        [Self::NotGranted, Self::NeverAllowed, Self::Protocol, Self::Killed, Self::Reserved];

    /// The name in counters and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotGranted => "not_granted",
            Self::NeverAllowed => "never_allowed",
            Self::Protocol => "protocol",
            Self::Killed => "killed",
            Self::Reserved => "reserved",
        }
    }
}

/// No grant can name these: 169.254.0.0/16, multicast, broadcast and unspecified addresses of both families,
/// fe80::/10 and fd00:ec2::/32, where clouds keep metadata. An IPv4 address within an IPv6 one is judged as what
/// it leads to: IPv4-mapped, NAT64 (RFC 6052) and 6to4 (RFC 3056). `address` is in network order.
#[inline(always)]
#[must_use]
pub const fn is_never_allowed(address: &[u8; 16]) -> bool {
    let [a, b, c, d, e, f, ..] = *address;
    let [.., u, v, w, x, y, z] = *address;
    let middle = address[6] | address[7] | address[8] | address[9];
    let start = a | b | c | d | e | f | middle;
    let is_mapped = start == 0 && u == 0xff && v == 0xff;
    let is_nat64 = a == 0 && b == 0x64 && c == 0xff && d == 0x9b && (e | f | middle | u | v) == 0;
    let embedded = if is_mapped || is_nat64 {
        Some([w, x, y, z])
    } else if a == 0x20 && b == 0x02 {
        Some([c, d, e, f])
    } else {
        None
    };
    if let Some([first, second, third, fourth]) = embedded {
        let is_broadcast = first == 255 && second == 255 && third == 255 && fourth == 255;
        return first == 169 && second == 254 || first >= 224 && first < 240 || is_broadcast || first == 0;
    }
    let is_unspecified = start == 0 && (u | v | w | x | y | z) == 0;
    let is_metadata = a == 0xfd && b == 0 && c == 0x0e && d == 0xc2;
    a == 0xff || a == 0xfe && b & 0xc0 == 0x80 || is_metadata || is_unspecified
}

const _: () = assert!(size_of::<Ports>() == 64 && size_of::<Control>() == 16);

#[cfg(test)]
mod tests {
    use core::net::IpAddr;

    use super::*;

    fn check(address: &str, never: bool) {
        let address: IpAddr = address.parse().expect("an address");
        let bytes = match address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        assert_eq!(is_never_allowed(&bytes), never, "{address}");
    }

    #[test]
    fn metadata_link_local_and_group_addresses_are_never_allowed() {
        for address in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "224.0.0.1",
            "239.255.255.255",
            "255.255.255.255",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "fe80::1",
            "febf::1",
            "fd00:ec2::254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "ff02::1",
        ] {
            check(address, true);
        }
        for address in [
            "127.0.0.1",
            "169.253.0.1",
            "10.0.0.1",
            "240.0.0.1",
            "::1",
            "fec0::1",
            "2001:db8::1",
            "fd00:1::1",
            "64:ff9b::102:304",
            "2002:102:304::1",
            "::ffff:1.2.3.4",
        ] {
            check(address, false);
        }
    }
}
