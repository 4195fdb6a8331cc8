//! The engine in a process of its own: what a target answers is never parsed beside this process's files and outputs,
//! and a crash of the engine is an outcome of the run, not the end of `brunt`.
//!
//! ```text
//!  brunt run (supervisor)                                   brunt engine (child)
//!     spawn  ------------------------------------------->   enters its jail, dies with its parent, leaves signals to it
//!     (a loader moves it into its cgroup)
//!     send   -- stdin: job, then then orders ------------>   compiles the plan, checks its id, maps the kernel's
//!                                                             memory, makes rings, seals the jail, runs
//!     follow <- stdout: started, intervals, key log, end --
//! ```
//!
//! The child gets no environment, no file and no argument that tells a secret: all comes through the pipe. What it
//! sends is not believed: `message` and [`brunt_model::codec`] check it, `frame` bounds it, and `supervisor` gives
//! each wait a deadline.

pub(crate) mod child;
mod frame;
mod job;
mod message;
mod order;
mod outbox;
mod supervisor;
mod timer;

pub(crate) use self::job::{Job, Memory};
pub(crate) use self::message::Failure;
pub(crate) use self::supervisor::{Ending, Inherited, Loss, Seen, Supervisor};
