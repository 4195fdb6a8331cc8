//! What one user does for the whole run: the steps of `setup` before its load, and those of `teardown` after it. Their
//! requests are in no figure of the run.

use std::ops::ControlFlow;
use std::sync::Arc;

use brunt_engine::conn::tls::Material;
use brunt_engine::{Controls, Finished};
use brunt_model::expr::Value;
use brunt_model::outcome::ErrorKind;
use brunt_model::plan::{Inputs, Plan};
use brunt_model::redact::Redactor;
use brunt_model::samples::Observed;
use brunt_model::scenario::file::{File, Located, Step};
use brunt_model::scenario::{Lifecycle, Scenario};
use brunt_model::snapshot::RequestStats;
use brunt_model::units::Nanos;

use super::progress::Progress;
use super::secrets::{self, Sources};
use super::setup::{self, Prepared};
use super::signals::SignalWatch;
use crate::error::CommandError;
use crate::exit::{Exit, Signal};
use crate::flags::EngineFlags;
use crate::kernel::{Kernel, Wanted};
use crate::output::clean;
use crate::terminal;
use crate::tui::Hold;

/// A part of a run that one user does, ready to be done.
pub(super) struct Once {
    prepared: Prepared,
    name: &'static str,
}

/// What became of it once it had begun.
pub(super) struct Done {
    /// What is known now, by name: nothing of what it did not come to.
    globals: Vec<(String, Value)>,
    end: End,
}

enum End {
    Whole,
    StoppedBy(Option<Signal>),
    Failed(CommandError),
}

/// The load between setup and teardown. What a setup took must be given back whatever became of it or of the load, so a
/// teardown follows unless the setup did not begin. A setup that was not done is the end, with its exit code; why is
/// told before anything that the teardown has to say.
///
/// # Errors
/// What kept the setup from its beginning, or the load from its end.
pub(super) fn between<T>(
    inputs: &mut Inputs,
    setup: impl FnOnce(&Inputs) -> Result<Done, CommandError>,
    load: impl FnOnce(&Inputs) -> Result<T, CommandError>,
    teardown: impl FnOnce(&Inputs),
) -> Result<ControlFlow<Exit, T>, CommandError> {
    let Done { globals, end } = setup(inputs)?;
    inputs.globals = globals;
    let ended = match end {
        End::Whole => load(inputs).map(ControlFlow::Continue),
        End::StoppedBy(signal) => {
            terminal::say("stopped in setup; the load did not begin");
            Ok(ControlFlow::Break(Exit::by(signal)))
        }
        End::Failed(error) => Ok(ControlFlow::Break(error.tell())),
    };
    teardown(inputs);
    ended
}

impl Done {
    /// Without anything to do.
    pub(super) const fn nothing() -> Self {
        Self { globals: Vec::new(), end: End::Whole }
    }
}

impl Once {
    /// Prepares the part, if the scenario has steps for it: what it needs must be there before the load begins.
    pub(super) fn prepare(
        lifecycle: Lifecycle,
        (scenario, file): (&Scenario, &File),
        inputs: &Inputs,
        (flags, material): (&EngineFlags, Arc<Material>),
        sources: &Sources<'_>,
    ) -> Result<Option<Self>, CommandError> {
        let (name, steps): (_, &[Located<Step>]) = match lifecycle {
            Lifecycle::Setup => ("setup", &file.setup),
            Lifecycle::Teardown => ("teardown", &file.teardown),
            Lifecycle::Load => return Ok(None),
        };
        if steps.is_empty() {
            return Ok(None);
        }
        let mut scenario = Scenario { once: false, warmup: Nanos::ZERO, ..scenario.clone() };
        if let Some(source) = &mut scenario.script {
            source.lifecycle = lifecycle;
        }
        let mut prepared = setup::prepare(scenario, inputs, flags, material)?;
        prepared.parts.data = super::data_of(&prepared.plan, sources)?;
        Ok(Some(Self { prepared, name }))
    }

    /// The values of the secrets that it uses.
    pub(super) fn secrets(&self) -> &[String] {
        &self.prepared.parts.data.secrets
    }

    /// Does it. Whatever keeps it from its end once requests may have been sent is part of what is returned.
    ///
    /// # Errors
    /// When it could not begin.
    pub(super) fn run(&self, inputs: &Inputs, wanted: &Wanted) -> Result<Done, CommandError> {
        let Prepared { plan, parts, .. } = &self.prepared;
        let controls = Controls::default();
        let progress = Progress::new(plan, false);
        let signals = SignalWatch::begin(controls.stop.clone(), progress.clone(), Hold::default(), false)
            .map_err(CommandError::system("installing handlers for SIGINT and SIGTERM"))?;
        let mut kernel = Kernel::begin(wanted, plan, parts.cores.len()).map_err(CommandError::Refused)?;
        let ended =
            super::execute(&self.prepared, inputs, (&mut kernel, wanted), &controls, (progress, None));
        Ok(match ended {
            Err(error) => Done { globals: Vec::new(), end: End::Failed(error) },
            Ok((finished, observed, _)) => {
                let end = match self.failure(&finished, observed.fault, &observed.samples) {
                    _ if finished.stopped => End::StoppedBy(signals.first()),
                    Some(error) => End::Failed(error),
                    None => End::Whole,
                };
                Done { globals: self.named(finished.told), end }
            }
        })
    }

    /// Why what comes after it would be nonsense.
    fn failure(
        &self,
        finished: &Finished,
        fault: Option<String>,
        samples: &[Observed],
    ) -> Option<CommandError> {
        let Prepared { scenario, plan, parts, .. } = &self.prepared;
        let why = if fault.is_some() {
            fault
        } else if finished.total.counters.finished != 1 {
            Some(why(plan, finished, samples, &secrets::redactor(parts.data.secrets.iter(), scenario)))
        } else if finished.told.len() != plan.script.tells.len() {
            Some("it saved more than 1 MiB of texts; save less".to_owned())
        } else {
            None
        };
        let unreachable = finished.total.all_requests().answers() == 0;
        why.map(|why| CommandError::Once { name: self.name, why, unreachable })
    }

    /// Values that were told, by name.
    fn named(&self, told: Vec<Value>) -> Vec<(String, Value)> {
        let script = &self.prepared.plan.script;
        let name = |variable: &u16| script.variables[usize::from(*variable)].clone();
        script.tells.iter().map(name).zip(told).collect()
    }

    /// Does it last of all; why it failed is a warning. Returns the signal that stopped it.
    pub(super) fn run_last(&self, inputs: &Inputs, wanted: &Wanted) -> Option<Signal> {
        match self.run(inputs, wanted) {
            Err(error) | Ok(Done { end: End::Failed(error), .. }) => {
                terminal::say(&format!("warning: {error}"));
                None
            }
            Ok(Done { end: End::StoppedBy(signal), .. }) => {
                terminal::say(&format!("warning: stopped in {}, which is not done", self.name));
                signal
            }
            Ok(Done { end: End::Whole, .. }) => None,
        }
    }
}

/// The errors of its requests, by name, with what was observed.
fn why(plan: &Plan, finished: &Finished, samples: &[Observed], redactor: &Redactor) -> String {
    let of = |(index, (name, stats)): (u16, (&String, &RequestStats))| {
        let kinds = ErrorKind::ALL.iter();
        let kinds: Vec<_> =
            kinds.filter(|kind| stats.errors[kind.index()] > 0).map(|kind| kind.name()).collect();
        let sample = samples.iter().find(|sample| sample.name == index);
        let status =
            sample.and_then(|sample| sample.status).map_or(String::new(), |status| format!(" {status}"));
        let what = sample.map_or(String::new(), |sample| format!(" ({})", redactor.text(&sample.what)));
        (!kinds.is_empty()).then(|| format!("{name}: {}{status}{what}", kinds.join(", ")))
    };
    let all = (0..).zip(plan.request_names().iter().zip(&finished.total.requests));
    let failed: Vec<_> = all.filter_map(of).collect();
    let failed = if failed.is_empty() { "it did not end within 60 s".to_owned() } else { failed.join("; ") };
    clean(&failed).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is done, in order, and how it ends: `Ok` with the exit code of a setup that was not done, `None` after a load.
    #[track_caller]
    fn check(
        setup: Result<End, CommandError>,
        load: Result<(), CommandError>,
        want: (&str, Result<Option<u8>, u8>),
    ) {
        let done = std::cell::RefCell::new(Vec::new());
        let see = |what: &str, inputs: &Inputs| {
            let known = inputs.globals.iter().map(|(name, value)| format!("{name}={value}"));
            done.borrow_mut().push(format!("{what}({})", known.collect::<String>()));
        };
        let globals = vec![("a".to_owned(), Value::Int(1))];
        let ended = between(
            &mut Inputs::default(),
            |inputs| {
                see("setup", inputs);
                setup.map(|end| Done { globals, end })
            },
            |inputs| {
                see("load", inputs);
                load
            },
            |inputs| see("teardown", inputs),
        );
        let code = match ended {
            Ok(ControlFlow::Continue(())) => Ok(None),
            Ok(ControlFlow::Break(exit)) => Ok(Some(exit.code())),
            Err(error) => Err(error.exit().code()),
        };
        assert_eq!((done.into_inner().join(" ").as_str(), code), want);
    }

    #[test]
    fn what_began_is_followed_by_a_teardown() {
        let error = || CommandError::Configuration("x".to_owned());
        let all = "setup() load(a=1) teardown(a=1)";
        check(Ok(End::Whole), Ok(()), (all, Ok(None)));
        check(Ok(End::Whole), Err(error()), (all, Err(5)));
        let no_load = "setup() teardown(a=1)";
        check(Ok(End::Failed(error())), Ok(()), (no_load, Ok(Some(5))));
        check(Ok(End::StoppedBy(Some(Signal::Terminate))), Ok(()), (no_load, Ok(Some(143))));
        check(Err(error()), Ok(()), ("setup()", Err(5)));
    }
}
