//! `brunt report`: a stored result, rendered again. Its exit code says whether that worked; the run's own verdict is in
//! the result.

use std::io::Read as _;
use std::path::Path;

use brunt_model::report::{Report, SCHEMA_VERSION};
use serde::Deserialize;

use crate::error::CommandError;
use crate::exit::Exit;
use crate::flags::{ReportFlags, outputs_or_text};
use crate::{output, terminal};

/// A day of rows, one a second, is about 15 MB; nothing larger is a result of ours.
const RESULT_MAX: u64 = 256 << 20;

#[derive(Deserialize)]
struct Version {
    schema_version: u32,
}

pub(crate) fn report(flags: &ReportFlags) -> Result<Exit, CommandError> {
    let outputs = outputs_or_text(&flags.output.output).map_err(CommandError::Usage)?;
    let fail = |why| CommandError::Stored { path: flags.result.clone(), why };
    let report = read(&flags.result).and_then(|bytes| parse(&bytes)).map_err(fail)?;
    let failed = output::write_all(&report, &outputs, terminal::is_coloured(flags.output.color));
    Ok(if failed { Exit::Fault } else { Exit::Pass })
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(RESULT_MAX + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > RESULT_MAX { Err("it is too large".to_owned()) } else { Ok(bytes) }
}

/// The version is looked at first, so that a result of another one is not called broken.
fn parse(bytes: &[u8]) -> Result<Report, String> {
    let version: Version = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if version.schema_version != SCHEMA_VERSION {
        return Err(format!(
            "it has schema version {}, this build reads {SCHEMA_VERSION}",
            version.schema_version
        ));
    }
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_result_is_said_to_be_none() {
        for (text, want) in [
            ("", "EOF"),
            ("[]", "invalid length"),
            ("{}", "missing field `schema_version`"),
            (r#"{"schema_version": 2}"#, "it has schema version 2, this build reads 1"),
            (r#"{"schema_version": 1}"#, "missing field `run`"),
            ("not json", "expected"),
        ] {
            let error = parse(text.as_bytes()).expect_err(text);
            assert!(error.contains(want), "{text}: {error}");
        }
    }
}
