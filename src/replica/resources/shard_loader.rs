//! Carries out the fleet's decision which slice is to be loaded.

use super::Resources;
use crate::fleet;
use crate::sharding::Slice;
use crate::sync::watch;

impl fleet::ShardLoader for Resources {
    fn set_desired(&self, slice: &Slice) {
        let mut groups = self.groups();
        let shrinks = !slice.covers(&groups.desired);
        groups.desired.clone_from(slice);
        // Loading resources as well: otherwise they would never be ready to be served.
        let all: Vec<_> = groups.all().cloned().collect();
        for shard in all.iter().flat_map(|resource| resource.all_shard_states()) {
            shard.set_desired(slice.clone());
        }
        groups.update_visible();
        drop(groups);
        if shrinks {
            // Outside the lock: the fleet calls this method from one task only.
            all.iter().for_each(|resource| resource.resource.objects.retain(slice));
        }
    }

    /// Loading resources do not count: a resource is served only once its whole desired slice is ready.
    fn ready(&self) -> Slice {
        let groups = self.groups();
        if groups.groups.values().any(|group| !group.decided) {
            return Slice::none();
        }
        let shards = groups.served().flat_map(|resource| resource.shard_states());
        shards.fold(groups.desired.clone(), |ready, shard| ready.intersection(&shard.ready()))
    }

    fn changed(&self) -> watch::Receiver<()> {
        self.reconciled.subscribe()
    }
}
