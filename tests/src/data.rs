//! Finds the collections of test data that are no part of this repository, and reads them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::skip;

/// The JSON files of a collection, in the folder itself or in sub-folders, by their paths in ascending order. The
/// folder is the one that the environment variable `variable` names, else `shared/data/NAME` beside this
/// repository. Where only the latter is absent the test `test` is reported as skipped, and the result is None.
///
/// # Panics
/// When the folder that the variable names does not exist, when a folder has no such file, or a file is not JSON.
#[must_use]
pub fn json_files_or_skip(test: &str, variable: &str, name: &str) -> Option<Vec<(PathBuf, Value)>> {
    let folder = folder(std::env::var_os(variable), name);
    let Some(folder) = folder else {
        skip::skip(
            test,
            &format!("the collection {name} is not beside the repository, and {variable} is not set"),
        );
        return None;
    };
    Some(json_files(&folder))
}

/// The unpacked source of another project, by its folder's name: within the folder that `BRUNT_SOURCES` names, else within
/// `sources` of the workspace's target directory. Where it is not there the test `test` is reported as skipped, and the
/// result is None.
#[must_use]
pub fn source_or_skip(test: &str, name: &str) -> Option<PathBuf> {
    let named = std::env::var_os("BRUNT_SOURCES").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| crate::brunt::target_directory().join("sources")).join(name);
    if !folder.is_dir() {
        skip::skip(
            test,
            &format!("needs the source of {name}, which `cargo xtask test --only scenarios` fetches"),
        );
        return None;
    }
    Some(folder)
}

fn folder(named: Option<OsString>, name: &str) -> Option<PathBuf> {
    if let Some(named) = named {
        return Some(PathBuf::from(named));
    }
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    let beside = repository.join("../shared/data").join(name);
    beside.is_dir().then_some(beside)
}

fn json_files(folder: &Path) -> Vec<(PathBuf, Value)> {
    let mut paths = Vec::new();
    for path in entries(folder) {
        if path.is_dir() { paths.extend(entries(&path)) } else { paths.push(path) }
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    assert!(!paths.is_empty(), "{} has no JSON file", folder.display());
    paths.into_iter().map(|path| (path.clone(), read(&path))).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.expect("an entry of a folder").path()).collect()
}

fn read(path: &Path) -> Value {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The octets that hexadecimal digits stand for.
///
/// # Panics
/// When the text is anything else.
#[must_use]
pub fn octets(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2), "an odd number of digits: {hex}");
    let digit = |octet: u8| char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| Some(digit(pair[0])? << 4 | digit(pair[1])?);
    hex.as_bytes()
        .chunks(2)
        .map(|digits| pair(digits).unwrap_or_else(|| panic!("not hexadecimal: {hex}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_in_the_folder_and_below() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("b")).unwrap();
        for (name, text) in [("c.json", "1"), ("b/a.json", "2"), ("b/LICENSE", "no"), ("README.md", "no")] {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        let found: Vec<_> = json_files(directory.path()).into_iter().map(|(_, value)| value).collect();
        assert_eq!(found, [2, 1]);
        assert_eq!(folder(Some("x".into()), "y"), Some("x".into()));
        assert_eq!(folder(None, "no-such-collection"), None);
    }

    #[test]
    #[should_panic(expected = "has no JSON file")]
    fn a_folder_without_files_is_no_pass() {
        json_files(tempfile::tempdir().unwrap().path());
    }

    #[test]
    fn octets_of_digits() {
        assert_eq!(octets("00fFa0"), [0x00, 0xff, 0xa0]);
    }
}
