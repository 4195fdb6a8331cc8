//! Content of requests, made of values that are known already.

pub mod form;
pub mod multipart;
