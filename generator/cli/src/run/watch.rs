//! What is seen of a run while it goes on: every snapshot is admitted once, summed, and laid on the timeline.

use std::collections::BTreeMap;

use brunt_engine::{Finished, Stop, StopSwitch};
use brunt_model::codec::SPAN_MAX_NS;
use brunt_model::exchange::Exchange;
use brunt_model::ledger::{Admission, Ledger};
use brunt_model::limit::{Broken, LiveLimits};
use brunt_model::plan::Plan;
use brunt_model::samples;
use brunt_model::snapshot::{CoreTime, Snapshot, Stats};
use brunt_model::tempo::RateChange;
use brunt_model::timeline::{Closed, Row, Timeline};
use brunt_model::units::{CoreId, Nanos};
use brunt_model::verdict::{HostPressure, Thresholds};

use super::progress::Progress;
use crate::engine::{Loss, Seen};
use crate::host::clock::monotonic_nanos;
use crate::host::pressure::PressureGauge;
use crate::tui::{Load, View};

/// How often the whole engine is looked at.
const LOOK_EVERY: Nanos = Nanos::from_millis(100);

/// Follows one run.
pub(crate) struct Watch {
    ledger: Ledger,
    timeline: Timeline,
    limits: LiveLimits,
    stop: StopSwitch,
    busy: Busy,
    pressure: PressureGauge,
    progress: Progress,
    /// In place of the progress line, once the run has begun.
    view: Option<View>,
    /// When the cores were ready.
    started: Nanos,
    rate_changes: Vec<RateChange>,
    refused: Option<String>,
    looked: Nanos,
    /// What the engine says of its jail.
    jail: Option<String>,
    samples: Vec<samples::Observed>,
    exchanges: Vec<Exchange>,
}

/// What a watch knows at the end.
pub(crate) struct Observed {
    pub timeline: Vec<Row>,
    /// Of each of the plan's limits, where it did not hold while the run went on.
    pub broken: Vec<Option<Broken>>,
    pub rate_changes: Vec<RateChange>,
    pub busy_for: Nanos,
    pub busiest: f64,
    pub host: HostPressure,
    pub jail: Option<String>,
    pub samples: Vec<samples::Observed>,
    pub exchanges: Vec<Exchange>,
    pub fault: Option<String>,
}

impl Watch {
    /// `stop` is pressed once if a limit asks for that.
    pub(crate) fn new(
        plan: &Plan,
        cores: &[CoreId],
        stop: StopSwitch,
        progress: Progress,
        view: Option<View>,
    ) -> Self {
        Self {
            ledger: Ledger::new(plan.request_names().len()),
            timeline: Timeline::new(plan, cores.len()),
            limits: LiveLimits::new(&plan.limits, plan.catalogue(), plan.interval, plan.warmup),
            stop,
            busy: Busy::default(),
            pressure: PressureGauge::new(cores),
            progress,
            view,
            started: Nanos::ZERO,
            rate_changes: Vec::new(),
            refused: None,
            looked: Nanos::ZERO,
            jail: None,
            samples: Vec::new(),
            exchanges: Vec::new(),
        }
    }

    pub(crate) fn see(&mut self, seen: Seen<'_>) {
        match seen {
            Seen::Started { process, threads } => {
                self.pressure.begin(process, threads);
                self.started = monotonic_nanos();
                self.begin_view();
            }
            Seen::Interval(snapshot) => self.add(snapshot),
            Seen::Retuned(per_mille) => self.retune(per_mille),
            Seen::Jailed(text) => self.jail = Some(text.to_owned()),
            Seen::Sampled(samples) => self.samples = samples,
            Seen::Exchanged(exchange) => self.exchanges.push(*exchange),
            Seen::Turn => {
                self.look();
                if let Some(view) = &mut self.view {
                    view.turn(monotonic_nanos());
                }
            }
        }
    }

    /// Looks whether the engine runs at all: at each row, and more often where a caller has the time; every 100 ms or so
    /// is meant.
    pub(crate) fn look(&mut self) {
        let now = monotonic_nanos();
        if now.0.saturating_sub(self.looked.0) >= LOOK_EVERY.0 {
            self.looked = now;
            self.pressure.look(now);
        }
    }

    fn add(&mut self, snapshot: &Snapshot) {
        self.pressure.sample(snapshot.core);
        match self.ledger.admit(snapshot) {
            Admission::Admitted => {}
            other => {
                let what =
                    format!("snapshot {} of core {} was refused ({other:?})", snapshot.seq, snapshot.core);
                self.refused.get_or_insert(what);
                return;
            }
        }
        self.busy.add(snapshot.core, &snapshot.time);
        self.timeline.add(snapshot);
        while let Some(closed) = self.timeline.close_complete() {
            match &mut self.view {
                Some(view) => {
                    let load = Load { busy_for: self.busy.longest(), busiest: self.busy.busiest() };
                    view.add(&closed.row, self.ledger.total(), load);
                }
                None => self.progress.show(&closed.row),
            }
            self.judge(&closed);
            self.look();
        }
    }

    /// Looks whether the limits hold. Once a run is stopped, its figures are those of a run that ends.
    fn judge(&mut self, closed: &Closed) {
        if self.stop.get() == Stop::No && self.limits.see(closed.row.tick, &closed.stats) {
            self.stop.press();
            self.progress.note("stopping: a limit that ends the run was missed");
        }
    }

    fn retune(&mut self, per_mille: u16) {
        let at_ns = monotonic_nanos().0.saturating_sub(self.started.0);
        let change = RateChange { at_ns, per_mille };
        self.rate_changes.push(change);
        self.timeline.retune(change);
        if let Some(view) = &mut self.view {
            view.retune(change);
        }
    }

    /// Where the terminal cannot be taken, the progress line goes on.
    fn begin_view(&mut self) {
        let Some(view) = &mut self.view else { return };
        self.progress.clear();
        if let Err(error) = view.begin(self.started) {
            self.view = None;
            self.progress.resume();
            self.progress.note(&format!("note: no terminal view ({error}); --no-tui leaves it out"));
        }
    }

    /// Leaves the terminal as it was.
    pub(crate) fn end_progress(&mut self) {
        self.view = None;
        self.progress.clear();
    }

    /// The end; `total` is what the cores counted for themselves.
    pub(crate) fn finish(mut self, total: &Stats) -> Observed {
        let fault = self.refused.take().or_else(|| {
            (self.ledger.total() != total)
                .then(|| "the intervals do not sum up to what the cores counted in all".to_owned())
        });
        self.observed(fault.map(|what| format!("a fault of brunt's own, please report it: {what}")))
    }

    /// The end of a run whose engine was lost: what its snapshots counted stands, and what they began and did not see
    /// the end of is lost.
    pub(crate) fn finish_lost(self, loss: &Loss, stopped: bool) -> (Finished, Observed) {
        let mut total = self.ledger.total().clone();
        total.lose_the_rest();
        let (requests, arrivals) = (total.counters.lost, total.counters.lost_arrivals);
        let finished = Finished {
            total,
            elapsed: Nanos(u64::try_from(loss.elapsed.as_nanos()).unwrap_or(u64::MAX)),
            load_time: self.busy.counted(),
            arrivals_in_flight: 0,
            requests_in_flight: 0,
            late_for_connections: 0,
            stopped,
            unreachable: false,
            told: Vec::new(),
        };
        let counted = finished.load_time;
        let fault = format!(
            "the engine process {}; what is here was counted in the first {counted}, and {requests} requests and \
             {arrivals} arrivals under way then are lost",
            loss.what
        );
        (finished, self.observed(Some(fault)))
    }

    fn observed(mut self, fault: Option<String>) -> Observed {
        let was_stopped = self.stop.get() != Stop::No;
        while let Some(closed) = self.timeline.close_oldest() {
            if !was_stopped {
                self.limits.see(closed.row.tick, &closed.stats);
            }
        }
        Observed {
            jail: self.jail,
            samples: self.samples,
            exchanges: self.exchanges,
            timeline: self.timeline.into_rows(),
            broken: self.limits.broken(),
            rate_changes: self.rate_changes,
            busy_for: self.busy.longest(),
            busiest: self.busy.busiest(),
            host: HostPressure { stalled: self.busy.stalled(), ..self.pressure.finish() },
            fault,
        }
    }
}

/// How busy each core was.
#[derive(Default)]
struct Busy(BTreeMap<u32, CoreBusy>);

#[derive(Default)]
struct CoreBusy {
    all: CoreTime,
    /// Length of the stretch over the threshold that lasts until now, and of the longest.
    stretch: Nanos,
    longest: Nanos,
}

impl Busy {
    fn add(&mut self, core: u32, time: &CoreTime) {
        let core = self.0.entry(core).or_default();
        // Another process counted them, and may have made them up.
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more).min(SPAN_MAX_NS);
        add(&mut core.all.wall_ns, time.wall_ns);
        add(&mut core.all.busy_ns, time.busy_ns);
        add(&mut core.all.stalled_ns, time.stalled_ns);
        let is_over = time.busy_ratio() > Thresholds::default().busy;
        core.stretch = if is_over { core.stretch } else { Nanos::ZERO };
        add(&mut core.stretch.0, if is_over { time.wall_ns } else { 0 });
        core.longest = core.longest.max(core.stretch);
    }

    fn longest(&self) -> Nanos {
        self.0.values().map(|core| core.longest).max().unwrap_or_default()
    }

    /// How far the snapshots of any core reach.
    fn counted(&self) -> Nanos {
        Nanos(self.0.values().map(|core| core.all.wall_ns).max().unwrap_or_default())
    }

    fn stalled(&self) -> Nanos {
        Nanos(self.0.values().map(|core| core.all.stalled_ns).sum())
    }

    fn busiest(&self) -> f64 {
        self.0.values().map(|core| core.all.busy_ratio()).fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use brunt_model::limit::{Limit, PlannedLimit};
    use brunt_model::outcome::ErrorKind;
    use brunt_model::plan::{Inputs, compile};
    use brunt_model::scenario::Scenario;

    use super::*;

    fn plan() -> Plan {
        let mut scenario = Scenario::of("http://127.0.0.1/");
        scenario.load.connections = Some(2);
        let inputs = Inputs { addresses: vec!["127.0.0.1:80".parse().unwrap()], ..Inputs::default() };
        compile(&scenario, &inputs).unwrap()
    }

    fn snapshot(core: u32, seq: u64, busy_percent: u64) -> Snapshot {
        let mut stats = Stats::new(1);
        stats.counters.bytes_in = 7;
        let time = CoreTime { wall_ns: 1_000_000_000, busy_ns: busy_percent * 10_000_000, stalled_ns: 0 };
        Snapshot { seq, tick: seq, stats, time, connections: 1, ..Snapshot::blank(0, core, 0) }
    }

    fn watch_of(plan: &Plan, cores: &[CoreId]) -> Watch {
        Watch::new(plan, cores, StopSwitch::default(), Progress::new(plan, false), None)
    }

    fn observe(snapshots: &[Snapshot], counted: u64) -> Observed {
        let plan = plan();
        let mut watch = watch_of(&plan, &[CoreId(0), CoreId(1)]);
        watch.look();
        watch.see(Seen::Started { process: 1, threads: &[1, 2] });
        watch.look();
        snapshots.iter().for_each(|snapshot| watch.see(Seen::Interval(snapshot)));
        let mut total = Stats::new(1);
        total.counters.bytes_in = counted;
        watch.finish(&total)
    }

    #[test]
    fn busy_stretches_are_consecutive_and_by_core() {
        let busy: Vec<_> =
            [96, 97, 50, 99].iter().zip(0..).map(|(&busy, seq)| snapshot(0, seq, busy)).collect();
        let idle: Vec<_> = (0..4).map(|seq| snapshot(1, seq, if seq == 2 { 100 } else { 1 })).collect();
        let mixed: Vec<_> = busy.into_iter().zip(idle).flat_map(|(a, b)| [a, b]).collect();
        let observed = observe(&mixed, 56);
        assert_eq!(observed.busy_for, Nanos::from_secs(2));
        assert!((observed.busiest - 0.855).abs() < 1e-9);
        assert_eq!((observed.timeline.len(), observed.fault), (4, None));
    }

    #[test]
    fn what_does_not_add_up_is_a_fault() {
        let fault = |snapshots: &[Snapshot], counted| observe(snapshots, counted).fault.unwrap_or_default();
        assert!(fault(&[snapshot(0, 0, 1)], 8).contains("do not sum up"));
        assert!(fault(&[snapshot(0, 0, 1), snapshot(0, 0, 1)], 7).contains("Duplicate"));
        assert_eq!(fault(&[snapshot(0, 0, 1), snapshot(0, 1, 1)], 14), "");
    }

    /// Completed and failed requests of each second, under a limit that ends the run: is the switch pressed, and
    /// how far did the limit hold?
    fn check_end(seconds: &[(u64, u64)], pressed: Stop, want: Stop, broken_at: Option<u64>) {
        let limit: Limit = "error_rate < 50%".parse().unwrap();
        let limits = vec![PlannedLimit { abort: true, ..limit.into() }];
        let (plan, stop) = (Plan { limits, ..plan() }, StopSwitch::default());
        (0..pressed as u8).for_each(|_| stop.press());
        let mut watch = Watch::new(&plan, &[CoreId(0)], stop.clone(), Progress::new(&plan, false), None);
        for (seq, &(completed, failed)) in (0..).zip(seconds) {
            let mut one = snapshot(0, seq, 1);
            let request = &mut one.stats.requests[0];
            (0..completed).for_each(|_| request.response_ok.record(1_000));
            (0..failed).for_each(|_| request.response_failed.record(1_000));
            watch.see(Seen::Interval(&one));
        }
        let observed = watch.finish(&Stats::new(1));
        let at = observed.broken.iter().map(|broken| broken.map(|broken| broken.at)).collect::<Vec<_>>();
        assert_eq!((stop.get(), at), (want, vec![broken_at.map(Nanos::from_secs)]), "{seconds:?}");
    }

    #[test]
    fn a_limit_ends_the_run_with_one_press() {
        check_end(&[(9, 1), (0, 20), (0, 20)], Stop::No, Stop::Drain, Some(2));
        check_end(&[(9, 1), (9, 1)], Stop::No, Stop::No, None);
        check_end(&[(0, 9)], Stop::No, Stop::No, None);
        // Somebody was faster.
        check_end(&[(0, 99)], Stop::Drain, Stop::Drain, None);
    }

    #[test]
    fn a_changed_rate_is_kept_for_the_result() {
        let plan = plan();
        let mut watch = watch_of(&plan, &[CoreId(0)]);
        watch.see(Seen::Started { process: 1, threads: &[1] });
        [1_100, 1_000].iter().for_each(|&per_mille| watch.see(Seen::Retuned(per_mille)));
        let changes = watch.finish(&Stats::new(1)).rate_changes;
        assert_eq!(changes.iter().map(|change| change.per_mille).collect::<Vec<_>>(), [1_100, 1_000]);
        assert!(changes[0].at_ns <= changes[1].at_ns && changes[1].at_ns < 60_000_000_000, "{changes:?}");
    }

    #[test]
    fn what_was_under_way_is_lost_with_the_engine() {
        let plan = plan();
        let mut watch = watch_of(&plan, &[CoreId(0)]);
        let mut one = snapshot(0, 0, 1);
        let c = &mut one.stats.counters;
        (c.scheduled, c.started, c.finished, c.completed, c.dropped) = (20, 15, 9, 9, 2);
        watch.see(Seen::Interval(&one));
        let loss = Loss { what: "ended".to_owned(), elapsed: std::time::Duration::from_secs(2) };
        let (finished, observed) = watch.finish_lost(&loss, false);
        let counters = &finished.total.counters;
        assert_eq!((counters.lost, counters.lost_arrivals), (6, 9));
        assert_eq!(counters.check(0, 0), Ok(()));
        assert_eq!(finished.total.requests[0].errors[ErrorKind::EngineLost.index()], 6);
        assert_eq!((finished.elapsed, finished.load_time), (Nanos::from_secs(2), Nanos::from_secs(1)));
        assert_eq!(
            observed.fault.unwrap_or_default(),
            "the engine process ended; what is here was counted in the first 1.00 s, and 6 requests and 9 arrivals \
             under way then are lost"
        );
    }
}
