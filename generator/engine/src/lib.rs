//! Runs a plan on this host: one pinned thread a core, nothing shared between them.
//!
//! [`run`] is the only door. It neither prints, reads the environment, resolves names nor installs signal handlers:
//! all of that is the caller's.

mod clock;
pub mod conn;
mod connection;
mod core_loop;
mod exchange;
mod fill;
mod flow;
pub mod fuzzing;
mod io;
mod judge;
mod lane;
pub mod limits;
mod pacer;
mod pool;
mod receive;
mod record;
mod samples;
mod send;
mod settings;
pub mod sight;
#[cfg(test)]
mod simulation;
mod stamps;
mod threads;
mod trace;
mod users;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU16, Ordering};

use brunt_loader::timing::Timing;
use brunt_model::exchange::Exchange;
use brunt_model::expr::Value;
use brunt_model::plan::Plan;
use brunt_model::samples::Observed;
use brunt_model::snapshot::{Snapshot, Stats};
use brunt_model::tempo::{PER_MILLE_MAX, PER_MILLE_MIN, PER_MILLE_OF_PLAN};
use brunt_model::units::{CoreId, Nanos};

/// How the kernel is asked for I/O.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Io {
    Uring,
    Epoll,
}

/// How a slot's time is waited for.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Pace {
    /// Sleep, then spin the last stretch: microseconds late, and the core is taken.
    Precise,
    /// Sleep to the next quantum: cheap, and up to a tenth of a millisecond late.
    Efficient,
}

/// Takes from this process what it will not need any more, once all is made that a run needs.
pub type Seal = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// What a run is given beside its plan.
#[derive(Clone)]
pub struct Parts {
    pub io: Io,
    pub pace: Pace,
    /// One engine thread each, pinned to it.
    pub cores: Vec<CoreId>,
    /// The kernel's present clock source is the time stamp counter: it measured the counter and found it steady.
    pub trust_tsc: bool,
    /// Trust and identity of an `https:` plan.
    pub tls: Arc<conn::tls::Material>,
    /// What expressions of the script see beside the plan.
    pub data: sight::Data,
    /// The kernel's time stamps of each connection, where they are to be had.
    pub timing: Option<Arc<Timing>>,
    /// Called once, on the thread of the caller, after every core has its rings, timers and TLS, and before any opens
    /// a connection. After it no thread is begun, no file opened and no ring made; if it fails, the run does not begin.
    pub seal: Option<Seal>,
    /// Each core waits so long before it handles what has arrived. Only for tests that need a slow reader.
    pub late_reads: Nanos,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts")
            .field("io", &self.io)
            .field("pace", &self.pace)
            .field("cores", &self.cores)
            .field("trust_tsc", &self.trust_tsc)
            .field("timing", &self.timing.is_some())
            .field("seal", &self.seal.is_some())
            .field("late_reads", &self.late_reads)
            .finish_non_exhaustive()
    }
}

/// Ends a run from outside; clones share the same switch.
#[derive(Clone, Default, Debug)]
pub struct StopSwitch(Arc<AtomicU8>);

#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Stop {
    No,
    /// Send nothing new, wait for what is under way.
    Drain,
    /// Give up what is under way.
    Now,
}

impl StopSwitch {
    /// Stops sending; a second call gives up what is under way.
    pub fn press(&self) {
        let pressed = self.0.load(Ordering::Relaxed);
        self.0.store((pressed + 1).min(2), Ordering::Relaxed);
    }

    #[inline(always)]
    #[must_use]
    pub fn get(&self) -> Stop {
        match self.0.load(Ordering::Relaxed) {
            0 => Stop::No,
            1 => Stop::Drain,
            _ => Stop::Now,
        }
    }
}

/// Changes the rate of an open load while it runs; clones share the same dial. Each core heeds it within 10 ms: later
/// slots come closer together or farther apart, and there are as many as planned.
#[derive(Clone, Debug)]
pub struct RateDial(Arc<AtomicU16>);

impl Default for RateDial {
    fn default() -> Self {
        Self(Arc::new(AtomicU16::new(PER_MILLE_OF_PLAN)))
    }
}

impl RateDial {
    /// Sets the rate to so many thousandths of the plan's, or the nearest that it may be.
    pub fn set(&self, per_mille: u16) {
        self.0.store(per_mille.clamp(PER_MILLE_MIN, PER_MILLE_MAX), Ordering::Relaxed);
    }

    /// In thousandths of the plan's rate.
    #[inline]
    #[must_use]
    pub fn get(&self) -> u16 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a run is steered by from outside.
#[derive(Clone, Default, Debug)]
pub struct Controls {
    pub stop: StopSwitch,
    pub dial: RateDial,
}

/// What a run tells while it goes on, on the caller's thread.
#[derive(Debug)]
pub enum Event<'a> {
    /// All cores are ready and T0 is set. The kernel's ids of the engine's threads, by core.
    Started { threads: &'a [i32] },
    /// At the end: failures, a few of each kind and name.
    Sampled(&'a [Observed]),
    /// At the end of a run that keeps its exchanges: the next of them.
    Exchanged(&'a Exchange),
    /// One core's interval. Every core sends one per interval and one at its end.
    Interval(&'a Snapshot),
}

/// The end of a run.
#[derive(Debug)]
pub struct Finished {
    /// The sum of what each core counted for itself: equal to the sum of all snapshots.
    pub total: Stats,
    /// From T0 to the end of the last core.
    pub elapsed: Nanos,
    /// From T0 to when the last request could begin.
    pub load_time: Nanos,
    pub arrivals_in_flight: u64,
    pub requests_in_flight: u64,
    /// Late slots that waited because every allowed connection was in use.
    pub late_for_connections: u64,
    /// The switch was pressed before the load ended by itself.
    pub stopped: bool,
    /// No connection could ever be made, so the load was ended early.
    pub unreachable: bool,
    /// The values of the script's variables that are to be told, unless they are too long together.
    pub told: Vec<Value>,
}

/// Why a run could not begin, or broke.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("io_uring is not usable here ({0}); use --io epoll")]
    Uring(#[source] std::io::Error),
    #[error("epoll cannot be set up: {0}")]
    Epoll(#[source] std::io::Error),
    #[error(transparent)]
    Tls(#[from] conn::tls::SetupError),
    #[error("core {0} cannot be pinned to; choose others with --cores")]
    Pin(u32),
    #[error("the engine could not be sealed off: {0}")]
    Seal(String),
    #[error("an engine thread could not be started: {0}")]
    Thread(#[source] std::io::Error),
    #[error("an engine thread ended unexpectedly; please report this")]
    Panicked,
    #[error("another core could not begin")]
    Withdrawn,
}

/// Runs the plan to its end, or until the switch is pressed, and returns what the cores counted.
///
/// # Errors
/// When the run cannot begin or an engine thread breaks. Whatever the target does is an outcome, never an error.
pub fn run(
    plan: &Arc<Plan>,
    parts: &Parts,
    controls: &Controls,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<Finished, EngineError> {
    threads::run(plan, parts, controls, on_event)
}

/// Has the plan several requests under way on a connection, or records around them, so that their kernel times take
/// logs beside the newest stamps?
#[must_use]
pub fn needs_logs(plan: &Plan) -> bool {
    !settings::is_one_at_a_time(plan)
}

/// Is io_uring usable on this host, with what the engine needs of it?
///
/// # Errors
/// What the kernel refused.
pub fn probe_uring() -> std::io::Result<()> {
    io::uring::probe()
}

/// Keeps all descriptors from 3 on that are open now out of the processes that this one starts, whoever opened them.
///
/// # Errors
/// When /proc cannot be read.
pub fn pass_nothing_on() -> std::io::Result<()> {
    io::inherit::pass_nothing_on()
}
