//! A child process on one core, bounded in time, with the CPU time that the kernel charged to it.
//!
//! The parent sleeps on a pidfd while the child runs, so measuring costs the machine nothing.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::affinity::on_core;
use crate::clock::{now_ns, since};

/// More of a child's output than this is not read.
const OUTPUT_BYTES_MAX: u64 = 4 << 20;

/// What a child used, from its start to its end.
#[derive(Copy, Clone, Debug)]
pub struct Usage {
    pub user_us: f64,
    pub sys_us: f64,
    pub wall: Duration,
}

/// A child that ended by itself.
#[derive(Debug)]
pub struct Ended {
    pub usage: Usage,
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

/// Called again and again while the child runs, with its process id.
pub struct Watch<'a> {
    pub every: Duration,
    pub look: &'a mut dyn FnMut(u32),
}

/// Runs a command on a core to its end.
///
/// # Errors
/// When it cannot be started, or has not ended after `limit`: it is killed then.
pub fn run(command: &mut Command, core: usize, limit: Duration) -> anyhow::Result<Ended> {
    run_watched(command, core, limit, None)
}

/// Like [`run`], with somebody watching.
///
/// # Errors
/// As [`run`].
pub fn run_watched(
    command: &mut Command,
    core: usize,
    limit: Duration,
    watch: Option<Watch<'_>>,
) -> anyhow::Result<Ended> {
    let name = command.get_program().to_string_lossy().into_owned();
    let (stdout, stderr) = (output_file()?, output_file()?);
    command.stdin(Stdio::null()).stdout(stdout.try_clone()?).stderr(stderr.try_clone()?);
    let start_ns = now_ns();
    let running =
        on_core(core, || Running::start(command))?.with_context(|| format!("{name} cannot be started"))?;
    let in_time = running.wait_until_ended(start_ns, limit, watch)?;
    let wall = since(start_ns);
    if !in_time {
        drop(running);
        bail!(
            "{name} had not ended after {limit:?} and was killed; it said: {}",
            last_line(&text_of(stderr)?)
        );
    }
    let (status, user_us, sys_us) = running.reap()?;
    let usage = Usage { user_us, sys_us, wall };
    Ok(Ended { usage, status, stdout: text_of(stdout)?, stderr: text_of(stderr)? })
}

/// The last line that says something, for an error message.
#[must_use]
pub fn last_line(text: &str) -> &str {
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("nothing")
}

/// A started child; killed and waited for when dropped, so that no error path leaves one behind.
struct Running {
    pid: Pid,
    handle: OwnedFd,
    reaped: bool,
}

impl Running {
    fn start(command: &mut Command) -> anyhow::Result<Self> {
        let child = command.spawn()?;
        let pid = i32::try_from(child.id())
            .ok()
            .and_then(Pid::from_raw)
            .context("its process id is out of range")?;
        let handle = pidfd_open(pid, PidfdFlags::empty()).context("no pidfd for it")?;
        Ok(Self { pid, handle, reaped: false })
    }

    /// Whether it ended before the limit.
    fn wait_until_ended(
        &self,
        start_ns: u64,
        limit: Duration,
        mut watch: Option<Watch<'_>>,
    ) -> anyhow::Result<bool> {
        loop {
            let Some(left) = limit.checked_sub(since(start_ns)) else { return Ok(false) };
            let nap = watch.as_ref().map_or(left, |watch| watch.every.min(left));
            let timeout = Timespec::try_from(nap).context("the time limit is out of range")?;
            let mut fds = [PollFd::new(&self.handle, PollFlags::IN)];
            match poll(&mut fds, Some(&timeout)) {
                Ok(0) => {}
                Ok(_) => return Ok(true),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).context("a child cannot be waited for"),
            }
            if let Some(watch) = &mut watch {
                (watch.look)(self.pid.as_raw_pid().unsigned_abs());
            }
        }
    }

    /// Its exit status and its CPU time, user and system, in microseconds.
    fn reap(mut self) -> anyhow::Result<(ExitStatus, f64, f64)> {
        self.reaped = true;
        wait4(self.pid)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.reaped {
            // It may have ended by itself in the meantime, which is as good.
            let _ = pidfd_send_signal(self.handle.as_fd(), Signal::KILL);
            let _ = wait4(self.pid);
        }
    }
}

#[expect(unsafe_code, reason = "no safe wrapper of wait4 gives the resource usage")]
fn wait4(pid: Pid) -> anyhow::Result<(ExitStatus, f64, f64)> {
    let mut status = 0;
    // SAFETY: `rusage` is plain integers, for which all zeros is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both pointers are to live locals, and `pid` is a child of ours that nobody else waits for.
        let reaped = unsafe { libc::wait4(pid.as_raw_pid(), &raw mut status, 0, &raw mut usage) };
        if reaped == pid.as_raw_pid() {
            let us = |time: libc::timeval| time.tv_sec as f64 * 1e6 + time.tv_usec as f64;
            return Ok((ExitStatus::from_raw(status), us(usage.ru_utime), us(usage.ru_stime)));
        }
        let error = std::io::Error::last_os_error();
        if error.kind() != std::io::ErrorKind::Interrupted {
            return Err(error).context("a child cannot be reaped");
        }
    }
}

/// A nameless file in memory: unlike a pipe it never fills up and never wakes anybody.
fn output_file() -> anyhow::Result<File> {
    let memfd = memfd_create("output", MemfdFlags::CLOEXEC).context("no memory file for a child's output")?;
    Ok(File::from(memfd))
}

fn text_of(mut file: File) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(OUTPUT_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_status_and_cpu_time_come_back() {
        let script = "echo out; echo err >&2; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exit 3";
        let ended =
            run(Command::new("sh").args(["-c", script]), 0, Duration::from_secs(20)).expect("sh runs");
        assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("out\n", "err\n"));
        assert_eq!(ended.status.code(), Some(3));
        assert!(ended.usage.user_us + ended.usage.sys_us > 0.0);
    }

    #[test]
    fn a_child_past_its_limit_is_killed() {
        let error =
            run(Command::new("sleep").arg("60"), 0, Duration::from_millis(50)).expect_err("it is too slow");
        assert!(error.to_string().contains("was killed"), "{error}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error =
            run(&mut Command::new("/no/such/tool"), 0, Duration::from_secs(1)).expect_err("it is missing");
        assert!(error.to_string().contains("/no/such/tool cannot be started"), "{error}");
    }

    #[test]
    fn a_watcher_is_called_while_it_runs() {
        let mut looks = 0;
        let watch = Watch { every: Duration::from_millis(10), look: &mut |_| looks += 1 };
        run_watched(Command::new("sleep").arg("0.2"), 0, Duration::from_secs(5), Some(watch))
            .expect("sleep runs");
        assert!(looks >= 3, "{looks}");
    }
}
