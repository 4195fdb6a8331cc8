//! Tokens to a tree: what binds to what, before anything is looked up.
//!
//! The parser recurses once a level of nesting, of which there are [`DEPTH_MAX`] at most. A chain of
//! operators nests to the left without recursion, so a tree is at most [`NODES_MAX`] deep.

use super::error::ExprError;
use super::lex::{self, Placed, Token};
use super::value::Value;

/// Levels of parentheses, calls and signs within each other.
const DEPTH_MAX: usize = 32;

/// Values, names, calls and operators of one expression. Whatever walks a tree recurses no deeper than this.
pub(super) const NODES_MAX: usize = 256;

pub(super) struct Syntax<'s> {
    /// Where it begins, an operation of two where its operator stands; in characters.
    pub(super) at: usize,
    pub(super) kind: Kind<'s>,
}

impl Syntax<'_> {
    pub(super) const fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Literal(Value::Null))
    }
}

pub(super) enum Kind<'s> {
    Literal(Value),
    Name(Vec<&'s str>),
    Call(&'s str, Vec<Syntax<'s>>),
    Not(Box<Syntax<'s>>),
    Negate(Box<Syntax<'s>>),
    Binary(Operator, Box<[Syntax<'s>; 2]>),
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Operator {
    Arithmetic(Arithmetic),
    Order(Order),
    /// `==`, or `!=` if it is negated.
    Equal {
        negated: bool,
    },
    Matches,
    And,
    Or,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Words that cannot be names.
pub(super) const KEYWORDS: [&str; 6] = ["true", "false", "null", "and", "or", "not"];

/// Operators of two, as written, with how strongly they bind.
const OPERATORS: [(&str, u8, Operator); 16] = [
    ("or", 1, Operator::Or),
    ("||", 1, Operator::Or),
    ("and", 2, Operator::And),
    ("&&", 2, Operator::And),
    ("==", 3, Operator::Equal { negated: false }),
    ("!=", 3, Operator::Equal { negated: true }),
    ("<", 3, Operator::Order(Order::Less)),
    ("<=", 3, Operator::Order(Order::LessOrEqual)),
    (">", 3, Operator::Order(Order::Greater)),
    (">=", 3, Operator::Order(Order::GreaterOrEqual)),
    ("~", 3, Operator::Matches),
    ("+", 4, Operator::Arithmetic(Arithmetic::Add)),
    ("-", 4, Operator::Arithmetic(Arithmetic::Subtract)),
    ("*", 5, Operator::Arithmetic(Arithmetic::Multiply)),
    ("/", 5, Operator::Arithmetic(Arithmetic::Divide)),
    ("%", 5, Operator::Arithmetic(Arithmetic::Remainder)),
];

impl Operator {
    /// As it is written.
    pub(super) fn sign(self) -> &'static str {
        OPERATORS.iter().find(|(_, _, operator)| *operator == self).map_or("", |(sign, _, _)| sign)
    }
}

/// The tree of a source.
pub(super) fn parse(source: &str) -> Result<Syntax<'_>, ExprError> {
    let tokens = lex::tokens(source)?;
    let mut parser = Parser { tokens: &tokens, next: 0, depth: 0, nodes: 0 };
    if parser.peek() == &Token::End {
        return Err(ExprError::new(0, "there is no expression", "write one, such as a name or a number"));
    }
    let tree = parser.expression(0)?;
    if parser.peek() == &Token::End {
        return Ok(tree);
    }
    let found = show(parser.peek());
    Err(ExprError::new(
        parser.at(),
        format!("{found} follows a whole expression"),
        "put an operator before it",
    ))
}

struct Parser<'t, 's> {
    tokens: &'t [Placed<'s>],
    next: usize,
    depth: usize,
    nodes: usize,
}

impl<'s> Parser<'_, 's> {
    fn peek(&self) -> &Token<'s> {
        self.tokens.get(self.next).map_or(&Token::End, |(_, token)| token)
    }

    /// Where the next token begins.
    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(0, |(at, _)| *at)
    }

    fn take(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Token::Symbol(found) if *found == symbol);
        self.next += usize::from(found);
        found
    }

    /// A run of operands and operators that bind more strongly than `least`.
    fn expression(&mut self, least: u8) -> Result<Syntax<'s>, ExprError> {
        let mut left = self.operand()?;
        while let Some((binding, operator)) = self.operator().filter(|(binding, _)| *binding > least) {
            let at = self.at();
            self.next += 1;
            let right = self.expression(binding)?;
            left = self.node(at, Kind::Binary(operator, Box::new([left, right])))?;
        }
        Ok(left)
    }

    fn operator(&self) -> Option<(u8, Operator)> {
        let (Token::Word(sign) | Token::Symbol(sign)) = self.peek() else { return None };
        let found = OPERATORS.iter().find(|(known, _, _)| known == sign);
        found.map(|(_, binding, operator)| (*binding, *operator))
    }

    /// One level deeper: a sign with its operand, parentheses, or a single thing.
    fn operand(&mut self) -> Result<Syntax<'s>, ExprError> {
        let at = self.at();
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let what = format!("there are more than {DEPTH_MAX} levels of nesting");
            return Err(ExprError::new(at, what, "compute parts of it with `set` first"));
        }
        let found = if self.take("!") || self.take_word("not") {
            let of = Box::new(self.operand()?);
            self.node(at, Kind::Not(of))
        } else if self.take("-") {
            self.negated(at)
        } else if self.take("(") {
            let inner = self.expression(0)?;
            self.close(at)?;
            Ok(inner)
        } else {
            self.single()
        };
        self.depth -= 1;
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Token::Word(found) if *found == word);
        self.next += usize::from(found);
        found
    }

    /// What follows a minus sign; before an integer it belongs to it, so that the smallest can be written.
    fn negated(&mut self, at: usize) -> Result<Syntax<'s>, ExprError> {
        if let Token::Int(size) = *self.peek() {
            self.next += 1;
            let value = 0i64.checked_sub_unsigned(size).ok_or_else(|| too_large(at))?;
            return self.node(at, Kind::Literal(Value::Int(value)));
        }
        let of = Box::new(self.operand()?);
        self.node(at, Kind::Negate(of))
    }

    fn single(&mut self) -> Result<Syntax<'s>, ExprError> {
        let at = self.at();
        let value = match self.peek() {
            Token::Int(size) => Value::Int(i64::try_from(*size).map_err(|_| too_large(at))?),
            Token::Float(value) => Value::Float(*value),
            Token::Duration(value) => Value::Duration(*value),
            Token::Text(text) => Value::Text(text.as_str().into()),
            Token::Word("true") => Value::Bool(true),
            Token::Word("false") => Value::Bool(false),
            Token::Word("null") => Value::Null,
            Token::Word(word) if !KEYWORDS.contains(word) => {
                let word = *word;
                self.next += 1;
                return self.name_or_call(at, word);
            }
            other => {
                let what = format!("a value was expected, not {}", show(other));
                return Err(ExprError::new(
                    at,
                    what,
                    "write a number, a text in quotes, a name, or a function",
                ));
            }
        };
        self.next += 1;
        self.node(at, Kind::Literal(value))
    }

    fn name_or_call(&mut self, at: usize, first: &'s str) -> Result<Syntax<'s>, ExprError> {
        let opened_at = self.at();
        if self.take("(") {
            let arguments = self.arguments(opened_at)?;
            return self.node(at, Kind::Call(first, arguments));
        }
        let mut path = vec![first];
        while self.take(".") {
            let Token::Word(word) = *self.peek() else {
                let what = format!("a name was expected after the dot, not {}", show(self.peek()));
                return Err(ExprError::new(self.at(), what, "write a name as in users.name"));
            };
            path.push(word);
            self.next += 1;
        }
        self.node(at, Kind::Name(path))
    }

    fn arguments(&mut self, opened_at: usize) -> Result<Vec<Syntax<'s>>, ExprError> {
        let mut arguments = Vec::new();
        if self.take(")") {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.expression(0)?);
            if !self.take(",") {
                self.close(opened_at)?;
                return Ok(arguments);
            }
        }
    }

    fn close(&mut self, opened_at: usize) -> Result<(), ExprError> {
        if self.take(")") {
            return Ok(());
        }
        let what = format!("the parenthesis at character {} is not closed", opened_at + 1);
        Err(ExprError::new(self.at(), what, format!("put `)` or an operator before {}", show(self.peek()))))
    }

    fn node(&mut self, at: usize, kind: Kind<'s>) -> Result<Syntax<'s>, ExprError> {
        self.nodes += 1;
        if self.nodes <= NODES_MAX {
            return Ok(Syntax { at, kind });
        }
        let what = format!("there are more than {NODES_MAX} values and operators");
        Err(ExprError::new(at, what, "compute parts of it with `set` first"))
    }
}

fn too_large(at: usize) -> ExprError {
    ExprError::new(at, "the integer is too large", format!("write one up to {}", i64::MAX))
}

/// A token for a sentence.
fn show(token: &Token<'_>) -> String {
    match token {
        Token::Int(value) => format!("`{value}`"),
        Token::Float(value) => format!("`{value}`"),
        Token::Duration(value) => format!("`{}`", Value::Duration(*value)),
        Token::Text(_) => "a text".to_owned(),
        Token::Word(text) => format!("`{text}`"),
        Token::Symbol(text) => format!("`{text}`"),
        Token::End => "the end".to_owned(),
    }
}
