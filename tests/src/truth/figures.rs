//! The true times of requests, and what is said of them.

use serde_json::{Value, json};

/// Times that are kept, 8 MiB of them; a longer run must ask for its report in between.
const KEPT_MAX: usize = 1 << 20;

/// Times from read to write, of requests since the last report.
#[derive(Debug)]
pub struct Truth {
    count: u64,
    /// The first of them, exact: a histogram's buckets are wider than the differences looked for.
    kept_ns: Vec<u64>,
}

impl Truth {
    pub(super) fn new() -> Self {
        Self { count: 0, kept_ns: Vec::with_capacity(KEPT_MAX) }
    }

    pub(super) fn record(&mut self, time_ns: u64) {
        self.count += 1;
        if self.kept_ns.len() < KEPT_MAX {
            self.kept_ns.push(time_ns);
        }
    }

    /// Sums them up.
    #[must_use]
    pub fn figures(mut self) -> Figures {
        self.kept_ns.sort_unstable();
        let of_rank = |percent: usize| {
            let rank = (self.kept_ns.len() * percent).div_ceil(100).max(1);
            self.kept_ns.get(rank - 1).copied().unwrap_or(0)
        };
        Figures {
            count: self.count,
            p50_ns: of_rank(50),
            p99_ns: of_rank(99),
            min_ns: of_rank(0),
            max_ns: of_rank(100),
        }
    }
}

/// What an origin says of itself. Without requests all is zero.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug)]
pub struct Figures {
    pub count: u64,
    pub p50_ns: u64,
    pub p99_ns: u64,
    pub min_ns: u64,
    pub max_ns: u64,
}

impl Figures {
    /// One line.
    #[must_use]
    pub fn to_json(self) -> String {
        let Self { count, p50_ns, p99_ns, min_ns, max_ns } = self;
        json!({ "count": count, "p50_ns": p50_ns, "p99_ns": p99_ns, "min_ns": min_ns, "max_ns": max_ns })
            .to_string()
    }

    /// Reads that line.
    #[must_use]
    pub fn from_json(line: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(line).ok()?;
        let figure = |name: &str| value.get(name)?.as_u64();
        Some(Self {
            count: figure("count")?,
            p50_ns: figure("p50_ns")?,
            p99_ns: figure("p99_ns")?,
            min_ns: figure("min_ns")?,
            max_ns: figure("max_ns")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_summed_up_by_rank_and_survive_as_json() {
        let up_to = |count: u64| (1..=count).rev().collect::<Vec<_>>();
        let figures =
            |count, p50_ns, p99_ns, min_ns, max_ns| Figures { count, p50_ns, p99_ns, min_ns, max_ns };
        let cases = [
            (vec![], Figures::default()),
            (vec![7], figures(1, 7, 7, 7, 7)),
            (up_to(100), figures(100, 50, 99, 1, 100)),
            (up_to(101), figures(101, 51, 100, 1, 101)),
        ];
        for (times, expected) in cases {
            let mut truth = Truth::new();
            times.iter().for_each(|time| truth.record(*time));
            let got = truth.figures();
            assert_eq!((got, Figures::from_json(&got.to_json())), (expected, Some(expected)));
        }
    }
}
