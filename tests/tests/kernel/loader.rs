//! The loader itself: what it refuses, what it gives up, what it leaves.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use brunt_loader::session::{Session, is_ready, receive, send};
use brunt_loader::wire::{Op, REPLY_LEN, REQUEST_LEN, Reply, Request, Status};
use brunt_tests::loader::{Loader, binary, cgroups_of, open_directory, pins_of, socket_in};
use brunt_tests::process::{Ended, Running};
use brunt_tests::{clock, turn};
use rustix::fd::AsFd as _;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
};
use rustix::process::{Pid, Signal};
use rustix::thread::{Uid, set_thread_res_uid};

use super::common::{NOBODY, by_nobody, check_parts, is_root_or_skip, measured, run, target};

const DEADLINE: Duration = Duration::from_secs(15);
/// Sessions that a loader has at a time.
const SESSIONS: usize = 16;
/// Of these, those of one user other than root.
const SESSIONS_OF_ONE: usize = 4;
/// CAP_NET_ADMIN, CAP_PERFMON and CAP_BPF by their numbers in capabilities(7).
const CAPABILITIES: u64 = 1 << 12 | 1 << 38 | 1 << 39;

fn start(args: &str) -> Ended {
    let mut command = Command::new(binary());
    command.args(args.split_whitespace());
    Running::start(command).finish(DEADLINE)
}

#[test]
fn without_capabilities_it_names_them() {
    if is_root_or_skip("without_capabilities_it_names_them") {
        let words = ["CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON", "start it as root"];
        by_nobody(&binary(), "--socket /nonexistent/x").expect_code(1).expect_on_stderr(&words);
    }
}

#[test]
fn a_wrong_command_line_is_two() {
    for (args, word) in [
        ("--frobnicate", "--frobnicate"),
        ("--allow 169.254.169.254", "metadata"),
        ("--allow", "needs a value"),
        ("--peer-uid nobody", "no user id"),
        ("--reserve here", "'here' is no grant"),
    ] {
        start(args).expect_code(2).expect_on_stderr(&[word]);
    }
}

/// It answers a peer that asks what can be had, and all can.
#[track_caller]
fn check_serves(loader: &Loader) {
    let session = Session::dial(&loader.socket()).expect("it listens");
    let (reply, _) = session.ask(&Request::new(Op::Support)).expect("it answers");
    let features = reply.features;
    assert!(
        reply.status == Status::Done && features.timing && features.logs && features.guard,
        "{reply:?}\n{}",
        loader.said()
    );
}

#[test]
fn a_second_one_at_the_same_socket_does_not_start() {
    let _turn = turn();
    let test = "a_second_one_at_the_same_socket_does_not_start";
    let Some(loader) = Loader::start_or_skip(test, "") else { return };
    let second = start(&format!("--socket {}", loader.socket().display()));
    second.expect_code(1).expect_on_stderr(&["another loader listens there"]);
    check_serves(&loader);
}

#[test]
fn ended_without_sessions_it_leaves_nothing() {
    let _turn = turn();
    let Some(loader) = Loader::start_or_skip("ended_without_sessions_it_leaves_nothing", "") else { return };
    let (pid, target) = (loader.pid(), target());
    check_serves(&loader);
    check_parts(&measured(run(&loader.flag(), &target.url())), "on", "on");
    loader.end(Signal::TERM).expect_code(0);
    assert_eq!((pins_of(pid), cgroups_of(pid)), (vec![], vec![]));
}

fn dialled(path: &Path) -> OwnedFd {
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
    let socket = socket.expect("a socket can be made");
    connect(&socket, &SocketAddrUnix::new(path).expect("a short path")).expect("it listens");
    socket
}

#[test]
fn nonsense_ends_its_session_and_no_other() {
    let _turn = turn();
    let Some(loader) = Loader::start_or_skip("nonsense_ends_its_session_and_no_other", "") else { return };
    let sound = Request::new(Op::Support).encode();
    let with = |at: usize, byte: u8| {
        let mut bytes = sound;
        bytes[at] = byte;
        bytes.to_vec()
    };
    let (magic, version, kind) = (with(0, 0), with(4, 99), with(6, 99));
    for (what, bytes) in [
        ("a wrong magic", magic),
        ("another version", version),
        ("an unknown kind", kind),
        ("a short message", sound[..7].to_vec()),
        ("an empty message", Vec::new()),
        ("a long message", vec![7; REQUEST_LEN + 1]),
    ] {
        let socket = dialled(&loader.socket());
        send(socket.as_fd(), &bytes, &[]).expect("it takes messages");
        assert_eq!(is_ready(socket.as_fd(), DEADLINE), Ok(true), "the end after {what}");
        let session = Session::over(socket);
        assert!(session.ask(&Request::new(Op::Status)).is_err(), "{what} has no answer");
    }
    check_serves(&loader);
}

#[test]
fn sessions_have_a_limit() {
    let _turn = turn();
    let Some(loader) = Loader::start_or_skip("sessions_have_a_limit", "") else { return };
    let sessions: Vec<_> = (0..SESSIONS)
        .map(|_| {
            let session = Session::dial(&loader.socket()).expect("it listens");
            let (reply, _) = session.ask(&Request::new(Op::Status)).expect("it answers");
            assert_eq!(reply.status, Status::Wrong, "nothing is open yet: {reply:?}");
            session
        })
        .collect();
    let one_more = Session::dial(&loader.socket()).expect("it listens");
    let (reply, _) = one_more.ask(&Request::new(Op::Support)).expect("it says why not");
    assert_eq!(reply.status, Status::Unable, "{reply:?}");
    assert!(reply.text.contains("16 sessions are open already"), "{reply:?}");
    drop(sessions);
    clock::until("room for one", DEADLINE, || {
        let session = Session::dial(&loader.socket()).ok()?;
        let (reply, _) = session.ask(&Request::new(Op::Support)).ok()?;
        (reply.status == Status::Done).then_some(())
    });
}

/// Dials as `nobody`, whatever the user of the test.
fn dialled_by_nobody(path: &Path) -> OwnedFd {
    let path = path.to_owned();
    // Credentials of the calls are a thread's own, so the change ends with it.
    let thread = thread::spawn(move || {
        set_thread_res_uid(Uid::ROOT, Uid::from_raw(NOBODY), Uid::ROOT).expect("root may become anybody");
        dialled(&path)
    });
    thread.join().expect("it listens to all")
}

fn received(socket: &OwnedFd) -> Reply {
    assert_eq!(is_ready(socket.as_fd(), 2 * DEADLINE), Ok(true), "something is to be read");
    let mut bytes = [0; REPLY_LEN];
    let (len, _) = receive(socket.as_fd(), &mut bytes).expect("something was sent");
    Reply::decode(&bytes[..len]).expect("it is a reply")
}

#[test]
fn no_user_takes_the_loader_away_from_others() {
    let _turn = turn();
    let test = "no_user_takes_the_loader_away_from_others";
    let Some(loader) = Loader::start_or_skip(test, &format!("--peer-uid {NOBODY}")) else { return };
    let ask = |socket: &OwnedFd| {
        send(socket.as_fd(), &Request::new(Op::Status).encode(), &[]).expect("it takes messages");
        received(socket)
    };
    let sockets: Vec<_> = (0..SESSIONS_OF_ONE).map(|_| dialled_by_nobody(&loader.socket())).collect();
    for socket in &sockets {
        assert_eq!(ask(socket).status, Status::Wrong, "nothing is open yet");
    }
    let refused = received(&dialled_by_nobody(&loader.socket()));
    assert!(refused.status == Status::Unable && refused.text.contains("has 4 sessions"), "{refused:?}");
    check_serves(&loader);
    for socket in &sockets {
        let ended = received(socket);
        assert!(ended.text.contains("has to be opened within 10 s"), "{ended:?}");
    }
    assert_eq!(ask(&dialled_by_nobody(&loader.socket())).status, Status::Wrong, "there is room again");
}

#[test]
fn it_keeps_three_capabilities_and_no_network() {
    let _turn = turn();
    let Some(loader) = Loader::start_or_skip("it_keeps_three_capabilities_and_no_network", "") else {
        return;
    };
    let status = fs::read_to_string(of(loader.pid(), "status")).expect("it runs");
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("no {name}\n{status}")).trim().to_owned()
    };
    for name in ["CapEff", "CapPrm", "CapBnd"] {
        assert_eq!(u64::from_str_radix(&field(name), 16), Ok(CAPABILITIES), "{name}");
    }
    assert_eq!(["CapInh", "CapAmb"].map(field), ["0000000000000000"; 2]);
    assert_eq!(["Seccomp", "NoNewPrivs", "Threads"].map(field), ["2", "1", "1"]);
    let (all, networked) = (sockets_of(loader.pid()), networked(loader.pid()));
    assert!(!all.is_empty(), "it listens");
    assert_eq!(all.intersection(&networked).collect::<Vec<_>>(), Vec::<&String>::new());
}

fn of(pid: Pid, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{}/{name}", pid.as_raw_nonzero()))
}

/// The inodes of the sockets that a process has.
fn sockets_of(pid: Pid) -> BTreeSet<String> {
    let fds = fs::read_dir(of(pid, "fd")).expect("root may look");
    let names = fds.flatten().filter_map(|fd| fs::read_link(fd.path()).ok()?.to_str().map(str::to_owned));
    names.filter_map(|name| Some(name.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())).collect()
}

/// The inodes of all sockets in a process's network, those of unix sockets excepted. Whatever else is in a line does no
/// harm but to fail a test that should pass.
fn networked(pid: Pid) -> BTreeSet<String> {
    let tables = ["tcp", "tcp6", "udp", "udp6", "udplite", "raw", "raw6", "icmp", "packet", "netlink"];
    let text = |table: &&str| fs::read_to_string(of(pid, &format!("net/{table}"))).unwrap_or_default();
    let words = |text: String| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let long = |word: &String| word.len() >= 3 && word.bytes().all(|byte| byte.is_ascii_digit());
    tables.iter().map(text).flat_map(words).filter(long).collect()
}

#[test]
fn a_socket_from_systemd_is_served() {
    if !is_root_or_skip("a_socket_from_systemd_is_served") {
        return;
    }
    let _turn = turn();
    let directory = open_directory();
    let listener = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .expect("a socket can be made");
    let address = SocketAddrUnix::new(socket_in(&directory)).expect("a short path");
    bind(&listener, &address).expect("a new path can be bound");
    listen(&listener, 4).expect("a bound socket can listen");
    let loader = Loader::activated("--socket /nonexistent/x", Stdio::from(listener), directory);
    check_serves(&loader);
    let target = target();
    check_parts(&measured(run(&loader.flag(), &target.url())), "on", "on");
    loader.end(Signal::TERM).expect_code(0);
}
