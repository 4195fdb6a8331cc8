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

use self::loader::{Loader, Silence, begin_loader};
pub(crate) use self::offer::{Offer, offer};
pub(crate) use self::policy::{Refusal, check_targets};
use crate::engine::Memory;
use crate::host::clock::monotonic;

/// How often a loader is asked how things stand.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Whoever follows the run waits for the answer, so it is not waited for long.
const LOOK_WITHIN: Duration = Duration::from_millis(500);
/// The same once the run is over: what was denied last is in that answer.
const LAST_LOOK_WITHIN: Duration = Duration::from_secs(5);

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
    /// The loader is late with an answer, which is to come before anything else is asked.
    is_owed: bool,
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
        let places = plan.load.max_connections().saturating_add(u32::try_from(cores).unwrap_or(u32::MAX));
        let slots = places.saturating_mul(plan.connections_each());
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
            is_owed: false,
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
    /// When that fails and a guard was to be, whether demanded or not: the engine must not run unguarded then.
    pub(crate) fn enter(&mut self, process: u32, wanted: &Wanted) -> Result<(), Refusal> {
        let Some(loader) = &self.loader else { return Ok(()) };
        let reply = loader.ask(&Request { pid: process, ..Request::new(Op::Enter) });
        let why = match reply {
            Ok((Reply { status: Status::Done, .. }, _)) => return Ok(()),
            Ok((reply, _)) => reply.text,
            Err(error) => error,
        };
        let asked = std::mem::take(&mut self.features);
        if wanted.timing == Need::Required && asked.timing {
            return Err(Refusal::Demanded { flag: "--kernel on", why });
        }
        if asked.guard {
            return Err(Refusal::NotGuarded(why));
        }
        self.nothing_of(asked, &why);
        self.memory.clear();
        self.loader = None;
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
        self.look(if self.is_owed { Duration::ZERO } else { LOOK_WITHIN });
        !denied_before && !self.denied.is_empty()
    }

    /// Notices a loader that went away, and counts what was denied. A loader that is late keeps its session: with that the
    /// programs would go, and the engine that is fenced in by them.
    fn look(&mut self, within: Duration) {
        self.looked = monotonic();
        let Some(loader) = &self.loader else { return };
        let status = loader.status(self.is_owed, within);
        self.is_owed = status == Err(Silence::Late);
        match status {
            Ok(reply) => self.denied = grant::reasons(reply.denied),
            Err(Silence::Gone(error)) => self.lose(&error),
            Err(Silence::Late) => {}
        }
    }

    fn look_last(&mut self) {
        let was_owed = self.is_owed;
        self.look(LAST_LOOK_WITHIN);
        if was_owed && !self.is_owed {
            // That answer was to a question from before the end.
            self.look(LAST_LOOK_WITHIN);
        }
        if self.is_owed && self.features.guard {
            self.lost.push("the loader does not answer: what the guard denied last is not known".to_owned());
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
        self.look_last();
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

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use brunt_loader::session::{Session, receive, send};
    use brunt_loader::wire::REQUEST_LEN;
    use brunt_model::plan::{Inputs, compile};
    use brunt_model::scenario::Scenario;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    const ALL: Features = Features { timing: true, logs: false, guard: true };

    fn wanted(timing: Need, guard: Need) -> Wanted {
        Wanted { timing, guard, allow: Vec::new(), socket: PathBuf::new() }
    }

    /// An open session with these features, and the loader's end of it.
    fn opened(features: Features) -> (Kernel, OwnedFd) {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        let inputs = Inputs { addresses: vec!["127.0.0.1:80".parse().unwrap()], ..Inputs::default() };
        let plan = compile(&Scenario::of("http://h/"), &inputs).unwrap();
        let mut kernel = Kernel::without(&wanted(Need::Auto, Need::Auto), &plan);
        let memory = vec![std::fs::File::open("/dev/null").unwrap().into()];
        let reply = Reply { features, ..Reply::new(Status::Done, "") };
        kernel.take(Loader::over(Session::over(ours)), features, &reply, memory);
        (kernel, theirs)
    }

    fn answer(loader: &OwnedFd, reply: &Reply) {
        send(loader.as_fd(), &reply.encode(), &[]).unwrap();
    }

    #[test]
    fn an_engine_that_cannot_be_fenced_in_does_not_run() {
        fn check(features: Features, wanted: &Wanted, refusal: Option<&str>) {
            let (mut kernel, theirs) = opened(features);
            answer(&theirs, &Reply::new(Status::Unable, "no room"));
            let entered = kernel.enter(1, wanted).map_err(|refusal| refusal.to_string());
            match refusal {
                None => assert_eq!((entered, kernel.timing.text.as_str()), (Ok(()), "off: no room")),
                Some(words) => assert!(entered.as_ref().is_err_and(|why| why.contains(words)), "{entered:?}"),
            }
            assert!(refusal.is_some() || kernel.mapped().is_none());
        }
        let timing = Features { guard: false, ..ALL };
        let guard = Features { timing: false, ..ALL };
        let both = |need| wanted(need, need);
        for need in [Need::Auto, Need::Required] {
            check(ALL, &wanted(Need::Auto, need), Some("put around the engine: no room"));
            check(guard, &both(need), Some("put around the engine: no room"));
        }
        check(timing, &wanted(Need::Required, Need::Off), Some("--kernel on"));
        check(timing, &both(Need::Auto), None);
    }

    #[test]
    fn a_late_answer_is_waited_for_and_its_session_kept() {
        let (mut kernel, theirs) = opened(ALL);
        for _ in 0..3 {
            kernel.looked = Duration::ZERO;
            assert!(!kernel.turn());
        }
        let mut bytes = [0; REQUEST_LEN];
        let asked = |bytes: &mut [u8]| receive(theirs.as_fd(), bytes).map(|(len, _)| len);
        assert_eq!(asked(&mut bytes), Ok(REQUEST_LEN), "it is asked once");
        assert_eq!(asked(&mut bytes), Err(rustix::io::Errno::AGAIN), "and not again");
        assert!(kernel.loader.is_some() && kernel.is_owed && kernel.lost.is_empty());
        // The late answer, and that to the last question.
        let mut reply = Reply::new(Status::Done, "");
        answer(&theirs, &reply);
        reply.denied[0] = 2;
        answer(&theirs, &reply);
        let end = kernel.end();
        assert_eq!((end.lost, end.denied.first().map(|(_, count)| *count)), (Vec::<String>::new(), Some(2)));
    }

    #[test]
    fn a_loader_that_goes_is_noticed_once() {
        let (mut kernel, theirs) = opened(ALL);
        drop(theirs);
        for _ in 0..2 {
            kernel.looked = Duration::ZERO;
            assert!(!kernel.turn());
        }
        let lost = kernel.end().lost;
        assert_eq!(lost.len(), 2, "{lost:?}");
        assert!(lost[0].contains("the guard stands"), "{lost:?}");
    }
}
