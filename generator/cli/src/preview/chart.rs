//! A course over time, drawn with letters.

use std::fmt::Write as _;

/// Columns, one for each step of the course.
pub(super) const WIDTH: usize = 72;
const HEIGHT: usize = 10;

/// Draws values up to `peak`; `label` writes a value, `times` are those at the left, in the middle and at the
/// right.
pub(super) fn draw(course: &[f64], peak: f64, label: impl Fn(f64) -> String, times: [&str; 3]) -> String {
    let (most, half) = (label(peak), label(peak / 2.0));
    let margin = most.len().max(half.len()).max(1);
    let heights: Vec<_> = course.iter().map(|value| height(*value, peak)).collect();
    let mut text = String::new();
    for row in (1..=HEIGHT).rev() {
        let label = match row {
            HEIGHT => &most,
            _ if row == HEIGHT / 2 => &half,
            _ => "",
        };
        let cells: String = heights.iter().map(|height| height.cell(row)).collect();
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}", format!("{label:>margin$} |{cells}").trim_end());
    }
    let _ = writeln!(text, "{:>margin$} +{}", "0", "-".repeat(course.len()));
    let [left, middle, right] = times;
    let around = course.len().saturating_sub(left.len() + right.len());
    let _ = writeln!(text, "{:margin$}  {left}{middle:^around$}{right}", "");
    text
}

/// In rows, rounded.
#[derive(Copy, Clone)]
enum Height {
    Nothing,
    /// Less than half a row, but not nothing.
    Trace,
    Rows(usize),
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it lies between 0 and HEIGHT")]
fn height(value: f64, peak: f64) -> Height {
    let rows = (value / peak * HEIGHT as f64).round().clamp(0.0, HEIGHT as f64) as usize;
    match rows {
        _ if value <= 0.0 || peak <= 0.0 => Height::Nothing,
        0 => Height::Trace,
        rows => Height::Rows(rows),
    }
}

impl Height {
    const fn cell(self, row: usize) -> char {
        match self {
            Self::Trace if row == 1 => '.',
            Self::Rows(rows) if row <= rows => '#',
            _ => ' ',
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(course: &[f64], peak: f64, want: &[&str]) {
        let drawn = draw(course, peak, |value| format!("{value:.0}/s"), ["0s", "", "1m"]);
        assert_eq!(drawn.lines().collect::<Vec<_>>(), want);
    }

    #[test]
    fn courses_are_drawn_up_to_their_peak() {
        check(
            &[0.0, 1.0, 25.0, 50.0, 75.0, 100.0],
            100.0,
            &[
                "100/s |     #",
                "      |     #",
                "      |    ##",
                "      |    ##",
                "      |    ##",
                " 50/s |   ###",
                "      |   ###",
                "      |  ####",
                "      |  ####",
                "      | .####",
                "    0 +------",
                "       0s  1m",
            ],
        );
    }

    #[test]
    fn a_course_of_nothing_is_empty() {
        let drawn = draw(&[0.0; WIDTH], 0.0, |value| value.to_string(), ["0s", "30s", "1m"]);
        assert!(!drawn.contains('#') && drawn.lines().count() == HEIGHT + 2, "{drawn}");
        assert!(drawn.ends_with(&format!("0s{:^68}1m\n", "30s")), "{drawn}");
    }
}
