//! How many users run for how long: `LoadTestShape` with stages, or what Locust would be told when it is
//! started.

use super::super::python::{Class, StatementKind};
use super::module::{attribute, method};
use super::task::Translator;
use super::users::User;
use super::value::Value;
use crate::scenario::file::{Iterations, Load, Located, Phase, PhaseShape, Place};
use crate::units::Nanos;

/// Locust has no load of its own.
const DEFAULT: Nanos = Nanos::from_secs(60);
/// A month, and more users than a host can have: what is past them is no stage.
const SECONDS_MAX: f64 = 2_678_400.0;
const USERS_MAX: i64 = 10_000_000;

#[derive(Copy, Clone)]
struct Stage {
    /// How long it lasts.
    seconds: f64,
    users: u32,
    /// Users a second.
    rate: f64,
}

impl<'s> Translator<'s> {
    /// One load for all users, or one for each class.
    pub(super) fn loads(&mut self, users: &[User], shape: Option<(Place, &'s Class)>) -> Vec<(String, Load)> {
        let stages = shape.and_then(|(at, shape)| self.stages(at, shape));
        if stages.is_none() {
            let text =
                "Locust is told the load when it is started; here it is 1 user (or what weights say) for 1m";
            self.note(Place { line: 1, column: 1 }, text);
        }
        let total: u64 = users.iter().map(|user| u64::from(user.weight)).sum();
        let load = |user: &User| {
            let share = |count: u32| match user.fixed_count {
                Some(fixed) => fixed,
                None => {
                    let part = u64::from(count) * u64::from(user.weight) / total.max(1);
                    u32::try_from(part).unwrap_or(u32::MAX).max(1)
                }
            };
            let alone = if users.len() == 1 { 1 } else { user.weight.max(1) };
            let phases = match &stages {
                _ if user.stops => vec![closed(user.fixed_count.unwrap_or(alone), None)],
                Some(stages) => phases(stages, share),
                None => vec![closed(user.fixed_count.unwrap_or(alone), Some(DEFAULT))],
            };
            let flows = if users.len() == 1 {
                Vec::new()
            } else {
                user.flows.iter().map(|(name, _)| name.clone()).collect()
            };
            (user.name.clone(), Load { flows, phases, ..Load::default() })
        };
        users.iter().filter(|user| !user.flows.is_empty()).map(load).collect()
    }

    fn stages(&mut self, at: Place, shape: &'s Class) -> Option<Vec<Stage>> {
        let lineage = self.module.lineage(shape);
        let value = attribute(&lineage, "stages").map(|stages| self.eval(stages));
        let Some(Value::List(items)) = value else {
            self.note(at, format!("the shape {} is left out: only a list of stages can be read", shape.name));
            return None;
        };
        // Durations count from the beginning, unless each stage takes its own off the time.
        let each = method(&lineage, "tick").is_some_and(|tick| {
            tick.body.iter().any(|statement| match &statement.kind {
                StatementKind::For { body, .. } => body
                    .iter()
                    .any(|inner| matches!(inner.kind, StatementKind::Assign { operator: Some("-"), .. })),
                _ => false,
            })
        });
        let mut stages = Vec::new();
        let mut before = 0.0;
        for item in items {
            let Some((stage, extra)) = stage(&item) else {
                self.note(
                    at,
                    format!("the shape {} is left out: a stage has no duration and users", shape.name),
                );
                return None;
            };
            if extra {
                self.note(
                    at,
                    "user_classes and the like of stages are left out: all flows run in all stages",
                );
            }
            let seconds = if each { stage.seconds } else { stage.seconds - before };
            before = stage.seconds;
            if seconds > 0.0 {
                stages.push(Stage { seconds, ..stage });
            }
        }
        (!stages.is_empty()).then_some(stages)
    }
}

/// A stage, and whether it says more than is understood.
fn stage(item: &Value) -> Option<(Stage, bool)> {
    let Value::Dict(entries) = item else { return None };
    let number = |name: &str| {
        entries.iter().find(|(key, _)| key == name).and_then(|(_, value)| match value {
            Value::Int(number) => Some(*number as f64),
            Value::Float(number) => Some(*number),
            _ => None,
        })
    };
    let seconds = number("duration").filter(|seconds| (0.0..=SECONDS_MAX).contains(seconds))?;
    let users = entries.iter().find(|(key, _)| key == "users").and_then(|(_, value)| match value {
        Value::Int(number) if (0..=USERS_MAX).contains(number) => u32::try_from(*number).ok(),
        _ => None,
    })?;
    let rate = number("spawn_rate").filter(|rate| *rate > 0.0).unwrap_or(f64::INFINITY);
    let extra = entries.iter().any(|(key, _)| !["duration", "users", "spawn_rate"].contains(&key.as_str()));
    Some((Stage { seconds, users, rate }, extra))
}

/// Each stage is a way to its users at its rate, and the rest of its time with them.
fn phases(stages: &[Stage], share: impl Fn(u32) -> u32) -> Vec<Located<Phase>> {
    let mut phases = Vec::new();
    let mut users = 0u32;
    for stage in stages {
        let way = f64::from(users.abs_diff(stage.users)) / stage.rate;
        let reached = if way <= stage.seconds {
            stage.users
        } else {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "less than the way in users"
            )]
            let steps = (stage.seconds * stage.rate) as u32;
            if stage.users > users { users + steps } else { users - steps }
        };
        let ramp = nanos(way.min(stage.seconds));
        let hold = nanos((stage.seconds - way).max(0.0));
        for (from, to, duration) in [(users, reached, ramp), (reached, reached, hold)] {
            let from = if from == 0 { 0 } else { share(from) };
            if duration > Nanos::ZERO {
                let shape =
                    PhaseShape::Closed { from, to: share(to), duration: Some(duration), iterations: None };
                phases.push(Phase { shape, warmup: false }.into());
            }
        }
        users = reached;
    }
    phases
}

fn closed(users: u32, duration: Option<Nanos>) -> Located<Phase> {
    let iterations = duration.is_none().then_some(Iterations::PerUser(1));
    Phase { shape: PhaseShape::Closed { from: users, to: users, duration, iterations }, warmup: false }.into()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at most a month, and not negative"
)]
fn nanos(seconds: f64) -> Nanos {
    Nanos::from_micros((seconds * 1e6).round() as u64)
}
