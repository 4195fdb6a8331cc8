//! The loader's end of one session: a cgroup, the programs on it, and what a peer may ask of them.

use std::fs;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use brunt_abi::timing::Log;
use brunt_loader::grant::Grant;
use brunt_loader::wire::{Features, Op, Reply, Request, Status};

use super::cgroups::Cgroup;
use super::kernel::{KernelError, Programs};

/// Connections that one session may have.
const SLOTS_MAX: u32 = 1 << 20;
/// Memory that the logs of one session may take. It is the kernel's and is not swapped.
const LOGS_MAX: usize = 256 << 20;

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

/// Who is at the other end.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) pid: u32,
    pub(crate) uid: u32,
}

pub(crate) struct Session {
    pub(crate) socket: OwnedFd,
    peer: Peer,
    name: String,
    work: Option<Work>,
}

/// What there is once it is open.
struct Work {
    cgroup: Cgroup,
    programs: Programs,
    is_guarded: bool,
    grants: Vec<Grant>,
    folder: Option<PathBuf>,
}

impl Session {
    pub(crate) const fn new(socket: OwnedFd, peer: Peer, name: String) -> Self {
        Self { socket, peer, name, work: None }
    }

    /// Does what is asked.
    pub(crate) fn answer(&mut self, house: &House, request: &Request) -> Reply {
        match (request.op, &mut self.work) {
            (Op::Support, _) => support(house, self.peer, &self.name),
            (Op::Open, None) => self.open(house, request),
            (Op::Enter, Some(work)) => enter(&work.cgroup, self.peer, request.pid),
            (Op::Narrow | Op::Kill, Some(work)) if !work.is_guarded => {
                Reply::new(Status::Wrong, "this session has no guard")
            }
            (Op::Narrow, Some(work)) => work.narrow(&request.grants),
            (Op::Kill, Some(work)) => done_or_unable(work.programs.kill()),
            (Op::Status, Some(work)) => {
                Reply { denied: work.programs.denied(), ..Reply::new(Status::Done, "") }
            }
            (Op::Open, Some(_)) => Reply::new(Status::Wrong, "this session is open already"),
            (Op::Enter | Op::Narrow | Op::Kill | Op::Status, None) => {
                Reply::new(Status::Wrong, "this session is not open yet")
            }
        }
    }

    /// The memory that goes with an answer to `Open`.
    pub(crate) fn shared(&self) -> Vec<BorrowedFd<'_>> {
        self.work.as_ref().map(|work| work.programs.shared()).unwrap_or_default()
    }

    /// The kill switch of the whole loader.
    pub(crate) fn kill(&mut self) -> Result<(), KernelError> {
        self.work.as_mut().map_or(Ok(()), |work| work.programs.kill())
    }

    fn open(&mut self, house: &House, request: &Request) -> Reply {
        if let Some(refusal) = refusal(house, request) {
            return refusal;
        }
        match Work::begin(house, self.peer, &self.name, request) {
            Ok((work, features, text)) => {
                self.work = Some(work);
                Reply { features, ..Reply::new(Status::Done, text) }
            }
            Err(text) => Reply::new(Status::Unable, text),
        }
    }

    /// The peer is gone: its engine must not outlive it, and nothing stays attached.
    pub(crate) fn end(self) -> Result<(), String> {
        self.work.map_or(Ok(()), |work| work.end().map_err(|error| format!("{}: {error}", self.name)))
    }

    /// The loader ends, which is no reason to end a run. What stays for one is told, and is the next loader's to remove.
    pub(crate) fn leave(self) -> Result<Option<String>, String> {
        match &self.work {
            Some(work) if !work.cgroup.is_empty() => Ok(Some(work.what_stays())),
            _ => self.end().map(|()| None),
        }
    }
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

impl Work {
    /// With all that was asked for, or as much of it as the kernel takes; then the text says why not more.
    fn begin(
        house: &House,
        peer: Peer,
        name: &str,
        request: &Request,
    ) -> Result<(Self, Features, String), String> {
        let cgroup = Cgroup::below(&house.cgroups, &house.home, peer.pid, name)
            .map_err(|error| format!("making a cgroup for the engine: {error}"))?;
        let asked = request.features;
        let guard_only = Features { guard: true, ..Features::default() };
        let timing_only = Features { guard: false, ..asked };
        let mut why = String::new();
        for features in [asked, guard_only, timing_only] {
            let is_part = (!features.guard || asked.guard) && (!features.timing || asked.timing);
            if !is_part || !features.guard && !features.timing {
                continue;
            }
            match Self::try_begin(house, &cgroup, name, features, request) {
                Ok((programs, folder)) => {
                    let grants = request.grants.clone();
                    let is_guarded = features.guard;
                    return Ok((Self { cgroup, programs, is_guarded, grants, folder }, features, why));
                }
                Err(error) if why.is_empty() => why = error.to_string(),
                Err(_) => {}
            }
        }
        let _ = cgroup.end();
        Err(why)
    }

    fn try_begin(
        house: &House,
        cgroup: &Cgroup,
        name: &str,
        features: Features,
        request: &Request,
    ) -> Result<(Programs, Option<PathBuf>), KernelError> {
        let mut programs = Programs::load(features, request.slots, &house.reserved)?;
        if features.guard {
            programs.grant(&request.grants)?;
        }
        let directory = cgroup.open().map_err(|error| KernelError::Load(error.to_string()))?;
        programs.attach(&directory)?;
        // A fence must not open because its keeper died.
        let folder = house.pins.as_ref().filter(|_| features.guard).map(|pins| pins.join(name));
        if let Some(folder) = &folder {
            fs::create_dir(folder).map_err(|error| KernelError::Pin(error.to_string()))?;
            if let Err(error) = programs.pin(folder) {
                let _ = programs.unpin();
                let _ = fs::remove_dir(folder);
                return Err(error);
            }
        }
        Ok((programs, folder))
    }

    /// A policy only ever gets narrower.
    fn narrow(&mut self, grants: &[Grant]) -> Reply {
        if self.programs.is_killed() {
            let text = "the kill switch of this session is on, and nothing takes it back; begin another run";
            return Reply::new(Status::Refused, text);
        }
        if let Some(outside) = grants.iter().find(|grant| !self.grants.iter().any(|wide| wide.covers(grant)))
        {
            return Reply::new(Status::Refused, format!("{outside} is not part of this session's policy"));
        }
        let result = self.programs.grant(grants);
        if result.is_ok() {
            self.grants = grants.to_vec();
        }
        done_or_unable(result)
    }

    fn what_stays(&self) -> String {
        let path = self.cgroup.path().display();
        match (self.is_guarded, &self.folder) {
            (true, Some(_)) => format!("the guard on {path} stays, because a process is in it"),
            (true, None) => format!(
                "a process in {path} goes on; without a bpffs only the judge of its packets stays, not that of its calls"
            ),
            (false, _) => format!("a process in {path} goes on, without kernel times"),
        }
    }

    fn end(mut self) -> std::io::Result<()> {
        let emptied = self.cgroup.end();
        self.programs.unpin()?;
        if let Some(folder) = &self.folder {
            fs::remove_dir(folder)?;
        }
        emptied
    }
}

fn done_or_unable(result: Result<(), KernelError>) -> Reply {
    match result {
        Ok(()) => Reply::new(Status::Done, ""),
        Err(error) => Reply::new(Status::Unable, error.to_string()),
    }
}

/// Loads and attaches everything once, and lets it go again.
fn support(house: &House, peer: Peer, name: &str) -> Reply {
    let request = Request {
        slots: 1,
        features: Features { timing: true, logs: true, guard: true },
        ..Request::new(Op::Open)
    };
    let (cgroups, home) = (house.cgroups.clone(), house.home.clone());
    let house = House { pins: None, policy: None, cgroups, home, reserved: Vec::new() };
    match Work::begin(&house, peer, &format!("{name}-try"), &request) {
        Ok((work, features, text)) => {
            let text =
                work.end().err().map_or(text, |error| format!("removing the cgroup of a trial: {error}"));
            Reply { features, ..Reply::new(Status::Done, text) }
        }
        Err(text) => Reply::new(Status::Unable, text),
    }
}

/// Moves a child of the peer into the cgroup. A peer can only name its own children, which it has not waited for, so
/// the number cannot have become another process.
fn enter(cgroup: &Cgroup, peer: Peer, pid: u32) -> Reply {
    if !is_child(pid, peer) {
        return Reply::new(Status::Refused, format!("process {pid} is not a child of yours"));
    }
    match cgroup.enter(pid) {
        Ok(()) => Reply::new(Status::Done, ""),
        Err(error) => Reply::new(Status::Unable, format!("moving process {pid} into its cgroup: {error}")),
    }
}

fn is_child(pid: u32, peer: Peer) -> bool {
    let Ok(status) = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")) else {
        return false;
    };
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u32>().ok()
    };
    // A child of root may have become somebody else by now.
    field("PPid:") == Some(peer.pid) && (peer.uid == 0 || field("Uid:") == Some(peer.uid))
}
