//! `cargo xtask deny`: licences, sources and bans, by cargo-deny and `deny.toml`.
//!
//! Advisories are left out: their feed changes by the day, and a result here is a function of the commit alone.

use crate::cargo;
use crate::failure::{Failure, no_arguments};
use crate::target;

pub(crate) fn run(arguments: &[String]) -> Result<u8, Failure> {
    no_arguments("deny", arguments)?;
    if target::find_program("cargo-deny").is_none() {
        return Err(Failure::new(
            "cargo-deny is not installed; `cargo install --locked cargo-deny` compiles it in some minutes",
        ));
    }
    Ok(u8::from(!cargo::succeeds(&["deny", "check", "licenses", "sources", "bans"])?))
}
