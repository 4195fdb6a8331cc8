//! `brunt import`: a scenario made of what somebody already has. What is written can be run: it is read
//! again and compiled before anybody sees it.

use std::io::Read as _;
use std::path::Path;

use brunt_model::import::urls::Order;
use brunt_model::import::{ImportError, Imported, Note, curl, har, locustfile, openapi, urls};
use brunt_model::scenario::file::{self, Fault, SOURCE_BYTES_MAX};

use crate::check::compiled;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::flags::{ImportFlags, ImportFormat};
use crate::output::{clean, write};
use crate::terminal;

/// What importers read, and a little more, so that they say that it is too long.
const SOURCE_MAX: u64 = (64 << 20) + 1;

pub(crate) fn import(flags: &ImportFlags) -> Result<Exit, CommandError> {
    let path = flags.source.display();
    let source = read(&flags.source).map_err(|why| {
        CommandError::Configuration(format!(
            "'{path}' cannot be read: {why}; give another file, or - for stdin"
        ))
    })?;
    let order = if flags.random { Order::Random } else { Order::AsWritten };
    let (text, imported) = match scenario(flags.format, order, &source) {
        Ok(made) => made,
        Err(Refusal::Source(error)) => {
            let ImportError { line, column, what, mend } = &error;
            terminal::say(&format!("{path}:{line}:{column}: {}; {}", clean(what), clean(mend)));
            return Ok(Exit::Configuration);
        }
        Err(Refusal::Ours(faults)) => return Err(CommandError::Imported(faults)),
    };
    match flags.output.as_deref().filter(|output| *output != Path::new("-")) {
        Some(output) if !flags.force => write::write_new(output, &text),
        output => write::write(output, &text),
    }
    .map_err(CommandError::Write)?;
    for note in &imported.notes {
        terminal::say(&format!("{path}:{}: {}", note.line, clean(&note.text)));
    }
    Ok(Exit::Pass)
}

fn read(path: &Path) -> Result<Vec<u8>, std::io::Error> {
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().lock().take(SOURCE_MAX).read_to_end(&mut bytes)?;
    } else {
        std::fs::File::open(path)?.take(SOURCE_MAX).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// Why there is no scenario.
#[derive(Debug)]
enum Refusal {
    Source(ImportError),
    /// What an importer made cannot be run.
    Ours(Vec<Fault>),
}

/// The text of a scenario that can be run, and what it was written from.
fn scenario(format: ImportFormat, order: Order, source: &[u8]) -> Result<(String, Imported), Refusal> {
    let imported = match format {
        ImportFormat::Har => har::import(source),
        ImportFormat::Openapi => openapi::import(source),
        ImportFormat::Curl => curl::import(source),
        ImportFormat::Urls => urls::import(source, order),
        ImportFormat::Locustfile => locustfile::import(source),
    };
    let mut imported = imported.map_err(Refusal::Source)?;
    let text = file::write(&imported.file);
    if text.len() > SOURCE_BYTES_MAX {
        let what = format!("the scenario has {} bytes, and at most {SOURCE_BYTES_MAX} are read", text.len());
        return Err(refused(what, "import a part of it"));
    }
    // Files that it names come to stand beside it later.
    let files = |file: &file::File| {
        let names = crate::run::file::file_names(file).into_iter();
        (names.map(|name| (name.value.clone(), Vec::new())).collect(), Vec::new())
    };
    match compiled(&text, files) {
        Ok(_) => Ok((text, imported)),
        // Who runs it may allow that.
        Err(faults) if faults.iter().all(is_in_clear) => {
            let Some(Fault { what, mend, .. }) = faults.into_iter().next() else {
                return Ok((text, imported));
            };
            imported.notes.push(Note { line: 1, text: format!("{what}; {mend}") });
            Ok((text, imported))
        }
        Err(faults) => Err(refusal(faults)),
    }
}

fn is_in_clear(fault: &Fault) -> bool {
    fault.mend.contains("--secrets-in-clear")
}

/// Whose fault it is that a scenario does not compile.
fn refusal(faults: Vec<Fault>) -> Refusal {
    // The source's own, and not for us to write into a file that is passed on.
    if let Some(secret) = faults.iter().find(|fault| fault.is_of_secret()) {
        let mend = "take it out, and give the scenario {{ secret.NAME }} in its place";
        return refused(secret.what.clone(), mend);
    }
    Refusal::Ours(faults)
}

fn refused(what: String, mend: &str) -> Refusal {
    Refusal::Source(ImportError { line: 1, column: 1, what, mend: mend.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A piece of the scenario that a source becomes, or of why it becomes none.
    #[track_caller]
    fn check(format: ImportFormat, source: &str, want: &str) {
        let told = match scenario(format, Order::AsWritten, source.as_bytes()) {
            Ok((text, _)) => text,
            Err(Refusal::Source(error)) => error.to_string(),
            Err(Refusal::Ours(faults)) => format!("{faults:?}"),
        };
        assert!(told.contains(want), "{told}");
    }

    #[test]
    fn each_format_becomes_a_scenario_that_compiles() {
        check(ImportFormat::Curl, "curl -d a=b http://h.test/x", "post: /x");
        check(ImportFormat::Urls, "http://h.test/x\n", "get: /x");
        check(
            ImportFormat::Locustfile,
            "from locust import HttpUser, task\n\
             class A(HttpUser):\n    host = 'http://h.test'\n    @task\n    def a(self):\n\
             \x20       self.client.get('/x')\n",
            "get: /x",
        );
        check(
            ImportFormat::Openapi,
            r#"{"openapi": "3.0.0", "info": {"title": "t", "version": "1"},
                "servers": [{"url": "http://h.test"}],
                "paths": {"/x": {"get": {"responses": {"200": {"description": "ok"}}}}}}"#,
            "get: /x",
        );
        check(
            ImportFormat::Har,
            r#"{"log": {"entries": [{"startedDateTime": "2024-01-01T00:00:00.000Z", "time": 1,
                "request": {"method": "GET", "url": "http://h.test/x", "httpVersion": "HTTP/1.1",
                            "headers": [], "queryString": []},
                "response": {"status": 200, "headers": [], "content": {"mimeType": "text/html"}}}]}}"#,
            "get: /x",
        );
    }

    /// A recording has secrets, and its site may be in clear text.
    #[test]
    fn secrets_in_clear_text_are_told_and_no_fault() {
        let har = r#"{"log": {"entries": [{"startedDateTime": "2024-01-01T00:00:00.000Z", "time": 1,
            "request": {"method": "GET", "url": "http://h.test/x", "httpVersion": "HTTP/1.1",
                        "headers": [{"name": "Authorization", "value": "Bearer x"}], "queryString": []},
            "response": {"status": 200, "headers": [], "content": {"mimeType": "text/html"}}}]}}"#;
        let (text, imported) = scenario(ImportFormat::Har, Order::AsWritten, har.as_bytes()).unwrap();
        assert!(text.contains("{{ secret.AUTHORIZATION }}"), "{text}");
        assert!(imported.notes.iter().any(|note| note.text.contains("--secrets-in-clear")), "{imported:?}");
    }

    #[test]
    fn refusals_name_the_place_and_the_mend() {
        check(ImportFormat::Curl, "wget x", "line 1, column 1: 'wget' is no curl command; begin each");
        check(ImportFormat::Urls, "", "line 1, column 1: ");
        let long: String = (0..20_000).map(|number| format!("http://h.test/{number:020}\n")).collect();
        check(ImportFormat::Urls, &long, "import a part of it");
        let token = ["gh", "p_aaaaaaaaaaaaaaaaaaaaaaaaaaaa"].concat();
        let with_token = format!("curl -H 'X-A: {token}' http://h.test/");
        check(ImportFormat::Curl, &with_token, "looks like a GitHub token; take it out");
    }
}
