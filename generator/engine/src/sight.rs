//! What expressions see: a user's memory, the rows that feeders gave it, secrets, the clock, and an answer.

use std::sync::Arc;

use brunt_model::cookies::Jar;
use brunt_model::expr::{Answer, Sight, Value};
use brunt_model::extract::{Found, JsonPath};
use brunt_model::script::Script;

use crate::conn::Kept;
use crate::fill::Challenged;

/// What a run's expressions see beside the plan: none of it is part of a plan.
#[derive(Clone, Default)]
pub struct Data {
    /// By secret of the script.
    pub secrets: Arc<[String]>,
    /// Wall time where the engine's clock is 0, in nanoseconds since 1970.
    pub wall_at_zero_ns: i64,
}

/// What a user has in mind.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) variables: Box<[Value]>,
    /// By feeder.
    pub(crate) rows: Box<[u64]>,
    pub(crate) iteration: u64,
    pub(crate) number: u64,
    /// Its number among the users of all loads.
    pub(crate) user: u64,
    pub(crate) cookies: Jar,
    /// What the server asked for by Digest authentication.
    pub(crate) challenged: Option<Box<Challenged>>,
}

impl Memory {
    pub(crate) fn new(script: &Script) -> Self {
        Self { variables: script.beginning(), rows: vec![0; script.feeders.len()].into(), ..Self::default() }
    }

    /// A user that was never there.
    pub(crate) fn forget(&mut self, beginning: &[Value]) {
        self.variables.clone_from_slice(beginning);
        self.cookies.clear();
        self.challenged = None;
    }
}

/// One look at it all.
pub(crate) struct View<'a> {
    pub(crate) memory: &'a Memory,
    pub(crate) data: &'a Data,
    pub(crate) script: &'a Script,
    /// An instant of the engine's clock.
    pub(crate) now: u64,
    pub(crate) answer: Option<&'a AnswerView<'a>>,
}

impl Sight for View<'_> {
    fn variable(&self, index: u16) -> &Value {
        self.memory.variables.get(usize::from(index)).unwrap_or(&Value::Null)
    }

    fn column(&self, feeder: u16, column: u16) -> Option<&str> {
        let feeder = usize::from(feeder);
        self.script.feeders.get(feeder)?.table.cell(*self.memory.rows.get(feeder)?, column)
    }

    fn secret(&self, index: u16) -> &str {
        self.data.secrets.get(usize::from(index)).map_or("", String::as_str)
    }

    fn wall_ns(&self) -> i64 {
        self.data.wall_at_zero_ns.saturating_add_unsigned(self.now)
    }

    fn counter(&self) -> u64 {
        self.memory.iteration
    }

    fn user(&self) -> u64 {
        self.memory.user
    }

    fn answer(&self) -> Option<&dyn Answer> {
        self.answer.map(|answer| -> &dyn Answer { answer })
    }
}

/// An answer, as one probe looks at it.
#[derive(Copy, Clone)]
pub(crate) struct AnswerView<'a> {
    pub(crate) status: u16,
    pub(crate) kept: Kept<'a>,
    pub(crate) cookies: &'a Jar,
    pub(crate) paths: &'a [JsonPath],
    pub(crate) response_ns: u64,
    pub(crate) first_byte_ns: u64,
}

impl Answer for AnswerView<'_> {
    fn status(&self) -> u16 {
        self.status
    }

    fn body(&self) -> &[u8] {
        self.kept.body
    }

    fn body_size(&self) -> u64 {
        self.kept.body_size
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        fields(self.kept.head)
            .find(|(field, _)| field.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }

    fn cookie(&self, name: &str) -> Option<&[u8]> {
        self.cookies.get(name).map(str::as_bytes)
    }

    fn response_ns(&self) -> u64 {
        self.response_ns
    }

    fn first_byte_ns(&self) -> u64 {
        self.first_byte_ns
    }

    fn json(&self, path: usize) -> Value {
        let found = self.paths.get(path).and_then(|path| path.first(self.kept.body));
        match found {
            None | Some(Found::Null) => Value::Null,
            Some(Found::Bool(value)) => Value::Bool(value),
            Some(Found::Int(value)) => Value::Int(value),
            Some(Found::Float(value)) => Value::Float(value),
            Some(Found::Text(text) | Found::Json(text)) => Value::Text(text.into()),
        }
    }

    fn json_count(&self, path: usize) -> Option<u64> {
        self.paths.get(path).map(|path| path.count(self.kept.body) as u64)
    }
}

/// The fields of a head, line by line; a status line is none.
pub(crate) fn fields(head: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    head.split(|&byte| byte == b'\n').filter_map(|line| {
        let colon = line.iter().position(|&byte| byte == b':')?;
        let name = &line[..colon];
        (!name.contains(&b' ')).then(|| (name, line[colon + 1..].trim_ascii()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_in_either_version() {
        let one = &b"HTTP/1.1 200 a: b\r\nServer: x\r\nX-Id:7\r\nx-id: 8\r\n\r\n"[..];
        let two = &b"server: x\r\nx-id: 7\r\nx-id: 8\r\n"[..];
        for head in [one, two] {
            let view = AnswerView {
                status: 200,
                kept: Kept { head, body: b"", body_size: 0 },
                cookies: &Jar::default(),
                paths: &[],
                response_ns: 0,
                first_byte_ns: 0,
            };
            assert_eq!((view.header("server"), view.header("x-id")), (Some(&b"x"[..]), Some(&b"7"[..])));
            assert_eq!(view.header("http/1.1 200 a"), None, "a status line is no field");
        }
    }
}
