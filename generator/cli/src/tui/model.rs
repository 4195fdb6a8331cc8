//! What the terminal view shows, as data: the rows of the timeline and the sums so far, kept within fixed memory.
//!
//! Pure: time comes in as an argument. Invariant: at most [`POINTS_MAX`] points, however long the run is; when they are
//! full, neighbours become one and every point stands for twice as many rows.

use brunt_model::outcome::ErrorKind;
use brunt_model::plan::Plan;
use brunt_model::snapshot::{RequestStats, Stats};
use brunt_model::tempo::{RateChange, Tempo};
use brunt_model::timeline::Row;
use brunt_model::units::Nanos;
use brunt_model::verdict::{Evidence, Thresholds, judge};

/// Points of a chart: more than a terminal has columns, at two dots a column.
pub(crate) const POINTS_MAX: usize = 600;
/// Request names in the table; no terminal has more lines to spare.
pub(crate) const TABLE_MAX: usize = 50;

/// What the charts show of one stretch of the run. Rates are a second, times nanoseconds.
#[derive(Copy, Clone, PartialEq, Debug)]
pub(crate) struct Point {
    /// The end of the stretch, from T0.
    pub end: Nanos,
    /// Rows that it stands for.
    rows: u32,
    /// `None` in a closed run.
    pub target: Option<f64>,
    pub achieved: f64,
    pub p50: u64,
    pub p99: u64,
    pub kernel_p99: Option<u64>,
}

impl Point {
    const fn of(row: &Row, end: Nanos) -> Self {
        let &Row { target, achieved, p50, p99, kernel_p99, .. } = row;
        Self { end, rows: 1, target, achieved, p50, p99, kernel_p99 }
    }

    /// Rates become their mean, and percentiles the higher one, so that a peak never vanishes.
    fn with(self, later: Self) -> Self {
        let (mine, theirs) = (f64::from(self.rows), f64::from(later.rows));
        let mean = |a: f64, b: f64| (a * mine + b * theirs) / (mine + theirs);
        Self {
            end: later.end,
            rows: self.rows + later.rows,
            target: self.target.zip(later.target).map(|(a, b)| mean(a, b)),
            achieved: mean(self.achieved, later.achieved),
            p50: self.p50.max(later.p50),
            p99: self.p99.max(later.p99),
            kernel_p99: self.kernel_p99.max(later.kernel_p99),
        }
    }
}

/// One request name, over the run so far.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Line {
    pub name: String,
    /// Ended after the warm-up, failed ones too.
    pub requests: u64,
    pub failed: u64,
    pub p50: Nanos,
    pub p99: Nanos,
}

/// How busy the cores were, which the sums do not tell.
#[derive(Copy, Clone, Default, Debug)]
pub(crate) struct Load {
    /// The longest stretch in which a core was over the threshold of the verdict.
    pub busy_for: Nanos,
    /// The busiest core over the run, 0..=1.
    pub busiest: f64,
}

/// All that is shown of one run.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub name: String,
    pub url: String,
    pub is_open: bool,
    names: Vec<String>,
    interval: Nanos,
    warmup: Nanos,
    max_connections: u32,
    /// The end of the load by plan, if it is known.
    planned: Option<Nanos>,
    tempo: Tempo,
    elapsed: Nanos,
    points: Vec<Point>,
    /// Rows that a whole point stands for.
    span: u32,
    newest: Option<Row>,
    failed_before: [u64; ErrorKind::COUNT],
    errors: Vec<(ErrorKind, f64)>,
    lines: Vec<Line>,
    doubts: Vec<String>,
}

impl Model {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            name: plan.name.clone(),
            url: plan.target().url.clone(),
            is_open: plan.load.is_open(),
            names: plan.request_names().to_vec(),
            interval: plan.interval,
            warmup: plan.warmup,
            max_connections: plan.max_connections(),
            planned: plan.load.duration(),
            tempo: Tempo::default(),
            elapsed: Nanos::ZERO,
            points: Vec::with_capacity(POINTS_MAX),
            span: 1,
            newest: None,
            failed_before: [0; ErrorKind::COUNT],
            errors: Vec::new(),
            lines: Vec::new(),
            doubts: Vec::new(),
        }
    }

    /// An interval is complete: its row, and the sums of the run up to it.
    pub(crate) fn add(&mut self, row: &Row, total: &Stats, load: Load) {
        let end = Nanos(row.tick.saturating_add(1).saturating_mul(self.interval.0));
        self.push(Point::of(row, end));
        let all = total.all_requests();
        self.count_errors(row, &all);
        let named = self.names.iter().zip(&total.requests).take(TABLE_MAX);
        self.lines = named.map(|(name, request)| Line::of(name, request)).collect();
        self.newest = Some(row.clone());
        self.pass(end);
        self.doubts = self.doubts(total, &all, load);
    }

    /// So much of the run has passed since T0.
    pub(crate) fn pass(&mut self, elapsed: Nanos) {
        self.elapsed = self.elapsed.max(elapsed);
    }

    /// The rate was changed, which moves the end of the load.
    pub(crate) fn retune(&mut self, change: RateChange) {
        self.tempo = self.tempo.changed(Nanos(change.at_ns), change.per_mille);
    }

    /// The present rate over the plan's.
    pub(crate) fn share(&self) -> f64 {
        self.tempo.share()
    }

    pub(crate) fn points(&self) -> &[Point] {
        &self.points
    }

    pub(crate) const fn newest(&self) -> Option<&Row> {
        self.newest.as_ref()
    }

    /// Errors a second in the newest interval, by kind, most first.
    pub(crate) fn errors(&self) -> &[(ErrorKind, f64)] {
        &self.errors
    }

    pub(crate) fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Why the numbers so far are not to be trusted; empty where nothing speaks against them.
    pub(crate) fn reasons(&self) -> &[String] {
        &self.doubts
    }

    pub(crate) fn elapsed(&self) -> Nanos {
        self.duration().map_or(self.elapsed, |duration| self.elapsed.min(duration))
    }

    /// From T0 to the end of the load, if it is known.
    pub(crate) fn duration(&self) -> Option<Nanos> {
        self.planned.map(|planned| self.tempo.time_of(planned))
    }

    /// Until the load ends; `None` where nobody knows.
    pub(crate) fn left(&self) -> Option<Nanos> {
        self.duration().map(|duration| Nanos(duration.0.saturating_sub(self.elapsed.0)))
    }

    fn push(&mut self, point: Point) {
        match self.points.last_mut() {
            Some(last) if last.rows < self.span => *last = last.with(point),
            _ => {
                if self.points.len() == POINTS_MAX {
                    self.halve();
                }
                self.points.push(point);
            }
        }
    }

    fn halve(&mut self) {
        self.points =
            self.points.chunks(2).filter_map(|pair| pair.iter().copied().reduce(Point::with)).collect();
        self.span = self.span.saturating_mul(2);
    }

    fn count_errors(&mut self, row: &Row, all: &RequestStats) {
        // A row may be missing where a core was far behind; then the next one speaks for both.
        let ticks =
            self.newest.as_ref().map_or(row.tick + 1, |before| row.tick.saturating_sub(before.tick).max(1));
        let seconds = Nanos(ticks.saturating_mul(self.interval.0)).as_secs_f64();
        let each = ErrorKind::ALL.into_iter().map(|kind| {
            let index = kind.index();
            (kind, all.errors[index].saturating_sub(self.failed_before[index]) as f64 / seconds)
        });
        let mut errors: Vec<_> = each.filter(|(_, rate)| *rate > 0.0).collect();
        errors.sort_by(|a, b| b.1.total_cmp(&a.1));
        self.errors = errors;
        self.failed_before = all.errors;
    }

    /// The reasons of the verdict, as far as they are known before the end.
    fn doubts(&self, total: &Stats, all: &RequestStats, load: Load) -> Vec<String> {
        let counters = &total.counters;
        let evidence = Evidence {
            open: self.is_open,
            lag_p99: Nanos(total.lag.quantile(0.99)),
            response_p50: Nanos(all.response().quantile(0.5)),
            scheduled: counters.measured_scheduled,
            late: counters.late,
            dropped: counters.measured_dropped,
            max_connections: self.max_connections,
            busy_for: load.busy_for,
            busiest: load.busiest,
            overflows: counters.overflows,
            ended: all.ended(),
            no_port: all.errors[ErrorKind::NoPort.index()],
            no_fd: all.errors[ErrorKind::NoFd.index()],
            policy: all.errors[ErrorKind::Policy.index()],
            answers: all.answers(),
            // During the warm-up no answer is counted, which is no silence.
            started: if self.elapsed > self.warmup { counters.started } else { 0 },
            ..Evidence::default()
        };
        judge(&evidence, &Thresholds::default()).reasons
    }
}

impl Line {
    fn of(name: &str, request: &RequestStats) -> Self {
        let response = request.response();
        Self {
            name: name.to_owned(),
            requests: response.count(),
            failed: request.response_failed.count(),
            p50: Nanos(response.quantile(0.5)),
            p99: Nanos(response.quantile(0.99)),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use brunt_model::outcome::Outcome;
    use brunt_model::plan::{Inputs, compile};
    use brunt_model::sample::{Kernel, Sample};
    use brunt_model::scenario::Scenario;
    use brunt_model::units::Rate;

    use super::*;

    /// An open run of this many seconds at 100 a second, or a closed one.
    pub(crate) fn plan(rate: Option<u64>, seconds: u64) -> Plan {
        let mut scenario = Scenario::of("http://127.0.0.1/a\u{1b}[2J");
        scenario.name = Some("\u{1b}[31mshop\r\n".to_owned());
        scenario.load.rate = rate.map(Rate::per_second);
        scenario.load.duration = Some(Nanos::from_secs(seconds));
        let inputs = Inputs { addresses: vec!["127.0.0.1:80".parse().unwrap()], ..Inputs::default() };
        compile(&scenario, &inputs).unwrap()
    }

    pub(crate) fn row(tick: u64, achieved: f64) -> Row {
        Row {
            tick,
            target: Some(100.0),
            achieved,
            p50: 1_000_000 + tick * 10_000,
            p99: 2_000_000 + tick * 50_000,
            kernel_p99: Some(500_000),
            errors: 1,
            connections: 4,
            lag_p99: 20_000,
        }
    }

    /// The sums after so many answers in 1 ms each, and failures of each kind.
    pub(crate) fn total(answers: u64, failures: &[(ErrorKind, u64)]) -> Stats {
        let mut stats = Stats::new(1);
        let outcomes = failures.iter().map(|(kind, count)| (Outcome::Failed(*kind), *count));
        for (outcome, count) in std::iter::once((Outcome::Completed(200), answers)).chain(outcomes) {
            let sample = Sample {
                intended_ns: 0,
                ready_ns: 0,
                sent_ns: Some(10_000),
                first_byte_ns: None,
                done_ns: 1_000_000,
                bytes_in: 0,
                kernel: Kernel::Off,
                outcome,
            };
            (0..count).for_each(|_| stats.record_arrival(0, &sample, true, 1_000_000));
        }
        let counters = &mut stats.counters;
        counters.started = counters.completed + counters.failed;
        counters.measured_scheduled = counters.started;
        stats
    }

    fn feed(model: &mut Model, ticks: u64) {
        let total = total(1, &[]);
        (0..ticks).for_each(|tick| model.add(&row(tick, 100.0 + tick as f64), &total, Load::default()));
    }

    #[test]
    fn charts_stay_small_and_lose_no_peak() {
        fn check(ticks: u64, points: usize, last_rows: u32) {
            let mut model = Model::new(&plan(Some(100), 80_000));
            feed(&mut model, ticks);
            let got = model.points();
            assert_eq!((got.len(), got.last().map(|point| point.rows)), (points, Some(last_rows)), "{ticks}");
            assert_eq!(got.iter().map(|point| u64::from(point.rows)).sum::<u64>(), ticks);
            assert_eq!(got.last().map(|point| point.end), Some(Nanos::from_secs(ticks)));
            assert_eq!(got.iter().map(|point| point.p99).max(), Some(2_000_000 + (ticks - 1) * 50_000));
            let mean =
                got.iter().map(|point| point.achieved * f64::from(point.rows)).sum::<f64>() / ticks as f64;
            assert!((mean - (100.0 + (ticks - 1) as f64 / 2.0)).abs() < 1e-6, "{mean}");
        }
        check(1, 1, 1);
        check(600, 600, 1);
        check(601, 301, 1);
        check(602, 301, 2);
        check(1_200, 600, 2);
        check(1_201, 301, 1);
        check(5_000, 313, 8);
    }

    #[test]
    fn rows_that_are_missing_leave_no_disorder() {
        for stride in [2, 7, 60] {
            let mut model = Model::new(&plan(Some(100), 80_000));
            let total = total(1, &[]);
            (0..1_500).for_each(|row| model.add(&self::row(row * stride, 1.0), &total, Load::default()));
            assert!(model.points().len() <= POINTS_MAX);
            assert!(model.points().windows(2).all(|pair| pair[0].end < pair[1].end), "{stride}");
        }
    }

    #[test]
    fn errors_are_a_second_and_by_kind() {
        use ErrorKind::{Reset, Status};
        fn check(model: &mut Model, tick: u64, sum: &[(ErrorKind, u64)], want: &[(ErrorKind, f64)]) {
            model.add(&row(tick, 1.0), &total(10, sum), Load::default());
            assert_eq!(model.errors(), want, "tick {tick}");
        }
        let mut model = Model::new(&plan(Some(100), 10));
        check(&mut model, 0, &[], &[]);
        check(&mut model, 1, &[(Status, 3)], &[(Status, 3.0)]);
        check(&mut model, 2, &[(Status, 4), (Reset, 6)], &[(Reset, 6.0), (Status, 1.0)]);
        check(&mut model, 4, &[(Status, 4), (Reset, 9)], &[(Reset, 1.5)]);
        check(&mut model, 5, &[(Status, 4), (Reset, 9)], &[]);
    }

    #[test]
    fn the_table_tells_of_each_name() {
        let mut model = Model::new(&plan(Some(100), 10));
        model.add(&row(0, 1.0), &total(98, &[(ErrorKind::Reset, 2)]), Load::default());
        let [line] = model.lines() else { panic!("{:?}", model.lines()) };
        assert_eq!((line.requests, line.failed), (100, 2));
        assert_eq!((line.p50, line.p99), (Nanos(1_000_000), Nanos(1_000_000)));
    }

    #[test]
    fn doubts_are_those_of_the_verdict() {
        fn check(change: impl FnOnce(&mut Stats), load: Load, want: &str) {
            let mut model = Model::new(&plan(Some(100), 10));
            let mut total = total(1_000, &[]);
            change(&mut total);
            model.add(&row(0, 1.0), &total, load);
            assert_eq!(model.reasons().len(), usize::from(!want.is_empty()), "{:?}", model.reasons());
            assert!(model.reasons().iter().all(|reason| reason.contains(want)), "{:?}", model.reasons());
        }
        let idle = Load::default();
        check(|_| {}, idle, "");
        check(|total| total.counters.late = 20, idle, "20 slots late and 0 dropped");
        check(|total| total.counters.measured_dropped = 20, idle, "0 slots late and 20 dropped");
        check(|_| {}, Load { busy_for: Nanos::from_secs(6), ..idle }, "a core was over 95 % busy");
        check(|total| *total = self::total(0, &[(ErrorKind::Reset, 9)]), idle, "not one answer arrived");
    }

    #[test]
    fn time_runs_until_the_load_ends() {
        fn check(rate: Option<u64>, elapsed: u64, want: (u64, Option<u64>)) {
            let mut model = Model::new(&plan(rate, 10));
            model.pass(Nanos::from_secs(elapsed));
            model.pass(Nanos::ZERO);
            let (elapsed, left) = want;
            assert_eq!(
                (model.elapsed(), model.left()),
                (Nanos::from_secs(elapsed), left.map(Nanos::from_secs))
            );
        }
        check(Some(100), 0, (0, Some(10)));
        let mut faster = Model::new(&plan(Some(100), 10));
        faster.pass(Nanos::from_secs(4));
        faster.retune(RateChange { at_ns: Nanos::from_secs(4).0, per_mille: 1_500 });
        assert_eq!(
            (faster.duration(), faster.left()),
            (Some(Nanos::from_secs(8)), Some(Nanos::from_secs(4)))
        );
        check(Some(100), 4, (4, Some(6)));
        check(None, 12, (10, Some(0)));
    }
}
