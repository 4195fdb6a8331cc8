//! A reader of Python as data: source -> statements with their places. Nothing is run.
//!
//! It knows the statements and expressions that tests are made of. What it does not know is kept as
//! [`StatementKind::Unknown`] or [`ExprKind::Unknown`] with its place, so that whoever needs it can refuse it
//! by its line and whoever does not can go past it. All nesting is bounded by [`DEPTH_MAX`], so trees can be
//! walked and dropped recursively.

mod expressions;
mod statements;
mod tokens;

use super::ImportError;
use crate::scenario::file::Place;

/// How deep expressions and blocks may be nested, together.
pub(super) const DEPTH_MAX: u32 = 64;

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Expr {
    pub(super) at: Place,
    /// Of the tree below, to bound it.
    height: u32,
    pub(super) kind: ExprKind,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) enum ExprKind {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Format(Vec<FormatPart>),
    Name(String),
    List(Vec<Expr>),
    Tuple(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    Attribute(Box<Expr>, String),
    Index(Box<Expr>, Box<Expr>),
    Call(Box<Call>),
    /// `-`, `+` or `not`.
    Unary(&'static str, Box<Expr>),
    /// Arithmetic, comparison (also `not in`, `is not`), `and`, `or`.
    Binary(&'static str, Box<Expr>, Box<Expr>),
    /// What it is.
    Unknown(&'static str),
}

#[derive(Clone, PartialEq, Debug)]
pub(super) enum FormatPart {
    Text(String),
    Code { value: Expr, formatted: bool },
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Call {
    pub(super) function: Expr,
    pub(super) arguments: Vec<Expr>,
    pub(super) keywords: Vec<(String, Expr)>,
    /// `*more` or `**more` is among the arguments.
    pub(super) spread: bool,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Statement {
    pub(super) at: Place,
    pub(super) kind: StatementKind,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) enum StatementKind {
    Class(Class),
    Function(Function),
    /// Local name and what it stands for: `time.sleep`.
    Import(Vec<(String, String)>),
    /// `operator` is that of `+=` without its `=`.
    Assign {
        target: Expr,
        operator: Option<&'static str>,
        value: Expr,
    },
    Expression(Expr),
    If {
        branches: Vec<(Expr, Vec<Statement>)>,
        otherwise: Vec<Statement>,
    },
    For {
        variable: Expr,
        over: Expr,
        body: Vec<Statement>,
    },
    With {
        value: Expr,
        name: Option<String>,
        body: Vec<Statement>,
    },
    Try {
        body: Vec<Statement>,
        handlers: Vec<Vec<Statement>>,
        finally: Vec<Statement>,
    },
    Assert(Expr),
    Return(Option<Expr>),
    Raise(Option<Expr>),
    Global(Vec<String>),
    Pass,
    /// What it is, and the names that are written in it.
    Unknown {
        what: String,
        names: Vec<String>,
    },
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Class {
    pub(super) name: String,
    pub(super) bases: Vec<Expr>,
    pub(super) decorators: Vec<Expr>,
    pub(super) body: Vec<Statement>,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) parameters: Vec<String>,
    pub(super) decorators: Vec<Expr>,
    pub(super) body: Vec<Statement>,
}

/// The statements of a source file.
///
/// # Errors
/// Where the text is no sequence of Python's tokens.
pub(super) fn parse(source: &str) -> Result<Vec<Statement>, ImportError> {
    statements::parse(tokens::tokens(source, Place { line: 1, column: 1 }, false)?)
}

impl Expr {
    /// The dotted name, if it is one: `self.client.get`.
    pub(super) fn path(&self) -> Option<String> {
        match &self.kind {
            ExprKind::Name(name) => Some(name.clone()),
            ExprKind::Attribute(of, name) => Some(format!("{}.{name}", of.path()?)),
            _ => None,
        }
    }

    /// The name at the very beginning of attributes, calls and indexes.
    pub(super) fn root(&self) -> Option<&str> {
        match &self.kind {
            ExprKind::Name(name) => Some(name),
            ExprKind::Attribute(of, _) | ExprKind::Index(of, _) => of.root(),
            ExprKind::Call(call) => call.function.root(),
            _ => None,
        }
    }

    pub(super) fn as_name(&self) -> Option<&str> {
        match &self.kind {
            ExprKind::Name(name) => Some(name),
            _ => None,
        }
    }

    pub(super) fn as_call(&self) -> Option<&Call> {
        match &self.kind {
            ExprKind::Call(call) => Some(call),
            _ => None,
        }
    }
}

impl Call {
    pub(super) fn keyword(&self, name: &str) -> Option<&Expr> {
        self.keywords.iter().find(|(keyword, _)| keyword == name).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever is cut, doubled or put in between: an answer, and no panic.
        #[test]
        fn any_text_has_an_answer(cut in 0usize..400, junk in "[ \\n\\t\"'(){}\\[\\]:,.@=+a-z0-9f\\\\]{0,40}") {
            let source = "@task(3)\nclass A(B, x=1):\n    y: int = [1, (2, 3), {'a': f\"b{c['d']}e\"}]\n    def f(self, a=1, *b, **c) -> int:\n        for i in range(3):\n            with self.a(1, k=2) as r, q:\n                if not a < 3 and b in c or d: return lambda x: x if y else z\n                elif 1: pass\n        try:\n            a[1:2] += -3 ** 2\n        except E as e: raise\n        finally: x = y = [i for i in j]\n";
            let mut cut = cut.min(source.len());
            while !source.is_char_boundary(cut) {
                cut -= 1;
            }
            let mutated = format!("{}{junk}{}", &source[..cut], &source[cut..]);
            if let Err(error) = parse(&mutated) {
                prop_assert!(error.line >= 1 && error.column >= 1);
            }
        }
    }

    #[test]
    fn no_nesting_is_too_deep_to_be_read() {
        for unit in
            ["(", "[", "{1:", "-", "not ", "a.", "a+", "f(", "a[", "lambda:", "1 if 2 else ", "f'{", "a and "]
        {
            let source = unit.repeat(50_000);
            if let Ok(statements) = parse(&source) {
                let unknown = |s: &Statement| matches!(s.kind, StatementKind::Unknown { .. });
                assert!(statements.iter().all(unknown), "{unit}");
            }
        }
        let blocks: String = (0..90).map(|depth| format!("{}if a:\n", " ".repeat(depth))).collect();
        assert!(parse(&blocks).is_ok());
    }
}
