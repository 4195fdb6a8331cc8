//! `cargo xtask tidy`: the house checks that no compiler makes.
//!
//! Pure functions of the repository's files; each takes files and adds sentences.

mod manifests;
mod rust;
mod text;

use crate::cargo;
use crate::console::say;
use crate::failure::{Failure, no_arguments};
use crate::tree::{self, File};

pub(crate) fn run(arguments: &[String]) -> Result<u8, Failure> {
    no_arguments("tidy", arguments)?;
    let violations = violations()?;
    for violation in &violations {
        say(violation);
    }
    say(&format!("tidy: {} violations", violations.len()));
    Ok(u8::from(!violations.is_empty()))
}

/// What is wrong in this repository.
pub(crate) fn violations() -> Result<Vec<String>, Failure> {
    Ok(check(&tree::read(&cargo::root()?)?))
}

/// One sentence for each violation.
fn check(files: &[File]) -> Vec<String> {
    let mut violations = Vec::new();
    for file in files {
        text::check(file, &mut violations);
        rust::check(file, &mut violations);
    }
    manifests::check(files, &mut violations);
    violations
}

/// What a rule finds in a made-up file, compared with parts of the expected findings.
#[cfg(test)]
fn check_rule(rule: fn(&crate::tree::File, &mut Vec<String>), path: &str, text: &str, expected: &[&str]) {
    let mut found = Vec::new();
    rule(&crate::tree::file(path, text), &mut found);
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.contains(expected), "{found}");
    }
}
