//! Which types fit together, and what to do about those that do not.

use super::error::ExprError;
use super::evaluate::Node;
use super::function::Parameter;
use super::syntax::Arithmetic;
use super::value::{Type, Value};

/// A part of the tree with what is known of it.
pub(super) struct Typed {
    /// Where it stands, in characters.
    pub(super) at: usize,
    pub(super) node: Node,
    pub(super) kind: Type,
}

impl Typed {
    /// Always `Null`, as far as types go: it fits anywhere.
    pub(super) fn is_null(&self) -> bool {
        matches!(self.node, Node::Constant(Value::Null))
    }

    /// The text of what was found to be a constant text.
    pub(super) fn constant_text(&self) -> &str {
        match self.node.constant() {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    /// # Errors
    /// When it cannot be what the parameter asks for; `role` begins the sentence.
    pub(super) fn expect(&self, parameter: Parameter, role: &str) -> Result<(), ExprError> {
        use Type::{Any, Bool, Duration, Float, Int, Text};
        let constant = self.node.constant();
        let (fits, expected) = match parameter {
            Parameter::Anything => (true, "a value"),
            Parameter::Bool => (matches!(self.kind, Bool | Any), "true or false"),
            Parameter::Int => (matches!(self.kind, Int | Any), "an integer"),
            Parameter::Number => (matches!(self.kind, Int | Float | Any), "a number"),
            Parameter::Quantity => {
                (matches!(self.kind, Int | Float | Duration | Any), "a number or a duration")
            }
            Parameter::Numeric => (matches!(self.kind, Int | Float | Text | Any), "a number or a text"),
            Parameter::Text => (matches!(self.kind, Text | Any), "a text"),
            Parameter::ConstantText => {
                (matches!(constant, Some(Value::Text(_))), "a text in quotes, known before the run")
            }
            Parameter::ConstantInt => {
                (matches!(constant, Some(Value::Int(_))), "an integer in digits, known before the run")
            }
        };
        if fits {
            return Ok(());
        }
        let mend = match (parameter, self.kind) {
            (Parameter::Text, _) => "write text(...) around it",
            (Parameter::Int, Float) => "write round(...) or floor(...) around it",
            (Parameter::Int | Parameter::Number | Parameter::Quantity, Text) => {
                "write int(...) or float(...) around it"
            }
            (Parameter::Int | Parameter::Number | Parameter::Numeric, Duration) => {
                "divide it by a unit, as in response_time / 1ms"
            }
            (Parameter::Bool, _) => "write a comparison such as x > 0, after `not` in parentheses",
            (Parameter::ConstantText | Parameter::ConstantInt, _) => "write it out",
            _ => "write one there",
        };
        let what = match parameter {
            Parameter::ConstantText | Parameter::ConstantInt => format!("{role} must be {expected}"),
            _ => format!("{role} must be {expected}, not {}", self.kind),
        };
        Err(ExprError::new(self.at, what, mend))
    }
}

/// The error of two sides that an operator does not take together.
pub(super) fn misfit(at: usize, sign: &str, left: Type, right: Type) -> ExprError {
    use Type::{Bool, Duration, Float, Int, Text};
    let mend = match (sign, left, right) {
        ("+", Text, _) | ("+", _, Text) => "write text(...) around what is no text",
        (_, Text, Int | Float) | (_, Int | Float, Text) => "write int(...) or float(...) around the text",
        (_, Duration, Int | Float) | (_, Int | Float, Duration) => {
            "give the number a unit, as in 500ms, or divide the duration by one"
        }
        (_, Bool, _) | (_, _, Bool) => "join conditions with `and` and `or`",
        _ => "bring both to the same type",
    };
    ExprError::new(at, format!("`{sign}` does not take {left} and {right}"), mend)
}

/// The type of an arithmetic operation; `None` for sides that never fit.
pub(super) fn arithmetic_type(sign: Arithmetic, left: Type, right: Type) -> Option<Type> {
    use Arithmetic::{Add, Divide, Multiply, Remainder, Subtract};
    use Type::{Any, Bool, Duration, Float, Int, Text};
    match (sign, left, right) {
        (_, Bool, _) | (_, _, Bool) => None,
        (Add, Text, Text | Any) | (Add, Any, Text) => Some(Text),
        (_, Text, _) | (_, _, Text) => None,
        (_, Any, _) | (_, _, Any) => Some(Any),
        (_, Int, Int) => Some(Int),
        (_, Int | Float, Int | Float) => Some(Float),
        (Add | Subtract | Remainder, Duration, Duration) => Some(Duration),
        (Divide, Duration, Duration) => Some(Float),
        (Multiply | Divide, Duration, Int | Float) | (Multiply, Int | Float, Duration) => Some(Duration),
        (_, Duration, _) | (_, _, Duration) => None,
    }
}

/// Whether values of these types may be equal, or else have an order.
pub(super) fn are_comparable(left: Type, right: Type, for_equality: bool) -> bool {
    use Type::{Any, Bool, Duration, Float, Int, Text};
    match (left, right) {
        (Bool, Bool | Any) | (Any, Bool) => for_equality,
        (Any, _) | (_, Any) | (Text, Text) | (Duration, Duration) => true,
        (Int | Float, Int | Float) => true,
        _ => false,
    }
}
