//! The limit on open files: raised by ourselves as far as this process may.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors beside the connections: rings, timers, pipes, outputs, the resolver.
const SPARE: u64 = 64;
const SPARE_PER_CORE: u64 = 8;

/// Descriptors that a run needs for this many connections.
pub(crate) fn needed(connections: u32, cores: usize) -> u64 {
    u64::from(connections) + SPARE + SPARE_PER_CORE * cores as u64
}

/// Connections that this many descriptors allow: the inverse of [`needed`].
pub(crate) fn connections_within(limit: u64, cores: usize) -> u32 {
    let left = limit.saturating_sub(needed(0, cores));
    u32::try_from(left).unwrap_or(u32::MAX)
}

/// The soft and the hard limit now; `u64::MAX` for none.
pub(crate) fn limits() -> (u64, u64) {
    let limit = getrlimit(Resource::Nofile);
    (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX))
}

/// Raises the limit to `needed` where it is lower and that is allowed; returns what it is then.
pub(crate) fn raise(needed: u64) -> u64 {
    let (soft, hard) = limits();
    if soft >= needed {
        return soft;
    }
    // Root may pass the hard limit, up to fs.nr_open; everybody may go up to it.
    let wished = [(needed, hard.max(needed)), (hard.min(needed), hard)];
    for (soft, hard) in wished {
        let maximum = (hard != u64::MAX).then_some(hard);
        if setrlimit(Resource::Nofile, Rlimit { current: Some(soft), maximum }).is_ok() {
            return soft;
        }
    }
    soft
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_and_what_is_allowed_fit() {
        assert_eq!(needed(10_000, 2), 10_080);
        assert_eq!(connections_within(needed(10_000, 2), 2), 10_000);
        assert_eq!(connections_within(10, 1), 0);
    }

    #[test]
    fn a_limit_that_suffices_is_left_alone() {
        let (soft, _) = limits();
        assert_eq!(raise(1), soft);
    }
}
