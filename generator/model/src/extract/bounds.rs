//! Which general paths are refused because they could cost more than linear time or memory.
//!
//! A path comes from a scenario that somebody else may have written, and it meets answers that nobody vouches
//! for. What is left after these rules visits each value a bounded number of times for each level of nesting.

/// Brackets and parentheses within each other. The parser of paths tries alternatives anew at each.
const NESTING_MAX: usize = 8;
/// Selectors in one pair of brackets. Each may choose the same values again, and brackets in a row multiply.
const SELECTORS_MAX: usize = 8;

/// # Errors
/// What is wrong with the path and how to mend it, as the end of a sentence.
pub(super) fn check(source: &str) -> Result<(), String> {
    let words = outside_quotes(source);
    if words.matches('$').count() > 1 {
        return Err(
            "names the root `$` within a filter, where each value would read it; compare with `@`".to_owned()
        );
    }
    if words.matches("..").count() > 1 {
        return Err("goes down with `..` more than once; name the levels between".to_owned());
    }
    // Their patterns would be compiled anew for each value.
    if words.contains("match(") || words.contains("search(") {
        return Err(
            "uses a pattern; choose the values by their place and look at them with `regex`".to_owned()
        );
    }
    let has_list = brackets(&words)?;
    if has_list && words.contains("..") {
        return Err("lists selectors and goes down with `..`; keep one of the two".to_owned());
    }
    Ok(())
}

/// Whether there is a list of selectors.
fn brackets(words: &str) -> Result<bool, String> {
    // Where each open bracket began.
    let mut open = Vec::new();
    let mut list = None;
    let mut selectors = 1;
    for (at, byte) in words.bytes().enumerate() {
        match byte {
            b'[' | b'(' if open.len() == NESTING_MAX => {
                return Err(format!(
                    "has brackets more than {NESTING_MAX} levels within each other; write it with fewer"
                ));
            }
            b'[' | b'(' => open.push(at),
            b']' | b')' => {
                open.pop();
            }
            b',' => {
                let here = open.last().copied();
                if list.is_some_and(|list| list != here) {
                    return Err(
                        "has a list of selectors in more than one pair of brackets; keep one list".to_owned()
                    );
                }
                list = Some(here);
                selectors += 1;
            }
            _ => {}
        }
    }
    if selectors > SELECTORS_MAX {
        return Err(format!("lists {selectors} selectors; at most {SELECTORS_MAX} are allowed"));
    }
    Ok(list.is_some())
}

/// The source without what stands in quotes.
pub(super) fn outside_quotes(source: &str) -> String {
    let mut words = String::with_capacity(source.len());
    let mut quote = None;
    let mut chars = source.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(_), '\\') => {
                chars.next();
            }
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, c) => words.push(c),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use crate::extract::JsonPath;

    fn check(source: &str, expected: Option<&str>) {
        match (JsonPath::compile(source), expected) {
            (Ok(_), None) => {}
            (Err(error), Some(part)) => assert!(error.contains(part), "{error}"),
            (outcome, _) => panic!("{source}: {outcome:?}"),
        }
    }

    #[test]
    fn paths_that_multiply_are_refused() {
        check("$..*", None);
        check("$..a..b", Some("more than once"));
        check("$['a..b', '$..', '\\'$..'].*", None);
        check("$[?@.a == $.b]", Some("the root"));
        check("$[0,1,2,3,4,5,6,7]", None);
        check("$[0,1,2,3,4,5,6,7,8]", Some("lists 9 selectors"));
        check("$[*,*][*,*]", Some("more than one pair"));
        check("$[?@[0,1] || @[2,3]]", Some("more than one pair"));
        check("$..[0,1]", Some("keep one of the two"));
        check("$[?match(@.a, 'x')]", Some("`regex`"));
        check("$[?search( @.a, 'x')]", Some("`regex`"));
        check("$[?length(@.a) > 2 && count(@.*) == 1]", None);
        check(&format!("$[?{}@.a{}]", "(".repeat(7), ")".repeat(7)), None);
        check(&format!("$[?{}@.a{}]", "(".repeat(8), ")".repeat(8)), Some("8 levels"));
        check(&format!("$[?{}", "!(".repeat(500)), Some("8 levels"));
    }
}
