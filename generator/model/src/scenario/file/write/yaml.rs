//! A tree as YAML in block style.
//!
//! Quotes stand where plain style would read as something else: that is decided here, for each text and
//! nowhere else.

use std::fmt::Write as _;

use crate::scenario::file::core_schema::{Meaning, meaning};
use crate::scenario::file::tree::{Leaf, Node, Style};

/// A list of short words stays in one line up to this.
const LINE_CHARS_MAX: usize = 60;
/// What a level of maps and lists is indented by.
const INDENT: usize = 2;

pub(super) fn emit(root: &Node) -> String {
    let mut out = String::new();
    match root {
        Node::Map(entries, _) if !entries.is_empty() => map(entries, 0, &mut out),
        _ => value(root, 0, &mut out),
    }
    out
}

/// Entries in lines of their own; the first continues the line that is begun.
fn map(entries: &[(Leaf, Node)], indent: usize, out: &mut String) {
    for (at, (key, node)) in entries.iter().enumerate() {
        if at > 0 {
            begin_line(indent, out);
        }
        out.push_str(&inline(key));
        out.push(':');
        match node {
            Node::Map(entries, _) if !entries.is_empty() => {
                begin_line_after(indent + INDENT, out);
                map(entries, indent + INDENT, out);
            }
            Node::List(nodes, _) if !nodes.is_empty() && one_line(nodes).is_none() => {
                begin_line_after(indent + INDENT, out);
                list(nodes, indent + INDENT, out);
            }
            _ => {
                out.push(' ');
                value(node, indent, out);
            }
        }
    }
}

fn list(nodes: &[Node], indent: usize, out: &mut String) {
    for (at, node) in nodes.iter().enumerate() {
        if at > 0 {
            begin_line(indent, out);
        }
        out.push_str("- ");
        match node {
            Node::Map(entries, _) if !entries.is_empty() => map(entries, indent + INDENT, out),
            Node::List(nodes, _) if !nodes.is_empty() && one_line(nodes).is_none() => {
                list(nodes, indent + INDENT, out);
            }
            _ => value(node, indent, out),
        }
    }
}

/// What stands behind a key or dash, with the end of its line.
fn value(node: &Node, indent: usize, out: &mut String) {
    match node {
        Node::Leaf(leaf) => match block(leaf) {
            Some(header) => {
                out.push_str(header);
                for line in leaf.text.strip_suffix('\n').unwrap_or(&leaf.text).split('\n') {
                    out.push('\n');
                    if !line.is_empty() {
                        begin_line(indent + INDENT, out);
                        out.push_str(line);
                    }
                }
            }
            None => out.push_str(&inline(leaf)),
        },
        Node::List(nodes, _) => out.push_str(&one_line(nodes).unwrap_or_default()),
        Node::Map(..) => out.push_str("{}"),
    }
    out.push('\n');
}

fn begin_line(indent: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', indent));
}

fn begin_line_after(indent: usize, out: &mut String) {
    out.push('\n');
    begin_line(indent, out);
}

/// `[a, b]`, if all are words and short.
fn one_line(nodes: &[Node]) -> Option<String> {
    let mut words = Vec::new();
    let mut length = 0;
    for node in nodes {
        let Node::Leaf(leaf) = node else { return None };
        let word = inline(leaf);
        length += word.len() + 2;
        let is_word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'/' | b'-');
        if leaf.is_secret || length > LINE_CHARS_MAX || !word.bytes().all(is_word) {
            return None;
        }
        words.push(word);
    }
    Some(format!("[{}]", words.join(", ")))
}

/// The header of a literal block, for texts of several lines that such a block keeps as they are.
fn block(leaf: &Leaf) -> Option<&'static str> {
    let body = leaf.text.strip_suffix('\n').unwrap_or(&leaf.text);
    let fits = leaf.text.contains('\n')
        && !leaf.is_secret
        && !body.starts_with([' ', '\n'])
        && !body.is_empty()
        && body.split('\n').all(|line| !line.ends_with(' ') && line.chars().all(is_printable))
        && !body.ends_with('\n');
    fits.then_some(if body.len() < leaf.text.len() { "|" } else { "|-" })
}

/// In one line: plain where that reads the same, else in quotes.
fn inline(leaf: &Leaf) -> String {
    let text = &leaf.text;
    if leaf.is_secret {
        return format!("!secret {text}");
    }
    let means_the_same = match leaf.style {
        Style::Plain => true,
        Style::Quoted | Style::Block => meaning(text) == Meaning::Text && text != "<<",
    };
    if means_the_same && can_be_plain(text) {
        text.clone()
    } else if text.contains(['"', '\\']) && text.chars().all(is_printable) {
        format!("'{}'", text.replace('\'', "''"))
    } else {
        double_quoted(text)
    }
}

/// Whether a text can stand without quotes in block context (YAML 1.2.2 section 7.3.3), on the side of
/// caution.
fn can_be_plain(text: &str) -> bool {
    let begins = match text.strip_prefix('-') {
        Some(rest) => rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '.'),
        None => !text.starts_with(|c| "?:,[]{}#&*!|>'\"%@` ".contains(c)),
    };
    begins
        && !text.is_empty()
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && text.chars().all(is_printable)
}

/// Shown as it is, and no line break to anybody.
fn is_printable(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

fn double_quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if is_printable(c) => out.push(c),
            // All that is not printable has at most four digits; writing to a String cannot fail.
            c => drop(write!(out, "\\u{:04x}", u32::from(c))),
        }
    }
    out.push('"');
    out
}
