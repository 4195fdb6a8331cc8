//! The parent's side: starts the child, gives it its job, follows it to its end, and outlives whatever becomes of it.
//!
//! Every wait has a deadline, so neither a child that hangs nor one that was taken over can hold the run up.

use std::io::{self, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use brunt_engine::{Controls, Finished, Stop};
use brunt_model::exchange::Exchange;
use brunt_model::samples::Observed;
use brunt_model::snapshot::Snapshot;
use brunt_model::tempo::{PER_MILLE_OF_PLAN, RATE_CHANGES_MAX};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{FdFlags, fcntl_setfd, ioctl_fionbio};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::frame::{Filled, Frames, MESSAGE_MAX, framed};
use super::job::Job;
use super::message::{Failure, Message, Shape, Told};
use super::order::{ORDER_MAX, Order};
use super::timer::{PATIENCE, Timer};
use crate::error::CommandError;
use crate::host::clock::monotonic;

/// How long anything else may have to wait for its turn: a press of the switch is passed on within it.
const TURN: Duration = Duration::from_millis(100);
/// How long a child may take to end once it has said its last.
const FAREWELL: Duration = Duration::from_secs(5);

/// A started child. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Supervisor {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    /// Why it could not be given its job.
    refused: Option<Broken>,
}

/// What a child is started with, beside the pipes and stderr.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Inherited<'a> {
    pub memory: &'a [OwnedFd],
    /// The target, where it is a unix socket.
    pub unix_socket: Option<&'a str>,
}

/// What the child tells while it runs.
#[derive(Debug)]
pub(crate) enum Seen<'a> {
    /// The cores are ready; the kernel's ids of the process and of its threads, by core.
    Started {
        process: u32,
        threads: &'a [i32],
    },
    Interval(&'a Snapshot),
    /// The child was told to change its rate to so many thousandths of the plan's.
    Retuned(u16),
    /// Which parts of the jail are on, and why others are not.
    Jailed(&'a str),
    /// Failures, a few of each kind and name.
    Sampled(Vec<Observed>),
    /// One of the exchanges of a run that keeps them.
    Exchanged(Box<Exchange>),
    /// A tenth of a second has passed, or something came: whatever else is to be looked at has its turn.
    Turn,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// By itself, with the number of lines of the key log that found no room.
    Finished(Box<Finished>, u64),
    Lost(Loss),
}

/// The child ended, or had to be ended, before the run did.
#[derive(Debug)]
pub(crate) struct Loss {
    /// What became of it, as in `was killed by signal 9 (SIGKILL)`.
    pub what: String,
    /// From its start to when that was noticed.
    pub elapsed: Duration,
}

/// Why a child is followed no longer.
#[derive(Debug)]
enum Broken {
    /// It closed its pipe: it has ended, or is about to.
    Gone,
    /// It has to be ended, because it did this.
    Wrong(String),
}

impl Supervisor {
    /// Starts the child: this program again, with nothing but the pipes, stderr and the kernel's memory. It waits for its
    /// job, so whatever confines it from outside has its place between this and [`Supervisor::send`].
    pub(crate) fn spawn(inherited: Inherited<'_>) -> Result<Self, CommandError> {
        let mut command = Command::new("/proc/self/exe");
        command.arg0("brunt").arg("engine").arg(std::process::id().to_string());
        let numbers: Vec<_> = inherited.memory.iter().map(|fd| fd.as_raw_fd().to_string()).collect();
        if !numbers.is_empty() {
            command.arg(format!("--keep={}", numbers.join(",")));
        }
        if let Some(path) = inherited.unix_socket {
            command.arg(format!("--unix-socket={path}"));
        }
        command.env_clear().stdin(Stdio::piped()).stdout(Stdio::piped());
        if let Some(wish) = std::env::var_os("RUST_BACKTRACE") {
            command.env("RUST_BACKTRACE", wish);
        }
        // Ctrl-C in a terminal goes to all of a process group, and what it means is decided here.
        command.process_group(0);
        brunt_engine::pass_nothing_on().map_err(CommandError::system(
            "keeping open files out of the engine process (is /proc mounted?)",
        ))?;
        let pass = |flags| inherited.memory.iter().try_for_each(|fd| fcntl_setfd(fd, flags));
        let mut child = pass(FdFlags::empty())
            .map_err(io::Error::from)
            .and_then(|()| command.spawn())
            .map_err(CommandError::system("starting the engine process"))?;
        // Nothing else is started with them. It cannot fail where the opposite did not.
        let _ = pass(FdFlags::CLOEXEC);
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            unreachable!("both were asked for")
        };
        let this = Self { child, stdin: Some(stdin), stdout, refused: None };
        this.unblock().map_err(CommandError::system("setting up the pipes of the engine process"))?;
        Ok(this)
    }

    fn unblock(&self) -> io::Result<()> {
        self.stdin.as_ref().map_or(Ok(()), |stdin| ioctl_fionbio(stdin, true))?;
        Ok(ioctl_fionbio(&self.stdout, true)?)
    }

    /// The kernel's id of the child.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Gives the child its job. If it does not take it, [`Supervisor::follow`] says what became of it.
    ///
    /// # Errors
    /// When the job is too large.
    pub(crate) fn send(&mut self, job: &Job<'_>) -> Result<(), Failure> {
        let frame = job.encode().map_err(Failure::fault)?;
        let sent = self.stdin.as_mut().map_or(Ok(()), |stdin| write_all(stdin, &frame));
        self.refused = match sent {
            Ok(()) => None,
            // It has ended, or ends because of what it says meanwhile: that is read first.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => None,
            Err(error) => Some(Broken::Wrong(format!("did not take its job ({error})"))),
        };
        Ok(())
    }

    /// Passes on what the child tells, and what its controls are set to, until the end of the run or of the child.
    ///
    /// # Errors
    /// Why the engine says that it cannot run, or broke.
    pub(crate) fn follow(
        mut self,
        job: &Job<'_>,
        controls: &Controls,
        see: &mut dyn FnMut(Seen<'_>),
    ) -> Result<Ending, Failure> {
        let mut run = Run::new(job);
        let broken = loop {
            if let Some(broken) = self.refused.take() {
                break broken;
            }
            self.pass_on(controls, &mut run, see);
            see(Seen::Turn);
            match self.turn(&mut run, see) {
                Ok(None) => {}
                Ok(Some(Last::End(finished, key_lines_lost))) => {
                    self.take_leave();
                    return Ok(Ending::Finished(finished, key_lines_lost));
                }
                Ok(Some(Last::Failed(failure))) => {
                    self.take_leave();
                    return Err(failure);
                }
                Err(broken) => break broken,
            }
        };
        let elapsed = run.timer.elapsed();
        Ok(Ending::Lost(Loss { what: self.bury(broken), elapsed }))
    }

    /// Tells the child of each press and each change of the rate that it has not been told of.
    fn pass_on(&mut self, controls: &Controls, run: &mut Run<'_>, see: &mut dyn FnMut(Seen<'_>)) {
        while run.passed < controls.stop.get() {
            run.passed = if run.passed == Stop::No { Stop::Drain } else { Stop::Now };
            run.timer.pressed(run.passed);
            self.order(Order::Press);
        }
        let per_mille = controls.dial.get();
        // The slots of a load begin with its start; what came before counts from there.
        if run.is_started && per_mille != run.per_mille && run.rate_changes < RATE_CHANGES_MAX {
            (run.per_mille, run.rate_changes) = (per_mille, run.rate_changes + 1);
            run.timer.retuned(per_mille);
            self.order(Order::Rate(per_mille));
            see(Seen::Retuned(per_mille));
        }
    }

    fn order(&mut self, order: Order) {
        if let (Some(stdin), Ok(frame)) = (&mut self.stdin, framed(&order.encode(), ORDER_MAX)) {
            // A pipe that was read has room for it. If the child is gone, that shows where it is read from.
            let _ = stdin.write_all(&frame);
        }
    }

    /// Reads once, if something comes in time, and passes on what is there as a whole.
    fn turn(&mut self, run: &mut Run<'_>, see: &mut dyn FnMut(Seen<'_>)) -> Result<Option<Last>, Broken> {
        let came = wait_for(&self.stdout, PollFlags::IN, TURN);
        run.timer.tick(came);
        let last = if came { self.read(run, see)? } else { None };
        // What came while this process stood still counts, so this is asked after reading.
        match (last, run.timer.overdue()) {
            (None, Some(what)) => Err(Broken::Wrong(what)),
            (last, _) => Ok(last),
        }
    }

    fn read(&mut self, run: &mut Run<'_>, see: &mut dyn FnMut(Seen<'_>)) -> Result<Option<Last>, Broken> {
        let wrong =
            |error: &dyn std::fmt::Display| Broken::Wrong(format!("sent what it never should: {error}"));
        match run.frames.fill(&mut self.stdout).map_err(|error| wrong(&error))? {
            Filled::End => return Err(Broken::Gone),
            Filled::Nothing => return Ok(None),
            Filled::Some => {}
        }
        while let Some(frame) = run.frames.next().map_err(|error| wrong(&error))? {
            let message = Message::decode(frame, run.shape).map_err(|error| wrong(&error))?;
            run.told.admit(&message).map_err(|error| wrong(&error))?;
            match message {
                Message::Started(threads) => {
                    run.timer.started();
                    run.is_started = true;
                    see(Seen::Started { process: self.child.id(), threads: &threads });
                }
                Message::Interval(snapshot) => see(Seen::Interval(&snapshot)),
                Message::Jailed(text) => see(Seen::Jailed(&text)),
                Message::Sampled(samples) => see(Seen::Sampled(samples)),
                Message::Exchanged(exchange) if exchange.is_possible(run.job.plan) => {
                    see(Seen::Exchanged(exchange));
                }
                Message::Exchanged(_) => return Err(wrong(&"an exchange that cannot be")),
                Message::KeyLog(line) => {
                    if let Some(key_log) = &run.job.parts.tls.key_log {
                        key_log.log(line.label, line.client_random, line.secret);
                    }
                }
                Message::End(finished, key_lines_lost) => {
                    return Ok(Some(Last::End(finished, key_lines_lost)));
                }
                Message::Failed(failure) => return Ok(Some(Last::Failed(failure))),
            }
        }
        Ok(None)
    }

    /// The child has said its last, so it ends by itself or is ended.
    fn take_leave(mut self) {
        self.stdin = None;
        let _ = self.wait(FAREWELL);
    }

    /// What became of a child that did not end as it should; it is gone after this.
    fn bury(mut self, broken: Broken) -> String {
        match (broken, self.wait(FAREWELL)) {
            (Broken::Gone, Some(status)) => manner(status),
            (Broken::Gone, None) => "closed its pipe and had to be ended".to_owned(),
            (Broken::Wrong(what), _) => format!("had to be ended because it {what}"),
        }
    }

    /// Waits for the child's end, for a while.
    fn wait(&mut self, most: Duration) -> Option<ExitStatus> {
        let pidfd = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty()).ok()?;
        if wait_for(&pidfd, PollFlags::IN, most) { self.child.try_wait().ok()? } else { None }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // Neither does anything to a child that was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One run, as it is followed.
struct Run<'a> {
    job: &'a Job<'a>,
    shape: Shape,
    told: Told,
    frames: Frames,
    timer: Timer,
    is_started: bool,
    /// What the child was told of the switch ...
    passed: Stop,
    /// ... and of the dial, and how often.
    per_mille: u16,
    rate_changes: usize,
}

/// Nothing comes after it.
enum Last {
    End(Box<Finished>, u64),
    Failed(Failure),
}

impl<'a> Run<'a> {
    fn new(job: &'a Job<'a>) -> Self {
        Self {
            job,
            shape: Shape {
                names: job.plan.request_names().len(),
                cores: job.parts.cores.len(),
                tells: job.plan.script.tells.len(),
            },
            told: Told::default(),
            frames: Frames::new(MESSAGE_MAX),
            timer: Timer::new(job.plan, monotonic()),
            is_started: false,
            passed: Stop::No,
            per_mille: PER_MILLE_OF_PLAN,
            rate_changes: 0,
        }
    }
}

/// Did it become ready in time?
fn wait_for(fd: impl AsFd, flags: PollFlags, most: Duration) -> bool {
    let most = most.try_into().ok();
    poll(&mut [PollFd::new(&fd, flags)], most.as_ref()).is_ok_and(|ready| ready > 0)
}

fn write_all(pipe: &mut ChildStdin, mut bytes: &[u8]) -> io::Result<()> {
    let deadline = monotonic() + PATIENCE;
    while !bytes.is_empty() {
        match pipe.write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if monotonic() > deadline {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                wait_for(&*pipe, PollFlags::OUT, TURN);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn manner(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => {
            let name = signal_hook::low_level::signal_name(signal).unwrap_or("of no name");
            format!("was killed by signal {signal} ({name})")
        }
        (None, Some(code)) => format!("ended with code {code}"),
        (None, None) => "ended".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manner_of_an_end_in_words() {
        for (wait_status, want) in [
            (9, "was killed by signal 9 (SIGKILL)"),
            (11, "was killed by signal 11 (SIGSEGV)"),
            (63, "was killed by signal 63 (of no name)"),
            (101 << 8, "ended with code 101"),
        ] {
            assert_eq!(manner(ExitStatus::from_raw(wait_status)), want);
        }
    }
}
