//! What an answer is worth: its status, the checks on it, and what is saved of it.

use brunt_model::cookies::Jar;
use brunt_model::expr::Value;
use brunt_model::outcome::{ErrorKind, Outcome};
use brunt_model::plan::Plan;
use brunt_model::random::Random;
use brunt_model::script::Script;
use brunt_model::script::call::{Call, Probe};
use brunt_model::snapshot::judge;

use crate::clock::Clock;
use crate::conn::Kept;
use crate::conn::h1::Answer;
use crate::core_loop::CoreLoop;
use crate::fill::{Place, path_of_head};
use crate::io::Driver;
use crate::lane::LaneId;
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
        let User { memory, random, .. } = self.users.get(id);
        if plan.script.cookies {
            take_cookies(kept, call, &self.target, &mut memory.cookies);
        }
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
        let failed = check(call, memory, random, at, &view);
        let all = call.checks.len() as u64;
        self.recorder.record_checks(usize::from(call.name), all - failed, failed, intended);
        if failed > 0 {
            return Outcome::Rejected(answer.status, ErrorKind::CheckFailed);
        }
        for (variable, probe) in &call.saves {
            match probed(probe, memory, random, at, &view) {
                Value::Null => return Outcome::Rejected(answer.status, ErrorKind::ExtractFailed),
                value => memory.variables[usize::from(*variable)] = value,
            }
        }
        judge(answer.status, true)
    }
}

/// How many of the checks do not hold.
fn check(call: &Call, memory: &Memory, random: &mut Random, at: At<'_>, view: &AnswerView<'_>) -> u64 {
    let holds =
        |that: &Probe, random: &mut Random| probed(that, memory, random, at, view) == Value::Bool(true);
    call.checks.iter().filter(|check| !holds(&check.that, random)).count() as u64
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

fn take_cookies(kept: Kept<'_>, call: &Call, target: &Place, jar: &mut Jar) {
    let path = path_of_head(&call.request.wire);
    for (name, value) in fields(kept.head) {
        if name.eq_ignore_ascii_case(b"set-cookie") {
            jar.take(value, &target.host, path, target.secure, target.now_s);
        }
    }
}
