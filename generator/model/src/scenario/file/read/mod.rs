//! A tree to a [`File`], with all that is wrong with it at once.
//!
//! A reader takes a node and gives a value, or none where it has told of a fault. What it gives beside faults
//! is never used: with one fault there is no file.

mod flow;
mod http;
mod load;
mod scalar;

use super::fault::{Fault, Faults, Shown, listed, nearest};
use super::keys::root::{FILE, HOOKS, LIMIT};
use super::keys::{Object, Rule, Shape};
use super::tree::{Leaf, Node, parse};
use super::{Entries, File, LimitSpec, Located, Name, Place, secrets};
#[cfg(test)]
pub(super) use scalar::means;
use scalar::mismatch;

/// Reads a scenario file: YAML, of which JSON is a subset. Nothing above [`super::SOURCE_BYTES_MAX`] is read,
/// so callers need not have more of it.
///
/// # Errors
/// All that is wrong with it, in order of place, at most [`super::FAULTS_MAX`].
pub fn read(source: &str) -> Result<File, Vec<Fault>> {
    let mut faults = Faults::default();
    let file = parse(source, &mut faults).and_then(|root| {
        secrets::scan(&root, &mut faults);
        file(&root, &mut faults)
    });
    match file {
        Some(file) if faults.is_empty() => Ok(file),
        _ => Err(faults.into_first()),
    }
}

fn file(root: &Node, faults: &mut Faults) -> Option<File> {
    let fields = fields(root, &FILE, faults)?;
    let [on_start, on_stop, setup, teardown] = HOOKS.map(|hook| flow::hook(&fields, hook, faults));
    Some(File {
        name: fields.read("name", faults, scalar::word),
        target: fields.read("target", faults, scalar::url),
        targets: fields.named("targets", faults, scalar::url),
        http: fields.read("http", faults, http::http).unwrap_or_default(),
        data: fields.named("data", faults, http::feeder),
        vars: fields.named("vars", faults, scalar::value),
        loads: load::loads(&fields, faults),
        flows: flow::flows(&fields, faults),
        on_start,
        on_stop,
        setup,
        teardown,
        limits: fields.list("limits", faults, limit),
        seed: fields.read("seed", faults, scalar::count),
        not_secret: fields.read("not_secret", faults, scalar::name),
    })
}

/// A text, or a map with more.
fn limit(node: &Node, faults: &mut Faults) -> Option<Located<LimitSpec>> {
    let spec = if let Node::Leaf(_) = node {
        LimitSpec { that: scalar::limit(node, faults)?, window: None, abort: false }
    } else {
        let fields = fields(node, &LIMIT, faults)?;
        let window = fields.read("window", faults, scalar::duration);
        let abort = fields.read("abort", faults, scalar::boolean).unwrap_or(false);
        LimitSpec { that: fields.read("that", faults, scalar::limit)?, window, abort }
    };
    Some(Located::new(spec, node.at()))
}

/// A map whose keys are all known and fit together.
struct Fields<'n> {
    object: &'static Object,
    entries: &'n [(Leaf, Node)],
    at: Place,
}

/// Holds a map against its table.
fn fields<'n>(node: &'n Node, object: &'static Object, faults: &mut Faults) -> Option<Fields<'n>> {
    let Node::Map(entries, at) = node else {
        return mismatch(node, &Shape::Object(object), faults);
    };
    let fields = Fields { object, entries, at: *at };
    for (key, _) in entries {
        if faults.has_room() && !object.names().any(|name| name == key.text) {
            faults.add(
                key.at,
                format!("unknown key {}", Shown(&key.text)),
                unknown(&key.text, object.names()),
            );
        }
    }
    for rule in object.rules {
        fields.hold(rule, faults);
    }
    Some(fields)
}

/// How to mend a word that is none of these.
fn unknown(text: &str, names: impl Iterator<Item = &'static str> + Clone) -> String {
    match nearest(text, names.clone()) {
        Some(name) => format!("did you mean '{name}'?"),
        None => format!("known here are {}", listed(names)),
    }
}

impl<'n> Fields<'n> {
    fn entry(&self, name: &str) -> Option<&'n (Leaf, Node)> {
        debug_assert!(
            self.object.names().any(|known| known == name),
            "{name} is not in {}",
            self.object.name
        );
        self.entries.iter().find(|(key, _)| key.text == name)
    }

    fn get(&self, name: &str) -> Option<&'n Node> {
        self.entry(name).map(|(_, node)| node)
    }

    fn read<T>(
        &self,
        name: &str,
        faults: &mut Faults,
        read: impl FnOnce(&'n Node, &mut Faults) -> Option<T>,
    ) -> Option<T> {
        self.get(name).and_then(|node| read(node, faults))
    }

    fn list<T>(
        &self,
        name: &str,
        faults: &mut Faults,
        read: impl FnMut(&'n Node, &mut Faults) -> Option<T>,
    ) -> Vec<T> {
        self.get(name).map_or_else(Vec::new, |node| list(node, faults, read))
    }

    fn named<T>(
        &self,
        name: &str,
        faults: &mut Faults,
        read: impl FnMut(&'n Node, &mut Faults) -> Option<T>,
    ) -> Entries<T> {
        self.get(name).map_or_else(Vec::new, |node| named(node, faults, read))
    }

    fn hold(&self, rule: &Rule, faults: &mut Faults) {
        let present = |names: &[&'static str]| -> Vec<&(Leaf, Node)> {
            self.entries.iter().filter(|(key, _)| names.contains(&key.text.as_str())).collect()
        };
        match rule {
            Rule::Required(name) => {
                if self.entry(name).is_none() {
                    faults.add(self.at, format!("'{name}' is missing"), format!("add {name}: ..."));
                }
            }
            Rule::OneOf(names) if present(names).is_empty() => {
                faults.add(
                    self.at,
                    format!("one of {} is missing", listed(names.iter().copied())),
                    "add one of them",
                );
            }
            Rule::OneOf(names) | Rule::AtMostOne(names) => {
                if let [first, second, ..] = present(names)[..] {
                    faults.add(
                        second.0.at,
                        format!("'{}' and '{}' exclude each other", first.0.text, second.0.text),
                        "leave one of them out",
                    );
                }
            }
        }
    }
}

fn list<'n, T>(
    node: &'n Node,
    faults: &mut Faults,
    mut read: impl FnMut(&'n Node, &mut Faults) -> Option<T>,
) -> Vec<T> {
    let Node::List(nodes, _) = node else {
        return mismatch(node, &Shape::List(&Shape::Value), faults).unwrap_or_default();
    };
    nodes.iter().filter_map(|node| read(node, faults)).collect()
}

/// A map whose keys are names.
fn named<'n, T>(
    node: &'n Node,
    faults: &mut Faults,
    mut read: impl FnMut(&'n Node, &mut Faults) -> Option<T>,
) -> Entries<T> {
    let Node::Map(entries, _) = node else {
        return mismatch(node, &Shape::Named(&Shape::Value), faults).unwrap_or_default();
    };
    entries.iter().filter_map(|entry| named_entry(entry, faults, &mut read)).collect()
}

fn named_entry<'n, T>(
    (key, node): &'n (Leaf, Node),
    faults: &mut Faults,
    read: impl FnOnce(&'n Node, &mut Faults) -> Option<T>,
) -> Option<(Name, T)> {
    if key.text.is_empty() {
        faults.add(key.at, "a name cannot be empty", "write a name");
    }
    read(node, faults).map(|value| (Located::new(key.text.clone(), key.at), value))
}

#[cfg(test)]
mod tests;
