//! The loader: the only privileged process. It loads the kernel programs, attaches them to cgroups that it makes, moves
//! engines into those, and hands the programs' memory to peers whose credentials it trusts. It opens no network socket.

mod daemon;

use std::io::Write as _;
use std::process::ExitCode;

use crate::daemon::options::{self, Asked};
use crate::daemon::serve::say;

/// As everywhere in Brunt: a fault of its own, and a wrong command line.
const FAULT: u8 = 1;
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let options = match options::parse(std::env::args().skip(1)) {
        Ok(Asked::Serve(options)) => options,
        Ok(Asked::Print(text)) => {
            // A closed pipe is no reason to complain.
            let _ = std::io::stdout().write_all(text.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            say(&error);
            return ExitCode::from(USAGE);
        }
    };
    // sd_listen_fds(3): descriptors are ours if the process id is.
    let named = std::env::var("LISTEN_PID").ok().and_then(|pid| pid.parse().ok());
    let passed =
        named == Some(std::process::id()) && std::env::var("LISTEN_FDS").is_ok_and(|count| count == "1");
    match daemon::run(options, passed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&error.to_string());
            ExitCode::from(FAULT)
        }
    }
}
