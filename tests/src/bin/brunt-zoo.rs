//! Serves the hostile servers of the zoo on loopback ports, one line `ID PORT URL` each and then `ready`, until its
//! standard input ends or a signal ends it.

use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use brunt_tests::zoo::{self, Case, Names, Zoo};

const USAGE: &str = "\
usage: brunt-zoo [--list] [--ca FILE] [--names PORT | ID...]
  --list     print the table of cases and end
  --ca FILE  write the certificate of the zoo's authority there
  --names P  serve the DNS server of T22 alone, on port P of 127.0.0.1
  ID         serve these cases alone, as in T9-ping
";

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(io::stderr(), "brunt-zoo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode, Box<dyn Error>> {
    let mut authority = None;
    let mut names = None;
    let mut cases = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--list" => return list().map(|()| ExitCode::SUCCESS).map_err(Into::into),
            "--ca" => authority = Some(PathBuf::from(args.next().ok_or("--ca needs a file")?)),
            "--names" => names = Some(Names::start(args.next().ok_or("--names needs a port")?.parse()?)?),
            id => match zoo::find(id) {
                Some(case) => cases.push(case),
                None => {
                    io::stderr().write_all(USAGE.as_bytes())?;
                    return Ok(ExitCode::from(2));
                }
            },
        }
    }
    if cases.is_empty() && names.is_none() {
        cases = zoo::cases().collect();
    }
    serve(cases, authority)?;
    Ok(ExitCode::SUCCESS)
}

fn serve(cases: Vec<&'static Case>, authority: Option<PathBuf>) -> Result<(), Box<dyn Error>> {
    let zoo = Zoo::open(cases)?;
    if let Some(file) = authority {
        std::fs::write(&file, zoo.authority()).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    let mut out = io::stdout().lock();
    for place in zoo.places() {
        writeln!(out, "{} {} {}", place.case.id, place.address.port(), place.url())?;
    }
    writeln!(out, "ready")?;
    out.flush()?;
    wait_for_end_of_input()?;
    Ok(())
}

fn wait_for_end_of_input() -> io::Result<()> {
    let mut buffer = [0; 1_024];
    while io::stdin().read(&mut buffer)? > 0 {}
    Ok(())
}

fn list() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for case in zoo::cases() {
        let [protocol, expected] = [case.protocol.name(), &case.expect.words()];
        let flags = format!("--timeout {} {}", case.timeout, case.flags);
        writeln!(out, "{:<22} {protocol:<6} {expected:<34} {flags:<28} {}", case.id, case.does)?;
    }
    Ok(())
}
