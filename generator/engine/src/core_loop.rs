//! The loop of one core. All control flow of the engine is here: when to look at the clock, what to send, when to
//! wait and when to end. What becomes of one request is in [`crate::exchange`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use brunt_loader::timing::CoreTiming;
use brunt_model::exchange::Exchange as Whole;
use brunt_model::expr::Value;
use brunt_model::plan::{Plan, Target};
use brunt_model::samples::Observed;
use brunt_model::snapshot::{CoreTime, Stats};
use brunt_model::split::Share;
use brunt_model::units::Nanos;

use crate::clock::Clock;
use crate::conn::link::{Context, Link, Outgoing};
use crate::conn::tls::Setup;
use crate::connection::Conn;
use crate::fill::{Filler, Place};
use crate::io::{ConnId, Driver};
use crate::lane::{LaneId, Lanes, Layout};
use crate::limits::{
    CONNECT_TRIES, CONNECTS_IN_FLIGHT_MAX, DISPATCH_MAX, GATHER_NS, OPEN_AHEAD_NS, SEND_BATCH, STALL_NS,
    SWEEP_NS, TURN_BYTES,
};
use crate::pacer::Wait;
use crate::pool::Pool;
use crate::record::{Exchange, Gauges, Recorder};
use crate::samples::Samples;
use crate::settings::{NEVER, Settings, Work, homes_of, sources_by_endpoint, work_of};
use crate::sight::Data;
use crate::stamps::Stamps;
use crate::trace::Trace;
use crate::users::Users;
use crate::{Controls, Pace, Stop};

/// What a core works with.
pub(crate) struct Means<D, C> {
    pub(crate) driver: D,
    pub(crate) clock: C,
    /// By target.
    pub(crate) tls: Vec<Option<Setup>>,
    /// The kernel's time stamps of its connections.
    pub(crate) timing: Option<CoreTiming>,
    pub(crate) late_reads: Nanos,
    pub(crate) data: Data,
}

/// Instants and tallies of the loop itself.
#[derive(Default)]
pub(crate) struct Progress {
    t0: u64,
    end: u64,
    /// When the last request could begin.
    sent_until: u64,
    drain_until: u64,
    pub(crate) next_sweep: u64,
    next_tick: u64,
    spun: u64,
    /// The last reading of the clock, or the end of the last wait.
    pub(crate) seen: u64,
    stalled: u64,
    /// Wall, CPU and spin time at the start of the interval.
    interval_from: (u64, u64, u64),
    ended_at: u64,
}

/// What a core has when it is done.
#[derive(Debug)]
pub(crate) struct CoreEnd {
    pub(crate) total: Stats,
    pub(crate) ended_at: u64,
    /// When the last request could begin.
    pub(crate) sent_until: u64,
    pub(crate) arrivals_in_flight: u64,
    pub(crate) requests_in_flight: u64,
    pub(crate) late_for_connections: u64,
    pub(crate) stopped: bool,
    pub(crate) unreachable: bool,
    pub(crate) told: Vec<Value>,
    pub(crate) samples: Vec<Observed>,
    pub(crate) exchanges: Vec<Whole>,
}

pub(crate) struct CoreLoop<D: Driver, C: Clock> {
    pub(crate) settings: Settings,
    pub(crate) driver: D,
    pub(crate) clock: C,
    pub(crate) conns: Vec<Conn>,
    /// By connection: when something must have happened, else it is given up.
    pub(crate) deadlines: Vec<u64>,
    pub(crate) lanes: Lanes,
    pub(crate) pool: Pool,
    pub(crate) work: Work,
    pub(crate) context: Context,
    /// By target.
    pub(crate) tls: Vec<Option<Setup>>,
    /// The kernel's time stamps, where they are to be had.
    pub(crate) stamps: Option<Stamps>,
    /// What arrived is handled so much later.
    late_reads: u64,
    /// The script's requests.
    pub(crate) requests: Vec<Outgoing>,
    pub(crate) users: Users,
    pub(crate) data: Data,
    pub(crate) filler: Filler,
    /// By target.
    pub(crate) places: Vec<Place>,
    pub(crate) recorder: Recorder,
    pub(crate) samples: Samples,
    /// Where exchanges are kept.
    pub(crate) trace: Option<Box<Trace>>,
    /// Lanes whose requests go out by themselves and wait for their time stamp.
    pub(crate) queued: Vec<LaneId>,
    /// Connections with something to write.
    pub(crate) dirty: Vec<ConnId>,
    /// How long the last answer took.
    pub(crate) service_ns: u64,
    /// Plaintext of one receive.
    pub(crate) plain: Vec<u8>,
    /// Requests under way.
    pub(crate) in_flight: u64,
    pub(crate) connects_failed: u64,
    pub(crate) ever_connected: bool,
    /// Some core of this run has connected.
    pub(crate) reached: Arc<AtomicBool>,
    /// New requests may begin.
    pub(crate) sending: bool,
    controls: Controls,
    stopped: bool,
    gave_up: bool,
    pub(crate) progress: Progress,
}

/// The script's requests as the plan's protocol sends them.
fn all_outgoing(settings: &Settings) -> Vec<Outgoing> {
    let requests = settings.plan.script.calls.iter().enumerate();
    let numbered = requests.map(|(number, template)| (u16::try_from(number).unwrap_or(u16::MAX), template));
    numbered.map(|(number, template)| settings.outgoing(&template.request, number, true)).collect()
}

/// The numbers of the users of a core, by connection.
fn user_numbers(share: Share, layout: Layout) -> impl Iterator<Item = u64> {
    let (offset, stride) = share.position();
    let Layout { homes, users, .. } = layout;
    // As `Lanes::homes` goes: the first of each connection before any second.
    let place = move |index: u32| u64::from(index % users) * u64::from(homes) + u64::from(index / users);
    (0..homes * users).map(move |index| offset + place(index) * stride)
}

/// Where cookies for a target go.
fn place_of(target: &Target) -> Place {
    let (secure, rest) = match target.url.split_once("://") {
        Some((scheme, rest)) => (scheme == "https", rest),
        None => (false, ""),
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let port = authority.rfind(':').filter(|at| !authority[*at..].contains(']'));
    Place { host: authority[..port.unwrap_or(authority.len())].to_owned(), secure, now_s: 0 }
}

impl<D: Driver, C: Clock> CoreLoop<D, C> {
    /// Everything is allocated here; the loop allocates nothing.
    pub(crate) fn new(
        plan: &Arc<Plan>,
        share: Share,
        pace: Pace,
        means: Means<D, C>,
        exchange: Exchange,
        controls: Controls,
    ) -> Self {
        let layout = Layout::of(plan, homes_of(plan, share));
        let (connections, lanes) = (layout.connections(), layout.lanes());
        let (worker, core, names) = (share.worker, exchange.seat, plan.request_names().len());
        let settings = Settings::new(plan, share, pace);
        let Means { driver, clock, tls, timing, late_reads, data } = means;
        let place = || Conn::new(Link::new(settings.protocol));
        let stamps = timing.map(|timing| {
            let places = connections as usize * lanes.next_power_of_two() as usize;
            Stamps::new(timing, settings.one_at_a_time, connections as usize, places, lanes as usize)
        });
        Self {
            conns: std::iter::repeat_with(place).take(connections as usize).collect(),
            deadlines: vec![NEVER; connections as usize],
            lanes: Lanes::new(layout),
            pool: Pool::new(layout.homes, layout.users, sources_by_endpoint(plan)),
            work: work_of(plan, share, pace),
            context: Context::of(plan),
            requests: all_outgoing(&settings),
            users: Users::new(plan, layout, user_numbers(share, layout)),
            data,
            filler: Filler::default(),
            places: plan.targets.iter().map(place_of).collect(),
            plain: Vec::with_capacity(if plan.has_tls() { TURN_BYTES } else { 0 }),
            tls,
            stamps,
            late_reads: late_reads.0,
            reached: exchange.reached.clone(),
            recorder: Recorder::new(worker, core, names, exchange, plan.late_over.0),
            samples: Samples::default(),
            trace: plan.script.once.then(Box::default),
            settings,
            driver,
            clock,
            queued: Vec::with_capacity(SEND_BATCH),
            // Each that is written may have more for the next round.
            dirty: Vec::with_capacity(2 * connections as usize),
            service_ns: 0,
            in_flight: 0,
            connects_failed: 0,
            ever_connected: false,
            sending: false,
            controls,
            stopped: false,
            gave_up: false,
            progress: Progress { next_sweep: NEVER, ..Progress::default() },
        }
    }

    /// Opens the connections that the load begins with, as far as they are there within a moment.
    pub(crate) fn open_ahead(&mut self) {
        let mut wanted = self.settings.connects_ahead;
        let give_up = self.clock.now() + self.settings.connect_ns.min(OPEN_AHEAD_NS);
        loop {
            let now = self.clock.now();
            // A few at a time, so that the time of the first is not that of the whole batch.
            let mut burst = SEND_BATCH;
            while wanted > 0 && burst > 0 && self.pool.connecting() < CONNECTS_IN_FLIGHT_MAX {
                let Some(conn) = self.pool.take_free() else { break };
                self.begin_connect(conn, now);
                wanted -= 1;
                burst -= 1;
            }
            let hopeless = !self.ever_connected && self.connects_failed > CONNECT_TRIES;
            if (wanted == 0 || hopeless) && self.pool.connecting() == 0
                || now >= give_up
                || self.controls.stop.get() > Stop::No
            {
                return self.abandon_connects();
            }
            self.expire(now);
            let now = self.flush(true);
            self.driver.wait(now, now + SWEEP_NS / 10);
            self.take_events();
        }
    }

    /// Runs the load from T0 to its end.
    pub(crate) fn run(mut self, t0: u64) -> CoreEnd {
        self.begin(t0);
        loop {
            let now = self.now();
            self.dispatch(now);
            if now >= self.progress.next_sweep {
                self.sweep(now);
            }
            if self.finished(now) {
                break;
            }
            self.wait();
            if self.late_reads > 0 {
                self.read_late();
            }
            self.take_events();
        }
        self.end()
    }

    fn begin(&mut self, t0: u64) {
        self.sending = true;
        self.recorder.measure_from(t0 + self.settings.plan.warmup.0);
        self.progress = Progress {
            t0,
            end: t0.saturating_add(self.settings.duration_ns),
            drain_until: NEVER,
            next_sweep: t0,
            next_tick: t0 + self.settings.interval_ns,
            interval_from: (t0, self.clock.cpu(), 0),
            ..Progress::default()
        };
        while self.clock.now() < t0 {
            std::hint::spin_loop();
        }
        self.progress.seen = self.clock.now();
        match &mut self.work {
            Work::Open { pacer, .. } => pacer.begin(t0),
            Work::Closed { .. } => {
                // Nothing schedules the first request of a user: it is meant for when the core gets to it.
                for user in self.lanes.homes() {
                    let now = self.clock.now();
                    self.begin_user(user, now);
                }
            }
        }
    }

    /// Reads the clock, and notices when the core stood still since the last reading.
    #[inline(always)]
    pub(crate) fn now(&mut self) -> u64 {
        let now = self.clock.now();
        let step = now.saturating_sub(self.progress.seen);
        if step > STALL_NS {
            self.progress.stalled += step;
        }
        self.progress.seen = now;
        now
    }

    /// A wait was to end at `until` at the latest; how long it lasts before is no stall.
    #[inline]
    fn waited(&mut self, until: u64) {
        let now = self.clock.now();
        self.progress.seen = now.min(until).max(self.progress.seen);
        self.now();
    }

    /// Sends what is due.
    #[inline]
    fn dispatch(&mut self, mut now: u64) {
        for _ in 0..DISPATCH_MAX {
            if !self.wake_if_due(now) {
                break;
            }
            now = self.now();
        }
        if !self.sending {
            return;
        }
        for _ in 0..DISPATCH_MAX {
            let Work::Open { pacer, .. } = &mut self.work else { return };
            let Some(intended) = pacer.take(now) else { return };
            self.arrive(intended, now);
            now = self.now();
        }
    }

    /// Deadlines, intervals and ends: what need not be looked at for every event.
    fn sweep(&mut self, now: u64) {
        self.progress.next_sweep = now + SWEEP_NS;
        self.heed_dial(now);
        self.expire(now);
        self.open_for_backlog(now);
        let overflows = self.driver.take_overflows();
        self.recorder.counters().overflows += overflows;
        if now >= self.progress.next_tick {
            self.clock.follow();
            let tick = self.tick();
            self.progress.next_tick += self.settings.interval_ns;
            self.rotate(tick, now, false);
        }
        if self.sending && self.controls.stop.get() > Stop::No {
            self.stopped = true;
            self.stop_sending(now);
        }
        if self.sending && self.unreachable() {
            self.gave_up = true;
            self.stop_sending(now);
        }
    }

    /// A changed rate moves the slots to come, and with them the end of the load.
    fn heed_dial(&mut self, now: u64) {
        let per_mille = self.controls.dial.get();
        if let Work::Open { pacer, .. } = &mut self.work
            && per_mille != pacer.per_mille()
        {
            pacer.retune(now, per_mille);
            self.progress.end = pacer.time_of(Nanos(self.settings.duration_ns));
        }
    }

    /// Ends whatever is past its deadline.
    fn expire(&mut self, now: u64) {
        for index in 0..self.deadlines.len() {
            if self.deadlines[index] <= now {
                self.deadlines[index] = NEVER;
                self.connection_expired(ConnId(u32::try_from(index).unwrap_or(u32::MAX)), now);
            }
        }
        let mut from = 0;
        while let Some(lane) = self.lanes.expired(from, now) {
            from = lane.index() + 1;
            self.lane_expired(lane, now);
        }
        self.expire_backlog(now);
    }

    /// No connection was ever made, and each was tried.
    fn unreachable(&self) -> bool {
        let connections = match &self.work {
            Work::Closed { .. } => u64::from(self.lanes.home_connections()),
            Work::Open { .. } => self.settings.connects_ahead.max(8),
        };
        // Another core's connection shows that the target is there.
        let reached = self.ever_connected || self.reached.load(Ordering::Relaxed);
        !reached && connections > 0 && self.connects_failed >= CONNECT_TRIES * connections
    }

    fn stop_sending(&mut self, now: u64) {
        if self.sending {
            self.sending = false;
            self.progress.sent_until = now;
            self.progress.drain_until = now + self.settings.drain_ns;
            self.dismiss_all(now);
        }
    }

    fn finished(&mut self, now: u64) -> bool {
        if self.sending && self.load_is_over(now) {
            self.stop_sending(now);
        }
        if self.sending {
            return false;
        }
        self.progress.ended_at = now;
        let under_way = if self.settings.closed {
            self.in_flight + self.users.stopping()
        } else {
            self.arrivals_in_flight()
        };
        let idle = under_way == 0;
        idle || now >= self.progress.drain_until || self.controls.stop.get() == Stop::Now
    }

    #[inline]
    fn load_is_over(&self, now: u64) -> bool {
        match &self.work {
            Work::Closed { remaining, .. } => {
                let done = *remaining == 0 || self.users.all_retired(self.lanes.users());
                now >= self.progress.end || (done && self.arrivals_in_flight() == 0)
            }
            Work::Open { pacer, .. } => now >= self.progress.end && pacer.next().is_none(),
        }
    }

    /// Hands over what is queued and passes the time until something is to be done.
    #[inline]
    fn wait(&mut self) {
        let now = self.flush(false);
        let other = self.progress.next_sweep.min(self.end_to_wake_for()).min(self.users.next_wake());
        if !self.dirty.is_empty() {
            return self.wait_for_more(now, self.gathered_until(other));
        }
        let wait = match &self.work {
            Work::Open { pacer, .. } if self.sending => pacer.wait(now, other),
            Work::Closed { .. } if self.settings.reads_together => Wait::Gather(other),
            _ => Wait::Sleep(other),
        };
        match wait {
            Wait::Spin(until) => self.spin(now, until),
            Wait::Gather(until) if self.in_flight > 1 => {
                self.driver.wait_together(now, until, self.gather());
                self.waited(until);
            }
            Wait::Gather(until) | Wait::Sleep(until) => {
                self.driver.wait(now, until);
                self.waited(until);
                if until > now {
                    self.learn_wake_up(until);
                }
            }
        }
    }

    /// Some connections gather, or have more to write.
    fn wait_for_more(&mut self, now: u64, until: u64) {
        if until <= now {
            // A long request goes on once it is known what has come meanwhile.
            return self.spin(now, now);
        }
        if self.settings.reads_together {
            self.driver.wait_together(now, until, self.gather());
        } else {
            self.driver.wait_roughly(now, until);
        }
        self.waited(until);
    }

    /// How long answers may gather: in a closed load, where everybody waits for them, only a part of what they take.
    fn gather(&self) -> u64 {
        if self.settings.closed { GATHER_NS.min(self.service_ns / 4) } else { GATHER_NS }
    }

    /// The end of the load, where nothing else wakes the core for it.
    #[inline]
    const fn end_to_wake_for(&self) -> u64 {
        let slots_left = match &self.work {
            Work::Open { pacer, .. } => pacer.next().is_some(),
            Work::Closed { .. } => false,
        };
        if self.sending && !slots_left { self.progress.end } else { NEVER }
    }

    /// A sleep that reached its end tells what waking up costs.
    #[inline]
    fn learn_wake_up(&mut self, until: u64) {
        if let Work::Open { pacer, .. } = &mut self.work
            && self.progress.seen > until
        {
            pacer.overslept(self.progress.seen - until);
        }
    }

    /// Watches clock and queue; the time is not work and is not counted as such.
    fn spin(&mut self, from: u64, until: u64) {
        self.driver.submit();
        let mut now = from;
        // A core that is behind its schedule must still hear of answers, so it looks at least once.
        while !self.driver.poll() && now < until {
            std::hint::spin_loop();
            now = self.now();
        }
        self.progress.spun += now - from;
    }

    /// Lets what has arrived lie for a while. That is not work either.
    fn read_late(&mut self) {
        if !self.driver.poll() {
            return;
        }
        let from = self.now();
        while self.progress.seen < from + self.late_reads {
            std::hint::spin_loop();
            self.now();
        }
        self.progress.spun += self.progress.seen - from;
    }

    fn rotate(&mut self, tick: u64, now: u64, last: bool) {
        self.note_all_retransmits();
        let cpu = self.clock.cpu();
        let (wall_from, cpu_from, spun_from) = self.progress.interval_from;
        let time = CoreTime {
            wall_ns: now.saturating_sub(wall_from),
            busy_ns: (cpu - cpu_from).saturating_sub(self.progress.spun - spun_from),
            stalled_ns: self.progress.stalled,
        };
        let gauges = Gauges {
            connections: self.pool.open() as u64,
            arrivals_in_flight: self.arrivals_in_flight(),
            requests_in_flight: self.in_flight,
        };
        if self.recorder.rotate(tick, time, gauges, last) {
            self.progress.interval_from = (now, cpu, self.progress.spun);
            self.progress.stalled = 0;
        }
    }

    pub(crate) const fn t0(&self) -> u64 {
        self.progress.t0
    }

    /// The interval that is being filled.
    const fn tick(&self) -> u64 {
        (self.progress.next_tick - self.progress.t0) / self.settings.interval_ns - 1
    }

    pub(crate) fn backlog_len(&self) -> u64 {
        match &self.work {
            Work::Open { backlog, .. } => backlog.len() as u64,
            Work::Closed { .. } => 0,
        }
    }

    fn end(mut self) -> CoreEnd {
        let now = self.progress.ended_at;
        if self.controls.stop.get() < Stop::Now {
            self.give_up_all(now);
        }
        self.rotate(self.tick(), now, true);
        let (arrivals, requests) = (self.arrivals_in_flight(), self.in_flight);
        // What users do at last counts, and so does its time.
        let is_stopped = self.settings.closed && !self.settings.plan.script.on_stop.is_empty();
        let sent_until = if is_stopped { now } else { self.progress.sent_until };
        let told = self.users.told(&self.settings.plan.script);
        let (total, late_for_connections) = self.recorder.into_total();
        CoreEnd {
            total,
            ended_at: now,
            sent_until,
            arrivals_in_flight: arrivals,
            requests_in_flight: requests,
            late_for_connections,
            stopped: self.stopped,
            unreachable: self.gave_up,
            told,
            samples: self.samples.all,
            exchanges: self.trace.map(|trace| trace.exchanges).unwrap_or_default(),
        }
    }
}
