//! `brunt run --once`: what one iteration of each flow sent, what was answered, and what was made of it.
//!
//! Everything that is shown went through the redactor, and what a server sent cannot move the cursor.

mod text;
mod view;

use brunt_model::exchange::Exchange;
use brunt_model::plan::Plan;
use brunt_model::redact::Redactor;
use brunt_model::report::Report;
use brunt_model::verdict::Status;

use self::view::{Shown, Summary};
use crate::error::CommandError;
use crate::exit::{Ending, Exit, Signal};
use crate::flags::values::{Format, OutputSpec};
use crate::output::write::write;
use crate::terminal;

/// A run of one iteration of each flow that has ended.
pub(super) struct Once<'a> {
    pub plan: &'a Plan,
    pub redactor: &'a Redactor,
    pub exchanges: &'a [Exchange],
    pub report: &'a Report,
}

/// Exchanges are no figures.
pub(super) fn check_outputs(outputs: &[OutputSpec]) -> Result<(), CommandError> {
    if outputs.iter().all(|output| matches!(output.format, Format::Text | Format::Json)) {
        return Ok(());
    }
    let mend = "use -o text or -o json, or leave --once out";
    Err(CommandError::Usage(format!("--once shows exchanges, which only text and json can hold; {mend}")))
}

impl Once<'_> {
    /// Writes what was exchanged. Limits are not judged: what counts is whether anything failed.
    pub(super) fn end(&self, outputs: &[OutputSpec], signal: Option<Signal>) -> Exit {
        let shown: Vec<_> = self.exchanges.iter().map(|exchange| self.shown(exchange)).collect();
        let summary = self.summary();
        let mut output_failed = false;
        for output in outputs {
            let rendered = match output.format {
                Format::Json => json_lines(&shown, &summary),
                _ => text::render(&shown, &summary),
            };
            if let Err(error) = write(output.file.as_deref(), &rendered) {
                terminal::say(&format!("error: {error}"));
                output_failed = true;
            }
        }
        self.ending(&summary, signal, output_failed).exit()
    }

    fn ending(&self, summary: &Summary, signal: Option<Signal>, output_failed: bool) -> Ending {
        let ending = Ending::of(self.report, signal, output_failed);
        // Whether the generator would have been fit for a load is of no interest.
        let status = match ending.status {
            Status::Error | Status::Refused => ending.status,
            _ => Status::Pass,
        };
        Ending { status, limits_missed: summary.has_failures(), ..ending }
    }
}

/// An object for each exchange, and one for their sum.
fn json_lines(shown: &[Shown], summary: &Summary) -> String {
    let line = |value: serde_json::Result<String>| {
        value.expect("what is shown has only string keys and whole numbers") + "\n"
    };
    let exchanges = shown.iter().map(|shown| line(serde_json::to_string(shown)));
    exchanges.chain([line(serde_json::to_string(summary))]).collect()
}
