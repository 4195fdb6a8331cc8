//! A scenario file's flows to a script: names looked up, expressions compiled, and of each request put together what is
//! the same each time. All that is wrong is found at once.

mod body;
mod call;
mod names;
mod pieces;
mod replay;
mod steps;
mod taint;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use url::Url;

use self::names::Names;
use super::call::Call;
use super::{FeederPlan, Flow, Script, Span, VARIABLES_MAX};
use crate::expr::{self, Expr, ExprError, Stage, Template, Value};
use crate::feeder::Table;
use crate::replay::Logs;
use crate::request::digest;
use crate::scenario::Lifecycle;
use crate::scenario::file::{self, FAULTS_MAX, Fault, File, Located, Place, Scalar};

/// Files that a scenario names, by the name that it gives them.
pub type Files = BTreeMap<String, Vec<u8>>;

/// What a script is compiled for.
#[derive(Copy, Clone, Debug)]
pub struct Frame<'a> {
    /// What requests are relative to.
    pub target: &'a Url,
    /// What those are relative to that name another.
    pub others: &'a [(String, Url)],
    /// HTTP/2.
    pub multiplexed: bool,
    /// Connections are closed after each answer.
    pub closes: bool,
    /// Content codings are asked for and undone.
    pub compressed: bool,
    /// Redirects that requests follow, unless they say otherwise.
    pub redirects: Option<u32>,
    /// Secrets may go to other hosts without TLS.
    pub secrets_in_clear: bool,
    pub lifecycle: Lifecycle,
    /// What the setup of the run found out.
    pub globals: &'a [(String, Value)],
    /// Flows and requests with one of these tags only; empty means all.
    pub tags: &'a [String],
    /// None with one of these.
    pub exclude_tags: &'a [String],
    /// What its loads replay.
    pub logs: &'a Logs,
}

struct Compiler<'a> {
    file: &'a File,
    files: &'a Files,
    frame: Frame<'a>,
    names: Names,
    labels: Vec<String>,
    tags: Vec<Vec<String>>,
    calls: Vec<Call>,
    faults: Vec<Fault>,
}

/// Compiles the flows of a file.
///
/// # Errors
/// All that is wrong, in order of place.
pub fn compile(file: &File, frame: Frame<'_>, files: &Files) -> Result<Script, Vec<Fault>> {
    let mut compiler = Compiler {
        file,
        files,
        frame,
        names: Names::default(),
        labels: Vec::new(),
        tags: Vec::new(),
        calls: Vec::new(),
        faults: Vec::new(),
    };
    let script = compiler.script();
    let mut faults = compiler.faults;
    if faults.is_empty() {
        return Ok(script);
    }
    faults.sort_by_key(|fault| fault.at);
    faults.truncate(FAULTS_MAX);
    Err(faults)
}

impl<'a> Compiler<'a> {
    fn fault(&mut self, at: Place, what: impl Into<String>, mend: impl Into<String>) {
        self.faults.push(Fault { at, what: what.into(), mend: mend.into() });
    }

    fn script(&mut self) -> Script {
        let feeders = self.feeders();
        let initial = self.variables();
        let is_load = self.frame.lifecycle == Lifecycle::Load;
        let once = |steps: &'a [Located<file::Step>]| if is_load { steps } else { &[] };
        let on_start = self.steps(once(&self.file.on_start), &[]);
        let on_stop = self.steps(once(&self.file.on_stop), &[]);
        // What `vars` look at is there for each flow.
        let of_all = self.names.take_looked_at();
        let mut flows = match self.frame.lifecycle {
            Lifecycle::Setup => vec![self.of_run("setup", &self.file.setup)],
            Lifecycle::Load => self.flows(),
            Lifecycle::Teardown => vec![self.of_run("teardown", &self.file.teardown)],
        };
        for flow in &mut flows {
            let all: BTreeSet<_> = flow.feeders.iter().chain(&of_all).copied().collect();
            flow.feeders = all.into_iter().collect();
        }
        if self.faults.is_empty() && self.calls.is_empty() {
            self.fault(self.first_place(), "there is no request", "add one such as `- get: /`");
        }
        let is_runnable = flows.iter().any(|flow| flow.weight > 0) || self.only_replays();
        if self.faults.is_empty() && !is_runnable {
            let mend = "add one under `flows:`, with a weight above 0 and the tags that are asked for";
            self.fault(Place { line: 1, column: 1 }, "there is no flow to run", mend);
        }
        if self.names.has_too_many() {
            let what = format!("there are more than {VARIABLES_MAX} names of variables");
            self.fault(Place { line: 1, column: 1 }, what, "use names again");
        }
        Script {
            names: std::mem::take(&mut self.labels),
            tags: std::mem::take(&mut self.tags),
            calls: std::mem::take(&mut self.calls),
            flows,
            on_start,
            on_stop,
            variables: self.names.variables().to_vec(),
            globals: self.globals(),
            tells: self.tells(),
            initial,
            feeders,
            feeders_of_all: of_all.into_iter().collect(),
            secrets: self.names.secrets(),
            cookies: self.file.http.cookies.unwrap_or(true),
            once: false,
        }
    }

    fn feeders(&mut self) -> Vec<FeederPlan> {
        let mut feeders = Vec::new();
        for (name, feeder) in &self.file.data {
            if expr::is_reserved(&name.value) {
                self.fault(
                    name.at,
                    format!("'{}' means something else in expressions", name.value),
                    "name it otherwise",
                );
            }
            let Some(bytes) = self.file_bytes(&feeder.file) else { continue };
            match Table::read(bytes, feeder.format) {
                Err(error) => {
                    let what = format!("line {} of {}: {}", error.line, feeder.file.value, error.what);
                    self.fault(feeder.file.at, what, error.mend);
                }
                Ok(table) => {
                    self.names.add_feeder(&name.value, table.columns());
                    feeders.push(FeederPlan {
                        name: name.value.clone(),
                        pick: feeder.pick,
                        on_end: feeder.on_end,
                        digest: digest(bytes),
                        table: Arc::new(table),
                    });
                }
            }
        }
        feeders
    }

    fn file_bytes(&mut self, name: &Located<String>) -> Option<&'a [u8]> {
        let bytes = self.files.get(&name.value).map(Vec::as_slice);
        if bytes.is_none() {
            let what = format!("the file '{}' was not read", name.value);
            self.fault(name.at, what, "give a path relative to the scenario's folder");
        }
        bytes
    }

    /// All names of variables; what `vars` sets at the beginning of an iteration.
    fn variables(&mut self) -> Vec<(u16, Expr)> {
        let mut initial = Vec::new();
        for name in steps::assigned(self.file) {
            self.names.add_variable(&name.value);
        }
        for (name, scalar) in &self.file.vars {
            if expr::is_reserved(&name.value) {
                self.fault(
                    name.at,
                    format!("'{}' means something else in expressions", name.value),
                    "name it otherwise",
                );
                continue;
            }
            match scalar {
                Scalar::Text(text) if text.value.contains("{{") => {
                    let compiled =
                        Template::compile(&text.value, &self.names, Stage::Request).and_then(|template| {
                            match template.single() {
                                // What is one expression and nothing else keeps its type, as in JSON.
                                Some(expr) => Ok(expr.clone()),
                                None => {
                                    let source = pieces::source_of(&text.value)?;
                                    Expr::compile(&source, &self.names, Stage::Request)
                                }
                            }
                        });
                    let variable = self.names.add_variable(&name.value);
                    match compiled {
                        Ok(expr) => initial.push((variable, expr)),
                        Err(error) => self.expr_fault(text.at, error),
                    }
                }
                scalar => self.constant(name, scalar, &mut initial),
            }
        }
        for name in taint::secret_variables(self.file) {
            self.names.mark_secret(name);
        }
        initial
    }

    /// A constant is part of expressions, unless a flow gives it other values.
    fn constant(&mut self, name: &file::Name, scalar: &Scalar, initial: &mut Vec<(u16, Expr)>) {
        let value = value_of(scalar);
        let Some(variable) = self.names.variable(&name.value) else {
            self.names.add_constant(&name.value, value);
            return;
        };
        match Expr::compile(&pieces::literal(&value), &self.names, Stage::Request) {
            Ok(expr) => initial.push((variable, expr)),
            Err(error) => self.expr_fault(name.at, error),
        }
    }

    fn expr_fault(&mut self, at: Place, error: ExprError) {
        let column = at.column.saturating_add(u32::try_from(error.offset).unwrap_or(0));
        self.fault(Place { column, ..at }, error.what, error.mend);
    }

    fn flow(&mut self, name: &file::Name, flow: &file::Flow) -> Option<Flow> {
        if !self.is_wanted(&flow.tags) {
            return None;
        }
        let steps = self.steps(&flow.steps, &flow.tags);
        Some(Flow {
            name: name.value.clone(),
            weight: flow.weight.unwrap_or(1),
            pacing: flow.pacing.as_ref().map(|span| span_of(span.value)),
            ends_on_error: flow.on_error == file::OnError::End,
            steps,
            feeders: self.names.take_looked_at().into_iter().collect(),
        })
    }

    /// Those of logs come first, by whose numbers arrivals name them.
    fn flows(&mut self) -> Vec<Flow> {
        let of_file: Vec<_> =
            self.file.flows.iter().filter_map(|(name, flow)| self.flow(name, flow)).collect();
        [self.replayed(), of_file].concat()
    }

    /// The steps of a user that does something for the whole run; what tags are asked for is of no matter to it.
    fn of_run(&mut self, name: &str, steps: &[Located<file::Step>]) -> Flow {
        (self.frame.tags, self.frame.exclude_tags) = (&[], &[]);
        let steps = self.steps(steps, &[]);
        let feeders = self.names.take_looked_at().into_iter().collect();
        Flow { name: name.to_owned(), weight: 1, pacing: None, ends_on_error: true, steps, feeders }
    }

    /// Where the file begins to say what is done.
    fn first_place(&self) -> Place {
        let steps = match self.frame.lifecycle {
            Lifecycle::Setup => self.file.setup.first(),
            Lifecycle::Load => {
                return self.file.flows.first().map_or(Place { line: 1, column: 1 }, |(name, _)| name.at);
            }
            Lifecycle::Teardown => self.file.teardown.first(),
        };
        steps.map_or(Place { line: 1, column: 1 }, |step| step.at)
    }

    fn globals(&self) -> Vec<(u16, Value)> {
        let known = |(name, value): &(String, Value)| Some((self.names.variable(name)?, value.clone()));
        self.frame.globals.iter().filter_map(known).collect()
    }

    fn tells(&self) -> Vec<u16> {
        let of_setup = match self.frame.lifecycle {
            Lifecycle::Setup => steps::assigned_by(&self.file.setup),
            Lifecycle::Load | Lifecycle::Teardown => Vec::new(),
        };
        let mut tells: Vec<_> = of_setup.iter().filter_map(|name| self.names.variable(&name.value)).collect();
        tells.sort_unstable();
        tells.dedup();
        tells
    }

    /// Of flows and requests those with the tags that are asked for; a request of a flow that was asked for is too.
    fn is_wanted(&self, tags: &[String]) -> bool {
        let any = |wanted: &[String]| tags.iter().any(|tag| wanted.contains(tag));
        (self.frame.tags.is_empty() || any(self.frame.tags)) && !any(self.frame.exclude_tags)
    }
}

fn span_of(span: file::Span) -> Span {
    Span { from: span.from, to: span.to }
}

fn value_of(scalar: &Scalar) -> Value {
    match scalar {
        Scalar::Null => Value::Null,
        Scalar::Bool(value) => Value::Bool(*value),
        Scalar::Int(value) => Value::Int(*value),
        Scalar::Float(value) => Value::Float(*value),
        Scalar::Text(text) => Value::Text(text.value.as_str().into()),
    }
}
