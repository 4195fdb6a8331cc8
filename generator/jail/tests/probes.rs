//! What a jailed process can still do, tried out.
//!
//! A jail is for good, so none is entered here: this program starts itself again as a probe (`probes/child.rs`), which
//! enters, tries things and prints what became of each; the parent judges the lines.
#![allow(unsafe_code, reason = "system calls that no wrapper makes are what the seal is tried with")]
#![allow(
    clippy::print_stdout,
    reason = "probes answer on their standard output, and this is its own test runner"
)]

#[path = "probes/calls.rs"]
mod calls;
#[path = "probes/child.rs"]
mod child;
#[path = "probes/runner.rs"]
mod runner;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::thread;

use brunt_jail::{Seccomp, state_of};

use self::calls::DENIED;
use self::runner::{DEADLINE, Ended, Probe, is_root, test_all};

const NOBODY: u32 = 65_534;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((first, rest)) = arguments.split_first()
        && first == child::FLAG
    {
        return child::run(rest);
    }
    runner::keep_descriptors_to_ourselves();
    test_all(
        &arguments,
        &[
            ("denied_calls_fail_for_that_reason_only", denied_calls_fail_for_that_reason_only),
            ("the_load_works_under_the_seal", the_load_works_under_the_seal),
            ("rings_and_unix_sockets_are_there_if_asked_for", rings_and_unix_sockets_are_there_if_asked_for),
            ("nothing_is_left_of_root", nothing_is_left_of_root),
            ("no_file_can_be_opened_after_the_first_stage", no_file_can_be_opened_after_the_first_stage),
            ("panics_and_aborts_end_as_ever", panics_and_aborts_end_as_ever),
            ("inherited_descriptors_refuse_the_start", inherited_descriptors_refuse_the_start),
            ("the_order_of_the_stages_is_held", the_order_of_the_stages_is_held),
            ("support_tells_both_parts", support_tells_both_parts),
        ],
    )
}

/// As root where the test is, and as an ordinary user.
fn users() -> Vec<bool> {
    if is_root() { vec![false, true] } else { vec![false] }
}

fn denied_calls_fail_for_that_reason_only() {
    for as_nobody in users() {
        // From the thread that sealed, and from one that ran before.
        for thread in ["main", "other"] {
            let ended = Probe::new("denied", as_nobody).argument(thread).run();
            let expected: Vec<String> =
                DENIED.iter().map(|denied| format!("{} {}", denied.name, libc::EPERM)).collect();
            ended.check(&expected);
        }
    }
    // Without the seal none of these ends with EPERM, so that it was the seal.
    let free = Probe::new("free", false).run();
    for (line, denied) in free.lines.iter().zip(DENIED) {
        assert!(line.starts_with(denied.name), "{line}");
        let needs_more = denied.needs_root && !is_root();
        assert!(needs_more || *line != format!("{} {}", denied.name, libc::EPERM), "{line}");
    }
    assert_eq!(free.lines.len(), DENIED.len(), "{free:?}");
}

fn the_load_works_under_the_seal() {
    for as_nobody in users() {
        let (port, server) = echo_once();
        let ended = Probe::new("load", as_nobody).argument(&port.to_string()).run();
        ended.check(&[
            "connect ok",
            "echo ok",
            "linger ok",
            "memory ok",
            "timer ok",
            "sleep ok",
            "affinity ok",
            "locks ok",
            "threads ok",
            "deadline ok",
            "random ok",
            "ring 1",
            "unix 1",
            "done",
        ]);
        server.join().expect("the server ends");
    }
}

fn rings_and_unix_sockets_are_there_if_asked_for() {
    for as_nobody in users() {
        let path = PathBuf::from(format!("/tmp/brunt-jail-{}-{as_nobody}", std::process::id()));
        let other = child::beside(&path);
        let listeners = [&path, &other].map(|path| {
            let _ = std::fs::remove_file(path);
            let listener = UnixListener::bind(path).expect("a socket in /tmp");
            let everybody = std::fs::Permissions::from_mode(0o777);
            std::fs::set_permissions(path, everybody).expect("its mode is changed");
            listener
        });
        let ended = Probe::new("asked", as_nobody).argument(&path.to_string_lossy()).run();
        std::fs::remove_file(&path).expect("it is removed");
        std::fs::remove_file(&other).expect("it is removed");
        // Kernels that cannot tell sockets apart say so.
        let is_limited = ended.lines[0] == "unix sockets on";
        let [limited, other] = if is_limited { ["on", "13"] } else { ["off", "0"] };
        let [limited, other] = [format!("unix sockets {limited}"), format!("other unix {other}")];
        ended.check(&[limited.as_str(), "ring 0", "unix 0", other.as_str(), "done"]);
        drop(listeners);
    }
}

fn nothing_is_left_of_root() {
    for as_nobody in users() {
        let probe = Probe::new("wait", as_nobody).start();
        let parts = probe.lines_until("sealed");
        let state = state_of(probe.id()).expect("the probe runs");
        assert!(!state.has_capabilities(), "{state:?}");
        assert!(state.no_new_privs, "{state:?}");
        assert_eq!(state.seccomp, Seccomp::Filter, "{state:?}");
        if is_root() {
            assert_eq!((state.uids, state.gids), ([NOBODY; 4], [NOBODY; 4]));
            // Who was no root has not the right to empty this set, which is told.
            assert_eq!(state.bounding == 0, !as_nobody, "{state:?}");
            let expected = if as_nobody { "bounding set off" } else { "bounding set on" };
            assert!(parts.iter().any(|line| line == expected), "{parts:?}");
        }
        for expected in ["user on", "capabilities on", "no new privileges on", "core dumps on"] {
            assert!(parts.iter().any(|line| line == expected), "{expected} in {parts:?}");
        }
        for expected in ["dumpable NotDumpable", "core limit Some(0) Some(0)", "groups 0"] {
            assert!(parts.iter().any(|line| line == expected), "{expected} in {parts:?}");
        }
        probe.finish().check(&["done"]);
    }
}

fn no_file_can_be_opened_after_the_first_stage() {
    for as_nobody in users() {
        let ended = Probe::new("files", as_nobody).run();
        let expected: &[&str] = if ended.lines[0] == "landlock on" {
            &["landlock on", "open 13", "folder 13", "create 13"]
        } else {
            &["landlock off", "open 0", "folder 0", "create 13"]
        };
        ended.check(expected);
    }
}

fn panics_and_aborts_end_as_ever() {
    let ended = Probe::new("panic", false).run();
    ended.check(&["joined a panic"]);
    assert!(ended.errors.contains("this is the panic's message"), "{ended:?}");
    let ended = Probe::new("abort", false).start().finish();
    assert_eq!(ended.signal, Some(libc::SIGABRT), "{ended:?}");
}

fn inherited_descriptors_refuse_the_start() {
    fn check(ended: &Ended, expected: &str) {
        assert!(ended.lines.len() == 1 && ended.lines[0].contains(expected), "{expected} in {ended:?}");
    }
    let inet: OwnedFd = TcpListener::bind("127.0.0.1:0").expect("a port").into();
    let udp: OwnedFd = UdpSocket::bind("127.0.0.1:0").expect("a port").into();
    let (unix, other): (OwnedFd, OwnedFd) =
        UnixStream::pair().map(|(one, two)| (one.into(), two.into())).expect("a pair");
    let copy = |fd: &OwnedFd| Stdio::from(fd.try_clone().expect("a copy"));

    check(&Probe::new("inherited", false).run(), "enters");
    check(
        &Probe::new("inherited", false).input(copy(&inet)).run(),
        "descriptor 0 is an inherited socket (INET)",
    );
    check(
        &Probe::new("inherited", false).input(copy(&udp)).run(),
        "descriptor 0 is an inherited socket (INET)",
    );
    check(&Probe::new("inherited", false).input(copy(&unix)).run(), "enters");
    for (fd, family) in [(&inet, "INET"), (&unix, "UNIX"), (&other, "UNIX")] {
        let expected = format!("descriptor {} is an inherited socket ({family})", fd.as_raw_fd());
        check(&Probe::new("inherited", false).pass_on(fd).run(), &expected);
        let kept = fd.as_raw_fd().to_string();
        check(&Probe::new("inherited", false).pass_on(fd).argument(&kept).run(), &expected);
    }
    let raw_sockets = [(libc::AF_NETLINK, "NETLINK"), (libc::AF_PACKET, "PACKET"), (libc::AF_INET6, "INET6")];
    for (family, name) in raw_sockets {
        let Some(fd) = runner::raw_socket(family) else {
            assert!(!is_root(), "root can make a socket of {name}");
            continue;
        };
        let expected = format!("descriptor {} is an inherited socket ({name})", fd.as_raw_fd());
        check(&Probe::new("inherited", false).pass_on(&fd).run(), &expected);
    }
    let file: OwnedFd = std::fs::File::open("/dev/null").expect("a file").into();
    let kept = file.as_raw_fd().to_string();
    check(&Probe::new("inherited", false).pass_on(&file).argument(&kept).run(), "enters");
    check(
        &Probe::new("inherited", false).pass_on(&file).run(),
        &format!("descriptor {kept} (\"/dev/null\") is inherited without need"),
    );
    let folder: OwnedFd = std::fs::File::open("/").expect("a folder").into();
    check(
        &Probe::new("inherited", false).pass_on(&folder).argument("0").run(),
        &format!("descriptor {} (\"/\") is inherited without need", folder.as_raw_fd()),
    );
    check(&Probe::new("inherited", false).input(Stdio::from(folder)).run(), "enters");
    check(
        &Probe::new("inherited", false).argument("77").run(),
        "descriptor 77 was to be kept but is not open",
    );
}

fn the_order_of_the_stages_is_held() {
    let ended = Probe::new("late", false).run();
    assert!(ended.lines[0].contains("with 2 threads running"), "{ended:?}");
    assert!(ended.lines[1].contains("a process is sealed once"), "{ended:?}");
    assert_eq!(ended.lines.len(), 2);
}

fn support_tells_both_parts() {
    let before = state_of(std::process::id()).expect("this process");
    let parts = brunt_jail::support();
    let names: Vec<_> = parts.iter().map(|part| part.name).collect();
    assert_eq!(names, ["landlock", "seccomp"]);
    assert!(parts[1].is_on(), "every other test here relies on it: {parts:?}");
    assert_eq!(state_of(std::process::id()).expect("this process"), before, "nothing was given up");
}

/// A server on loopback that gives back what it gets, to one client.
fn echo_once() -> (u16, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
    let port = listener.local_addr().expect("its address").port();
    let serve = move || {
        runner::wait_readable(&listener);
        let (mut client, _): (TcpStream, _) = listener.accept().expect("the probe connects");
        client.set_read_timeout(Some(DEADLINE)).expect("a deadline");
        let mut bytes = [0; 4];
        client.read_exact(&mut bytes).expect("the probe sends");
        client.write_all(&bytes).expect("the probe receives");
    };
    (port, thread::spawn(serve))
}
