//! What the host took from the engine's threads during a run (steal, run-queue delay, quota, pauses), and what it lost
//! of their packets.
//!
//! The engine may be another process, so all of it is read from outside, by its process and thread ids.

use std::collections::BTreeSet;

use brunt_model::units::{CoreId, Nanos};
use brunt_model::verdict::HostPressure;

use super::cgroup::CpuGroups;
use super::cpu::{self, ByCore};
use super::{drops, text_of};

/// Readings from before the run, and the last ones of each engine thread.
pub(crate) struct PressureGauge {
    cores: Vec<CoreId>,
    groups: CpuGroups,
    times: ByCore,
    throttled: Nanos,
    engine: Option<Engine>,
    softnet_drops: u64,
}

/// The engine, from when its threads are there.
struct Engine {
    process: u32,
    threads: Vec<Thread>,
    pause: Pause,
    /// Read at each look, because the files of a process go with it.
    listen_drops: Counter,
}

struct Thread {
    id: i32,
    run_delay: Counter,
}

/// Something that only grows: its first and its last reading.
#[derive(Copy, Clone, Debug)]
struct Counter {
    first: u64,
    last: u64,
}

/// How long the engine was stopped.
#[derive(Copy, Clone, Default, Debug)]
struct Pause {
    /// When the last look was, if that saw it stopped.
    since: Option<Nanos>,
    sum: Nanos,
}

impl PressureGauge {
    /// Takes the first readings.
    pub(crate) fn new(cores: &[CoreId]) -> Self {
        let groups = CpuGroups::of_this_process();
        let throttled = groups.throttled();
        Self {
            // Several loads may share one.
            cores: cores.iter().copied().collect::<BTreeSet<_>>().into_iter().collect(),
            groups,
            times: cpu::times(),
            throttled,
            engine: None,
            softnet_drops: drops::softnet(),
        }
    }

    /// The engine's threads are there, by core; they are of this process.
    pub(crate) fn begin(&mut self, process: u32, threads: &[i32]) {
        let threads = threads.iter().map(|&id| {
            let run_delay = Counter::from(run_delay(process, id).unwrap_or_default().0);
            Thread { id, run_delay }
        });
        self.engine = Some(Engine {
            process,
            threads: threads.collect(),
            pause: Pause::default(),
            listen_drops: Counter::from(drops::listen(process)),
        });
    }

    /// Looks at the whole engine, at this time of a monotonic clock; meant for every 100 ms or so. What lies between
    /// two looks is not seen, so a shorter pause may be missed: that one shows as time in which the cores stood still.
    pub(crate) fn look(&mut self, now: Nanos) {
        let Some(engine) = &mut self.engine else { return };
        let is_stopped = engine.threads.iter().any(|thread| is_stopped(engine.process, thread.id));
        engine.pause.saw(now, is_stopped);
        engine.listen_drops.rise_to(drops::listen(engine.process));
        engine.threads.iter_mut().for_each(|thread| thread.read(engine.process));
    }

    /// Reads the thread of one core again. The last value before its end is the one that counts, as its file goes
    /// with it.
    pub(crate) fn sample(&mut self, core: u32) {
        if let Some(engine) = &mut self.engine
            && let Some(thread) = engine.threads.get_mut(core as usize)
        {
            thread.read(engine.process);
        }
    }

    /// What was taken since the first readings.
    pub(crate) fn finish(&self) -> HostPressure {
        let engine = self.engine.as_ref();
        let delays = engine.into_iter().flat_map(|engine| &engine.threads);
        HostPressure {
            steal: cpu::stolen(&self.times, &cpu::times(), &self.cores),
            run_delay: Nanos(delays.map(|thread| thread.run_delay.grown()).sum()),
            throttled: Nanos(self.groups.throttled().0.saturating_sub(self.throttled.0)),
            paused: engine.map(|engine| engine.pause.sum).unwrap_or_default(),
            listen_drops: engine.map_or(0, Engine::listen_drops),
            softnet_drops: drops::softnet().saturating_sub(self.softnet_drops),
            ..HostPressure::default()
        }
    }
}

impl Engine {
    fn listen_drops(&self) -> u64 {
        let mut drops = self.listen_drops;
        drops.rise_to(drops::listen(self.process));
        drops.grown()
    }
}

impl Thread {
    fn read(&mut self, process: u32) {
        if let Some(delay) = run_delay(process, self.id) {
            self.run_delay.rise_to(delay.0);
        }
    }
}

impl Counter {
    fn from(first: u64) -> Self {
        Self { first, last: first }
    }

    /// A reading below the last one is of a file that is gone.
    fn rise_to(&mut self, reading: u64) {
        self.last = self.last.max(reading);
    }

    fn grown(self) -> u64 {
        self.last - self.first
    }
}

impl Pause {
    /// Only between two looks that both saw it stopped it certainly was.
    fn saw(&mut self, now: Nanos, is_stopped: bool) {
        if let Some(since) = self.since.filter(|_| is_stopped) {
            self.sum = Nanos(self.sum.0 + now.0.saturating_sub(since.0));
        }
        self.since = is_stopped.then_some(now);
    }
}

fn run_delay(process: u32, thread: i32) -> Option<Nanos> {
    parse_run_delay(&text_of(format!("/proc/{process}/task/{thread}/schedstat"))?)
}

fn is_stopped(process: u32, thread: i32) -> bool {
    let stat = text_of(format!("/proc/{process}/task/{thread}/stat"));
    stat.and_then(|stat| parse_state(&stat)).is_some_and(|state| matches!(state, 'T' | 't'))
}

/// Time on a CPU, time waiting for one (both in nanoseconds), number of time slices.
fn parse_run_delay(schedstat: &str) -> Option<Nanos> {
    schedstat.split_ascii_whitespace().nth(1)?.parse().ok().map(Nanos)
}

/// `pid (name) state ...` (proc(5)): `T` is stopped by a signal, `t` by a debugger. A name may hold anything, brackets
/// as well.
fn parse_state(stat: &str) -> Option<char> {
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use rustix::process::{Pid, Signal, kill_process};

    use super::*;
    use crate::host::clock::monotonic_nanos as monotonic;

    #[test]
    fn run_delay_is_the_second_field() {
        assert_eq!(parse_run_delay("459851 51653 2"), Some(Nanos(51_653)));
        assert_eq!(parse_run_delay("459851"), None);
        assert_eq!(parse_run_delay("a b c"), None);
    }

    #[test]
    fn the_state_follows_the_name() {
        for (stat, want) in [
            ("7 (brunt) S 1 7 7", Some('S')),
            ("7 (a) T (b)) t 1 7", Some('t')),
            ("7 (brunt)", None),
            ("", None),
        ] {
            assert_eq!(parse_state(stat), want, "{stat}");
        }
    }

    #[test]
    fn a_pause_lies_between_looks_that_both_saw_it() {
        for (looks, want) in [
            (vec![(0, false), (100, true), (200, false)], 0),
            (vec![(0, true), (100, true), (250, true), (300, false), (400, true)], 250),
            (vec![(0, true), (10, true), (20, false), (30, true), (45, true)], 25),
        ] {
            let mut pause = Pause::default();
            looks.iter().for_each(|&(now, is_stopped)| pause.saw(Nanos(now), is_stopped));
            assert_eq!(pause.sum, Nanos(want), "{looks:?}");
        }
    }

    #[test]
    fn a_thread_that_is_gone_keeps_its_last_value() {
        let mut gauge = PressureGauge::new(&[CoreId(0)]);
        gauge.sample(0);
        gauge.look(Nanos(1));
        gauge.begin(u32::MAX, &[i32::MAX]);
        gauge.sample(0);
        gauge.sample(7);
        gauge.look(Nanos(2));
        let pressure = gauge.finish();
        assert_eq!(
            (pressure.run_delay, pressure.paused, pressure.listen_drops),
            (Nanos::ZERO, Nanos::ZERO, 0)
        );
    }

    /// A child that is ended with its test.
    struct Sleeper(Child);

    impl Drop for Sleeper {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// Looks until the condition holds.
    fn look_until(gauge: &mut PressureGauge, met: impl Fn(&PressureGauge) -> bool) {
        const DEADLINE: Nanos = Nanos::from_secs(10);
        let begin = monotonic();
        while !met(gauge) {
            assert!(monotonic().0 - begin.0 < DEADLINE.0, "the deadline passed");
            gauge.look(monotonic());
        }
    }

    #[test]
    fn a_stopped_process_is_seen() {
        let child = Sleeper(Command::new("sleep").arg("60").spawn().unwrap());
        let pid = Pid::from_child(&child.0);
        let mut gauge = PressureGauge::new(&[CoreId(0)]);
        gauge.begin(child.0.id(), &[pid.as_raw_nonzero().get()]);
        gauge.look(monotonic());
        assert_eq!(gauge.finish().paused, Nanos::ZERO);
        kill_process(pid, Signal::STOP).unwrap();
        let pause = Nanos::from_millis(20);
        look_until(&mut gauge, |gauge| gauge.finish().paused >= pause);
        kill_process(pid, Signal::CONT).unwrap();
        look_until(&mut gauge, |gauge| {
            gauge.engine.as_ref().is_some_and(|engine| engine.pause.since.is_none())
        });
        let seen = gauge.finish().paused;
        gauge.look(monotonic());
        assert_eq!(gauge.finish().paused, seen, "a process that runs is not paused");
    }
}
