//! A table from JSON lines: an object of scalars on each.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde_json::Number;

use super::{Table, TableError, add_column, check_room, wrong};

const SHAPE: &str = "write one object of texts, numbers, true, false or null a line";

/// Twice over the lines: columns are known only when the last has been seen.
pub(super) fn read(bytes: &[u8]) -> Result<Table, TableError> {
    let (names, numbers) = columns(bytes)?;
    let width = names.len();
    let mut table = Table::new(names);
    let mut row: Vec<Option<Scalar>> = Vec::new();
    for (rows, (line, text)) in lines(bytes).enumerate() {
        check_room(rows, width, line)?;
        row.clear();
        row.resize(width, None);
        entries(line, text, &mut |name, value| {
            let cell = numbers.get(&*name).and_then(|number| row.get_mut(*number));
            match cell.map(|cell| cell.replace(value)) {
                Some(None) => Ok(()),
                _ => Err(wrong(line, format!("'{name}' is there twice"), "keep one of them")),
            }
        })?;
        for cell in &row {
            table.push(cell.as_ref().and_then(|cell| cell.0.as_deref()), line)?;
        }
    }
    Ok(table)
}

/// The names of all columns, and the number of each.
fn columns(bytes: &[u8]) -> Result<(Vec<String>, BTreeMap<String, usize>), TableError> {
    let mut columns = Vec::new();
    let mut numbers = BTreeMap::new();
    for (line, text) in lines(bytes) {
        entries(line, text, &mut |name, _| {
            if let Entry::Vacant(vacant) = numbers.entry(name) {
                add_column(&mut columns, vacant.key(), line)?;
                vacant.insert(columns.len() - 1);
            }
            Ok(())
        })?;
    }
    Ok((columns, numbers))
}

/// Lines that are not blank, with their numbers from 1.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    (1..).zip(bytes.split(|byte| *byte == b'\n')).filter(|(_, line)| !line.trim_ascii().is_empty())
}

type Take<'a> = dyn FnMut(String, Scalar) -> Result<(), TableError> + 'a;

/// Hands out the members of an object in their order.
fn entries(line: u64, text: &[u8], take: &mut Take<'_>) -> Result<(), TableError> {
    let mut refused = None;
    let mut json = serde_json::Deserializer::from_slice(text);
    let outcome = Entries { take, refused: &mut refused }.deserialize(&mut json).and_then(|()| json.end());
    match (refused, outcome) {
        (Some(refused), _) => Err(refused),
        (None, Ok(())) => Ok(()),
        (None, Err(error)) => {
            // The reader counts lines of its own, of which there is always one.
            let what = error.to_string();
            let what = what.split(" at line ").next().unwrap_or_default();
            Err(wrong(line, format!("column {}: {what}", error.column()), SHAPE))
        }
    }
}

struct Entries<'a, 'b> {
    take: &'a mut Take<'b>,
    refused: &'a mut Option<TableError>,
}

impl<'de> DeserializeSeed<'de> for Entries<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(Scalar(None))?;
            if let Err(error) = (self.take)(name, value) {
                *self.refused = Some(error);
                return Err(A::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

/// The text of a value; none for `null`.
#[derive(Clone)]
struct Scalar(Option<String>);

impl<'de> DeserializeSeed<'de> for Scalar {
    type Value = Self;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self, D::Error> {
        json.deserialize_any(self)
    }
}

/// Lists and objects are not visited, so nothing nests.
impl Visitor<'_> for Scalar {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, true, false or null")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(Self(None))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self, E> {
        Ok(Self(Some(value.to_string())))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self, E> {
        Ok(Self(Some(value.to_string())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self, E> {
        Ok(Self(Some(value.to_string())))
    }

    /// As JSON has it, so `1e300` does not become 301 digits.
    fn visit_f64<E>(self, value: f64) -> Result<Self, E> {
        Ok(Self(Number::from_f64(value).map(|number| number.to_string())))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self, E> {
        Ok(Self(Some(value.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use crate::feeder::Table;
    use crate::scenario::file::DataFormat;

    type Rows<'a> = &'a [&'a [Option<&'a str>]];

    /// `Err` is the line and a part of what is wrong.
    fn check(text: &str, expected: Result<(&[&str], Rows<'_>), (u64, &str)>) {
        match (Table::read(text.as_bytes(), DataFormat::JsonLines), expected) {
            (Ok(table), Ok((columns, rows))) => {
                assert_eq!(table.columns(), columns, "{text}");
                let numbers: Vec<_> = columns.iter().filter_map(|name| table.column(name)).collect();
                let read: Vec<Vec<_>> = (0..table.rows())
                    .map(|row| numbers.iter().map(|column| table.cell(row, *column)).collect())
                    .collect();
                assert_eq!(read, rows, "{text}");
            }
            (Err(error), Err((line, part))) => {
                assert!(error.line == line && error.what.contains(part), "{text}: {error}");
            }
            (outcome, _) => panic!("{text}: {outcome:?}"),
        }
    }

    #[test]
    fn columns_are_the_union_in_order_of_first_sight() {
        check(
            "{\"b\":\"x\\n\\u00e9\",\"a\":1}\r\n\n  \n{\"a\":null,\"c\":true}\n{\"c\":\"\"}\n{}",
            Ok((
                &["b", "a", "c"],
                &[
                    &[Some("x\né"), Some("1"), None],
                    &[None, None, Some("true")],
                    &[None, None, Some("")],
                    &[None, None, None],
                ],
            )),
        );
        check(
            "{\"a\":-5,\"b\":18446744073709551615,\"c\":1.50,\"d\":1e300}",
            Ok((
                &["a", "b", "c", "d"],
                &[&[Some("-5"), Some("18446744073709551615"), Some("1.5"), Some("1e+300")]],
            )),
        );
    }

    #[test]
    fn faults_have_their_line() {
        check("\n", Err((1, "no rows")));
        check("{}\n", Err((1, "no rows")));
        check("{\"a\":1}\n\n{\"a\":[1]}", Err((3, "sequence")));
        check("{\"a\":1}\n{\"a\":{}}", Err((2, "expected a text, a number")));
        check("{\"a\":1}\n[1]", Err((2, "expected an object")));
        check("{\"a\":1} {\"a\":2}", Err((1, "column 9: trailing characters")));
        check("{\"a\":1}\n{\"a\":1", Err((2, "EOF")));
        check("{\"a\":1,\"b\":2,\"a\":3}", Err((1, "'a' is there twice")));
        check("{\"\":1}", Err((1, "column 1 has no name")));
        check(&"[".repeat(100_000), Err((1, "expected an object")));
        check(&format!("{{\"a\":{}", "[".repeat(100_000)), Err((1, "expected a text")));
        let wide =
            |columns: usize| (0..columns).map(|column| format!("{{\"c{column}\":1}}\n")).collect::<String>();
        assert_eq!(Table::read(wide(256).as_bytes(), DataFormat::JsonLines).unwrap().columns().len(), 256);
        check(&wide(257), Err((257, "more than 256 columns")));
    }
}
