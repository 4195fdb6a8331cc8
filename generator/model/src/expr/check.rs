//! A tree of syntax to one that can be evaluated: names looked up, types checked, constants computed.

use regex::{Regex, RegexBuilder};

use super::error::{ExprError, suggest};
use super::evaluate::{AnswerPart, Node};
use super::fold::fold;
use super::function::{Function, Parameter, SIGNATURES, Signature};
use super::syntax::{KEYWORDS, Kind, Operator, Syntax};
use super::types::{Typed, are_comparable, arithmetic_type, misfit};
use super::value::{Type, Value};
use super::{Names, Needs, Ref, Stage};

/// What one pattern may take as a program, and its automaton at run time, in bytes.
const PATTERN_SIZE_MAX: usize = 1 << 20;

/// How deep a pattern may nest.
const PATTERN_NESTING_MAX: u32 = 32;

/// Each pattern may take [`PATTERN_SIZE_MAX`] however short it is written.
pub(super) const PATTERNS_MAX: usize = 8;

/// All texts of one expression that come from constants with a name, in bytes: each use is a copy.
const CONSTANTS_MAX: usize = 64 << 10;

/// What an answer has that is written without parentheses.
const ANSWER_NAMES: [(&str, AnswerPart, Type); 6] = [
    ("status", AnswerPart::Status, Type::Int),
    ("body", AnswerPart::Body, Type::Text),
    ("body.size", AnswerPart::BodySize, Type::Int),
    ("body.sha256", AnswerPart::BodySha256, Type::Text),
    ("response_time", AnswerPart::ResponseTime, Type::Duration),
    ("first_byte", AnswerPart::FirstByte, Type::Duration),
];

/// Whether a word means something in expressions, so that nothing can be named so.
#[must_use]
pub fn is_reserved(word: &str) -> bool {
    KEYWORDS.contains(&word) || word == "secret" || ANSWER_NAMES.iter().any(|(name, ..)| *name == word)
}

pub(super) struct Compiler<'n> {
    names: &'n dyn Names,
    stage: Stage,
    pub(super) patterns: usize,
    constants: usize,
    pub(super) needs: Needs,
    pub(super) secrets: Vec<u16>,
    pub(super) variables: Vec<u16>,
}

impl<'n> Compiler<'n> {
    pub(super) fn new(names: &'n dyn Names, stage: Stage) -> Self {
        Self {
            names,
            stage,
            patterns: 0,
            constants: 0,
            needs: Needs::default(),
            secrets: Vec::new(),
            variables: Vec::new(),
        }
    }

    pub(super) fn compile(&mut self, syntax: &Syntax<'_>) -> Result<Typed, ExprError> {
        let at = syntax.at;
        let (node, kind) = match &syntax.kind {
            Kind::Literal(value) => (Node::Constant(value.clone()), value.type_of()),
            Kind::Name(path) => self.name(at, path)?,
            Kind::Call(name, arguments) => self.call(at, name, arguments)?,
            Kind::Not(of) => {
                let of = self.compile(of)?;
                of.expect(Parameter::Bool, "what `not` is applied to")?;
                (Node::Not(Box::new(of.node)), Type::Bool)
            }
            Kind::Negate(of) => {
                let of = self.compile(of)?;
                of.expect(Parameter::Number, "what `-` is applied to")?;
                (Node::Negate(Box::new(of.node)), of.kind)
            }
            Kind::Binary(Operator::Equal { negated }, of) if of.iter().any(Syntax::is_null) => {
                let of = self.compile(if of[1].is_null() { &of[0] } else { &of[1] })?;
                (Node::IsNull { negated: *negated, of: Box::new(of.node) }, Type::Bool)
            }
            Kind::Binary(operator, of) => {
                let (left, right) = (self.compile(&of[0])?, self.compile(&of[1])?);
                self.binary(at, *operator, left, right)?
            }
        };
        Ok(Typed { at, node: fold(node), kind })
    }

    fn name(&mut self, at: usize, path: &[&str]) -> Result<(Node, Type), ExprError> {
        let written = path.join(".");
        if let Some((_, part, kind)) = ANSWER_NAMES.iter().find(|(name, ..)| *name == written) {
            self.expect_answer(at, &written)?;
            match part {
                AnswerPart::Body | AnswerPart::BodySha256 => self.needs.body = true,
                AnswerPart::BodySize => self.needs.body_size = true,
                _ => {}
            }
            return Ok((Node::Answer(part.clone()), *kind));
        }
        let Some((found, kind)) = self.names.look_up(path) else { return Err(self.unknown(at, &written)) };
        let node = match found {
            Ref::Variable(index) => {
                insert(&mut self.variables, index);
                Node::Variable(index)
            }
            Ref::Column { feeder, column } => Node::Column { feeder, column },
            Ref::Secret(index) => {
                insert(&mut self.secrets, index);
                Node::Secret(index)
            }
            Ref::Constant(value) => {
                if let Value::Text(text) = &value {
                    self.constants += text.len();
                }
                if self.constants > CONSTANTS_MAX {
                    let what = format!("the constants that are used have more than {CONSTANTS_MAX} bytes");
                    return Err(ExprError::new(at, what, "put long texts into a file of `data`"));
                }
                let kind = value.type_of();
                return Ok((Node::Constant(value), kind));
            }
        };
        Ok((node, kind))
    }

    fn unknown(&self, at: usize, written: &str) -> ExprError {
        let what = format!("there is no `{written}`");
        if let Some(signature) = SIGNATURES.iter().find(|signature| signature.name() == written) {
            return ExprError::new(at, what, format!("as a function it is written {}", signature.usage));
        }
        let names = self.names.all();
        let of_answer = ANSWER_NAMES.iter().map(|(name, ..)| *name).filter(|_| self.stage == Stage::Response);
        let known = names.iter().map(String::as_str).chain(of_answer);
        let otherwise = "define it in `vars`, or save it before; a text stands in quotes";
        ExprError::new(at, what, suggest(written, known, otherwise))
    }

    fn expect_answer(&self, at: usize, written: &str) -> Result<(), ExprError> {
        match self.stage {
            Stage::Response => Ok(()),
            Stage::Request => Err(ExprError::new(
                at,
                format!("`{written}` is known only once there is an answer"),
                "use it in `check` or `save`, and name here what was saved",
            )),
        }
    }

    fn call(&mut self, at: usize, name: &str, written: &[Syntax<'_>]) -> Result<(Node, Type), ExprError> {
        let Some(signature) = SIGNATURES.iter().find(|signature| signature.name() == name) else {
            let what = format!("there is no function `{name}`");
            if ANSWER_NAMES.iter().any(|(known, ..)| *known == name) {
                return Err(ExprError::new(at, what, format!("write `{name}` without parentheses")));
            }
            let known = SIGNATURES.iter().map(Signature::name);
            return Err(ExprError::new(at, what, suggest(name, known, "write a name without parentheses")));
        };
        if signature.needs_answer() {
            self.expect_answer(at, signature.usage)?;
        }
        let most = if signature.repeats() { usize::MAX } else { signature.parameters.len() };
        if !(signature.least..=most).contains(&written.len()) {
            let what = format!("`{name}` does not take {} arguments", written.len());
            return Err(ExprError::new(at, what, format!("write {}", signature.usage)));
        }
        let mut arguments = Vec::with_capacity(written.len());
        for (index, syntax) in written.iter().enumerate() {
            let argument = self.compile(syntax)?;
            let last = signature.parameters.last();
            if let Some(parameter) = signature.parameters.get(index).or(last) {
                let role = format!("argument {} of {}", index + 1, signature.usage);
                argument.expect(*parameter, &role)?;
            }
            arguments.push(argument);
        }
        self.apply(at, signature, arguments)
    }

    /// The node of a call whose arguments are what they should be.
    fn apply(
        &mut self,
        at: usize,
        signature: &Signature,
        arguments: Vec<Typed>,
    ) -> Result<(Node, Type), ExprError> {
        let part = match signature.function {
            Function::Json => AnswerPart::Json(self.path(&arguments)),
            Function::JsonCount => AnswerPart::JsonCount(self.path(&arguments)),
            Function::Header => {
                let name = header_name(&arguments)?;
                insert(&mut self.needs.headers, name.clone());
                AnswerPart::Header(name.into())
            }
            Function::Cookie => {
                self.needs.cookies = true;
                AnswerPart::Cookie(arguments[0].constant_text().into())
            }
            Function::Regex => self.find(&arguments)?,
            Function::Now if !arguments.is_empty() => {
                return match arguments[0].constant_text() {
                    "rfc3339" => Ok((Node::Call(Function::NowRfc3339, Box::new([])), Type::Text)),
                    other => {
                        let what = format!("there is no time in the format {other:?}");
                        Err(ExprError::new(arguments[0].at, what, format!("write {}", signature.usage)))
                    }
                };
            }
            function => {
                let kind = result_type(at, signature, &arguments)?;
                return Ok((Node::Call(function, nodes(arguments)), kind));
            }
        };
        Ok((Node::Answer(part), signature.result))
    }

    /// The index of a path, which is looked for in the body.
    fn path(&mut self, arguments: &[Typed]) -> usize {
        self.needs.body = true;
        insert(&mut self.needs.json, arguments[0].constant_text().to_owned())
    }

    /// `regex(pattern, group)`; without a group it is the first, or all of a match where there is none.
    fn find(&mut self, arguments: &[Typed]) -> Result<AnswerPart, ExprError> {
        self.needs.body = true;
        let pattern = self.pattern(&arguments[0])?;
        let most = pattern.captures_len() - 1;
        let Some(written) = arguments.get(1) else {
            return Ok(AnswerPart::Regex(Box::new((pattern, most.min(1)))));
        };
        let group = match written.node.constant() {
            Some(Value::Int(group)) => usize::try_from(*group).ok().filter(|group| *group <= most),
            _ => None,
        };
        let Some(group) = group else {
            let what = "the pattern has no such group";
            return Err(ExprError::new(
                written.at,
                what,
                format!("write 0 for the whole match, up to {most}"),
            ));
        };
        Ok(AnswerPart::Regex(Box::new((pattern, group))))
    }

    fn pattern(&mut self, written: &Typed) -> Result<Regex, ExprError> {
        self.patterns += 1;
        if self.patterns > PATTERNS_MAX {
            let what = format!("there are more than {PATTERNS_MAX} patterns");
            return Err(ExprError::new(written.at, what, "put them into checks of their own"));
        }
        RegexBuilder::new(written.constant_text())
            .size_limit(PATTERN_SIZE_MAX)
            .dfa_size_limit(PATTERN_SIZE_MAX)
            .nest_limit(PATTERN_NESTING_MAX)
            .build()
            .map_err(|error| {
                // The error draws the pattern over several lines; its last one says what is wrong.
                let error = error.to_string();
                let reason = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
                let what = format!("the pattern cannot be used: {reason}");
                let mend = "write a regular expression such as \"id=(\\\\d+)\", with its backslashes doubled";
                ExprError::new(written.at, what, mend)
            })
    }

    fn binary(
        &mut self,
        at: usize,
        operator: Operator,
        left: Typed,
        right: Typed,
    ) -> Result<(Node, Type), ExprError> {
        let sign = operator.sign();
        let misfit = |fits: bool| if fits { Ok(()) } else { Err(misfit(at, sign, left.kind, right.kind)) };
        match operator {
            Operator::And | Operator::Or => {
                left.expect(Parameter::Bool, &format!("the left side of `{sign}`"))?;
                right.expect(Parameter::Bool, &format!("the right side of `{sign}`"))?;
                let of = Box::new([left.node, right.node]);
                Ok((if operator == Operator::And { Node::And(of) } else { Node::Or(of) }, Type::Bool))
            }
            Operator::Matches => {
                left.expect(Parameter::Text, "the left side of `~`")?;
                right.expect(Parameter::ConstantText, "the pattern on the right side of `~`")?;
                let pattern = self.pattern(&right)?;
                Ok((Node::Matches(Box::new((left.node, pattern))), Type::Bool))
            }
            Operator::Equal { negated } => {
                misfit(are_comparable(left.kind, right.kind, true))?;
                Ok((Node::Equal { negated, of: Box::new([left.node, right.node]) }, Type::Bool))
            }
            Operator::Order(order) => {
                misfit(are_comparable(left.kind, right.kind, false))?;
                Ok((Node::Order(order, Box::new([left.node, right.node])), Type::Bool))
            }
            Operator::Arithmetic(sign) => {
                let kind = arithmetic_type(sign, left.kind, right.kind);
                misfit(kind.is_some())?;
                let of = Box::new([left.node, right.node]);
                Ok((Node::Arithmetic(sign, of), kind.unwrap_or(Type::Any)))
            }
        }
    }
}

/// What a function of values results in.
fn result_type(at: usize, signature: &Signature, arguments: &[Typed]) -> Result<Type, ExprError> {
    let choices = match signature.function {
        Function::If => &arguments[1..],
        Function::Default | Function::OneOf | Function::Abs | Function::Min | Function::Max => arguments,
        _ => return Ok(signature.result),
    };
    let mut kinds = choices.iter().filter(|choice| !choice.is_null()).map(|choice| choice.kind);
    let first = kinds.next().unwrap_or(Type::Any);
    if !matches!(signature.function, Function::Min | Function::Max) {
        return Ok(if kinds.all(|kind| kind == first) { first } else { Type::Any });
    }
    // They are compared, so all must fit: each is checked with what came of those before.
    kinds.try_fold(first, |so_far, kind| match (so_far, kind) {
        (left, right) if !are_comparable(left, right, false) => {
            Err(misfit(at, signature.name(), left, right))
        }
        (Type::Any, _) | (_, Type::Any) => Ok(Type::Any),
        (left, right) if left == right => Ok(left),
        _ => Ok(Type::Float),
    })
}

/// A field's name in lower case (RFC 9110 section 5.6.2).
fn header_name(arguments: &[Typed]) -> Result<String, ExprError> {
    let name = arguments[0].constant_text();
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        let what = format!("{name:?} is no name of a header");
        return Err(ExprError::new(arguments[0].at, what, "write one such as \"content-type\""));
    }
    Ok(name.to_ascii_lowercase())
}

fn nodes(typed: Vec<Typed>) -> Box<[Node]> {
    typed.into_iter().map(|typed| typed.node).collect()
}

/// The index of an item in a list that has each once.
fn insert<T: PartialEq>(list: &mut Vec<T>, item: T) -> usize {
    list.iter().position(|known| *known == item).unwrap_or_else(|| {
        list.push(item);
        list.len() - 1
    })
}
