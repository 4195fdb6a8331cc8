//! A latency in figures, with its whole histogram in the exchange format of HdrHistogram.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use serde::{Deserialize, Serialize};

use crate::histogram::Histogram;

/// One latency in figures, with the whole histogram in `hdr`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Latency {
    pub count: u64,
    pub min: u64,
    pub mean: f64,
    pub stddev: f64,
    pub p50: u64,
    pub p75: u64,
    pub p90: u64,
    pub p95: u64,
    pub p99: u64,
    pub p99_9: u64,
    pub p99_99: u64,
    pub max: u64,
    /// HdrHistogram V2, deflated, base64; empty where nothing was counted.
    pub hdr: String,
}

impl Latency {
    /// The figures of a histogram.
    #[must_use]
    pub fn of(histogram: &Histogram) -> Self {
        if histogram.is_empty() {
            return Self::default();
        }
        let quantile = |q| histogram.quantile(q);
        Self {
            count: histogram.count(),
            min: histogram.min(),
            mean: histogram.mean(),
            stddev: histogram.stddev(),
            p50: quantile(0.5),
            p75: quantile(0.75),
            p90: quantile(0.9),
            p95: quantile(0.95),
            p99: quantile(0.99),
            p99_9: quantile(0.999),
            p99_99: quantile(0.9999),
            max: histogram.max(),
            hdr: encode_hdr(histogram),
        }
    }

    /// The figures, where anything was counted.
    #[must_use]
    pub fn of_any(histogram: &Histogram) -> Option<Self> {
        (!histogram.is_empty()).then(|| Self::of(histogram))
    }

    /// The whole histogram, where one was stored.
    #[must_use]
    pub fn decode_hdr(&self) -> Option<hdrhistogram::Histogram<u64>> {
        let bytes = STANDARD.decode(&self.hdr).ok()?;
        Deserializer::new().deserialize(&mut bytes.as_slice()).ok()
    }
}

/// Every bucket enters the exchange format with what a quantile tells of it: its highest value, as HdrHistogram itself
/// reports values, or with sums its mean.
fn encode_hdr(histogram: &Histogram) -> String {
    let mut hdr = hdrhistogram::Histogram::<u64>::new_with_bounds(1, histogram.max().max(2), 3)
        .expect("bounds and digits are in range");
    for (value, count) in histogram.values() {
        hdr.saturating_record_n(value, count);
    }
    let mut bytes = Vec::new();
    V2DeflateSerializer::new().serialize(&hdr, &mut bytes).expect("writing to memory does not fail");
    STANDARD.encode(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exchange_format_holds_the_same_histogram() {
        for mut histogram in [Histogram::default(), Histogram::with_sums()] {
            for value in (1..2_000u64).map(|i| i * i * 7) {
                histogram.record(value);
            }
            let latency = Latency::of(&histogram);
            let hdr = latency.decode_hdr().expect("what was encoded decodes");
            assert_eq!(hdr.len(), histogram.count());
            for quantile in [0.5, 0.9, 0.99, 1.0] {
                // Three digits are what HdrHistogram keeps of what we tell it.
                let (ours, theirs) = (histogram.quantile(quantile), hdr.value_at_quantile(quantile));
                assert!(hdr.equivalent(ours, theirs), "{quantile}: {ours} {theirs}");
            }
        }
    }

    /// A bucket at 20 ms ends up to 131 us above its values, but these are told as they were.
    #[test]
    fn with_sums_the_exchange_format_has_the_means() {
        let mut histogram = Histogram::with_sums();
        [20_000_000, 20_020_000, 20_040_000].into_iter().for_each(|value| histogram.record(value));
        let latency = Latency::of(&histogram);
        let hdr = latency.decode_hdr().expect("what was encoded decodes");
        assert_eq!((latency.p50, latency.p99_99), (20_020_000, 20_020_000));
        assert!(hdr.equivalent(hdr.value_at_quantile(0.5), 20_020_000));
    }

    #[test]
    fn an_empty_latency_is_zeros() {
        assert_eq!(Latency::of(&Histogram::default()), Latency::default());
    }
}
