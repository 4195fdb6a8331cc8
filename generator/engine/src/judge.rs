//! What an answer is worth: its status, the checks on it, and what is saved of it.

use brunt_model::auth::digest::Challenge;
use brunt_model::cookies::Jar;
use brunt_model::expr::Value;
use brunt_model::outcome::{ErrorKind, Outcome};
use brunt_model::plan::Plan;
use brunt_model::random::Random;
use brunt_model::script::Script;
use brunt_model::script::call::{Call, Probe};
use brunt_model::snapshot::judge;

use crate::clock::Clock;
use crate::conn::h1::Answer;
use crate::core_loop::CoreLoop;
use crate::fill::{Challenged, as_request, path_of_head, path_sent};
use crate::io::Driver;
use crate::lane::{Detour, LaneId};
use crate::samples::Note;
use crate::sight::{AnswerView, Data, Memory, View, fields};
use crate::users::User;

/// What probes see beside the answer and the user.
#[derive(Copy, Clone)]
struct At<'a> {
    data: &'a Data,
    script: &'a Script,
    now: u64,
}

/// Does a whole answer with this status count as completed?
fn accepts(plan: &Plan, call: &Call, status: u16) -> bool {
    if call.judges_status {
        return true;
    }
    match &call.ok_status[..] {
        [] => plan.accepts(status),
        ranges => ranges.iter().any(|range| (range.from..=range.to).contains(&status)),
    }
}

impl<D: Driver, C: Clock> CoreLoop<D, C> {
    /// Judges the answer to a lane's request, and takes from it what its user keeps.
    #[inline]
    pub(crate) fn judged(&mut self, id: LaneId, answer: Answer, now: u64) -> Outcome {
        let plan = &self.settings.plan;
        if self.settings.single {
            return judge(answer.status, plan.accepts(answer.status));
        }
        let lane = self.lanes.at(id);
        let call = &plan.script.calls[usize::from(lane.request)];
        let (kept, job) =
            (self.conns[self.lanes.conn(id).index()].link.kept(self.lanes.within(id)), lane.job);
        let User { memory, random, .. } = self.users.get(self.lanes.home(id));
        let accepted = accepts(plan, call, answer.status);
        if !accepted || !call.looks_at_answer() {
            return judge(answer.status, accepted);
        }
        let intended = job.map_or(now, |job| job.intended);
        let view = AnswerView {
            status: answer.status,
            kept,
            cookies: &Jar::default(),
            paths: &[],
            response_ns: now.saturating_sub(intended),
            first_byte_ns: lane.first_byte.saturating_sub(lane.sent),
        };
        let at = At { data: &self.data, script: &plan.script, now };
        check(call, memory, random, at, &view, &mut self.samples.checks);
        let checks = &self.samples.checks;
        let failed = checks.iter().filter(|holds| !**holds).count() as u64;
        let all = call.checks.len() as u64;
        self.recorder.record_checks(usize::from(call.name), all - failed, failed, intended);
        if let Some(first) = checks.iter().position(|holds| !holds) {
            self.samples.note = Note::Check(first);
            return Outcome::Rejected(answer.status, ErrorKind::CheckFailed);
        }
        for (number, (variable, probe)) in call.saves.iter().enumerate() {
            let value = probed(probe, memory, random, at, &view);
            if value == Value::Null {
                self.samples.note = Note::Save(number);
                return Outcome::Rejected(answer.status, ErrorKind::ExtractFailed);
            }
            if let Some(trace) = &mut self.trace {
                trace.save(*variable, &value);
            }
            memory.variables[usize::from(*variable)] = value;
        }
        judge(answer.status, true)
    }
}

impl<D: Driver, C: Clock> CoreLoop<D, C> {
    /// Takes what an answer says to its user's browser, so to say: cookies.
    pub(crate) fn take_cookies(&mut self, id: LaneId) {
        let script = &self.settings.plan.script;
        if self.settings.single || !script.cookies {
            return;
        }
        let lane = self.lanes.at(id);
        let kept = self.conns[self.lanes.conn(id).index()].link.kept(self.lanes.within(id));
        let path = lane.sent_own().map_or_else(
            || path_of_head(&script.calls[usize::from(lane.request)].request.wire).to_owned(),
            path_sent,
        );
        let place = &self.places[self.lanes.target(self.lanes.conn(id))];
        let jar = &mut self.users.get(self.lanes.home(id)).memory.cookies;
        for (name, value) in fields(kept.head) {
            if name.eq_ignore_ascii_case(b"set-cookie") {
                jar.take(value, &place.host, &path, place.secure, place.now_s);
            }
        }
    }

    /// A server that asks who it is is told, once a request and place: true where the request goes out again.
    pub(crate) fn answers_challenge(&mut self, id: LaneId, answer: Answer, now: u64) -> bool {
        let lane = self.lanes.at(id);
        let has_answered = lane.detour.as_ref().is_some_and(|detour| detour.answers);
        if self.settings.single || answer.status != 401 || has_answered {
            return false;
        }
        let call = self.call(lane.request);
        if !call.answers_challenges() {
            return false;
        }
        let kept = self.conns[self.lanes.conn(id).index()].link.kept(self.lanes.within(id));
        let asked = fields(kept.head).filter(|(name, _)| name.eq_ignore_ascii_case(b"www-authenticate"));
        let Some(challenge) = Challenge::choose(asked.map(|(_, value)| value)) else { return false };
        let (sent, url, hops) = match (&lane.detour, &lane.own) {
            (Some(detour), _) => (&detour.request, detour.url.clone(), detour.hops),
            (None, Some(own)) => (&**own, call.url_at(&path_sent(own)), 0),
            (None, None) => return false,
        };
        let sent = as_request(sent, &call.request);
        let User { memory, random, .. } = self.users.get(self.lanes.home(id));
        let cnonce = format!("{:016x}", random.next());
        memory.challenged = Some(Box::new(Challenged { challenge, cnonce, count: 0 }));
        let Ok(request) = self.fill_again(id, &sent, now) else { return false };
        self.trace_end(id, (Some(answer.status), None), true, now);
        self.lanes.get(id).own = None;
        self.send_on(id, Detour { request, url, hops, answers: true }, answer, now);
        true
    }
}

/// Which of the checks hold.
fn check(
    call: &Call,
    memory: &Memory,
    random: &mut Random,
    at: At<'_>,
    view: &AnswerView<'_>,
    holds: &mut Vec<bool>,
) {
    holds.clear();
    let results = call.checks.iter().map(|check| probed(&check.that, memory, random, at, view));
    holds.extend(results.map(|result| result == Value::Bool(true)));
}

fn probed(
    probe: &Probe,
    memory: &Memory,
    random: &mut Random,
    At { data, script, now }: At<'_>,
    view: &AnswerView<'_>,
) -> Value {
    let view = AnswerView { cookies: &memory.cookies, paths: &probe.paths, ..*view };
    probe.expr.evaluate(&View { memory, data, script, now, answer: Some(&view) }, random)
}
