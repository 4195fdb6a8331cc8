//! Snapshots and sums as bytes, for a pipe or a socket.
//!
//! Of a histogram only the filled buckets are written, as (buckets skipped, count), with their sums where it has sums,
//! and of statuses and errors only those that occurred, so an interval has some hundreds of bytes where its memory has
//! some hundreds of kibibytes. The rest is [postcard](https://postcard.jamesmunns.com/wire-format): integers take as many
//! bytes as they need.
//!
//! The sender may have been taken over by the server it talks to, so nothing is believed: every position must exist,
//! no figure is past [`FIGURE_MAX`], and what a histogram says of itself must agree with its buckets. What is decoded
//! takes the memory that the receiver's own plan gives it; on the way there, a constant times the bytes received.

use serde::{Deserialize, Serialize};

use crate::histogram::{Exact, Histogram};
use crate::plan::CONNECTIONS_MAX;
use crate::snapshot::{CoreTime, Counters, FIGURE_MAX, RequestStats, Snapshot, Stats};

/// Ticks of a run are a second or longer; these are eight years of them.
const TICK_MAX: u64 = 1 << 28;
/// A hundred days, longer than any run.
pub const SPAN_MAX_NS: u64 = 1 << 53;

/// Why bytes are no snapshot.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CodecError {
    #[error("the bytes end early or are of another form: {0}")]
    Form(#[from] postcard::Error),
    #[error("there are {0} bytes more than it has")]
    Longer(usize),
    #[error("it is of {got} requests where the plan has {want}")]
    Names { got: usize, want: usize },
    #[error("its {0} cannot be")]
    Figure(&'static str),
}

/// Appends a snapshot to `out`.
///
/// # Errors
/// None in practice: memory takes everything.
pub fn encode_snapshot(snapshot: &Snapshot, out: Vec<u8>) -> Result<Vec<u8>, CodecError> {
    let head = Head {
        worker: snapshot.worker,
        core: snapshot.core,
        seq: snapshot.seq,
        tick: snapshot.tick,
        time: snapshot.time,
        connections: snapshot.connections,
        arrivals_in_flight: snapshot.arrivals_in_flight,
        requests_in_flight: snapshot.requests_in_flight,
        last: snapshot.last,
    };
    encode_stats(&snapshot.stats, postcard::to_extend(&head, out)?)
}

/// Reads a snapshot of a plan with so many request names.
///
/// # Errors
/// What is wrong with the bytes.
pub fn decode_snapshot(bytes: &[u8], names: usize) -> Result<Snapshot, CodecError> {
    let (head, rest): (Head, _) = postcard::take_from_bytes(bytes)?;
    let CoreTime { wall_ns, busy_ns, stalled_ns } = head.time;
    within(head.tick, TICK_MAX, "tick")?;
    within(wall_ns.max(busy_ns).max(stalled_ns), SPAN_MAX_NS, "time")?;
    within(head.connections, u64::from(CONNECTIONS_MAX), "number of connections")?;
    within(head.arrivals_in_flight.max(head.requests_in_flight), FIGURE_MAX, "number under way")?;
    Ok(Snapshot {
        worker: head.worker,
        core: head.core,
        seq: head.seq,
        tick: head.tick,
        stats: decode_stats(rest, names)?,
        time: head.time,
        connections: head.connections,
        arrivals_in_flight: head.arrivals_in_flight,
        requests_in_flight: head.requests_in_flight,
        last: head.last,
    })
}

/// Appends a sum to `out`.
///
/// # Errors
/// None in practice: memory takes everything.
pub fn encode_stats(stats: &Stats, out: Vec<u8>) -> Result<Vec<u8>, CodecError> {
    let coded = CodedStats {
        counters: stats.counters,
        requests: stats.requests.iter().map(CodedRequest::of).collect(),
        connect: CodedHistogram::of(&stats.connect),
        tls: CodedHistogram::of(&stats.tls),
        lag: CodedHistogram::of(&stats.lag),
        handshake: CodedHistogram::of(&stats.handshake),
    };
    Ok(postcard::to_extend(&coded, out)?)
}

/// Reads a sum of a plan with so many request names.
///
/// # Errors
/// What is wrong with the bytes.
pub fn decode_stats(bytes: &[u8], names: usize) -> Result<Stats, CodecError> {
    let (coded, rest): (CodedStats, _) = postcard::take_from_bytes(bytes)?;
    if !rest.is_empty() {
        return Err(CodecError::Longer(rest.len()));
    }
    if coded.requests.len() != names {
        return Err(CodecError::Names { got: coded.requests.len(), want: names });
    }
    for counter in coded.counters.all() {
        within(counter, FIGURE_MAX, "counters")?;
    }
    Ok(Stats {
        counters: coded.counters,
        requests: coded.requests.into_iter().map(CodedRequest::decode).collect::<Result<_, _>>()?,
        connect: coded.connect.decode()?,
        tls: coded.tls.decode()?,
        lag: coded.lag.decode()?,
        handshake: coded.handshake.decode()?,
    })
}

fn within(value: u64, most: u64, what: &'static str) -> Result<(), CodecError> {
    if value <= most { Ok(()) } else { Err(CodecError::Figure(what)) }
}

/// A snapshot but for its sums.
#[derive(Serialize, Deserialize)]
struct Head {
    worker: u32,
    core: u32,
    seq: u64,
    tick: u64,
    time: CoreTime,
    connections: u64,
    arrivals_in_flight: u64,
    requests_in_flight: u64,
    last: bool,
}

#[derive(Serialize, Deserialize)]
struct CodedStats {
    counters: Counters,
    requests: Vec<CodedRequest>,
    connect: CodedHistogram,
    tls: CodedHistogram,
    lag: CodedHistogram,
    handshake: CodedHistogram,
}

#[derive(Serialize, Deserialize)]
struct CodedRequest {
    statuses: Sparse,
    errors: Sparse,
    response_ok: CodedHistogram,
    response_failed: CodedHistogram,
    service: CodedHistogram,
    first_byte: CodedHistogram,
    kernel: CodedSums,
    dwell: CodedHistogram,
    checks_passed: u64,
    checks_failed: u64,
}

impl CodedRequest {
    fn of(stats: &RequestStats) -> Self {
        Self {
            statuses: Sparse::of(&stats.statuses),
            errors: Sparse::of(&stats.errors),
            response_ok: CodedHistogram::of(&stats.response_ok),
            response_failed: CodedHistogram::of(&stats.response_failed),
            service: CodedHistogram::of(&stats.service),
            first_byte: CodedHistogram::of(&stats.first_byte),
            kernel: CodedSums::of(&stats.kernel),
            dwell: CodedHistogram::of(&stats.dwell),
            checks_passed: stats.checks_passed,
            checks_failed: stats.checks_failed,
        }
    }

    fn decode(self) -> Result<RequestStats, CodecError> {
        within(self.checks_passed.max(self.checks_failed), FIGURE_MAX, "checks")?;
        let mut stats = RequestStats {
            response_ok: self.response_ok.decode()?,
            response_failed: self.response_failed.decode()?,
            service: self.service.decode()?,
            first_byte: self.first_byte.decode()?,
            kernel: self.kernel.decode()?,
            dwell: self.dwell.decode()?,
            checks_passed: self.checks_passed,
            checks_failed: self.checks_failed,
            ..RequestStats::default()
        };
        self.statuses.fill(&mut stats.statuses).ok_or(CodecError::Figure("statuses"))?;
        self.errors.fill(&mut stats.errors).ok_or(CodecError::Figure("errors"))?;
        Ok(stats)
    }
}

/// Nothing for an empty one.
#[derive(Serialize, Deserialize)]
struct CodedHistogram(Option<(Exact, Sparse)>);

impl CodedHistogram {
    fn of(histogram: &Histogram) -> Self {
        let (counts, exact) = histogram.parts();
        Self((!histogram.is_empty()).then(|| (exact, Sparse::of(counts))))
    }

    fn decode(self) -> Result<Histogram, CodecError> {
        let Some((exact, filled)) = self.0 else { return Ok(Histogram::default()) };
        within(exact.max, FIGURE_MAX, "largest time")?;
        let mut counts = Histogram::no_counts();
        let count = filled.fill(&mut counts[..]).ok_or(CodecError::Figure("buckets"))?;
        Histogram::of_parts(counts, count, exact).ok_or(CodecError::Figure("times"))
    }
}

/// A histogram with sums, and these of its filled buckets in ascending order.
///
/// That it has sums follows from what it is of, not from what the sender says, so the sender has no say in how much
/// memory it takes.
#[derive(Serialize, Deserialize)]
struct CodedSums(CodedHistogram, Vec<u128>);

impl CodedSums {
    fn of(histogram: &Histogram) -> Self {
        let sums = histogram.filled_sums().into_iter().flatten().collect();
        Self(CodedHistogram::of(histogram), sums)
    }

    fn decode(self) -> Result<Histogram, CodecError> {
        self.0.decode()?.and_sums(&self.1).ok_or(CodecError::Figure("sums of buckets"))
    }
}

/// Counts that are not zero, each with the number of zeros since the one before.
#[derive(Serialize, Deserialize)]
struct Sparse(Vec<(u32, u64)>);

impl Sparse {
    fn of(counts: &[u64]) -> Self {
        let mut skipped = 0;
        let mut filled = Vec::new();
        for &count in counts {
            if count == 0 {
                skipped += 1;
            } else {
                filled.push((skipped, count));
                skipped = 0;
            }
        }
        Self(filled)
    }

    /// Fills in the counts and returns their sum; `None` where one has no place or the sum is past all bounds.
    fn fill(self, counts: &mut [u64]) -> Option<u64> {
        let (mut rest, mut sum) = (counts, 0u64);
        for (skipped, count) in self.0 {
            let (place, after) = rest.get_mut(usize::try_from(skipped).ok()?..)?.split_first_mut()?;
            *place = count;
            rest = after;
            sum = sum.checked_add(count).filter(|sum| count > 0 && *sum <= FIGURE_MAX)?;
        }
        Some(sum)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::snapshot::tests::stats;

    fn encoded(stats: &Stats) -> Vec<u8> {
        encode_stats(stats, Vec::new()).unwrap()
    }

    fn sum_of(samples: u64) -> Stats {
        let mut stats = Stats::new(1);
        for value in 0..samples {
            stats.lag.record(value * 1_000);
            stats.requests[0].kernel.record(20_000_000 * (1 + value % 2));
            stats.requests[0].statuses[100] += 1;
        }
        stats
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn what_was_written_is_read(stats in stats(), seq in any::<u64>(), tick in 0u64..1 << 28, last in any::<bool>()) {
            let snapshot = Snapshot { seq, tick, stats, last, connections: 7, ..Snapshot::blank(3, 2, 0) };
            let bytes = encode_snapshot(&snapshot, Vec::new()).unwrap();
            prop_assert_eq!(decode_snapshot(&bytes, 2), Ok(snapshot));
            prop_assert!(decode_snapshot(&bytes[..bytes.len() - 1], 2).is_err());
            prop_assert_eq!(decode_snapshot(&[&bytes[..], &[0]].concat(), 2), Err(CodecError::Longer(1)));
        }

        /// Whatever is accepted can be added up, judged and written again.
        #[test]
        fn nothing_panics(
            stats in stats(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            noise in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut bytes = encoded(&stats);
            for (place, value) in changes {
                let place = place.index(bytes.len());
                bytes[place] = value;
            }
            for bytes in [&bytes, &noise] {
                if let Ok(decoded) = decode_stats(bytes, 2) {
                    prop_assert!(Stats::new(2).can_take(&decoded));
                    let mut sum = decoded.clone();
                    if sum.can_take(&decoded) {
                        sum.merge(&decoded);
                    }
                    let _ = sum.all_requests().response().stddev();
                    prop_assert_eq!(decode_stats(&encoded(&decoded), 2), Ok(decoded));
                }
                let _ = decode_snapshot(bytes, 2);
            }
        }
    }

    #[test]
    fn an_interval_is_small() {
        assert!(encoded(&Stats::new(1)).len() < 50, "{}", encoded(&Stats::new(1)).len());
        assert!(encoded(&sum_of(1_000)).len() < 2_000, "{}", encoded(&sum_of(1_000)).len());
    }

    /// A length that lies is found out before memory is asked for: so many pairs would be 64 GiB.
    #[test]
    fn a_length_is_not_believed() {
        let mut bytes = vec![0; Counters::default().all().len()];
        bytes.extend([1, 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 1]);
        assert!(matches!(decode_stats(&bytes, 1), Err(CodecError::Form(_))));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        fn check(want: &CodecError, change: impl FnOnce(&mut CodedStats)) {
            let mut coded: CodedStats = postcard::from_bytes(&encoded(&sum_of(3))).unwrap();
            change(&mut coded);
            let bytes = postcard::to_extend(&coded, Vec::new()).unwrap();
            assert_eq!(decode_stats(&bytes, 1).as_ref(), Err(want));
        }
        fn lag(coded: &mut CodedStats) -> &mut (Exact, Sparse) {
            coded.lag.0.as_mut().unwrap()
        }
        use CodecError::{Figure, Names};
        check(&Names { got: 0, want: 1 }, |coded| coded.requests.clear());
        check(&Figure("counters"), |coded| coded.counters.lost = FIGURE_MAX + 1);
        check(&Figure("statuses"), |coded| coded.requests[0].statuses.0[0].0 = 900);
        check(&Figure("errors"), |coded| coded.requests[0].errors.0.push((0, 0)));
        check(&Figure("checks"), |coded| coded.requests[0].checks_passed = FIGURE_MAX + 1);
        check(&Figure("checks"), |coded| coded.requests[0].checks_failed = u64::MAX);
        check(&Figure("buckets"), |coded| lag(coded).1.0[0].0 = u32::MAX);
        check(&Figure("buckets"), |coded| {
            lag(coded).1.0.iter_mut().for_each(|(_, count)| *count = FIGURE_MAX);
        });
        check(&Figure("buckets"), |coded| lag(coded).1.0[0].1 = u64::MAX);
        check(&Figure("times"), |coded| lag(coded).1.0.clear());
        check(&Figure("times"), |coded| lag(coded).0.min = 500);
        check(&Figure("times"), |coded| lag(coded).0.max = 5_000);
        check(&Figure("times"), |coded| lag(coded).0.sum = 1);
        check(&Figure("times"), |coded| lag(coded).0.sum = u128::MAX);
        check(&Figure("largest time"), |coded| lag(coded).0.max = u64::MAX);
        // Two kernel times of 20 ms and one of 40.
        let check_sums = |sums: &[u128]| {
            check(&Figure("sums of buckets"), |coded| coded.requests[0].kernel.1 = sums.to_vec());
        };
        check_sums(&[]);
        check_sums(&[40_000_000]);
        check_sums(&[40_000_000, 40_000_000, 0]);
        check_sums(&[40_000_001, 40_000_000]);
        check_sums(&[41_000_000, 39_000_000]);
        check_sums(&[39_000_000, 41_000_000]);
        check_sums(&[u128::MAX, 80_000_001]);
        check(&Figure("sums of buckets"), |coded| coded.requests[0].kernel.0.0 = None);
    }
}
