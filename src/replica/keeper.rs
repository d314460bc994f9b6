//! What a fleet wants to be loaded, as the sources and the store carry it out.

use std::sync::{Arc, Mutex, PoisonError};

use futures::future::select_all;
use tokio::sync::watch;

use crate::exposition::{ResourceId, Store};
use crate::fleet;
use crate::intake::Holding;
use crate::sharding::Slice;

/// The sources of a replica, by resource, and the store that they fill.
pub(super) struct Keeper {
    store: Arc<Store>,
    resources: Vec<(ResourceId, Vec<Arc<Holding>>)>,
    wanted: Mutex<Slice>,
    showing: Mutex<()>,
    changed: watch::Sender<()>,
}

impl Keeper {
    /// Nothing is wanted, and nothing exposed, yet.
    pub fn new(store: Arc<Store>, resources: Vec<(ResourceId, Vec<Arc<Holding>>)>) -> Self {
        let keeper = Self {
            store,
            resources,
            wanted: Mutex::default(),
            showing: Mutex::default(),
            changed: watch::Sender::new(()),
        };
        keeper.show();
        keeper
    }

    /// Shows of each resource what is loaded, for as long as it runs.
    pub async fn run(self: Arc<Self>) {
        let sources = || self.resources.iter().flat_map(|(_, sources)| sources);
        let mut changes: Vec<_> = sources().map(|source| source.changed()).collect();
        // What changed before we listened.
        self.show();
        self.changed.send_replace(());
        while !changes.is_empty() {
            let (changed, ..) = select_all(changes.iter_mut().map(|change| Box::pin(change.changed()))).await;
            // A source that is no more changes nothing; it would have ended the replica.
            if changed.is_err() {
                break;
            }
            self.show();
            self.changed.send_replace(());
        }
        std::future::pending().await
    }

    /// A resource of several sources is loaded where all are.
    fn show(&self) {
        // Two who look at the same time must not overwrite the newer look with the older one.
        let _one_at_a_time = self.showing.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, sources) in &self.resources {
            let loaded = sources.iter().map(|source| source.loaded()).reduce(|a, b| Arc::new(a.intersection(&b)));
            self.store.resource(*id).set_loaded(loaded.map_or_else(Slice::all, |loaded| Slice::clone(&loaded)));
        }
    }
}

impl fleet::Keeper for Keeper {
    fn want(&self, slice: &Slice) {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let shrinks = !slice.covers(&wanted);
        wanted.clone_from(slice);
        drop(wanted);
        for source in self.resources.iter().flat_map(|(_, sources)| sources) {
            source.want(slice.clone());
        }
        self.show();
        if shrinks {
            self.store.retain(slice);
        }
    }

    fn prepared(&self) -> Slice {
        let wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let sources = self.resources.iter().flat_map(|(_, sources)| sources);
        sources.fold(wanted, |prepared, source| prepared.intersection(&source.prepared()))
    }

    fn changed(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}
