//! Writers of flows and their steps.

use std::collections::BTreeSet;

use super::{
    Fields, duration, duration_text, expression, expressions, http, leaf, list, located, named, plain, range,
    scalar, text,
};
use crate::scenario::file::keys::flow::METHODS;
use crate::scenario::file::tree::{Leaf, Node, Style};
use crate::scenario::file::{
    Body, Check, Flow, Json, Located, OnError, Part, PartContent, Place, Request, Scalar, Span, Step,
};

/// Just its steps, if it has nothing else.
pub(super) fn flow(flow: &Flow) -> Node {
    let bare = Flow { steps: flow.steps.clone(), ..Flow::default() };
    if *flow == bare {
        return steps(&flow.steps);
    }
    let mut fields = Fields::default();
    fields.some("weight", flow.weight.map(plain));
    fields.list("tags", &flow.tags, |tag| text(tag));
    fields.some("pacing", flow.pacing.as_ref().map(|pacing| span(pacing.value)));
    fields.some("on_error", (flow.on_error == OnError::End).then(|| plain("end")));
    fields.put("steps", steps(&flow.steps));
    fields.into_node()
}

fn span(span: Span) -> Node {
    range(span.from, span.to, duration_text)
}

fn steps(steps: &[Located<Step>]) -> Node {
    list(steps, |located| step(&located.value))
}

pub(super) fn step(step: &Step) -> Node {
    let mut fields = Fields::default();
    match step {
        Step::Request(one) => return request(one),
        Step::Think(time) => fields.put("think", span(*time)),
        Step::Set(variables) => fields.put("set", expressions(variables)),
        Step::Group { name, steps } => {
            fields.put("group", located(name));
            fields.put("steps", self::steps(steps));
        }
        Step::Repeat { times, steps } => {
            fields.put("repeat", expression(times));
            fields.put("steps", self::steps(steps));
        }
        Step::While { condition, max, steps } => {
            fields.put("while", expression(condition));
            fields.some("max", max.map(plain));
            fields.put("steps", self::steps(steps));
        }
        Step::If { condition, then, otherwise } => {
            fields.put("if", expression(condition));
            fields.put("then", steps(then));
            fields.list("else", otherwise, |located| self::step(&located.value));
        }
        Step::Random(branches) => fields.put("random", list(branches, branch)),
        Step::Switch { on, cases, otherwise } => {
            fields.put("switch", expression(on));
            let case = |(value, steps): &(Scalar, Vec<_>)| (case_key(value), self::steps(steps));
            fields.put("cases", Node::Map(cases.iter().map(case).collect(), Place::default()));
            fields.list("else", otherwise, |located| self::step(&located.value));
        }
        Step::Parallel(requests) => {
            fields.put("parallel", list(requests, |located| request(&located.value)));
        }
    }
    fields.into_node()
}

fn branch((weight, steps): &(u32, Vec<Located<Step>>)) -> Node {
    let mut fields = Fields::default();
    fields.some("weight", (*weight != 1).then(|| plain(weight)));
    fields.put("steps", self::steps(steps));
    fields.into_node()
}

fn case_key(value: &Scalar) -> Leaf {
    match scalar(value) {
        Node::Leaf(leaf) => leaf,
        // A scalar is a leaf.
        Node::List(..) | Node::Map(..) => leaf("", Style::Quoted),
    }
}

fn request(request: &Request) -> Node {
    let mut fields = Fields::default();
    match METHODS.iter().find(|(_, method)| *method == request.method) {
        Some((key, _)) => fields.put(key, located(&request.url)),
        None => {
            fields.put("request", located(&request.url));
            fields.put("method", text(&request.method));
        }
    }
    fields.some("target", request.target.as_ref().map(located));
    fields.some("name", request.name.as_deref().map(text));
    fields.list("tags", &request.tags, |tag| text(tag));
    fields.named("headers", &request.headers, located);
    fields.named("query", &request.query, located);
    match &request.body {
        None => {}
        Some(Body::Text(content)) => fields.put("body", located(content)),
        Some(Body::Json(content)) => fields.put("json", json(content)),
        Some(Body::Form(entries)) => fields.put("form", named(entries, located)),
        Some(Body::Multipart(parts)) => fields.put("multipart", multipart(parts)),
        Some(Body::File(file)) => fields.put("file", located(file)),
    }
    fields.some("auth", request.auth.as_ref().map(|auth| http::auth(&auth.value)));
    fields.list("ok_status", &request.ok_status, http::status);
    fields.some("timeout", request.total_timeout.map(duration));
    fields.some("redirects", request.redirects.map(plain));
    fields.list("check", &request.check, check);
    if !request.save.is_empty() {
        fields.put("save", expressions(&request.save));
    }
    fields.into_node()
}

fn json(json: &Json) -> Node {
    match json {
        Json::Scalar(value) => scalar(value),
        Json::List(items) => list(items, self::json),
        Json::Map(entries) => named(entries, self::json),
    }
}

/// Texts by name, if that says all.
fn multipart(parts: &[Part]) -> Node {
    let mut names = BTreeSet::new();
    let mut texts = Vec::new();
    for part in parts {
        let Part { name, content: PartContent::Text(content), filename: None, content_type: None } = part
        else {
            return list(parts, self::part);
        };
        if name.value.is_empty() || !names.insert(&name.value) {
            return list(parts, self::part);
        }
        texts.push((name.clone(), content.clone()));
    }
    named(&texts, located)
}

fn part(part: &Part) -> Node {
    let mut fields = Fields::default();
    fields.put("name", located(&part.name));
    match &part.content {
        PartContent::Text(content) => fields.put("text", located(content)),
        PartContent::File(file) => fields.put("file", located(file)),
    }
    fields.some("filename", part.filename.as_ref().map(located));
    fields.some("content_type", part.content_type.as_ref().map(located));
    fields.into_node()
}

fn check(check: &Check) -> Node {
    let Some(name) = &check.name else { return expression(&check.that) };
    let mut fields = Fields::default();
    fields.put("that", expression(&check.that));
    fields.put("name", text(name));
    fields.into_node()
}
