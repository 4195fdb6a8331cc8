//! What an open session has: a cgroup, and the programs on it with their policy.

use std::fs;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

use brunt_abi::guard::REASONS;
use brunt_loader::grant::Grant;
use brunt_loader::wire::{Features, Reply, Request, Status};

use super::cgroups::Cgroup;
use super::kernel::{KernelError, Programs};
use super::name;
use super::peer::Peer;
use super::session::{House, unable};

/// Random names that are tried; a second one is hardly ever needed.
const NAMES_TRIED: usize = 4;

pub(crate) struct Work {
    name: String,
    pub(crate) cgroup: Cgroup,
    programs: Programs,
    is_guarded: bool,
    grants: Vec<Grant>,
    folder: Option<PathBuf>,
}

impl Work {
    /// With all that was asked for, or as much of it as the kernel takes; then the text says why not more.
    pub(crate) fn begin(
        house: &House,
        peer: Peer,
        number: u64,
        request: &Request,
    ) -> Result<(Self, Features, String), String> {
        let asked = request.features;
        let guard_only = Features { guard: true, ..Features::default() };
        let timing_only = Features { guard: false, ..asked };
        let mut why = String::new();
        for features in [asked, guard_only, timing_only] {
            let is_part = (!features.guard || asked.guard) && (!features.timing || asked.timing);
            if !is_part || !features.guard && !features.timing {
                continue;
            }
            match Self::attempt(house, peer, number, features, request) {
                Ok(work) => return Ok((work, features, why)),
                Err(error) if why.is_empty() => why = error,
                Err(_) => {}
            }
        }
        Err(why)
    }

    /// In a cgroup of its own, because the judge of packets of an attempt that failed stays with its cgroup.
    fn attempt(
        house: &House,
        peer: Peer,
        number: u64,
        features: Features,
        request: &Request,
    ) -> Result<Self, String> {
        let (name, cgroup) = make_cgroup(house, peer, number)
            .map_err(|error| format!("making a cgroup for the engine: {error}"))?;
        match put_to_work(house, &cgroup, &name, features, request) {
            Ok((programs, folder)) => {
                let (is_guarded, grants) = (features.guard, request.grants.clone());
                Ok(Self { name, cgroup, programs, is_guarded, grants, folder })
            }
            Err(error) => {
                let not_removed = cgroup.remove().err();
                let also = not_removed.map(|error| format!("; its cgroup stays: {error}"));
                Err(format!("{error}{}", also.unwrap_or_default()))
            }
        }
    }

    /// A policy only ever gets narrower.
    pub(crate) fn narrow(&mut self, grants: &[Grant]) -> Reply {
        if self.programs.is_killed() {
            let text = "the kill switch of this session is on, and nothing takes it back; begin another run";
            return Reply::new(Status::Refused, text);
        }
        if let Some(outside) = grants.iter().find(|grant| !self.grants.iter().any(|wide| wide.covers(grant)))
        {
            return Reply::new(Status::Refused, format!("{outside} is not part of this session's policy"));
        }
        if let Err(error) = self.programs.grant(grants) {
            return unable(error);
        }
        self.grants = grants.to_vec();
        Reply::new(Status::Done, "")
    }

    /// Nothing leaves any more.
    pub(crate) fn kill(&mut self) -> Result<(), KernelError> {
        self.programs.kill()
    }

    pub(crate) fn denied(&self) -> [u64; REASONS] {
        self.programs.denied()
    }

    /// The memory that a peer maps.
    pub(crate) fn shared(&self) -> Vec<BorrowedFd<'_>> {
        self.programs.shared()
    }

    pub(crate) const fn is_guarded(&self) -> bool {
        self.is_guarded
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What is left for a process in it when the loader ends.
    pub(crate) fn what_stays(&self) -> String {
        let path = self.cgroup.path().display();
        match (self.is_guarded, &self.folder) {
            (true, Some(_)) => format!("the guard on {path} stays, because a process is in it"),
            (true, None) => format!(
                "a process in {path} goes on; without a bpffs only the judge of its packets stays, not that of its calls"
            ),
            (false, _) => format!("a process in {path} goes on, without kernel times"),
        }
    }

    /// Removes what there is; no process may be in it any more.
    pub(crate) fn remove(&mut self) -> io::Result<()> {
        self.programs.unpin()?;
        if let Some(folder) = &self.folder {
            fs::remove_dir(folder)?;
        }
        self.cgroup.remove()
    }
}

fn make_cgroup(house: &House, peer: Peer, number: u64) -> io::Result<(String, Cgroup)> {
    let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
    for _ in 0..NAMES_TRIED {
        let name = name::fresh(number)?;
        match Cgroup::below(&house.cgroups, &house.home, peer.pid, &name) {
            Ok(cgroup) => return Ok((name, cgroup)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

fn put_to_work(
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
