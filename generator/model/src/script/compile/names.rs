//! The names that a file's expressions may use.

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::expr::{self, Expr, Ref, Type, Value};
use crate::script::VARIABLES_MAX;

#[derive(Default)]
pub(super) struct Names {
    variables: Vec<String>,
    /// Those that may hold a secret.
    secret_variables: BTreeSet<u16>,
    constants: Vec<(String, Value)>,
    /// With their columns.
    feeders: Vec<(String, Vec<String>)>,
    /// Those that were used, in order of sight: whoever compiles an expression only lends its names.
    secrets: RefCell<Vec<String>>,
    /// Feeders that were looked at since somebody asked.
    looked_at: RefCell<BTreeSet<u16>>,
}

impl Names {
    pub(super) fn variable(&self, name: &str) -> Option<u16> {
        let position = self.variables.iter().position(|known| known == name)?;
        u16::try_from(position).ok()
    }

    /// The variable's number, which it gets if it has none.
    pub(super) fn add_variable(&mut self, name: &str) -> u16 {
        self.variable(name).unwrap_or_else(|| {
            self.variables.push(name.to_owned());
            u16::try_from(self.variables.len() - 1).unwrap_or(u16::MAX)
        })
    }

    /// The variable may hold a secret, or what is made of one.
    pub(super) fn mark_secret(&mut self, name: &str) {
        let variable = self.variable(name);
        self.secret_variables.extend(variable);
    }

    /// The value of an expression may be a secret, or be made of one.
    pub(super) fn may_be_secret(&self, expr: &Expr) -> bool {
        let mut variables = expr.variables();
        expr.secrets().next().is_some() || variables.any(|variable| self.secret_variables.contains(&variable))
    }

    pub(super) fn add_constant(&mut self, name: &str, value: Value) {
        self.constants.push((name.to_owned(), value));
    }

    pub(super) fn add_feeder(&mut self, name: &str, columns: &[String]) {
        self.feeders.push((name.to_owned(), columns.to_vec()));
    }

    pub(super) fn variables(&self) -> &[String] {
        &self.variables
    }

    pub(super) const fn has_too_many(&self) -> bool {
        self.variables.len() > VARIABLES_MAX
    }

    pub(super) fn secrets(&self) -> Vec<String> {
        self.secrets.borrow().clone()
    }

    /// The feeders that were looked at since the last time.
    pub(super) fn take_looked_at(&self) -> BTreeSet<u16> {
        self.looked_at.take()
    }

    fn secret(&self, name: &str) -> u16 {
        let mut secrets = self.secrets.borrow_mut();
        let position = secrets.iter().position(|known| known == name).unwrap_or_else(|| {
            secrets.push(name.to_owned());
            secrets.len() - 1
        });
        u16::try_from(position).unwrap_or(u16::MAX)
    }

    fn column(&self, feeder: &str, column: &str) -> Option<(Ref, Type)> {
        let position = self.feeders.iter().position(|(name, _)| name == feeder)?;
        let column = self.feeders[position].1.iter().position(|name| name == column)?;
        let feeder = u16::try_from(position).ok()?;
        self.looked_at.borrow_mut().insert(feeder);
        let at = Ref::Column { feeder, column: u16::try_from(column).ok()? };
        Some((at, Type::Text))
    }
}

impl expr::Names for Names {
    fn look_up(&self, path: &[&str]) -> Option<(Ref, Type)> {
        match path {
            ["secret", name] => Some((Ref::Secret(self.secret(name)), Type::Text)),
            [feeder, column] => self.column(feeder, column),
            [name] => {
                if let Some(variable) = self.variable(name) {
                    return Some((Ref::Variable(variable), Type::Any));
                }
                let (_, value) = self.constants.iter().find(|(known, _)| known == name)?;
                Some((Ref::Constant(value.clone()), value.type_of()))
            }
            _ => None,
        }
    }

    fn all(&self) -> Vec<String> {
        let columns = self
            .feeders
            .iter()
            .flat_map(|(feeder, columns)| columns.iter().map(move |column| format!("{feeder}.{column}")));
        let constants = self.constants.iter().map(|(name, _)| name.clone());
        self.variables.iter().cloned().chain(constants).chain(columns).collect()
    }
}
