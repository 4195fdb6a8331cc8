//! The codecs behind one face: input and room for output in, how much of each was used out.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use brunt_model::outcome::ErrorKind;
use flate2::{Decompress, FlushDecompress, Status};
use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, ResetDirective};

use super::gzip::Gzip;
use super::{Coding, Step};
use crate::limits::DECODE_WINDOW_LOG_MAX;

/// What libzstd returns for a window above its limit: `ZSTD_error_frameParameter_windowTooLarge`, negated. Its numbers
/// below 100 are promised to stay.
const ZSTD_WINDOW_TOO_LARGE: usize = 16_usize.wrapping_neg();

/// The only brotli window above 8 MiB has these four bits first (RFC 7932 section 9.1): 16 MiB.
const BROTLI_WINDOW_16_MIB: u8 = 0b1111;
const _: () = assert!(DECODE_WINDOW_LOG_MAX == 23);

pub(super) enum Codec {
    Identity,
    Gzip(Box<Gzip>),
    Deflate(Deflate),
    Brotli(Box<Brotli>),
    Zstd(Zstd),
}

impl Codec {
    pub(super) fn new(coding: Coding) -> Self {
        match coding {
            Coding::Identity => Self::Identity,
            Coding::Gzip => Self::Gzip(Box::default()),
            Coding::Deflate => Self::Deflate(Deflate { inflate: Decompress::new(true), ended: false }),
            Coding::Brotli => Self::Brotli(Box::new(Brotli::new())),
            Coding::Zstd => Self::Zstd(Zstd::new()),
        }
    }

    pub(super) fn reset(&mut self, coding: Coding) {
        match (&mut *self, coding) {
            (Self::Identity, Coding::Identity) => {}
            (Self::Gzip(gzip), Coding::Gzip) => gzip.reset(),
            (Self::Deflate(deflate), Coding::Deflate) => deflate.reset(),
            (Self::Zstd(zstd), Coding::Zstd) => zstd.reset(),
            // Brotli's state cannot be used again.
            _ => *self = Self::new(coding),
        }
    }

    /// Decodes until the input is used, the output is full or the coding has ended.
    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, ErrorKind> {
        match self {
            Self::Identity => {
                let taken = input.len().min(output.len());
                Ok(Step { used: taken, made: taken })
            }
            Self::Gzip(gzip) => gzip.step(input, output),
            Self::Deflate(deflate) => deflate.step(input, output),
            Self::Brotli(brotli) => brotli.step(input, output),
            Self::Zstd(zstd) => zstd.step(input, output),
        }
    }

    /// The body may end here.
    pub(super) fn is_whole(&self) -> bool {
        match self {
            Self::Identity => true,
            Self::Gzip(gzip) => gzip.is_whole(),
            Self::Deflate(deflate) => deflate.ended,
            Self::Brotli(brotli) => brotli.ended,
            Self::Zstd(zstd) => zstd.between_frames,
        }
    }
}

/// Runs deflate, with or without the zlib format around it; true at its end.
pub(super) fn inflate(
    inflate: &mut Decompress,
    input: &[u8],
    output: &mut [u8],
) -> Result<(Step, bool), ErrorKind> {
    let (before_in, before_out) = (inflate.total_in(), inflate.total_out());
    let status = inflate.decompress(input, output, FlushDecompress::None).map_err(|_| ErrorKind::Protocol)?;
    let since = |after: u64, before: u64| usize::try_from(after - before).unwrap_or(usize::MAX);
    let step =
        Step { used: since(inflate.total_in(), before_in), made: since(inflate.total_out(), before_out) };
    Ok((step, status == Status::StreamEnd))
}

pub(super) struct Deflate {
    inflate: Decompress,
    ended: bool,
}

impl Deflate {
    fn reset(&mut self) {
        self.inflate.reset(true);
        self.ended = false;
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, ErrorKind> {
        if self.ended {
            return Ok(Step { used: 0, made: 0 });
        }
        let (step, ended) = inflate(&mut self.inflate, input, output)?;
        self.ended = ended;
        Ok(step)
    }
}

pub(super) struct Brotli {
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    begun: bool,
    ended: bool,
}

impl Brotli {
    fn new() -> Self {
        let alloc = StandardAlloc::default;
        // Strict: without the extension that allows windows of up to 1 GiB.
        Self { state: BrotliState::new_strict(alloc(), alloc(), alloc()), begun: false, ended: false }
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, ErrorKind> {
        if self.ended {
            return Ok(Step { used: 0, made: 0 });
        }
        if let Some(first) = input.first().filter(|_| !self.begun) {
            self.begun = true;
            // Looked at here, because the decoder allocates the window within the same call.
            if first & 0b1111 == BROTLI_WINDOW_16_MIB {
                return Err(ErrorKind::DecodeLimit);
            }
        }
        let (mut left, mut used, mut room, mut made, mut total) = (input.len(), 0, output.len(), 0, 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut used,
            input,
            &mut room,
            &mut made,
            output,
            &mut total,
            &mut self.state,
        );
        self.ended = matches!(result, BrotliResult::ResultSuccess);
        match result {
            BrotliResult::ResultFailure => Err(ErrorKind::Protocol),
            _ => Ok(Step { used, made }),
        }
    }
}

pub(super) struct Zstd {
    context: DCtx<'static>,
    between_frames: bool,
}

impl Zstd {
    fn new() -> Self {
        let mut context = DCtx::create();
        // It fails only for a number out of libzstd's range, and then its own limit holds.
        let _ = context.set_parameter(DParameter::WindowLogMax(DECODE_WINDOW_LOG_MAX));
        // Not whole before the first frame.
        Self { context, between_frames: false }
    }

    fn reset(&mut self) {
        // Parameters stay. Resetting a session cannot fail.
        let _ = self.context.reset(ResetDirective::SessionOnly);
        self.between_frames = false;
    }

    /// One frame may follow another (RFC 8878 section 3), so bytes behind a frame are the next one's.
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, ErrorKind> {
        if self.between_frames && input.is_empty() {
            return Ok(Step { used: 0, made: 0 });
        }
        let (mut input, mut output) = (InBuffer::around(input), OutBuffer::around(output));
        let hint = self.context.decompress_stream(&mut output, &mut input).map_err(|code| match code {
            ZSTD_WINDOW_TOO_LARGE => ErrorKind::DecodeLimit,
            _ => ErrorKind::Protocol,
        })?;
        self.between_frames = hint == 0;
        Ok(Step { used: input.pos(), made: output.pos() })
    }
}
