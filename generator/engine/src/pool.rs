//! The connections of one core: which places are free, which connections are idle, and where new ones lead.

use std::ops::Range;

use crate::io::{ConnId, Route};
use crate::lane::LaneId;

/// Dense places for connections; everything is allocated at the start.
pub(crate) struct Pool {
    /// Places without a connection.
    free: Vec<ConnId>,
    /// Lanes of open connections without a request; the last one used is used first.
    idle: Vec<LaneId>,
    connecting: usize,
    open: usize,
    endpoints: Vec<Health>,
    /// By endpoint, the source addresses that fit it; empty leaves the choice to the kernel.
    sources: Vec<Vec<usize>>,
    turn: usize,
    source_turn: usize,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Health {
    Unknown,
    Good,
    Bad,
}

impl Pool {
    #[must_use]
    pub(crate) fn new(capacity: u32, lanes: u32, sources: Vec<Vec<usize>>) -> Self {
        Self {
            free: (0..capacity).rev().map(ConnId).collect(),
            idle: Vec::with_capacity((capacity * lanes) as usize),
            connecting: 0,
            open: 0,
            endpoints: vec![Health::Unknown; sources.len()],
            sources,
            turn: 0,
            source_turn: 0,
        }
    }

    #[must_use]
    pub(crate) const fn open(&self) -> usize {
        self.open
    }

    #[must_use]
    pub(crate) const fn connecting(&self) -> usize {
        self.connecting
    }

    #[must_use]
    pub(crate) const fn has_free(&self) -> bool {
        !self.free.is_empty()
    }

    /// Takes a place for a new connection.
    pub(crate) fn take_free(&mut self) -> Option<ConnId> {
        self.free.pop()
    }

    pub(crate) fn give_free(&mut self, conn: ConnId) {
        self.free.push(conn);
    }

    #[inline]
    pub(crate) fn take_idle(&mut self) -> Option<LaneId> {
        self.idle.pop()
    }

    #[inline]
    pub(crate) fn give_idle(&mut self, lane: LaneId) {
        self.idle.push(lane);
    }

    /// A connection with idle lanes ended. Rare, so a search is cheap enough.
    pub(crate) fn forget_idle(&mut self, is_its: impl Fn(LaneId) -> bool) {
        self.idle.retain(|&lane| !is_its(lane));
    }

    /// `is_home`: arrivals may get it.
    pub(crate) const fn connect_begun(&mut self, is_home: bool) {
        self.connecting += is_home as usize;
    }

    pub(crate) fn connect_ended(&mut self, is_home: bool, route: Route, good: bool) {
        self.connecting -= usize::from(is_home);
        if good {
            self.open += 1;
            self.endpoints[route.endpoint] = Health::Good;
        } else if self.endpoints[route.endpoint] == Health::Unknown {
            self.endpoints[route.endpoint] = Health::Bad;
        }
    }

    pub(crate) const fn connect_abandoned(&mut self, is_home: bool) {
        self.connecting -= is_home as usize;
    }

    pub(crate) const fn closed(&mut self) {
        self.open -= 1;
    }

    /// The route of the next connection to a target, by its endpoints: all addresses of its name in turn, but those that
    /// never answered only as long as none did.
    pub(crate) fn next_route(&mut self, of: Range<usize>) -> Route {
        let any_good = self.endpoints[of.clone()].contains(&Health::Good);
        let turn = self.turn;
        self.turn = self.turn.wrapping_add(1);
        let count = of.len();
        let usable = |&endpoint: &usize| !any_good || self.endpoints[endpoint] != Health::Bad;
        let mut in_turn = (0..count).map(|step| of.start + (turn + step) % count);
        let endpoint = in_turn.find(usable).unwrap_or(of.start);
        self.route_to(endpoint)
    }

    fn route_to(&mut self, endpoint: usize) -> Route {
        let fitting = &self.sources[endpoint];
        let source = (!fitting.is_empty()).then(|| fitting[self.source_turn % fitting.len()]);
        self.source_turn = self.source_turn.wrapping_add(1);
        Route { endpoint, source }
    }

    /// Another address to try after one that never answered failed; one that did answer has failed for good.
    pub(crate) fn other_route(&mut self, of: Range<usize>, failed: Route, tries: usize) -> Option<Route> {
        let count = of.len();
        if tries >= count || self.endpoints[failed.endpoint] == Health::Good {
            return None;
        }
        let any_good = self.endpoints[of.clone()].contains(&Health::Good);
        let wanted = |&endpoint: &usize| !any_good || self.endpoints[endpoint] == Health::Good;
        let failed = failed.endpoint - of.start;
        let endpoint = (1..count).map(|step| of.start + (failed + step) % count).find(wanted)?;
        Some(self.route_to(endpoint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_take_turns_and_avoid_what_never_answered() {
        let mut pool = Pool::new(4, 1, vec![vec![0, 1]; 3]);
        let routes: Vec<_> = (0..3).map(|_| pool.next_route(0..3)).collect();
        assert_eq!(routes.iter().map(|route| route.endpoint).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(routes.iter().map(|route| route.source).collect::<Vec<_>>(), [Some(0), Some(1), Some(0)]);
        for (route, good) in [(routes[0], false), (routes[1], true), (routes[2], true)] {
            pool.connect_begun(true);
            pool.connect_ended(true, route, good);
        }
        assert!((0..6).all(|_| pool.next_route(0..3).endpoint != 0));
        assert_eq!((pool.open(), pool.connecting()), (2, 0));
    }

    #[test]
    fn every_address_is_tried_once_before_giving_up() {
        let mut pool = Pool::new(1, 1, vec![Vec::new(); 2]);
        let first = pool.next_route(0..2);
        let second = pool.other_route(0..2, first, 1).expect("one is left");
        assert_ne!(first.endpoint, second.endpoint);
        assert_eq!(pool.other_route(0..2, second, 2), None);
    }

    #[test]
    fn an_address_that_answered_before_is_not_replaced_by_one_that_never_did() {
        let mut pool = Pool::new(2, 1, vec![Vec::new(); 2]);
        let (first, second) = (pool.next_route(0..2), pool.next_route(0..2));
        for (route, good) in [(first, true), (second, false)] {
            pool.connect_begun(true);
            pool.connect_ended(true, route, good);
        }
        assert_eq!(pool.other_route(0..2, second, 1), Some(first));
        assert_eq!(pool.other_route(0..2, first, 1), None);
    }

    #[test]
    fn sources_are_of_the_endpoints_family() {
        let mut pool = Pool::new(4, 1, vec![vec![1], vec![0, 2]]);
        let routes: Vec<_> =
            (0..4).map(|_| pool.next_route(0..2)).map(|route| (route.endpoint, route.source)).collect();
        assert_eq!(routes, [(0, Some(1)), (1, Some(2)), (0, Some(1)), (1, Some(2))]);
    }

    #[test]
    fn the_addresses_of_one_target_are_not_those_of_another() {
        let mut pool = Pool::new(4, 1, vec![Vec::new(); 5]);
        let endpoints: Vec<_> = (0..4).map(|_| pool.next_route(2..5).endpoint).collect();
        assert_eq!(endpoints, [2, 3, 4, 2]);
        let failed = pool.route_to(4);
        assert_eq!(pool.other_route(2..5, failed, 1).map(|route| route.endpoint), Some(2));
        assert_eq!(pool.other_route(2..5, failed, 3), None);
        pool.connect_begun(false);
        assert_eq!(pool.connecting(), 0, "arrivals do not wait for it");
        pool.connect_ended(false, failed, true);
        assert_eq!(pool.open(), 1);
        assert_eq!(pool.next_route(0..2).endpoint, 0, "whose health is of no matter to the other");
    }
}
