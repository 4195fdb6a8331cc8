//! What one core counted in one interval, and the sum of many such.
//!
//! [`Stats::merge`] is associative and commutative, so interval snapshots may be summed in any order and any
//! grouping: by core, by worker, by tick.

use serde::{Deserialize, Serialize};

use crate::histogram::Histogram;
use crate::outcome::{ErrorKind, Outcome};
use crate::sample::{Kernel, Sample};

/// Status codes 100..=999 each have a counter: RFC 9110 section 15 gives three digits.
pub const STATUS_LOWEST: u16 = 100;
pub const STATUS_COUNT: usize = 900;

/// No figure of a run comes near this: ten years of a terabit a second are 2^55 bytes. Sums of a few such still fit.
pub const FIGURE_MAX: u64 = 1 << 60;

/// Counters of arrivals and requests. The two identities of [`Counters::check`] hold at every stop.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Counters {
    pub scheduled: u64,
    pub finished: u64,
    pub failed_arrivals: u64,
    pub dropped: u64,
    pub lost_arrivals: u64,
    pub started: u64,
    pub completed: u64,
    pub failed: u64,
    pub lost: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub connections_opened: u64,
    pub tls_handshakes: u64,
    /// Handshakes that resumed an earlier session.
    pub tls_resumed: u64,
    /// Requests sent where an answer redirected to; they belong to the request that was sent first.
    pub redirects: u64,
    /// Completed after the warm-up.
    pub measured: u64,
    /// Arrivals scheduled and dropped after the warm-up.
    pub measured_scheduled: u64,
    pub measured_dropped: u64,
    /// Slots sent later than the plan's lateness threshold, after the warm-up.
    pub late: u64,
    /// Overflows of a ring or table that cost exactness.
    pub overflows: u64,
    /// Of the measured requests that got a whole answer, those whose kernel times are known, were overwritten before they
    /// were read, and are unknown for other reasons. Their sum is 0 where the kernel was not asked.
    pub kernel_known: u64,
    pub kernel_overwritten: u64,
    pub kernel_missing: u64,
    /// TCP segments that this host sent again, SYN included, as far as kernel timing saw them.
    pub retransmits: u64,
    /// Of these, those of connections that were still being made.
    pub syn_retransmits: u64,
}

impl Counters {
    fn merge(&mut self, other: &Self) {
        self.scheduled += other.scheduled;
        self.finished += other.finished;
        self.failed_arrivals += other.failed_arrivals;
        self.dropped += other.dropped;
        self.lost_arrivals += other.lost_arrivals;
        self.started += other.started;
        self.completed += other.completed;
        self.failed += other.failed;
        self.lost += other.lost;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.connections_opened += other.connections_opened;
        self.tls_handshakes += other.tls_handshakes;
        self.tls_resumed += other.tls_resumed;
        self.redirects += other.redirects;
        self.measured += other.measured;
        self.measured_scheduled += other.measured_scheduled;
        self.measured_dropped += other.measured_dropped;
        self.late += other.late;
        self.overflows += other.overflows;
        self.kernel_known += other.kernel_known;
        self.kernel_overwritten += other.kernel_overwritten;
        self.kernel_missing += other.kernel_missing;
        self.retransmits += other.retransmits;
        self.syn_retransmits += other.syn_retransmits;
    }

    /// All of them, for what concerns each alike. A new one cannot be forgotten here.
    #[must_use]
    pub const fn all(&self) -> [u64; 25] {
        let Self {
            scheduled,
            finished,
            failed_arrivals,
            dropped,
            lost_arrivals,
            started,
            completed,
            failed,
            lost,
            bytes_in,
            bytes_out,
            connections_opened,
            tls_handshakes,
            tls_resumed,
            redirects,
            measured,
            measured_scheduled,
            measured_dropped,
            late,
            overflows,
            kernel_known,
            kernel_overwritten,
            kernel_missing,
            retransmits,
            syn_retransmits,
        } = *self;
        [
            scheduled,
            finished,
            failed_arrivals,
            dropped,
            lost_arrivals,
            started,
            completed,
            failed,
            lost,
            bytes_in,
            bytes_out,
            connections_opened,
            tls_handshakes,
            tls_resumed,
            redirects,
            measured,
            measured_scheduled,
            measured_dropped,
            late,
            overflows,
            kernel_known,
            kernel_overwritten,
            kernel_missing,
            retransmits,
            syn_retransmits,
        ]
    }

    /// Counts the end of an arrival; it failed if any of its requests did.
    #[inline]
    pub const fn end_arrival(&mut self, finished: bool) {
        if finished {
            self.finished += 1;
        } else {
            self.failed_arrivals += 1;
        }
    }

    /// Sets down as lost whatever began and is not accounted for, because who knew of it is gone. Returns how many
    /// requests these are.
    pub fn lose_the_rest(&mut self) -> u64 {
        let ended = [self.finished, self.failed_arrivals, self.dropped, self.lost_arrivals];
        self.lost_arrivals += ended.iter().fold(self.scheduled, |left, count| left.saturating_sub(*count));
        let ended = [self.completed, self.failed, self.lost];
        let lost = ended.iter().fold(self.started, |left, count| left.saturating_sub(*count));
        self.lost += lost;
        lost
    }

    /// The two accounting identities, given what was counted as still under way.
    ///
    /// # Errors
    /// The identity that does not hold, with its figures.
    pub fn check(&self, arrivals_in_flight: u64, requests_in_flight: u64) -> Result<(), AccountingError> {
        let arrivals =
            self.finished + self.failed_arrivals + self.dropped + arrivals_in_flight + self.lost_arrivals;
        if self.scheduled != arrivals {
            return Err(AccountingError { what: "arrivals", begun: self.scheduled, accounted: arrivals });
        }
        let requests = self.completed + self.failed + requests_in_flight + self.lost;
        if self.started != requests {
            return Err(AccountingError { what: "requests", begun: self.started, accounted: requests });
        }
        Ok(())
    }
}

/// A fault of Brunt's own: something was counted twice or lost.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("accounting of {what}: {begun} begun, {accounted} accounted for")]
pub struct AccountingError {
    pub what: &'static str,
    pub begun: u64,
    pub accounted: u64,
}

/// What is kept for one request name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequestStats {
    /// Answers by status code, from [`STATUS_LOWEST`].
    pub statuses: Box<[u64]>,
    /// Failures by [`ErrorKind::index`].
    pub errors: [u64; ErrorKind::COUNT],
    pub response_ok: Histogram,
    pub response_failed: Histogram,
    pub service: Histogram,
    pub first_byte: Histogram,
    /// From the request leaving this host to the answer arriving. It keeps bucket sums, because at tens of
    /// milliseconds a bucket is wider than these times are wrong.
    pub kernel: Histogram,
    /// From the answer arriving to its being handled.
    pub dwell: Histogram,
    /// What was asked of answers, and held or not, after the warm-up.
    pub checks_passed: u64,
    pub checks_failed: u64,
}

impl Default for RequestStats {
    fn default() -> Self {
        Self {
            statuses: vec![0; STATUS_COUNT].into_boxed_slice(),
            errors: [0; ErrorKind::COUNT],
            response_ok: Histogram::default(),
            response_failed: Histogram::default(),
            service: Histogram::default(),
            first_byte: Histogram::default(),
            kernel: Histogram::with_sums(),
            dwell: Histogram::default(),
            checks_passed: 0,
            checks_failed: 0,
        }
    }
}

impl RequestStats {
    #[inline]
    fn record(&mut self, sample: &Sample) {
        if let Some(status) = sample.outcome.status()
            && let Some(count) = self.statuses.get_mut(usize::from(status.wrapping_sub(STATUS_LOWEST)))
        {
            *count += 1;
        }
        match sample.outcome.error() {
            None => self.response_ok.record(sample.response_ns()),
            Some(kind) => {
                self.errors[kind.index()] += 1;
                self.response_failed.record(sample.response_ns());
            }
        }
        if let Some(service) = sample.service_ns() {
            self.service.record(service);
        }
        if let Some(first_byte) = sample.first_byte_after_ns() {
            self.first_byte.record(first_byte);
        }
        if let Some(kernel) = sample.kernel_ns() {
            self.kernel.record(kernel);
        }
        if let Some(dwell) = sample.dwell_ns() {
            self.dwell.record(dwell);
        }
    }

    /// Adds all that `other` counted.
    pub fn merge(&mut self, other: &Self) {
        add_all(&mut self.statuses, &other.statuses);
        add_all(&mut self.errors, &other.errors);
        self.response_ok.merge(&other.response_ok);
        self.response_failed.merge(&other.response_failed);
        self.service.merge(&other.service);
        self.first_byte.merge(&other.first_byte);
        self.kernel.merge(&other.kernel);
        self.dwell.merge(&other.dwell);
        self.checks_passed += other.checks_passed;
        self.checks_failed += other.checks_failed;
    }

    fn clear(&mut self) {
        self.statuses.fill(0);
        self.errors.fill(0);
        self.response_ok.clear();
        self.response_failed.clear();
        self.service.clear();
        self.first_byte.clear();
        self.kernel.clear();
        self.dwell.clear();
        self.checks_passed = 0;
        self.checks_failed = 0;
    }

    /// Response times of all requests, failed ones with the time they took.
    #[must_use]
    pub fn response(&self) -> Histogram {
        let mut all = self.response_ok.clone();
        all.merge(&self.response_failed);
        all
    }

    /// Requests that ended after the warm-up.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.response_ok.count() + self.response_failed.count()
    }

    /// What no part of it can exceed.
    fn sums(&self) -> [u64; 10] {
        [
            self.answers(),
            self.errors.iter().sum(),
            self.response_ok.count(),
            self.response_failed.count(),
            self.service.count(),
            self.first_byte.count(),
            self.kernel.count(),
            self.dwell.count(),
            self.checks_passed,
            self.checks_failed,
        ]
    }

    /// Whole answers, whatever their status.
    #[must_use]
    pub fn answers(&self) -> u64 {
        self.statuses.iter().sum()
    }
}

fn add_all(mine: &mut [u64], theirs: &[u64]) {
    for (mine, theirs) in mine.iter_mut().zip(theirs) {
        *mine += theirs;
    }
}

/// CPU of the engine's thread over the same span.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct CoreTime {
    pub wall_ns: u64,
    /// CPU time of the thread, the pacing spin left out.
    pub busy_ns: u64,
    /// Time in which the core stood still though it had nothing to wait for, in stretches far longer than any step of
    /// the loop: it was not let run.
    pub stalled_ns: u64,
}

impl CoreTime {
    /// Share of the wall time in which the core worked, 0..=1.
    #[must_use]
    pub fn busy_ratio(&self) -> f64 {
        if self.wall_ns == 0 { 0.0 } else { (self.busy_ns as f64 / self.wall_ns as f64).min(1.0) }
    }
}

/// Counters and histograms: of an interval, of a core, of a whole run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stats {
    pub counters: Counters,
    /// By the plan's request names.
    pub requests: Vec<RequestStats>,
    pub connect: Histogram,
    /// TLS handshakes, from the connection being there to their end.
    pub tls: Histogram,
    pub lag: Histogram,
    /// TCP handshakes as the kernel saw them: SYN left to SYN-ACK arrived.
    pub handshake: Histogram,
}

impl Stats {
    /// Room for `names` request names; the only allocation a recorder ever makes.
    #[must_use]
    pub fn new(names: usize) -> Self {
        Self {
            counters: Counters::default(),
            requests: vec![RequestStats::default(); names],
            connect: Histogram::default(),
            tls: Histogram::default(),
            lag: Histogram::default(),
            handshake: Histogram::default(),
        }
    }

    /// Counts the end of one request that is an arrival of its own.
    #[inline]
    pub fn record_arrival(&mut self, name: usize, sample: &Sample, measured: bool, late_over_ns: u64) {
        self.counters.end_arrival(sample.outcome.error().is_none());
        self.record(name, sample, measured, late_over_ns);
    }

    /// Counts the end of one request. `measured` is false during the warm-up, which leaves histograms, statuses
    /// and errors alone; `late_over_ns` is the plan's lateness threshold.
    #[inline]
    pub fn record(&mut self, name: usize, sample: &Sample, measured: bool, late_over_ns: u64) {
        let completed = sample.outcome.error().is_none();
        self.counters.bytes_in += sample.bytes_in;
        if completed {
            self.counters.completed += 1;
        } else {
            self.counters.failed += 1;
        }
        if !measured {
            return;
        }
        self.counters.measured += u64::from(completed);
        if sample.outcome.status().is_some() {
            match sample.kernel {
                Kernel::Off => {}
                Kernel::Known { .. } => self.counters.kernel_known += 1,
                Kernel::Overwritten => self.counters.kernel_overwritten += 1,
                Kernel::Missing => self.counters.kernel_missing += 1,
            }
        }
        if let Some(lag) = sample.lag_ns() {
            self.lag.record(lag);
            self.counters.late += u64::from(lag > late_over_ns);
        }
        self.requests[name].record(sample);
    }

    /// Counts what was asked of an answer that is measured, and held or not.
    #[inline]
    pub fn record_checks(&mut self, name: usize, passed: u64, failed: u64) {
        self.requests[name].checks_passed += passed;
        self.requests[name].checks_failed += failed;
    }

    /// Adds all that `other` counted. Both must be of the same plan.
    pub fn merge(&mut self, other: &Self) {
        self.counters.merge(&other.counters);
        for (mine, theirs) in self.requests.iter_mut().zip(&other.requests) {
            mine.merge(theirs);
        }
        self.connect.merge(&other.connect);
        self.tls.merge(&other.tls);
        self.lag.merge(&other.lag);
        self.handshake.merge(&other.handshake);
    }

    /// Are all figures of the sum with `other` still below [`FIGURE_MAX`]? Always so for what was counted; not for
    /// what somebody made up.
    #[must_use]
    pub fn can_take(&self, other: &Self) -> bool {
        let fits = |(mine, theirs): (u64, u64)| mine.checked_add(theirs).is_some_and(|sum| sum <= FIGURE_MAX);
        let histograms = [
            (&self.connect, &other.connect),
            (&self.tls, &other.tls),
            (&self.lag, &other.lag),
            (&self.handshake, &other.handshake),
        ];
        self.counters.all().into_iter().zip(other.counters.all()).all(fits)
            && histograms.into_iter().all(|(mine, theirs)| fits((mine.count(), theirs.count())))
            && self
                .requests
                .iter()
                .zip(&other.requests)
                .all(|(mine, theirs)| mine.sums().into_iter().zip(theirs.sums()).all(fits))
    }

    /// Sets down as lost what began and is not accounted for: the engine that knew of it is gone.
    pub fn lose_the_rest(&mut self) {
        let lost = self.counters.lose_the_rest();
        if let Some(request) = self.requests.first_mut() {
            request.errors[ErrorKind::EngineLost.index()] += lost;
        }
    }

    /// Forgets everything, keeping the memory.
    pub fn clear(&mut self) {
        self.counters = Counters::default();
        self.requests.iter_mut().for_each(RequestStats::clear);
        self.connect.clear();
        self.tls.clear();
        self.lag.clear();
        self.handshake.clear();
    }

    /// All request names together.
    #[must_use]
    pub fn all_requests(&self) -> RequestStats {
        let mut all = RequestStats::default();
        self.requests.iter().for_each(|request| all.merge(request));
        all
    }
}

/// How a request's status is judged when nothing else says so.
#[must_use]
pub const fn judge(status: u16, accepted: bool) -> Outcome {
    if accepted { Outcome::Completed(status) } else { Outcome::Rejected(status, ErrorKind::Status) }
}

/// What one core counted in one interval.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    pub worker: u32,
    pub core: u32,
    /// Counts this core's snapshots from zero, without gaps.
    pub seq: u64,
    /// The interval in which it ended: whole intervals since T0.
    pub tick: u64,
    pub stats: Stats,
    pub time: CoreTime,
    /// Connections open, and arrivals and requests under way, when it was taken.
    pub connections: u64,
    pub arrivals_in_flight: u64,
    pub requests_in_flight: u64,
    /// The core has ended: nothing more comes of it.
    pub last: bool,
}

impl Snapshot {
    /// A core's first, with nothing counted yet.
    #[must_use]
    pub fn blank(worker: u32, core: u32, names: usize) -> Self {
        Self {
            worker,
            core,
            seq: 0,
            tick: 0,
            stats: Stats::new(names),
            time: CoreTime::default(),
            connections: 0,
            arrivals_in_flight: 0,
            requests_in_flight: 0,
            last: false,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn samples() -> impl Strategy<Value = Sample> {
        let outcome = prop_oneof![
            (100u16..600).prop_map(Outcome::Completed),
            (400u16..600).prop_map(|status| Outcome::Rejected(status, ErrorKind::Status)),
            (0..ErrorKind::COUNT).prop_map(|kind| Outcome::Failed(ErrorKind::ALL[kind])),
        ];
        let kernel = prop_oneof![
            Just(Kernel::Off),
            (0u64..1 << 40, 0u64..1 << 30)
                .prop_map(|(left_ns, time)| Kernel::Known { left_ns, arrived_ns: left_ns + time }),
        ];
        (0u64..1 << 40, 0u64..1 << 30, 0u64..1 << 30, 0u64..1 << 30, any::<bool>(), kernel, outcome).prop_map(
            |(intended_ns, wait, service, rest, sent, kernel, outcome)| Sample {
                intended_ns,
                ready_ns: intended_ns + wait / 2,
                sent_ns: sent.then_some(intended_ns + wait),
                first_byte_ns: outcome.status().map(|_| intended_ns + wait + service),
                done_ns: intended_ns + wait + service + rest,
                bytes_in: rest % 1_000,
                kernel,
                outcome,
            },
        )
    }

    pub(crate) fn stats() -> impl Strategy<Value = Stats> {
        let checks = prop::array::uniform2((0u64..5, 0u64..5));
        let samples = prop::collection::vec((samples(), 0usize..2, any::<bool>()), 0..20);
        (samples, checks).prop_map(|(samples, checks)| {
            let mut stats = Stats::new(2);
            for (name, (passed, failed)) in checks.into_iter().enumerate() {
                stats.record_checks(name, passed, failed);
            }
            for (sample, name, measured) in &samples {
                stats.record_arrival(*name, sample, *measured, 1_000);
            }
            stats
        })
    }

    fn merged(a: &Stats, b: &Stats) -> Stats {
        let mut sum = a.clone();
        sum.merge(b);
        sum
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn merge_is_associative_and_commutative(a in stats(), b in stats(), c in stats()) {
            prop_assert_eq!(merged(&a, &b), merged(&b, &a));
            prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
        }

        #[test]
        fn clearing_leaves_nothing(a in stats(), b in stats()) {
            let mut cleared = a;
            cleared.clear();
            prop_assert_eq!(&cleared, &Stats::new(2));
            prop_assert_eq!(merged(&cleared, &b), b);
        }

        #[test]
        fn a_request_that_ended_is_counted_once(a in stats()) {
            prop_assert!(a.counters.check(0, 0).is_err() == (a.counters.completed + a.counters.failed > 0));
            let started = Counters {
                scheduled: a.counters.finished + a.counters.failed_arrivals + 3,
                started: a.counters.completed + a.counters.failed + 2,
                ..a.counters
            };
            prop_assert_eq!(started.check(3, 2), Ok(()));
        }
    }

    #[test]
    fn checks_are_counted_by_name() {
        let mut stats = Stats::new(2);
        stats.record_checks(1, 2, 1);
        stats.record_checks(1, 1, 0);
        let counts = |request: &RequestStats| (request.checks_passed, request.checks_failed);
        assert_eq!(stats.requests.iter().map(counts).collect::<Vec<_>>(), [(0, 0), (3, 1)]);
        assert_eq!(counts(&merged(&stats, &stats).all_requests()), (6, 2));
        stats.record_checks(1, FIGURE_MAX - 4, 0);
        assert!(stats.can_take(&Stats::new(2)) && !stats.can_take(&stats));
    }

    #[test]
    fn lag_counts_from_when_the_request_could_be_sent() {
        let sample = Sample {
            intended_ns: 100,
            ready_ns: 400,
            sent_ns: Some(450),
            first_byte_ns: Some(900),
            done_ns: 1_000,
            bytes_in: 10,
            kernel: Kernel::Known { left_ns: 455, arrived_ns: 890 },
            outcome: Outcome::Completed(200),
        };
        assert_eq!(
            (sample.response_ns(), sample.lag_ns(), sample.service_ns(), sample.first_byte_after_ns()),
            (900, Some(50), Some(550), Some(450))
        );
        assert_eq!((sample.kernel_ns(), sample.dwell_ns()), (Some(435), Some(10)));
    }
}
