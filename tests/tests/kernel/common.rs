//! What the tests of the kernel's part share.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use brunt_model::verdict::Status;
use brunt_tests::brunt::{Brunt, Measured, binary};
use brunt_tests::garbage::{Act, Server};
use brunt_tests::loader::open_directory;
use brunt_tests::process::{Ended, Running};
use brunt_tests::skip::{is_root, skip};

/// The user `nobody`, which owns nothing and may do nothing.
pub(crate) const NOBODY: u32 = 65_534;
const DEADLINE: Duration = Duration::from_secs(25);

/// A target that answers, and counts who came.
pub(crate) fn target() -> Server {
    Server::start(&[Act::send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")])
}

/// Becoming somebody else takes root.
pub(crate) fn is_root_or_skip(test: &str) -> bool {
    if !is_root() {
        skip(test, "it takes root to load kernel programs and to become another user");
    }
    is_root()
}

/// A copy of a program where everybody may execute it, run by `nobody` to its end, without any `BRUNT_*` variable.
#[track_caller]
pub(crate) fn by_nobody(program: &Path, args: &str) -> Ended {
    let directory = open_directory();
    let copy = directory.path().join(program.file_name().expect("a program has a name"));
    std::fs::copy(program, &copy).expect("a program can be copied");
    let mut command = Command::new(&copy);
    command.args(args.split_whitespace()).uid(NOBODY).gid(NOBODY).env_clear();
    Running::start(command).finish(DEADLINE)
}

/// A short run by `nobody`, with its result on stdout.
#[track_caller]
pub(crate) fn run_by_nobody(flags: &str, url: &str) -> Ended {
    by_nobody(&binary(), &format!("run -n 100 -c 2 --cores 0 -o json {flags} {url}"))
}

/// The same by the user of the test.
#[track_caller]
pub(crate) fn run(flags: &str, url: &str) -> Ended {
    Brunt::new(&format!("run -n 100 -c 2 --cores 0 -o json {flags} {url}")).run()
}

/// The result on stdout.
#[track_caller]
pub(crate) fn measured(ended: Ended) -> Measured {
    let story = ended.story();
    let json = serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}\n{story}"));
    let report = serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}\n{story}"));
    Measured { ended, report, json }
}

/// It came to its end. A run as short as these may be invalid on a host that has other work, which is not what these tests
/// are about.
#[track_caller]
pub(crate) fn check_ended(measured: &Measured) {
    let is_invalid = measured.report.verdict.status == Status::Invalid;
    measured.expect_counts(if is_invalid { 4 } else { 0 });
}

/// A run that came to its end, and what it says of kernel timing and guard: both begin so.
#[track_caller]
pub(crate) fn check_parts(measured: &Measured, timing: &str, guard: &str) {
    check_ended(measured);
    let environment = &measured.report.environment;
    assert!(environment.kernel_timing.starts_with(timing), "{environment:?}\n{}", measured.story());
    assert!(environment.guard.starts_with(guard), "{environment:?}\n{}", measured.story());
    let is_timed = timing == "on";
    let coverage = measured.report.kernel.coverage;
    assert_eq!(coverage.is_some_and(|coverage| coverage > 0.0), is_timed, "{}", measured.story());
}
