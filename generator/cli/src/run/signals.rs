//! SIGINT and SIGTERM: the first drains, the second stops at once, a third ends the process as if nobody listened.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread::JoinHandle;

use brunt_engine::StopSwitch;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use super::progress::Progress;
use crate::exit::Signal;

/// Listens from its making to its end.
pub(crate) struct SignalWatch {
    first: Arc<AtomicI32>,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl SignalWatch {
    /// Presses the switch for each signal and tells the person what that means.
    pub(crate) fn begin(stop: StopSwitch, progress: Progress) -> std::io::Result<Self> {
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let handle = signals.handle();
        let first = Arc::new(AtomicI32::new(0));
        let seen = Arc::clone(&first);
        let listen = move || {
            for (count, signal) in (1u32..).zip(signals.forever()) {
                match count {
                    1 => {
                        seen.store(signal, Ordering::Relaxed);
                        stop.press();
                        progress.note("stopping: waiting for the answers under way; once more stops at once");
                    }
                    2 => {
                        stop.press();
                        progress.note("stopping at once");
                    }
                    _ => {
                        // It ends the process; if it could not, the run would end all the same.
                        let _ = signal_hook::low_level::emulate_default_handler(signal);
                    }
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
