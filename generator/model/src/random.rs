//! Random numbers from a seed: the same on every machine, and for each stream of a seed others.

/// SplitMix64 (Steele, Lea, Flood 2014): small, seedable at any stream, and the same on every machine. Not
/// for secrets.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The generator of one stream of a seed.
    #[must_use]
    pub const fn new(seed: u64, stream: u64) -> Self {
        Self(seed ^ stream.wrapping_mul(0xa076_1d64_78bd_642f).rotate_left(17))
    }

    /// The next 64 bits.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number of `0..n`, each as likely; 0 for `n` of 0.
    ///
    /// Multiplies and rejects (Lemire 2019). Less than half of all draws are rejected whatever `n` is, so
    /// that 64 in a row would be a fault of the generator; the limit keeps the loop bounded even then.
    pub fn below(&mut self, n: u64) -> u64 {
        const DRAWS_MAX: u32 = 64;
        if n == 0 {
            return 0;
        }
        let rejected_below = n.wrapping_neg() % n;
        let mut draws = 0;
        loop {
            let (low, high) = self.next().carrying_mul(n, 0);
            draws += 1;
            if low >= rejected_below || draws == DRAWS_MAX {
                return high;
            }
        }
    }

    /// Of `(0, 1]`, in steps of 2^-53: never 0, so that it has a logarithm.
    pub const fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_numbers_are_those_of_splitmix64() {
        let mut random = Random::new(1_234_567, 0);
        let drawn: Vec<_> = (0..3).map(|_| random.next()).collect();
        assert_eq!(drawn, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn streams_of_a_seed_differ() {
        assert_ne!(Random::new(7, 0).next(), Random::new(7, 1).next());
    }

    #[test]
    fn each_number_below_is_as_likely() {
        let mut random = Random::new(3, 0);
        let mut counts = [0u32; 6];
        for _ in 0..60_000 {
            counts[usize::try_from(random.below(6)).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
        assert_eq!([random.below(0), random.below(1)], [0, 0]);
        // With this bound a modulo would draw the lower half twice as often.
        let bound = 3 << 62;
        let low = (0..10_000).filter(|_| random.below(bound) < bound / 2).count();
        assert!((4_800..5_200).contains(&low), "{low}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn numbers_stay_inside(seed in any::<u64>(), n in 1u64..) {
            let mut random = Random::new(seed, 0);
            prop_assert!(random.below(n) < n);
            let unit = random.unit();
            prop_assert!(unit > 0.0 && unit <= 1.0);
        }
    }
}
