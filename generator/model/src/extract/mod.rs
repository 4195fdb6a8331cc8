//! What answers hold: values at JSON paths (RFC 9535).
//!
//! A path is compiled before the run. Simple ones, made of names and indices alone, are found by a scan of
//! the bytes; all others build the value first. Either way a text that is not JSON costs linear time and
//! finds nothing, or what lies before the place where it breaks.

use std::borrow::Cow;

use serde_json::{Number, Value};

use self::scan::Segment;

mod bounds;
mod cost;
mod scan;

/// Bytes of a path's source: one that a person wrote is far shorter.
pub const PATH_MAX: usize = 1024;

/// Answers that are built as values for a general path; their values take some twenty times as much memory.
pub const GENERAL_BODY_MAX: usize = 4 * 1024 * 1024;

/// A compiled JSON path.
#[derive(Clone, Debug)]
pub struct JsonPath {
    way: Way,
}

#[derive(Clone, Debug)]
enum Way {
    Simple(Vec<Segment>),
    General {
        path: serde_json_path::JsonPath,
        /// How many parts of it may look at each value.
        parts: u64,
    },
}

/// A value of an answer.
#[derive(Clone, PartialEq, Debug)]
pub enum Found<'a> {
    Null,
    Bool(bool),
    Int(i64),
    /// Also whole numbers that an `i64` does not hold.
    Float(f64),
    /// Without quotes and escapes.
    Text(Cow<'a, str>),
    /// An object or array as it is written; written anew where a general path found it.
    Json(Cow<'a, str>),
}

impl JsonPath {
    /// # Errors
    /// A sentence, if `source` is longer than [`PATH_MAX`], is no JSON path, or could cost more than linear
    /// time.
    pub fn compile(source: &str) -> Result<Self, String> {
        if source.len() > PATH_MAX {
            return Err(format!(
                "a JSON path of {} bytes is too long: at most {PATH_MAX} are allowed",
                source.len()
            ));
        }
        if let Some(segments) = simple(source) {
            return Ok(Self { way: Way::Simple(segments) });
        }
        bounds::check(source).map_err(|why| format!("the JSON path '{source}' {why}"))?;
        match serde_json_path::JsonPath::parse(source) {
            Ok(path) => Ok(Self { way: Way::General { path, parts: cost::parts(source) } }),
            Err(error) => Err(format!(
                "'{source}' is no JSON path: {error}; expected one such as $.items[0][\"price\"] (RFC 9535)"
            )),
        }
    }

    /// The first value at the path; `None` if there is none, or none that can be read, or a general path would take
    /// more than 16 Mi steps to find it.
    #[must_use]
    pub fn first<'a>(&self, body: &'a [u8]) -> Option<Found<'a>> {
        match &self.way {
            Way::Simple(segments) => read(scan::find(body, segments)?),
            Way::General { path, parts } => path.query(&value_within(body, *parts)?).first().and_then(taken),
        }
    }

    /// How many values the path chooses; 0 where that would take too many steps.
    #[must_use]
    pub fn count(&self, body: &[u8]) -> usize {
        match &self.way {
            Way::Simple(_) => usize::from(self.first(body).is_some()),
            Way::General { path, parts } => {
                value_within(body, *parts).map_or(0, |value| path.query(&value).len())
            }
        }
    }
}

/// The parts of a path that has only names and indices; `None` for all others, also for names with escapes.
fn simple(source: &str) -> Option<Vec<Segment>> {
    let mut rest = source.strip_prefix('$')?;
    let mut segments = Vec::new();
    while !rest.is_empty() {
        let (segment, after) = match rest.strip_prefix('.') {
            Some(rest) => shorthand(rest)?,
            None => bracketed(rest.strip_prefix('[')?)?,
        };
        segments.push(segment);
        rest = after;
    }
    Some(segments)
}

/// Section 2.5.1.1, member-name-shorthand.
fn shorthand(rest: &str) -> Option<(Segment, &str)> {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii();
    let end = rest.find(|c: char| !is_first(c) && !c.is_ascii_digit()).unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    name.starts_with(is_first).then(|| (Segment::Name(name.into()), after))
}

/// Sections 2.3.1 and 2.3.3, after the bracket.
fn bracketed(rest: &str) -> Option<(Segment, &str)> {
    if let Some(quote @ ('"' | '\'')) = rest.chars().next() {
        let (name, after) = rest[1..].split_once(quote)?;
        let is_plain = !name.contains(|c: char| c == '\\' || c < ' ');
        return Some((Segment::Name(name.into()), after.strip_prefix(']')?)).filter(|_| is_plain);
    }
    let (digits, after) = rest.split_once(']')?;
    let is_index =
        digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    // Section 2.1: whole numbers are exact in a double.
    let index = digits.parse().ok().filter(|index| is_index && *index < 1 << 53)?;
    Some((Segment::Index(index), after))
}

/// The value of a text in which a path of so many parts does not take too many steps.
fn value_within(body: &[u8], parts: u64) -> Option<Value> {
    cost::values_by_depth(body, cost::STEPS_MAX / parts)?;
    value(body)
}

fn value(body: &[u8]) -> Option<Value> {
    (body.len() <= GENERAL_BODY_MAX).then(|| serde_json::from_slice(body).ok())?
}

/// A value as it is written, whose grammar the scan has seen.
fn read(written: &[u8]) -> Option<Found<'_>> {
    Some(match written.first()? {
        b'n' => Found::Null,
        b't' => Found::Bool(true),
        b'f' => Found::Bool(false),
        b'{' | b'[' => Found::Json(Cow::Borrowed(str::from_utf8(written).ok()?)),
        b'"' if written.contains(&b'\\') => Found::Text(Cow::Owned(serde_json::from_slice(written).ok()?)),
        b'"' => Found::Text(Cow::Borrowed(str::from_utf8(written.get(1..written.len() - 1)?).ok()?)),
        _ => number(&serde_json::from_slice(written).ok()?)?,
    })
}

fn taken(value: &Value) -> Option<Found<'static>> {
    Some(match value {
        Value::Null => Found::Null,
        Value::Bool(value) => Found::Bool(*value),
        Value::Number(value) => number(value)?,
        Value::String(text) => Found::Text(Cow::Owned(text.clone())),
        Value::Array(_) | Value::Object(_) => Found::Json(Cow::Owned(value.to_string())),
    })
}

fn number(number: &Number) -> Option<Found<'static>> {
    number.as_i64().map(Found::Int).or_else(|| number.as_f64().map(Found::Float))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{Found, GENERAL_BODY_MAX, JsonPath, PATH_MAX, Way, taken, value};

    fn path(source: &str) -> JsonPath {
        JsonPath::compile(source).unwrap()
    }

    fn check(body: &str, source: &str, expected: Option<Found<'_>>) {
        assert_eq!(path(source).first(body.as_bytes()), expected, "{source} in {body}");
    }

    fn text(text: &str) -> Option<Found<'_>> {
        Some(Found::Text(text.into()))
    }

    #[test]
    fn values_have_their_types() {
        let body = r#"{"n":null,"t":true,"f":false,"i":-7,"big":18446744073709551615,"e":1e2,"z":-0,"s":"a b",
            "x":"a\n\u00e9\ud83d\ude00","l":[1, 2],"o":{"k" : 1},"h":1e999,"c":"\ud83d"}"#;
        check(body, "$.n", Some(Found::Null));
        check(body, "$.t", Some(Found::Bool(true)));
        check(body, "$.f", Some(Found::Bool(false)));
        check(body, "$.i", Some(Found::Int(-7)));
        check(body, "$.big", Some(Found::Float(18_446_744_073_709_551_615.0)));
        check(body, "$.e", Some(Found::Float(100.0)));
        check(body, "$.z", Some(Found::Float(-0.0)));
        check(body, "$.s", text("a b"));
        check(body, "$.x", text("a\né😀"));
        check(body, "$.l", Some(Found::Json("[1, 2]".into())));
        check(body, "$.o", Some(Found::Json(r#"{"k" : 1}"#.into())));
        check(body, "$.h", None);
        check(body, "$.c", None);
        assert_eq!(path("$.a").first(b"{\"a\":\"\xff\"}"), None);
    }

    #[test]
    fn sources_are_read_by_both_ways() {
        let body = r#"{"a":{"b":[0,1,2,{"c d":"yes"}]},"it's":1,"q\"":2,"é_1":3}"#;
        check(body, "$.a.b[3]['c d']", text("yes"));
        check(body, "$.a.b[3][\"c d\"]", text("yes"));
        check(body, "$[\"it's\"]", Some(Found::Int(1)));
        check(body, "$['it\\'s']", Some(Found::Int(1)));
        check(body, "$['q\"']", Some(Found::Int(2)));
        check(r#"{"a":[1]}"#, "$['a'][ 0 ]", Some(Found::Int(1)));
        check(body, "$.é_1", Some(Found::Int(3)));
        check(body, "$.a.b[-1]['c d']", text("yes"));
        check(body, "$..['c d']", text("yes"));
        check(body, "$.a.b[?@ > 0]", Some(Found::Int(1)));
        check(body, "$.a.b[3:]", Some(Found::Json(r#"{"c d":"yes"}"#.into())));
        for (source, count) in
            [("$.a.b[*]", 4), ("$.a.b", 1), ("$.x", 0), ("$.x[*]", 0), ("$.a.b[?@ > 0]", 2)]
        {
            assert_eq!(path(source).count(body.as_bytes()), count, "{source}");
        }
        for source in ["$", "$.a", "$['a']", "$[0]", "$.a[10]['b c'].d"] {
            assert!(matches!(path(source).way, Way::Simple(_)), "{source}");
        }
        for source in ["$..a", "$[-1]", "$.*", "$[0,1]", "$['a\\n']", "$[0:1]"] {
            assert!(matches!(path(source).way, Way::General { .. }), "{source}");
        }
    }

    #[test]
    fn wrong_paths_are_refused_with_their_mend() {
        for source in [
            "",
            "a",
            "$.",
            "$.1a",
            "$.a-b",
            "$[01]",
            "$[-0]",
            "$[9007199254740992]",
            "$['a]",
            "$[a]",
            "$.a b",
            " $",
        ] {
            let error = JsonPath::compile(source).unwrap_err();
            assert!(error.contains("RFC 9535") && error.contains(source), "{error}");
        }
        let long = |len: usize| JsonPath::compile(&format!("$.{}", "a".repeat(len - 2)));
        assert!(long(PATH_MAX).is_ok());
        assert!(long(PATH_MAX + 1).unwrap_err().contains("1025 bytes"));
    }

    #[test]
    fn general_paths_look_at_answers_of_bounded_size() {
        let body = |len: usize| format!("[1,\"{}\"]", "x".repeat(len - 6));
        check(&body(GENERAL_BODY_MAX), "$[-2]", Some(Found::Int(1)));
        check(&body(GENERAL_BODY_MAX + 1), "$[-2]", None);
        check(&body(GENERAL_BODY_MAX + 1), "$[0]", Some(Found::Int(1)));
    }

    fn key() -> impl Strategy<Value = String> {
        prop::sample::select(vec!["a", "b", "c d", "é", "", "it's", "a\u{7}", "back\\", "q\""])
            .prop_map(str::to_owned)
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1e9..1e9f64).prop_map(Value::from),
            "\\PC{0,12}|[\\x00-\\x7f]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 48, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(key(), inner, 0..5).prop_map(|map| json!(map)),
            ]
        })
    }

    /// A path down into a value, and perhaps one step that leads nowhere.
    fn path_into(mut value: &Value, turns: &[prop::sample::Index], astray: Option<&str>) -> String {
        let mut source = "$".to_owned();
        for turn in turns {
            match value {
                Value::Array(list) if !list.is_empty() => {
                    let at = turn.index(list.len());
                    source.push_str(&format!("[{at}]"));
                    value = &list[at];
                }
                Value::Object(map) if !map.is_empty() => {
                    let (name, inner) = map.iter().nth(turn.index(map.len())).unwrap();
                    source.push_str(&format!("[{}]", json!(name)));
                    value = inner;
                }
                _ => break,
            }
        }
        source.push_str(astray.unwrap_or_default());
        source
    }

    /// What serde_json and serde_json_path find.
    fn reference(source: &str, body: &[u8]) -> Option<Found<'static>> {
        serde_json_path::JsonPath::parse(source).unwrap().query(&value(body)?).first().and_then(taken)
    }

    /// Objects and arrays are compared by what they mean.
    fn normal(found: Option<Found<'_>>) -> Option<Found<'static>> {
        found.map(|found| match found {
            Found::Json(text) => taken(&serde_json::from_str(&text).unwrap()).unwrap(),
            Found::Text(text) => Found::Text(text.into_owned().into()),
            Found::Int(value) => Found::Int(value),
            Found::Float(value) => Found::Float(value),
            Found::Bool(value) => Found::Bool(value),
            Found::Null => Found::Null,
        })
    }

    fn turns() -> impl Strategy<Value = Vec<prop::sample::Index>> {
        prop::collection::vec(any::<prop::sample::Index>(), 0..6)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_scan_finds_what_a_reader_of_values_finds(
            value in json(),
            turns in turns(),
            astray in prop::option::weighted(0.2, prop::sample::select(vec![".a", "[0]", "['c d']", "[7]"])),
            pretty in any::<bool>(),
        ) {
            let source = path_into(&value, &turns, astray);
            let body = if pretty { format!("{value:#}") } else { value.to_string() }.into_bytes();
            prop_assert_eq!(normal(path(&source).first(&body)), reference(&source, &body), "{}", source);
        }

        #[test]
        fn of_members_of_one_name_both_take_the_last(
            members in prop::collection::vec((key(), json()), 1..6),
            turns in turns(),
        ) {
            let member = |(name, value): &(String, Value)| format!("{}:{value}", json!(name));
            let body: Vec<_> = members.iter().map(member).collect();
            let body = format!("[{{{}}}]", body.join(","));
            // The path leads into the first of them, which a later one may replace.
            let source = path_into(&json!([{ members[0].0.as_str(): members[0].1 }]), &turns, None);
            let body = body.as_bytes();
            prop_assert_eq!(normal(path(&source).first(body)), reference(&source, body), "{}", source);
        }

        #[test]
        fn broken_texts_find_nothing_or_what_lies_before_the_break(
            value in json().prop_filter("a number is whole wherever it is cut", |value| !value.is_number()),
            turns in turns(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            end in any::<prop::sample::Index>(),
        ) {
            let source = path_into(&value, &turns, None);
            let mut body = serde_json::to_vec(&value).unwrap();
            let whole = normal(path(&source).first(&body));
            let cut = normal(path(&source).first(&body[..end.index(body.len())]));
            prop_assert!(cut.is_none() || cut == whole);
            for (at, byte) in changes {
                let at = at.index(body.len());
                body[at] = byte;
            }
            let found = path(&source).first(&body);
            let is_json = serde_json::from_slice::<Value>(&body).is_ok();
            prop_assert!(is_json || path("$..*").count(&body) == 0);
            if is_json {
                prop_assert_eq!(normal(found), reference(&source, &body));
            } else if let Some(Found::Json(text)) = found {
                prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok());
            }
        }
    }
}
