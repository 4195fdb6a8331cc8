//! Which core something runs on, and the limits of this host that a bench needs raised.

use anyhow::{Context, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Pins the calling thread, and what it starts from now on, to one core.
///
/// # Errors
/// When the core does not exist or is not allowed to this process.
pub fn pin(core: usize) -> anyhow::Result<()> {
    if core >= CpuSet::MAX_CPU {
        bail!("core {core} does not exist; choose another with --core or --server-core");
    }
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set)
        .with_context(|| format!("core {core} cannot be used; choose another with --core or --server-core"))
}

/// Does `work` on another core and comes back. A child started by `work` stays on that core.
///
/// # Errors
/// When the core cannot be used.
pub fn on_core<T>(core: usize, work: impl FnOnce() -> T) -> anyhow::Result<T> {
    let home = sched_getaffinity(None).context("the allowed cores cannot be read")?;
    pin(core)?;
    let result = work();
    sched_setaffinity(None, &home).context("the former cores cannot be returned to")?;
    Ok(result)
}

/// Lets this process and its children open as many files as the hard limit allows.
///
/// # Errors
/// When that is fewer than `needed`.
pub fn raise_open_files(needed: u64) -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let allowed = limit.maximum.unwrap_or(u64::MAX);
    if allowed < needed {
        bail!("{needed} open files are needed and {allowed} are allowed; raise the hard limit (ulimit -Hn)");
    }
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).context("the limit on open files cannot be raised")
}
