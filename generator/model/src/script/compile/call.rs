//! A step's request to a call: its head and body in pieces, its checks, and what is saved of its answer.

use std::collections::HashMap;
use std::sync::Arc;

use url::Url;

use super::pieces::{self, Pieces};
use super::{Compiler, body};
use crate::expr::{Escape, Expr, Stage, Template, Type};
use crate::extract::JsonPath;
use crate::request::{REQUEST_HEAD_MAX, Request, authority, default_fields, is_reserved_field, is_token};
use crate::scenario::file::{self, Auth, Entries, Place, Text, nearest};
use crate::script::CALLS_MAX;
use crate::script::call::{Call, Check, Draft, Piece, Probe, Signer};

/// A header field on its way.
pub(super) type Field = (String, Vec<Piece>);

impl<'a> Compiler<'a> {
    /// The number of the call that a request becomes; `None` if it is not wanted, or wrong.
    pub(super) fn call(&mut self, request: &file::Request, at: Place, tags: &[String]) -> Option<u16> {
        let tags: Vec<_> = tags.iter().chain(&request.tags).cloned().collect();
        if !self.is_wanted(&tags) {
            return None;
        }
        if self.calls.len() >= CALLS_MAX {
            self.fault(at, format!("there are more than {CALLS_MAX} requests"), "use `repeat`, or data");
            return None;
        }
        let before = self.faults.len();
        let number = self.target_of(request)?;
        let base = self.base(number);
        let target = self.path(request, base);
        let body = self.body(request);
        // Credentials for all requests are for the target of the file, and for nobody else.
        let of_file = self.file.http.auth.as_ref().filter(|_| number == 0);
        let auth = request.auth.as_ref().or(of_file).map(|auth| &auth.value);
        let fields =
            self.fields(request, (base, auth), body.as_ref().and_then(|body| body.content_type.as_deref()));
        let signer = auth.and_then(|auth| self.signer(auth));
        let checks = self.checks(&request.check);
        let saves = self.saves(&request.save);
        if self.faults.len() > before {
            return None;
        }
        let (target, label) = target?;
        let name = self.label(request, label, tags);
        let body = body.unwrap_or_default();
        let has_body = !body.pieces.is_empty() || matches!(request.method.as_str(), "POST" | "PUT" | "PATCH");
        let draft =
            Draft { signer, ..self.draft((&request.method, base), target, fields, body.pieces, has_body) };
        let judges_status = checks.iter().any(|check| speaks_of_status(check.that.expr.source()));
        let call = self.finished((&request.method, base), name, draft, at);
        self.add_call(Call {
            target: number,
            total: request.total_timeout,
            redirects: request.redirects.or(self.frame.redirects).filter(|redirects| *redirects > 0),
            ok_status: request.ok_status.clone(),
            judges_status,
            checks,
            saves,
            ..call
        })
    }

    /// A call whose answer nobody looks at, of a draft that is done.
    pub(super) fn finished(
        &mut self,
        (method, base): (&str, &Url),
        name: u16,
        draft: Draft,
        at: Place,
    ) -> Call {
        let (request, is_fixed) = self.made(method, &self.labels[usize::from(name)], &draft);
        if request.head_len > REQUEST_HEAD_MAX {
            self.fault(
                at,
                format!("the request's head has more than {REQUEST_HEAD_MAX} bytes"),
                "shorten it",
            );
        }
        if self.shows_secrets(&draft, base) {
            let mend = "use https://, or allow it with --secrets-in-clear";
            self.fault(at, "a secret would go over the network in clear text", mend);
        }
        let url = url_of(&request, base);
        Call { draft: (!is_fixed).then_some(draft), ..Call::fixed(name, request, url) }
    }

    /// The call's number.
    pub(super) fn add_call(&mut self, call: Call) -> Option<u16> {
        self.calls.push(call);
        u16::try_from(self.calls.len() - 1).ok()
    }

    /// The number of the target that a request goes to: the one that it names, or that its URL lies within.
    fn target_of(&mut self, request: &file::Request) -> Option<u16> {
        let others = self.frame.others;
        let found = match &request.target {
            Some(name) => {
                let found = others.iter().position(|(other, _)| *other == name.value);
                if found.is_none() {
                    let near = nearest(&name.value, others.iter().map(|(name, _)| name.as_str()));
                    let add = || "add it under `targets:`".to_owned();
                    let mend = near.map_or_else(add, |near| format!("did you mean '{near}'?"));
                    self.fault(name.at, format!("there is no target '{}'", name.value), mend);
                    return None;
                }
                found
            }
            None if within(&request.url.value, self.frame.target).is_some() => None,
            None => others.iter().position(|(_, url)| within(&request.url.value, url).is_some()),
        };
        u16::try_from(found.map_or(0, |other| other + 1)).ok()
    }

    /// What requests to a target are relative to.
    fn base(&self, number: u16) -> &'a Url {
        let other = usize::from(number).checked_sub(1).and_then(|other| self.frame.others.get(other));
        other.map_or(self.frame.target, |(_, url)| url)
    }

    /// The path and query of a request in pieces, and the label that they give.
    fn path(&mut self, request: &file::Request, of: &Url) -> Option<(Vec<Piece>, String)> {
        let url = self.template(&request.url, Stage::Request)?;
        let base = of.path().trim_end_matches('/').to_owned();
        let mut written = request.url.value.as_str();
        if let Some(rest) = within(written, of) {
            written = rest;
        }
        if !written.starts_with('/') {
            let what = format!("'{}' does not begin with '/'", request.url.value);
            let origin = of.origin().ascii_serialization();
            self.fault(request.url.at, what, format!("write a path on {origin}, such as /items?page=2"));
            return None;
        }
        let template = if written.len() == request.url.value.len() {
            url
        } else {
            self.template(&file::Located::new(written.to_owned(), request.url.at), Stage::Request)?
        };
        let mut pieces = Pieces::default();
        pieces.text(&base);
        let mut label = base;
        for part in template.parts() {
            match part {
                crate::expr::Part::Literal(text) => {
                    let text = text.split('#').next().unwrap_or_default();
                    pieces.text(&legal(text));
                    label.push_str(text);
                }
                crate::expr::Part::Slot(expr) => {
                    pieces.piece(Piece::Slot(expr.clone(), Escape::Url));
                    label.push_str("{}");
                }
            }
        }
        let mut separator = if request.url.value.contains('?') { "&" } else { "?" };
        for (name, value) in &request.query {
            let value = self.template(value, Stage::Request)?;
            pieces.text(separator);
            let mut encoded = Vec::new();
            // Everything can be written into a URL.
            let _ = Escape::Url.write(&name.value, &mut encoded);
            pieces.bytes(&encoded);
            pieces.text("=");
            pieces.escaped(&value, Escape::Url);
            separator = "&";
        }
        let label = label.split('?').next().unwrap_or_default();
        Some((pieces.finish(), format!("{} {label}", request.method)))
    }

    pub(super) fn fields(
        &mut self,
        request: &file::Request,
        (base, auth): (&Url, Option<&Auth>),
        content_type: Option<&str>,
    ) -> Vec<Field> {
        let mut given: Vec<Field> = Vec::new();
        let file = self.file;
        for headers in [&file.http.headers, &request.headers] {
            for (name, value) in headers {
                self.field(name, value, &mut given);
            }
        }
        if let Some(auth) = auth {
            self.auth(auth, &mut given);
        }
        let has =
            |given: &[Field], name: &str| given.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        let mut fields: Vec<Field> = default_fields(base, self.frame.compressed)
            .into_iter()
            .filter(|(name, _)| !has(&given, name))
            .map(|(name, value)| (name, vec![Piece::Literal(value.into_bytes().into())]))
            .collect();
        if let Some(content_type) = content_type.filter(|_| !has(&given, "content-type")) {
            fields.push(("Content-Type".to_owned(), vec![Piece::Literal(content_type.as_bytes().into())]));
        }
        fields.extend(given);
        fields
    }

    /// Adds a field, in place of one of the same name.
    fn field(&mut self, name: &file::Name, value: &Text, given: &mut Vec<Field>) {
        if !is_token(&name.value) {
            let mend = "use letters, digits and hyphens";
            return self.fault(
                name.at,
                format!("'{}' cannot be the name of a header", name.value.escape_debug()),
                mend,
            );
        }
        if is_reserved_field(&name.value) {
            let what = format!("the header '{}' is made from the body and the connection", name.value);
            return self.fault(name.at, what, "leave it out");
        }
        let Some(template) = self.header(value) else { return };
        let mut pieces = Pieces::default();
        pieces.template(&template, Escape::Header);
        given.retain(|(known, _)| !known.eq_ignore_ascii_case(&name.value));
        given.push((name.value.clone(), pieces.finish()));
    }

    /// A text of a header; what is known of it can stand there.
    pub(super) fn header(&mut self, text: &Text) -> Option<Template> {
        let template = self.template(text, Stage::Request)?;
        let breaks = |text: &str| text.contains(['\r', '\n', '\0']);
        for part in template.parts() {
            let (what, mend) = match part {
                crate::expr::Part::Literal(text) if breaks(text) => {
                    ("a line break or NUL cannot stand in a header".to_owned(), "leave it out")
                }
                crate::expr::Part::Slot(expr) if expr.constant().is_some_and(|v| breaks(&v.to_string())) => (
                    format!(
                        "the value of `{}` has a line break or NUL, which cannot stand in a header",
                        expr.source()
                    ),
                    "take it out of the value",
                ),
                _ => continue,
            };
            self.fault(text.at, what, mend);
            return None;
        }
        Some(template)
    }

    fn auth(&mut self, auth: &Auth, given: &mut Vec<Field>) {
        let value = match auth {
            Auth::Bearer(token) => Text::new(format!("Bearer {}", token.value), token.at),
            Auth::Basic { user, password } => {
                let Some((of_user, password)) = self.source(user).zip(self.source(password)) else { return };
                Text::new(format!("Basic {{{{ base64({of_user} + \":\" + {password}) }}}}"), user.at)
            }
            // These are made of the whole request.
            Auth::Digest { .. } | Auth::AwsSigV4 { .. } => return,
        };
        self.field(&file::Name::from("Authorization".to_owned()), &value, given);
    }

    /// Credentials that take a look at the whole request.
    pub(super) fn signer(&mut self, auth: &Auth) -> Option<Signer> {
        match auth {
            Auth::Basic { .. } | Auth::Bearer(_) => None,
            Auth::Digest { user, password } => {
                Some(Signer::Digest { user: self.joined(user)?, password: self.joined(password)? })
            }
            Auth::AwsSigV4 { region, service, access_key, secret_key, session_token } => Some(Signer::Aws {
                region: self.joined(region)?,
                service: self.joined(service)?,
                access_key: self.joined(access_key)?,
                secret_key: self.joined(secret_key)?,
                session_token: session_token.as_ref().and_then(|token| self.joined(token)),
            }),
        }
    }

    /// A text with slots as one expression.
    fn joined(&mut self, text: &Text) -> Option<Expr> {
        let source = self.source(text)?;
        Expr::compile(&source, &self.names, Stage::Request)
            .map_err(|error| self.expr_fault(text.at, error))
            .ok()
    }

    /// The same before it is compiled; what is wrong with its slots is told where they stand.
    fn source(&mut self, text: &Text) -> Option<String> {
        self.template(text, Stage::Request)?;
        pieces::source_of(&text.value).map_err(|error| self.expr_fault(text.at, error)).ok()
    }

    fn checks(&mut self, checks: &[file::Check]) -> Vec<Check> {
        let checks = checks.iter().filter_map(|check| {
            let that = self.probe(&check.that, Some(Type::Bool))?;
            Some(Check { name: check.name.clone().unwrap_or_else(|| check.that.value.clone()), that })
        });
        checks.collect()
    }

    fn saves(&mut self, saves: &Entries<file::Expr>) -> Vec<(u16, Probe)> {
        let mut compiled = Vec::new();
        for (name, source) in saves {
            if crate::expr::is_reserved(&name.value) {
                let what = format!("'{}' means something else in expressions", name.value);
                self.fault(name.at, what, "name it otherwise");
            }
            let variable = self.names.add_variable(&name.value);
            compiled.extend(self.probe(source, None).map(|probe| (variable, probe)));
        }
        compiled
    }

    fn probe(&mut self, source: &file::Expr, wanted: Option<Type>) -> Option<Probe> {
        let expr: Expr = self.expr(source, Stage::Response, wanted)?;
        let compiled: Result<Vec<_>, _> =
            expr.needs().json.iter().map(|path| JsonPath::compile(path)).collect();
        match compiled {
            Ok(paths) => Some(Probe { expr, paths }),
            Err(why) => {
                self.fault(
                    source.at,
                    format!("a JSON path is wrong: {why}"),
                    "write one such as $.items[0].id",
                );
                None
            }
        }
    }

    pub(super) fn template(&mut self, text: &Text, stage: Stage) -> Option<Template> {
        Template::compile(&text.value, &self.names, stage)
            .map_err(|error| self.expr_fault(text.at, error))
            .ok()
    }

    /// The index of the request's label, which requests of the same name share.
    fn label(&mut self, request: &file::Request, of_target: String, tags: Vec<String>) -> u16 {
        self.named(request.name.clone().unwrap_or(of_target), tags)
    }

    /// The index of a label, which from now on has these tags too.
    pub(super) fn named(&mut self, label: String, tags: Vec<String>) -> u16 {
        let known: HashMap<_, _> = self.labels.iter().zip(0usize..).collect();
        let index = known.get(&label).copied().unwrap_or_else(|| {
            self.labels.push(label);
            self.tags.push(Vec::new());
            self.labels.len() - 1
        });
        let all = &mut self.tags[index];
        tags.into_iter().for_each(|tag| {
            if !all.contains(&tag) {
                all.push(tag);
            }
        });
        u16::try_from(index).unwrap_or(u16::MAX)
    }

    pub(super) fn draft(
        &self,
        (method, base): (&str, &Url),
        target: Vec<Piece>,
        fields: Vec<Field>,
        body: Vec<Piece>,
        has_body: bool,
    ) -> Draft {
        let scheme = base.scheme().as_bytes();
        let one = |bytes: &[u8]| vec![Piece::Literal(bytes.into())];
        if self.frame.multiplexed {
            let host = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
            let authority = host.map_or_else(|| one(authority(base).as_bytes()), |(_, value)| value.clone());
            let mut list = vec![
                (":method".to_owned(), one(method.as_bytes())),
                (":scheme".to_owned(), one(scheme)),
                (":authority".to_owned(), authority),
                (":path".to_owned(), target),
            ];
            let regular = fields.into_iter().filter(|(name, _)| !name.eq_ignore_ascii_case("host"));
            list.extend(regular.map(|(name, value)| (name.to_ascii_lowercase(), value)));
            return Draft { head: Vec::new(), fields: list, body, has_body, signer: None };
        }
        let mut head = Pieces::default();
        head.text(method);
        head.text(" ");
        head.append(target);
        head.text(" HTTP/1.1\r\n");
        for (name, value) in fields {
            head.text(&name);
            head.text(": ");
            head.append(value);
            head.text("\r\n");
        }
        if self.frame.closes {
            head.text("Connection: close\r\n");
        }
        Draft { head: head.finish(), fields: Vec::new(), body, has_body, signer: None }
    }

    /// The request of a draft, and whether nothing of it is filled in.
    fn made(&self, method: &str, name: &str, draft: &Draft) -> (Request, bool) {
        let (mut head, head_fixed) = pieces::fixed(&draft.head);
        let (body, body_fixed) = pieces::fixed(&draft.body);
        let mut is_fixed = head_fixed && body_fixed && draft.signer.is_none();
        if draft.has_body {
            head.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
        }
        head.extend_from_slice(b"\r\n");
        let mut fields = Vec::new();
        for (name, value) in &draft.fields {
            let (value, fixed) = pieces::fixed(value);
            is_fixed &= fixed;
            fields.push((name.clone(), String::from_utf8_lossy(&value).into_owned()));
        }
        if draft.has_body {
            fields.push(("content-length".to_owned(), body.len().to_string()));
        }
        let multiplexed = self.frame.multiplexed;
        let head_len = head.len();
        let wire = if multiplexed { Vec::new() } else { [&head[..], &body].concat() };
        let request = Request {
            name: name.to_owned(),
            method: method.to_owned(),
            wire: wire.into(),
            head_len: if multiplexed { 0 } else { head_len },
            fields: if multiplexed { fields } else { Vec::new() },
            body: if multiplexed { body.into() } else { Arc::from([]) },
            expects_continue: false,
        };
        (request, is_fixed)
    }

    /// A secret would leave this host without TLS.
    fn shows_secrets(&self, draft: &Draft, target: &Url) -> bool {
        let is_here = match target.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => true,
        };
        let is_secret = |piece: &Piece| match piece {
            Piece::Literal(_) => false,
            Piece::Slot(expr, _) | Piece::Json(expr) => self.names.may_be_secret(expr),
        };
        let of_fields = draft.fields.iter().flat_map(|(_, value)| value);
        let mut pieces = draft.head.iter().chain(&draft.body).chain(of_fields);
        target.scheme() == "http" && !is_here && !self.frame.secrets_in_clear && pieces.any(is_secret)
    }

    fn body(&mut self, request: &file::Request) -> Option<body::Content> {
        request.body.as_ref().and_then(|body| self.content(body))
    }
}

/// What follows a target's own origin in an absolute URL.
fn within<'u>(url: &'u str, target: &Url) -> Option<&'u str> {
    let rest = url.strip_prefix(&target.origin().ascii_serialization())?;
    rest.starts_with('/').then_some(rest)
}

/// Where a request goes, without its query.
fn url_of(request: &Request, base: &Url) -> String {
    let mut url = base.clone();
    let of_head = request.wire.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    let of_fields = request.fields.iter().find(|(name, _)| name == ":path");
    let target =
        of_fields.map_or_else(|| String::from_utf8_lossy(of_head).into_owned(), |(_, path)| path.clone());
    url.set_path(target.split('?').next().unwrap_or_default());
    url.set_query(None);
    url.to_string()
}

/// Does an expression mention the status?
fn speaks_of_status(source: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let mut outside = String::new();
    let mut quote = None;
    for character in source.chars() {
        match quote {
            Some(open) if character == open => quote = None,
            Some(_) => {}
            None if matches!(character, '"' | '\'') => quote = Some(character),
            None => outside.push(character),
        }
    }
    outside.split(|c: char| !is_word(c)).any(|word| word == "status")
}

/// A literal part of a URL, with what cannot stand there percent-encoded (RFC 3986 section 2).
fn legal(text: &str) -> String {
    const ILLEGAL: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS
        .add(b' ')
        .add(b'"')
        .add(b'<')
        .add(b'>')
        .add(b'\\')
        .add(b'^')
        .add(b'`')
        .add(b'{')
        .add(b'|')
        .add(b'}');
    percent_encoding::utf8_percent_encode(text, ILLEGAL).to_string()
}
