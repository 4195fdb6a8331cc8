//! The live line on stderr: one a tick, and only where a person watches.

use std::time::Duration;

use brunt_model::plan::Plan;
use brunt_model::timeline::Row;
use brunt_model::units::Nanos;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Redraws a second are bounded; one tick usually lasts a second.
const REDRAWS_PER_SECOND: u8 = 10;

/// Cheap to clone; all clones draw the same line.
#[derive(Clone)]
pub(crate) struct Progress {
    line: ProgressBar,
    interval: Nanos,
    duration: Option<Nanos>,
}

impl Progress {
    /// `watched` is false where stderr is no terminal: then nothing is drawn.
    pub(crate) fn new(plan: &Plan, watched: bool) -> Self {
        let target = if watched {
            ProgressDrawTarget::stderr_with_hz(REDRAWS_PER_SECOND)
        } else {
            ProgressDrawTarget::hidden()
        };
        let line = ProgressBar::with_draw_target(None, target);
        line.set_style(
            ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()),
        );
        line.set_message("connecting ...");
        line.tick();
        Self { line, interval: plan.interval, duration: plan.load.duration() }
    }

    /// One interval is complete.
    pub(crate) fn show(&self, row: &Row) {
        let elapsed = Nanos((row.tick + 1).saturating_mul(self.interval.0));
        self.line.set_message(line_of(row, elapsed, self.duration));
        self.line.tick();
    }

    /// A line that stays, above the live one.
    pub(crate) fn note(&self, text: &str) {
        if !self.line.is_hidden() {
            self.line.suspend(|| crate::terminal::say(text));
        }
    }

    /// Goes on after [`Progress::clear`].
    pub(crate) fn resume(&self) {
        self.line.reset();
    }

    pub(crate) fn clear(&self) {
        self.line.finish_and_clear();
    }
}

/// One interval in a line.
pub(crate) fn line_of(row: &Row, elapsed: Nanos, duration: Option<Nanos>) -> String {
    let seconds = |time: Nanos| Duration::from_nanos(time.0).as_secs();
    let of_duration = duration.map_or_else(String::new, |duration| format!("/{}", seconds(duration)));
    let of_target = row.target.map_or_else(String::new, |target| format!("/{target:.0}"));
    format!(
        "{}{of_duration} s  {:.0}{of_target} req/s  p50 {}  p99 {}  {} errors  {} connections",
        seconds(duration.map_or(elapsed, |duration| elapsed.min(duration))),
        row.achieved,
        Nanos(row.p50),
        Nanos(row.p99),
        row.errors,
        row.connections,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_what_is_asked_of_it() {
        let row = Row {
            tick: 2,
            target: Some(2_000.0),
            achieved: 1_999.6,
            p50: 1_200_000,
            p99: 3_400_000,
            kernel_p99: None,
            errors: 1,
            connections: 12,
            lag_p99: 0,
        };
        let ten = Some(Nanos::from_secs(10));
        assert_eq!(
            line_of(&row, Nanos::from_secs(3), ten),
            "3/10 s  2000/2000 req/s  p50 1.20 ms  p99 3.40 ms  1 errors  12 connections"
        );
        let closed = Row { target: None, ..row };
        assert!(line_of(&closed, Nanos::from_secs(3), None).starts_with("3 s  2000 req/s"));
        assert!(
            line_of(&closed, Nanos::from_secs(11), ten).starts_with("10/10 s"),
            "a drain is not overtime"
        );
    }
}
