//! Integers with a prefix of some bits of an octet (RFC 7541 section 5.1).

use super::Error;

/// Octets after the prefix. Five carry 35 bits, more than any length or index that is within bounds.
const SHIFTS: [u32; 5] = [0, 7, 14, 21, 28];

/// Reads an integer whose prefix is the low bits of the first octet that `prefix_max` covers, and moves `rest` past it.
///
/// # Errors
/// `Malformed` where it is cut off, has more than five octets after the prefix, or exceeds 32 bits.
#[inline]
pub(super) fn read(rest: &mut &[u8], prefix_max: u8) -> Result<usize, Error> {
    let small = next(rest)? & prefix_max;
    if small < prefix_max { Ok(usize::from(small)) } else { read_long(rest, prefix_max) }
}

fn read_long(rest: &mut &[u8], prefix_max: u8) -> Result<usize, Error> {
    let mut value = u64::from(prefix_max);
    for shift in SHIFTS {
        let octet = next(rest)?;
        value += u64::from(octet & 0x7f) << shift;
        if octet & 0x80 == 0 {
            return u32::try_from(value).map(|value| value as usize).map_err(|_| Error::Malformed);
        }
    }
    Err(Error::Malformed)
}

#[inline]
fn next(rest: &mut &[u8]) -> Result<u8, Error> {
    let (&octet, after) = rest.split_first().ok_or(Error::Malformed)?;
    *rest = after;
    Ok(octet)
}

/// Writes an integer. `pattern` holds the bits above the prefix, and `prefix_max` the largest value of the prefix.
#[inline]
pub(super) fn write(value: usize, pattern: u8, prefix_max: u8, out: &mut Vec<u8>) {
    match u8::try_from(value) {
        Ok(small) if small < prefix_max => out.push(pattern | small),
        _ => {
            out.push(pattern | prefix_max);
            write_long(value - usize::from(prefix_max), out);
        }
    }
}

fn write_long(mut value: usize, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(0x80 | low_octet(value));
        value >>= 7;
    }
    out.push(low_octet(value));
}

const fn low_octet(value: usize) -> u8 {
    value.to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 7541 appendix C.1, and both sides of each edge.
    #[test]
    fn integers_are_written_and_read_back() {
        let check = |value: usize, prefix_max: u8, wire: &[u8]| {
            let mut out = Vec::new();
            write(value, 0, prefix_max, &mut out);
            assert_eq!(out, wire, "{value}");
            let mut rest = wire;
            assert_eq!(read(&mut rest, prefix_max), Ok(value));
            assert!(rest.is_empty(), "{value}");
        };
        check(10, 0x1f, &[0x0a]);
        check(1337, 0x1f, &[0x1f, 0x9a, 0x0a]);
        check(42, 0xff, &[0x2a]);
        check(0, 0x7f, &[0]);
        check(30, 0x1f, &[0x1e]);
        check(31, 0x1f, &[0x1f, 0]);
        check(254, 0xff, &[0xfe]);
        check(255, 0xff, &[0xff, 0]);
        check(15 + 127, 0x0f, &[0x0f, 0x7f]);
        check(15 + 128, 0x0f, &[0x0f, 0x80, 0x01]);
        check(u32::MAX as usize, 0x7f, &[0x7f, 0x80, 0xff, 0xff, 0xff, 0x0f]);
    }

    #[test]
    fn odd_integers_are_read_or_refused() {
        let check = |wire: &[u8], expected: Result<usize, Error>| {
            assert_eq!(read(&mut &*wire, 0x7f), expected, "{wire:x?}");
        };
        // Bits above the prefix are the caller's; an integer need not be as short as can be.
        check(&[0x85], Ok(5));
        check(&[0x7f, 0x80, 0x00], Ok(127));
        check(&[0x7f, 0x80, 0x80, 0x80, 0x80, 0x00], Ok(127));
        check(&[], Err(Error::Malformed));
        check(&[0x7f], Err(Error::Malformed));
        check(&[0x7f, 0x80], Err(Error::Malformed));
        check(&[0x7f, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00], Err(Error::Malformed));
        check(&[0x7f, 0x81, 0xff, 0xff, 0xff, 0x0f], Err(Error::Malformed));
        check(&[0x7f, 0xff, 0xff, 0xff, 0xff, 0x7f], Err(Error::Malformed));
    }
}
