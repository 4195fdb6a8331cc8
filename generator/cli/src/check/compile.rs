//! A scenario's text to its plan, with all faults at once.

use std::net::SocketAddr;
use std::path::PathBuf;

use brunt_model::plan::{self, Inputs, Plan, PlanError};
use brunt_model::scenario::file::{self, Fault, File, Place};
use brunt_model::scenario::{Scenario, ScriptSource};
use brunt_model::script::compile::Files;

use crate::run::file::{ScenarioFile, file_names, log_names};

/// Stands in where a scenario leaves the target to the command line; an address for documentation (RFC 5737).
const TARGET: &str = "http://192.0.2.1/";
const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), 80);

/// Compiles a scenario. `files` gives what it names, and what of that could not be read.
pub(crate) fn compiled(
    text: &str,
    files: impl FnOnce(&File) -> (Files, Vec<Fault>),
) -> Result<Plan, Vec<Fault>> {
    let file = file::read(text)?;
    let (mut files, mut faults) = files(&file);
    let mut sources = file.data.iter().map(|(_, feeder)| &feeder.file).chain(log_names(&file));
    if sources.any(|name| !files.contains_key(&name.value)) {
        // Without its columns or its requests, every use of them would be told as a fault.
        return Err(faults);
    }
    for name in file_names(&file) {
        files.entry(name.value.clone()).or_default();
    }
    match plan_of(text, &file, files) {
        Ok(plan) if faults.is_empty() => Ok(plan),
        compiled => {
            faults.extend(compiled.err().unwrap_or_default());
            faults.sort_by_key(|fault| fault.at);
            Err(faults)
        }
    }
}

fn plan_of(text: &str, file: &File, files: Files) -> Result<Plan, Vec<Fault>> {
    let target = file.target.as_ref();
    let url = target.map_or(TARGET, |target| target.value.as_str());
    let at = target.map_or(Place::default(), |target| target.at);
    let url = plan::parse_url(url).map_err(|error| vec![Fault { at, ..fault_of(&error.to_string()) }])?;
    let mut scenario = Scenario::of(url.as_str());
    let source = ScriptSource { text: text.to_owned(), ..ScriptSource::default() };
    let file = ScenarioFile { path: PathBuf::new(), file: file.clone(), source, files: Files::new() };
    scenario.http.version = file.version(&url);
    file.fill_in(&mut scenario);
    // Those are looked at below, each with its place.
    scenario.limits.clear();
    let others = vec![vec![ADDRESS]; file.file.targets.len()];
    let inputs = Inputs { addresses: vec![ADDRESS], others, files, ..Inputs::default() };
    let plan = plan::compile(&scenario, &inputs).map_err(|error| match error {
        PlanError::File(faults) => faults,
        error => vec![fault_of(&error.to_string())],
    })?;
    let catalogue = plan.catalogue();
    let wrong = file.file.limits.iter().filter_map(|limit| {
        let why = limit.value.that.resolve(&catalogue).err()?;
        Some(Fault { at: limit.at, ..fault_of(&why) })
    });
    let wrong: Vec<_> = wrong.collect();
    if wrong.is_empty() { Ok(plan) } else { Err(wrong) }
}

/// A sentence with its mend as a fault of the whole file.
pub(crate) fn fault_of(sentence: &str) -> Fault {
    let (what, mend) = sentence.rsplit_once("; ").unwrap_or((sentence, "change it"));
    Fault { at: Place { line: 1, column: 1 }, what: what.to_owned(), mend: mend.to_owned() }
}
