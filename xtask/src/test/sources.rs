//! Sources of Python packages that tests read as data: fetched by pip, pinned by version and SHA-256, kept in the
//! target directory.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::suites::Suite;
use crate::cargo;
use crate::console::say;
use crate::failure::Failure;

/// Where the sources stand, for tests: each in the folder `NAME-VERSION`.
pub(super) const VARIABLE: &str = "BRUNT_SOURCES";

const SOURCES: [Source; 1] = [Source {
    suite: "scenarios",
    name: "locust",
    version: "2.24.1",
    sha256: "094161d44d94839bf1120fd7898b7abb9c143833743ba7c096beb470a236b9a7",
}];

/// A source distribution, in the folder that its archive holds.
struct Source {
    /// Of the tests that read it.
    suite: &'static str,
    name: &'static str,
    version: &'static str,
    /// Of the archive.
    sha256: &'static str,
}

/// Fetches what the suites need and is not there yet. What stays missing makes tests skip, not this fail.
pub(super) fn provide(suites: &[&Suite], install: bool) {
    let needed = |source: &&Source| suites.iter().any(|suite| suite.name == source.suite);
    for source in SOURCES.iter().filter(needed) {
        let title = source.title();
        let wanted = folder().and_then(|folder| {
            let there = folder.join(&title).is_dir();
            if !there && install {
                say(&format!("== fetching the source of {title} (--no-install turns this off)"));
                return source.fetch(&folder);
            }
            Ok(there)
        });
        match wanted {
            Ok(true) => {}
            Ok(false) => say(&format!("the source of {title} is not here; tests that need it are skipped")),
            Err(failure) => say(&format!(
                "could not fetch the source of {title}: {}; tests that need it are skipped",
                failure.message
            )),
        }
    }
}

/// The folder of all sources.
pub(super) fn folder() -> Result<PathBuf, Failure> {
    Ok(cargo::target_directory()?.join("sources"))
}

impl Source {
    fn title(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }

    /// Puts the unpacked source into `folder`, whole or not at all.
    fn fetch(&self, folder: &Path) -> Result<bool, Failure> {
        let title = self.title();
        let work = folder.join(format!(".{title}-{}", std::process::id()));
        std::fs::create_dir_all(&work)
            .map_err(|e| Failure::io(format_args!("make {}", work.display()), &e))?;
        let fetched = self.unpack(&work).and_then(|()| {
            std::fs::rename(work.join(&title), folder.join(&title))
                .map_err(|e| Failure::io(format_args!("move {title} into {}", folder.display()), &e))
        });
        let _ = std::fs::remove_dir_all(&work);
        fetched.map(|()| true)
    }

    /// pip takes only an archive with the recorded sum, so no other comes as far as being unpacked.
    fn unpack(&self, work: &Path) -> Result<(), Failure> {
        let wish = work.join("requirements.txt");
        std::fs::write(&wish, self.requirement())
            .map_err(|e| Failure::io(format_args!("write {}", wish.display()), &e))?;
        let words = "download --quiet --no-deps --no-binary :all: --require-hashes -r requirements.txt -d .";
        succeed(work, "pip3", words)?;
        succeed(work, "tar", &format!("-xzf {}.tar.gz", self.title()))
    }

    /// A line of a requirements file.
    fn requirement(&self) -> String {
        format!("{}=={} --hash=sha256:{}\n", self.name, self.version, self.sha256)
    }
}

/// Runs a program in a folder, its output passed through.
fn succeed(folder: &Path, program: &str, words: &str) -> Result<(), Failure> {
    let mut command = Command::new(program);
    command.current_dir(folder).args(words.split_whitespace()).stdin(Stdio::null());
    let status = command.status().map_err(|e| Failure::io(format_args!("start {program}"), &e))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(format!("{program} failed ({status}); its output is above")))
}

#[cfg(test)]
mod tests {
    use super::{SOURCES, succeed};
    use crate::test::suites::SUITES;

    #[test]
    fn sources_are_pinned_and_belong_to_a_suite() {
        for source in SOURCES {
            assert!(SUITES.iter().any(|suite| suite.name == source.suite), "{}", source.suite);
            assert!(source.sha256.len() == 64 && source.sha256.bytes().all(|b| b.is_ascii_hexdigit()));
            let line = source.requirement();
            assert!(line.starts_with(&format!("{}=={} --hash=sha256:", source.name, source.version)));
        }
    }

    #[test]
    fn a_program_that_fails_or_is_not_there_is_told() {
        let here = std::env::temp_dir();
        let check = |program, expected: &str| {
            let told = succeed(&here, program, "").map_err(|failure| failure.message);
            assert!(told.as_ref().is_err_and(|told| told.contains(expected)), "{told:?}");
        };
        check("false", "false failed");
        check("no-such-program-here", "cannot start no-such-program-here");
        assert!(succeed(&here, "true", "").is_ok());
    }
}
