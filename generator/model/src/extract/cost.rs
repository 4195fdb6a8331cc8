//! What a general path may cost in an answer, counted before anything is built of it.
//!
//! With what [`super::bounds`] refuses, each part of a path meets a value at most once for each level that the value
//! is below: results of a descent are handed up level by level, and filters look at what is within. So the values,
//! each times its depth, times the parts of the path bound the work.

/// Steps of one query; some tenths of a second at worst, and room for half a million values in a list.
pub(super) const STEPS_MAX: u64 = 16 << 20;

/// Parts of a path that may each look at all values: names, brackets, descents and what filters start from.
pub(super) fn parts(source: &str) -> u64 {
    let words = super::bounds::outside_quotes(source);
    let count = words.bytes().filter(|byte| b".[,@".contains(byte)).count();
    count as u64 + 1
}

/// The values of a JSON text, each times its depth; `None` when that is more than `most`. A text that is not JSON has
/// some number too. Takes at most one step a byte, and stops at the value that is too much.
pub(super) fn values_by_depth(body: &[u8], most: u64) -> Option<u64> {
    let (mut sum, mut depth) = (1u64, 1u64);
    let mut bytes = body.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            // Each bracket has a first value, and each comma another.
            b'[' | b'{' => {
                depth += 1;
                sum += depth;
            }
            b',' => sum += depth,
            b']' | b'}' => depth = depth.saturating_sub(1).max(1),
            b'"' => skip_text(&mut bytes),
            _ => continue,
        }
        if sum > most {
            return None;
        }
    }
    (sum <= most).then_some(sum)
}

fn skip_text(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'"' => return,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::extract::JsonPath;

    #[track_caller]
    fn check(body: &str, want: u64) {
        assert_eq!(values_by_depth(body.as_bytes(), u64::MAX), Some(want), "{body}");
        assert_eq!(values_by_depth(body.as_bytes(), want - 1), None, "{body}");
    }

    #[test]
    fn values_count_by_their_depth() {
        check("7", 1);
        check("[1,2,3]", 1 + 3 * 2);
        check(r#"{"a":[1,[2]],"b":{}}"#, 1 + 2 * 2 + 2 * 3 + 4 + 3);
        check(r#"["a,[{\",","b"]"#, 1 + 2 * 2);
        check("]]]", 1);
    }

    #[test]
    fn each_part_of_a_path_counts() {
        for (source, want) in [("$[-1]", 2), ("$..*", 3), ("$.a[?@.b > 1 && @['c.[']].d", 8)] {
            assert_eq!(parts(source), want, "{source}");
        }
    }

    /// Nested lists, each with as many values as fit.
    fn wide(depth: usize, values: usize) -> Vec<u8> {
        let list = vec!["1"; values].join(",");
        format!("{}{list}{}", "[".repeat(depth), "]".repeat(depth)).into_bytes()
    }

    #[test]
    fn what_costs_too_much_finds_nothing() {
        for (source, depth, values, is_found) in [
            ("$..*", 1, 500_000, true),
            ("$..*", 100, 10_000, true),
            ("$..*", 100, 100_000, false),
            ("$..*", 100, 2_000_000, false),
            ("$[-1]", 1, 2_000_000, true),
            ("$..[?@.a && @.b && @.c]", 1, 1_000_000, false),
        ] {
            let body = wide(depth, values);
            let steps = parts(source) * values_by_depth(&body, u64::MAX).expect("there is no bound");
            assert_eq!(steps <= STEPS_MAX, is_found, "{source} takes {steps} steps");
            let path = JsonPath::compile(source).expect(source);
            assert_eq!(path.first(&body).is_some(), is_found, "{source} in {depth} x {values}");
            assert_eq!(path.count(&body) > 0, is_found, "{source} in {depth} x {values}");
        }
    }

    /// Lists and objects within each other, built by turns.
    fn built(turns: &[u8]) -> String {
        let mut values = vec!["1".to_owned()];
        for turn in turns {
            let last = values.pop().unwrap_or_default();
            match turn {
                0 => values.extend([last, "2".to_owned()]),
                1 => values.extend([last, "[]".to_owned()]),
                2 => values.push(format!("{{\"a\":{last},\"b,\":\"[\"}}")),
                _ => {
                    values.push(last);
                    values = vec![format!("[{}]", values.join(","))];
                }
            }
        }
        format!("[{}]", values.join(","))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// What a path chooses it has looked at.
        #[test]
        fn a_path_never_chooses_more_than_was_counted(turns in prop::collection::vec(0u8..4, 0..60)) {
            let body = built(&turns);
            let values = values_by_depth(body.as_bytes(), u64::MAX).expect("there is no bound");
            for source in ["$..*", "$..*.*", "$..[?@.a].*", "$.*.*", "$[0,1]", "$..[?@[?@.a]]"] {
                let chosen = JsonPath::compile(source).expect("it is a path").count(body.as_bytes());
                let counted = parts(source) * values;
                prop_assert!(chosen as u64 <= counted, "{}: {} of {} in {}", source, chosen, counted, body);
            }
        }
    }
}
