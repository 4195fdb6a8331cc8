//! What Cargo.lock says about who brings in whom.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::manifest;

/// The names that each package depends on; versions of one name are taken together.
#[derive(Debug)]
pub(super) struct Lockfile(BTreeMap<String, BTreeSet<String>>);

impl Lockfile {
    pub(super) fn new(text: &str) -> Self {
        let mut packages: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut name = String::new();
        for entry in manifest::entries(text).iter().filter(|entry| entry.table == "package") {
            match entry.key.as_str() {
                "name" => manifest::unquoted(&entry.value).clone_into(&mut name),
                "dependencies" => {
                    let listed = entry.value.trim_matches(['[', ']']).split(',').map(manifest::unquoted);
                    let names = listed.filter_map(|item| item.split_whitespace().next()).map(String::from);
                    packages.entry(name.clone()).or_default().extend(names);
                }
                _ => {}
            }
        }
        Self(packages)
    }

    /// A shortest way by which a package brings in another, both ends named.
    pub(super) fn chain(&self, from: &str, to: &str) -> Option<Vec<String>> {
        let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
        let mut queue = VecDeque::from([from]);
        while let Some(name) = queue.pop_front() {
            if name == to {
                return Some(way_back(&came_from, from, to));
            }
            // Crates of ours answer for themselves, and their lists here hold what only their tests use.
            if name.starts_with("brunt-") {
                continue;
            }
            for next in self.0.get(name).into_iter().flatten() {
                if next != from && !came_from.contains_key(next.as_str()) {
                    came_from.insert(next, name);
                    queue.push_back(next);
                }
            }
        }
        None
    }
}

fn way_back(came_from: &BTreeMap<&str, &str>, from: &str, to: &str) -> Vec<String> {
    let mut way = vec![to.to_owned()];
    let mut at = to;
    while at != from {
        let Some(before) = came_from.get(at) else { break };
        way.push((*before).to_owned());
        at = before;
    }
    way.reverse();
    way
}

#[cfg(test)]
mod tests {
    use super::Lockfile;

    #[test]
    fn a_shortest_way_is_found_and_cycles_end() {
        let package = |name: &str, uses: &str| {
            format!("[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\ndependencies = [\n{uses}]\n\n")
        };
        let lock = Lockfile::new(&format!(
            "version = 4\n\n{}{}{}",
            package("a", " \"b\",\n \"c 1.0.0\",\n"),
            package("b", " \"a\",\n \"c 2.0.0 (registry+x)\",\n"),
            package("c", " \"a\",\n"),
        ));
        assert_eq!(lock.chain("a", "c"), Some(vec!["a".to_owned(), "c".to_owned()]));
        assert_eq!(lock.chain("b", "b"), Some(vec!["b".to_owned()]));
        assert_eq!(lock.chain("a", "z"), None);
    }
}
