//! The UIDs of the exposed objects of a resource, in pieces.

use std::sync::Arc;

use super::page::Key;
use super::resource::ResourceStore;
use super::uid::Uid;
use super::view::Exposure;
use crate::sharding::Slice;

/// The UIDs of the exposed objects of a resource, in no particular order: an iterator over pages of up to 128, possibly empty.
///
/// Holds no lock and no snapshot between two pages. The exposed slice stays that of the start, but objects come and go.
#[derive(Debug)]
pub struct Uids {
    store: Arc<ResourceStore>,
    exposure: Exposure,
    /// The end of the last page.
    after: Option<Key>,
}

impl Uids {
    /// Returns the objects of `store` that are exposed for the slice `exposed`.
    pub fn new(store: Arc<ResourceStore>, exposed: &Arc<Slice>) -> Self {
        let exposure = store.exposure(exposed);
        Self { store, exposure, after: None }
    }
}

impl Iterator for Uids {
    type Item = Vec<Uid>;

    fn next(&mut self) -> Option<Vec<Uid>> {
        self.store.uids_after(&self.exposure, &mut self.after)
    }
}
