//! Texts with `{{ expression }}` in them.
//!
//! `{{` opens a slot and `}}` ends it, unless it stands in a text of the expression. `\{{` stands for two
//! braces.

use std::fmt;

use super::check::PATTERNS_MAX;
use super::escape::Escape;
use super::value::{Operand, Value};
use super::{Expr, ExprError, Names, Sight, Stage};
use crate::random::Random;

/// In bytes; what is larger is a body that belongs into a file.
const TEMPLATE_MAX: usize = 1 << 20;

/// What a template may become, in bytes; checked after each slot.
const RENDERED_MAX: usize = 8 << 20;

/// Slots of one template: each is evaluated for each request.
const SLOTS_MAX: usize = 256;

const OPEN: &str = "{{";
const CLOSE: &str = "}}";
const ESCAPED_OPEN: &str = "\\{{";

/// A compiled text.
#[derive(Clone, Debug)]
pub struct Template {
    parts: Vec<Part>,
    constant: Option<Box<str>>,
}

#[derive(Clone, Debug)]
pub enum Part {
    /// It is sent as it is.
    Literal(Box<str>),
    Slot(Expr),
}

/// Why a text could not be made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RenderError<'t> {
    #[error("`{}` has no value", .0.source())]
    Missing(&'t Expr),
    #[error("with the value of `{}` the text is too long", .0.source())]
    TooLong(&'t Expr),
    #[error("the value of `{}` has a line break or NUL, which cannot stand in a header", .0.source())]
    Unsendable(&'t Expr),
}

impl Template {
    /// # Errors
    /// When a slot does not end or its expression is wrong; the offset is that in the whole text.
    pub fn compile(text: &str, names: &dyn Names, stage: Stage) -> Result<Self, ExprError> {
        if text.len() > TEMPLATE_MAX {
            let what = format!("the text has {} bytes, and at most {TEMPLATE_MAX} are allowed", text.len());
            return Err(ExprError::new(0, what, "put it into a file"));
        }
        let mut builder = Builder::default();
        for written in Scan::of(text) {
            match written? {
                Written::Literal(text) => builder.literal.push_str(text),
                Written::Slot { source, at } => builder.slot(source, at, names, stage)?,
            }
        }
        Ok(builder.finish())
    }

    /// The text, if it is known before the run and the same wherever it stands.
    #[must_use]
    pub fn constant(&self) -> Option<&str> {
        self.constant.as_deref()
    }

    /// The expression, if the text is that and nothing else.
    #[must_use]
    pub fn single(&self) -> Option<&Expr> {
        match self.parts.as_slice() {
            [Part::Slot(expr)] => Some(expr),
            _ => None,
        }
    }

    /// In order; no two literals follow each other, and none is empty. A constant that no escape would change
    /// is part of a literal, unless it is single.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Appends the text, its slots escaped.
    ///
    /// # Errors
    /// When a slot is `Null`, makes the text too long, or cannot stand there; `out` is as it was then.
    pub fn render(
        &self,
        sight: &dyn Sight,
        random: &mut Random,
        escape: Escape,
        out: &mut Vec<u8>,
    ) -> Result<(), RenderError<'_>> {
        let start = out.len();
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Part::Slot(expr) => {
                    let rendered = expr.render(sight, random, escape, out);
                    let is_short = out.len() - start <= RENDERED_MAX;
                    if let Err(error) = rendered.and(is_short.then_some(()).ok_or(RenderError::TooLong(expr)))
                    {
                        out.truncate(start);
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
    }
}

/// A part of a text before anything is compiled.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Written<'t> {
    /// It means itself; neighbours may be literals too.
    Literal(&'t str),
    /// What stands between the braces, and where the first of them is, in characters of the text.
    Slot { source: &'t str, at: usize },
}

/// Goes through a text from slot to slot; a slot that does not end is an error, and the last part.
pub(crate) struct Scan<'t> {
    rest: &'t str,
    /// Characters before it.
    at: usize,
}

impl<'t> Scan<'t> {
    pub(crate) const fn of(text: &'t str) -> Self {
        Self { rest: text, at: 0 }
    }

    fn take(&mut self, bytes: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.at += taken.chars().count();
        self.rest = rest;
        taken
    }
}

impl<'t> Iterator for Scan<'t> {
    type Item = Result<Written<'t>, ExprError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (rest, at) = (self.rest, self.at);
        if rest.is_empty() {
            return None;
        }
        if rest.starts_with(ESCAPED_OPEN) {
            self.take(ESCAPED_OPEN.len());
            return Some(Ok(Written::Literal(OPEN)));
        }
        if let Some(slot) = rest.strip_prefix(OPEN) {
            let Some(end) = end_of_slot(slot) else {
                self.rest = "";
                return Some(Err(unclosed(at)));
            };
            self.take(OPEN.len() + end + CLOSE.len());
            return Some(Ok(Written::Slot { source: &slot[..end], at }));
        }
        let end = match rest.find(OPEN) {
            None => rest.len(),
            Some(open) => open - usize::from(rest[..open].ends_with('\\')),
        };
        Some(Ok(Written::Literal(self.take(end))))
    }
}

#[derive(Default)]
struct Builder {
    parts: Vec<Part>,
    literal: String,
    slots: usize,
    /// Of all slots together.
    patterns: usize,
}

impl Builder {
    fn slot(&mut self, source: &str, at: usize, names: &dyn Names, stage: Stage) -> Result<(), ExprError> {
        self.slots += 1;
        if self.slots > SLOTS_MAX {
            let what = format!("there are more than {SLOTS_MAX} expressions in this text");
            return Err(ExprError::new(at, what, "compute parts of it with `set` first"));
        }
        let expr = Expr::compile(source, names, stage)
            .map_err(|error| ExprError { offset: error.offset + at + OPEN.len(), ..error })?;
        self.patterns += expr.patterns;
        if self.patterns > PATTERNS_MAX {
            let what = format!("there are more than {PATTERNS_MAX} patterns in this text");
            return Err(ExprError::new(at, what, "compute parts of it with `set` first"));
        }
        self.end_literal();
        self.parts.push(Part::Slot(expr));
        Ok(())
    }

    fn end_literal(&mut self) {
        if !self.literal.is_empty() {
            let literal = std::mem::take(&mut self.literal);
            self.parts.push(Part::Literal(literal.into()));
        }
    }

    fn finish(mut self) -> Template {
        self.end_literal();
        if let [Part::Slot(expr)] = self.parts.as_slice() {
            let constant = plain(expr).map(Into::into);
            return Template { parts: self.parts, constant };
        }
        let mut merged = Self::default();
        for part in self.parts {
            match part {
                Part::Literal(text) => merged.literal.push_str(&text),
                Part::Slot(expr) => match plain(&expr) {
                    Some(text) => merged.literal.push_str(&text),
                    None => {
                        merged.end_literal();
                        merged.parts.push(Part::Slot(expr));
                    }
                },
            }
        }
        merged.end_literal();
        let constant = match merged.parts.as_slice() {
            [] => Some("".into()),
            [Part::Literal(text)] => Some(text.clone()),
            _ => None,
        };
        Template { parts: merged.parts, constant }
    }
}

/// The text of a constant that needs no escape anywhere.
fn plain(expr: &Expr) -> Option<String> {
    let value = expr.constant().filter(|value| **value != Value::Null)?;
    Some(value.to_string()).filter(|text| Escape::leaves(text))
}

/// Where the `}}` of a slot stands, in bytes.
fn end_of_slot(slot: &str) -> Option<usize> {
    let mut quote = None;
    let mut bytes = slot.bytes().enumerate();
    // All that is looked for is ASCII, and no byte of another character is.
    while let Some((at, byte)) = bytes.next() {
        match (quote, byte) {
            (Some(_), b'\\') => drop(bytes.next()),
            (Some(open), _) if open == byte => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'}') if slot[at..].starts_with(CLOSE) => return Some(at),
            (None, _) => {}
        }
    }
    None
}

fn unclosed(at: usize) -> ExprError {
    let mend = format!("write `{CLOSE}` after the expression, or `{ESCAPED_OPEN}` if two braces are meant");
    ExprError::new(at, format!("the `{OPEN}` here is not closed"), mend)
}

/// Appends a value as a text.
pub(super) fn append(value: &Operand<'_>, out: &mut Vec<u8>) {
    /// Text goes straight to the bytes.
    struct Bytes<'o>(&'o mut Vec<u8>);
    impl fmt::Write for Bytes<'_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.extend_from_slice(text.as_bytes());
            Ok(())
        }
    }
    // Neither the bytes nor a value refuse to be written.
    let _ = fmt::write(&mut Bytes(out), format_args!("{value}"));
}
