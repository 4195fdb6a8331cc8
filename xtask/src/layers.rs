//! `cargo xtask layers`: proves who may use whom, and that unsafe code stays at its address.
//!
//! The table is in `rules.rs`. The check is a pure function of the repository's files, so its tests plant violations
//! in made-up files.

mod lockfile;
mod rules;

use std::collections::BTreeSet;

use crate::cargo;
use crate::console::say;
use crate::failure::{Failure, no_arguments};
use crate::manifest::{self, Dependency, Entry};
use crate::source::Source;
use crate::tree::{self, File};
use lockfile::Lockfile;
use rules::{Arrows, CRATES, Rule};

pub(crate) fn run(arguments: &[String]) -> Result<u8, Failure> {
    no_arguments("layers", arguments)?;
    let violations = violations()?;
    for violation in &violations {
        say(violation);
    }
    say(&format!("layers: {} violations", violations.len()));
    Ok(u8::from(!violations.is_empty()))
}

/// What is wrong in this repository.
pub(crate) fn violations() -> Result<Vec<String>, Failure> {
    Ok(check(&tree::read(&cargo::root()?)?))
}

/// One sentence for each violation.
fn check(files: &[File]) -> Vec<String> {
    let crates = crates(files);
    let ours: BTreeSet<&str> = crates.iter().map(|found| found.name.as_str()).collect();
    let lockfile = files.iter().find(|file| file.path == "Cargo.lock").map(|file| Lockfile::new(&file.text));
    let mut violations = Vec::new();
    for found in &crates {
        match CRATES.iter().find(|rule| rule.name == found.name) {
            None => violations.push(format!(
                "{}: the crate `{}` has no line in xtask/src/layers/rules.rs; say there whom it may use",
                found.path, found.name
            )),
            Some(rule) => {
                arrows(found, rule, &ours, &mut violations);
                bans(found, rule, lockfile.as_ref(), &mut violations);
            }
        }
    }
    unsafe_addresses(files, &mut violations);
    violations
}

/// A crate of the repository and what its manifest asks for.
struct Crate {
    path: String,
    name: String,
    dependencies: Vec<Dependency>,
}

fn crates(files: &[File]) -> Vec<Crate> {
    let read = |file: &File| {
        let entries: Vec<Entry> = manifest::entries(&file.text);
        let name = manifest::value(&entries, "package", "name")?.to_owned();
        Some(Crate { path: file.path.clone(), name, dependencies: manifest::dependencies(&entries) })
    };
    files.iter().filter(|file| file.is_manifest()).filter_map(read).collect()
}

/// Arrows between crates of ours, those of tests and build scripts included.
fn arrows(found: &Crate, rule: &Rule, ours: &BTreeSet<&str>, violations: &mut Vec<String>) {
    for Dependency { name, .. } in &found.dependencies {
        let allowed = match rule.arrows {
            Arrows::Any => true,
            Arrows::To(names) => names.contains(&name.as_str()),
        };
        if ours.contains(name.as_str()) && !allowed {
            violations.push(format!(
                "{}: `{}` may not use `{name}`; {}",
                found.path,
                found.name,
                allowed_text(rule)
            ));
        }
    }
}

fn allowed_text(rule: &Rule) -> String {
    match rule.arrows {
        Arrows::Any => "it may use anything".to_owned(),
        Arrows::To([]) => "it may use no crate of this repository".to_owned(),
        Arrows::To(names) => format!("it may use {}", names.join(", ")),
    }
}

/// Crates from outside that would break a layer. What only tests use is free, because it is not shipped.
fn bans(found: &Crate, rule: &Rule, lockfile: Option<&Lockfile>, violations: &mut Vec<String>) {
    let shipped = found.dependencies.iter().filter(|dependency| !dependency.is_dev);
    for Dependency { name, .. } in shipped {
        let path = &found.path;
        if rule.uses_nothing || rule.never_directly.contains(&name.as_str()) {
            violations.push(format!("{path}: `{}` may not use `{name}`: {}", found.name, rule.because));
        }
        for never in rule.never {
            if name == never {
                violations
                    .push(format!("{path}: `{}` may never use `{never}`: {}", found.name, rule.because));
            } else if let Some(chain) = lockfile.and_then(|lockfile| lockfile.chain(name, never)) {
                violations.push(format!(
                    "{path}: `{}` may never use `{never}`, which comes by {}: {}",
                    found.name,
                    chain.join(" > "),
                    rule.because
                ));
            }
        }
    }
}

/// Unsafe code lives where the kernel is spoken to, and in tests and benches.
fn unsafe_addresses(files: &[File], violations: &mut Vec<String>) {
    for file in files.iter().filter(|file| file.is_rust()) {
        let is_at_home = file.path.starts_with("generator/engine/src/io/")
            || file.path == "generator/engine/src/io.rs"
            || file.path.starts_with("ebpf/")
            || file.is_below("tests")
            || file.is_below("benches");
        if is_at_home {
            continue;
        }
        for line in Source::new(&file.text).lines_with_word("unsafe") {
            violations.push(format!(
                "{}:{line}: unsafe code lives in generator/engine/src/io, ebpf, tests and benches only",
                file.path
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::check as violations_of;
    use crate::tree::{File, file};

    fn manifest(directory: &str, name: &str, rest: &str) -> File {
        file(&format!("{directory}/Cargo.toml"), &format!("[package]\nname = \"{name}\"\n{rest}"))
    }

    /// The files have exactly one violation, which holds all these words; none when there are no words.
    fn check(files: &[File], words: &[&str]) {
        let found = violations_of(files);
        assert_eq!(found.len(), usize::from(!words.is_empty()), "{found:#?}");
        for word in words {
            assert!(found[0].contains(word), "{word} is not in {}", found[0]);
        }
    }

    #[test]
    fn allowed_arrows_pass() {
        check(
            &[
                manifest("ebpf/abi", "brunt-abi", ""),
                manifest("generator/model", "brunt-model", "[dependencies]\nbrunt-abi.workspace = true\n"),
                manifest(
                    "generator/engine",
                    "brunt-engine",
                    "[dependencies]\nbrunt-model.workspace = true\n",
                ),
                manifest("tests", "brunt-tests", "[dependencies]\nbrunt-engine.workspace = true\n"),
            ],
            &[],
        );
    }

    #[test]
    fn an_arrow_that_points_up_is_found_in_every_table() {
        for table in
            ["dependencies", "dev-dependencies", "build-dependencies", "target.'cfg(unix)'.dependencies"]
        {
            check(
                &[
                    manifest("generator/engine", "brunt-engine", ""),
                    manifest(
                        "generator/model",
                        "brunt-model",
                        &format!("[{table}]\nbrunt-engine.workspace = true\n"),
                    ),
                ],
                &["generator/model/Cargo.toml", "brunt-model", "brunt-engine"],
            );
        }
    }

    #[test]
    fn a_renamed_arrow_is_found() {
        let rest = "[dependencies]\nx = { package = \"brunt-engine\", path = \"../engine\" }\n";
        check(
            &[
                manifest("generator/engine", "brunt-engine", ""),
                manifest("control/controller", "brunt-controller", rest),
            ],
            &["brunt-controller", "brunt-engine"],
        );
    }

    #[test]
    fn a_crate_without_a_rule_is_found() {
        check(&[manifest("generator/new", "brunt-new", "")], &["brunt-new", "rules.rs"]);
    }

    #[test]
    fn bans_hold_for_what_is_shipped() {
        let engine = |table: &str| {
            manifest("generator/engine", "brunt-engine", &format!("[{table}]\ntokio.workspace = true\n"))
        };
        check(&[engine("dependencies")], &["brunt-engine", "tokio"]);
        check(&[engine("build-dependencies")], &["brunt-engine", "tokio"]);
        check(&[engine("dev-dependencies")], &[]);
        check(&[manifest("ebpf/abi", "brunt-abi", "[dependencies]\nlibm = \"1\"\n")], &["brunt-abi", "libm"]);
        check(&[manifest("xtask", "xtask", "[dependencies]\nclap = \"4\"\n")], &["xtask", "clap"]);
    }

    #[test]
    fn bans_see_through_other_crates() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\ndependencies = [\n \"b\",\n]\n\n\
                    [[package]]\nname = \"b\"\nversion = \"1.0.0\"\ndependencies = [\n \"tokio 1.0.0\",\n]\n\n\
                    [[package]]\nname = \"tokio\"\nversion = \"1.0.0\"\n";
        check(
            &[
                file("Cargo.lock", lock),
                manifest("generator/engine", "brunt-engine", "[dependencies]\na = \"1\"\n"),
            ],
            &["a > b > tokio"],
        );
    }

    /// Runtimes for io_uring without a maintainer, and what they bring, are not what hostile input goes through.
    #[test]
    fn f9_the_engine_drives_io_uring_itself() {
        let engine =
            super::rules::CRATES.iter().find(|rule| rule.name == "brunt-engine").expect("it has a rule");
        for name in ["tokio-uring", "monoio", "fxhash"] {
            assert!(engine.never.contains(&name), "{name}");
        }
    }

    #[test]
    fn unsafe_code_stays_at_its_address() {
        let code = "fn f() { unsafe { g() } }";
        check(&[file("generator/engine/src/io/uring.rs", code)], &[]);
        check(&[file("generator/engine/tests/allocations.rs", code)], &[]);
        check(&[file("benches/src/lib.rs", code)], &[]);
        check(&[file("generator/engine/src/pool.rs", code)], &["generator/engine/src/pool.rs:1:"]);
        check(&[file("generator/cli/src/main.rs", "// unsafe\n#![forbid(unsafe_code)]")], &[]);
    }
}
