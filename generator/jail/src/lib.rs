//! Gives up what a process that generates load does not need, so that whoever takes it over gains little.
//!
//! There are two stages. [`enter`] comes first in the life of the process, before it has threads: descriptors are
//! checked, root and all capabilities given up, and the file system closed. [`seal`] comes when rings, timers and
//! threads are there: from then on only the system calls of the load itself are allowed, on every thread.
//!
//! Invariants: nothing that was given up can be had back, not even through execve(2); what this host cannot do is
//! a [`Part`] that is off with its reason, and whatever else fails is an error, after which the process must not go on.
//!
//! What leaves this host is not fenced in here: seccomp does not see the operations of io_uring, and Landlock's rules for
//! TCP do not see Fast Open and Multipath TCP. The guard of the loader does that; this crate keeps its cgroup without
//! a way around it.
//!
//! Sources: prctl(2), capabilities(7), landlock(7), seccomp(2).
#![forbid(unsafe_code)]

mod calls;
mod descriptors;
mod files;
mod filter;
mod privileges;
mod state;

use std::io;
use std::os::fd::RawFd;
use std::path::PathBuf;

pub use filter::{Seal, seal};
pub use privileges::forbid_dumps;
pub use state::{Confinement, Seccomp, state_of, support};

/// What the first stage must leave.
#[derive(Clone, Default, Debug)]
pub struct Rules {
    /// Inherited descriptors that the process needs beside 0, 1 and 2, such as the memory of kernel programs: they must be
    /// open, and none may be a socket. Any other that is open refuses the start.
    pub keep: Vec<RawFd>,
    /// The target, where it is a unix socket that has a path. Who may connect to one is decided by its user, so that is
    /// kept.
    pub unix_socket: Option<PathBuf>,
}

/// What the first stage did.
#[derive(Clone, Debug)]
pub struct Entered {
    pub parts: Vec<Part>,
}

/// One protection, as far as this host has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    pub name: &'static str,
    pub state: State,
}

/// Is a protection there? With its detail, or with the reason why not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    On(String),
    Off(String),
}

/// Why a process is not jailed.
#[derive(Debug, thiserror::Error)]
pub enum JailError {
    #[error(
        "descriptor {fd} is an inherited socket ({family}), whose traffic no guard would see; start the process without it"
    )]
    InheritedSocket { fd: RawFd, family: String },
    #[error("descriptor {fd} ({target:?}) is inherited without need; start the process without it")]
    Inherited { fd: RawFd, target: PathBuf },
    #[error("descriptor {fd} was to be kept but is not open; let the parent clear its close-on-exec flag")]
    NotInherited { fd: RawFd },
    #[error("the jail was to be entered with {0} threads running; enter it before any thread is started")]
    Threads(u32),
    #[error("{left} was to be given up and is still there; start the process as an ordinary user")]
    Kept { left: &'static str },
    #[error("cannot {action}; {mend}")]
    System {
        action: &'static str,
        mend: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("cannot {action}; start the process as an ordinary user")]
    Capabilities {
        action: &'static str,
        #[source]
        source: caps::errors::CapsError,
    },
    #[error(
        "there is no list of system calls for this processor; run on x86_64 or aarch64, or without the seal"
    )]
    Architecture,
    #[error("cannot install the filter of system calls; a process is sealed once, on a kernel with seccomp")]
    Filter(#[from] seccompiler::Error),
}

/// Gives up root, capabilities, files and core dumps. To be called first in `main`, and once.
///
/// # Errors
/// When an inherited descriptor is refused, other threads run, or the kernel does not let go of a privilege.
pub fn enter(rules: &Rules) -> Result<Entered, JailError> {
    descriptors::check(&rules.keep)?;
    let threads = privileges::own_state()?.threads;
    if threads != 1 {
        return Err(JailError::Threads(threads));
    }
    let mut parts = vec![Part::on("descriptors", "nothing was inherited without need".to_owned())];
    let unix_socket = rules.unix_socket.as_deref();
    parts.extend(privileges::give_up(unix_socket.is_some())?);
    // Last, because the steps before read /proc.
    parts.extend(files::close(unix_socket));
    Ok(Entered { parts })
}

impl Part {
    const fn on(name: &'static str, detail: String) -> Self {
        Self { name, state: State::On(detail) }
    }

    const fn off(name: &'static str, reason: String) -> Self {
        Self { name, state: State::Off(reason) }
    }

    #[must_use]
    pub const fn is_on(&self) -> bool {
        matches!(self.state, State::On(_))
    }
}
