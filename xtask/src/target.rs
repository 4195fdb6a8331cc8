//! A child process that something is tried on: found, started, waited for, and ended by its id.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use crate::console::{Stopwatch, complain};
use crate::failure::Failure;

/// A server starts within this, or does not at all.
const START_DEADLINE: Duration = Duration::from_secs(5);
/// A server that was asked to end does so within this, or is killed.
const END_DEADLINE: Duration = Duration::from_secs(2);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A server of ours. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Server(Child);

impl Server {
    /// Starts a server and waits until it accepts connections.
    pub(crate) fn start(command: &mut Command, address: SocketAddr) -> Result<Self, Failure> {
        let program = Path::new(command.get_program()).display().to_string();
        let child = command.spawn().map_err(|e| Failure::io(format_args!("start {program}"), &e))?;
        let mut server = Self(child);
        let watch = Stopwatch::start();
        loop {
            if let Some(status) = server.0.try_wait().map_err(|e| Failure::io("wait for the target", &e))? {
                return Err(Failure::new(format!(
                    "the target ended at once ({status}); its output is above"
                )));
            }
            if TcpStream::connect_timeout(&address, POLL_INTERVAL).is_ok() {
                return Ok(server);
            }
            if watch.elapsed() > START_DEADLINE {
                return Err(Failure::new(format!(
                    "the target does not accept connections on {address} within {} s",
                    START_DEADLINE.as_secs()
                )));
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }
}

impl Drop for Server {
    /// Asks first, so that a server can remove its files, and kills what does not listen.
    fn drop(&mut self) {
        if !matches!(self.0.try_wait(), Ok(None)) {
            return;
        }
        // The child was not yet waited for, so its id cannot have been given to another process.
        let id = self.0.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &id]).status();
        let watch = Stopwatch::start();
        while watch.elapsed() < END_DEADLINE {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        match self.0.kill() {
            Err(e) if e.kind() != ErrorKind::InvalidInput => {
                complain(&format!("cannot end process {id}: {e}"))
            }
            _ => drop(self.0.wait()),
        }
    }
}

/// A command whose process also ends when this one does, however this one ends.
///
/// `setpriv` asks the kernel for that and then becomes the program, so the id stays that of the program. Without it
/// (it is part of Debian's base) only the usual ways to end are covered.
pub(crate) fn child(program: &Path) -> Command {
    let Some(setpriv) = find_program("setpriv") else { return Command::new(program) };
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "INT", "--"]).arg(program);
    command
}

/// A program of the search path, or of the directories that only root's path has.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    search_directories().iter().map(|directory| directory.join(name)).find(|candidate| candidate.is_file())
}

/// The search path with the directories of root's added.
pub(crate) fn search_path() -> Result<OsString, Failure> {
    std::env::join_paths(search_directories())
        .map_err(|e| Failure::new(format!("PATH cannot be extended: {e}")))
}

fn search_directories() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    for extra in ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from) {
        if !directories.contains(&extra) {
            directories.push(extra);
        }
    }
    directories
}

/// A loopback address whose port was free a moment ago.
pub(crate) fn free_address() -> Result<SocketAddr, Failure> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map_err(|e| Failure::io("find a free port on 127.0.0.1", &e))
}

/// The exit code to hand on; that of a process ended by a signal is 128 and the signal, as in a shell.
pub(crate) fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{Server, child, exit_code, find_program, free_address};

    #[test]
    fn programs_are_found() {
        assert!(find_program("sh").is_some());
        assert!(find_program("no-such-program-anywhere").is_none());
    }

    #[test]
    fn exit_codes_are_those_of_a_shell() {
        let run = |script: &str| {
            let sh = find_program("sh").expect("a shell");
            exit_code(child(&sh).args(["-c", script]).status().expect("a shell starts"))
        };
        assert_eq!(run("exit 3"), 3);
        assert_eq!(run("kill -TERM $$"), 143);
    }

    #[test]
    fn a_target_that_ends_at_once_is_told_so() {
        let address = free_address().expect("a free port");
        let fault = Server::start(&mut Command::new("false"), address).expect_err("it ends");
        assert!(fault.message.contains("ended at once"), "{}", fault.message);
    }
}
