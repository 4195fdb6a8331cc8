//! What was left by loaders that were killed, and by sessions that could not be ended: pinned guards, and cgroups. It is
//! removed once no process needs it.
//!
//! Invariant: what belongs to a loader that runs, or to anybody else, is not touched.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cgroups;
use super::name;
use super::serve::say;
use super::session::House;

/// More cgroups than this has no host that generates load.
const CGROUPS_MAX: usize = 10_000;

/// How often they are looked at. The whole tree of cgroups is walked for that.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Sessions of which something was left when they were last looked at.
#[derive(Default, Debug)]
pub(crate) struct Leftovers {
    /// By name, with who left it.
    sessions: Vec<(String, &'static str)>,
    looked_at: Duration,
}

impl Leftovers {
    /// Removes what earlier loaders left, as far as it can be, and names the rest.
    pub(crate) fn find(house: &House, now: Duration) -> Self {
        let pins = house.pins.iter().flat_map(|pins| folders_in(pins));
        let names: BTreeSet<_> =
            pins.chain(sessions_below(&house.cgroups)).filter_map(|path| name_of(&path)).collect();
        let orphans = names.into_iter().filter(|name| !name::has_keeper(name));
        let sessions = orphans.map(|name| (name, "an earlier loader")).collect();
        let mut this = Self { sessions, looked_at: now };
        this.clear(house);
        for (name, _) in &this.sessions {
            say(&format!("what an earlier loader left stays for processes that still run: {name}"));
        }
        this
    }

    /// Takes over a session of ours that could not be ended.
    pub(crate) fn add(&mut self, name: &str) {
        self.sessions.push((name.to_owned(), "a session"));
    }

    /// To be called as often as one likes.
    pub(crate) fn look(&mut self, house: &House, now: Duration) {
        if !self.sessions.is_empty() && now >= self.looked_at + LOOK_EVERY {
            self.looked_at = now;
            self.clear(house);
        }
    }

    fn clear(&mut self, house: &House) {
        if self.sessions.is_empty() {
            return;
        }
        let cgroups = sessions_below(&house.cgroups);
        let is_removed = |name: &String| {
            let own: Vec<_> =
                cgroups.iter().filter(|path| name_of(path).as_ref() == Some(name)).cloned().collect();
            remove(house, name, &own)
        };
        self.sessions.retain(|(name, who)| {
            let is_removed = is_removed(name);
            if is_removed {
                say(&format!("removed what {who} left: {name}"));
            }
            !is_removed
        });
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
    // One that just got a process is not removed, and is looked at again.
    cgroups.iter().all(|path| fs::remove_dir(path).is_ok() || !path.exists())
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
    name::keeper_of(name).map(|_| name.to_owned())
}
