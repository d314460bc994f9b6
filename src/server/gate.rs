//! What may be exposed at this moment; asked before each scrape.

use std::sync::Arc;

use crate::fleet::Fleet;
use crate::sharding::Slice;

/// Decides what is exposed.
pub trait Gate: Send + Sync {
    /// What is exposed now; `None` if nobody has confirmed for so long which objects are ours that others may serve them.
    fn now(&self) -> Option<Arc<Slice>>;
}

/// Without a fleet: always the same slice.
#[derive(Clone, Debug)]
pub struct Fixed(Arc<Slice>);

impl Fixed {
    /// Exposes `slice`.
    pub fn new(slice: Slice) -> Self {
        Self(Arc::new(slice))
    }
}

impl Gate for Fleet {
    fn now(&self) -> Option<Arc<Slice>> {
        self.exposed()
    }
}

impl Gate for Fixed {
    fn now(&self) -> Option<Arc<Slice>> {
        Some(Arc::clone(&self.0))
    }
}
