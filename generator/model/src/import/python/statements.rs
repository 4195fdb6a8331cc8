//! Statements, and the parser's place among the tokens.

use super::super::ImportError;
use super::expressions::{Parsed, Unsupported, too_deep};
use super::tokens::{Token, Tokens};
use super::{Class, DEPTH_MAX, Expr, ExprKind, Function, Statement, StatementKind};
use crate::scenario::file::Place;

pub(super) fn parse(tokens: Tokens) -> Result<Vec<Statement>, ImportError> {
    let mut parser = Parser::new(tokens, 0);
    let mut statements = Vec::new();
    while *parser.peek() != Token::End {
        if *parser.peek() == Token::Indent {
            return Err(ImportError::new(
                parser.at(),
                "a line is indented without need",
                "move it to the left",
            ));
        }
        parser.statement(&mut statements);
    }
    Ok(statements)
}

pub(super) struct Parser {
    /// The last is always `End`, and nothing goes past it.
    tokens: Tokens,
    next: usize,
    depth: u32,
}

const AUGMENTED: [(&str, &str); 12] = [
    ("+=", "+"),
    ("-=", "-"),
    ("*=", "*"),
    ("/=", "/"),
    ("//=", "//"),
    ("%=", "%"),
    ("**=", "**"),
    ("&=", "&"),
    ("|=", "|"),
    ("^=", "^"),
    (">>=", ">>"),
    ("<<=", "<<"),
];

impl Parser {
    pub(super) fn new(tokens: Tokens, depth: u32) -> Self {
        Self { tokens, next: 0, depth }
    }

    /// One logical line with its block, or several statements of one line.
    fn statement(&mut self, into: &mut Vec<Statement>) {
        let (at, begin) = (self.at(), self.next);
        let parsed = self.enter().and_then(|()| {
            let parsed = self.compound_or_line(at, into);
            self.leave();
            parsed
        });
        if let Err(Unsupported(what)) = parsed {
            self.skip_statement();
            let names = self.tokens[begin..self.next].iter().filter_map(|(token, _)| match token {
                Token::Name(name) => Some(name.clone()),
                _ => None,
            });
            let names = names.collect();
            into.push(Statement { at, kind: StatementKind::Unknown { what, names } });
        }
    }

    fn compound_or_line(&mut self, at: Place, into: &mut Vec<Statement>) -> Parsed<()> {
        let word = match self.peek() {
            Token::Name(name) => name.as_str(),
            _ => "",
        };
        let kind = match word {
            "class" => self.class(Vec::new()),
            "def" => self.function(Vec::new()),
            "if" => self.if_statement(),
            "for" => self.for_loop(),
            "with" => self.with(),
            "try" => self.try_block(),
            "while" => Err(Unsupported("a while loop".into())),
            "async" => Err(Unsupported("a coroutine".into())),
            _ if self.is_op("@") => self.decorated(),
            _ => return self.line(into),
        }?;
        into.push(Statement { at, kind });
        Ok(())
    }

    /// Simple statements up to the end of the line.
    fn line(&mut self, into: &mut Vec<Statement>) -> Parsed<()> {
        loop {
            let at = self.at();
            self.simple(at, into)?;
            if self.take_op(";") && *self.peek() != Token::Newline {
                continue;
            }
            if *self.peek() != Token::Newline {
                return Err(self.unexpected("the end of the line"));
            }
            self.skip();
            return Ok(());
        }
    }

    fn simple(&mut self, at: Place, into: &mut Vec<Statement>) -> Parsed<()> {
        let kind = if self.take_word("pass") {
            StatementKind::Pass
        } else if self.take_word("return") {
            StatementKind::Return(self.optional()?)
        } else if self.take_word("raise") {
            let raised = self.optional()?;
            if self.take_word("from") {
                self.expression()?;
            }
            StatementKind::Raise(raised)
        } else if self.take_word("assert") {
            let that = self.expression()?;
            if self.take_op(",") {
                self.expressions()?;
            }
            StatementKind::Assert(that)
        } else if self.take_word("global") || self.take_word("nonlocal") {
            let mut names = vec![self.name()?];
            while self.take_op(",") {
                names.push(self.name()?);
            }
            StatementKind::Global(names)
        } else if self.take_word("import") {
            StatementKind::Import(self.imports("")?)
        } else if self.take_word("from") {
            StatementKind::Import(self.import_from()?)
        } else if let Some(word) = ["break", "continue", "del"].into_iter().find(|word| self.is_word(word)) {
            return Err(Unsupported(format!("a '{word}'")));
        } else {
            return self.assignment(at, into);
        };
        into.push(Statement { at, kind });
        Ok(())
    }

    fn assignment(&mut self, at: Place, into: &mut Vec<Statement>) -> Parsed<()> {
        let mut target = self.expressions()?;
        if self.take_op(":") {
            self.expression()?;
            if !self.is_op("=") {
                into.push(Statement { at, kind: StatementKind::Pass });
                return Ok(());
            }
        }
        if let Some((_, operator)) = AUGMENTED.into_iter().find(|(op, _)| self.is_op(op)) {
            self.skip();
            let kind = StatementKind::Assign { target, operator: Some(operator), value: self.expressions()? };
            into.push(Statement { at, kind });
            return Ok(());
        }
        let mut targets = Vec::new();
        while self.take_op("=") {
            let value = self.expressions()?;
            targets.push(std::mem::replace(&mut target, value));
        }
        if targets.len() > 2 {
            return Err(Unsupported("an assignment to many names".into()));
        }
        if targets.is_empty() {
            into.push(Statement { at, kind: StatementKind::Expression(target) });
            return Ok(());
        }
        for name in targets {
            let kind = StatementKind::Assign { target: name, operator: None, value: target.clone() };
            into.push(Statement { at, kind });
        }
        Ok(())
    }

    fn optional(&mut self) -> Parsed<Option<Expr>> {
        if self.at_expression_end() { Ok(None) } else { self.expressions().map(Some) }
    }

    fn import_from(&mut self) -> Parsed<Vec<(String, String)>> {
        let mut module = String::new();
        while self.is_op(".") || self.is_op("...") {
            self.skip();
        }
        if !self.is_word("import") {
            module = self.dotted()?;
        }
        if !self.take_word("import") {
            return Err(self.unexpected("'import'"));
        }
        let parenthesis = self.take_op("(");
        if self.take_op("*") {
            return Ok(Vec::new());
        }
        let names = self.imports(&module)?;
        if parenthesis {
            self.expect_op(")")?;
        }
        Ok(names)
    }

    fn imports(&mut self, module: &str) -> Parsed<Vec<(String, String)>> {
        let mut names = Vec::new();
        loop {
            let name = self.dotted()?;
            let whole = if module.is_empty() { name.clone() } else { format!("{module}.{name}") };
            if self.take_word("as") {
                names.push((self.name()?, whole));
            } else if module.is_empty() {
                let first = name.split('.').next().unwrap_or_default().to_owned();
                names.push((first.clone(), first));
            } else {
                names.push((name, whole));
            }
            if !self.take_op(",") || self.is_op(")") {
                return Ok(names);
            }
        }
    }

    fn dotted(&mut self) -> Parsed<String> {
        let mut name = self.name()?;
        while self.take_op(".") {
            name = format!("{name}.{}", self.name()?);
            if name.len() > NAME_MAX {
                return Err(Unsupported("an import of a name that is too long".into()));
            }
        }
        Ok(name)
    }

    fn decorated(&mut self) -> Parsed<StatementKind> {
        let mut decorators = Vec::new();
        while self.take_op("@") {
            decorators.push(self.expression()?);
            if *self.peek() != Token::Newline {
                return Err(self.unexpected("the end of the line"));
            }
            self.skip();
        }
        match self.peek() {
            Token::Name(name) if name == "class" => self.class(decorators),
            Token::Name(name) if name == "def" => self.function(decorators),
            _ => Err(Unsupported("a decorated coroutine".into())),
        }
    }

    fn class(&mut self, decorators: Vec<Expr>) -> Parsed<StatementKind> {
        self.skip();
        let name = self.name()?;
        let mut bases = Vec::new();
        if self.take_op("(") {
            while !self.take_op(")") {
                if self.next_is_op("=") {
                    self.skip();
                    self.skip();
                    self.expression()?;
                } else {
                    bases.push(self.expression()?);
                }
                if !self.take_op(",") && !self.is_op(")") {
                    return Err(self.unexpected("',' or ')'"));
                }
            }
        }
        let body = self.block()?;
        Ok(StatementKind::Class(Class { name, bases, decorators, body }))
    }

    fn function(&mut self, decorators: Vec<Expr>) -> Parsed<StatementKind> {
        self.skip();
        let name = self.name()?;
        self.expect_op("(")?;
        let mut parameters = Vec::new();
        while !self.take_op(")") {
            if self.take_op("*") || self.take_op("**") || self.take_op("/") {
                // What they stand for is not followed: such parameters have no value.
                if !self.is_op(",") && !self.is_op(")") {
                    self.name()?;
                }
            } else {
                parameters.push(self.name()?);
            }
            if self.take_op(":") {
                self.expression()?;
            }
            if self.take_op("=") {
                self.expression()?;
            }
            if !self.take_op(",") && !self.is_op(")") {
                return Err(self.unexpected("',' or ')'"));
            }
        }
        if self.take_op("->") {
            self.expression()?;
        }
        let body = self.block()?;
        Ok(StatementKind::Function(Function { name, parameters, decorators, body }))
    }

    fn if_statement(&mut self) -> Parsed<StatementKind> {
        let mut branches = Vec::new();
        while self.take_word("if") || self.take_word("elif") {
            let condition = self.expression()?;
            branches.push((condition, self.block()?));
            if !self.is_word("elif") {
                break;
            }
        }
        let otherwise = self.otherwise()?;
        Ok(StatementKind::If { branches, otherwise })
    }

    fn otherwise(&mut self) -> Parsed<Vec<Statement>> {
        if self.take_word("else") { self.block() } else { Ok(Vec::new()) }
    }

    fn for_loop(&mut self) -> Parsed<StatementKind> {
        self.skip();
        let at = self.at();
        let mut names = vec![self.name()?];
        while self.take_op(",") {
            names.push(self.name()?);
        }
        let variable = match names.pop() {
            Some(name) if names.is_empty() => Expr { at, height: 1, kind: ExprKind::Name(name) },
            _ => Expr { at, height: 1, kind: ExprKind::Unknown("several loop variables") },
        };
        if !self.take_word("in") {
            return Err(self.unexpected("'in'"));
        }
        let over = self.expressions()?;
        let body = self.block()?;
        if self.is_word("else") {
            return Err(Unsupported("a for loop with an else".into()));
        }
        Ok(StatementKind::For { variable, over, body })
    }

    fn with(&mut self) -> Parsed<StatementKind> {
        self.skip();
        let parenthesis = self.is_op("(");
        let value = self.expression()?;
        let name = if self.take_word("as") { Some(self.name()?) } else { None };
        if self.is_op(",") || (parenthesis && !self.is_op(":")) {
            return Err(Unsupported("a 'with' of several things".into()));
        }
        let body = self.block()?;
        Ok(StatementKind::With { value, name, body })
    }

    fn try_block(&mut self) -> Parsed<StatementKind> {
        self.skip();
        let body = self.block()?;
        let mut handlers = Vec::new();
        while self.take_word("except") {
            if !self.is_op(":") {
                self.expressions()?;
                if self.take_word("as") {
                    self.name()?;
                }
            }
            handlers.push(self.block()?);
        }
        if self.is_word("else") {
            return Err(Unsupported("a try with an else".into()));
        }
        let finally = if self.take_word("finally") { self.block()? } else { Vec::new() };
        Ok(StatementKind::Try { body, handlers, finally })
    }

    /// `:` and an indented block, or what stands behind it on the line.
    fn block(&mut self) -> Parsed<Vec<Statement>> {
        self.expect_op(":")?;
        let mut statements = Vec::new();
        if *self.peek() != Token::Newline {
            self.line(&mut statements)?;
            return Ok(statements);
        }
        self.skip();
        if *self.peek() != Token::Indent {
            return Err(self.unexpected("an indented block"));
        }
        self.skip();
        while !matches!(self.peek(), Token::Dedent | Token::End) {
            self.statement(&mut statements);
        }
        self.skip();
        Ok(statements)
    }

    /// Goes past the rest of a logical line and the blocks that are indented below it.
    fn skip_statement(&mut self) {
        while !matches!(self.peek(), Token::Newline | Token::Dedent | Token::Indent | Token::End) {
            self.skip();
        }
        if *self.peek() == Token::Newline {
            self.skip();
        }
        let mut blocks = 0usize;
        loop {
            match self.peek() {
                Token::Indent => blocks += 1,
                Token::Dedent if blocks > 0 => blocks -= 1,
                Token::End => return,
                _ if blocks == 0 => break,
                _ => {}
            }
            self.skip();
        }
        // The other branches of what could not be read belong to it.
        if ["elif", "else", "except", "finally"].into_iter().any(|word| self.is_word(word)) {
            self.skip_statement_tail();
        }
    }

    fn skip_statement_tail(&mut self) {
        while ["elif", "else", "except", "finally"].into_iter().any(|word| self.is_word(word)) {
            let mut blocks = 0usize;
            loop {
                match self.peek() {
                    Token::Indent => blocks += 1,
                    Token::Dedent if blocks <= 1 => {
                        if blocks == 1 {
                            self.skip();
                        }
                        break;
                    }
                    Token::Dedent => blocks -= 1,
                    Token::Newline if blocks == 0 && *self.peek_second() != Token::Indent => {
                        self.skip();
                        break;
                    }
                    Token::End => return,
                    _ => {}
                }
                self.skip();
            }
        }
    }

    /// Goes past the operator, with brackets in between as wholes.
    pub(super) fn skip_until(&mut self, stops: &[&'static str]) -> Parsed<()> {
        self.skip_before(stops)?;
        self.skip();
        Ok(())
    }

    pub(super) fn skip_to(&mut self, stop: &'static str) -> Parsed<()> {
        self.skip_before(&[stop])
    }

    fn skip_before(&mut self, stops: &[&'static str]) -> Parsed<()> {
        let mut depth = 0usize;
        loop {
            match self.peek() {
                Token::Op(op) if depth == 0 && stops.contains(op) => return Ok(()),
                Token::Op("(" | "[" | "{") => depth += 1,
                Token::Op(")" | "]" | "}") if depth == 0 => return Err(self.unexpected(stops[0])),
                Token::Op(")" | "]" | "}") => depth -= 1,
                Token::Newline | Token::End => return Err(self.unexpected(stops[0])),
                _ => {}
            }
            self.skip();
        }
    }

    pub(super) fn enter(&mut self) -> Parsed<()> {
        if self.depth >= DEPTH_MAX {
            return Err(too_deep());
        }
        self.depth += 1;
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    pub(super) fn depth(&self) -> u32 {
        self.depth + 1
    }

    pub(super) fn peek(&self) -> &Token {
        &self.tokens[self.next].0
    }

    pub(super) fn peek_second(&self) -> &Token {
        &self.tokens[(self.next + 1).min(self.tokens.len() - 1)].0
    }

    pub(super) fn at(&self) -> Place {
        self.tokens[self.next].1
    }

    pub(super) fn skip(&mut self) {
        self.next = (self.next + 1).min(self.tokens.len() - 1);
    }

    /// The token here; a line can be read again for its names, so tokens stay.
    pub(super) fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.skip();
        token
    }

    pub(super) fn is_op(&self, op: &str) -> bool {
        matches!(self.peek(), Token::Op(found) if *found == op)
    }

    pub(super) fn next_is_op(&self, op: &str) -> bool {
        matches!(self.peek(), Token::Name(_))
            && matches!(self.peek_second(), Token::Op(found) if *found == op)
    }

    pub(super) fn take_op(&mut self, op: &str) -> bool {
        let found = self.is_op(op);
        if found {
            self.skip();
        }
        found
    }

    pub(super) fn expect_op(&mut self, op: &str) -> Parsed<()> {
        if self.take_op(op) { Ok(()) } else { Err(self.unexpected(op)) }
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Name(name) if name == word)
    }

    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.skip();
        }
        found
    }

    pub(super) fn name(&mut self) -> Parsed<String> {
        match self.take() {
            Token::Name(name) => Ok(name),
            _ => Err(Unsupported("code without a name where one belongs".into())),
        }
    }

    pub(super) fn at_expression_end(&self) -> bool {
        matches!(self.peek(), Token::Newline | Token::End | Token::Op(")" | "]" | "}" | "=" | ":" | ";"))
    }

    /// Whether the bracket that was just closed has a comma before it.
    pub(super) fn comma_before_last(&self) -> bool {
        self.next >= 2 && self.tokens[self.next - 2].0 == Token::Op(",")
    }

    pub(super) fn unexpected(&self, wanted: &str) -> Unsupported {
        Unsupported(format!("code in which {wanted} is missing"))
    }
}

/// No module's name is that long.
const NAME_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::super::{FormatPart, parse};
    use super::*;

    /// A statement in few words, to compare.
    fn show(statement: &Statement) -> String {
        let body = |body: &[Statement]| body.iter().map(show).collect::<Vec<_>>().join(" ");
        match &statement.kind {
            StatementKind::Class(class) => {
                let bases = class.bases.iter().map(value).collect::<Vec<_>>().join(",");
                format!("class {}({bases}) {{{}}}", class.name, body(&class.body))
            }
            StatementKind::Function(function) => {
                let on = function.decorators.iter().map(|d| format!("@{} ", value(d))).collect::<String>();
                format!(
                    "{on}def {}({}) {{{}}}",
                    function.name,
                    function.parameters.join(","),
                    body(&function.body)
                )
            }
            StatementKind::Import(names) => format!("import {names:?}"),
            StatementKind::Assign { target, operator, value: right } => {
                format!("{} {}= {};", value(target), operator.unwrap_or(""), value(right))
            }
            StatementKind::Expression(of) => format!("{};", value(of)),
            StatementKind::If { branches, otherwise } => {
                let shown = branches.iter().map(|(c, b)| format!("if {} {{{}}} ", value(c), body(b)));
                format!("{}else {{{}}}", shown.collect::<String>(), body(otherwise))
            }
            StatementKind::For { variable, over, body: inner } => {
                format!("for {} in {} {{{}}}", value(variable), value(over), body(inner))
            }
            StatementKind::With { value: of, name, body: inner } => {
                format!("with {} as {name:?} {{{}}}", value(of), body(inner))
            }
            StatementKind::Try { body: inner, handlers, finally } => {
                let handlers =
                    handlers.iter().map(|h| format!("except {{{}}} ", body(h))).collect::<String>();
                format!("try {{{}}} {handlers}finally {{{}}}", body(inner), body(finally))
            }
            StatementKind::Unknown { what, .. } => format!("<{what} in line {}>", statement.at.line),
            other => format!("{other:?}"),
        }
    }

    fn value(expr: &Expr) -> String {
        let list = |items: &[Expr]| items.iter().map(value).collect::<Vec<_>>().join(",");
        match &expr.kind {
            ExprKind::Name(name) => name.clone(),
            ExprKind::Int(number) => number.to_string(),
            ExprKind::Text(text) => format!("{text:?}"),
            ExprKind::Attribute(of, name) => format!("{}.{name}", value(of)),
            ExprKind::Index(of, index) => format!("{}[{}]", value(of), value(index)),
            ExprKind::Unary(op, of) => format!("({op} {})", value(of)),
            ExprKind::Binary(op, left, right) => format!("({} {op} {})", value(left), value(right)),
            ExprKind::List(items) => format!("[{}]", list(items)),
            ExprKind::Tuple(items) => format!("({},)", list(items)),
            ExprKind::Call(call) => {
                let keywords =
                    call.keywords.iter().map(|(k, v)| format!(" {k}={}", value(v))).collect::<String>();
                format!("{}({}{keywords})", value(&call.function), list(&call.arguments))
            }
            ExprKind::Format(parts) => {
                let part = |part: &FormatPart| match part {
                    FormatPart::Text(text) => text.clone(),
                    FormatPart::Code { value: of, formatted } => {
                        format!("{{{}{}}}", value(of), ["", ":"][usize::from(*formatted)])
                    }
                };
                format!("f\"{}\"", parts.iter().map(part).collect::<String>())
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn sources_become_statements() {
        for (source, want) in [
            ("a = b = 1 + 2 * 3 ** -x", "a = (1 + (2 * (3 ** (- x)))); b = (1 + (2 * (3 ** (- x))));"),
            ("not a in b and c is not d or e", "(((not (a in b)) and (c is not d)) or e);"),
            ("x: int\ny: int = 3; z += 4", "Pass y = 3; z += 4;"),
            ("f(1, *a, k='x' \"y\")[0].b(c)", "f(1 k=\"xy\")[0].b(c);"),
            ("f(\"a\" f'{b.c:>3}d{e!r}{f}')", "f(f\"a{b.c:}d{e:}{f}\");"),
            ("(a), (a,), ()", "(a,(a,),(,),);"),
            (
                "x = [i for i in y]; z = y[1:2]; f(k for k in z)",
                "x = Unknown(\"a comprehension\"); z = Unknown(\"a slice\"); f(Unknown(\"a comprehension\"));",
            ),
            (
                "x = lambda a, b=1: a + b\ny = 1 if 2 else 3",
                "x = Unknown(\"a lambda\"); y = Unknown(\"a conditional expression\");",
            ),
            (
                "@task(3)\ndef f(self, a: int = 3, *, b, **c) -> None:\n  pass",
                "@task(3) def f(self,a,b) {Pass}",
            ),
            ("class A(B, metaclass=C): pass", "class A(B) {Pass}"),
            (
                "import a.b, c as d\nfrom e.f import (g, h as i,)",
                r#"import [("a", "a"), ("d", "c")] import [("g", "e.f.g"), ("i", "e.f.h")]"#,
            ),
            ("if a: b\nelif c:\n  d\nelse: e", "if a {b;} if c {d;} else {e;}"),
            (
                "for i in range(3):\n  f(i)\nwith a as b: c",
                "for i in range(3) {f(i);} with a as Some(\"b\") {c;}",
            ),
            ("try:\n  a\nexcept E as e:\n  b\nfinally: c", "try {a;} except {b;} finally {c;}"),
            ("while a:\n  b\n  if c:\n    break\nelse:\n  d\ne", "<a while loop in line 1> e;"),
            ("if a:\n  b ! c\nelse:\n  d\ne", "line 2: '!'"),
            ("def f():\n  x = await y\n  z", "def f() {<a coroutine in line 2> z;}"),
            ("async def f():\n  a\nb", "<a coroutine in line 1> b;"),
            ("a b\nc", "a; <code in which the end of the line is missing in line 1> c;"),
        ] {
            let got = match parse(source) {
                Ok(statements) => statements.iter().map(show).collect::<Vec<_>>().join(" "),
                Err(error) => format!("line {}: {:.3}", error.line, error.what),
            };
            assert_eq!(got, want, "{source}");
        }
    }
}
