//! Rules of the kernel's packet filter (nftables), in a table of their own.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::netns::Namespace;
use crate::skip;

/// Tables made by this process so far: part of their names.
static MADE: AtomicU32 = AtomicU32::new(0);

/// A table of rules. Dropping it deletes it.
#[derive(Debug)]
pub(crate) struct Table {
    wrapper: Vec<String>,
    name: String,
}

impl Table {
    /// Makes one with these chains, in a namespace or in the network of this process, or reports that `test` is
    /// skipped.
    pub(crate) fn make_or_skip(test: &str, namespace: Option<&Namespace>, chains: &str) -> Option<Self> {
        if !skip::is_root() || !skip::has_program("nft") {
            skip::skip(test, "needs root and the program nft (nftables)");
            return None;
        }
        let wrapper =
            namespace.map(|inside| inside.wrapper().map(str::to_owned).to_vec()).unwrap_or_default();
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("brunt-test-{}-{number}", std::process::id());
        let table = Self { wrapper, name };
        match table.nft(&format!("table inet {} {{\n{chains}\n}}\n", table.name)) {
            Ok(_) => Some(table),
            Err(error) => {
                skip::skip(test, &format!("needs rules of nftables, which this kernel refuses: {error}"));
                None
            }
        }
    }

    /// The packets that all counters of the table have seen.
    ///
    /// # Panics
    /// When the table is gone.
    pub(crate) fn packets(&self) -> u64 {
        let rules = self.nft(&format!("list table inet {}\n", self.name));
        counted(&rules.unwrap_or_else(|error| panic!("the table {} cannot be read: {error}", self.name)))
    }

    fn nft(&self, script: &str) -> Result<String, String> {
        let words: Vec<&str> = self.wrapper.iter().map(String::as_str).chain(["nft", "-f", "-"]).collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("{words:?}: {error}"))?;
        // Dropped at once, which tells nft that the script is complete.
        let fed = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(script.as_bytes()));
        let output = child.wait_with_output().map_err(|error| format!("{words:?}: {error}"))?;
        if output.status.success() && fed.is_ok() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
        }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        // It may have gone with its namespace.
        let _ = self.nft(&format!("delete table inet {}\n", self.name));
    }
}

fn counted(rules: &str) -> u64 {
    let after = rules.split("counter packets ").skip(1);
    after.filter_map(|text| text.split(' ').next()?.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_counters_of_a_table_are_summed() {
        let cases = [
            ("", 0),
            ("tcp dport 1 counter packets 12 bytes 9 drop", 12),
            ("counter packets 1 bytes 2\n counter packets 30 bytes 4", 31),
        ];
        for (rules, expected) in cases {
            assert_eq!(counted(rules), expected, "{rules}");
        }
    }
}
