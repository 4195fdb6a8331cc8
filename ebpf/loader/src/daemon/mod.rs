//! The privileged process, in the order of its life: options, socket and bpffs, confinement, sessions.

mod cgroups;
mod child;
mod confine;
mod ending;
mod kernel;
mod leftovers;
mod listen;
mod name;
pub(crate) mod options;
mod peer;
pub(crate) mod serve;
mod session;
mod work;

use std::fs;
use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, mount};

use self::options::Options;
use self::serve::{Server, Signals, say};
use self::session::House;

/// A bpffs of its own, so that nobody else's pins are in the way.
const PINS: &str = "/run/brunt/bpf";
/// statfs(2).
const BPF_FS_MAGIC: i64 = 0xcafe_4a11;
/// The first descriptor that systemd passes (sd_listen_fds(3)).
const FIRST_PASSED: i32 = 3;

#[derive(Debug, thiserror::Error)]
pub(crate) enum DaemonError {
    #[error(transparent)]
    Confine(#[from] confine::ConfineError),
    #[error(transparent)]
    Listen(#[from] listen::ListenError),
    #[error("installing handlers for signals: {0}")]
    Signals(io::Error),
    #[error("serving: {0}")]
    Serve(io::Error),
    #[error("cgroups: {0}")]
    Cgroups(io::Error),
}

/// Serves until it is told to end.
pub(crate) fn run(options: Options, passed: bool) -> Result<(), DaemonError> {
    confine::check()?;
    let signals = watch_signals().map_err(DaemonError::Signals)?;
    let cgroups = cgroups::mount_point().map_err(DaemonError::Cgroups)?;
    let home = cgroups::home(&cgroups).map_err(DaemonError::Cgroups)?;
    let pins = match mount_pins() {
        Ok(path) => Some(path),
        Err(error) => {
            say(&format!(
                "no bpffs at {PINS} ({error}): when this process ends, guards go on to judge packets but no longer calls"
            ));
            None
        }
    };
    let listener = match (options.once, passed) {
        (true, _) => None,
        (false, true) => Some(descriptor(FIRST_PASSED)),
        (false, false) => Some(listen::listen_at(&options.socket)?),
    };
    let writable: Vec<&Path> = [Some(cgroups.as_path()), pins.as_deref()].into_iter().flatten().collect();
    confine::confine(&writable)?;
    let policy = (!options.once).then_some(options.allow);
    let house = House { cgroups, home, pins, policy, reserved: options.reserve };
    let mut server = Server::new(house, signals, listener, options.peers);
    if options.once {
        server.admit(descriptor(0));
    } else {
        say("ready");
    }
    server.run().map_err(DaemonError::Serve)
}

#[allow(unsafe_code, reason = "takes over descriptors that were passed by number")]
fn descriptor(number: i32) -> OwnedFd {
    // SAFETY: whoever started this process passed the descriptor for it, and nothing else in it uses that number.
    unsafe { OwnedFd::from_raw_fd(number) }
}

fn watch_signals() -> io::Result<Signals> {
    let signals = Signals::default();
    signal_hook::flag::register(signal_hook::consts::SIGTERM, signals.end.clone())?;
    signal_hook::flag::register(signal_hook::consts::SIGINT, signals.end.clone())?;
    signal_hook::flag::register(signal_hook::consts::SIGUSR1, signals.kill.clone())?;
    Ok(signals)
}

fn mount_pins() -> io::Result<PathBuf> {
    let path = PathBuf::from(PINS);
    fs::create_dir_all(&path)?;
    if rustix::fs::statfs(&path)?.f_type != BPF_FS_MAGIC {
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        mount("bpf", &path, "bpf", flags, Some(c"mode=0700"))?;
    }
    Ok(path)
}
