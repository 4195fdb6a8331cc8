//! Runs cargo, and knows where it puts things.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::Failure;

/// The top of the repository.
pub(crate) fn root() -> Result<PathBuf, Failure> {
    // Cargo sets this for what it runs. Not `env!`: a clone may be moved after it was built.
    if let Some(manifest) = std::env::var_os("CARGO_MANIFEST_DIR")
        && let Some(root) = Path::new(&manifest).parent()
    {
        return Ok(root.to_path_buf());
    }
    let here = std::env::current_dir().map_err(|e| Failure::io("find the current directory", &e))?;
    here.ancestors()
        .find(|directory| directory.join("xtask/Cargo.toml").is_file())
        .map(Path::to_path_buf)
        .ok_or_else(|| Failure::new("this is not inside the repository; run it as `cargo xtask`"))
}

/// A cargo command at the top of the repository, with nothing to read.
pub(crate) fn command(arguments: &[&str]) -> Result<Command, Failure> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.current_dir(root()?).stdin(Stdio::null()).args(lock(arguments, is_ci()));
    Ok(command)
}

/// Runs cargo with its output passed through. `Ok(false)` when it fails.
pub(crate) fn succeeds(arguments: &[&str]) -> Result<bool, Failure> {
    let status = command(arguments)?.status().map_err(|e| Failure::io("start cargo", &e))?;
    Ok(status.success())
}

/// Builds a package and returns the path of one of its programs.
pub(crate) fn build(package: &str, program: &str, release: bool) -> Result<PathBuf, Failure> {
    let mut arguments = vec!["build", "-p", package, "--bin", program];
    if release {
        arguments.push("--release");
    }
    if !succeeds(&arguments)? {
        return Err(Failure::new(format!("`cargo {}` failed; its output is above", arguments.join(" "))));
    }
    program_path(program, release)
}

/// Where cargo puts a program of ours.
pub(crate) fn program_path(program: &str, release: bool) -> Result<PathBuf, Failure> {
    let profile = if release { "release" } else { "debug" };
    Ok(target_directory()?.join(profile).join(program))
}

/// Where cargo builds: beside this very program, whatever names the directory (a variable, a configuration file).
pub(crate) fn target_directory() -> Result<PathBuf, Failure> {
    let program = std::env::current_exe().map_err(|e| Failure::io("find the path of xtask", &e))?;
    program
        .parent()
        .and_then(Path::parent)
        .map(Path::to_path_buf)
        .ok_or_else(|| Failure::new(format!("{} is not inside a target directory", program.display())))
}

/// Whether this runs for CI, where the committed Cargo.lock is the law.
pub(crate) fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !["", "0", "false"].contains(&value.as_str()))
}

/// Adds `--locked` where cargo would otherwise be free to choose other versions.
fn lock<'a>(arguments: &[&'a str], locked: bool) -> Vec<&'a str> {
    let mut words = arguments.to_vec();
    if locked && arguments.first().is_some_and(|first| ["build", "clippy", "run", "test"].contains(first)) {
        words.insert(1, "--locked");
    }
    words
}

#[cfg(test)]
mod tests {
    use super::lock;

    #[test]
    fn ci_builds_with_the_committed_lock() {
        assert_eq!(lock(&["test", "-p", "x"], true), ["test", "--locked", "-p", "x"]);
        assert_eq!(lock(&["test", "-p", "x"], false), ["test", "-p", "x"]);
        assert_eq!(lock(&["fmt", "--check"], true), ["fmt", "--check"]);
    }
}
