//! Faults for people: each with the line that it is in and a caret below its place, unless that line may
//! hold a secret.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use brunt_model::scenario::file::{Fault, Place, may_hold_secret};

use crate::output::is_unsafe;

/// What is shown of a line, in characters; of a longer one it is what is around the place.
const SHOWN: usize = 96;

pub(super) fn faults(path: &Path, source: &str, faults: &[Fault]) -> String {
    let secret: BTreeSet<u32> =
        faults.iter().filter(|fault| fault.is_of_secret()).map(|fault| fault.at.line).collect();
    let lines: Vec<&str> = source.lines().collect();
    let mut text = String::new();
    for fault in faults {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}:{fault}", path.display());
        let line = lines.get((fault.at.line as usize).wrapping_sub(1));
        if let Some(line) = line.filter(|line| !secret.contains(&fault.at.line) && !may_hold_secret(line)) {
            excerpt(line, fault.at, &mut text);
        }
    }
    text
}

fn excerpt(line: &str, at: Place, text: &mut String) {
    let column = (at.column as usize).saturating_sub(1).min(line.chars().count());
    let skipped = if column < SHOWN - 8 { 0 } else { column - SHOWN / 2 };
    let shown: String = line.chars().skip(skipped).take(SHOWN).map(harmless).collect();
    let _ = writeln!(text, "{:>4} | {}", at.line, shown.trim_end());
    let _ = writeln!(text, "{:>4} | {:>width$}", "", "^", width = column - skipped + 1);
}

/// One column for each character, and none that moves the cursor or turns the line around.
fn harmless(char: char) -> char {
    if is_unsafe(char) { ' ' } else { char }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line and the caret of a fault at this column of the second line.
    #[track_caller]
    fn check(line: &str, column: u32, mend: &str, want: &str) {
        let fault = Fault { at: Place { line: 2, column }, what: "wrong".into(), mend: mend.into() };
        let told = faults(Path::new("s"), &format!("first\n{line}\nlast\n"), &[fault]);
        assert_eq!(told, format!("s:2:{column}: wrong; {mend}\n{want}"), "{line}");
    }

    #[test]
    fn carets_are_below_their_places() {
        check("  a: b", 3, "mend it", "   2 |   a: b\n     |   ^\n");
        check("\ta: \u{1b}[2J\u{202e}", 2, "mend it", "   2 |  a:  [2J\n     |  ^\n");
        check("abc", 9, "mend it", "   2 | abc\n     |    ^\n");
        let long = format!("{}X{}", "a".repeat(500), "b".repeat(500));
        let want = format!("   2 | {}X{}\n     | {}^\n", "a".repeat(48), "b".repeat(47), " ".repeat(48));
        check(&long, 501, "mend it", &want);
    }

    #[test]
    fn lines_with_secrets_are_left_out() {
        check("    password: hunter2", 5, "mend it", "");
        check("    X: y", 5, "use {{ secret.NAME }}, or say why it is none: not_secret: <reason>", "");
    }

    #[test]
    fn a_secret_is_left_out_for_other_faults_of_its_line_too() {
        let secret = ["gh", "p_aaaaaaaaaaaaaaaaaaaaaaaaaaaa"].concat();
        for source in [
            format!("flows: {{a: [{{get: /, chek: [], headers: {{X: {secret}}}}}]}}\n"),
            format!("flows: {{a: [{{get: /, headers: {{X: '{secret}}}}}]}}\n"),
            format!("seed: {secret}\nflows: {{a: [{{get: /}}]}}\n"),
        ] {
            let found = brunt_model::scenario::file::read(&source).expect_err("it is wrong");
            let told = faults(Path::new("s"), &source, &found);
            assert!(!told.is_empty() && !told.contains(&secret[4..]), "{told}");
        }
    }
}
