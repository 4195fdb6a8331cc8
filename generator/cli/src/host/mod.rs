//! What this host is and what it does to the engine. Readers of `/proc` and `/sys` are split into a pure parser and
//! a reader that makes nothing of a missing file: a figure that cannot be had is left out, it never ends a run.

pub(crate) mod cgroup;
pub(crate) mod clock;
pub(crate) mod cpu;
mod drops;
pub(crate) mod environment;
pub(crate) mod files;
pub(crate) mod identity;
pub(crate) mod pressure;
pub(crate) mod uring;

use std::path::Path;

/// The trimmed text of a small file, if it can be read and says something.
pub(crate) fn text_of(path: impl AsRef<Path>) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The number in a small file.
pub(crate) fn number_of(path: impl AsRef<Path>) -> Option<u64> {
    text_of(path)?.parse().ok()
}
