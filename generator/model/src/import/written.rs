//! Proof that what importers make can be run: written, read again and compiled.

use super::Imported;
use crate::plan::{self, Inputs, Plan, PlanError};
use crate::scenario::file::{self, Body, Fault, File, PartContent, Step, Version};
use crate::scenario::{HttpVersion, Scenario, ScriptSource};
use crate::script::compile::Files;

/// The plan of what was imported, as `brunt check` makes it. None where the source has a secret, which is refused by
/// design.
///
/// # Panics
/// When it is none; shows each line that is at fault.
#[track_caller]
pub(super) fn compiles(imported: &Imported) -> Option<Plan> {
    let text = file::write(&imported.file);
    let compiled = file::read(&text).and_then(|read| {
        assert_eq!(file::write(&read), text, "what is read again is another scenario");
        plan_of(&text, &read)
    });
    match compiled {
        Ok(plan) => Some(plan),
        Err(faults) if faults.iter().any(Fault::is_of_secret) => None,
        Err(faults) => panic!("{}\n---\n{text}", shown(&text, &faults)),
    }
}

fn plan_of(text: &str, file: &File) -> Result<Plan, Vec<Fault>> {
    let url = file.target.as_ref().map_or("http://192.0.2.1/", |target| target.value.as_str());
    let mut scenario = Scenario::of(url);
    if file.http.version == Some(Version::Http2) {
        scenario.http.version = HttpVersion::Http2;
    }
    scenario.http.redirects = file.http.redirects.filter(|redirects| *redirects > 0);
    let secrets_in_clear = true;
    scenario.script =
        Some(ScriptSource { text: text.to_owned(), secrets_in_clear, ..ScriptSource::default() });
    let addresses = vec!["192.0.2.1:80".parse().expect("an address for documentation (RFC 5737)")];
    let others = vec![addresses.clone(); file.targets.len()];
    let inputs = Inputs { addresses, others, files: uploads(file), ..Inputs::default() };
    plan::compile(&scenario, &inputs).map_err(|error| match error {
        PlanError::File(faults) => faults,
        error => panic!("{error}\n---\n{text}"),
    })
}

/// Files that forms name; importers name no others.
fn uploads(file: &File) -> Files {
    let steps = file.flows.iter().flat_map(|(_, flow)| &flow.steps);
    let parts = steps.flat_map(|step| match &step.value {
        Step::Request(request) => match &request.body {
            Some(Body::Multipart(parts)) => parts.as_slice(),
            _ => &[],
        },
        _ => &[],
    });
    let names = parts.filter_map(|part| match &part.content {
        PartContent::File(name) => Some(name.value.clone()),
        PartContent::Text(_) => None,
    });
    names.map(|name| (name, Vec::new())).collect()
}

/// Each fault below the line that it is of.
fn shown(text: &str, faults: &[Fault]) -> String {
    let line = |fault: &Fault| {
        let number = usize::try_from(fault.at.line).unwrap_or_default().saturating_sub(1);
        text.lines().nth(number).unwrap_or_default().to_owned()
    };
    faults.iter().map(|fault| format!("{}\n  {}; {}\n", line(fault), fault.what, fault.mend)).collect()
}
