//! Which variables may hold a secret: those that any step, or `vars`, gives a value made of a secret or of another such
//! variable. The order of steps is of no matter: what is marked once is marked everywhere in the file.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::pieces;
use crate::expr::{self, Expr, Ref, Stage, Type};
use crate::scenario::file::{File, Scalar, Step};

/// The names of a file's variables that may hold a secret.
pub(super) fn secret_variables(file: &File) -> BTreeSet<&str> {
    let assignments = assignments(file);
    let mut found = BTreeSet::new();
    loop {
        let before = found.len();
        for (name, mentions) in &assignments {
            if mentions.secret || mentions.names.iter().any(|name| found.contains(name.as_str())) {
                found.insert(*name);
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

/// What expressions speak of. As names for the compiler it knows every name and writes it down; faults are told where
/// the expressions are compiled in earnest.
#[derive(Default)]
struct Mentions {
    secret: bool,
    names: BTreeSet<String>,
}

#[derive(Default)]
struct Listener(RefCell<Mentions>);

impl expr::Names for Listener {
    fn look_up(&self, path: &[&str]) -> Option<(Ref, Type)> {
        let mut mentions = self.0.borrow_mut();
        match path {
            ["secret", _] => mentions.secret = true,
            [name] => {
                mentions.names.insert((*name).to_owned());
            }
            _ => {}
        }
        Some((Ref::Variable(0), Type::Any))
    }

    fn all(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Each variable that is given a value, with what that speaks of.
fn assignments(file: &File) -> Vec<(&str, Mentions)> {
    let mut all = Vec::new();
    for (name, scalar) in &file.vars {
        if let Scalar::Text(text) = scalar
            && let Ok(source) = pieces::source_of(&text.value)
        {
            all.push((name.value.as_str(), mentioned(&source)));
        }
    }
    file.visit_steps(|step| {
        let set = if let Step::Set(entries) = step { &entries[..] } else { &[] };
        let saved = step.requests().flat_map(|request| &request.save);
        for (name, source) in set.iter().chain(saved) {
            all.push((name.value.as_str(), mentioned(&source.value)));
        }
    });
    all
}

fn mentioned(source: &str) -> Mentions {
    let listener = Listener::default();
    // What is wrong with it ends the compiling of the file.
    let _ = Expr::compile(source, &listener, Stage::Response);
    listener.0.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::file;

    #[track_caller]
    fn check(source: &str, want: &[&str]) {
        let source = format!("{source}\nflows: {{f: [{{get: /}}]}}\n");
        let file = file::read(&source).unwrap_or_else(|faults| panic!("{source}: {faults:?}"));
        assert_eq!(secret_variables(&file).into_iter().collect::<Vec<_>>(), want, "{source}");
    }

    #[test]
    fn secrets_are_followed_through_variables() {
        check("vars: {a: b, n: 1, t: \"secret.K\"}", &[]);
        check("vars: {a: \"x{{ secret.K }}\", b: \"{{ 1 + 2 }}\"}", &["a"]);
        check("setup: [{set: {key: secret.K}}]", &["key"]);
        check("setup: [{set: {other: '\"secret.K\"'}}]", &[]);
        check("on_start: [{get: /, save: {sign: 'hmac_sha256(secret.K, body)', code: status}}]", &["sign"]);
        check("teardown: [{if: 'true', then: [{set: {deep: base64(secret.K)}}]}]", &["deep"]);
        // Each is made of what is set after it.
        check("on_stop: [{set: {c: b + 1}}, {set: {b: text(a)}}, {set: {a: secret.K}}]", &["a", "b", "c"]);
        check("setup: [{set: {a: b}}, {set: {b: a}}]", &[]);
        check("vars: {v: \"{{ k }}\"}\nsetup: [{set: {k: '1'}}, {set: {k: secret.K}}]", &["k", "v"]);
    }
}
