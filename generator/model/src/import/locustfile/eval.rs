//! Evaluates expressions of tasks: operators, names, f-strings, and the functions that tests use.

use super::super::python::{Call, Expr, ExprKind, FormatPart};
use super::super::template::{Piece, identifier, quoted};
use super::module::attribute;
use super::task::Translator;
use super::value::{Value, is_variable};
use crate::scenario::file::Place;

impl Translator<'_> {
    pub(super) fn eval(&mut self, expr: &Expr) -> Value {
        if self.eval_depth >= EVAL_MAX {
            return Value::unknown(expr.at, "a value that is nested too deep");
        }
        self.eval_depth += 1;
        let value = self.evaluated(expr);
        self.eval_depth -= 1;
        if value.depth() > VALUE_DEPTH_MAX {
            return Value::unknown(expr.at, "a value that is nested too deep");
        }
        if self.spend(value.size()) { value } else { Value::unknown(expr.at, "too much code to follow") }
    }

    fn evaluated(&mut self, expr: &Expr) -> Value {
        let at = expr.at;
        match &expr.kind {
            ExprKind::None => Value::None,
            ExprKind::Bool(value) => Value::Bool(*value),
            ExprKind::Int(number) => Value::Int(*number),
            ExprKind::Float(number) => Value::Float(*number),
            ExprKind::Text(text) => Value::text(text),
            ExprKind::Format(parts) => self.format(at, parts),
            ExprKind::Name(name) => self.named(at, name),
            ExprKind::List(items) | ExprKind::Tuple(items) => {
                Value::List(items.iter().map(|item| self.eval(item)).collect())
            }
            ExprKind::Dict(entries) => self.dict(at, entries),
            ExprKind::Attribute(of, name) => self.attribute(at, expr, of, name),
            ExprKind::Index(of, index) => {
                let (of, index) = (self.eval(of), self.eval(index));
                self.index(at, of, &index)
            }
            ExprKind::Call(call) => self.call(at, call),
            ExprKind::Unary(operator, of) => {
                let of = self.eval(of);
                self.unary(at, operator, &of)
            }
            ExprKind::Binary(operator, left, right) => {
                let (left, right) = (self.eval(left), self.eval(right));
                self.binary(at, operator, left, right)
            }
            ExprKind::Unknown(what) => Value::unknown(at, *what),
        }
    }

    fn named(&mut self, at: Place, name: &str) -> Value {
        if let Some(value) = self.scope.locals.get(name) {
            self.looked_up.insert(name.to_owned());
            return value.clone();
        }
        if !self.module.keeps(name) {
            return Value::unknown(at, format!("'{name}', which changes while the test runs"));
        }
        match self.module.constants.get(name) {
            Some(value) => self.constant(at, name, value),
            None => Value::unknown(at, format!("'{name}', whose value is not known")),
        }
    }

    /// The value of a constant, whose own names are looked up outside of functions.
    fn constant(&mut self, at: Place, name: &str, value: &Expr) -> Value {
        if self.depth >= CONSTANTS_MAX {
            return Value::unknown(at, format!("'{name}', which is made of too many others"));
        }
        self.depth += 1;
        let outer = std::mem::take(&mut self.scope);
        let value = self.eval(value);
        self.scope = outer;
        self.depth -= 1;
        match value {
            // It is drawn once in Python, when the file is read.
            Value::Expression(source) if !is_variable(&source) && !source.starts_with("secret.") => {
                Value::unknown(at, format!("'{name}', which is drawn once, before the test"))
            }
            value => value,
        }
    }

    fn attribute(&mut self, at: Place, expr: &Expr, of: &Expr, name: &str) -> Value {
        let own = of.as_name().is_some_and(|of| of == self.scope.own);
        let class = of.as_name().and_then(|of| self.module.class(of));
        if own || class.is_some() || of.path().as_deref() == Some(&format!("{}.user", self.scope.own)) {
            if own && let Some(value) = self.attributes.get(name) {
                return value.clone();
            }
            if !self.module.keeps(&format!(".{name}")) {
                return Value::unknown(at, format!("'{name}', which changes while the test runs"));
            }
            let lineage = class.map_or_else(|| self.lineage.clone(), |(_, class)| self.module.lineage(class));
            let looked_at = lineage.iter().chain(&self.user).map(|class| class.body.len()).sum();
            if !self.spend(looked_at) {
                return Value::unknown(at, "too much code to follow");
            }
            return match attribute(&lineage, name).or_else(|| attribute(&self.user, name)) {
                Some(value) => self.constant(at, name, value),
                None => Value::unknown(at, format!("'{name}', whose value is not known")),
            };
        }
        let what = format!("'{}'", expr.path().unwrap_or_else(|| name.to_owned()));
        match (self.eval(of), name) {
            (Value::Response(requests), "status_code") => self.answer(&requests, "status", "status"),
            (Value::Response(requests), "text" | "content") => self.answer(&requests, "body", "body"),
            (Value::Response(requests), "js") => Value::Json(requests, "$".into()),
            (Value::Response(requests), "headers") => Value::Fields(requests, "header"),
            (Value::Response(requests), "cookies") => Value::Fields(requests, "cookie"),
            (Value::Response(requests), "ok") => match self.answer(&requests, "status", "status") {
                Value::Expression(status) => Value::Condition(format!("{status} < 400")),
                other => other,
            },
            (Value::Response(_), "elapsed") if self.checking => Value::Elapsed,
            (Value::Unknown(at, what), _) if !what.ends_with("is not known") => Value::Unknown(at, what),
            _ => Value::unknown(at, format!("{what}, whose value is not known")),
        }
    }

    /// Something of an answer: within a check as it is, else saved in a variable.
    pub(super) fn answer(&mut self, requests: &std::ops::Range<usize>, source: &str, name: &str) -> Value {
        if self.checking {
            return Value::Expression(source.to_owned());
        }
        let saved = self.requests.get(requests.start).map_or(0, |request| request.save.len());
        self.spend(saved * requests.len());
        let known = self.requests.get(requests.start).and_then(|request| {
            request.save.iter().find(|(_, saved)| saved.value == source).map(|(name, _)| name.value.clone())
        });
        let variable = known.unwrap_or_else(|| {
            let variable = self.fresh(name);
            for request in &mut self.requests[requests.clone()] {
                request.save.push((variable.clone().into(), source.to_owned().into()));
            }
            variable
        });
        Value::Expression(variable)
    }

    /// A value as it can be put into texts: what is looked up in an answer is saved by the request.
    pub(super) fn settle(&mut self, value: Value) -> Value {
        match value {
            Value::Json(requests, path) => {
                let mut parts = path.rsplit(['.', '"', '[', ']', '$']);
                let name = parts.find(|part| !part.is_empty()).unwrap_or("json").to_owned();
                self.answer(&requests, &format!("json({})", quoted(&path)), &name)
            }
            Value::List(items) => Value::List(items.into_iter().map(|item| self.settle(item)).collect()),
            Value::Dict(entries) => {
                Value::Dict(entries.into_iter().map(|(name, value)| (name, self.settle(value))).collect())
            }
            other => other,
        }
    }

    fn format(&mut self, at: Place, parts: &[FormatPart]) -> Value {
        let mut pieces = Vec::new();
        for part in parts {
            match part {
                FormatPart::Text(text) => pieces.push(vec![Piece::Literal(text.clone())]),
                FormatPart::Code { value, formatted: true } => {
                    return Value::unknown(value.at, "a value with a format of its own");
                }
                FormatPart::Code { value, .. } => match self.text_of(value) {
                    Ok(text) => pieces.push(text),
                    Err(unknown) => return unknown,
                },
            }
        }
        Value::concat(at, pieces)
    }

    fn text_of(&mut self, expr: &Expr) -> Result<Vec<Piece>, Value> {
        let value = self.eval(expr);
        let value = self.settle(value);
        value.pieces().ok_or_else(|| match value {
            Value::Unknown(..) => value,
            _ => Value::unknown(expr.at, "a value that is no text"),
        })
    }

    fn dict(&mut self, at: Place, entries: &[(Expr, Expr)]) -> Value {
        let mut items = Vec::new();
        for (key, value) in entries {
            match self.eval(key) {
                Value::Int(number) => items.push((number.to_string(), self.eval(value))),
                key => match key.as_literal() {
                    Some(key) => items.push((key, self.eval(value))),
                    None => return Value::unknown(at, "a dict with computed names"),
                },
            }
        }
        Value::Dict(items)
    }

    pub(super) fn index(&mut self, at: Place, of: Value, index: &Value) -> Value {
        let key = index.as_literal();
        match (of, index, key) {
            (Value::Json(requests, path), Value::Int(number), _) if *number >= 0 => {
                Value::Json(requests, format!("{path}[{number}]"))
            }
            (Value::Json(requests, path), _, Some(key)) => {
                let simple = identifier(&key) == key && !key.is_empty();
                let step = if simple { format!(".{key}") } else { format!("[{}]", quoted(&key)) };
                if path.len() + step.len() > PATH_MAX {
                    return Value::unknown(at, "a path into JSON that is too long");
                }
                Value::Json(requests, path + &step)
            }
            (Value::Fields(requests, function), _, Some(key)) => {
                self.answer(&requests, &format!("{function}({})", quoted(&key)), &key)
            }
            (Value::Dict(entries), _, Some(key)) => {
                let found = entries.into_iter().find(|(name, _)| *name == key);
                found.map_or_else(
                    || Value::unknown(at, format!("'{key}', which is not in the dict")),
                    |(_, v)| v,
                )
            }
            (Value::List(items), Value::Int(number), _) => {
                let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
                let wanted = if *number < 0 { number.saturating_add(length) } else { *number };
                let found = usize::try_from(wanted).ok().and_then(|wanted| items.into_iter().nth(wanted));
                found.unwrap_or_else(|| Value::unknown(at, "an index behind the end of its list"))
            }
            (Value::Choice { drawn, options }, _, _) if drawn.is_empty() => {
                // A part of a row that is drawn here: draw among the parts.
                let parts = options.into_iter().map(|option| self.index(at, option, index)).collect();
                choice(at, parts)
            }
            (Value::Row { number, options }, _, _) => {
                let parts = options.into_iter().map(|option| self.index(at, option, index)).collect();
                part_of_row(at, &number, parts)
            }
            (Value::Unknown(at, what), _, _) => Value::Unknown(at, what),
            _ => Value::unknown(at, "an index into something that is not followed"),
        }
    }

    fn call(&mut self, at: Place, call: &Call) -> Value {
        if let ExprKind::Attribute(of, method) = &call.function.kind
            && call.function.path().is_none_or(|path| self.known_function(&path).is_none())
        {
            let of = self.eval(of);
            return self.method(at, of, method, call);
        }
        let Some(path) = call.function.path() else {
            return Value::unknown(at, "a call of something that is not followed");
        };
        let Some(function) = self.known_function(&path) else {
            return Value::unknown(at, format!("'{path}(...)', whose result is not known"));
        };
        let arguments: Vec<Value> = call
            .arguments
            .iter()
            .map(|argument| {
                let value = self.eval(argument);
                self.settle(value)
            })
            .collect();
        if call.spread {
            return Value::unknown(at, "a call with '*'");
        }
        if function == "dict" && arguments.is_empty() {
            let entries =
                call.keywords.iter().map(|(name, value)| (name.clone(), self.eval(value))).collect();
            return Value::Dict(entries);
        }
        function_value(at, &function, arguments)
    }

    /// The whole name of a function whose result is understood.
    fn known_function(&self, path: &str) -> Option<String> {
        let first = path.split('.').next().unwrap_or_default();
        if self.scope.locals.contains_key(first) {
            return None;
        }
        let whole = self.module.resolve(path);
        FUNCTIONS.contains(&whole.as_str()).then_some(whole)
    }

    fn method(&mut self, at: Place, of: Value, method: &str, call: &Call) -> Value {
        let arguments: Vec<Value> = call.arguments.iter().map(|argument| self.eval(argument)).collect();
        match (of, method, arguments.as_slice()) {
            (Value::Response(requests), "json", []) => Value::Json(requests, "$".into()),
            (of @ (Value::Json(..) | Value::Fields(..)), "get", [key]) => self.index(at, of, key),
            (Value::Elapsed, "total_seconds", []) => Value::Seconds,
            (Value::Text(pieces), "format", _) => {
                let named =
                    call.keywords.iter().map(|(name, value)| (name.clone(), self.eval(value))).collect();
                self.format_method(at, &pieces, arguments, named)
            }
            (Value::Unknown(at, what), ..) => Value::Unknown(at, what),
            _ => Value::unknown(at, format!("'.{method}(...)', whose result is not known")),
        }
    }

    /// `"{} and {name}".format(...)`.
    fn format_method(
        &mut self,
        at: Place,
        pieces: &[Piece],
        arguments: Vec<Value>,
        named: Vec<(String, Value)>,
    ) -> Value {
        let mut out = Vec::new();
        let mut next = 0usize;
        for piece in pieces {
            let Piece::Literal(text) = piece else {
                out.push(vec![piece.clone()]);
                continue;
            };
            let mut rest = text.as_str();
            while let Some(open) = rest.find(['{', '}']) {
                let (before, from) = rest.split_at(open);
                out.push(vec![Piece::Literal(before.to_owned())]);
                if from.starts_with("{{") || from.starts_with("}}") {
                    out.push(vec![Piece::Literal(from[..1].to_owned())]);
                    rest = &from[2..];
                    continue;
                }
                let Some(close) = from.find('}').filter(|_| from.starts_with('{')) else {
                    return Value::unknown(at, "a format with a brace too many");
                };
                let field = &from[1..close];
                let value = if field.is_empty() {
                    next += 1;
                    arguments.get(next - 1)
                } else if let Ok(number) = field.parse::<usize>() {
                    arguments.get(number)
                } else {
                    named.iter().find(|(name, _)| name == field).map(|(_, value)| value)
                };
                let Some(value) = value.cloned() else {
                    return Value::unknown(at, format!("a format whose '{field:.40}' is not followed"));
                };
                match self.settle(value) {
                    unknown @ Value::Unknown(..) => return unknown,
                    value => match value.pieces() {
                        Some(pieces) => out.push(pieces),
                        None => return Value::unknown(at, "a value that is no text"),
                    },
                }
                rest = &from[close + 1..];
            }
            out.push(vec![Piece::Literal(rest.to_owned())]);
        }
        Value::concat(at, out)
    }
}

/// Constants that are made of constants that are made of constants.
const CONSTANTS_MAX: u32 = 8;
/// Expressions within expressions, also through the constants that they name.
const EVAL_MAX: u32 = 128;
/// Lists within lists, also through variables.
const VALUE_DEPTH_MAX: usize = 64;
/// Longer JSON paths are no test's.
const PATH_MAX: usize = 1024;

const FUNCTIONS: [&str; 17] = [
    "random.randint",
    "random.randrange",
    "random.choice",
    "random.random",
    "uuid.uuid4",
    "uuid.uuid1",
    "str",
    "int",
    "float",
    "len",
    "dict",
    "list",
    "time.time",
    "json.dumps",
    "os.getenv",
    "os.environ.get",
    "time.time_ns",
];

fn function_value(at: Place, function: &str, mut arguments: Vec<Value>) -> Value {
    if let Some(position) = arguments.iter().position(|argument| matches!(argument, Value::Unknown(..))) {
        return arguments.swap_remove(position);
    }
    let expression = |source: String| Value::Expression(source);
    match (function, arguments.as_slice()) {
        ("random.randint", [low, high]) => match (low.operand(), high.operand()) {
            (Some(low), Some(high)) => expression(format!("pick({low}, {high})")),
            _ => Value::unknown(at, "bounds that are no numbers"),
        },
        ("random.randrange", [Value::Int(end)]) if *end > 0 => expression(format!("pick(0, {})", end - 1)),
        ("random.randrange", [Value::Int(low), Value::Int(end)]) if end > low => {
            expression(format!("pick({low}, {})", end - 1))
        }
        ("random.choice", [Value::List(options)]) => choice(at, options.clone()),
        ("random.random", []) => Value::Expression("(pick(0, 999999) / 1000000.0)".into()),
        ("uuid.uuid4" | "uuid.uuid1", []) => Value::Expression("uuid()".into()),
        // In milliseconds here, in seconds there.
        ("time.time", []) => Value::Expression("(now() / 1000.0)".into()),
        ("time.time_ns", []) => Value::Expression("(now() * 1000000)".into()),
        ("str", [value]) => {
            value.pieces().map_or_else(|| Value::unknown(at, "a value that is no text"), Value::Text)
        }
        ("int", [Value::Int(number)]) => Value::Int(*number),
        ("int", [Value::Expression(source)]) if is_variable(source) => expression(format!("int({source})")),
        ("int", [Value::Expression(source)]) => expression(format!("floor({source})")),
        ("len", [Value::List(items)]) => Value::Int(i64::try_from(items.len()).unwrap_or(i64::MAX)),
        ("list", [list @ Value::List(_)]) => list.clone(),
        ("json.dumps", [value]) => Value::Dumped(Box::new(value.clone())),
        ("os.getenv" | "os.environ.get", [name, ..]) => match name.as_literal() {
            Some(name) if identifier(&name) == name => expression(format!("secret.{name}")),
            _ => Value::unknown(at, "an environment variable whose name is not known"),
        },
        _ => Value::unknown(at, format!("'{function}(...)' with these arguments")),
    }
}

/// One of them, each as likely.
fn choice(at: Place, mut options: Vec<Value>) -> Value {
    if let Some(position) = options.iter().position(|option| matches!(option, Value::Unknown(..))) {
        return options.swap_remove(position);
    }
    if options.is_empty() {
        return Value::unknown(at, "a choice out of nothing");
    }
    let operands: Vec<String> =
        options.iter().filter(|o| o.is_constant()).filter_map(Value::operand).collect();
    // Rows and the like can be chosen from too, as long as only one part of them is used.
    let all = operands.len() == options.len();
    let drawn = if all { format!("one_of({})", operands.join(", ")) } else { String::new() };
    Value::Choice { drawn, options }
}

/// `if(row == 0, a, if(row == 1, b, c))`, as long as that is no table.
fn part_of_row(at: Place, number: &str, mut parts: Vec<Value>) -> Value {
    if let Some(position) = parts.iter().position(|part| matches!(part, Value::Unknown(..))) {
        return parts.swap_remove(position);
    }
    let operands: Vec<String> = parts.iter().filter_map(Value::operand).collect();
    if operands.len() != parts.len() || parts.len() > ROWS_MAX {
        return Value::unknown(at, format!("a part of one of {} rows", parts.len()));
    }
    let Some((last, others)) = operands.split_last() else {
        return Value::unknown(at, "a choice out of nothing");
    };
    let mut source = last.clone();
    for (index, operand) in others.iter().enumerate().rev() {
        source = format!("if({number} == {index}, {operand}, {source})");
    }
    Value::Expression(source)
}

/// Expressions nest no deeper than some thirty levels; larger tables belong into a CSV file.
const ROWS_MAX: usize = 24;
