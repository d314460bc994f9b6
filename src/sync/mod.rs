//! Locks that a panic does not poison for good, and watch channels whose order of wakeups a simulation determines.

#[cfg(not(any(test, feature = "simulation")))]
pub use tokio::sync::watch;

#[cfg(any(test, feature = "simulation"))]
pub mod watch;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks `mutex`, also after another thread panicked while it held the lock. Every user of this function completes its
/// change before anything can panic, so the value is consistent then.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
