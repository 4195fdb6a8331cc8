//! Serves one answer to all after an exact delay, and reports how long it really took (see `brunt_tests::truth`).
//!
//! Prints its address as the first line. On a line `report` of its standard input it prints a line of JSON about the
//! requests since the last one; at the end of its standard input it does so once more, and ends.

use std::error::Error;
use std::io::{self, BufRead as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

use brunt_tests::truth::{Control, Options, Server, Truth, tls};

const USAGE: &str = "\
usage: brunt-truth [--bind ADDR] [--port N] [--delay-us N] [--core N] [--body BYTES] [--tls CERTIFICATE KEY]
                   [--exit-after SECONDS]
  defaults: 127.0.0.1, a free port, no delay, any core, 100 bytes, clear text, 120 s";
const BODY_BYTES_MAX: usize = 16 << 20;
const REPORT_DEADLINE: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "brunt-truth: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let server = Server::bind(options()?)?;
    let mut out = io::stdout();
    writeln!(out, "{}", server.address()?)?;
    out.flush()?;
    let control = Arc::new(Control::default());
    let (reports, reported) = sync_channel(1);
    let asked = Arc::clone(&control);
    // It is not waited for: its read may last for ever, and it ends with the process. It is started first, because the
    // server's thread keeps to a core that it needs for itself.
    thread::spawn(move || {
        // Nobody is left to read a report that cannot be printed.
        let _ = answer_questions(&asked, &reported);
        asked.stop.store(true, Ordering::Relaxed);
    });
    server.run(&control, &reports)?;
    Ok(())
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut options = Options {
        address: ([127, 0, 0, 1], 0).into(),
        delay: Duration::ZERO,
        core: None,
        body_bytes: 100,
        tls: None,
        exit_after: Duration::from_secs(120),
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value\n{USAGE}"));
        match arg.as_str() {
            "--bind" => options.address.set_ip(value()?.parse()?),
            "--port" => options.address.set_port(value()?.parse()?),
            "--delay-us" => options.delay = Duration::from_micros(value()?.parse()?),
            "--core" => options.core = Some(value()?.parse()?),
            "--body" => options.body_bytes = value()?.parse()?,
            "--tls" => options.tls = Some(tls(Path::new(&value()?), Path::new(&value()?))?),
            "--exit-after" => options.exit_after = Duration::from_secs(value()?.parse()?),
            _ => return Err(format!("it does not know {arg}\n{USAGE}").into()),
        }
    }
    if options.body_bytes > BODY_BYTES_MAX {
        return Err(format!("--body is at most {BODY_BYTES_MAX} bytes").into());
    }
    Ok(options)
}

/// Until the end of standard input, which gets a last report.
fn answer_questions(control: &Control, reported: &Receiver<Truth>) -> Result<(), Box<dyn Error>> {
    for line in io::stdin().lock().lines() {
        if line?.trim() == "report" {
            report(control, reported)?;
        }
    }
    report(control, reported)
}

fn report(control: &Control, reported: &Receiver<Truth>) -> Result<(), Box<dyn Error>> {
    control.report.store(true, Ordering::Relaxed);
    let truth = reported.recv_timeout(REPORT_DEADLINE)?;
    let mut out = io::stdout().lock();
    writeln!(out, "{}", truth.figures().to_json())?;
    out.flush()?;
    Ok(())
}
