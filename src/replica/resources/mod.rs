//! The resources of a running replica, which come and go: what is watched of each, held for the fleet, and served.
//!
//! Whoever decides about some of them (an [`Owner`]) says which there shall be: [`Resources::set`]. One that runs in the same
//! [`Shape`] already is kept as it is. A new one is *loading* first: watched, and held for the fleet as all others are, but aside,
//! with a store of its own that nobody reads. When it is whole it is served, alone or together with the rest of its set, as the
//! owner asks ([`Swap`]), in place of the one that had its name. What is served changes by one swap of the list; only then is
//! what it replaces told to stop, and it is freed with the last scrape that reads it.
//!
//! - A resource that is loading keeps nobody waiting: neither readiness nor the fleet counts it. It becomes served only at a
//!   moment when it has all that is wanted, so that what the fleet was promised holds before and after.
//! - One that the API server refuses has nothing to load and is whole as it is; in place of another it is given [`REFUSED`], as a
//!   refusal may be a moment's.
//! - The first set of an owner that is there from the start is served at once: there is nothing before it that could be served
//!   meanwhile. Until it is there, the replica is not ready and promises nothing to the fleet.
//! - A set takes the place of the one before, also of one that is still loading.

mod context;
mod running;
mod shard_loader;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use super::tasks::Spawner;
use crate::exposition::Store;
use crate::health::{SharedWatchSet, WatchSet};
use crate::intake::ShardState;
use crate::sharding::Slice;
use crate::sync::lock;

pub(super) use context::WatchContext;
pub(super) use running::{NewSink, Partition, Reading, Running, Shape, Spec};

/// So long one that is refused may be waited for before it takes the place of one that is served.
const REFUSED: Duration = Duration::from_secs(30);
/// After so long it is said what a set waits for.
const LONG: Duration = Duration::from_secs(60);

/// Who decides about some of the resources. They are served in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    /// `--resources`.
    BuiltIn,
    /// `--custom-resource-state-config` and what the API server knows of it.
    Custom,
}

impl Owner {
    /// How its resources are called together.
    const fn name(self) -> &'static str {
        match self {
            Self::BuiltIn => "resources",
            Self::Custom => "custom resources",
        }
    }
}

/// When the resources of a set are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Swap {
    /// All at once, when the last is whole; until then, what was served before is.
    Together,
    /// Each when it is whole. What is no longer wanted goes at once.
    Each,
}

/// What came of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All of it is served.
    Served,
    /// Another set took its place before.
    Superseded,
}

/// The resources of a replica.
pub(super) struct Resources {
    context: WatchContext,
    spawner: Spawner,
    store: Arc<Store>,
    watch_set: SharedWatchSet,
    state: Mutex<State>,
    /// Ticks when a shard or a set changes.
    stirred: watch::Sender<()>,
    /// Ticks when what is loaded or served may have changed.
    looked: watch::Sender<()>,
    /// What is served.
    served: watch::Sender<Arc<[Arc<Running>]>>,
}

impl fmt::Debug for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let served = Arc::clone(&self.served.borrow());
        f.debug_list().entries(served.iter().map(|running| running.name())).finish()
    }
}

struct State {
    /// By the fleet.
    wanted: Slice,
    groups: BTreeMap<Owner, Group>,
}

/// The resources of one owner.
#[derive(Default)]
struct Group {
    /// The owner has decided once.
    known: bool,
    served: Vec<Arc<Running>>,
    next: Option<Next>,
}

/// A set that is not served yet.
struct Next {
    swap: Swap,
    /// All of it. Those that are not served are loading.
    resources: Vec<Arc<Running>>,
    /// Since when those are refused that are, by name.
    refused: BTreeMap<String, Instant>,
    /// When to say what is waited for.
    remind: Option<Instant>,
    done: oneshot::Sender<()>,
}

impl Resources {
    /// None yet: `owners` are to decide, and are waited for.
    pub fn new(context: WatchContext, spawner: Spawner, owners: impl IntoIterator<Item = Owner>) -> Arc<Self> {
        let groups = owners.into_iter().map(|owner| (owner, Group::default())).collect();
        let resources = Self {
            context,
            spawner,
            store: Arc::default(),
            watch_set: SharedWatchSet::default(),
            state: Mutex::new(State { wanted: Slice::none(), groups }),
            stirred: watch::Sender::new(()),
            looked: watch::Sender::new(()),
            served: watch::Sender::new(Arc::default()),
        };
        resources.publish(&resources.state());
        Arc::new(resources)
    }

    /// What scrapes are answered from.
    pub fn store(&self) -> Arc<Store> {
        Arc::clone(&self.store)
    }

    /// The resources that are watched and served.
    pub fn watch_set(&self) -> SharedWatchSet {
        Arc::clone(&self.watch_set)
    }

    /// What is served, whenever it changes.
    pub fn served(&self) -> watch::Receiver<Arc<[Arc<Running>]>> {
        self.served.subscribe()
    }

    /// From now on `owner` wants these and no others, in this order; the rest is up to `swap`. The future says what came of it,
    /// and need not be waited for.
    ///
    /// # Errors
    /// One cannot be watched; all is as before then.
    pub fn set(
        &self,
        owner: Owner,
        specs: Vec<Spec>,
        swap: Swap,
    ) -> std::io::Result<impl Future<Output = Outcome> + Send + use<>> {
        let mut state = self.state();
        let wanted = state.wanted.clone();
        let shard = || self.shard_state(&wanted);
        // Who comes later has nobody wait for it.
        let group = state.groups.entry(owner).or_insert_with(|| Group { known: true, ..Group::default() });
        let (mut resources, mut started) = (Vec::new(), Vec::new());
        for spec in specs {
            let resource = match group.find(&spec) {
                Some(running) => running,
                None => match Running::start(spec, &self.context, &self.spawner, shard) {
                    Ok(running) => {
                        started.push(Arc::clone(&running));
                        running
                    }
                    Err(error) => {
                        started.iter().for_each(|running| running.stop.cancel());
                        return Err(error);
                    }
                },
            };
            resources.push(resource);
        }
        let before: Vec<_> = group.all().cloned().collect();
        let (done, served) = oneshot::channel();
        if group.known {
            let remind = Some(Instant::now() + LONG);
            group.next = Some(Next { swap, resources, refused: BTreeMap::new(), remind, done });
        } else {
            *group = Group { known: true, served: resources, next: None };
            // Somebody may wait for it.
            let _ = done.send(());
        }
        // Of a set that is replaced before it was served.
        let gone = group.gone(before);
        if self.context.held.is_none() {
            state.show();
        }
        self.publish(&state);
        drop(state);
        stop(gone);
        self.stirred.send_replace(());
        Ok(async { if served.await.is_ok() { Outcome::Served } else { Outcome::Superseded } })
    }

    /// Serves what has become whole and shows what is loaded, for as long as it runs.
    pub async fn run(self: Arc<Self>) {
        let mut stirred = self.stirred.subscribe();
        loop {
            stirred.mark_unchanged();
            let next = self.look();
            self.looked.send_replace(());
            tokio::select! {
                // The sender is ours.
                _ = stirred.changed() => {}
                () = async { sleep_until(next.unwrap_or_else(Instant::now)).await }, if next.is_some() => {}
            }
        }
    }

    /// Looks at what is loaded; when to look again, whatever happens until then.
    fn look(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut state = self.state();
        if self.context.held.is_none() {
            state.show();
        }
        let before: Vec<_> = state.served().cloned().collect();
        let (mut gone, mut again) = (Vec::new(), None);
        for group in state.groups.values_mut() {
            let (left, next) = group.advance(now);
            gone.extend(left);
            again = again.into_iter().chain(next).min();
        }
        let is_same = before.len() == state.served().count() && before.iter().zip(state.served()).all(is_one);
        if !is_same {
            self.publish(&state);
        }
        drop(state);
        stop(gone);
        again
    }

    /// Swaps what is served for what the state says.
    fn publish(&self, state: &State) {
        let served: Arc<[_]> = state.served().cloned().collect();
        let undecided = state.groups.iter().filter(|(_, group)| !group.known).map(|(owner, _)| owner.name()).collect();
        let resources = served.iter().map(|running| running.watched.clone()).collect();
        self.store.serve(served.iter().map(|running| Arc::clone(&running.watched.objects)).collect());
        self.watch_set.store(Arc::new(WatchSet { resources, undecided }));
        self.served.send_replace(served);
    }

    /// What a source that starts now is to hold.
    fn shard_state(&self, wanted: &Slice) -> ShardState {
        let shard = match &self.context.held {
            Some(held) => ShardState::new(held.clone()),
            None => ShardState::unassigned(),
        };
        let shard = shard.notifying(self.stirred.clone());
        if self.context.held.is_none() {
            shard.set_desired(wanted.clone());
        }
        shard
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under the lock leaves it half changed.
        lock(&self.state)
    }
}

impl State {
    fn served(&self) -> impl Iterator<Item = &Arc<Running>> {
        self.groups.values().flat_map(|group| &group.served)
    }

    /// Those that are served, and those that are loading.
    fn all(&self) -> impl Iterator<Item = &Arc<Running>> {
        self.groups.values().flat_map(Group::all)
    }
}

fn is_one((a, b): (&Arc<Running>, &Arc<Running>)) -> bool {
    Arc::ptr_eq(a, b)
}

fn contains(resources: &[Arc<Running>], one: &Arc<Running>) -> bool {
    resources.iter().any(|other| is_one((one, other)))
}

fn stop(resources: Vec<Arc<Running>>) {
    resources.iter().for_each(|resource| resource.stop.cancel());
}

impl Group {
    fn all(&self) -> impl Iterator<Item = &Arc<Running>> {
        let loading = self.next.iter().flat_map(|next| &next.resources).filter(|r| !contains(&self.served, r));
        self.served.iter().chain(loading)
    }

    /// One that runs as `spec` asks for.
    fn find(&self, spec: &Spec) -> Option<Arc<Running>> {
        self.all().find(|running| running.name() == spec.name && running.shape == spec.shape).cloned()
    }

    /// Of those that were there `before`, the ones that are no more.
    fn gone(&self, before: Vec<Arc<Running>>) -> Vec<Arc<Running>> {
        let all: Vec<_> = self.all().cloned().collect();
        before.into_iter().filter(|resource| !contains(&all, resource)).collect()
    }

    /// Serves what may be served of the next set; what is gone for that, and when to look again.
    fn advance(&mut self, now: Instant) -> (Vec<Arc<Running>>, Option<Instant>) {
        let Some(next) = &mut self.next else { return (Vec::new(), None) };
        let served = &self.served;
        let before = |new: &Arc<Running>| served.iter().find(|old| old.name() == new.name());
        let mut again = next.remind;
        let mut waiting = Vec::new();
        for resource in next.resources.iter().filter(|r| !contains(served, r)) {
            let refused_for = match resource.is_refused() {
                true => Some(*next.refused.entry(resource.name().to_owned()).or_insert(now) + REFUSED),
                false => {
                    next.refused.remove(resource.name());
                    None
                }
            };
            let too_early = refused_for.filter(|until| *until > now && before(resource).is_some());
            again = again.into_iter().chain(too_early).min();
            if !resource.is_whole() || too_early.is_some() {
                waiting.push(Arc::clone(resource));
            }
        }
        let old_or_new = |new: &Arc<Running>| match contains(&waiting, new) {
            true => before(new).cloned(),
            false => Some(Arc::clone(new)),
        };
        let all: Vec<_> = self.served.clone();
        let now_served: Vec<_> = match next.swap {
            Swap::Together if !waiting.is_empty() => self.served.clone(),
            Swap::Together => next.resources.clone(),
            Swap::Each => next.resources.iter().filter_map(old_or_new).collect(),
        };
        if next.remind.is_some_and(|remind| remind <= now) && !waiting.is_empty() {
            let resources: Vec<_> = waiting.iter().map(|resource| resource.name()).collect();
            warn!(?resources, "not loaded yet; what was served before is served until they are");
            next.remind = None;
        }
        self.served = now_served;
        if waiting.is_empty()
            && let Some(next) = self.next.take()
        {
            let refused: Vec<_> = next.refused.keys().collect();
            info!(resources = self.served.len(), ?refused, "all resources that were asked for are served");
            // Nobody needs to wait for it.
            let _ = next.done.send(());
            again = None;
        }
        (self.gone(all), again.filter(|again| *again > now))
    }
}

#[cfg(test)]
mod tests;
