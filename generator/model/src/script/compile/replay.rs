//! Requests of logs to calls, each with a flow of its own: it is the one step of whoever takes it.

use std::collections::BTreeMap;

use super::Compiler;
use super::call::Field;
use crate::replay::{LogRequest, Logged, label};
use crate::scenario::file::{self, PhaseShape};
use crate::script::call::{Call, Draft, Piece, Signer};
use crate::script::{CALLS_MAX, Flow, Op};

/// Names that the requests of all logs have in results together.
const NAMES_MAX: usize = 100;
/// The name of requests that have none of their own.
const OTHER: &str = "other";

/// What a scenario adds to the requests of its logs.
struct Added {
    fields: Vec<Field>,
    signer: Option<Signer>,
}

impl Compiler<'_> {
    /// All that is ever begun is in a log.
    pub(super) fn only_replays(&self) -> bool {
        let replays = |load: &file::Load| {
            load.phases.iter().any(|phase| matches!(phase.value.shape, PhaseShape::Replay { .. }))
        };
        !self.frame.logs.is_empty() && self.file.loads.iter().all(|(_, load)| replays(load))
    }

    /// A flow for each request of the logs, in their order. No draw takes them: their arrivals say which they are.
    pub(super) fn replayed(&mut self) -> Vec<Flow> {
        let logs = self.frame.logs.requests();
        let Some(first) = logs.first() else { return Vec::new() };
        self.refuse_beside(first);
        if self.calls.len() + logs.len() > CALLS_MAX {
            let what = format!("there are more than {CALLS_MAX} requests, those of logs included");
            self.fault(first.at, what, "replay a part of the log");
            return Vec::new();
        }
        let before = self.faults.len();
        let request = file::Request::default();
        let auth = self.file.http.auth.as_ref().map(|auth| &auth.value);
        let added = Added {
            fields: self.fields(&request, (self.frame.target, auth), None),
            signer: auth.and_then(|auth| self.signer(auth)),
        };
        let names = self.names_of(logs);
        let mut flows = Vec::with_capacity(logs.len());
        for (logged, name) in logs.iter().zip(names) {
            if self.faults.len() > before {
                break;
            }
            let call = self.logged(logged, name, &added);
            flows.extend(self.add_call(call).map(|call| Flow {
                name: self.labels[usize::from(name)].clone(),
                weight: 0,
                pacing: None,
                ends_on_error: false,
                steps: vec![Op::Call(call)],
                feeders: Vec::new(),
            }));
        }
        flows
    }

    /// What would make other requests of a log than it has.
    fn refuse_beside(&mut self, first: &Logged) {
        if let Some(step) = self.file.on_start.first().or(self.file.on_stop.first()) {
            self.fault(
                step.at,
                "`on_start` and `on_stop` would be of each request of the log",
                "leave it out",
            );
        }
        if !self.frame.tags.is_empty() {
            self.fault(first.at, "requests of a log have no tags to be asked for", "leave --tags out");
        }
    }

    fn logged(&mut self, logged: &Logged, name: u16, added: &Added) -> Call {
        let request = &*logged.request;
        let base = self.frame.target.path().trim_end_matches('/');
        let literal = |bytes: &[u8]| vec![Piece::Literal(bytes.into())];
        let target = literal(format!("{base}{}", request.path).as_bytes());
        let mut fields: Vec<_> =
            added.fields.iter().filter(|(name, _)| !has(request, name)).cloned().collect();
        let own = request.headers.iter().map(|(name, value)| (name.clone(), literal(value.as_bytes())));
        fields.extend(own);
        let body = if request.body.is_empty() { Vec::new() } else { literal(&request.body) };
        let has_body = !body.is_empty() || matches!(request.method.as_str(), "POST" | "PUT" | "PATCH");
        let signer = added.signer.clone().filter(|_| !has(request, "authorization"));
        let draft = Draft {
            signer,
            ..self.draft((&request.method, self.frame.target), target, fields, body, has_body)
        };
        let redirects = self.frame.redirects.filter(|redirects| *redirects > 0);
        Call { redirects, ..self.finished((&request.method, self.frame.target), name, draft, logged.at) }
    }

    /// The index of each request's label. The labels of the most frequent ones are kept, and have the lowest indices.
    fn names_of(&mut self, logs: &[Logged]) -> Vec<u16> {
        let base = self.frame.target.path().trim_end_matches('/').to_owned();
        let label_of =
            |Logged { request, .. }: &Logged| label(&request.method, &format!("{base}{}", request.path));
        let labels: Vec<_> = logs.iter().map(label_of).collect();
        let mut counts = BTreeMap::new();
        for (label, logged) in labels.iter().zip(logs) {
            *counts.entry(label).or_insert(0) += logged.count;
        }
        let mut most: Vec<_> = counts.into_iter().collect();
        most.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        if most.len() > NAMES_MAX {
            most.truncate(NAMES_MAX - 1);
        }
        let kept: BTreeMap<_, _> =
            most.into_iter().map(|(label, _)| (label, self.named(label.clone(), Vec::new()))).collect();
        let index =
            |label| kept.get(label).copied().unwrap_or_else(|| self.named(OTHER.to_owned(), Vec::new()));
        labels.iter().map(index).collect()
    }
}

fn has(request: &LogRequest, name: &str) -> bool {
    request.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name))
}
