//! The kernel's part of a run, by way of a loader: time stamps against the truth, how far they reach, what the verdict makes of
//! planted faults, the guard, and what is there when they are not. Needs root and the kernel that Brunt is for; with `BRUNT_MUST_RUN` set nothing may be skipped.

#[path = "kernel/absent.rs"]
mod absent;
#[path = "kernel/common.rs"]
mod common;
#[path = "kernel/coverage.rs"]
mod coverage;
#[path = "kernel/exclusive.rs"]
mod exclusive;
#[path = "kernel/faults.rs"]
mod faults;
#[path = "kernel/loader.rs"]
mod loader;
#[path = "kernel/truth.rs"]
mod truth;

use std::fs::OpenOptions;
use std::io::Write as _;

/// Both I/O drivers.
pub(crate) const IO: [&str; 2] = ["uring", "epoll"];

/// Adds a line to the table that `BRUNT_KERNEL_TABLE` names, where it does.
pub(crate) fn note(line: &str) {
    let Some(path) = std::env::var_os("BRUNT_KERNEL_TABLE") else { return };
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("the table can be written");
    writeln!(file, "{line}").expect("the table can be written");
}
