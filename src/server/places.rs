//! A bounded number of places on a port, for its connections or for the requests in progress.
//!
//! A newcomer always gets a place, so nobody is locked out. If all places are taken, the address with the most of them loses
//! one: the connection of that place is closed. So a flood competes with itself, and an address that holds few places keeps
//! them. Among the places of an address, those that make no progress go first.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::progress::Progress;
use crate::sync::lock;

/// A place that made progress within this time is not stalled, whatever its phase.
const RECENT: Duration = Duration::from_secs(1);
/// The minimum time between two warnings.
const WARN_PERIOD: Duration = Duration::from_secs(60);

/// Places that newcomers share. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Places(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// What takes the places, for the log.
    what: &'static str,
    most: usize,
    most_per_address: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    places: HashMap<u64, Entry>,
    per_address: HashMap<IpAddr, usize>,
    warned: Option<Instant>,
}

#[derive(Debug)]
struct Entry {
    address: IpAddr,
    progress: Arc<Progress>,
    /// Closes the connection.
    close: CancellationToken,
}

impl Places {
    /// Creates places for `what`: `most` in total, and `most_per_address` for one client.
    pub fn new(what: &'static str, most: usize, most_per_address: usize) -> Self {
        Self(Arc::new(Shared { what, most, most_per_address, taken: Mutex::default() }))
    }

    /// Takes a place for a client. If there is none left, closes the connection that is the least loss.
    pub fn take(&self, address: IpAddr, progress: Arc<Progress>, close: CancellationToken) -> Place {
        // An IPv4 client has two addresses on a socket of both families.
        let address = address.to_canonical();
        let mut taken = lock(&self.0.taken);
        let number = taken.next;
        taken.next += 1;
        taken.places.insert(number, Entry { address, progress, close });
        let count = taken.per_address.entry(address).or_default();
        *count += 1;
        let among = (*count > self.0.most_per_address).then_some(address);
        if among.is_some() || taken.places.len() > self.0.most {
            taken.close_one(among, number, &self.0);
        }
        drop(taken);
        Place { number, places: self.clone() }
    }

    /// Closes the connections of places that have made no progress for `limit`.
    pub fn close_stalled(&self, limit: Duration) {
        let mut taken = lock(&self.0.taken);
        let stalled: Vec<_> =
            taken.places.iter().filter(|(_, entry)| entry.progress.at().elapsed() >= limit).map(|(n, _)| *n).collect();
        for number in stalled {
            if let Some(entry) = taken.remove(number) {
                debug!(remote = %entry.address, "{} stalled; connection closed", self.0.what);
                entry.close.cancel();
            }
        }
    }

    /// Returns the number of taken places.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        lock(&self.0.taken).places.len()
    }
}

impl Taken {
    fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.places.remove(&number)?;
        if let Some(count) = self.per_address.get_mut(&entry.address) {
            *count -= 1;
            if *count == 0 {
                self.per_address.remove(&entry.address);
            }
        }
        Some(entry)
    }

    /// Closes a place of `among`, or of the address with the most places, but not that of `newcomer`.
    fn close_one(&mut self, among: Option<IpAddr>, newcomer: u64, shared: &Shared) {
        let candidates = self
            .places
            .iter()
            .filter(|(number, entry)| **number != newcomer && among.is_none_or(|address| entry.address == address));
        let least = candidates.min_by_key(|(number, entry)| {
            let held = self.per_address.get(&entry.address).copied().unwrap_or_default();
            let (phase, at) = entry.progress.get();
            (Reverse(held), at.elapsed() < RECENT, phase, at, **number)
        });
        let Some(entry) = least.map(|(number, _)| *number).and_then(|number| self.remove(number)) else { return };
        debug!(remote = %entry.address, "too many {}; connection closed", shared.what);
        entry.close.cancel();
        if self.warned.is_none_or(|warned| warned.elapsed() >= WARN_PERIOD) {
            self.warned = Some(Instant::now());
            warn!(
                most = shared.most,
                most_per_address = shared.most_per_address,
                remote = %entry.address,
                "too many {}; closing the most idle ones of the busiest address",
                shared.what
            );
        }
    }
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    number: u64,
    places: Places,
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.places.0.taken).remove(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::progress::Phase;

    struct Client {
        progress: Arc<Progress>,
        close: CancellationToken,
        _place: Place,
    }

    impl Client {
        fn is_open(&self) -> bool {
            !self.close.is_cancelled()
        }
    }

    fn ip(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    fn take(places: &Places, address: IpAddr) -> Client {
        let (progress, close) = (Arc::<Progress>::default(), CancellationToken::new());
        let place = places.take(address, Arc::clone(&progress), close.clone());
        Client { progress, close, _place: place }
    }

    fn open(clients: &[Client]) -> usize {
        clients.iter().filter(|client| client.is_open()).count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_newcomer_gets_a_place_and_keeps_it_while_others_hold_more() {
        let places = Places::new("connections", 8, 4);
        let flood: Vec<_> = (0..1000).map(|n| take(&places, ip(u8::from(n % 2 == 0)))).collect();
        assert_eq!((open(&flood), places.len()), (8, 8));
        let probe = take(&places, ip(9));
        let more: Vec<_> = (0..1000).map(|n| take(&places, ip(u8::from(n % 2 == 0)))).collect();
        assert!(probe.is_open());
        assert_eq!((open(&flood) + open(&more), places.len()), (7, 8));
        drop((flood, more));
        assert_eq!(places.len(), 1);
        drop(probe);
        assert_eq!(places.len(), 0);
        assert!(lock(&places.0.taken).per_address.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_loses_its_own_places_only() {
        let places = Places::new("connections", 8, 4);
        let others: Vec<_> = (0..4).map(|n| take(&places, ip(10 + n))).collect();
        let flood: Vec<_> = (0..100).map(|_| take(&places, ip(1))).collect();
        assert_eq!((open(&others), open(&flood)), (4, 4));
    }

    #[tokio::test(start_paused = true)]
    async fn opening_connections_go_first_then_idle_ones_then_busy_ones() {
        let places = Places::new("connections", 3, 3);
        let [busy, idle, opening] = [0, 1, 2].map(|_| take(&places, ip(1)));
        busy.progress.set(Phase::Busy);
        idle.progress.set(Phase::Idle);
        tokio::time::advance(2 * RECENT).await;
        let clients = [opening, idle, busy];
        for closed in 1..=3 {
            // The newcomers are the newest, and so stay.
            let newcomer = take(&places, ip(1));
            let expected = [closed < 1, closed < 2, closed < 3];
            assert_eq!(clients.each_ref().map(Client::is_open), expected);
            assert!(newcomer.is_open());
            std::mem::forget(newcomer);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_makes_progress_stays_and_one_that_stalls_is_closed() {
        let places = Places::new("requests", 2, 2);
        let (stalled, reading) = (take(&places, ip(1)), take(&places, ip(1)));
        for _ in 0..10 {
            tokio::time::advance(RECENT).await;
            reading.progress.touch();
        }
        places.close_stalled(10 * RECENT);
        assert!(!stalled.is_open() && reading.is_open());
        assert_eq!(places.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn both_forms_of_an_ipv4_address_are_one_client() {
        let places = Places::new("connections", 8, 1);
        let mapped = IpAddr::V6(std::net::Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped());
        let (first, second) = (take(&places, ip(1)), take(&places, mapped));
        assert!(!first.is_open() && second.is_open());
    }
}
