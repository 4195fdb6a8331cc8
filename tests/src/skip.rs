//! Tests that cannot run on this machine say so, with the reason.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

/// Reports that `name` was skipped and why: on stderr, and as a line in the file named by `BRUNT_SKIP_LOG`.
///
/// # Panics
/// When that file cannot be written: a skip nobody hears of would be a silent pass.
#[expect(clippy::print_stderr, reason = "this is how a test speaks")]
pub fn skip(name: &str, reason: &str) {
    eprintln!("skipped {name}: {reason}");
    if let Some(path) = std::env::var_os("BRUNT_SKIP_LOG") {
        append(Path::new(&path), name, reason).expect("the file named by BRUNT_SKIP_LOG can be appended to");
    }
}

fn append(path: &Path, name: &str, reason: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(format!("{name}: {reason}\n").as_bytes())
}

/// Is this process root?
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Can this program be started here?
#[must_use]
pub fn has_program(name: &str) -> bool {
    let found = Command::new("sh").args(["-c", "command -v \"$0\" >/dev/null", name]).status();
    found.is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skip_is_one_line_each() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("skips");
        append(&path, "one", "no nginx").unwrap();
        append(&path, "two", "not root").unwrap();
        assert_eq!(std::fs::read_to_string(path).unwrap(), "one: no nginx\ntwo: not root\n");
    }

    #[test]
    fn programs_are_found_or_not() {
        assert!(has_program("sh") && !has_program("no-such-program-here"));
    }
}
