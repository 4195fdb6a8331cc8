//! The pieces that are counted: each runs a number of times on inputs that a compiler cannot see through.

use std::hint::black_box;

use brunt_model::histogram::Histogram;
use brunt_model::outcome::Outcome;
use brunt_model::sample::Sample;
use brunt_model::schedule::{Arrivals, Schedule, Shape};
use brunt_model::snapshot::Stats;
use brunt_model::units::{Nanos, Rate};

use crate::parse;

pub(crate) struct Kernel {
    pub name: &'static str,
    pub what: &'static str,
    /// Enough for a difference that start-up cannot disturb.
    pub times: u64,
    pub run: fn(u64),
}

pub(crate) static KERNELS: [Kernel; 11] = [
    kernel("slot-constant", "one slot of a constant rate", 100_000, slot_constant),
    kernel("slot-ramp", "one slot of a linear ramp", 100_000, slot_ramp),
    kernel("slot-poisson", "one slot of Poisson arrivals", 100_000, slot_poisson),
    kernel("histogram", "one value into a histogram", 1_000_000, histogram),
    kernel("record", "one sample into the statistics of a core", 1_000_000, record),
    kernel("parse-repeated", "one answer whose head is the last one", 200_000, parse::repeated),
    kernel("parse-dated", "one answer with another Date", 200_000, parse::dated),
    kernel("parse-other", "one answer with another head", 100_000, parse::other),
    kernel("parse-split", "one answer cut in its head", 100_000, parse::split),
    kernel("parse-chunked", "one answer in two chunks", 100_000, parse::chunked),
    kernel("parse-httparse", "one head by httparse alone: a yardstick", 100_000, parse::httparse_alone),
];

const fn kernel(name: &'static str, what: &'static str, times: u64, run: fn(u64)) -> Kernel {
    Kernel { name, what, times, run }
}

/// The lateness threshold of a plan's default.
const LATE_OVER_NS: u64 = 1_000_000;

const LONG: Nanos = Nanos::from_secs(3_600);

fn slot_constant(times: u64) {
    take(Schedule::new(Arrivals::Uniform, 1).then(Shape::Constant(Rate::per_second(20_000)), LONG), times);
}

fn slot_ramp(times: u64) {
    let shape = Shape::Ramp(Rate::per_second(1_000), Rate::per_second(100_000));
    take(Schedule::new(Arrivals::Uniform, 1).then(shape, LONG), times);
}

fn slot_poisson(times: u64) {
    take(Schedule::new(Arrivals::Poisson, 1).then(Shape::Constant(Rate::per_second(20_000)), LONG), times);
}

fn take(schedule: Schedule, times: u64) {
    let mut slots = black_box(schedule).slots(0, 1);
    for _ in 0..times {
        black_box(slots.next());
    }
}

/// Times between 16 us and 2 ms: a cheap sequence that visits many buckets.
fn response_ns(i: u64) -> u64 {
    16_384 + (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 43)
}

fn histogram(times: u64) {
    let mut histogram = Histogram::default();
    for i in 0..times {
        histogram.record(black_box(response_ns(i)));
    }
    black_box(histogram);
}

fn record(times: u64) {
    let mut stats = Stats::new(1);
    for i in 0..times {
        let sent = i * 1_000;
        let sample = Sample {
            intended_ns: sent,
            ready_ns: sent,
            sent_ns: Some(sent + 200),
            first_byte_ns: Some(sent + response_ns(i) - 1),
            done_ns: sent + response_ns(i),
            bytes_in: 300,
            kernel: brunt_model::sample::Kernel::Off,
            outcome: Outcome::Completed(200),
        };
        stats.record(0, black_box(&sample), true, LATE_OVER_NS);
    }
    black_box(stats);
}
