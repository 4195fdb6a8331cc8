//! `cargo xtask lint`: what is checked without running a test.

use crate::console::say;
use crate::failure::{Failure, no_arguments};
use crate::test::suites;
use crate::{cargo, layers, tidy};

pub(crate) fn run(arguments: &[String]) -> Result<u8, Failure> {
    no_arguments("lint", arguments)?;
    let mut is_good = true;
    for (name, words) in [("fmt", suites::FMT), ("clippy", suites::CLIPPY)] {
        say(&format!("== {name}"));
        is_good &= cargo::succeeds(words)?;
    }
    for (name, check) in [("layers", layers::run as fn(&[String]) -> _), ("tidy", tidy::run)] {
        say(&format!("== {name}"));
        is_good &= check(&[])? == 0;
    }
    Ok(u8::from(!is_good))
}
