//! As much of Rust's grammar as the checks need: what is code, where functions end, where tests begin.

/// Lines of a file and where its tests start.
#[derive(Debug)]
pub(crate) struct Source {
    /// The text with comments replaced by spaces, strings and characters by quotes; same lines, same columns.
    pub(crate) code: String,
    /// The number of lines before the test module.
    pub(crate) lines_before_tests: usize,
}

/// A function with a body.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// Counted from 1.
    pub(crate) line: usize,
    /// From the line of `fn` to that of its closing brace, both counted.
    pub(crate) length_lines: usize,
}

impl Source {
    pub(crate) fn new(text: &str) -> Self {
        let code = blank(text);
        let lines_before_tests = lines_before_tests(&code);
        Self { code, lines_before_tests }
    }

    /// The functions that begin before the test module.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let mut found = functions(&self.code);
        found.retain(|function| function.line <= self.lines_before_tests);
        found
    }

    /// The lines, counted from 1, where a keyword or a name occurs as a word of code.
    pub(crate) fn lines_with_word(&self, word: &str) -> Vec<usize> {
        let has_word = |line: &str| line.split(|c: char| !is_name(c)).any(|part| part == word);
        self.code.lines().enumerate().filter(|(_, line)| has_word(line)).map(|(at, _)| at + 1).collect()
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Replaces comments by spaces and literals by quotes. Newlines stay, so lines keep their numbers.
fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = end_of_opaque(&chars, at);
        if end == at {
            code.push(chars[at]);
            at += 1;
            continue;
        }
        let fill = if chars[at] == '/' { ' ' } else { '"' };
        code.extend(chars[at..end].iter().map(|&c| if c == '\n' { '\n' } else { fill }));
        at = end;
    }
    code
}

/// The end of the comment, string or character that begins here; `at` itself when none does.
fn end_of_opaque(chars: &[char], at: usize) -> usize {
    let next = chars.get(at + 1).copied();
    match chars[at] {
        '/' if next == Some('/') => find(chars, at, |c| c == '\n'),
        '/' if next == Some('*') => end_of_block_comment(chars, at),
        '"' => end_of_quoted(chars, at, '"'),
        'r' if starts_token(chars, at) => end_of_raw_string(chars, at),
        '\'' if next == Some('\\') => end_of_quoted(chars, at, '\''),
        // 'x' is a character and 'x a lifetime.
        '\'' if chars.get(at + 2) == Some(&'\'') => at + 3,
        _ => at,
    }
}

/// Whether an `r` begins a literal's prefix: alone, or after the `b` or `c` of a byte or C string.
fn starts_token(chars: &[char], at: usize) -> bool {
    let before = |distance: usize| at.checked_sub(distance).map(|i| chars[i]);
    match before(1) {
        Some('b' | 'c') => !before(2).is_some_and(is_name),
        Some(c) => !is_name(c),
        None => true,
    }
}

fn find(chars: &[char], from: usize, stop: impl Fn(char) -> bool) -> usize {
    chars[from..].iter().position(|&c| stop(c)).map_or(chars.len(), |offset| from + offset)
}

fn end_of_block_comment(chars: &[char], from: usize) -> usize {
    let mut depth = 0;
    let mut at = from;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                at += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    at.min(chars.len())
}

fn end_of_quoted(chars: &[char], from: usize, quote: char) -> usize {
    let mut at = from + 1;
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            c if c == quote => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

/// A raw string ends at a quote with as many hashes as it began with. `r#name` is not a string.
fn end_of_raw_string(chars: &[char], from: usize) -> usize {
    let quote = find(chars, from + 1, |c| c != '#');
    if chars.get(quote) != Some(&'"') {
        return from;
    }
    let hashes = quote - from - 1;
    let mut at = quote + 1;
    while at < chars.len() {
        let closes = chars[at] == '"' && chars[at + 1..].iter().take_while(|&&c| c == '#').count() >= hashes;
        if closes {
            return at + 1 + hashes;
        }
        at += 1;
    }
    chars.len()
}

/// A test module begins at a `#[cfg(test)]` that is followed by `mod`; on other items the attribute begins nothing.
fn lines_before_tests(code: &str) -> usize {
    let lines: Vec<&str> = code.lines().map(str::trim).collect();
    for (at, line) in lines.iter().enumerate() {
        let Some(same_line) = line.strip_prefix("#[cfg(test)]") else { continue };
        let below = lines[at + 1..].iter().copied();
        let mut item = std::iter::once(same_line.trim()).chain(below);
        let first = item.find(|line| !line.is_empty() && !line.starts_with("#["));
        if first.is_some_and(|line| line.split_whitespace().take(2).any(|word| word == "mod")) {
            return at;
        }
    }
    lines.len()
}

fn functions(code: &str) -> Vec<Function> {
    let chars: Vec<char> = code.chars().collect();
    let mut found = Vec::new();
    let mut line = 1;
    for at in 0..chars.len() {
        if chars[at] == '\n' {
            line += 1;
        }
        if let Some(name) = function_name(&chars, at)
            && let Some(end) = end_of_function(&chars, at)
        {
            let length_lines = chars[at..end].iter().filter(|&&c| c == '\n').count() + 1;
            found.push(Function { name, line, length_lines });
        }
    }
    found
}

/// The name after the keyword `fn`; none for a function pointer type.
fn function_name(chars: &[char], at: usize) -> Option<String> {
    let is_keyword = chars[at..].starts_with(&['f', 'n'])
        && chars.get(at + 2).is_some_and(|c| c.is_whitespace())
        && !at.checked_sub(1).is_some_and(|before| is_name(chars[before]));
    if !is_keyword {
        return None;
    }
    let name: String =
        chars[at + 2..].iter().skip_while(|c| c.is_whitespace()).take_while(|&&c| is_name(c)).collect();
    (!name.is_empty()).then_some(name)
}

/// Just behind the closing brace; none for a declaration without a body.
fn end_of_function(chars: &[char], from: usize) -> Option<usize> {
    let mut brackets = 0;
    let mut braces = 0;
    for (at, &c) in chars.iter().enumerate().skip(from) {
        match c {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets -= 1,
            ';' if braces == 0 && brackets == 0 => return None,
            '{' => braces += 1,
            '}' => {
                braces -= 1;
                if braces == 0 && brackets == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::Source;

    #[test]
    fn comments_strings_and_characters_are_no_code() {
        let check = |text: &str, expected_lines: &[usize]| {
            assert_eq!(Source::new(text).lines_with_word("unsafe"), expected_lines, "{text}");
        };
        check("unsafe {}", &[1]);
        check("// unsafe\nunsafe {}", &[2]);
        check("/* unsafe /* unsafe */ unsafe */\n/* */ unsafe {}", &[2]);
        check("let a = \"unsafe \\\" unsafe\"; unsafe {}", &[1]);
        check("let a = \"unsafe\n unsafe\";\nlet b = '\"'; unsafe {}", &[3]);
        check("let a = r#\"unsafe \" unsafe\"#;\nlet b = br\"\\\";\nunsafe {}", &[3]);
        check("fn a<'unsafe_ish>() {}\nlet c = '\\''; let d = 'r';", &[]);
        check("#![deny(unsafe_code)]", &[]);
        check("let r = var\"\";", &[]);
    }

    #[test]
    fn functions_have_names_lines_and_lengths() {
        let check = |text: &str, expected: &[(&str, usize, usize)]| {
            let found = Source::new(text).functions();
            let found: Vec<_> = found.iter().map(|f| (f.name.as_str(), f.line, f.length_lines)).collect();
            assert_eq!(found, expected, "{text}");
        };
        check("fn a() {}", &[("a", 1, 1)]);
        check("\npub const fn a(x: [u8; 3]) -> [u8; 2] {\n  if x { \"}\" }\n}\n", &[("a", 2, 3)]);
        check("trait T {\n fn a();\n fn b() {\n }\n}", &[("b", 3, 2)]);
        check("type F = fn(u32);\nfn a(f: fn (u8)) {\n}", &[("a", 2, 2)]);
        check("fn a() {\n fn b() {\n }\n}", &[("a", 1, 4), ("b", 2, 2)]);
        check("fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() {\n }\n}", &[("a", 1, 1)]);
    }

    #[test]
    fn only_a_module_begins_the_tests() {
        let check = |text: &str, expected: usize| {
            assert_eq!(Source::new(text).lines_before_tests, expected, "{text}");
        };
        check("a\n#[cfg(test)]\nmod tests {}\n", 1);
        check("a\n#[cfg(test)]\n#[allow(x)]\npub(crate) mod tests {}\n", 1);
        check("a\n#[cfg(test)] mod tests;\n", 1);
        check("a\n#[cfg(test)]\nuse b;\nc\n", 4);
        check("a\n// #[cfg(test)]\n// mod\n", 3);
    }
}
