//! `brunt plan`: what a command line would run, without running it. Names are looked up, since the plan and
//! its id hold addresses; nobody is connected to. Secrets and the files that flags name are not read, but those that a scenario
//! names are.

mod chart;
mod text;

use brunt_model::plan::{self, Inputs};
use brunt_model::preview::Preview;
use serde::Serialize;

use crate::error::CommandError;
use crate::exit::Exit;
use crate::flags::values::{Format, OutputSpec};
use crate::flags::{RunFlags, outputs_or_text};
use crate::output::write;
use crate::run::{addresses, resolve, spoken};

/// The preview as data.
#[derive(Serialize)]
struct Document<'a> {
    schema_version: u32,
    #[serde(flatten)]
    preview: &'a Preview,
    protocol: &'a str,
}

pub(crate) fn plan(flags: &RunFlags) -> Result<Exit, CommandError> {
    let outputs = outputs_or_text(&flags.output.output).map_err(CommandError::Usage)?;
    check_formats(&outputs)?;
    let mut asked = resolve::resolve(flags)?;
    let (addresses, others) =
        addresses::of_all(&asked.target, &asked.others).map_err(CommandError::Lookup)?;
    let files = asked.file.as_mut().map(|file| std::mem::take(&mut file.files)).unwrap_or_default();
    let inputs = Inputs { addresses, others, body: asked.body, files, globals: Vec::new() };
    let plan = plan::compile(&asked.scenario, &inputs).map_err(|error| match &asked.file {
        Some(file) => file.blamed(error),
        None => CommandError::Plan(error),
    })?;
    let preview = Preview::of(&plan, chart::WIDTH);
    let protocol = spoken::spoken(&plan);
    for output in &outputs {
        let text = match output.format {
            Format::Json => {
                let document = Document { schema_version: 1, preview: &preview, protocol: &protocol };
                serde_json::to_string_pretty(&document).expect("a preview has only string keys") + "\n"
            }
            _ => text::render(&preview, &protocol),
        };
        write::write(output.file.as_deref(), &text).map_err(CommandError::Write)?;
    }
    Ok(Exit::Pass)
}

fn check_formats(outputs: &[OutputSpec]) -> Result<(), CommandError> {
    if outputs.iter().all(|output| matches!(output.format, Format::Text | Format::Json)) {
        return Ok(());
    }
    Err(CommandError::Usage("a plan is shown as text or json; give -o text or -o json".to_owned()))
}
