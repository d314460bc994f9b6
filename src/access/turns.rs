//! Turns at an expensive check, such as a password hash or a review by the API server.
//!
//! Any client can cause checks, so their number at a time is bounded, and so is the number of requests that wait. Turns are fair:
//! the address with the fewest failed checks lately goes first, then the one whose last turn is longest ago. So good
//! credentials get their turn during a flood of bad ones. Clients behind one address cannot be told apart: the oldest goes
//! first, and if too many wait, a random one has to leave.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use crate::sync::lock;

/// Failed checks of an address are forgotten after this time without another one.
const FORGET_AFTER: Duration = Duration::from_secs(60);
/// Addresses whose failures are remembered.
const MAX_FAILED: usize = 1024;

/// Turns at a check. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Turns(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    most_waiting: usize,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    free: usize,
    waiting: usize,
    by_address: HashMap<IpAddr, Waiters>,
    failed: HashMap<IpAddr, Failures>,
    /// Counts turns.
    clock: u64,
}

/// The waiting requests of an address, the oldest first.
#[derive(Debug)]
struct Waiters {
    requests: VecDeque<oneshot::Sender<Turn>>,
    /// The number of its last turn, or of the turn at which it began to wait.
    last_turn: u64,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u64,
    last: Instant,
}

/// Too many requests wait for a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many requests wait for a check")]
pub struct Busy;

/// A turn, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    address: IpAddr,
    turns: Option<Turns>,
}

impl Turns {
    /// Creates turns for `at_once` checks at a time and `most_waiting` waiting requests.
    pub fn new(at_once: usize, most_waiting: usize) -> Self {
        let queue = Mutex::new(Queue { free: at_once, ..Queue::default() });
        Self(Arc::new(Shared { most_waiting, queue }))
    }

    /// Waits for a turn of the client at `address`.
    ///
    /// # Errors
    /// Too many requests wait, and most of them for this address.
    pub async fn take(&self, address: IpAddr) -> Result<Turn, Busy> {
        let address = address.to_canonical();
        let granted = {
            let mut queue = lock(&self.0.queue);
            if queue.free > 0 {
                queue.free -= 1;
                return Ok(self.turn(address));
            }
            queue.join(address, self.0.most_waiting)
        };
        // The sender is dropped when the request has to make room.
        granted.await.map_err(|_| Busy)
    }

    fn turn(&self, address: IpAddr) -> Turn {
        Turn { address, turns: Some(self.clone()) }
    }

    /// Gives a free turn to the next request.
    fn give(&self) {
        let mut queue = lock(&self.0.queue);
        while let Some((address, request)) = queue.next() {
            // A turn that comes back because its request has gone away must not lock the queue again.
            match request.send(self.turn(address)) {
                Ok(()) => return,
                Err(mut turn) => turn.turns = None,
            }
        }
        queue.free += 1;
    }

    /// Returns the number of waiting requests.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        lock(&self.0.queue).waiting
    }
}

impl Turn {
    /// Records that the check failed. The turn ends after `pause`, which limits the rate of failing checks.
    pub fn fail(self, pause: Duration) {
        if let Some(turns) = &self.turns {
            lock(&turns.0.queue).fail(self.address);
        }
        self.pause(pause);
    }

    /// Ends the turn after `pause`.
    pub fn pause(self, pause: Duration) {
        tokio::spawn(async move {
            sleep(pause).await;
            drop(self);
        });
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(turns) = self.turns.take() {
            turns.give();
        }
    }
}

impl Queue {
    /// Adds a request. If too many wait, a random one of the address with the most has to leave.
    fn join(&mut self, address: IpAddr, most: usize) -> oneshot::Receiver<Turn> {
        let (sender, granted) = oneshot::channel();
        let clock = self.clock;
        let waiters =
            self.by_address.entry(address).or_insert_with(|| Waiters { requests: VecDeque::new(), last_turn: clock });
        waiters.requests.push_back(sender);
        self.waiting += 1;
        if self.waiting > most {
            self.sweep();
        }
        if self.waiting > most
            && let Some(waiters) = self.by_address.values_mut().max_by_key(|waiters| waiters.requests.len())
        {
            // NB: not always the oldest or the newest, so that each has a chance at any rate of requests.
            waiters.requests.remove(fastrand::usize(..waiters.requests.len()));
            self.waiting -= 1;
            self.by_address.retain(|_, waiters| !waiters.requests.is_empty());
        }
        granted
    }

    /// Removes the requests whose clients have gone away.
    fn sweep(&mut self) {
        self.by_address.retain(|_, waiters| {
            waiters.requests.retain(|request| !request.is_closed());
            !waiters.requests.is_empty()
        });
        self.waiting = self.by_address.values().map(|waiters| waiters.requests.len()).sum();
    }

    /// Removes and returns the request whose turn it is.
    fn next(&mut self) -> Option<(IpAddr, oneshot::Sender<Turn>)> {
        let failed = &self.failed;
        let failures = |address| {
            let known: Option<&Failures> = failed.get(address);
            known.filter(|failures| failures.last.elapsed() < FORGET_AFTER).map_or(0, |failures| failures.count)
        };
        let (address, waiters) = self
            .by_address
            .iter_mut()
            .min_by_key(|(address, waiters)| (failures(address), waiters.last_turn, **address))?;
        let address = *address;
        self.clock += 1;
        waiters.last_turn = self.clock;
        let request = waiters.requests.pop_front();
        if waiters.requests.is_empty() {
            self.by_address.remove(&address);
        }
        self.waiting -= 1;
        Some((address, request?))
    }

    fn fail(&mut self, address: IpAddr) {
        let now = Instant::now();
        self.failed.retain(|_, failures| now.duration_since(failures.last) < FORGET_AFTER);
        if self.failed.len() >= MAX_FAILED
            && !self.failed.contains_key(&address)
            && let Some(oldest) = self.failed.iter().min_by_key(|(_, failures)| failures.last).map(|(a, _)| *a)
        {
            self.failed.remove(&oldest);
        }
        let failures = self.failed.entry(address).or_insert(Failures { count: 0, last: now });
        *failures = Failures { count: failures.count + 1, last: now };
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;

    const PAUSE: Duration = Duration::from_millis(100);

    fn ip(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    /// A client that fails, and tries again at once, for ever.
    async fn attack(turns: Turns, address: IpAddr) {
        loop {
            match turns.take(address).await {
                Ok(turn) => turn.fail(PAUSE),
                Err(Busy) => sleep(Duration::from_millis(1)).await,
            }
        }
    }

    /// Returns how many checks take place before the client at `address` gets its turn.
    async fn wait(turns: &Turns, address: IpAddr) -> u64 {
        let before = lock(&turns.0.queue).clock;
        let _turn = turns.take(address).await.expect("a turn");
        lock(&turns.0.queue).clock - before
    }

    #[tokio::test(start_paused = true)]
    async fn checks_at_a_time_are_bounded() {
        let turns = Turns::new(2, 10);
        let held = [turns.take(ip(1)).await, turns.take(ip(1)).await];
        let waiting = turns.take(ip(2));
        let mut waiting = std::pin::pin!(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        drop(held);
        assert!(waiting.await.is_ok());
        assert_eq!((turns.waiting(), lock(&turns.0.queue).free), (0, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_without_failures_goes_before_a_flood_of_failing_ones() {
        let turns = Turns::new(1, 128);
        for client in 0..64 {
            tokio::spawn(attack(turns.clone(), ip(client)));
        }
        sleep(100 * PAUSE).await;
        for _ in 0..25 {
            assert!(wait(&turns, ip(99)).await <= 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_newcomer_of_a_flooding_address_waits_once_for_each_of_the_others() {
        let turns = Turns::new(1, 128);
        for _ in 0..64 {
            tokio::spawn(attack(turns.clone(), ip(1)));
        }
        sleep(100 * PAUSE).await;
        for _ in 0..25 {
            assert!(wait(&turns, ip(1)).await <= 65);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_waiting_request_gets_its_turn_in_the_end() {
        let turns = Turns::new(1, 128);
        let held = turns.take(ip(1)).await;
        let take = |n: u8| {
            let turns = &turns;
            async move { turns.take(ip(n % 3)).await.is_ok() }
        };
        let all = join_all((0..100).map(take));
        let (all, ()) = tokio::join!(all, async { drop(held) });
        assert_eq!(all, [true; 100]);
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_waiting_requests_of_an_address_displace_each_other() {
        let turns = Turns::new(1, 10);
        let _held = turns.take(ip(1)).await.expect("it is free");
        let mut other = Box::pin(turns.take(ip(2)));
        assert!(futures::poll!(&mut other).is_pending());
        let flood: Vec<_> = (0..100)
            .map(|_| {
                tokio::spawn({
                    let turns = turns.clone();
                    async move { turns.take(ip(1)).await }
                })
            })
            .collect();
        sleep(PAUSE).await;
        assert_eq!(turns.waiting(), 10);
        assert_eq!(flood.iter().filter(|request| request.is_finished()).count(), 91);
        assert!(futures::poll!(&mut other).is_pending(), "it still waits");
    }

    #[tokio::test(start_paused = true)]
    async fn requests_that_have_gone_away_take_neither_turns_nor_room() {
        let turns = Turns::new(1, 10);
        let held = turns.take(ip(1)).await;
        for _ in 0..100 {
            let mut gone = Box::pin(turns.take(ip(1)));
            assert!(futures::poll!(&mut gone).is_pending());
        }
        let mut stays = Box::pin(turns.take(ip(1)));
        assert!(futures::poll!(&mut stays).is_pending());
        drop(held);
        assert!(stays.await.is_ok());
        assert_eq!(turns.waiting(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_of_many_addresses_are_forgotten() {
        let turns = Turns::new(1, 10);
        for n in 0..2 * MAX_FAILED {
            lock(&turns.0.queue).fail(std::net::Ipv4Addr::from_bits(u32::try_from(n).expect("small")).into());
        }
        assert_eq!(lock(&turns.0.queue).failed.len(), MAX_FAILED);
        tokio::time::advance(FORGET_AFTER).await;
        lock(&turns.0.queue).fail(ip(1));
        assert_eq!(lock(&turns.0.queue).failed.len(), 1);
    }
}
