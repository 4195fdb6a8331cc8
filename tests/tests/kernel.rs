//! The kernel's part of a run, by way of a loader: time stamps, the guard, and what is there when they are not.

#[path = "kernel/absent.rs"]
mod absent;
#[path = "kernel/common.rs"]
mod common;
#[path = "kernel/exclusive.rs"]
mod exclusive;
#[path = "kernel/loader.rs"]
mod loader;
