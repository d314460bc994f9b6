//! What this replica exposes, for those who check whether it is what it should be.

use std::sync::Arc;

use crate::exposition::Store;
use crate::fleet::audit::Vantage;
use crate::fleet::coverage::{Objects, Stand};
use crate::server;
use crate::sharding::Slice;

/// The objects of the store, as far as they count.
pub(super) struct Inventory {
    pub store: Arc<Store>,
    pub vantage: Arc<dyn Vantage>,
}

impl server::Inventory for Inventory {
    fn objects(&self, resource: &str) -> Option<Objects> {
        let objects = self.store.resources().find(|r| r.name() == resource)?;
        let Stand { generation, counted, .. } = self.vantage.stand();
        Some(Objects { generation, uids: objects.uids(&counted).iter().map(ToString::to_string).collect() })
    }
}

/// The stand of a replica in no fleet: it never changes.
#[derive(Clone, Debug)]
pub(super) struct Alone(pub Slice);

impl Vantage for Alone {
    fn stand(&self) -> Stand {
        Stand { generation: 0, settled: true, counted: self.0.clone() }
    }
}
