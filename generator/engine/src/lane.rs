//! Lanes: places for requests under way. An HTTP/1.1 connection has one, or as many as it pipelines; an HTTP/2
//! connection has one for each stream it may have. In a closed load each user owns one.

use brunt_model::plan::{Plan, Protocol};
use brunt_model::sample::Kernel;

use crate::conn::link::Outgoing;
use crate::io::ConnId;
use crate::settings::NEVER;

/// A lane's place in the dense table of its core.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct LaneId(pub(crate) u32);

impl LaneId {
    #[inline(always)]
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Where a lane's request stands.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug)]
pub(crate) enum Phase {
    /// There is none.
    #[default]
    Empty,
    /// It waits for its connection, or for the server to take another.
    Waiting,
    /// It is to be sent with the next batch.
    Queued,
    Sent,
}

/// A request that has begun.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Job {
    pub(crate) intended: u64,
    pub(crate) ready: u64,
    /// It had waited with all allowed connections in use.
    pub(crate) capped: bool,
    /// How often it was sent again because the server did not begin with it.
    pub(crate) resent: u8,
}

/// A request that goes out again: where an answer redirected it, or with what the server asked for.
#[derive(Debug)]
pub(crate) struct Detour {
    pub(crate) request: Outgoing,
    pub(crate) url: String,
    /// Redirects followed until here.
    pub(crate) hops: u32,
    /// It answers a challenge, and another one would be a refusal.
    pub(crate) answers: bool,
}

impl Job {
    /// The first attempt at what was meant to begin at this instant.
    pub(crate) const fn begun_at(intended: u64) -> Self {
        Self { intended, ready: intended, capped: false, resent: 0 }
    }
}

#[derive(Default, Debug)]
pub(crate) struct Lane {
    pub(crate) phase: Phase,
    pub(crate) job: Option<Job>,
    /// Which of the script's requests.
    pub(crate) request: u16,
    pub(crate) sent: u64,
    pub(crate) first_byte: u64,
    pub(crate) bytes_in: u64,
    /// When the present request of a chain of redirects was sent and first answered, and what had come before it.
    pub(crate) hop_sent: u64,
    pub(crate) hop_first_byte: u64,
    pub(crate) hop_from: u64,
    /// When it left and was answered by the kernel's clock, as far as that is known.
    pub(crate) kernel: Kernel,
    pub(crate) detour: Option<Box<Detour>>,
    /// Its request, where it is not the same as always.
    pub(crate) own: Option<Box<Outgoing>>,
}

impl Lane {
    /// Bytes of an answer came; true where they are its first.
    #[inline(always)]
    pub(crate) fn received(&mut self, bytes: u64, now: u64) -> bool {
        let first = self.hop_bytes() == 0 && bytes > 0;
        if first {
            self.hop_first_byte = now;
            if self.bytes_in == 0 {
                self.first_byte = now;
            }
        }
        self.bytes_in += bytes;
        first
    }

    /// The present request, where it is not the one that its call always makes.
    pub(crate) fn sent_own(&self) -> Option<&Outgoing> {
        self.detour.as_ref().map(|detour| &detour.request).or(self.own.as_deref())
    }

    /// Bytes of the answer to the present request.
    #[inline(always)]
    pub(crate) const fn hop_bytes(&self) -> u64 {
        self.bytes_in - self.hop_from
    }
}

/// How the lanes of a core lie. A user has one of its own, its home, on one of the first connections. For other targets,
/// and for requests that it makes at once, it has further ones: at the same place of further connections or, over HTTP/2,
/// on further streams of its connection.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Layout {
    /// Connections with homes.
    pub(crate) homes: u32,
    /// Users of each.
    pub(crate) users: u32,
    pub(crate) targets: u32,
    /// Connections to a target, and streams of a connection, that a user has.
    pub(crate) ways: u32,
    pub(crate) streams: u32,
}

impl Layout {
    pub(crate) fn of(plan: &Plan, homes: u32) -> Self {
        let (ways, streams) = match plan.protocol {
            Protocol::Http1 { .. } => (plan.script.ways(), 1),
            Protocol::Http2 { .. } => (1, plan.script.ways()),
        };
        let targets = u32::try_from(plan.targets.len()).unwrap_or(u32::MAX);
        Self { homes, users: plan.lanes(), targets, ways, streams }
    }

    pub(crate) const fn connections(self) -> u32 {
        self.homes * self.targets * self.ways
    }

    /// Lanes of a connection.
    pub(crate) const fn lanes(self) -> u32 {
        self.users * self.streams
    }

    /// The places of a connection's lanes are a power of two apart.
    const fn shift(self) -> u32 {
        self.lanes().next_power_of_two().trailing_zeros()
    }

    /// The number of a user among those of a core, by its home.
    #[inline(always)]
    pub(crate) const fn user(self, home: LaneId) -> usize {
        let shift = self.shift();
        let (conn, within) = (home.0 >> shift, home.0 & ((1 << shift) - 1));
        conn as usize * self.users as usize + within as usize
    }
}

/// All lanes of a core.
pub(crate) struct Lanes {
    slots: Vec<Lane>,
    /// By lane: when something must have happened, else it is given up.
    deadlines: Vec<u64>,
    layout: Layout,
    /// Lanes of a connection, and the power of two that their places are apart.
    per_connection: u32,
    shift: u32,
}

impl Lanes {
    pub(crate) fn new(layout: Layout) -> Self {
        let per_connection = layout.lanes();
        let shift = layout.shift();
        let count = (layout.connections() as usize) << shift;
        Self {
            slots: std::iter::repeat_with(Lane::default).take(count).collect(),
            deadlines: vec![NEVER; count],
            layout,
            per_connection,
            shift,
        }
    }

    #[inline(always)]
    pub(crate) const fn per_connection(&self) -> u32 {
        self.per_connection
    }

    #[inline(always)]
    pub(crate) const fn users_per_connection(&self) -> u32 {
        self.layout.users
    }

    pub(crate) const fn home_connections(&self) -> u32 {
        self.layout.homes
    }

    /// Users of all of a core.
    pub(crate) const fn users(&self) -> usize {
        self.layout.homes as usize * self.layout.users as usize
    }

    /// Which target a connection leads to.
    #[inline]
    pub(crate) const fn target(&self, conn: ConnId) -> usize {
        if self.is_home(conn) { 0 } else { (conn.0 / self.layout.homes / self.layout.ways) as usize }
    }

    /// Users have their homes on it.
    #[inline(always)]
    pub(crate) const fn is_home(&self, conn: ConnId) -> bool {
        conn.0 < self.layout.homes
    }

    /// The home of the user that a lane is for.
    #[inline]
    pub(crate) const fn home(&self, lane: LaneId) -> LaneId {
        let (conn, within) = (self.conn(lane), self.within(lane));
        if self.is_home(conn) && within < self.layout.users {
            return lane;
        }
        self.id(ConnId(conn.0 % self.layout.homes), within % self.layout.users)
    }

    /// The lane of a user for one of the requests that it makes at once to a target.
    #[inline]
    pub(crate) const fn place(&self, home: LaneId, target: u16, way: u16) -> LaneId {
        if target == 0 && way == 0 {
            return home;
        }
        let Layout { homes, users, ways, streams, .. } = self.layout;
        let (conn_way, stream) = if streams > 1 { (0, way as u32) } else { (way as u32, 0) };
        let conn = self.conn(home).0 + homes * (target as u32 * ways + conn_way);
        self.id(ConnId(conn), self.within(home) + users * stream)
    }

    #[inline(always)]
    pub(crate) const fn id(&self, conn: ConnId, lane: u32) -> LaneId {
        LaneId((conn.0 << self.shift) + lane)
    }

    #[inline(always)]
    pub(crate) const fn conn(&self, lane: LaneId) -> ConnId {
        ConnId(lane.0 >> self.shift)
    }

    /// Which of its connection's lanes it is.
    #[inline(always)]
    pub(crate) const fn within(&self, lane: LaneId) -> u32 {
        lane.0 & ((1 << self.shift) - 1)
    }

    /// The lanes of a connection.
    pub(crate) fn of(&self, conn: ConnId) -> impl Iterator<Item = LaneId> + use<> {
        let first = conn.0 << self.shift;
        (first..first + self.per_connection).map(LaneId)
    }

    /// The lanes of a connection, from one of them on and around.
    pub(crate) fn of_from(&self, conn: ConnId, within: u32) -> impl Iterator<Item = LaneId> + use<> {
        let first = conn.0 << self.shift;
        (within..self.per_connection).chain(0..within).map(move |lane| LaneId(first + lane))
    }

    /// Every lane of all connections, the first lane of each before any second.
    pub(crate) fn all(&self) -> impl Iterator<Item = LaneId> + use<> {
        self.first(self.layout.connections(), self.per_connection)
    }

    /// The homes of all users, the first of each connection before any second.
    pub(crate) fn homes(&self) -> impl Iterator<Item = LaneId> + use<> {
        self.first(self.layout.homes, self.layout.users)
    }

    fn first(&self, connections: u32, lanes: u32) -> impl Iterator<Item = LaneId> + use<> {
        let shift = self.shift;
        (0..lanes).flat_map(move |lane| (0..connections).map(move |conn| LaneId((conn << shift) + lane)))
    }

    #[inline(always)]
    pub(crate) fn get(&mut self, lane: LaneId) -> &mut Lane {
        &mut self.slots[lane.index()]
    }

    #[inline(always)]
    pub(crate) fn at(&self, lane: LaneId) -> &Lane {
        &self.slots[lane.index()]
    }

    #[inline(always)]
    pub(crate) fn set_deadline(&mut self, lane: LaneId, at: u64) {
        self.deadlines[lane.index()] = at;
    }

    /// The next lane from `from` on whose deadline has passed; it has none any more.
    #[inline]
    pub(crate) fn expired(&mut self, from: usize, now: u64) -> Option<LaneId> {
        let position = self.deadlines[from..].iter().position(|&deadline| deadline <= now)?;
        self.deadlines[from + position] = NEVER;
        Some(LaneId(u32::try_from(from + position).unwrap_or(u32::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn plain(homes: u32, users: u32) -> Layout {
        Layout { homes, users, targets: 1, ways: 1, streams: 1 }
    }

    #[test]
    fn a_user_has_a_lane_for_each_target_and_way() {
        for (ways, streams) in [(1, 1), (3, 1), (1, 3)] {
            let layout = Layout { homes: 4, users: 2, targets: 3, ways, streams };
            let lanes = Lanes::new(layout);
            let mut seen = Vec::new();
            for home in lanes.homes() {
                for (target, way) in (0..3).flat_map(|target| (0..3).map(move |way| (target, way))) {
                    if u32::from(way) >= ways.max(streams) {
                        continue;
                    }
                    let lane = lanes.place(home, target, way);
                    assert_eq!(lanes.home(lane), home, "{layout:?} {home:?} {target} {way}");
                    assert_eq!(lanes.target(lanes.conn(lane)), usize::from(target));
                    assert_eq!(lane == home, (target, way) == (0, 0));
                    seen.push(lane);
                }
            }
            let mut all: Vec<_> = lanes.all().collect();
            all.sort_unstable();
            seen.sort_unstable();
            assert_eq!(seen, all, "each lane is somebody's");
            let numbers: Vec<_> = (0..4).flat_map(|conn| lanes.of(ConnId(conn)).take(2)).collect();
            assert!(numbers.iter().enumerate().all(|(number, home)| layout.user(*home) == number));
            assert_eq!(lanes.users(), numbers.len());
        }
    }

    #[test]
    fn lanes_lie_beside_their_connection() {
        for per_connection in [1, 2, 3, 100] {
            let lanes = Lanes::new(plain(5, per_connection));
            let mut seen: Vec<_> = lanes.all().collect();
            assert_eq!(seen.len(), 5 * per_connection as usize);
            for conn in (0..5).map(ConnId) {
                let around: Vec<_> = lanes.of_from(conn, per_connection - 1).collect();
                assert_eq!(around.len(), per_connection as usize);
                assert_eq!(around[0], lanes.id(conn, per_connection - 1));
                for (position, lane) in lanes.of(conn).enumerate() {
                    assert_eq!((lanes.conn(lane), lanes.within(lane) as usize), (conn, position));
                    assert_eq!(lanes.id(conn, lanes.within(lane)), lane);
                }
            }
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), 5 * per_connection as usize);
        }
    }

    #[test]
    fn deadlines_expire_once() {
        let mut lanes = Lanes::new(plain(4, 1));
        lanes.set_deadline(LaneId(1), 10);
        lanes.set_deadline(LaneId(3), 20);
        assert_eq!(lanes.expired(0, 9), None);
        assert_eq!(lanes.expired(0, 20), Some(LaneId(1)));
        assert_eq!(lanes.expired(2, 20), Some(LaneId(3)));
        assert_eq!(lanes.expired(0, 20), None);
    }
}
