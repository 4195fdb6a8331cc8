//! Locustfiles: the part of them that only says what to send. Nothing is run; what would need to be is
//! refused by line.
//!
//! Each class of users is a load, each of its tasks a flow with the wait time at its end, `on_start` and
//! `on_stop` are those of the scenario. Requests, checks, saved values and drawn ones become their
//! counterparts. Semantics are those of Locust 2
//! (<https://docs.locust.io/en/stable/writing-a-locustfile.html>).

mod check;
mod control;
mod eval;
mod module;
mod operators;
mod request;
mod shape;
mod task;
mod users;
mod value;
mod wait;

use std::collections::{BTreeMap, BTreeSet};

use self::module::{Kind, Module, attribute};
use self::task::{Steps, Translator, refuse};
use self::users::User;
use super::python::{Class, ExprKind, parse};
use super::{ImportError, Imported, SOURCE_MAX, text_of};
use crate::scenario::file::{File, Place, Step};

/// As many as the client of HttpUser follows, and that of FastHttpUser.
const REDIRECTS: u32 = 30;
const REDIRECTS_FAST: u32 = 5;

/// The scenario of a locustfile of at most 1 MiB.
///
/// # Errors
/// Where the file has something that may change what is sent and is not understood.
pub fn import(source: &[u8]) -> Result<Imported, ImportError> {
    let statements = parse(text_of(source, SOURCE_MAX)?)?;
    let module = Module::new(&statements);
    let mut translator = Translator::new(&module);
    for (at, what) in &module.ignored {
        translator.note(*at, format!("{what} is left out"));
    }
    let mut users = Vec::new();
    let mut fast = true;
    for (at, class) in &module.classes {
        let kind = module.kind(class);
        if is_abstract(class) || !matches!(kind, Kind::HttpUser | Kind::FastHttpUser | Kind::OtherUser) {
            continue;
        }
        if kind == Kind::OtherUser {
            let mend = "only HttpUser and FastHttpUser can be imported";
            return Err(refuse(*at, &format!("the user {}, whose client is its own", class.name), mend));
        }
        match translator.user(*at, class)? {
            Some(user) => users.push(user),
            None => translator.note(*at, format!("{} is left out: it has no tasks", class.name)),
        }
        fast &= kind == Kind::FastHttpUser;
    }
    if translator.requests.is_empty() {
        let mend = "define a class of HttpUser whose tasks call self.client";
        return Err(ImportError::new(
            Place { line: 1, column: 1 },
            "no task of an HttpUser sends anything",
            mend,
        ));
    }
    finish(translator, users, fast)
}

fn finish<'s>(
    mut translator: Translator<'s>,
    mut users: Vec<User>,
    fast: bool,
) -> Result<Imported, ImportError> {
    let shape =
        translator.module.classes.iter().find(|(_, class)| translator.module.kind(class) == Kind::Shape);
    name_flows(&mut users);
    let mut file = File::default();
    file.http.redirects = Some(if fast { REDIRECTS_FAST } else { REDIRECTS });
    file.http.tls.verify = settings(&mut translator, &mut file);
    file.loads = translator
        .loads(&users, shape.copied())
        .into_iter()
        .map(|(name, load)| (name.into(), load))
        .collect();
    if let [(name, _)] = file.loads.as_mut_slice() {
        name.value.clear();
    }
    (file.on_start, file.on_stop) = hooks(&users)?;
    file.flows = users.into_iter().flat_map(|user| user.flows).collect();
    let origins = std::mem::take(&mut translator.origins);
    if origins.fill(&mut file, &mut translator.requests) {
        translator.note(
            Place { line: 1, column: 1 },
            "there is a user without a host; set `target` of the scenario",
        );
    }
    translator.put_requests(&mut file);
    Ok(Imported { file, notes: translator.notes.into_iter().collect() })
}

/// Settings of FastHttpUser's client; gives whether certificates are verified.
fn settings(translator: &mut Translator<'_>, file: &mut File) -> Option<bool> {
    let mut verify = translator.verify;
    for (_, class) in &translator.module.classes {
        let mut number = |name: &str| {
            let value = attribute(&[class], name)?;
            let value = translator.eval(value);
            wait::duration_of(Place::default(), &value).ok()
        };
        file.http.connect_timeout = number("connection_timeout").or(file.http.connect_timeout);
        file.http.first_byte_timeout = number("network_timeout").or(file.http.first_byte_timeout);
        let insecure =
            attribute(&[class], "insecure").is_some_and(|value| value.kind == ExprKind::Bool(true));
        verify = if insecure { Some(false) } else { verify };
    }
    verify
}

/// Steps that all users begin and end with. A scenario has them once, for all.
fn hooks(users: &[User]) -> Result<(Steps, Steps), ImportError> {
    let Some((first, others)) = users.split_first() else { return Ok(Default::default()) };
    for user in others {
        let both_empty = |a: &Steps, b: &Steps| a.is_empty() && b.is_empty();
        if !(both_empty(&first.on_start, &user.on_start) && both_empty(&first.on_stop, &user.on_stop)) {
            let what = "on_start or on_stop of one of several classes of users";
            return Err(refuse(user.at, what, "put each class of users into a file of its own"));
        }
    }
    Ok((first.on_start.clone(), first.on_stop.clone()))
}

/// Flows of several classes may have one name.
fn name_flows(users: &mut [User]) {
    let several = users.len() > 1;
    let mut taken = BTreeSet::new();
    let mut numbers = BTreeMap::new();
    for user in users {
        for (name, _) in &mut user.flows {
            let base = if several { format!("{}_{}", user.name, name.value) } else { name.value.clone() };
            let base = super::template::identifier(&base);
            name.value.clone_from(&base);
            while !taken.insert(name.value.clone()) {
                let number = numbers.entry(base.clone()).and_modify(|number| *number += 1).or_insert(2u32);
                name.value = format!("{base}_{number}");
            }
        }
    }
}

/// `abstract` is not inherited.
fn is_abstract(class: &Class) -> bool {
    attribute(&[class], "abstract").is_some_and(|value| value.kind == ExprKind::Bool(true))
}

impl Translator<'_> {
    /// Puts the requests where their numbers stand.
    fn put_requests(&mut self, file: &mut File) {
        let mut requests: Vec<_> = std::mem::take(&mut self.requests).into_iter().map(Some).collect();
        let mut put = |steps: &mut Steps| {
            walk(steps, &mut |step, number| {
                if let Some(request) = usize::try_from(number).ok().and_then(|n| requests.get_mut(n)?.take())
                {
                    *step = Step::Request(Box::new(request));
                }
            });
        };
        put(&mut file.on_start);
        put(&mut file.on_stop);
        file.flows.iter_mut().for_each(|(_, flow)| put(&mut flow.steps));
    }
}

/// Goes to each request; steps are nested no deeper than the statements they are made of.
fn walk(steps: &mut Steps, at_request: &mut impl FnMut(&mut Step, u32)) {
    for step in steps {
        let number = std::mem::take(&mut step.at).line;
        match &mut step.value {
            Step::Request(_) => at_request(&mut step.value, number),
            Step::Group { steps, .. } | Step::Repeat { steps, .. } | Step::While { steps, .. } => {
                walk(steps, at_request);
            }
            Step::If { then, otherwise, .. } => {
                walk(then, at_request);
                walk(otherwise, at_request);
            }
            Step::Random(ways) => ways.iter_mut().for_each(|(_, steps)| walk(steps, at_request)),
            Step::Switch { cases, otherwise, .. } => {
                cases.iter_mut().for_each(|(_, steps)| walk(steps, at_request));
                walk(otherwise, at_request);
            }
            Step::Think(_) | Step::Set(_) | Step::Parallel(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
