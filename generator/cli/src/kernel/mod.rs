//! The kernel's part in a run: time stamps and the guard, by way of a loader.
//!
//! A loader that runs as a service serves everybody whom it was told to; where there is none, root's run starts one for
//! itself, which ends with the run. What cannot be had is off with its reason, unless it was demanded.

mod loader;
mod offer;
mod policy;

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use brunt_loader::grant::{self, Grant};
use brunt_loader::wire::{Features, Op, Reply, Request, Status};
use brunt_model::plan::{Endpoint, Plan};

use self::loader::{Loader, begin_loader};
pub(crate) use self::offer::{Offer, offer};
pub(crate) use self::policy::{Refusal, check_targets};
use crate::engine::Memory;
use crate::host::clock::monotonic;

/// How often a loader is asked how things stand.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How much something is wanted.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Need {
    Off,
    /// Where it can be had.
    Auto,
    /// Or the run does not begin.
    Required,
}

/// What the flags ask of the kernel.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub timing: Need,
    pub guard: Need,
    /// What may be reached; empty: the target's addresses.
    pub allow: Vec<Grant>,
    pub socket: PathBuf,
}

/// Whether a part is at work, and why not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Part {
    pub is_on: bool,
    /// `on`, or `off` with the reason.
    pub text: String,
}

impl Part {
    fn on() -> Self {
        Self { is_on: true, text: "on".to_owned() }
    }

    fn off(why: impl std::fmt::Display) -> Self {
        Self { is_on: false, text: format!("off: {why}") }
    }
}

/// What there is of the kernel in a run.
pub(crate) struct Kernel {
    loader: Option<Loader>,
    features: Features,
    pub timing: Part,
    pub guard: Part,
    /// Slots, and logs where the run needs them, for the engine to map.
    pub memory: Vec<OwnedFd>,
    pub slots: u32,
    lost: Vec<String>,
    denied: Vec<(&'static str, u64)>,
    looked: Duration,
}

/// What is left of it to report.
pub(crate) struct KernelEnd {
    /// `on`, or `off` with the reason.
    pub timing: String,
    pub guard: String,
    /// What went away on the way, in sentences.
    pub lost: Vec<String>,
    /// By reason.
    pub denied: Vec<(String, u64)>,
}

impl Kernel {
    /// Opens a session with a loader, as far as that is wanted and possible.
    ///
    /// # Errors
    /// When a policy forbids the target, or something that was demanded cannot be had.
    pub(crate) fn begin(wanted: &Wanted, plan: &Plan, cores: usize) -> Result<Self, Refusal> {
        let features = features_of(wanted, plan);
        let mut this = Self::without(wanted, plan);
        if !features.timing && !features.guard {
            return this.demanded(wanted);
        }
        // Each core rounds its share of the connections up.
        let slots = plan.load.max_connections().saturating_add(u32::try_from(cores).unwrap_or(u32::MAX));
        let request = Request { slots, features, grants: grants_of(wanted, plan), ..Request::new(Op::Open) };
        let opened = begin_loader(&wanted.socket).and_then(|loader| {
            let (reply, memory) = loader.ask(&request)?;
            Ok((loader, reply, memory))
        });
        match opened {
            Err(why) => this.nothing_of(features, &why),
            Ok((_, reply, _)) if reply.status == Status::Refused => {
                return Err(Refusal::ByLoader(reply.text));
            }
            Ok((loader, reply, memory)) if reply.status == Status::Done => {
                this.take(loader, features, &reply, memory);
                this.slots = slots;
            }
            Ok((_, reply, _)) => this.nothing_of(features, &reply.text),
        }
        this.demanded(wanted)
    }

    fn without(wanted: &Wanted, plan: &Plan) -> Self {
        let why = |need: Need| if need == Need::Off { "not wanted" } else { "the target is a unix socket" };
        let timing = if has_addresses(plan) { Need::Off } else { Need::Auto };
        Self {
            loader: None,
            features: Features::default(),
            timing: Part::off(why(if wanted.timing == Need::Off { Need::Off } else { timing })),
            guard: Part::off(why(Need::Off)),
            memory: Vec::new(),
            slots: 0,
            lost: Vec::new(),
            denied: Vec::new(),
            looked: monotonic(),
        }
    }

    fn nothing_of(&mut self, asked: Features, why: &str) {
        if asked.timing {
            self.timing = Part::off(why);
        }
        if asked.guard {
            self.guard = Part::off(why);
        }
    }

    fn take(&mut self, loader: Loader, asked: Features, reply: &Reply, memory: Vec<OwnedFd>) {
        self.nothing_of(asked, &reply.text);
        let mapped = 1 + usize::from(asked.logs);
        self.features =
            Features { timing: reply.features.timing && memory.len() == mapped, ..reply.features };
        if self.features.timing {
            self.timing = Part::on();
            self.memory = memory;
        }
        if self.features.guard {
            self.guard = Part::on();
        }
        self.loader = Some(loader);
    }

    fn demanded(self, wanted: &Wanted) -> Result<Self, Refusal> {
        for (flag, need, part) in
            [("--kernel on", wanted.timing, &self.timing), ("--guard required", wanted.guard, &self.guard)]
        {
            if need == Need::Required && !part.is_on {
                let why = part.text.trim_start_matches("off: ").to_owned();
                return Err(Refusal::Demanded { flag, why });
            }
        }
        Ok(self)
    }

    /// Has the engine's process moved to where the programs see its sockets, before it has any.
    ///
    /// # Errors
    /// When that fails and a guard was to be: the engine must not run then.
    pub(crate) fn enter(&mut self, process: u32, wanted: &Wanted) -> Result<(), Refusal> {
        let Some(loader) = &self.loader else { return Ok(()) };
        let reply = loader.ask(&Request { pid: process, ..Request::new(Op::Enter) });
        let why = match reply {
            Ok((Reply { status: Status::Done, .. }, _)) => return Ok(()),
            Ok((reply, _)) => reply.text,
            Err(error) => error,
        };
        let asked = self.features;
        self.nothing_of(asked, &why);
        self.features = Features::default();
        self.memory.clear();
        self.loader = None;
        for (flag, need, is_asked) in
            [("--kernel on", wanted.timing, asked.timing), ("--guard required", wanted.guard, asked.guard)]
        {
            if need == Need::Required && is_asked {
                return Err(Refusal::Demanded { flag, why });
            }
        }
        Ok(())
    }

    /// The memory, as the engine's process finds it.
    pub(crate) fn mapped(&self) -> Option<Memory> {
        let (slots, logs) = self.memory.split_first()?;
        Some(Memory {
            slots: slots.as_raw_fd(),
            logs: logs.first().map(AsRawFd::as_raw_fd),
            count: self.slots,
        })
    }

    /// To be called often; now and then it asks how things stand. True when something was denied for the first time:
    /// the run is to end.
    pub(crate) fn turn(&mut self) -> bool {
        if monotonic().saturating_sub(self.looked) < LOOK_EVERY {
            return false;
        }
        let denied_before = !self.denied.is_empty();
        self.look();
        !denied_before && !self.denied.is_empty()
    }

    /// Notices a loader that went away, and counts what was denied.
    fn look(&mut self) {
        self.looked = monotonic();
        let Some(loader) = &self.loader else { return };
        match loader.ask(&Request::new(Op::Status)) {
            Ok((reply, _)) => self.denied = grant::reasons(reply.denied),
            Err(error) => self.lose(&error),
        }
    }

    fn lose(&mut self, error: &str) {
        self.loader = None;
        let Features { timing, guard, .. } = self.features;
        if guard {
            // Its programs are pinned.
            self.lost
                .push(format!("{error}: the guard stands, but its kill switch and its counters are gone"));
        }
        if timing && !guard {
            self.lost.push(format!("{error}: there are no kernel times from then on"));
        } else if timing {
            self.lost.push(format!("{error}: connections made from then on have no kernel times"));
        }
    }

    /// The end of the run, after the engine's: what was lost on the way, and what was denied, by reason.
    pub(crate) fn end(mut self) -> KernelEnd {
        self.look();
        KernelEnd {
            timing: self.timing.text,
            guard: self.guard.text,
            lost: self.lost,
            denied: self.denied.into_iter().map(|(reason, count)| (reason.to_owned(), count)).collect(),
        }
    }
}

/// What the plan can use of what is wanted.
fn features_of(wanted: &Wanted, plan: &Plan) -> Features {
    let timing = wanted.timing != Need::Off && has_addresses(plan);
    Features { timing, logs: timing && brunt_engine::needs_logs(plan), guard: wanted.guard != Need::Off }
}

fn has_addresses(plan: &Plan) -> bool {
    plan.endpoints.iter().any(|endpoint| matches!(endpoint, Endpoint::Ip(_)))
}

/// What the guard lets through.
fn grants_of(wanted: &Wanted, plan: &Plan) -> Vec<Grant> {
    if !wanted.allow.is_empty() {
        return wanted.allow.clone();
    }
    let addresses = plan.endpoints.iter().filter_map(|endpoint| match endpoint {
        Endpoint::Ip(address) => Some(Grant::of(*address)),
        Endpoint::Unix(_) => None,
    });
    addresses.collect()
}
