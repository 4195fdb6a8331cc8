//! End to end: the built `brunt` against real and hand-made servers on the loopback.
//!
//! One test at a time makes load (`brunt_tests::turn`). Counts are exact: what Brunt says it sent is what the
//! server says it got.

#[path = "e2e/broken.rs"]
mod broken;
#[path = "e2e/closed.rs"]
mod closed;
#[path = "e2e/exits.rs"]
mod exits;
#[path = "e2e/lost.rs"]
mod lost;
#[path = "e2e/open.rs"]
mod open;
#[path = "e2e/outputs.rs"]
mod outputs;
#[path = "e2e/shortage.rs"]
mod shortage;
#[path = "e2e/signals.rs"]
mod signals;
#[path = "e2e/sound.rs"]
mod sound;
#[path = "e2e/terminal.rs"]
mod terminal;
#[path = "e2e/tools.rs"]
mod tools;
#[path = "e2e/verdicts.rs"]
mod verdicts;
#[path = "e2e/ways.rs"]
mod ways;

/// Both I/O drivers; every behaviour on the wire is checked with each.
pub(crate) const IO: [&str; 2] = ["uring", "epoll"];
