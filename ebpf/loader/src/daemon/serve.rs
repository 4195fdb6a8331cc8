//! The loop: one thread, all sessions, every message bounded.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use brunt_loader::session::{receive, send};
use brunt_loader::wire::{Op, REQUEST_LEN, Reply, Request, Status};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SocketFlags, accept_with, sockopt};

use super::leftovers::Leftovers;
use super::session::{House, Peer, Session};

/// Runs on one host at a time.
const SESSIONS_MAX: usize = 16;
/// How often signals and leftovers are looked at.
const TURN: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// What signals ask for.
#[derive(Clone, Default, Debug)]
pub(crate) struct Signals {
    pub(crate) end: Arc<AtomicBool>,
    pub(crate) kill: Arc<AtomicBool>,
}

pub(crate) struct Server {
    house: House,
    listener: Option<OwnedFd>,
    peers: Vec<u32>,
    sessions: Vec<Session>,
    begun: u64,
}

impl Server {
    /// With a listener, or with the one peer of `once`.
    pub(crate) const fn new(house: House, listener: Option<OwnedFd>, peers: Vec<u32>) -> Self {
        Self { house, listener, peers, sessions: Vec::new(), begun: 0 }
    }

    /// Takes a connected peer, if it is one that may ask.
    pub(crate) fn admit(&mut self, socket: OwnedFd) {
        let Ok(credentials) = sockopt::socket_peercred(&socket) else { return };
        let (pid, uid) = (credentials.pid.as_raw_nonzero().get(), credentials.uid.as_raw());
        let Ok(pid) = u32::try_from(pid) else { return };
        if uid != 0 && !self.peers.contains(&uid) {
            let text = format!(
                "user {uid} may not use this loader; it is started with --peer-uid for those who may"
            );
            let _ = send(socket.as_fd(), &Reply::new(Status::Stranger, text).encode(), &[]);
            return;
        }
        if self.sessions.len() >= SESSIONS_MAX {
            let text = format!("{SESSIONS_MAX} sessions are open already");
            let _ = send(socket.as_fd(), &Reply::new(Status::Unable, text).encode(), &[]);
            return;
        }
        self.begun += 1;
        let name = format!("brunt-{}-{}", std::process::id(), self.begun);
        self.sessions.push(Session::new(socket, Peer { pid, uid }, name));
    }

    /// Serves until a signal ends it, or without a listener until the last peer is gone.
    pub(crate) fn run(mut self, signals: &Signals) -> io::Result<()> {
        let mut leftovers = Leftovers::find(&self.house);
        while !signals.end.load(Ordering::Relaxed) && (self.listener.is_some() || !self.sessions.is_empty()) {
            if signals.kill.swap(false, Ordering::Relaxed) {
                self.kill_all();
            }
            let ready = self.wait()?;
            self.serve(&ready);
            leftovers.clear(&self.house);
        }
        self.end()
    }

    /// Which sessions have something to say, and at the end of the list whether somebody new has.
    fn wait(&self) -> io::Result<Vec<bool>> {
        let sockets = self.sessions.iter().map(|session| session.socket.as_fd());
        let all = sockets.chain(self.listener.as_ref().map(AsFd::as_fd));
        let mut fds: Vec<_> = all.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        match poll(&mut fds, Some(&TURN)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(fds.iter().map(|fd| !fd.revents().is_empty()).collect())
    }

    fn serve(&mut self, ready: &[bool]) {
        let served = self.sessions.len();
        let mut going = Vec::with_capacity(served);
        for (mut session, &is_ready) in std::mem::take(&mut self.sessions).into_iter().zip(ready) {
            if !is_ready || self.converse(&mut session) {
                going.push(session);
            } else if let Err(error) = session.end() {
                say(&error);
            }
        }
        self.sessions = going;
        if ready.get(served).copied().unwrap_or(false)
            && let Some(listener) = &self.listener
            && let Ok(socket) = accept_with(listener, SocketFlags::CLOEXEC)
        {
            self.admit(socket);
        }
    }

    /// One message; false when the peer is gone or talks nonsense.
    fn converse(&self, session: &mut Session) -> bool {
        let mut bytes = [0; REQUEST_LEN];
        let Ok((len @ 1.., _)) = receive(session.socket.as_fd(), &mut bytes) else { return false };
        let Ok(request) = Request::decode(&bytes[..len]) else { return false };
        let reply = session.answer(&self.house, &request);
        let is_opened = request.op == Op::Open && reply.status == Status::Done;
        let fds = if is_opened { session.shared() } else { Vec::new() };
        send(session.socket.as_fd(), &reply.encode(), &fds).is_ok()
    }

    fn kill_all(&mut self) {
        for session in &mut self.sessions {
            if let Err(error) = session.kill() {
                say(&format!("the kill switch failed: {error}"));
            }
        }
        say("kill switch: nothing leaves guarded processes any more");
    }

    fn end(self) -> io::Result<()> {
        for session in self.sessions {
            match session.leave() {
                Ok(None) => {}
                Ok(Some(what_stays)) => say(&what_stays),
                Err(error) => say(&error),
            }
        }
        Ok(())
    }
}

/// A line of the log; standard error is where systemd reads it.
pub(crate) fn say(text: &str) {
    use std::io::Write as _;
    // Nobody may be listening any more.
    let _ = writeln!(io::stderr(), "brunt-loader: {text}");
}
