//! Where attempts are made: a namespace with what may be reached and what may not, and a loader.

use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::process::{Child, Command, Stdio};

use brunt_loader::grant::{self, Grant};
use brunt_loader::session::Session;
use brunt_loader::wire::{Features, Op, Reply, Request, Status};
use brunt_tests::loader::Loader;
use brunt_tests::netns::Namespace;
use brunt_tests::packets::Forbidden;
use brunt_tests::skip;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use super::rows::Row;
use super::worker::Worker;

pub(super) const ALLOWED: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8_080);
/// Each run has a port of its own, so that no late packet of one counts for another.
const FIRST_PORT: u16 = 20_001;

/// What is there.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Layers {
    /// Shows that the attempt is one.
    Neither,
    Guard,
    Jail,
    Both,
}

impl Layers {
    pub(super) const ALL: [Self; 4] = [Self::Neither, Self::Guard, Self::Jail, Self::Both];

    const fn has_guard(self) -> bool {
        matches!(self, Self::Guard | Self::Both)
    }

    const fn has_jail(self) -> bool {
        matches!(self, Self::Jail | Self::Both)
    }
}

/// What became of an attempt.
#[derive(Debug)]
pub(super) struct Run {
    /// Those that arrived where none may.
    pub(super) packets: u64,
    pub(super) said: String,
    pub(super) denied: Vec<(&'static str, u64)>,
}

/// Dropping it ends all of it.
pub(super) struct Field {
    test: &'static str,
    /// Dropped before the namespace, in which its processes are.
    loader: Loader,
    namespace: Namespace,
    /// Nobody accepts; connections stand all the same.
    _allowed: TcpListener,
    next_port: Cell<u16>,
}

impl Field {
    pub(super) fn make_or_skip(test: &'static str) -> Option<Self> {
        // Whoever runs the tests may have left something open, which the jail would refuse in the evil process.
        brunt_engine::pass_nothing_on().expect("/proc tells what is open");
        let namespace = Namespace::make_or_skip(test)?;
        let loader = Loader::start_or_skip(test, "--allow 127.0.0.0/8 --allow [::]/0")?;
        let allowed = listen(&namespace, ALLOWED);
        let field = Self { test, loader, namespace, _allowed: allowed, next_port: Cell::new(FIRST_PORT) };
        let (reply, _) = field.loader.dial().ask(&Request::new(Op::Support)).expect("the loader answers");
        if !reply.features.guard || !reply.features.timing {
            skip::skip(
                test,
                &format!("needs the kernel's programs, which are not to be had: {}", reply.text),
            );
            return None;
        }
        Some(field)
    }

    pub(super) fn loader(&self) -> &Loader {
        &self.loader
    }

    /// Counts what arrives where the load may go.
    pub(super) fn watch_allowed(&self) -> Option<Forbidden> {
        Forbidden::watch_or_skip(self.test, Some(&self.namespace), ALLOWED)
    }

    /// Makes the attempt of a row with these layers, against an address of its own.
    pub(super) fn run(&self, row: &Row, layers: Layers) -> Run {
        let target = self.new_target(row.attempt);
        let _listener = listen(&self.namespace, target);
        let forbidden = Forbidden::watch_or_skip(self.test, Some(&self.namespace), target)
            .expect("nft was there for the namespace");
        let is_narrowed = row.attempt == "narrowed";
        let granted = match row.attempt {
            "narrowed" => vec![Grant::of(ALLOWED), Grant::of(target)],
            // Mapped addresses are under it by their bits, and are not meant.
            "connect_mapped" => vec!["[::]/0".parse().expect("a grant")],
            _ => vec![Grant::of(ALLOWED)],
        };
        let props = Props::of(row.attempt, self, target);
        let mut worker = Worker::start(&self.namespace, &arguments(row.attempt, target, layers, &props));
        let session = layers.has_guard().then(|| {
            let (session, entered) = self.fence_in(&worker, &granted);
            // One whose start is refused may be gone by now.
            assert!(props.is_inherited || entered.status == Status::Done, "{entered:?}");
            session
        });
        let mut before = forbidden.packets();
        worker.go();
        if let Some(socket) = props.socket.as_ref().filter(|_| row.attempt.starts_with("passed")) {
            worker.pass(socket.as_fd());
        }
        if is_narrowed {
            assert_eq!(worker.line(), "connected");
            if let Some(session) = &session {
                let reply = narrow(session, &[ALLOWED]);
                assert_eq!(reply.status, Status::Done, "{reply:?}");
            }
            before = forbidden.packets();
            worker.go();
        }
        let said = worker.line();
        worker.end();
        let denied = session.as_ref().map(denied).unwrap_or_default();
        Run { packets: forbidden.packets() - before, said, denied }
    }

    /// A worker that is jailed and guarded, and may reach what is allowed.
    pub(super) fn start_fenced(&self, attempt: &str) -> (Session, Worker) {
        let args = arguments(attempt, ALLOWED, Layers::Both, &Props::default());
        let mut worker = Worker::start(&self.namespace, &args);
        let (session, entered) = self.fence_in(&worker, &[Grant::of(ALLOWED)]);
        assert_eq!(entered.status, Status::Done, "{entered:?}");
        worker.go();
        (session, worker)
    }

    /// A session whose cgroup nothing is in yet.
    pub(super) fn open_session(&self) -> Session {
        self.open(&[Grant::of(ALLOWED)])
    }

    /// Moves a process of ours into its cgroup.
    pub(super) fn enter_child(&self, session: &Session) -> Reply {
        let sibling = Sibling::start(&self.namespace);
        ask(session, &Request { pid: sibling.0.id(), ..Request::new(Op::Enter) })
    }

    /// A session whose cgroup the worker is in.
    fn fence_in(&self, worker: &Worker, granted: &[Grant]) -> (Session, Reply) {
        let session = self.open(granted);
        let entered = ask(&session, &Request { pid: worker.pid(), ..Request::new(Op::Enter) });
        (session, entered)
    }

    fn open(&self, granted: &[Grant]) -> Session {
        let session = self.loader.dial();
        let features = Features { timing: true, logs: false, guard: true };
        let grants = granted.to_vec();
        let reply = ask(&session, &Request { slots: 1, features, grants, ..Request::new(Op::Open) });
        assert!(reply.status == Status::Done && reply.features == features, "{reply:?}");
        session
    }

    fn new_target(&self, attempt: &str) -> SocketAddr {
        let port = self.next_port.get();
        self.next_port.set(port + 1);
        if attempt == "marked_source_route" {
            // A hop has no port of its own.
            let [high, low] = port.to_be_bytes();
            return SocketAddr::from(([127, 1, high, low], ALLOWED.port()));
        }
        SocketAddr::from((Ipv4Addr::LOCALHOST, port))
    }
}

/// What some attempts need beside the worker itself.
#[derive(Default)]
struct Props {
    /// Made in the namespace, but in no guarded cgroup.
    socket: Option<OwnedFd>,
    is_inherited: bool,
    _sibling: Option<Sibling>,
    sibling_pid: Option<u32>,
}

impl Props {
    fn of(attempt: &str, field: &Field, target: SocketAddr) -> Self {
        let socket = match attempt {
            "inherited" | "passed" | "passed_by_ring" | "taken" => Some(field.namespace.inside(unconnected)),
            "inherited_connected" => {
                let stream = field.namespace.inside(|| TcpStream::connect(target));
                Some(OwnedFd::from(stream.expect("somebody listens")))
            }
            _ => None,
        };
        let is_inherited = attempt.starts_with("inherited");
        if let Some(socket) = socket.as_ref().filter(|_| is_inherited) {
            fcntl_setfd(socket, FdFlags::empty()).expect("it is open");
        }
        let sibling = (attempt == "ptrace").then(|| Sibling::start(&field.namespace));
        let sibling_pid = match attempt {
            "taken" => Some(std::process::id()),
            _ => sibling.as_ref().map(|sibling| sibling.0.id()),
        };
        Self { socket, is_inherited, _sibling: sibling, sibling_pid }
    }
}

/// A process that waits for input, unguarded. Dropping it ends it.
struct Sibling(Child);

impl Sibling {
    fn start(namespace: &Namespace) -> Self {
        let mut command = Command::new("cat");
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        Self(namespace.inside(move || command.spawn()).expect("cat can be started"))
    }
}

impl Drop for Sibling {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn arguments(attempt: &str, target: SocketAddr, layers: Layers, props: &Props) -> Vec<String> {
    let named = match attempt {
        "connect_any" => SocketAddr::from((Ipv4Addr::UNSPECIFIED, target.port())),
        _ => target,
    };
    let mut words = vec![attempt.to_owned(), named.to_string(), "--allowed".to_owned(), ALLOWED.to_string()];
    if layers.has_jail() {
        words.push("--jail".to_owned());
    }
    if let Some(socket) = &props.socket {
        words.extend(["--socket".to_owned(), socket.as_raw_fd().to_string()]);
    }
    if let Some(pid) = props.sibling_pid {
        words.extend(["--sibling".to_owned(), pid.to_string()]);
    }
    words
}

fn listen(namespace: &Namespace, at: SocketAddr) -> TcpListener {
    namespace.inside(|| TcpListener::bind(at)).expect("a namespace of our own has all ports free")
}

fn unconnected() -> OwnedFd {
    socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).expect("a socket")
}

pub(super) fn ask(session: &Session, request: &Request) -> Reply {
    session.ask(request).expect("the loader answers").0
}

pub(super) fn narrow(session: &Session, to: &[SocketAddr]) -> Reply {
    let grants = to.iter().map(|address| Grant::of(*address)).collect();
    ask(session, &Request { grants, ..Request::new(Op::Narrow) })
}

pub(super) fn denied(session: &Session) -> Vec<(&'static str, u64)> {
    grant::reasons(ask(session, &Request::new(Op::Status)).denied)
}
