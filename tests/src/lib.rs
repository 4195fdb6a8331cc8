//! The harness of the end-to-end suites: the binary under test, servers to aim it at, and faults to plant.
//!
//! Rules: no sleep instead of a condition; every wait has a deadline and says what it waited for; every process is
//! ended by its id; what this machine lacks is a skip with its reason, never a silent pass.

pub mod access;
pub mod apache;
pub mod brunt;
pub mod certificates;
pub mod clean;
pub mod clock;
pub mod cpu_share;
pub mod daemon;
pub mod data;
pub mod evil;
pub mod formats;
pub mod garbage;
pub mod hog;
pub mod lighttpd;
pub mod listen_queue;
pub mod loader;
pub mod loss;
pub mod netns;
mod nft;
pub mod nghttpd;
pub mod nginx;
pub mod origin;
pub mod packets;
pub mod paused;
pub mod port_range;
pub mod process;
pub mod proxy;
pub mod recorder;
pub mod skip;
pub mod terminal;
pub mod truth;
mod wire;
pub mod zoo;

use std::sync::{Mutex, MutexGuard, PoisonError};

static TURN: Mutex<()> = Mutex::new(());

/// Held by each test that makes load, so that tests never disturb each other's figures. A failed test leaves the
/// lock poisoned, which harms nobody.
pub fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Full counts and times instead of reduced ones.
#[must_use]
pub fn long() -> bool {
    std::env::var_os("BRUNT_LONG").is_some_and(|value| value == "1")
}
