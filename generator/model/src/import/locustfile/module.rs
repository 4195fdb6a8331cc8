//! What a locustfile defines at its top: what names stand for, and which of them keep the value that is
//! written.

use std::collections::{BTreeMap, BTreeSet};

use super::super::python::{Class, Expr, ExprKind, Function, Statement, StatementKind};
use crate::scenario::file::Place;

/// Longer chains of classes are no test's.
const LINEAGE_MAX: usize = 16;

/// Methods that change what they are called on.
const CHANGING: [&str; 11] = [
    "append",
    "extend",
    "insert",
    "pop",
    "popitem",
    "remove",
    "clear",
    "update",
    "setdefault",
    "sort",
    "reverse",
];

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    HttpUser,
    FastHttpUser,
    /// Of a client that is no HTTP client of Locust's.
    OtherUser,
    TaskSet,
    SequentialTaskSet,
    Shape,
    Other,
}

#[derive(Default)]
pub(super) struct Module<'s> {
    imports: BTreeMap<&'s str, &'s str>,
    pub(super) functions: BTreeMap<&'s str, &'s Function>,
    pub(super) classes: Vec<(Place, &'s Class)>,
    /// Where in `classes` the last of each name stands.
    named: BTreeMap<&'s str, usize>,
    pub(super) constants: BTreeMap<&'s str, &'s Expr>,
    /// Names, and with a dot before them attributes, that something changes while the test runs.
    changed: BTreeSet<String>,
    /// What was gone past: line, and what it is.
    pub(super) ignored: Vec<(Place, String)>,
}

impl<'s> Module<'s> {
    pub(super) fn new(statements: &'s [Statement]) -> Self {
        let mut module = Self::default();
        for statement in statements {
            module.define(statement);
        }
        module.find_changes(statements, true);
        module
    }

    fn define(&mut self, statement: &'s Statement) {
        let what = match &statement.kind {
            StatementKind::Import(names) => {
                self.imports.extend(names.iter().map(|(name, whole)| (name.as_str(), whole.as_str())));
                return;
            }
            StatementKind::Class(class) => {
                self.named.insert(&class.name, self.classes.len());
                self.classes.push((statement.at, class));
                return;
            }
            StatementKind::Function(function) => {
                self.functions.insert(&function.name, function);
                match function.decorators.iter().find_map(Expr::path) {
                    Some(path) if path.starts_with("events.") => format!("the listener of {path}"),
                    _ => return,
                }
            }
            StatementKind::Assign { target, operator: None, value } if target.as_name().is_some() => {
                let name = target.as_name().unwrap_or_default();
                if self.constants.insert(name, value).is_some() {
                    self.changed.insert(name.to_owned());
                }
                return;
            }
            StatementKind::Expression(Expr { kind: ExprKind::Text(_), .. }) | StatementKind::Pass => return,
            StatementKind::Unknown { what, .. } => what.clone(),
            StatementKind::If { .. } => "an 'if' outside of classes".into(),
            _ => "code outside of classes".into(),
        };
        self.ignored.push((statement.at, what));
    }

    /// Whether a constant of the module, or with a dot before it an attribute, keeps its written value.
    pub(super) fn keeps(&self, name: &str) -> bool {
        !self.changed.contains(name)
    }

    /// A dotted name with what its first part was imported as: `sleep` -> `time.sleep`.
    pub(super) fn resolve(&self, path: &str) -> String {
        let (first, rest) = path.split_at(path.find('.').unwrap_or(path.len()));
        format!("{}{rest}", self.imports.get(first).unwrap_or(&first))
    }

    pub(super) fn class(&self, name: &str) -> Option<(Place, &'s Class)> {
        self.named.get(name).map(|index| self.classes[*index])
    }

    /// A class and those of this file that it derives from, nearest first.
    pub(super) fn lineage(&self, class: &'s Class) -> Vec<&'s Class> {
        let mut lineage = vec![class];
        let mut next = 0;
        while next < lineage.len() && lineage.len() < LINEAGE_MAX {
            for base in lineage[next].bases.iter().filter_map(Expr::as_name) {
                if let Some((_, base)) = self.class(base)
                    && !lineage.iter().any(|known| std::ptr::eq(*known, base))
                {
                    lineage.push(base);
                }
            }
            next += 1;
        }
        lineage
    }

    pub(super) fn kind(&self, class: &'s Class) -> Kind {
        let bases = self.lineage(class).into_iter().flat_map(|class| &class.bases).filter_map(Expr::path);
        for path in bases {
            let whole = self.resolve(&path);
            match whole.rsplit('.').next().unwrap_or_default() {
                "HttpUser" => return Kind::HttpUser,
                "FastHttpUser" => return Kind::FastHttpUser,
                "User" if whole.contains('.') => return Kind::OtherUser,
                "SequentialTaskSet" => return Kind::SequentialTaskSet,
                "TaskSet" => return Kind::TaskSet,
                "LoadTestShape" => return Kind::Shape,
                _ => {}
            }
        }
        Kind::Other
    }

    fn find_changes(&mut self, statements: &'s [Statement], top: bool) {
        for statement in statements {
            match &statement.kind {
                StatementKind::Class(class) => self.find_changes_of_class(class),
                StatementKind::Function(function) => self.find_changes(&function.body, false),
                StatementKind::Global(names) => self.changed.extend(names.iter().cloned()),
                StatementKind::Assign { target, operator, value } => {
                    self.find_change(target, operator.is_some() || !top);
                    self.find_calls(value);
                }
                StatementKind::Expression(value) => self.find_calls(value),
                StatementKind::If { branches, otherwise } => {
                    branches.iter().for_each(|(_, body)| self.find_changes(body, false));
                    self.find_changes(otherwise, false);
                }
                StatementKind::For { body, .. } | StatementKind::With { body, .. } => {
                    self.find_changes(body, false);
                }
                StatementKind::Try { body, handlers, finally } => {
                    self.find_changes(body, false);
                    handlers.iter().for_each(|handler| self.find_changes(handler, false));
                    self.find_changes(finally, false);
                }
                StatementKind::Unknown { names, .. } => self.changed.extend(names.iter().cloned()),
                _ => {}
            }
        }
    }

    fn find_changes_of_class(&mut self, class: &'s Class) {
        for statement in &class.body {
            // Names that are assigned here are attributes, not the module's.
            if !matches!(statement.kind, StatementKind::Assign { .. }) {
                self.find_changes(std::slice::from_ref(statement), false);
            }
        }
    }

    /// A plain name that is assigned in a function is a local one, unless it is declared global.
    fn find_change(&mut self, target: &'s Expr, changes_name: bool) {
        match &target.kind {
            ExprKind::Name(name) if changes_name && self.constants.contains_key(name.as_str()) => {
                self.changed.insert(name.clone());
            }
            ExprKind::Index(of, _) => self.change_held(of),
            ExprKind::Attribute(of, name) if of.as_name().is_some_and(|of| self.class(of).is_some()) => {
                self.changed.insert(format!(".{name}"));
            }
            ExprKind::Tuple(items) | ExprKind::List(items) => {
                items.iter().for_each(|item| self.find_change(item, changes_name));
            }
            _ => {}
        }
    }

    fn change_held(&mut self, of: &'s Expr) {
        match &of.kind {
            ExprKind::Name(name) => self.changed.insert(name.clone()),
            ExprKind::Attribute(_, name) => self.changed.insert(format!(".{name}")),
            _ => false,
        };
    }

    fn find_calls(&mut self, value: &'s Expr) {
        match &value.kind {
            ExprKind::Call(call) => {
                if let ExprKind::Attribute(of, method) = &call.function.kind {
                    // What requests have in common may be set; everything else that changes is not followed.
                    let headers = of.path().is_some_and(|path| path.ends_with("client.headers"));
                    if CHANGING.contains(&method.as_str()) && !headers {
                        self.change_held(of);
                    }
                }
                self.find_calls(&call.function);
                call.arguments.iter().for_each(|argument| self.find_calls(argument));
                call.keywords.iter().for_each(|(_, argument)| self.find_calls(argument));
            }
            ExprKind::Attribute(of, _) | ExprKind::Unary(_, of) => self.find_calls(of),
            ExprKind::Index(left, right) | ExprKind::Binary(_, left, right) => {
                self.find_calls(left);
                self.find_calls(right);
            }
            ExprKind::List(items) | ExprKind::Tuple(items) => {
                items.iter().for_each(|item| self.find_calls(item))
            }
            ExprKind::Dict(entries) => entries.iter().for_each(|(_, value)| self.find_calls(value)),
            _ => {}
        }
    }
}

/// The last value that a class body gives to a name.
pub(super) fn attribute<'s>(lineage: &[&'s Class], name: &str) -> Option<&'s Expr> {
    lineage.iter().find_map(|class| {
        class.body.iter().rev().find_map(|statement| match &statement.kind {
            StatementKind::Assign { target, operator: None, value } if target.as_name() == Some(name) => {
                Some(value)
            }
            _ => None,
        })
    })
}

pub(super) fn method<'s>(lineage: &[&'s Class], name: &str) -> Option<&'s Function> {
    lineage.iter().find_map(|class| {
        class.body.iter().rev().find_map(|statement| match &statement.kind {
            StatementKind::Function(function) if function.name == name => Some(function),
            _ => None,
        })
    })
}
