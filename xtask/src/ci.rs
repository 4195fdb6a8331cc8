//! `cargo xtask ci`: the very script that CI runs, with CI's rules.

use std::process::{Command, Stdio};

use crate::cargo;
use crate::failure::{Failure, no_arguments};

pub(crate) fn run(arguments: &[String]) -> Result<u8, Failure> {
    no_arguments("ci", arguments)?;
    let status = Command::new("bash")
        .arg(".ci/run")
        .current_dir(cargo::root()?)
        .env("CI", "true")
        .stdin(Stdio::null())
        .status()
        .map_err(|e| Failure::io("start bash", &e))?;
    Ok(u8::from(!status.success()))
}
