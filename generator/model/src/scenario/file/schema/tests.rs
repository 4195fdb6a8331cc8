use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::*;
use crate::scenario::file::core_schema::Meaning;
use crate::scenario::file::fault::Faults;
use crate::scenario::file::read::means;
use crate::scenario::file::tree::{Node, parse};
use crate::scenario::file::write;
use crate::scenario::file::write::tests::strategies;

/// As a validator sees a file.
fn as_json(node: &Node) -> Value {
    match node {
        Node::Leaf(leaf) => match means(leaf) {
            Meaning::Null => Value::Null,
            Meaning::Bool(value) => value.into(),
            Meaning::Int(value) => value.into(),
            Meaning::Float(value) => value.into(),
            Meaning::Unkept => json!(0),
            Meaning::Text => leaf.text.as_str().into(),
        },
        Node::List(nodes, _) => nodes.iter().map(as_json).collect(),
        Node::Map(entries, _) => {
            entries.iter().map(|(key, node)| (key.text.clone(), as_json(node))).collect::<Map<_, _>>().into()
        }
    }
}

fn json_of(source: &str) -> Value {
    let mut faults = Faults::default();
    let tree = parse(source, &mut faults).unwrap_or_else(|| panic!("{faults:?}"));
    as_json(&tree)
}

/// The part of JSON Schema that is used here. A word that it does not know is a defect.
fn is_valid(value: &Value, schema: &Value, root: &Value) -> bool {
    let valid = |schema: &Value| is_valid(value, schema, root);
    let each = |schemas: &Value| schemas.as_array().unwrap().iter().filter(|schema| valid(schema)).count();
    schema.as_object().unwrap().iter().all(|(word, constraint)| match word.as_str() {
        "$schema" | "title" | "description" | "$defs" | "properties" => true,
        "$ref" => valid(root.pointer(&constraint.as_str().unwrap()[1..]).expect("a definition")),
        "type" => match constraint {
            Value::Array(types) => types.iter().any(|name| has_type(value, name)),
            name => has_type(value, name),
        },
        "enum" => constraint.as_array().unwrap().contains(value),
        "anyOf" => each(constraint) > 0,
        "oneOf" => each(constraint) == 1,
        "allOf" => each(constraint) == constraint.as_array().unwrap().len(),
        "not" => !valid(constraint),
        "required" => {
            constraint.as_array().unwrap().iter().all(|name| value.get(name.as_str().unwrap()).is_some())
        }
        "items" => {
            value.as_array().is_none_or(|items| items.iter().all(|item| is_valid(item, constraint, root)))
        }
        "prefixItems" => value.as_array().is_none_or(|items| {
            items
                .iter()
                .zip(constraint.as_array().unwrap())
                .all(|(item, schema)| is_valid(item, schema, root))
        }),
        "minItems" => value.as_array().is_none_or(|items| items.len() as u64 >= constraint.as_u64().unwrap()),
        "maxItems" => value.as_array().is_none_or(|items| items.len() as u64 <= constraint.as_u64().unwrap()),
        "additionalProperties" => value.as_object().is_none_or(|map| {
            map.iter().all(|(name, value)| match (&schema["properties"][name], constraint) {
                (Value::Null, Value::Bool(allowed)) => *allowed,
                (Value::Null, others) => is_valid(value, others, root),
                (property, _) => is_valid(value, property, root),
            })
        }),
        _ => panic!("{word} is not known"),
    })
}

fn has_type(value: &Value, name: &Value) -> bool {
    match name.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        name => panic!("the type {name} is not known"),
    }
}

#[test]
fn what_does_not_fit_is_not_valid() {
    let schema = schema();
    for source in [
        "[]",
        "traget: a",
        "http: 5",
        "http: {version: 3}",
        "http: {auth: {basic: {user: a}}}",
        "http: {auth: {}}",
        "load: {open: {rate: 5}}",
        "load: {open: {rate: 5, for: 10}}",
        "load: {points: [[0s]]}",
        "loads: {a: {phases: []}}\nload: []",
        "flows: {a: [{think: 5s, get: /}]}",
        "flows: {a: [{get: /, body: a, file: b}]}",
        "flows: {a: [{get: /, save: [a]}]}",
        "flows: {a: [{repeat: 5, steps: [{get: /, chek: []}]}]}",
    ] {
        assert!(!is_valid(&json_of(source), &schema, &schema), "{source}");
    }
}

#[test]
fn every_key_has_a_description_and_every_definition_is_used() {
    let schema = schema();
    let text = schema.to_string();
    let mut names = BTreeSet::new();
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        assert!(names.insert(name) && text.contains(&format!("\"#/$defs/{name}\"")), "{name}");
        for (key, property) in definition.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let help = property["description"].as_str().unwrap_or_default();
            assert!(help.ends_with('.'), "{name}.{key}: {help}");
        }
    }
    assert!(names.len() > 30, "{names:?}");
}

/// Keys of all maps within a value.
fn keys(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            found.insert(key.clone());
            keys(value, found);
        }),
        Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
        _ => {}
    }
}

/// A key that stands in a table but that nobody reads would be taken in silence. What is written reads as the
/// same, so it is enough that each key is written.
#[test]
fn every_key_is_written() {
    let mut runner = TestRunner::deterministic();
    let mut found = BTreeSet::new();
    for _ in 0..200 {
        let file = strategies::file().new_tree(&mut runner).expect("a file").current();
        keys(&json_of(&write(&file)), &mut found);
    }
    let schema = schema();
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        for key in definition.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::keys) {
            assert!(found.contains(key), "{name}.{key}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_valid(file in strategies::file()) {
        let schema = schema();
        let written = write(&file);
        prop_assert!(is_valid(&json_of(&written), &schema, &schema), "{}", written);
    }
}
