//! Operators: folded where both sides are constant, else written as an expression of the scenario's language.

use super::super::template::{Piece, quoted};
use super::task::Translator;
use super::value::Value;
use crate::scenario::file::Place;

impl Translator<'_> {
    pub(super) fn unary(&mut self, at: Place, operator: &str, of: &Value) -> Value {
        match (operator, of) {
            ("-", Value::Int(number)) => {
                number.checked_neg().map_or(Value::unknown(at, "a number"), Value::Int)
            }
            ("-", Value::Float(number)) => Value::Float(-number),
            ("-", Value::Expression(source)) => Value::Expression(format!("(-{source})")),
            ("not", _) => match self.truth(at, of.clone()) {
                Value::Bool(value) => Value::Bool(!value),
                Value::Condition(source) => Value::Condition(negated(&source)),
                other => other,
            },
            (_, Value::Unknown(..)) => of.clone(),
            _ => Value::unknown(at, format!("'{operator}' of this")),
        }
    }

    pub(super) fn binary(&mut self, at: Place, operator: &str, left: Value, right: Value) -> Value {
        let (left, right) = match (self.side(at, operator, left), self.side(at, operator, right)) {
            (unknown @ Value::Unknown(..), _) | (_, unknown @ Value::Unknown(..)) => return unknown,
            sides => sides,
        };
        match operator {
            "and" | "or" => self.logic(at, operator, left, right),
            "in" | "not in" => contains(at, operator == "not in", &left, &right),
            "is" => compare(at, "==", &left, &right),
            "is not" => compare(at, "!=", &left, &right),
            "==" | "!=" | "<" | ">" | "<=" | ">=" => compare(at, operator, &left, &right),
            "%" if matches!(left, Value::Text(_)) => percent_format(at, &left, right),
            "+" if matches!(left, Value::Text(_)) || matches!(right, Value::Text(_)) => {
                match (left.pieces(), right.pieces()) {
                    (Some(left), Some(right)) => Value::concat(at, vec![left, right]),
                    _ => Value::unknown(at, "a sum of a text and something else"),
                }
            }
            "+" => match (left, right) {
                (Value::List(mut left), Value::List(right)) => {
                    left.extend(right);
                    Value::List(left)
                }
                (left, right) => arithmetic(at, "+", &left, &right),
            },
            _ => arithmetic(at, operator, &left, &right),
        }
    }

    fn side(&mut self, at: Place, operator: &str, side: Value) -> Value {
        match side {
            // Whether a name is in JSON is a question to the JSON, not to a value out of it.
            Value::Json(..) if matches!(operator, "in" | "not in") => {
                if self.checking {
                    side
                } else {
                    Value::unknown(at, "a search in JSON outside of a check")
                }
            }
            side => self.settle(side),
        }
    }

    /// Whether Python takes a value for true.
    pub(super) fn truth(&mut self, at: Place, value: Value) -> Value {
        match value {
            Value::None => Value::Bool(false),
            Value::Int(number) => Value::Bool(number != 0),
            Value::List(items) => Value::Bool(!items.is_empty()),
            Value::Bool(_) | Value::Condition(_) | Value::Unknown(..) => value,
            Value::Response(requests) => match self.answer(&requests, "status", "status") {
                Value::Expression(status) => Value::Condition(format!("{status} < 400")),
                other => other,
            },
            other => match other.as_literal() {
                Some(text) => Value::Bool(!text.is_empty()),
                None => Value::unknown(at, "a condition that is no comparison"),
            },
        }
    }

    fn logic(&mut self, at: Place, operator: &str, left: Value, right: Value) -> Value {
        let (left, right) = (self.truth(at, left), self.truth(at, right));
        let decides = operator == "or";
        match (left, right) {
            (Value::Bool(value), other) | (other, Value::Bool(value)) => {
                if value == decides {
                    Value::Bool(value)
                } else {
                    other
                }
            }
            (Value::Condition(left), Value::Condition(right)) => {
                Value::Condition(format!("({left} {operator} {right})"))
            }
            (unknown @ Value::Unknown(..), _) | (_, unknown) => unknown,
        }
    }
}

/// A condition that holds where the other does not. What is not there makes comparisons false, so the
/// comparisons themselves are turned round: an answer without a value must not pass because of a `not`.
pub(super) fn negated(condition: &str) -> String {
    const OPPOSITES: [(&str, &str); 6] = [
        (" == ", " != "),
        (" != ", " == "),
        (" <= ", " > "),
        (" >= ", " < "),
        (" < ", " >= "),
        (" > ", " <= "),
    ];
    if let Some(positive) = condition.strip_prefix("not ") {
        return positive.to_owned();
    }
    if let Some(inner) = condition.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        for (connective, opposite) in [(" and ", " or "), (" or ", " and ")] {
            let parts = split(inner, connective);
            if parts.len() > 1 {
                return format!("({})", parts.into_iter().map(negated).collect::<Vec<_>>().join(opposite));
            }
        }
    }
    for (operator, opposite) in OPPOSITES {
        if let [left, right] = split(condition, operator).as_slice() {
            return format!("{left}{opposite}{right}");
        }
    }
    format!("not {condition}")
}

/// The parts between operators that stand in no parentheses and no text.
fn split<'t>(text: &'t str, operator: &str) -> Vec<&'t str> {
    let mut parts = Vec::new();
    let (mut depth, mut quoted, mut escaped, mut begin) = (0usize, false, false, 0);
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            _ if std::mem::take(&mut escaped) => {}
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'(' if !quoted => depth += 1,
            b')' if !quoted => depth = depth.saturating_sub(1),
            b' ' if depth == 0 && !quoted && index >= begin && text[index..].starts_with(operator) => {
                parts.push(&text[begin..index]);
                begin = index + operator.len();
            }
            _ => {}
        }
    }
    parts.push(&text[begin..]);
    parts
}

fn compare(at: Place, operator: &str, left: &Value, right: &Value) -> Value {
    if let (Value::Seconds, Some(seconds)) = (left, number(right)) {
        let milliseconds = seconds * 1e3;
        if !(0.0..=1e12).contains(&milliseconds) {
            return Value::unknown(at, "a time that is out of range");
        }
        return Value::Condition(format!("response_time {operator} {milliseconds:.0}ms"));
    }
    if left.is_constant() && right.is_constant() {
        let ordering = match (number(left), number(right)) {
            (Some(left), Some(right)) => left.partial_cmp(&right),
            _ => left.as_literal().zip(right.as_literal()).map(|(left, right)| left.cmp(&right)),
        };
        return match (operator, ordering) {
            ("==", None) => Value::Bool(left == right),
            ("!=", None) => Value::Bool(left != right),
            (_, None) => Value::unknown(at, "a comparison of unlike things"),
            ("==", Some(order)) => Value::Bool(order.is_eq()),
            ("!=", Some(order)) => Value::Bool(order.is_ne()),
            ("<", Some(order)) => Value::Bool(order.is_lt()),
            (">", Some(order)) => Value::Bool(order.is_gt()),
            ("<=", Some(order)) => Value::Bool(order.is_le()),
            (_, Some(order)) => Value::Bool(order.is_ge()),
        };
    }
    match (left.operand(), right.operand()) {
        (Some(left), Some(right)) => Value::Condition(format!("{left} {operator} {right}")),
        _ => Value::unknown(at, "a comparison of something that is not followed"),
    }
}

fn contains(at: Place, negate: bool, part: &Value, whole: &Value) -> Value {
    let condition = match (whole, part.as_literal()) {
        (Value::Json(_, path), Some(part)) => {
            return Value::Condition(format!(
                "json_count({}) {} 0",
                quoted(&format!("{path}[{}]", quoted(&part))),
                if negate { "==" } else { ">" }
            ));
        }
        (Value::List(items), _) => {
            match (part.operand(), items.iter().map(Value::operand).collect::<Option<Vec<_>>>()) {
                (Some(part), Some(items)) if !items.is_empty() => {
                    let each: Vec<_> = items.iter().map(|item| format!("{part} == {item}")).collect();
                    if each.len() == 1 { each.concat() } else { format!("({})", each.join(" or ")) }
                }
                _ => return Value::unknown(at, "a search in a list that is not followed"),
            }
        }
        (Value::Expression(whole), Some(part)) => format!("contains({whole}, {})", quoted(&part)),
        _ => return Value::unknown(at, "a search in something that is not followed"),
    };
    Value::Condition(if negate { negated(&condition) } else { condition })
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}

fn arithmetic(at: Place, operator: &str, left: &Value, right: &Value) -> Value {
    if let (Value::Int(left), Value::Int(right)) = (left, right) {
        let folded = match operator {
            "+" => left.checked_add(*right),
            "-" => left.checked_sub(*right),
            "*" => left.checked_mul(*right),
            "//" => left.checked_div_euclid(*right).filter(|_| *right > 0),
            "%" => left.checked_rem_euclid(*right).filter(|_| *right > 0),
            _ => None,
        };
        if let Some(folded) = folded {
            return Value::Int(folded);
        }
    }
    if let (Some(left), Some(right)) = (number(left), number(right)) {
        let folded = match operator {
            "+" => left + right,
            "-" => left - right,
            "*" => left * right,
            "/" if right != 0.0 => left / right,
            _ => f64::NAN,
        };
        return if folded.is_finite() {
            Value::Float(folded)
        } else {
            Value::unknown(at, format!("'{operator}' of these numbers"))
        };
    }
    match (operator, left.operand(), right.operand()) {
        ("+" | "-" | "*", Some(left), Some(right)) => {
            Value::Expression(format!("({left} {operator} {right})"))
        }
        ("/", Some(left), Some(right)) => Value::Expression(format!("(float({left}) / {right})")),
        ("//", Some(left), Some(right)) => Value::Expression(format!("floor(float({left}) / {right})")),
        _ => Value::unknown(at, format!("'{operator}' of something that is not followed")),
    }
}

/// `"%s and %d" % (a, b)`.
fn percent_format(at: Place, format: &Value, values: Value) -> Value {
    let values = match values {
        Value::List(values) => values,
        value => vec![value],
    };
    let Some(text) = format.as_literal() else {
        return Value::unknown(at, "a format that is not constant");
    };
    let mut values = values.into_iter();
    let mut out = Vec::new();
    let mut rest = text.as_str();
    while let Some(index) = rest.find('%') {
        out.push(vec![Piece::Literal(rest[..index].to_owned())]);
        match rest.as_bytes().get(index + 1) {
            Some(b'%') => out.push(vec![Piece::Literal("%".into())]),
            Some(b's' | b'd' | b'i') => match values.next() {
                Some(unknown @ Value::Unknown(..)) => return unknown,
                Some(value) => match value.pieces() {
                    Some(pieces) => out.push(pieces),
                    None => return Value::unknown(at, "a value that is no text"),
                },
                None => return Value::unknown(at, "a format with too few values"),
            },
            _ => return Value::unknown(at, "a value with a format of its own"),
        }
        rest = &rest[index + 2..];
    }
    out.push(vec![Piece::Literal(rest.to_owned())]);
    Value::concat(at, out)
}

#[cfg(test)]
mod tests {
    use super::negated;

    #[test]
    fn conditions_are_turned_round() {
        for (condition, want) in [
            ("status == 200", "status != 200"),
            ("json(\"$.a < b\") >= 3", "json(\"$.a < b\") < 3"),
            ("(a < 1 or contains(b, \" or \"))", "(a >= 1 and not contains(b, \" or \"))"),
            ("((a == 1 and not b) or c != 2)", "((a != 1 or b) and c == 2)"),
            ("flag", "not flag"),
        ] {
            assert_eq!(negated(condition), want);
        }
    }
}
