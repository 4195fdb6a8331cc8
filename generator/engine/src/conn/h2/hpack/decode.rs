//! Field blocks -> fields (RFC 7541 sections 3 and 6).

use super::dynamic::Table;
use super::{Error, OVERHEAD, huffman, integer, static_table};
use crate::limits::{HEAD_BYTES_MAX, HEAD_FIELDS_MAX, HPACK_TABLE_MAX};

/// Decodes the field blocks that one peer sends on one connection, in their order.
#[derive(Debug)]
pub struct Decoder {
    table: Table,
    /// What our settings allow the table to be.
    allowed: usize,
    /// The peer has to take a smaller table into account before anything else (RFC 9113 section 4.3.1).
    owes_update: bool,
    /// Names and values that were compressed, or of an entry that may go before they are used.
    name: Vec<u8>,
    value: Vec<u8>,
}

/// The octets reserved for one string. Fields hardly ever exceed them; those that do enlarge the memory for good.
const STRING_EXPECTED: usize = 512;

impl Decoder {
    /// A decoder of a table of at most `max_table` octets as RFC 7541 section 4.1 counts them: 4096 on a new
    /// connection, whatever our settings say, because they take effect only once they are acknowledged. More than
    /// `limits::HPACK_TABLE_MAX` is taken as that.
    #[must_use]
    pub fn new(max_table: usize) -> Self {
        let max = max_table.min(HPACK_TABLE_MAX);
        Self {
            table: Table::new(max),
            allowed: max,
            owes_update: false,
            name: vec![0; STRING_EXPECTED],
            value: vec![0; STRING_EXPECTED],
        }
    }

    /// The peer acknowledged a `SETTINGS_HEADER_TABLE_SIZE` of ours of `max_table` octets; as for
    /// [`Decoder::new`] no more than `limits::HPACK_TABLE_MAX`. If the present table is larger, the next block has
    /// to begin with an update of its size.
    pub fn set_max_table(&mut self, max_table: usize) {
        let max = max_table.min(HPACK_TABLE_MAX);
        if max != self.allowed {
            // A remembered block may no longer be admissible.
            self.table.touch();
        }
        self.allowed = max;
        self.owes_update = self.table.max() > max;
        self.table.reserve(max);
    }

    /// Changes whenever the meaning of a block may have changed. What a block was decoded to may be remembered and
    /// used again, without decoding it, while the generation is what it was both before and after.
    #[inline]
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.table.generation()
    }

    /// Decodes a whole block, put together from all its frames, and gives `sink` the name and value of each field.
    ///
    /// # Errors
    /// See [`Error`]. Fields before the fault were given to `sink`.
    #[inline]
    pub fn decode(&mut self, block: &[u8], sink: &mut impl FnMut(&[u8], &[u8])) -> Result<(), Error> {
        let mut rest = block;
        self.size_updates(&mut rest)?;
        let mut room = Room { bytes: HEAD_BYTES_MAX, fields: HEAD_FIELDS_MAX };
        while let Some(&first) = rest.first() {
            if first & 0x80 == 0 {
                self.literal(first, &mut rest, &mut room, sink)?;
                continue;
            }
            let index = integer::read(&mut rest, 0x7f)?;
            let (name, value) = self.field(index)?;
            room.take(name, value)?;
            sink(name, value);
        }
        Ok(())
    }

    /// Updates of the table's size, which stand at the beginning of a block only (RFC 7541 section 4.2).
    #[inline]
    fn size_updates(&mut self, rest: &mut &[u8]) -> Result<(), Error> {
        while let Some(0x20..=0x3f) = rest.first() {
            let max = integer::read(rest, 0x1f)?;
            if max > self.allowed {
                return Err(Error::Malformed);
            }
            self.owes_update = false;
            self.table.resize(max);
        }
        if self.owes_update { Err(Error::Malformed) } else { Ok(()) }
    }

    #[inline]
    fn field(&self, index: usize) -> Result<(&[u8], &[u8]), Error> {
        let found = match index.checked_sub(static_table::LEN + 1) {
            None => static_table::get(index),
            Some(age) => self.table.get(age),
        };
        found.ok_or(Error::Malformed)
    }

    /// A field whose value, and perhaps name, is written out (RFC 7541 section 6.2).
    fn literal(
        &mut self,
        first: u8,
        rest: &mut &[u8],
        room: &mut Room,
        sink: &mut impl FnMut(&[u8], &[u8]),
    ) -> Result<(), Error> {
        let (prefix_max, is_kept) = match first {
            0x40.. => (0x3f, true),
            0x20..0x40 => return Err(Error::Malformed),
            _ => (0x0f, false),
        };
        let index = integer::read(rest, prefix_max)?;
        let name = match index {
            0 => string(rest, &mut self.name)?,
            1..=static_table::LEN => static_table::get(index).ok_or(Error::Malformed)?.0,
            // Inserting the field may evict the entry that lends its name (section 4.4).
            _ => {
                copy(self.table.get(index - static_table::LEN - 1).ok_or(Error::Malformed)?.0, &mut self.name)
            }
        };
        let value = string(rest, &mut self.value)?;
        room.take(name, value)?;
        sink(name, value);
        if is_kept {
            self.table.insert(name, value);
        }
        Ok(())
    }
}

/// What a list of fields may still take.
struct Room {
    bytes: usize,
    fields: usize,
}

impl Room {
    #[inline]
    fn take(&mut self, name: &[u8], value: &[u8]) -> Result<(), Error> {
        let size = name.len() + value.len() + OVERHEAD;
        let fields = self.fields.checked_sub(1);
        let bytes = self.bytes.checked_sub(size);
        (self.fields, self.bytes) = fields.zip(bytes).ok_or(Error::TooLarge)?;
        Ok(())
    }
}

/// A string literal (RFC 7541 section 5.2), in the block itself or decoded into `scratch`.
#[inline]
fn string<'r, 'b: 'r>(rest: &mut &'b [u8], scratch: &'r mut Vec<u8>) -> Result<&'r [u8], Error> {
    let is_compressed = rest.first().is_some_and(|first| first & 0x80 != 0);
    let length = integer::read(rest, 0x7f)?;
    let (wire, after) = rest.split_at_checked(length).ok_or(Error::Malformed)?;
    *rest = after;
    // No list can hold a longer one plain. Compressed it might, but it would have to be odd, and memory is bounded so.
    if length > HEAD_BYTES_MAX {
        return Err(Error::TooLarge);
    }
    if !is_compressed {
        return Ok(wire);
    }
    let scratch = at_least(scratch, huffman::decoded_max(length));
    let length = huffman::decode(wire, scratch).ok_or(Error::Malformed)?;
    Ok(&scratch[..length])
}

fn copy<'r>(name: &[u8], scratch: &'r mut Vec<u8>) -> &'r [u8] {
    let copied = &mut at_least(scratch, name.len())[..name.len()];
    copied.copy_from_slice(name);
    copied
}

#[inline]
fn at_least(scratch: &mut Vec<u8>, length: usize) -> &mut [u8] {
    if scratch.len() < length {
        scratch.resize(length, 0);
    }
    scratch
}

#[cfg(test)]
impl Decoder {
    pub(super) const fn table(&self) -> &Table {
        &self.table
    }
}
