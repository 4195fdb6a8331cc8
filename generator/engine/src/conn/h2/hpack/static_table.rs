//! The static table (RFC 7541 appendix A).

use super::Found;

/// Entries, whose indexes begin at one. Dynamic entries follow.
pub(super) const LEN: usize = 61;

/// The field at an index from 1 to [`LEN`].
#[inline]
pub(super) fn get(index: usize) -> Option<(&'static [u8], &'static [u8])> {
    let (name, value) = FIELDS.get(index.checked_sub(1)?)?;
    Some((name.as_bytes(), value.as_bytes()))
}

/// Looks a field up. A name that several entries share gives the first of them.
pub(super) fn find(name: &[u8], value: &[u8]) -> Found {
    let mut found = Found::Nothing;
    for &index in of_length(name.len()) {
        let index = usize::from(index);
        let Some((_, its_value)) = get(index).filter(|field| field.0 == name) else { continue };
        if its_value == value {
            return Found::Field(index);
        }
        if found == Found::Nothing {
            found = Found::Name(index);
        }
    }
    found
}

/// The indexes of the entries whose names have this length.
fn of_length(length: usize) -> &'static [u8] {
    match BY_LENGTH.starts.get(length..=length + 1) {
        Some(&[start, end]) => &BY_LENGTH.indexes[usize::from(start)..usize::from(end)],
        _ => &[],
    }
}

/// The length of `access-control-allow-origin`.
const LONGEST_NAME: usize = 27;

struct ByLength {
    /// Ordered by the length of the name, and within a length as they are.
    indexes: [u8; LEN],
    /// Where in `indexes` each length begins.
    starts: [u8; LONGEST_NAME + 2],
}

static BY_LENGTH: ByLength = by_length();

const fn by_length() -> ByLength {
    let mut table = ByLength { indexes: [0; LEN], starts: [0; LONGEST_NAME + 2] };
    let mut filled: u8 = 0;
    let mut length = 0;
    while length <= LONGEST_NAME {
        table.starts[length] = filled;
        let mut at: u8 = 0;
        while (at as usize) < LEN {
            if FIELDS[at as usize].0.len() == length {
                table.indexes[filled as usize] = at + 1;
                filled += 1;
            }
            at += 1;
        }
        length += 1;
    }
    table.starts[LONGEST_NAME + 1] = filled;
    table
}

static FIELDS: [(&str, &str); LEN] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_found_by_its_field() {
        for (index, (name, value)) in (1..).zip(FIELDS) {
            assert_eq!(get(index), Some((name.as_bytes(), value.as_bytes())));
            assert_eq!(find(name.as_bytes(), value.as_bytes()), Found::Field(index), "{name}");
        }
        assert_eq!((get(0), get(LEN + 1)), (None, None));
    }

    #[test]
    fn lookups_give_the_field_the_name_or_nothing() {
        let check = |name: &str, value: &str, expected: Found| {
            assert_eq!(find(name.as_bytes(), value.as_bytes()), expected, "{name}: {value}");
        };
        check(":method", "POST", Found::Field(3));
        check(":method", "PUT", Found::Name(2));
        check(":status", "503", Found::Name(8));
        check("access-control-allow-origin", "*", Found::Name(20));
        check("www-authenticate", "Basic", Found::Name(61));
        check(":Method", "GET", Found::Nothing);
        check("", "", Found::Nothing);
        check("x", "", Found::Nothing);
        check(&"x".repeat(LONGEST_NAME + 1), "", Found::Nothing);
        check(&"x".repeat(LONGEST_NAME + 2), "", Found::Nothing);
    }
}
