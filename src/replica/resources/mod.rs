//! The resources of a running replica, which may come and go: each is watched, loaded for the fleet, and served.
//!
//! Resources form groups ([`Group`]). [`Resources::set`] gives a group its new set. A resource that already runs in the same
//! [`ResourceShape`] is kept. A new one is *loading* first: it is watched and follows the fleet like all others, but its store is not
//! served. Once it is ready it is served in place of the resource of the same name, alone or together with the rest of its set
//! ([`Rollout`]). The list of served stores is swapped as a whole. Only then are the replaced resources stopped; each is
//! freed with the last scrape that reads it.
//!
//! - A loading resource delays neither readiness nor the fleet. It is served only when its whole desired slice is ready, so
//!   promises to the fleet hold before and after.
//! - A resource that the API server refuses has nothing to load and counts as ready. Before it replaces another one it must
//!   stay refused for [`groups::REFUSAL_GRACE`], as a refusal may be temporary.
//! - A resource whose source has failed for long while others succeed is *degraded* ([`degradation`]). Neither readiness nor the
//!   fleet waits for it until it succeeds. It does not replace a served one before it is loaded, and delays only itself.
//! - The first set of a group that exists from the start is served immediately, as there is nothing to serve before it. Until
//!   then the replica is not ready and promises nothing to the fleet.
//! - A set supersedes the previous one, even while that one is still loading.

mod context;
mod degradation;
mod groups;
mod running;
mod shard_loader;
mod spec;
mod staged;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::tasks::Spawner;
use crate::exposition::Store;
use crate::fleet::FleetHandle;
use crate::health::{SharedWatchSet, WatchSet};
use crate::intake::ShardState;
use crate::sharding::Slice;
use crate::sync::{lock, watch};
use groups::{GroupState, PendingSet, ResourceGroups, is_same};

pub(super) use context::WatchContext;
pub(super) use degradation::Degradation;
pub(super) use groups::{Group, Rollout};
pub(super) use running::RunningResource;
pub(super) use spec::{NewSink, Partition, PromotedLabels, ReadOptions, ResourceShape, ResourceSpec, SeriesOptions};

/// How [`Resources::set`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All resources of the set are served.
    Served,
    /// Another set superseded it.
    Superseded,
}

/// The resources of a replica.
pub(super) struct Resources {
    context: WatchContext,
    spawner: Spawner,
    store: Arc<Store>,
    watch_set: SharedWatchSet,
    groups: Mutex<ResourceGroups>,
    /// The labels of Namespaces that series show.
    promoted: Mutex<PromotedLabels>,
    /// Ticks when a source's shard state or a set changes.
    changed: watch::Sender<()>,
    /// Ticks after each [`Resources::reconcile`].
    reconciled: watch::Sender<()>,
    served: watch::Sender<Arc<[Arc<RunningResource>]>>,
}

impl fmt::Debug for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let served = Arc::clone(&self.served.borrow());
        f.debug_list().entries(served.iter().map(|running| running.name())).finish()
    }
}

impl Resources {
    /// Starts without resources. The replica is not ready before each of `groups` has its first set.
    pub fn new(context: WatchContext, spawner: Spawner, groups: impl IntoIterator<Item = Group>) -> Arc<Self> {
        let groups = groups.into_iter().map(|group| (group, GroupState::default())).collect();
        let resources = Self {
            context,
            spawner,
            store: Arc::default(),
            watch_set: SharedWatchSet::default(),
            groups: Mutex::new(ResourceGroups { desired: Slice::none(), held_back: Slice::none(), groups }),
            promoted: Mutex::default(),
            changed: watch::Sender::new(()),
            reconciled: watch::Sender::new(()),
            served: watch::Sender::new(Arc::default()),
        };
        resources.publish(&resources.groups());
        Arc::new(resources)
    }

    /// Returns the store that scrapes read.
    pub fn store(&self) -> Arc<Store> {
        Arc::clone(&self.store)
    }

    /// Sets the member of a fleet that decides what scrapes expose.
    pub fn joined(&self, member: &Arc<FleetHandle>) {
        if let Some(exposed) = &self.context.exposed {
            exposed.set(member);
        }
    }

    /// Returns the resources that are watched and served.
    pub fn watch_set(&self) -> SharedWatchSet {
        Arc::clone(&self.watch_set)
    }

    /// Returns the served resources, and changes to them.
    pub fn served(&self) -> watch::Receiver<Arc<[Arc<RunningResource>]>> {
        self.served.subscribe()
    }

    /// Returns the served and the loading resources.
    pub fn all(&self) -> Vec<Arc<RunningResource>> {
        self.groups().all().cloned().collect()
    }

    /// Whether a source of any resource proves that the API server works.
    pub fn prove_api(&self, now: Instant) -> bool {
        self.groups().is_proof(now)
    }

    /// Replaces the set of `group`, in this order, by way of `rollout`. The future resolves to the outcome and may be dropped.
    ///
    /// # Errors
    /// A resource cannot be watched. Nothing changes then.
    pub fn set(
        &self,
        group: Group,
        specs: Vec<ResourceSpec>,
        rollout: Rollout,
    ) -> std::io::Result<impl Future<Output = Outcome> + Send + use<>> {
        let mut groups = self.groups();
        let (desired, held_back) = (groups.desired.clone(), groups.held_back.clone());
        let shard_state = || self.shard_state(&desired);
        // The replica does not wait for a group that is added later.
        let new_group = || GroupState { decided: true, ..GroupState::default() };
        let state = groups.groups.entry(group).or_insert_with(new_group);
        let (mut resources, mut started) = (Vec::new(), Vec::new());
        for spec in specs {
            let resource = match state.find(&spec) {
                Some(running) => {
                    if spec.shape.follows {
                        let partitions = &spec.shape.partitions;
                        running.repartition(partitions, &spec.sink, &self.context, &self.spawner, shard_state)?;
                    }
                    running
                }
                None => match RunningResource::start(spec, &self.context, &self.spawner, shard_state) {
                    Ok(running) => {
                        let promoted = lock(&self.promoted).clone();
                        if promoted.fit(&running.shape) {
                            running.resource.objects.label_namespaces(&promoted.labels).for_each(drop);
                        }
                        running.resource.objects.hold_back(held_back.clone());
                        started.push(Arc::clone(&running));
                        running
                    }
                    Err(error) => {
                        stop(started);
                        return Err(error);
                    }
                },
            };
            resources.push(resource);
        }
        let before: Vec<_> = state.all().cloned().collect();
        let (done, served) = oneshot::channel();
        if state.decided {
            state.pending = Some(PendingSet::new(rollout, resources, done));
        } else {
            *state = GroupState { decided: true, served: resources, pending: None };
            // The receiver is below.
            let _ = done.send(());
        }
        // Resources of a superseded set that was not served yet.
        let removed = state.removed_since(before);
        if self.context.held.is_none() {
            groups.update_visible();
        }
        self.publish(&groups);
        drop(groups);
        stop(removed);
        self.changed.send_replace(());
        Ok(async { if served.await.is_ok() { Outcome::Served } else { Outcome::Superseded } })
    }

    /// Holds back changes of the objects in `slice` that would end series, in all resources.
    pub fn hold_back(&self, slice: &Slice) {
        let mut groups = self.groups();
        groups.held_back.clone_from(slice);
        let all: Vec<_> = groups.all().cloned().collect();
        drop(groups);
        all.iter().for_each(|resource| resource.resource.objects.hold_back(slice.clone()));
    }

    /// Takes new labels of Namespaces for the series of all resources that show them. Resources that start get them at once, known
    /// objects with [`Resources::relabel`].
    pub fn promote(&self, promoted: PromotedLabels) {
        *lock(&self.promoted) = promoted;
    }

    /// Gives the known objects the labels of their Namespaces, page by page, and yields in between: a Namespace may have any number of
    /// objects.
    pub async fn relabel(&self) {
        let promoted = lock(&self.promoted).clone();
        let all: Vec<_> = self.groups().all().cloned().collect();
        for running in all.iter().filter(|running| promoted.fit(&running.shape)) {
            for () in running.resource.objects.label_namespaces(&promoted.labels) {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Frees the compressed text of series with timestamps, in all resources.
    pub fn free_timed(&self) {
        let all: Vec<_> = self.groups().all().cloned().collect();
        all.iter().for_each(|resource| resource.resource.objects.free_timed());
    }

    /// Serves resources as they become ready, and exposes their loaded objects. Never ends.
    pub async fn run(self: Arc<Self>) {
        let mut changed = self.changed.subscribe();
        loop {
            changed.mark_unchanged();
            let next_check = self.reconcile();
            self.reconciled.send_replace(());
            tokio::select! {
                biased;
                // `self.changed` is the sender, so the channel stays open.
                _ = changed.changed() => {}
                () = async { sleep_until(next_check.unwrap_or_else(Instant::now)).await }, if next_check.is_some() => {}
            }
        }
    }

    /// Serves the resources that are ready. Returns when to call it again if nothing changes before.
    fn reconcile(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut groups = self.groups();
        let mut next_check = groups.degrade(now);
        if self.context.held.is_none() {
            groups.update_visible();
        }
        let before: Vec<_> = groups.served().cloned().collect();
        let mut removed = Vec::new();
        for group in groups.groups.values_mut() {
            let (left, check) = group.advance(now);
            removed.extend(left);
            next_check = next_check.into_iter().chain(check).min();
        }
        // All of them, without stopping at the first.
        let has_joined = groups.all().filter(|resource| resource.join()).count() > 0;
        let is_unchanged =
            !has_joined && before.len() == groups.served().count() && before.iter().zip(groups.served()).all(is_same);
        if !is_unchanged {
            self.publish(&groups);
        }
        drop(groups);
        stop(removed);
        next_check
    }

    /// Publishes the served resources to scrapes, health and the coverage watch.
    fn publish(&self, groups: &ResourceGroups) {
        let served: Arc<[_]> = groups.served().cloned().collect();
        let undecided = groups.groups.iter().filter(|(_, state)| !state.decided).map(|(group, _)| group.name());
        let undecided = undecided.collect();
        let resources = served.iter().map(|running| running.watched()).collect();
        self.store.serve(served.iter().map(|running| Arc::clone(&running.resource.objects)).collect());
        self.watch_set.store(Arc::new(WatchSet { resources, undecided }));
        self.served.send_replace(served);
    }

    /// Returns the initial shard state of a new source.
    fn shard_state(&self, desired: &Slice) -> ShardState {
        let shard = match &self.context.held {
            Some(held) => ShardState::new(held.clone()),
            None => ShardState::unassigned(),
        };
        let shard = shard.notifying(self.changed.clone());
        if self.context.held.is_none() {
            shard.set_desired(desired.clone());
        }
        shard
    }

    fn groups(&self) -> MutexGuard<'_, ResourceGroups> {
        lock(&self.groups)
    }
}

fn stop(resources: Vec<Arc<RunningResource>>) {
    resources.iter().for_each(|resource| resource.stop.cancel());
}

#[cfg(test)]
mod tests;
