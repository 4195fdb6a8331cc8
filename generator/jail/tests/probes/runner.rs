//! Runs the tests one after the other, and probes with a deadline.

use std::io::{BufRead, BufReader, Read};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::panic::catch_unwind;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use super::child;

/// Probes take milliseconds; this is for hosts that are very busy.
pub(super) const DEADLINE: Duration = Duration::from_secs(30);
/// Lines that a probe prints are few.
const LINES_MAX: usize = 256;

type NamedTest = (&'static str, fn());

/// Runs those whose names contain the first argument that is no flag.
pub(super) fn test_all(arguments: &[String], tests: &[NamedTest]) -> ExitCode {
    let filter = arguments.iter().find(|argument| !argument.starts_with('-'));
    let chosen = tests.iter().filter(|(name, _)| filter.is_none_or(|filter| name.contains(filter.as_str())));
    if arguments.iter().any(|argument| argument == "--list") {
        chosen.for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let mut failed = 0;
    for (name, test) in chosen {
        let passed = catch_unwind(test).is_ok();
        failed += usize::from(!passed);
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
    }
    println!("{failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whatever this process inherited stays out of the probes.
pub(super) fn keep_descriptors_to_ourselves() {
    // SAFETY: flags of descriptors are changed; nothing is closed.
    let result = unsafe { libc::close_range(3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC.cast_signed()) };
    assert_eq!(result, 0, "close_range(2) of Linux 5.11");
}

/// A socket that sees or asks for more than a stream; `None` where that takes root.
pub(super) fn raw_socket(family: libc::c_int) -> Option<OwnedFd> {
    let kind = if family == libc::AF_INET6 { libc::SOCK_STREAM } else { libc::SOCK_RAW };
    // SAFETY: no pointers are passed.
    let raw = unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, 0) };
    // SAFETY: the descriptor was just made and is owned by nobody else.
    (raw >= 0).then(|| unsafe { OwnedFd::from_raw_fd(raw) })
}

pub(super) fn wait_readable(fd: impl AsFd) {
    let deadline = Timespec::try_from(DEADLINE).expect("a short time");
    let ready = poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&deadline)).expect("poll");
    assert_eq!(ready, 1, "nothing came within {DEADLINE:?}");
}

/// A probe to be started.
pub(super) struct Probe<'a> {
    command: Command,
    passed_on: Option<&'a OwnedFd>,
}

impl<'a> Probe<'a> {
    pub(super) fn new(name: &str, as_nobody: bool) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("the path of this program"));
        command.arg(child::FLAG).arg(name).arg(if as_nobody { "nobody" } else { "same" });
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command, passed_on: None }
    }

    pub(super) fn argument(mut self, argument: &str) -> Self {
        self.command.arg(argument);
        self
    }

    pub(super) fn input(mut self, input: Stdio) -> Self {
        self.command.stdin(input);
        self
    }

    /// The probe inherits it under the same number.
    pub(super) fn pass_on(mut self, fd: &'a OwnedFd) -> Self {
        self.passed_on = Some(fd);
        self
    }

    pub(super) fn start(mut self) -> Started {
        // Tests run one after the other, so that no other probe inherits it.
        let inherit = |flags| {
            if let Some(fd) = self.passed_on {
                fcntl_setfd(fd, flags).expect("the flags of a descriptor");
            }
        };
        inherit(FdFlags::empty());
        let mut child = self.command.spawn().expect("this program starts again");
        inherit(FdFlags::CLOEXEC);
        let (lines, errors) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
        let (line_in, line_out) = sync_channel(LINES_MAX);
        thread::spawn(move || {
            for line in BufReader::new(lines).lines().map_while(Result::ok) {
                if line_in.send(line).is_err() {
                    break;
                }
            }
        });
        let (error_in, error_out) = sync_channel(1);
        thread::spawn(move || {
            let mut text = String::new();
            let _ = BufReader::new(errors).read_to_string(&mut text);
            let _ = error_in.send(text);
        });
        Started { input: child.stdin.take(), child, lines: line_out, errors: error_out }
    }

    /// Runs to its end, which must be a good one.
    pub(super) fn run(self) -> Ended {
        let ended = self.start().finish();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended
    }
}

/// A probe that runs. It is killed when a test fails.
pub(super) struct Started {
    child: Child,
    /// Probes that wait go on when it closes.
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    errors: Receiver<String>,
}

impl Started {
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn lines_until(&self, last: &str) -> Vec<String> {
        let next = || self.lines.recv_timeout(DEADLINE).unwrap_or_else(|_| panic!("no line {last:?} came"));
        std::iter::repeat_with(next).take_while(|line| line != last).collect()
    }

    pub(super) fn finish(mut self) -> Ended {
        drop(self.input.take());
        let pid = Pid::from_child(&self.child);
        let watched = pidfd_open(pid, PidfdFlags::empty()).expect("the child is not waited for yet");
        wait_readable(&watched);
        let status = self.child.wait().expect("it ended");
        Ended {
            lines: self.lines.iter().collect(),
            errors: self.errors.recv_timeout(DEADLINE).expect("its errors end with it"),
            code: status.code(),
            signal: status.signal(),
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = kill_process(Pid::from_child(&self.child), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

/// What a probe left.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) lines: Vec<String>,
    pub(super) errors: String,
    pub(super) code: Option<i32>,
    pub(super) signal: Option<i32>,
}

impl Ended {
    pub(super) fn check(&self, expected: &[impl AsRef<str>]) {
        let expected: Vec<&str> = expected.iter().map(AsRef::as_ref).collect();
        assert_eq!(self.lines, expected, "{}", self.errors);
        assert_eq!(self.code, Some(0), "{}", self.errors);
    }
}
