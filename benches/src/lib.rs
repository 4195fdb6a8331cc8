//! What the bench binaries share: children measured by their own CPU time, pinning, servers, the adapters of other
//! load generators, and the statistics of noisy pairs.
//!
//! - `peers` runs brunt and other load generators side by side;
//! - `runtimes` runs one keep-alive loop over several I/O interfaces and runtimes;
//! - `icount` counts instructions, for machines too noisy to time on.
//!
//! Generators run on one core and servers on another, always. CPU time comes from the kernel's accounting of the
//! child (`wait4`), never from what a tool says of itself; only the number of answers is read from its output.

pub mod affinity;
pub mod answers;
pub mod certificate;
pub mod child;
pub mod clock;
pub mod locust;
pub mod noise;
pub mod origin;
pub mod server;
pub mod stats;
pub mod table;
pub mod tools;
