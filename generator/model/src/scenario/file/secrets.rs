//! Texts in a file that look like secrets.
//!
//! A scenario is passed on, kept beside results and shown to others, so what is secret belongs elsewhere and
//! is named here: `{{ secret.NAME }}` or `!secret NAME`. What is found is told without being repeated.

use super::core_schema::{Meaning, meaning};
use super::fault::{Faults, Shown};
use super::tree::{Leaf, Node, Style};

/// What is told of each, and nothing else is.
pub(super) const MEND: &str = "use {{ secret.NAME }}, or say why it is none: not_secret: <reason>";
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

/// Goes down as deep as the tree does, which is bounded. Only the nearest key of a value decides, lest all
/// steps of a flow named `authenticate` were taken for secrets.
fn values(node: &Node, key: &str, is_secret_place: bool, faults: &mut Faults) {
    match node {
        Node::Leaf(leaf) => value(leaf, key, is_secret_place, faults),
        Node::List(nodes, _) => nodes.iter().for_each(|node| values(node, key, is_secret_place, faults)),
        Node::Map(entries, _) => {
            for (inner, node) in entries {
                let name = inner.text.to_ascii_lowercase();
                let is_secret = key == "headers" || SECRET_NAMES.iter().any(|part| name.contains(part));
                values(node, &inner.text, is_secret, faults);
            }
        }
    }
}

fn value(leaf: &Leaf, key: &str, is_secret_place: bool, faults: &mut Faults) {
    let is_number = leaf.style == Style::Plain && matches!(meaning(&leaf.text), Meaning::Float(_));
    if leaf.is_secret || is_number || !faults.has_room() {
        return;
    }
    let kind = known_kind(&leaf.text).or_else(|| is_secret_place.then(|| random_kind(&leaf.text)).flatten());
    if let Some(kind) = kind {
        let length = leaf.text.chars().count();
        faults.add(
            leaf.at,
            format!("the value of {} ({length} characters) looks like {kind}", Shown(key)),
            MEND,
        );
    }
}

/// Whether a line of a file may hold a secret, so that it is better not shown to anybody. It need not be read
/// for that: a line may be wrong just where its secret is.
#[must_use]
pub fn may_hold_secret(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    let is_named = |part: &str| lower.find(part).is_some_and(|at| lower[at..].contains(':'));
    let has_user = |rest: &str| rest.split('/').next().is_some_and(|host| host.contains('@'));
    SECRET_NAMES.iter().any(|part| is_named(part))
        || line.split("://").skip(1).any(has_user)
        || known_kind(line).or_else(|| random_kind(line)).is_some()
}

/// A beginning that only one kind of secret has, and how many letters, digits, `_` and `-` follow it at
/// least.
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

#[cfg(test)]
mod tests {
    use super::may_hold_secret;
    use crate::scenario::file::read;

    fn found(source: &str) -> Vec<String> {
        let faults = read(source).err().unwrap_or_default();
        faults.iter().map(ToString::to_string).collect()
    }

    /// A value in a place where secrets stand is told as this, and is never repeated.
    #[track_caller]
    fn check(value: &str, kind: &str) {
        let source = format!("http: {{headers: {{X-Thing: '{value}'}}}}");
        let faults = found(&source);
        let length = value.chars().count();
        let want = format!(
            "1:28: the value of 'X-Thing' ({length} characters) looks like {kind}; \
             use {{{{ secret.NAME }}}}, or say why it is none: not_secret: <reason>"
        );
        assert_eq!(read(&source).err().is_some_and(|faults| faults[0].is_of_secret()), !kind.is_empty());
        assert_eq!(faults, if kind.is_empty() { Vec::new() } else { vec![want] }, "{value}");
        assert!(kind.is_empty() || faults.iter().all(|fault| !fault.contains(value)));
    }

    /// Put together here, so that no scanner takes this file for one with secrets.
    fn of(begins: &str, rest: &str) -> String {
        format!("{begins}{rest}")
    }

    #[test]
    fn what_looks_like_a_secret_is_found() {
        check(&of("AKIA", "IOSFODNN7EXAMPLE"), "an AWS access key");
        check(&of("Bearer gh", "p_aaaaaaaaaaaaaaaaaaaaaaaaaaaa"), "a GitHub token");
        check(&of("github_", "pat_11AAAAAAA0aaaaaaaaaaaaa"), "a GitHub token");
        check(&of("xo", "xb-1234567890"), "a Slack token");
        check(&of("sk_", "live_1234567890"), "a Stripe key");
        check(&of("AI", "za1111111111111111111111111111111111"), "a Google API key");
        check(&of("ey", "JhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl"), "a JSON Web Token");
        check(&of("-----BEGIN RSA ", "PRIVATE KEY-----"), "a private key");
        check("Basic dXNlcjpTM2NyZXQtUGFzc3dvcmQhMTIz", "a random secret");
        check("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b", "a secret in hexadecimal");
    }

    #[test]
    fn what_is_none_is_let_through() {
        for value in [
            "application/x-www-form-urlencoded",
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0",
            "550e8400-e29b-41d4-a716-446655440000",
            "00000000000000000000000000000000",
            "Bearer {{ secret.A_VERY_LONG_NAME_1234567890_ABCDEFGHIJ }}",
            "AKIA",
            "-----BEGIN CERTIFICATE-----",
            "eyJ.a.b",
        ] {
            check(value, "");
        }
        assert_eq!(found("flows: {a: [{get: /q/9f86d081884c7d659a2feaa0c55ad015}]}"), Vec::<String>::new());
        assert_eq!(
            found("http: {tls: {client: {key: !secret A1B2C3D4E5F6G7H8I9J0K1L2}}}"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn lines_that_may_hold_a_secret_are_known() {
        for (line, want) in [
            (of("  - gh", "p_aaaaaaaaaaaaaaaaaaaaaaaaaaaa"), true),
            ("X: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b".into(), true),
            ("    passWord: hunter2".into(), true),
            ("headers: {Authorization: x".into(), true),
            ("target: https://me:hunter2@shop.test/".into(), true),
            ("target: https://shop.test/@me".into(), false),
            ("  - get: /tokens".into(), false),
            ("  chek: [status == 200]".into(), false),
            (String::new(), false),
        ] {
            assert_eq!(may_hold_secret(&line), want, "{line}");
        }
    }

    #[test]
    fn place_and_name_decide() {
        let random = "Zm9vYmFyMTIzNDU2Nzg5MHF3ZXJ0eQ";
        for (source, count) in [
            (format!("vars: {{api_token: {random}}}"), 1),
            (format!("vars: {{region: {random}}}"), 0),
            (format!("flows: {{authenticate: [{{get: /{random}}}]}}"), 0),
            (String::from("vars: {api_token: 3.1143208890532527e197}"), 0),
            (format!("flows: {{a: [{{post: /, json: {{user: {{Password: [{random}]}}}}}}]}}"), 1),
            // It is no count either, which is not told: that would repeat it.
            (format!("seed: {}", of("AKIA", "IOSFODNN7EXAMPLE")), 1),
            (format!("# {random}\nvars: {{a: {}}}", of("AKIA", "IOSFODNN7EXAMPLE")), 1),
            (format!("not_secret: it is of the manual\nvars: {{api_token: {random}}}"), 0),
            (format!("not_secret: short\nvars: {{api_token: {random}}}"), 1),
        ] {
            assert_eq!(found(&source).len(), count, "{source}");
        }
    }
}
