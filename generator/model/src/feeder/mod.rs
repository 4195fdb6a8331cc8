//! Feeders: rows of data, and which of them an iteration gets.
//!
//! A row follows from the numbers of iteration and user alone. So workers that share out iterations share out
//! rows as well, without asking each other, and a run with the same seed reads the same rows.

use crate::scenario::file::{DataFormat, OnEnd, Pick};

mod csv_rows;
mod json_lines;

/// Bytes of a file, and so of the text in a table: each core's users read it, and it must fit beside them.
pub const FILE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Rows of a table: as many users as one run may have.
pub const ROWS_MAX: usize = 10_000_000;
/// Columns of a table: more are a file of another kind.
pub const COLUMNS_MAX: usize = 256;
/// Rows times columns: their offsets take 128 MiB. Columns that most lines of JSON leave out count too.
pub const CELLS_MAX: usize = 32 * 1024 * 1024;

/// Rows and columns of text, as compact as can be: one text, and where in it each cell ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    columns: Vec<String>,
    text: String,
    /// Row by row. A cell begins where the one before ends.
    ends: Vec<u32>,
}

/// Marks the end of a cell that is missing. No text is so long that an offset had this bit.
const MISSING: u32 = 1 << 31;

/// Why a file is no table.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: {what}; {mend}")]
pub struct TableError {
    /// From 1.
    pub line: u64,
    pub what: String,
    pub mend: String,
}

impl Table {
    /// Reads a whole file.
    ///
    /// CSV (RFC 4180) has a row of names first, and rows of the same width. Of JSON lines each is an object
    /// of scalars; columns come in the order in which their names are first seen. Numbers are kept as JSON
    /// writes them, `null` and what is left out is missing. Empty lines are skipped, and so is a byte order
    /// mark.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub fn read(bytes: &[u8], format: DataFormat) -> Result<Self, TableError> {
        if bytes.len() > FILE_BYTES_MAX {
            let what = format!("the file has {} bytes, at most {FILE_BYTES_MAX} are read", bytes.len());
            return Err(wrong(1, what, "leave out rows or columns that are not needed"));
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let table = match format {
            DataFormat::Csv => csv_rows::read(bytes)?,
            DataFormat::JsonLines => json_lines::read(bytes)?,
        };
        if table.ends.is_empty() {
            return Err(wrong(1, "there are no rows".to_owned(), "add at least one"));
        }
        Ok(table)
    }

    #[must_use]
    pub fn rows(&self) -> u64 {
        (self.ends.len() / self.columns.len().max(1)) as u64
    }

    /// Their names, which differ.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The number of a column, for [`Table::cell`].
    #[must_use]
    pub fn column(&self, name: &str) -> Option<u16> {
        let at = self.columns.iter().position(|column| column == name)?;
        u16::try_from(at).ok()
    }

    /// Both count from 0. `None` if the cell is missing, or outside the table; an empty one is an empty text.
    #[must_use]
    pub fn cell(&self, row: u64, column: u16) -> Option<&str> {
        if row >= self.rows() || usize::from(column) >= self.columns.len() {
            return None;
        }
        let at = usize::try_from(row).ok()? * self.columns.len() + usize::from(column);
        let end = self.ends[at];
        let start = if at == 0 { 0 } else { self.ends[at - 1] & !MISSING };
        if end & MISSING != 0 { None } else { self.text.get(start as usize..end as usize) }
    }

    /// A table without rows.
    fn new(columns: Vec<String>) -> Self {
        Self { columns, text: String::new(), ends: Vec::new() }
    }

    fn push(&mut self, cell: Option<&str>, line: u64) -> Result<(), TableError> {
        self.text.push_str(cell.unwrap_or_default());
        let end = u32::try_from(self.text.len()).ok().filter(|end| *end as usize <= FILE_BYTES_MAX);
        let Some(end) = end else {
            let what = format!("the texts have more than {FILE_BYTES_MAX} bytes");
            return Err(wrong(line, what, "leave out rows or columns that are not needed"));
        };
        self.ends.push(if cell.is_none() { end | MISSING } else { end });
        Ok(())
    }
}

/// The row of a feeder that an iteration of a user gets, of `0..rows`; `None` if there is none left, or none
/// at all.
///
/// `iteration` and `user` are numbers of the whole run, not of one core. `feeder` tells feeders of a scenario
/// apart, so that two of them do not draw the same row numbers.
#[must_use]
pub fn row_of(
    pick: Pick,
    on_end: OnEnd,
    rows: u64,
    seed: u64,
    feeder: u16,
    iteration: u64,
    user: u64,
) -> Option<u64> {
    let number = match pick {
        Pick::Sequential => iteration,
        Pick::Unique => user,
        Pick::Random => return drawn(rows, seed, feeder, iteration),
    };
    match on_end {
        OnEnd::Stop => Some(number).filter(|number| *number < rows),
        OnEnd::Recycle => number.checked_rem(rows),
    }
}

/// The upper half of a product is spread evenly but for `rows` in 2^64, which nobody can measure.
fn drawn(rows: u64, seed: u64, feeder: u16, iteration: u64) -> Option<u64> {
    let hash = mixed(mixed(mixed(seed) ^ u64::from(feeder)) ^ iteration);
    let row = (u128::from(hash) * u128::from(rows)) >> 64;
    u64::try_from(row).ok().filter(|row| *row < rows)
}

/// One step of SplitMix64 (Steele, Lea, Flood 2014): each bit of the result depends on all bits of the
/// number.
const fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn wrong(line: u64, what: String, mend: &str) -> TableError {
    TableError { line, what, mend: mend.to_owned() }
}

/// Fails if one more row would be too many.
fn check_room(rows: usize, columns: usize, line: u64) -> Result<(), TableError> {
    if rows >= ROWS_MAX {
        let what = format!("there are more than {ROWS_MAX} rows");
        return Err(wrong(line, what, "leave out those that are not needed"));
    }
    if (rows + 1).saturating_mul(columns) > CELLS_MAX {
        let what = format!("rows times columns are more than {CELLS_MAX}");
        return Err(wrong(line, what, "leave out columns that are not needed"));
    }
    Ok(())
}

/// Adds a column.
fn add_column(columns: &mut Vec<String>, name: &str, line: u64) -> Result<(), TableError> {
    if name.is_empty() {
        let what = format!("column {} has no name", columns.len() + 1);
        return Err(wrong(line, what, "give each column a name"));
    }
    if columns.len() == COLUMNS_MAX {
        let what = format!("there are more than {COLUMNS_MAX} columns");
        return Err(wrong(line, what, "leave out those that are not needed"));
    }
    columns.push(name.to_owned());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn row(pick: Pick, on_end: OnEnd, rows: u64, iteration: u64, user: u64) -> Option<u64> {
        row_of(pick, on_end, rows, 7, 0, iteration, user)
    }

    #[test]
    fn rows_follow_from_numbers() {
        assert_eq!(row(Pick::Sequential, OnEnd::Stop, 3, 2, 9), Some(2));
        assert_eq!(row(Pick::Sequential, OnEnd::Stop, 3, 3, 0), None);
        assert_eq!(row(Pick::Sequential, OnEnd::Recycle, 3, 5, 0), Some(2));
        assert_eq!(row(Pick::Unique, OnEnd::Stop, 3, 9, 2), Some(2));
        assert_eq!(row(Pick::Unique, OnEnd::Stop, 3, 0, 3), None);
        assert_eq!(row(Pick::Unique, OnEnd::Recycle, 3, 0, 3), Some(0));
        for pick in [Pick::Sequential, Pick::Unique, Pick::Random] {
            for on_end in [OnEnd::Stop, OnEnd::Recycle] {
                assert_eq!(row(pick, on_end, 0, 0, 0), None);
                assert!(row(pick, on_end, u64::MAX, u64::MAX - 1, u64::MAX - 1).is_some());
            }
        }
    }

    #[test]
    fn drawn_rows_are_spread_and_differ_by_feeder_and_seed() {
        let draw = |seed, feeder| -> Vec<u64> {
            (0..6_000).filter_map(|at| row_of(Pick::Random, OnEnd::Stop, 6, seed, feeder, at, 0)).collect()
        };
        let rows = draw(7, 0);
        let counts =
            |rows: &[u64]| (0..6).map(|row| rows.iter().filter(|r| **r == row).count()).collect::<Vec<_>>();
        assert!(counts(&rows).iter().all(|count| (850..1_150).contains(count)), "{:?}", counts(&rows));
        for other in [draw(7, 1), draw(8, 0)] {
            let same = rows.iter().zip(&other).filter(|(a, b)| a == b).count();
            assert!((850..1_150).contains(&same), "{same}");
        }
        assert_eq!(rows, draw(7, 0));
    }

    #[test]
    fn files_and_tables_have_limits() {
        let error = Table::read(&vec![b'a'; FILE_BYTES_MAX + 1], DataFormat::Csv).unwrap_err();
        assert!(error.to_string().starts_with("line 1: the file has 67108865 bytes"), "{error}");
        assert!(check_room(ROWS_MAX - 1, 1, 1).is_ok());
        assert!(check_room(ROWS_MAX, 1, 1).unwrap_err().what.contains("10000000 rows"));
        assert!(check_room(CELLS_MAX / 256 - 1, 256, 1).is_ok());
        assert!(check_room(CELLS_MAX / 256, 256, 1).unwrap_err().what.contains("rows times columns"));
        let mut table = Table::new(vec!["a".to_owned()]);
        table.text = "x".repeat(FILE_BYTES_MAX);
        assert!(table.push(Some(""), 1).is_ok());
        assert_eq!(table.push(Some("x"), 9).unwrap_err().line, 9);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn shares_use_each_row_once(
            rows in 1u64..200,
            shares in 1u64..9,
            rounds in 1u64..4,
            is_unique in any::<bool>(),
        ) {
            let pick = if is_unique { Pick::Unique } else { Pick::Sequential };
            let mut used = [BTreeMap::new(), BTreeMap::new()];
            for share in 0..shares {
                for number in (share..rows * rounds).step_by(usize::try_from(shares).unwrap()) {
                    let (iteration, user) = if is_unique { (3, number) } else { (number, 3) };
                    for (used, on_end) in used.iter_mut().zip([OnEnd::Stop, OnEnd::Recycle]) {
                        if let Some(row) = row(pick, on_end, rows, iteration, user) {
                            *used.entry(row).or_insert(0) += 1;
                        }
                    }
                }
            }
            let each = |times: u64| (0..rows).map(|row| (row, times)).collect::<BTreeMap<_, _>>();
            prop_assert_eq!(used, [each(1), each(rounds)]);
        }

        #[test]
        fn a_table_gives_back_what_was_written(
            cells in prop::collection::vec(prop::collection::vec("[a-z\",\r\n é]{0,6}", 3), 1..12),
        ) {
            let mut csv = csv::Writer::from_writer(Vec::new());
            csv.write_record(["a", "b", "c"]).unwrap();
            let mut lines = String::new();
            for row in &cells {
                csv.write_record(row).unwrap();
                lines.push_str(&format!("{}\n", serde_json::json!({"a": row[0], "b": row[1], "c": row[2]})));
            }
            let from_csv = Table::read(&csv.into_inner().unwrap(), DataFormat::Csv).unwrap();
            let from_json = Table::read(lines.as_bytes(), DataFormat::JsonLines).unwrap();
            prop_assert_eq!(&from_csv, &from_json);
            prop_assert_eq!(from_csv.rows(), cells.len() as u64);
            for (row, texts) in (0..).zip(&cells) {
                for (column, text) in (0..).zip(texts) {
                    prop_assert_eq!(from_csv.cell(row, column), Some(text.as_str()));
                }
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(
            prop_oneof![4 => prop::sample::select(b"a,\"\n\r{}:1\\[]".to_vec()), 1 => any::<u8>()],
            0..60,
        )) {
            for format in [DataFormat::Csv, DataFormat::JsonLines] {
                match Table::read(&bytes, format) {
                    Ok(table) => {
                        let cells = table.rows() * table.columns().len() as u64;
                        prop_assert_eq!(cells, table.ends.len() as u64);
                    }
                    Err(error) => prop_assert!(error.line >= 1 && !error.mend.is_empty()),
                }
            }
        }
    }
}
