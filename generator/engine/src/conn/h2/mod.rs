//! HTTP/2 (RFC 9113): frames, HPACK, and the client side of a connection. Pure: bytes in, bytes and steps out.

mod budget;
pub mod client;
pub mod frame;
pub mod hpack;
pub mod request;
mod response;
mod stream;

/// The header table that our decoder keeps: the protocol's default, so it need not be announced.
const HEADER_TABLE_SIZE: usize = 4096;
