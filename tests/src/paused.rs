//! A planted fault: a process that is stopped for a while, as by a host that gives it no time.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A stopped process. It goes on when this is dropped, or after the time it was given.
#[derive(Debug)]
pub struct Paused {
    /// Dropped to end the pause early.
    hold: Option<SyncSender<()>>,
    pause: Option<JoinHandle<()>>,
}

impl Paused {
    /// Stops it, for so long at most.
    ///
    /// # Panics
    /// When there is no such process, or it belongs to another user.
    #[must_use]
    pub fn stop(pid: Pid, at_most: Duration) -> Self {
        // By this and not by the id, which another process may have when the pause ends.
        let process = pidfd_open(pid, PidfdFlags::empty()).expect("the process is there");
        pidfd_send_signal(&process, Signal::STOP).expect("the process may be stopped");
        let (hold, held) = sync_channel(0);
        let pause = thread::spawn(move || {
            let _ = held.recv_timeout(at_most);
            let _ = pidfd_send_signal(&process, Signal::CONT);
        });
        Self { hold: Some(hold), pause: Some(pause) }
    }

    /// Waits until the time it was given has passed, and the process goes on.
    pub fn wait(mut self) {
        self.join();
    }

    fn join(&mut self) {
        if let Some(pause) = self.pause.take() {
            let _ = pause.join();
        }
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        self.hold = None;
        self.join();
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::clock;
    use crate::process::{Running, state};

    const DEADLINE: Duration = Duration::from_secs(5);

    #[test]
    fn a_process_stands_still_until_the_end_of_its_pause() {
        let mut command = Command::new("sleep");
        command.arg("30");
        let sleeper = Running::start(command);
        let pid = sleeper.pid();
        let stopped = || (state(pid) == Some('T')).then_some(());
        let goes_on = || (state(pid) == Some('S')).then_some(());
        clock::until("the process to sleep", DEADLINE, goes_on);

        let paused = Paused::stop(pid, DEADLINE);
        clock::until("the process to stop", DEADLINE, stopped);
        drop(paused);
        clock::until("the process to go on after a drop", DEADLINE, goes_on);

        let start = clock::now();
        let paused = Paused::stop(pid, Duration::from_millis(50));
        paused.wait();
        clock::until("the process to go on by itself", DEADLINE, goes_on);
        assert!(start.elapsed() >= Duration::from_millis(50));
    }
}
