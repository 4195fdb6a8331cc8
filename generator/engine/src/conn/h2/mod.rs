//! HTTP/2 (RFC 9113): its frames and the compression of its field sections.

pub mod frame;
pub mod hpack;
