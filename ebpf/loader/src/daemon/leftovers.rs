//! What loaders left that were killed: pinned guards, and cgroups. It is removed once no process needs it.
//!
//! Invariant: what belongs to a loader that runs, or to anybody else, is not touched.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::cgroups;
use super::serve::say;
use super::session::House;

/// More cgroups than this has no host that generates load.
const CGROUPS_MAX: usize = 10_000;

/// Names of sessions whose processes still ran when they were last looked at.
#[derive(Default, Debug)]
pub(crate) struct Leftovers(Vec<String>);

impl Leftovers {
    /// Removes what can be, and names the rest.
    pub(crate) fn find(house: &House) -> Self {
        let pins = house.pins.iter().flat_map(|pins| folders_in(pins));
        let names: BTreeSet<_> =
            pins.chain(sessions_below(&house.cgroups)).filter_map(|path| name_of(&path)).collect();
        let mut this = Self(names.into_iter().filter(|name| !has_keeper(name)).collect());
        this.clear(house);
        for name in &this.0 {
            say(&format!("what an earlier loader left stays for processes that still run: {name}"));
        }
        this
    }

    /// To be called now and then.
    pub(crate) fn clear(&mut self, house: &House) {
        if self.0.is_empty() {
            return;
        }
        let cgroups = sessions_below(&house.cgroups);
        let (removed, staying): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.0).into_iter().partition(|name| {
                let own: Vec<_> =
                    cgroups.iter().filter(|path| name_of(path).as_ref() == Some(name)).cloned().collect();
                remove(house, name, &own)
            });
        self.0 = staying;
        for name in removed {
            say(&format!("removed what an earlier loader left: {name}"));
        }
    }
}

/// Removes what is left of a session, unless processes are in its cgroup.
fn remove(house: &House, name: &str, cgroups: &[PathBuf]) -> bool {
    if !cgroups.iter().all(|path| cgroups::is_empty(path)) {
        return false;
    }
    if let Some(folder) = house.pins.as_ref().map(|pins| pins.join(name)) {
        for pin in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let _ = fs::remove_file(pin.path());
        }
        let _ = fs::remove_dir(&folder);
    }
    for path in cgroups {
        let _ = fs::remove_dir(path);
    }
    true
}

/// The cgroups of sessions, wherever they are in the tree.
fn sessions_below(top: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut to_see = vec![top.to_path_buf()];
    for _ in 0..CGROUPS_MAX {
        let Some(path) = to_see.pop() else { break };
        for child in folders_in(&path) {
            if name_of(&child).is_some() { found.push(child) } else { to_see.push(child) }
        }
    }
    found
}

fn folders_in(path: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path())
}

/// The last part of a path, where it is the name of a session.
fn name_of(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    keeper_of(name).map(|_| name.to_owned())
}

/// `brunt-`, the process of the loader, and a number; `-try` behind it for a trial. A unit of systemd has another form.
fn keeper_of(name: &str) -> Option<u32> {
    let (keeper, session) = name.strip_prefix("brunt-")?.split_once('-')?;
    let number = session.strip_suffix("-try").unwrap_or(session);
    number.parse::<u64>().ok()?;
    keeper.parse().ok()
}

/// Does the loader that made this session still run? Then it is not ours to clear, empty as its cgroup may be just now.
/// The number of a loader that is gone may have become ours.
fn has_keeper(name: &str) -> bool {
    let Some(keeper) = keeper_of(name) else { return true };
    let command = fs::read_to_string(format!("/proc/{keeper}/comm")).unwrap_or_default();
    keeper != std::process::id() && command.trim_end() == "brunt-loader"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_have_names_that_nothing_else_has() {
        for (name, want) in [
            ("brunt-17-3", Some(17)),
            ("brunt-17-3-try", Some(17)),
            ("brunt", None),
            ("brunt-loader.service", None),
            ("brunt-17", None),
            ("brunt-17-3-x", None),
            ("brunt-17-", None),
            ("x-brunt-17-3", None),
        ] {
            assert_eq!(keeper_of(name), want, "{name}");
        }
    }

    #[test]
    fn a_number_that_is_ours_or_somebody_else_s_has_no_keeper() {
        assert!(!has_keeper(&format!("brunt-{}-1", std::process::id())));
        assert!(!has_keeper("brunt-1-1"), "the first process is no loader");
        assert!(has_keeper("brunt"), "what is no session is not touched");
    }
}
