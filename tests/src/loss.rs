//! A planted fault: packets that carry data get lost on their way.
//!
//! They are dropped where they arrive, so whoever sent them has seen them leave. Handshakes and bare
//! acknowledgements pass. One packet here may be many on a wire: the kernel hands on large ones unsplit.

use crate::netns::Namespace;
use crate::nft::Table;

/// The longest headers of IPv4 and TCP: longer packets carry data. Short ones with data are told by the flag PSH,
/// which Linux sets on the last segment of each write.
const HEADERS_MAX: usize = 20 + 60;

/// Which packets are lost.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Lost {
    /// Each n-th, the same in each run.
    Every(u32),
    /// So many of a hundred, at random.
    Percent(u32),
}

/// Packets that are being lost. Dropping it ends that.
#[derive(Debug)]
pub struct Loss {
    table: Table,
}

impl Loss {
    /// Loses packets of TCP that arrive in this namespace, or reports that `test` is skipped. In the server's
    /// namespace of a pair it is requests that are lost, in the client's answers.
    #[must_use]
    pub fn plant_or_skip(test: &str, receiver: &Namespace, lost: Lost) -> Option<Self> {
        let condition = match lost {
            Lost::Every(n) => format!("numgen inc mod {n} == {}", n.saturating_sub(1)),
            Lost::Percent(percent) => format!("numgen random mod 100 < {percent}"),
        };
        let chains = format!(
            "chain arriving {{
                type filter hook input priority filter; policy accept;
                tcp flags psh goto lose
                meta l4proto tcp meta length > {HEADERS_MAX} goto lose
            }}
            chain lose {{ {condition} counter drop; }}"
        );
        // A chain must be there before a rule leads to it.
        let table = Table::make_or_skip(test, Some(receiver), &format!("chain lose {{ }}\n{chains}"))?;
        Some(Self { table })
    }

    /// How many packets were lost until now.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.table.packets()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;
    use crate::netns::{Pair, connected};

    /// Small requests one after the other, each of them answered: what carries each is one packet.
    fn exchange(pair: &Pair, count: usize) {
        let [mut client, mut server] = connected(pair.client(), pair.server(), Pair::SERVER);
        client.set_nodelay(true).unwrap();
        for _ in 0..count {
            client.write_all(b"a small request").unwrap();
            server.read_exact(&mut [0; 15]).unwrap();
        }
    }

    #[test]
    fn lost_packets_are_sent_again() {
        let test = "lost_packets_are_sent_again";
        let Some(pair) = Pair::make_or_skip(test) else { return };
        let cases = [(None, 0..=0), (Some(Lost::Every(10)), 3..=40), (Some(Lost::Percent(10)), 1..=40)];
        for (lost, expected) in cases {
            let before = pair.client().counter("Tcp", "RetransSegs");
            let loss = match lost.map(|lost| Loss::plant_or_skip(test, pair.server(), lost)) {
                Some(None) => return,
                planted => planted.flatten(),
            };
            exchange(&pair, 50);
            let dropped = loss.as_ref().map_or(0, Loss::packets);
            let again = pair.client().counter("Tcp", "RetransSegs") - before;
            assert!(
                expected.contains(&dropped) && again >= dropped,
                "{lost:?}: {dropped} lost, {again} again"
            );
        }
    }
}
