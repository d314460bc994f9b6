//! The state that all connections share.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard};

use super::objects::State;
use super::options::Options;
use crate::sync::lock;

/// The state that connections and handles share.
pub(super) struct Shared {
    pub state: Mutex<State>,
    pub options: Options,
    pub address: SocketAddr,
}

impl Shared {
    /// The state. A panicked holder leaves it valid, because every change is applied in one final step.
    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}
