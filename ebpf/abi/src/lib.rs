//! What kernel programs and user space must agree on to the byte.
//!
//! [`timing`] and [`guard`] are the memory of the kernel programs. The histogram layout here is the one of all
//! recorders: a log-linear scale with [`SUB_BITS`] bits below the leading one. Values
//! below `2^SUB_BITS` have a bucket each; above, every power of two is cut into `2^SUB_BITS` equal buckets, so a
//! bucket is never wider than 1/128 (0.78 %) of the values in it. There is one bucket function, here.
#![no_std]
#![forbid(unsafe_code)]

pub mod guard;
pub mod timing;

/// Bits of a value, below its leading one, that choose the bucket.
pub const SUB_BITS: u32 = 7;

/// Buckets in each power of two.
pub const SUB_BUCKETS: usize = 1 << SUB_BITS;

/// Values at or above this share the last bucket: 2^42 ns is 73 minutes, longer than any deadline a plan may set.
pub const VALUE_BITS: u32 = 42;

/// Number of buckets of a histogram.
pub const BUCKETS: usize = ((VALUE_BITS - SUB_BITS) as usize + 1) << SUB_BITS;

const _: () = assert!(BUCKETS == 4608, "kernel maps and stored results are laid out for this many buckets");

/// The bucket that counts `value`. Always below [`BUCKETS`].
#[inline(always)]
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "the shifted value has SUB_BITS + 1 bits")]
pub const fn bucket(value: u64) -> usize {
    if value < SUB_BUCKETS as u64 {
        return value as usize;
    }
    let exponent = 63 - value.leading_zeros();
    if exponent >= VALUE_BITS {
        return BUCKETS - 1;
    }
    let shift = exponent - SUB_BITS;
    ((shift as usize) << SUB_BITS) + (value >> shift) as usize
}

/// The smallest value counted by `bucket`.
#[must_use]
pub const fn lowest(bucket: usize) -> u64 {
    if bucket < 2 * SUB_BUCKETS {
        return bucket as u64;
    }
    let shift = (bucket >> SUB_BITS) - 1;
    ((bucket & (SUB_BUCKETS - 1) | SUB_BUCKETS) as u64) << shift
}

/// The largest value counted by `bucket`; for the last bucket, the largest that is not clamped.
#[must_use]
pub const fn highest(bucket: usize) -> u64 {
    lowest(bucket + 1) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bucket_holds_exactly_its_own_bounds() {
        for index in 0..BUCKETS {
            assert_eq!(bucket(lowest(index)), index);
            assert_eq!(bucket(highest(index)), index);
            if index > 0 {
                assert_eq!(highest(index - 1) + 1, lowest(index), "no gap below bucket {index}");
            }
        }
    }

    #[test]
    fn a_bucket_is_at_most_one_percent_wide() {
        for index in 1..BUCKETS {
            let width = highest(index) - lowest(index);
            assert!(width * 100 <= lowest(index), "bucket {index}");
        }
    }

    #[test]
    fn values_past_the_range_share_the_last_bucket() {
        assert_eq!(bucket(1 << VALUE_BITS), BUCKETS - 1);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }
}
