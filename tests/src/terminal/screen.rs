//! The cells of a terminal, from what is written to it.

/// One screen: rows of cells, and where the next character goes. Rows and columns count from 0.
#[derive(Clone, Debug)]
struct Page {
    cells: Vec<Vec<char>>,
    row: usize,
    column: usize,
}

/// Both screens of a terminal.
#[derive(Debug)]
pub(super) struct Screen {
    page: Page,
    /// The first one, while the second is shown.
    first: Option<Page>,
    hides_cursor: bool,
    /// The beginning of what is not complete yet: a control sequence, or a character of several bytes.
    rest: Vec<u8>,
}

/// What stands at the front of some bytes, and how many are of it.
#[derive(PartialEq, Eq, Debug)]
enum Token<'a> {
    Character(char),
    /// A control sequence: its parameters, and the byte that says what it is.
    Control(&'a str, u8),
    /// Something without a meaning here.
    Other,
}

impl Screen {
    pub(super) fn new(columns: u16, rows: u16) -> Self {
        let page = Page::blank(usize::from(columns), usize::from(rows));
        Self { page, first: None, hides_cursor: false, rest: Vec::new() }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        let mut text = std::mem::take(&mut self.rest);
        text.extend_from_slice(bytes);
        let mut rest = &text[..];
        while let Some((token, length)) = token(rest) {
            self.take(&token);
            rest = &rest[length..];
        }
        self.rest = rest.to_vec();
    }

    /// Its lines, without the blanks at their ends.
    pub(super) fn text(&self) -> String {
        let line = |cells: &Vec<char>| cells.iter().collect::<String>().trim_end().to_owned();
        self.page.cells.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    pub(super) fn is_second(&self) -> bool {
        self.first.is_some()
    }

    pub(super) fn hides_cursor(&self) -> bool {
        self.hides_cursor
    }

    fn take(&mut self, token: &Token<'_>) {
        match *token {
            Token::Character(c) => self.page.put(c),
            Token::Control("?1049", b'h') => {
                let blank = Page::blank(self.page.columns(), self.page.cells.len());
                self.first.get_or_insert_with(|| std::mem::replace(&mut self.page, blank));
            }
            Token::Control("?1049", b'l') => {
                if let Some(first) = self.first.take() {
                    self.page = first;
                }
            }
            Token::Control("?25", kind @ (b'h' | b'l')) => self.hides_cursor = kind == b'l',
            Token::Control(parameters, kind) => self.page.control(parameters, kind),
            Token::Other => {}
        }
    }
}

impl Page {
    fn blank(columns: usize, rows: usize) -> Self {
        Self { cells: vec![vec![' '; columns]; rows], row: 0, column: 0 }
    }

    fn columns(&self) -> usize {
        self.cells[0].len()
    }

    fn put(&mut self, c: char) {
        match c {
            '\n' => self.next_row(),
            '\r' => self.column = 0,
            '\u{8}' => self.column = self.column.saturating_sub(1),
            c if c.is_control() => {}
            c => {
                if self.column == self.columns() {
                    self.column = 0;
                    self.next_row();
                }
                self.cells[self.row][self.column] = c;
                self.column += 1;
            }
        }
    }

    /// The last row makes room for a new one.
    fn next_row(&mut self) {
        if self.row + 1 < self.cells.len() {
            self.row += 1;
        } else {
            let columns = self.columns();
            self.cells.remove(0);
            self.cells.push(vec![' '; columns]);
        }
    }

    fn control(&mut self, parameters: &str, kind: u8) {
        let mut numbers = parameters.split(';').map(|number| number.parse().unwrap_or(0usize));
        let (first, second) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        let (last_row, last_column) = (self.cells.len() - 1, self.columns() - 1);
        match (kind, first) {
            (b'H' | b'f', _) => {
                self.row = first.saturating_sub(1).min(last_row);
                self.column = second.saturating_sub(1).min(last_column);
            }
            (b'G', _) => self.column = first.saturating_sub(1).min(last_column),
            (b'A', _) => self.row = self.row.saturating_sub(first.max(1)),
            (b'B', _) => self.row = (self.row + first.max(1)).min(last_row),
            (b'J', 2) => self.cells.iter_mut().for_each(|row| row.fill(' ')),
            (b'J', 0) => {
                self.clear_row(self.column);
                self.cells.iter_mut().skip(self.row + 1).for_each(|row| row.fill(' '));
            }
            (b'K', 0) => self.clear_row(self.column),
            (b'K', 2) => self.clear_row(0),
            _ => {}
        }
    }

    fn clear_row(&mut self, from: usize) {
        self.cells[self.row].iter_mut().skip(from).for_each(|cell| *cell = ' ');
    }
}

/// The first token, unless it is not complete yet.
fn token(bytes: &[u8]) -> Option<(Token<'_>, usize)> {
    match *bytes {
        [] | [0x1b] => None,
        [0x1b, b'[', ref rest @ ..] => {
            let end = rest.iter().position(|byte| (0x40..=0x7e).contains(byte))?;
            let parameters = std::str::from_utf8(&rest[..end]).unwrap_or_default();
            Some((Token::Control(parameters, rest[end]), end + 3))
        }
        [0x1b, _, ..] => Some((Token::Other, 2)),
        [first, ..] => {
            let length = match first {
                0xf0.. => 4,
                0xe0.. => 3,
                0xc0.. => 2,
                _ => 1,
            };
            let text = std::str::from_utf8(bytes.get(..length)?);
            let token = text.ok().and_then(|text| text.chars().next()).map_or(Token::Other, Token::Character);
            Some((token, length))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Screen;

    /// What stands on a screen of 8 columns and 3 rows, its lines joined by `|`.
    #[track_caller]
    fn check(written: &str, want: &str) {
        let mut whole = Screen::new(8, 3);
        whole.write(written.as_bytes());
        let mut piecewise = Screen::new(8, 3);
        written.bytes().for_each(|byte| piecewise.write(&[byte]));
        for screen in [whole, piecewise] {
            assert_eq!(screen.text().replace('\n', "|"), want, "{written:?}");
        }
    }

    #[test]
    fn what_is_written_stands_where_it_should() {
        check("ab\r\ncd", "ab|cd|");
        check("1\r\n2\r\n3\r\n4", "2|3|4");
        check("abcdefghij", "abcdefgh|ij|");
        check("\u{1b}[2;3Hx\u{1b}[31my\u{1b}[0m\u{1b}[Hz", "z|  xy|");
        check("abc\r\u{1b}[Kd", "d||");
        check("abc\u{1b}[2J\u{1b}[1;1H⠒ü", "⠒ü||");
        check("first\u{1b}[?1049h\u{1b}[Hsecond", "second||");
        check("first\u{1b}[?1049h\u{1b}[Hsecond\u{1b}[?1049l!", "first!||");
        check("\u{1b}[9;6Hx\u{1b}[Ay", "|      y|     x");
    }

    #[test]
    fn the_cursor_is_hidden_and_shown() {
        let mut screen = Screen::new(8, 3);
        screen.write(b"\x1b[?25l");
        assert!(screen.hides_cursor());
        screen.write(b"\x1b[?25h");
        assert!(!screen.hides_cursor());
    }
}
