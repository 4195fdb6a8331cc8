//! A crash leaves nothing that was secret.

use std::fs;
use std::path::Path;
use std::time::Duration;

use brunt_tests::brunt::{Brunt, engine_of};
use brunt_tests::origin::free_port;
use brunt_tests::process::Ended;
use brunt_tests::recorder::{Recorder, answer};
use brunt_tests::skip::skip;
use brunt_tests::{clock, turn};
use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process};

use crate::Folder;
use crate::secrets::{CANARY, check_absent};

const DEADLINE: Duration = Duration::from_secs(20);

/// Who is made to crash.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Crash {
    Engine,
    Parent,
    Both,
}

/// A crash leaves no memory with a secret in it, even where cores are wanted and the folder is there for them.
#[test]
fn a_crash_leaves_no_core_with_a_secret() {
    let _turn = turn();
    for crash in [Crash::Engine, Crash::Parent, Crash::Both] {
        let server = Recorder::start(|_| answer(200, &[], ""));
        let scenario = format!(
            "target: {}\nflows: {{a: [{{get: /, headers: {{K: \"{{{{ secret.X }}}}\"}}}}, {{think: 50ms}}]}}\n",
            server.target()
        );
        let folder = Folder::new(&scenario, &[]);
        let started =
            with_cores(folder.run("-c 2 -z 60s"), folder.path()).env("BRUNT_SECRET_X", CANARY).start();
        clock::until("requests with the secret", DEADLINE, || {
            server.seen().iter().any(|seen| seen.header("k") == CANARY).then_some(())
        });
        let (parent, engine) = (started.pid(), engine_of(&started));
        for pid in [parent, engine] {
            assert_eq!(core_limit(pid), ["0", "0"], "{crash:?}");
        }
        if crash != Crash::Parent {
            kill_process(engine, Signal::ABORT).expect("the engine is there");
        }
        if crash != Crash::Engine {
            kill_process(parent, Signal::ABORT).expect("brunt is there");
        }
        let ended = started.finish(DEADLINE);
        clock::until("the engine to end", DEADLINE, || is_gone(engine).then_some(()));
        check_crash(&ended, crash);
        for (name, bytes) in files_of(folder.path()) {
            let found = bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
            assert!(!found && !name.starts_with("core"), "{crash:?}: {name}\n{}", ended.story());
        }
    }
}

/// Allows cores without a limit, in this folder.
fn with_cores(run: Brunt, folder: &Path) -> Brunt {
    let folder = folder.display().to_string();
    run.wrapped(&["sh", "-c", "cd \"$0\" && ulimit -S -c \"$(ulimit -H -c)\" && exec \"$@\"", &folder])
}

#[track_caller]
fn check_crash(ended: &Ended, crash: Crash) {
    assert!(!ended.core_dumped, "{crash:?}: the kernel dumped its memory\n{}", ended.story());
    match crash {
        Crash::Engine => {
            ended.expect_code(1);
            check_absent(
                &[("stdout".to_owned(), ended.stdout.clone()), ("stderr".to_owned(), ended.stderr.clone())],
                "a crash of the engine",
            );
        }
        Crash::Parent => assert_eq!(ended.signal, Some(Signal::ABORT.as_raw()), "{}", ended.story()),
        // The parent may see its engine's end first, but has no time to make anything of it.
        Crash::Both => assert!(
            ended.signal == Some(Signal::ABORT.as_raw()) || ended.code == Some(1),
            "{}",
            ended.story()
        ),
    }
}

/// Where this machine writes cores into the folder of the process, one that may be dumped leaves one, by the same way of
/// starting it: else the test above would prove nothing.
#[test]
fn a_process_that_may_be_dumped_leaves_a_core_here() {
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    if pattern.starts_with(['|', '/', '@']) || getrlimit(Resource::Core).maximum == Some(0) {
        let why = format!("cores go elsewhere ({}) or are forbidden to all", pattern.trim());
        return skip("a_process_that_may_be_dumped_leaves_a_core_here", &why);
    }
    let folder = tempfile::tempdir().expect("a temporary directory can be made");
    // `origin` has no secrets, and is dumped like any other program.
    let origin = Brunt::new(&format!("origin --port {}", free_port()));
    let started = with_cores(origin, folder.path()).start();
    clock::until("its command to be brunt's", DEADLINE, || {
        let name = fs::read_to_string(format!("/proc/{}/comm", started.pid().as_raw_nonzero())).ok()?;
        (name.trim() == "brunt").then_some(())
    });
    started.signal(Signal::ABORT);
    let ended = started.finish(DEADLINE);
    assert!(ended.core_dumped && ended.signal == Some(Signal::ABORT.as_raw()), "{}", ended.story());
    assert!(files_of(folder.path()).iter().any(|(name, _)| name.starts_with("core")), "{pattern}");
}

/// The limits on the size of a core, now and at most.
fn core_limit(pid: Pid) -> [String; 2] {
    let limits = fs::read_to_string(format!("/proc/{}/limits", pid.as_raw_nonzero())).unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size"));
    let mut numbers = line.unwrap_or_default().split_whitespace().map(str::to_owned);
    [numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default()]
}

/// Has it ended, whoever is to wait for it?
fn is_gone(pid: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix("State:")).is_none_or(|state| state.contains('Z'))
}

/// Names and bytes of what stands in a folder.
fn files_of(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).expect("an own folder").map(|entry| entry.expect("an entry of it"));
    let read = |path: &Path| fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), read(&entry.path()))).collect()
}
