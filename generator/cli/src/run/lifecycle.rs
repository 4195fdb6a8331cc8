//! What one user does for the whole run: the steps of `setup` before its load, and those of `teardown` after it. Their
//! requests are in no figure of the run.

use std::sync::Arc;

use brunt_engine::conn::tls::Material;
use brunt_engine::{Controls, Finished};
use brunt_model::expr::Value;
use brunt_model::outcome::ErrorKind;
use brunt_model::plan::{Inputs, Plan};
use brunt_model::scenario::file::{File, Located, Step};
use brunt_model::scenario::{Lifecycle, Scenario};
use brunt_model::snapshot::{RequestStats, STATUS_LOWEST};
use brunt_model::units::Nanos;

use super::progress::Progress;
use super::secrets::Sources;
use super::setup::{self, Prepared};
use super::signals::SignalWatch;
use crate::error::CommandError;
use crate::exit::Signal;
use crate::flags::EngineFlags;
use crate::kernel::{Kernel, Wanted};
use crate::tui::Hold;

/// A part of a run that one user does, ready to be done.
pub(super) struct Once {
    prepared: Prepared,
    name: &'static str,
}

/// How it ended, unless it failed.
pub(super) enum Done {
    /// With what is known now, by name.
    With(Vec<(String, Value)>),
    StoppedBy(Option<Signal>),
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

    /// Does it, and returns what it found out.
    ///
    /// # Errors
    /// When something of it failed: what comes after it would be nonsense.
    pub(super) fn run(&self, inputs: &Inputs, wanted: &Wanted) -> Result<Done, CommandError> {
        let Prepared { plan, parts, .. } = &self.prepared;
        let controls = Controls::default();
        let progress = Progress::new(plan, false);
        let signals = SignalWatch::begin(controls.stop.clone(), progress.clone(), Hold::default(), false)
            .map_err(CommandError::system("installing handlers for SIGINT and SIGTERM"))?;
        let mut kernel = Kernel::begin(wanted, plan, parts.cores.len()).map_err(CommandError::Refused)?;
        let (finished, observed, _) =
            super::execute(&self.prepared, inputs, (&mut kernel, wanted), &controls, (progress, None))?;
        if finished.stopped {
            return Ok(Done::StoppedBy(signals.first()));
        }
        let unreachable = finished.total.all_requests().answers() == 0;
        let fail = |why| CommandError::Once { name: self.name, why, unreachable };
        if let Some(fault) = observed.fault {
            return Err(fail(fault));
        }
        if finished.total.counters.finished != 1 {
            return Err(fail(why(plan, &finished)));
        }
        let tells = &plan.script.tells;
        if finished.told.len() != tells.len() {
            return Err(fail("it saved more than 1 MiB of texts; save less".to_owned()));
        }
        let name = |variable: &u16| plan.script.variables[usize::from(*variable)].clone();
        Ok(Done::With(tells.iter().map(name).zip(finished.told).collect()))
    }
}

/// The errors of its requests, by name.
fn why(plan: &Plan, finished: &Finished) -> String {
    let of = |(name, stats): (&String, &RequestStats)| {
        let kinds = ErrorKind::ALL.iter();
        let kinds: Vec<_> =
            kinds.filter(|kind| stats.errors[kind.index()] > 0).map(|kind| kind.name()).collect();
        let statuses =
            (STATUS_LOWEST..).zip(&stats.statuses).filter(|(_, count)| **count > 0).map(|(status, _)| status);
        let statuses: Vec<u16> = statuses.filter(|status| *status >= 400).collect();
        let status = statuses.first().map_or(String::new(), |status| format!(" {status}"));
        (!kinds.is_empty()).then(|| format!("{name}: {}{status}", kinds.join(", ")))
    };
    let failed: Vec<_> = plan.request_names().iter().zip(&finished.total.requests).filter_map(of).collect();
    if failed.is_empty() { "it did not end within 60 s".to_owned() } else { failed.join("; ") }
}
