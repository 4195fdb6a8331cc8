//! A table from CSV (RFC 4180).

use csv::{ErrorKind, ReaderBuilder, StringRecord};

use super::{Table, TableError, add_column, check_room, wrong};

const QUOTING: &str =
    "put a cell with quotes, commas or line ends in quotes, and write a quote within as two";

pub(super) fn read(bytes: &[u8]) -> Result<Table, TableError> {
    let mut at = 0;
    fill(bytes, &mut at).map_err(|error| TableError { line: line_of(bytes, at), ..error })
}

/// `at` is where the record begins that is being read. Errors get their line from it.
fn fill(bytes: &[u8], at: &mut u64) -> Result<Table, TableError> {
    let mut reader = ReaderBuilder::new().has_headers(false).from_reader(bytes);
    let mut record = StringRecord::new();
    let mut table = Table::new(Vec::new());
    let mut rows = 0;
    loop {
        let is_more = reader.read_record(&mut record).map_err(|error| refused(&error, at))?;
        if !is_more {
            break;
        }
        *at = record.position().map_or(*at, csv::Position::byte);
        if table.columns.is_empty() {
            table.columns = names(&record)?;
            continue;
        }
        check_room(rows, table.columns.len(), 0)?;
        for cell in &record {
            table.push(Some(cell), 0)?;
        }
        rows += 1;
    }
    // Quotes come in pairs, within a cell too. The reader would take the rest of the file as one cell.
    if bytes.iter().filter(|byte| **byte == b'"').count() % 2 == 1 {
        return Err(wrong(0, "a quote is not closed by the end of the file".to_owned(), QUOTING));
    }
    Ok(table)
}

/// The reader counts the line ends before a record as the record's own.
fn line_of(bytes: &[u8], at: u64) -> u64 {
    let (before, rest) = bytes.split_at(usize::try_from(at).map_or(bytes.len(), |at| at.min(bytes.len())));
    let empty = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    1 + before.iter().chain(empty).filter(|byte| **byte == b'\n').count() as u64
}

fn names(record: &StringRecord) -> Result<Vec<String>, TableError> {
    let mut columns = Vec::new();
    for name in record {
        if columns.iter().any(|column| column == name) {
            return Err(wrong(0, format!("two columns are named '{name}'"), "give each another name"));
        }
        add_column(&mut columns, name, 0)?;
    }
    Ok(columns)
}

/// Errors that have a place of their own move `at` there.
fn refused(error: &csv::Error, at: &mut u64) -> TableError {
    *at = error.position().map_or(*at, csv::Position::byte);
    match error.kind() {
        ErrorKind::UnequalLengths { expected_len, len, .. } => {
            wrong(0, format!("the row has {len} cells, expected {expected_len} as in the first"), QUOTING)
        }
        ErrorKind::Utf8 { err, .. } => {
            let what = format!("cell {} is not UTF-8", err.field() + 1);
            wrong(0, what, "save the file in the encoding UTF-8")
        }
        _ => wrong(0, format!("no CSV: {error}"), QUOTING),
    }
}

#[cfg(test)]
mod tests {
    use crate::feeder::{COLUMNS_MAX, Table};
    use crate::scenario::file::DataFormat;

    type Contents<'a> = (&'a [&'a str], &'a [&'a [&'a str]]);

    /// `Err` is the line and a part of what is wrong.
    fn check(text: &[u8], expected: Result<Contents<'_>, (u64, &str)>) {
        let shown = String::from_utf8_lossy(text);
        match (Table::read(text, DataFormat::Csv), expected) {
            (Ok(table), Ok((columns, rows))) => {
                assert_eq!(table.columns(), columns, "{shown}");
                let read: Vec<Vec<_>> = (0..table.rows())
                    .map(|row| (0..).map_while(|column| table.cell(row, column)).collect())
                    .collect();
                assert_eq!(read, rows, "{shown}");
            }
            (Err(error), Err((line, part))) => {
                assert!(error.line == line && error.what.contains(part), "{shown}: {error}");
            }
            (outcome, _) => panic!("{shown}: {outcome:?}"),
        }
    }

    #[test]
    fn rows_are_read() {
        let expected: Result<(&[&str], &[&[&str]]), _> =
            Ok((&["a", "b"], &[&["1", "2"], &["", "x \"y\", z\nw"]]));
        check(b"a,b\n1,2\n,\"x \"\"y\"\", z\nw\"\n", expected);
        check(b"\xef\xbb\xbfa,b\r\n1,2\r\n\r\n,\"x \"\"y\"\", z\nw\"", expected);
        check(b"a\n1", Ok((&["a"], &[&["1"]])));
        let table = Table::read(b"a,b\n1,2\n", DataFormat::Csv).unwrap();
        assert_eq!([table.column("b"), table.column("c")], [Some(1), None]);
        assert_eq!(
            [table.cell(0, 1), table.cell(0, 2), table.cell(1, 0), table.cell(u64::MAX, 0)],
            [Some("2"), None, None, None]
        );
    }

    #[test]
    fn faults_have_their_line() {
        check(b"", Err((1, "no rows")));
        check(b"a,b\n", Err((1, "no rows")));
        check(b"a,b\n1,2\n\n1\n", Err((4, "has 1 cells, expected 2")));
        check(b"a,b\r\n1,2\r\n\r\n1\r\n1,2", Err((4, "has 1 cells, expected 2")));
        check(b"a,b\n\"1\n1\",2\n1,2,3\n", Err((4, "has 3 cells, expected 2")));
        check(b"a,\n1,2\n", Err((1, "column 2 has no name")));
        check(b"a,b,a\n1,2,3\n", Err((1, "two columns are named 'a'")));
        check(b"a,b\n1,\xff\n", Err((2, "cell 2 is not UTF-8")));
        check(b"a\n1\n\"2\n3\n", Err((3, "a quote is not closed")));
        let wide =
            |columns: usize| (0..columns).map(|column| format!("c{column}")).collect::<Vec<_>>().join(",");
        check(format!("{}\n", wide(COLUMNS_MAX)).as_bytes(), Err((1, "no rows")));
        check(wide(COLUMNS_MAX + 1).as_bytes(), Err((1, "more than 256 columns")));
    }
}
