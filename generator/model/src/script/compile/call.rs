//! A step's request to a call: its head and body in pieces, its checks, and what is saved of its answer.

use std::collections::HashMap;
use std::sync::Arc;

use super::pieces::{self, Pieces};
use super::{Compiler, body};
use crate::expr::{Escape, Expr, Stage, Template, Type};
use crate::extract::JsonPath;
use crate::request::{REQUEST_HEAD_MAX, Request, authority, default_fields, is_reserved_field, is_token};
use crate::scenario::file::{self, Auth, Entries, Place, Text};
use crate::script::CALLS_MAX;
use crate::script::call::{Call, Check, Draft, Piece, Probe, Signer};

/// A header field on its way.
type Field = (String, Vec<Piece>);

impl Compiler<'_> {
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
        self.refuse_left_out(request, at);
        let before = self.faults.len();
        let target = self.target(request);
        let body = self.body(request);
        let fields = self.fields(request, body.as_ref().and_then(|body| body.content_type.as_deref()));
        let signer = self.signer(request);
        let checks = self.checks(&request.check);
        let saves = self.saves(&request.save);
        if self.faults.len() > before {
            return None;
        }
        let (target, label) = target?;
        let name = self.label(request, label, tags);
        let body = body.unwrap_or_default();
        let has_body = !body.pieces.is_empty() || matches!(request.method.as_str(), "POST" | "PUT" | "PATCH");
        let draft = Draft { signer, ..self.draft(&request.method, target, fields, body.pieces, has_body) };
        let made = self.made(&request.method, &self.labels[usize::from(name)], &draft);
        if made.0.head_len > REQUEST_HEAD_MAX {
            self.fault(
                at,
                format!("the request's head has more than {REQUEST_HEAD_MAX} bytes"),
                "shorten it",
            );
        }
        if self.shows_secrets(&draft) {
            let mend = "use https://, or allow it with --secrets-in-clear";
            self.fault(at, "a secret would go over the network in clear text", mend);
        }
        let url = self.url_of(&made.0);
        let judges_status = checks.iter().any(|check| speaks_of_status(check.that.expr.source()));
        self.calls.push(Call {
            name,
            url,
            request: made.0,
            draft: (!made.1).then_some(draft),
            total: request.total_timeout,
            redirects: request.redirects.or(self.frame.redirects).filter(|redirects| *redirects > 0),
            ok_status: request.ok_status.clone(),
            judges_status,
            checks,
            saves,
        });
        u16::try_from(self.calls.len() - 1).ok()
    }

    /// What files can say of a request and runs cannot do.
    fn refuse_left_out(&mut self, request: &file::Request, at: Place) {
        for (is_there, what) in [(request.target.is_some(), "a second target")] {
            if is_there {
                self.fault(at, format!("{what} cannot be had yet"), "set it under `http:` for all");
            }
        }
    }

    /// The request target in pieces, and the label that it gives.
    fn target(&mut self, request: &file::Request) -> Option<(Vec<Piece>, String)> {
        let url = self.template(&request.url, Stage::Request)?;
        let base = self.frame.target.path().trim_end_matches('/').to_owned();
        let mut written = request.url.value.as_str();
        if let Some(rest) = self.within_target(written) {
            written = rest;
        }
        if !written.starts_with('/') {
            let what = format!("'{}' does not begin with '/'", request.url.value);
            let origin = self.frame.target.origin().ascii_serialization();
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

    /// What follows the target's own origin in an absolute URL.
    fn within_target<'u>(&self, url: &'u str) -> Option<&'u str> {
        let rest = url.strip_prefix(&self.frame.target.origin().ascii_serialization())?;
        rest.starts_with('/').then_some(rest)
    }

    fn fields(&mut self, request: &file::Request, content_type: Option<&str>) -> Vec<Field> {
        let mut given: Vec<Field> = Vec::new();
        let file = self.file;
        for headers in [&file.http.headers, &request.headers] {
            for (name, value) in headers {
                self.field(name, value, &mut given);
            }
        }
        if let Some(auth) = request.auth.as_ref().or(file.http.auth.as_ref()) {
            self.auth(&auth.value, &mut given);
        }
        let has =
            |given: &[Field], name: &str| given.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        let mut fields: Vec<Field> = default_fields(self.frame.target, self.frame.compressed)
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
    fn signer(&mut self, request: &file::Request) -> Option<Signer> {
        let file = self.file;
        let auth = request.auth.as_ref().or(file.http.auth.as_ref())?;
        match &auth.value {
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
        let label = request.name.clone().unwrap_or(of_target);
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

    fn draft(
        &self,
        method: &str,
        target: Vec<Piece>,
        fields: Vec<Field>,
        body: Vec<Piece>,
        has_body: bool,
    ) -> Draft {
        let scheme = self.frame.target.scheme().as_bytes();
        let one = |bytes: &[u8]| vec![Piece::Literal(bytes.into())];
        if self.frame.multiplexed {
            let host = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
            let authority =
                host.map_or_else(|| one(authority(self.frame.target).as_bytes()), |(_, value)| value.clone());
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
    fn shows_secrets(&self, draft: &Draft) -> bool {
        let target = self.frame.target;
        let is_here = match target.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => true,
        };
        let is_secret = |piece: &Piece| match piece {
            Piece::Literal(_) => false,
            Piece::Slot(expr, _) | Piece::Json(expr) => expr.secrets().next().is_some(),
        };
        let of_fields = draft.fields.iter().flat_map(|(_, value)| value);
        let mut pieces = draft.head.iter().chain(&draft.body).chain(of_fields);
        target.scheme() == "http" && !is_here && !self.frame.secrets_in_clear && pieces.any(is_secret)
    }

    fn url_of(&self, request: &Request) -> String {
        let mut url = self.frame.target.clone();
        let of_head = request.wire.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        let of_fields = request.fields.iter().find(|(name, _)| name == ":path");
        let target =
            of_fields.map_or_else(|| String::from_utf8_lossy(of_head).into_owned(), |(_, path)| path.clone());
        url.set_path(target.split('?').next().unwrap_or_default());
        url.set_query(None);
        url.to_string()
    }

    fn body(&mut self, request: &file::Request) -> Option<body::Content> {
        request.body.as_ref().and_then(|body| self.content(body))
    }
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
