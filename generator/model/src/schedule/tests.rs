use proptest::prelude::*;

use super::*;

const RATES: std::ops::Range<u64> = 0..5_000_000;
const LENGTHS: std::ops::Range<u64> = 0..2_000_000_000;

/// One phase of any kind, or none where it has no length.
fn parts() -> impl Strategy<Value = Schedule> {
    let points = prop::collection::vec((LENGTHS.prop_map(Nanos), RATES.prop_map(Rate)), 0..6);
    let spike = (RATES, RATES, LENGTHS, LENGTHS, LENGTHS);
    prop_oneof![
        (RATES, LENGTHS).prop_map(|(r, d)| uniform().then(Shape::Constant(Rate(r)), Nanos(d))),
        (RATES, RATES, LENGTHS).prop_map(|(a, b, d)| uniform().then(Shape::Ramp(Rate(a), Rate(b)), Nanos(d))),
        LENGTHS.prop_map(|d| uniform().then_pause(Nanos(d))),
        points.prop_map(|points| uniform().then_points(&points)),
        spike.prop_map(|(from, to, rise, hold, fall)| {
            uniform().then_spike(Rate(from), Rate(to), Nanos(rise / 3), Nanos(hold / 3), Nanos(fall / 3))
        }),
        (RATES, RATES, LENGTHS, LENGTHS).prop_map(|(mean, swing, period, duration)| {
            // Short periods, too: many of them, and fewer nanoseconds than lines.
            let period = Nanos(if mean % 2 == 0 { period } else { period % 1_000 });
            uniform().then_sine(Rate(mean), Rate(swing), period, Nanos(duration))
        }),
        prop::collection::vec(LENGTHS.prop_map(Nanos), 0..40)
            .prop_map(|times| uniform().then_replay(times.into())),
    ]
}

fn schedules() -> impl Strategy<Value = Schedule> {
    let arrivals = prop_oneof![Just(Arrivals::Uniform), Just(Arrivals::Poisson)];
    (prop::collection::vec(parts(), 1..5), arrivals, any::<u64>()).prop_map(|(parts, arrivals, seed)| {
        let phases = parts.into_iter().flat_map(|part| part.phases);
        phases.fold(Schedule::new(arrivals, seed), |schedule, phase| {
            schedule.then_course(phase.course, phase.duration)
        })
    })
}

fn uniform() -> Schedule {
    Schedule::new(Arrivals::Uniform, 0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn times_never_go_back_and_stay_inside(schedule in schedules()) {
        let times: Vec<_> = schedule.slots(0, 1).collect();
        prop_assert!(times.is_sorted());
        prop_assert!(times.last().is_none_or(|&last| last < schedule.duration()));
    }

    #[test]
    fn the_count_of_any_window_is_exact(
        schedule in schedules(), a in 0u64..8_000_000_000, b in 0u64..8_000_000_000,
    ) {
        let (from, to) = (Nanos(a.min(b)), Nanos(a.max(b)));
        let inside = schedule.slots(0, 1).filter(|&time| time >= from && time < to).count() as u64;
        prop_assert_eq!(inside, schedule.count_before(to) - schedule.count_before(from));
    }

    #[test]
    fn what_is_expected_is_what_comes(schedule in schedules(), limit in 0u64..500) {
        let uniform = Schedule { arrivals: Arrivals::Uniform, ..schedule };
        let count = uniform.slots(0, 1).count() as u64;
        prop_assert_eq!(uniform.expected(), (count, uniform.duration()));
        let cut = uniform.clone().limited_to(limit);
        prop_assert_eq!(cut.expected().0, count.min(limit));
        prop_assert!(cut.slots(0, 1).all(|time| time <= cut.expected().1));
    }

    #[test]
    fn any_slot_is_where_it_is_for_who_counts_them_all(schedule in schedules(), first in 0u64..300) {
        let all = schedule.slots(0, 1).nth(usize::try_from(first).unwrap());
        prop_assert_eq!(schedule.slots(first, 1).next(), all);
    }

    #[test]
    fn strides_partition_the_slots(schedule in schedules(), cores in 1u64..9) {
        let mut split: Vec<_> = (0..cores).flat_map(|core| schedule.slots(core, cores)).collect();
        split.sort_unstable();
        prop_assert_eq!(split, schedule.slots(0, 1).collect::<Vec<_>>());
    }

    #[test]
    fn a_limit_cuts_the_tail(schedule in schedules(), limit in 0u64..500) {
        let whole = schedule.slots(0, 1).take(usize::try_from(limit).unwrap()).collect::<Vec<_>>();
        prop_assert_eq!(schedule.clone().limited_to(limit).slots(0, 1).collect::<Vec<_>>(), whole);
    }
}

#[test]
fn constant_slots_do_not_drift() {
    let day = Nanos::from_secs(86_400);
    let schedule = uniform().then(Shape::Constant(Rate::per_second(30_000)), day);
    assert_eq!(schedule.count_before(day), 30_000 * 86_400);
    let far = 30_000 * 86_399 + 1;
    assert_eq!(schedule.slots(far, 1).next(), Some(Nanos(86_399_000_033_333)));
}

#[test]
fn a_ramp_sends_the_area_under_it() {
    let schedule = uniform().then(Shape::Ramp(Rate(0), Rate::per_second(1_000)), Nanos::from_secs(10));
    assert_eq!(schedule.count_before(Nanos::from_secs(10)), 5_000);
    assert_eq!(schedule.count_before(Nanos::from_secs(5)), 1_250);
    assert_eq!(schedule.rate_at(Nanos::from_secs(5)), Rate::per_second(500));
}

#[test]
fn the_longest_and_fastest_lines_stay_in_range() {
    let day = Nanos::from_secs(86_400);
    for days in [1, 5, 25] {
        let schedule = uniform().then(Shape::Ramp(Rate(0), Rate::MAX), Nanos(day.0 * days));
        let slots = 10_000_000 / 2 * 86_400 * days;
        assert_eq!(schedule.count_before(schedule.duration()), slots);
        assert!(schedule.slots(slots - 1, 1).next().is_some());
        assert_eq!(schedule.slots(slots, 1).next(), None);
    }
    let widest = [(Nanos(u64::MAX - 1), Rate(u64::MAX)), (Nanos(u64::MAX), Rate(u64::MAX))];
    let schedule = uniform().then_points(&widest);
    assert_eq!(schedule.expected(), (u64::MAX / 100 + 1, Nanos(u64::MAX)));
    assert_eq!(schedule.rate_at(Nanos(u64::MAX / 2)), Rate::MAX);
}

#[test]
fn steps_are_constant_phases_of_a_bounded_number() {
    let steps = |from, by, until| {
        uniform().then_steps(Rate::per_second(from), Rate(by), Nanos::from_secs(1), Rate::per_second(until))
    };
    for (schedule, slots, seconds) in [
        (steps(100, 100_000, 300), 600, 3),
        (steps(100, 100_000, 299), 300, 2),
        (steps(100, 0, 300), 100, 1),
        (steps(100, u64::MAX, 300), 100, 1),
        (steps(300, 1, 100), 0, 0),
    ] {
        assert_eq!(schedule.expected(), (slots, Nanos::from_secs(seconds)));
    }
    assert_eq!(steps(0, 1, 10_000_000).duration(), Nanos::from_secs(STEPS_MAX as u64));
}

#[test]
fn poisson_gaps_have_the_spread_of_an_exponential() {
    let schedule = Schedule::new(Arrivals::Poisson, 7)
        .then(Shape::Constant(Rate::per_second(10_000)), Nanos::from_secs(20));
    let times: Vec<_> = schedule.slots(0, 1).map(|n| n.0 as f64).collect();
    let gaps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let deviation = (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64).sqrt();
    assert!((mean / 100_000.0 - 1.0).abs() < 0.01, "mean gap {mean}");
    assert!((deviation / mean - 1.0).abs() < 0.02, "deviation over mean {}", deviation / mean);
}

/// Times in seconds, rates in requests a second.
fn check_rates(schedule: &Schedule, slots: u64, rates: &[(f64, f64)]) {
    assert_eq!(schedule.count_before(schedule.duration()), slots);
    for &(at, want) in rates {
        let got = schedule.rate_at(nanos(at)).as_per_second();
        assert!((got - want).abs() < 0.01, "{got} at {at} s, not {want}");
    }
}

fn nanos(seconds: f64) -> Nanos {
    format!("{seconds}s").parse().unwrap()
}

#[test]
fn shapes_have_their_rates_and_as_many_slots_as_the_area_under_them() {
    let rate = Rate::per_second;
    let second = Nanos::from_secs;
    let spike = uniform().then_spike(rate(100), rate(500), second(2), second(3), second(4));
    check_rates(
        &spike,
        600 + 1_500 + 1_200,
        &[(0.0, 100.0), (1.0, 300.0), (4.0, 500.0), (7.0, 300.0), (9.0, 0.0)],
    );

    let sine = uniform().then_sine(rate(100), rate(50), second(40), second(60));
    let crests = [(0.0, 100.0), (10.0, 150.0), (20.0, 100.0), (30.0, 50.0), (50.0, 150.0)];
    // Half a sine more than its mean: 50 * 40 / pi, of which lines take 0.08 %.
    check_rates(&sine, 6_637, &crests);

    let below = uniform().then_sine(rate(0), rate(100), second(64), second(64));
    check_rates(&below, 2_036, &[(16.0, 100.0), (33.0, 0.0), (48.0, 0.0)]);

    let points = [
        (second(1), rate(10)),
        (second(3), rate(30)),
        (second(3), rate(100)),
        (second(2), rate(1)),
        (second(4), rate(0)),
    ];
    let points = uniform().then_points(&points);
    // A jump takes the last rate of its instant.
    check_rates(&points, 10 + 40 + 1, &[(0.5, 10.0), (2.0, 20.0), (3.0, 1.0), (3.5, 0.5)]);
    assert_eq!(points.duration(), second(4));
    assert_eq!(uniform().then_points(&[]).then_points(&[(second(0), rate(5))]), uniform());
}

#[test]
fn a_pause_has_no_slots_and_no_gap() {
    let tenth = Nanos::from_millis(100);
    for arrivals in [Arrivals::Uniform, Arrivals::Poisson] {
        let ten = Shape::Constant(Rate::per_second(100));
        let schedule =
            Schedule::new(arrivals, 5).then(ten, tenth).then_pause(Nanos::from_secs(2)).then(ten, tenth);
        assert_eq!(schedule.count_before(tenth), schedule.count_before(Nanos::from_millis(2_100)));
        assert!(schedule.count_before(schedule.duration()) > schedule.count_before(tenth));
        assert_eq!(schedule.widest_gap(), Nanos::from_millis(10));
        assert_eq!(schedule.rate_at(Nanos::from_secs(1)), Rate(0));
    }
    assert_eq!(uniform().then_pause(tenth).expected(), (0, tenth));
    assert_eq!(uniform().then_pause(tenth).widest_gap(), Nanos::ZERO);
    assert_eq!(uniform().then(Shape::Constant(Rate(1)), Nanos::ZERO), uniform());
}

#[test]
fn a_replay_keeps_its_times_whatever_the_arrivals_are() {
    let times = [3, 1_000, 1_000, 7_000_000_000].map(Nanos);
    for arrivals in [Arrivals::Uniform, Arrivals::Poisson] {
        let replay = |times: &[Nanos]| {
            let before = Schedule::new(arrivals, 5).then_pause(Nanos(10));
            before.then_replay(times.into()).then(Shape::Constant(Rate::per_second(1)), Nanos(1))
        };
        let schedule = replay(&times);
        let after = schedule.slots(4, 1).collect::<Vec<_>>();
        let want: Vec<_> = times.iter().map(|time| Nanos(time.0 + 10)).chain(after).collect();
        assert_eq!(schedule.slots(0, 1).collect::<Vec<_>>(), want);
        assert_eq!(schedule.slots(1, 2).next(), Some(Nanos(1_010)));
        assert_eq!(schedule.rate_at(Nanos(400_000_000)), Rate::per_second(3));
        assert_eq!(schedule.rate_at(Nanos(7_000_000_010)), Rate::per_second(1));
        assert_eq!(schedule.rate_at(Nanos(6_000_000_000)), Rate(0));
        let mut unsorted = times;
        unsorted.reverse();
        assert_eq!(replay(&unsorted), schedule);
    }
    assert_eq!(uniform().then_replay([0, 10, 19].map(Nanos).into()).widest_gap(), Nanos(6));
}

/// What is written down names all that a schedule is, and stays small.
#[test]
fn what_is_written_down_differs_where_schedules_do() {
    let text = |schedule: &Schedule| serde_json::to_string(schedule).unwrap();
    let replay = |last: u64| uniform().then_replay((0..10_000).chain([last]).map(Nanos).collect());
    assert_ne!(text(&replay(10_000)), text(&replay(10_001)));
    assert!(text(&replay(10_000)).len() < 300, "{}", text(&replay(10_000)));
    let spike = |hold| uniform().then_spike(Rate(1), Rate(9), Nanos(5), Nanos(hold), Nanos(5));
    assert_ne!(text(&spike(5)), text(&spike(6)));
    assert_eq!(text(&spike(5)), text(&spike(5)));
}

/// Reckoned apart from this code: a plan's arrivals must stay the same from version to version.
#[test]
fn poisson_arrivals_of_a_seed_are_these() {
    let schedule = Schedule::new(Arrivals::Poisson, 7)
        .then(Shape::Constant(Rate::per_second(10_000)), Nanos::from_secs(1));
    let first: Vec<_> = schedule.slots(0, 1).take(4).map(|time| time.0).collect();
    assert_eq!(first, [94_203, 502_911, 513_362, 567_330]);
}
