//! Values for parameters and bodies: examples, defaults and enumerations, else made by type.

use std::cell::Cell;

use serde_json::Value;

use super::super::template::{Piece, literal};
use crate::scenario::file::{Json, Scalar};

/// Schemas within schemas. Recursive ones end here.
const DEPTH_MAX: usize = 8;
/// References to references.
const REFERENCES_MAX: usize = 8;
/// Bytes that all examples together may come to: one that many operations refer to is written out for each.
const BUDGET: usize = 1 << 26;

/// What a value takes of memory beside its text, about.
const NODE_COST: usize = 256;

pub(super) struct Samples<'d> {
    document: &'d Value,
    left: Cell<usize>,
}

impl<'d> Samples<'d> {
    pub(super) const fn new(document: &'d Value) -> Self {
        Self { document, left: Cell::new(BUDGET) }
    }

    /// Whether something had to be left away because it was too much.
    pub(super) fn exhausted(&self) -> bool {
        self.left.get() == 0
    }

    /// What `$ref` stands for, within the document.
    pub(super) fn resolve(&self, value: &'d Value) -> &'d Value {
        let mut value = value;
        for _ in 0..REFERENCES_MAX {
            let Some(pointer) = value.get("$ref").and_then(Value::as_str) else { return value };
            let Some(found) = pointer.strip_prefix('#').and_then(|pointer| self.document.pointer(pointer))
            else {
                return &Value::Null;
            };
            value = found;
        }
        &Value::Null
    }

    /// A body by its media type object.
    pub(super) fn media(&self, media: &'d Value) -> Json {
        match self.example(media) {
            Some(example) => self.constant(example),
            None => self.schema(&media["schema"], 0),
        }
    }

    /// The text of a parameter.
    pub(super) fn parameter(&self, parameter: &'d Value) -> Vec<Piece> {
        if self.exhausted() {
            return Vec::new();
        }
        let pieces = self.pieces(parameter);
        let length = |piece: &Piece| match piece {
            Piece::Literal(text) | Piece::Expression(text) => text.len(),
        };
        self.spend(pieces.iter().map(length).sum());
        pieces
    }

    fn pieces(&self, parameter: &'d Value) -> Vec<Piece> {
        let value = match self.example(parameter) {
            Some(example) => return constant_text(example),
            None => self.resolve(&parameter["schema"]),
        };
        if let Some(constant) = self.example(value).or_else(|| constant_of(value)) {
            return constant_text(constant);
        }
        match type_of(value) {
            "integer" | "number" => vec![Piece::Expression(integer(value))],
            "boolean" => vec![Piece::Literal("true".into())],
            "array" => {
                let item = self.resolve(&value["items"]);
                self.example(item).or_else(|| constant_of(item)).map_or_else(|| text(item), constant_text)
            }
            _ => text(value),
        }
    }

    /// `example`, or the first of `examples`.
    fn example(&self, of: &'d Value) -> Option<&'d Value> {
        let first = match &of["examples"] {
            Value::Array(examples) => examples.first(),
            Value::Object(examples) => {
                examples.values().next().and_then(|one| self.resolve(one).get("value"))
            }
            _ => None,
        };
        of.get("example").or(first)
    }

    fn schema(&self, schema: &'d Value, depth: usize) -> Json {
        let schema = self.resolve(schema);
        if depth >= DEPTH_MAX || !self.spend(NODE_COST) {
            return Json::Scalar(Scalar::Null);
        }
        if let Some(constant) = self.example(schema).or_else(|| constant_of(schema)) {
            return self.constant(constant);
        }
        if let Some(first) = schema["oneOf"].get(0).or_else(|| schema["anyOf"].get(0)) {
            return self.schema(first, depth + 1);
        }
        match type_of(schema) {
            "object" => Json::Map(self.properties(schema, depth)),
            "array" => Json::List(vec![self.schema(&schema["items"], depth + 1)]),
            "integer" => expression(&integer(schema)),
            "number" => Json::Scalar(schema["minimum"].as_f64().map_or(Scalar::Float(1.5), Scalar::Float)),
            "boolean" => Json::Scalar(Scalar::Bool(true)),
            "string" => Json::Scalar(Scalar::Text(super::super::template::render(&text(schema)).into())),
            _ => Json::Scalar(Scalar::Null),
        }
    }

    /// Properties of the schema and of all that it is made of, but for those that only answers have.
    fn properties(&self, schema: &'d Value, depth: usize) -> Vec<(crate::scenario::file::Name, Json)> {
        let mut entries = Vec::new();
        for part in schema["allOf"].as_array().into_iter().flatten() {
            if let Json::Map(inner) = self.schema(part, depth + 1) {
                entries.extend(inner);
            }
        }
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            // Where a recursive schema ends, what is further in is left away.
            if depth + 1 >= DEPTH_MAX || !self.spend(NODE_COST + name.len()) {
                break;
            }
            if self.resolve(property)["readOnly"] == true {
                continue;
            }
            entries.push((name.clone().into(), self.schema(property, depth + 1)));
        }
        entries
    }

    /// A value as it is; serde_json bounds its depth.
    fn constant(&self, value: &'d Value) -> Json {
        if !self.spend(NODE_COST + value.as_str().map_or(0, str::len)) {
            return Json::Scalar(Scalar::Null);
        }
        match value {
            Value::Null => Json::Scalar(Scalar::Null),
            Value::Bool(value) => Json::Scalar(Scalar::Bool(*value)),
            Value::Number(number) => Json::Scalar(match number.as_i64() {
                Some(number) => Scalar::Int(number),
                None => Scalar::Float(number.as_f64().unwrap_or_default()),
            }),
            Value::String(text) => Json::Scalar(Scalar::Text(literal(text).into())),
            Value::Array(items) => Json::List(items.iter().map(|item| self.constant(item)).collect()),
            Value::Object(entries) => {
                let entry = |(name, value): (&String, &'d Value)| (name.clone().into(), self.constant(value));
                Json::Map(entries.iter().map(entry).collect())
            }
        }
    }

    fn spend(&self, cost: usize) -> bool {
        self.left.set(self.left.get().saturating_sub(cost));
        !self.exhausted()
    }
}

/// `const`, `default`, or the first of `enum`.
fn constant_of(schema: &Value) -> Option<&Value> {
    schema.get("const").or_else(|| schema.get("default")).or_else(|| schema["enum"].get(0))
}

/// The type; the first that is not `null` where there are several (3.1).
fn type_of(schema: &Value) -> &str {
    let named = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).find(|name| *name != "null"),
        one => one.as_str(),
    };
    let object = schema.get("properties").or_else(|| schema.get("allOf")).is_some();
    named.unwrap_or(if object { "object" } else { "" })
}

/// A number that is drawn within the bounds of its schema.
fn integer(schema: &Value) -> String {
    let low = schema["minimum"].as_i64().unwrap_or(1);
    let high = schema["maximum"].as_i64().unwrap_or_else(|| low.saturating_add(999));
    format!("pick({low}, {})", high.max(low))
}

/// A text of the format that the schema names.
fn text(schema: &Value) -> Vec<Piece> {
    let constant = |text: &str| vec![Piece::Literal(text.to_owned())];
    match schema["format"].as_str().unwrap_or_default() {
        "uuid" => vec![Piece::Expression("uuid()".into())],
        "date-time" => constant("2024-01-01T00:00:00Z"),
        "date" => constant("2024-01-01"),
        "email" => constant("user@example.com"),
        "uri" | "url" => constant("https://example.com/"),
        "ipv4" => constant("192.0.2.1"),
        "ipv6" => constant("2001:db8::1"),
        _ if matches!(type_of(schema), "integer" | "number") => vec![Piece::Expression(integer(schema))],
        _ => constant("text"),
    }
}

fn constant_text(value: &Value) -> Vec<Piece> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => return items.first().map_or_else(Vec::new, constant_text),
        other => other.to_string(),
    };
    vec![Piece::Literal(text)]
}

fn expression(source: &str) -> Json {
    Json::Scalar(Scalar::Text(format!("{{{{ {source} }}}}").into()))
}
