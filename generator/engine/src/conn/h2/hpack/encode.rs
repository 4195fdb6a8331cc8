//! Fields -> field blocks (RFC 7541 sections 3 and 6).

use super::dynamic::Table;
use super::{Found, OVERHEAD, huffman, integer, static_table};
use crate::limits::HPACK_OWN_TABLE_MAX;

/// Encodes the field blocks that we send on one connection, in their order.
#[derive(Debug)]
pub struct Encoder {
    table: Table,
    /// Sizes that the next block has to announce.
    update: Option<Update>,
}

/// The bound went down to `smallest` since the last block, and is `last` now.
#[derive(Copy, Clone, Debug)]
struct Update {
    smallest: usize,
    last: usize,
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// An encoder with the table that every connection begins with, of 4096 octets.
    #[must_use]
    pub fn new() -> Self {
        Self { table: Table::new(HPACK_OWN_TABLE_MAX), update: None }
    }

    /// The peer's `SETTINGS_HEADER_TABLE_SIZE` is `max_table` octets. We use no more than
    /// `limits::HPACK_OWN_TABLE_MAX` of it. The next block announces what changed (RFC 7541 section 4.2).
    pub fn set_max_table(&mut self, max_table: usize) {
        let max = max_table.min(HPACK_OWN_TABLE_MAX);
        let (smallest, last) =
            self.update.map_or((self.table.max(), self.table.max()), |update| (update.smallest, update.last));
        if max == last {
            return;
        }
        self.update = Some(Update { smallest: smallest.min(max), last: max });
        // A block encoded before lacks the announcement.
        self.table.touch();
    }

    /// Changes whenever the same fields may need another block. A block may be sent again while the generation is
    /// what it was both before and after it was encoded.
    #[inline]
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.table.generation()
    }

    /// Appends the block of these fields, whose names are in lower case. The first time fields are encoded they
    /// enter the table, as far as they fit and are no secrets; from then on each is an index of one or two octets.
    pub fn encode<'a>(&mut self, fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>, out: &mut Vec<u8>) {
        if let Some(update) = self.update.take() {
            self.announce(update, out);
        }
        for (name, value) in fields {
            self.field(name, value, out);
        }
    }

    fn announce(&mut self, update: Update, out: &mut Vec<u8>) {
        if update.smallest < update.last.min(self.table.max()) {
            integer::write(update.smallest, 0x20, 0x1f, out);
        }
        integer::write(update.last, 0x20, 0x1f, out);
        self.table.resize(update.smallest);
        self.table.resize(update.last);
    }

    fn field(&mut self, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
        let index = match self.find(name, value) {
            Found::Field(index) => return integer::write(index, 0x80, 0x7f, out),
            Found::Name(index) => index,
            Found::Nothing => 0,
        };
        let is_kept = name.len() + value.len() + OVERHEAD <= self.table.max();
        match (is_secret(name, value), is_kept) {
            (true, _) => integer::write(index, 0x10, 0x0f, out),
            (false, true) => integer::write(index, 0x40, 0x3f, out),
            (false, false) => integer::write(index, 0x00, 0x0f, out),
        }
        if index == 0 {
            string(name, out);
        }
        string(value, out);
        if is_kept && !is_secret(name, value) {
            self.table.insert(name, value);
        }
    }

    /// The index of a field or its name in both tables.
    fn find(&self, name: &[u8], value: &[u8]) -> Found {
        let of_static = static_table::find(name, value);
        if let Found::Field(_) = of_static {
            return of_static;
        }
        match (of_static, self.table.find(name, value)) {
            (_, Found::Field(age)) => Found::Field(static_table::LEN + 1 + age),
            (Found::Nothing, Found::Name(age)) => Found::Name(static_table::LEN + 1 + age),
            _ => of_static,
        }
    }
}

/// Values that could be guessed from the size of what is sent (RFC 7541 section 7.1.3): they enter no table, and
/// tell intermediaries the same.
fn is_secret(name: &[u8], value: &[u8]) -> bool {
    match name {
        b"authorization" | b"proxy-authorization" => true,
        b"cookie" => value.len() < COOKIE_SAFE,
        _ => false,
    }
}

/// A cookie of so many octets has too much entropy to be guessed; the RFC's own example.
const COOKIE_SAFE: usize = 20;

/// A string literal (RFC 7541 section 5.2), compressed where that is shorter.
fn string(plain: &[u8], out: &mut Vec<u8>) {
    let compressed = huffman::encoded_len(plain);
    if compressed < plain.len() {
        integer::write(compressed, 0x80, 0x7f, out);
        huffman::encode(plain, out);
    } else {
        integer::write(plain.len(), 0x00, 0x7f, out);
        out.extend_from_slice(plain);
    }
}

#[cfg(test)]
impl Encoder {
    pub(super) const fn table(&self) -> &Table {
        &self.table
    }
}
