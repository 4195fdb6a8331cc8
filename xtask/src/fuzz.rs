//! `cargo xtask fuzz`: any bytes into the protocol machines, by cargo-fuzz.
//!
//! What a run adds to a corpus stays in `target`; what is worth keeping is put into `corpus` by hand.

use std::path::Path;

use crate::cargo;
use crate::console::say;
use crate::failure::Failure;
use crate::target;

const DIRECTORY: &str = "generator/engine/fuzz";
const SECONDS: u32 = 60;
const USAGE: &str = "usage: cargo xtask fuzz [TARGET] [--seconds N]";

/// What was asked for.
#[derive(PartialEq, Eq, Debug)]
struct Wish {
    /// One target, or all of them one after the other.
    target: Option<String>,
    /// For each target.
    seconds: u32,
}

pub(crate) fn run(arguments: &[String]) -> Result<u8, Failure> {
    let Wish { target, seconds } = parse(arguments)?;
    let root = cargo::root()?;
    let known = targets(&root)?;
    let chosen = choose(target, &known)?;
    if target::find_program("cargo-fuzz").is_none() {
        return Err(Failure::new(
            "cargo-fuzz is not installed; `cargo install cargo-fuzz` compiles it in a minute",
        ));
    }
    // Its workspace is its own, but the versions fuzzed are to be those of the commit.
    copy_lock(&root)?;
    for name in chosen {
        say(&format!("fuzz: {name} for {seconds} s"));
        if !fuzz(&root, &name, seconds)? {
            return Ok(1);
        }
    }
    Ok(0)
}

fn parse(arguments: &[String]) -> Result<Wish, Failure> {
    let mut wish = Wish { target: None, seconds: SECONDS };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seconds" => {
                let number = words.next().and_then(|number| number.parse().ok()).filter(|&number| number > 0);
                wish.seconds = number
                    .ok_or_else(|| Failure::usage(format!("--seconds takes a number above 0; {USAGE}")))?;
            }
            name if !name.starts_with('-') && wish.target.is_none() => wish.target = Some(name.to_owned()),
            _ => return Err(Failure::usage(format!("`{word}` is not understood; {USAGE}"))),
        }
    }
    Ok(wish)
}

/// The targets there are: one file each.
fn targets(root: &Path) -> Result<Vec<String>, Failure> {
    let directory = root.join(DIRECTORY).join("fuzz_targets");
    let fault = |e: &std::io::Error| Failure::io(format_args!("list {}", directory.display()), e);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&directory).map_err(|e| fault(&e))? {
        let name = entry.map_err(|e| fault(&e))?.file_name();
        names.extend(name.to_string_lossy().strip_suffix(".rs").map(String::from));
    }
    names.sort_unstable();
    Ok(names)
}

fn choose(target: Option<String>, known: &[String]) -> Result<Vec<String>, Failure> {
    match target {
        None => Ok(known.to_vec()),
        Some(name) if known.contains(&name) => Ok(vec![name]),
        Some(name) => Err(Failure::usage(format!(
            "there is no fuzz target `{name}`; the targets are {}",
            known.join(", ")
        ))),
    }
}

fn copy_lock(root: &Path) -> Result<(), Failure> {
    let (from, to) = (root.join("Cargo.lock"), root.join(DIRECTORY).join("Cargo.lock"));
    std::fs::copy(from, &to).map_err(|e| Failure::io(format_args!("write {}", to.display()), &e))?;
    Ok(())
}

/// Fuzzes one target. `Ok(false)` where it found something, which cargo-fuzz then shows and keeps.
fn fuzz(root: &Path, name: &str, seconds: u32) -> Result<bool, Failure> {
    // New finds go to the first corpus.
    let (found, kept) = (format!("target/fuzz/corpus/{name}"), format!("{DIRECTORY}/corpus/{name}"));
    std::fs::create_dir_all(root.join(&found)).map_err(|e| Failure::io(format_args!("make {found}"), &e))?;
    let limit = format!("-max_total_time={seconds}");
    let arguments = [
        "fuzz",
        "run",
        "--fuzz-dir",
        DIRECTORY,
        "--target-dir",
        "target/fuzz",
        name,
        &found,
        &kept,
        "--",
        &limit,
    ];
    let mut command = cargo::command(&arguments)?;
    // The sanitizers' flags are unstable; this allows them to the pinned toolchain.
    let status =
        command.env("RUSTC_BOOTSTRAP", "1").status().map_err(|e| Failure::io("start cargo fuzz", &e))?;
    Ok(status.success())
}

#[cfg(test)]
mod tests {
    use super::{SECONDS, Wish, choose, parse};

    fn check(text: &str, want: Option<(Option<&str>, u32)>) {
        let words: Vec<String> = text.split_whitespace().map(String::from).collect();
        let want = want.map(|(target, seconds)| Wish { target: target.map(String::from), seconds });
        assert_eq!(parse(&words).ok(), want, "{text}");
    }

    #[test]
    fn arguments_are_understood() {
        check("", Some((None, SECONDS)));
        check("head", Some((Some("head"), SECONDS)));
        check("head --seconds 5", Some((Some("head"), 5)));
        check("--seconds 5", Some((None, 5)));
        check("--seconds", None);
        check("--seconds 0", None);
        check("head proxy", None);
        check("--minutes 5", None);
    }

    #[test]
    fn an_unknown_target_is_told_the_known_ones() {
        let known = ["head".to_owned(), "proxy".to_owned()];
        assert_eq!(choose(None, &known).expect("all"), known);
        assert_eq!(choose(Some("proxy".to_owned()), &known).expect("one"), ["proxy"]);
        let fault = choose(Some("h3".to_owned()), &known).expect_err("unknown");
        assert!(fault.message.contains("head, proxy"), "{}", fault.message);
    }
}
