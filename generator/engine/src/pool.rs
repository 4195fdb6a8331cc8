//! The connections of one core: which places are free, which connections are idle, and where new ones lead.

use crate::io::{ConnId, Route};

/// Dense places for connections; everything is allocated at the start.
pub(crate) struct Pool {
    /// Places without a connection.
    free: Vec<ConnId>,
    /// Open connections without a request; the last one used is used first.
    idle: Vec<ConnId>,
    connecting: usize,
    open: usize,
    endpoints: Vec<Health>,
    sources: usize,
    /// Turns over endpoints and sources.
    turn: usize,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Health {
    Unknown,
    Good,
    Bad,
}

impl Pool {
    #[must_use]
    pub(crate) fn new(capacity: u32, endpoints: usize, sources: usize) -> Self {
        Self {
            free: (0..capacity).rev().map(ConnId).collect(),
            idle: Vec::with_capacity(capacity as usize),
            connecting: 0,
            open: 0,
            endpoints: vec![Health::Unknown; endpoints],
            sources,
            turn: 0,
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
    pub(crate) fn take_idle(&mut self) -> Option<ConnId> {
        self.idle.pop()
    }

    #[inline]
    pub(crate) fn give_idle(&mut self, conn: ConnId) {
        self.idle.push(conn);
    }

    /// An idle connection ended by itself. Rare, so a search is cheap enough.
    pub(crate) fn forget_idle(&mut self, conn: ConnId) {
        self.idle.retain(|&other| other != conn);
    }

    pub(crate) const fn connect_begun(&mut self) {
        self.connecting += 1;
    }

    pub(crate) fn connect_ended(&mut self, route: Route, good: bool) {
        self.connecting -= 1;
        if good {
            self.open += 1;
            self.endpoints[route.endpoint] = Health::Good;
        } else if self.endpoints[route.endpoint] == Health::Unknown {
            self.endpoints[route.endpoint] = Health::Bad;
        }
    }

    pub(crate) const fn closed(&mut self) {
        self.open -= 1;
    }

    /// The route of the next connection: all addresses of a name in turn, but those that never answered only as
    /// long as none did.
    pub(crate) fn next_route(&mut self) -> Route {
        let any_good = self.endpoints.contains(&Health::Good);
        let turn = self.turn;
        self.turn = self.turn.wrapping_add(1);
        let count = self.endpoints.len();
        let usable = |&endpoint: &usize| !any_good || self.endpoints[endpoint] != Health::Bad;
        let endpoint = (0..count).map(|step| (turn + step) % count).find(usable).unwrap_or(0);
        Route { endpoint, source: (self.sources > 0).then(|| turn % self.sources) }
    }

    /// Another address to try after this one failed, while none is known to be good.
    pub(crate) fn other_route(&mut self, failed: Route, tries: usize) -> Option<Route> {
        (tries < self.endpoints.len())
            .then(|| Route { endpoint: (failed.endpoint + 1) % self.endpoints.len(), source: failed.source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_take_turns_and_avoid_what_never_answered() {
        let mut pool = Pool::new(4, 3, 2);
        let routes: Vec<_> = (0..3).map(|_| pool.next_route()).collect();
        assert_eq!(routes.iter().map(|route| route.endpoint).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(routes.iter().map(|route| route.source).collect::<Vec<_>>(), [Some(0), Some(1), Some(0)]);
        for (route, good) in [(routes[0], false), (routes[1], true), (routes[2], true)] {
            pool.connect_begun();
            pool.connect_ended(route, good);
        }
        assert!((0..6).all(|_| pool.next_route().endpoint != 0));
        assert_eq!((pool.open(), pool.connecting()), (2, 0));
    }

    #[test]
    fn every_address_is_tried_once_before_giving_up() {
        let mut pool = Pool::new(1, 2, 0);
        let first = pool.next_route();
        let second = pool.other_route(first, 1).expect("one is left");
        assert_ne!(first.endpoint, second.endpoint);
        assert_eq!(pool.other_route(second, 2), None);
    }
}
