//! Whole expressions and texts, from source to value: the world that they are evaluated in.

mod properties;
mod refusals;
mod templates;
mod values;

use super::*;
use crate::units::Nanos;

/// Variables by their index, with what is known of them before the run.
const VARIABLES: [(&str, Type); 8] = [
    ("region", Type::Text),
    ("n", Type::Int),
    ("ratio", Type::Float),
    ("flag", Type::Bool),
    ("pause", Type::Duration),
    ("any_int", Type::Any),
    ("any_text", Type::Any),
    ("missing", Type::Any),
];

struct World {
    variables: [Value; 8],
    body: Vec<u8>,
    has_answer: bool,
}

fn world() -> World {
    World {
        variables: [
            Value::Text("eu".into()),
            Value::Int(7),
            Value::Float(0.5),
            Value::Bool(true),
            Value::Duration(Nanos::from_millis(1_500)),
            Value::Int(3),
            Value::Text("a b".into()),
            Value::Null,
        ],
        body: br#"{"id": "x17", "items": [1, 2]} id=42;"#.to_vec(),
        has_answer: true,
    }
}

impl Names for World {
    fn look_up(&self, path: &[&str]) -> Option<(Ref, Type)> {
        match path {
            ["users", "name"] => Some((Ref::Column { feeder: 0, column: 0 }, Type::Text)),
            ["users", "age"] => Some((Ref::Column { feeder: 0, column: 1 }, Type::Text)),
            ["secret", "API_KEY"] => Some((Ref::Secret(4), Type::Text)),
            ["answer_to_all"] => Some((Ref::Constant(Value::Int(42)), Type::Int)),
            ["long"] => Some((Ref::Constant(Value::Text("x".repeat(40_000).into())), Type::Text)),
            [name] => {
                let index = VARIABLES.iter().position(|(known, _)| known == name)?;
                Some((Ref::Variable(u16::try_from(index).ok()?), VARIABLES[index].1))
            }
            _ => None,
        }
    }

    fn all(&self) -> Vec<String> {
        let variables = VARIABLES.iter().map(|(name, _)| (*name).to_owned());
        variables.chain(["users.name", "users.age", "secret.API_KEY"].map(str::to_owned)).collect()
    }
}

impl Sight for World {
    fn variable(&self, index: u16) -> &Value {
        &self.variables[usize::from(index)]
    }

    fn column(&self, _: u16, column: u16) -> Option<&str> {
        (column == 0).then_some("Zoë")
    }

    fn secret(&self, _: u16) -> &str {
        "hunter2"
    }

    fn wall_ns(&self) -> i64 {
        1_772_323_199_987_654_321 // 2026-02-28T23:59:59.987654321Z
    }

    fn counter(&self) -> u64 {
        9
    }

    fn user(&self) -> u64 {
        u64::MAX
    }

    fn answer(&self) -> Option<&dyn Answer> {
        self.has_answer.then_some(self)
    }
}

impl Answer for World {
    fn status(&self) -> u16 {
        200
    }

    fn body(&self) -> &[u8] {
        &self.body
    }

    fn body_size(&self) -> u64 {
        self.body.len() as u64
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        (name == "etag").then_some(b"\"abc\"")
    }

    fn cookie(&self, name: &str) -> Option<&[u8]> {
        (name == "sid").then_some(b"s1")
    }

    fn response_ns(&self) -> u64 {
        12_000_000
    }

    fn first_byte_ns(&self) -> u64 {
        9_000_000
    }

    fn json(&self, path: usize) -> Value {
        [Value::Text("x17".into()), Value::Int(5)].get(path).cloned().unwrap_or(Value::Null)
    }

    fn json_count(&self, path: usize) -> Option<u64> {
        (path == 0).then_some(2)
    }
}

fn compile(source: &str) -> Expr {
    Expr::compile(source, &world(), Stage::Response).unwrap_or_else(|error| panic!("{source}: {error}"))
}

fn evaluate(source: &str) -> Value {
    let expr = compile(source);
    let value = expr.evaluate(&world(), &mut Random::new(1, 0));
    assert!(value == Value::Null || matches!(expr.type_of(), Type::Any) || value.type_of() == expr.type_of());
    value
}

fn check(source: &str, want: Value) {
    assert_eq!(evaluate(source), want, "{source}");
}
