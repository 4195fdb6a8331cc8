//! The loader's end of one session: what a peer may ask, and when.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use brunt_abi::timing::Log;
use brunt_loader::grant::Grant;
use brunt_loader::wire::{Features, Op, Reply, Request, Status};

use super::child;
use super::ending::Ending;
use super::kernel::KernelError;
use super::peer::Peer;
use super::work::Work;

/// Connections that one session may have.
const SLOTS_MAX: u32 = 1 << 20;
/// Memory that the logs of one session may take. It is the kernel's and is not swapped.
const LOGS_MAX: usize = 256 << 20;
/// How long a peer may hold a session without opening it.
pub(crate) const OPEN_WITHIN: Duration = Duration::from_secs(10);

/// What all sessions of a loader have in common.
#[derive(Debug)]
pub(crate) struct House {
    /// Where cgroups are mounted, and the one of ours.
    pub(crate) cgroups: PathBuf,
    pub(crate) home: PathBuf,
    /// Where guards are pinned; `None` where there is no bpffs of ours.
    pub(crate) pins: Option<PathBuf>,
    /// What may be granted; `None` leaves it to the peer, which is root and started this loader for itself.
    pub(crate) policy: Option<Vec<Grant>>,
    pub(crate) reserved: Vec<Grant>,
}

pub(crate) struct Session {
    pub(crate) socket: OwnedFd,
    pub(crate) peer: Peer,
    number: u64,
    begun: Duration,
    /// What there is once it is open.
    work: Option<Work>,
}

impl Session {
    /// `begun` and every other time is of the monotonic clock.
    pub(crate) const fn new(socket: OwnedFd, peer: Peer, number: u64, begun: Duration) -> Self {
        Self { socket, peer, number, begun, work: None }
    }

    /// Does what is asked.
    pub(crate) fn answer(&mut self, house: &House, request: &Request) -> Reply {
        match (request.op, &mut self.work) {
            (Op::Support, _) => support(house, self.peer, self.number),
            (Op::Open, None) => self.open(house, request),
            (Op::Enter, Some(work)) => child::enter(&house.cgroups, &work.cgroup, self.peer, request.pid),
            (Op::Narrow | Op::Kill, Some(work)) if !work.is_guarded() => {
                Reply::new(Status::Wrong, "this session has no guard")
            }
            (Op::Narrow, Some(work)) => work.narrow(&request.grants),
            (Op::Kill, Some(work)) => work.kill().map_or_else(unable, |()| Reply::new(Status::Done, "")),
            (Op::Status, Some(work)) => Reply { denied: work.denied(), ..Reply::new(Status::Done, "") },
            (Op::Open, Some(_)) => Reply::new(Status::Wrong, "this session is open already"),
            (Op::Enter | Op::Narrow | Op::Kill | Op::Status, None) => {
                Reply::new(Status::Wrong, "this session is not open yet")
            }
        }
    }

    /// The memory that goes with an answer to `Open`.
    pub(crate) fn shared(&self) -> Vec<BorrowedFd<'_>> {
        self.work.as_ref().map(Work::shared).unwrap_or_default()
    }

    /// The kill switch of the whole loader.
    pub(crate) fn kill(&mut self) -> Result<(), KernelError> {
        self.work.as_mut().map_or(Ok(()), Work::kill)
    }

    /// It takes a place that others may want, and nothing came of it.
    pub(crate) fn is_overdue(&self, now: Duration) -> bool {
        self.work.is_none() && now >= self.begun + OPEN_WITHIN
    }

    fn open(&mut self, house: &House, request: &Request) -> Reply {
        if let Some(refusal) = refusal(house, request) {
            return refusal;
        }
        match Work::begin(house, self.peer, self.number, request) {
            Ok((work, features, text)) => {
                self.work = Some(work);
                Reply { features, ..Reply::new(Status::Done, text) }
            }
            Err(text) => Reply::new(Status::Unable, text),
        }
    }

    /// The peer is gone. There is something to end where it had opened the session.
    pub(crate) fn end(self, now: Duration) -> Option<Ending> {
        self.work.map(|work| Ending::begin(work, self.peer, now))
    }

    /// What stays when the loader ends, which is no reason to end a run; `None` where nothing runs in it. To leave it, drop
    /// it: the rest is the next loader's to remove.
    pub(crate) fn what_stays(&self) -> Option<String> {
        self.work.as_ref().filter(|work| !work.cgroup.is_empty()).map(Work::what_stays)
    }
}

pub(crate) fn unable(error: KernelError) -> Reply {
    Reply::new(Status::Unable, error.to_string())
}

/// Why a session may not be opened as asked.
fn refusal(house: &House, request: &Request) -> Option<Reply> {
    let logs = request.slots as usize * size_of::<Log>();
    if request.slots > SLOTS_MAX || request.features.logs && logs > LOGS_MAX {
        let text =
            format!("kernel times of {} connections take more memory than a session may have", request.slots);
        return Some(Reply::new(Status::Unable, text));
    }
    let policy = house.policy.as_ref().filter(|_| request.features.guard)?;
    let outside = request.grants.iter().find(|grant| !policy.iter().any(|wide| wide.covers(grant)))?;
    let text = format!(
        "the loader's policy does not allow {outside}; it is started with --allow for what may be reached"
    );
    Some(Reply::new(Status::Refused, text))
}

/// Loads and attaches everything once, and lets it go again. Nothing was in its cgroup, so nothing has to be waited for.
fn support(house: &House, peer: Peer, number: u64) -> Reply {
    let request = Request {
        slots: 1,
        features: Features { timing: true, logs: true, guard: true },
        ..Request::new(Op::Open)
    };
    let (cgroups, home) = (house.cgroups.clone(), house.home.clone());
    let house = House { pins: None, policy: None, cgroups, home, reserved: Vec::new() };
    match Work::begin(&house, peer, number, &request) {
        Ok((mut work, features, text)) => {
            let text =
                work.remove().err().map_or(text, |error| format!("removing the cgroup of a trial: {error}"));
            Reply { features, ..Reply::new(Status::Done, text) }
        }
        Err(text) => Reply::new(Status::Unable, text),
    }
}
