//! What a member takes from the machine that it runs on. A simulation replaces it.

use std::sync::Arc;

use super::clock::{Clock, SystemClock};
use super::handover::Memory;
use super::memory::memory;
use super::peer_client::{Dial, Dialer};

/// The clocks, the connections and the memory of a member.
#[derive(Clone)]
pub struct Host {
    /// Its clocks.
    pub clock: Arc<dyn Clock>,
    /// Connects to the other members.
    pub dialer: Arc<dyn Dial>,
    /// Returns the memory of the process; `None` if it has no limit.
    pub memory: fn() -> Option<Memory>,
}

impl Host {
    /// Returns this machine, whose members are reached by `dialer`.
    pub fn system(dialer: Dialer) -> Self {
        Self { clock: Arc::new(SystemClock), dialer: Arc::new(dialer), memory }
    }
}
