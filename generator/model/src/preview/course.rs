//! A load over time.

use super::{Estimate, LoadPreview, WorkloadModel};
use crate::plan::{ClosedShape, Load};
use crate::schedule::Schedule;
use crate::units::{NANOS_PER_SECOND, Nanos, Rate};
use crate::users::Users;

/// Instants at which each step is looked at, so that short peaks are seen.
const LOOKS: u64 = 16;

pub(super) fn load(name: &str, load: &Load, each: u32, steps: usize) -> LoadPreview {
    let all = load.max_connections().saturating_mul(each);
    let shared = |peak: f64, course_ns: Nanos, course: Vec<f64>| LoadPreview {
        name: name.to_owned(),
        model: WorkloadModel::Closed,
        words: String::new(),
        duration_ns: load.duration(),
        peak,
        course,
        course_ns,
        arrivals: None,
        iterations: None,
        warm_connections: load.max_connections(),
        max_connections: all,
        connections_each: each,
        max_backlog: None,
    };
    let mut preview = match load {
        Load::Closed { connections, requests, duration, shape } => {
            let per_user = shape.as_ref().and_then(|shape| shape.per_user);
            let by_users = per_user.map(|each| each.saturating_mul(u64::from(*connections)));
            let end = duration.unwrap_or_else(|| shape.as_ref().map_or(Nanos::ZERO, settled));
            let users = |time| shape.as_ref().map_or(*connections, |shape| shape.users.active_at(time));
            LoadPreview {
                iterations: requests.iter().chain(&by_users).min().copied(),
                ..shared(f64::from(*connections), end, sampled(end, steps, |time| f64::from(users(time))))
            }
        }
        Load::Open { schedule, warm_connections, max_backlog, .. } => {
            let (slots, end) = schedule.expected();
            let rate = |time| schedule.rate_at(time).as_per_second();
            LoadPreview {
                model: WorkloadModel::Open,
                arrivals: Some(Estimate { value: slots as f64, about: schedule.is_random() }),
                warm_connections: *warm_connections,
                max_backlog: Some(*max_backlog),
                ..shared(schedule.peak().as_per_second(), end, sampled(end, steps, rate))
            }
        }
        // Each is looked at for itself.
        Load::Several(_) => shared(0.0, Nanos::ZERO, Vec::new()),
    };
    preview.words = words(load, &preview.course);
    preview
}

/// From when on the number of users stays, and a third more to show that it does.
fn settled(shape: &ClosedShape) -> Nanos {
    let last = |users: &Users| users.stretches(users.max_users().checked_sub(1)?).last();
    let begin = last(&shape.users).map_or(Nanos::ZERO, |(begin, _)| begin);
    Nanos(begin.0.saturating_add(begin.0 / 3))
}

/// The most of each step.
fn sampled(end: Nanos, steps: usize, value: impl Fn(Nanos) -> f64) -> Vec<f64> {
    let looks = steps as u64 * LOOKS;
    let at = |look: u64| Nanos(scaled(end.0, look, looks.max(1)));
    let step = |step: u64| (step * LOOKS..(step + 1) * LOOKS).map(|look| value(at(look))).fold(0.0, f64::max);
    (0..steps as u64).map(step).collect()
}

fn scaled(whole: u64, numerator: u64, denominator: u64) -> u64 {
    let part = u128::from(whole) * u128::from(numerator) / u128::from(denominator);
    u64::try_from(part).unwrap_or(u64::MAX)
}

/// The load in a few words.
fn words(load: &Load, course: &[f64]) -> String {
    let most = course.iter().copied().fold(0.0, f64::max);
    let up_to = if course.iter().all(|value| *value == most) { "" } else { "up to " };
    match load {
        Load::Open { schedule, .. } => {
            let end = spoken_duration(schedule.expected().1);
            format!("open load of {up_to}{} for {end}", spoken_rate(schedule))
        }
        Load::Closed { connections, requests, duration, shape } => {
            let per_user = shape.as_ref().and_then(|shape| shape.per_user);
            let plural = |count: u64| if count == 1 { "" } else { "s" };
            let ends = [
                duration.map(spoken_duration),
                requests.map(|count| format!("{count} iteration{}", plural(count))),
                per_user.map(|count| format!("{count} iteration{} a user", plural(count))),
            ];
            let ends: Vec<_> = ends.into_iter().flatten().collect();
            let users = format!("{connections} user{}", plural(u64::from(*connections)));
            format!("closed load of {up_to}{users} for {}", ends.join(" or "))
        }
        Load::Several(parts) => format!("{} loads", parts.len()),
    }
}

fn spoken_rate(schedule: &Schedule) -> String {
    let Rate(rate) = schedule.peak();
    let decimals = format!(".{:03}", rate % 1_000);
    format!("{}{}/s", rate / 1_000, decimals.trim_end_matches('0').trim_end_matches('.'))
}

/// A duration as people write it: `10m`, `1h20m`, `1.5s`, to a thousandth of its unit.
#[must_use]
pub fn spoken_duration(duration: Nanos) -> String {
    let Nanos(ns) = duration;
    let seconds = ns.saturating_add(NANOS_PER_SECOND / 2) / NANOS_PER_SECOND;
    if seconds >= 60 {
        let parts = [(seconds / 3_600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
        let parts = parts.iter().filter(|(count, _)| *count > 0);
        return parts.map(|(count, unit)| format!("{count}{unit}")).collect();
    }
    let units = [(NANOS_PER_SECOND, "s"), (1_000_000, "ms"), (1_000, "us"), (1, "ns")];
    let (unit, name) = units.into_iter().find(|(unit, _)| ns >= *unit).unwrap_or(units[0]);
    let decimals = format!(".{:03}", ns % unit * 1_000 / unit);
    format!("{}{}{name}", ns / unit, decimals.trim_end_matches('0').trim_end_matches('.'))
}
