//! Expressions by precedence (Python's Language Reference, section 6.17).

use super::statements::Parser;
use super::tokens::{FormatToken, Token, tokens};
use super::{Call, DEPTH_MAX, Expr, ExprKind, FormatPart};
use crate::scenario::file::Place;

/// Why a statement cannot be kept as what it is.
pub(super) struct Unsupported(pub(super) String);

pub(super) type Parsed<T> = Result<T, Unsupported>;

/// From the weakest that has two sides to the strongest; `**` and `not` are handled where they bind.
const LEVELS: [&[&str]; 9] = [
    &["or"],
    &["and"],
    &["in", "not in", "is", "is not", "<", ">", "==", ">=", "<=", "!="],
    &["|"],
    &["^"],
    &["&"],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "//", "%", "@"],
];
const COMPARISON: usize = 2;

impl Parser {
    /// One expression, or several with commas as a tuple.
    pub(super) fn expressions(&mut self) -> Parsed<Expr> {
        let first = self.expression()?;
        if !self.is_op(",") {
            return Ok(first);
        }
        let at = first.at;
        let mut items = vec![first];
        while self.take_op(",") && !self.at_expression_end() {
            items.push(self.expression()?);
        }
        node(at, ExprKind::Tuple(items))
    }

    pub(super) fn expression(&mut self) -> Parsed<Expr> {
        self.enter()?;
        let parsed = self.conditional();
        self.leave();
        parsed
    }

    fn conditional(&mut self) -> Parsed<Expr> {
        let at = self.at();
        if self.take_word("lambda") {
            self.skip_until(&[":"])?;
            self.expression()?;
            return node(at, ExprKind::Unknown("a lambda"));
        }
        if self.is_word("yield") || self.is_word("await") {
            return Err(Unsupported("a coroutine".into()));
        }
        let value = self.binary(0)?;
        if self.take_word("if") {
            self.binary(0)?;
            if !self.take_word("else") {
                return Err(self.unexpected("'else'"));
            }
            self.expression()?;
            return node(at, ExprKind::Unknown("a conditional expression"));
        }
        if self.is_op(":=") {
            return Err(Unsupported("an assignment within an expression".into()));
        }
        Ok(value)
    }

    fn binary(&mut self, level: usize) -> Parsed<Expr> {
        if level == LEVELS.len() {
            return self.unary();
        }
        if level == COMPARISON && self.is_word("not") {
            let at = self.at();
            self.skip();
            self.enter()?;
            let of = self.binary(COMPARISON);
            self.leave();
            return node(at, ExprKind::Unary("not", Box::new(of?)));
        }
        let mut left = self.binary(level + 1)?;
        let mut compared = false;
        while let Some(operator) = self.take_operator(LEVELS[level]) {
            let right = self.binary(level + 1)?;
            let at = left.at;
            let kind = if compared {
                ExprKind::Unknown("a chain of comparisons")
            } else {
                ExprKind::Binary(operator, Box::new(left), Box::new(right))
            };
            left = node(at, kind)?;
            compared = level == COMPARISON;
        }
        Ok(left)
    }

    fn unary(&mut self) -> Parsed<Expr> {
        let at = self.at();
        if let Some(sign) = self.take_operator(&["-", "+", "~"]) {
            self.enter()?;
            let of = self.unary();
            self.leave();
            return node(at, ExprKind::Unary(sign, Box::new(of?)));
        }
        let base = self.postfix()?;
        if !self.take_op("**") {
            return Ok(base);
        }
        self.enter()?;
        let power = self.unary();
        self.leave();
        node(at, ExprKind::Binary("**", Box::new(base), Box::new(power?)))
    }

    fn postfix(&mut self) -> Parsed<Expr> {
        let mut value = self.atom()?;
        loop {
            let at = value.at;
            let kind = if self.take_op(".") {
                ExprKind::Attribute(Box::new(value), self.name()?)
            } else if self.take_op("(") {
                ExprKind::Call(Box::new(self.call(value)?))
            } else if self.take_op("[") {
                match self.index()? {
                    Some(index) => ExprKind::Index(Box::new(value), Box::new(index)),
                    None => ExprKind::Unknown("a slice"),
                }
            } else {
                return Ok(value);
            };
            value = node(at, kind)?;
        }
    }

    /// What stands in the brackets behind a value; nothing if it is a slice.
    fn index(&mut self) -> Parsed<Option<Expr>> {
        let index = if self.is_op(":") { None } else { Some(self.expressions()?) };
        if self.is_op(":") {
            self.skip_until(&["]"])?;
            return Ok(None);
        }
        self.expect_op("]")?;
        Ok(index)
    }

    fn call(&mut self, function: Expr) -> Parsed<Call> {
        let mut call = Call { function, arguments: Vec::new(), keywords: Vec::new(), spread: false };
        while !self.take_op(")") {
            if self.take_op("*") || self.take_op("**") {
                self.expression()?;
                call.spread = true;
            } else if self.next_is_op("=") {
                let name = self.name()?;
                self.expect_op("=")?;
                call.keywords.push((name, self.expression()?));
            } else {
                let argument = self.element(")")?;
                call.arguments.push(argument);
            }
            if !self.take_op(",") && !self.is_op(")") {
                return Err(self.unexpected("',' or ')'"));
            }
        }
        Ok(call)
    }

    /// An expression, or a comprehension up to the bracket that closes.
    fn element(&mut self, close: &'static str) -> Parsed<Expr> {
        let value = self.expression()?;
        if !(self.is_word("for") || self.is_word("async")) {
            return Ok(value);
        }
        self.skip_to(close)?;
        node(value.at, ExprKind::Unknown("a comprehension"))
    }

    fn atom(&mut self) -> Parsed<Expr> {
        let at = self.at();
        let kind = match self.take() {
            Token::Int(number) => ExprKind::Int(number),
            Token::Float(number) => ExprKind::Float(number),
            Token::Bytes => {
                while matches!(self.peek(), Token::Bytes) {
                    self.skip();
                }
                ExprKind::Unknown("a bytes literal")
            }
            Token::Text(text) => self.strings(vec![FormatPart::Text(text)])?,
            Token::Format(tokens) => {
                let parts = self.format_parts(tokens)?;
                self.strings(parts)?
            }
            Token::Name(name) => match name.as_str() {
                "None" => ExprKind::None,
                "True" => ExprKind::Bool(true),
                "False" => ExprKind::Bool(false),
                _ => ExprKind::Name(name),
            },
            Token::Op("(") => return self.parenthesis(at),
            Token::Op("[") => {
                let (items, comprehension) = self.items("]")?;
                if comprehension { ExprKind::Unknown("a comprehension") } else { ExprKind::List(items) }
            }
            Token::Op("{") => self.dict()?,
            Token::Op("...") => ExprKind::Unknown("'...'"),
            _ => return Err(Unsupported("an expression that cannot be read".into())),
        };
        node(at, kind)
    }

    fn parenthesis(&mut self, at: Place) -> Parsed<Expr> {
        let (mut items, comprehension) = self.items(")")?;
        if comprehension {
            return node(at, ExprKind::Unknown("a generator"));
        }
        let comma = self.comma_before_last();
        match items.pop() {
            Some(only) if items.is_empty() && !comma => Ok(only),
            last => {
                items.extend(last);
                node(at, ExprKind::Tuple(items))
            }
        }
    }

    /// Elements up to and with the closing bracket, and whether it was a comprehension or has a `*more`.
    fn items(&mut self, close: &'static str) -> Parsed<(Vec<Expr>, bool)> {
        let mut items = Vec::new();
        let mut unknown = false;
        while !self.take_op(close) {
            unknown |= self.take_op("*");
            let item = self.element(close)?;
            unknown |= item.kind == ExprKind::Unknown("a comprehension");
            items.push(item);
            if !self.take_op(",") && !self.is_op(close) {
                return Err(self.unexpected(close));
            }
        }
        Ok((items, unknown))
    }

    fn dict(&mut self) -> Parsed<ExprKind> {
        let mut entries = Vec::new();
        while !self.take_op("}") {
            if self.is_op("**") || self.is_op("*") {
                self.skip_until(&["}"])?;
                return Ok(ExprKind::Unknown("a dict made of others"));
            }
            let key = self.expression()?;
            if !self.take_op(":") {
                self.skip_until(&["}"])?;
                return Ok(ExprKind::Unknown("a set"));
            }
            entries.push((key, self.expression()?));
            if self.is_word("for") || self.is_word("async") {
                self.skip_until(&["}"])?;
                return Ok(ExprKind::Unknown("a comprehension"));
            }
            if !self.take_op(",") && !self.is_op("}") {
                return Err(self.unexpected("',' or '}'"));
            }
        }
        Ok(ExprKind::Dict(entries))
    }

    /// Strings that stand beside each other are one.
    fn strings(&mut self, mut parts: Vec<FormatPart>) -> Parsed<ExprKind> {
        while matches!(self.peek(), Token::Text(_) | Token::Format(_)) {
            match self.take() {
                Token::Text(text) => parts.push(FormatPart::Text(text)),
                Token::Format(tokens) => parts.extend(self.format_parts(tokens)?),
                _ => {}
            }
        }
        let mut plain = String::new();
        for part in &parts {
            match part {
                FormatPart::Text(text) => plain.push_str(text),
                FormatPart::Code { .. } => return Ok(ExprKind::Format(parts)),
            }
        }
        Ok(ExprKind::Text(plain))
    }

    fn format_parts(&mut self, parts: Vec<FormatToken>) -> Parsed<Vec<FormatPart>> {
        self.enter()?;
        let depth = self.depth();
        self.leave();
        let read = |part| match part {
            FormatToken::Text(text) => Ok(FormatPart::Text(text)),
            FormatToken::Code { code, at, formatted } => {
                let tokens = tokens(&code, at, true).map_err(|error| Unsupported(error.what))?;
                let mut parser = Parser::new(tokens, depth);
                let value = parser.expressions()?;
                if *parser.peek() != Token::Newline {
                    return Err(parser.unexpected("'}'"));
                }
                Ok(FormatPart::Code { value, formatted })
            }
        };
        parts.into_iter().map(read).collect()
    }

    fn take_operator(&mut self, operators: &[&'static str]) -> Option<&'static str> {
        let word = match self.peek() {
            Token::Op(operator) => *operator,
            Token::Name(name) => match (name.as_str(), self.peek_second()) {
                ("not", Token::Name(next)) if next == "in" => "not in",
                ("is", Token::Name(next)) if next == "not" => "is not",
                (name, _) => name,
            },
            _ => return None,
        };
        let found = operators.iter().copied().find(|operator| *operator == word)?;
        self.skip();
        if matches!(found, "not in" | "is not") {
            self.skip();
        }
        Some(found)
    }
}

/// An expression, unless its tree is too high.
fn node(at: Place, kind: ExprKind) -> Parsed<Expr> {
    let highest = |items: &[Expr]| items.iter().map(|item| item.height).max().unwrap_or(0);
    let below = match &kind {
        ExprKind::List(items) | ExprKind::Tuple(items) => highest(items),
        ExprKind::Dict(entries) => entries.iter().map(|(k, v)| k.height.max(v.height)).max().unwrap_or(0),
        ExprKind::Attribute(of, _) | ExprKind::Unary(_, of) => of.height,
        ExprKind::Index(left, right) | ExprKind::Binary(_, left, right) => left.height.max(right.height),
        ExprKind::Call(call) => {
            let keywords = call.keywords.iter().map(|(_, value)| value.height).max().unwrap_or(0);
            call.function.height.max(highest(&call.arguments)).max(keywords)
        }
        ExprKind::Format(parts) => {
            let height = |part: &FormatPart| match part {
                FormatPart::Text(_) => 0,
                FormatPart::Code { value, .. } => value.height,
            };
            parts.iter().map(height).max().unwrap_or(0)
        }
        _ => 0,
    };
    if below >= DEPTH_MAX {
        return Err(too_deep());
    }
    Ok(Expr { at, height: below + 1, kind })
}

pub(super) fn too_deep() -> Unsupported {
    Unsupported(format!("code that is nested deeper than {DEPTH_MAX}"))
}
