//! The JSON Schema of scenario files (draft 2020-12), by which editors complete and check them.
//!
//! It is made from the tables of keys that the readers use. What a table cannot say, such as that points go
//! on in time, only a reader says: each file that reads is valid, but not the other way round.

use serde_json::{Map, Value, json};

use super::keys::flow::STEP;
use super::keys::root::FILE;
use super::keys::{Object, Rule, Shape};

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The JSON Schema of scenario files.
#[must_use]
pub fn schema() -> Value {
    let mut definitions = Map::new();
    define(&FILE, &mut definitions);
    for object in STEP {
        define(object, &mut definitions);
    }
    let steps: Vec<Value> = STEP.into_iter().map(reference).collect();
    definitions.insert("step".into(), json!({ "description": "One step of a flow.", "anyOf": steps }));
    json!({
        "$schema": DRAFT,
        "title": "Brunt scenario",
        "description": "What load to put on which target, and what must hold.",
        "$ref": "#/$defs/file",
        "$defs": definitions,
    })
}

/// Adds an object and all that it leads to.
fn define(object: &'static Object, definitions: &mut Map<String, Value>) {
    if definitions.contains_key(object.name) {
        return;
    }
    // A place is taken first, because objects lead back to themselves.
    definitions.insert(object.name.into(), Value::Null);
    let mut properties = Map::new();
    for key in object.keys {
        let mut property = shape(&key.shape, definitions);
        if let Some(map) = property.as_object_mut() {
            map.insert("description".into(), key.help.into());
        }
        properties.insert(key.name.into(), property);
    }
    let mut definition = Map::new();
    definition.insert("type".into(), "object".into());
    definition.insert("properties".into(), properties.into());
    definition.insert("additionalProperties".into(), false.into());
    let required: Vec<Value> = object.rules.iter().filter_map(required).collect();
    if !required.is_empty() {
        definition.insert("required".into(), required.into());
    }
    let choices: Vec<Value> = object.rules.iter().filter_map(choice).collect();
    if !choices.is_empty() {
        definition.insert("allOf".into(), choices.into());
    }
    definitions.insert(object.name.into(), definition.into());
}

fn required(rule: &Rule) -> Option<Value> {
    match rule {
        Rule::Required(name) => Some((*name).into()),
        Rule::OneOf(_) | Rule::AtMostOne(_) => None,
    }
}

fn choice(rule: &Rule) -> Option<Value> {
    let (names, may_miss) = match rule {
        Rule::Required(_) => return None,
        Rule::OneOf(names) => (names, false),
        Rule::AtMostOne(names) => (names, true),
    };
    let mut choices: Vec<Value> = names.iter().map(|name| json!({ "required": [name] })).collect();
    if may_miss {
        choices.push(json!({ "not": { "anyOf": choices.clone() } }));
    }
    Some(json!({ "oneOf": choices }))
}

fn reference(object: &'static Object) -> Value {
    json!({ "$ref": format!("#/$defs/{}", object.name) })
}

fn shape(shape: &Shape, definitions: &mut Map<String, Value>) -> Value {
    let (what, example) = shape.words();
    match shape {
        Shape::Text | Shape::Name | Shape::Url | Shape::File => {
            json!({ "type": ["string", "number", "boolean"] })
        }
        Shape::Expression => json!({ "type": ["string", "number", "boolean", "null"] }),
        Shape::Boolean => json!({ "type": "boolean" }),
        Shape::Count
        | Shape::Counts
        | Shape::Rate
        | Shape::Rates
        | Shape::Size
        | Shape::Speed
        | Shape::Status => {
            json!({ "type": ["string", "number"], "title": format!("{what} such as {example}") })
        }
        Shape::Duration | Shape::Span | Shape::Limit => {
            json!({ "type": "string", "title": format!("{what} such as {example}") })
        }
        Shape::Value => json!({ "type": ["string", "number", "boolean", "null"] }),
        Shape::Json => json!({}),
        Shape::Word(words) => json!({ "enum": words_of(words) }),
        Shape::Point => json!({
            "type": "array",
            "prefixItems": [{ "type": "string" }, { "type": ["string", "number"] }],
            "minItems": 2,
            "maxItems": 2,
        }),
        Shape::Step => json!({ "$ref": "#/$defs/step" }),
        Shape::List(item) => json!({ "type": "array", "items": self::shape(item, definitions) }),
        Shape::Named(value) => {
            json!({ "type": "object", "additionalProperties": self::shape(value, definitions) })
        }
        Shape::Object(object) => {
            define(object, definitions);
            reference(object)
        }
        Shape::Either(shapes) => {
            let shapes: Vec<Value> = shapes.iter().map(|one| self::shape(one, definitions)).collect();
            json!({ "anyOf": shapes })
        }
    }
}

/// A word such as `1.1` is a number to YAML.
fn words_of(words: &[&str]) -> Vec<Value> {
    let numbers = words.iter().filter_map(|word| serde_json::from_str::<serde_json::Number>(word).ok());
    words.iter().map(|word| Value::from(*word)).chain(numbers.map(Value::from)).collect()
}

#[cfg(test)]
mod tests;
