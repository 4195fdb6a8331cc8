//! The toolchain, the lock and the lints that every crate shares.

use crate::manifest;
use crate::tree::File;

const TOOLCHAIN: &str = "1.95.0";
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

pub(super) fn check(files: &[File], violations: &mut Vec<String>) {
    toolchain(find(files, "rust-toolchain.toml"), violations);
    lock(find(files, "Cargo.lock"), violations);
    for file in files.iter().filter(|file| file.is_manifest()) {
        lints(file, violations);
    }
}

fn find<'a>(files: &'a [File], path: &str) -> Option<&'a File> {
    files.iter().find(|file| file.path == path)
}

fn toolchain(file: Option<&File>, violations: &mut Vec<String>) {
    let entries = file.map(|file| manifest::entries(&file.text)).unwrap_or_default();
    let channel = manifest::value(&entries, "toolchain", "channel").unwrap_or("nothing");
    if channel != TOOLCHAIN {
        violations.push(format!("rust-toolchain.toml: the channel is {channel}, not {TOOLCHAIN}"));
    }
}

fn lock(file: Option<&File>, violations: &mut Vec<String>) {
    let Some(file) = file else {
        violations.push("Cargo.lock: missing; a build is a function of the commit only with it".to_owned());
        return;
    };
    for entry in manifest::entries(&file.text) {
        let source = manifest::unquoted(&entry.value);
        if entry.table == "package" && entry.key == "source" && source != REGISTRY {
            violations.push(format!("Cargo.lock: {source} is not crates.io"));
        }
    }
}

/// Every member inherits the workspace's lints. A workspace of its own cannot.
fn lints(file: &File, violations: &mut Vec<String>) {
    let entries = manifest::entries(&file.text);
    let is_package = entries.iter().any(|entry| entry.table == "package");
    let is_workspace = file.text.lines().any(|line| line.trim() == "[workspace]");
    let inherits = manifest::value(&entries, "lints", "workspace") == Some("true")
        || manifest::value(&entries, "", "lints.workspace") == Some("true");
    if is_package && !is_workspace && !inherits {
        violations.push(format!("{}: no `[lints] workspace = true`", file.path));
    }
}

#[cfg(test)]
mod tests {
    use super::{REGISTRY, check as collect};
    use crate::tree::{File, file};

    /// A tree that passes, with one file put over it.
    fn check(planted: &File, expected: &[&str]) {
        let lock = format!("[[package]]\nname = \"a\"\nsource = \"{REGISTRY}\"\n");
        let mut files = vec![
            file("rust-toolchain.toml", "[toolchain]\nchannel = \"1.95.0\"\n"),
            file("Cargo.lock", &lock),
            file("Cargo.toml", "[workspace]\nmembers = [\"a\"]\n"),
            file("a/Cargo.toml", "[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n"),
        ];
        files.retain(|file| file.path != planted.path);
        files.push(planted.clone());
        let mut found = Vec::new();
        collect(&files, &mut found);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found}");
        }
    }

    #[test]
    fn planted_violations_are_found() {
        check(&file("b/Cargo.toml", "[workspace]\n[package]\nname = \"b\"\n"), &[]);
        check(&file("b/Cargo.toml", "[package]\nname = \"b\"\n"), &["b/Cargo.toml"]);
        check(&file("rust-toolchain.toml", "[toolchain]\nchannel = \"stable\"\n"), &["stable"]);
        check(&file("rust-toolchain.toml", "[toolchain]\nchannel = \"1.95\"\n"), &["1.95,"]);
        let git = "[[package]]\nname = \"a\"\nsource = \"git+https://example.com/a\"\n";
        check(&file("Cargo.lock", git), &["git+https://example.com/a"]);
    }

    #[test]
    fn a_missing_lock_is_found() {
        let mut found = Vec::new();
        collect(&[file("rust-toolchain.toml", "[toolchain]\nchannel = \"1.95.0\"\n")], &mut found);
        assert_eq!(found.len(), 1, "{found:?}");
    }
}
