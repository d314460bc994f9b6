//! The part of [`tokio::sync::watch`] that this crate uses, for unit tests. tokio wakes the receivers of a channel in an order that
//! comes from the entropy of the system. Here it comes from the generator of the thread, so a seed determines it.

use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::task::{Poll, Waker};

use super::lock;

/// The value, borrowed. It blocks senders.
#[derive(Debug)]
pub struct Ref<'a, T>(RwLockReadGuard<'a, T>);

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// The sender of the channel is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecvError;

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("channel closed")
    }
}

impl std::error::Error for RecvError {}

#[derive(Debug)]
struct Shared<T> {
    value: RwLock<T>,
    /// Number of values so far.
    version: AtomicU64,
    senders: AtomicUsize,
    receivers: AtomicUsize,
    closed: AtomicBool,
    /// Those who wait, and the next number.
    waiting: Mutex<(BTreeMap<u64, Waker>, u64)>,
}

impl<T> Shared<T> {
    fn read(&self) -> Ref<'_, T> {
        Ref(self.value.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn wake(&self) {
        let mut waiting: Vec<_> = std::mem::take(&mut lock(&self.waiting).0).into_values().collect();
        fastrand::shuffle(&mut waiting);
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// Sends values.
#[derive(Debug)]
pub struct Sender<T>(Arc<Shared<T>>);

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.senders.fetch_add(1, SeqCst);
        Self(Arc::clone(&self.0))
    }
}

impl<T: Default> Default for Sender<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.0.senders.fetch_sub(1, SeqCst) == 1 {
            self.0.closed.store(true, SeqCst);
            self.0.wake();
        }
    }
}

/// Returns a channel.
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new(value);
    let receiver = sender.subscribe();
    (sender, receiver)
}

impl<T> Sender<T> {
    pub fn new(value: T) -> Self {
        Self(Arc::new(Shared {
            value: RwLock::new(value),
            version: AtomicU64::new(0),
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            waiting: Mutex::default(),
        }))
    }

    pub fn subscribe(&self) -> Receiver<T> {
        self.0.receivers.fetch_add(1, SeqCst);
        Receiver { shared: Arc::clone(&self.0), seen: self.0.version.load(SeqCst) }
    }

    pub fn borrow(&self) -> Ref<'_, T> {
        self.0.read()
    }

    /// Whether there is no receiver.
    pub fn is_closed(&self) -> bool {
        self.0.receivers.load(SeqCst) == 0
    }

    pub fn send_if_modified(&self, modify: impl FnOnce(&mut T) -> bool) -> bool {
        let modified = {
            let mut value = self.0.value.write().unwrap_or_else(PoisonError::into_inner);
            let modified = modify(&mut value);
            self.0.version.fetch_add(u64::from(modified), SeqCst);
            modified
        };
        if modified {
            self.0.wake();
        }
        modified
    }

    pub fn send_modify(&self, modify: impl FnOnce(&mut T)) {
        self.send_if_modified(|value| {
            modify(value);
            true
        });
    }

    pub fn send_replace(&self, mut value: T) -> T {
        self.send_modify(|before| std::mem::swap(before, &mut value));
        value
    }
}

/// Receives the newest value.
#[derive(Debug)]
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    /// The version that it has seen; `u64::MAX` for none.
    seen: u64,
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.shared.receivers.fetch_add(1, SeqCst);
        Self { shared: Arc::clone(&self.shared), seen: self.seen }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.receivers.fetch_sub(1, SeqCst);
    }
}

/// A place among those who wait.
struct Place<'a, T>(&'a Shared<T>, u64);

impl<T> Drop for Place<'_, T> {
    fn drop(&mut self) {
        lock(&self.0.waiting).0.remove(&self.1);
    }
}

impl<T> Receiver<T> {
    pub fn borrow(&self) -> Ref<'_, T> {
        self.shared.read()
    }

    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        let value = self.shared.read();
        self.seen = self.shared.version.load(SeqCst);
        value
    }

    pub fn mark_unchanged(&mut self) {
        self.seen = self.shared.version.load(SeqCst);
    }

    pub fn mark_changed(&mut self) {
        self.seen = u64::MAX;
    }

    pub fn has_changed(&self) -> Result<bool, RecvError> {
        if self.shared.closed.load(SeqCst) {
            return Err(RecvError);
        }
        Ok(self.shared.version.load(SeqCst) != self.seen)
    }

    /// Waits for a value that it has not seen.
    pub async fn changed(&mut self) -> Result<(), RecvError> {
        self.seen = self.unseen().await?;
        Ok(())
    }

    /// Waits for a value that meets the condition.
    pub async fn wait_for(&mut self, mut condition: impl FnMut(&T) -> bool) -> Result<Ref<'_, T>, RecvError> {
        loop {
            let closed = self.shared.closed.load(SeqCst);
            if condition(&self.borrow_and_update()) {
                return Ok(self.shared.read());
            }
            if closed {
                return Err(RecvError);
            }
            // At the end the last value is looked at once more.
            let _ = self.changed().await;
        }
    }

    async fn unseen(&self) -> Result<u64, RecvError> {
        let shared = &*self.shared;
        let number = {
            let mut waiting = lock(&shared.waiting);
            waiting.1 += 1;
            waiting.1
        };
        let place = Place(shared, number);
        poll_fn(|context| {
            // Registered before the look, so that no change in between is lost.
            lock(&shared.waiting).0.insert(place.1, context.waker().clone());
            let version = shared.version.load(SeqCst);
            if version != self.seen {
                return Poll::Ready(Ok(version));
            }
            if shared.closed.load(SeqCst) { Poll::Ready(Err(RecvError)) } else { Poll::Pending }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_receiver_sees_each_change_and_the_end() {
        let (sender, mut receiver) = channel(0);
        assert_eq!(receiver.has_changed(), Ok(false));
        sender.send_replace(1);
        assert_eq!(receiver.has_changed(), Ok(true));
        assert_eq!(receiver.changed().await, Ok(()));
        assert_eq!(*receiver.borrow(), 1);
        let waiting = tokio::spawn(async move {
            let found = receiver.wait_for(|value| *value == 3).await.map(|value| *value);
            (found, receiver.changed().await)
        });
        tokio::task::yield_now().await;
        sender.send_replace(2);
        tokio::task::yield_now().await;
        sender.send_replace(3);
        drop(sender);
        assert_eq!(waiting.await.expect("no panic"), (Ok(3), Err(RecvError)));
    }

    #[tokio::test]
    async fn a_seed_determines_the_order_in_which_receivers_wake_up() {
        async fn order(seed: u64) -> Vec<usize> {
            let sender = Sender::new(());
            let woken = Arc::new(Mutex::new(Vec::new()));
            let mut tasks = tokio::task::JoinSet::new();
            for receiver in 0..20 {
                let (mut changed, woken) = (sender.subscribe(), Arc::clone(&woken));
                tasks.spawn(async move {
                    changed.changed().await.expect("a change");
                    lock(&woken).push(receiver);
                });
            }
            tokio::task::yield_now().await;
            fastrand::seed(seed);
            sender.send_replace(());
            tasks.join_all().await;
            lock(&woken).clone()
        }
        assert_eq!(order(1).await, order(1).await);
        assert_ne!(order(1).await, order(2).await);
    }
}
