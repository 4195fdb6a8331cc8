//! Cgroups of version 2: one a session, in which the engine's process lives.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long processes that were killed may take to be gone.
const EMPTY_WITHIN: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(5);

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
            "no cgroup of version 2 is mounted; mount one, or boot with systemd.unified_cgroup_hierarchy=1",
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

/// A cgroup of ours; removed when it is dropped and empty.
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
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
    }

    pub(crate) fn open(&self) -> io::Result<File> {
        File::open(&self.path)
    }

    /// Moves a process in.
    pub(crate) fn enter(&self, pid: u32) -> io::Result<()> {
        fs::write(self.path.join("cgroup.procs"), pid.to_string())
    }

    pub(crate) fn is_empty(&self) -> bool {
        is_empty(&self.path)
    }

    /// Ends what is left in it and removes it.
    pub(crate) fn end(&self) -> io::Result<()> {
        let mut looks_left = EMPTY_WITHIN.as_millis() / LOOK_EVERY.as_millis();
        if !self.is_empty() {
            fs::write(self.path.join("cgroup.kill"), "1")?;
        }
        while !self.is_empty() && looks_left > 0 {
            std::thread::sleep(LOOK_EVERY);
            looks_left -= 1;
        }
        fs::remove_dir(&self.path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// No process is in the cgroup; one that is gone has none.
pub(crate) fn is_empty(path: &Path) -> bool {
    fs::read_to_string(path.join("cgroup.events")).map_or(true, |events| events.contains("populated 0"))
}
