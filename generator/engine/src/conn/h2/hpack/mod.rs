//! HPACK, the compression of HTTP/2 field sections (RFC 7541).
//!
//! Both ends of a connection keep a table of fields that were sent before, and name them by their index. A block
//! therefore means something only in its place in the order of all blocks: none may be left out.
//!
//! Nothing is allocated for a field. What a table holds lies in one piece of memory made with it, and Huffman strings
//! are decoded into memory that the decoder reuses.

mod decode;
mod dynamic;
mod encode;
mod huffman;
mod integer;
mod static_table;
#[cfg(test)]
mod tests;

pub use decode::Decoder;
pub use encode::Encoder;

/// Why a block cannot be decoded. The table may have missed what the block would have put into it, so after either
/// the decoder is of no more use and the connection has to end.
#[derive(Copy, Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// To be answered with `COMPRESSION_ERROR` (RFC 9113 section 4.3).
    #[error("the field block breaks the rules of HPACK (RFC 7541)")]
    Malformed,
    /// More fields than `limits::HEAD_FIELDS_MAX`, or more than `limits::HEAD_BYTES_MAX` bytes of them.
    #[error("the field block holds more than this client takes")]
    TooLarge,
}

/// What each entry of a table counts beyond its bytes (RFC 7541 section 4.1), and each field of a list as well
/// (RFC 9113 section 6.5.2).
const OVERHEAD: usize = 32;

/// Where a table has a field, or at least a field of that name.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Found {
    Field(usize),
    Name(usize),
    Nothing,
}
