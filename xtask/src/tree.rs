//! The repository's text files, as plain values that the checks read.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::failure::Failure;

/// A text file: its path from the top of the repository, with `/`, and what it holds.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    /// What follows the last dot of the name, or nothing.
    pub(crate) fn extension(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or(&self.path);
        name.rsplit_once('.').map_or("", |(_, extension)| extension)
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.extension() == "rs"
    }

    pub(crate) fn is_manifest(&self) -> bool {
        self.path == "Cargo.toml" || self.path.ends_with("/Cargo.toml")
    }

    /// Whether one of the directories above the file has this name.
    pub(crate) fn is_below(&self, directory: &str) -> bool {
        let mut names = self.path.split('/');
        names.next_back();
        names.any(|name| name == directory)
    }
}

/// Reads every text file that git knows or would add, in the order of their paths.
pub(crate) fn read(root: &Path) -> Result<Vec<File>, Failure> {
    let mut paths = match listed_by_git(root) {
        Some(paths) => paths,
        None => {
            let mut found = Vec::new();
            walk(root, "", &mut found)?;
            found
        }
    };
    paths.sort_unstable();
    paths.dedup();
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        let full = root.join(&path);
        // A file deleted but not yet committed is still listed, and a link or a submodule is not a file of ours.
        let is_file = full.symlink_metadata().is_ok_and(|metadata| metadata.is_file());
        if !is_file {
            continue;
        }
        let bytes = std::fs::read(&full).map_err(|e| Failure::io(format_args!("read {path}"), &e))?;
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(File { path, text });
        }
    }
    Ok(files)
}

/// Tracked files and new ones that are not ignored. `None` without git, or when it refuses the directory.
fn listed_by_git(root: &Path) -> Option<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    if !output.status.success() {
        return None;
    }
    let listing = String::from_utf8(output.stdout).ok()?;
    Some(listing.split('\0').filter(|path| !path.is_empty()).map(String::from).collect())
}

/// The listing for a source archive without git: everything but build output and git's own directory.
fn walk(root: &Path, below: &str, found: &mut Vec<String>) -> Result<(), Failure> {
    let directory = root.join(below);
    let describe = || format!("list {}", directory.display());
    for entry in std::fs::read_dir(&directory).map_err(|e| Failure::io(describe(), &e))? {
        let entry = entry.map_err(|e| Failure::io(describe(), &e))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        let kind = entry.file_type().map_err(|e| Failure::io(describe(), &e))?;
        if kind.is_file() {
            found.push(path);
        } else if kind.is_dir() && !["target", ".git", "node_modules"].contains(&name.as_str()) {
            walk(root, &path, found)?;
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) fn file(path: &str, text: &str) -> File {
    File { path: path.to_owned(), text: text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::file;

    #[test]
    fn paths_are_taken_apart() {
        assert_eq!(file("a/b.tar.gz", "").extension(), "gz");
        assert_eq!(file(".ci/run", "").extension(), "");
        assert!(file("generator/engine/tests/a.rs", "").is_below("tests"));
        assert!(!file("generator/engine/src/tests.rs", "").is_below("tests"));
    }
}
