//! Constants are computed once, when an expression is compiled.

use super::evaluate::Node;
use super::function::Function;
use super::lex::SOURCE_MAX;
use super::sight::{Answer, Sight};
use super::value::Value;
use crate::random::Random;

/// The value of an operation on constants in its place, unless that is long: a short source can make many
/// long texts.
pub(super) fn fold(node: Node) -> Node {
    let is_constant = |nodes: &[Node]| nodes.iter().all(|node| node.constant().is_some());
    let foldable = match &node {
        Node::Constant(_) | Node::Variable(_) | Node::Column { .. } | Node::Secret(_) | Node::Answer(_) => {
            false
        }
        Node::Not(of) | Node::Negate(of) | Node::IsNull { of, .. } => of.constant().is_some(),
        Node::And(of) | Node::Or(of) | Node::Arithmetic(_, of) | Node::Order(_, of) => is_constant(&**of),
        Node::Equal { of, .. } => is_constant(&**of),
        Node::Matches(of) => of.0.constant().is_some(),
        Node::Call(function, arguments) => !is_of_the_moment(*function) && is_constant(arguments),
    };
    if !foldable {
        return node;
    }
    let value = node.evaluate(&Nothing, &mut Random::new(0, 0)).keep();
    match &value {
        Value::Text(text) if text.len() > SOURCE_MAX => node,
        _ => Node::Constant(value),
    }
}

/// Functions whose result is another each time.
const fn is_of_the_moment(function: Function) -> bool {
    use Function::{Counter, Now, NowRfc3339, OneOf, Pick, RandomText, User, Uuid};
    matches!(function, Pick | OneOf | Uuid | RandomText | Now | NowRfc3339 | Counter | User)
}

/// Constants see nothing.
struct Nothing;

impl Sight for Nothing {
    fn variable(&self, _: u16) -> &Value {
        &Value::Null
    }

    fn column(&self, _: u16, _: u16) -> Option<&str> {
        None
    }

    fn secret(&self, _: u16) -> &str {
        ""
    }

    fn wall_ns(&self) -> i64 {
        0
    }

    fn counter(&self) -> u64 {
        0
    }

    fn user(&self) -> u64 {
        0
    }

    fn answer(&self) -> Option<&dyn Answer> {
        None
    }
}
