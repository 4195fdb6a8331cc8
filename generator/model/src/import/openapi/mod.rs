//! OpenAPI 3.0 and 3.1 as JSON (<https://spec.openapis.org/oas/v3.1.0>) -> a flow for each tag with a step
//! for each operation.
//!
//! Values come from the document's examples where it has some, else they are made by type. Credentials become
//! references to secrets. `DELETE` is left out: a test of a whole document should not take away what it looks
//! at.

mod schema;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use self::schema::Samples;
use super::origins::Origins;
use super::template::{Piece, identifier, literal, render};
use super::{
    DOCUMENT_MAX, ImportError, Imported, Note, check_count, default_load, is_token, json_of, split_origin,
    text_of,
};
use crate::scenario::file::{Auth, Body, Entries, File, Flow, Json, Place, Request, Scalar, Step, Text};

/// In the order of a path's steps: what makes something comes before what changes it.
const METHODS: [&str; 6] = ["post", "get", "head", "options", "put", "patch"];
/// Headers that are not parameters, whatever the document says (3.1, section 4.8.12).
const NOT_PARAMETERS: [&str; 3] = ["accept", "content-type", "authorization"];

/// The scenario of a document of at most 64 MiB.
///
/// # Errors
/// Where it is no such document, or has no operation that can be sent.
pub fn import(source: &[u8]) -> Result<Imported, ImportError> {
    let at = Place { line: 1, column: 1 };
    let text = text_of(source, DOCUMENT_MAX)?;
    if !text.trim_start().starts_with('{') {
        return Err(ImportError::new(at, "this is no JSON", "convert the document from YAML to JSON"));
    }
    let document: Value = json_of(text, "OpenAPI document", "mend the JSON")?;
    if !document["openapi"].as_str().is_some_and(|version| version.starts_with("3.")) {
        let what = "this is no OpenAPI 3 document";
        return Err(ImportError::new(
            at,
            what,
            "convert it to OpenAPI 3.0 or 3.1, with its version under \"openapi\"",
        ));
    }
    let samples = Samples::new(&document);
    let mut build = Build {
        document: &document,
        samples,
        origins: Origins::default(),
        notes: BTreeSet::new(),
        requests: Vec::new(),
        prefix: String::new(),
    };
    build.server();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        let item = build.samples.resolve(item);
        for method in METHODS {
            if let Some(operation) = item.get(method) {
                check_count(build.requests.len() + 1, at)?;
                build.operation(path, method, item, operation);
            }
        }
        for method in ["delete", "trace"].into_iter().filter(|method| item.get(*method).is_some()) {
            build.note(format!("{} {path:.100} is left out", method.to_uppercase()));
        }
    }
    if build.samples.exhausted() {
        return Err(ImportError::new(
            at,
            "the examples of all operations come to too much",
            "split the document",
        ));
    }
    if build.requests.is_empty() {
        return Err(ImportError::new(at, "there is no operation to send", "add one under \"paths\""));
    }
    Ok(build.finish())
}

struct Build<'d> {
    document: &'d Value,
    samples: Samples<'d>,
    origins: Origins,
    notes: BTreeSet<Note>,
    /// With the tag of each.
    requests: Vec<(String, Request)>,
    /// Of paths, where the server is no absolute URL.
    prefix: String,
}

impl<'d> Build<'d> {
    fn note(&mut self, text: impl Into<String>) {
        self.notes.insert(Note { line: 1, text: text.into() });
    }

    /// The first server, with the defaults of its variables.
    fn server(&mut self) {
        let server = &self.document["servers"][0];
        let mut url = server["url"].as_str().unwrap_or_default().to_owned();
        for (name, variable) in server["variables"].as_object().into_iter().flatten().take(VARIABLES_MAX) {
            let default = variable["default"].as_str().unwrap_or_default();
            if url.len() > URL_MAX || default.len() > URL_MAX {
                break;
            }
            url = url.replace(&format!("{{{name}}}"), default);
        }
        if url.len() > URL_MAX || split_origin(&url).is_none() || self.origins.set_base(Some(&url)).is_err() {
            self.note("there is no server with http:// or https://; set `target` of the scenario");
            let path = url.trim_end_matches('/');
            self.prefix =
                if path.starts_with('/') && path.len() <= URL_MAX { path.to_owned() } else { String::new() };
        }
    }

    /// Adds the request of an operation, or says why it is left out.
    fn operation(&mut self, path: &'d str, method: &str, item: &'d Value, operation: &'d Value) {
        let name = format!("{} {path}", method.to_uppercase());
        let mut request =
            Request { method: method.to_uppercase(), name: Some(name.clone()), ..Request::default() };
        let mut in_path = BTreeMap::new();
        for parameter in self.parameters(item, operation) {
            let key = parameter["name"].as_str().unwrap_or_default();
            let required = parameter["required"] == true;
            match parameter["in"].as_str().unwrap_or_default() {
                "path" => {
                    in_path.insert(key, self.samples.parameter(parameter));
                }
                "query" if required => {
                    let value = render(&self.samples.parameter(parameter));
                    request.query.push((literal(key).into(), value.into()));
                }
                "header"
                    if required
                        && is_token(key)
                        && !NOT_PARAMETERS.contains(&key.to_ascii_lowercase().as_str()) =>
                {
                    let value = render(&self.samples.parameter(parameter));
                    request.headers.push((key.to_owned().into(), value.into()));
                }
                "cookie" if required => {
                    self.note(format!(
                        "the cookie {key:.60} of {name:.100} is left out: an answer must set it"
                    ));
                }
                _ => {}
            }
        }
        if let Err(what) = self.body(operation, &mut request) {
            self.note(format!("{name:.100} is left out: {what}"));
            return;
        }
        self.security(operation, &mut request);
        let mut pieces = vec![Piece::Literal(self.prefix.clone())];
        pieces.extend(path_pieces(path, &in_path));
        let Ok((target, url)) = self.origins.place(merged(pieces)) else {
            self.note(format!("{name:.100} is left out: its path cannot be sent"));
            return;
        };
        (request.target, request.url) = (target.map(Into::into), url.into());
        let tag = operation["tags"][0].as_str().unwrap_or("default");
        self.requests.push((tag.to_owned(), request));
    }

    /// Those of the path and of the operation, which come first where both have one.
    fn parameters(&self, item: &'d Value, operation: &'d Value) -> Vec<&'d Value> {
        let mut seen = BTreeSet::new();
        let lists = [&operation["parameters"], &item["parameters"]];
        let all =
            lists.into_iter().filter_map(Value::as_array).flatten().map(|one| self.samples.resolve(one));
        all.filter(|one| seen.insert((one["in"].as_str(), one["name"].as_str()))).collect()
    }

    fn body(&mut self, operation: &'d Value, request: &mut Request) -> Result<(), String> {
        let body = self.samples.resolve(&operation["requestBody"]);
        let Some(content) = body["content"].as_object().filter(|content| !content.is_empty()) else {
            return Ok(());
        };
        let find = |wanted: fn(&str) -> bool| content.iter().find(|(kind, _)| wanted(kind));
        if let Some((kind, media)) =
            find(|kind| kind.starts_with("application/json") || kind.contains("+json"))
        {
            request.body = Some(Body::Json(self.samples.media(media)));
            if kind != "application/json" && !kind.contains('*') {
                request.headers.push(("Content-Type".to_owned().into(), literal(kind).into()));
            }
        } else if let Some((_, media)) = find(|kind| kind.starts_with("application/x-www-form-urlencoded")) {
            request.body = Some(Body::Form(form(self.samples.media(media))));
        } else if let Some((kind, media)) = find(|kind| kind.starts_with("text/")) {
            let Json::Scalar(Scalar::Text(text)) = self.samples.media(media) else {
                return Err(format!("its body of {kind:.60} has no example"));
            };
            request.body = Some(Body::Text(text));
            request.headers.push(("Content-Type".to_owned().into(), literal(kind).into()));
        } else {
            let kind = content.keys().next().map_or("", String::as_str);
            return Err(format!("a body of {kind:.60} cannot be made up"));
        }
        Ok(())
    }

    /// The first way of the first requirement; credentials are secrets.
    fn security(&mut self, operation: &'d Value, request: &mut Request) {
        let required = operation.get("security").unwrap_or(&self.document["security"]);
        let first = required[0].as_object().into_iter().flatten().next();
        let Some((name, _)) = first else { return };
        let scheme = self.samples.resolve(&self.document["components"]["securitySchemes"][name]);
        let secret = |name: &str| format!("{{{{ secret.{name} }}}}");
        let kind = scheme["type"].as_str().unwrap_or_default();
        let http = scheme["scheme"].as_str().unwrap_or_default().to_ascii_lowercase();
        let key = scheme["name"].as_str().unwrap_or_default();
        let own = identifier(name).to_ascii_uppercase();
        match (kind, http.as_str(), scheme["in"].as_str().unwrap_or_default()) {
            ("http", "basic", _) => {
                let (user, password) = (secret("USER").into(), secret("PASSWORD").into());
                request.auth = Some(Auth::Basic { user, password }.into());
                self.note("requests are sent with the secrets USER and PASSWORD");
            }
            ("http", "bearer", _) | ("oauth2" | "openIdConnect", ..) => {
                request.auth = Some(Auth::Bearer(secret("TOKEN").into()).into());
                self.note("requests are sent with the secret TOKEN as their bearer token");
            }
            ("apiKey", _, "header") if is_token(key) => {
                request.headers.push((key.to_owned().into(), secret(&own).into()));
                self.note(format!("requests are sent with the secret {own} as their {key:.60}"));
            }
            ("apiKey", _, "query") => {
                request.query.push((literal(key).into(), secret(&own).into()));
                self.note(format!("requests are sent with the secret {own} as their {key:.60}"));
            }
            _ => self.note(format!("the security scheme {name:.60} is left out: it is not understood")),
        }
    }

    fn finish(mut self) -> Imported {
        let mut file =
            File { name: self.document["info"]["title"].as_str().map(str::to_owned), ..File::default() };
        let (tags, mut requests): (Vec<String>, Vec<Request>) =
            std::mem::take(&mut self.requests).into_iter().unzip();
        self.origins.fill(&mut file, &mut requests);
        // Tags that differ only in what names cannot have would be one flow; then they share it.
        let mut flows: BTreeMap<String, Flow> = BTreeMap::new();
        for (tag, request) in tags.into_iter().zip(requests) {
            let flow = flows.entry(identifier(&tag)).or_default();
            flow.tags = vec![tag];
            flow.steps.push(Step::Request(Box::new(request)).into());
        }
        file.flows = flows.into_iter().map(|(name, flow)| (name.into(), flow)).collect();
        file.loads.push((String::new().into(), default_load()));
        self.notes.insert(Note { line: 1, text: "a document has no load; here it is 1 user for 1m".into() });
        Imported { file, notes: self.notes.into_iter().collect() }
    }
}

/// No server has more.
const VARIABLES_MAX: usize = 32;
/// No server's URL is longer; it is a part of each request.
const URL_MAX: usize = 512;

/// A path with values in place of `{name}`.
fn path_pieces(path: &str, values: &BTreeMap<&str, Vec<Piece>>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = path;
    while let Some((before, from)) = rest.split_once('{') {
        let Some((name, after)) = from.split_once('}') else { break };
        pieces.push(Piece::Literal(before.to_owned()));
        match values.get(name) {
            Some(value) => pieces.extend(value.iter().cloned()),
            // A parameter that the document forgot is most often a number.
            None => pieces.push(Piece::Expression("pick(1, 1000)".into())),
        }
        rest = after;
    }
    pieces.push(Piece::Literal(rest.to_owned()));
    pieces
}

/// Texts in a row as one.
fn merged(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::new();
    for piece in pieces {
        match (out.last_mut(), piece) {
            (Some(Piece::Literal(before)), Piece::Literal(text)) => before.push_str(&text),
            (_, piece) => out.push(piece),
        }
    }
    out
}

/// Fields of a form, of those of an object that are no objects or lists.
fn form(value: Json) -> Entries<Text> {
    let Json::Map(entries) = value else { return Entries::new() };
    let field = |(name, value)| {
        let value: String = match value {
            Json::Scalar(Scalar::Text(text)) => text.value,
            Json::Scalar(Scalar::Int(number)) => number.to_string(),
            Json::Scalar(Scalar::Float(number)) => number.to_string(),
            Json::Scalar(Scalar::Bool(value)) => value.to_string(),
            _ => return None,
        };
        Some((name, value.into()))
    };
    entries.into_iter().filter_map(field).collect()
}

#[cfg(test)]
mod tests;
