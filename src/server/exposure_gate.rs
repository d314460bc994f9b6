//! The gate before the store: each scrape first asks which objects this replica may expose at that moment.

use std::sync::Arc;

use futures::future::BoxFuture;

use crate::exposition::Departing;
use crate::fleet::FleetHandle;
use crate::sharding::Slice;

/// Decides which objects a scrape exposes.
pub trait ExposureGate: Send + Sync {
    /// Returns the slice to expose now.
    ///
    /// `None` means that the assignment was last confirmed too long ago, so other replicas may already serve these objects.
    fn exposed_slice(&self) -> Option<Arc<Slice>>;

    /// Returns the exposed objects that are about to move to another replica, and the timestamp of their series.
    fn departing(&self) -> Option<Departing> {
        None
    }

    /// Returns why nothing is exposed although the process is healthy, in one line, if another process may expose these objects.
    fn doubt(&self) -> Option<String> {
        None
    }

    /// Waits while a replica that was paused asks whether it may still expose its objects: that takes an instant.
    fn news(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// The gate of a replica without a fleet: always the same slice.
#[derive(Clone, Debug)]
pub struct FixedExposure(Arc<Slice>);

impl FixedExposure {
    /// Always exposes `slice`.
    pub fn new(slice: Slice) -> Self {
        Self(Arc::new(slice))
    }
}

impl ExposureGate for FleetHandle {
    fn exposed_slice(&self) -> Option<Arc<Slice>> {
        self.exposed()
    }

    fn departing(&self) -> Option<Departing> {
        let stamps = self.snapshot().stamps.clone()?;
        Some(Departing { slice: stamps.slice, at: stamps.at })
    }

    fn doubt(&self) -> Option<String> {
        self.waits_for().filter(|_| self.snapshot().status.superseded)
    }

    fn news(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.read_news())
    }
}

impl ExposureGate for FixedExposure {
    fn exposed_slice(&self) -> Option<Arc<Slice>> {
        Some(Arc::clone(&self.0))
    }
}
