//! The terminal view of a run: what it shows (`model`), how that is drawn (`view`), what is typed (`keys`), and the
//! terminal itself, which is given back on every way out (`terminal`).
//!
//! It is drawn on stderr, by the thread that follows the run: about once a second, and when a key was pressed.

mod keys;
mod model;
mod terminal;
mod view;

use std::sync::mpsc::Receiver;

use brunt_engine::{Controls, Stop};
use brunt_model::plan::Plan;
use brunt_model::snapshot::Stats;
use brunt_model::tempo::RateChange;
use brunt_model::timeline::Row;
use brunt_model::units::Nanos;

use self::keys::Key;
pub(crate) use self::model::Load;
use self::model::Model;
use self::terminal::Guard;
pub(crate) use self::terminal::{Hold, is_ours};
use self::view::{Look, draw};

/// Nothing else changes more often than the seconds.
const DRAW_EVERY: Nanos = Nanos::from_secs(1);
/// A run that is over sooner is not worth a view, unless one is asked for.
const WORTH_A_VIEW: Nanos = Nanos::from_secs(5);

/// What one press of a key changes the rate by, in thousandths of the plan's.
const RATE_STEP: u16 = 100;

/// What was asked for, and where.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Wish {
    /// `--tui` and `--no-tui`.
    pub tui: bool,
    pub no_tui: bool,
    /// stderr is a terminal, this process is in its foreground, and it can do more than lines.
    pub is_able: bool,
}

impl Wish {
    /// Is a run of this length, if that is known, to be viewed?
    pub(crate) fn wants_view(self, duration: Option<Nanos>) -> bool {
        let is_long = duration.is_none_or(|duration| duration > WORTH_A_VIEW);
        self.is_able && !self.no_tui && (self.tui || is_long)
    }
}

/// The view of one run.
pub(crate) struct View {
    model: Model,
    controls: Controls,
    hold: Hold,
    look: Look,
    shown: Option<Shown>,
    started: Nanos,
    drawn: Nanos,
    /// Something changed since it was drawn.
    stale: bool,
}

/// What there is only while the view has the terminal. The guard comes last: it is dropped last.
struct Shown {
    screen: terminal::Screen,
    keys: Receiver<Key>,
    _guard: Guard,
}

impl View {
    /// A view that shows nothing yet. `hold` is what others give the terminal back by.
    pub(crate) fn new(plan: &Plan, controls: Controls, hold: Hold, coloured: bool) -> Self {
        Self {
            model: Model::new(plan),
            controls,
            hold,
            look: Look { coloured, help: false, stop: Stop::No },
            shown: None,
            started: Nanos::ZERO,
            drawn: Nanos::ZERO,
            stale: true,
        }
    }

    /// The run has begun: takes the terminal.
    pub(crate) fn begin(&mut self, now: Nanos) -> std::io::Result<()> {
        let (guard, screen) = Guard::take(&self.hold)?;
        let keys = keys::listen(self.hold.clone())?;
        self.shown = Some(Shown { screen, keys, _guard: guard });
        self.started = now;
        self.turn(now);
        Ok(())
    }

    /// An interval is complete.
    pub(crate) fn add(&mut self, row: &Row, total: &Stats, load: Load) {
        self.model.add(row, total, load);
        self.stale = true;
    }

    /// The rate was changed.
    pub(crate) fn retune(&mut self, change: RateChange) {
        self.model.retune(change);
        self.stale = true;
    }

    /// Heeds keys, and draws if it is time to.
    pub(crate) fn turn(&mut self, now: Nanos) {
        let Some(shown) = &mut self.shown else { return };
        if !self.hold.is_taken() {
            self.shown = None;
            return;
        }
        while let Ok(key) = shown.keys.try_recv() {
            match key {
                Key::Help => self.look.help = !self.look.help,
                // The limits of a rate are the dial's.
                Key::Faster if self.model.is_open => {
                    self.controls.dial.set(self.controls.dial.get() + RATE_STEP);
                }
                Key::Slower if self.model.is_open => {
                    self.controls.dial.set(self.controls.dial.get() - RATE_STEP);
                }
                // The thread that reads keys stops the run itself.
                Key::Faster | Key::Slower | Key::Redraw | Key::Stop => {}
            }
            self.stale = true;
        }
        let stop = self.controls.stop.get();
        self.stale |= stop != self.look.stop || now.0.saturating_sub(self.drawn.0) >= DRAW_EVERY.0;
        if !self.stale {
            return;
        }
        self.look.stop = stop;
        self.model.pass(Nanos(now.0.saturating_sub(self.started.0)));
        (self.drawn, self.stale) = (now, false);
        if shown.screen.draw(|frame| draw(frame, &self.model, self.look)).is_err() {
            // The terminal went away; the run goes on.
            self.shown = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_runs_are_viewed_where_a_person_can_see_it() {
        fn check(words: &str, is_able: bool, seconds: Option<u64>, want: bool) {
            let wish = Wish { tui: words.contains("--tui"), no_tui: words.contains("--no-tui"), is_able };
            assert_eq!(wish.wants_view(seconds.map(Nanos::from_secs)), want, "{words} {is_able} {seconds:?}");
        }
        check("", true, Some(10), true);
        check("", true, Some(5), false);
        check("", true, None, true);
        check("", false, None, false);
        check("--tui", true, Some(1), true);
        check("--tui", false, Some(10), false);
        check("--no-tui", true, None, false);
        check("--tui --no-tui", true, Some(10), false);
    }
}
