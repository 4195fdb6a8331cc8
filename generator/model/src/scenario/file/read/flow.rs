//! Readers of flows and their steps.
//!
//! They call themselves for steps within steps; the depth of a tree bounds that.

use super::{Fields, fields, http, list, named, named_entry, scalar, unknown};
use crate::scenario::file::fault::{Faults, listed};
use crate::scenario::file::keys::root::HOOKS;
use crate::scenario::file::keys::{Object, Shape, flow as keys};
use crate::scenario::file::tree::{Leaf, Node};
use crate::scenario::file::{
    Body, Check, Entries, Flow, Json, Located, OnError, Part, PartContent, Request, Scalar, Step,
};

type Steps = Vec<Located<Step>>;

pub(super) fn flows(file: &Fields<'_>, faults: &mut Faults) -> Entries<Flow> {
    match file.get("flows") {
        None => Vec::new(),
        Some(Node::Map(entries, _)) => {
            let is_flow = |(key, _): &&(Leaf, Node)| !HOOKS.contains(&key.text.as_str());
            entries.iter().filter(is_flow).filter_map(|entry| named_entry(entry, faults, flow)).collect()
        }
        Some(node) => scalar::mismatch(node, &Shape::Named(&Shape::Step), faults).unwrap_or_default(),
    }
}

/// Steps that stand beside `flows` or, because that is where one looks for them, among them.
pub(super) fn hook(file: &Fields<'_>, name: &str, faults: &mut Faults) -> Steps {
    let among = match file.get("flows") {
        Some(Node::Map(entries, _)) => entries.iter().find(|(key, _)| key.text == name),
        _ => None,
    };
    match (file.get(name), among) {
        (Some(_), Some((key, _))) => {
            faults.add(
                key.at,
                format!("'{name}' stands here and beside 'flows'"),
                "write all its steps in one of the two places",
            );
            Vec::new()
        }
        (Some(node), None) | (None, Some((_, node))) => steps(node, faults),
        (None, None) => Vec::new(),
    }
}

/// A map, or just its steps.
fn flow(node: &Node, faults: &mut Faults) -> Option<Flow> {
    if let Node::List(..) = node {
        return Some(Flow { steps: steps(node, faults), ..Flow::default() });
    }
    let fields = fields(node, &keys::FLOW, faults)?;
    let values = [OnError::Continue, OnError::End];
    Some(Flow {
        weight: fields.read("weight", faults, scalar::count),
        tags: fields.list("tags", faults, scalar::word),
        pacing: fields.read("pacing", faults, |node, faults| {
            scalar::span(node, faults).map(|span| Located::new(span, node.at()))
        }),
        on_error: fields
            .read("on_error", faults, |node, faults| scalar::choice(node, keys::ON_ERRORS, &values, faults))
            .unwrap_or_default(),
        steps: inner(&fields, "steps", faults),
    })
}

fn steps(node: &Node, faults: &mut Faults) -> Steps {
    list(node, faults, step)
}

fn inner(fields: &Fields<'_>, name: &str, faults: &mut Faults) -> Steps {
    fields.get(name).map_or_else(Vec::new, |node| steps(node, faults))
}

fn step(node: &Node, faults: &mut Faults) -> Option<Located<Step>> {
    let Node::Map(entries, at) = node else {
        return scalar::mismatch(node, &Shape::Step, faults);
    };
    let mut actions = entries.iter().filter_map(|(key, _)| Some((key, object_of(&key.text)?)));
    let Some((key, object)) = actions.next() else {
        no_action(node, entries, faults);
        return None;
    };
    if let Some((other, _)) = actions.find(|(_, other)| other.name != object.name) {
        faults.add(
            other.at,
            format!("a step does one thing, but this one has '{}' and '{}'", key.text, other.text),
            format!("write '{}' as a step of its own", other.text),
        );
        return None;
    }
    let step = match key.text.as_str() {
        "think" | "set" | "group" | "repeat" | "while" | "if" | "random" | "switch" | "parallel" => {
            control(&key.text, &fields(node, object, faults)?, faults)
        }
        _ => request(node, faults).map(|request| Step::Request(Box::new(request))),
    };
    step.map(|step| Located::new(step, *at))
}

/// The table of the step that a key makes.
fn object_of(key: &str) -> Option<&'static Object> {
    keys::STEP.into_iter().find(|object| actions(object).any(|action| action == key))
}

fn actions(object: &'static Object) -> impl Iterator<Item = &'static str> + Clone {
    let count = if object.name == "request" { keys::REQUESTS.len() } else { 1 };
    object.keys.iter().take(count).map(|key| key.name)
}

fn no_action(node: &Node, entries: &[(Leaf, Node)], faults: &mut Faults) {
    // Looking for what was meant costs more than the rest.
    if !faults.has_room() {
        return;
    }
    let all = || keys::STEP.into_iter().flat_map(actions);
    let near = entries
        .iter()
        .take(all().count())
        .find_map(|(key, _)| crate::scenario::file::fault::nearest(&key.text, all()).map(|name| (key, name)));
    match near {
        Some((key, _)) => {
            faults.add(key.at, "this step does not say what it does", unknown(&key.text, all()));
        }
        None => faults.add(
            node.at(),
            "this step does not say what it does",
            format!("add one of {}", listed(all())),
        ),
    }
}

fn control(action: &str, fields: &Fields<'_>, faults: &mut Faults) -> Option<Step> {
    Some(match action {
        "think" => Step::Think(fields.read("think", faults, scalar::span)?),
        "set" => Step::Set(fields.named("set", faults, scalar::expression)),
        "group" => {
            let steps = inner(fields, "steps", faults);
            Step::Group { name: fields.read("group", faults, scalar::name)?, steps }
        }
        "repeat" => {
            let steps = inner(fields, "steps", faults);
            Step::Repeat { times: fields.read("repeat", faults, scalar::expression)?, steps }
        }
        "while" => {
            let steps = inner(fields, "steps", faults);
            let max = fields.read("max", faults, scalar::count);
            Step::While { condition: fields.read("while", faults, scalar::expression)?, max, steps }
        }
        "if" => {
            let [then, otherwise] = ["then", "else"].map(|name| inner(fields, name, faults));
            Step::If { condition: fields.read("if", faults, scalar::expression)?, then, otherwise }
        }
        "random" => Step::Random(fields.list("random", faults, branch)),
        "switch" => {
            let cases = fields.read("cases", faults, cases);
            let otherwise = inner(fields, "else", faults);
            Step::Switch { on: fields.read("switch", faults, scalar::expression)?, cases: cases?, otherwise }
        }
        _ => Step::Parallel(fields.list("parallel", faults, |node, faults| {
            request(node, faults).map(|request| Located::new(request, node.at()))
        })),
    })
}

fn branch(node: &Node, faults: &mut Faults) -> Option<(u32, Steps)> {
    let fields = fields(node, &keys::BRANCH, faults)?;
    let weight = fields.read("weight", faults, scalar::count).unwrap_or(1);
    Some((weight, inner(&fields, "steps", faults)))
}

fn cases(node: &Node, faults: &mut Faults) -> Option<Vec<(Scalar, Steps)>> {
    let Node::Map(entries, _) = node else {
        return scalar::mismatch(node, &Shape::Named(&Shape::Step), faults);
    };
    let mut cases = Vec::new();
    for (key, node) in entries {
        let (value, steps) = (scalar::value_of(key, faults), steps(node, faults));
        cases.extend(value.map(|value| (value, steps)));
    }
    Some(cases)
}

fn request(node: &Node, faults: &mut Faults) -> Option<Request> {
    let fields = fields(node, &keys::REQUEST, faults)?;
    let method = method(&fields, faults);
    let url = keys::REQUESTS.iter().find_map(|name| fields.get(name));
    let url = url.and_then(|url| scalar::text(url, faults));
    let request = Request {
        target: fields.read("target", faults, scalar::name),
        name: fields.read("name", faults, scalar::word),
        tags: fields.list("tags", faults, scalar::word),
        headers: fields.named("headers", faults, scalar::text),
        query: fields.named("query", faults, scalar::text),
        body: body(&fields, faults),
        auth: fields.read("auth", faults, http::auth),
        ok_status: fields.list("ok_status", faults, scalar::status),
        total_timeout: fields.read("timeout", faults, scalar::duration),
        redirects: fields.read("redirects", faults, scalar::count),
        check: fields.list("check", faults, check),
        save: fields.named("save", faults, scalar::expression),
        ..Request::default()
    };
    Some(Request { method: method?, url: url?, ..request })
}

/// The longest registered method, UPDATEREDIRECTREF, has 17.
const METHOD_BYTES_MAX: usize = 32;

fn method(fields: &Fields<'_>, faults: &mut Faults) -> Option<String> {
    let known = keys::METHODS.iter().find(|(key, _)| fields.get(key).is_some());
    let written = fields.get("method");
    match (known, written) {
        (Some((key, _)), Some(node)) => {
            faults.add(
                node.at(),
                format!("'{key}' already says the method"),
                format!("leave 'method' out, or write 'request' in place of '{key}'"),
            );
            None
        }
        (Some((_, method)), None) => Some((*method).to_owned()),
        (None, Some(node)) => {
            let method = scalar::word(node, faults)?;
            let is_method = (1..=METHOD_BYTES_MAX).contains(&method.len())
                && method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
            if !is_method {
                faults.add(node.at(), "a method is a word in capitals", "write a method such as PROPFIND");
            }
            is_method.then_some(method)
        }
        (None, None) => {
            if fields.get("request").is_some() {
                faults.add(fields.at, "'method' is missing", "add a method, as in method: PROPFIND");
            }
            None
        }
    }
}

fn body(fields: &Fields<'_>, faults: &mut Faults) -> Option<Body> {
    let name = keys::BODIES.iter().find(|name| fields.get(name).is_some())?;
    match *name {
        "body" => fields.read(name, faults, scalar::text).map(Body::Text),
        "json" => fields.read(name, faults, json).map(Body::Json),
        "form" => Some(Body::Form(fields.named(name, faults, scalar::text))),
        "multipart" => fields.read(name, faults, multipart).map(Body::Multipart),
        _ => fields.read(name, faults, scalar::file).map(Body::File),
    }
}

fn json(node: &Node, faults: &mut Faults) -> Option<Json> {
    Some(match node {
        Node::Leaf(_) => Json::Scalar(scalar::value(node, faults)?),
        Node::List(nodes, _) => Json::List(nodes.iter().filter_map(|node| json(node, faults)).collect()),
        Node::Map(entries, _) => {
            let mut map = Vec::new();
            for (key, node) in entries {
                map.extend(json(node, faults).map(|value| (Located::new(key.text.clone(), key.at), value)));
            }
            Json::Map(map)
        }
    })
}

/// Texts by name, or a list of parts with more to them.
fn multipart(node: &Node, faults: &mut Faults) -> Option<Vec<Part>> {
    if let Node::Map(..) = node {
        let texts = named(node, faults, scalar::text).into_iter();
        let part = |(name, text)| Part {
            name,
            content: PartContent::Text(text),
            filename: None,
            content_type: None,
        };
        return Some(texts.map(part).collect());
    }
    Some(list(node, faults, |node, faults| {
        let fields = fields(node, &keys::PART, faults)?;
        let [name, text, filename, content_type] =
            ["name", "text", "filename", "content_type"].map(|name| fields.read(name, faults, scalar::text));
        let file = fields.read("file", faults, scalar::file).map(PartContent::File);
        Some(Part { name: name?, content: text.map(PartContent::Text).or(file)?, filename, content_type })
    }))
}

/// An expression, or a map with its name.
fn check(node: &Node, faults: &mut Faults) -> Option<Check> {
    if let Node::Leaf(_) = node {
        return scalar::expression(node, faults).map(|that| Check { that, name: None });
    }
    let fields = fields(node, &keys::CHECK, faults)?;
    let name = fields.read("name", faults, scalar::word);
    Some(Check { that: fields.read("that", faults, scalar::expression)?, name })
}
