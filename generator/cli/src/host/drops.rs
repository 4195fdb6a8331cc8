//! What the network stack of this host dropped, since boot.

/// Connects that the listeners in the network namespace of a process dropped, most often because their queue of
/// accepted connections was full; zero where that cannot be read.
pub(crate) fn listen(process: u32) -> u64 {
    let netstat = std::fs::read_to_string(format!("/proc/{process}/net/netstat")).unwrap_or_default();
    let of = |name| tcp_counter(&netstat, name).unwrap_or(0);
    // A full queue counts as both, other reasons only as a drop.
    of("ListenDrops").max(of("ListenOverflows"))
}

/// Packets that found the queue of their CPU full (`net.core.netdev_max_backlog`), of all network namespaces.
pub(crate) fn softnet() -> u64 {
    parse_softnet(&std::fs::read_to_string("/proc/net/softnet_stat").unwrap_or_default())
}

/// Two lines belong together: the names and, in the same order, the values.
fn tcp_counter(netstat: &str, name: &str) -> Option<u64> {
    let mut lines = netstat.lines().filter_map(|line| line.strip_prefix("TcpExt:"));
    let (names, values) = (lines.next()?, lines.next()?);
    let position = names.split_ascii_whitespace().position(|found| found == name)?;
    values.split_ascii_whitespace().nth(position)?.parse().ok()
}

/// One line a CPU, in hex: packets handled, packets dropped, and more.
fn parse_softnet(stat: &str) -> u64 {
    let dropped = |line: &str| u64::from_str_radix(line.split_ascii_whitespace().nth(1)?, 16).ok();
    stat.lines().filter_map(dropped).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_by_their_name() {
        let netstat = "TcpExt: SyncookiesSent ListenOverflows ListenDrops\nTcpExt: 1 20 300\n\
                       IpExt: ListenDrops\nIpExt: 9\n";
        for (name, want) in [("ListenDrops", Some(300)), ("ListenOverflows", Some(20)), ("Other", None)] {
            assert_eq!(tcp_counter(netstat, name), want);
        }
        assert_eq!(tcp_counter("TcpExt: ListenDrops\n", "ListenDrops"), None);
        assert_eq!(tcp_counter("TcpExt: A ListenDrops\nTcpExt: 1\n", "ListenDrops"), None);
    }

    #[test]
    fn drops_of_all_cpus_are_summed() {
        let stat = "0000000f 00000010 00000000\n000028d5 00000001 00000000\n\nbroken line\n";
        assert_eq!(parse_softnet(stat), 17);
    }

    #[test]
    fn this_host_has_both_files() {
        let netstat = std::fs::read_to_string("/proc/self/net/netstat").unwrap();
        assert!(
            tcp_counter(&netstat, "ListenDrops").is_some()
                && tcp_counter(&netstat, "ListenOverflows").is_some()
        );
        assert_eq!(listen(u32::MAX), 0);
    }
}
