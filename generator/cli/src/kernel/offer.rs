//! What a run on this host would have of the kernel, asked without a run.

use std::path::Path;

use brunt_loader::wire::{Features, Op, Request, Status};

use super::loader::begin_loader;

/// What a loader says, if there is one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Offer {
    /// There is none, and this user cannot start one; or the one there is does not answer.
    Absent(String),
    /// There is one, but this user is none of those it serves.
    Stranger(String),
    /// There is one, and it tried.
    Tried {
        /// It was started by this process, as a run would.
        is_own: bool,
        features: Features,
        /// Why not more.
        why: String,
    },
}

/// Asks the service at this socket, or a loader started as a run would start it.
pub(crate) fn offer(socket: &Path) -> Offer {
    let asked = begin_loader(socket)
        .and_then(|loader| Ok((loader.is_own(), loader.ask(&Request::new(Op::Support))?.0)));
    match asked {
        Err(why) => Offer::Absent(why),
        Ok((_, reply)) if reply.status == Status::Stranger => Offer::Stranger(reply.text),
        Ok((is_own, reply)) => Offer::Tried { is_own, features: reply.features, why: reply.text },
    }
}
