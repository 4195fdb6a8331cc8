//! Branches, loops and `try` of tasks.

use std::collections::BTreeSet;

use super::super::ImportError;
use super::super::python::{Expr, ExprKind, Statement, StatementKind};
use super::task::{End, Steps, Translator, refuse};
use super::value::Value;
use crate::scenario::file::{Place, Step};

/// Branches become conditions within each other.
pub(super) const BRANCHES_MAX: usize = 32;
/// A loop over a list is written out; a longer one is data.
const UNROLLED_MAX: usize = 64;

impl<'s> Translator<'s> {
    pub(super) fn branches(
        &mut self,
        at: Place,
        branches: &'s [(Expr, Vec<Statement>)],
        otherwise: &'s [Statement],
        steps: &mut Steps,
    ) -> Result<End, ImportError> {
        let Some(((condition, body), others)) = branches.split_first() else {
            return self.block(otherwise, steps);
        };
        if branches.len() > BRANCHES_MAX {
            return Err(refuse(
                at,
                "an 'if' with so many branches",
                "put what differs into a CSV file under `data`",
            ));
        }
        let value = self.eval(condition);
        match self.truth(condition.at, value) {
            Value::Bool(true) => self.block(body, steps),
            Value::Bool(false) => self.branches(at, others, otherwise, steps),
            Value::Condition(source) => {
                let names = assigned_in(branches.iter().map(|(_, body)| body.as_slice()).chain([otherwise]));
                let (locals, attributes) = (self.scope.locals.clone(), self.attributes.clone());
                if !self.spend(locals.values().chain(attributes.values()).map(Value::size).sum()) {
                    return Err(refuse(at, "so much code", "split the file"));
                }
                let (mut then, mut rest) = (Steps::new(), Steps::new());
                let end = self.block(body, &mut then)?;
                (self.scope.locals, self.attributes) = (locals, attributes);
                let end_of_rest = self.branches(at, others, otherwise, &mut rest)?;
                if end != End::Reached || end_of_rest != End::Reached {
                    return Err(refuse(
                        at,
                        "a task that ends within an 'if'",
                        "put what follows into an 'else'",
                    ));
                }
                self.forget(&names, at, "whose value depends on an 'if'");
                if !(then.is_empty() && rest.is_empty()) {
                    steps.push(Step::If { condition: source.into(), then, otherwise: rest }.into());
                }
                Ok(End::Reached)
            }
            Value::Unknown(_, what) => {
                let mend = "compare the status or JSON of an answer, or a constant";
                Err(refuse(condition.at, &format!("a condition with {what}"), mend))
            }
            _ => Err(refuse(condition.at, "this condition", "compare with '=='")),
        }
    }

    pub(super) fn for_loop(
        &mut self,
        at: Place,
        variable: &'s Expr,
        over: &'s Expr,
        body: &'s [Statement],
        steps: &mut Steps,
    ) -> Result<(), ImportError> {
        if let Some((from, times)) = self.range(over) {
            return self.repeat(at, variable, from, times, body, steps);
        }
        match self.eval(over) {
            Value::List(items) if items.len() <= UNROLLED_MAX => {
                let ExprKind::Name(name) = &variable.kind else {
                    return Err(refuse(variable.at, "a loop with several variables", "use one and index it"));
                };
                for item in items {
                    let item = self.freeze(name, item, steps);
                    self.scope.locals.insert(name.clone(), item);
                    if self.block(body, steps)? != End::Reached {
                        return Err(refuse(at, "a task that ends within a loop", "end it after the loop"));
                    }
                }
                Ok(())
            }
            Value::List(_) => {
                Err(refuse(over.at, "a loop over a long list", "put the list into a CSV file under `data`"))
            }
            Value::Unknown(_, what) => Err(refuse(
                over.at,
                &format!("a loop over {what}"),
                "loop over range(n) or a list of constants",
            )),
            _ => {
                Err(refuse(over.at, "what this loop goes over", "loop over range(n) or a list of constants"))
            }
        }
    }

    /// First number and how many there are.
    fn range(&mut self, over: &Expr) -> Option<(i64, Value)> {
        let call = over.as_call().filter(|call| call.function.as_name() == Some("range"))?;
        let bounds: Vec<Value> = call.arguments.iter().map(|bound| self.eval(bound)).collect();
        match bounds.as_slice() {
            [Value::Int(end)] => Some((0, Value::Int(*end))),
            [end @ Value::Expression(_)] => Some((0, end.clone())),
            [Value::Int(from), Value::Int(end)] => Some((*from, Value::Int(end.saturating_sub(*from)))),
            _ => None,
        }
    }

    fn repeat(
        &mut self,
        at: Place,
        variable: &'s Expr,
        from: i64,
        times: Value,
        body: &'s [Statement],
        steps: &mut Steps,
    ) -> Result<(), ImportError> {
        let Some(name) = variable.as_name() else {
            return Err(refuse(variable.at, "a loop with several variables", "use one"));
        };
        let counter = self.fresh(name);
        let changing: BTreeSet<String> = assigned_in([body].into_iter())
            .into_iter()
            .filter(|name| self.scope.locals.contains_key(name) || self.attributes.contains_key(&name[1..]))
            .collect();
        self.forget(&changing, at, "which changes from round to round of a loop");
        self.scope.locals.insert(name.to_owned(), Value::Expression(counter.clone()));
        self.looked_up.remove(name);
        let mut inner = Steps::new();
        if self.block(body, &mut inner)? != End::Reached {
            return Err(refuse(at, "a task that ends within a loop", "end it after the loop"));
        }
        self.forget(&changing, at, "which changes from round to round of a loop");
        if self.looked_up.contains(name) {
            steps.push(Step::Set(vec![(counter.clone().into(), from.to_string().into())]).into());
            inner.push(Step::Set(vec![(counter.clone().into(), format!("{counter} + 1").into())]).into());
        }
        let times = times.operand().unwrap_or_default();
        if !inner.is_empty() {
            steps.push(Step::Repeat { times: times.into(), steps: inner }.into());
        }
        Ok(())
    }

    pub(super) fn tried(
        &mut self,
        at: Place,
        body: &'s [Statement],
        handlers: &'s [Vec<Statement>],
        finally: &'s [Statement],
        steps: &mut Steps,
    ) -> Result<End, ImportError> {
        let end = self.block(body, steps)?;
        for handler in handlers {
            self.handler(at, handler)?;
        }
        match self.block(finally, steps)? {
            End::Reached => Ok(end),
            end => Ok(end),
        }
    }

    /// What an exception would lead to; it must send nothing.
    pub(super) fn handler(&mut self, at: Place, handler: &'s [Statement]) -> Result<(), ImportError> {
        let mut unused = Steps::new();
        let names = assigned_in([handler].into_iter());
        for statement in handler {
            match &statement.kind {
                StatementKind::Raise(_) | StatementKind::Return(_) => break,
                // An answer is failed by what is not there; that is so here too.
                StatementKind::Expression(expr) if decision(expr).is_some() => {}
                _ => {
                    self.block(std::slice::from_ref(statement), &mut unused)?;
                }
            }
        }
        if !unused.is_empty() {
            return Err(refuse(at, "an 'except' that sends something", "remove it"));
        }
        self.note(at, "an 'except' is left out: what is not there fails the request that should have it");
        self.forget(&names, at, "whose value depends on an 'except'");
        Ok(())
    }

    /// From here on nobody knows the values of these; attributes have a dot before their name.
    pub(super) fn forget(&mut self, names: &BTreeSet<String>, at: Place, why: &str) {
        for name in names {
            match name.strip_prefix('.') {
                Some(attribute) => {
                    let value = Value::unknown(at, format!("'{attribute}', {why}"));
                    self.attributes.insert(attribute.to_owned(), value);
                }
                None => {
                    let value = Value::unknown(at, format!("'{name}', {why}"));
                    self.scope.locals.insert(name.clone(), value);
                }
            }
        }
    }
}

/// `response.success()` or `response.failure(...)`: the name of the answer, and whether it is a success.
pub(super) fn decision(expr: &Expr) -> Option<(&str, bool)> {
    match &expr.as_call()?.function.kind {
        ExprKind::Attribute(of, method) if method == "success" => Some((of.as_name()?, true)),
        ExprKind::Attribute(of, method) if method == "failure" => Some((of.as_name()?, false)),
        _ => None,
    }
}

/// The names that statements assign, and with a dot before them the attributes.
pub(super) fn assigned_in<'s>(blocks: impl Iterator<Item = &'s [Statement]>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for statement in blocks.flatten() {
        collect(statement, &mut names);
    }
    names
}

fn collect(statement: &Statement, names: &mut BTreeSet<String>) {
    match &statement.kind {
        StatementKind::Assign { target, .. } => collect_target(target, names),
        StatementKind::If { branches, otherwise } => {
            for (_, body) in branches {
                body.iter().for_each(|statement| collect(statement, names));
            }
            otherwise.iter().for_each(|statement| collect(statement, names));
        }
        StatementKind::For { variable, body, .. } => {
            collect_target(variable, names);
            body.iter().for_each(|statement| collect(statement, names));
        }
        StatementKind::With { name, body, .. } => {
            names.extend(name.clone());
            body.iter().for_each(|statement| collect(statement, names));
        }
        StatementKind::Try { body, handlers, finally } => {
            body.iter().chain(handlers.iter().flatten()).chain(finally).for_each(|s| collect(s, names));
        }
        StatementKind::Expression(expr) => {
            // A method may change what it is called on.
            if let Some(call) = expr.as_call()
                && let ExprKind::Attribute(of, _) = &call.function.kind
                && of.as_name().is_some()
            {
                collect_target(of, names);
            }
        }
        _ => {}
    }
}

fn collect_target(target: &Expr, names: &mut BTreeSet<String>) {
    match &target.kind {
        ExprKind::Name(name) => {
            names.insert(name.clone());
        }
        ExprKind::Attribute(of, name) if of.as_name().is_some() => {
            names.insert(format!(".{name}"));
        }
        ExprKind::Index(of, _) => collect_target(of, names),
        ExprKind::Tuple(items) | ExprKind::List(items) => {
            items.iter().for_each(|item| collect_target(item, names))
        }
        _ => {}
    }
}
