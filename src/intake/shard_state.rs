//! What a source is to hold and what it does hold: the one thing that it shares with whoever decides about it.
//!
//! Three slices follow each other: *desired* is asked for; *watched* is what the watch hands over of it, widened by the source
//! itself, between two events; *synced* is what has been listed and watched without a gap since. Whatever is no longer desired
//! leaves all three at once, so that what is desired again later is listed again. Knows no requests.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::sharding::Slice;
use crate::sync::lock;

/// So long may a watch be lost before the source no longer counts as up to date. The first three tries to resume it fall
/// into this time, which is enough for a connection that broke and for an API server that gives way to another; what takes
/// longer is an outage.
const GRACE: Duration = Duration::from_secs(5);

/// What a source is to hold, and what it does hold.
///
/// [`ShardState::visible`] is what may be exposed: it was synced once and nothing of it is known to be missing, though it may be
/// as old as an outage of the API server. [`ShardState::ready`] is what may be promised to others: the same while the
/// source is up to date, else nothing.
#[derive(Debug)]
pub struct ShardState {
    state: Mutex<Inner>,
    /// What the watch hands over.
    watched: ArcSwap<Slice>,
    /// Ticks when the source has something to do.
    wakeups: watch::Sender<()>,
    /// Ticks when [`ShardState::visible`] or [`ShardState::is_live`] changes.
    changed: watch::Sender<()>,
}

/// A list of its own for what was gained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Backfill {
    /// Its number.
    pub id: u64,
    /// What it lists.
    pub slice: Slice,
}

#[derive(Debug)]
struct Inner {
    /// Something has been desired; see [`ShardState::unassigned`].
    assigned: bool,
    desired: Slice,
    synced: Slice,
    /// What the list speaks for that the source itself is making.
    listing: Slice,
    /// What is listed aside.
    backfill: Option<Backfill>,
    backfills_begun: u64,
    /// A list was synced, and the watch goes on from it, or is being resumed.
    following: bool,
    /// The watch is there, or was a moment ago.
    live: bool,
    /// Since when the watch is gone.
    lost: Option<Instant>,
    /// The server refuses the resource: there is nothing to hold.
    refused: bool,
    /// As of the last change.
    visible: Arc<Slice>,
}

impl ShardState {
    /// Nothing is visible yet.
    pub fn new(desired: Slice) -> Self {
        Self {
            watched: ArcSwap::from_pointee(desired.clone()),
            state: Mutex::new(Inner {
                assigned: true,
                desired,
                synced: Slice::none(),
                listing: Slice::none(),
                backfill: None,
                backfills_begun: 0,
                following: false,
                live: false,
                lost: None,
                refused: false,
                visible: Arc::default(),
            }),
            wakeups: watch::Sender::new(()),
            changed: watch::Sender::new(()),
        }
    }

    /// A source that does not know yet what it is to hold: it asks for nothing before something is desired, or it would list
    /// all for nothing.
    pub fn unassigned() -> Self {
        let shard = Self::new(Slice::none());
        shard.state().assigned = false;
        shard
    }

    /// The same, whose changes tick elsewhere: one receiver for many sources.
    #[must_use]
    pub fn notifying(self, changed: watch::Sender<()>) -> Self {
        Self { changed, ..self }
    }

    /// Waits until it is known what to hold.
    pub(super) async fn until_assigned(&self) {
        let mut wakeups = self.wakeups();
        while !self.state().assigned {
            // The sender lives as long as we do, so this never fails.
            let _ = wakeups.changed().await;
        }
    }

    /// From now on, this is to be held: what is new is visible, what is no longer desired is neither handed over nor visible
    /// any more.
    pub fn set_desired(&self, desired: Slice) {
        if self.state().desired == desired {
            return;
        }
        self.update(|state| {
            let watched = self.watched.load();
            self.watched.store(Arc::new(watched.intersection(&desired)));
            state.synced = state.synced.intersection(&desired);
            state.listing = state.listing.intersection(&desired);
            if state.backfill.as_ref().is_some_and(|backfill| !desired.covers(&backfill.slice)) {
                state.backfill = None;
            }
            state.assigned |= !desired.is_empty();
            state.desired = desired;
        });
    }

    /// What is to be held.
    pub fn desired(&self) -> Slice {
        self.state().desired.clone()
    }

    /// What may be exposed: it was visible synced, and every change that reached us since is in it. All that is desired while
    /// the API server refuses the resource, since there is nothing to serve.
    pub fn visible(&self) -> Arc<Slice> {
        Arc::clone(&self.state().visible)
    }

    /// Whether the source is up to date: its watch is there, or is being resumed within seconds; or the API server refuses
    /// the resource.
    pub fn is_live(&self) -> bool {
        self.state().is_live()
    }

    /// Whether the API server refuses the resource: there is nothing to hold.
    pub fn is_refused(&self) -> bool {
        self.state().refused
    }

    /// What may be promised to others: what is visible while the source is live, else nothing.
    pub fn ready(&self) -> Arc<Slice> {
        let state = self.state();
        if state.is_live() { Arc::clone(&state.visible) } else { Arc::default() }
    }

    /// Ticks whenever [`ShardState::visible`] or [`ShardState::is_live`] changes.
    pub fn changed(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// What the watch hands over.
    pub(super) fn watched(&self) -> arc_swap::Guard<Arc<Slice>> {
        self.watched.load()
    }

    /// Ticks when there is something to do for the source.
    pub(super) fn wakeups(&self) -> watch::Receiver<()> {
        self.wakeups.subscribe()
    }

    /// The source lists all that is desired, which is returned; a list aside would only be in its way.
    pub(super) fn begin_list(&self) -> Slice {
        self.update(|state| {
            state.abandon();
            state.listing = state.desired.clone();
            self.watched.store(Arc::new(state.desired.clone()));
            state.desired.clone()
        })
    }

    /// That list is synced, and a watch goes on from it.
    pub(super) fn finish_list(&self) {
        self.update(|state| {
            state.synced = std::mem::take(&mut state.listing);
            state.following = true;
            state.found();
        });
    }

    /// What the source knew is void; it will list again.
    pub(super) fn invalidate(&self) {
        self.update(Inner::abandon);
    }

    /// Nothing is desired, and nothing watched for it.
    pub(super) fn idle(&self) {
        self.update(|state| {
            state.abandon();
            state.synced = Slice::none();
            state.live = true;
        });
    }

    /// From here on the watch hands over all that is desired, which is returned.
    pub(super) fn widen(&self) -> Slice {
        let desired = self.desired();
        if **self.watched.load() == desired {
            return desired;
        }
        self.update(|state| {
            self.watched.store(Arc::new(state.desired.clone()));
            state.desired.clone()
        })
    }

    /// The watch was opened.
    pub(super) fn watch_opened(&self) {
        self.update(Inner::found);
    }

    /// The watch ended, however it did.
    pub(super) fn watch_ended(&self) {
        self.update(|state| {
            state.lost.get_or_insert_with(Instant::now);
        });
    }

    /// The server refuses the resource.
    pub(super) fn refused(&self) {
        self.update(|state| state.refused = true);
    }

    /// What was listed, and is watched up to date by the watch.
    pub(super) fn synced(&self) -> Slice {
        self.state().synced.clone()
    }

    /// What is to be listed aside now, if anything: what the watch hands over and no list has brought.
    pub(super) fn begin_backfill(&self) -> Option<Backfill> {
        let mut state = self.state();
        if !state.following || !state.live || state.refused {
            return None;
        }
        let slice = self.watched.load().minus(&state.synced);
        if slice.is_empty() {
            return None;
        }
        state.backfills_begun += 1;
        let backfill = Backfill { id: state.backfills_begun, slice };
        state.backfill = Some(backfill.clone());
        Some(backfill)
    }

    /// Whether a list aside is still of use.
    pub(super) fn is_current(&self, backfill: &Backfill) -> bool {
        self.state().backfill.as_ref().is_some_and(|b| b.id == backfill.id)
    }

    /// A list aside is synced.
    pub(super) fn finish_backfill(&self, backfill: &Backfill) {
        self.update(|state| {
            if let Some(backfill) = state.backfill.take_if(|b| b.id == backfill.id) {
                state.synced = state.synced.union(&backfill.slice);
            }
        });
    }

    /// Says, as time goes by, that a lost watch was not found again.
    pub(super) async fn grow_stale(&self) -> std::convert::Infallible {
        let mut wakeups = self.wakeups();
        loop {
            wakeups.mark_unchanged();
            let lost = {
                let state = self.state();
                state.lost.filter(|_| state.live)
            };
            let Some(lost) = lost else {
                // The sender lives as long as we do, so this never fails.
                let _ = wakeups.changed().await;
                continue;
            };
            tokio::select! {
                _ = wakeups.changed() => {}
                () = sleep_until(lost + GRACE) => self.update(|state| {
                    state.live = false;
                    state.backfill = None;
                }),
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, Inner> {
        // Every change leaves the state in order before anything in it could panic.
        lock(&self.state)
    }

    /// Changes the state and tells whom it concerns.
    fn update<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let mut state = self.state();
        let live = state.is_live();
        let result = change(&mut state);
        let visible = if state.refused { &state.desired } else { &state.synced };
        let mut tell = live != state.is_live();
        if *state.visible != *visible {
            state.visible = Arc::new(visible.clone());
            tell = true;
        }
        drop(state);
        self.wakeups.send_replace(());
        if tell {
            self.changed.send_replace(());
        }
        result
    }
}

impl Inner {
    const fn is_live(&self) -> bool {
        self.live || self.refused
    }

    /// What is known is not watched up to date.
    fn abandon(&mut self) {
        self.backfill = None;
        self.following = false;
        self.live = false;
        self.lost = None;
    }

    /// The API server tells us what happens.
    const fn found(&mut self) {
        self.live = true;
        self.lost = None;
        self.refused = false;
    }
}
