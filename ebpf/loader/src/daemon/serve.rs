//! The loop: one thread, all sessions, every message bounded. Nothing in it waits but for the next event.
//!
//! Invariant: between two looks at the kill switch there is one message at most, however busy peers are.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use brunt_loader::session::{receive, send};
use brunt_loader::wire::{Op, REQUEST_LEN, Reply, Request, Status};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SocketFlags, accept_with};
use rustix::time::{ClockId, clock_gettime};

use super::ending::Ending;
use super::leftovers::Leftovers;
use super::peer::{self, Peer};
use super::session::{House, OPEN_WITHIN, Session};

/// How often signals, overdue peers and leftovers are looked at.
const TURN: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
/// The same while processes that were killed are on their way out.
const SHORT_TURN: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };

/// What signals ask for.
#[derive(Clone, Default, Debug)]
pub(crate) struct Signals {
    pub(crate) end: Arc<AtomicBool>,
    pub(crate) kill: Arc<AtomicBool>,
}

pub(crate) struct Server {
    house: House,
    signals: Signals,
    listener: Option<OwnedFd>,
    /// Users that may ask, beside root.
    users: Vec<u32>,
    sessions: Vec<Session>,
    endings: Vec<Ending>,
    leftovers: Leftovers,
    begun: u64,
}

impl Server {
    /// With a listener, or with the one peer of `once`.
    pub(crate) fn new(house: House, signals: Signals, listener: Option<OwnedFd>, users: Vec<u32>) -> Self {
        let (sessions, endings, leftovers) = (Vec::new(), Vec::new(), Leftovers::default());
        Self { house, signals, listener, users, sessions, endings, leftovers, begun: 0 }
    }

    /// Takes a connected peer, if it is one that may ask.
    pub(crate) fn admit(&mut self, socket: OwnedFd) {
        let Ok(peer) = Peer::of(socket.as_fd()) else { return };
        // What is not yet ended still takes memory of the kernel.
        let sessions = self.sessions.iter().map(|session| session.peer.uid);
        let users: Vec<_> = sessions.chain(self.endings.iter().map(|ending| ending.peer.uid)).collect();
        if let Some(reply) = peer::objection(peer, &self.users, &users) {
            let _ = send(socket.as_fd(), &reply.encode(), &[]);
            return;
        }
        self.begun += 1;
        self.sessions.push(Session::new(socket, peer, self.begun, now()));
    }

    /// Serves until a signal ends it, or without a listener until the last peer is gone.
    pub(crate) fn run(mut self) -> io::Result<()> {
        self.leftovers = Leftovers::find(&self.house, now());
        while !self.signals.end.load(Ordering::Relaxed) && self.has_work() {
            self.heed_kill_switch();
            let ready = self.wait()?;
            self.serve(&ready);
            self.end_overdue();
            self.go_on_ending();
            self.leftovers.look(&self.house, now());
        }
        self.end();
        Ok(())
    }

    const fn has_work(&self) -> bool {
        self.listener.is_some() || !self.sessions.is_empty() || !self.endings.is_empty()
    }

    /// Which sessions have something to say, and at the end of the list whether somebody new has.
    fn wait(&self) -> io::Result<Vec<bool>> {
        let sockets = self.sessions.iter().map(|session| session.socket.as_fd());
        let all = sockets.chain(self.listener.as_ref().map(AsFd::as_fd));
        let mut fds: Vec<_> = all.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        let turn = if self.endings.is_empty() { &TURN } else { &SHORT_TURN };
        match poll(&mut fds, Some(turn)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(fds.iter().map(|fd| !fd.revents().is_empty()).collect())
    }

    fn serve(&mut self, ready: &[bool]) {
        let served = self.sessions.len();
        // From the last to the first, so that one that goes leaves its place to one that was served.
        for index in (0..served).rev().filter(|&index| ready.get(index) == Some(&true)) {
            self.heed_kill_switch();
            if !converse(&self.house, &mut self.sessions[index]) {
                let session = self.sessions.swap_remove(index);
                self.endings.extend(session.end(now()));
            }
        }
        if ready.get(served) == Some(&true)
            && let Some(listener) = &self.listener
            && let Ok(socket) = accept_with(listener, SocketFlags::CLOEXEC)
        {
            self.admit(socket);
        }
    }

    /// Peers that take a place for nothing hear why they lose it.
    fn end_overdue(&mut self) {
        let now = now();
        for session in self.sessions.extract_if(.., |session| session.is_overdue(now)) {
            let text = format!("a session has to be opened within {} s", OPEN_WITHIN.as_secs());
            let _ = send(session.socket.as_fd(), &Reply::new(Status::Unable, text).encode(), &[]);
        }
    }

    /// What cannot be ended is looked at again later, with what is left of others.
    fn go_on_ending(&mut self) {
        let now = now();
        let leftovers = &mut self.leftovers;
        self.endings.retain_mut(|ending| match ending.poll(now) {
            Poll::Pending => true,
            Poll::Ready(Ok(())) => false,
            Poll::Ready(Err(error)) => {
                say(&format!("ending {}: {error}; it is tried again", ending.name()));
                leftovers.add(ending.name());
                false
            }
        });
    }

    fn heed_kill_switch(&mut self) {
        if !self.signals.kill.swap(false, Ordering::Relaxed) {
            return;
        }
        let sessions = self.sessions.iter_mut().map(Session::kill);
        let endings = self.endings.iter_mut().map(Ending::kill);
        let failures: Vec<_> = sessions.chain(endings).filter_map(Result::err).collect();
        match failures.first() {
            None => say("kill switch: nothing leaves guarded processes any more"),
            Some(first) => say(&format!(
                "kill switch: it failed for {} sessions, whose processes may go on sending; end those runs ({first})",
                failures.len()
            )),
        }
    }

    /// The loader ends. Sessions in which nothing runs do too; processes that were killed have the time that they always
    /// have.
    fn end(mut self) {
        for session in std::mem::take(&mut self.sessions) {
            match session.what_stays() {
                Some(what) => say(&what),
                None => self.endings.extend(session.end(now())),
            }
        }
        self.go_on_ending();
        while !self.endings.is_empty() {
            self.heed_kill_switch();
            std::thread::sleep(Duration::from_nanos(SHORT_TURN.tv_nsec.unsigned_abs()));
            self.go_on_ending();
        }
    }
}

/// One message; false when the peer is gone or talks nonsense.
fn converse(house: &House, session: &mut Session) -> bool {
    let mut bytes = [0; REQUEST_LEN];
    let Ok((len @ 1.., _)) = receive(session.socket.as_fd(), &mut bytes) else { return false };
    let Ok(request) = Request::decode(&bytes[..len]) else { return false };
    let reply = session.answer(house, &request);
    let is_opened = request.op == Op::Open && reply.status == Status::Done;
    let fds = if is_opened { session.shared() } else { Vec::new() };
    send(session.socket.as_fd(), &reply.encode(), &fds).is_ok()
}

/// By the monotonic clock.
fn now() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// A line of the log; standard error is where systemd reads it.
pub(crate) fn say(text: &str) {
    use std::io::Write as _;
    // Nobody may be listening any more.
    let _ = writeln!(io::stderr(), "brunt-loader: {text}");
}
