//! The share of one core in a run of several workers and cores. Pure: nobody has to be asked.

use serde::{Deserialize, Serialize};

/// Which of how many: core `core` of `cores` on worker `worker` of `workers`, all counted from zero.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Share {
    pub worker: u32,
    pub workers: u32,
    pub core: u32,
    pub cores: u32,
}

impl Share {
    /// The shares of every core of a run on one worker.
    pub fn of_one_worker(cores: u32) -> impl Iterator<Item = Self> {
        (0..cores).map(move |core| Self { worker: 0, workers: 1, core, cores })
    }

    /// Position among all cores of the run, and their number.
    #[must_use]
    pub fn position(self) -> (u64, u64) {
        let index = u64::from(self.worker) * u64::from(self.cores) + u64::from(self.core);
        (index, u64::from(self.workers) * u64::from(self.cores))
    }

    /// This core's part of `total` things (connections, requests, slots) that are dealt out one by one: the parts
    /// differ by at most one and sum to `total`.
    #[must_use]
    pub fn of(self, total: u64) -> u64 {
        let (index, count) = self.position();
        total / count + u64::from(index < total % count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_parts_sum_to_the_whole(total in any::<u32>(), workers in 1u32..9, cores in 1u32..9) {
            let shares = (0..workers).flat_map(|worker| (0..cores).map(move |core| Share { worker, workers, core, cores }));
            let parts: Vec<_> = shares.map(|share| share.of(u64::from(total))).collect();
            prop_assert_eq!(parts.iter().sum::<u64>(), u64::from(total));
            prop_assert!(parts.iter().max().unwrap() - parts.iter().min().unwrap() <= 1);
        }
    }
}
