//! Interval snapshots of many cores to one row a tick. Memory is bounded: a tick's sums are folded into a row of
//! fixed size as soon as every core is past it or has ended, and the number of rows has a limit.

use serde::{Deserialize, Serialize};

use crate::plan::{Load, Plan, TIMELINE_ROWS_MAX};
use crate::snapshot::{Snapshot, Stats};
use crate::tempo::{RATE_CHANGES_MAX, RateChange, Tempo};
use crate::units::Nanos;

/// One interval of the run. Durations in nanoseconds, rates in requests a second.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Row {
    pub tick: u64,
    /// The scheduled rate, as it was last changed; `null` in a closed run.
    pub target: Option<f64>,
    /// Requests completed a second.
    pub achieved: f64,
    pub p50: u64,
    pub p99: u64,
    pub kernel_p99: Option<u64>,
    pub errors: u64,
    pub connections: u64,
    pub lag_p99: u64,
}

/// Ticks kept open for cores that are behind; past it the oldest is closed as it is.
const OPEN_TICKS_MAX: usize = 4;

/// A tail shorter than this part of an interval gets no row.
const TAIL_SHARE: u64 = 10;

struct OpenTick {
    tick: u64,
    stats: Stats,
    /// By core, once it has reported.
    parts: Vec<Option<Part>>,
}

/// What one core did in a tick.
#[derive(Copy, Clone)]
struct Part {
    wall: Nanos,
    completed: u64,
    connections: u64,
    /// The core has ended in it.
    last: bool,
}

impl Part {
    /// Completed a second. Who has ended did nothing in what was left of `span`; who could not hand over in time speaks
    /// for more than one interval.
    fn rate(&self, span: Nanos) -> f64 {
        let wall = if self.last { self.wall.max(span) } else { self.wall };
        if wall == Nanos::ZERO { 0.0 } else { self.completed as f64 / wall.as_secs_f64() }
    }
}

/// A tick that is complete.
pub struct Closed {
    pub row: Row,
    /// What all cores together counted in it.
    pub stats: Stats,
}

/// Builds the rows of one run.
pub struct Timeline {
    interval: Nanos,
    load: Load,
    names: usize,
    /// By core, the tick in which it has ended.
    ended: Vec<Option<u64>>,
    open: Vec<OpenTick>,
    /// The first tick that is not closed yet.
    next: u64,
    rows: Vec<Row>,
    /// In order, the first from T0 on.
    tempos: Vec<Tempo>,
}

impl Timeline {
    /// For the cores of one worker, numbered from zero.
    #[must_use]
    pub fn new(plan: &Plan, cores: usize) -> Self {
        Self {
            interval: plan.interval,
            load: plan.load.clone(),
            names: plan.request_names().len(),
            ended: vec![None; cores],
            open: Vec::new(),
            next: 0,
            rows: Vec::new(),
            tempos: vec![Tempo::default()],
        }
    }

    /// The rate was changed, later than any time before. Past [`RATE_CHANGES_MAX`] changes it is taken for the last.
    pub fn retune(&mut self, change: RateChange) {
        let last = self.tempos.last().copied().unwrap_or_default();
        if self.tempos.len() <= RATE_CHANGES_MAX {
            self.tempos.push(last.changed(Nanos(change.at_ns), change.per_mille));
        }
    }

    /// The rate that an open load wants at a time after T0.
    fn target_at(&self, time: Nanos) -> Option<f64> {
        let after = self.tempos.partition_point(|tempo| tempo.since() <= time);
        let tempo = self.tempos[..after].last().copied().unwrap_or_default();
        Some(self.load.rate_at(tempo.scheduled_at(time))? * tempo.share())
    }

    /// Adds a snapshot to its tick.
    pub fn add(&mut self, snapshot: &Snapshot) {
        let core = snapshot.core as usize;
        if let Some(ended) = self.ended.get_mut(core).filter(|_| snapshot.last) {
            *ended = Some(snapshot.tick);
        }
        if snapshot.tick < self.next {
            return; // A core that was more than OPEN_TICKS_MAX behind; its totals still count.
        }
        let position = match self.open.binary_search_by_key(&snapshot.tick, |open| open.tick) {
            Ok(position) => position,
            Err(position) => {
                let (tick, stats) = (snapshot.tick, Stats::new(self.names));
                let parts = vec![None; self.ended.len()];
                self.open.insert(position, OpenTick { tick, stats, parts });
                position
            }
        };
        let open = &mut self.open[position];
        open.stats.merge(&snapshot.stats);
        if let Some(part) = open.parts.get_mut(core) {
            *part = Some(Part {
                wall: Nanos(snapshot.time.wall_ns),
                completed: snapshot.stats.counters.completed,
                connections: snapshot.connections,
                last: snapshot.last,
            });
        }
    }

    /// Closes the oldest tick if no core has anything to add to it, or too many are open.
    pub fn close_complete(&mut self) -> Option<Closed> {
        let open = self.open.first()?;
        let is_past = |(part, ended): (&Option<Part>, &Option<u64>)| {
            part.is_some() || ended.is_some_and(|ended| ended < open.tick)
        };
        let complete = open.parts.iter().zip(&self.ended).all(is_past);
        if complete || self.open.len() > OPEN_TICKS_MAX { self.close_oldest() } else { None }
    }

    /// Closes the oldest tick as it is: when the run is over, nothing more comes.
    pub fn close_oldest(&mut self) -> Option<Closed> {
        while !self.open.is_empty() {
            let open = self.open.remove(0);
            self.next = open.tick.saturating_add(1);
            let span = self.span(&open);
            if open.tick > 0 && span.0 * TAIL_SHARE < self.interval.0 {
                continue; // The rest after the last whole interval is too short for a rate; its totals still count.
            }
            let row = self.row(&open, span);
            if (self.rows.len() as u64) < TIMELINE_ROWS_MAX {
                self.rows.push(row.clone());
            }
            return Some(Closed { row, stats: open.stats });
        }
        None
    }

    /// How much of its interval the run was there for: all of it, unless all cores have ended by then.
    fn span(&self, open: &OpenTick) -> Nanos {
        if self.ended.iter().any(|ended| ended.is_none_or(|ended| ended > open.tick)) {
            return self.interval;
        }
        let walls = open.parts.iter().flatten().map(|part| part.wall.min(self.interval));
        walls.max().unwrap_or(Nanos::ZERO)
    }

    fn row(&self, open: &OpenTick, span: Nanos) -> Row {
        let all = open.stats.all_requests();
        let response = all.response();
        let bounds = [open.tick, open.tick + 1].map(|tick| Nanos(tick * self.interval.0));
        let target = self.target_at(Nanos(u64::midpoint(bounds[0].0, bounds[1].0)));
        Row {
            tick: open.tick,
            target,
            achieved: open.parts.iter().flatten().map(|part| part.rate(span)).sum(),
            p50: response.quantile(0.5),
            p99: response.quantile(0.99),
            kernel_p99: (!all.kernel.is_empty()).then(|| all.kernel.quantile(0.99)),
            errors: open.stats.counters.failed,
            connections: open.parts.iter().flatten().map(|part| part.connections).sum(),
            lag_p99: open.stats.lag.quantile(0.99),
        }
    }

    /// The rows of all ticks that are closed.
    #[must_use]
    pub fn into_rows(self) -> Vec<Row> {
        self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Inputs, compile};
    use crate::scenario::Scenario;
    use crate::snapshot::CoreTime;
    use crate::units::Rate;

    /// A core's interval with so many completed requests.
    fn snapshot(core: u32, tick: u64, completed: u64) -> Snapshot {
        let mut snapshot = Snapshot { tick, ..Snapshot::blank(0, core, 1) };
        snapshot.stats.counters.completed = completed;
        snapshot.time = CoreTime { wall_ns: 1_000_000_000, ..CoreTime::default() };
        snapshot
    }

    /// The ticks that snapshots of core, tick and count close, one after another, with what they counted.
    fn check(snapshots: &[(u32, u64, u64)], closed: &[(u64, u64)], still_open: &[(u64, u64)]) {
        let inputs = Inputs { addresses: vec!["127.0.0.1:80".parse().unwrap()], ..Inputs::default() };
        let plan = compile(&Scenario::of("http://h/"), &inputs).unwrap();
        let mut timeline = Timeline::new(&plan, 2);
        let figures = |closed: Closed| (closed.row.tick, closed.stats.counters.completed);
        let while_running = snapshots.iter().map(|&(core, tick, count)| snapshot(core, tick, count));
        let mut got = Vec::new();
        for one in while_running {
            timeline.add(&one);
            got.extend(std::iter::from_fn(|| timeline.close_complete()).map(figures));
        }
        assert_eq!(got, closed);
        let rest: Vec<_> = std::iter::from_fn(|| timeline.close_oldest()).map(figures).collect();
        assert_eq!(rest, still_open);
        let rows: Vec<_> = timeline.into_rows().iter().map(|row| (row.tick, row.achieved)).collect();
        let all = closed.iter().chain(still_open).map(|&(tick, count)| (tick, count as f64));
        assert_eq!(rows, all.collect::<Vec<_>>());
    }

    #[test]
    fn a_tick_closes_when_all_cores_are_past_it() {
        check(&[(0, 0, 1), (1, 0, 2), (1, 1, 4), (0, 1, 8)], &[(0, 3), (1, 12)], &[]);
        check(&[(0, 0, 1), (0, 1, 2), (1, 0, 4)], &[(0, 5)], &[(1, 2)]);
        // A core that is too far behind comes too late for its tick.
        let behind = [(0, 0, 1), (0, 1, 1), (0, 2, 1), (0, 3, 1), (0, 4, 1), (1, 0, 9), (1, 1, 2)];
        check(&behind, &[(0, 1), (1, 3)], &[(2, 1), (3, 1), (4, 1)]);
    }

    /// A second of one core: the core, the tick, how many milliseconds of it, what it completed, and whether it has ended.
    type Second = (u32, u64, u64, u64, bool);

    /// The ticks that each of these closes at once, with what was completed a second; no tick is left open.
    #[track_caller]
    fn check_ends(seconds: &[(Second, &[(u64, f64)])]) {
        let inputs = Inputs { addresses: vec!["127.0.0.1:80".parse().unwrap()], ..Inputs::default() };
        let mut timeline = Timeline::new(&compile(&Scenario::of("http://h/"), &inputs).unwrap(), 2);
        for &((core, tick, ms, completed, last), want) in seconds {
            let time = CoreTime { wall_ns: ms * 1_000_000, ..CoreTime::default() };
            timeline.add(&Snapshot { time, last, ..snapshot(core, tick, completed) });
            let closed = std::iter::from_fn(|| timeline.close_complete());
            let got: Vec<_> = closed.map(|closed| (closed.row.tick, closed.row.achieved)).collect();
            assert_eq!(got, want, "{core} {tick}");
        }
        assert!(timeline.close_oldest().is_none());
    }

    /// Loads of different length: rows came four intervals late once the shorter had ended, and its half second was
    /// taken for a whole one.
    #[test]
    fn who_has_ended_is_not_waited_for() {
        let (goes_on, ended) = (false, true);
        check_ends(&[
            ((0, 0, 1_000, 1_000, goes_on), &[]),
            ((1, 0, 1_000, 10, goes_on), &[(0, 1_010.0)]),
            ((0, 1, 500, 500, ended), &[]),
            ((1, 1, 1_000, 10, goes_on), &[(1, 510.0)]),
            ((1, 2, 1_000, 10, goes_on), &[(2, 10.0)]),
            ((1, 3, 250, 10, ended), &[(3, 40.0)]),
        ]);
        // All that waited for one that has ended closes with its last.
        check_ends(&[
            ((1, 0, 1_000, 10, goes_on), &[]),
            ((1, 1, 1_000, 20, goes_on), &[]),
            ((0, 0, 500, 500, ended), &[(0, 510.0), (1, 20.0)]),
            ((1, 2, 50, 1, ended), &[]),
        ]);
        // What is too short for a row of its own is part of one where others go on.
        check_ends(&[
            ((0, 0, 1_000, 1, goes_on), &[]),
            ((1, 0, 1_000, 1, goes_on), &[(0, 2.0)]),
            ((0, 1, 50, 5, ended), &[]),
            ((1, 1, 1_000, 10, goes_on), &[(1, 15.0)]),
            ((1, 2, 1_000, 10, ended), &[(2, 10.0)]),
        ]);
        // A row is as long as the last of the run.
        check_ends(&[((0, 0, 250, 100, ended), &[]), ((1, 0, 500, 100, ended), &[(0, 400.0)])]);
    }

    #[test]
    fn the_target_follows_changes_of_the_rate() {
        /// Changes as (seconds, per mille), and the targets of the seconds.
        fn check(changes: &[(u64, u16)], want: &[f64]) {
            let mut scenario = Scenario::of("http://h/");
            scenario.load.rate = Some(Rate::per_second(100));
            scenario.load.duration = Some(Nanos::from_secs(4));
            let inputs = Inputs { addresses: vec!["127.0.0.1:80".parse().unwrap()], ..Inputs::default() };
            let mut timeline = Timeline::new(&compile(&scenario, &inputs).unwrap(), 1);
            for &(seconds, per_mille) in changes {
                timeline.retune(RateChange { at_ns: Nanos::from_secs(seconds).0, per_mille });
            }
            for tick in 0..want.len() as u64 {
                let time = CoreTime { wall_ns: 1_000_000_000, ..CoreTime::default() };
                timeline.add(&Snapshot { tick, time, ..Snapshot::blank(0, 0, 1) });
            }
            while timeline.close_oldest().is_some() {}
            let got: Vec<_> = timeline.into_rows().iter().filter_map(|row| row.target).collect();
            assert_eq!(got, want, "{changes:?}");
        }
        check(&[], &[100.0, 100.0, 100.0, 100.0, 0.0]);
        check(&[(1, 2_000)], &[100.0, 200.0, 0.0]);
        check(&[(1, 500)], &[100.0, 50.0, 50.0, 50.0, 50.0, 50.0, 50.0, 0.0]);
        check(&[(1, 500), (3, 3_000)], &[100.0, 50.0, 50.0, 300.0, 0.0]);
    }
}
