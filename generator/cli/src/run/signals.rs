//! SIGINT and SIGTERM: the first drains, the second stops at once, a third ends the process as if nobody listened.
//! Whatever ends the process gives the terminal back before.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread::JoinHandle;

use brunt_engine::StopSwitch;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use super::progress::Progress;
use crate::exit::Signal;
use crate::tui::Hold;

/// Listens from its making to its end.
pub(crate) struct SignalWatch {
    first: Arc<AtomicI32>,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl SignalWatch {
    /// Presses the switch for each signal and tells the person what that means. A view, which would have the terminal
    /// by `hold`, says it itself, and must not be left on the screen by other signals either.
    pub(crate) fn begin(
        stop: StopSwitch,
        progress: Progress,
        hold: Hold,
        viewed: bool,
    ) -> std::io::Result<Self> {
        let fatal: &[i32] = if viewed { &[SIGHUP, SIGQUIT] } else { &[] };
        let mut signals = Signals::new(fatal.iter().chain(&[SIGINT, SIGTERM]))?;
        let handle = signals.handle();
        let first = Arc::new(AtomicI32::new(0));
        let seen = Arc::clone(&first);
        let listen = move || {
            let tell = |text: &str| {
                if !hold.is_taken() {
                    progress.note(text);
                }
            };
            let mut presses = 0;
            for signal in signals.forever() {
                presses += 1;
                match presses {
                    _ if signal == SIGHUP || signal == SIGQUIT => end_by(signal, &hold),
                    1 => {
                        seen.store(signal, Ordering::Relaxed);
                        stop.press();
                        tell("stopping: waiting for the answers under way; once more stops at once");
                    }
                    2 => {
                        stop.press();
                        tell("stopping at once");
                    }
                    _ => end_by(signal, &hold),
                }
            }
        };
        let thread = std::thread::Builder::new().name("signals".to_owned()).spawn(listen)?;
        Ok(Self { first, handle, thread: Some(thread) })
    }

    /// The first signal that came.
    pub(crate) fn first(&self) -> Option<Signal> {
        match self.first.load(Ordering::Relaxed) {
            SIGINT => Some(Signal::Interrupt),
            SIGTERM => Some(Signal::Terminate),
            _ => None,
        }
    }
}

impl Drop for SignalWatch {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            // It cannot have panicked, and if it had, there is nothing left to save.
            let _ = thread.join();
        }
    }
}

/// Ends this process as if nobody listened; if it could not, the run would end all the same.
fn end_by(signal: i32, hold: &Hold) {
    hold.release();
    let _ = signal_hook::low_level::emulate_default_handler(signal);
}
