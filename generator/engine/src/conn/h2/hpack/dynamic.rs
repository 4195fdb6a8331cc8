//! The dynamic table (RFC 7541 sections 2.3.2 and 4): the last fields, as many as a bound on their size admits.

use super::{Found, OVERHEAD};

/// Bytes of names and values lie one behind the other in `bytes`, so that no string is ever split. When the end is
/// reached what is still held moves to the front. There is room for twice the table, so each byte moves less than
/// once on average.
#[derive(Debug)]
pub(super) struct Table {
    bytes: Box<[u8]>,
    /// Where the next entry's bytes go.
    end: usize,
    /// A ring whose length is a power of two.
    entries: Box<[Entry]>,
    /// Entries ever inserted; the newest is one before it in the ring.
    inserted: usize,
    len: usize,
    /// Of all entries, each with its overhead.
    size: usize,
    max: usize,
    generation: u64,
}

#[derive(Copy, Clone, Default, Debug)]
struct Entry {
    start: usize,
    name_len: usize,
    value_len: usize,
}

impl Entry {
    const fn size(&self) -> usize {
        self.name_len + self.value_len + OVERHEAD
    }
}

impl Table {
    /// A table with room for `max`.
    pub(super) fn new(max: usize) -> Self {
        let (bytes, entries) = room(max);
        Self { bytes, end: 0, entries, inserted: 0, len: 0, size: 0, max, generation: 0 }
    }

    /// Changes with everything that an index or a block could mean something else by.
    #[inline]
    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    /// The bound on the size of all entries.
    pub(super) const fn max(&self) -> usize {
        self.max
    }

    #[cfg(test)]
    pub(super) const fn size(&self) -> usize {
        self.size
    }

    /// Makes the generation another one, because of something that the table does not know.
    pub(super) const fn touch(&mut self) {
        self.generation += 1;
    }

    /// The entry inserted `age` insertions ago, zero being the newest.
    #[inline]
    pub(super) fn get(&self, age: usize) -> Option<(&[u8], &[u8])> {
        (age < self.len).then(|| self.strings(self.entry(age)))
    }

    /// Looks a field up; the result is an age. The newest entry of that name is given where no field is the same.
    pub(super) fn find(&self, name: &[u8], value: &[u8]) -> Found {
        let mut found = Found::Nothing;
        for age in 0..self.len {
            let entry = self.entry(age);
            if entry.name_len != name.len() {
                continue;
            }
            let (its_name, its_value) = self.strings(entry);
            if its_name != name {
                continue;
            }
            if its_value == value {
                return Found::Field(age);
            }
            if found == Found::Nothing {
                found = Found::Name(age);
            }
        }
        found
    }

    /// Inserts a field and evicts the oldest as far as needed. One larger than the table empties it (section 4.4).
    pub(super) fn insert(&mut self, name: &[u8], value: &[u8]) {
        let entry = Entry { start: self.end, name_len: name.len(), value_len: value.len() };
        if entry.size() > self.max {
            return self.evict_to(0);
        }
        self.generation += 1;
        self.evict_to(self.max - entry.size());
        let start = self.make_room(name.len() + value.len());
        let split = start + name.len();
        self.end = split + value.len();
        self.bytes[start..split].copy_from_slice(name);
        self.bytes[split..self.end].copy_from_slice(value);
        let place = self.place(self.inserted);
        self.entries[place] = Entry { start, ..entry };
        self.inserted = self.inserted.wrapping_add(1);
        self.len += 1;
        self.size += entry.size();
    }

    /// Sets the bound and evicts what exceeds it (section 4.3).
    pub(super) fn resize(&mut self, max: usize) {
        if max == self.max {
            return;
        }
        self.generation += 1;
        self.max = max;
        self.evict_to(max);
    }

    /// Makes room for a bound that the table was not made for. Never while requests are under way, but for a change
    /// of our own settings.
    pub(super) fn reserve(&mut self, max: usize) {
        if self.bytes.len() >= max * 2 {
            return;
        }
        let (bytes, entries) = room(max);
        let mut larger = Self { bytes, end: 0, entries, inserted: 0, len: 0, size: 0, ..*self };
        for age in (0..self.len).rev() {
            let (name, value) = self.strings(self.entry(age));
            larger.insert(name, value);
        }
        *self = larger;
    }

    fn evict_to(&mut self, size: usize) {
        while self.size > size && self.len > 0 {
            self.size -= self.entry(self.len - 1).size();
            self.len -= 1;
            self.generation += 1;
        }
    }

    /// Where `count` bytes can go. They fit in any case, as the caller evicted what would exceed the bound.
    fn make_room(&mut self, count: usize) -> usize {
        if self.len == 0 {
            return 0;
        }
        if self.bytes.len() - self.end >= count {
            return self.end;
        }
        let moved = self.entry(self.len - 1).start;
        self.bytes.copy_within(moved..self.end, 0);
        for age in 0..self.len {
            let place = self.place(self.inserted.wrapping_sub(1 + age));
            self.entries[place].start -= moved;
        }
        self.end - moved
    }

    #[inline]
    fn entry(&self, age: usize) -> Entry {
        self.entries[self.place(self.inserted.wrapping_sub(1 + age))]
    }

    #[inline]
    const fn place(&self, number: usize) -> usize {
        number & (self.entries.len() - 1)
    }

    #[inline]
    fn strings(&self, entry: Entry) -> (&[u8], &[u8]) {
        let bytes = &self.bytes[entry.start..entry.start + entry.name_len + entry.value_len];
        bytes.split_at(entry.name_len)
    }
}

/// Memory for the bytes and entries of a table with this bound.
fn room(max: usize) -> (Box<[u8]>, Box<[Entry]>) {
    let entries = (max / OVERHEAD).next_power_of_two();
    (vec![0; max * 2].into_boxed_slice(), vec![Entry::default(); entries].into_boxed_slice())
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    /// The table in its plainest form.
    struct Plain(VecDeque<(Vec<u8>, Vec<u8>)>, usize);

    impl Plain {
        fn size(&self) -> usize {
            self.0.iter().map(|(name, value)| name.len() + value.len() + OVERHEAD).sum()
        }

        fn trim(&mut self) {
            while self.size() > self.1 {
                self.0.pop_back();
            }
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(usize, usize),
        Resize(usize),
        Reserve(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            30 => (0usize..40, 0usize..90).prop_map(|(name, value)| Step::Insert(name, value)),
            1 => (0usize..600).prop_map(Step::Resize),
            1 => (0usize..800).prop_map(Step::Reserve),
        ]
    }

    fn check(steps: &[Step]) {
        let mut table = Table::new(400);
        let mut plain = Plain(VecDeque::new(), 400);
        let mut room = 400;
        for (number, step) in steps.iter().enumerate() {
            let (generation, before) = (table.generation(), plain.0.clone());
            match *step {
                Step::Insert(name, value) => {
                    let letter = b'a' + u8::try_from(number % 26).unwrap();
                    let (name, value) = (vec![letter; name], vec![letter + 1; value]);
                    table.insert(&name, &value);
                    plain.0.push_front((name, value));
                }
                Step::Resize(max) => {
                    table.resize(max.min(room));
                    plain.1 = max.min(room);
                }
                Step::Reserve(max) => {
                    table.reserve(max);
                    room = room.max(max);
                }
            }
            plain.trim();
            assert_eq!(table.size(), plain.size());
            let held: Vec<_> = (0..plain.0.len()).map(|age| table.get(age).unwrap()).collect();
            assert!(held.iter().zip(&plain.0).all(|(held, plain)| *held == (&plain.0[..], &plain.1[..])));
            assert_eq!(table.get(plain.0.len()), None);
            assert!(before == plain.0 || table.generation() != generation);
        }
    }

    #[test]
    fn a_field_larger_than_the_table_empties_it() {
        let mut table = Table::new(64);
        table.insert(b"name", b"value");
        let generation = table.generation();
        table.insert(b"name", &[b'x'; 29]);
        assert_eq!((table.size(), table.get(0)), (0, None));
        assert_ne!(table.generation(), generation);
        table.insert(b"name", &[b'x'; 28]);
        assert_eq!(table.size(), 64);
        Table::new(0).insert(b"", b"");
    }

    #[test]
    fn fields_are_found_newest_first() {
        let mut table = Table::new(4096);
        for (name, value) in [("a", "1"), ("b", "1"), ("a", "2"), ("c", "3")] {
            table.insert(name.as_bytes(), value.as_bytes());
        }
        let check = |name: &str, value: &str, expected: Found| {
            assert_eq!(table.find(name.as_bytes(), value.as_bytes()), expected, "{name}: {value}");
        };
        check("a", "1", Found::Field(3));
        check("a", "2", Found::Field(1));
        check("a", "3", Found::Name(1));
        check("c", "", Found::Name(0));
        check("d", "1", Found::Nothing);
    }

    proptest! {
        #[test]
        fn the_table_is_what_its_plainest_form_is(steps in prop::collection::vec(step(), 0..200)) {
            check(&steps);
        }
    }
}
