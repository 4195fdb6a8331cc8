//! The Huffman code of string literals (RFC 7541 section 5.2 and appendix B).
//!
//! The code is canonical: codes ascend with their length, and within a length with their symbol. So the lengths say
//! all of appendix B, and the tables for both directions are computed from them while compiling.

/// Most symbols that `octets` of code can hold, with room for the decoder to write two at a time.
pub(super) const fn decoded_max(octets: usize) -> usize {
    octets * 8 / SHORTEST + 2
}

/// Decodes a whole string into `out`, which has at least [`decoded_max`] octets, and gives the length of the result.
/// None where the code breaks off, has the symbol for its end, or is padded with anything but up to 7 ones.
pub(super) fn decode(input: &[u8], out: &mut [u8]) -> Option<usize> {
    let mut bits = Bits { rest: input, buffer: 0, valid: 0 };
    let mut written = 0;
    loop {
        bits.refill();
        if bits.valid < LONGEST {
            return decode_tail(bits, out, written);
        }
        while bits.valid >= STEP_BITS {
            let step = STEPS[(bits.buffer >> (64 - STEP_BITS)) as usize];
            if step.count == 0 {
                if bits.valid < LONGEST {
                    break;
                }
                let (symbol, length) = long_code(bits.buffer)?;
                *out.get_mut(written)? = symbol;
                written += 1;
                bits.consume(length);
                continue;
            }
            // Writing both and counting one is faster than asking.
            out.get_mut(written..written + 2)?.copy_from_slice(&step.symbols);
            written += usize::from(step.count);
            bits.consume(u32::from(step.bits));
        }
    }
}

/// Decodes the last bits, of which there are fewer than the longest code has.
fn decode_tail(mut bits: Bits<'_>, out: &mut [u8], mut written: usize) -> Option<usize> {
    bits.buffer |= u64::MAX >> bits.valid;
    // Padding is the beginning of the code for the end, which is all ones.
    while bits.valid > PADDING_MAX || bits.buffer.leading_ones() < bits.valid {
        let step = STEPS[(bits.buffer >> (64 - STEP_BITS)) as usize];
        let (symbol, length) = match step.count {
            0 => long_code(bits.buffer)?,
            _ => (step.symbols[0], u32::from(LENGTHS[usize::from(step.symbols[0])])),
        };
        if length > bits.valid {
            return None;
        }
        *out.get_mut(written)? = symbol;
        written += 1;
        bits.consume(length);
    }
    Some(written)
}

/// The symbol whose code of more than [`STEP_BITS`] the buffer begins with, and its length. None for the end.
#[cold]
fn long_code(buffer: u64) -> Option<(u8, u32)> {
    let code = buffer >> 32;
    let length = (STEP_BITS + 1..=LONGEST).find(|&length| code < CODE.limits[length as usize])?;
    let nth = (code - CODE.firsts[length as usize]) >> (32 - length);
    let at = usize::from(CODE.starts[length as usize]) + usize::try_from(nth).ok()?;
    let symbol = u8::try_from(*CODE.sorted.get(at)?).ok()?;
    Some((symbol, length))
}

/// The octets that a string takes when encoded.
pub(super) fn encoded_len(input: &[u8]) -> usize {
    let bits: usize = input.iter().map(|&symbol| usize::from(LENGTHS[usize::from(symbol)])).sum();
    bits.div_ceil(8)
}

/// Appends the code of a string.
pub(super) fn encode(input: &[u8], out: &mut Vec<u8>) {
    let mut buffer: u64 = 0;
    let mut valid: u32 = 0;
    for &symbol in input {
        let length = u32::from(LENGTHS[usize::from(symbol)]);
        buffer = buffer << length | u64::from(CODE.codes[usize::from(symbol)]);
        valid += length;
        // 31 bits left over and the longest code fit the buffer.
        if valid >= 32 {
            valid -= 32;
            out.extend_from_slice(&((buffer >> valid & 0xffff_ffff) as u32).to_be_bytes());
        }
    }
    if valid > 0 {
        let padded = buffer << (64 - valid) | u64::MAX >> valid;
        out.extend_from_slice(&padded.to_be_bytes()[..valid.div_ceil(8) as usize]);
    }
}

/// Input as a row of bits.
struct Bits<'a> {
    /// Octets not yet counted in `valid`.
    rest: &'a [u8],
    /// The next bits, from the top. Those past `valid` are zero or what will follow.
    buffer: u64,
    valid: u32,
}

impl Bits<'_> {
    /// Fills the buffer to at least 56 bits, or with all that is left.
    #[inline]
    fn refill(&mut self) {
        if let Some(word) = self.rest.first_chunk::<8>() {
            self.buffer |= u64::from_be_bytes(*word) >> self.valid;
            let octets = (63 - self.valid) / 8;
            self.rest = &self.rest[octets as usize..];
            self.valid += octets * 8;
            return;
        }
        while self.valid <= 56
            && let Some((&octet, rest)) = self.rest.split_first()
        {
            self.buffer |= u64::from(octet) << 56 >> self.valid;
            self.rest = rest;
            self.valid += 8;
        }
    }

    #[inline]
    const fn consume(&mut self, count: u32) {
        self.buffer <<= count;
        self.valid -= count;
    }
}

const SHORTEST: usize = 5;
const LONGEST: u32 = 30;
const PADDING_MAX: u32 = 7;
/// One for each octet, and one for the end of a string, which is never sent.
const SYMBOLS: usize = 257;

/// The code in the forms that the functions above ask for.
struct Code {
    codes: [u32; SYMBOLS],
    /// Symbols in the order of their codes.
    sorted: [u16; SYMBOLS],
    /// By length: where its symbols begin in `sorted`.
    starts: [u16; LONGEST as usize + 1],
    /// By length: its first code, and the first code past it, both followed by zeros up to 32 bits.
    firsts: [u64; LONGEST as usize + 1],
    limits: [u64; LONGEST as usize + 1],
}

static CODE: Code = canonical();

const fn canonical() -> Code {
    let mut table = Code {
        codes: [0; SYMBOLS],
        sorted: [0; SYMBOLS],
        starts: [0; LONGEST as usize + 1],
        firsts: [0; LONGEST as usize + 1],
        limits: [0; LONGEST as usize + 1],
    };
    let mut code: u32 = 0;
    let mut sorted: u16 = 0;
    let mut length: u32 = 1;
    while length <= LONGEST {
        table.starts[length as usize] = sorted;
        table.firsts[length as usize] = (code as u64) << (32 - length);
        let mut symbol: u16 = 0;
        while (symbol as usize) < SYMBOLS {
            if LENGTHS[symbol as usize] as u32 == length {
                table.codes[symbol as usize] = code;
                table.sorted[sorted as usize] = symbol;
                sorted += 1;
                code += 1;
            }
            symbol += 1;
        }
        table.limits[length as usize] = (code as u64) << (32 - length);
        code <<= 1;
        length += 1;
    }
    table
}

/// Bits looked at in one step. Twelve hold two of the symbols that fields are made of, and the table stays small
/// enough for the first level of a cache.
const STEP_BITS: u32 = 12;

/// What the next [`STEP_BITS`] bits say: one or two symbols and how many bits they take; none where the first code is
/// longer.
#[derive(Copy, Clone)]
struct Step {
    symbols: [u8; 2],
    count: u8,
    bits: u8,
}

static STEPS: [Step; 1 << STEP_BITS] = pairs(&singles());

const fn singles() -> [Step; 1 << STEP_BITS] {
    let code = canonical();
    let mut steps = [Step { symbols: [0; 2], count: 0, bits: 0 }; 1 << STEP_BITS];
    let mut symbol: u8 = 0;
    loop {
        let bits = LENGTHS[symbol as usize];
        if bits as u32 <= STEP_BITS {
            let free = STEP_BITS - bits as u32;
            let mut at = (code.codes[symbol as usize] << free) as usize;
            let end = at + (1 << free);
            while at < end {
                steps[at] = Step { symbols: [symbol, 0], count: 1, bits };
                at += 1;
            }
        }
        if symbol == u8::MAX {
            return steps;
        }
        symbol += 1;
    }
}

const fn pairs(singles: &[Step; 1 << STEP_BITS]) -> [Step; 1 << STEP_BITS] {
    let mut steps = *singles;
    let mut at = 0;
    while at < steps.len() {
        let first = singles[at];
        let second = singles[(at << first.bits) % steps.len()];
        let bits = first.bits + second.bits;
        if first.count == 1 && second.count == 1 && bits as u32 <= STEP_BITS {
            steps[at] = Step { symbols: [first.symbols[0], second.symbols[0]], count: 2, bits };
        }
        at += 1;
    }
    steps
}

/// The bits of each symbol's code.
#[rustfmt::skip]
const LENGTHS: [u8; SYMBOLS] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(input: &[u8]) -> Option<Vec<u8>> {
        let mut out = vec![0; decoded_max(input.len())];
        let length = decode(input, &mut out)?;
        out.truncate(length);
        Some(out)
    }

    fn encoded(input: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encode(input, &mut out);
        assert_eq!(out.len(), encoded_len(input));
        out
    }

    /// One code of each length, as appendix B prints it.
    #[test]
    fn codes_are_those_of_the_appendix() {
        for (symbol, code) in [
            (48, 0x0),
            (b'%', 0x15),
            (b':', 0x5c),
            (b'&', 0xf8),
            (b'!', 0x3f8),
            (b'\'', 0x7fa),
            (b'#', 0xffa),
            (0, 0x1ff8),
            (b'^', 0x3ffc),
            (b'<', 0x7ffc),
            (b'\\', 0x7fff0),
            (128, 0xfffe6),
            (153, 0x1f_ffdc),
            (129, 0x3f_ffd2),
            (1, 0x7f_ffd8),
            (9, 0xff_ffea),
            (199, 0x1ff_ffec),
            (192, 0x3ff_ffe0),
            (203, 0x7ff_ffde),
            (2, 0xfff_ffe2),
            (22, 0x3fff_fffe),
        ] {
            assert_eq!(CODE.codes[usize::from(symbol)], code, "{symbol}");
        }
        assert_eq!(CODE.codes[256], 0x3fff_ffff);
        assert_eq!(CODE.limits[LONGEST as usize], 1 << 32, "the code leaves nothing unused");
    }

    #[test]
    fn strings_of_the_examples() {
        for (plain, wire) in [
            ("", &[][..]),
            ("no-cache", &[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf]),
            ("302", &[0x64, 0x02]),
            ("www.example.com", &[0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff]),
        ] {
            assert_eq!(encoded(plain.as_bytes()), wire);
            assert_eq!(decoded(wire).as_deref(), Some(plain.as_bytes()));
        }
    }

    #[test]
    fn padding_and_the_end_are_checked() {
        let check = |wire: &[u8], expected: Option<&[u8]>| {
            assert_eq!(decoded(wire).as_deref(), expected, "{wire:x?}");
        };
        // `0` is 00000, `a` is 00011, `&` is 11111000.
        check(&[0x07], Some(b"0"));
        check(&[0x06], None);
        check(&[0x00], None);
        check(&[0xf8], Some(b"&"));
        check(&[0xf8, 0xff], None);
        check(&[0x07, 0xff], None);
        check(&[0xff], None);
        check(&[0xff; 4], None);
        check(&[0xff; 64], None);
        // The code for the end, and it after a symbol and before others.
        check(&[0xff, 0xff, 0xff, 0xfc], None);
        check(&[0x07, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0], None);
        // A code that breaks off: `^` has 14 bits, 1 has 23.
        check(&[0xff, 0xf3], Some(b"^"));
        check(&[0xff], None);
        check(&[0xff, 0xff, 0xb1], Some(&[1]));
        check(&[0xff, 0xff], None);
    }

    #[test]
    fn every_symbol_comes_back_alone_and_in_any_place() {
        for symbol in 0..=u8::MAX {
            for before in 0..12 {
                let mut plain = vec![b'a'; before];
                plain.push(symbol);
                assert_eq!(decoded(&encoded(&plain)), Some(plain.clone()), "{symbol}");
                plain.extend_from_slice(b"0123456789abcdef");
                assert_eq!(decoded(&encoded(&plain)), Some(plain), "{symbol}");
            }
        }
    }

    proptest! {
        #[test]
        fn strings_come_back(plain in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(decoded(&encoded(&plain)), Some(plain));
        }

        /// Each string has one code only, so what decodes is that code.
        #[test]
        fn what_decodes_is_the_code_of_its_string(wire in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Some(plain) = decoded(&wire) {
                prop_assert_eq!(encoded(&plain), wire);
            }
        }
    }
}
