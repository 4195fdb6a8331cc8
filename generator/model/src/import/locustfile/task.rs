//! Statements of tasks -> steps of flows.
//!
//! While steps are made, a request is only its number in [`Translator::requests`], so that what later
//! statements want of its answer can be added to it; [`Translator::finish`] puts the requests in.

use std::collections::{BTreeMap, BTreeSet};

use super::super::origins::Origins;
use super::super::python::{Call, Class, Expr, ExprKind, Function, Statement, StatementKind};
use super::super::template::{Piece, identifier};
use super::super::{ImportError, Note};
use super::module::{Module, method};
use super::value::{Value, is_variable};
use super::wait::span_of;
use crate::scenario::file::{Auth, Entries, Located, Place, Request, Span, Step, Text};
use crate::units::Nanos;

/// Methods that call methods.
const CALLS_MAX: u32 = 8;
/// Blocks within blocks, also through calls: translating them recurses.
const BLOCKS_MAX: u32 = 64;
/// Statements and bytes of values that one file may be worth: enough for any test, and an end for hostile
/// ones.
const BUDGET: usize = 1 << 24;
const STATEMENT_COST: usize = 64;

pub(super) type Steps = Vec<Located<Step>>;

/// How a block of statements ends.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum End {
    Reached,
    Returned,
    /// `self.interrupt()`.
    Interrupted,
    /// `raise StopUser()`.
    Stopped,
}

#[derive(Default)]
pub(super) struct Scope {
    /// What stands for the user or task set: `self`, or `l`.
    pub(super) own: String,
    pub(super) locals: BTreeMap<String, Value>,
}

pub(super) struct Translator<'s> {
    pub(super) module: &'s Module<'s>,
    /// Of the class whose methods are translated, and of the user that runs them.
    pub(super) lineage: Vec<&'s Class>,
    pub(super) user: Vec<&'s Class>,
    pub(super) scope: Scope,
    /// Of `self`, as far as they were set.
    pub(super) attributes: BTreeMap<String, Value>,
    /// The answer under check can be looked at.
    pub(super) checking: bool,
    pub(super) requests: Vec<Request>,
    pub(super) origins: Origins,
    /// What all later requests of the user have in common.
    pub(super) headers: Entries<Text>,
    pub(super) auth: Option<Auth>,
    pub(super) request_name: Option<String>,
    pub(super) verify: Option<bool>,
    /// Of the user: `self.wait()`.
    pub(super) wait: Option<Span>,
    pub(super) notes: BTreeSet<Note>,
    pub(super) depth: u32,
    pub(super) eval_depth: u32,
    blocks: u32,
    /// Whether this is `on_start`, where what requests have in common may be set.
    pub(super) starting: bool,
    /// Local names whose value was asked for.
    pub(super) looked_up: BTreeSet<String>,
    /// Attributes that were set by what was translated last.
    pub(super) written: BTreeSet<String>,
    /// Of variables.
    pub(super) names: BTreeSet<String>,
    spent: usize,
}

impl<'s> Translator<'s> {
    pub(super) fn new(module: &'s Module<'s>) -> Self {
        Self {
            module,
            lineage: Vec::new(),
            user: Vec::new(),
            scope: Scope::default(),
            attributes: BTreeMap::new(),
            checking: false,
            requests: Vec::new(),
            origins: Origins::default(),
            headers: Vec::new(),
            auth: None,
            request_name: None,
            verify: None,
            wait: None,
            notes: BTreeSet::new(),
            depth: 0,
            eval_depth: 0,
            blocks: 0,
            starting: false,
            looked_up: BTreeSet::new(),
            written: BTreeSet::new(),
            names: BTreeSet::new(),
            spent: 0,
        }
    }

    /// The steps of a task or of `on_start`.
    pub(super) fn function(&mut self, function: &'s Function, steps: &mut Steps) -> Result<End, ImportError> {
        let own = function.parameters.first().cloned().unwrap_or_default();
        let outer = std::mem::replace(&mut self.scope, Scope { own, locals: BTreeMap::new() });
        let end = self.block(&function.body, steps);
        self.scope = outer;
        end
    }

    pub(super) fn block(
        &mut self,
        statements: &'s [Statement],
        steps: &mut Steps,
    ) -> Result<End, ImportError> {
        if self.blocks >= BLOCKS_MAX {
            let at = statements.first().map_or(Place::default(), |statement| statement.at);
            return Err(refuse(at, "code that is nested this deep, also through calls", "flatten it"));
        }
        self.blocks += 1;
        let mut end = End::Reached;
        for statement in statements {
            end = self.statement(statement, steps)?;
            if end != End::Reached {
                break;
            }
        }
        self.blocks -= 1;
        Ok(end)
    }

    fn statement(&mut self, statement: &'s Statement, steps: &mut Steps) -> Result<End, ImportError> {
        let at = statement.at;
        if !self.spend(STATEMENT_COST) {
            return Err(ImportError::new(at, "the tasks come to too many steps", "split the file"));
        }
        match &statement.kind {
            StatementKind::Pass | StatementKind::Import(_) | StatementKind::Global(_) => {}
            StatementKind::Expression(expr) => return self.expression(expr, steps),
            StatementKind::Assign { target, operator, value } => {
                self.assign(target, *operator, value, steps)?
            }
            StatementKind::If { branches, otherwise } => {
                return self.branches(at, branches, otherwise, steps);
            }
            StatementKind::For { variable, over, body } => self.for_loop(at, variable, over, body, steps)?,
            StatementKind::With { value, name, body } => self.with(value, name.as_deref(), body, steps)?,
            StatementKind::Try { body, handlers, finally } => {
                return self.tried(at, body, handlers, finally, steps);
            }
            StatementKind::Assert(that) => {
                self.note(
                    at,
                    "an assert outside of a 'with' of a request is left out: it only fails the task",
                );
                self.eval(that);
            }
            StatementKind::Return(_) => return Ok(End::Returned),
            StatementKind::Raise(raised) => return self.raise(at, raised.as_ref()),
            StatementKind::Function(_) | StatementKind::Class(_) => {
                return Err(refuse(at, "a definition within a task", "move it out of the task"));
            }
            StatementKind::Unknown { what, .. } => {
                return Err(refuse(at, what, "write the requests without it, one after the other"));
            }
        }
        Ok(End::Reached)
    }

    fn raise(&mut self, at: Place, raised: Option<&Expr>) -> Result<End, ImportError> {
        let path =
            raised.and_then(|raised| raised.as_call().map_or(Some(raised), |call| Some(&call.function)));
        let path = path.and_then(Expr::path).unwrap_or_default();
        match path.rsplit('.').next().unwrap_or_default() {
            "StopUser" => Ok(End::Stopped),
            "InterruptTaskSet" => Ok(End::Interrupted),
            "RescheduleTask" | "RescheduleTaskImmediately" => Ok(End::Returned),
            _ => Err(refuse(at, "a 'raise'", "say with a check what makes a request fail")),
        }
    }

    /// A call, or a text that is a comment.
    fn expression(&mut self, expr: &'s Expr, steps: &mut Steps) -> Result<End, ImportError> {
        let at = expr.at;
        let Some(call) = expr.as_call() else {
            return match expr.kind {
                ExprKind::Text(_) | ExprKind::Name(_) => Ok(End::Reached),
                ExprKind::Unknown("'...'") => Ok(End::Reached),
                _ => Err(refuse(at, "an expression whose value nothing uses", "remove it")),
            };
        };
        if self.request_call(call).is_some() {
            self.request(expr, call, steps)?;
            return Ok(End::Reached);
        }
        let path = call.function.path().unwrap_or_default();
        let own = path.strip_prefix(self.scope.own.as_str()).and_then(|rest| rest.strip_prefix('.'));
        if let Some(seconds) = self.sleep(&path, call) {
            let seconds = self.eval(seconds);
            steps.push(Step::Think(span_of(at, &seconds, &seconds)?).into());
            return Ok(End::Reached);
        }
        match own {
            Some("interrupt") => return Ok(End::Interrupted),
            Some("wait") => {
                steps.extend(self.wait.map(|span| Step::Think(span).into()));
                return Ok(End::Reached);
            }
            Some("client.headers.update") => {
                let headers = call.arguments.first().map_or(Value::None, |headers| self.eval(headers));
                self.common_headers(at, headers)?;
                return Ok(End::Reached);
            }
            Some(name) => {
                self.spend(self.lineage.iter().chain(&self.user).map(|class| class.body.len()).sum());
                if let Some(function) = method(&self.lineage, name).or_else(|| method(&self.user, name)) {
                    return self.inline(at, function, 1, call, steps);
                }
            }
            None => {}
        }
        if let Some(function) = self.module.functions.get(path.as_str()).copied() {
            return self.inline(at, function, 0, call, steps);
        }
        self.ignored_call(at, &path, call)?;
        Ok(End::Reached)
    }

    fn sleep<'c>(&self, path: &str, call: &'c Call) -> Option<&'c Expr> {
        let whole = self.module.resolve(path);
        let known = ["time.sleep", "gevent.sleep"].contains(&whole.as_str());
        (known || path == format!("{}._sleep", self.scope.own)).then(|| call.arguments.first())?
    }

    /// Calls that send nothing.
    fn ignored_call(&mut self, at: Place, path: &str, call: &Call) -> Result<(), ImportError> {
        let whole = self.module.resolve(path);
        let (of, last) = whole.rsplit_once('.').unwrap_or(("", &whole));
        let logs =
            ["debug", "info", "warning", "warn", "error", "exception", "critical", "log"].contains(&last);
        let first = whole.split('.').next().unwrap_or_default();
        if whole == "print" || (logs && of.to_ascii_lowercase().contains("log")) {
            self.note(at, "print and logging are left out");
        } else if whole == "random.seed" {
            self.note(at, "random.seed is left out: a scenario has a seed of its own");
        } else if ["wait", "acquire", "release"].contains(&last) && self.module.constants.contains_key(first)
        {
            self.note(at, format!("'{path}()' is left out: users do not wait for each other"));
        } else if let Some(root) = call.function.root().map(str::to_owned)
            && matches!(self.scope.locals.get(&root), Some(Value::List(_) | Value::Dict(_)))
        {
            // What it holds now is not followed; whoever uses it refuses it.
            let changed = Value::unknown(at, format!("'{root}', which is changed here"));
            self.scope.locals.insert(root, changed);
        } else {
            let shown = if path.is_empty() { "a call" } else { &path.to_owned() };
            return Err(refuse(
                at,
                &format!("the call '{shown}(...)'"),
                "write what it sends as requests of self.client",
            ));
        }
        Ok(())
    }

    /// A method or function of the file, as if its statements stood here.
    fn inline(
        &mut self,
        at: Place,
        function: &'s Function,
        skipped: usize,
        call: &Call,
        steps: &mut Steps,
    ) -> Result<End, ImportError> {
        if self.depth >= CALLS_MAX {
            return Err(refuse(at, "a call within many others", "write its requests here"));
        }
        let mut scope = Scope { own: self.scope.own.clone(), locals: BTreeMap::new() };
        let parameters = function.parameters.iter().skip(skipped);
        for (index, parameter) in parameters.enumerate() {
            let argument = call.arguments.get(index).or_else(|| call.keyword(parameter));
            if argument.and_then(Expr::as_name) == Some(&self.scope.own) {
                scope.own.clone_from(parameter);
                continue;
            }
            let value = argument.map(|argument| self.eval(argument));
            let unknown = || Value::unknown(at, format!("the parameter '{parameter}'"));
            let value = value.map_or_else(unknown, |value| self.freeze(parameter, value, steps));
            scope.locals.insert(parameter.clone(), value);
        }
        if skipped == 1 {
            scope.own = function.parameters.first().cloned().unwrap_or_default();
        }
        self.depth += 1;
        let outer = std::mem::replace(&mut self.scope, scope);
        let end = self.block(&function.body, steps);
        self.scope = outer;
        self.depth -= 1;
        Ok(match end? {
            End::Returned => End::Reached,
            end => end,
        })
    }

    fn assign(
        &mut self,
        target: &'s Expr,
        operator: Option<&'static str>,
        value: &'s Expr,
        steps: &mut Steps,
    ) -> Result<(), ImportError> {
        let made = match value.as_call() {
            Some(call) if self.request_call(call).is_some() => {
                Value::Response(self.request(value, call, steps)?)
            }
            _ => self.assigned(value, steps)?,
        };
        let made = match operator {
            Some(operator) => {
                let before = self.eval(target);
                self.binary(value.at, operator, before, made)
            }
            None => made,
        };
        self.bind(target, made, steps)
    }

    /// A value to assign, with a request that it may begin with: `self.client.get(...).json()["a"]`.
    fn assigned(&mut self, value: &'s Expr, steps: &mut Steps) -> Result<Value, ImportError> {
        match &value.kind {
            ExprKind::Index(of, index) if self.begins_with_request(of) => {
                let of = self.assigned(of, steps)?;
                let index = self.eval(index);
                Ok(self.index(value.at, of, &index))
            }
            ExprKind::Call(call) if self.request_call(call).is_some() => {
                Ok(Value::Response(self.request(value, call, steps)?))
            }
            ExprKind::Call(call) if self.begins_with_request(value) => match &call.function.kind {
                ExprKind::Attribute(of, method) if method == "json" => match self.assigned(of, steps)? {
                    Value::Response(requests) => Ok(Value::Json(requests, "$".into())),
                    _ => Ok(Value::unknown(value.at, "JSON of something that is no answer")),
                },
                _ => Err(refuse(value.at, "a call on an answer", "save the answer in a variable first")),
            },
            ExprKind::Attribute(..) if self.begins_with_request(value) => {
                Err(refuse(value.at, "a part of an answer", "save the answer in a variable first"))
            }
            _ => Ok(self.eval(value)),
        }
    }

    fn begins_with_request(&self, expr: &Expr) -> bool {
        match &expr.kind {
            ExprKind::Index(of, _) | ExprKind::Attribute(of, _) => self.begins_with_request(of),
            ExprKind::Call(call) => {
                self.request_call(call).is_some() || self.begins_with_request(&call.function)
            }
            _ => false,
        }
    }

    fn bind(&mut self, target: &'s Expr, value: Value, steps: &mut Steps) -> Result<(), ImportError> {
        let at = target.at;
        match &target.kind {
            ExprKind::Name(name) => {
                let value = self.freeze(name, value, steps);
                self.scope.locals.insert(name.clone(), value);
            }
            ExprKind::Attribute(..) | ExprKind::Index(..) => {
                let path = target.path().unwrap_or_default();
                match path.strip_prefix(self.scope.own.as_str()).and_then(|rest| rest.strip_prefix('.')) {
                    Some("client.verify") => self.verify = Some(value != Value::Bool(false)),
                    Some("client.auth") => self.auth = Some(self.basic_auth(at, value)?),
                    Some("client.headers") => self.common_headers(at, value)?,
                    Some("client.request_name") => self.request_name = self.label(at, &value)?,
                    Some(name) if !name.contains('.') => {
                        let value = self.freeze(name, value, steps);
                        self.written.insert(format!(".{name}"));
                        self.attributes.insert(name.to_owned(), value);
                    }
                    _ => return self.bind_item(target, value, steps),
                }
            }
            ExprKind::Tuple(items) | ExprKind::List(items) => {
                let value = self.freeze("row", value, steps);
                for (index, item) in items.iter().enumerate() {
                    let index = Value::Int(i64::try_from(index).unwrap_or(i64::MAX));
                    let part = self.index(at, value.clone(), &index);
                    self.bind(item, part, steps)?;
                }
            }
            _ => return Err(refuse(at, "an assignment to this", "assign to a name")),
        }
        Ok(())
    }

    /// `headers["x"] = ...`, of a dict or of all requests.
    fn bind_item(&mut self, target: &'s Expr, value: Value, steps: &mut Steps) -> Result<(), ImportError> {
        let at = target.at;
        if let ExprKind::Index(of, key) = &target.kind {
            let key = self.eval(key).as_literal();
            if of.path().is_some_and(|path| path == format!("{}.client.headers", self.scope.own))
                && let Some(key) = key
            {
                return self.common_headers(at, Value::Dict(vec![(key, value)]));
            }
            if let (Some(name), Some(key)) = (of.as_name(), key)
                && matches!(self.scope.locals.get(name), Some(Value::Dict(_)))
            {
                let value = self.freeze(&key, value, steps);
                let Some(Value::Dict(entries)) = self.scope.locals.get_mut(name) else { return Ok(()) };
                let looked_at = entries.len() * STATEMENT_COST;
                entries.retain(|(known, _)| *known != key);
                entries.push((key, value));
                self.spend(looked_at);
                return Ok(());
            }
            // Like all that is changed in a way that is not followed, it has no known value from here on.
            if let Some(name) = of.as_name() {
                let changed = Value::unknown(at, format!("'{name}', which is changed here"));
                self.scope.locals.insert(name.to_owned(), changed);
                return Ok(());
            }
        }
        let sends = target.path().is_some_and(|path| path.contains(".client"));
        if sends {
            return Err(refuse(at, "a setting of the client", "set it with each request"));
        }
        self.note(at, "an assignment to something that no request uses is left out");
        Ok(())
    }

    /// A value that means the same wherever it is used: what is drawn is drawn here, into a variable.
    pub(super) fn freeze(&mut self, name: &str, value: Value, steps: &mut Steps) -> Value {
        let set = |source: String, translator: &mut Self, steps: &mut Steps| {
            let variable = translator.fresh(name);
            steps.push(Step::Set(vec![(variable.clone().into(), source.into())]).into());
            variable
        };
        match value {
            Value::Expression(source) if !is_variable(&source) && !source.starts_with("secret.") => {
                Value::Expression(set(source, self, steps))
            }
            Value::Condition(source) => Value::Condition(set(source, self, steps)),
            Value::Choice { drawn, options } if drawn.is_empty() => {
                let number = set(format!("pick(0, {})", options.len() - 1), self, steps);
                Value::Row { number, options }
            }
            Value::Choice { drawn, options } if !is_variable(&drawn) => {
                Value::Choice { drawn: set(drawn, self, steps), options }
            }
            Value::Text(pieces) => {
                let freeze = |piece| match piece {
                    Piece::Expression(source) if !is_variable(&source) && !source.starts_with("secret.") => {
                        Piece::Expression(set(source, self, steps))
                    }
                    piece => piece,
                };
                Value::Text(pieces.into_iter().map(freeze).collect())
            }
            Value::List(items) => {
                Value::List(items.into_iter().map(|item| self.freeze(name, item, steps)).collect())
            }
            Value::Dict(entries) => {
                let frozen = entries.into_iter().map(|(key, value)| {
                    let value = self.freeze(&key, value, steps);
                    (key, value)
                });
                Value::Dict(frozen.collect())
            }
            Value::Dumped(value) => Value::Dumped(Box::new(self.freeze(name, *value, steps))),
            other => other,
        }
    }

    /// A name that no variable has yet.
    pub(super) fn fresh(&mut self, name: &str) -> String {
        const TAKEN: [&str; 12] = [
            "true",
            "false",
            "null",
            "and",
            "or",
            "not",
            "status",
            "body",
            "secret",
            "response_time",
            "first_byte",
            "vars",
        ];
        let base = identifier(name);
        let mut name = if TAKEN.contains(&base.as_str()) { format!("{base}_value") } else { base.clone() };
        let mut number = 2usize;
        while !self.names.insert(name.clone()) {
            // Half of them may be taken by other names; the numbers still end, as each call takes one.
            name = format!("{base}_{}", number.max(self.names.len()));
            number = number.max(self.names.len()) + 1;
        }
        name
    }

    pub(super) fn spend(&mut self, cost: usize) -> bool {
        self.spent = self.spent.saturating_add(cost);
        self.spent <= BUDGET
    }

    pub(super) fn note(&mut self, at: Place, text: impl Into<String>) {
        self.notes.insert(Note { line: at.line, text: text.into() });
    }

    /// The think time of a range of seconds.
    pub(super) fn think(span: Span) -> Option<Located<Step>> {
        (span.to > Nanos::ZERO).then(|| Step::Think(span).into())
    }
}

pub(super) fn refuse(at: Place, what: &str, mend: &str) -> ImportError {
    ImportError::new(at, format!("{what} is not understood, and it may change what is sent"), mend)
}
