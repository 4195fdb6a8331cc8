//! What may be loaded, judged before anything is.

use std::net::SocketAddr;

use brunt_loader::grant::{self, Grant};
use brunt_model::plan::{Endpoint, Plan};

use super::{Need, Wanted};

/// Why a run may not begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{0} is not among what --allow names; add it, or leave --allow out to allow the target alone")]
    NotAllowed(SocketAddr),
    #[error(
        "{0} is a link-local, metadata, multicast, broadcast or unspecified address, which is never loaded; --guard off turns this off"
    )]
    Never(SocketAddr),
    #[error("refused by the loader: {0}")]
    ByLoader(String),
    #[error("{flag} cannot be had: {why}; see brunt doctor")]
    Demanded { flag: &'static str, why: String },
    #[error(
        "the guard cannot be put around the engine: {0}; see brunt doctor, or run without it with --guard off"
    )]
    NotGuarded(String),
}

/// Checks the addresses of the plan against the flags.
///
/// # Errors
/// The first that may not be reached.
pub(crate) fn check_targets(wanted: &Wanted, plan: &Plan) -> Result<(), Refusal> {
    let mut addresses = plan.endpoints.iter().filter_map(|endpoint| match endpoint {
        Endpoint::Ip(address) => Some(*address),
        Endpoint::Unix(_) => None,
    });
    addresses.try_for_each(|address| check(wanted, address))
}

fn check(wanted: &Wanted, address: SocketAddr) -> Result<(), Refusal> {
    if wanted.guard != Need::Off && grant::is_never_allowed(address.ip()) {
        return Err(Refusal::Never(address));
    }
    let allowed = wanted.allow.is_empty() || wanted.allow.iter().any(|grant: &Grant| grant.allows(address));
    if allowed { Ok(()) } else { Err(Refusal::NotAllowed(address)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(guard: Need, allow: &[&str], address: &str) -> Option<String> {
        let wanted = Wanted {
            timing: Need::Auto,
            guard,
            allow: allow.iter().map(|text| text.parse().unwrap()).collect(),
            socket: "/none".into(),
        };
        check(&wanted, address.parse().unwrap()).err().map(|error| error.to_string())
    }

    #[test]
    fn targets_are_held_against_what_is_allowed() {
        assert_eq!(refusal(Need::Auto, &[], "192.0.2.1:80"), None);
        assert_eq!(refusal(Need::Auto, &["127.0.0.0/8:80"], "127.0.0.9:80"), None);
        let why = refusal(Need::Off, &["127.0.0.0/8:80"], "127.0.0.9:81").unwrap();
        assert!(why.contains("127.0.0.9:81 is not among what --allow names"), "{why}");
    }

    #[test]
    fn metadata_services_are_not_loaded_by_oversight() {
        for address in ["169.254.169.254:80", "[::ffff:169.254.169.254]:80", "[fe80::1]:80", "224.0.0.1:80"] {
            let why = refusal(Need::Auto, &[], address).unwrap();
            assert!(why.contains("never loaded"), "{why}");
            assert_eq!(refusal(Need::Off, &[], address), None);
        }
    }
}
