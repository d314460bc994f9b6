//! Readiness of a replica, and the reasons why it is not ready.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::watched::{Degraded, SharedDegraded, SharedWatchSet};
use crate::fleet::FleetHandle;
use crate::settings::Shard;

/// The name of the CustomResourceDefinitions among the degraded resources.
pub const DEFINITIONS: &str = "customresourcedefinitions";

/// What the readiness of one replica is derived from.
#[derive(Clone, Debug)]
pub struct Health {
    /// The shard outside a fleet.
    pub shard: Shard,
    /// The resources that the replica watches and serves.
    pub watch_set: SharedWatchSet,
    /// Why the CustomResourceDefinitions are degraded, if they are. They are watched, but not served.
    pub definitions: SharedDegraded,
    /// The replica's membership, if it belongs to a fleet.
    pub fleet: Option<Arc<FleetHandle>>,
}

impl Health {
    /// Returns the shard that the replica serves. In a fleet it comes from the current generation; 0 of 0 before the first one.
    pub fn shard(&self) -> Shard {
        let Some(fleet) = &self.fleet else { return self.shard };
        let snapshot = fleet.snapshot();
        Shard { ordinal: snapshot.ordinal.unwrap_or_default(), total: snapshot.status.total }
    }

    /// Returns the ordinals of the shards that the replica serves: its own, and those of absent members for which it stands in
    /// together with the other present members. If one of these is missing, its own ordinal is missing too.
    pub fn served_ordinals(&self) -> BTreeSet<u32> {
        let own = self.shard().ordinal;
        let Some(fleet) = &self.fleet else { return BTreeSet::from([own]) };
        let snapshot = fleet.snapshot();
        let status = &snapshot.status;
        let stands_in = snapshot.coordinated && snapshot.ready && !status.refuses;
        let absent = status.absent.iter().filter(|ordinal| stands_in && !status.untaken.contains(ordinal));
        absent.copied().chain([own]).collect()
    }

    /// Returns the degraded resources with the reasons, [`DEFINITIONS`] among them.
    pub fn degraded(&self) -> Vec<(String, Arc<Degraded>)> {
        let watch_set = self.watch_set.load();
        let served = watch_set.resources.iter().filter_map(|it| Some((it.name.clone(), it.degraded()?)));
        served.chain(self.definitions.load_full().map(|degraded| (DEFINITIONS.to_owned(), degraded))).collect()
    }

    /// Returns the resources that must be loaded before the replica is ready, and are not. It does not wait for degraded ones.
    pub fn not_loaded(&self) -> Vec<String> {
        let watch_set = self.watch_set.load();
        let loading = watch_set.resources.iter().filter(|resource| resource.is_awaited());
        let undecided = watch_set.undecided.iter().map(|&group| group.to_owned());
        loading.map(|resource| resource.name.clone()).chain(undecided).collect()
    }

    /// Returns why the replica is not ready, a line per reason: a resource that is not loaded, or what the fleet waits for.
    pub fn unready_reasons(&self) -> Vec<String> {
        let resources = self.not_loaded().into_iter().map(|resource| format!("{resource}: not loaded yet"));
        resources.chain(self.fleet.as_ref().and_then(|fleet| fleet.waits_for())).collect()
    }
}
