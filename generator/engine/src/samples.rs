//! Samples of failures, kept where one fails and nowhere else.

use brunt_model::outcome::{ErrorKind, Outcome};
use brunt_model::samples::{ANSWER_KEPT, Observed, WHAT_MAX, beginning, has_room};
use brunt_model::units::Nanos;

use crate::clock::Clock;
use crate::core_loop::CoreLoop;
use crate::io::{Driver, connect_error};
use crate::lane::{LaneId, Phase};

/// What was not as it should be of the last answer that was judged.
#[derive(Copy, Clone, Default, Debug)]
pub(crate) enum Note {
    #[default]
    Nothing,
    /// This check of the call failed first.
    Check(usize),
    /// This value of the call was not found.
    Save(usize),
}

#[derive(Default)]
pub(crate) struct Samples {
    pub(crate) all: Vec<Observed>,
    pub(crate) note: Note,
    /// Did each check hold on the last answer that was judged?
    pub(crate) checks: Vec<bool>,
    /// The endpoint of the last connect that failed.
    pub(crate) refused_by: usize,
}

impl<D: Driver, C: Clock> CoreLoop<D, C> {
    /// A lane's request ends, and somebody looks at it.
    #[cold]
    pub(crate) fn look_at_end(&mut self, id: LaneId, outcome: Outcome, now: u64) {
        self.trace_end(id, (outcome.status(), outcome.error()), false, now);
        let note = std::mem::take(&mut self.samples.note);
        let (lane, Some(kind)) = (self.lanes.at(id), outcome.error()) else { return };
        let Some(job) = lane.job else { return };
        let name = self.call(lane.request).name;
        if self.is_wanted(name, kind, job.intended) {
            let (what, answer) = self.observed(id, kind, note, now);
            self.keep(Observed { name, kind, status: outcome.status(), what, answer });
        }
    }

    /// A request was never sent.
    #[cold]
    pub(crate) fn observe_unsent(&mut self, name: usize, kind: ErrorKind, intended: u64) {
        let name = u16::try_from(name).unwrap_or(u16::MAX);
        if self.is_wanted(name, kind, intended) {
            let what = self.why_unsent(kind);
            self.keep(Observed { name, kind, status: None, what, answer: None });
        }
    }

    fn is_wanted(&self, name: u16, kind: ErrorKind, intended: u64) -> bool {
        self.recorder.is_measured(intended) && has_room(&self.samples.all, name, kind)
    }

    fn keep(&mut self, mut observed: Observed) {
        observed.what.truncate(beginning(&observed.what, WHAT_MAX).len());
        self.samples.all.push(observed);
    }

    /// What was observed, in words and as the beginning of the answer.
    fn observed(&self, id: LaneId, kind: ErrorKind, note: Note, now: u64) -> (String, Option<Vec<u8>>) {
        let lane = self.lanes.at(id);
        let (call, script) = (self.call(lane.request), &self.settings.plan.script);
        let link = &self.conns[self.lanes.conn(id).index()].link;
        let kept = |bytes: &[u8]| Some(bytes[..bytes.len().min(ANSWER_KEPT)].to_vec());
        match (kind, note) {
            (ErrorKind::CheckFailed, Note::Check(check)) => {
                (call.checks.get(check).map_or_else(String::new, |check| check.name.clone()), None)
            }
            (ErrorKind::ExtractFailed, Note::Save(save)) => {
                let save = call.saves.get(save);
                let words = save.map(|(variable, probe)| {
                    let variable = script.variables.get(usize::from(*variable)).map_or("", String::as_str);
                    format!("nothing was found for '{variable}': {}", probe.expr.source())
                });
                (words.unwrap_or_default(), None)
            }
            (ErrorKind::Status, _) => {
                let body = link.kept(self.lanes.within(id)).body;
                let is_known = !body.is_empty() || self.context.keeps_errors();
                ("answered".to_owned(), if is_known { kept(body) } else { None })
            }
            (ErrorKind::RedirectRefused, _) => {
                ("redirected to".to_owned(), kept(link.location(self.lanes.within(id))))
            }
            _ if lane.phase == Phase::Sent => {
                let after = Nanos(now.saturating_sub(lane.sent));
                (format!("{} bytes of the answer came within {after}", lane.bytes_in), None)
            }
            _ => (self.why_unsent(kind), None),
        }
    }

    /// Why a request was not sent: for want of a connection, with its address and the system's words, or something else.
    fn why_unsent(&self, kind: ErrorKind) -> String {
        use ErrorKind as E;
        let errno = self.driver.connect_errno();
        let words = if errno != 0 && connect_error(errno) == kind {
            std::io::Error::from_raw_os_error(errno).to_string()
        } else {
            kind.explanation().to_owned()
        };
        match (kind, self.settings.plan.endpoints.get(self.samples.refused_by)) {
            (E::ExtractFailed, _) => "not sent: a value in it is missing or cannot stand there".to_owned(),
            (E::TimeoutTotal | E::DataExhausted | E::ZeroWindow, _) | (_, None) => words,
            (_, Some(endpoint)) => format!("{endpoint}: {words}"),
        }
    }
}
