//! What is promised of a ratio, and whether a cell keeps it.

use serde::Serialize;

use crate::cell::{Cell, interval};

/// One promise about brunt beside one peer.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Goal {
    pub peer: &'static str,
    pub kind: Kind,
}

#[derive(Copy, Clone, Debug)]
pub(crate) enum Kind {
    /// brunt's CPU time over the peer's is at most this.
    Cpu(f64),
    /// brunt does at least this many times as much in a second of CPU time.
    PerCpuSecond(f64),
    /// brunt does not do less in a second than the peer.
    NoSlower,
}

/// A promise beside what was measured.
#[derive(Serialize)]
pub(crate) struct Judged {
    pub cell: String,
    pub text: String,
    /// `None` where there was nothing to compare with.
    pub met: Option<bool>,
}

/// Each goal held against the cell.
pub(crate) fn judge(cell: &Cell, goals: &[Goal]) -> Vec<Judged> {
    goals.iter().map(|goal| judge_one(cell, goal)).collect()
}

fn judge_one(cell: &Cell, goal: &Goal) -> Judged {
    let (peer, unit) = (goal.peer, cell.unit);
    let judged = |text: String, met| Judged { cell: cell.name.clone(), text, met };
    let Some(ratio) = cell.ratios.iter().find(|ratio| ratio.peer == peer) else {
        return judged(format!("{peer} was not measured, so nothing is said of {:?}", goal.kind), None);
    };
    match goal.kind {
        Kind::Cpu(most) => {
            let is = ratio.cpu.median;
            judged(format!("CPU time a {unit} at most {most} x {peer}'s: {is:.3}"), Some(is <= most))
        }
        Kind::PerCpuSecond(least) => {
            let is = 1.0 / ratio.cpu.median;
            let text = format!("{unit}s a CPU second at least {least} x {peer}'s: {is:.3}");
            judged(text, Some(is >= least))
        }
        Kind::NoSlower => {
            let is = &ratio.per_second;
            // Where the server is the limit both are as fast as it is, give or take: only a clear lag counts.
            let text = format!("{unit}s a second not below {peer}'s: {:.3}, {}", is.median, interval(is));
            judged(text, Some(is.high >= 1.0))
        }
    }
}

/// A line a goal.
pub(crate) fn render(judged: &[Judged]) -> String {
    let word = |met| match met {
        Some(true) => "met",
        Some(false) => "MISSED",
        None => "open",
    };
    judged.iter().map(|goal| format!("goal {}: {}\n", word(goal.met), goal.text)).collect()
}

#[cfg(test)]
mod tests {
    use brunt_benches::stats::Median;

    use super::*;
    use crate::cell::Ratio;

    fn check(kind: Kind, cpu: f64, per_second: f64, met: Option<bool>) {
        let median = |figure| Median::of(&[figure]).expect("one figure has a median");
        let ratio = Ratio { peer: "h2load", cpu: median(cpu), per_second: median(per_second), lost: false };
        let mut cell =
            Cell { name: "a".into(), unit: "request", tools: Vec::new(), ratios: vec![ratio], aa: None };
        let judged = judge(&cell, &[Goal { peer: "h2load", kind }]);
        assert_eq!(judged[0].met, met, "{kind:?} {cpu} {per_second}");
        cell.ratios.clear();
        assert_eq!(judge(&cell, &[Goal { peer: "h2load", kind }])[0].met, None, "nothing to compare with");
    }

    #[test]
    fn goals_are_met_up_to_their_edge() {
        check(Kind::Cpu(0.5), 0.5, 1.0, Some(true));
        check(Kind::Cpu(0.5), 0.51, 1.0, Some(false));
        check(Kind::PerCpuSecond(2.0), 0.5, 1.0, Some(true));
        check(Kind::PerCpuSecond(2.0), 0.6, 1.0, Some(false));
        check(Kind::NoSlower, 9.0, 1.0, Some(true));
        check(Kind::NoSlower, 0.1, 0.9, Some(false));
    }
}
