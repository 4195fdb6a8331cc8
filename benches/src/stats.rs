//! The middle of a few noisy figures, and how sure of it one can be.
//!
//! The interval of a median is given by order statistics: it holds for any distribution, and needs no belief in a
//! normal one. With 7 figures only the whole span reaches 95 % (98.4 %); from 9 on the outermost ones drop out.

use serde::Serialize;

const COVERAGE_WANTED: f64 = 0.95;

/// A median and the interval that the true one lies in.
#[derive(Copy, Clone, PartialEq, Debug, Serialize)]
pub struct Median {
    pub median: f64,
    pub low: f64,
    pub high: f64,
    /// The probability that the interval holds the true median; below 0.95 for fewer than 6 figures.
    pub coverage: f64,
}

impl Median {
    /// `None` for no figures.
    #[must_use]
    pub fn of(figures: &[f64]) -> Option<Self> {
        let sorted = sorted(figures);
        let n = sorted.len();
        let outside = (0..n.div_ceil(2)).rev().find(|&k| coverage(n, k) >= COVERAGE_WANTED).unwrap_or(0);
        Some(Self {
            median: median(figures)?,
            low: *sorted.get(outside)?,
            high: *sorted.get(n - 1 - outside)?,
            coverage: coverage(n, outside),
        })
    }
}

/// The middle figure, or the mean of the two middle ones; `None` for no figures.
#[must_use]
pub fn median(figures: &[f64]) -> Option<f64> {
    let sorted = sorted(figures);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = sorted[(sorted.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

fn sorted(figures: &[f64]) -> Vec<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// The probability that the median lies between the figures `k` from either end, of `n`: 1 - 2 P(B(n, 1/2) <= k).
fn coverage(n: usize, k: usize) -> f64 {
    let mut term = 0.5f64.powi(i32::try_from(n).unwrap_or(i32::MAX));
    let mut tail = term;
    for i in 0..k {
        term *= (n - i) as f64 / (i + 1) as f64;
        tail += term;
    }
    1.0 - 2.0 * tail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn intervals_are_the_narrowest_that_cover_enough() {
        let up_to = |n: u32| (1..=n).map(f64::from).collect::<Vec<_>>();
        for (n, low, high, coverage) in
            [(1, 1.0, 1.0, 0.0), (5, 1.0, 5.0, 0.9375), (7, 1.0, 7.0, 0.984_375), (9, 2.0, 8.0, 0.960_937_5)]
        {
            let got = Median::of(&up_to(n)).expect("there are figures");
            assert_eq!((got.low, got.high), (low, high), "{n} figures");
            assert!((got.coverage - coverage).abs() < 1e-12, "{n} figures: {}", got.coverage);
        }
        assert_eq!(Median::of(&[]), None);
    }

    #[test]
    fn the_order_of_figures_does_not_matter() {
        assert_eq!(Median::of(&[3.0, 1.0, 2.0]), Median::of(&[1.0, 2.0, 3.0]));
    }
}
