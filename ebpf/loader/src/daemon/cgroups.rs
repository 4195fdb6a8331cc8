//! Cgroups of version 2: one a session, in which the engine's process lives.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Where cgroups of version 2 are mounted.
///
/// # Errors
/// When they are not.
pub(crate) fn mount_point() -> io::Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    // proc(5): the mount point is the fifth field, the type the first after the dash.
    let mut places = mounts.lines().filter_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        after.starts_with("cgroup2 ").then(|| before.split(' ').nth(4)).flatten()
    });
    places.next().map(PathBuf::from).ok_or_else(|| {
        io::Error::other(
            "no cgroup of version 2 is mounted here; mount one, boot with systemd.unified_cgroup_hierarchy=1, or enter a network by nsenter --net, because ip netns exec hides it",
        )
    })
}

/// A cgroup for ours, made while that is still allowed: the top of the tree is nobody's to write in. It stays, empty.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn home(mount: &Path) -> io::Result<PathBuf> {
    let path = mount.join("brunt");
    match fs::create_dir(&path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(path),
    }
}

/// The cgroup of a process, as a path below the mount point.
pub(crate) fn of_process(mount: &Path, pid: u32) -> Option<PathBuf> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    Some(mount.join(path.trim_start_matches('/')))
}

/// A cgroup of ours. Nothing removes it but [`Cgroup::remove`], so that it can be left to the next loader.
#[derive(Debug)]
pub(crate) struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// Makes a cgroup below that of `pid`, so that limits on it go on to hold; where that is not ours to write in, in
    /// `home`.
    pub(crate) fn below(mount: &Path, home: &Path, pid: u32, name: &str) -> io::Result<Self> {
        let own = of_process(mount, pid);
        let places = own.iter().map(PathBuf::as_path).chain([home]);
        let mut last = None;
        for place in places {
            let path = place.join(name);
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path }),
                // Two cgroups of one name would be taken for one session.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
    }

    pub(crate) fn open(&self) -> io::Result<File> {
        File::open(&self.path)
    }

    pub(crate) fn is_empty(&self) -> bool {
        is_empty(&self.path)
    }

    /// Kills the processes in it. They are gone when it is empty.
    pub(crate) fn kill(&self) -> io::Result<()> {
        if self.is_empty() { Ok(()) } else { fs::write(self.path.join("cgroup.kill"), "1") }
    }

    /// It must be empty.
    pub(crate) fn remove(&self) -> io::Result<()> {
        fs::remove_dir(&self.path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Moves a process into a cgroup.
pub(crate) fn enter(cgroup: &Path, pid: u32) -> io::Result<()> {
    fs::write(cgroup.join("cgroup.procs"), pid.to_string())
}

/// No process is in the cgroup; one that is gone has none.
pub(crate) fn is_empty(path: &Path) -> bool {
    fs::read_to_string(path.join("cgroup.events")).map_or(true, |events| events.contains("populated 0"))
}
