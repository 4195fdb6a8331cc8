//! What may be reached, in words and as the kernel programs look it up.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use brunt_abi::guard::{MAPPED_PREFIX, Ports, RANGES, REASONS, Range, Reason};

/// Grants that one policy may have.
pub const GRANTS_MAX: usize = 64;

/// Addresses under a prefix, and ports from the first to the last.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Grant {
    /// In network order, IPv4 as IPv4-mapped; bits behind the prefix are zero.
    address: [u8; 16],
    /// Of 128 bits.
    prefix: u32,
    ports: Range,
}

/// All of IPv4, as IPv4-mapped addresses.
const ALL_MAPPED: Grant = Grant {
    address: Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().octets(),
    prefix: MAPPED_PREFIX,
    ports: Range::ALL,
};

/// Why a text is no grant.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum GrantError {
    #[error(
        "'{0}' is no grant; write an address or CIDR with a port or ports, such as 10.0.0.0/8:8080, 192.0.2.7:80-90 or [2001:db8::]/32:443"
    )]
    Syntax(String),
    #[error("'{0}' has ports from 0 to 65535, the first not above the last")]
    Ports(String),
    #[error("'{0}' has a longer prefix than its address has bits")]
    Prefix(String),
    #[error("'{0}' has address bits behind its prefix; write {1}")]
    HostBits(String, Box<Grant>),
    #[error(
        "'{0}' names link-local, metadata, multicast, broadcast or unspecified addresses, which no grant can allow"
    )]
    Never(String),
    #[error("a policy has at most {GRANTS_MAX} grants")]
    TooMany,
    #[error("more than {RANGES} ranges of ports for one prefix")]
    TooManyRanges,
}

/// An entry of the programs' table: a prefix with all ports that any grant gives to the addresses under it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    pub prefix: u32,
    pub address: [u8; 16],
    pub ports: Ports,
}

impl Grant {
    /// One address and port.
    #[must_use]
    pub fn of(address: SocketAddr) -> Self {
        let ports = Range { first: address.port(), last: address.port() };
        Self { address: bits_of(address.ip()), prefix: 128, ports }
    }

    /// From the parts that travel; `None` where they are no grant.
    #[must_use]
    pub fn from_parts(address: [u8; 16], prefix: u32, ports: Range) -> Option<Self> {
        let sound = prefix <= 128 && ports.first <= ports.last && masked(address, prefix) == address;
        sound.then_some(Self { address, prefix, ports })
    }

    #[must_use]
    pub const fn parts(&self) -> ([u8; 16], u32, Range) {
        (self.address, self.prefix, self.ports)
    }

    /// Everything that `other` allows, this one does too.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.has_prefix_of(other)
            && self.ports.first <= other.ports.first
            && other.ports.last <= self.ports.last
    }

    #[must_use]
    pub fn allows(&self, address: SocketAddr) -> bool {
        self.covers(&Self::of(address))
    }

    /// A prefix of IPv6 does not hold the mapped addresses under it: who writes `::/0` does not name all of IPv4.
    fn has_prefix_of(&self, other: &Self) -> bool {
        self.is_mapped() == other.is_mapped() && self.contains(other)
    }

    fn contains(&self, other: &Self) -> bool {
        self.prefix <= other.prefix && masked(other.address, self.prefix) == self.address
    }

    /// Of IPv4.
    fn is_mapped(&self) -> bool {
        ALL_MAPPED.contains(self)
    }
}

/// The table for a policy. The programs take the longest prefix only, so each entry has the ports of shorter ones as well.
/// Where a prefix of IPv6 is so short that mapped addresses are under it, these have an entry of their own, with the ports
/// that grants of IPv4 give to all of them: none, as a rule.
///
/// # Errors
/// Where a policy is larger than the table.
pub fn table(grants: &[Grant]) -> Result<Vec<Entry>, GrantError> {
    if grants.len() > GRANTS_MAX {
        return Err(GrantError::TooMany);
    }
    let mut prefixes: Vec<_> = grants.iter().map(|grant| (grant.prefix, grant.address)).collect();
    if grants.iter().any(|grant| !grant.is_mapped() && grant.contains(&ALL_MAPPED)) {
        prefixes.push((ALL_MAPPED.prefix, ALL_MAPPED.address));
    }
    prefixes.sort_unstable();
    prefixes.dedup();
    let entry = |(prefix, address): (u32, [u8; 16])| {
        let this = Grant { address, prefix, ports: Range::ALL };
        let mut ranges: Vec<_> =
            grants.iter().filter(|grant| grant.has_prefix_of(&this)).map(|grant| grant.ports).collect();
        ranges.sort_unstable();
        ranges.dedup();
        let mut ports = Ports::NONE;
        let room = ports.0.get_mut(..ranges.len()).ok_or(GrantError::TooManyRanges)?;
        room.copy_from_slice(&ranges);
        Ok(Entry { prefix, address, ports })
    };
    prefixes.into_iter().map(entry).collect()
}

/// Link-local, metadata, multicast, broadcast and unspecified addresses, which no grant can name.
#[must_use]
pub fn is_never_allowed(address: IpAddr) -> bool {
    brunt_abi::guard::is_never_allowed(&bits_of(address))
}

/// Names and numbers of what was denied.
#[must_use]
pub fn reasons(denied: [u64; REASONS]) -> Vec<(&'static str, u64)> {
    let counts = Reason::ALL.iter().map(|reason| reason.name()).zip(denied);
    counts.filter(|(_, count)| *count > 0).collect()
}

fn bits_of(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

fn masked(address: [u8; 16], prefix: u32) -> [u8; 16] {
    let bits = u128::from_be_bytes(address);
    let mask = u128::MAX.checked_shl(128 - prefix.min(128)).unwrap_or(0);
    (bits & mask).to_be_bytes()
}

impl FromStr for Grant {
    type Err = GrantError;

    fn from_str(text: &str) -> Result<Self, GrantError> {
        let syntax = || GrantError::Syntax(text.to_owned());
        let (network, ports) = split_ports(text).ok_or_else(syntax)?;
        let ports = parse_ports(ports).ok_or_else(|| GrantError::Ports(text.to_owned()))?;
        let (address, length) = match network.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (network, None),
        };
        let address: IpAddr = unbracketed(address).parse().map_err(|_| syntax())?;
        let (bits, before) = if address.is_ipv4() { (32, MAPPED_PREFIX) } else { (128, 0) };
        let length: u32 = length.map_or(Ok(bits), str::parse).map_err(|_| syntax())?;
        if length > bits {
            return Err(GrantError::Prefix(text.to_owned()));
        }
        let given = Self { address: bits_of(address), prefix: before + length, ports };
        let grant = Self { address: masked(given.address, given.prefix), ..given };
        if grant != given {
            return Err(GrantError::HostBits(text.to_owned(), Box::new(grant)));
        }
        // A wide prefix may hold such addresses; the programs refuse those one by one.
        if length > 0 && brunt_abi::guard::is_never_allowed(&grant.address) && grant.prefix > before + 8 {
            return Err(GrantError::Never(text.to_owned()));
        }
        Ok(grant)
    }
}

/// The ports follow a colon; an IPv6 address has colons itself, so with ports it stands in brackets.
fn split_ports(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(end) = text.rfind(']') {
        return match text[end..].split_once(':') {
            Some((rest, ports)) => Some((&text[..end + rest.len()], Some(ports))),
            None => Some((text, None)),
        };
    }
    match text.bytes().filter(|&byte| byte == b':').count() {
        0 => Some((text, None)),
        1 => text.split_once(':').map(|(network, ports)| (network, Some(ports))),
        _ => Some((text, None)),
    }
}

fn parse_ports(text: Option<&str>) -> Option<Range> {
    let Some(text) = text else { return Some(Range::ALL) };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let range = Range { first: first.parse().ok()?, last: last.parse().ok()? };
    (range.first <= range.last).then_some(range)
}

fn unbracketed(address: &str) -> &str {
    address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address)
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = Ipv6Addr::from(self.address);
        let v4 = address.to_ipv4_mapped().filter(|_| self.prefix >= MAPPED_PREFIX);
        match v4 {
            Some(v4) => write!(f, "{v4}/{}", self.prefix - MAPPED_PREFIX)?,
            None => write!(f, "[{address}]/{}", self.prefix)?,
        }
        match self.ports {
            Range::ALL => Ok(()),
            Range { first, last } if first == last => write!(f, ":{first}"),
            Range { first, last } => write!(f, ":{first}-{last}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(text: &str) -> Grant {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn grants_are_read_and_written() {
        for (text, written) in [
            ("127.0.0.0/8:8080", "127.0.0.0/8:8080"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("192.0.2.7:80-90", "192.0.2.7/32:80-90"),
            ("0.0.0.0/0:443", "0.0.0.0/0:443"),
            ("2001:db8::/32", "[2001:db8::]/32"),
            ("[2001:db8::]/32:443", "[2001:db8::]/32:443"),
            ("[::1]:80", "[::1]/128:80"),
            ("::/0", "[::]/0"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ] {
            assert_eq!(grant(text).to_string(), written);
            assert_eq!(grant(written), grant(text));
        }
    }

    #[test]
    fn what_is_no_grant_says_why() {
        for (text, want) in [
            ("", "is no grant"),
            ("localhost:80", "is no grant"),
            ("10.0.0.0/8:", "ports from 0 to 65535"),
            ("10.0.0.0/8:90-80", "the first not above the last"),
            ("10.0.0.0/8:70000", "ports from 0"),
            ("10.0.0.0/33", "longer prefix"),
            ("::1/129", "longer prefix"),
            ("10.0.0.0/x", "is no grant"),
            ("10.1.0.0/8:80", "write 10.0.0.0/8:80"),
            ("169.254.169.254:80", "no grant can allow"),
            ("[fe80::]/10:80", "no grant can allow"),
            ("[::ffff:169.254.0.0]/112", "no grant can allow"),
            ("[ff02::1]:80", "no grant can allow"),
            ("255.255.255.255", "no grant can allow"),
        ] {
            let error = text.parse::<Grant>().expect_err(text).to_string();
            assert!(error.contains(want), "{text}: {error}");
        }
    }

    #[test]
    fn covering_is_of_addresses_and_ports() {
        for (wide, narrow, want) in [
            ("10.0.0.0/8", "10.1.2.3:80", true),
            ("10.0.0.0/8:80-90", "10.1.0.0/16:85", true),
            ("10.0.0.0/8:80", "10.1.0.0/16", false),
            ("10.1.0.0/16", "10.0.0.0/8", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "::/8", true),
            ("::/0", "10.0.0.1:1", false),
            ("::/0", "0.0.0.0/0", false),
            ("::/8", "::ffff:10.0.0.1", false),
            ("0.0.0.0/0", "::ffff:10.0.0.1", true),
            ("0.0.0.0/0", "2001:db8::1", false),
        ] {
            assert_eq!(grant(wide).covers(&grant(narrow)), want, "{wide} {narrow}");
        }
        assert!(grant("127.0.0.0/8:80").allows("127.9.9.9:80".parse().unwrap()));
        assert!(!grant("::/0").allows("[::ffff:127.0.0.1]:80".parse().unwrap()));
    }

    #[test]
    fn the_longest_prefix_has_the_ports_of_shorter_ones() {
        let grants = ["127.0.0.0/8:80", "127.0.0.1:8080", "10.0.0.0/8:1-5"].map(grant);
        let table = table(&grants).unwrap();
        let ports = |text: &str| {
            let (address, prefix, _) = grant(text).parts();
            let entry =
                table.iter().find(|entry| (entry.prefix, entry.address) == (prefix, address)).unwrap();
            entry
                .ports
                .0
                .iter()
                .filter(|range| range.first <= range.last)
                .map(|range| range.first)
                .collect::<Vec<_>>()
        };
        assert_eq!(ports("127.0.0.0/8"), [80]);
        assert_eq!(ports("127.0.0.1"), [80, 8080]);
        assert_eq!(ports("10.0.0.0/8"), [1]);
    }

    /// As the programs do: the longest prefix that fits decides.
    fn lets_out(table: &[Entry], to: &str) -> bool {
        let to = Grant::of(to.parse().unwrap());
        let fits = |entry: &&Entry| masked(to.address, entry.prefix) == entry.address;
        let longest = table.iter().filter(fits).max_by_key(|entry| entry.prefix);
        longest.is_some_and(|entry| entry.ports.0.iter().any(|range| range.contains(to.ports.first)))
    }

    #[test]
    fn mapped_addresses_are_under_no_prefix_of_ipv6() {
        for (grants, to, want) in [
            (&["::/0"][..], "[2001:db8::1]:80", true),
            (&["::/0"], "[::1]:80", true),
            (&["::/0"], "10.0.0.1:80", false),
            (&["::/8"], "10.0.0.1:80", false),
            (&["::/0", "10.0.0.0/8:80"], "10.0.0.1:80", true),
            (&["::/0", "10.0.0.0/8:80"], "10.0.0.1:81", false),
            (&["::/0", "10.0.0.0/8:80"], "11.0.0.1:80", false),
            (&["[::]/0:80", "0.0.0.0/0:443"], "10.0.0.1:443", true),
            (&["[::]/0:80", "0.0.0.0/0:443"], "10.0.0.1:80", false),
            (&["2001:db8::/32"], "10.0.0.1:80", false),
        ] {
            let parsed: Vec<_> = grants.iter().map(|text| grant(text)).collect();
            let address = to.parse().unwrap();
            assert_eq!(lets_out(&table(&parsed).unwrap(), to), want, "{grants:?} {to}");
            assert_eq!(parsed.iter().any(|grant| grant.allows(address)), want, "{grants:?} {to}");
        }
        let narrow = table(&[grant("2001:db8::/32")]).unwrap();
        assert_eq!(narrow.len(), 1, "no entry for nothing");
    }

    #[test]
    fn a_policy_larger_than_the_table_is_refused() {
        let many = vec![grant("10.0.0.1:1"); GRANTS_MAX + 1];
        assert_eq!(table(&many), Err(GrantError::TooMany));
        let ranges: Vec<_> = (1..=17).map(|port| grant(&format!("10.0.0.1:{port}"))).collect();
        assert_eq!(table(&ranges), Err(GrantError::TooManyRanges));
    }
}
