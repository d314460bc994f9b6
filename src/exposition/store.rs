//! The resources that are served, and the start of a scrape.
//!
//! Resources come and go while others are served ([`Store::serve`]): the store swaps the list of them atomically. A scrape
//! keeps the list with which it began, so that its families match its series. The last scrape that reads an old list frees
//! the resources that are no longer in it.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::resource::ResourceStore;
use super::scrape::Scrape;
use super::served::Served;
use super::text::{Format, Selection};
use crate::sharding::Slice;

/// The resources that are served.
#[derive(Debug, Default)]
pub struct Store(ArcSwap<Served>);

impl Store {
    /// Creates a store that serves `resources`, in this order.
    pub fn new(resources: Vec<Arc<ResourceStore>>) -> Self {
        resources.iter().for_each(|resource| resource.set_served());
        Self(ArcSwap::from_pointee(Served::new(resources)))
    }

    /// Replaces the served resources with `resources`, in this order. Running scrapes keep the list with which they began.
    pub fn serve(&self, resources: Vec<Arc<ResourceStore>>) {
        let served = Arc::new(Served::new(resources));
        self.0.store(Arc::clone(&served));
        // Afterwards, so that nothing is counted before a scrape can show it.
        served.resources.iter().for_each(|resource| resource.set_served());
    }

    /// Returns all resources, in the order in which they are served.
    pub fn resources(&self) -> Vec<Arc<ResourceStore>> {
        self.0.load().resources.clone()
    }

    /// Returns the exposition of the objects in `exposed`. Reading it generates the text chunk by chunk.
    pub fn scrape(&self, selection: &Selection, format: Format, exposed: &Slice) -> Scrape {
        let served = self.0.load_full();
        let exposed = Arc::new(exposed.clone());
        let exposures =
            served.resources.iter().map(|r| selection.selects(r.name()).then(|| r.exposure(&exposed))).collect();
        Scrape::new(served, exposures, format)
    }
}
