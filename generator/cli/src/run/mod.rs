//! `brunt run`: from flags to a report, in one pass from the top.

pub(crate) mod addresses;
pub(crate) mod file;
mod key_log;
pub(crate) mod progress;
pub(crate) mod resolve;
mod secrets;
mod setup;
mod signals;
pub(crate) mod spoken;
mod target;
pub(crate) mod tls;
mod watch;

use brunt_engine::{Controls, Finished, Parts, Stop};
use brunt_model::plan::{Endpoint, Inputs, Plan};
use brunt_model::report::{Environment, Facts, Report};

use self::progress::Progress;
use self::secrets::Sources;
use self::setup::Prepared;
use self::signals::SignalWatch;
use self::watch::{Observed, Watch};
use crate::engine::{Ending as EngineEnding, Inherited, Job, Seen, Supervisor};
use crate::error::CommandError;
use crate::exit::{Ending, Exit};
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
    let mut asked = resolve::resolve(flags)?;
    let is_https = asked.scenario.url.starts_with("https:");
    let tls = tls::load(&flags.tls, is_https, std::env::var_os("SSLKEYLOGFILE"))?;
    let addresses = addresses::look_up(&asked.target).map_err(CommandError::Lookup)?;
    let files = asked.file.as_mut().map(|file| std::mem::take(&mut file.files)).unwrap_or_default();
    let inputs = Inputs { addresses, body: asked.body, files };
    let prepared = setup::prepare(asked.scenario, &inputs, &flags.engine, tls.material);
    let mut prepared = prepared.map_err(|error| match (error, &asked.file) {
        (CommandError::Plan(error), Some(file)) => file.blamed(error),
        (error, _) => error,
    })?;
    let sources = Sources { files: &flags.scenario.secret_file, variable: &|name| std::env::var_os(name) };
    let values = secrets::resolve(&prepared.plan.script.secrets, &sources)?;
    prepared.parts.data.secrets = values.into();
    let wanted = flags.kernel.wanted();
    kernel::check_targets(&wanted, &prepared.plan).map_err(CommandError::Refused)?;
    tls.notices.iter().chain(&prepared.notices).for_each(|notice| terminal::say(notice));

    let run_id = identity::run_id().map_err(CommandError::system("drawing a run id"))?;
    let progress = Progress::new(&prepared.plan, terminal::is_watched());
    let controls = Controls::default();
    let hold = Hold::default();
    let wish = Wish { tui: flags.judge.tui, no_tui: flags.judge.no_tui, is_able: terminal::is_viewable() };
    let view = wish.wants_view(prepared.plan.load.duration()).then(|| {
        let coloured = terminal::is_view_coloured(flags.output.color);
        View::new(&prepared.plan, controls.clone(), hold.clone(), coloured)
    });
    let signals = SignalWatch::begin(controls.stop.clone(), progress.clone(), hold, view.is_some())
        .map_err(CommandError::system("installing handlers for SIGINT and SIGTERM"))?;
    let started_at = identity::now();
    let cores = prepared.parts.cores.len();
    let mut kernel = Kernel::begin(&wanted, &prepared.plan, cores).map_err(CommandError::Refused)?;
    let (finished, observed, key_lines_lost) =
        execute(&prepared, &inputs, (&mut kernel, &wanted), &controls, (progress, view))?;
    let key_log = tls.key_log.inspect(|log| log.lose(key_lines_lost));
    key_log.and_then(|log| log.notice()).iter().for_each(|notice| terminal::say(notice));

    let Prepared { plan, parts, environment, .. } = prepared;
    let report =
        judge(&plan, &parts, &finished, observed, kernel.end(), Identity { run_id, started_at }, environment);
    let output_failed = output::write_all(&report, &outputs, terminal::is_coloured(flags.output.color));
    let signal = if finished.stopped { signals.first() } else { None };
    Ok(Ending::of(&report, signal, output_failed).exit())
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
        watch.see(&seen);
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
    plan: &Plan,
    parts: &Parts,
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
        broken: observed.broken,
        rate_changes: observed.rate_changes,
        cores: u32::try_from(parts.cores.len()).unwrap_or(u32::MAX),
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
