//! The cases, by protocol.

mod http1;
mod http2;
mod tls;

use super::case::Case;

pub(super) const ALL: [&[Case]; 3] = [http1::CASES, http2::CASES, tls::CASES];
