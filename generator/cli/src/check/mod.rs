//! `brunt check`: all that is wrong with scenario files, told at once. Nobody is contacted and no name is
//! looked up; an address for documentation stands in for the target's. Secrets need no values.

mod compile;
mod shown;

use std::path::Path;

use brunt_model::plan::Plan;
use brunt_model::preview::Preview;
use brunt_model::scenario::file::{self, Fault};
use serde::Serialize;

pub(crate) use self::compile::compiled;
use self::compile::fault_of;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::flags::{CheckFlags, TextOrJson};
use crate::output::write;
use crate::run::file::{folder_of, named_files, source, text_of};
use crate::terminal;

/// A fault as editors read it.
#[derive(Serialize)]
struct Finding<'a> {
    path: String,
    line: u32,
    column: u32,
    what: &'a str,
    mend: &'a str,
}

pub(crate) fn check(flags: &CheckFlags) -> Result<Exit, CommandError> {
    let mut results = Vec::new();
    for path in &flags.scenarios {
        let (text, faults) = match text(path) {
            Ok(text) => {
                let checked = compiled(&text, |file| named_files(file, folder_of(path)));
                (text, checked.map(|plan| summary(&plan)))
            }
            Err(why) => (String::new(), Err(vec![fault_of(&format!("the file {why}; give another"))])),
        };
        if flags.output == TextOrJson::Text {
            match &faults {
                Ok(summary) => say_result(&format!("{}: {summary}\n", path.display()))?,
                Err(faults) => terminal::say(shown::faults(path, &text, faults).trim_end()),
            }
        }
        results.push((path, faults));
    }
    if flags.output == TextOrJson::Json {
        let faults = results.iter().filter_map(|(path, faults)| Some((path, faults.as_ref().err()?)));
        let findings: Vec<_> =
            faults.flat_map(|(path, faults)| faults.iter().map(|f| finding(path, f))).collect();
        say_result(
            &(serde_json::to_string_pretty(&findings).expect("findings have only string keys") + "\n"),
        )?;
    }
    Ok(if results.iter().all(|(_, faults)| faults.is_ok()) { Exit::Pass } else { Exit::Configuration })
}

/// `brunt schema`.
pub(crate) fn schema() -> Result<Exit, CommandError> {
    let schema = serde_json::to_string_pretty(&file::schema()).expect("a schema has only string keys");
    say_result(&(schema + "\n"))?;
    Ok(Exit::Pass)
}

fn text(path: &Path) -> Result<String, String> {
    if path == Path::new("-") { text_of(std::io::stdin().lock()) } else { source(path) }
}

fn say_result(text: &str) -> Result<(), CommandError> {
    write::to_stdout(text).map_err(CommandError::system("writing to stdout"))
}

fn finding<'a>(path: &Path, fault: &'a Fault) -> Finding<'a> {
    let path = path.display().to_string();
    Finding { path, line: fault.at.line, column: fault.at.column, what: &fault.what, mend: &fault.mend }
}

/// Such as `3 flows, 12 requests, closed load of 100 users for 10m`.
fn summary(plan: &Plan) -> String {
    let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let (flows, requests) = (plan.script.flows.len(), plan.script.calls.len());
    let preview = Preview::of(plan, 1);
    let loads: Vec<_> = preview.loads().map(|load| load.words.as_str()).collect();
    format!("{}, {}, {}", counted(flows, "flow"), counted(requests, "request"), loads.join(" beside "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What one scenario is told as, and its summary where it is good.
    #[track_caller]
    fn check(source: &str, want: &str) {
        let checked = compiled(source, |file| named_files(file, Path::new("/does/not/exist")));
        let told = match checked {
            Ok(plan) => summary(&plan),
            Err(faults) => shown::faults(Path::new("s.yaml"), source, &faults),
        };
        assert_eq!(told, want, "{source}");
    }

    #[test]
    fn good_files_are_summed_up() {
        check(
            "flows: {a: [{get: /}], b: [{get: /b}, {get: /c}]}\nload: [{closed: {users: 100, for: 10m}}]",
            "2 flows, 3 requests, closed load of 100 users for 10m",
        );
        check("flows: {a: [{get: /}]}", "1 flow, 1 request, closed load of 50 users for 10s");
        check(
            "target: https://shop.test\nflows: {a: [{get: '/{{ secret.KEY }}'}]}\n\
             load: [{open: {rate: 9/s, for: 1s}}]",
            "1 flow, 1 request, open load of 9/s for 1s",
        );
    }

    #[test]
    fn all_faults_are_told_with_their_lines() {
        check(
            "flows:\n  a: [{get: /, chek: []}]\nsed: 1\n",
            "s.yaml:2:16: unknown key 'chek'; did you mean 'check'?\n\
             \x20  2 |   a: [{get: /, chek: []}]\n\
             \x20    |                ^\n\
             s.yaml:3:1: unknown key 'sed'; did you mean 'seed'?\n\
             \x20  3 | sed: 1\n\
             \x20    | ^\n",
        );
        check(
            "flows: {a: [{get: /}]}\nlimits: [error_rate < 1%, 'rate(name=\"GET /x\") > 1']\n",
            "s.yaml:2:28: limit 'rate(name=\"GET /x\") > 1': no request has the name 'GET /x'; \
             did you mean 'GET /'?\n\
             \x20  2 | limits: [error_rate < 1%, 'rate(name=\"GET /x\") > 1']\n\
             \x20    |                            ^\n",
        );
    }

    #[test]
    fn what_names_no_file_is_told_beside_other_faults() {
        let source = "flows: {a: [{post: /, file: x.bin}, {get: '/{{ nobody }}'}]}";
        let faults = compiled(source, |file| named_files(file, Path::new("."))).expect_err("it is wrong");
        let [no_file, no_name] = &faults[..] else { panic!("{faults:?}") };
        assert!(no_file.what.contains("x.bin") && no_name.what.contains("nobody"), "{faults:?}");
    }

    #[test]
    fn without_its_data_a_file_is_not_judged_further() {
        let source = "data: {users: {csv: x.csv}}\nflows: {a: [{get: '/{{ users.name }}'}]}";
        let faults = compiled(source, |file| named_files(file, Path::new("."))).expect_err("it is wrong");
        assert!(matches!(&faults[..], [fault] if fault.what.contains("x.csv")), "{faults:?}");
    }

    #[test]
    fn the_schema_is_json_with_a_name() {
        assert!(file::schema().get("$schema").is_some());
    }
}
