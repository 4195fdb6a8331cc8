//! A pseudo-terminal with a process in it, and what a person would see on its screen.
//!
//! Of the control sequences (ECMA-48, and xterm's for its second screen) it understands those that Brunt's view writes;
//! colours and the like are passed over.

mod screen;

use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{InputModes, LocalModes, OutputModes, Winsize, tcgetattr, tcsetwinsize};

use crate::clock;
use crate::process::has_ended;
use screen::Screen;

/// How long a look at the terminal may wait.
const LOOK_AT_MOST: Duration = Duration::from_millis(20);

/// How a terminal treats what is typed and written: termios(3), as far as programs change it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Modes {
    input: InputModes,
    output: OutputModes,
    local: LocalModes,
}

impl Modes {
    /// Are keys handed on one by one, and not shown?
    #[must_use]
    pub fn are_raw(self) -> bool {
        !self.local.intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
    }
}

/// A terminal and the session in it. Dropping it kills the session's first process, by its id.
#[derive(Debug)]
pub struct Terminal {
    person: std::fs::File,
    /// The terminal's own end, held open so that it can be looked at when the session is over.
    device: OwnedFd,
    child: Child,
    what: String,
    screen: Screen,
}

impl Terminal {
    /// Starts a command as the first process of a session in a terminal of this many columns and rows: stdin, stdout,
    /// stderr and the controlling terminal of it.
    ///
    /// # Panics
    /// When the system has no terminal to give, or no `setsid` (util-linux).
    #[must_use]
    pub fn start(command: &Command, columns: u16, rows: u16) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let person = openpt(flags).expect("a pseudo-terminal can be opened");
        grantpt(&person).and_then(|()| unlockpt(&person)).expect("an own terminal can be unlocked");
        let device = ioctl_tiocgptpeer(&person, flags).expect("an own terminal has another end");
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&device, size).expect("an own terminal can be sized");
        let mut session = Command::new("setsid");
        session.arg("--ctty").arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => session.env(name, value),
                None => session.env_remove(name),
            };
        }
        session.env("TERM", "xterm-256color").env_remove("NO_COLOR");
        let end = || Stdio::from(device.try_clone().expect("a descriptor can be duplicated"));
        let child = session.stdin(end()).stdout(end()).stderr(end()).spawn();
        let what = format!("{command:?}");
        let child = child.unwrap_or_else(|error| panic!("{what}: setsid cannot be started: {error}"));
        Self { person: person.into(), device, child, what, screen: Screen::new(columns, rows) }
    }

    #[must_use]
    pub fn modes(&self) -> Modes {
        let now = tcgetattr(&self.device).expect("an own terminal has modes");
        Modes { input: now.input_modes, output: now.output_modes, local: now.local_modes }
    }

    /// Types these keys.
    ///
    /// # Panics
    /// When the terminal takes none.
    pub fn press(&mut self, keys: &str) {
        self.person.write_all(keys.as_bytes()).expect("an own terminal takes keys");
    }

    /// Watches the screen until it is as wanted; gives its lines as they are then.
    ///
    /// # Panics
    /// When it is not within `deadline`; shows the screen.
    #[track_caller]
    pub fn wait_for(&mut self, what: &str, deadline: Duration, wanted: impl Fn(&str) -> bool) -> String {
        let start = clock::now();
        loop {
            let text = self.screen.text();
            if wanted(&text) {
                return text;
            }
            let ended = has_ended(self.pid());
            if !self.look() && ended {
                panic!("{}: it ended before there was {what}\n{text}", self.what);
            }
            assert!(start.elapsed() < deadline, "waited {deadline:?} in vain for {what}\n{text}");
        }
    }

    /// Waits for the end of the session's first process; gives how it ended, and the screen.
    ///
    /// # Panics
    /// When it has not ended within `deadline`.
    #[track_caller]
    pub fn finish(&mut self, deadline: Duration) -> (ExitStatus, String) {
        let start = clock::now();
        loop {
            let ended = has_ended(self.pid());
            if !self.look() && ended {
                break;
            }
            let text = self.screen.text();
            assert!(start.elapsed() < deadline, "still running after {deadline:?}\n{text}");
        }
        (self.child.wait().expect("an own child can be waited for"), self.screen.text())
    }

    /// Has it taken the second screen, on which nothing of the first is lost?
    #[must_use]
    pub fn is_on_second_screen(&self) -> bool {
        self.screen.is_second()
    }

    /// Is the cursor hidden?
    #[must_use]
    pub fn hides_cursor(&self) -> bool {
        self.screen.hides_cursor()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Reads what was written, waiting a little for it; says whether there was anything.
    fn look(&mut self) -> bool {
        let most = LOOK_AT_MOST.try_into().expect("a constant that fits");
        let ready = poll(&mut [PollFd::new(&self.person, PollFlags::IN)], Some(&most));
        if !ready.is_ok_and(|ready| ready > 0) {
            return false;
        }
        let mut bytes = [0; 4096];
        match self.person.read(&mut bytes) {
            Ok(length) => {
                self.screen.write(&bytes[..length]);
                length > 0
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => true,
            Err(error) => panic!("an own terminal can be read: {error}"),
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Once it was waited for, its id may be another's.
        if let Ok(None) = self.child.try_wait() {
            let _ = kill_process(self.pid(), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(10);

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_process_has_the_terminal_and_is_typed_to() {
        let script = "tty >/dev/null && stty size && read -r line </dev/tty && echo \"got $line\"; exit 3";
        let mut terminal = Terminal::start(&sh(script), 50, 10);
        terminal.wait_for("its size", DEADLINE, |screen| screen.contains("10 50"));
        assert!(!terminal.modes().are_raw());
        terminal.press("word\n");
        let (status, screen) = terminal.finish(DEADLINE);
        assert_eq!(status.code(), Some(3), "{screen}");
        assert!(screen.contains("got word"), "{screen}");
    }

    #[test]
    fn modes_are_seen() {
        let mut terminal = Terminal::start(&sh("stty raw -echo; echo raw; read -r line; stty sane"), 50, 10);
        let before = terminal.modes();
        terminal.wait_for("the word", DEADLINE, |screen| screen.contains("raw"));
        assert!(terminal.modes().are_raw() && terminal.modes() != before);
        terminal.press("\n");
        terminal.finish(DEADLINE);
        assert!(!terminal.modes().are_raw());
    }

    #[test]
    #[should_panic(expected = "it ended before there was a word")]
    fn what_never_comes_is_told() {
        let mut terminal = Terminal::start(&sh("echo begun"), 50, 10);
        terminal.wait_for("a word", DEADLINE, |screen| screen.contains("never"));
    }
}
