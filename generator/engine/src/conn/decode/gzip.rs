//! The gzip format (RFC 1952): members, each a header, deflate, and a trailer with checksum and length.

use brunt_model::outcome::ErrorKind;
use flate2::{Crc, Decompress};

use super::Step;
use super::codec::inflate;
use crate::limits::GZIP_HEADER_MAX;

/// The two magic bytes and the only method there is, lowest first.
const MAGIC_AND_DEFLATE: u64 = 0x08_8b1f;
const FLAGS_RESERVED: u64 = 0b1110_0000;

/// A part of a member, in their order.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Debug)]
enum Part {
    Magic,
    Flags,
    /// Time, extra flags and operating system.
    Origin,
    ExtraLength,
    Extra,
    Name,
    Comment,
    HeaderCrc,
    Body,
    Trailer,
}

/// The parts a header may have, each with its flag and its length in bytes; names end with a zero.
const OPTIONAL: [(Part, u64, u64); 4] = [
    (Part::ExtraLength, 1 << 2, 2),
    (Part::Name, 1 << 3, 0),
    (Part::Comment, 1 << 4, 0),
    (Part::HeaderCrc, 1 << 1, 2),
];

pub(super) struct Gzip {
    part: Part,
    /// Bytes of the part still to come, where its length is known.
    left: u64,
    /// The last eight bytes outside the body, the latest highest: numbers are stored lowest byte first.
    last: u64,
    flags: u64,
    header_bytes: u32,
    /// Of the header, then of what the body decodes to.
    crc: Crc,
    inflate: Decompress,
    /// A member has ended.
    any: bool,
}

impl Default for Gzip {
    fn default() -> Self {
        Self {
            part: Part::Magic,
            left: 3,
            last: 0,
            flags: 0,
            header_bytes: 0,
            crc: Crc::new(),
            inflate: Decompress::new(false),
            any: false,
        }
    }
}

impl Gzip {
    pub(super) fn reset(&mut self) {
        self.begin_member();
        self.any = false;
    }

    /// At least one member ended, and no other has begun.
    pub(super) fn is_whole(&self) -> bool {
        self.any && self.header_bytes == 0
    }

    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, ErrorKind> {
        let mut total = Step { used: 0, made: 0 };
        loop {
            if self.part == Part::Body {
                let room = &mut output[total.made..];
                let (step, ended) = inflate(&mut self.inflate, &input[total.used..], room)?;
                self.crc.update(&room[..step.made]);
                total = Step { used: total.used + step.used, made: total.made + step.made };
                if !ended {
                    return Ok(total);
                }
                self.begin(Part::Trailer, 8);
            }
            let Some(&byte) = input.get(total.used) else { return Ok(total) };
            total.used += 1;
            self.take(byte)?;
        }
    }

    /// Takes one byte outside the body.
    fn take(&mut self, byte: u8) -> Result<(), ErrorKind> {
        self.last = self.last >> 8 | u64::from(byte) << 56;
        if self.part < Part::Body {
            self.header_bytes += 1;
            if self.header_bytes > GZIP_HEADER_MAX {
                return Err(ErrorKind::DecodeLimit);
            }
        }
        if self.part < Part::HeaderCrc {
            self.crc.update(&[byte]);
        }
        let ended = match self.part {
            Part::Name | Part::Comment => byte == 0,
            _ => {
                self.left -= 1;
                self.left == 0
            }
        };
        if ended { self.end_part() } else { Ok(()) }
    }

    /// Judges the part that ended and begins the next.
    fn end_part(&mut self) -> Result<(), ErrorKind> {
        let (byte, two_bytes, three_bytes) = (self.last >> 56, self.last >> 48, self.last >> 40);
        match self.part {
            Part::Magic if three_bytes == MAGIC_AND_DEFLATE => self.begin(Part::Flags, 1),
            Part::Flags if byte & FLAGS_RESERVED == 0 => {
                self.flags = byte;
                self.begin(Part::Origin, 6);
            }
            Part::ExtraLength if two_bytes > 0 => self.begin(Part::Extra, two_bytes),
            Part::HeaderCrc if two_bytes != u64::from(self.crc.sum() & 0xffff) => {
                return Err(ErrorKind::Protocol);
            }
            Part::Trailer if self.last == u64::from(self.crc.amount()) << 32 | u64::from(self.crc.sum()) => {
                self.begin_member();
                self.any = true;
            }
            Part::Magic | Part::Flags | Part::Trailer => return Err(ErrorKind::Protocol),
            _ => self.begin_optional(),
        }
        Ok(())
    }

    fn begin_optional(&mut self) {
        let later = OPTIONAL.iter().find(|(part, flag, _)| *part > self.part && self.flags & flag != 0);
        match later {
            Some(&(part, _, length)) => self.begin(part, length),
            None => {
                self.crc.reset();
                self.begin(Part::Body, 0);
            }
        }
    }

    fn begin(&mut self, part: Part, length: u64) {
        (self.part, self.left) = (part, length);
    }

    fn begin_member(&mut self) {
        self.begin(Part::Magic, 3);
        self.header_bytes = 0;
        self.crc.reset();
        self.inflate.reset(false);
    }
}
