//! Texts in a file that look like secrets.
//!
//! A scenario is passed on, kept beside results and shown to others, so what is secret belongs elsewhere and is named
//! here: `{{ secret.NAME }}` or `!secret NAME`. What is found is told without being repeated.

use super::fault::Faults;
use super::tree::{Leaf, Node};

/// Shorter reasons than this are none.
const REASON_CHARS_MIN: usize = 10;
/// Shorter runs of letters are words.
const RUN_CHARS_MIN: usize = 20;
/// Bits a character. Words of a language have less than this over so few characters, random base64 has more.
const BASE64_BITS_MIN: f64 = 4.0;
/// Random hexadecimal digits have up to 4.
const HEX_BITS_MIN: f64 = 3.0;
/// Parts of names of keys whose values are often secret.
const SECRET_NAMES: [&str; 10] =
    ["pass", "secret", "token", "key", "auth", "bearer", "credential", "cookie", "session", "signature"];

/// Looks through all values. A file that gives a reason, in `not_secret`, is left alone.
pub(super) fn scan(root: &Node, faults: &mut Faults) {
    if let Some(reason) = reason(root) {
        if reason.text.trim().chars().count() < REASON_CHARS_MIN {
            faults.add(
                reason.at,
                "this is too short to be a reason",
                format!("write at least {REASON_CHARS_MIN} characters on why nothing here is a secret"),
            );
        }
        return;
    }
    values(root, "", false, faults);
}

fn reason(root: &Node) -> Option<&Leaf> {
    let Node::Map(entries, _) = root else { return None };
    entries.iter().find_map(|(key, node)| match node {
        Node::Leaf(leaf) if key.text == "not_secret" => Some(leaf),
        _ => None,
    })
}

/// Goes down as deep as the tree does, which is bounded.
fn values(node: &Node, key: &str, is_secret_place: bool, faults: &mut Faults) {
    match node {
        Node::Leaf(leaf) => value(leaf, key, is_secret_place, faults),
        Node::List(nodes, _) => nodes.iter().for_each(|node| values(node, key, is_secret_place, faults)),
        Node::Map(entries, _) => {
            for (inner, node) in entries {
                let name = inner.text.to_ascii_lowercase();
                let is_secret = name == "headers" || SECRET_NAMES.iter().any(|part| name.contains(part));
                values(node, &inner.text, is_secret || is_secret_place, faults);
            }
        }
    }
}

fn value(leaf: &Leaf, key: &str, is_secret_place: bool, faults: &mut Faults) {
    if leaf.is_secret || !faults.has_room() {
        return;
    }
    let kind = known_kind(&leaf.text).or_else(|| is_secret_place.then(|| random_kind(&leaf.text)).flatten());
    if let Some(kind) = kind {
        let length = leaf.text.chars().count();
        faults.add(
            leaf.at,
            format!("the value of {} ({length} characters) looks like {kind}", super::fault::Shown(key)),
            "use {{ secret.NAME }}, or say why it is none: not_secret: <reason>",
        );
    }
}

/// A beginning that only one kind of secret has, and how many letters, digits, `_` and `-` follow it at least.
struct Prefix {
    begins: &'static str,
    followed_by: usize,
    kind: &'static str,
}

const PREFIXES: [Prefix; 10] = [
    Prefix { begins: "AKIA", followed_by: 16, kind: "an AWS access key" },
    Prefix { begins: "ASIA", followed_by: 16, kind: "an AWS access key" },
    Prefix { begins: "ghp_", followed_by: 20, kind: "a GitHub token" },
    Prefix { begins: "gho_", followed_by: 20, kind: "a GitHub token" },
    Prefix { begins: "github_pat_", followed_by: 20, kind: "a GitHub token" },
    Prefix { begins: "xoxa-", followed_by: 10, kind: "a Slack token" },
    Prefix { begins: "xoxb-", followed_by: 10, kind: "a Slack token" },
    Prefix { begins: "xoxp-", followed_by: 10, kind: "a Slack token" },
    Prefix { begins: "sk_live_", followed_by: 10, kind: "a Stripe key" },
    Prefix { begins: "AIza", followed_by: 30, kind: "a Google API key" },
];

fn known_kind(text: &str) -> Option<&'static str> {
    if text.split("-----BEGIN ").skip(1).any(|rest| rest.split('\n').next().is_some_and(is_private_key)) {
        return Some("a private key");
    }
    text.split(|c: char| !is_url_safe(c))
        .find_map(|run| {
            PREFIXES.iter().find(|prefix| {
                run.strip_prefix(prefix.begins).is_some_and(|rest| rest.len() >= prefix.followed_by)
            })
        })
        .map(|prefix| prefix.kind)
        .or_else(|| {
            text.split(|c: char| !is_url_safe(c) && c != '.').any(is_jwt).then_some("a JSON Web Token")
        })
}

/// The rest of the line that begins a PEM block.
fn is_private_key(line: &str) -> bool {
    line.split_once("-----").is_some_and(|(label, _)| label.ends_with("PRIVATE KEY"))
}

/// Three parts in base64url, the first of which begins with `{"` (RFC 7519).
fn is_jwt(run: &str) -> bool {
    let mut parts = run.splitn(3, '.');
    run.starts_with("eyJ") && (0..3).all(|_| parts.next().is_some_and(|part| part.len() >= 8))
}

fn is_url_safe(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// A long run of letters that are too evenly spread for words.
fn random_kind(text: &str) -> Option<&'static str> {
    let mut before = "";
    for run in text.split(|c: char| !is_url_safe(c) && !matches!(c, '+' | '/' | '=')) {
        let is_reference = before == "secret";
        before = run;
        if run.len() < RUN_CHARS_MIN || is_reference {
            continue;
        }
        let bits = entropy(run);
        if run.bytes().all(|b| b.is_ascii_hexdigit()) && bits >= HEX_BITS_MIN {
            return Some("a secret in hexadecimal");
        }
        let kinds = [u8::is_ascii_lowercase, u8::is_ascii_uppercase, u8::is_ascii_digit];
        let mixed = kinds.iter().filter(|is_kind| run.bytes().any(|b| is_kind(&b))).count() >= 2;
        if mixed && bits >= BASE64_BITS_MIN {
            return Some("a random secret");
        }
    }
    None
}

/// Shannon's, in bits a character.
fn entropy(run: &str) -> f64 {
    let mut counts = [0u32; 256];
    for byte in run.bytes() {
        counts[usize::from(byte)] += 1;
    }
    let length = run.len() as f64;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| {
            let share = f64::from(*count) / length;
            -share * libm::log2(share)
        })
        .sum()
}
