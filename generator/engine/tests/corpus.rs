//! Replays what fuzzing is begun with, and what it once found, through the same functions.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use brunt_engine::fuzzing::TARGETS;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// What is in a directory, in order.
fn list(directory: &Path) -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(directory).unwrap_or_else(|cause| panic!("{}: {cause}", directory.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort_unstable();
    paths
}

#[test]
fn nothing_in_a_corpus_panics() {
    for (name, target) in TARGETS {
        let files = list(&fuzz().join("corpus").join(name));
        assert!(!files.is_empty(), "the corpus of {name} is empty");
        for file in files {
            let bytes = std::fs::read(&file).unwrap();
            // What a peer sends may end anywhere.
            let replay = || (0..=bytes.len()).for_each(|length| target(&bytes[..length]));
            assert!(std::panic::catch_unwind(replay).is_ok(), "{name} panics on {}", file.display());
        }
    }
}

#[test]
fn each_target_has_its_file_and_its_corpus() {
    let want: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    for directory in ["corpus", "fuzz_targets"] {
        let found: BTreeSet<String> = list(&fuzz().join(directory))
            .iter()
            .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(found, want, "{directory}");
    }
}
