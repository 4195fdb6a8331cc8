//! Expressions: a small total language for what is computed during a run, such as `status == 200`,
//! `users.name + "@example.org"` or `pick(1, 1_000)`.
//!
//! An expression is compiled before the run. Names are looked up and types checked then; whatever does not
//! fit is an error with its place and its mend. Evaluating cannot fail, loop or do I/O: what has no answer is
//! [`Value::Null`]. Operations on `Null` are `Null`, and comparisons with it false, but for `== null` and
//! `!= null`; `default(x, y)` is `y` in place of `Null`.
//!
//! By falling binding: `not`, `!` and a sign; `* / %`; `+ -`; `== != < <= > >= ~`; `and`, `&&`; `or`, `||`.
//! Integers and decimal numbers mix to decimal numbers; a division of integers drops the remainder.
//!
//! Sources, nesting, nodes, patterns and the texts that are made have limits: an expression may come from
//! anybody.

mod check;
mod error;
mod escape;
mod evaluate;
mod export;
mod fold;
mod function;
mod lex;
mod operate;
mod sight;
mod syntax;
mod template;
#[cfg(test)]
mod tests;
mod types;
mod value;

pub use check::is_reserved;
pub use error::ExprError;
pub use escape::{Escape, Unsendable};
pub use sight::{Answer, Sight};
pub use template::{Part, RenderError, Template};
pub(crate) use template::{Scan, Written};
pub use value::{Type, Value};

use crate::random::Random;
use check::Compiler;
use evaluate::Node;
use value::Operand;

/// What a name stands for.
#[derive(Clone, PartialEq, Debug)]
pub enum Ref {
    Variable(u16),
    Column { feeder: u16, column: u16 },
    Secret(u16),
    Constant(Value),
}

/// The names that an expression may use, but for those of answers and functions.
pub trait Names {
    /// `["region"]`, `["users", "name"]` or `["secret", "API_KEY"]`: what it stands for, and its type.
    fn look_up(&self, path: &[&str]) -> Option<(Ref, Type)>;
    /// All of them as they are written, for suggestions.
    fn all(&self) -> Vec<String>;
}

/// When an expression is evaluated.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Stage {
    /// While there is no answer.
    Request,
    /// In checks and saves: the answer is in sight.
    Response,
}

/// What an expression looks at of an answer, so that only this is kept.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Needs {
    pub body: bool,
    pub body_size: bool,
    /// In lower case.
    pub headers: Vec<String>,
    pub cookies: bool,
    /// Paths into the body, as written; [`Answer::json`] is asked by their index.
    pub json: Vec<String>,
}

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Expr {
    source: Box<str>,
    root: Node,
    kind: Type,
    needs: Needs,
    secrets: Vec<u16>,
    variables: Vec<u16>,
    patterns: usize,
}

impl Expr {
    /// # Errors
    /// When it is no expression, uses an unknown name, or its types never fit.
    pub fn compile(source: &str, names: &dyn Names, stage: Stage) -> Result<Self, ExprError> {
        let mut compiler = Compiler::new(names, stage);
        let root = compiler.compile(&syntax::parse(source)?)?;
        Ok(Self {
            source: source.trim().into(),
            root: root.node,
            kind: root.kind,
            needs: compiler.needs,
            secrets: compiler.secrets,
            variables: compiler.variables,
            patterns: compiler.patterns,
        })
    }

    /// As it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The type of every value it results in, but for `Null`.
    #[must_use]
    pub const fn type_of(&self) -> Type {
        self.kind
    }

    /// Its value, if that is known before the run.
    #[must_use]
    pub const fn constant(&self) -> Option<&Value> {
        self.root.constant()
    }

    /// The secrets it uses, each once.
    pub fn secrets(&self) -> impl Iterator<Item = u16> {
        self.secrets.iter().copied()
    }

    /// The variables it uses, each once.
    pub fn variables(&self) -> impl Iterator<Item = u16> {
        self.variables.iter().copied()
    }

    #[must_use]
    pub const fn needs(&self) -> &Needs {
        &self.needs
    }

    /// Its value; `Null` too for a text longer than 1 MiB. The same sight and random numbers give the same
    /// value.
    #[must_use]
    pub fn evaluate(&self, sight: &dyn Sight, random: &mut Random) -> Value {
        self.root.evaluate(sight, random).keep()
    }

    /// Appends its value as a text, without making that text first.
    ///
    /// # Errors
    /// When it is `Null` or longer than 1 MiB, or cannot stand where the text goes; `out` is as it was then.
    pub fn render(
        &self,
        sight: &dyn Sight,
        random: &mut Random,
        escape: Escape,
        out: &mut Vec<u8>,
    ) -> Result<(), RenderError<'_>> {
        self.write(&self.root.evaluate(sight, random), escape, out)
    }

    fn write(&self, value: &Operand<'_>, escape: Escape, out: &mut Vec<u8>) -> Result<(), RenderError<'_>> {
        match value {
            Operand::Null => Err(RenderError::Missing(self)),
            Operand::Text(text) if text.len() > value::TEXT_MAX => Err(RenderError::TooLong(self)),
            Operand::Text(text) => {
                escape.write(text, out).map_err(|_: Unsendable| RenderError::Unsendable(self))
            }
            value => {
                template::append(value, out);
                Ok(())
            }
        }
    }
}
