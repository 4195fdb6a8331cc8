//! What a Python expression stands for in a scenario: a constant, a text with expressions in it, or one
//! expression.
//!
//! Evaluating never fails: what is not understood is [`Value::Unknown`], and whoever needs the value refuses
//! it there.

use std::ops::Range;

use super::super::template::{Piece, quoted};
use crate::scenario::file::{Json, Place, Scalar};

use super::super::template::render;

/// A text longer than this is no test's, and texts made of texts must not grow without an end.
const TEXT_MAX: usize = 1 << 18;

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Vec<Piece>),
    /// An expression of the scenario's language; a lone name is a variable, and all else may differ each
    /// time.
    Expression(String),
    /// An expression that is true or false.
    Condition(String),
    /// One of several constants: the expression that draws it, or the variable that holds what was drawn. Of
    /// rows and the like, which no variable can hold, it is empty.
    Choice {
        drawn: String,
        options: Vec<Value>,
    },
    /// One of several rows, by the variable that holds its number.
    Row {
        number: String,
        options: Vec<Value>,
    },
    List(Vec<Value>),
    Dict(Vec<(String, Value)>),
    /// What `json.dumps` makes.
    Dumped(Box<Value>),
    /// The answers to these requests.
    Response(Range<usize>),
    /// Something in their JSON, as a JSONPath.
    Json(Range<usize>, String),
    /// Their headers or cookies: the function that reads one.
    Fields(Range<usize>, &'static str),
    /// The time that the answer under check took, and that in seconds.
    Elapsed,
    Seconds,
    /// Where it was met, and what it is.
    Unknown(Place, String),
}

impl Value {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(vec![Piece::Literal(text.to_owned())])
    }

    pub(super) fn unknown(at: Place, what: impl Into<String>) -> Self {
        Self::Unknown(at, what.into())
    }

    pub(super) fn is_constant(&self) -> bool {
        match self {
            Self::None | Self::Bool(_) | Self::Int(_) | Self::Float(_) => true,
            Self::Text(_) => self.as_literal().is_some(),
            Self::List(items) => items.iter().all(Self::is_constant),
            _ => false,
        }
    }

    pub(super) fn as_literal(&self) -> Option<String> {
        let Self::Text(pieces) = self else { return None };
        let mut text = String::new();
        for piece in pieces {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Expression(_) => return None,
            }
        }
        Some(text)
    }

    /// The pieces of `str(value)`.
    pub(super) fn pieces(&self) -> Option<Vec<Piece>> {
        let literal = |text: String| Some(vec![Piece::Literal(text)]);
        match self {
            Self::None => literal("None".into()),
            Self::Bool(true) => literal("True".into()),
            Self::Bool(false) => literal("False".into()),
            Self::Int(number) => literal(number.to_string()),
            Self::Float(number) => literal(format!("{number:?}")),
            Self::Text(pieces) => Some(pieces.clone()),
            Self::Expression(source) => Some(vec![Piece::Expression(source.clone())]),
            Self::Choice { drawn, .. } if !drawn.is_empty() => Some(vec![Piece::Expression(drawn.clone())]),
            _ => None,
        }
    }

    /// As a part of an expression.
    pub(super) fn operand(&self) -> Option<String> {
        Some(match self {
            Self::None => "null".into(),
            Self::Bool(value) => value.to_string(),
            Self::Int(number) => number.to_string(),
            Self::Float(number) => format!("{number:?}"),
            Self::Text(pieces) => match pieces.as_slice() {
                [] => quoted(""),
                pieces => pieces.iter().map(piece_operand).collect::<Vec<_>>().join(" + "),
            },
            Self::Expression(source) | Self::Condition(source) => source.clone(),
            Self::Choice { drawn, .. } if !drawn.is_empty() => drawn.clone(),
            _ => return None,
        })
    }

    /// As JSON of the scenario. The place and the reason if there is something in it that is not known.
    pub(super) fn json(&self) -> Result<Json, (Place, String)> {
        let text = |text: String| Json::Scalar(Scalar::Text(text.into()));
        Ok(match self {
            Self::None => Json::Scalar(Scalar::Null),
            Self::Bool(value) => Json::Scalar(Scalar::Bool(*value)),
            Self::Int(number) => Json::Scalar(Scalar::Int(*number)),
            Self::Float(number) => Json::Scalar(Scalar::Float(*number)),
            Self::Text(pieces) => match pieces.as_slice() {
                // A lone expression would keep its type, but this is a text.
                [Piece::Expression(source)] => text(format!("{{{{ text({source}) }}}}")),
                pieces => text(render(pieces)),
            },
            Self::Expression(source) | Self::Condition(source) => text(format!("{{{{ {source} }}}}")),
            Self::Choice { drawn, .. } if !drawn.is_empty() => text(format!("{{{{ {drawn} }}}}")),
            Self::List(items) => Json::List(items.iter().map(Self::json).collect::<Result<_, _>>()?),
            Self::Dict(entries) => {
                let entry = |(name, value): &(String, Self)| Ok((name.clone().into(), value.json()?));
                Json::Map(entries.iter().map(entry).collect::<Result<_, _>>()?)
            }
            Self::Unknown(at, what) => return Err((*at, what.clone())),
            _ => return Err((Place::default(), "a value that is no JSON".into())),
        })
    }

    /// Text behind text, as long as it is not too long.
    pub(super) fn concat(at: Place, parts: Vec<Vec<Piece>>) -> Self {
        let pieces: Vec<Piece> = parts.into_iter().flatten().collect();
        let length = |piece: &Piece| match piece {
            Piece::Literal(text) | Piece::Expression(text) => text.len(),
        };
        if pieces.iter().map(length).sum::<usize>() > TEXT_MAX {
            return Self::unknown(at, format!("a text of more than {TEXT_MAX} bytes"));
        }
        Self::Text(pieces)
    }

    /// Lists and dicts within each other.
    pub(super) fn depth(&self) -> usize {
        match self {
            Self::List(items) | Self::Choice { options: items, .. } | Self::Row { options: items, .. } => {
                1 + items.iter().map(Self::depth).max().unwrap_or(0)
            }
            Self::Dict(entries) => 1 + entries.iter().map(|(_, value)| value.depth()).max().unwrap_or(0),
            Self::Dumped(value) => 1 + value.depth(),
            _ => 0,
        }
    }

    /// How much memory a copy takes, about.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Text(pieces) => pieces
                .iter()
                .map(|p| match p {
                    Piece::Literal(text) | Piece::Expression(text) => text.len() + 32,
                })
                .sum(),
            Self::List(items) | Self::Choice { options: items, .. } | Self::Row { options: items, .. } => {
                items.iter().map(|v| 32 + v.size()).sum()
            }
            Self::Dict(entries) => entries.iter().map(|(name, value)| 64 + name.len() + value.size()).sum(),
            Self::Dumped(value) => value.size(),
            Self::Expression(text) | Self::Condition(text) | Self::Unknown(_, text) | Self::Json(_, text) => {
                text.len()
            }
            _ => 1,
        }
    }
}

fn piece_operand(piece: &Piece) -> String {
    match piece {
        Piece::Literal(text) => quoted(text),
        Piece::Expression(source) => format!("text({source})"),
    }
}

/// Whether an expression is a lone name, and so means the same until the variable is set anew.
pub(super) fn is_variable(source: &str) -> bool {
    source.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
