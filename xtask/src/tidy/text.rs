//! White space, leftovers and paths of somebody's machine.

use crate::source::Source;
use crate::tree::File;

const EXTENSIONS: [&str; 7] = ["rs", "toml", "md", "yml", "yaml", "sh", "py"];
/// Words for work that was left. Put together here, so that this file passes its own check.
const LEFTOVERS: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];
const MACHINE_PATHS: [&str; 3] = [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/")];

pub(super) fn check(file: &File, violations: &mut Vec<String>) {
    if !EXTENSIONS.contains(&file.extension()) && file.path != ".ci/run" {
        return;
    }
    let code = if file.is_rust() { Source::new(&file.text).code } else { String::new() };
    let mut code = code.split('\n');
    for (at, line) in file.text.split('\n').enumerate() {
        let place = format!("{}:{}", file.path, at + 1);
        // Inside a string white space is data.
        let is_data = code.next().is_some_and(|line| line.ends_with('"'));
        if line.ends_with([' ', '\t', '\r']) && !is_data {
            violations.push(format!("{place}: white space at the end of the line"));
        }
        if let Some(word) =
            LEFTOVERS.iter().find(|word| has_word(line, word)).filter(|_| file.extension() != "md")
        {
            violations.push(format!("{place}: {word}: do it or write it down elsewhere"));
        }
        if let Some(path) = MACHINE_PATHS.iter().find(|path| begins_path(line, path)) {
            violations.push(format!("{place}: {path} is a path of one machine"));
        }
    }
    if !file.text.is_empty() && !file.text.ends_with('\n') {
        violations.push(format!("{}: no newline at the end of the file", file.path));
    }
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|part| part == word)
}

/// Whether an absolute path begins with these directories, rather than holding them further in.
fn begins_path(line: &str, path: &str) -> bool {
    let is_inner = |c: char| c.is_alphanumeric() || "_-.}~)*".contains(c);
    line.match_indices(path).any(|(at, _)| !line[..at].ends_with(is_inner))
}

#[cfg(test)]
mod tests {
    use super::{LEFTOVERS, MACHINE_PATHS};
    use crate::tidy::check_rule;

    fn check(path: &str, text: &str, expected: &[&str]) {
        check_rule(super::check, path, text, expected);
    }

    #[test]
    fn white_space_is_found() {
        check("a.rs", "a\nb\x20\n", &["a.rs:2: white space"]);
        check("a.rs", "// a\x20\nb\n", &["a.rs:1: white space"]);
        check("a.rs", "let a = \"b\x20\n c\";\n", &[]);
        check("a.md", "a\tb\t\n", &["a.md:1"]);
        check("a.toml", "a", &["newline"]);
        check("a.toml", "", &[]);
        check("a.md", "a\r\n", &["a.md:1"]);
        check("a.svg", "a\x20", &[]);
    }

    #[test]
    fn leftovers_are_found() {
        for word in LEFTOVERS {
            check("a.rs", &format!("// {word}: later\n"), &["a.rs:1"]);
            check("a.rs", &format!("// MY{word}S\n"), &[]);
            check("a.md", &format!("no {word}\n"), &[]);
        }
    }

    #[test]
    fn paths_of_a_machine_are_found() {
        for path in MACHINE_PATHS {
            check("a.rs", &format!("let a = \"{path}me\";\n"), &["a.rs:1"]);
            check(".ci/run", &format!("cd {path}me\n"), &[".ci/run:1"]);
            check("a.rs", &format!("let a = \"var{path}me\";\n"), &[]);
        }
    }
}
