//! The kill switch: however many packets a guarded process sends, none arrives a second later.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use brunt_loader::session::Session;
use brunt_loader::wire::{Op, Request, Status};
use brunt_tests::loader::Loader;
use brunt_tests::{clock, turn};
use rustix::process::Signal;

use super::field::{ALLOWED, Field, ask, denied, narrow};

pub(super) const ATTEMPT: &str = "flood";
/// Of the thousand a second that it sends, by which it is seen to be at work.
const FLOWING: u64 = 200;
/// With the session that is killed, all that a loader serves at a time.
const BUSY_PEERS: usize = 15;
const DEADLINE: Duration = Duration::from_secs(10);
/// What the switch may take, and how long nothing may arrive after that.
const SECOND: Duration = Duration::from_secs(1);
/// Unanswered segments are sent again after 0.2 s and then at twice the time each (RFC 6298).
const LINGERING: Duration = Duration::from_secs(4);

#[test]
fn w2_the_kill_switch_of_a_session_stops_every_packet() {
    check("w2 kill", |_, session| {
        let reply = ask(session, &Request::new(Op::Kill));
        assert_eq!(reply.status, Status::Done, "{reply:?}");
    });
}

#[test]
fn w2_the_kill_switch_of_the_loader_stops_every_packet() {
    check("w2 signal", |field, _| field.loader().signal(Signal::USR1));
}

#[test]
fn w2_a_new_policy_does_not_take_the_kill_switch_back() {
    check("w2 narrow", |_, session| {
        let reply = ask(session, &Request::new(Op::Kill));
        assert_eq!(reply.status, Status::Done, "{reply:?}");
        let reply = narrow(session, &[ALLOWED]);
        assert!(reply.status == Status::Refused && reply.text.contains("kill switch"), "{reply:?}");
    });
}

#[test]
fn w2_peers_that_keep_the_loader_busy_do_not_delay_the_kill_switch() {
    check("w2 busy", |field, _| {
        let busy = Busy::start(&field.loader().socket());
        clock::until("the loader to be busy", DEADLINE, || (busy.answers() > BUSY_PEERS).then_some(()));
        field.loader().signal(Signal::USR1);
        busy
    });
}

/// Peers that ask for what takes longest, as fast as they can. Dropping it ends them.
struct Busy {
    answers: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
    peers: Vec<JoinHandle<()>>,
}

impl Busy {
    fn start(loader: &Path) -> Self {
        let (answers, is_over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let start = |_| {
            let (answers, is_over) = (answers.clone(), is_over.clone());
            let session = Session::dial(loader).expect("the loader listens");
            thread::spawn(move || {
                // One that held its session for too long without opening it is done.
                while !is_over.load(Ordering::Relaxed) && session.ask(&Request::new(Op::Support)).is_ok() {
                    answers.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let peers = (0..BUSY_PEERS).map(start).collect();
        Self { answers, is_over, peers }
    }

    fn answers(&self) -> usize {
        self.answers.load(Ordering::Relaxed)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for peer in self.peers.drain(..) {
            let _ = peer.join();
        }
    }
}

/// A loader that starts removes what an earlier one left; what one that runs has just made is not left.
#[test]
fn w1_a_second_loader_leaves_the_fences_of_the_first() {
    let _turn = turn();
    let test = "w1 second loader";
    let Some(field) = Field::make_or_skip(test) else { return };
    let session = field.open_session();
    let Some(second) = Loader::start_or_skip(test, "") else { return };
    ask(&second.dial(), &Request::new(Op::Support));
    let entered = field.enter_child(&session);
    assert_eq!(entered.status, Status::Done, "{entered:?}\n{}", second.said());
}

/// What `kill` returns is kept until all is measured.
fn check<T>(test: &'static str, kill: impl Fn(&Field, &Session) -> T) {
    let _turn = turn();
    let Some(field) = Field::make_or_skip(test) else { return };
    let Some(arriving) = field.watch_allowed() else { return };
    let (session, mut worker) = field.start_fenced(ATTEMPT);
    assert_eq!(worker.line(), "connected");
    clock::until("packets to flow", DEADLINE, || (arriving.packets() > FLOWING).then_some(()));
    assert_eq!(denied(&session), [], "what is granted is not denied");
    let kept = kill(&field, &session);
    // That nothing comes has no event to wait for, only time.
    thread::sleep(SECOND);
    let at_a_second = arriving.packets();
    let denied_then = killed(&session);
    thread::sleep(SECOND);
    assert_eq!(arriving.packets(), at_a_second, "a packet came later than a second after the switch");
    assert!(denied_then > 0, "it went on sending: {:?}", denied(&session));
    // A process that is gone leaves connections with what it had queued, and the kernel goes on sending that.
    drop(worker);
    drop(session);
    thread::sleep(LINGERING);
    assert_eq!(arriving.packets(), at_a_second, "what was queued came after the end of the session");
    drop(kept);
}

fn killed(session: &Session) -> u64 {
    denied(session).iter().find(|(reason, _)| *reason == "killed").map_or(0, |(_, count)| *count)
}
