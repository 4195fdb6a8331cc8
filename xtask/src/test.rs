//! `cargo xtask test`: every check and test, counted together.
//!
//! The last line of stdout is exactly `N passed, N failed, N skipped`; above it stands the reason of each skip and
//! the name of each failure. A step that fails does not stop the next; a build that fails stops its suite.

mod install;
mod sources;
mod steps;
pub(crate) mod suites;
mod tally;

use std::path::PathBuf;

use crate::cargo;
use crate::console::{Stopwatch, say};
use crate::failure::Failure;
use steps::Environment;
use suites::{SUITES, Suite};
use tally::Tally;

pub(crate) fn run(arguments: &[String]) -> Result<u8, Failure> {
    let options = Options::parse(arguments)?;
    let must_run = std::env::var("BRUNT_MUST_RUN").is_ok_and(|value| value == "1");
    let watch = Stopwatch::start();
    install::provide(&options.suites, options.install);
    sources::provide(&options.suites, options.install);
    let environment = Environment { long: options.long, skip_log: skip_log()? };
    let mut tally = Tally::default();
    for suite in &options.suites {
        steps::run_suite(suite, &environment, &mut tally);
    }
    let _ = std::fs::remove_file(&environment.skip_log);
    if must_run {
        tally.fail_unmet_needs();
    }
    say("");
    for skip in &tally.skips {
        say(&format!("skipped {skip}"));
    }
    for failure in &tally.failures {
        say(&format!("failed {failure}"));
    }
    say(&format!("took {watch}"));
    say(&tally.last_line());
    Ok(u8::from(!tally.is_good()))
}

/// The command line, understood.
#[derive(Debug)]
struct Options {
    suites: Vec<&'static Suite>,
    long: bool,
    install: bool,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self, Failure> {
        let mut options = Self { suites: Vec::new(), long: false, install: true };
        let mut words = arguments.iter().map(String::as_str);
        while let Some(word) = words.next() {
            match word.split_once('=').unwrap_or((word, "")) {
                ("--only", "") => {
                    let name = words.next().ok_or_else(|| Failure::usage("--only needs a suite's name"))?;
                    options.add(name)?;
                }
                ("--only", name) => options.add(name)?,
                ("--long", "") => options.long = true,
                ("--no-install", "") => options.install = false,
                _ => {
                    return Err(Failure::usage(format!(
                        "`test` does not know `{word}`; it takes --only SUITE, --long and --no-install"
                    )));
                }
            }
        }
        if options.suites.is_empty() {
            options.suites.extend(SUITES);
        }
        Ok(options)
    }

    fn add(&mut self, name: &str) -> Result<(), Failure> {
        let suite = SUITES.iter().find(|suite| suite.name == name).ok_or_else(|| {
            let names: Vec<_> = SUITES.iter().map(|suite| suite.name).collect();
            Failure::usage(format!("there is no suite `{name}`; the suites are {}", names.join(", ")))
        })?;
        if !self.suites.iter().any(|chosen| chosen.name == name) {
            self.suites.push(suite);
        }
        Ok(())
    }
}

/// An empty file in which tests note what they skip. Its name is this process's own, so runs do not mix.
fn skip_log() -> Result<PathBuf, Failure> {
    let directory = cargo::root()?.join("target/xtask");
    std::fs::create_dir_all(&directory)
        .map_err(|e| Failure::io(format_args!("make {}", directory.display()), &e))?;
    let path = directory.join(format!("skips-{}.log", std::process::id()));
    std::fs::write(&path, "").map_err(|e| Failure::io(format_args!("write {}", path.display()), &e))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::Options;

    fn parse(words: &str) -> Result<(Vec<&'static str>, bool, bool), String> {
        let words: Vec<String> = words.split_whitespace().map(String::from).collect();
        let options = Options::parse(&words).map_err(|failure| {
            assert_eq!(failure.exit_code, 2);
            failure.message
        })?;
        Ok((options.suites.iter().map(|suite| suite.name).collect(), options.long, options.install))
    }

    #[test]
    fn options_are_understood() {
        assert_eq!(parse("").expect("valid").0[..2], ["unit", "e2e"]);
        assert_eq!(parse("--only e2e --only=unit --only e2e"), Ok((vec!["e2e", "unit"], false, true)));
        assert_eq!(parse("--long --only unit --no-install"), Ok((vec!["unit"], true, false)));
    }

    #[test]
    fn mistakes_name_what_there_is() {
        let unknown = parse("--only nothing").expect_err("no such suite");
        assert!(unknown.contains("`nothing`") && unknown.contains("unit, e2e"), "{unknown}");
        assert!(parse("--only").expect_err("no name").contains("--only"));
        assert!(parse("--fast").expect_err("no such flag").contains("--fast"));
        assert!(parse("--long=1").expect_err("no value").contains("--long=1"));
    }
}
