//! Sizes of files and functions, and macros that stand for missing code.

use crate::source::Source;
use crate::tree::File;

/// Longer files hold two subjects.
const FILE_LINES_MAX: usize = 600;
/// Longer functions no longer fit a screen.
const FUNCTION_LINES_MAX: usize = 80;

pub(super) fn check(file: &File, violations: &mut Vec<String>) {
    if !file.is_rust() {
        return;
    }
    let source = Source::new(&file.text);
    let path = &file.path;
    if source.lines_before_tests > FILE_LINES_MAX {
        violations.push(format!(
            "{path}: {} lines before its tests, {FILE_LINES_MAX} are allowed; split it by subject",
            source.lines_before_tests
        ));
    }
    for (at, line) in source.code.lines().enumerate() {
        if let Some(name) = ["todo!", "unimplemented!"].iter().find(|name| line.contains(**name)) {
            violations.push(format!("{path}:{}: {name} stands for missing code", at + 1));
        }
    }
    if is_test(file) {
        return;
    }
    for function in source.functions() {
        if function.length_lines > FUNCTION_LINES_MAX {
            violations.push(format!(
                "{path}:{}: the function `{}` has {} lines, {FUNCTION_LINES_MAX} are allowed",
                function.line, function.name, function.length_lines
            ));
        }
    }
}

/// A table of cases may be long.
fn is_test(file: &File) -> bool {
    file.path.contains("/tests/") || file.path.ends_with("/tests.rs")
}

#[cfg(test)]
mod tests {
    use super::{FILE_LINES_MAX, FUNCTION_LINES_MAX};
    use crate::tidy::check_rule;

    fn check(path: &str, text: &str, expected: &[&str]) {
        check_rule(super::check, path, text, expected);
    }

    fn function(name: &str, lines: usize) -> String {
        format!("fn {name}() {{\n{}}}\n", "    f();\n".repeat(lines - 2))
    }

    #[test]
    fn long_files_are_found_and_their_tests_are_free() {
        let lines = |count: usize| "// line\n".repeat(count);
        check("a.rs", &lines(FILE_LINES_MAX), &[]);
        check("a.rs", &lines(FILE_LINES_MAX + 1), &["601 lines"]);
        check("a.rs", &format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", lines(10), lines(900)), &[]);
        check("a.md", &lines(900), &[]);
    }

    #[test]
    fn long_functions_are_found_by_name_and_line() {
        let long = function("long", FUNCTION_LINES_MAX + 1);
        check("a.rs", &function("fits", FUNCTION_LINES_MAX), &[]);
        check(
            "a.rs",
            &format!("{}{long}", function("fits", 4)),
            &["a.rs:5: the function `long` has 81 lines"],
        );
        check("a.rs", &format!("#[cfg(test)]\nmod tests {{\n{long}}}\n"), &[]);
        check("tests/tests/e2e/a.rs", &long, &[]);
        check("tests/src/a.rs", &long, &["long"]);
    }

    #[test]
    fn missing_code_is_found() {
        check("a.rs", "fn a() {\n    todo!()\n}\n", &["a.rs:2"]);
        check("a.rs", "fn a() {\n    unimplemented!(\"b\")\n}\n", &["a.rs:2"]);
        check("a.rs", "// todo! is a macro\n", &[]);
    }
}
