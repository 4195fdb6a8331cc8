//! What a run does where the kernel's part is missing, forbidden, or goes away: it says so, and where it was told to
//! refuse it does so before anything is sent.
//!
//! An old kernel, one without BTF, one that is locked down and one with cgroups of version 1 alone are data of the unit
//! tests of `brunt doctor`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use brunt_model::verdict::Mark;
use brunt_tests::brunt::{Brunt, Measured, binary};
use brunt_tests::garbage::Server;
use brunt_tests::loader::{Loader, cgroups_of, open_directory, pins_of, socket_in};
use brunt_tests::process::{Ended, Running};
use brunt_tests::{clock, turn};
use rustix::process::{Pid, Signal, test_kill_process};
use serde_json::Value;

use super::common::{
    NOBODY, by_nobody, check_ended, check_parts, is_root_or_skip, measured, run, run_by_nobody, target,
};

const DEADLINE: Duration = Duration::from_secs(15);

/// Runs by `nobody` go on without the kernel's part and say why; where it was demanded they are refused, unsent.
#[track_caller]
fn check_off(socket: &Path, words: &[&str]) {
    let target = target();
    let socket = format!("--loader-socket {}", socket.display());
    let passed = measured(run_by_nobody(&socket, &target.url()));
    check_parts(&passed, "off: ", "off: ");
    let environment = &passed.report.environment;
    for word in words {
        for part in [&environment.kernel_timing, &environment.guard] {
            assert!(part.contains(word), "'{part}' should contain '{word}'");
        }
    }
    let sent = target.requests();
    for demand in ["--kernel on", "--guard required"] {
        let refused = run_by_nobody(&format!("{socket} {demand}"), &target.url());
        refused.expect_code(6).expect_on_stderr(words).expect_on_stderr(&[demand, "brunt doctor"]);
    }
    assert_eq!(target.requests(), sent, "what is refused sends nothing");
}

#[test]
fn no_loader_and_no_root() {
    if !is_root_or_skip("no_loader_and_no_root") {
        return;
    }
    let _turn = turn();
    let directory = open_directory();
    check_off(&socket_in(&directory), &["no loader at", "start brunt-loader, or run this as root"]);
}

#[test]
fn a_loader_that_serves_others() {
    let _turn = turn();
    let Some(loader) = Loader::start_or_skip("a_loader_that_serves_others", "--peer-uid 12345") else {
        return;
    };
    check_off(&loader.socket(), &["user 65534 may not use this loader", "--peer-uid"]);
}

#[test]
fn a_loader_that_serves_us_takes_no_root() {
    let _turn = turn();
    let args = format!("--peer-uid {NOBODY}");
    let Some(loader) = Loader::start_or_skip("a_loader_that_serves_us_takes_no_root", &args) else { return };
    let demanded = format!("{} --kernel on --guard required", loader.flag());
    let target = target();
    for flags in [loader.flag(), demanded] {
        check_parts(&measured(run_by_nobody(&flags, &target.url())), "on", "on");
    }
}

#[test]
fn what_policy_forbids_is_refused_before_anything_is_sent() {
    let _turn = turn();
    let test = "what_policy_forbids_is_refused_before_anything_is_sent";
    let Some(loader) = Loader::start_or_skip(test, "--allow 192.0.2.0/24") else { return };
    let target = target();
    for (flags, words) in [
        ("", &["the loader's policy does not allow 127.0.0.1", "--allow"][..]),
        ("--guard required", &["the loader's policy does not allow 127.0.0.1"]),
        ("--allow 10.0.0.0/8", &["is not among what --allow names"]),
        ("--allow 127.0.0.1:9 --guard off", &["is not among what --allow names"]),
    ] {
        let ended = run(&format!("{} {flags}", loader.flag()), &target.url());
        ended.expect_code(6).expect_on_stderr(words);
        assert_eq!(ended.stdout, "", "there is no result\n{}", ended.story());
    }
    assert_eq!(target.connections(), 0);
    // A namespace without any interface that is up: were it tried, it would not get out.
    let metadata = format!("run -n 1 {} http://169.254.169.254/", loader.flag());
    let ended = Brunt::new(&metadata).wrapped(&["unshare", "--net"]).run();
    ended.expect_code(6).expect_on_stderr(&["169.254.169.254:80", "metadata", "--guard off"]);
}

/// Starts a run and ends its loader as soon as requests are answered; gives the run time to notice.
fn run_and_end(loader: Loader, signal: Signal, flags: &str, target: &Server) -> (Running, Pid, Ended) {
    let args = format!("run -z 4s -q 500 --cores 0 -o json {} {flags} {}", loader.flag(), target.url());
    let running = Brunt::new(&args).start();
    clock::until("requests", DEADLINE, || (target.requests() > 20).then_some(()));
    let pid = loader.pid();
    assert_eq!(cgroups_of(pid).len(), 1, "the engine has a cgroup");
    let ended = loader.end(signal);
    (running, pid, ended)
}

#[track_caller]
fn check_degraded(ended: Ended, words: &[&str]) -> Measured {
    let measured = measured(ended);
    assert!(measured.report.verdict.marks.contains(&Mark::Degraded), "{}", measured.story());
    check_ended(&measured);
    let reasons = measured.report.verdict.reasons.join("\n");
    for word in words {
        assert!(reasons.contains(word), "'{word}' is no reason\n{}", measured.story());
    }
    measured
}

#[test]
fn a_fence_outlives_its_keeper_until_the_run_has_ended() {
    let _turn = turn();
    let test = "a_fence_outlives_its_keeper_until_the_run_has_ended";
    let Some(loader) = Loader::start_or_skip(test, "") else { return };
    let (target, forbidden) = (target(), target());
    let (running, pid, killed) = run_and_end(loader, Signal::KILL, "", &target);
    assert_eq!(killed.signal, Some(9), "{}", killed.story());
    assert_eq!(pins_of(pid).len(), 1, "the guard is pinned");
    let cgroup = cgroups_of(pid).remove(0);
    let session = cgroup.file_name().expect("it has a name").display();
    let next = Loader::start_or_skip(test, "").expect("the first one started");
    clock::until("the next loader to find it", DEADLINE, || {
        next.said().contains(&format!("stays for processes that still run: {session}")).then_some(())
    });
    assert_eq!(connect_from(&cgroup, &target.url()), Some(0), "what is granted can be reached");
    assert_ne!(connect_from(&cgroup, &forbidden.url()), Some(0), "nothing else can");
    assert_eq!(forbidden.connections(), 0);
    let words = ["the guard stands, but its kill switch and its counters are gone", "have no kernel times"];
    check_degraded(running.finish(DEADLINE), &words);
    clock::until("the next loader to clear up", DEADLINE, || {
        next.said().contains(&format!("removed what an earlier loader left: {session}")).then_some(())
    });
    assert_eq!((pins_of(pid), cgroups_of(pid)), (vec![], vec![]));
}

/// The exit code of a shell in this cgroup that opens a connection.
fn connect_from(cgroup: &Path, url: &str) -> Option<i32> {
    let authority = url.trim_start_matches("http://").trim_end_matches('/').replace(':', "/");
    let script = format!("echo $$ >{}/cgroup.procs && exec 3<>/dev/tcp/{authority}", cgroup.display());
    let mut command = Command::new("bash");
    command.args(["-c", &script]);
    Running::start(command).finish(DEADLINE).code
}

#[test]
fn without_a_guard_only_the_times_go_with_the_loader() {
    let _turn = turn();
    let test = "without_a_guard_only_the_times_go_with_the_loader";
    for (signal, code, said) in
        [(Signal::KILL, None, ""), (Signal::TERM, Some(0), "goes on, without kernel times")]
    {
        let Some(loader) = Loader::start_or_skip(test, "") else { return };
        let target = target();
        let (running, pid, ended) = run_and_end(loader, signal, "--guard off", &target);
        assert_eq!(ended.code, code, "{}", ended.story());
        ended.expect_on_stderr(&[said]);
        assert_eq!(pins_of(pid), Vec::<std::path::PathBuf>::new());
        let measured = check_degraded(running.finish(DEADLINE), &["there are no kernel times from then on"]);
        assert!(measured.report.kernel.known > 0, "those from before stand\n{}", measured.story());
        // Its empty cgroup is the next loader's to find.
        let next = Loader::start_or_skip(test, "").expect("the first one started");
        clock::until("the cgroup to be gone", DEADLINE, || cgroups_of(pid).is_empty().then_some(()));
        next.end(Signal::TERM).expect_code(0);
    }
}

#[test]
fn a_loader_of_one_run_leaves_nothing() {
    if !is_root_or_skip("a_loader_of_one_run_leaves_nothing") {
        return;
    }
    let _turn = turn();
    let (directory, target) = (open_directory(), target());
    let nobody = socket_in(&directory);
    let args =
        format!("run -z 1s -c 2 --cores 0 -o json --loader-socket {} {}", nobody.display(), target.url());
    let running = Brunt::new(&args).start();
    let loader = clock::until("the run's own loader", DEADLINE, || {
        running.children().into_iter().find(|pid| command_of(*pid) == "brunt-loader")
    });
    clock::until("its session", DEADLINE, || (cgroups_of(loader).len() == 1).then_some(()));
    check_parts(&measured(running.finish(DEADLINE)), "on", "on");
    assert_eq!((pins_of(loader), cgroups_of(loader)), (vec![], vec![]));
    assert_eq!(test_kill_process(loader), Err(rustix::io::Errno::SRCH), "it has ended");
}

fn command_of(pid: Pid) -> String {
    let path = format!("/proc/{}/comm", pid.as_raw_nonzero());
    std::fs::read_to_string(path).unwrap_or_default().trim_end().to_owned()
}

/// Level, figure and mend of a finding.
fn finding(diagnosis: &Ended, name: &str) -> [String; 3] {
    let json: Value =
        serde_json::from_str(&diagnosis.stdout).unwrap_or_else(|_| panic!("{}", diagnosis.story()));
    let findings = json["findings"].as_array().expect("findings are a list");
    let finding = findings.iter().find(|finding| finding["name"] == name);
    let finding = finding.unwrap_or_else(|| panic!("no {name}\n{}", diagnosis.story()));
    ["level", "figure", "mend"].map(|field| finding[field].as_str().unwrap_or_default().to_owned())
}

#[test]
fn the_doctor_tells_what_a_run_would_have() {
    let _turn = turn();
    let test = "the_doctor_tells_what_a_run_would_have";
    let Some(others) = Loader::start_or_skip(test, "--peer-uid 12345") else { return };
    let ours = Loader::start_or_skip(test, &format!("--peer-uid {NOBODY}")).expect("the first one started");
    let none = "--loader-socket /nonexistent/loader.sock".to_owned();
    for (socket, level, figure, mend) in [
        (none, "warn", "off: no loader at /nonexistent/loader.sock", "start brunt-loader"),
        (others.flag(), "warn", "off: user 65534 may not use this loader", "--peer-uid"),
        (ours.flag(), "ok", "works, by brunt-loader", ""),
    ] {
        let diagnosis = by_nobody(&binary(), &format!("doctor -o json {socket}"));
        for name in ["kernel timing", "kernel guard"] {
            let [its_level, its_figure, its_mend] = finding(&diagnosis, name);
            assert_eq!(its_level, level, "{}", diagnosis.story());
            assert!(its_figure.contains(figure) && its_mend.contains(mend), "{}", diagnosis.story());
        }
        assert!(finding(&diagnosis, "jail")[1].contains("landlock"), "{}", diagnosis.story());
    }
    let by_root = Brunt::new("doctor -o json --loader-socket /nonexistent/loader.sock").run();
    assert!(finding(&by_root, "kernel guard")[1].contains("starts for itself"), "{}", by_root.story());
}
