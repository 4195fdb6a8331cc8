//! One pinned thread a core: the seal, the start barrier, T0, and the hand-over of snapshots.
//!
//! All threads go through the same gates together with the caller's: every core is made; the seal is on; every core
//! has its first connections; T0 is set. Who cannot go on says so and passes the rest all the same, so that nobody
//! waits for ever.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Barrier};
use std::thread::JoinHandle;
use std::time::Duration;

use brunt_loader::timing::CoreTiming;
use brunt_model::plan::{Endpoint, Plan, Target};
use brunt_model::samples;
use brunt_model::snapshot::{Snapshot, Stats};
use brunt_model::split::Share;
use brunt_model::units::{CoreId, Nanos};

use crate::clock::{Clock, RealClock};
use crate::conn::tls::Setup;
use crate::core_loop::{CoreEnd, CoreLoop, Means};
use crate::io::epoll::Epoll;
use crate::io::uring::Uring;
use crate::limits::SNAPSHOTS;
use crate::record::Exchange;
use crate::settings::connections_of;
use crate::{Controls, EngineError, Event, Finished, Io, Pace, Parts};

/// T0 lies this far after the last core is ready, so that no core begins late.
const T0_AHEAD_NS: u64 = 1_000_000;

/// What the cores of one run share until T0. Nothing of it is touched after.
struct Start {
    gate: Barrier,
    t0: AtomicU64,
    threads: Vec<AtomicI32>,
    /// Cores that could not begin; if any, none does.
    failed: AtomicU64,
}

impl Start {
    fn any_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed) > 0
    }
}

/// What one core's thread is given.
struct Seat {
    plan: Arc<Plan>,
    share: Share,
    core: CoreId,
    io: Io,
    pace: Pace,
    clock: RealClock,
    tls: Vec<Option<Setup>>,
    timing: Option<CoreTiming>,
    late_reads: Nanos,
    data: crate::sight::Data,
    exchange: Exchange,
    controls: Controls,
    start: Arc<Start>,
}

type CoreThread = JoinHandle<Result<CoreEnd, EngineError>>;

/// Starts the cores, follows them to their end, and sums up.
pub(crate) fn run(
    plan: &Arc<Plan>,
    parts: &Parts,
    controls: &Controls,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<Finished, EngineError> {
    let cores = plan.assignments(parts.cores.len()).len();
    let start = Arc::new(Start {
        gate: Barrier::new(cores + 1),
        t0: AtomicU64::new(0),
        threads: (0..cores).map(|_| AtomicI32::new(0)).collect(),
        failed: AtomicU64::new(0),
    });
    let mut clock = RealClock::calibrated(parts.trust_tsc);
    let (filled, snapshots) = sync_channel(cores * SNAPSHOTS);
    let (threads, returns) = spawn(plan, parts, controls, clock, &start, &filled)?;
    drop(filled);

    start.gate.wait();
    let sealed = seal(parts, &start);
    start.gate.wait();
    start.gate.wait();
    if !start.any_failed() {
        let ids: Vec<_> = start.threads.iter().map(|id| id.load(Ordering::Relaxed)).collect();
        on_event(Event::Started { threads: &ids });
    }
    let t0 = clock.now() + T0_AHEAD_NS;
    start.t0.store(t0, Ordering::Relaxed);
    start.gate.wait();
    follow(&snapshots, &returns, &threads, on_event);
    let finished = sum_up(plan, threads, t0, on_event);
    sealed.and(finished)
}

/// Puts the seal on, unless the run does not begin anyway.
fn seal(parts: &Parts, start: &Start) -> Result<(), EngineError> {
    let Some(seal) = parts.seal.as_ref().filter(|_| !start.any_failed()) else { return Ok(()) };
    seal().map_err(|reason| {
        start.failed.fetch_add(1, Ordering::Relaxed);
        EngineError::Seal(reason)
    })
}

/// Passes snapshots on until every core is done.
fn follow(
    snapshots: &Receiver<Box<Snapshot>>,
    returns: &[SyncSender<Box<Snapshot>>],
    threads: &[CoreThread],
    on_event: &mut dyn FnMut(Event<'_>),
) {
    loop {
        match snapshots.recv_timeout(Duration::from_millis(100)) {
            Ok(snapshot) => {
                on_event(Event::Interval(&snapshot));
                // The core may be done already; then the snapshot has served its time.
                let _ = returns[snapshot.core as usize].try_send(snapshot);
            }
            Err(RecvTimeoutError::Timeout) if threads.iter().all(JoinHandle::is_finished) => return,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn sum_up(
    plan: &Plan,
    threads: Vec<CoreThread>,
    t0: u64,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<Finished, EngineError> {
    let mut finished = Finished {
        total: Stats::new(plan.request_names().len()),
        elapsed: Nanos::ZERO,
        load_time: Nanos::ZERO,
        arrivals_in_flight: 0,
        requests_in_flight: 0,
        late_for_connections: 0,
        stopped: false,
        unreachable: false,
        told: Vec::new(),
    };
    let (mut failure, mut sampled) = (None, Vec::new());
    for thread in threads {
        match thread.join() {
            Ok(Ok(mut end)) => {
                samples::merge(&mut sampled, std::mem::take(&mut end.samples));
                end.exchanges.iter().for_each(|exchange| on_event(Event::Exchanged(exchange)));
                finished.add(end, t0);
            }
            Ok(Err(error)) => failure = failure.or(error.into_cause()),
            Err(_) => failure = Some(EngineError::Panicked),
        }
    }
    if !sampled.is_empty() {
        on_event(Event::Sampled(&sampled));
    }
    failure.map_or(Ok(finished), Err)
}

impl Finished {
    fn add(&mut self, end: CoreEnd, t0: u64) {
        self.total.merge(&end.total);
        self.elapsed = self.elapsed.max(Nanos(end.ended_at.saturating_sub(t0)));
        self.load_time = self.load_time.max(Nanos(end.sent_until.saturating_sub(t0)));
        self.arrivals_in_flight += end.arrivals_in_flight;
        self.requests_in_flight += end.requests_in_flight;
        self.late_for_connections += end.late_for_connections;
        self.stopped |= end.stopped;
        self.unreachable |= end.unreachable;
        self.told.extend(end.told);
    }
}

impl EngineError {
    /// A core that only gave way to another's failure has nothing to say.
    fn into_cause(self) -> Option<Self> {
        match self {
            Self::Withdrawn => None,
            cause => Some(cause),
        }
    }
}

type Returns = Vec<SyncSender<Box<Snapshot>>>;

fn spawn(
    plan: &Arc<Plan>,
    parts: &Parts,
    controls: &Controls,
    clock: RealClock,
    start: &Arc<Start>,
    filled: &SyncSender<Box<Snapshot>>,
) -> Result<(Vec<CoreThread>, Returns), EngineError> {
    let plans: Vec<_> = plan.parts().into_iter().map(Arc::new).collect();
    let assignments = plan.assignments(parts.cores.len());
    // All of them before the first thread, which could not be called back.
    let setups: Vec<_> = assignments.iter().map(|_| tls_setup(plan, parts)).collect::<Result<_, _>>()?;
    let (mut threads, mut returns) = (Vec::new(), Vec::new());
    let reached = Arc::new(AtomicBool::new(false));
    let mut first = 0;
    for (seat, ((assigned, &core), tls)) in
        (0..).zip(assignments.iter().zip(parts.cores.iter().cycle()).zip(setups))
    {
        let (plan, share) = (&plans[assigned.part], assigned.share);
        let (back, returned) = sync_channel(SNAPSHOTS);
        for _ in 1..SNAPSHOTS {
            let spare = Box::new(Snapshot::blank(share.worker, seat, plan.request_names().len()));
            // The channel was made with room for all of them.
            let _ = back.try_send(spare);
        }
        let connections = connections_of(plan, share) as usize;
        let timing = core_timing(plan, parts, first, connections);
        first += connections;
        let seat = Seat {
            plan: plan.clone(),
            share,
            core,
            io: parts.io,
            pace: parts.pace,
            clock,
            tls,
            timing,
            late_reads: parts.late_reads,
            data: parts.data.clone(),
            exchange: Exchange { seat, filled: filled.clone(), returned, reached: reached.clone() },
            controls: controls.clone(),
            start: start.clone(),
        };
        let builder = std::thread::Builder::new().name(format!("core-{}", core.0));
        threads.push(builder.spawn(move || seat.sit()).map_err(EngineError::Thread)?);
        returns.push(back);
    }
    Ok((threads, returns))
}

/// The stamps of one core's connections. Only TCP has any.
fn core_timing(plan: &Plan, parts: &Parts, first: usize, connections: usize) -> Option<CoreTiming> {
    let tcp = plan.endpoints.iter().all(|endpoint| matches!(endpoint, Endpoint::Ip(_)));
    parts.timing.as_ref().filter(|_| tcp)?.core(first, connections)
}

/// By target.
fn tls_setup(plan: &Plan, parts: &Parts) -> Result<Vec<Option<Setup>>, EngineError> {
    let setup = |target: &Target| {
        target.tls.as_ref().map(|tls| Setup::new(tls, plan.protocol, &parts.tls)).transpose()
    };
    Ok(plan.targets.iter().map(setup).collect::<Result<_, _>>()?)
}

/// Gates that each thread passes.
const GATES: u32 = 4;

/// A core's way through the gates. A core that cannot begin, or panics before, passes the rest as well, so that the
/// others learn of it instead of waiting for ever.
struct Turnstile {
    start: Arc<Start>,
    passed: u32,
}

impl Turnstile {
    fn pass(&mut self) {
        self.passed += 1;
        self.start.gate.wait();
    }
}

impl Drop for Turnstile {
    fn drop(&mut self) {
        if self.passed < GATES {
            self.start.failed.fetch_add(1, Ordering::Relaxed);
            (self.passed..GATES).for_each(|_| self.pass());
        }
    }
}

impl Seat {
    fn sit(self) -> Result<CoreEnd, EngineError> {
        let turnstile = Turnstile { start: self.start.clone(), passed: 0 };
        let id = rustix::thread::gettid().as_raw_nonzero().get();
        self.start.threads[self.exchange.seat as usize].store(id, Ordering::Relaxed);
        if !core_affinity::set_for_current(core_affinity::CoreId { id: self.core.0 as usize }) {
            return Err(EngineError::Pin(self.core.0));
        }
        // Timers of this thread fire when they are due, not up to 50 us later (prctl(2)); without it they are late.
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
        let connections = connections_of(&self.plan, self.share) as usize;
        match self.io {
            Io::Uring => {
                let driver =
                    Uring::new(&self.plan, connections, self.timing.clone()).map_err(EngineError::Uring)?;
                self.work(driver, turnstile)
            }
            Io::Epoll => {
                let driver =
                    Epoll::new(&self.plan, connections, self.timing.clone()).map_err(EngineError::Epoll)?;
                self.work(driver, turnstile)
            }
        }
    }

    fn work<D: crate::io::Driver>(self, driver: D, mut turnstile: Turnstile) -> Result<CoreEnd, EngineError> {
        let Self {
            plan, share, pace, clock, tls, timing, late_reads, data, exchange, controls, start, ..
        } = self;
        let means = Means { driver, clock, tls, timing, late_reads, data };
        let mut core = CoreLoop::new(&plan, share, pace, means, exchange, controls);
        // From the second gate on the seal may be on: what needs more than sockets and memory came before.
        turnstile.pass();
        turnstile.pass();
        if start.any_failed() {
            return Err(EngineError::Withdrawn);
        }
        core.open_ahead();
        turnstile.pass();
        turnstile.pass();
        if start.any_failed() {
            return Err(EngineError::Withdrawn);
        }
        Ok(core.run(start.t0.load(Ordering::Relaxed)))
    }
}
