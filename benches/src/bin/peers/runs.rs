//! One run of brunt or of a peer, as a cell wants it.

use std::time::Duration;

use anyhow::bail;
use brunt_benches::child::{self, last_line};
use brunt_benches::tools::{Found, Load};

use crate::Setup;
use crate::brunt::GRACE;
use crate::cell::{Run, Runner};

/// brunt with the flags given, at the load's target.
pub(crate) fn run_brunt(setup: &Setup, flags: &str, load: &Load<'_>) -> anyhow::Result<Run> {
    let ran = setup.brunt.run(flags, load.url, limit(load), None)?;
    match Run::of(&ran.usage, ran.result.counts()) {
        Some(run) => Ok(run),
        None => bail!("brunt completed no request: {}", ran.result.verdict.reasons.join("; ")),
    }
}

/// A peer with the load given, whenever it is called.
pub(crate) fn run_peer<'a>(setup: &'a Setup, peer: &'a Found, load: &'a Load<'a>) -> Runner<'a> {
    Box::new(move || {
        let name = peer.tool.name;
        let Some(mut command) = peer.command(load) else { bail!("{name} cannot make this load") };
        let ended = child::run(&mut command, setup.core, limit(load))?;
        let Some(counts) = (peer.tool.counts)(&ended.stdout) else {
            bail!("{name} ended with {} and no count: {}", ended.status, last_line(&ended.stderr));
        };
        match Run::of(&ended.usage, counts) {
            Some(run) => Ok(run),
            None => bail!("{name} completed no request, {} failed", counts.failed),
        }
    })
}

/// The named peers among those that are installed and asked for.
pub(crate) fn among<'a>(setup: &'a Setup, names: &[&str]) -> Vec<&'a Found> {
    setup.peers.iter().filter(|peer| names.contains(&peer.tool.name)).collect()
}

/// What a run may take before it is killed.
pub(crate) fn limit(load: &Load<'_>) -> Duration {
    Duration::from_secs(load.seconds.into()) + GRACE
}
