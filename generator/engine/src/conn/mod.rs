//! Protocol machines: bytes in, progress out; the caller does the I/O.

pub mod chunked;
pub mod decode;
pub mod h1;
pub mod head;
pub mod proxy;
pub mod tls;
