//! What a process that was taken over tries in order to reach an address that it must not reach.
//!
//! It confines itself as the engine does where it is told to: the jail's first stage, a line on standard input (by which
//! the parent has moved it into its cgroup), rings that are restricted and enabled, the seal. Then comes the one
//! attempt. What it prints is for people; whether anything left is counted where packets arrive.

mod attempts;
mod bpf;
mod escapes;
mod foreign;
mod raw;
mod rings;
mod sockets;
mod streams;
mod trace;

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::path::PathBuf;

use brunt_jail::{Rules, Seal};
use io_uring::IoUring;
use serde_json::json;

pub use self::attempts::names;

pub const USAGE: &str = "\
usage: brunt-evil ATTEMPT ADDRESS:PORT [--jail] [--now] [--allowed ADDRESS:PORT] [--socket FD] [--sibling PID]
  --jail     enter the jail first, and seal it before the attempt
  --now      do not wait for a line on standard input
  --allowed  what may be reached
  --socket   the number of a socket that was made elsewhere
  --sibling  a process that is not fenced in";

/// A command line that makes no sense.
#[derive(Debug)]
pub struct Misuse(String);

impl std::fmt::Display for Misuse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Does as the arguments say, and prints what became of it.
///
/// # Errors
/// When the arguments are none that it knows.
pub fn run(args: impl Iterator<Item = String>) -> Result<(), Misuse> {
    let asked = parse(args)?;
    let attempt = attempts::find(&asked.attempt)
        .ok_or_else(|| Misuse(format!("there is no attempt '{}'", asked.attempt)))?;
    let result = match make(&asked, attempt.run) {
        Ok(()) => "sent".to_owned(),
        Err(error) => format!("refused: {error}"),
    };
    say(&json!({ "attempt": attempt.name, "result": result }).to_string());
    Ok(())
}

/// What an attempt has at hand.
pub(crate) struct Scene {
    target: SocketAddr,
    allowed: SocketAddr,
    socket: Option<RawFd>,
    sibling: Option<u32>,
    /// Where cgroups of version 2 are mounted, as far as that could be read.
    cgroups: Option<PathBuf>,
    /// Restricted where there is a jail.
    ring: Option<IoUring>,
    polled: Option<IoUring>,
}

fn make(asked: &Asked, attempt: fn(&mut Scene) -> io::Result<()>) -> io::Result<()> {
    let cgroups = escapes::mount_point();
    if asked.jail {
        brunt_jail::enter(&Rules::default()).map_err(io::Error::other)?;
    }
    if !asked.now {
        wait_for_line()?;
    }
    let ring = rings::build(asked.jail).ok();
    let polled = rings::build_polled(asked.jail).ok();
    if asked.jail {
        brunt_jail::seal(&Seal { unix_sockets: false, io_uring: true }).map_err(io::Error::other)?;
    }
    let Asked { target, allowed, socket, sibling, .. } = *asked;
    attempt(&mut Scene { target, allowed, socket, sibling, cgroups, ring, polled })
}

/// A line of standard output. The parent may be gone, which harms nobody.
fn say(line: &str) {
    let mut out = io::stdout();
    let _ = out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush());
}

/// Takes byte by byte, so that what follows the line stays in the socket.
fn wait_for_line() -> io::Result<()> {
    let mut input = unbuffered_input();
    let mut byte = [0];
    while byte != [b'\n'] {
        input.read_exact(&mut byte)?;
    }
    Ok(())
}

/// Standard input without the buffer of the standard library, which would read ahead.
fn unbuffered_input() -> impl io::Read {
    struct Input;
    impl io::Read for Input {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            Ok(rustix::io::read(io::stdin(), buffer)?)
        }
    }
    Input
}

/// The command line.
struct Asked {
    attempt: String,
    target: SocketAddr,
    jail: bool,
    now: bool,
    allowed: SocketAddr,
    socket: Option<RawFd>,
    sibling: Option<u32>,
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Asked, Misuse> {
    let mut next = |what: &str| args.next().ok_or_else(|| Misuse(format!("{what} is missing")));
    let attempt = next("the attempt")?;
    let target = number(&next("the address")?)?;
    let mut asked =
        Asked { attempt, target, jail: false, now: false, allowed: target, socket: None, sibling: None };
    while let Ok(word) = next("") {
        match word.as_str() {
            "--jail" => asked.jail = true,
            "--now" => asked.now = true,
            "--allowed" => asked.allowed = number(&next("what is allowed")?)?,
            "--socket" => asked.socket = Some(number(&next("the socket")?)?),
            "--sibling" => asked.sibling = Some(number(&next("the sibling")?)?),
            other => return Err(Misuse(format!("unknown argument '{other}'"))),
        }
    }
    Ok(asked)
}

fn number<T: std::str::FromStr>(word: &str) -> Result<T, Misuse> {
    word.parse().map_err(|_| Misuse(format!("'{word}' cannot be read")))
}

/// What is missing on the command line for this attempt.
fn needed<T>(value: Option<T>, what: &str) -> io::Result<T> {
    value.ok_or_else(|| io::Error::other(format!("needs {what}")))
}

/// The result of a system call that is made directly.
fn checked(result: impl Into<i64>) -> io::Result<i64> {
    let result = result.into();
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_are_understood_or_refused() {
        let parsed = |line: &str| parse(line.split_whitespace().map(str::to_owned));
        let asked = parsed("plain 127.0.0.1:9 --jail --socket 7 --allowed 127.0.0.1:8").unwrap();
        assert_eq!((asked.jail, asked.now, asked.socket, asked.sibling), (true, false, Some(7), None));
        assert_eq!(asked.allowed.port(), 8);
        for wrong in ["", "plain", "plain here", "plain 127.0.0.1:9 --socket", "plain 127.0.0.1:9 --x"] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }
}
