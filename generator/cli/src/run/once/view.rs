//! Exchanges as they are shown: without secrets, as text where they are text.

use brunt_model::exchange::{Exchange, KEPT_MAX, Part, SAVED_MAX, Within};
use brunt_model::plan::Protocol;
use brunt_model::units::Nanos;
use brunt_model::verdict::Status;
use serde::Serialize;

use super::Once;

/// Bytes shown of content that is no text.
const HEX_SHOWN: usize = 32;

/// One exchange.
#[derive(Serialize)]
pub(super) struct Shown {
    pub flow: String,
    pub name: String,
    pub request: Option<ShownPart>,
    pub response: Option<ShownPart>,
    pub connect_ns: Option<Nanos>,
    pub tls_ns: Option<Nanos>,
    pub first_byte_ns: Option<Nanos>,
    pub total_ns: Nanos,
    pub status: Option<u16>,
    /// `completed`, `failed`, or `followed` where another exchange belongs to the same request.
    pub outcome: &'static str,
    pub error: Option<&'static str>,
    #[serde(skip)]
    pub explanation: &'static str,
    pub checks: Vec<ShownCheck>,
    pub saved: Vec<ShownValue>,
    /// Exchanges after this one that were not kept.
    pub left_out: u64,
}

/// One side of an exchange.
#[derive(Serialize)]
pub(super) struct ShownPart {
    pub head: Vec<String>,
    /// The beginning of the content, where it is text.
    pub body: Option<String>,
    /// Its first bytes, where it is not.
    pub body_hex: Option<String>,
    pub body_size: u64,
    /// Bytes of it that are not shown as text.
    pub body_left_out: u64,
}

#[derive(Serialize)]
pub(super) struct ShownCheck {
    pub check: String,
    pub passed: bool,
}

#[derive(Serialize)]
pub(super) struct ShownValue {
    pub name: String,
    pub value: String,
}

/// The sum of all exchanges.
#[derive(Serialize)]
pub(super) struct Summary {
    pub requests: u64,
    pub completed: u64,
    pub failed: u64,
    pub flows: u64,
    pub flows_failed: u64,
    /// Their data had no row left, or the run was stopped.
    pub flows_not_begun: u64,
    /// Why the run is not what was asked for.
    pub reasons: Vec<String>,
}

impl Summary {
    pub(super) const fn has_failures(&self) -> bool {
        self.failed > 0 || self.flows_failed > 0 || self.flows_not_begun > 0
    }
}

impl Once<'_> {
    pub(super) fn summary(&self) -> Summary {
        let (totals, verdict) = (&self.report.totals, &self.report.verdict);
        let flows = self.plan.script.flows.len() as u64;
        let is_ours = matches!(verdict.status, Status::Error | Status::Refused | Status::Stopped);
        Summary {
            requests: totals.started,
            completed: totals.completed,
            failed: totals.failed,
            flows,
            flows_failed: totals.failed_arrivals,
            flows_not_begun: flows.saturating_sub(totals.scheduled),
            reasons: if is_ours { verdict.reasons.clone() } else { Vec::new() },
        }
    }

    pub(super) fn shown(&self, exchange: &Exchange) -> Shown {
        let (script, e) = (&self.plan.script, exchange);
        let call = &script.calls[usize::from(e.call)];
        let checks = call.checks.iter().zip(&e.checks);
        let checks = checks.map(|(check, &passed)| ShownCheck { check: check.name.clone(), passed });
        let saved = e.saved.iter().map(|(variable, value)| ShownValue {
            name: script.variables[usize::from(*variable)].clone(),
            value: self.text(value.as_bytes(), value.len() >= SAVED_MAX - 3),
        });
        Shown {
            flow: match e.within {
                Within::OnStart => "on_start".to_owned(),
                Within::Flow(flow) => script.flows[usize::from(flow)].name.clone(),
                Within::OnStop => "on_stop".to_owned(),
            },
            name: script.names[usize::from(call.name)].clone(),
            request: e.request.as_ref().map(|part| self.part(part, false)),
            response: e.response.as_ref().map(|part| self.answer(part, e.status)),
            connect_ns: e.connect,
            tls_ns: e.tls,
            first_byte_ns: e.first_byte,
            total_ns: e.total,
            status: e.status,
            outcome: match e.error {
                Some(_) => "failed",
                None if e.goes_on => "followed",
                None => "completed",
            },
            error: e.error.map(|kind| kind.name()),
            explanation: e.error.map_or("", |kind| kind.explanation()),
            checks: checks.collect(),
            saved: saved.collect(),
            left_out: e.left_out,
        }
    }

    fn answer(&self, part: &Part, status: Option<u16>) -> ShownPart {
        // Without a status the answer did not end.
        let mut shown = self.part(part, status.is_none());
        if let (Some(status), Protocol::Http2 { .. }) = (status, self.plan.protocol) {
            // In place of the pseudo-header field that says the same (RFC 9113 section 8.3.2).
            shown.head.retain(|line| !line.starts_with(":status:"));
            shown.head.insert(0, format!("HTTP/2 {status}"));
        }
        shown
    }

    fn part(&self, part: &Part, is_cut: bool) -> ShownPart {
        let head = self.redactor.head(&part.head, is_cut || part.head.len() >= KEPT_MAX);
        let head = String::from_utf8_lossy(&head).into_owned();
        let lines = head.split('\n').map(|line| line.trim_end_matches('\r').to_owned());
        let kept = part.body.len() as u64;
        let is_cut = is_cut || kept < part.body_size;
        let is_text = match std::str::from_utf8(&part.body) {
            Ok(_) => true,
            Err(error) => is_cut && error.error_len().is_none(),
        };
        let body = self.redactor.bytes(&part.body, is_cut);
        ShownPart {
            head: lines.filter(|line| !line.is_empty()).collect(),
            body: is_text.then(|| String::from_utf8_lossy(&body).into_owned()),
            body_hex: (!is_text).then(|| hex(&body)),
            body_size: part.body_size,
            body_left_out: if is_text { part.body_size.saturating_sub(kept) } else { part.body_size },
        }
    }

    fn text(&self, bytes: &[u8], is_cut: bool) -> String {
        String::from_utf8_lossy(&self.redactor.bytes(bytes, is_cut)).into_owned()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(HEX_SHOWN).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}
