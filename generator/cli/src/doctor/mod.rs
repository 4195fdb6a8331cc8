//! `brunt doctor`: is this host fit to generate load? Facts are read, judged by pure functions, and shown.

mod checks;
mod facts;
mod kernel;

use std::fmt::Write as _;

use serde::Serialize;

use self::checks::{Finding, Level};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::flags::{DoctorFlags, TextOrJson};
use crate::output::write;
use crate::terminal;

#[derive(Serialize)]
struct Diagnosis {
    schema_version: u32,
    /// Nothing is bad.
    fit: bool,
    findings: Vec<Finding>,
}

pub(crate) fn doctor(flags: &DoctorFlags) -> Result<Exit, CommandError> {
    let findings = checks::all(&facts::gather(&flags.loader_socket));
    let fit = findings.iter().all(|finding| finding.level != Level::Bad);
    let diagnosis = Diagnosis { schema_version: 1, fit, findings };
    let text = match flags.output {
        TextOrJson::Text => as_text(&diagnosis, terminal::is_coloured(flags.color)),
        TextOrJson::Json => {
            serde_json::to_string_pretty(&diagnosis).expect("findings have only string keys") + "\n"
        }
    };
    write::to_stdout(&text).map_err(CommandError::system("writing to stdout"))?;
    Ok(if fit { Exit::Pass } else { Exit::Invalid })
}

fn as_text(diagnosis: &Diagnosis, coloured: bool) -> String {
    let mut text = String::new();
    for finding in &diagnosis.findings {
        let (word, rendition) = match finding.level {
            Level::Ok => ("ok  ", "32"),
            Level::Warn => ("warn", "33"),
            Level::Bad => ("bad ", "31"),
        };
        let word = if coloured { format!("\x1b[{rendition}m{word}\x1b[0m") } else { word.to_owned() };
        // Writing to a string does not fail.
        let _ = writeln!(text, "{word}  {:<18} {}", finding.name, finding.figure);
        if let Some(mend) = &finding.mend {
            let _ = writeln!(text, "      {:<18} -> {mend}", "");
        }
    }
    let _ =
        writeln!(text, "\nThis host is {}.", if diagnosis.fit { "fit" } else { "not fit: see what is bad" });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_finding_is_a_line_with_its_mend_below() {
        let finding = |level, mend: Option<&str>| Finding {
            name: "open files",
            level,
            figure: "64".to_owned(),
            mend: mend.map(str::to_owned),
        };
        let findings = vec![finding(Level::Ok, None), finding(Level::Bad, Some("raise it"))];
        let text = as_text(&Diagnosis { schema_version: 1, fit: false, findings }, false);
        assert_eq!(
            text,
            "ok    open files         64\n\
             bad   open files         64\n                         -> raise it\n\n\
             This host is not fit: see what is bad.\n"
        );
    }
}
