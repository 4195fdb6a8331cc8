//! `cargo xtask man`: the manual pages, written by the command itself.

use std::process::Command;

use crate::cargo;
use crate::console::say;
use crate::failure::{Failure, no_arguments};
use crate::target;

const DIRECTORY: &str = "target/man";

pub(crate) fn run(arguments: &[String]) -> Result<u8, Failure> {
    no_arguments("man", arguments)?;
    let root = cargo::root()?;
    let brunt = cargo::build("brunt-cli", "brunt", false)?;
    std::fs::create_dir_all(root.join(DIRECTORY))
        .map_err(|e| Failure::io(format_args!("make {DIRECTORY}"), &e))?;
    let status = Command::new(&brunt)
        .args(["man", DIRECTORY])
        .current_dir(&root)
        .status()
        .map_err(|e| Failure::io("start brunt", &e))?;
    if status.success() {
        say(&format!("the manual is in {DIRECTORY}; read it by `man {DIRECTORY}/brunt.1`"));
    }
    Ok(target::exit_code(status))
}
