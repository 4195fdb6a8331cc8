//! Locustfiles that others wrote: the examples of Locust's own source.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use brunt_tests::brunt::Brunt;
use brunt_tests::data::source_or_skip;

const SOURCE: &str = "locust-2.24.1";
/// In its folder `examples`, and below.
const EXAMPLES: usize = 38;
/// Half of them. A dozen of the others send nothing over HTTP, or not by Locust's client.
const IMPORTED_AT_LEAST: usize = EXAMPLES / 2;

/// What became of a locustfile.
#[derive(Debug)]
enum Became {
    Scenario(String),
    Refused { line: u32, why: String },
}

#[test]
fn examples_of_locust_are_imported_or_refused_by_line() {
    let Some(source) = source_or_skip("examples_of_locust_are_imported_or_refused_by_line", SOURCE) else {
        return;
    };
    let folder = source.join("examples");
    let files = locustfiles(&folder);
    assert_eq!(files.len(), EXAMPLES, "{files:?}");
    let mut imported = 0;
    for file in &files {
        let name = file.strip_prefix(&folder).expect("it is in the folder").display();
        match import(file) {
            Became::Scenario(text) => {
                say(&format!("{name}: imported"));
                check_accepted(file, &text);
                imported += 1;
            }
            Became::Refused { line, why } => {
                let lines = fs::read_to_string(file).expect("it is there").lines().count();
                assert!((1..=lines.max(1)).contains(&(line as usize)), "{name} has {lines} lines: {line}");
                say(&format!("{name}: refused at {line}: {why}"));
            }
        }
    }
    say(&format!("{imported} of {} imported", files.len()));
    assert!(imported >= IMPORTED_AT_LEAST, "{imported} of {} imported", files.len());
}

/// Python files below a folder, in order.
fn locustfiles(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.expect("an entry of a folder").path();
        if path.is_dir() {
            files.extend(locustfiles(&path));
        } else if path.extension().is_some_and(|extension| extension == "py") {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[track_caller]
fn import(file: &Path) -> Became {
    let path = file.display().to_string();
    let ended = Brunt::new("import locustfile").arg(&path).run();
    match ended.code {
        Some(0) => Became::Scenario(ended.stdout),
        Some(5) => {
            let place = ended.stderr.strip_prefix(&path).and_then(|rest| rest.strip_prefix(':'));
            let place = place.and_then(|rest| rest.split_once(':'));
            let (line, rest) = place.unwrap_or_else(|| panic!("no place\n{}", ended.story()));
            let why = rest.split_once(": ").map_or(rest, |(_, why)| why).trim().to_owned();
            let line = line.parse().unwrap_or_else(|_| panic!("no line\n{}", ended.story()));
            assert!(why.contains("; "), "it names no mend\n{}", ended.story());
            Became::Refused { line, why }
        }
        _ => panic!("neither imported nor refused\n{}", ended.story()),
    }
}

/// By `brunt check`, as a file.
#[track_caller]
fn check_accepted(locustfile: &Path, text: &str) {
    let folder = tempfile::tempdir().expect("a temporary directory can be made");
    let scenario = folder.path().join("scenario.yaml");
    fs::write(&scenario, text).expect("a new directory is writable");
    let ended = Brunt::new("check").arg(&scenario.display().to_string()).run();
    assert!(ended.code == Some(0), "{}\n{text}\n{}", locustfile.display(), ended.story());
}

/// Whatever a locustfile says, and whatever stands in the search path under the name of Python.
#[test]
fn no_locustfile_is_run() {
    let folder = tempfile::tempdir().expect("a temporary directory can be made");
    let ran = folder.path().join("ran");
    let file = folder.path().join("locustfile.py");
    let touch = format!("open({:?}, 'w').write('ran')", ran.display().to_string());
    let source = format!(
        "import os\nfrom locust import HttpUser, task, events\n{touch}\nos.system({:?})\n\
         @events.init.add_listener\ndef begin(**_):\n    {touch}\n\
         class A(HttpUser):\n    host = 'http://a.test'\n    @task\n    def a(self):\n        self.client.get('/')\n",
        format!("touch {}", ran.display())
    );
    fs::write(&file, source).expect("a new directory is writable");
    for name in ["python", "python3", "locust", "sh"] {
        let program = folder.path().join(name);
        fs::write(&program, format!("#!/bin/sh\n: > {}\n", ran.display())).expect("it is writable");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("an own file");
    }
    let path = file.display().to_string();
    let own = folder.path().display().to_string();
    let ended = Brunt::new("import locustfile").arg(&path).env("PATH", &own).run();
    ended.expect_code(0);
    assert!(ended.stdout.contains("get: /"), "{}", ended.story());
    assert!(!ran.exists(), "something of the locustfile was run\n{}", ended.story());
    let mut left: Vec<_> = fs::read_dir(folder.path()).expect("an own folder").collect();
    left.retain(|entry| entry.as_ref().is_ok_and(|entry| entry.file_name() == "__pycache__"));
    assert!(left.is_empty(), "Python was here: {left:?}");
}

#[expect(clippy::print_stderr, reason = "this is how a test speaks")]
fn say(line: &str) {
    eprintln!("{line}");
}
