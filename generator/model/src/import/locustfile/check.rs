//! `with self.client.get(..., catch_response=True) as response:` -> a request with checks.

use super::super::ImportError;
use super::super::python::{Expr, Statement, StatementKind};
use super::control::{BRANCHES_MAX, assigned_in, decision};
use super::operators::negated;
use super::task::{End, Steps, Translator, refuse};
use super::value::Value;
use crate::scenario::StatusRange;
use crate::scenario::file::{Check, Place};

/// An expression of a scenario is no longer.
const CHECK_MAX: usize = 4096;
/// What decides where nothing else does.
const BY_STATUS: &str = "status < 400";
const FAILS: &str = "false";
const PASSES: &str = "true";

/// What a block makes of an answer, and what else it does.
struct Verdict<'s> {
    /// A condition, or one of the constants above.
    that: String,
    rest: Vec<&'s Statement>,
}

impl<'s> Translator<'s> {
    pub(super) fn with(
        &mut self,
        value: &'s Expr,
        name: Option<&'s str>,
        body: &'s [Statement],
        steps: &mut Steps,
    ) -> Result<(), ImportError> {
        let at = value.at;
        let call = value.as_call();
        if let Some(call) = call
            && self.request_call(call).is_some()
        {
            let requests = self.request(value, call, steps)?;
            let name = name.unwrap_or_default();
            self.scope.locals.insert(name.to_owned(), Value::Response(requests.clone()));
            let mut checks = Vec::new();
            self.with_body(name, body, &mut checks, steps)?;
            let (checks, any_status) = simplified(checks);
            for request in &mut self.requests[requests] {
                request
                    .check
                    .extend(checks.iter().map(|that| Check { that: that.clone().into(), name: None }));
                if any_status {
                    request.ok_status = vec![StatusRange { from: 100, to: 599 }];
                }
            }
            return Ok(());
        }
        if let Some(call) = call
            && call.function.path().is_some_and(|path| path.ends_with(".client.rename_request"))
        {
            let label = call.arguments.first().map_or(Value::None, |label| self.eval(label));
            let label = self.label(at, &label)?;
            let outer = std::mem::replace(&mut self.request_name, label);
            let end = self.block(body, steps);
            self.request_name = outer;
            return match end? {
                End::Reached => Ok(()),
                _ => Err(refuse(at, "a task that ends within a 'with'", "end it after the 'with'")),
            };
        }
        Err(refuse(at, "a 'with' of something that is no request", "write its requests without it"))
    }

    fn with_body(
        &mut self,
        name: &'s str,
        body: &'s [Statement],
        checks: &mut Vec<String>,
        steps: &mut Steps,
    ) -> Result<(), ImportError> {
        for statement in body {
            match &statement.kind {
                StatementKind::Expression(expr) if decision(expr).is_some_and(|(of, _)| of == name) => {
                    let passes = decision(expr).is_some_and(|(_, passes)| passes);
                    checks.push(if passes { PASSES } else { FAILS }.to_owned());
                }
                StatementKind::If { branches, otherwise } if decides(name, statement) => {
                    let verdict = self.verdict_of_branches(name, statement.at, branches, otherwise)?;
                    checks.push(verdict.that);
                    for statement in verdict.rest {
                        self.block(std::slice::from_ref(statement), steps)?;
                    }
                }
                StatementKind::Assert(that) => {
                    let condition = self.condition(that)?;
                    checks.push(condition);
                }
                StatementKind::Try { body, handlers, finally } => {
                    self.with_body(name, body, checks, steps)?;
                    for handler in handlers {
                        self.handler(statement.at, handler)?;
                    }
                    self.with_body(name, finally, checks, steps)?;
                }
                StatementKind::Return(None) => return Ok(()),
                _ => {
                    if self.block(std::slice::from_ref(statement), steps)? != End::Reached {
                        let mend = "end it after the 'with'";
                        return Err(refuse(statement.at, "a task that ends within a 'with'", mend));
                    }
                }
            }
        }
        Ok(())
    }

    fn verdict_of_branches(
        &mut self,
        name: &'s str,
        at: Place,
        branches: &'s [(Expr, Vec<Statement>)],
        otherwise: &'s [Statement],
    ) -> Result<Verdict<'s>, ImportError> {
        let Some(((condition, body), others)) = branches.split_first() else {
            return self.verdict(name, otherwise);
        };
        if branches.len() > BRANCHES_MAX {
            return Err(refuse(at, "a check with so many branches", "write several checks"));
        }
        let condition = self.condition(condition)?;
        let then = self.verdict(name, body)?;
        let rest = self.verdict_of_branches(name, at, others, otherwise)?;
        // What else a branch does is done without asking if all other answers fail and so show in the result.
        let (kept, other) =
            if then.rest.is_empty() { (rest.rest, &then.that) } else { (then.rest, &rest.that) };
        if !kept.is_empty() && other != FAILS {
            let mend = "do it after the 'with', or let all other branches call failure()";
            return Err(refuse(at, "a branch that decides and does more", mend));
        }
        let kept_only_assigns =
            kept.iter().all(|statement| matches!(statement.kind, StatementKind::Assign { .. }));
        if !kept_only_assigns {
            return Err(refuse(at, "a branch that decides and sends more", "send it after the 'with'"));
        }
        let that = either(&condition, &then.that, &rest.that);
        if that.len() > CHECK_MAX {
            return Err(refuse(at, "a check that is this long", "write several checks"));
        }
        Ok(Verdict { that, rest: kept })
    }

    /// What a block of statements makes of the answer; the last decision counts.
    fn verdict(&mut self, name: &'s str, body: &'s [Statement]) -> Result<Verdict<'s>, ImportError> {
        let mut verdict = Verdict { that: BY_STATUS.to_owned(), rest: Vec::new() };
        for statement in body {
            match &statement.kind {
                StatementKind::Expression(expr) if decision(expr).is_some_and(|(of, _)| of == name) => {
                    let passes = decision(expr).is_some_and(|(_, passes)| passes);
                    verdict.that = if passes { PASSES } else { FAILS }.to_owned();
                }
                StatementKind::If { branches, otherwise } if decides(name, statement) => {
                    let inner = self.verdict_of_branches(name, statement.at, branches, otherwise)?;
                    verdict.that = inner.that;
                    verdict.rest.extend(inner.rest);
                }
                StatementKind::Assign { .. } => verdict.rest.push(statement),
                StatementKind::Pass | StatementKind::Return(None) => {}
                _ => {
                    let mut unused = Steps::new();
                    self.block(std::slice::from_ref(statement), &mut unused)?;
                    if !unused.is_empty() {
                        let mend = "send it after the 'with'";
                        return Err(refuse(statement.at, "a branch that decides and sends more", mend));
                    }
                }
            }
        }
        if verdict.that == FAILS {
            // What a failed answer leaves behind is not used by what follows.
            let names = assigned_in(verdict.rest.iter().map(|statement| std::slice::from_ref(*statement)));
            if !names.is_empty() {
                verdict.rest.clear();
            }
        }
        Ok(verdict)
    }

    /// A condition on the answer under check.
    fn condition(&mut self, expr: &Expr) -> Result<String, ImportError> {
        let outer = std::mem::replace(&mut self.checking, true);
        let value = self.eval(expr);
        // JSON that is there and is true.
        let value = match value {
            Value::Json(..) => match self.settle(value) {
                Value::Expression(source) => Value::Condition(format!("{source} != null")),
                other => other,
            },
            value => self.truth(expr.at, value),
        };
        self.checking = outer;
        match value {
            Value::Condition(source) => Ok(source),
            Value::Bool(value) => Ok(value.to_string()),
            Value::Unknown(_, what) => {
                let mend = "compare response.status_code, response.text or response.json()[...]";
                Err(refuse(expr.at, &format!("a check with {what}"), mend))
            }
            _ => Err(refuse(expr.at, "this check", "compare with '=='")),
        }
    }
}

/// Whether a branch of an `if` calls success() or failure() of the answer.
fn decides(name: &str, statement: &Statement) -> bool {
    match &statement.kind {
        StatementKind::Expression(expr) => decision(expr).is_some_and(|(of, _)| of == name),
        StatementKind::If { branches, otherwise } => branches
            .iter()
            .flat_map(|(_, body)| body)
            .chain(otherwise)
            .any(|statement| decides(name, statement)),
        _ => false,
    }
}

/// `then` where the condition holds, else `otherwise`.
fn either(condition: &str, then: &str, otherwise: &str) -> String {
    let not = negated(condition);
    match (then, otherwise) {
        (then, otherwise) if then == otherwise => then.to_owned(),
        (FAILS, PASSES) => not,
        (PASSES, FAILS) => condition.to_owned(),
        (FAILS, other) => format!("({not} and {other})"),
        (PASSES, other) => format!("({condition} or {other})"),
        (other, FAILS) => format!("({condition} and {other})"),
        (other, PASSES) => format!("({not} or {other})"),
        (then, otherwise) => format!("(({condition} and {then}) or ({not} and {otherwise}))"),
    }
}

/// One check a condition, without those that say nothing, and whether every status is as good as another.
fn simplified(checks: Vec<String>) -> (Vec<String>, bool) {
    let any_status =
        checks.iter().any(|check| check == PASSES) && !checks.iter().any(|check| check.contains(BY_STATUS));
    let mut simple: Vec<String> = Vec::new();
    for check in checks {
        let parts = check
            .strip_prefix('(')
            .and_then(|check| check.strip_suffix(&format!(" and {BY_STATUS})")))
            .map_or_else(|| vec![check.clone()], |first| vec![first.to_owned(), BY_STATUS.to_owned()]);
        simple.extend(parts);
    }
    let by_status = simple.iter().filter(|check| *check != BY_STATUS && check.contains("status")).count();
    let exact = simple.iter().any(|check| {
        check
            .strip_prefix("status == ")
            .and_then(|code| code.parse::<u16>().ok())
            .is_some_and(|code| code < 400)
    });
    simple.retain(|check| check != PASSES && (check != BY_STATUS || (by_status > 0 && !exact)));
    let mut seen = std::collections::BTreeSet::new();
    simple.retain(|check| seen.insert(check.clone()));
    (simple, any_status)
}
