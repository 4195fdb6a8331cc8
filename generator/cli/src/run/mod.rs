//! `brunt run`: from flags to a report, in one pass from the top.

pub(crate) mod addresses;
mod body;
pub(crate) mod file;
pub(crate) mod file_tls;
mod key_log;
mod lifecycle;
mod once;
pub(crate) mod pem;
pub(crate) mod progress;
pub(crate) mod resolve;
mod secrets;
mod setup;
mod signals;
pub(crate) mod spoken;
mod target;
pub(crate) mod tls;
mod watch;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

use brunt_engine::sight::Data;
use brunt_engine::{Controls, Finished, Parts, Stop};
use brunt_model::plan::{Endpoint, Inputs, Plan};
use brunt_model::preview::Preview;
use brunt_model::redact::Redactor;
use brunt_model::report::{Environment, Facts, Report};
use brunt_model::samples;
use brunt_model::scenario::Lifecycle;

use self::lifecycle::{Done, Once};
use self::progress::Progress;
use self::secrets::Sources;
use self::setup::Prepared;
use self::signals::SignalWatch;

use self::tls::Given;
use self::watch::{Observed, Watch};
use crate::engine::{Ending as EngineEnding, Inherited, Job, Seen, Supervisor};
use crate::error::CommandError;
use crate::exit::{Ending, Exit, Signal};
use crate::flags::{RunFlags, outputs_or_text};
use crate::host::identity;
use crate::kernel::{self, Kernel, KernelEnd, Wanted};
use crate::tui::{Hold, View, Wish};
use crate::{output, terminal};

/// Runs the load that the flags ask for and writes its report.
pub(crate) fn run(flags: &RunFlags) -> Result<Exit, CommandError> {
    // It reads secrets and keys.
    brunt_jail::forbid_dumps().map_err(|error| CommandError::Configuration(error.to_string()))?;
    let outputs = outputs_or_text(&flags.output.output).map_err(CommandError::Usage)?;
    if flags.load.once {
        once::check_outputs(&outputs)?;
    }
    let Ready { prepared, mut inputs, wanted, tls, setup, teardown } = ready(flags)?;
    tls.notices.iter().chain(&prepared.notices).for_each(|notice| terminal::say(notice));
    let stopped_last = Cell::new(None);
    let loaded = lifecycle::between(
        &mut inputs,
        |inputs| setup.as_ref().map_or_else(|| Ok(Done::nothing()), |setup| setup.run(inputs, &wanted)),
        |inputs| load(flags, &prepared, inputs, &wanted),
        |inputs| stopped_last.set(teardown.as_ref().and_then(|teardown| teardown.run_last(inputs, &wanted))),
    )?;
    let Loaded { identity, finished, mut observed, kernel, signal, key_lines_lost } = match loaded {
        ControlFlow::Continue(loaded) => loaded,
        ControlFlow::Break(exit) => return Ok(exit),
    };
    let signal = signal.or(stopped_last.get());
    let key_log = tls.key_log.inspect(|log| log.lose(key_lines_lost));
    key_log.and_then(|log| log.notice()).iter().for_each(|notice| terminal::say(notice));

    let Prepared { scenario, plan, parts, environment, .. } = prepared;
    let of_once = [&setup, &teardown].into_iter().flatten().flat_map(Once::secrets);
    let redactor = secrets::redactor(parts.data.secrets.iter().chain(of_once), &scenario);
    let exchanges = std::mem::take(&mut observed.exchanges);
    let report = judge((&plan, &parts, &redactor), &finished, observed, kernel, identity, environment);
    if scenario.once {
        let shown = once::Once { plan: &plan, redactor: &redactor, exchanges: &exchanges, report: &report };
        return Ok(shown.end(&outputs, signal));
    }
    let output_failed = output::write_all(&report, &outputs, terminal::is_coloured(flags.output.color));
    Ok(Ending::of(&report, signal, output_failed).exit())
}

/// What became of a load.
struct Loaded {
    identity: Identity,
    finished: Finished,
    observed: Observed,
    kernel: KernelEnd,
    /// What stopped it, if something did.
    signal: Option<Signal>,
    key_lines_lost: u64,
}

/// Runs the load itself, and shows how it goes.
fn load(
    flags: &RunFlags,
    prepared: &Prepared,
    inputs: &Inputs,
    wanted: &Wanted,
) -> Result<Loaded, CommandError> {
    let run_id = identity::run_id().map_err(CommandError::system("drawing a run id"))?;
    let progress = Progress::new(&prepared.plan, terminal::is_watched());
    let controls = Controls::default();
    let hold = Hold::default();
    let wish = Wish { tui: flags.judge.tui, no_tui: flags.judge.no_tui, is_able: terminal::is_viewable() };
    let wants_view = !flags.load.once && wish.wants_view(prepared.plan.load.duration());
    let view = wants_view.then(|| {
        let coloured = terminal::is_view_coloured(flags.output.color);
        View::new(&prepared.plan, controls.clone(), hold.clone(), coloured)
    });
    let signals = SignalWatch::begin(controls.stop.clone(), progress.clone(), hold, view.is_some())
        .map_err(CommandError::system("installing handlers for SIGINT and SIGTERM"))?;
    let identity = Identity { run_id, started_at: identity::now() };
    let cores = prepared.parts.cores.len();
    let mut kernel = Kernel::begin(wanted, &prepared.plan, cores).map_err(CommandError::Refused)?;
    let (finished, observed, key_lines_lost) =
        execute(prepared, inputs, (&mut kernel, wanted), &controls, (progress, view))?;
    let signal = if finished.stopped { signals.first() } else { None };
    Ok(Loaded { identity, finished, observed, kernel: kernel.end(), signal, key_lines_lost })
}

/// A run of which all is known.
struct Ready {
    prepared: Prepared,
    inputs: Inputs,
    wanted: Wanted,
    tls: tls::Loaded,
    setup: Option<Once>,
    teardown: Option<Once>,
}

/// Finds out all that a run needs, so that what is missing is told before anything is sent.
fn ready(flags: &RunFlags) -> Result<Ready, CommandError> {
    let mut asked = resolve::resolve(flags)?;
    let sources = Sources { files: &flags.scenario.secret_file, variable: &|name| std::env::var_os(name) };
    let given = Given {
        is_https: asked.has_tls(),
        insecure: asked.scenario.tls.insecure,
        of_file: asked.file.as_ref().map(|file| file.tls(&sources)).transpose()?.unwrap_or_default(),
    };
    let tls = tls::load(&flags.tls, given, std::env::var_os("SSLKEYLOGFILE"))?;
    let (addresses, others) =
        addresses::of_all(&asked.target, &asked.others).map_err(CommandError::Lookup)?;
    let files = asked.file.as_mut().map(|file| std::mem::take(&mut file.files)).unwrap_or_default();
    let inputs = Inputs { addresses, others, body: asked.body, files, globals: Vec::new() };
    let once = |lifecycle| match &asked.file {
        None => Ok(None),
        Some(file) => {
            let means = (&flags.engine, tls.material.clone());
            Once::prepare(lifecycle, (&asked.scenario, &file.file), &inputs, means, &sources)
        }
    };
    let blamed = |error| match (error, &asked.file) {
        (CommandError::Plan(error), Some(file)) => file.blamed(error),
        (error, _) => error,
    };
    let setup = once(Lifecycle::Setup).map_err(blamed)?;
    let teardown = once(Lifecycle::Teardown).map_err(blamed)?;
    let mut prepared = setup::prepare(asked.scenario.clone(), &inputs, &flags.engine, tls.material.clone())
        .map_err(blamed)?;
    let has_loads = asked.file.as_ref().is_some_and(|file| !file.file.loads.is_empty());
    if has_loads && asked.scenario.load.names_a_load() && !asked.scenario.once {
        let words = Preview::of(&prepared.plan, 1).load.words;
        prepared
            .notices
            .push(format!("note: flags name a load, which comes in place of the file's: {words}"));
    }
    prepared.parts.data = data_of(&prepared.plan, &sources)?;
    let wanted = flags.kernel.wanted();
    kernel::check_targets(&wanted, &prepared.plan).map_err(CommandError::Refused)?;
    Ok(Ready { prepared, inputs, wanted, tls, setup, teardown })
}

/// What expressions see beside the plan.
fn data_of(plan: &Plan, sources: &Sources<'_>) -> Result<Data, CommandError> {
    let secrets = secrets::resolve(&plan.script.secrets, sources)?.into();
    Ok(Data { secrets, wall_at_zero_ns: identity::wall_at_zero_ns() })
}

/// Runs the engine in a child and follows it. Returns the number of lines of the key log that were lost, too.
fn execute(
    prepared: &Prepared,
    inputs: &Inputs,
    (kernel, wanted): (&mut Kernel, &Wanted),
    controls: &Controls,
    (progress, view): (Progress, Option<View>),
) -> Result<(Finished, Observed, u64), CommandError> {
    let Prepared { scenario, plan, parts, .. } = prepared;
    let unix_socket = plan.endpoints.iter().find_map(|endpoint| match endpoint {
        Endpoint::Unix(path) => Some(path.as_str()),
        Endpoint::Ip(_) => None,
    });
    let mut engine = Supervisor::spawn(Inherited { memory: &kernel.memory, unix_socket })?;
    kernel.enter(engine.process(), wanted).map_err(CommandError::Refused)?;
    let job = Job { scenario, inputs, plan, parts, memory: kernel.mapped() };
    let mut watch = Watch::new(plan, &parts.cores, controls.stop.clone(), progress, view);
    let mut see = |seen: Seen<'_>| {
        watch.see(seen);
        if kernel.turn() {
            // What is under way will not be answered either.
            controls.stop.press();
            controls.stop.press();
        }
    };
    let ending = engine.send(&job).and_then(|()| engine.follow(&job, controls, &mut see));
    watch.end_progress();
    match ending.map_err(CommandError::Engine)? {
        EngineEnding::Finished(finished, key_lines_lost) => {
            let observed = watch.finish(&finished.total);
            Ok((*finished, observed, key_lines_lost))
        }
        EngineEnding::Lost(loss) => {
            let (finished, observed) = watch.finish_lost(&loss, controls.stop.get() != Stop::No);
            Ok((finished, observed, 0))
        }
    }
}

struct Identity {
    run_id: String,
    started_at: String,
}

fn judge(
    (plan, parts, redactor): (&Plan, &Parts, &Redactor),
    finished: &Finished,
    observed: Observed,
    kernel: KernelEnd,
    identity: Identity,
    environment: Environment,
) -> Report {
    let host = observed.host;
    let environment = Environment {
        steal_ns: host.steal.0,
        run_delay_ns: host.run_delay.0,
        throttled_ns: host.throttled.0,
        stalled_ns: host.stalled.0,
        paused_ns: host.paused.0,
        listen_drops: host.listen_drops,
        softnet_drops: host.softnet_drops,
        kernel_timing: kernel.timing,
        guard: kernel.guard,
        jail: observed.jail.unwrap_or_else(|| "off: the engine did not get so far".to_owned()),
        ..environment
    };
    let facts = Facts {
        run_id: identity.run_id,
        started_at: identity.started_at,
        elapsed: finished.elapsed,
        load_time: finished.load_time,
        stats: &finished.total,
        late_for_connections: finished.late_for_connections,
        arrivals_in_flight: finished.arrivals_in_flight,
        requests_in_flight: finished.requests_in_flight,
        timeline: observed.timeline,
        errors_samples: samples::shown(observed.samples, plan.request_names(), redactor),
        broken: observed.broken,
        rate_changes: observed.rate_changes,
        cores: u32::try_from(parts.cores.iter().collect::<BTreeSet<_>>().len()).unwrap_or(u32::MAX),
        busy_for: observed.busy_for,
        busiest: observed.busiest,
        host,
        environment,
        lost_parts: kernel.lost,
        denied: kernel.denied,
        stopped: finished.stopped,
        unreachable: finished.unreachable,
        fault: observed.fault,
    };
    Report::new(plan, facts)
}
