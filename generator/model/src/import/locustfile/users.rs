//! Classes of users and task sets -> flows.
//!
//! A user that has but one task set never leaves it, so its tasks are flows of their own. A task set among
//! other tasks is a group that is left where a task calls `interrupt()`.

use std::collections::BTreeSet;

use super::super::ImportError;
use super::super::python::{Call, Class, Expr, ExprKind, Function, Statement, StatementKind};
use super::module::{Kind, attribute, method};
use super::task::{End, Steps, Translator, refuse};
use super::value::Value;
use super::wait::Wait;
use crate::scenario::file::{Entries, Flow, Located, Place, Step};

/// Task sets within task sets.
const SETS_MAX: u32 = 8;
/// What remembering a name costs, about.
const NAME_COST: usize = 64;
/// Weights are shares; larger ones are a mistake.
const WEIGHT_MAX: i64 = 1_000_000;

/// What one class of users becomes.
#[derive(Default)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) at: Place,
    pub(super) weight: u32,
    pub(super) fixed_count: Option<u32>,
    pub(super) flows: Entries<Flow>,
    pub(super) on_start: Steps,
    pub(super) on_stop: Steps,
    /// Its tasks end by `raise StopUser()`.
    pub(super) stops: bool,
}

#[derive(Clone)]
struct Task<'s> {
    at: Place,
    weight: u32,
    tags: Vec<String>,
    work: Work<'s>,
}

#[derive(Copy, Clone)]
enum Work<'s> {
    Function(&'s Function),
    Set(&'s Class),
}

impl<'s> Translator<'s> {
    /// The flows of a user, or nothing if it has no tasks.
    pub(super) fn user(&mut self, at: Place, class: &'s Class) -> Result<Option<User>, ImportError> {
        let lineage = self.module.lineage(class);
        (self.user, self.lineage) = (lineage.clone(), lineage.clone());
        (self.attributes, self.headers, self.auth, self.request_name) = Default::default();
        let tasks = self.tasks(&lineage, 0)?;
        if tasks.is_empty() {
            return Ok(None);
        }
        let mut user = User { name: class.name.clone(), at, weight: 1, ..User::default() };
        self.settings(&lineage, &mut user)?;
        let wait = self.wait_of(&lineage)?.unwrap_or_default();
        self.wait = match wait {
            Wait::Think(span) => Some(span),
            _ => None,
        };
        self.initialised(&lineage)?;
        user.on_start = self.hook(&lineage, "on_start")?;
        self.flows(tasks, wait, &mut user)?;
        (self.user, self.lineage) = (lineage.clone(), lineage.clone());
        let stop = self.hook(&lineage, "on_stop")?;
        user.on_stop.extend(stop);
        Ok(Some(user))
    }

    fn settings(&mut self, lineage: &[&'s Class], user: &mut User) -> Result<(), ImportError> {
        let host = attribute(lineage, "host").map(|host| (host.at, self.eval(host)));
        match host.as_ref().map(|(at, host)| (*at, host.as_literal())) {
            Some((at, Some(host))) => self
                .origins
                .set_base(Some(&host))
                .map_err(|what| refuse(at, what, "write it as http://host or https://host"))?,
            Some((_, None)) | None => self.origins.set_base(None).unwrap_or_default(),
        }
        let mut count = |name: &str| -> Result<Option<u32>, ImportError> {
            let Some(value) = attribute(lineage, name) else { return Ok(None) };
            match self.eval(value) {
                Value::Int(number) if (0..=WEIGHT_MAX).contains(&number) => Ok(u32::try_from(number).ok()),
                _ => Err(refuse(value.at, &format!("this {name}"), "write a whole number")),
            }
        };
        user.weight = count("weight")?.unwrap_or(1);
        user.fixed_count = count("fixed_count")?.filter(|count| *count > 0);
        Ok(())
    }

    /// `__init__` runs before everything else and is left out, as long as it sends nothing.
    fn initialised(&mut self, lineage: &[&'s Class]) -> Result<(), ImportError> {
        let Some(function) = method(lineage, "__init__") else { return Ok(()) };
        let at = function.body.first().map_or(Place::default(), |statement| statement.at);
        let own = function.parameters.first().cloned().unwrap_or_default();
        self.scope.own.clone_from(&own);
        for statement in &function.body {
            let value = match &statement.kind {
                StatementKind::Expression(value) | StatementKind::Assign { value, .. } => Some(value),
                StatementKind::Pass => None,
                StatementKind::If { .. }
                | StatementKind::Unknown { .. }
                | StatementKind::With { .. }
                | StatementKind::For { .. }
                | StatementKind::Try { .. } => {
                    return Err(refuse(statement.at, "this part of __init__", "move it into on_start"));
                }
                _ => None,
            };
            let request = value.and_then(Expr::as_call).is_some_and(|call| {
                let path = call.function.path().unwrap_or_default();
                let own = path.strip_prefix(&own).and_then(|rest| rest.strip_prefix('.'));
                self.request_call(call).is_some() || own.is_some_and(|name| method(lineage, name).is_some())
            });
            if request {
                return Err(refuse(statement.at, "a request in __init__", "move it into on_start"));
            }
        }
        let assigned = super::control::assigned_in([function.body.as_slice()].into_iter());
        self.forget(&assigned, at, "which __init__ sets");
        self.note(at, "__init__ is left out");
        self.scope.locals.clear();
        Ok(())
    }

    fn hook(&mut self, lineage: &[&'s Class], name: &str) -> Result<Steps, ImportError> {
        let mut steps = Steps::new();
        if let Some(function) = method(lineage, name) {
            self.starting = name == "on_start";
            let end = self.function(function, &mut steps);
            self.starting = false;
            if matches!(end?, End::Interrupted | End::Stopped) {
                let at = function.body.first().map_or(Place::default(), |statement| statement.at);
                return Err(refuse(at, &format!("an {name} that ends its user"), "remove what ends it"));
            }
        }
        Ok(steps)
    }

    /// The tasks of a user or task set: those of its bases, of `tasks`, and the decorated ones.
    fn tasks(&mut self, lineage: &[&'s Class], depth: u32) -> Result<Vec<Task<'s>>, ImportError> {
        if depth > SETS_MAX {
            let at = lineage.first().and_then(|class| class.body.first()).map_or(Place::default(), |s| s.at);
            return Err(refuse(at, "so many task sets within each other", "flatten them"));
        }
        let mut tasks = Vec::new();
        for class in lineage.iter().rev() {
            for statement in &class.body {
                match &statement.kind {
                    StatementKind::Assign { target, operator: None, value }
                        if target.as_name() == Some("tasks") =>
                    {
                        self.listed(lineage, value, &mut tasks)?;
                    }
                    StatementKind::Function(function) => {
                        tasks.extend(self.decorated(
                            statement.at,
                            &function.decorators,
                            Work::Function(function),
                        )?);
                    }
                    StatementKind::Class(class) => {
                        tasks.extend(self.decorated(statement.at, &class.decorators, Work::Set(class))?);
                    }
                    StatementKind::Unknown { what, .. } => {
                        return Err(refuse(statement.at, what, "write the class without it"));
                    }
                    _ => {}
                }
            }
        }
        Ok(tasks)
    }

    /// `tasks = [a, B]` or `{a: 3, B: 1}`.
    fn listed(
        &mut self,
        lineage: &[&'s Class],
        value: &'s Expr,
        tasks: &mut Vec<Task<'s>>,
    ) -> Result<(), ImportError> {
        let entries: Vec<(&'s Expr, u32)> = match &value.kind {
            ExprKind::List(items) | ExprKind::Tuple(items) => items.iter().map(|item| (item, 1)).collect(),
            ExprKind::Dict(items) => {
                let entry = |(task, weight): &'s (Expr, Expr)| match self.eval(weight) {
                    Value::Int(weight) if (0..=WEIGHT_MAX).contains(&weight) => {
                        Ok((task, u32::try_from(weight).unwrap_or(1)))
                    }
                    _ => Err(refuse(weight.at, "this weight", "write a whole number")),
                };
                items.iter().map(entry).collect::<Result<_, _>>()?
            }
            _ => return Err(refuse(value.at, "this list of tasks", "write it as a list or dict of names")),
        };
        for (task, weight) in entries {
            let name = task.as_name().unwrap_or_default();
            let work = method(lineage, name)
                .map(Work::Function)
                .or_else(|| nested(lineage, name).map(Work::Set))
                .or_else(|| self.module.functions.get(name).map(|function| Work::Function(function)))
                .or_else(|| self.module.class(name).map(|(_, class)| Work::Set(class)));
            let work =
                work.ok_or_else(|| refuse(task.at, "a task that is not in this file", "define it here"))?;
            tasks.push(Task { at: task.at, weight, tags: Vec::new(), work });
        }
        Ok(())
    }

    /// A task by its decorators; nothing if it has no `@task`.
    fn decorated(
        &mut self,
        at: Place,
        decorators: &[Expr],
        work: Work<'s>,
    ) -> Result<Option<Task<'s>>, ImportError> {
        let (mut weight, mut tags, mut others) = (None, Vec::new(), Vec::new());
        for decorator in decorators {
            let call = decorator.as_call();
            let path = call.map_or(decorator, |call| &call.function).path().unwrap_or_default();
            let whole = self.module.resolve(&path);
            match whole.rsplit('.').next().unwrap_or_default() {
                "task" => {
                    let number =
                        call.and_then(|call| call.arguments.first().or_else(|| call.keyword("weight")));
                    weight = Some(match number.map(|number| self.eval(number)) {
                        None => 1,
                        Some(Value::Int(number)) if (0..=WEIGHT_MAX).contains(&number) => {
                            u32::try_from(number).unwrap_or(1)
                        }
                        Some(_) => return Err(refuse(decorator.at, "this weight", "write a whole number")),
                    });
                }
                "tag" => {
                    let arguments = call.map_or(&[][..], |call: &Call| call.arguments.as_slice());
                    tags.extend(arguments.iter().filter_map(|tag| self.eval(tag).as_literal()));
                }
                _ => others.push((decorator.at, path)),
            }
        }
        let Some(weight) = weight else { return Ok(None) };
        if let Some((at, path)) = others.into_iter().next() {
            return Err(refuse(at, &format!("the decorator '@{path}' of a task"), "remove it"));
        }
        Ok(Some(Task { at, weight, tags, work }))
    }

    fn flows(&mut self, tasks: Vec<Task<'s>>, wait: Wait, user: &mut User) -> Result<(), ImportError> {
        if let [Task { at, work: Work::Set(set), tags, .. }] = tasks.as_slice() {
            return self.only_set(*at, set, tags.clone(), wait, user, 0);
        }
        let lineage = self.lineage.clone();
        self.flows_of(&tasks, &lineage, wait, user).map(|_| ())
    }

    /// A task set that its user never leaves.
    fn only_set(
        &mut self,
        at: Place,
        set: &'s Class,
        tags: Vec<String>,
        wait: Wait,
        user: &mut User,
        depth: u32,
    ) -> Result<(), ImportError> {
        let kind = self.module.kind(set);
        if !matches!(kind, Kind::TaskSet | Kind::SequentialTaskSet) {
            return Err(refuse(at, "a class of tasks that is no TaskSet", "derive it from TaskSet"));
        }
        let lineage = self.module.lineage(set);
        self.lineage.clone_from(&lineage);
        self.initialised(&lineage)?;
        let wait = self.wait_of(&lineage)?.unwrap_or(wait);
        let mut tasks = self.tasks(&lineage, depth)?;
        tasks.iter_mut().for_each(|task| task.tags.extend(tags.iter().cloned()));
        let start = self.hook(&lineage, "on_start")?;
        let repeated = !start.is_empty() || method(&lineage, "on_stop").is_some();
        user.on_start.extend(start);
        let interrupted = match tasks.as_slice() {
            [] => return Err(refuse(at, "a task set without tasks", "give it some")),
            [Task { at, work: Work::Set(inner), tags, .. }] => {
                self.only_set(*at, inner, tags.clone(), wait, user, depth + 1)?;
                false
            }
            tasks if kind == Kind::SequentialTaskSet => {
                self.sequence(&set.name, tasks, &lineage, wait, user)?
            }
            tasks => self.flows_of(tasks, &lineage, wait, user)?,
        };
        if interrupted && repeated {
            let mend = "remove on_start and on_stop of the task set, or the interrupt()";
            return Err(refuse(at, "a task set that is begun again and again", mend));
        }
        self.lineage.clone_from(&lineage);
        let stop = self.hook(&lineage, "on_stop")?;
        user.on_stop.extend(stop);
        Ok(())
    }

    /// One flow of all tasks of a sequence; tells whether it is interrupted.
    fn sequence(
        &mut self,
        name: &str,
        tasks: &[Task<'s>],
        lineage: &[&'s Class],
        wait: Wait,
        user: &mut User,
    ) -> Result<bool, ImportError> {
        let (mut steps, mut end) = (Steps::new(), End::Reached);
        self.twice(|translator| {
            (steps, end) = (Steps::new(), End::Reached);
            for task in tasks {
                end = translator.task(task, lineage, wait, 0, &mut steps)?;
                if matches!(end, End::Interrupted | End::Stopped) {
                    break;
                }
            }
            Ok(())
        })?;
        let at = tasks.first().map_or(Place::default(), |task| task.at);
        if matches!(wait, Wait::Pacing(_)) && tasks.len() > 1 {
            self.note(at, "the tasks of a sequence are paced as a whole, not each");
        }
        user.stops |= end == End::Stopped;
        let tags = tasks.iter().flat_map(|task| task.tags.iter().cloned()).collect::<BTreeSet<_>>();
        let flow = Flow {
            tags: tags.into_iter().collect(),
            pacing: pacing(wait, tasks.len()),
            steps,
            ..Flow::default()
        };
        user.flows.push((name.to_owned().into(), flow));
        Ok(end == End::Interrupted)
    }

    /// A flow for each task; tells whether one of them interrupts its set.
    fn flows_of(
        &mut self,
        tasks: &[Task<'s>],
        lineage: &[&'s Class],
        wait: Wait,
        user: &mut User,
    ) -> Result<bool, ImportError> {
        let mut done: Vec<(Steps, End)> = Vec::new();
        self.twice(|translator| {
            done.clear();
            let (attributes, written) = (translator.attributes.clone(), translator.written.clone());
            let mut all_written = written;
            for task in tasks {
                let mut steps = Steps::new();
                translator.attributes.clone_from(&attributes);
                let end = translator.task(task, lineage, wait, 0, &mut steps)?;
                all_written.extend(translator.written.iter().cloned());
                done.push((steps, end));
            }
            translator.written = all_written;
            Ok(())
        })?;
        let stopping = done.iter().filter(|(_, end)| *end == End::Stopped).count();
        if stopping != 0 && stopping != tasks.len() {
            let at = tasks.first().map_or(Place::default(), |task| task.at);
            return Err(refuse(
                at,
                "a user that only some of its tasks stop",
                "let all of them stop it, or none",
            ));
        }
        user.stops |= stopping > 0;
        let interrupted = done.iter().any(|(_, end)| *end == End::Interrupted);
        for (task, (steps, _)) in tasks.iter().zip(done) {
            let name = task.name();
            if steps.is_empty() {
                self.note(task.at, format!("the task {name} is left out: it sends nothing"));
                continue;
            }
            let weight = (task.weight != 1).then_some(task.weight);
            let tags = task.tags.clone();
            let flow = Flow { weight, tags, pacing: pacing(wait, 1), steps, ..Flow::default() };
            user.flows.push((name.to_owned().into(), flow));
        }
        Ok(interrupted)
    }

    /// Translates once to see which attributes tasks set, and again without knowing their values at the
    /// start: any other task may have been there before.
    fn twice(
        &mut self,
        mut translate: impl FnMut(&mut Self) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        let (attributes, names, requests) =
            (self.attributes.clone(), self.names.clone(), self.requests.len());
        self.written.clear();
        if !self.spend(names.len() * NAME_COST) {
            return Err(refuse(Place::default(), "so much code", "split the file"));
        }
        translate(self)?;
        let written = std::mem::take(&mut self.written);
        self.attributes = attributes;
        if written.is_empty() {
            return Ok(());
        }
        self.requests.truncate(requests);
        self.names = names;
        self.forget(&written, Place::default(), "which another task may have set");
        translate(self)
    }

    /// The steps of a task, with the wait after it.
    fn task(
        &mut self,
        task: &Task<'s>,
        lineage: &[&'s Class],
        wait: Wait,
        depth: u32,
        steps: &mut Steps,
    ) -> Result<End, ImportError> {
        self.lineage = lineage.to_vec();
        let end = match task.work {
            Work::Function(function) => self.function(function, steps)?,
            Work::Set(set) => {
                let inner = self.group(task.at, set, wait, depth + 1)?;
                steps.push(Step::Group { name: set.name.clone().into(), steps: inner }.into());
                End::Reached
            }
        };
        if let (Wait::Think(span), End::Reached | End::Returned) = (wait, end) {
            // A task set waits within itself, and is left without waiting.
            let waits = matches!(task.work, Work::Function(_));
            steps.extend(Self::think(span).filter(|_| waits));
        }
        Ok(end)
    }

    /// A task set among other tasks, from where it is entered to where it is interrupted.
    fn group(&mut self, at: Place, set: &'s Class, wait: Wait, depth: u32) -> Result<Steps, ImportError> {
        let kind = self.module.kind(set);
        if !matches!(kind, Kind::TaskSet | Kind::SequentialTaskSet) {
            return Err(refuse(at, "a class of tasks that is no TaskSet", "derive it from TaskSet"));
        }
        let lineage = self.module.lineage(set);
        self.lineage.clone_from(&lineage);
        let wait = self.wait_of(&lineage)?.unwrap_or(wait);
        let tasks = self.tasks(&lineage, depth)?;
        let mut steps = self.hook(&lineage, "on_start")?;
        let mut interrupted = false;
        if kind == Kind::SequentialTaskSet {
            for task in &tasks {
                if self.task(task, &lineage, wait, depth, &mut steps)? == End::Interrupted {
                    interrupted = true;
                    break;
                }
            }
        } else {
            let inside = self.fresh(&format!("in_{}", set.name));
            let mut ways = Vec::new();
            for task in &tasks {
                let mut way = Steps::new();
                if self.task(task, &lineage, wait, depth, &mut way)? == End::Interrupted {
                    interrupted = true;
                    way.push(Step::Set(vec![(inside.clone().into(), "false".to_owned().into())]).into());
                }
                ways.push((task.weight, way));
            }
            steps.push(Step::Set(vec![(inside.clone().into(), "true".to_owned().into())]).into());
            let condition = format!("{inside} == true").into();
            let within = vec![Step::Random(ways).into()];
            steps.push(Step::While { condition, max: None, steps: within }.into());
        }
        if !interrupted {
            let mend = "call self.interrupt() in one of its tasks, or make it a user of its own";
            return Err(refuse(at, "a task set among other tasks that is never left", mend));
        }
        self.lineage.clone_from(&lineage);
        steps.extend(self.hook(&lineage, "on_stop")?);
        Ok(steps)
    }
}

impl Task<'_> {
    fn name(&self) -> &str {
        match self.work {
            Work::Function(function) => &function.name,
            Work::Set(set) => &set.name,
        }
    }
}

fn nested<'s>(lineage: &[&'s Class], name: &str) -> Option<&'s Class> {
    let of = |statement: &'s Statement| match &statement.kind {
        StatementKind::Class(class) if class.name == name => Some(class),
        _ => None,
    };
    lineage.iter().find_map(|class| class.body.iter().rev().find_map(of))
}

/// The pacing of a flow of so many tasks.
fn pacing(wait: Wait, tasks: usize) -> Option<Located<crate::scenario::file::Span>> {
    let times = u64::try_from(tasks).unwrap_or(u64::MAX);
    match wait {
        Wait::Pacing(mut span) => {
            span.from.0 = span.from.0.saturating_mul(times);
            span.to.0 = span.to.0.saturating_mul(times);
            Some(span.into())
        }
        _ => None,
    }
}
