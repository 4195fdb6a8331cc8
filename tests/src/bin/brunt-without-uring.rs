//! Becomes another program, for which io_uring is forbidden as by the default profiles of container engines: the filter
//! answers `EPERM` to io_uring_setup(2) and lets all else through.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

fn main() -> ExitCode {
    // It only returns where that failed.
    let Err(error) = become_it();
    let _ = writeln!(std::io::stderr(), "brunt-without-uring: {error}");
    ExitCode::FAILURE
}

fn become_it() -> Result<std::convert::Infallible, Box<dyn Error>> {
    let mut words = std::env::args_os().skip(1);
    let program = words.next().ok_or("usage: brunt-without-uring PROGRAM [ARGUMENT]...")?;
    let rules = BTreeMap::from([(libc::SYS_io_uring_setup, Vec::new())]);
    let refuse = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let arch = std::env::consts::ARCH.try_into()?;
    let filter: BpfProgram = SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch)?.try_into()?;
    apply_filter(&filter)?;
    Err(Command::new(program).args(words).exec().into())
}
