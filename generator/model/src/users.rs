//! How many virtual users of a closed load are active, and when each of them is.
//!
//! Users are numbered from zero. At every instant the active ones are those with the lowest numbers, so a user starts no
//! later and stops no earlier than those after it. Instants are integer nanoseconds from T0, computed from the user's
//! number, so each core knows its own users without asking another.

use serde::Serialize;

use crate::split::Share;
use crate::units::Nanos;

/// The users of a closed load over time.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize)]
pub struct Users {
    phases: Vec<Phase>,
    /// Active after the last phase, until something else than time ends them.
    open_end: Option<u32>,
}

/// The same number of users, or evenly spaced starts or stops. Of `n` users that start, the first does at once; of `n` that
/// stop, the last does at the end.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize)]
struct Phase {
    start: Nanos,
    duration: Nanos,
    from: u32,
    to: u32,
}

impl Users {
    /// Adds a phase after the last that goes from one number of users to another.
    #[must_use]
    pub fn then(mut self, from: u32, to: u32, duration: Nanos) -> Self {
        let start = self.phases_end();
        // The last instant is as far as times go.
        let duration = Nanos(duration.0.min(u64::MAX - start.0));
        if duration > Nanos::ZERO {
            self.phases.push(Phase { start, duration, from, to });
        }
        self
    }

    /// Adds a phase without users.
    #[must_use]
    pub fn then_pause(self, duration: Nanos) -> Self {
        self.then(0, 0, duration)
    }

    /// Has so many users active after the last phase, without an end known beforehand.
    #[must_use]
    pub const fn then_open_end(mut self, users: u32) -> Self {
        self.open_end = Some(users);
        self
    }

    /// From T0 to the end of the last phase; `None` if that is no matter of time.
    #[must_use]
    pub fn duration(&self) -> Option<Nanos> {
        if self.open_end.is_some() { None } else { Some(self.phases_end()) }
    }

    /// The most that are ever active at once, and so the number of all.
    #[must_use]
    pub fn max_users(&self) -> u32 {
        let most_of = |phase: &Phase| phase.from.max(phase.to);
        self.phases.iter().map(most_of).chain(self.open_end).max().unwrap_or(0)
    }

    #[must_use]
    pub fn active_at(&self, time: Nanos) -> u32 {
        match self.phases.get(self.phases.partition_point(|phase| phase.end() <= time)) {
            Some(phase) => phase.active_after(time.0 - phase.start.0),
            None => self.open_end.unwrap_or(0),
        }
    }

    /// The users of one core: its position among all cores of the run, and from there on each one that is as many further
    /// as there are cores.
    pub fn of_share(&self, share: Share) -> impl Iterator<Item = u32> + use<> {
        let (offset, stride) = share.position();
        let mut next = offset;
        let all = u64::from(self.max_users());
        std::iter::from_fn(move || {
            let user = u32::try_from(next).ok().filter(|_| next < all)?;
            next = next.saturating_add(stride);
            Some(user)
        })
    }

    /// When a user is active, as (from, until) in ascending order, with a pause between any two; the last has no end where
    /// time does not end it.
    pub fn stretches(&self, user: u32) -> impl Iterator<Item = (Nanos, Option<Nanos>)> + '_ {
        let open_end = self.open_end.filter(|users| user < *users).map(|_| (self.phases_end(), None));
        let of_phases = self.phases.iter().filter_map(move |phase| phase.stretch(user));
        let mut parts = of_phases.map(|(from, until)| (from, Some(until))).chain(open_end).peekable();
        std::iter::from_fn(move || {
            let (from, mut until) = parts.next()?;
            while let Some((_, later)) = parts.next_if(|(next, _)| Some(*next) == until) {
                until = later;
            }
            Some((from, until))
        })
    }

    fn phases_end(&self) -> Nanos {
        self.phases.last().map_or(Nanos::ZERO, |last| last.end())
    }
}

impl Phase {
    const fn end(&self) -> Nanos {
        Nanos(self.start.0 + self.duration.0)
    }

    fn active_after(&self, elapsed: u64) -> u32 {
        let passed =
            u128::from(elapsed) * u128::from(self.from.abs_diff(self.to)) / u128::from(self.duration.0);
        // Before the phase ends less than all have passed.
        let passed = u32::try_from(passed).unwrap_or(u32::MAX);
        if self.to > self.from { self.from + passed + 1 } else { self.from - passed }
    }

    /// When a user is active within this phase. There may be fewer nanoseconds than users to start.
    fn stretch(&self, user: u32) -> Option<(Nanos, Nanos)> {
        if user < self.from.min(self.to) {
            return Some((self.start, self.end()));
        }
        if user < self.to {
            return Some((self.turn(user - self.from), self.end())).filter(|(from, until)| from < until);
        }
        // The last user is the first to stop, one step into the phase.
        (user < self.from).then(|| (self.start, self.turn(self.from - user)))
    }

    /// The instant of one of the evenly spaced steps, rounded up.
    fn turn(&self, step: u32) -> Nanos {
        let elapsed = u128::from(step) * u128::from(self.duration.0);
        let elapsed = elapsed.div_ceil(u128::from(self.from.abs_diff(self.to)));
        // No step is past the end.
        Nanos(self.start.0 + u64::try_from(elapsed).unwrap_or(self.duration.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn users() -> impl Strategy<Value = Users> {
        let count = || prop_oneof![Just(0u32), 0u32..12];
        let phases = prop::collection::vec((count(), count(), 0u64..40), 0..6);
        (phases, prop::option::of(0u32..12)).prop_map(|(phases, open_end)| {
            let users = phases
                .into_iter()
                .fold(Users::default(), |users, (from, to, duration)| users.then(from, to, Nanos(duration)));
            Users { open_end, ..users }
        })
    }

    fn is_active(users: &Users, user: u32, time: Nanos) -> bool {
        users.stretches(user).any(|(from, until)| from <= time && until.is_none_or(|until| time < until))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn those_in_a_stretch_are_those_active(users in users()) {
            for time in (0..250).map(Nanos) {
                let active: Vec<_> = (0..15).filter(|&user| is_active(&users, user, time)).collect();
                prop_assert_eq!(active, (0..users.active_at(time)).collect::<Vec<_>>());
            }
            prop_assert_eq!(users.active_at(Nanos(u64::MAX)), users.open_end.unwrap_or(0));
        }

        #[test]
        fn stretches_are_apart_and_end_with_the_load(users in users(), user in 0u32..15) {
            let stretches: Vec<_> = users.stretches(user).collect();
            prop_assert!(stretches.windows(2).all(|pair| pair[0].1.is_some_and(|until| until < pair[1].0)));
            prop_assert!(stretches.iter().all(|(from, until)| until.is_none_or(|until| *from < until)));
            prop_assert!(stretches.is_empty() || user < users.max_users());
            if let (Some(end), Some((_, until))) = (users.duration(), stretches.last()) {
                prop_assert!(until.is_some_and(|until| until <= end));
            }
        }

        #[test]
        fn shares_deal_out_all_users(users in users(), workers in 1u32..4, cores in 1u32..4) {
            let places = (0..workers).flat_map(|worker| (0..cores).map(move |core| (worker, core)));
            let shares = places.map(|(worker, core)| Share { worker, workers, core, cores });
            let mut dealt: Vec<_> = shares.flat_map(|share| users.of_share(share)).collect();
            dealt.sort_unstable();
            prop_assert_eq!(dealt, (0..users.max_users()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn starts_and_stops_are_evenly_spaced() {
        let second = Nanos::from_secs;
        let users = Users::default().then(0, 4, second(40)).then(4, 4, second(60)).then(4, 0, second(40));
        for (user, from, until) in [(0, 0, 140), (1, 10, 130), (2, 20, 120), (3, 30, 110)] {
            assert_eq!(users.stretches(user).collect::<Vec<_>>(), [(second(from), Some(second(until)))]);
        }
        assert_eq!((users.max_users(), users.duration()), (4, Some(second(140))));
        let active = [0, 15, 50, 115, 139, 140].map(|time| users.active_at(second(time)));
        assert_eq!(active, [1, 2, 4, 3, 1, 0]);
    }

    #[test]
    fn the_most_users_and_the_longest_times_stay_in_range() {
        let users = Users::default().then(0, u32::MAX, Nanos(u64::MAX)).then(9, 9, Nanos(1)).then_open_end(3);
        assert_eq!(users.active_at(Nanos(u64::MAX - 1)), u32::MAX);
        assert_eq!(users.active_at(Nanos(u64::MAX)), 3);
        assert!(users.stretches(u32::MAX - 1).all(|(from, until)| Some(from) < until));
        assert_eq!(users.stretches(2).last(), Some((Nanos(2 * (u64::MAX / u64::from(u32::MAX))), None)));
    }
}
