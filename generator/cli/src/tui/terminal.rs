//! The terminal while the view has it: raw, on its alternate screen, without a cursor; and the way back.
//!
//! Invariant: whoever ends the view (its end, a panic, a signal) gives the terminal back, and only the first does.

use std::io::{self, BufWriter, Stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::getpgrp;
use rustix::termios::tcgetpgrp;

/// A terminal that takes nothing for so long is not waited for on the way out.
const PATIENCE: Duration = Duration::from_millis(100);

/// Whether the view has the terminal. Clones share it; any thread may give the terminal back.
#[derive(Clone, Default, Debug)]
pub(crate) struct Hold(Arc<AtomicBool>);

impl Hold {
    pub(crate) fn is_taken(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn take(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Says whether it was still taken: of all who call it after a taking, it is so for one.
    fn let_go(&self) -> bool {
        self.0.swap(false, Ordering::AcqRel)
    }

    /// Gives the terminal back, if it was taken and nobody else did.
    pub(crate) fn release(&self) {
        if self.let_go() {
            // There is nothing else to try where this fails.
            let _ = disable_raw_mode();
            if takes_output() {
                let _ = execute!(io::stderr(), LeaveAlternateScreen, Show);
            }
        }
    }
}

/// Gives the terminal back when it is dropped.
#[derive(Debug)]
pub(super) struct Guard(Hold);

pub(super) type Screen = Terminal<CrosstermBackend<BufWriter<Stderr>>>;

impl Guard {
    /// Takes the terminal.
    pub(super) fn take(hold: &Hold) -> io::Result<(Self, Screen)> {
        enable_raw_mode()?;
        hold.take();
        let guard = Self(hold.clone());
        leave_on_panic(hold.clone());
        execute!(io::stderr(), EnterAlternateScreen, Hide)?;
        let screen = Terminal::new(CrosstermBackend::new(BufWriter::new(io::stderr())))?;
        Ok((guard, screen))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.release();
    }
}

/// A message on the alternate screen would vanish with it. The hook stays: once the terminal was given back it does
/// nothing of its own.
fn leave_on_panic(hold: Hold) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        hold.release();
        before(panic);
    }));
}

/// May this process use the terminal as it likes? One in the background would be stopped for it.
pub(crate) fn is_ours() -> bool {
    tcgetpgrp(io::stderr()).is_ok_and(|group| group == getpgrp())
}

fn takes_output() -> bool {
    let stderr = io::stderr();
    let most = PATIENCE.try_into().ok();
    poll(&mut [PollFd::new(&stderr, PollFlags::OUT)], most.as_ref()).is_ok_and(|ready| ready > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_given_back_once() {
        let hold = Hold::default();
        assert!(!hold.is_taken() && !hold.let_go(), "what was not taken is not given back");
        for _ in 0..2 {
            hold.take();
            assert!(hold.clone().is_taken());
            assert_eq!([hold.clone().let_go(), hold.let_go()], [true, false]);
            assert!(!hold.is_taken());
        }
    }
}
