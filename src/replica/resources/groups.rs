//! Groups of resources, and the transition of each group from the served set to the next one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::{info, warn};

use super::running::RunningResource;
use super::spec::ResourceSpec;
use crate::sharding::Slice;

/// How long a refused resource is waited for before it replaces a served one: a refusal may be temporary.
pub(super) const REFUSAL_GRACE: Duration = Duration::from_secs(30);
/// When a pending set is still loading after this time, the log says so.
const REMINDER: Duration = Duration::from_secs(60);

/// Resources that are decided on together. Groups are served in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::replica) enum Group {
    /// `--resources`.
    BuiltIn,
    /// `--custom-resource-state-config`, as far as the API server serves it.
    Custom,
}

impl Group {
    /// The name of the group in messages.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::BuiltIn => "resources",
            Self::Custom => "custom resources",
        }
    }
}

/// How a new set replaces the served one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::replica) enum Rollout {
    /// All resources at once, when the last one is loaded. The previous set is served until then.
    Atomic,
    /// Each resource when it is loaded. Removed resources disappear immediately.
    Individual,
}

/// All groups of a replica.
pub(super) struct ResourceGroups {
    /// The slice that the fleet wants to be loaded.
    pub desired: Slice,
    /// The objects of which no series may end for now.
    pub held_back: Slice,
    pub groups: BTreeMap<Group, GroupState>,
}

/// The resources of one group.
#[derive(Default)]
pub(super) struct GroupState {
    /// Whether the group has had a set.
    pub decided: bool,
    pub served: Vec<Arc<RunningResource>>,
    pub pending: Option<PendingSet>,
}

/// A set that is not served yet.
pub(super) struct PendingSet {
    rollout: Rollout,
    /// All resources of the set. Those that are not served are loading.
    resources: Vec<Arc<RunningResource>>,
    /// Start of the current refusal of each refused resource, by name.
    refused_since: BTreeMap<String, Instant>,
    /// When to log that resources are still loading.
    reminder: Option<Instant>,
    done: oneshot::Sender<()>,
}

impl PendingSet {
    /// `done` receives a message when the set is served, and is dropped if another set supersedes it.
    pub fn new(rollout: Rollout, resources: Vec<Arc<RunningResource>>, done: oneshot::Sender<()>) -> Self {
        let reminder = Some(Instant::now() + REMINDER);
        Self { rollout, resources, refused_since: BTreeMap::new(), reminder, done }
    }
}

impl ResourceGroups {
    pub fn served(&self) -> impl Iterator<Item = &Arc<RunningResource>> {
        self.groups.values().flat_map(|group| &group.served)
    }

    /// The served and the loading resources.
    pub fn all(&self) -> impl Iterator<Item = &Arc<RunningResource>> {
        self.groups.values().flat_map(GroupState::all)
    }

    /// Whether a source proves that the API server works.
    pub fn is_proof(&self, now: Instant) -> bool {
        self.all().any(|resource| resource.is_proof(now))
    }

    /// Decides which resources are degraded. Returns when to decide again if nothing changes before.
    pub fn degrade(&self, now: Instant) -> Option<Instant> {
        let api_works = self.is_proof(now);
        self.all().filter_map(|resource| resource.degrade(now, api_works)).min()
    }

    /// Limits what each store exposes to the slice that is visible in all sources of the resource.
    pub fn update_visible(&self) {
        for resource in self.all() {
            let visible =
                resource.shard_states().iter().map(|shard| shard.visible()).reduce(|a, b| Arc::new(a.intersection(&b)));
            resource.resource.objects.set_loaded(visible.map_or_else(Slice::all, |visible| Slice::clone(&visible)));
        }
    }
}

/// Whether both are the same running resource.
pub(super) fn is_same((a, b): (&Arc<RunningResource>, &Arc<RunningResource>)) -> bool {
    Arc::ptr_eq(a, b)
}

fn contains(resources: &[Arc<RunningResource>], resource: &Arc<RunningResource>) -> bool {
    resources.iter().any(|other| is_same((resource, other)))
}

impl GroupState {
    pub fn all(&self) -> impl Iterator<Item = &Arc<RunningResource>> {
        let loading = self.pending.iter().flat_map(|pending| &pending.resources);
        self.served.iter().chain(loading.filter(|resource| !contains(&self.served, resource)))
    }

    /// Returns the resource that already runs as `spec` describes.
    pub fn find(&self, spec: &ResourceSpec) -> Option<Arc<RunningResource>> {
        self.all().find(|running| running.name() == spec.name && running.is_kept_for(&spec.shape)).cloned()
    }

    /// Returns those of `before` that are no longer in the group.
    pub fn removed_since(&self, before: Vec<Arc<RunningResource>>) -> Vec<Arc<RunningResource>> {
        let all: Vec<_> = self.all().cloned().collect();
        before.into_iter().filter(|resource| !contains(&all, resource)).collect()
    }

    /// Serves as much of the pending set as its rollout allows. Returns the resources that this removes, and when to call it
    /// again if nothing changes before.
    pub fn advance(&mut self, now: Instant) -> (Vec<Arc<RunningResource>>, Option<Instant>) {
        let Some(pending) = &mut self.pending else { return (Vec::new(), None) };
        let served = &self.served;
        let replaced_by = |new: &Arc<RunningResource>| served.iter().find(|old| old.name() == new.name());
        let mut next_check = pending.reminder;
        let (mut loading, mut degraded) = (Vec::new(), Vec::new());
        for resource in pending.resources.iter().filter(|resource| !contains(served, resource)) {
            let grace_end = match resource.is_refused() {
                true => Some(*pending.refused_since.entry(resource.name().to_owned()).or_insert(now) + REFUSAL_GRACE),
                false => {
                    pending.refused_since.remove(resource.name());
                    None
                }
            };
            let in_grace = grace_end.filter(|end| *end > now && replaced_by(resource).is_some());
            next_check = next_check.into_iter().chain(in_grace).min();
            // Objects of another cluster do not stay beside those of this one.
            let same_cluster =
                |old: &&Arc<RunningResource>| old.shape.options.cluster == resource.shape.options.cluster;
            if resource.is_degraded() && replaced_by(resource).is_some_and(|old| same_cluster(&old)) {
                degraded.push(Arc::clone(resource));
            } else if !resource.is_ready() || in_grace.is_some() {
                loading.push(Arc::clone(resource));
            }
        }
        let old_or_new = |new: &Arc<RunningResource>| match contains(&loading, new) || contains(&degraded, new) {
            true => replaced_by(new).cloned(),
            false => Some(Arc::clone(new)),
        };
        let before = self.served.clone();
        let now_served = match pending.rollout {
            Rollout::Atomic if !loading.is_empty() => self.served.clone(),
            // The others do not wait for the degraded ones.
            Rollout::Atomic | Rollout::Individual => pending.resources.iter().filter_map(old_or_new).collect(),
        };
        if pending.reminder.is_some_and(|reminder| reminder <= now) && !loading.is_empty() {
            let resources: Vec<_> = loading.iter().map(|resource| resource.name()).collect();
            warn!(?resources, "still loading; the previous resources are served until then");
            pending.reminder = None;
        }
        self.served = now_served;
        if loading.is_empty()
            && degraded.is_empty()
            && let Some(pending) = self.pending.take()
        {
            let refused: Vec<_> = pending.refused_since.keys().collect();
            info!(resources = self.served.len(), ?refused, "serving all requested resources");
            // The caller of `set` may have dropped the receiver.
            let _ = pending.done.send(());
            next_check = None;
        }
        (self.removed_since(before), next_check.filter(|check| *check > now))
    }
}
