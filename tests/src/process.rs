//! Processes of the harness: ended by id, watched to their end, never waited for without a deadline.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open};

use crate::clock;

/// How often the memory of a watched process is looked at.
const SAMPLE_EVERY: Duration = Duration::from_millis(20);
/// Ticks a second in /proc, fixed by the kernel's user interface.
const PROC_TICKS: u64 = 100;

/// A process that ended by itself, and what it left.
#[derive(Debug)]
pub struct Ended {
    /// What was started, for messages.
    pub what: String,
    /// The exit code; `None` if a signal killed it.
    pub code: Option<i32>,
    pub signal: Option<i32>,
    /// The kernel dumped its memory, into a file or a pipe.
    pub core_dumped: bool,
    pub stdout: String,
    pub stderr: String,
    pub wall: Duration,
    /// User and system time, to 10 ms, with that of the children it waited for.
    pub cpu: Duration,
    /// The most resident memory that was seen, that of its children at the same time included.
    pub resident_kib: u64,
}

impl Ended {
    /// Everything a person needs to see why an assertion on it failed.
    #[must_use]
    pub fn story(&self) -> String {
        format!(
            "{}\n  ended with code {:?}, signal {:?} after {:?}\n--- stdout\n{}\n--- stderr\n{}\n---",
            self.what, self.code, self.signal, self.wall, self.stdout, self.stderr
        )
    }

    /// Asserts the exit code.
    ///
    /// # Panics
    /// When it is another.
    #[track_caller]
    pub fn expect_code(&self, code: i32) -> &Self {
        assert!(self.code == Some(code), "exit code {code} was expected\n{}", self.story());
        assert!(!self.stderr.contains("panicked at"), "it panicked\n{}", self.story());
        self
    }

    /// Asserts that stderr mentions each word.
    ///
    /// # Panics
    /// When one is missing.
    #[track_caller]
    pub fn expect_on_stderr(&self, words: &[&str]) -> &Self {
        for word in words {
            assert!(self.stderr.contains(word), "stderr should contain '{word}'\n{}", self.story());
        }
        self
    }
}

/// A process under way. Dropping it kills its process group.
#[derive(Debug)]
pub struct Running {
    what: String,
    child: Option<Child>,
    output: [File; 2],
    start: Instant,
    resident_kib: u64,
}

impl Running {
    /// Starts a command in a process group of its own, its output going to files: no reader can hang.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(command: Command) -> Self {
        Self::start_with(command, Stdio::null())
    }

    /// The same, with this as its standard input.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start_with(mut command: Command, stdin: Stdio) -> Self {
        let output = [(); 2].map(|()| tempfile::tempfile().expect("a temporary file can be made"));
        let handle = |file: &File| file.try_clone().expect("a file can be duplicated");
        command.stdin(stdin).stdout(handle(&output[0])).stderr(handle(&output[1])).process_group(0);
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let what = words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ");
        let start = clock::now();
        let child = command.spawn().unwrap_or_else(|error| panic!("{what}: cannot be started: {error}"));
        Self { what, child: Some(child), output, start, resident_kib: 0 }
    }

    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_child(self.child.as_ref().expect("the child is there until finish"))
    }

    /// Its children now.
    #[must_use]
    pub fn children(&self) -> Vec<Pid> {
        own_children(self.pid())
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it is gone already.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap_or_else(|error| panic!("{}: {signal:?}: {error}", self.what));
    }

    /// Sends a signal to its process group, as a terminal does.
    ///
    /// # Panics
    /// When it is gone already.
    pub fn signal_group(&self, signal: Signal) {
        kill_process_group(self.pid(), signal)
            .unwrap_or_else(|error| panic!("{}: {signal:?}: {error}", self.what));
    }

    /// Has it ended by itself? It is not reaped, so its id stays its own.
    ///
    /// # Panics
    /// When the system does not say.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        has_ended(self.pid())
    }

    /// What it has written to stdout and to stderr until now.
    ///
    /// # Panics
    /// When the files cannot be read.
    #[must_use]
    pub fn output_now(&self) -> [String; 2] {
        self.output.each_ref().map(|file| read_so_far(file).expect("an own file can be read"))
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it has not ended `deadline` after its start; it is killed then, and its output shown.
    #[must_use]
    #[track_caller]
    pub fn finish(mut self, deadline: Duration) -> Ended {
        let ended = self.watch(deadline).expect("an own child can be watched");
        let pid = self.pid();
        let cpu = cpu_time(pid).unwrap_or_default();
        let wall = self.start.elapsed();
        if !ended {
            let _ = kill_process_group(pid, Signal::KILL);
        }
        let status =
            self.child.take().expect("finish is called once").wait().expect("an own child can be waited for");
        let [stdout, stderr] =
            self.output.each_mut().map(|file| read_all(file).expect("an own file can be read"));
        let ended_as = Ended {
            what: std::mem::take(&mut self.what),
            code: status.code(),
            signal: status.signal(),
            core_dumped: status.core_dumped(),
            stdout,
            stderr,
            wall,
            cpu,
            resident_kib: self.resident_kib,
        };
        assert!(ended, "still running after {deadline:?}, killed\n{}", ended_as.story());
        ended_as
    }

    /// Sleeps until the process has ended (it is not reaped) or the deadline has passed; says which.
    fn watch(&mut self, deadline: Duration) -> io::Result<bool> {
        let pidfd = pidfd_open(self.pid(), PidfdFlags::empty())?;
        while self.start.elapsed() < deadline {
            let family = self.children().into_iter().chain([self.pid()]);
            let kib = family.filter_map(resident_kib).sum();
            self.resident_kib = self.resident_kib.max(kib);
            let slice = SAMPLE_EVERY.try_into().expect("a constant that fits");
            if poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&slice))? > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
            let _ = child.wait();
        }
    }
}

/// Has this child, which was not waited for yet, ended?
pub(crate) fn has_ended(child: Pid) -> bool {
    let pidfd = pidfd_open(child, PidfdFlags::empty()).expect("an own child can be watched");
    let now = Duration::ZERO.try_into().expect("a constant that fits");
    poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&now)).expect("an own child can be watched") > 0
}

/// Reads by position: the process shares the file's offset, which must stay where it writes.
fn read_so_far(file: &File) -> io::Result<String> {
    let mut bytes = vec![0; usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn read_all(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The high-water mark of resident memory; gone once the process is.
fn resident_kib(pid: Pid) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// The children of a process's first thread, which is the one that starts them.
fn own_children(pid: Pid) -> Vec<Pid> {
    let id = pid.as_raw_nonzero();
    let text = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|id| Pid::from_raw(id.parse().ok()?)).collect()
}

/// User and system time of a process that has ended and is not yet reaped, and of the children it waited for.
fn cpu_time(pid: Pid) -> Option<Duration> {
    let fields = stat_fields(pid)?;
    // Fields 14 to 17 of proc_pid_stat(5); the list begins with field 3.
    let ticks: u64 = fields.get(11..15)?.iter().map(|field| field.parse::<u64>().unwrap_or_default()).sum();
    Some(Duration::from_millis(ticks * 1_000 / PROC_TICKS))
}

/// The fields of /proc/PID/stat from the third (the state) on: the second may contain spaces.
fn stat_fields(pid: Pid) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

/// What a process does, by the letter of proc_pid_stat(5): `T` is stopped by a signal.
#[cfg(test)]
pub(crate) fn state(pid: Pid) -> Option<char> {
    stat_fields(pid)?.first()?.chars().next()
}

/// The direct children of a process.
#[must_use]
pub fn children(parent: Pid) -> Vec<Pid> {
    let of_parent = |pid: &Pid| {
        let fields = stat_fields(*pid).unwrap_or_default();
        fields.get(1).is_some_and(|ppid| *ppid == parent.as_raw_nonzero().to_string())
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?));
    pids.filter(of_parent).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn what_a_process_leaves_is_kept() {
        let ended = Running::start(sh("echo out; echo err >&2; exit 3")).finish(Duration::from_secs(10));
        assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(3), "out\n", "err\n"));
    }

    #[test]
    fn a_signal_is_no_exit_code() {
        let ended = Running::start(sh("kill -9 $$")).finish(Duration::from_secs(10));
        assert_eq!((ended.code, ended.signal), (None, Some(9)));
    }

    #[test]
    #[should_panic(expected = "still running after")]
    fn nothing_outlives_its_deadline() {
        let _ = Running::start(sh("echo begun; sleep 60")).finish(Duration::from_millis(100));
    }
}
