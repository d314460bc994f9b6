//! What a fleet wants to be loaded, as the sources and the stores carry it out.

use std::sync::Arc;

use tokio::sync::watch;

use super::{Resources, State};
use crate::fleet;
use crate::sharding::Slice;

impl State {
    /// Shows of each resource what is loaded: of one with several sources, what all of them have.
    pub(super) fn show(&self) {
        for resource in self.all() {
            let loaded =
                resource.shard_states().map(|shard| shard.visible()).reduce(|a, b| Arc::new(a.intersection(&b)));
            resource.watched.objects.set_loaded(loaded.map_or_else(Slice::all, |loaded| Slice::clone(&loaded)));
        }
    }
}

impl fleet::ShardLoader for Resources {
    fn set_desired(&self, slice: &Slice) {
        let mut state = self.state();
        let shrinks = !slice.covers(&state.wanted);
        state.wanted.clone_from(slice);
        // Those that are loaded aside as well, or they would never be ready to be served.
        let all: Vec<_> = state.all().cloned().collect();
        for shard in all.iter().flat_map(|resource| resource.shard_states()) {
            shard.set_desired(slice.clone());
        }
        state.show();
        drop(state);
        if shrinks {
            // Only this method decides what is wanted, and the fleet calls it from one task.
            all.iter().for_each(|resource| resource.watched.objects.retain(slice));
        }
    }

    /// What is loaded aside does not count: it is served only when it has all that is wanted.
    fn ready(&self) -> Slice {
        let state = self.state();
        if state.groups.values().any(|group| !group.known) {
            return Slice::none();
        }
        let shard_states = state.served().flat_map(|resource| resource.shard_states());
        shard_states.fold(state.wanted.clone(), |prepared, shard| prepared.intersection(&shard.ready()))
    }

    fn changed(&self) -> watch::Receiver<()> {
        self.looked.subscribe()
    }
}
