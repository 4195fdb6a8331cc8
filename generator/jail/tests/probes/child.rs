//! The probes: each enters the jail, tries something and prints what became of it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use brunt_jail::{Entered, Rules, Seal, enter, seal};
use rustix::event::{Timespec, epoll};
use rustix::thread::{Gid, Uid};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

use super::NOBODY;
use super::calls::DENIED;

/// The argument that makes this program a probe.
pub(super) const FLAG: &str = "--probe";
const PATIENCE: Duration = Duration::from_secs(10);
const MEBIBYTE: usize = 1024 * 1024;

/// `arguments`: the probe's name, as whom, and what it needs.
pub(super) fn run(arguments: &[String]) -> ExitCode {
    let [name, user, rest @ ..] = arguments else { return ExitCode::from(2) };
    if user == "nobody" {
        become_nobody();
    }
    let argument = rest.first().map_or("", String::as_str);
    match name.as_str() {
        "denied" => denied(argument == "other"),
        "free" => try_denied(),
        "load" => load(argument.parse().expect("a port")),
        "asked" => asked(argument),
        "wait" => wait(),
        "files" => files(),
        "panic" => panic(),
        "abort" => abort(),
        "inherited" => inherited(argument),
        "late" => late(),
        _ => return ExitCode::from(2),
    }
    ExitCode::SUCCESS
}

/// An ordinary user from here on, as one that a login would give.
fn become_nobody() {
    rustix::thread::set_thread_groups(&[]).expect("root leaves its groups");
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    rustix::thread::set_thread_res_gid(group, group, group).expect("root changes its group");
    rustix::thread::set_thread_res_uid(user, user, user).expect("root changes its user");
}

fn jailed() -> Entered {
    enter(&Rules::default()).expect("the first stage")
}

fn denied(on_other_thread: bool) {
    jailed();
    let (go, gone) = sync_channel(0);
    let other = thread::spawn(move || {
        if gone.recv_timeout(PATIENCE).is_ok_and(|go| go) {
            try_denied();
        }
    });
    seal(&Seal::default()).expect("the second stage");
    go.send(on_other_thread).expect("the thread waits");
    other.join().expect("the thread ends");
    if !on_other_thread {
        try_denied();
    }
}

fn try_denied() {
    for denied in DENIED {
        let result = (denied.call)();
        println!("{} {}", denied.name, if result < 0 { last_error() } else { 0 });
    }
}

fn last_error() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(-1)
}

/// What the threads of an engine do, on one that ran before the seal.
fn load(port: u16) {
    jailed();
    let timer = Timer::new();
    let shared = Arc::new((Mutex::new(0_u64), Barrier::new(4)));
    let (line_in, line_out) = sync_channel::<&str>(64);
    let (go_in, go_out) = sync_channel::<()>(0);
    let counters: Vec<_> = (0..3).map(|_| thread::spawn(counter(Arc::clone(&shared)))).collect();
    let worker = thread::spawn(move || {
        go_out.recv_timeout(PATIENCE).expect("the seal");
        network(port, &line_in);
        memory(&line_in);
        timer.wait();
        line_in.send("timer ok").expect("a reader");
        thread::sleep(Duration::from_millis(2));
        line_in.send("sleep ok").expect("a reader");
        thread::available_parallelism().expect("a number");
        line_in.send("affinity ok").expect("a reader");
    });
    seal(&Seal::default()).expect("the second stage");
    go_in.send(()).expect("the worker waits");
    line_out.iter().for_each(|line| println!("{line}"));
    shared.1.wait();
    counters.into_iter().for_each(|counter| counter.join().expect("it ends"));
    println!("locks {}", if *shared.0.lock().expect("sound") == 30_000 { "ok" } else { "failed" });
    worker.join().expect("it ends");
    println!("threads ok");
    deadline();
    println!("random {}", if random_bytes() == 32 { "ok" } else { "failed" });
    println!("ring {}", enter_ring(-1));
    println!("unix {}", UnixStream::connect("/nowhere").expect_err("denied").raw_os_error().unwrap_or(-1));
    println!("done");
}

/// Threads that fight for a lock once all are there, and end.
fn counter(shared: Arc<(Mutex<u64>, Barrier)>) -> impl FnOnce() + Send {
    move || {
        shared.1.wait();
        for _ in 0..10_000 {
            *shared.0.lock().expect("sound") += 1;
        }
    }
}

fn network(port: u16, lines: &SyncSender<&str>) {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_nodelay(true).expect("the option");
    lines.send("connect ok").expect("a reader");
    stream.write_all(b"ping").expect("sent");
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).expect("received");
    assert_eq!(&answer, b"ping");
    assert_eq!(stream.peer_addr().expect("the peer"), address);
    assert!(stream.local_addr().expect("this end").ip().is_loopback());
    assert!(stream.take_error().expect("the option").is_none());
    lines.send("echo ok").expect("a reader");
    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).expect("the option");
    drop(stream);
    lines.send("linger ok").expect("a reader");
}

/// Grows by moving, and is given back.
fn memory(lines: &SyncSender<&str>) {
    let mut bytes = vec![1_u8; 64 * MEBIBYTE];
    bytes.resize(96 * MEBIBYTE, 1);
    let small: Vec<Vec<u8>> = (0..1_000).map(|length| vec![1; length]).collect();
    let sum: usize = small.iter().chain([&bytes]).flatten().map(|byte| usize::from(*byte)).sum();
    assert_eq!(sum, 96 * MEBIBYTE + 999 * 1_000 / 2);
    drop((bytes, small));
    lines.send("memory ok").expect("a reader");
}

/// A wait that ends without anything having come.
fn deadline() {
    let (keep, nothing): (SyncSender<()>, Receiver<()>) = sync_channel(0);
    let ended = nothing.recv_timeout(Duration::from_millis(2));
    println!("deadline {}", if ended.is_err() { "ok" } else { "failed" });
    drop(keep);
}

/// A timer and the epoll instance that waits for it, made before the seal and used after it.
struct Timer {
    timer: OwnedFd,
    epoll: OwnedFd,
}

impl Timer {
    fn new() -> Self {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC).expect("a timer");
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("an epoll instance");
        Self { timer, epoll }
    }

    fn wait(&self) {
        let data = epoll::EventData::new_u64(1);
        epoll::add(&self.epoll, &self.timer, data, epoll::EventFlags::IN).expect("added");
        let once = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec { tv_sec: 0, tv_nsec: 1_000_000 },
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once).expect("set");
        let mut events = [epoll::Event { flags: epoll::EventFlags::empty(), data }; 2];
        let patience = Timespec::try_from(PATIENCE).expect("short");
        let ready = epoll::wait(&self.epoll, &mut events[..], Some(&patience)).expect("waited");
        assert_eq!(ready, 1, "the timer fires");
    }
}

fn random_bytes() -> isize {
    let mut bytes = [0_u8; 32];
    // SAFETY: the kernel writes to the live array, of the length given.
    unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) }
}

/// A ring of one entry, made before the seal.
fn ring() -> Option<OwnedFd> {
    // `struct io_uring_params` (io_uring_setup(2)) is 120 bytes; all zero asks for nothing special.
    let mut parameters = [0_u64; 15];
    // SAFETY: the kernel writes to the live array, which has the structure's size.
    let raw = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, parameters.as_mut_ptr()) };
    let raw = RawFd::try_from(raw).ok().filter(|raw| *raw >= 0)?;
    // SAFETY: the descriptor was just made and is owned by nobody else.
    Some(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Submits nothing and waits for nothing; the number of the error.
fn enter_ring(ring: RawFd) -> i32 {
    // SAFETY: nothing is submitted, and the pointer is null.
    let result = unsafe { libc::syscall(libc::SYS_io_uring_enter, ring, 0, 0, 0, 0, 0) };
    if result < 0 { last_error() } else { 0 }
}

/// A socket that is not the target.
pub(super) fn beside(path: &Path) -> PathBuf {
    path.with_extension("other")
}

fn asked(path: &str) {
    let path = Path::new(path);
    let rules = Rules { unix_socket: Some(path.to_owned()), ..Rules::default() };
    let entered = enter(&rules).expect("the first stage");
    let part = entered.parts.iter().find(|part| part.name == "unix sockets").expect("it is told");
    println!("{} {}", part.name, if part.is_on() { "on" } else { "off" });
    let ring = ring();
    seal(&Seal { unix_sockets: true, io_uring: true }).expect("the second stage");
    // Where rings are forbidden altogether, the call is let through all the same.
    let entered = enter_ring(ring.as_ref().map_or(-1, AsRawFd::as_raw_fd));
    println!("ring {}", if ring.is_none() && entered == libc::EBADF { 0 } else { entered });
    let connect =
        |path: &Path| UnixStream::connect(path).err().and_then(|error| error.raw_os_error()).unwrap_or(0);
    println!("unix {}", connect(path));
    println!("other unix {}", connect(&beside(path)));
    println!("done");
}

fn wait() {
    print_parts(&jailed());
    println!("dumpable {:?}", rustix::process::dumpable_behavior().expect("told"));
    let limit = rustix::process::getrlimit(rustix::process::Resource::Core);
    println!("core limit {:?} {:?}", limit.current, limit.maximum);
    // SAFETY: asks for the number of groups only.
    println!("groups {}", unsafe { libc::getgroups(0, std::ptr::null_mut()) });
    seal(&Seal::default()).expect("the second stage");
    println!("sealed");
    let mut nothing = [0];
    assert_eq!(std::io::stdin().read(&mut nothing).expect("the parent's pipe"), 0);
    println!("done");
}

fn print_parts(entered: &Entered) {
    for part in &entered.parts {
        println!("{} {}", part.name, if part.is_on() { "on" } else { "off" });
    }
}

fn files() {
    let entered = jailed();
    let landlock = entered.parts.iter().find(|part| part.name == "landlock").expect("the part");
    println!("landlock {}", if landlock.is_on() { "on" } else { "off" });
    let error =
        |result: std::io::Result<()>| result.err().and_then(|error| error.raw_os_error()).unwrap_or(0);
    println!("open {}", error(std::fs::File::open("/dev/null").map(drop)));
    println!("folder {}", error(std::fs::read_dir("/").map(drop)));
    println!("create {}", error(std::fs::write("/brunt-jail", "")));
}

fn panic() {
    jailed();
    let (go, gone) = sync_channel::<()>(0);
    let other = thread::spawn(move || {
        gone.recv_timeout(PATIENCE).expect("the seal");
        panic!("this is the panic's message");
    });
    seal(&Seal::default()).expect("the second stage");
    go.send(()).expect("the thread waits");
    let ended: Result<(), _> = other.join();
    println!("joined {}", if ended.is_err() { "a panic" } else { "nothing" });
}

fn abort() {
    jailed();
    seal(&Seal::default()).expect("the second stage");
    std::process::abort();
}

/// Enters with the descriptor kept that is named, if one is.
fn inherited(kept: &str) {
    let rules = Rules { keep: kept.parse().into_iter().collect(), ..Rules::default() };
    match enter(&rules) {
        Ok(_) => println!("enters"),
        Err(error) => println!("{error}"),
    }
}

/// The first stage with a thread running, and the second one twice.
fn late() {
    let (end, ended) = sync_channel::<()>(0);
    let other = thread::spawn(move || ended.recv_timeout(PATIENCE));
    println!("{}", enter(&Rules::default()).expect_err("a thread runs"));
    end.send(()).expect("the thread waits");
    other.join().expect("it ends").expect("it was told");
    seal(&Seal::default()).expect("the second stage, without the first");
    println!("{}", seal(&Seal::default()).expect_err("sealed"));
}
