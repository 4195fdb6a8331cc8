//! Calls of `self.client` -> requests.

use std::ops::Range;

use super::super::python::{Call, Expr};
use super::super::template::{Piece, render};
use super::super::{ImportError, is_token};
use super::task::{Steps, Translator, refuse};
use super::value::{Value, is_variable};
use super::wait::duration_of;
use crate::scenario::file::{Auth, Body, Entries, Place, Request, Scalar, Step, Text};

/// Names of methods of `self.client`, as their requests have them.
const METHODS: [(&str, &str); 7] = [
    ("get", "GET"),
    ("post", "POST"),
    ("put", "PUT"),
    ("patch", "PATCH"),
    ("delete", "DELETE"),
    ("head", "HEAD"),
    ("options", "OPTIONS"),
];

/// How a request is called for.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(super) enum Way {
    /// `client.get(url)`
    Method(&'static str),
    /// `client.request("GET", url)`
    Any,
    /// `self.rest("GET", url)` of FastHttpUser.
    Rest,
}

impl Translator<'_> {
    pub(super) fn request_call(&self, call: &Call) -> Option<Way> {
        let path = call.function.path()?;
        let rest = path.strip_prefix(self.scope.own.as_str())?.strip_prefix('.')?;
        if rest == "rest" {
            return super::module::method(&self.lineage, "rest").is_none().then_some(Way::Rest);
        }
        let rest = rest.strip_prefix("user.").or_else(|| rest.strip_prefix("parent.")).unwrap_or(rest);
        match rest.strip_prefix("client.")? {
            "request" => Some(Way::Any),
            name => METHODS.iter().find(|(known, _)| *known == name).map(|(_, method)| Way::Method(method)),
        }
    }

    /// Adds the requests of a call: one, or one for each URL it may have.
    pub(super) fn request(
        &mut self,
        expr: &Expr,
        call: &Call,
        steps: &mut Steps,
    ) -> Result<Range<usize>, ImportError> {
        let at = expr.at;
        if call.spread {
            return Err(refuse(at, "a request with '*'", "write its arguments out"));
        }
        let way = self.request_call(call).unwrap_or(Way::Any);
        let mut positional = call.arguments.iter();
        let mut request = Request { name: self.request_name.clone(), ..Request::default() };
        let rest_check =
            || crate::scenario::file::Check { that: "json(\"$\") != null".to_owned().into(), name: None };
        request.method = match way {
            Way::Method(method) => method.to_owned(),
            Way::Any | Way::Rest => {
                let method = positional.next().or_else(|| call.keyword("method"));
                let method =
                    method.and_then(|method| self.eval(method).as_literal()).map(|m| m.to_uppercase());
                let valid = method.filter(|method| METHODS.iter().any(|(_, known)| known == method));
                valid.ok_or_else(|| {
                    refuse(at, "the method of this request", "write it as a text such as \"GET\"")
                })?
            }
        };
        if way == Way::Rest {
            request.check.push(rest_check());
            request.headers.push(("Accept".to_owned().into(), "application/json".to_owned().into()));
        }
        let url = positional.next().or_else(|| call.keyword("url")).or_else(|| call.keyword("path"));
        let url = url.ok_or_else(|| refuse(at, "a request without a URL", "give it one"))?;
        let names = if matches!(request.method.as_str(), "GET" | "HEAD" | "OPTIONS" | "DELETE") {
            ["params", ""]
        } else {
            ["data", "json"]
        };
        for (index, argument) in positional.enumerate() {
            let name = names.get(index).copied().unwrap_or_default();
            self.option(name, argument, &mut request)?;
        }
        for (name, argument) in &call.keywords {
            self.option(name, argument, &mut request)?;
        }
        for (name, value) in self.headers.clone() {
            if !request.headers.iter().any(|(known, _)| known.value.eq_ignore_ascii_case(&name.value)) {
                request.headers.push((name, value));
            }
        }
        if request.auth.is_none() {
            request.auth = self.auth.clone().map(Into::into);
        }
        let url_value = self.eval(url);
        self.place(url.at, url_value, request, steps)
    }

    fn place(
        &mut self,
        at: Place,
        url: Value,
        request: Request,
        steps: &mut Steps,
    ) -> Result<Range<usize>, ImportError> {
        let begin = self.requests.len();
        if let Value::Choice { drawn, options } = &url
            && options.iter().all(|option| option.as_literal().is_some())
        {
            let mut cases = Vec::new();
            for option in options {
                let mut inner = Steps::new();
                self.place(at, option.clone(), request.clone(), &mut inner)?;
                cases.push((option.as_literal().unwrap_or_default(), inner));
            }
            let step = if is_variable(drawn) {
                let cases = cases.into_iter().map(|(url, steps)| (Scalar::Text(url.into()), steps));
                Step::Switch { on: drawn.clone().into(), cases: cases.collect(), otherwise: Vec::new() }
            } else {
                Step::Random(cases.into_iter().map(|(_, steps)| (1, steps)).collect())
            };
            steps.push(step.into());
            return Ok(begin..self.requests.len());
        }
        let pieces = match self.settle(url) {
            Value::Text(pieces) => pieces,
            Value::Unknown(_, what) => {
                let mend = "write the URL as a text, an f-string of known values or random.choice of a list";
                return Err(refuse(at, &format!("a URL with {what}"), mend));
            }
            _ => {
                return Err(refuse(
                    at,
                    "a URL that is one value as a whole",
                    "begin it with its path: f\"/{value}\"",
                ));
            }
        };
        let mut request = request;
        let (target, url) = self
            .origins
            .place(pieces)
            .map_err(|what| refuse(at, what, "begin the URL with '/' or with http:// and a host"))?;
        request.target = target.map(Into::into);
        request.url = url.into();
        let headers: usize =
            request.headers.iter().map(|(name, value)| name.value.len() + value.value.len()).sum();
        if !self.spend(request.url.value.len() + headers + REQUEST_COST) {
            return Err(refuse(at, "so many requests", "split the file"));
        }
        let number = u32::try_from(begin).unwrap_or(u32::MAX);
        let step = Step::Request(Box::default());
        steps.push(crate::scenario::file::Located::new(step, Place { line: number, column: 0 }));
        self.requests.push(request);
        Ok(begin..begin + 1)
    }

    fn option(&mut self, name: &str, argument: &Expr, request: &mut Request) -> Result<(), ImportError> {
        let at = argument.at;
        let ignored = ["catch_response", "context", "stream", "request_context"].contains(&name);
        let value = if ignored { Value::None } else { self.eval(argument) };
        if value == Value::None {
            return Ok(());
        }
        match name {
            "name" => request.name = self.label(at, &value)?,
            "headers" => request.headers.extend(self.header_entries(at, value)?),
            "params" => request.query = self.entries(at, name, value)?,
            "json" => request.body = Some(self.json_body(at, value)?),
            "data" => request.body = Some(self.data_body(at, value)?),
            "auth" => request.auth = Some(self.basic_auth(at, value)?.into()),
            "timeout" => request.total_timeout = Some(duration_of(at, &value)?),
            "allow_redirects" if value == Value::Bool(false) => request.redirects = Some(0),
            "allow_redirects" if value == Value::Bool(true) => {}
            "verify" if matches!(value, Value::Bool(_)) => self.verify = Some(value == Value::Bool(true)),
            "files" => {
                return Err(refuse(at, "an upload of files", "write it as `multipart:` in the scenario"));
            }
            "cookies" => {
                let cookies = self.entries(at, name, value)?;
                let cookies: Vec<_> =
                    cookies.iter().map(|(name, value)| format!("{}={}", name.value, value.value)).collect();
                request.headers.push(("Cookie".to_owned().into(), cookies.join("; ").into()));
            }
            _ => return Err(refuse(at, &format!("the argument '{name}' of a request"), "leave it out")),
        }
        Ok(())
    }

    /// The name of a request in results: one, whatever its values are.
    pub(super) fn label(&mut self, at: Place, value: &Value) -> Result<Option<String>, ImportError> {
        match value {
            Value::None => Ok(None),
            Value::Text(pieces) => Ok(Some(
                pieces
                    .iter()
                    .map(|piece| match piece {
                        Piece::Literal(text) => text.as_str(),
                        Piece::Expression(_) => "{}",
                    })
                    .collect(),
            )),
            _ => Err(refuse(at, "the name of this request", "write it as a text")),
        }
    }

    fn data_body(&mut self, at: Place, value: Value) -> Result<Body, ImportError> {
        match value {
            Value::Dict(_) => Ok(Body::Form(self.entries(at, "data", value)?)),
            Value::Dumped(value) => self.json_body(at, *value),
            value => Ok(Body::Text(self.text(at, "data", value)?)),
        }
    }

    fn json_body(&mut self, at: Place, value: Value) -> Result<Body, ImportError> {
        let value = self.settle(value);
        value.json().map(Body::Json).map_err(|(place, what)| {
            let place = if place == Place::default() { at } else { place };
            refuse(
                place,
                &format!("a body with {what}"),
                "write it with constants and values of earlier answers",
            )
        })
    }

    pub(super) fn basic_auth(&mut self, at: Place, value: Value) -> Result<Auth, ImportError> {
        let Value::List(mut parts) = value else {
            return Err(refuse(at, "this auth", "write it as (user, password)"));
        };
        let (Some(password), Some(user), true) = (parts.pop(), parts.pop(), parts.is_empty()) else {
            return Err(refuse(at, "this auth", "write it as (user, password)"));
        };
        Ok(Auth::Basic { user: self.text(at, "auth", user)?, password: self.text(at, "auth", password)? })
    }

    fn entries(&mut self, at: Place, what: &str, value: Value) -> Result<Entries<Text>, ImportError> {
        let Value::Dict(entries) = value else {
            let what = match value {
                Value::Unknown(_, of) => format!("'{what}' with {of}"),
                _ => format!("'{what}' that is no dict"),
            };
            return Err(refuse(at, &what, "write it as a dict of constants and known values"));
        };
        let mut texts = Vec::new();
        for (name, value) in entries {
            match value {
                Value::None => {}
                Value::List(items) => {
                    for item in items {
                        texts.push((name.clone().into(), self.text(at, what, item)?));
                    }
                }
                value => texts.push((name.into(), self.text(at, what, value)?)),
            }
        }
        Ok(texts)
    }

    fn text(&mut self, at: Place, what: &str, value: Value) -> Result<Text, ImportError> {
        let value = self.settle(value);
        if let Some(pieces) = value.pieces() {
            return Ok(render(&pieces).into());
        }
        let what = match value {
            Value::Unknown(_, of) => format!("'{what}' with {of}"),
            _ => format!("'{what}' with a value that is no text"),
        };
        Err(refuse(at, &what, "write it with constants and values of earlier answers"))
    }

    fn header_entries(&mut self, at: Place, value: Value) -> Result<Entries<Text>, ImportError> {
        let entries = self.entries(at, "headers", value)?;
        match entries.iter().find(|(name, _)| !is_token(&name.value)) {
            Some(_) => Err(refuse(at, "a header whose name is none", "use letters, digits and hyphens")),
            None => Ok(entries),
        }
    }

    /// Headers that all requests after this have.
    pub(super) fn common_headers(&mut self, at: Place, headers: Value) -> Result<(), ImportError> {
        if !self.starting {
            let mend = "set them in on_start, or give them to each request";
            return Err(refuse(at, "headers of the client that change during the test", mend));
        }
        for (name, value) in self.header_entries(at, headers)? {
            self.headers.retain(|(known, _)| !known.value.eq_ignore_ascii_case(&name.value));
            self.headers.push((name, value));
        }
        Ok(())
    }
}

/// What a request takes of memory, about.
const REQUEST_COST: usize = 512;
