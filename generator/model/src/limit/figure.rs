//! The left side of a limit, and what it is computed from.

use crate::histogram::Histogram;
use crate::limit::{Catalogue, KERNEL_COVERAGE_LEAST, Scope};
use crate::snapshot::{RequestStats, Stats};
use crate::units::Nanos;

/// A histogram that a limit can speak of.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Metric {
    ResponseTime,
    ResponseTimeOk,
    ServiceTime,
    FirstByte,
    ConnectTime,
    Lag,
    /// From here on as the kernel saw them.
    KernelTime,
    DwellTime,
}

pub(super) const METRICS: [(&str, Metric); 8] = [
    ("response_time", Metric::ResponseTime),
    ("response_time_ok", Metric::ResponseTimeOk),
    ("service_time", Metric::ServiceTime),
    ("first_byte", Metric::FirstByte),
    ("connect_time", Metric::ConnectTime),
    ("lag", Metric::Lag),
    ("kernel_time", Metric::KernelTime),
    ("dwell_time", Metric::DwellTime),
];

impl Metric {
    /// Is it kept for each request name? What is not has no scope.
    pub(super) const fn is_by_name(self) -> bool {
        !matches!(self, Self::ConnectTime | Self::Lag)
    }

    fn of(self, request: &RequestStats, into: &mut Histogram) {
        match self {
            Self::ResponseTime => {
                into.merge(&request.response_ok);
                into.merge(&request.response_failed);
            }
            Self::ResponseTimeOk => into.merge(&request.response_ok),
            Self::ServiceTime => into.merge(&request.service),
            Self::FirstByte => into.merge(&request.first_byte),
            Self::KernelTime => into.merge(&request.kernel),
            Self::DwellTime => into.merge(&request.dwell),
            Self::ConnectTime | Self::Lag => {}
        }
    }
}

/// The figure on the left of a limit.
#[derive(Copy, Clone, PartialEq, Debug)]
pub(super) enum Figure {
    Quantile(f64, Metric),
    Mean(Metric),
    Min(Metric),
    Max(Metric),
    /// Failed over ended, 0..=1.
    ErrorRate,
    /// Checks that passed over all, 0..=1.
    CheckRate,
    /// Completed a second.
    Rate,
}

impl Figure {
    const fn metric(self) -> Option<Metric> {
        match self {
            Self::Quantile(_, metric) | Self::Mean(metric) | Self::Min(metric) | Self::Max(metric) => {
                Some(metric)
            }
            Self::ErrorRate | Self::CheckRate | Self::Rate => None,
        }
    }

    pub(super) const fn is_of_the_kernel(self) -> bool {
        matches!(self.metric(), Some(Metric::KernelTime | Metric::DwellTime))
    }
}

/// What a figure is computed from, of the requests in its scope. It adds up over intervals where a figure does not.
#[derive(Clone, Default)]
pub(super) struct Measured {
    pub(super) times: Histogram,
    /// Of a rate the part and the whole; the whole of completed requests is a time, and not here.
    pub(super) part: u64,
    pub(super) whole: u64,
    /// Of a figure of kernel timing: answers whose times are known, and those for which the kernel was asked.
    pub(super) coverage: Option<(u64, u64)>,
}

impl Measured {
    pub(super) fn of(figure: Figure, stats: &Stats, scope: &Scope, catalogue: &Catalogue) -> Self {
        let mut measured = Self::default();
        match figure.metric() {
            Some(Metric::ConnectTime) => measured.times.merge(&stats.connect),
            Some(Metric::Lag) => measured.times.merge(&stats.lag),
            _ => {}
        }
        let selected = stats.requests.iter().enumerate().filter(|(name, _)| scope.has(catalogue, *name));
        let mut answers = 0;
        for (_, request) in selected {
            let (part, whole) = match figure {
                Figure::ErrorRate => (request.response_failed.count(), request.ended()),
                Figure::CheckRate => {
                    (request.checks_passed, request.checks_passed.saturating_add(request.checks_failed))
                }
                Figure::Rate => (request.response_ok.count(), 0),
                _ => (0, 0),
            };
            measured.part = measured.part.saturating_add(part);
            measured.whole = measured.whole.saturating_add(whole);
            if let Some(metric) = figure.metric() {
                metric.of(request, &mut measured.times);
                answers += request.answers();
            }
        }
        if figure.is_of_the_kernel() {
            let c = &stats.counters;
            let asked = c.kernel_known + c.kernel_overwritten + c.kernel_missing;
            measured.coverage = Some(match scope {
                Scope::All => (c.kernel_known, asked),
                // By name only the times that are known are counted.
                _ => (measured.times.count(), answers),
            });
        }
        measured
    }

    /// Adds what `other` was computed from.
    pub(super) fn merge(&mut self, other: &Self) {
        self.times.merge(&other.times);
        self.part = self.part.saturating_add(other.part);
        self.whole = self.whole.saturating_add(other.whole);
        if let Some((known, asked)) = other.coverage {
            let (sum_known, sum_asked) = self.coverage.unwrap_or_default();
            self.coverage = Some((sum_known.saturating_add(known), sum_asked.saturating_add(asked)));
        }
    }

    /// The figure, in its own unit; `None` where nothing was measured.
    pub(super) fn value(&self, figure: Figure, elapsed: Nanos) -> Option<f64> {
        match figure {
            Figure::ErrorRate | Figure::CheckRate => {
                (self.whole > 0).then(|| self.part as f64 / self.whole as f64)
            }
            Figure::Rate => (elapsed > Nanos::ZERO).then(|| self.part as f64 / elapsed.as_secs_f64()),
            _ if self.times.is_empty() => None,
            Figure::Quantile(q, _) => Some(self.times.quantile(q) as f64),
            Figure::Mean(_) => Some(self.times.mean()),
            Figure::Min(_) => Some(self.times.min() as f64),
            Figure::Max(_) => Some(self.times.max() as f64),
        }
    }

    /// Do the times stand for enough of the answers?
    pub(super) fn is_known_enough(&self) -> bool {
        self.coverage
            .is_none_or(|(known, asked)| asked > 0 && known as f64 / asked as f64 >= KERNEL_COVERAGE_LEAST)
    }
}
