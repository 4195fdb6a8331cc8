//! The zoo: hostile servers T1 to T22, each on a port of its own, as one table of cases.
//!
//! A case says what its server does and how a client must end with it; the suite `hostile` holds `brunt` to that.
//! T0 are well-behaved servers of the same make: they show that a failure is the server's act and not the harness's.

mod case;
mod client_hello_answers;
mod codings;
mod frames;
mod http1;
mod http2;
mod keeper;
mod names;
mod serve;
mod tables;
#[cfg(test)]
mod tests;
mod tls;

pub use self::case::{Case, Expect, Protocol};
pub use self::keeper::Keeper;
pub use self::names::{MANY, Names};
pub use self::serve::{Place, Zoo};

/// All cases, in the order of their numbers within each protocol.
pub fn cases() -> impl Iterator<Item = &'static Case> {
    tables::ALL.iter().flat_map(|table| table.iter())
}

/// The case of this name.
#[must_use]
pub fn find(id: &str) -> Option<&'static Case> {
    cases().find(|case| case.id == id)
}
