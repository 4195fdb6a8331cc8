//! Expressions outside of texts: as JSON values, and as what tells one plan from another.

use serde::{Serialize, Serializer};

use super::value::Operand;
use super::{Escape, Expr, RenderError, Sight};
use crate::random::Random;

impl Expr {
    /// Appends its value as JSON has it: texts and durations in quotes, numbers and booleans as they are.
    ///
    /// # Errors
    /// When it is `Null` or a text longer than 1 MiB; `out` is as it was then.
    pub fn render_json(
        &self,
        sight: &dyn Sight,
        random: &mut Random,
        out: &mut Vec<u8>,
    ) -> Result<(), RenderError<'_>> {
        let value = self.root.evaluate(sight, random);
        let is_text = matches!(value, Operand::Text(_) | Operand::Duration(_));
        let before = out.len();
        if is_text {
            out.push(b'"');
        }
        self.write(&value, Escape::Json, out).inspect_err(|_| out.truncate(before))?;
        if is_text {
            out.push(b'"');
        }
        Ok(())
    }
}

impl Serialize for Expr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.source())
    }
}
