//! A process that was taken over: waits for a line on its standard input, makes one attempt at reaching an address
//! that it must not reach, and prints one line of JSON about it.

use std::io::Write as _;
use std::process::ExitCode;

use brunt_tests::evil;

fn main() -> ExitCode {
    match evil::run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "brunt-evil: {error}\n{}", evil::USAGE);
            ExitCode::from(2)
        }
    }
}
